/*
 * The time between clone and the command's own program. Most starts are quick: they have no status pipe, and are looked at once the
 * command has ended or FIRST_LOOK_MS have passed. So a short command wakes the spawner once and the runner once.
 */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  WORDS_LIMIT = 16384,
  FIRST_LOOK_MS = 2, /* the start, the output and the end of what has ended by then are reported in one piece */
  LAST_LOOK_MS = 64, /* the longest time between two looks */
};

static struct execution *started, *unseen;

/* For one event: after it, closing alone ends the watch. */
static void watch_status(struct execution *execution, int change) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = &execution->status_watch};
  if (epoll_ctl(poller, change, execution->status_fd, &event) < 0) die("epoll_ctl");
  execution->status_watched = true;
}

/* Most commands have ended at the first look. A start that takes longer is looked at less and less often. */
static void look_after(struct execution *execution, int64_t wait) {
  execution->look_after = wait < LAST_LOOK_MS ? wait : LAST_LOOK_MS;
  execution->look_at = now + execution->look_after;
}

/* The child was cloned: its start is waited for, or looked at later. */
void await_start(struct execution *execution) {
  if (!execution->launch->quick) return watch_status(execution, EPOLL_CTL_ADD);
  look_after(execution, FIRST_LOOK_MS);
  execution->next_unseen = unseen;
  unseen = execution;
}

/* Handles the runner's approval of the resolved program. */
void approve(struct execution *execution) {
  if (execution->verdict_fd < 0) return;
  (void)!write(execution->verdict_fd, "", 1);
  close_fd(&execution->verdict_fd);
}

static void runs(struct execution *execution) {
  execution->state = RUNNING;
  char payload[5];
  uint32_t pid = (uint32_t)execution->pid;
  memcpy(payload, &pid, 4);
  payload[4] = execution->in_cgroup;
  report(execution, STARTED, payload, sizeof payload);
  for (int number = 1; number <= 64; number++) {
    if (execution->early_signals >> (number - 1) & 1) kill(-execution->pid, number);
  }
  execution->next_started = started;
  started = execution;
}

/* Called at the end of a turn: the output of a command that started and ended within the turn needs no watch. */
void watch_started(void) {
  for (; started; started = started->next_started) {
    if (!started->paused && started->state != OVER) watch_outputs(started);
  }
}

static void broke(struct execution *execution, const struct child_word *failure) {
  if (!execution->released) report_failure(execution->handle, failure->stage, failure->value);
  forget_handle(execution);
  close_input(execution);
  for (int i = 0; i < 2; i++) close_output(&execution->outputs[i]);
  execution->state = BROKEN;
}

/* Reads all bytes in the status pipe; true once the child's end is closed: by execve, or by its death. */
static bool read_words(struct execution *execution) {
  struct buffer *message = &execution->launch->message;
  for (;;) {
    ssize_t count = read(execution->status_fd, reserve(message, 4096), 4096);
    if (count > 0) message->length += (size_t)count;
    if (count == 0) return true;
    if (count < 0 && errno != EINTR) return errno != EAGAIN;
    if (message->length > WORDS_LIMIT) return true;
  }
}

/* Passes on the child's resolved program, once its message is complete. */
static void tell_resolved(struct execution *execution) {
  struct buffer *message = &execution->launch->message;
  struct child_word word;
  if (message->length < sizeof word) return;
  memcpy(&word, message->bytes + message->start, sizeof word);
  if (word.stage != STAGE_RESOLVED || message->length < sizeof word + word.value) return;
  report(execution, RESOLVED, message->bytes + message->start + sizeof word, word.value);
  consume(message, sizeof word + word.value);
}

/* Takes a start without a status pipe off the list, and returns whether it failed. The child writes the cause to our memory. */
static bool read_failure(struct execution *execution, struct child_word *failure) {
  struct execution **link = &unseen;
  while (*link && *link != execution) link = &(*link)->next_unseen;
  if (*link) *link = execution->next_unseen;
  *failure = execution->launch->failure;
  return failure->stage != 0;
}

static bool is_decided(const struct execution *execution) {
  return __atomic_load_n(&execution->launch->unsettled, __ATOMIC_ACQUIRE) == 0;
}

/* Looks at once whether a start without a status pipe is decided. */
void look(struct execution *execution) {
  if (execution->state == STARTING && execution->launch->quick && is_decided(execution)) hear_child(execution, false);
}

/* Looks at the starts whose time has come. */
void look_at_starts(void) {
  for (struct execution *execution = unseen, *next; execution; execution = next) {
    next = execution->next_unseen;
    if (execution->look_at > now) continue;
    if (is_decided(execution)) hear_child(execution, false);
    else look_after(execution, 2 * execution->look_after);
  }
}

/* Returns the time until the next look, ms; -1 if no start has to be looked at. */
int next_look(void) {
  int64_t first = -1;
  for (const struct execution *execution = unseen; execution; execution = execution->next_unseen) {
    int64_t left = execution->look_at > now ? execution->look_at - now : 0;
    if (first < 0 || left < first) first = left;
  }
  return (int)first;
}

/* Reads the status pipe of a child that does not run its program yet. `has_words` is false if the pipe was only closed. */
void hear_child(struct execution *execution, bool has_words) {
  struct child_word failure;
  bool failed;
  if (execution->launch->quick) {
    failed = read_failure(execution, &failure);
  } else {
    bool decided = !has_words || read_words(execution);
    tell_resolved(execution);
    if (!decided) return watch_status(execution, EPOLL_CTL_MOD);
    failed = execution->launch->message.length >= sizeof failure;
    if (failed) memcpy(&failure, execution->launch->message.bytes + execution->launch->message.start, sizeof failure);
  }
  if (execution->status_watched) close_watched(&execution->status_fd);
  else close_fd(&execution->status_fd);
  close_fd(&execution->verdict_fd);
  launch_free(execution->launch);
  execution->launch = NULL;
  if (failed) broke(execution, &failure);
  else runs(execution);
}
