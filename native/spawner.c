/*
 * execplane-spawner: starts programs for the runner and carries their bytes. One thread, one epoll loop, no waiting
 * anywhere but in it. Commands come in on standard input, events go out on standard output (docs/spawner-protocol.md).
 *
 * A turn of the loop gathers its events into one buffer and writes it once. While the runner does not take them, no
 * command's pipe is read, so a flood ends up waiting in the write(2) of the program that makes it.
 */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  HEADER = 9,              /* u32 length of what follows it, u8 op, u32 handle */
  CHUNK = 65536,           /* the largest piece of output in one event */
  EVENTS_LIMIT = 262144,   /* events waiting for the runner: past this no output is read */
  COMMANDS_SIZE = 262144,  /* the usual size of the command buffer */
  FRAME_LIMIT = 16777216,  /* a longer command is a fault of the runner's */
  DISCARD_AT_ONCE = 1048576,
  BUCKETS = 4096,
  TURN = 128,
  RETRY_KILL_MS = 100,
};

struct buffer {
  char *bytes;
  size_t start, length, capacity;
};

static struct buffer commands, events;
static struct execution *by_handle[BUCKETS], *by_pid[BUCKETS], *all, *dead;
/* `poller` waits for everything; the commands' output pipes are behind `outputs`, which it waits for as one of many. */
static int poller, outputs, signals, discard;
static int64_t now; /* ms, monotonic, read once a turn */
/* The runner is gone, or has said goodbye: nothing is reported any more, pipes are only drained. */
static bool draining;
/* The runner does not keep up: no output is read until it does, but all else goes on. */
static bool blocked;
static struct watch commands_watch = {WATCH_COMMANDS, NULL}, events_watch = {WATCH_EVENTS, NULL};
static struct watch signals_watch = {WATCH_SIGNALS, NULL}, outputs_watch = {WATCH_OUTPUTS, NULL};

static void die(const char *what) {
  (void)!write(2, what, strlen(what));
  (void)!write(2, "\n", 1);
  _exit(70);
}

/* ---- buffers ---- */

/* Room for `more` bytes behind what is there. */
static char *reserve(struct buffer *buffer, size_t more) {
  if (buffer->start > 0 && (buffer->length == 0 || buffer->start + buffer->length + more > buffer->capacity)) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->length);
    buffer->start = 0;
  }
  size_t needed = buffer->start + buffer->length + more;
  if (needed > buffer->capacity) {
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity < needed) capacity *= 2;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes) die("out of memory");
    buffer->bytes = bytes;
    buffer->capacity = capacity;
  }
  return buffer->bytes + buffer->start + buffer->length;
}

static void consume(struct buffer *buffer, size_t count) {
  buffer->start += count;
  buffer->length -= count;
  if (buffer->length == 0) buffer->start = 0;
}

/* ---- events ---- */

static void put_header(char *at, uint8_t op, uint32_t handle, size_t payload) {
  uint32_t length = (uint32_t)(payload + HEADER - 4);
  memcpy(at, &length, 4);
  at[4] = (char)op;
  memcpy(at + 5, &handle, 4);
}

/* These are few for each thing the runner asked for, so the buffer may grow past its limit for them. */
static void put_event(uint8_t op, uint32_t handle, const void *payload, size_t size) {
  if (draining) return;
  char *at = reserve(&events, HEADER + size);
  put_header(at, op, handle, size);
  memcpy(at + HEADER, payload, size);
  events.length += HEADER + size;
}

static void report(const struct execution *execution, uint8_t op, const void *payload, size_t size) {
  if (!execution->released) put_event(op, execution->handle, payload, size);
}

static void report_counts(struct execution *execution) {
  uint64_t counts[2] = {execution->outputs[0].total, execution->outputs[1].total};
  execution->counted_at = now;
  report(execution, COUNT, counts, sizeof counts);
}

static void report_failure(uint32_t handle, enum stage stage, int error) {
  char payload[5] = {(char)stage};
  uint32_t number = (uint32_t)error;
  memcpy(payload + 1, &number, 4);
  put_event(FAILED, handle, payload, sizeof payload);
}

static bool events_full(void) {
  return events.length + HEADER + 4096 > EVENTS_LIMIT;
}

static void runner_gone(void);

static void set_blocked(bool on) {
  if (blocked == on) return;
  blocked = on;
  struct epoll_event writable = {.events = EPOLLOUT, .data.ptr = &events_watch};
  struct epoll_event readable = {.events = on ? 0 : EPOLLIN, .data.ptr = &outputs_watch};
  epoll_ctl(poller, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, 1, &writable);
  epoll_ctl(poller, EPOLL_CTL_MOD, outputs, &readable);
}

static void flush_events(void) {
  while (events.length > 0) {
    ssize_t written = write(1, events.bytes + events.start, events.length);
    if (written >= 0) consume(&events, (size_t)written);
    else if (errno == EAGAIN) return set_blocked(true);
    else if (errno != EINTR) return runner_gone();
  }
  set_blocked(false);
}

/* ---- executions ---- */

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

static void forget_handle(struct execution *execution) {
  struct execution **slot = handle_slot(execution->handle);
  if (*slot == execution) *slot = execution->next_handle;
  execution->released = true;
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/*
 * Closing alone does not end the watch: a child between clone and execve has a copy of the descriptor, and epoll would go
 * on telling of it, with a pointer to what has been freed.
 */
static void close_watched(int *fd) {
  if (*fd >= 0) epoll_ctl(poller, EPOLL_CTL_DEL, *fd, NULL);
  close_fd(fd);
}

static void watch_output(struct output *output, bool on) {
  if (output->fd < 0 || output->watched == on) return;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = output};
  if (epoll_ctl(outputs, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, output->fd, &event) < 0) die("epoll_ctl");
  output->watched = on;
}

static void close_output(struct output *output) {
  watch_output(output, false);
  close_fd(&output->fd);
  output->due = 0;
}

/* Freed at the end of the turn only: events of the same turn may still point here. */
static void bury_if_done(struct execution *execution) {
  if (execution->state != OVER || execution->outputs[0].fd >= 0 || execution->outputs[1].fd >= 0) return;
  if (execution->previous) execution->previous->next = execution->next;
  else all = execution->next;
  if (execution->next) execution->next->previous = execution->previous;
  execution->next = dead;
  dead = execution;
}

static void free_dead(void) {
  while (dead) {
    struct execution *execution = dead;
    dead = execution->next;
    free(execution->input.bytes);
    free(execution->cgroup);
    free(execution->marker);
    free(execution);
  }
}

/* ---- stdin of a command ---- */

static void close_input(struct execution *execution) {
  struct input *input = &execution->input;
  if (input->fd < 0) return;
  close_watched(&input->fd);
  free(input->bytes);
  input->bytes = NULL;
  input->length = input->capacity = input->start = 0;
}

static void report_input(struct execution *execution) {
  char payload[9];
  memcpy(payload, &execution->input.taken, 8);
  payload[8] = execution->input.fd < 0;
  report(execution, STDIN_TAKEN, payload, sizeof payload);
}

/* Writes what waits; a command that reads no more is no error, only the end of its stdin. */
static void feed_input(struct execution *execution) {
  struct input *input = &execution->input;
  uint64_t before = input->taken;
  bool waits = false;
  while (input->length > 0 && !waits) {
    ssize_t written = write(input->fd, input->bytes + input->start, input->length);
    if (written > 0) {
      input->taken += (uint64_t)written;
      input->start += (size_t)written;
      input->length -= (size_t)written;
    } else if (written < 0 && errno == EAGAIN) {
      waits = true;
    } else if (written < 0 && errno != EINTR) {
      close_input(execution);
    }
  }
  if (input->fd >= 0 && input->length == 0) {
    input->start = 0;
    if (input->ends) close_input(execution);
  }
  if (input->fd >= 0) {
    /* Without EPOLLOUT it still tells (EPOLLERR) when the last reader has gone. */
    struct epoll_event event = {.events = waits ? EPOLLOUT : 0, .data.ptr = &input->watch};
    epoll_ctl(poller, EPOLL_CTL_MOD, input->fd, &event);
  }
  if (input->taken != before || input->fd < 0) report_input(execution);
}

static void add_input(struct execution *execution, const char *bytes, size_t size, bool ends) {
  struct input *input = &execution->input;
  if (input->fd < 0) return;
  struct buffer buffer = {input->bytes, input->start, input->length, input->capacity};
  if (size > 0) memcpy(reserve(&buffer, size), bytes, size);
  *input = (struct input){input->watch, input->fd, buffer.bytes, buffer.start, buffer.length + size, buffer.capacity, input->taken, ends};
  feed_input(execution);
}

/* ---- output of a command ---- */

/* Reads up to `most` bytes and throws them away, without copying them where the kernel can. As read(2). */
static ssize_t throw_away(int fd, size_t most) {
  static char waste[CHUNK];
  ssize_t count = splice(fd, NULL, discard, NULL, most, SPLICE_F_NONBLOCK);
  if (count < 0 && (errno == EINVAL || errno == ENOSYS)) count = read(fd, waste, most < sizeof waste ? most : sizeof waste);
  return count;
}

/* Reads up to `most` bytes straight into an event. */
static ssize_t hand_over(struct execution *execution, struct output *output, size_t most) {
  size_t space = EVENTS_LIMIT - events.length - HEADER;
  if (most > CHUNK) most = CHUNK;
  if (most > space) most = space;
  char *at = reserve(&events, HEADER + most);
  ssize_t count = read(output->fd, at + HEADER, most);
  if (count > 0) {
    put_header(at, output->event, execution->handle, (size_t)count);
    events.length += HEADER + (size_t)count;
    output->kept += (uint64_t)count;
  }
  return count;
}

static void finish_if_handed_over(struct execution *execution);

/* One read of one pipe: into an event, into the count, or, after the end, to nowhere. */
static void read_output(struct execution *execution, struct output *output) {
  bool nowhere = execution->state == OVER || execution->released;
  uint64_t wanted = execution->keep - output->kept;
  size_t most = DISCARD_AT_ONCE;
  if (execution->state == ENDING) {
    if (output->due == 0) return watch_output(output, false); /* the other pipe is not finished: this one waits */
    if (most > output->due) most = (size_t)output->due;
  }
  ssize_t count;
  if (nowhere || wanted == 0) {
    count = throw_away(output->fd, most);
  } else {
    if (events_full()) flush_events();
    if (events_full()) return;
    count = hand_over(execution, output, most < wanted ? most : (size_t)wanted);
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    if (errno == EAGAIN) output->due = 0; /* somebody else has read it: it is a pipe, and it has a name in /proc */
  } else if (count <= 0) {
    close_output(output);
  } else {
    output->total += (uint64_t)count;
    if (execution->state == ENDING) output->due -= (uint64_t)count;
    if (!nowhere && wanted == 0 && now - execution->counted_at >= 1000) report_counts(execution);
  }
  if (execution->state == ENDING) finish_if_handed_over(execution);
  else bury_if_done(execution);
}

/* ---- the life of an execution ---- */

static void report_exit(struct execution *execution) {
  bool exited = execution->wait_code == CLD_EXITED;
  char payload[21] = {(char)!exited};
  uint32_t value = (uint32_t)execution->wait_status;
  memcpy(payload + 1, &value, 4);
  memcpy(payload + 5, &execution->outputs[0].total, 8);
  memcpy(payload + 13, &execution->outputs[1].total, 8);
  report(execution, EXITED, payload, sizeof payload);
}

/* From here on its pipes, if others hold them, are read to nowhere. */
static void leave(struct execution *execution) {
  forget_handle(execution);
  close_input(execution);
  execution->state = OVER;
  execution->paused = false;
  for (int i = 0; i < 2; i++) watch_output(&execution->outputs[i], true);
  bury_if_done(execution);
}

static void finish_if_handed_over(struct execution *execution) {
  if (execution->outputs[0].due > 0 || execution->outputs[1].due > 0) return;
  report_exit(execution);
  leave(execution);
}

/*
 * The main process has been reaped. What is in its pipes at this moment is its output; what a grandchild adds later is
 * not, and so can't delay the end. Small leftovers, the usual case, are read here and now.
 */
static void end(struct execution *execution) {
  execution->state = ENDING;
  for (int i = 0; i < 2; i++) {
    struct output *output = &execution->outputs[i];
    int waiting = 0;
    if (output->fd >= 0 && ioctl(output->fd, FIONREAD, &waiting) == 0) output->due = (uint64_t)waiting;
  }
  finish_if_handed_over(execution);
  for (int i = 0; i < 2 && execution->state == ENDING && !execution->paused; i++) {
    struct output *output = &execution->outputs[i];
    while (output->due > 0 && execution->state == ENDING && (output->kept == execution->keep || !events_full())) {
      read_output(execution, output);
    }
  }
}

/* The status pipe says how the start went: closed by execve, or a failure written by the child. */
static void decide_start(struct execution *execution) {
  struct start_failure failure;
  ssize_t count = read(execution->status_fd, &failure, sizeof failure);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close_watched(&execution->status_fd);
  launch_free(execution->launch);
  execution->launch = NULL;
  if (count == sizeof failure) {
    if (!execution->released) report_failure(execution->handle, failure.stage, (int)failure.error);
    forget_handle(execution);
    close_input(execution);
    for (int i = 0; i < 2; i++) close_output(&execution->outputs[i]);
    execution->state = BROKEN;
    return;
  }
  execution->state = RUNNING;
  char payload[5];
  uint32_t pid = (uint32_t)execution->pid;
  memcpy(payload, &pid, 4);
  payload[4] = execution->in_cgroup;
  report(execution, STARTED, payload, sizeof payload);
  for (int number = 1; number <= 64; number++) {
    if (execution->early_signals >> (number - 1) & 1) kill(-execution->pid, number);
  }
  if (!execution->paused) {
    for (int i = 0; i < 2; i++) watch_output(&execution->outputs[i], true);
  }
}

static void reaped(const siginfo_t *info) {
  struct execution **slot = pid_slot(info->si_pid);
  struct execution *execution = *slot;
  if (!execution) return; /* an orphan of some command: we are the reaper of its descendants */
  *slot = execution->next_pid;
  if (execution->state == STARTING) decide_start(execution);
  if (execution->state == BROKEN) {
    execution->state = OVER;
    return bury_if_done(execution);
  }
  execution->wait_code = info->si_code;
  execution->wait_status = info->si_status;
  end(execution);
}

static void reap_all(void) {
  struct signalfd_siginfo ignored[8];
  while (read(signals, ignored, sizeof ignored) > 0) continue;
  for (;;) {
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) return;
    reaped(&info);
  }
}

/* ---- starting ---- */

/* A pipe of which our end (`ours`: 0 reads, 1 writes) never blocks; the other one is as programs expect it. */
static bool make_pipe(int fds[2], int ours) {
  if (pipe2(fds, O_CLOEXEC) < 0) {
    fds[0] = fds[1] = -1;
    return false;
  }
  fcntl(fds[ours], F_SETFL, O_NONBLOCK | (ours ? O_WRONLY : O_RDONLY));
  return true;
}

static char *marker_of(char *const *envp) {
  for (; *envp; envp++) {
    if (strncmp(*envp, "EXECUTION_ID=", 13) == 0) return strdup(*envp);
  }
  return NULL;
}

static void adopt(struct execution *execution, uint32_t handle, pid_t pid) {
  execution->handle = handle;
  execution->pid = pid;
  execution->state = STARTING;
  struct execution **slot = handle_slot(handle);
  *slot = execution; /* the runner never has two of one handle, so this is the end of a chain */
  execution->next_pid = by_pid[(uint32_t)pid % BUCKETS];
  by_pid[(uint32_t)pid % BUCKETS] = execution;
  execution->next = all;
  if (all) all->previous = execution;
  all = execution;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &execution->status_watch};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, execution->status_fd, &event) < 0) die("epoll_ctl");
  event = (struct epoll_event){.events = 0, .data.ptr = &execution->input.watch};
  if (execution->input.fd >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, execution->input.fd, &event) < 0) die("epoll_ctl");
}

static struct execution *prepare(struct launch *launch, uint64_t keep) {
  struct execution *execution = calloc(1, sizeof *execution);
  if (!execution) die("out of memory");
  execution->launch = launch;
  execution->keep = keep;
  execution->status_watch = (struct watch){WATCH_STATUS, execution};
  execution->input.watch = (struct watch){WATCH_STDIN, execution};
  for (int i = 0; i < 2; i++) {
    execution->outputs[i].execution = execution;
    execution->outputs[i].event = i == 0 ? STDOUT : STDERR;
  }
  if (launch->cgroup) execution->cgroup = strdup(launch->cgroup);
  execution->marker = marker_of(launch->envp);
  return execution;
}

/* Pipes, owned by whom the command runs as, so that it can open its own /dev/stdin and so on by name. */
static bool open_pipes(int pipes[4][2], const struct launch *launch, bool stdin_pipe) {
  bool made = make_pipe(pipes[1], 0) && make_pipe(pipes[2], 0) && make_pipe(pipes[3], 0) && (!stdin_pipe || make_pipe(pipes[0], 1));
  for (int i = 0; made && launch->has_identity && i < 3; i++) {
    if (pipes[i][0] >= 0 && fchown(pipes[i][0], launch->uid, launch->gid) < 0) made = false;
  }
  return made;
}

static void spawn(uint32_t handle, const char *payload, size_t size) {
  uint64_t keep;
  bool stdin_pipe;
  struct launch *launch = launch_parse(payload, size, &keep, &stdin_pipe);
  if (!launch) return report_failure(handle, STAGE_FORK, ENOMEM);
  int pipes[4][2] = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}; /* stdin, stdout, stderr, status */
  struct execution *execution = prepare(launch, keep);
  pid_t pid = -1;
  if (open_pipes(pipes, launch, stdin_pipe)) {
    launch->stdio[0] = pipes[0][0];
    launch->stdio[1] = pipes[1][1];
    launch->stdio[2] = pipes[2][1];
    launch->status_fd = pipes[3][1];
    pid = launch_start(launch, &execution->in_cgroup);
  } else {
    pid = -errno;
  }
  close_fd(&pipes[0][0]);
  for (int i = 1; i < 4; i++) close_fd(&pipes[i][1]);
  execution->input.fd = pipes[0][1];
  execution->outputs[0].fd = pipes[1][0];
  execution->outputs[1].fd = pipes[2][0];
  execution->status_fd = pipes[3][0];
  if (pid > 0) return adopt(execution, handle, pid);
  report_failure(handle, STAGE_FORK, -pid);
  close_fd(&pipes[0][1]);
  for (int i = 1; i < 4; i++) close_fd(&pipes[i][0]);
  launch_free(launch);
  execution->next = dead;
  dead = execution;
}

/* ---- commands ---- */

static void set_paused(struct execution *execution, bool paused) {
  execution->paused = paused;
  if (execution->state == STARTING) return;
  for (int i = 0; i < 2; i++) watch_output(&execution->outputs[i], !paused);
}

/*
 * A process that has exited is not signalled any more, even while nobody has seen its end yet. One that does not run its
 * program yet gets the signal as soon as it does: on older kernels a core dump takes along whoever shares the memory.
 */
static void send_signal(struct execution *execution, uint32_t number) {
  if (number < 1 || number > 64) return;
  reap_all();
  if (execution->state == STARTING) execution->early_signals |= 1ULL << (number - 1);
  if (execution->state == RUNNING) kill(-execution->pid, (int)number);
}

/* The caller does not want to hear of it: it runs on unheard, and is still ours to reap. */
static void release(struct execution *execution) {
  forget_handle(execution);
  set_paused(execution, false);
  if (execution->state == ENDING) leave(execution);
}

static void obey(uint8_t op, uint32_t handle, const char *payload, size_t size) {
  if (op == SPAWN) return spawn(handle, payload, size);
  if (op == SHUTDOWN) return runner_gone();
  struct execution *execution = *handle_slot(handle);
  if (!execution) return; /* its end and this command have crossed */
  uint32_t number;
  switch (op) {
    case STDIN: return add_input(execution, payload, size, false);
    case STDIN_CLOSE: return add_input(execution, payload, size, true);
    case SIGNAL:
      if (size != sizeof number) die("malformed signal");
      memcpy(&number, payload, sizeof number);
      return send_signal(execution, number);
    case PAUSE: return set_paused(execution, true);
    case RESUME: return set_paused(execution, false);
    case RELEASE: return release(execution);
    default: die("unknown command");
  }
}

/* Obeys what has arrived in full; says how many bytes the next command needs in the buffer. */
static size_t obey_all(void) {
  while (commands.length >= HEADER && !draining) {
    const char *at = commands.bytes + commands.start;
    uint32_t length, handle;
    memcpy(&length, at, 4);
    memcpy(&handle, at + 5, 4);
    if (length < HEADER - 4 || length > FRAME_LIMIT) die("malformed command");
    if (commands.length < length + 4) return length + 4;
    obey((uint8_t)at[4], handle, at + HEADER, length + 4 - HEADER);
    if (!draining) consume(&commands, length + 4);
  }
  return HEADER;
}

static void read_commands(void) {
  static size_t needed = HEADER;
  if (draining) return;
  if (commands.length == 0 && commands.capacity > COMMANDS_SIZE) {
    free(commands.bytes);
    commands = (struct buffer){0};
  }
  size_t room = needed > COMMANDS_SIZE ? needed : COMMANDS_SIZE;
  room -= commands.length;
  char *at = reserve(&commands, room);
  ssize_t count = read(0, at, room);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return runner_gone();
  commands.length += (size_t)count;
  needed = obey_all();
}

/* ---- the end ---- */

static bool kill_running(void) {
  bool any = false;
  for (struct execution *execution = all; execution; execution = execution->next) {
    if (execution->state != STARTING && execution->state != RUNNING) continue;
    kill_tree(execution);
    any = true;
  }
  return any;
}

/*
 * The runner is gone, by its own word or without one. What runs is killed, for nobody would ever know its end; what has
 * ended has perhaps left children in the background, and those keep their pipes until they close them.
 */
static void runner_gone(void) {
  if (draining) return;
  draining = true;
  commands.length = events.length = 0;
  set_blocked(false);
  epoll_ctl(poller, EPOLL_CTL_DEL, 0, NULL);
  dup3(discard, 0, O_CLOEXEC);
  dup3(discard, 1, O_CLOEXEC);
  dup3(discard, 2, O_CLOEXEC);
  kill_running();
  for (struct execution *execution = all, *next; execution; execution = next) {
    next = execution->next;
    close_input(execution);
    release(execution);
  }
}

/* ---- the loop ---- */

static void read_outputs(void) {
  struct epoll_event happened[TURN];
  int count = epoll_wait(outputs, happened, TURN, 0);
  for (int i = 0; i < count; i++) {
    struct output *output = happened[i].data.ptr;
    if (output->watched) read_output(output->execution, output);
  }
}

static void dispatch(struct watch *watch, uint32_t happened) {
  struct execution *execution = watch->execution;
  switch (watch->kind) {
    case WATCH_COMMANDS: return read_commands();
    case WATCH_EVENTS: return flush_events();
    case WATCH_SIGNALS: return reap_all();
    case WATCH_OUTPUTS: return read_outputs();
    case WATCH_STATUS:
      if (execution->status_fd >= 0) decide_start(execution);
      return;
    case WATCH_STDIN:
      if (execution->input.fd < 0) return;
      if (happened & EPOLLERR) {
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
  int count = epoll_wait(poller, happened, TURN, draining && kill_running() ? RETRY_KILL_MS : -1);
  read_clock();
  for (int i = 0; i < count; i++) dispatch(happened[i].data.ptr, happened[i].events);
}

/* Takes off all that was inherited: descriptors, directory, session, umask, signal dispositions. */
static void isolate(void) {
  if (syscall(SYS_close_range, 3U, ~0U, 0) < 0) {
    for (int fd = 3; fd < 4096; fd++) close(fd);
  }
  setsid();
  umask(022);
  if (chdir("/") < 0) die("chdir");
  for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
  /* Blocked and never handled, so a child has nothing to reset; and what is sent to us is nobody's way to stop us. */
  uint64_t every = ~0ULL;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &every, NULL, sizeof every);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

int main(void) {
  isolate();
  launch_init();
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  signals = signalfd(-1, &child_signal, SFD_NONBLOCK | SFD_CLOEXEC);
  poller = epoll_create1(EPOLL_CLOEXEC);
  outputs = epoll_create1(EPOLL_CLOEXEC);
  discard = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (signals < 0 || poller < 0 || outputs < 0 || discard < 0) die("no descriptors");
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &commands_watch};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event) < 0) die("standard input is neither a pipe nor a socket");
  event.data.ptr = &signals_watch;
  epoll_ctl(poller, EPOLL_CTL_ADD, signals, &event);
  event.data.ptr = &outputs_watch;
  epoll_ctl(poller, EPOLL_CTL_ADD, outputs, &event);
  uint32_t version = PROTOCOL_VERSION;
  put_event(HELLO, 0, &version, sizeof version);
  flush_events();
  while (!draining || all) {
    turn();
    flush_events();
    free_dead();
  }
  return 0;
}
