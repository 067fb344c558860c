/* The stress test: the runtime on real threads, disturbed on purpose, for as long as it is told.
 *
 * Nothing here is deterministic. The machine chooses the schedule; the test makes the rare orders
 * common: threads give up the CPU at marked points (points.c), plain threads compete for the CPUs
 * (hogs.c), and there are more workers than CPUs. A workload is a function that runs one round and
 * checks itself; the shape of a round is drawn from its seed. After every round nothing may be left
 * of it: memory, descriptors, threads (remains.c). A round that hangs is described and ended
 * (watch.c).
 *
 * The bookkeeping must not order what the runtime is supposed to order, or it would hide a missing
 * barrier: marks and results are plain memory, which the race detector then watches; figures are
 * relaxed atomics.
 */
#ifndef WEFT_TESTS_STRESS_H
#define WEFT_TESTS_STRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <weft.h>

#include "counts.h"
#include "latch.h"

/* ---- options, set by main before anything runs ---- */

struct stress_options {
  uint64_t seed;    /* of every workload's first round; each round has the next number */
  double seconds;   /* for all workloads together */
  double stall;     /* seconds without progress that count as a hang */
  unsigned workers; /* most workers of a runtime */
  unsigned hogs;    /* most hog threads beside a round */
  int points;       /* one point in so many acts, 0: none, -1: each round draws */
  bool hold;        /* stop at a hang instead of ending, so that a debugger can be attached */
};
extern struct stress_options stress_options;

/* ---- figures: what the lines of the report count ---- */

enum stress_figure {
  STRESS_TASKS,   /* bodies begun, jobs among them */
  STRESS_CANCELS, /* requests that were accepted */
  STRESS_CUT,     /* waits ended by a cancel or a deadline */
  STRESS_SLICES,  /* the rest is the runtimes' own counting, added up at the end of each */
  STRESS_STEALS,
  STRESS_LEASES,
  STRESS_PARKS,
  STRESS_HOGGED,
  STRESS_JOBS,
  STRESS_FIGURES
};
extern const char *const stress_figure_names[STRESS_FIGURES];

/* Any thread. For the workload that runs now. */
void stress_count(enum stress_figure what, uint64_t n);

/* ---- rounds ---- */

struct weft__runtime;
struct stress_round;

enum {
  STRESS_EXACT_TOO = 1, /* some rounds in exact mode */
  STRESS_ALONE = 2,     /* not as one of several runtimes of the process */
  STRESS_PLANTED = 4,   /* breaks a rule on purpose; runs only when asked for by name */
};

struct stress_workload {
  const char *name;
  const char *about; /* one line for --list */
  void (*round)(struct stress_round *r);
  unsigned flags;
  int (*prepare)(void); /* NULL, or called once before the process has a second thread; 0 if fine */
  int (*finish)(void);  /* NULL, or called once after the last round */
};
extern const struct stress_workload *const stress_workloads[]; /* ends with NULL */

struct stress_round {
  const struct stress_workload *workload;
  uint64_t seed;
  struct weft__rng *rng;              /* the thread's that runs the round */
  weft_run_opts opts;                 /* drawn; a workload may change them before stress_run */
  bool leaves;                        /* the main task may end before the others */
  bool quiet;                         /* lines of the runtime's log are expected */
  struct stress_round *next;          /* of those that run now; the list's lock (watch.c) */
  _Atomic(struct weft__runtime *) rt; /* while it runs; for the description of a hang */
};

/* Draws the options of a round. rng is the caller's memory for it. */
void stress_round_init(struct stress_round *r, const struct stress_workload *workload,
                       uint64_t seed, struct weft__rng *rng);

/* weft_run with the round's options. Unless the round leaves tasks, the main task waits until it is
 * the last one, and one that stays is a hang. Returns the main task's code. */
int stress_run(struct stress_round *r, weft_fn fn, void *arg);

/* ---- drawing ---- */

/* One of 0 .. n - 1. */
uint32_t stress_draw(struct weft__rng *rng, uint32_t n);
/* True once in n. */
static inline bool stress_one_in(struct weft__rng *rng, uint32_t n) {
  return stress_draw(rng, n) == 0;
}
/* A generator for task number `stream` of the round. */
void stress_rng(struct weft__rng *ret, const struct stress_round *r, uint64_t stream);
/* n in the release build, less under the sanitizers. */
static inline int stress_many(int n) {
  int many = COUNTS_PICK(n, n / 3, n / 8);
  return many > 1 ? many : 2;
}

/* ---- checking ---- */

/* Both evaluate to whether it holds. Any thread; the first failure of a round is printed with the
 * round's seed, and the program ends after that round. */
#define EXPECT(condition) stress_expect((condition), __FILE__, __LINE__, #condition)
#define EXPECT_INT(got, want)                                                                      \
  stress_expect_int((intmax_t)(got), (intmax_t)(want), __FILE__, __LINE__, #got)
bool stress_expect(bool held, const char *file, int line, const char *text);
bool stress_expect_int(intmax_t got, intmax_t want, const char *file, int line, const char *text);
/* A failure that has no condition to show. */
void stress_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool stress_failed(void);

/* What must happen once. Plain: written by the body, read by who waited for its end. */
struct stress_mark {
  int begun;
  int ended;
};
static inline void stress_begin(struct stress_mark *m) {
  EXPECT_INT(m->begun++, 0);
  stress_count(STRESS_TASKS, 1);
}
static inline int stress_end(struct stress_mark *m, int code) {
  EXPECT_INT(m->ended++, 0);
  return code;
}
/* The body ran to its end, once. */
static inline bool stress_ran(const struct stress_mark *m) {
  return EXPECT_INT(m->begun, 1) && EXPECT_INT(m->ended, 1);
}
/* It never began, or ran to its end. */
static inline bool stress_whole(const struct stress_mark *m) {
  return EXPECT(m->begun <= 1) && EXPECT_INT(m->ended, m->begun);
}

/* Errors of the workloads' own. */
enum { STRESS_OWN_ERROR = WEFT_EUSER - 100 };

/* Longer than any round: such a sleep ends by a cancel. */
#define STRESS_LONG weft_sec(3600)

/* calloc that ends the program when it fails; freed with free. */
void *stress_alloc(size_t n, size_t size);

/* Computes for so long of this thread's CPU time. */
void stress_burn(weft_ns duration);

/* A plain thread of a workload; begin ends the program when it fails. */
pthread_t stress_thread(void *(*fn)(void *arg), void *arg);

/* ---- the parts of the program ---- */

/* points.c: between rounds only. one_in 0: no point acts. */
void stress_points_set(unsigned one_in, uint64_t seed);
uint64_t stress_points_acted(void);

/* hogs.c */
struct stress_hogs {
  pthread_t *thread;
  unsigned n;
  atomic_bool stop;
};
void stress_hogs_start(struct stress_hogs *h, unsigned n, struct weft__rng *rng);
void stress_hogs_stop(struct stress_hogs *h);

/* watch.c: the list of the rounds that run, and the thread that looks for progress. */
void stress_watch_start(void);
void stress_watch_stop(void);
void stress_watch_add(struct stress_round *r);
void stress_watch_remove(struct stress_round *r);

/* remains.c: what the process holds while no round runs. */
struct stress_remains {
  uint64_t blocks; /* allocations of runtime and libuv that were not given back */
  uint64_t bytes;  /* of them */
  int descriptors;
  int threads;
};
/* Waits a moment for threads that were joined and are about to vanish, down to `threads`. */
void stress_remains(struct stress_remains *ret, int threads);

/* main.c: what runs now, for messages and for the watching thread. */
struct stress_now {
  const struct stress_workload *workload;
  uint64_t seed;
};
struct stress_now stress_now(void);
/* Grows whenever something happens. */
uint64_t stress_progress(void);

#endif
