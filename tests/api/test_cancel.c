/* Cancelling: delivery, stickiness, catching, counting, taking back, and the shield scope. */
#include <pthread.h>
#include <stdatomic.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "task_test.h"

/* ---- before the first run ---- */

TASK_TEST(T2_a_task_cancelled_before_its_first_run_never_runs) {
  struct latch runs = {0};
  /* Pinned: it cannot begin before this task suspends. */
  weft_task t = weft_spawn(hit_and_return, &runs, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(latch_hits(&runs), 0);
}

TASK_TEST(T2_an_uncancel_before_the_first_run_lets_it_run) {
  struct latch runs = {0};
  weft_task t = weft_spawn(hit_and_return, &runs, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_uncancel(t), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(latch_hits(&runs), 1);
}

TASK_TEST(T2_a_cancelled_unbegun_task_ends_without_being_awaited) {
  struct latch runs = {0};
  weft_task t = weft_spawn(hit_and_return, &runs, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_cancel(t), 1);
  while (weft_task_done(t) == 0) CHECK_INT(weft_yield(), 0);
  CHECK_INT(latch_hits(&runs), 0);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

TASK_TEST(T2_cancelling_thousands_before_they_run) {
  static weft_task t[COUNT_TASKS];
  struct latch runs = {0};
  int ran = 0;
  for (int i = 0; i < count(COUNT_TASKS); i++) t[i] = weft_spawn(hit_and_return, &runs, NULL);
  for (int i = 0; i < count(COUNT_TASKS); i++) weft_cancel(t[i]);
  for (int i = 0; i < count(COUNT_TASKS); i++) {
    int code = weft_await(t[i]);
    CHECK(code == 0 || code == WEFT_ECANCELED);
    ran += code == 0;
  }
  /* A body that ran and met its cancel while it ran ended cancelled, hence not fewer. */
  CHECK(latch_hits(&runs) >= ran);
}

/* ---- delivery ---- */

TASK_TEST(T3_a_parked_task_is_cancelled_where_it_waits) {
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

static int cancel_self_and_suspend(void *arg) {
  (void)arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_task_done(weft_current()), 0);
  CHECK_INT(weft_cancelling(weft_current()), 1);
  CHECK_INT(weft_sleep(weft_ms(1)), WEFT_ECANCELED);
  return 5;
}

TASK_TEST(T3_a_running_task_is_cancelled_at_its_next_suspension) {
  CHECK_INT(weft_await(weft_spawn(cancel_self_and_suspend, NULL, NULL)), 5);
}

struct spinner {
  struct latch spinning, stop;
  int answer;
};

static int spin_then_suspend(void *arg) {
  struct spinner *s = arg;
  latch_hit(&s->spinning);
  while (latch_hits(&s->stop) == 0) weft_sim_point();
  s->answer = weft_yield();
  return s->answer;
}

struct canceller {
  weft_task victim;
  struct spinner *spinner;
  int answer, cancelling;
};

static void *cancel_on_a_thread(void *arg) {
  struct canceller *c = arg;
  latch_wait_thread(&c->spinner->spinning, 1);
  c->answer = weft_cancel(c->victim);
  c->cancelling = weft_cancelling(c->victim);
  latch_hit(&c->spinner->stop);
  return NULL;
}

TASK_TEST(T3_a_foreign_thread_cancels_a_task_that_is_running) {
  struct spinner s = {0};
  pthread_t thread;
  struct canceller c = {.spinner = &s};
  c.victim = weft_spawn(spin_then_suspend, &s, NULL);
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, cancel_on_a_thread, &c), 0)) return;
  CHECK_INT(weft_await(c.victim), WEFT_ECANCELED);
  weft__sys_thread_join(thread);
  CHECK_INT(c.answer, 1);
  CHECK_INT(c.cancelling, 1);
  CHECK_INT(s.answer, WEFT_ECANCELED);
}

static int cancel_self_and_return(void *arg) {
  int *wrote = arg;
  *wrote = 9;
  CHECK_INT(weft_cancel(weft_current()), 1);
  return 5;
}

TASK_TEST(T4_a_task_that_returns_with_an_undelivered_cancel_ends_cancelled) {
  int wrote = 0;
  CHECK_INT(weft_await(weft_spawn(cancel_self_and_return, &wrote, NULL)), WEFT_ECANCELED);
  CHECK_INT(wrote, 9); /* its code is lost, its argument is not */
}

static int cancel_self_and_fail(void *arg) {
  (void)arg;
  weft_cancel(weft_current());
  return OWN_ERROR;
}

TASK_TEST(T4_one_that_fails_keeps_its_error) {
  CHECK_INT(weft_await(weft_spawn(cancel_self_and_fail, NULL, NULL)), OWN_ERROR);
}

/* ---- stickiness and catching ---- */

static int stay_cancelled(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  struct latch *parked = arg;
  int code = 12345;
  CHECK_INT(hit_and_park(parked), WEFT_ECANCELED);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_yield(), WEFT_ECANCELED);
    CHECK_INT(weft_sleep(0), WEFT_ECANCELED);
    CHECK_INT(weft_sleep(weft_ms(1)), WEFT_ECANCELED);
  }
  weft_task t = weft_spawn(hit_and_park, parked, NULL);
  CHECK_INT(weft_task_wait(t, &code), WEFT_ECANCELED);
  CHECK_INT(code, 12345);
  CHECK_INT(weft_task_done(t), 0);
  CHECK_INT(weft_cancelling(t), 0);
  CHECK_INT(weft_to_thread(return_seven, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_spawn(&g, hit_and_park, parked, NULL), 0);
  CHECK_INT(weft_group_join(&g), WEFT_ECANCELED);
  CHECK_INT(weft_gather(&t, 1, NULL), WEFT_ECANCELED); /* cancels t */
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  t = weft_spawn(hit_and_park, parked, NULL);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  return 3;
}

TASK_TEST(T5_a_cancel_is_sticky_in_every_cancel_point) {
  struct latch parked = {0};
  weft_task t = weft_spawn(stay_cancelled, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 3); /* delivered, so the task's own code counts */
}

static int catch_and_go_on(void *parked) {
  CHECK_INT(hit_and_park(parked), WEFT_ECANCELED);
  CHECK_INT(weft_cancel_catch(), true);
  CHECK_INT(weft_cancel_catch(), false);
  CHECK_INT(weft_cancelling(weft_current()), 1);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  return 8;
}

TASK_TEST(T5_a_task_may_catch_its_cancel_and_go_on) {
  struct latch parked = {0};
  weft_task t = weft_spawn(catch_and_go_on, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_cancelling(t), 1);
  CHECK_INT(weft_await(t), 8);
}

static int catch_twice(void *parked) {
  CHECK_INT(hit_and_park(parked), WEFT_ECANCELED);
  weft_cancel_catch();
  CHECK_INT(hit_and_park(parked), WEFT_ECANCELED);
  weft_cancel_catch();
  return weft_cancelling(weft_current());
}

TASK_TEST(T5_a_second_cancel_is_delivered_after_the_first_was_caught) {
  struct latch parked = {0};
  weft_task t = weft_spawn(catch_twice, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(latch_wait(&parked, 2), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 2);
}

TASK_TEST(a_task_that_was_not_cancelled_has_nothing_to_catch) {
  CHECK_INT(weft_cancel_catch(), false);
  CHECK_INT(weft_yield(), 0);
}

static int turn_the_cancel_into_an_error(void *parked) {
  return hit_and_park(parked) == WEFT_ECANCELED ? OWN_ERROR : 0;
}

TASK_TEST(T11_an_error_made_while_handling_the_cancel_becomes_the_tasks_code) {
  struct latch parked = {0};
  weft_task t = weft_spawn(turn_the_cancel_into_an_error, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), OWN_ERROR);
}

/* ---- counting and taking back ---- */

static int count_own_requests(void *arg) {
  weft_task me = weft_current();
  (void)arg;
  CHECK_INT(weft_cancelling(me), 0);
  CHECK_INT(weft_uncancel(me), 0); /* never below 0 */
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_cancelling(me), 3);
  CHECK_INT(weft_uncancel(me), 2);
  CHECK_INT(weft_yield(), WEFT_ECANCELED); /* two requests are left */
  CHECK_INT(weft_uncancel(me), 1);
  CHECK_INT(weft_uncancel(me), 0);
  CHECK_INT(weft_uncancel(me), 0);
  CHECK_INT(weft_cancelling(me), 0);
  /* It was delivered before the count fell to 0: only catching it ends the stickiness. */
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_cancel_catch(), true);
  CHECK_INT(weft_yield(), 0);
  return 4;
}

TASK_TEST(T6_cancelling_counts_and_uncancel_lowers_never_below_0) {
  CHECK_INT(weft_await(weft_spawn(count_own_requests, NULL, NULL)), 4);
}

static int withdraw_own_cancel(void *arg) {
  weft_task me = weft_current();
  (void)arg;
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_uncancel(me), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_uncancel(me), 1);
  CHECK_INT(weft_uncancel(me), 0);
  CHECK_INT(weft_sleep(weft_us(10)), 0);
  CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_uncancel(me), 0);
  return 6;
}

TASK_TEST(T7_uncancel_to_0_before_delivery_withdraws_the_cancel) {
  CHECK_INT(weft_await(weft_spawn(withdraw_own_cancel, NULL, NULL)), 6);
}

static int park_twice(void *arg) {
  struct latch *l = arg;
  int r = hit_and_park(&l[0]);
  CHECK_INT(r, WEFT_ECANCELED);
  weft_cancel_catch();
  return latch_wait(&l[1], 1);
}

TASK_TEST(T10_an_ended_task_cannot_be_cancelled_and_its_count_stays) {
  struct latch l[2] = {0};
  weft_task t = weft_spawn(park_twice, l, NULL);
  CHECK_INT(latch_wait(&l[0], 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  latch_hit(&l[1]);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_cancel(t), 0);
  CHECK_INT(weft_cancel(t), 0);
  CHECK_INT(weft_cancelling(t), 1);
  CHECK_INT(weft_await(t), 0);
}

static int cancel_own_child(void *arg) {
  struct latch parked = {0};
  (void)arg;
  weft_task t = weft_spawn(hit_and_park, &parked, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  /* Both are pinned to this worker: it cannot have run since. */
  CHECK_INT(weft_task_done(t), 0);
  return weft_await(t);
}

TASK_TEST(T10_a_task_is_not_done_until_it_let_the_cancel_out) {
  weft_task t = weft_spawn(cancel_own_child, NULL, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

/* ---- the main task ---- */

static int cancel_main_and_go_on(void *arg) {
  (void)arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  weft_cancel_catch();
  CHECK_INT(weft_yield(), 0);
  return 2;
}

static void the_main_task_can_be_cancelled_like_any_other(void **state) {
  (void)state;
  CHECK_INT(weft_run(cancel_main_and_go_on, NULL, NULL), 2);
  CHECK_INT(weft_run(cancel_self_and_fail, NULL, NULL), OWN_ERROR);
}

/* ---- the shield scope ---- */

static int shielded_work(void *arg) {
  struct latch *parked = arg;
  CHECK_INT(hit_and_park(parked), WEFT_ECANCELED);
  weft_shield_begin();
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_INT(weft_to_thread(return_seven, NULL), 7);
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return WEFT_ECANCELED;
}

TASK_TEST(S1_cleanup_waits_under_a_shield_after_a_cancel) {
  struct latch parked = {0};
  weft_task t = weft_spawn(shielded_work, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

struct shielded {
  struct latch inside, release;
  int in_shield, after;
};

static int wait_under_a_shield(void *arg) {
  struct shielded *s = arg;
  weft_shield_begin();
  latch_hit(&s->inside);
  s->in_shield = latch_wait(&s->release, 1);
  if (s->in_shield == 0) s->in_shield = weft_sleep(weft_ms(1));
  weft_shield_end();
  s->after = weft_yield();
  return s->after;
}

TASK_TEST(S1_a_cancel_that_comes_inside_a_shield_is_delivered_after_it) {
  struct shielded s = {0};
  weft_task t = weft_spawn(wait_under_a_shield, &s, NULL);
  CHECK_INT(latch_wait(&s.inside, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_cancelling(t), 1);
  latch_hit(&s.release);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(s.in_shield, 0);
  CHECK_INT(s.after, WEFT_ECANCELED);
}

static int sleep_under_a_shield(void *arg) {
  struct shielded *s = arg;
  weft_ns start = weft_now();
  weft_shield_begin();
  latch_hit(&s->inside);
  s->in_shield = weft_sleep(weft_ms(30));
  weft_shield_end();
  CHECK(weft_now() - start >= weft_ms(30));
  return 1;
}

TASK_TEST(S1_a_shielded_sleep_lasts_its_time_though_cancelled) {
  struct shielded s = {0};
  weft_task t = weft_spawn(sleep_under_a_shield, &s, NULL);
  CHECK_INT(latch_wait(&s.inside, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED); /* T4: it returned with the cancel undelivered */
  CHECK_INT(s.in_shield, 0);
}

static int uncancel_under_a_shield(void *arg) {
  (void)arg;
  weft_shield_begin();
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_uncancel(weft_current()), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), 0);
  return 1;
}

TASK_TEST(T7_a_cancel_withdrawn_under_a_shield_is_never_delivered) {
  CHECK_INT(weft_await(weft_spawn(uncancel_under_a_shield, NULL, NULL)), 1);
}

static int nested_shields(void *arg) {
  (void)arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  weft_shield_begin();
  weft_shield_begin();
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return 1;
}

TASK_TEST(shields_nest) {
  CHECK_INT(weft_await(weft_spawn(nested_shields, NULL, NULL)), 1);
}

static int await_under_a_shield(void *arg) {
  struct shielded *s = arg;
  weft_task t = weft_spawn(wait_for_latch, &s->release, NULL);
  weft_shield_begin();
  latch_hit(&s->inside);
  s->in_shield = weft_await(t);
  weft_shield_end();
  return weft_yield();
}

TASK_TEST(S1_a_cancel_does_not_pass_through_a_shield_to_the_awaited_task) {
  struct shielded s = {0};
  weft_task t = weft_spawn(await_under_a_shield, &s, NULL);
  CHECK_INT(latch_wait(&s.inside, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  latch_hit(&s.release);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(s.in_shield, 0);
}

static int await_a_failing_task_under_a_shield(void *arg) {
  weft_shield_begin();
  *(int *)arg = weft_await(weft_spawn(return_own_error, NULL, NULL));
  weft_shield_end();
  return 0;
}

TASK_TEST(S2_a_failure_shows_through_a_shield) {
  int code = 0;
  CHECK_INT(weft_await(weft_spawn(await_a_failing_task_under_a_shield, &code, NULL)), 0);
  CHECK_INT(code, OWN_ERROR);
}

TASK_TEST(a_shield_is_one_tasks_own_and_does_not_cover_its_children) {
  struct latch parked = {0};
  weft_shield_begin();
  weft_task t = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  weft_shield_end();
}

/* ---- stale handles ---- */

TASK_TEST(cancelling_a_consumed_handle_is_estale) {
  weft_task t = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_cancel(t), WEFT_ESTALE);
  CHECK_INT(weft_cancelling(t), WEFT_ESTALE);
  CHECK_INT(weft_uncancel(t), WEFT_ESTALE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(T2_a_task_cancelled_before_its_first_run_never_runs),
    cmocka_unit_test(T2_an_uncancel_before_the_first_run_lets_it_run),
    cmocka_unit_test(T2_a_cancelled_unbegun_task_ends_without_being_awaited),
    cmocka_unit_test(T2_cancelling_thousands_before_they_run),
    cmocka_unit_test(T3_a_parked_task_is_cancelled_where_it_waits),
    cmocka_unit_test(T3_a_running_task_is_cancelled_at_its_next_suspension),
    cmocka_unit_test(T3_a_foreign_thread_cancels_a_task_that_is_running),
    cmocka_unit_test(T4_a_task_that_returns_with_an_undelivered_cancel_ends_cancelled),
    cmocka_unit_test(T4_one_that_fails_keeps_its_error),
    cmocka_unit_test(T5_a_cancel_is_sticky_in_every_cancel_point),
    cmocka_unit_test(T5_a_task_may_catch_its_cancel_and_go_on),
    cmocka_unit_test(T5_a_second_cancel_is_delivered_after_the_first_was_caught),
    cmocka_unit_test(a_task_that_was_not_cancelled_has_nothing_to_catch),
    cmocka_unit_test(T11_an_error_made_while_handling_the_cancel_becomes_the_tasks_code),
    cmocka_unit_test(T6_cancelling_counts_and_uncancel_lowers_never_below_0),
    cmocka_unit_test(T7_uncancel_to_0_before_delivery_withdraws_the_cancel),
    cmocka_unit_test(T10_an_ended_task_cannot_be_cancelled_and_its_count_stays),
    cmocka_unit_test(T10_a_task_is_not_done_until_it_let_the_cancel_out),
    cmocka_unit_test(the_main_task_can_be_cancelled_like_any_other),
    cmocka_unit_test(S1_cleanup_waits_under_a_shield_after_a_cancel),
    cmocka_unit_test(S1_a_cancel_that_comes_inside_a_shield_is_delivered_after_it),
    cmocka_unit_test(S1_a_shielded_sleep_lasts_its_time_though_cancelled),
    cmocka_unit_test(T7_a_cancel_withdrawn_under_a_shield_is_never_delivered),
    cmocka_unit_test(shields_nest),
    cmocka_unit_test(S1_a_cancel_does_not_pass_through_a_shield_to_the_awaited_task),
    cmocka_unit_test(S2_a_failure_shows_through_a_shield),
    cmocka_unit_test(a_shield_is_one_tasks_own_and_does_not_cover_its_children),
    cmocka_unit_test(cancelling_a_consumed_handle_is_estale),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
