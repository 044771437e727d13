/*
 * execplane-spawner: starts programs for the runner and carries their bytes. One thread with one epoll loop, which never
 * waits anywhere else. Commands come in on standard input, events go out on standard output (docs/spawner-protocol.md).
 *
 * Its optional argument is the soft limit of open files that commands get: Node raises the limit of the runner, so only
 * the runner may have the limit that the agent was started with.
 */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TURN = 128, RETRY_KILL_MS = 100, SIGNALS = 64 };

/*
 * `poller` waits for everything; `outputs` waits for the commands' output pipes, and is one of the descriptors of `poller`. `young` has the
 * output pipes of commands that were not looked at yet (watch_young); it is not waited for.
 */
int poller, outputs, young, signals, discard;
int64_t now;
/* Set once the runner has ended or has sent SHUTDOWN: nothing is reported any more, pipes are only drained. */
bool draining;

_Noreturn void die(const char *what) {
  (void)!write(2, what, strlen(what));
  (void)!write(2, "\n", 1);
  _exit(70);
}

/*
 * Handles the end of the runner, with or without SHUTDOWN. Running commands are killed, because their end cannot be reported.
 * Commands that have ended may have left children in the background, which keep their pipes until they close them.
 */
void runner_gone(void) {
  if (draining) return;
  draining = true;
  drop_events();
  epoll_ctl(poller, EPOLL_CTL_DEL, 0, NULL);
  dup3(discard, 0, O_CLOEXEC);
  dup3(discard, 1, O_CLOEXEC);
  dup3(discard, 2, O_CLOEXEC);
  kill_running();
  release_all();
}

/* Starts come before ends: a command that has run and ended by now has started. */
static void hear_status(const struct watch *watch, uint32_t happened) {
  if (watch->kind != WATCH_STATUS) return;
  struct execution *execution = watch->execution;
  execution->status_watched = false;
  if (execution->status_fd >= 0) hear_child(execution, happened & EPOLLIN);
}

static void dispatch(struct watch *watch, uint32_t happened) {
  struct execution *execution = watch->execution;
  switch (watch->kind) {
    case WATCH_COMMANDS: return read_commands();
    case WATCH_EVENTS: return flush_events();
    case WATCH_SIGNALS: return reap_all();
    case WATCH_OUTPUTS: return read_outputs();
    case WATCH_STATUS: /* was first */
      return;
    case WATCH_STDIN:
      if (execution->input.fd < 0) return;
      if (happened & (EPOLLERR | EPOLLHUP)) {
        close_input(execution);
        return report_input(execution);
      }
      return feed_input(execution);
  }
}

static void read_clock(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void turn(void) {
  struct epoll_event happened[TURN];
  int count = epoll_wait(poller, happened, TURN, draining && kill_running() ? RETRY_KILL_MS : next_look());
  read_clock();
  for (int i = 0; i < count; i++) hear_status(happened[i].data.ptr, happened[i].events);
  for (int i = 0; i < count; i++) dispatch(happened[i].data.ptr, happened[i].events);
  look_at_starts();
  watch_started();
}

/* The kernel's struct sigaction. The library's functions refuse the signals that it uses itself (32 to 34). */
struct kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

/*
 * Resets everything that was inherited: descriptors, directory, session, umask, signal dispositions. Signals are blocked
 * and never handled, so a child has nothing to reset, and no signal but SIGKILL stops the spawner.
 */
static void isolate(void) {
  if (syscall(SYS_close_range, 3U, ~0U, 0) < 0) {
    for (int fd = 3; fd < 4096; fd++) close(fd);
  }
  setsid();
  umask(022);
  if (chdir("/") < 0) die("chdir");
  const struct kernel_sigaction standard = {0};
  for (int number = 1; number <= SIGNALS; number++) {
    syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
  }
  uint64_t every = ~0ULL;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &every, NULL, sizeof every);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Raises our own soft limit of open files; stores the limit of commands first. */
static void raise_file_limit(const char *wanted) {
  struct rlimit files = {0};
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return launch_init(0);
  uint64_t soft = wanted ? strtoull(wanted, NULL, 10) : 0;
  if (soft == 0 || soft > files.rlim_max) soft = files.rlim_cur;
  launch_init(soft);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static void watch(int fd, struct watch *watch) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("standard input is neither a pipe nor a socket");
}

int main(int argc, char **argv) {
  isolate();
  raise_file_limit(argc > 1 ? argv[1] : NULL);
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  signals = signalfd(-1, &child_signal, SFD_NONBLOCK | SFD_CLOEXEC);
  poller = epoll_create1(EPOLL_CLOEXEC);
  outputs = epoll_create1(EPOLL_CLOEXEC);
  young = epoll_create1(EPOLL_CLOEXEC);
  discard = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (signals < 0 || poller < 0 || outputs < 0 || young < 0 || discard < 0) die("no descriptors");
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
  watch(0, &commands_watch);
  watch(signals, &signals_watch);
  watch(outputs, &outputs_watch);
  uint32_t version = PROTOCOL_VERSION;
  put_event(HELLO, 0, &version, sizeof version);
  flush_events();
  while (!draining || any_execution()) {
    turn();
    flush_events();
    free_dead();
  }
  return 0;
}
