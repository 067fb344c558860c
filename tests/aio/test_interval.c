/* Interval tickers. How late a tick is depends on the machine, so real runs check bounds from below only;
 * what a late tick leads to is shown by ticks that are made late on purpose. */
#include <stdint.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

#define PERIOD weft_ms(2)

static weft_interval new_interval(weft_interval_missed missed, bool delayed) {
  weft_interval i;
  weft_interval_opts opts = {.missed = missed, .delayed = delayed};
  CHECK_INT(weft_interval_init(&i, PERIOD, &opts), 0);
  return i;
}

/* The tick is due at this time and not early. */
static weft_ns tick(weft_interval *i) {
  weft_ns due = -1;
  CHECK_INT(weft_interval_tick(i, &due), 1);
  CHECK(weft_now() >= due);
  return due;
}

TASK_TEST(the_first_tick_is_due_at_once_or_after_a_period) {
  weft_ns before = weft_now();
  weft_interval now = new_interval(WEFT_INTERVAL_BURST, false);
  weft_interval delayed = new_interval(WEFT_INTERVAL_BURST, true);
  weft_ns after = weft_now();
  weft_ns first = tick(&now);
  CHECK(first >= before && first <= after);
  first = tick(&delayed);
  CHECK(first >= before + PERIOD && first <= after + PERIOD);
  CHECK(weft_now() >= before + PERIOD);
}

TASK_TEST(ticks_are_due_at_fixed_distances_and_never_early) {
  weft_interval i = new_interval(WEFT_INTERVAL_BURST, true);
  weft_ns first = tick(&i);
  for (int n = 1; n < 6; n++) CHECK_INT(tick(&i), first + n * PERIOD);
  CHECK_UINT(i.left_out, 0);
}

TASK_TEST(a_burst_gives_every_late_tick) {
  weft_interval i = new_interval(WEFT_INTERVAL_BURST, false);
  weft_ns first = tick(&i);
  CHECK_INT(weft_sleep(5 * PERIOD), 0);
  for (int n = 1; n < 8; n++) CHECK_INT(tick(&i), first + n * PERIOD);
  CHECK_UINT(i.left_out, 0);
}

TASK_TEST(skip_leaves_out_what_was_missed_and_keeps_the_beat) {
  weft_interval i = new_interval(WEFT_INTERVAL_SKIP, false);
  weft_ns first = tick(&i), second = i.due_;
  uint64_t left_out = i.left_out; /* by a thread that lost its CPU before the first tick */
  CHECK_INT(weft_sleep(5 * PERIOD), 0);
  weft_ns before = weft_now();
  CHECK_INT(tick(&i), second); /* the one that is late comes */
  left_out = i.left_out - left_out;
  CHECK(left_out >= 4);
  weft_ns next = tick(&i);
  CHECK_INT((next - first) % PERIOD, 0);
  CHECK_INT(next, second + (weft_ns)(1 + left_out) * PERIOD);
  CHECK(next > before);
}

TASK_TEST(delay_starts_the_beat_anew_after_a_late_tick) {
  weft_interval i = new_interval(WEFT_INTERVAL_DELAY, false);
  tick(&i);
  weft_ns second = i.due_;
  CHECK_INT(weft_sleep(3 * PERIOD + PERIOD / 2), 0);
  weft_ns before = weft_now();
  CHECK_INT(tick(&i), second);
  weft_ns after = weft_now();
  CHECK(i.left_out >= 2);
  weft_ns next = tick(&i);
  CHECK(next >= before + PERIOD && next <= after + PERIOD);
}

TASK_TEST(a_tick_a_little_late_does_not_move_the_beat) {
  weft_interval i;
  weft_interval_opts opts = {.missed = WEFT_INTERVAL_DELAY};
  CHECK_INT(weft_interval_init(&i, A_LONG_TIME, &opts), 0);
  weft_ns first = tick(&i);
  weft_interval_reset(&i, -1);
  weft_ns again = tick(&i);
  CHECK(again >= first);
  CHECK_INT(i.due_, again + A_LONG_TIME);
  CHECK_UINT(i.left_out, 0);
}

struct ticking {
  weft_interval *i;
  struct latch begun;
};

static int wait_for_tick(void *arg) {
  struct ticking *t = arg;
  latch_hit(&t->begun);
  return weft_interval_tick(t->i, NULL);
}

TASK_TEST(a_cancelled_tick_is_still_to_come) {
  weft_interval i = new_interval(WEFT_INTERVAL_SKIP, true);
  weft_ns due = i.due_ = weft_now() + A_LONG_TIME;
  struct ticking t = {.i = &i};
  weft_task waits = weft_spawn(wait_for_tick, &t, NULL);
  CHECK_INT(latch_wait(&t.begun, 1), 0);
  CHECK_INT(weft_cancel(waits), 1);
  CHECK_INT(weft_await(waits), WEFT_ECANCELED);
  CHECK_INT(i.due_, due);
  weft_timeout s;
  weft_timeout_begin(&s, PERIOD);
  CHECK_INT(weft_timeout_end(&s, weft_interval_tick(&i, NULL)), WEFT_ETIMEDOUT);
  CHECK_INT(i.due_, due);
}

/* Also where it is never waited for: a cancel ends a loop of late ticks. */
static int tick_for_ever(void *arg) {
  weft_interval i;
  int r = weft_interval_init(&i, 1, NULL);
  latch_hit(arg);
  while (r >= 0) r = weft_interval_tick(&i, NULL);
  return r;
}

TASK_TEST(a_cancel_ends_a_burst_and_others_run_during_it) {
  struct latch begun = {0};
  weft_task t = weft_spawn(tick_for_ever, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

TASK_TEST(a_stopped_interval_has_ended_until_it_is_reset) {
  weft_interval i = new_interval(WEFT_INTERVAL_BURST, false);
  tick(&i);
  weft_interval_stop(&i);
  CHECK_INT(weft_interval_tick(&i, NULL), 0);
  CHECK_INT(weft_interval_tick(&i, NULL), 0);
  weft_ns before = weft_now();
  weft_interval_reset(&i, 3 * PERIOD);
  weft_ns after = weft_now();
  weft_ns due = tick(&i);
  CHECK(due >= before + 3 * PERIOD && due <= after + 3 * PERIOD);
  CHECK_INT(tick(&i), due + PERIOD);
}

TASK_TEST(a_period_that_never_ends_does_not_overflow) {
  weft_interval i;
  CHECK_INT(weft_interval_init(&i, WEFT_FOREVER, NULL), 0);
  tick(&i);
  CHECK_INT(i.due_, WEFT_FOREVER);
  weft_timeout s;
  weft_timeout_begin(&s, PERIOD);
  CHECK_INT(weft_timeout_end(&s, weft_interval_tick(&i, NULL)), WEFT_ETIMEDOUT);
}

TASK_TEST(a_bad_period_or_policy_is_einval) {
  weft_interval i;
  CHECK_INT(weft_interval_init(&i, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_interval_init(&i, -5, NULL), WEFT_EINVAL);
  weft_interval_opts opts = {.missed = (weft_interval_missed)3};
  CHECK_INT(weft_interval_init(&i, 1, &opts), WEFT_EINVAL);
}

static void outside_a_task_a_tick_is_enotask(void **state) {
  (void)state;
  weft_interval i;
  CHECK_INT(weft_interval_init(&i, PERIOD, NULL), 0);
  CHECK_INT(weft_interval_tick(&i, NULL), WEFT_ENOTASK);
}

/* Two beats and a task that works between its ticks, in virtual time: nothing drifts. */
static int beat(void *arg) {
  weft_interval i;
  weft_ns first = 0, due = 0;
  int work = *(int *)arg;
  int r = weft_interval_init(&i, weft_ms(10), NULL);
  for (int n = 0; r >= 0 && n < 200; n++) {
    r = weft_interval_tick(&i, &due);
    if (n == 0) first = due;
    CHECK_INT(due, first + n * weft_ms(10));
    CHECK(weft_now() >= due);
    weft_sim_work(weft_us(work));
  }
  return r < 0 ? r : 0;
}

static int beats(void *arg) {
  (void)arg;
  int work[] = {100, 900};
  weft_task tasks[] = {weft_spawn(beat, &work[0], NULL), weft_spawn(beat, &work[1], NULL)};
  return weft_gather(tasks, 2, NULL);
}

static void in_virtual_time_nothing_drifts(void **state) {
  (void)state;
  if (counts_simulated()) return;
  weft_sim_report report;
  CHECK_INT(weft_simulate(beats, NULL, &(weft_sim_opts){.seeds = 20}, &report), 0);
  CHECK(report.time >= weft_ms(1990));
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_tick_is_due_at_once_or_after_a_period),
      cmocka_unit_test(ticks_are_due_at_fixed_distances_and_never_early),
      cmocka_unit_test(a_burst_gives_every_late_tick),
      cmocka_unit_test(skip_leaves_out_what_was_missed_and_keeps_the_beat),
      cmocka_unit_test(delay_starts_the_beat_anew_after_a_late_tick),
      cmocka_unit_test(a_tick_a_little_late_does_not_move_the_beat),
      cmocka_unit_test(a_cancelled_tick_is_still_to_come),
      cmocka_unit_test(a_cancel_ends_a_burst_and_others_run_during_it),
      cmocka_unit_test(a_stopped_interval_has_ended_until_it_is_reset),
      cmocka_unit_test(a_period_that_never_ends_does_not_overflow),
      cmocka_unit_test(a_bad_period_or_policy_is_einval),
      cmocka_unit_test(outside_a_task_a_tick_is_enotask),
      cmocka_unit_test(in_virtual_time_nothing_drifts),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
