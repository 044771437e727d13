/*
 * Killing what a command has started, for when the runner is gone and nobody else will: by cgroup where the command has
 * one; else its process group, its session, every descendant, and whoever carries its EXECUTION_ID.
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

enum { TREE_LIMIT = 32768, ENVIRON_BYTES = 65536, QUIET_WALKS = 4, MOST_ROUNDS = 500 };

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

/* The name of a program may hold spaces and brackets, so the fields are counted from the last one. */
static bool read_process(pid_t pid, struct process *process) {
  char path[64], text[1024], state;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  text[read_file(path, text, sizeof text - 1)] = 0;
  const char *fields = strrchr(text, ')');
  process->pid = pid;
  return fields && sscanf(fields + 1, " %c %d %d %d", &state, &process->parent, &process->group, &process->session) == 4 && state != 'Z';
}

static bool carries(pid_t pid, const char *marker) {
  static char bytes[ENVIRON_BYTES];
  char path[64];
  if (!marker) return false;
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  size_t length = read_file(path, bytes, sizeof bytes - 1);
  bytes[length] = 0;
  for (char *entry = bytes; entry < bytes + length; entry += strlen(entry) + 1) {
    if (strcmp(entry, marker) == 0) return true;
  }
  return false;
}

static bool contains(const pid_t *pids, size_t count, pid_t pid) {
  for (size_t i = 0; i < count; i++) {
    if (pids[i] == pid) return true;
  }
  return false;
}

/* One walk over /proc: stops whatever belongs to the tree and is not yet in it. Returns how many it found. */
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
    kill(pid, SIGSTOP); /* so that it starts nothing more behind our back, and orphans none of its children */
    tree[count++] = pid;
  }
  closedir(proc);
  return count - before;
}

/* Stops all it can find before it kills any, so that nothing is orphaned that only its parent leads to. */
static size_t kill_found(const struct execution *execution, pid_t *tree) {
  size_t count = 0;
  for (size_t found; (found = walk(execution, tree, count)) > 0;) count += found;
  for (size_t i = 0; i < count; i++) kill(tree[i], SIGKILL);
  return count;
}

/*
 * SIGKILL to the whole tree of a command whose main process has not been reaped (so that its pid is still its own). A walk
 * can miss what forks just then, so it is over when a few of them have found nothing.
 */
void kill_tree(const struct execution *execution) {
  if (execution->in_cgroup) {
    char path[4200];
    snprintf(path, sizeof path, "%s/cgroup.kill", execution->cgroup);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t written = fd < 0 ? -1 : write(fd, "1", 1);
    if (fd >= 0) close(fd);
    if (written == 1) return;
  }
  pid_t *tree = malloc(TREE_LIMIT * sizeof *tree);
  for (int quiet = 0, rounds = 0; tree && quiet < QUIET_WALKS && rounds < MOST_ROUNDS; rounds++) {
    quiet = kill_found(execution, tree) == 0 ? quiet + 1 : 0;
    nanosleep(&(struct timespec){0, 2000000}, NULL);
  }
  free(tree);
  kill(execution->state == STARTING ? execution->pid : -execution->pid, SIGKILL);
}
