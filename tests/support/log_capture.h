/* Keeps the lines that a run writes to its log.
 *
 *   struct log_capture log = LOG_CAPTURE_INIT;
 *   weft_run(fn, arg, &(weft_run_opts){.log = log_capture_line, .log_arg = &log});
 *   CHECK_INT(log_capture_count(&log, "my task"), 1);
 *
 * The runtime calls the hook on any of its threads, hence the mutex.
 */
#ifndef WEFT_TEST_LOG_CAPTURE_H
#define WEFT_TEST_LOG_CAPTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LOG_CAPTURE_LINES = 128, LOG_CAPTURE_LENGTH = 512 };

struct log_capture {
  pthread_mutex_t lock; /* guards the rest */
  int total;            /* lines received; those beyond the array are only counted */
  char line[LOG_CAPTURE_LINES][LOG_CAPTURE_LENGTH];
};

#define LOG_CAPTURE_INIT                                                                           \
  { .lock = PTHREAD_MUTEX_INITIALIZER }

/* A weft_log_fn; log_arg is the capture. */
static inline void log_capture_line(const char *line, void *log_arg) {
  struct log_capture *log = log_arg;
  pthread_mutex_lock(&log->lock);
  if (log->total < LOG_CAPTURE_LINES)
    snprintf(log->line[log->total], LOG_CAPTURE_LENGTH, "%s", line);
  log->total++;
  pthread_mutex_unlock(&log->lock);
}

/* How many of the kept lines contain text. */
static inline int log_capture_count(struct log_capture *log, const char *text) {
  int n = 0;
  pthread_mutex_lock(&log->lock);
  for (int i = 0; i < log->total && i < LOG_CAPTURE_LINES; i++)
    if (strstr(log->line[i], text)) n++;
  pthread_mutex_unlock(&log->lock);
  return n;
}

/* Prints what was kept: for the message of a failed check. Always true. */
static inline bool log_capture_print(struct log_capture *log) {
  pthread_mutex_lock(&log->lock);
  for (int i = 0; i < log->total && i < LOG_CAPTURE_LINES; i++)
    fprintf(stderr, "log: %s\n", log->line[i]);
  pthread_mutex_unlock(&log->lock);
  return true;
}

#endif
