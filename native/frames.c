/*
 * The frames of the runner's two pipes: commands are read and carried out, events are collected and written once a turn.
 * While the runner does not read them, no command's pipe is read, so that the program that floods waits in its write(2).
 */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  EVENTS_LIMIT = 262144,  /* events waiting for the runner: past this no output is read */
  COMMANDS_SIZE = 262144, /* the usual size of the command buffer */
  FRAME_LIMIT = 16777216, /* a longer command is a fault of the runner */
};

static struct buffer commands, events;
/* Set while the runner is too slow: then no output is read, and everything else continues. */
static bool blocked;
struct watch commands_watch = {WATCH_COMMANDS, NULL}, events_watch = {WATCH_EVENTS, NULL};
struct watch signals_watch = {WATCH_SIGNALS, NULL}, outputs_watch = {WATCH_OUTPUTS, NULL};

/* ---- events ---- */

static void put_header(char *at, uint8_t op, uint32_t handle, size_t payload) {
  uint32_t length = (uint32_t)(payload + HEADER - 4);
  memcpy(at, &length, 4);
  at[4] = (char)op;
  memcpy(at + 5, &handle, 4);
}

/* Events without output are few for each command of the runner, so they may exceed the limit of the buffer. */
void put_event(uint8_t op, uint32_t handle, const void *payload, size_t size) {
  if (draining) return;
  char *at = reserve(&events, HEADER + size);
  put_header(at, op, handle, size);
  memcpy(at + HEADER, payload, size);
  events.length += HEADER + size;
}

void report(const struct execution *execution, uint8_t op, const void *payload, size_t size) {
  if (!execution->released) put_event(op, execution->handle, payload, size);
}

void report_failure(uint32_t handle, enum stage stage, uint32_t error) {
  char payload[5] = {(char)stage};
  memcpy(payload + 1, &error, 4);
  put_event(FAILED, handle, payload, sizeof payload);
}

bool events_full(void) {
  return events.length + HEADER + 4096 > EVENTS_LIMIT;
}

/* Returns the place for up to `most` bytes of output; lowers `most` to the free room. */
char *reserve_output(size_t *most) {
  size_t space = EVENTS_LIMIT - events.length - HEADER;
  if (*most > CHUNK) *most = CHUNK;
  if (*most > space) *most = space;
  return reserve(&events, HEADER + *most) + HEADER;
}

/* Makes an event of the `count` bytes that were read to the place from reserve_output. */
void commit_output(const struct execution *execution, uint8_t event, size_t count) {
  put_header(events.bytes + events.start + events.length, event, execution->handle, count);
  events.length += HEADER + count;
}

static void set_blocked(bool on) {
  if (blocked == on) return;
  blocked = on;
  struct epoll_event writable = {.events = EPOLLOUT, .data.ptr = &events_watch};
  struct epoll_event readable = {.events = on ? 0 : EPOLLIN, .data.ptr = &outputs_watch};
  epoll_ctl(poller, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, 1, &writable);
  epoll_ctl(poller, EPOLL_CTL_MOD, outputs, &readable);
}

void flush_events(void) {
  while (events.length > 0) {
    ssize_t written = write(1, events.bytes + events.start, events.length);
    if (written >= 0) consume(&events, (size_t)written);
    else if (errno == EAGAIN) return set_blocked(true);
    else if (errno != EINTR) return runner_gone();
  }
  set_blocked(false);
}

/* Drops waiting events and commands, after the end of the runner. */
void drop_events(void) {
  commands.length = events.length = 0;
  set_blocked(false);
}

/* ---- commands ---- */

static void need(size_t size, size_t wanted) {
  if (size != wanted) die("malformed command");
}

static void obey_about(struct execution *execution, uint8_t op, const char *payload, size_t size) {
  uint32_t number;
  uint16_t dimensions[2];
  switch (op) {
    case STDIN: return add_input(execution, payload, size, false);
    case STDIN_CLOSE: return add_input(execution, payload, size, true);
    case SIGNAL:
      need(size, sizeof number);
      memcpy(&number, payload, sizeof number);
      return send_signal(execution, number);
    case RESIZE:
      need(size, sizeof dimensions);
      memcpy(dimensions, payload, sizeof dimensions);
      return resize(execution, dimensions[0], dimensions[1]);
    case PAUSE: return set_paused(execution, true);
    case RESUME: return set_paused(execution, false);
    case RELEASE: return release(execution);
    case APPROVE: return approve(execution);
    case ABORT: return abort_start(execution);
    default: die("unknown command");
  }
}

static void obey(uint8_t op, uint32_t handle, const char *payload, size_t size) {
  if (op == SPAWN) return spawn(handle, payload, size);
  if (op == SHUTDOWN) return runner_gone();
  if (op < SPAWN || op > ABORT) die("unknown command");
  struct execution *execution = find_execution(handle);
  if (execution) obey_about(execution, op, payload, size); /* otherwise it has ended, and this command was already on its way */
}

/* Carries out all complete commands; returns how many bytes the next one needs in the buffer. */
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

void read_commands(void) {
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
