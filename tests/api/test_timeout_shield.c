/* Timeout scopes that are begun under a shield, and those around one. */
#include <stdatomic.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

struct sleeper {
  struct latch begun;
  int woke_with;
};

static int note_cancel(void *arg) {
  struct sleeper *s = arg;
  s->woke_with = hit_and_park(&s->begun);
  return s->woke_with;
}

static int sleep_long(void *arg) {
  (void)arg;
  return weft_sleep(A_LONG_TIME);
}

static int clean_up_with_a_limit(void *arg) {
  CHECK_INT(hit_and_park(arg), WEFT_ECANCELED);
  weft_shield_begin();
  CHECK_INT(weft_wait_for(sleep_long, NULL, weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_wait_for(return_seven, NULL, A_LONG_TIME), 7);
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return 1; /* a delivered cancel may be ignored */
}

TASK_TEST(D1_shielded_cleanup_of_a_cancelled_task_has_limits) {
  struct latch parked = {0};
  weft_task t = weft_spawn(clean_up_with_a_limit, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

static int cancelled_while_it_cleans_up(void *arg) {
  weft_timeout s;
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&s, weft_ms(10)), 0);
  latch_hit(arg);
  int r = weft_sleep(A_LONG_TIME); /* the cancel waits, the deadline does not */
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_sleep(weft_us(10)), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return 1;
}

TASK_TEST(D2_a_cancel_waits_for_the_shield_while_a_deadline_in_it_does_not) {
  struct latch begun = {0};
  weft_task t = weft_spawn(cancelled_while_it_cleans_up, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

TASK_TEST(D1_a_scope_in_a_shield_is_sticky_until_its_end) {
  weft_timeout s;
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&s, 0), 0);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK(weft_timeout_expired(&s));
  CHECK_INT(weft_sleep(1), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_reschedule(&s, 1), WEFT_ESTATE);
  weft_shield_begin(); /* a deeper shield holds it off */
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_sleep(weft_us(10)), 0);
  CHECK(weft_timeout_expired(&s));
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&s, WEFT_ECANCELED), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D3_an_outer_deadline_does_not_reach_into_a_shield) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, weft_ms(2)), 0);
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  CHECK_INT(weft_sleep(weft_ms(10)), 0);
  CHECK(!weft_timeout_expired(&outer) && !weft_timeout_expired(&inner));
  CHECK_INT(weft_timeout_reschedule(&inner, weft_ms(5)), 0);
  int r = weft_sleep(A_LONG_TIME);
  CHECK(weft_timeout_expired(&inner) && !weft_timeout_expired(&outer));
  CHECK_INT(weft_timeout_end(&inner, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  r = weft_yield();
  CHECK_INT(weft_timeout_end(&outer, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D3_an_expired_outer_scope_leaves_one_in_a_shield_alone) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, 0), 0);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  CHECK_INT(weft_sleep(weft_us(10)), 0);
  CHECK_INT(weft_timeout_end(&inner, 3), 3);
  CHECK(!weft_timeout_expired(&inner));
  CHECK_INT(weft_timeout_begin(&inner, 0), 0); /* at the same instant in a simulation */
  CHECK_INT(weft_timeout_end(&inner, weft_yield()), WEFT_ETIMEDOUT);
  CHECK(weft_timeout_expired(&outer));
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&outer, WEFT_ECANCELED), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D3_a_scope_begun_in_an_expired_one_is_cut_as_well_and_has_not_expired) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, 0), 0);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_begin(&inner, 0), 0);
  CHECK_INT(weft_timeout_end(&inner, weft_yield()), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&outer, WEFT_ECANCELED), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D3_scopes_nest_in_a_shield_as_outside_of_one) {
  weft_timeout s[4];
  CHECK_INT(weft_timeout_begin(&s[0], A_LONG_TIME), 0);
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&s[1], weft_ms(5)), 0);
  CHECK_INT(weft_timeout_begin(&s[2], A_LONG_TIME), 0);
  int r = weft_sleep(A_LONG_TIME);
  r = weft_timeout_end(&s[2], r);
  CHECK_INT(r, WEFT_ECANCELED);
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&s[3], weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s[3], weft_sleep(A_LONG_TIME)), WEFT_ETIMEDOUT);
  weft_shield_end();
  CHECK_INT(weft_timeout_end(&s[1], r), WEFT_ETIMEDOUT);
  weft_shield_end();
  CHECK_INT(weft_sleep(weft_us(10)), 0);
  CHECK_INT(weft_timeout_end(&s[0], 0), 0);
}

TASK_TEST(D3_a_scope_that_outlives_its_shield_goes_on_outside_of_it) {
  weft_timeout outer, inner;
  CHECK_INT(weft_timeout_begin(&outer, weft_ms(5)), 0);
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&inner, A_LONG_TIME), 0);
  weft_shield_end();
  int r = weft_sleep(A_LONG_TIME);
  r = weft_timeout_end(&inner, r);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&outer, r), WEFT_ETIMEDOUT);
  weft_shield_begin();
  CHECK_INT(weft_timeout_begin(&inner, 0), 0);
  r = weft_yield();
  weft_shield_end();
  weft_shield_begin(); /* another one: begun outside of it, by now */
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_end(&inner, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(D3_a_scope_may_end_in_a_shield_that_was_begun_in_it) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(1)), 0);
  int r = weft_sleep(A_LONG_TIME);
  weft_shield_begin();
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), 0);
  weft_shield_end();
  CHECK_INT(weft_yield(), 0);
  weft_shield_end(); /* without a begin */
  CHECK_INT(weft_yield(), 0);
}

static int await_in_a_shield(void *arg) {
  struct sleeper inner = {0};
  CHECK_INT(hit_and_park(arg), WEFT_ECANCELED);
  weft_shield_begin();
  weft_task t = weft_spawn(note_cancel, &inner, NULL);
  CHECK_INT(latch_wait(&inner.begun, 1), 0);
  CHECK_INT(weft_wait_for_task(t, weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK_INT(inner.woke_with, WEFT_ECANCELED);
  t = weft_spawn(note_cancel, &inner, NULL);
  CHECK_INT(latch_wait(&inner.begun, 2), 0);
  CHECK_INT(weft_awaitable_wait_for(weft_task_awaitable(t), weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_wait_for_task(weft_spawn(return_seven, NULL, NULL), A_LONG_TIME), 7);
  weft_shield_end();
  return weft_yield() == WEFT_ECANCELED;
}

TASK_TEST(X1_wait_for_a_task_has_its_limit_in_a_shield) {
  struct latch parked = {0};
  weft_task t = weft_spawn(await_in_a_shield, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

static int refuse(void *arg) {
  CHECK_INT(hit_and_park(arg), WEFT_ECANCELED);
  return 6;
}

static int await_a_refusal_in_a_shield(void *arg) {
  struct latch begun = {0};
  CHECK_INT(hit_and_park(arg), WEFT_ECANCELED);
  weft_shield_begin();
  weft_task t = weft_spawn(refuse, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  CHECK_INT(weft_awaitable_wait_for(weft_task_awaitable(t), weft_ms(5)), 6);
  weft_shield_end();
  return weft_yield() == WEFT_ECANCELED; /* its own cancel is no business of the refusal */
}

TASK_TEST(X2_a_refused_limit_in_a_shield_leaves_the_cancel_around_it) {
  struct latch parked = {0};
  weft_task t = weft_spawn(await_a_refusal_in_a_shield, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

static int join_a_group(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, note_cancel, arg, NULL);
  return weft_group_join(&g);
}

static int close_slowly(void *arg) {
  *(int *)arg = weft_wait_for(sleep_long, NULL, weft_ms(5));
  return 0;
}

TASK_TEST(D1_scope_exits_have_limits) {
  weft_scope scope = WEFT_SCOPE_INIT;
  int closed = 0;
  CHECK_INT(weft_scope_defer(&scope, close_slowly, &closed), 0);
  CHECK_INT(weft_scope_exit(&scope, 4), 4);
  CHECK_INT(closed, WEFT_ETIMEDOUT);
}

TASK_TEST(D1_a_group_joined_in_a_shield_has_a_limit) {
  struct sleeper inner = {0};
  weft_shield_begin();
  CHECK_INT(weft_wait_for(join_a_group, &inner, weft_ms(10)), WEFT_ETIMEDOUT);
  weft_shield_end();
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

static int clean_up_slowly(weft_gen *g, void *arg) {
  int item = 1;
  int r = weft_gen_yield(g, &item);
  *(int *)arg = weft_wait_for(sleep_long, NULL, weft_ms(5));
  return r;
}

TASK_TEST(D1_a_generator_that_is_closed_cleans_up_with_a_limit) {
  weft_gen *g = NULL;
  int item = 0, closed = 0;
  CHECK_INT(weft_gen_open(&g, clean_up_slowly, &closed, sizeof item, NULL), 0);
  CHECK_INT(weft_gen_next(g, &item), 1);
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(closed, WEFT_ETIMEDOUT);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(D1_shielded_cleanup_of_a_cancelled_task_has_limits),
    cmocka_unit_test(D2_a_cancel_waits_for_the_shield_while_a_deadline_in_it_does_not),
    cmocka_unit_test(D1_a_scope_in_a_shield_is_sticky_until_its_end),
    cmocka_unit_test(D3_an_outer_deadline_does_not_reach_into_a_shield),
    cmocka_unit_test(D3_an_expired_outer_scope_leaves_one_in_a_shield_alone),
    cmocka_unit_test(D3_a_scope_begun_in_an_expired_one_is_cut_as_well_and_has_not_expired),
    cmocka_unit_test(D3_scopes_nest_in_a_shield_as_outside_of_one),
    cmocka_unit_test(D3_a_scope_that_outlives_its_shield_goes_on_outside_of_it),
    cmocka_unit_test(D3_a_scope_may_end_in_a_shield_that_was_begun_in_it),
    cmocka_unit_test(X1_wait_for_a_task_has_its_limit_in_a_shield),
    cmocka_unit_test(X2_a_refused_limit_in_a_shield_leaves_the_cancel_around_it),
    cmocka_unit_test(D1_scope_exits_have_limits),
    cmocka_unit_test(D1_a_group_joined_in_a_shield_has_a_limit),
    cmocka_unit_test(D1_a_generator_that_is_closed_cleans_up_with_a_limit),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
