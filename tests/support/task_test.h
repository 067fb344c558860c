/* Tests whose body is a task, and the few bodies that many tests need.
 *
 *   TASK_TEST(await_returns_the_code) {
 *     CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
 *   }
 *
 * defines a cmocka test that runs the block as the main task of a run with the options of the
 * environment: so a file whose tests are registered with VARIANTS shows each of them on one worker,
 * on several, and with a move at every suspension. EXACT_TEST is the same in exact mode.
 * Inside the block use CHECK and its kin, never cmocka's asserts.
 */
#ifndef WEFT_TEST_TASK_TEST_H
#define WEFT_TEST_TASK_TEST_H

#include <stdbool.h>
#include <weft.h>

#include "latch.h"
#include "weft_test.h"

#define TASK_TEST_WITH(name, opts)                                                                 \
  static void name##_body(void);                                                                   \
  static int name##_main(void *arg) {                                                              \
    (void)arg;                                                                                     \
    name##_body();                                                                                 \
    return 0;                                                                                      \
  }                                                                                                \
  static void name(void **state) {                                                                 \
    (void)state;                                                                                   \
    CHECK_INT(weft_run(name##_main, NULL, opts), 0);                                               \
  }                                                                                                \
  static void name##_body(void)

#define TASK_TEST(name) TASK_TEST_WITH(name, NULL)
#define EXACT_TEST(name) TASK_TEST_WITH(name, (&(weft_run_opts){.workers = 1, .exact = true}))

/* Longer than any test: a task in this sleep ends by a cancel only. */
#define A_LONG_TIME weft_sec(3600)

/* An error no part of weft returns. */
enum { OWN_ERROR = WEFT_EUSER - 7 };

/* Bodies. The argument of the returning ones is ignored or says what it is. */
static inline int return_zero(void *arg) {
  (void)arg;
  return 0;
}
static inline int return_seven(void *arg) {
  (void)arg;
  return 7;
}
static inline int return_own_error(void *arg) {
  (void)arg;
  return OWN_ERROR;
}
/* Returns the int that arg points to. */
static inline int return_given(void *arg) {
  return *(const int *)arg;
}
/* Hits the latch, then sleeps until it is cancelled; returns what the sleep returned. */
static inline int hit_and_park(void *latch) {
  latch_hit(latch);
  return weft_sleep(A_LONG_TIME);
}
static inline int hit_and_return(void *latch) {
  latch_hit(latch);
  return 0;
}
/* Yields until the latch was hit. */
static inline int wait_for_latch(void *latch) {
  return latch_wait(latch, 1);
}

/* The number of live tasks drops to n (the caller counts); for tasks that nobody can await. */
static inline int wait_until_live(int n) {
  int r = 0, rounds = 0;
  while (weft_tasks(NULL, 0) > n && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

/* The same, and the ends are known everywhere: to a group as to the statistics. */
static inline int wait_until_counted(uint64_t n) {
  weft_stats s;
  int r = 0, rounds = 0;
  while ((r = weft_stats_read(&s)) == 0 && s.tasks_live > n && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

#endif
