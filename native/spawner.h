/* What the parts of the spawner share. docs/spawner-protocol.md is normative for everything that crosses its pipes. */
#ifndef SPAWNER_H
#define SPAWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROTOCOL_VERSION = 1 };

/* Commands, on standard input. */
enum { SPAWN = 1, STDIN, STDIN_CLOSE, SIGNAL, PAUSE, RESUME, RELEASE, SHUTDOWN };

/* Events, on standard output. */
enum { HELLO = 64, STARTED, FAILED, STDOUT, STDERR, COUNT, STDIN_TAKEN, EXITED };

/* Where a start failed. */
enum stage { STAGE_FORK = 1, STAGE_IDENTITY, STAGE_CWD, STAGE_EXEC };

enum state {
  STARTING, /* cloned; the new program does not run yet */
  RUNNING,  /* it runs */
  BROKEN,   /* the start failed and was reported; the child is yet to be reaped */
  ENDING,   /* reaped; what it had written by then is being handed over */
  OVER,     /* only its pipes are left, because somebody else holds them */
};

enum watch_kind { WATCH_COMMANDS, WATCH_EVENTS, WATCH_SIGNALS, WATCH_STATUS, WATCH_STDIN, WATCH_OUTPUTS };

struct execution;

/* What an epoll event points at. */
struct watch {
  enum watch_kind kind;
  struct execution *execution;
};

/* Our end of the command's stdout or stderr. */
struct output {
  struct execution *execution;
  int fd;        /* -1 once everybody has closed it */
  uint8_t event; /* STDOUT or STDERR */
  bool watched;
  uint64_t kept;  /* bytes handed over */
  uint64_t total; /* bytes produced */
  uint64_t due;   /* in ENDING: bytes written before the exit and not yet taken */
};

/* Our end of the command's stdin, and what it has not taken yet. */
struct input {
  struct watch watch;
  int fd; /* -1 once closed */
  char *bytes;
  size_t start, length, capacity;
  uint64_t taken;
  bool ends; /* close it once the bytes are written */
};

struct launch;

struct execution {
  struct execution *next_handle, *next_pid; /* hash chains */
  struct execution *previous, *next;        /* the list of all */
  uint32_t handle;
  pid_t pid;
  enum state state;
  bool paused, released, in_cgroup;
  struct watch status_watch;
  int status_fd;
  uint64_t early_signals;     /* asked for before it ran: bit n-1 for signal n */
  int wait_code, wait_status; /* si_code and si_status of the exit */
  struct output outputs[2];
  struct input input;
  uint64_t keep;
  int64_t counted_at; /* when the last COUNT went out, ms */
  struct launch *launch; /* until it runs */
  char *cgroup;          /* directory, or NULL */
  char *marker;          /* EXECUTION_ID=... of its environment, or NULL */
};

/* One start: what the child reads between clone and exec. It lives until the start is decided. */
struct launch {
  char *cwd, *cgroup;
  char **argv, **envp;
  bool has_identity;
  uint32_t uid, gid, group_count;
  uint32_t *groups;
  int stdio[3]; /* stdio[0] is -1 for /dev/null */
  int status_fd;
  char *payload; /* the strings above point into it */
  char *stack;
};

/* What a failed child says through the status pipe. */
struct start_failure {
  uint32_t stage;
  uint32_t error;
};

/* launch.c */
void launch_init(void);
struct launch *launch_parse(const char *payload, size_t length, uint64_t *keep, bool *stdin_pipe);
pid_t launch_start(struct launch *launch, bool *in_cgroup);
void launch_free(struct launch *launch);

/* tree.c */
void kill_tree(const struct execution *execution);

#endif
