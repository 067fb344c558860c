/* Timeout scopes: expiry, nesting, shields, other cancels beside them, rescheduling, wrong use. */
#include <stdatomic.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

/* ---- the scope ---- */

TASK_TEST(D1_an_expired_scope_turns_its_cancel_into_etimedout) {
  weft_timeout s;
  weft_ns start = weft_now();
  CHECK_INT(weft_timeout_begin(&s, weft_ms(20)), 0);
  CHECK(!weft_timeout_expired(&s));
  int r = weft_sleep(A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK(weft_timeout_expired(&s));
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK(weft_now() - start >= weft_ms(20));
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_cancelling(weft_current()), 0);
  CHECK(!weft_cancel_catch());
}

TASK_TEST(a_scope_that_ends_in_time_changes_nothing) {
  static const int codes[] = {0, 7, OWN_ERROR, WEFT_ECANCELED};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    weft_timeout s;
    CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
    CHECK_INT(weft_sleep(weft_us(100)), 0);
    CHECK_INT(weft_timeout_end(&s, codes[i]), codes[i]);
    CHECK(!weft_timeout_expired(&s));
  }
}

TASK_TEST(the_timer_of_an_ended_scope_fires_at_nobody) {
  for (int i = 0; i < 20; i++) {
    weft_timeout s;
    CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
    int r = weft_yield(); /* cut, if the thread had to wait for its CPU so long */
    if (r == 0) r = weft_sleep(weft_us(100));
    r = weft_timeout_end(&s, r);
    CHECK(r == 0 || r == WEFT_ETIMEDOUT);
    CHECK_INT(weft_sleep(weft_ms(4)), 0); /* the scope's deadline passes in here */
  }
}

TASK_TEST(a_scope_without_a_limit_never_expires) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, WEFT_FOREVER), 0);
  CHECK_INT(weft_sleep(weft_ms(5)), 0);
  CHECK(!weft_timeout_expired(&s));
  CHECK_INT(weft_timeout_end(&s, 3), 3);
}

static int deep(int levels) {
  return levels == 0 ? weft_sleep(A_LONG_TIME) : deep(levels - 1);
}

TASK_TEST(a_scope_holds_at_any_depth_of_code_below_it) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, deep(50)), WEFT_ETIMEDOUT);
}

struct sleeper {
  struct latch begun;
  int woke_with;
};

static int note_cancel(void *arg) {
  struct sleeper *s = arg;
  s->woke_with = hit_and_park(&s->begun);
  return s->woke_with;
}

TASK_TEST(a_scope_holds_for_the_task_that_is_awaited_in_it) {
  weft_timeout s;
  struct sleeper inner = {0};
  weft_task t = weft_spawn(note_cancel, &inner, NULL);
  CHECK_INT(latch_wait(&inner.begun, 1), 0);
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, weft_await(t)), WEFT_ETIMEDOUT);
  CHECK_INT(inner.woke_with, WEFT_ECANCELED);
}

TASK_TEST(a_group_joined_in_a_scope_is_cancelled_and_awaited) {
  weft_timeout s;
  weft_group g = WEFT_GROUP_INIT;
  struct sleeper inner[10] = {0};
  CHECK_INT(weft_timeout_begin(&s, weft_ms(10)), 0);
  for (int i = 0; i < 10; i++) weft_group_spawn(&g, note_cancel, &inner[i], NULL);
  CHECK_INT(weft_timeout_end(&s, weft_group_join(&g)), WEFT_ETIMEDOUT);
  for (int i = 0; i < 10; i++)
    CHECK_INT(inner[i].woke_with, latch_hits(&inner[i].begun) ? WEFT_ECANCELED : 0);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

TASK_TEST(an_expired_scope_is_sticky_until_its_end) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_yield(), WEFT_ECANCELED);
    CHECK_INT(weft_sleep(weft_ms(1)), WEFT_ECANCELED);
  }
  CHECK_INT(weft_timeout_end(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D4_a_limit_of_0_cuts_the_body_at_its_first_suspension) {
  static const weft_ns none[] = {0, -1, INT64_MIN};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    weft_timeout s;
    int ran = 0;
    CHECK_INT(weft_timeout_begin(&s, none[i]), 0);
    ran = 1;
    CHECK_INT(weft_yield(), WEFT_ECANCELED);
    CHECK_INT(weft_timeout_end(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
    CHECK_INT(ran, 1);
    CHECK_INT(weft_yield(), 0);
  }
}

TASK_TEST(D4_a_body_that_never_suspends_is_not_cut) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, 0), 0);
  CHECK_INT(weft_timeout_end(&s, 5), 5);
  CHECK(!weft_timeout_expired(&s));
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D6_another_code_passes_unchanged_even_if_expired) {
  static const int codes[] = {0, 4, OWN_ERROR};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    weft_timeout s;
    CHECK_INT(weft_timeout_begin(&s, 0), 0);
    CHECK_INT(weft_yield(), WEFT_ECANCELED);
    CHECK(weft_timeout_expired(&s));
    CHECK_INT(weft_timeout_end(&s, codes[i]), codes[i]);
    CHECK_INT(weft_yield(), 0);
  }
}

TASK_TEST(D3_an_outer_deadline_passes_the_inner_scope_as_a_cancel) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  int r = weft_sleep(A_LONG_TIME);
  CHECK(!weft_timeout_expired(&inner));
  r = weft_timeout_end(&inner, r);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK(weft_timeout_expired(&outer));
  CHECK_INT(weft_timeout_end(&outer, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D3_an_inner_deadline_leaves_the_outer_scope_alone) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_begin(&inner, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&inner, weft_sleep(A_LONG_TIME)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&outer, 0), 0);
  CHECK(!weft_timeout_expired(&outer));
}

TASK_TEST(D3_scopes_nest_deep_and_the_nearest_deadline_counts) {
  enum { N = 20, NEAREST = 7 };
  weft_timeout s[N];
  for (int i = 0; i < N; i++)
    CHECK_INT(weft_timeout_begin(&s[i], i == NEAREST ? weft_ms(5) : A_LONG_TIME), 0);
  int r = weft_sleep(A_LONG_TIME);
  for (int i = N - 1; i >= 0; i--) {
    r = weft_timeout_end(&s[i], r);
    CHECK_INT(r, i > NEAREST ? WEFT_ECANCELED : WEFT_ETIMEDOUT);
  }
  CHECK_INT(weft_yield(), 0);
}

static int cancel_inside_a_scope(void *arg) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
  int r = hit_and_park(arg);
  r = weft_timeout_end(&s, r);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return 1;
}

TASK_TEST(D2_a_foreign_cancel_leaves_the_scope_as_a_cancel) {
  struct latch parked = {0};
  weft_task t = weft_spawn(cancel_inside_a_scope, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

static int cancelled_and_expired(void *arg) {
  weft_timeout s;
  (void)arg;
  CHECK_INT(weft_timeout_begin(&s, 0), 0);
  CHECK_INT(weft_cancel(weft_current()), 1);
  int r = weft_yield();
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ECANCELED);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK(weft_cancel_catch());
  CHECK_INT(weft_yield(), 0);
  return 1;
}

TASK_TEST(D2_a_cancel_beside_an_expired_deadline_is_not_swallowed) {
  CHECK_INT(weft_await(weft_spawn(cancelled_and_expired, NULL, NULL)), 1);
}

static int cancelled_after_expiry(void *arg) {
  weft_timeout s;
  (void)arg;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(1)), 0);
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_timeout_end(&s, WEFT_ECANCELED), WEFT_ECANCELED);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return 1;
}

TASK_TEST(D2_a_cancel_after_the_deadline_leaves_the_scope_as_a_cancel) {
  CHECK_INT(weft_await(weft_spawn(cancelled_after_expiry, NULL, NULL)), 1);
}

static int two_scopes_and_a_cancel(void *arg) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_begin(&inner, weft_ms(2)), 0);
  int r = weft_timeout_end(&inner, weft_sleep(A_LONG_TIME));
  CHECK_INT(r, WEFT_ETIMEDOUT); /* the inner scope undoes its own cancel and no other */
  r = hit_and_park(arg);
  CHECK_INT(weft_timeout_end(&outer, r), WEFT_ECANCELED);
  return weft_cancelling(weft_current());
}

TASK_TEST(T12_nested_scopes_undo_only_their_own_cancel) {
  struct latch parked = {0};
  weft_task t = weft_spawn(two_scopes_and_a_cancel, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

TASK_TEST(an_expired_scope_waits_for_the_end_of_a_shield) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
  weft_shield_begin();
  CHECK_INT(weft_sleep(weft_ms(10)), 0);
  CHECK(!weft_timeout_expired(&s));
  weft_shield_end();
  int r = weft_yield();
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
}

/* ---- reschedule ---- */

TASK_TEST(D5_reschedule_moves_the_deadline_out) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(10)), 0);
  CHECK_INT(weft_timeout_reschedule(&s, A_LONG_TIME), 0);
  CHECK_INT(weft_sleep(weft_ms(20)), 0);
  CHECK_INT(weft_timeout_end(&s, 0), 0);
}

TASK_TEST(D5_reschedule_moves_the_deadline_in) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_timeout_reschedule(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, weft_sleep(A_LONG_TIME)), WEFT_ETIMEDOUT);
}

TASK_TEST(D5_reschedule_of_an_outer_scope_counts_for_the_inner_one) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_reschedule(&outer, weft_ms(5)), 0);
  int r = weft_timeout_end(&inner, weft_sleep(A_LONG_TIME));
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&outer, r), WEFT_ETIMEDOUT);
}

TASK_TEST(D5_reschedule_of_an_outer_scope_outwards_frees_the_inner_one) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, weft_ms(10)), 0);
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_reschedule(&outer, A_LONG_TIME), 0);
  CHECK_INT(weft_sleep(weft_ms(20)), 0);
  CHECK_INT(weft_timeout_end(&inner, 0), 0);
  CHECK_INT(weft_timeout_end(&outer, 0), 0);
}

TASK_TEST(D5_reschedule_after_expiry_is_estate) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, 0), 0);
  int r = weft_yield();
  CHECK_INT(weft_timeout_reschedule(&s, A_LONG_TIME), WEFT_ESTATE);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
}

TASK_TEST(D5_reschedule_after_the_end_is_estate) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_end(&s, 0), 0);
  CHECK_INT(weft_timeout_reschedule(&s, weft_ms(1)), WEFT_ESTATE);
}

/* ---- wrong use ---- */

TASK_TEST(D5_ending_a_scope_that_is_not_the_innermost_is_estate) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_end(&outer, 3), WEFT_ESTATE);
  CHECK_INT(weft_timeout_end(&inner, 1), 1);
  CHECK_INT(weft_timeout_end(&outer, 2), 2);
}

TASK_TEST(D5_ending_a_scope_twice_is_estate) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_end(&s, 1), 1);
  CHECK_INT(weft_timeout_end(&s, 1), WEFT_ESTATE);
}

static int end_given(void *arg) {
  return weft_timeout_end(arg, 0);
}

TASK_TEST(D5_ending_another_tasks_scope_is_estate) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
  CHECK_INT(weft_await(weft_spawn(end_given, &s, NULL)), WEFT_ESTATE);
  CHECK_INT(weft_timeout_end(&s, 4), 4);
}

TASK_TEST(a_scope_may_be_used_again_after_its_end) {
  weft_timeout s;
  for (int i = 0; i < 10; i++) {
    CHECK_INT(weft_timeout_begin(&s, i % 2 ? 0 : A_LONG_TIME), 0);
    int r = weft_yield();
    CHECK_INT(weft_timeout_end(&s, r), i % 2 ? WEFT_ETIMEDOUT : 0);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(D1_an_expired_scope_turns_its_cancel_into_etimedout),
    cmocka_unit_test(a_scope_that_ends_in_time_changes_nothing),
    cmocka_unit_test(the_timer_of_an_ended_scope_fires_at_nobody),
    cmocka_unit_test(a_scope_without_a_limit_never_expires),
    cmocka_unit_test(a_scope_holds_at_any_depth_of_code_below_it),
    cmocka_unit_test(a_scope_holds_for_the_task_that_is_awaited_in_it),
    cmocka_unit_test(a_group_joined_in_a_scope_is_cancelled_and_awaited),
    cmocka_unit_test(an_expired_scope_is_sticky_until_its_end),
    cmocka_unit_test(D4_a_limit_of_0_cuts_the_body_at_its_first_suspension),
    cmocka_unit_test(D4_a_body_that_never_suspends_is_not_cut),
    cmocka_unit_test(D6_another_code_passes_unchanged_even_if_expired),
    cmocka_unit_test(D3_an_outer_deadline_passes_the_inner_scope_as_a_cancel),
    cmocka_unit_test(D3_an_inner_deadline_leaves_the_outer_scope_alone),
    cmocka_unit_test(D3_scopes_nest_deep_and_the_nearest_deadline_counts),
    cmocka_unit_test(D2_a_foreign_cancel_leaves_the_scope_as_a_cancel),
    cmocka_unit_test(D2_a_cancel_beside_an_expired_deadline_is_not_swallowed),
    cmocka_unit_test(D2_a_cancel_after_the_deadline_leaves_the_scope_as_a_cancel),
    cmocka_unit_test(T12_nested_scopes_undo_only_their_own_cancel),
    cmocka_unit_test(an_expired_scope_waits_for_the_end_of_a_shield),
    cmocka_unit_test(D5_reschedule_moves_the_deadline_out),
    cmocka_unit_test(D5_reschedule_moves_the_deadline_in),
    cmocka_unit_test(D5_reschedule_of_an_outer_scope_counts_for_the_inner_one),
    cmocka_unit_test(D5_reschedule_of_an_outer_scope_outwards_frees_the_inner_one),
    cmocka_unit_test(D5_reschedule_after_expiry_is_estate),
    cmocka_unit_test(D5_reschedule_after_the_end_is_estate),
    cmocka_unit_test(D5_ending_a_scope_that_is_not_the_innermost_is_estate),
    cmocka_unit_test(D5_ending_a_scope_twice_is_estate),
    cmocka_unit_test(D5_ending_another_tasks_scope_is_estate),
    cmocka_unit_test(a_scope_may_be_used_again_after_its_end),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
