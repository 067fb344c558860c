/* Child processes for tests: scripts of the shell, and what has become of them. */
#ifndef WEFT_TEST_PROCESS_TEST_H
#define WEFT_TEST_PROCESS_TEST_H

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

#include "task_test.h"

static const weft_process_opts with_pipes = {
    .in = WEFT_STDIO_PIPE, .out = WEFT_STDIO_PIPE, .err = WEFT_STDIO_PIPE};
static const weft_process_opts with_output = {.in = WEFT_STDIO_NULL, .out = WEFT_STDIO_PIPE};

static inline weft_process *start_script(const char *script, const weft_process_opts *opts) {
  weft_process *p = NULL;
  CHECK_INT(weft_process_shell(&p, script, opts), 0);
  return p;
}

/* One that runs until it is killed, and says "ready" when its traps are set. */
static inline weft_process *start_endless(const char *traps, const weft_process_opts *opts) {
  char script[256], *line = NULL;
  weft_process_opts o = opts ? *opts : with_output;
  o.out = WEFT_STDIO_PIPE;
  snprintf(script, sizeof script, "%s echo ready; while :; do sleep 1 & wait $!; done", traps);
  weft_process *p = start_script(script, &o);
  if (p && CHECK_INT(weft_read_line(weft_process_stdout(p), &line), 6)) CHECK_STR(line, "ready\n");
  return p;
}

/* Runs the script, closes the process; what it wrote is in out. */
static inline void run_script(const char *script, const weft_process_opts *opts, char *out,
                              size_t size) {
  weft_process_output output = {0};
  weft_process_status st = {.code = 99};
  out[0] = 0;
  weft_process *p = start_script(script, opts);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &output, &st), 0);
  CHECK_INT(st.code, 0);
  snprintf(out, size, "%s", output.out ? output.out : "");
  CHECK_INT(weft_process_close(p), 0);
}

/* Neither runs nor is a zombie. */
static inline bool is_gone(pid_t pid) {
  return kill(pid, 0) < 0 && errno == ESRCH;
}

/* Descriptors of this process that are open. */
static inline int count_open(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

static inline int close_process(void *p) {
  return weft_process_close(p);
}

#endif
