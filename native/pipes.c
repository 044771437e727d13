/* The bytes of a command: its pipes or its terminal, what it is fed, what it prints. */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum {
  DISCARD_AT_ONCE = 1048576,
  TERMINAL_HOLDS = 1048576, /* more than any terminal holds of what nobody has read yet */
  TURN = 128,
};

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/*
 * Closing alone does not end the watch: a child between clone and execve has a copy of the descriptor, and epoll would go
 * on telling of it, with a pointer to what has been freed.
 */
void close_watched(int *fd) {
  if (*fd >= 0) epoll_ctl(poller, EPOLL_CTL_DEL, *fd, NULL);
  close_fd(fd);
}

/* ---- opening ---- */

/* A pipe of which our end (`ours`: 0 reads, 1 writes) never blocks; the other one is as programs expect it. */
static bool make_pipe(int *our_end, int *child_end, int ours) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return false;
  fcntl(fds[ours], F_SETFL, O_NONBLOCK | (ours ? O_WRONLY : O_RDONLY));
  *our_end = fds[ours];
  *child_end = fds[!ours];
  return true;
}

/* A terminal: the master is ours, twice (to read from and to write to), the other side all three of the child's streams. */
static bool open_terminal(struct execution *execution, struct launch *launch) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), unlocked = 0;
  if (master < 0) return false;
  execution->outputs[0].fd = master;
  struct winsize size = {.ws_row = launch->rows, .ws_col = launch->columns};
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0) return false;
  launch->stdio[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (launch->stdio[0] < 0) return false;
  launch->stdio[1] = fcntl(launch->stdio[0], F_DUPFD_CLOEXEC, 3);
  launch->stdio[2] = fcntl(launch->stdio[0], F_DUPFD_CLOEXEC, 3);
  execution->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
  return launch->stdio[1] >= 0 && launch->stdio[2] >= 0 && execution->input.fd >= 0;
}

/* All that is between us and the child, owned by whom it runs as, so that it can open its own /dev/stdin and so on by name. */
bool open_streams(struct execution *execution, struct launch *launch) {
  bool made = make_pipe(&execution->status_fd, &launch->status_fd, 0);
  if (launch->flags & FLAG_ASK) made = made && make_pipe(&execution->verdict_fd, &launch->verdict_fd, 1);
  if (launch->flags & FLAG_TERMINAL) {
    made = made && open_terminal(execution, launch);
  } else {
    made = made && make_pipe(&execution->outputs[0].fd, &launch->stdio[1], 0);
    made = made && make_pipe(&execution->outputs[1].fd, &launch->stdio[2], 0);
    if (launch->flags & FLAG_STDIN_PIPE) made = made && make_pipe(&execution->input.fd, &launch->stdio[0], 1);
  }
  for (int i = 0; made && (launch->flags & FLAG_IDENTITY) && i < 3; i++) {
    if (launch->stdio[i] >= 0 && fchown(launch->stdio[i], launch->uid, launch->gid) < 0) made = false;
  }
  return made;
}

/* Writes nothing: a child that shares our memory reads its numbers meanwhile. */
void close_child_ends(const struct launch *launch) {
  const int ends[] = {launch->stdio[0], launch->stdio[1], launch->stdio[2], launch->verdict_fd, launch->status_fd};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    if (ends[i] >= 0) close(ends[i]);
  }
}

/* ---- stdin of a command ---- */

void close_input(struct execution *execution) {
  struct input *input = &execution->input;
  if (input->fd < 0) return;
  close_watched(&input->fd);
  free(input->waiting.bytes);
  input->waiting = (struct buffer){0};
}

void report_input(struct execution *execution) {
  char payload[9];
  memcpy(payload, &execution->input.taken, 8);
  payload[8] = execution->input.fd < 0;
  report(execution, STDIN_TAKEN, payload, sizeof payload);
}

/* What a terminal knows as the end of input, where it knows one: its end-of-file character. The terminal itself stays open. */
static void end_terminal_input(struct input *input) {
  struct termios modes;
  if (tcgetattr(input->fd, &modes) < 0 || !(modes.c_lflag & ICANON)) return;
  (void)!write(input->fd, &modes.c_cc[VEOF], 1);
}

/* Writes what waits; returns false once the pipe is full. A command that reads no more is no error, only the end of its stdin. */
static bool write_input(struct execution *execution) {
  struct input *input = &execution->input;
  struct buffer *waiting = &input->waiting;
  while (input->fd >= 0 && waiting->length > 0) {
    ssize_t written = write(input->fd, waiting->bytes + waiting->start, waiting->length);
    if (written > 0) {
      input->taken += (uint64_t)written;
      consume(waiting, (size_t)written);
    } else if (written < 0 && errno == EAGAIN) {
      return false;
    } else if (written < 0 && errno != EINTR) {
      close_input(execution);
    }
  }
  return true;
}

void feed_input(struct execution *execution) {
  struct input *input = &execution->input;
  uint64_t before = input->taken;
  bool waits = !write_input(execution);
  if (input->fd >= 0 && input->waiting.length == 0 && input->ends) {
    if (execution->terminal) end_terminal_input(input);
    close_input(execution);
  }
  if (input->fd >= 0) {
    /* Without EPOLLOUT it still tells (EPOLLERR) when the last reader has gone. */
    struct epoll_event event = {.events = waits ? EPOLLOUT : 0, .data.ptr = &input->watch};
    epoll_ctl(poller, EPOLL_CTL_MOD, input->fd, &event);
  }
  if (input->taken != before || input->fd < 0) report_input(execution);
}

void add_input(struct execution *execution, const char *bytes, size_t size, bool ends) {
  struct input *input = &execution->input;
  if (input->fd < 0) return;
  if (size > 0) memcpy(reserve(&input->waiting, size), bytes, size);
  input->waiting.length += size;
  input->ends = ends;
  feed_input(execution);
}

/* The kernel sends SIGWINCH to the foreground process group where the size has changed. */
void resize(struct execution *execution, uint16_t columns, uint16_t rows) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  if (execution->terminal && execution->outputs[0].fd >= 0) ioctl(execution->outputs[0].fd, TIOCSWINSZ, &size);
}

/* ---- output of a command ---- */

/*
 * One shot at a time, armed again after each read: so the pipes of a command are read in the order in which they were
 * written to. A watch that stays armed keeps its old place in the queue.
 */
static const uint32_t READABLE_ONCE = EPOLLIN | EPOLLONESHOT;

void watch_output(struct output *output, bool on) {
  if (output->fd < 0 || output->watched == on) return;
  struct epoll_event event = {.events = READABLE_ONCE, .data.ptr = output};
  if (epoll_ctl(outputs, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, output->fd, &event) < 0) die("epoll_ctl");
  output->watched = on;
}

void close_output(struct output *output) {
  watch_output(output, false);
  close_fd(&output->fd);
  output->due = 0;
}

/* Reads up to `most` bytes and throws them away, without copying them where the kernel can. As read(2). */
static ssize_t throw_away(int fd, size_t most) {
  static char waste[CHUNK];
  ssize_t count = splice(fd, NULL, discard, NULL, most, SPLICE_F_NONBLOCK);
  if (count < 0 && (errno == EINVAL || errno == ENOSYS)) count = read(fd, waste, most < sizeof waste ? most : sizeof waste);
  return count;
}

/* Reads up to `most` bytes over the oldest of the ring. As read(2). */
static ssize_t keep_last(struct output *output, size_t most) {
  size_t size = output->execution->tail_size;
  size_t at = (size_t)((output->total - output->kept) % size);
  return read(output->fd, reserve(&output->tail, size) + at, most < size - at ? most : size - at);
}

/* Hands over the ring, oldest byte first, if anything was not handed over. */
void report_tail(struct output *output) {
  static char in_order[CHUNK];
  if (!output->tail.bytes) return;
  uint64_t dropped = output->total - output->kept;
  size_t size = output->execution->tail_size;
  size_t count = dropped < size ? (size_t)dropped : size, at = dropped < size ? 0 : (size_t)(dropped % size);
  memcpy(in_order, output->tail.bytes + at, count - at);
  memcpy(in_order + count - at, output->tail.bytes, at);
  if (count > 0) report(output->execution, output->tail_event, in_order, count);
}

void forget_tail(struct output *output) {
  free(output->tail.bytes);
  output->tail = (struct buffer){0};
}

/* Reads up to `most` bytes straight into an event. */
static ssize_t hand_over(struct execution *execution, struct output *output, size_t most) {
  char *at = reserve_output(&most);
  ssize_t count = read(output->fd, at, most);
  if (count > 0) {
    commit_output(execution, output->event, (size_t)count);
    output->kept += (uint64_t)count;
  }
  return count;
}

static void report_counts(struct execution *execution) {
  uint64_t counts[2] = {execution->outputs[0].total, execution->outputs[1].total};
  execution->counted_at = now;
  report(execution, COUNT, counts, sizeof counts);
}

/* Takes note of what one read brought; `counted`: of bytes that nobody gets. */
static void account(struct execution *execution, struct output *output, ssize_t count, bool counted) {
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    if (errno == EAGAIN) output->due = 0; /* a terminal is empty, or somebody else has read it: it has a name in /proc */
  } else if (count <= 0) {
    close_output(output); /* EIO: nobody has the other side of the terminal */
  } else {
    output->total += (uint64_t)count;
    if (execution->state == ENDING) output->due -= (uint64_t)count < output->due ? (uint64_t)count : output->due;
    if (counted && now - execution->counted_at >= 1000) report_counts(execution);
  }
}

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
  if (nowhere || (wanted == 0 && execution->tail_size == 0)) {
    count = throw_away(output->fd, most);
  } else if (wanted == 0) {
    count = keep_last(output, most);
  } else {
    if (events_full()) flush_events();
    if (events_full()) return;
    count = hand_over(execution, output, most < wanted ? most : (size_t)wanted);
  }
  account(execution, output, count, !nowhere && wanted == 0);
  if (execution->state == ENDING) finish_if_handed_over(execution);
  else bury_if_done(execution);
}

void read_outputs(void) {
  struct epoll_event happened[TURN];
  int count = epoll_wait(outputs, happened, TURN, 0);
  for (int i = 0; i < count; i++) {
    struct output *output = happened[i].data.ptr;
    if (output->watched) read_output(output->execution, output);
    if (!output->watched) continue;
    struct epoll_event event = {.events = READABLE_ONCE, .data.ptr = output};
    epoll_ctl(outputs, EPOLL_CTL_MOD, output->fd, &event);
  }
}

/* What is in the pipes now is due. A terminal does not tell all of it: it is read until it says that it is empty. */
void count_due(struct execution *execution) {
  for (int i = 0; i < 2; i++) {
    struct output *output = &execution->outputs[i];
    int waiting = 0;
    if (output->fd < 0) continue;
    if (execution->terminal) output->due = TERMINAL_HOLDS;
    else if (ioctl(output->fd, FIONREAD, &waiting) == 0) output->due = (uint64_t)waiting;
  }
}

/* Reads what is due here and now, as far as the runner keeps up. */
void take_leftovers(struct execution *execution) {
  for (int i = 0; i < 2 && execution->state == ENDING && !execution->paused; i++) {
    struct output *output = &execution->outputs[i];
    while (output->due > 0 && execution->state == ENDING && (output->kept == execution->keep || !events_full())) {
      read_output(execution, output);
    }
  }
}
