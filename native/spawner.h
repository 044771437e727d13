/* Declarations shared by the parts of the spawner. docs/spawner-protocol.md is normative for everything that crosses its pipes. */
#ifndef SPAWNER_H
#define SPAWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { PROTOCOL_VERSION = 4 };

/* Commands, on standard input. */
enum { SPAWN = 1, STDIN, STDIN_CLOSE, SIGNAL, PAUSE, RESUME, RELEASE, SHUTDOWN, APPROVE, RESIZE, ABORT };

/* Events, on standard output. */
enum { HELLO = 64, STARTED, FAILED, STDOUT, STDERR, COUNT, STDIN_TAKEN, EXITED, RESOLVED, STDOUT_TAIL, STDERR_TAIL };

/* The flags of a SPAWN. */
enum { FLAG_IDENTITY = 1, FLAG_STDIN_PIPE = 2, FLAG_TERMINAL = 4, FLAG_ASK = 8 };

/* The stage at which a start failed; RESOLVED is not a failure: the child reports its resolved program. */
enum stage { STAGE_FORK = 1, STAGE_IDENTITY, STAGE_CWD, STAGE_EXEC, STAGE_INTERPRETER, STAGE_ABORTED, STAGE_RESOLVED };

enum state {
  STARTING, /* cloned; the new program does not run yet */
  RUNNING,  /* it runs */
  BROKEN,   /* the start failed and was reported; the child is yet to be reaped */
  ENDING,   /* reaped; its output written by then is being passed on */
  OVER,     /* only its pipes are left, because other processes hold them */
};

enum watch_kind { WATCH_COMMANDS, WATCH_EVENTS, WATCH_SIGNALS, WATCH_STATUS, WATCH_STDIN, WATCH_OUTPUTS };

struct execution;

/* The head of a child's message through its status pipe: a failure, or STAGE_RESOLVED followed by `value` bytes. */
struct child_word {
  uint32_t stage;
  uint32_t value;
};

/* The object that an epoll event points to. */
struct watch {
  enum watch_kind kind;
  struct execution *execution;
};

struct buffer {
  char *bytes;
  size_t start, length, capacity;
};

/* Our end of the command's stdout or stderr, or of its terminal. */
struct output {
  struct execution *execution;
  int fd;        /* -1 once every writer has closed it */
  uint8_t event, tail_event; /* STDOUT and STDOUT_TAIL, or those of stderr */
  bool watched;
  bool young; /* it is watched by `young`, until its execution has been looked at */
  bool never_blocks; /* O_NONBLOCK is set, which most short commands end without */
  bool deserted;  /* no process has the terminal open at the moment */
  uint64_t kept;  /* bytes passed on */
  uint64_t total; /* bytes produced */
  uint64_t due;   /* in ENDING: bytes written before the exit and not yet taken */
  struct buffer tail; /* a ring of the last bytes that were not passed on; without memory until there are any */
};

/* Our end of the command's stdin, and the bytes that it has not taken yet. */
struct input {
  struct watch watch;
  int fd; /* -1 once closed */
  struct buffer waiting;
  uint64_t taken;
  bool ends; /* close it once the bytes are written */
};

struct launch;

struct execution {
  struct execution *next_handle, *next_pid; /* hash chains */
  struct execution *previous, *next;        /* the list of all */
  struct execution *next_started;           /* the list of those whose output is not watched yet */
  struct execution *next_unseen;            /* the list of those whose start has to be looked at */
  uint32_t handle;
  pid_t pid;
  enum state state;
  bool paused, released, in_cgroup, terminal;
  struct watch status_watch;
  int64_t look_at, look_after; /* when to look whether it runs, and the time since the last look, ms */
  int status_fd;              /* messages of the child until it runs its program; -1 if it is looked at */
  bool status_watched;        /* its watch ends with the first event */
  int verdict_fd;             /* our answer to its resolved program; -1 if it does not ask */
  uint64_t early_signals;     /* requested before it ran: bit n-1 for signal n */
  int wait_code, wait_status; /* si_code and si_status of the exit */
  struct rusage usage;        /* of the main process and of those it had waited for */
  bool left_nothing;          /* at its end no process of it was left; false if that is not known */
  struct output outputs[2];
  struct input input;
  uint64_t keep;
  uint32_t tail_size;    /* size of each ring; 0: bytes that are not passed on are discarded */
  int64_t counted_at; /* when the last COUNT went out, ms */
  struct launch *launch; /* until it runs */
  char *cgroup;          /* directory, or NULL */
  char *marker;          /* EXECUTION_ID=... of its environment, or NULL */
};

/* One start: the data that the child reads between clone and exec. It lives until the start is decided. */
struct launch {
  uint64_t keep;
  uint32_t tail_size;
  uint8_t flags;
  uint16_t columns, rows;
  char *home, *cwd, *cgroup;
  char *file; /* the file to look up and run; argv[0] by default */
  char **argv, **envp;
  uint32_t uid, gid, group_count;
  uint32_t *groups;
  int stdio[3]; /* stdio[0] is -1 for /dev/null */
  int status_fd, verdict_fd;
  bool quick;       /* it has no status pipe: `unsettled` tells when the start is decided, and `failure` what went wrong */
  int32_t unsettled; /* the kernel sets it to 0 when the child runs its program or ends (CLONE_CHILD_CLEARTID) */
  struct child_word failure; /* stage 0: none */
  char *payload; /* the strings above point into it */
  char *stack;
  struct buffer message; /* bytes of the child's message so far */
};

/* main.c */
extern int64_t now; /* ms, monotonic, read once a turn */
extern bool draining;
extern int poller, outputs, young, discard, signals;
_Noreturn void die(const char *what);
void runner_gone(void);

/* buffer.c */
char *reserve(struct buffer *buffer, size_t more);
void consume(struct buffer *buffer, size_t count);

/* frames.c: commands in, events out */
enum { HEADER = 9, CHUNK = 65536 };
void put_event(uint8_t op, uint32_t handle, const void *payload, size_t size);
void report(const struct execution *execution, uint8_t op, const void *payload, size_t size);
void report_failure(uint32_t handle, enum stage stage, uint32_t error);
bool events_full(void);
char *reserve_output(size_t *most);
void commit_output(const struct execution *execution, uint8_t event, size_t count);
void flush_events(void);
void drop_events(void);
void read_commands(void);
extern struct watch commands_watch, events_watch, outputs_watch, signals_watch;

/* pipes.c: the output of a command */
bool open_streams(struct execution *execution, struct launch *launch);
void close_child_ends(const struct launch *launch);
void close_fd(int *fd);
void close_watched(int *fd);
void watch_output(struct output *output, bool on);
void close_output(struct output *output);
void report_tail(struct output *output);
void forget_tail(struct output *output);
void read_outputs(void);
void watch_young(struct execution *execution);
void watch_outputs(struct execution *execution);
void count_due(struct execution *execution);
void take_leftovers(struct execution *execution);

/* input.c: the input of a command */
void close_input(struct execution *execution);
void report_input(struct execution *execution);
void feed_input(struct execution *execution);
void add_input(struct execution *execution, const char *bytes, size_t size, bool ends);
void resize(struct execution *execution, uint16_t columns, uint16_t rows);

/* children.c: the life of an execution */
struct execution *find_execution(uint32_t handle);
bool any_execution(void);
void spawn(uint32_t handle, const char *payload, size_t size);
void forget_handle(struct execution *execution);
void abort_start(struct execution *execution);
void send_signal(struct execution *execution, uint32_t number);
void set_paused(struct execution *execution, bool paused);
void release(struct execution *execution);
void reap_all(void);
void finish_if_handed_over(struct execution *execution);
void bury_if_done(struct execution *execution);
void free_dead(void);
bool kill_running(void);
void release_all(void);

/* starts.c: the time until it runs */
void await_start(struct execution *execution);
void approve(struct execution *execution);
void hear_child(struct execution *execution, bool has_words);
void look(struct execution *execution);
void look_at_starts(void);
int next_look(void);
void watch_started(void);

/* launch.c: the child between clone and execve */
void launch_init(uint64_t files_soft);
bool launch_is_quick(const struct launch *launch);
pid_t launch_start(struct launch *launch, bool *in_cgroup);

/* request.c: parses a SPAWN */
enum { LAUNCH_STACK_BYTES = 65536 };
struct launch *launch_parse(const char *payload, size_t length);
void launch_free(struct launch *launch);

/* tree.c */
void kill_tree(const struct execution *execution);

#endif
