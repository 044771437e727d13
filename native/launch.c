/*
 * Starting a program: parse the command, clone, and everything the child does up to execve.
 *
 * The child shares the spawner's memory (CLONE_VM) unless it changes its identity, which makes the start about a quarter
 * cheaper than a fork, and it runs on a stack of its own beside the spawner (no CLONE_VFORK), so a working directory on a
 * dead network mount holds up that one command and not all of them. Sharing memory is safe because between clone and
 * execve the child
 *   - makes raw system calls only: nothing of libc that writes (errno, locks, stdio);
 *   - reads only its struct launch, which is not touched until the status pipe tells that the start is decided;
 *   - writes only to its own stack;
 *   - has copies of, and does not share, descriptors, signal dispositions, umask and directory.
 */
#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLONE_INTO_CGROUP_FLAG 0x200000000ULL
#define DEFAULT_PATH "/bin:/usr/bin"
enum { STACK_BYTES = 32768, PATH_BYTES = 4096 };

/* struct clone_args of linux/sched.h (the size is the version: 5.7, with cgroup). */
struct clone_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

#if defined(__x86_64__)
static inline long raw_call(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
}

/* clone and clone3 onto another stack: the child goes into entry(argument) and never comes back. */
static long clone_call(long number, long a, long b, void (*entry)(void *), void *argument) {
  long result;
  register long r10 __asm__("r10") = 0;
  register long r8 __asm__("r8") = 0;
  register void (*r12)(void *) __asm__("r12") = entry;
  register void *r13 __asm__("r13") = argument;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "mov %%r13, %%rdi\n\t"
                   "call *%%r12\n\t"
                   "ud2\n"
                   "1:"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(0L), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
static inline long raw_call(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}

static long clone_call(long number, long a, long b, void (*entry)(void *), void *argument) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = 0;
  register long x3 __asm__("x3") = 0;
  register long x4 __asm__("x4") = 0;
  register void (*x9)(void *) __asm__("x9") = entry;
  register void *x10 __asm__("x10") = argument;
  __asm__ volatile("svc #0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "mov x0, x10\n\t"
                   "blr x9\n\t"
                   "brk #1\n"
                   "1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9), "r"(x10)
                   : "memory");
  return x0;
}
#else
#error "no raw system calls for this architecture"
#endif

/* Whether the spawner's own protection from (or exposure to) the OOM killer has to be taken off its children. */
static bool oom_adjusted;

void launch_init(void) {
  char text[8] = "0";
  int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, text, sizeof text - 1) > 0) oom_adjusted = text[0] != '0';
  close(fd);
}

/* ---- in the child: raw calls only ---- */

static void fail(const struct launch *launch, enum stage stage, long error) {
  struct start_failure failure = {stage, (uint32_t)-error};
  raw_call(SYS_write, launch->status_fd, (long)&failure, sizeof failure, 0);
  for (;;) raw_call(SYS_exit_group, 127, 0, 0, 0);
}

/* execvp(3) in the PATH of envp, without its fallback to /bin/sh for a text file. Returns the error only. */
static long exec_search(char *const *argv, char *const *envp) {
  const char *file = argv[0], *path = DEFAULT_PATH;
  if (file[0] == 0) return -ENOENT;
  if (strchr(file, '/')) return raw_call(SYS_execve, (long)file, (long)argv, (long)envp, 0);
  size_t file_length = strlen(file);
  if (file_length > 255) return -ENAMETOOLONG;
  for (char *const *entry = envp; *entry; entry++) {
    if (strncmp(*entry, "PATH=", 5) == 0) {
      path = *entry + 5;
      break;
    }
  }
  bool denied = false;
  char candidate[PATH_BYTES];
  for (const char *end; ; path = end + 1) {
    end = strchrnul(path, ':');
    size_t length = (size_t)(end - path);
    if (length + file_length + 2 <= sizeof candidate) {
      memcpy(candidate, path, length);
      if (length > 0) candidate[length++] = '/'; /* an empty element is the working directory */
      memcpy(candidate + length, file, file_length + 1);
      long error = raw_call(SYS_execve, (long)candidate, (long)argv, (long)envp, 0);
      if (error == -EACCES) denied = true;
      else if (error != -ENOENT && error != -ENOTDIR && error != -ESTALE && error != -ENODEV && error != -ETIMEDOUT) return error;
    }
    if (*end == 0) return denied ? -EACCES : -ENOENT;
  }
}

static void become(const struct launch *launch) {
  long error = raw_call(SYS_setgroups, launch->group_count, (long)launch->groups, 0, 0);
  if (error == 0) error = raw_call(SYS_setresgid, launch->gid, launch->gid, launch->gid, 0);
  if (error == 0) error = raw_call(SYS_setresuid, launch->uid, launch->uid, launch->uid, 0);
  if (error < 0) fail(launch, STAGE_IDENTITY, error);
}

static void child(void *argument) {
  const struct launch *launch = argument;
  raw_call(SYS_setsid, 0, 0, 0, 0);
  if (oom_adjusted) {
    long fd = raw_call(SYS_openat, AT_FDCWD, (long)"/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
    if (fd >= 0) raw_call(SYS_write, fd, (long)"0", 1, 0);
  }
  long input = launch->stdio[0];
  if (input < 0) input = raw_call(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY | O_CLOEXEC, 0);
  if (input < 0) fail(launch, STAGE_FORK, input);
  /* 0, 1 and 2 are the spawner's own, so none of these is among them, and dup3 leaves no close-on-exec on the copy. */
  raw_call(SYS_dup3, input, 0, 0, 0);
  raw_call(SYS_dup3, launch->stdio[1], 1, 0, 0);
  raw_call(SYS_dup3, launch->stdio[2], 2, 0, 0);
  if (launch->has_identity) become(launch);
  long error = raw_call(SYS_chdir, (long)launch->cwd, 0, 0, 0);
  if (error < 0) fail(launch, STAGE_CWD, error);
  /* The spawner blocks every signal and handles none, so there are no dispositions to reset. */
  uint64_t nothing = 0;
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&nothing, 0, sizeof nothing);
  fail(launch, STAGE_EXEC, exec_search(launch->argv, launch->envp));
}

/* ---- in the spawner ---- */

/* Clones the child, into its cgroup where that works. Returns the pid or -errno. */
pid_t launch_start(struct launch *launch, bool *in_cgroup) {
  static bool no_clone3;
  long result = -ENOSYS;
  uint64_t shared = launch->has_identity ? 0 : CLONE_VM; /* nobody else's process may ever look into our memory */
  struct clone_arguments arguments = {
    .flags = shared, .exit_signal = SIGCHLD, .stack = (uint64_t)launch->stack, .stack_size = STACK_BYTES};
  if (launch->cgroup && !no_clone3) {
    int directory = open(launch->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
      struct clone_arguments into = arguments;
      into.flags |= CLONE_INTO_CGROUP_FLAG;
      into.cgroup = (uint64_t)directory;
      result = clone_call(SYS_clone3, (long)&into, sizeof into, child, launch);
      close(directory);
      if (result == -EAGAIN || result == -ENOMEM) return (pid_t)result;
      *in_cgroup = result > 0;
    }
  }
  if (result < 0 && !no_clone3) result = clone_call(SYS_clone3, (long)&arguments, sizeof arguments, child, launch);
  if (result == -ENOSYS || (result == -EPERM && !no_clone3)) { /* old kernels, and sandboxes that do not know it */
    no_clone3 = true;
    char *top = launch->stack + STACK_BYTES;
    result = clone_call(SYS_clone, (long)(shared | SIGCHLD), (long)top, child, launch);
    if (result == -EINVAL && shared) result = clone_call(SYS_clone, SIGCHLD, (long)top, child, launch); /* qemu-user */
  }
  return (pid_t)result;
}

/* A cursor over a command's payload; once something does not fit, everything after reads as empty and `bad` is set. */
struct reader {
  char *at, *end;
  bool bad;
};

static void read_bytes(struct reader *reader, void *into, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) {
    reader->bad = true;
    memset(into, 0, size);
    return;
  }
  memcpy(into, reader->at, size);
  reader->at += size;
}

static uint32_t read_u32(struct reader *reader) {
  uint32_t value;
  read_bytes(reader, &value, sizeof value);
  return value;
}

/* A string with its NUL, in place. */
static char *read_string(struct reader *reader) {
  char *text = reader->at;
  char *nul = memchr(text, 0, (size_t)(reader->end - text));
  if (!nul) {
    reader->bad = true;
    return "";
  }
  reader->at = nul + 1;
  return text;
}

static char **read_strings(struct reader *reader) {
  uint32_t count = read_u32(reader);
  if (count > (size_t)(reader->end - reader->at)) reader->bad = true; /* each takes a byte at least */
  if (reader->bad) return NULL;
  char **list = calloc((size_t)count + 1, sizeof *list);
  if (!list) return NULL;
  for (uint32_t i = 0; i < count; i++) list[i] = read_string(reader);
  return list;
}

/* NULL for a payload that is none, or without memory. */
struct launch *launch_parse(const char *payload, size_t length, uint64_t *keep, bool *stdin_pipe) {
  struct launch *launch = calloc(1, sizeof *launch);
  if (!launch) return NULL;
  launch->payload = malloc(length);
  launch->stack = aligned_alloc(16, STACK_BYTES);
  if (!launch->payload || !launch->stack) return launch_free(launch), NULL;
  memcpy(launch->payload, payload, length);
  struct reader reader = {launch->payload, launch->payload + length, false};
  uint8_t flags;
  read_bytes(&reader, keep, sizeof *keep);
  read_bytes(&reader, &flags, sizeof flags);
  launch->has_identity = flags & 1;
  *stdin_pipe = flags & 2;
  launch->uid = read_u32(&reader);
  launch->gid = read_u32(&reader);
  launch->group_count = read_u32(&reader);
  if (launch->group_count > 65536) reader.bad = true;
  if (!reader.bad && launch->group_count > 0) {
    launch->groups = calloc(launch->group_count, sizeof *launch->groups);
    if (launch->groups) read_bytes(&reader, launch->groups, launch->group_count * sizeof *launch->groups);
    else reader.bad = true;
  }
  launch->cwd = read_string(&reader);
  launch->cgroup = read_string(&reader);
  if (launch->cgroup[0] == 0) launch->cgroup = NULL;
  launch->argv = read_strings(&reader);
  launch->envp = read_strings(&reader);
  if (reader.bad || !launch->argv || !launch->envp || !launch->argv[0]) return launch_free(launch), NULL;
  return launch;
}

void launch_free(struct launch *launch) {
  free(launch->payload);
  free(launch->stack);
  free(launch->groups);
  free(launch->argv);
  free(launch->envp);
  free(launch);
}
