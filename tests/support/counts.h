/* How much each build does: one table, so that a sanitizer run is smaller in a way that can be read,
 * and nothing is left out of it.
 *
 * tsan: each live stack costs about 27 KiB and each switch half a microsecond there, and a process
 * has room for some ten thousand fibers. asan: stacks are 256 KiB and every access is checked.
 * valgrind, which runs all threads on one CPU and fifty times slower, does what tsan does.
 */
#ifndef WEFT_TEST_COUNTS_H
#define WEFT_TEST_COUNTS_H

#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
#define COUNTS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COUNTS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_ASAN 1
#endif
#endif
#ifndef COUNTS_TSAN
#define COUNTS_TSAN 0
#endif
#ifndef COUNTS_ASAN
#define COUNTS_ASAN 0
#endif

#define COUNTS_PICK(release, asan, tsan)                                                           \
  (COUNTS_TSAN || WEFT_VALGRIND ? (tsan) : COUNTS_ASAN ? (asan) : (release))

enum {
  /*                                       release      asan     tsan */
  COUNT_CHURN_SPAWNS = COUNTS_PICK(/*   */ 10000000, 1000000, 200000), /* tasks over a whole test */
  COUNT_LIVE_TASKS = COUNTS_PICK(/*     */ 100000, 20000, 5000),       /* parked at once */
  COUNT_RACES = COUNTS_PICK(/*          */ 100000, 20000, 4000),       /* rounds of one race */
  COUNT_SLEEPERS = COUNTS_PICK(/*       */ 10000, 5000, 2000),         /* tasks that sleep */
  COUNT_TASKS = COUNTS_PICK(/*          */ 10000, 5000, 1000),         /* a plain "many" */
  COUNT_DEPTH = COUNTS_PICK(/*          */ 5000, 1000, 500),           /* awaits in awaits */
  COUNT_RUNS = COUNTS_PICK(/*           */ 200, 50, 20),               /* whole runs, one by one */
};

/* In a simulation two thousand seeds of ten rounds show more orders than one with a hundred thousand:
 * a loop says count(COUNT_TASKS), an array keeps the whole size. */
enum { COUNT_SIMULATED = 10 };

/* WEFT_SEED makes every run of the process a simulation. */
static inline int counts_simulated(void) {
  const char *seed = getenv("WEFT_SEED");
  return seed && *seed;
}

static inline int count(int n) {
  return n > COUNT_SIMULATED && counts_simulated() ? COUNT_SIMULATED : n;
}

/* Factor for bounds on how late something may be: a sanitizer makes code slower, not wrong. */
enum { COUNTS_SLOWER = COUNTS_PICK(1, 5, 20) };

#endif
