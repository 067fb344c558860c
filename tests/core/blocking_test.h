/* Jobs for tests of the blocking pool without a scheduler: the test submits and ticks. */
#ifndef WEFT_TEST_BLOCKING_TEST_H
#define WEFT_TEST_BLOCKING_TEST_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <weft/errors.h>

#include "base/clock.h"
#include "core/blocking.h"
#include "latch.h"
#include "weft_test.h"

/* A job and what it did. */
struct probe {
  struct weft__job job;
  atomic_int ran;
  struct latch *begun; /* hit when it begins, unless NULL */
  struct latch *over;  /* hit by done, unless NULL */
  atomic_bool *gate;   /* what it waits for, unless NULL */
  int code;
};

static atomic_int ticks_wanted;

static inline void count_ticks_wanted(struct weft__blocking *p) {
  (void)p;
  atomic_fetch_add(&ticks_wanted, 1);
}

static inline void probe_done(struct weft__job *job) {
  struct probe *probe = weft__container_of(job, struct probe, job);
  struct latch *over = probe->over;
  CHECK_INT(job->code, probe->code);
  if (over) latch_hit(over);
}

static inline int body(void *arg) {
  struct probe *probe = arg;
  atomic_fetch_add(&probe->ran, 1);
  if (probe->begun) latch_hit(probe->begun);
  return probe->code;
}

/* A gate that jobs sleep at, in the kernel. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;

static inline int blocking_body(void *arg) {
  struct probe *probe = arg;
  int code = body(arg);
  pthread_mutex_lock(&gate_lock);
  while (!atomic_load(probe->gate)) pthread_cond_wait(&gate_opened, &gate_lock);
  pthread_mutex_unlock(&gate_lock);
  return code;
}

static inline int spinning_body(void *arg) {
  struct probe *probe = arg;
  int code = body(arg);
  while (!atomic_load(probe->gate)) weft__cpu_relax();
  return code;
}

static inline void open_gate(atomic_bool *gate) {
  pthread_mutex_lock(&gate_lock);
  atomic_store(gate, true);
  pthread_cond_broadcast(&gate_opened);
  pthread_mutex_unlock(&gate_lock);
}

static inline void pool_init(struct weft__blocking *p, unsigned hot, unsigned max) {
  CHECK_INT(weft__blocking_init(p, hot, max), 0);
  atomic_store(&ticks_wanted, 0);
  p->want_ticks = count_ticks_wanted;
}

static inline void pool_close(struct weft__blocking *p) {
  CHECK_INT(weft__blocking_close(p, UINT64_MAX), 0);
}

static inline void submit(struct weft__blocking *p, struct probe *probe, int (*fn)(void *)) {
  probe->job = (struct weft__job){.fn = fn, .arg = probe, .done = probe_done};
  CHECK_INT(weft__blocking_submit(p, &probe->job), 0);
}

static inline struct weft__blocking_stats stats_of(struct weft__blocking *p) {
  struct weft__blocking_stats s;
  weft__blocking_stats(p, &s);
  return s;
}

/* One tick, not sooner than a millisecond after the one before. */
static inline bool next_tick(struct weft__blocking *p) {
  static uint64_t last;
  while (weft__elapsed(last, weft__now()) < WEFT__NS_PER_MS) sched_yield();
  last = weft__now();
  return weft__blocking_tick(p, last);
}

/* Ticks until n hits; returns how many ticks that took. */
static inline int tick_until(struct weft__blocking *p, struct latch *l, int n) {
  int ticks = 0;
  for (; latch_hits(l) < n; ticks++) next_tick(p);
  return ticks;
}

static inline void *close_for_ever(void *arg) {
  pool_close(arg);
  return NULL;
}

#endif
