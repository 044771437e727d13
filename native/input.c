/* The input of a command: the pipe of its stdin, or its terminal. */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

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

/* Sends the end-of-file character of the terminal, if it has one. The terminal itself stays open. */
static void end_terminal_input(struct input *input) {
  struct termios modes;
  if (tcgetattr(input->fd, &modes) < 0 || !(modes.c_lflag & ICANON)) return;
  (void)!write(input->fd, &modes.c_cc[VEOF], 1);
}

/* Writes waiting bytes; returns false once the pipe is full. A command that stops reading is not an error, only the end of its stdin. */
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
    /* Without EPOLLOUT, EPOLLERR still reports that the last reader has closed the pipe. */
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

/* The kernel sends SIGWINCH to the foreground process group if the size has changed. */
void resize(struct execution *execution, uint16_t columns, uint16_t rows) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  if (execution->terminal && execution->outputs[0].fd >= 0) ioctl(execution->outputs[0].fd, TIOCSWINSZ, &size);
}
