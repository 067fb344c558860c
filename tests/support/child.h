/* A child process for what ends a process: crashes, exits, fork. */
#ifndef WEFT_TEST_CHILD_H
#define WEFT_TEST_CHILD_H

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft_test.h"

struct child_end {
  int status;        /* as waitpid gives it, or -1 */
  char output[8192]; /* stdout and stderr, cut at the size */
};

/* Calls fn(arg) in a forked child, whose exit status is fn's result. Not from a task: the process
 * must have one thread. */
static inline struct child_end child_run(int (*fn)(void *arg), void *arg) {
  struct child_end end = {.status = -1};
  int fds[2];
  fflush(NULL);
  if (!CHECK_INT(pipe(fds), 0)) return end;
  pid_t pid = fork();
  if (pid == 0) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    dup2(fds[1], STDOUT_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    int r = fn(arg);
    fflush(NULL);
    _exit(r);
  }
  close(fds[1]);
  size_t used = 0;
  ssize_t n;
  char rest[256];
  while (pid > 0 && (n = used < sizeof end.output - 1
                             ? read(fds[0], end.output + used, sizeof end.output - 1 - used)
                             : read(fds[0], rest, sizeof rest)) > 0)
    used += used < sizeof end.output - 1 ? (size_t)n : 0;
  close(fds[0]);
  if (CHECK(pid > 0)) CHECK_INT(waitpid(pid, &end.status, 0), pid);
  return end;
}

static inline int child_exit_code(const struct child_end *end) {
  return WIFEXITED(end->status) ? WEXITSTATUS(end->status) : -1;
}

/* The child must have died of a signal (a sanitizer's handler may exit instead). */
static inline bool child_died(const struct child_end *end) {
  return WIFSIGNALED(end->status) || child_exit_code(end) > 0;
}

#endif
