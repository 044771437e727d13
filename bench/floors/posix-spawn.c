/*
 * posix-spawn MILLISECONDS COMMAND: starts the command again and again by posix_spawn(3) and waits for each, as a program in C would.
 * Prints the microseconds of each, one on a line.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int64_t ends = now_us() + strtoll(argv[1], NULL, 10) * 1000;
  char *command[] = {argv[2], NULL};
  for (int64_t started = now_us(), ended; started < ends; started = ended) {
    pid_t pid;
    int status;
    if (posix_spawn(&pid, argv[2], NULL, NULL, command, environ) != 0) return 1;
    if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
    ended = now_us();
    printf("%lld\n", (long long)(ended - started));
  }
  return 0;
}
