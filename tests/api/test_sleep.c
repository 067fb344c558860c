/* Sleeping, yielding, and what timers promise. Lateness bounds are generous: only "never early" and
 * order are exact. */
#include <stdatomic.h>
#include <stdlib.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

TASK_TEST(R2_a_sleep_is_never_early) {
  static const int64_t ns[] = {1,      999,     1000,    12345,   100000,
                               999999, 1000000, 1000001, 2500000, 10000000};
  for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++) {
    for (int k = 0; k < 5; k++) {
      weft_ns start = weft_now();
      CHECK_INT(weft_sleep(ns[i]), 0);
      if (!CHECK(weft_now() - start >= ns[i])) return;
    }
  }
}

static int sleep_and_compare(void *arg) {
  weft_ns duration = *(weft_ns *)arg, start = weft_now();
  int r = weft_sleep(duration);
  CHECK(weft_now() - start >= duration);
  return r;
}

TASK_TEST(R2_thousands_of_sleeps_at_once_are_never_early) {
  static weft_ns duration[COUNT_SLEEPERS];
  static weft_task t[COUNT_SLEEPERS];
  srand(7);
  for (int i = 0; i < count(COUNT_SLEEPERS); i++) {
    duration[i] = weft_us(rand() % 50000);
    t[i] = weft_spawn(sleep_and_compare, &duration[i], NULL);
  }
  for (int i = 0; i < count(COUNT_SLEEPERS); i++) CHECK_INT(weft_await(t[i]), 0);
}

TASK_TEST(sleepers_sleep_at_the_same_time) {
  enum { MOST = 200 };
  weft_task t[MOST];
  const int n = counts_simulated() ? 40 : MOST;
  /* In a simulation each of them may lose its CPU several times, and a second costs nothing. */
  weft_ns duration = counts_simulated() ? weft_sec(5) : weft_ms(50), start = weft_now();
  for (int i = 0; i < n; i++) t[i] = weft_spawn(sleep_and_compare, &duration, NULL);
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK(weft_now() - start < duration * n / 4); /* one after the other it would be all of it */
}

TASK_TEST(R2_zero_and_negative_sleeps_return_at_once) {
  static const weft_ns none[] = {0, -1, -1000000000, INT64_MIN};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    weft_ns start = weft_now();
    CHECK_INT(weft_sleep(none[i]), 0);
    CHECK(weft_now() - start < weft_sec(2 * COUNTS_SLOWER));
  }
}

/* Where a duration may be "not a number" that is an error; here every one means something. */
TASK_TEST(T19_every_duration_means_something) {
  CHECK_INT(weft_sec(INT64_MIN), INT64_MIN);
  CHECK_INT(weft_sec(INT64_MAX), WEFT_FOREVER);
  CHECK_INT(weft_sleep(INT64_MIN), 0);
  CHECK_INT(weft_sleep(weft_sec(INT64_MIN)), 0);
  static const weft_ns long_ones[] = {WEFT_FOREVER, WEFT_FOREVER - 1, INT64_MAX / 2};
  for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++) {
    weft_timeout s;
    CHECK_INT(weft_timeout_begin(&s, weft_ms(1)), 0);
    int r = weft_sleep(long_ones[i]);
    CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  }
}

TASK_TEST(a_sleep_for_ever_is_ended_by_a_timeout) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(20)), 0);
  int r = weft_sleep(WEFT_FOREVER);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
}

static int forever(void *latch) {
  latch_hit(latch);
  return weft_sleep(WEFT_FOREVER);
}

TASK_TEST(T19_a_cancelled_sleep_returns_at_once) {
  struct latch parked = {0};
  weft_ns start = weft_now();
  weft_task t = weft_spawn(forever, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(weft_now() - start < weft_sec(2 * COUNTS_SLOWER));
}

static int sleep_again_after_a_cancel(void *arg) {
  struct latch *parked = arg;
  for (int i = 0; i < count(20); i++) {
    latch_hit(parked);
    /* Cancelled or not, its timer must not end the sleep that follows. */
    if (weft_sleep(weft_ms(2)) == WEFT_ECANCELED) weft_cancel_catch();
    weft_ns start = weft_now();
    int r = weft_sleep(weft_ms(6));
    if (r == WEFT_ECANCELED)
      weft_cancel_catch();
    else
      CHECK(weft_now() - start >= weft_ms(6));
  }
  return 0;
}

TASK_TEST(T19_a_cancelled_sleep_drops_its_timer) {
  struct latch parked = {0};
  weft_task t = weft_spawn(sleep_again_after_a_cancel, &parked, NULL);
  for (int i = 1; i <= count(20); i++) {
    CHECK_INT(latch_wait(&parked, i), 0);
    weft_cancel(t);
  }
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_detach(t), 0);
}

TASK_TEST(many_cancelled_sleeps_leave_nothing_behind) {
  static weft_task t[COUNT_TASKS / 10];
  for (int round = 0; round < 10; round++) {
    struct latch l = {0};
    for (int i = 0; i < count(COUNT_TASKS / 10); i++) t[i] = weft_spawn(hit_and_park, &l, NULL);
    for (int i = 0; i < count(COUNT_TASKS / 10); i++) {
      weft_cancel(t[i]);
      CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
    }
  }
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

/* ---- yield ---- */

TASK_TEST(yield_returns_0_when_nobody_else_is_there) {
  for (int i = 0; i < count(1000); i++)
    if (!CHECK_INT(weft_yield(), 0)) return;
}

TASK_TEST(T18_yield_lets_the_others_run) {
  struct latch flag = {0};
  weft_task waiting = weft_spawn(wait_for_latch, &flag, NULL);
  CHECK_INT(weft_yield(), 0);
  weft_task setting = weft_spawn(hit_and_return, &flag, NULL);
  CHECK_INT(weft_await(waiting), 0); /* would never end if a yield kept the worker */
  CHECK_INT(weft_await(setting), 0);
}

TASK_TEST(a_task_that_never_has_to_wait_lets_others_run_now_and_then) {
  struct latch flag = {0};
  weft_task done = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(weft_task_wait(done, NULL), 0);
  weft_task other = weft_spawn(hit_and_return, &flag, NULL);
  while (latch_hits(&flag) == 0)
    if (!CHECK_INT(weft_task_wait(done, NULL), 0)) break; /* never suspends by itself */
  CHECK_INT(weft_await(other), 0);
  CHECK_INT(weft_await(done), 0);
}

static int yield_many_times(void *arg) {
  int r = 0;
  for (int i = 0; i < *(int *)arg && r == 0; i++) r = weft_yield();
  return r;
}

TASK_TEST(timers_fire_among_tasks_that_always_have_something_to_do) {
  enum { N = 50 };
  weft_task t[N];
  int turns = count(COUNT_TASKS);
  weft_ns duration = weft_ms(5), start = weft_now();
  for (int i = 0; i < N; i++) t[i] = weft_spawn(yield_many_times, &turns, NULL);
  CHECK_INT(sleep_and_compare(&duration), 0);
  CHECK(weft_now() - start < weft_sec(2 * COUNTS_SLOWER));
  for (int i = 0; i < N; i++) {
    weft_cancel(t[i]);
    int code = weft_await(t[i]);
    CHECK(code == 0 || code == WEFT_ECANCELED);
  }
}

/* ---- deadlines in order ---- */

struct in_order {
  weft_ns duration;
  atomic_int *next;
  int place;
};

static int sleep_and_take_a_place(void *arg) {
  struct in_order *o = arg;
  int r = weft_sleep(o->duration);
  o->place = atomic_fetch_add(o->next, 1);
  return r;
}

TASK_TEST(R2_sleeps_far_apart_end_by_their_deadline) {
  enum { N = 5 };
  struct in_order o[N];
  weft_task t[N];
  atomic_int next = 0;
  for (int i = 0; i < N; i++) {
    o[i] =
        (struct in_order){.duration = weft_ms(100 * COUNTS_PICK(1, 2, 5) * (N - i)), .next = &next};
    t[i] = weft_spawn(sleep_and_take_a_place, &o[i], NULL);
  }
  for (int i = 0; i < N; i++) CHECK_INT(weft_await(t[i]), 0);
  for (int i = 0; i < N; i++) CHECK_INT(o[i].place, N - 1 - i);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R2_a_sleep_is_never_early),
    cmocka_unit_test(R2_thousands_of_sleeps_at_once_are_never_early),
    cmocka_unit_test(sleepers_sleep_at_the_same_time),
    cmocka_unit_test(R2_zero_and_negative_sleeps_return_at_once),
    cmocka_unit_test(T19_every_duration_means_something),
    cmocka_unit_test(a_sleep_for_ever_is_ended_by_a_timeout),
    cmocka_unit_test(T19_a_cancelled_sleep_returns_at_once),
    cmocka_unit_test(T19_a_cancelled_sleep_drops_its_timer),
    cmocka_unit_test(many_cancelled_sleeps_leave_nothing_behind),
    cmocka_unit_test(yield_returns_0_when_nobody_else_is_there),
    cmocka_unit_test(T18_yield_lets_the_others_run),
    cmocka_unit_test(a_task_that_never_has_to_wait_lets_others_run_now_and_then),
    cmocka_unit_test(timers_fire_among_tasks_that_always_have_something_to_do),
    cmocka_unit_test(R2_sleeps_far_apart_end_by_their_deadline),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
