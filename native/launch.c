/*
 * Starting a program: clone, and everything the child does up to execve.
 *
 * The child shares the spawner's memory (CLONE_VM) unless it changes its identity, which makes the start about a quarter
 * cheaper than a fork, and it runs on a stack of its own beside the spawner (no CLONE_VFORK), so a working directory on a
 * dead network mount holds up that one command and not all of them. Sharing memory is safe because between clone and
 * execve the child
 *   - makes raw system calls only: nothing of libc that writes (errno, locks, stdio);
 *   - reads only its struct launch, which is not touched until the status pipe tells that the start is decided;
 *   - writes only to its own stack, and the cause of a failure to its struct launch;
 *   - has copies of, and does not share, descriptors, signal dispositions, umask and directory.
 * The copies of other commands' descriptors are closed before anything that can wait: a child that hangs in front of a
 * dead file system would keep their stdin open.
 */
#define _GNU_SOURCE
#include "spawner.h"

#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLONE_INTO_CGROUP_FLAG 0x200000000ULL
#define DEFAULT_PATH "/bin:/usr/bin"
enum { PATH_BYTES = 4096, NAME_BYTES = 255 };
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* struct clone_args of linux/sched.h (the size is the version: 5.7, with cgroup). */
struct clone_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* Whether the spawner's own OOM score has to be reset in its children. */
static bool oom_adjusted;
/* The soft limit of open files that a command gets; 0: unchanged. */
static uint64_t files_soft_limit;

void launch_init(uint64_t files_soft) {
  files_soft_limit = files_soft;
  char text[8] = "0";
  int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, text, sizeof text - 1) > 0) oom_adjusted = text[0] != '0';
  close(fd);
}

/* ---- in the child: raw calls only ---- */

static _Noreturn void leave_child(void) {
  for (;;) raw_call(SYS_exit_group, 127, 0, 0, 0, 0);
}

static _Noreturn void fail(struct launch *launch, enum stage stage, long error) {
  struct child_word word = {stage, (uint32_t)-error};
  if (launch->quick) launch->failure = word;
  else raw_call(SYS_write, launch->status_fd, (long)&word, sizeof word, 0, 0);
  leave_child();
}

static long open_raw(const char *path, long flags) {
  return raw_call(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0);
}

/* `/proc/self/fd/N`, into 32 bytes. */
static void descriptor_path(char *into, long fd) {
  static const char prefix[] = "/proc/self/fd/";
  memcpy(into, prefix, sizeof prefix - 1);
  char digits[12];
  int count = 0;
  for (long rest = fd; count == 0 || rest > 0; rest /= 10) digits[count++] = (char)('0' + rest % 10);
  size_t at = sizeof prefix - 1;
  while (count > 0) into[at++] = digits[--count];
  into[at] = 0;
}

static bool exists(const char *path) {
  return raw_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0) == 0;
}

/* fstatat(2) of the file behind a descriptor. The kernel's struct is the library's on these architectures. */
static long facts_of(long fd, struct stat *facts) {
  return raw_call(SYS_newfstatat, fd, (long)"", (long)facts, AT_EMPTY_PATH, 0);
}

/* Returns whether execve(2) would execute the file behind `fd` (O_PATH). */
static long may_execute(long fd) {
  struct stat facts;
  long error = facts_of(fd, &facts);
  if (error < 0) return error;
  if (!S_ISREG(facts.st_mode)) return -EACCES;
  error = raw_call(SYS_faccessat2, fd, (long)"", X_OK, AT_EMPTY_PATH, 0);
  if (error != -ENOSYS && error != -EPERM) return error;
  char path[32];
  descriptor_path(path, fd);
  return raw_call(SYS_faccessat, AT_FDCWD, (long)path, X_OK, 0, 0);
}

/* Tries one file: runs it, or (`held`) opens it and keeps the descriptor. Returns the error, or 0 with `*held`. */
static long try_file(const char *file, char *const *argv, char *const *envp, long *held) {
  if (!held) {
    long error = raw_call(SYS_execve, (long)file, (long)argv, (long)envp, 0, 0);
    return error == -ENOENT && exists(file) ? -ELIBACC : error; /* the file exists, its interpreter does not */
  }
  long fd = open_raw(file, O_PATH);
  if (fd < 0) return fd;
  long error = may_execute(fd);
  if (error < 0) raw_call(SYS_close, fd, 0, 0, 0, 0);
  else *held = fd;
  return error;
}

static const char *path_of(char *const *envp) {
  for (; *envp; envp++) {
    if (strncmp(*envp, "PATH=", 5) == 0) return *envp + 5;
  }
  return DEFAULT_PATH;
}

/* Errors after which execvp(3) continues its search in the PATH. */
static bool looks_on(long error) {
  return error == -ENOENT || error == -ENOTDIR || error == -ESTALE || error == -ENODEV || error == -ETIMEDOUT ||
         error == -EACCES || error == -ENAMETOOLONG;
}

/* Like execvp(3) in the PATH of the new environment, without its fallback to /bin/sh for a text file. Returns as try_file. */
static long search(const struct launch *launch, long *held) {
  const char *file = launch->file;
  char *const *argv = launch->argv, *const *envp = launch->envp;
  if (file[0] == 0) return -ENOENT;
  if (strchr(file, '/')) return try_file(file, argv, envp, held);
  size_t file_length = strlen(file);
  if (file_length > NAME_BYTES) return -ENAMETOOLONG;
  bool denied = false;
  char candidate[PATH_BYTES + NAME_BYTES + 2];
  for (const char *end, *path = path_of(envp); ; path = end + 1) {
    end = strchrnul(path, ':');
    size_t length = (size_t)(end - path);
    if (length < PATH_BYTES) {
      memcpy(candidate, path, length);
      if (length > 0) candidate[length++] = '/'; /* an empty element is the working directory */
      memcpy(candidate + length, file, file_length + 1);
      long error = try_file(candidate, argv, envp, held);
      if (error == -EACCES) denied = true;
      if (!looks_on(error)) return error;
    }
    if (*end == 0) return denied ? -EACCES : -ENOENT;
  }
}

/* Reports the resolved working directory and file, both by the kernel's paths. */
static void tell(const struct launch *launch, const char *cwd, const char *file) {
  char message[sizeof(struct child_word) + 2 * (PATH_BYTES + 1)];
  size_t cwd_size = strlen(cwd) + 1, file_size = strlen(file) + 1;
  struct child_word word = {STAGE_RESOLVED, (uint32_t)(cwd_size + file_size)};
  memcpy(message, &word, sizeof word);
  memcpy(message + sizeof word, cwd, cwd_size);
  memcpy(message + sizeof word + cwd_size, file, file_size);
  size_t size = sizeof word + cwd_size + file_size;
  for (size_t at = 0; at < size;) {
    long written = raw_call(SYS_write, launch->status_fd, (long)(message + at), (long)(size - at), 0, 0);
    if (written > 0) at += (size_t)written;
    else if (written != -EINTR) leave_child();
  }
}

static bool same_file(long fd, const char *path) {
  struct stat held, named;
  long other = open_raw(path, O_PATH | O_NOFOLLOW);
  if (other < 0) return false;
  bool same = facts_of(fd, &held) == 0 && facts_of(other, &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
  raw_call(SYS_close, other, 0, 0, 0, 0);
  return same;
}

/*
 * Opens the file, reports its name, waits for approval, and runs the open file: a change of a path meanwhile does not
 * change the program that runs. The kernel gives an interpreter a path and not a descriptor that closes (ENOENT), so a
 * script is run by its real path, without symbolic links; a user who can change that path can change the script as well.
 */
static _Noreturn void run_checked(struct launch *launch) {
  long fd = -1;
  long error = search(launch, &fd);
  if (error < 0) fail(launch, STAGE_EXEC, error);
  char cwd[PATH_BYTES + 1], file[PATH_BYTES + 1], link[32];
  error = raw_call(SYS_getcwd, (long)cwd, PATH_BYTES, 0, 0, 0);
  if (error < 0) fail(launch, STAGE_CWD, error);
  descriptor_path(link, fd);
  long length = raw_call(SYS_readlinkat, AT_FDCWD, (long)link, (long)file, PATH_BYTES, 0);
  if (length < 0) fail(launch, STAGE_EXEC, length);
  if (length == PATH_BYTES) fail(launch, STAGE_EXEC, -ENAMETOOLONG);
  file[length] = 0;
  tell(launch, cwd, file);
  char allowed;
  while ((error = raw_call(SYS_read, launch->verdict_fd, (long)&allowed, 1, 0, 0)) == -EINTR) continue;
  if (error != 1) leave_child();
  error = raw_call(SYS_execveat, fd, (long)"", (long)launch->argv, (long)launch->envp, AT_EMPTY_PATH);
  if (error == -ENOENT) {
    error = same_file(fd, file) ? raw_call(SYS_execve, (long)file, (long)launch->argv, (long)launch->envp, 0, 0) : -ESTALE;
    if (error == -ENOENT) fail(launch, STAGE_INTERPRETER, error);
  }
  fail(launch, STAGE_EXEC, error);
}

/* Closes everything but the streams, the status pipe and the verdict pipe. */
static void close_others(const struct launch *launch) {
  if (launch->quick && raw_call(SYS_close_range, 3, ~0U, 0, 0, 0) == 0) return;
  long low = launch->status_fd, high = launch->verdict_fd;
  if (high < 0) high = low;
  if (low > high) {
    low = high;
    high = launch->status_fd;
  }
  long error = 0;
  if (low > 3) error = raw_call(SYS_close_range, 3, low - 1, 0, 0, 0);
  if (error == 0 && high > low + 1) error = raw_call(SYS_close_range, low + 1, high - 1, 0, 0, 0);
  if (error == 0) error = raw_call(SYS_close_range, high + 1, ~0U, 0, 0, 0);
  if (error == 0) return;
  for (long fd = 3; fd < 65536; fd++) { /* before Linux 5.9 */
    if (fd != low && fd != high) raw_call(SYS_close, fd, 0, 0, 0, 0);
  }
}

static void take_streams(struct launch *launch) {
  long input = launch->stdio[0];
  if (input < 0) input = open_raw("/dev/null", O_RDONLY);
  if (input < 0) fail(launch, STAGE_FORK, input);
  /* None of these is 0, 1 or 2, which the spawner itself uses, and dup3 sets no close-on-exec on the copy. */
  raw_call(SYS_dup3, input, 0, 0, 0, 0);
  raw_call(SYS_dup3, launch->stdio[1], 1, 0, 0, 0);
  raw_call(SYS_dup3, launch->stdio[2], 2, 0, 0, 0);
  close_others(launch);
  if (launch->flags & FLAG_TERMINAL) raw_call(SYS_ioctl, 0, TIOCSCTTY, 0, 0, 0);
}

/* Resets the spawner's own OOM score and limit of open files. */
static void shed(void) {
  if (oom_adjusted) {
    long fd = open_raw("/proc/self/oom_score_adj", O_WRONLY);
    if (fd >= 0) raw_call(SYS_write, fd, (long)"0", 1, 0, 0);
    if (fd >= 0) raw_call(SYS_close, fd, 0, 0, 0, 0);
  }
  if (files_soft_limit == 0) return;
  uint64_t files[2];
  if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)files, 0) < 0) return;
  files[0] = files_soft_limit;
  raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)files, 0, 0);
}

static void become(struct launch *launch) {
  long error = raw_call(SYS_setgroups, launch->group_count, (long)launch->groups, 0, 0, 0);
  if (error == 0) error = raw_call(SYS_setresgid, launch->gid, launch->gid, launch->gid, 0, 0);
  if (error == 0) error = raw_call(SYS_setresuid, launch->uid, launch->uid, launch->uid, 0, 0);
  if (error < 0) fail(launch, STAGE_IDENTITY, error);
}

/* Enters the home, or / if that cannot be entered, as su(1) and sshd(8) do; then the requested directory, from there. */
static void enter_directory(struct launch *launch) {
  if (launch->cwd[0] != '/') {
    long error = raw_call(SYS_chdir, (long)launch->home, 0, 0, 0, 0);
    if (error < 0) error = raw_call(SYS_chdir, (long)"/", 0, 0, 0, 0);
    if (error < 0) fail(launch, STAGE_CWD, error);
  }
  if (launch->cwd[0] == 0) return;
  long error = raw_call(SYS_chdir, (long)launch->cwd, 0, 0, 0, 0);
  if (error < 0) fail(launch, STAGE_CWD, error);
}

static void child(void *argument) {
  struct launch *launch = argument;
  raw_call(SYS_setsid, 0, 0, 0, 0, 0);
  take_streams(launch);
  shed();
  if (launch->flags & FLAG_IDENTITY) become(launch);
  enter_directory(launch);
  /* The spawner blocks every signal and handles none, so there are no dispositions to reset. */
  uint64_t nothing = 0;
  raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&nothing, 0, sizeof nothing, 0);
  if (launch->flags & FLAG_ASK) run_checked(launch);
  long error = search(launch, NULL);
  if (error == -ELIBACC) fail(launch, STAGE_INTERPRETER, -ENOENT);
  fail(launch, STAGE_EXEC, error);
}

/* ---- in the spawner ---- */

/* Set on old kernels, and in sandboxes that do not support it. */
static bool no_clone3;

/*
 * Whether the child needs no status pipe: the kernel tells by a word in our memory when the start is decided, which is looked at. The
 * others are waited for: those that do not share our memory, and those that somebody waits for (to answer, or to write to them).
 */
bool launch_is_quick(const struct launch *launch) {
#ifdef CLONE_VM_OFF
  return (void)launch, false;
#else
  return !no_clone3 && !(launch->flags & (FLAG_IDENTITY | FLAG_STDIN_PIPE | FLAG_TERMINAL | FLAG_ASK));
#endif
}

/* Clones the child, into its cgroup if that works. Returns the pid or -errno; -ENOSYS for one without a status pipe that needs one. */
pid_t launch_start(struct launch *launch, bool *in_cgroup) {
  long result = -ENOSYS;
  uint64_t shared = launch->flags & FLAG_IDENTITY ? 0 : CLONE_VM; /* a process of another user must never share our memory */
#ifdef CLONE_VM_OFF
  shared = 0; /* for sanitizers, which do not support a second stack */
#endif
  struct clone_arguments arguments = {
    .flags = shared, .exit_signal = SIGCHLD, .stack = (uint64_t)launch->stack, .stack_size = LAUNCH_STACK_BYTES};
  if (launch->quick) {
    launch->unsettled = -1;
    arguments.flags |= CLONE_CHILD_CLEARTID;
    arguments.child_tid = (uint64_t)&launch->unsettled;
  }
  if (launch->cgroup && !no_clone3) {
    /* Not open(3), which sets close-on-exec a second time. */
    int directory = (int)syscall(SYS_openat, AT_FDCWD, launch->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
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
  if (result == -ENOSYS || (result == -EPERM && !no_clone3)) {
    no_clone3 = true;
    if (launch->quick) return -ENOSYS;
    char *top = launch->stack + LAUNCH_STACK_BYTES;
    result = clone_call(SYS_clone, (long)(shared | SIGCHLD), (long)top, child, launch);
    if (result == -EINVAL && shared) result = clone_call(SYS_clone, SIGCHLD, (long)top, child, launch); /* qemu-user */
  }
  return (pid_t)result;
}
