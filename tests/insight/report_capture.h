/* Keeps what a run reports: an error handler for .on_error. */
#ifndef WEFT_TEST_REPORT_CAPTURE_H
#define WEFT_TEST_REPORT_CAPTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <weft.h>

#include "weft_test.h"

enum { REPORTS_KEPT = 16, REPORT_LENGTH = 4096 };

struct reports {
  pthread_mutex_t lock; /* guards the rest but total */
  atomic_int total;
  weft_report_kind kind[REPORTS_KEPT];
  char text[REPORTS_KEPT][REPORT_LENGTH];
  char site[REPORTS_KEPT][192];
};

#define REPORTS_INIT                                                                               \
  { .lock = PTHREAD_MUTEX_INITIALIZER }

static inline int keep_report(const weft_report *r, void *arg) {
  struct reports *all = arg;
  pthread_mutex_lock(&all->lock);
  int i = atomic_load(&all->total);
  if (i < REPORTS_KEPT) {
    all->kind[i] = r->kind;
    snprintf(all->text[i], REPORT_LENGTH, "%s", r->message);
    snprintf(all->site[i], sizeof all->site[i], "%s", r->site_name ? r->site_name : "");
  }
  atomic_store(&all->total, i + 1);
  pthread_mutex_unlock(&all->lock);
  return 0;
}

/* How many reports of the kind contain the text. */
static inline int reported(struct reports *all, weft_report_kind kind, const char *text) {
  int n = 0;
  pthread_mutex_lock(&all->lock);
  for (int i = 0; i < atomic_load(&all->total) && i < REPORTS_KEPT; i++)
    n += all->kind[i] == kind && strstr(all->text[i], text) != NULL;
  pthread_mutex_unlock(&all->lock);
  return n;
}

static inline bool print_reports(struct reports *all) {
  for (int i = 0; i < atomic_load(&all->total) && i < REPORTS_KEPT; i++)
    fprintf(stderr, "report %d: %s\n", (int)all->kind[i], all->text[i]);
  return true;
}

static inline void check_reported(struct reports *all, weft_report_kind kind, const char *text,
                                  int least, int most, int line) {
  int n = reported(all, kind, text);
  if (n >= least && n <= most) return;
  print_reports(all);
  CHECK_FAIL("line %d: %d reports with '%s', expected %d to %d", line, n, text, least, most);
}

/* How many reports of the kind contain the text; prints all when it is another number. */
#define CHECK_REPORTED(all, kind, text, n) check_reported(all, kind, text, n, n, __LINE__)
#define CHECK_REPORTED_SOME(all, kind, text)                                                       \
  check_reported(all, kind, text, 1, REPORTS_KEPT, __LINE__)

#endif
