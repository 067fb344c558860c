/* weft_wait_for with a function, weft_wait_for_task, and what happens when an event meets its deadline. */
#include <stdatomic.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

static int sleep_long(void *arg) {
  (void)arg;
  return weft_sleep(A_LONG_TIME);
}

static int note_cancel(void *arg) {
  *(int *)arg = weft_sleep(A_LONG_TIME);
  return *(int *)arg;
}

/* ---- weft_wait_for ---- */

TASK_TEST(wait_for_returns_the_functions_code) {
  int code = OWN_ERROR;
  CHECK_INT(weft_wait_for(return_seven, NULL, weft_sec(60)), 7);
  CHECK_INT(weft_wait_for(return_given, &code, weft_sec(60)), OWN_ERROR);
}

TASK_TEST(X1_wait_for_answers_etimedout_when_the_time_ran_out) {
  weft_ns start = weft_now();
  CHECK_INT(weft_wait_for(sleep_long, NULL, weft_ms(20)), WEFT_ETIMEDOUT);
  CHECK(weft_now() - start >= weft_ms(20));
  CHECK_INT(weft_yield(), 0);
}

static int swallow(void *arg) {
  (void)arg;
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  return 6;
}

TASK_TEST(X2_a_function_that_swallows_its_cut_gives_its_own_value) {
  CHECK_INT(weft_wait_for(swallow, NULL, weft_ms(5)), 6);
  CHECK_INT(weft_yield(), 0);
}

static int fail_when_cut(void *arg) {
  latch_hit(arg);
  return weft_sleep(A_LONG_TIME) == WEFT_ECANCELED ? OWN_ERROR : 0;
}

TASK_TEST(X3_an_error_raised_while_being_cut_replaces_etimedout) {
  struct latch begun = {0};
  CHECK_INT(weft_wait_for(fail_when_cut, &begun, weft_ms(5)), OWN_ERROR);
  weft_task t = weft_spawn(fail_when_cut, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 2), 0);
  CHECK_INT(weft_wait_for_task(t, weft_ms(5)), OWN_ERROR);
}

TASK_TEST(X4_wait_for_with_no_time_never_calls_the_function) {
  static const weft_ns none[] = {0, -1, INT64_MIN};
  struct latch runs = {0};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
    CHECK_INT(weft_wait_for(hit_and_return, &runs, none[i]), WEFT_ETIMEDOUT);
  CHECK_INT(latch_hits(&runs), 0);
}

struct whoami {
  weft_task task;
};

static int note_current(void *arg) {
  ((struct whoami *)arg)->task = weft_current();
  return weft_yield();
}

TASK_TEST(X6_wait_for_runs_the_function_in_the_callers_own_task) {
  struct whoami w = {0};
  weft_task me = weft_current();
  CHECK_INT(weft_wait_for(note_current, &w, weft_sec(60)), 0);
  CHECK_PTR(w.task.slot_, me.slot_);
  CHECK_UINT(w.task.key_, me.key_);
}

TASK_TEST(X7_wait_for_without_a_limit_waits) {
  CHECK_INT(weft_wait_for(return_seven, NULL, WEFT_FOREVER), 7);
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_wait_for_task(t, WEFT_FOREVER), 7);
}

static int wait_for_within_wait_for(void *arg) {
  int r = weft_wait_for(sleep_long, arg, A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  return r;
}

TASK_TEST(D3_wait_for_nests) {
  CHECK_INT(weft_wait_for(wait_for_within_wait_for, NULL, weft_ms(5)), WEFT_ETIMEDOUT);
}

/* ---- weft_wait_for_task ---- */

TASK_TEST(wait_for_task_gives_the_code_and_consumes_the_handle) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_wait_for_task(t, weft_sec(60)), 7);
  CHECK_INT(weft_wait_for_task(t, weft_sec(60)), WEFT_ESTALE);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
}

struct slow_cleanup {
  struct latch begun;
  atomic_int over;
};

static int clean_up_slowly(void *arg) {
  struct slow_cleanup *c = arg;
  int r = hit_and_park(&c->begun);
  weft_shield_begin();
  weft_sleep(weft_ms(20));
  weft_shield_end();
  atomic_store(&c->over, 1);
  return r;
}

TASK_TEST(X1_wait_for_task_waits_until_the_task_is_really_over) {
  struct slow_cleanup c = {0};
  weft_task t = weft_spawn(clean_up_slowly, &c, NULL);
  CHECK_INT(latch_wait(&c.begun, 1), 0);
  CHECK_INT(weft_wait_for_task(t, weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK_INT(atomic_load(&c.over), 1);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(weft_yield(), 0);
}

static int refuse_then_return(void *arg) {
  int r = hit_and_park(arg);
  CHECK_INT(r, WEFT_ECANCELED);
  weft_cancel_catch();
  return 9;
}

TASK_TEST(X2_a_task_that_refuses_the_cancel_gives_its_own_value) {
  struct latch parked = {0};
  weft_task t = weft_spawn(refuse_then_return, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_wait_for_task(t, weft_ms(5)), 9);
}

TASK_TEST(X4_wait_for_task_with_no_time_gives_a_done_tasks_code) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_wait_for_task(t, 0), 7);
}

TASK_TEST(X4_wait_for_task_with_no_time_cancels_a_running_task_and_waits) {
  struct slow_cleanup c = {0};
  weft_task t = weft_spawn(clean_up_slowly, &c, NULL);
  CHECK_INT(latch_wait(&c.begun, 1), 0);
  CHECK_INT(weft_wait_for_task(t, 0), WEFT_ETIMEDOUT);
  CHECK_INT(atomic_load(&c.over), 1);
}

struct waiting {
  weft_task inner;
  struct latch at_work;
};

static int wait_for_inner(void *arg) {
  struct waiting *w = arg;
  latch_hit(&w->at_work);
  int r = weft_wait_for_task(w->inner, A_LONG_TIME);
  CHECK_INT(weft_yield(), r == WEFT_ECANCELED ? WEFT_ECANCELED : 0);
  return r;
}

TASK_TEST(X5_cancelling_wait_for_task_cancels_the_inner_task) {
  struct latch parked = {0};
  struct waiting w = {0};
  w.inner = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_task t = weft_spawn(wait_for_inner, &w, NULL);
  CHECK_INT(latch_wait(&w.at_work, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_await(w.inner), WEFT_ESTALE);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

static int wait_for_releasable(void *arg) {
  struct waiting *w = arg;
  latch_hit(&w->at_work);
  int r = weft_wait_for_task(w->inner, A_LONG_TIME);
  /* Bent form: when the inner task ended first, its code comes out and the cancel at the next
   * suspension. Either way the cancel is seen exactly once. */
  if (r == 0) r = weft_sleep(A_LONG_TIME);
  return r;
}

TASK_TEST(X5_a_cancel_that_meets_the_inner_tasks_end_is_never_lost) {
  for (int i = 0; i < count(COUNT_RACES / 100); i++) {
    struct latch release = {0};
    struct waiting w = {0};
    w.inner = weft_spawn(wait_for_latch, &release, NULL);
    weft_task t = weft_spawn(wait_for_releasable, &w, NULL);
    CHECK_INT(latch_wait(&w.at_work, 1), 0);
    latch_hit(&release);
    CHECK_INT(weft_cancel(t), 1);
    if (!CHECK_INT(weft_await(t), WEFT_ECANCELED)) return;
  }
}

TASK_TEST(an_outer_scope_cuts_wait_for_task_and_cancels_the_inner_task) {
  weft_timeout s;
  int inner = 0;
  weft_task t = weft_spawn(note_cancel, &inner, NULL);
  CHECK_INT(weft_timeout_begin(&s, weft_ms(10)), 0);
  int r = weft_wait_for_task(t, A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
}

/* ---- an event meets its deadline ---- */

struct racing {
  weft_ns length;
};

static int sleep_racing(void *arg) {
  return weft_sleep(((struct racing *)arg)->length);
}

TASK_TEST(a_wake_up_that_meets_its_deadline_has_one_outcome) {
  int ended = 0, cut = 0;
  for (int i = 0; i < count(COUNT_RACES / 100); i++) {
    struct racing r = {.length = weft_us(50 + i % 7)};
    weft_timeout s;
    weft_task t = weft_spawn(sleep_racing, &r, NULL);
    CHECK_INT(weft_timeout_begin(&s, weft_us(53)), 0);
    int code = weft_await(t);
    int end = weft_timeout_end(&s, code);
    CHECK(end == 0 || end == WEFT_ETIMEDOUT);
    CHECK_INT(end, code == WEFT_ECANCELED ? WEFT_ETIMEDOUT : 0);
    ended += end == 0;
    cut += end != 0;
    if (!CHECK_INT(weft_yield(), 0) || weft_test_failed()) return;
  }
  CHECK_INT(ended + cut, count(COUNT_RACES / 100));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(wait_for_returns_the_functions_code),
    cmocka_unit_test(X1_wait_for_answers_etimedout_when_the_time_ran_out),
    cmocka_unit_test(X2_a_function_that_swallows_its_cut_gives_its_own_value),
    cmocka_unit_test(X3_an_error_raised_while_being_cut_replaces_etimedout),
    cmocka_unit_test(X4_wait_for_with_no_time_never_calls_the_function),
    cmocka_unit_test(X6_wait_for_runs_the_function_in_the_callers_own_task),
    cmocka_unit_test(X7_wait_for_without_a_limit_waits),
    cmocka_unit_test(D3_wait_for_nests),
    cmocka_unit_test(wait_for_task_gives_the_code_and_consumes_the_handle),
    cmocka_unit_test(X1_wait_for_task_waits_until_the_task_is_really_over),
    cmocka_unit_test(X2_a_task_that_refuses_the_cancel_gives_its_own_value),
    cmocka_unit_test(X4_wait_for_task_with_no_time_gives_a_done_tasks_code),
    cmocka_unit_test(X4_wait_for_task_with_no_time_cancels_a_running_task_and_waits),
    cmocka_unit_test(X5_cancelling_wait_for_task_cancels_the_inner_task),
    cmocka_unit_test(X5_a_cancel_that_meets_the_inner_tasks_end_is_never_lost),
    cmocka_unit_test(an_outer_scope_cuts_wait_for_task_and_cancels_the_inner_task),
    cmocka_unit_test(a_wake_up_that_meets_its_deadline_has_one_outcome),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
