/* The pipes or the terminal of a command, and its output. */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum {
  DISCARD_AT_ONCE = 1048576,
  TERMINAL_HOLDS = 1048576, /* more unread bytes than any terminal holds */
  TURN = 128,
};

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/*
 * Closing alone does not end the watch: a child between clone and execve has a copy of the descriptor, and epoll would
 * keep reporting it, with a pointer to freed memory.
 */
void close_watched(int *fd) {
  if (*fd >= 0) epoll_ctl(poller, EPOLL_CTL_DEL, *fd, NULL);
  close_fd(fd);
}

/* ---- opening ---- */

/* Makes a pipe that we read; with O_NONBLOCK, neither end blocks. */
static bool make_pipe_from(int *our_end, int *child_end, int flags) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | flags) < 0) return false;
  *our_end = fds[0];
  *child_end = fds[1];
  return true;
}

/* Makes a pipe that we write. Our end never blocks; the other end blocks, as programs expect. */
static bool make_pipe_to(int *our_end, int *child_end) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return false;
  fcntl(fds[1], F_SETFL, O_NONBLOCK | O_WRONLY);
  *our_end = fds[1];
  *child_end = fds[0];
  return true;
}

/* Called before the first read: another process that has the pipe open could take the bytes before us. */
static void never_block(struct output *output) {
  if (!output->never_blocks) fcntl(output->fd, F_SETFL, O_NONBLOCK | O_RDONLY);
  output->never_blocks = true;
}

/* Makes the erase character remove a whole UTF-8 character, as sshd does for a client with a UTF-8 locale. */
static bool edit_utf8(int terminal) {
  struct termios modes;
  if (ioctl(terminal, TCGETS, &modes) < 0) return false;
  modes.c_iflag |= IUTF8;
  return ioctl(terminal, TCSETS, &modes) == 0;
}

/* Makes a terminal: we hold the master twice (to read and to write); the other side is all three of the child's streams. */
static bool open_terminal(struct execution *execution, struct launch *launch) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), unlocked = 0;
  if (master < 0) return false;
  execution->outputs[0].fd = master;
  execution->outputs[0].never_blocks = true;
  struct winsize size = {.ws_row = launch->rows, .ws_col = launch->columns};
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0) return false;
  launch->stdio[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (launch->stdio[0] < 0 || !edit_utf8(launch->stdio[0])) return false;
  launch->stdio[1] = fcntl(launch->stdio[0], F_DUPFD_CLOEXEC, 3);
  launch->stdio[2] = fcntl(launch->stdio[0], F_DUPFD_CLOEXEC, 3);
  execution->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
  return launch->stdio[1] >= 0 && launch->stdio[2] >= 0 && execution->input.fd >= 0;
}

/* Makes all pipes of a child, owned by its user, so that it can open its own /dev/stdin and so on by name. */
bool open_streams(struct execution *execution, struct launch *launch) {
  bool asks = launch->flags & FLAG_ASK;
  /* A failure always fits into the pipe, so that the child may not block either. A resolved program may be longer than the pipe. */
  bool made = launch->quick || make_pipe_from(&execution->status_fd, &launch->status_fd, asks ? 0 : O_NONBLOCK);
  if (asks) made = made && fcntl(execution->status_fd, F_SETFL, O_NONBLOCK | O_RDONLY) == 0;
  if (asks) made = made && make_pipe_to(&execution->verdict_fd, &launch->verdict_fd);
  if (launch->flags & FLAG_TERMINAL) {
    made = made && open_terminal(execution, launch);
  } else {
    made = made && make_pipe_from(&execution->outputs[0].fd, &launch->stdio[1], 0);
    made = made && make_pipe_from(&execution->outputs[1].fd, &launch->stdio[2], 0);
    if (launch->flags & FLAG_STDIN_PIPE) made = made && make_pipe_to(&execution->input.fd, &launch->stdio[0]);
  }
  for (int i = 0; made && (launch->flags & FLAG_IDENTITY) && i < 3; i++) {
    if (launch->stdio[i] >= 0 && fchown(launch->stdio[i], launch->uid, launch->gid) < 0) made = false;
  }
  return made;
}

/* Writes nothing: a child that shares our memory reads the descriptors' numbers meanwhile. */
void close_child_ends(const struct launch *launch) {
  const int ends[] = {launch->stdio[0], launch->stdio[1], launch->stdio[2], launch->verdict_fd, launch->status_fd};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    if (ends[i] >= 0) close(ends[i]);
  }
}

/* ---- output of a command ---- */

/*
 * One shot at a time, armed again after each read, so that the pipes of a command are read in the order in which they
 * were written to. A watch that stays armed keeps its old place in the queue.
 */
static const uint32_t READABLE_ONCE = EPOLLIN | EPOLLONESHOT;
/* For a terminal that no process has open: epoll reports it once, and again only with new bytes. */
static const uint32_t READABLE_AGAIN = EPOLLIN | EPOLLET;

void watch_output(struct output *output, bool on) {
  if (output->fd < 0 || output->watched == on) return;
  output->deserted = false;
  if (output->young) epoll_ctl(young, EPOLL_CTL_DEL, output->fd, NULL);
  output->young = false;
  struct epoll_event event = {.events = READABLE_ONCE, .data.ptr = output};
  if (epoll_ctl(outputs, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, output->fd, &event) < 0) die("epoll_ctl");
  output->watched = on;
}

/*
 * Watches the output of a command that may end at once. The events are not waited for: they only tell, when they are asked for, which
 * stream was written to first. They hold numbers and no pointers, so that closing alone may end the watch (see close_watched).
 */
void watch_young(struct execution *execution) {
  for (uint32_t i = 0; i < 2; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)execution->handle << 1 | i};
    if (epoll_ctl(young, EPOLL_CTL_ADD, execution->outputs[i].fd, &event) < 0) die("epoll_ctl");
    execution->outputs[i].young = true;
  }
}

/* The stream of a young execution that was written to first, if any was. */
static int first_written(const struct execution *execution) {
  struct epoll_event happened[TURN];
  int count = epoll_wait(young, happened, TURN, 0);
  for (int i = 0; i < count; i++) {
    if (happened[i].data.u64 >> 1 == execution->handle) return (int)(happened[i].data.u64 & 1);
  }
  return 0;
}

void watch_outputs(struct execution *execution) {
  int first = execution->outputs[0].young && execution->outputs[1].young ? first_written(execution) : 0;
  watch_output(&execution->outputs[first], true);
  watch_output(&execution->outputs[1 - first], true);
}

void close_output(struct output *output) {
  output->young = false;
  watch_output(output, false);
  close_fd(&output->fd);
  output->due = 0;
}

/* Its watch has ended with an event: the pipe is empty and has no writer. */
static void close_ended(struct output *output) {
  output->watched = false;
  close_output(output);
}

/* Reads up to `most` bytes and discards them, without copying if the kernel can. Returns as read(2). */
static ssize_t throw_away(int fd, size_t most) {
  static char waste[CHUNK];
  ssize_t count = splice(fd, NULL, discard, NULL, most, SPLICE_F_NONBLOCK);
  if (count < 0 && (errno == EINVAL || errno == ENOSYS)) count = read(fd, waste, most < sizeof waste ? most : sizeof waste);
  return count;
}

/* Reads up to `most` bytes over the oldest of the ring. Returns as read(2). */
static ssize_t keep_last(struct output *output, size_t most) {
  size_t size = output->execution->tail_size;
  size_t at = (size_t)((output->total - output->kept) % size);
  return read(output->fd, reserve(&output->tail, size) + at, most < size - at ? most : size - at);
}

/* Sends the ring as an event, oldest byte first, if any byte was not sent. */
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

/* Records the result of one read; `counted`: of bytes that are only counted. */
static void account(struct execution *execution, struct output *output, ssize_t count, bool counted) {
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    if (errno == EAGAIN) output->due = 0; /* a terminal is empty, or another process has read it: it has a name in /proc */
  } else if (count < 0 && errno == EIO && execution->terminal && execution->state == RUNNING) {
    output->deserted = true; /* every process has closed it, and may open it again; closing it here would hang up on the command */
  } else if (count <= 0) {
    close_output(output);
  } else {
    output->deserted = false;
    output->total += (uint64_t)count;
    if (execution->state == ENDING) output->due -= (uint64_t)count < output->due ? (uint64_t)count : output->due;
    if (counted && now - execution->counted_at >= 1000) report_counts(execution);
  }
}

/* One read of one pipe: into an event, into the count, or, after the end, discarded. */
static void read_output(struct execution *execution, struct output *output) {
  bool nowhere = execution->state == OVER || execution->released;
  uint64_t wanted = execution->keep - output->kept;
  size_t most = DISCARD_AT_ONCE;
  if (execution->state == ENDING) {
    if (output->due == 0) return watch_output(output, false); /* the other pipe is not finished: this one waits */
    if (most > output->due) most = (size_t)output->due;
  }
  ssize_t count;
  never_block(output);
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
    bool was_deserted = output->deserted;
    if (output->watched && happened[i].events == EPOLLHUP && output->execution->state == RUNNING && !output->execution->terminal) {
      close_ended(output);
    }
    if (output->watched) read_output(output->execution, output);
    if (!output->watched || (was_deserted && output->deserted)) continue;
    struct epoll_event event = {.events = output->deserted ? READABLE_AGAIN : READABLE_ONCE, .data.ptr = output};
    epoll_ctl(outputs, EPOLL_CTL_MOD, output->fd, &event);
  }
}

/*
 * The bytes in the pipes now are due, and pipes that are empty and have no writer are closed. A terminal does not report the
 * number of its bytes: it is read until it is empty.
 */
void count_due(struct execution *execution) {
  struct pollfd ends[2];
  for (int i = 0; i < 2; i++) ends[i] = (struct pollfd){.fd = execution->outputs[i].fd, .events = POLLIN};
  bool any_pipe = !execution->terminal && (ends[0].fd >= 0 || ends[1].fd >= 0);
  if (any_pipe && poll(ends, 2, 0) < 0) die("poll");
  for (int i = 0; i < 2; i++) {
    struct output *output = &execution->outputs[i];
    int waiting = 0;
    if (output->fd < 0) continue;
    if (execution->terminal) {
      output->due = TERMINAL_HOLDS;
    } else if (ends[i].revents & POLLIN) {
      if (ioctl(output->fd, FIONREAD, &waiting) == 0) output->due = (uint64_t)waiting;
    } else if (ends[i].revents & POLLHUP) {
      close_output(output);
    }
  }
}

/* Reads the due bytes at once, as far as the runner keeps up. */
void take_leftovers(struct execution *execution) {
  bool both = execution->outputs[0].due > 0 && execution->outputs[1].due > 0 && execution->outputs[0].young;
  int first = both ? first_written(execution) : 0;
  for (int i = 0; i < 2 && execution->state == ENDING && !execution->paused; i++) {
    struct output *output = &execution->outputs[i ^ first];
    while (output->due > 0 && execution->state == ENDING && (output->kept == execution->keep || !events_full())) {
      read_output(execution, output);
    }
  }
}
