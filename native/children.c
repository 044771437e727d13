/* The life of an execution: cloned, running, reaped, released. The time until it runs is in starts.c. */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUCKETS = 4096 };

static struct execution *by_handle[BUCKETS], *by_pid[BUCKETS], *all, *dead, *spare;

/* ---- the table of executions ---- */

static struct execution **handle_slot(uint32_t handle) {
  struct execution **slot = &by_handle[handle % BUCKETS];
  while (*slot && (*slot)->handle != handle) slot = &(*slot)->next_handle;
  return slot;
}

static struct execution **pid_slot(pid_t pid) {
  struct execution **slot = &by_pid[(uint32_t)pid % BUCKETS];
  while (*slot && (*slot)->pid != pid) slot = &(*slot)->next_pid;
  return slot;
}

struct execution *find_execution(uint32_t handle) {
  return *handle_slot(handle);
}

bool any_execution(void) {
  return all != NULL;
}

void forget_handle(struct execution *execution) {
  struct execution **slot = handle_slot(execution->handle);
  if (*slot == execution) *slot = execution->next_handle;
  execution->released = true;
  for (int i = 0; i < 2; i++) forget_tail(&execution->outputs[i]);
}

/* Frees it at the end of the turn only: events of the same turn may still point to it. */
void bury_if_done(struct execution *execution) {
  if (execution->state != OVER || execution->outputs[0].fd >= 0 || execution->outputs[1].fd >= 0) return;
  if (execution->previous) execution->previous->next = execution->next;
  else all = execution->next;
  if (execution->next) execution->next->previous = execution->previous;
  execution->next = dead;
  dead = execution;
}

void free_dead(void) {
  while (dead) {
    struct execution *execution = dead;
    dead = execution->next;
    free(execution->input.waiting.bytes);
    free(execution->cgroup);
    free(execution->marker);
    if (spare) free(execution);
    else spare = execution;
  }
}

/* ---- starting ---- */

static char *copy_of(const char *text) {
  char *copy = strdup(text);
  if (!copy) die("out of memory");
  return copy;
}

static char *marker_of(char *const *envp) {
  for (; *envp; envp++) {
    if (strncmp(*envp, "EXECUTION_ID=", 13) == 0) return copy_of(*envp);
  }
  return NULL;
}

static struct execution *prepare(uint32_t handle, struct launch *launch) {
  struct execution *execution = spare ? spare : malloc(sizeof *execution);
  if (!execution) die("out of memory");
  spare = NULL;
  *execution = (struct execution){0};
  execution->handle = handle;
  execution->launch = launch;
  execution->keep = launch->keep;
  execution->tail_size = launch->tail_size;
  execution->terminal = launch->flags & FLAG_TERMINAL;
  execution->status_watch = (struct watch){WATCH_STATUS, execution};
  execution->input.watch = (struct watch){WATCH_STDIN, execution};
  execution->status_fd = execution->verdict_fd = execution->input.fd = -1;
  for (int i = 0; i < 2; i++) {
    struct output *output = &execution->outputs[i];
    *output = (struct output){.execution = execution, .fd = -1, .event = i == 0 ? STDOUT : STDERR};
    output->tail_event = i == 0 ? STDOUT_TAIL : STDERR_TAIL;
  }
  if (launch->cgroup) execution->cgroup = copy_of(launch->cgroup);
  execution->marker = marker_of(launch->envp);
  return execution;
}

static void adopt(struct execution *execution, pid_t pid) {
  execution->pid = pid;
  execution->state = STARTING;
  *handle_slot(execution->handle) = execution; /* the handle is new, so this is the end of a chain */
  execution->next_pid = by_pid[(uint32_t)pid % BUCKETS];
  by_pid[(uint32_t)pid % BUCKETS] = execution;
  execution->next = all;
  if (all) all->previous = execution;
  all = execution;
  await_start(execution);
  struct epoll_event event = (struct epoll_event){.events = 0, .data.ptr = &execution->input.watch};
  if (execution->input.fd >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, execution->input.fd, &event) < 0) die("epoll_ctl");
}

/* The clone failed: there is no child. `again`: this is not the last try. */
static void give_up(struct execution *execution, uint32_t error, bool again) {
  if (!again) report_failure(execution->handle, STAGE_FORK, error);
  close_fd(&execution->status_fd);
  close_fd(&execution->verdict_fd);
  close_fd(&execution->input.fd);
  for (int i = 0; i < 2; i++) close_fd(&execution->outputs[i].fd);
  launch_free(execution->launch);
  execution->next = dead;
  dead = execution;
}

void spawn(uint32_t handle, const char *payload, size_t size) {
  if (find_execution(handle)) die("a handle that is in use");
  struct launch *launch = launch_parse(payload, size);
  if (!launch) return report_failure(handle, STAGE_FORK, ENOMEM);
  launch->quick = launch_is_quick(launch);
  struct execution *execution = prepare(handle, launch);
  bool opened = open_streams(execution, launch);
  if (opened && launch->quick) watch_young(execution);
  pid_t pid = opened ? launch_start(launch, &execution->in_cgroup) : -errno;
  close_child_ends(launch);
  bool again = pid == -ENOSYS && launch->quick; /* once: the next ones are not quick */
  if (pid > 0) return adopt(execution, pid);
  give_up(execution, (uint32_t)-pid, again);
  if (again) spawn(handle, payload, size);
}

/* ---- the end ---- */

static void report_exit(struct execution *execution) {
  bool exited = execution->wait_code == CLD_EXITED;
  const struct rusage *usage = &execution->usage;
  uint32_t value = (uint32_t)execution->wait_status;
  uint64_t numbers[5] = {
    execution->outputs[0].total,
    execution->outputs[1].total,
    (uint64_t)usage->ru_utime.tv_sec * 1000000 + (uint64_t)usage->ru_utime.tv_usec,
    (uint64_t)usage->ru_stime.tv_sec * 1000000 + (uint64_t)usage->ru_stime.tv_usec,
    (uint64_t)usage->ru_maxrss * 1024,
  };
  char payload[5 + sizeof numbers + 1] = {(char)!exited};
  memcpy(payload + 1, &value, 4);
  memcpy(payload + 5, numbers, sizeof numbers);
  payload[5 + sizeof numbers] = execution->left_nothing;
  for (int i = 0; i < 2; i++) report_tail(&execution->outputs[i]);
  report(execution, EXITED, payload, sizeof payload);
}

/* From here on its pipes are drained, if other processes keep them open. */
static void leave(struct execution *execution) {
  forget_handle(execution);
  close_input(execution);
  execution->state = OVER;
  execution->paused = false;
  for (int i = 0; i < 2; i++) watch_output(&execution->outputs[i], true);
  bury_if_done(execution);
}

void finish_if_handed_over(struct execution *execution) {
  if (execution->outputs[0].due > 0 || execution->outputs[1].due > 0) return;
  report_exit(execution);
  leave(execution);
}

/*
 * The main process has been reaped. The bytes in its pipes at this moment are its output; bytes that a grandchild adds
 * later are not, and so cannot delay the end. Small leftovers, the usual case, are read at once.
 */
static void end(struct execution *execution) {
  execution->state = ENDING;
  count_due(execution);
  finish_if_handed_over(execution);
  take_leftovers(execution);
}

struct ended_child {
  siginfo_t info;
  struct rusage usage;
};

/* `childless`: the spawner has no other child, and so no process of any command is left, as it would be a descendant of the spawner. */
static void reaped(const struct ended_child *child, bool childless) {
  const siginfo_t *info = &child->info;
  struct execution **slot = pid_slot(info->si_pid);
  struct execution *execution = *slot;
  if (!execution) return; /* an orphan of a command: the spawner reaps its descendants */
  *slot = execution->next_pid;
  if (execution->state == STARTING) hear_child(execution, true);
  if (execution->state == BROKEN) {
    execution->state = OVER;
    return bury_if_done(execution);
  }
  execution->wait_code = info->si_code;
  execution->wait_status = info->si_status;
  execution->usage = child->usage;
  execution->left_nothing = childless;
  end(execution);
}

/* Each child is handled after the next wait, which tells whether there is another child. */
void reap_all(void) {
  struct signalfd_siginfo ignored; /* one stands for all that have ended since the last */
  (void)!read(signals, &ignored, sizeof ignored);
  struct ended_child last = {0};
  for (;;) {
    struct ended_child next = {0};
    long error = syscall(SYS_waitid, P_ALL, 0, &next.info, WEXITED | WNOHANG, &next.usage);
    if (last.info.si_pid != 0) reaped(&last, error < 0 && errno == ECHILD);
    if (error < 0 || next.info.si_pid == 0) return;
    last = next;
  }
}

/* ---- commands of the runner ---- */

void set_paused(struct execution *execution, bool paused) {
  execution->paused = paused;
  if (execution->state == STARTING) return;
  if (!paused) return watch_outputs(execution);
  for (int i = 0; i < 2; i++) watch_output(&execution->outputs[i], false);
}

/*
 * A process that has exited is not signalled any more, even if its end was not seen yet. One that does not run its
 * program yet gets the signal as soon as it does: on older kernels a core dump ends every process that shares the memory.
 */
void send_signal(struct execution *execution, uint32_t number) {
  if (number < 1 || number > 64) return;
  reap_all();
  look(execution);
  if (execution->state == STARTING) execution->early_signals |= 1ULL << (number - 1);
  if (execution->state == RUNNING) kill(-execution->pid, (int)number);
}

/*
 * Releases an execution on behalf of the runner. A running command keeps running unreported, and the spawner still
 * reaps it. A command that does not run yet is ended. (Not by its process group, which the child may not have made yet.)
 */
void release(struct execution *execution) {
  look(execution);
  forget_handle(execution);
  set_paused(execution, false);
  if (execution->state == STARTING) kill(execution->pid, SIGKILL);
  if (execution->state == ENDING) leave(execution);
}

/* Ends a child that does not run its program yet, and reports it immediately: it may hang in the kernel and die later. */
void abort_start(struct execution *execution) {
  look(execution);
  if (execution->state != STARTING) return;
  report_failure(execution->handle, STAGE_ABORTED, EINTR);
  release(execution);
}

bool kill_running(void) {
  bool any = false;
  for (struct execution *execution = all; execution; execution = execution->next) {
    if (execution->state != STARTING && execution->state != RUNNING) continue;
    kill_tree(execution);
    any = true;
  }
  return any;
}

void release_all(void) {
  for (struct execution *execution = all, *next; execution; execution = next) {
    next = execution->next;
    close_input(execution);
    release(execution);
  }
}
