/*
 * Kills the processes of a command when the runner is gone: by cgroup if the command has one, else its process group, its
 * session, every descendant, and every process with its EXECUTION_ID.
 */
#define _GNU_SOURCE
#include "spawner.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4352, TREE_LIMIT = 32768, ENVIRON_STEP = 65536, CGROUP_DEPTH = 32, QUIET_WALKS = 4, MAX_ROUNDS = 500 };

/* state, parent, group, session, ..., num_threads: proc(5) */
#define STAT_FIELDS " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d"

struct process {
  pid_t pid, parent, group, session;
};

static size_t read_file(const char *path, char *bytes, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t length = 0;
  for (ssize_t n; length < size && (n = read(fd, bytes + length, size - length)) > 0;) length += (size_t)n;
  close(fd);
  return length;
}

/*
 * The name of a program may hold spaces and brackets, so the fields are counted from the last one. A zombie with more than
 * one thread has ended its main thread only.
 */
static bool read_process(pid_t pid, struct process *process) {
  char path[64], text[1024], state;
  int threads;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  text[read_file(path, text, sizeof text - 1)] = 0;
  const char *fields = strrchr(text, ')');
  process->pid = pid;
  return fields && sscanf(fields + 1, STAT_FIELDS, &state, &process->parent, &process->group, &process->session, &threads) == 5 &&
         state != 'X' && (state != 'Z' || threads > 1);
}

/* Returns the whole environment of a process, however long; NULL if it cannot be read. The caller frees it. */
static char *read_environment(pid_t pid, size_t *length) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  struct buffer text = {0};
  for (ssize_t n = 1; n > 0;) {
    n = read(fd, reserve(&text, ENVIRON_STEP), ENVIRON_STEP - 1);
    if (n > 0) text.length += (size_t)n;
  }
  close(fd);
  text.bytes[text.length] = 0;
  *length = text.length;
  return text.bytes;
}

static bool carries(pid_t pid, const char *marker) {
  size_t length = 0;
  char *bytes = marker ? read_environment(pid, &length) : NULL;
  bool found = false;
  for (char *entry = bytes; bytes && !found && entry < bytes + length; entry += strlen(entry) + 1) {
    found = strcmp(entry, marker) == 0;
  }
  free(bytes);
  return found;
}

static bool contains(const pid_t *pids, size_t count, pid_t pid) {
  for (size_t i = 0; i < count; i++) {
    if (pids[i] == pid) return true;
  }
  return false;
}

/* Walks over /proc once: stops each process of the tree that is not in the list yet. Returns the number of these. */
static size_t walk(const struct execution *execution, pid_t *tree, size_t count) {
  size_t before = count;
  DIR *proc = opendir("/proc");
  if (!proc) return 0;
  for (struct dirent *entry; count < TREE_LIMIT && (entry = readdir(proc));) {
    struct process process;
    pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (pid <= 1 || pid == getpid() || contains(tree, count, pid) || !read_process(pid, &process)) continue;
    bool belongs = pid == execution->pid || process.group == execution->pid || process.session == execution->pid ||
                   contains(tree, count, process.parent) || carries(pid, execution->marker);
    if (!belongs) continue;
    kill(pid, SIGSTOP); /* so that it starts no more processes, and orphans none of its children */
    tree[count++] = pid;
  }
  closedir(proc);
  return count - before;
}

/* Stops all processes that it finds before it kills any, so that none is orphaned that is found only through its parent. */
static size_t kill_found(const struct execution *execution, pid_t *tree) {
  size_t count = 0;
  for (size_t found; (found = walk(execution, tree, count)) > 0;) count += found;
  for (size_t i = 0; i < count; i++) kill(tree[i], SIGKILL);
  return count;
}

/* Kills each process of the cgroup and of those below it by its number. */
static void kill_members(const char *directory, int depth) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  FILE *list = fopen(path, "re");
  for (int pid; list && fscanf(list, "%d", &pid) == 1;) {
    if (pid > 1) kill(pid, SIGKILL);
  }
  if (list) fclose(list);
  DIR *below = depth < CGROUP_DEPTH ? opendir(directory) : NULL;
  for (struct dirent *entry; below && (entry = readdir(below));) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < sizeof path) kill_members(path, depth + 1);
  }
  if (below) closedir(below);
}

/*
 * cgroup.kill also kills processes that are being forked, but misses a process whose main thread has ended before the
 * others (pthread_exit): that one is killed by its number.
 */
static bool kill_cgroup(const struct execution *execution) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/cgroup.kill", execution->cgroup);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  ssize_t written = fd < 0 ? -1 : write(fd, "1", 1);
  if (fd >= 0) close(fd);
  kill_members(execution->cgroup, 0);
  return written == 1;
}

/*
 * Sends SIGKILL to the whole tree of a command whose main process has not been reaped (so that its pid is still its own).
 * A walk can miss a process that is just being forked, so it is over when several walks have found nothing.
 */
void kill_tree(const struct execution *execution) {
  if (execution->in_cgroup && kill_cgroup(execution)) return;
  pid_t *tree = malloc(TREE_LIMIT * sizeof *tree);
  for (int quiet = 0, rounds = 0; tree && quiet < QUIET_WALKS && rounds < MAX_ROUNDS; rounds++) {
    quiet = kill_found(execution, tree) == 0 ? quiet + 1 : 0;
    nanosleep(&(struct timespec){0, 2000000}, NULL);
  }
  free(tree);
  kill(execution->state == STARTING ? execution->pid : -execution->pid, SIGKILL);
}
