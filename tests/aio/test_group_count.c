/* TG5: what a group leaves of the cancels that it made and got. */
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "group_test.h"
#include "task_test.h"

static int fail_in_a_group(void) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  int r = weft_sleep(A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  return weft_group_exit(&g, r);
}

static int abort_after_a_caught_cancel(void *arg) {
  (void)arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_cancel_catch(), true);
  CHECK_INT(fail_in_a_group(), OWN_ERROR);
  check_untouched(1);
  return 4;
}

TASK_TEST(TG5_the_count_is_what_it_was_before_the_group) {
  CHECK_INT(fail_in_a_group(), OWN_ERROR);
  check_untouched(0);
  CHECK_INT(weft_await(weft_spawn(abort_after_a_caught_cancel, NULL, NULL)), 4);
}

static int enter_while_cancelled(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  (void)arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_cancelling(weft_current()), 2);
  CHECK_INT(weft_group_exit(&g, weft_yield()), WEFT_ECANCELED);
  CHECK_INT(weft_cancelling(weft_current()), 1);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  return 5;
}

TASK_TEST(TG5_a_cancel_from_before_the_group_stays) {
  CHECK_INT(weft_await(weft_spawn(enter_while_cancelled, NULL, NULL)), 5);
}

TASK_TEST(TG5_nested_groups_both_fail) {
  weft_group outer = WEFT_GROUP_INIT, inner = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&outer), 0);
  CHECK_INT(weft_group_enter(&inner), 0);
  weft_group_spawn(&inner, return_own_error, NULL, NULL);
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  weft_group_spawn(&outer, return_minus, &(int){0}, &(weft_spawn_opts){.arg_size = sizeof(int)});
  /* Until the outer group has failed, too. */
  for (int rounds = 0; weft_cancelling(weft_current()) < 2; rounds++) {
    weft_shield_begin();
    CHECK_INT(latch_turn(&rounds), 0);
    weft_shield_end();
  }
  CHECK_INT(weft_group_exit(&inner, WEFT_ECANCELED), OWN_ERROR);
  CHECK_INT(weft_cancelling(weft_current()), 1);
  CHECK_INT(weft_yield(), WEFT_ECANCELED); /* the outer one's */
  CHECK_INT(weft_group_exit(&outer, WEFT_ECANCELED), LATE_ERROR);
  check_untouched(0);
}

TASK_TEST(TG5_an_outer_groups_failure_passes_through_the_inner_one) {
  weft_group outer = WEFT_GROUP_INIT, inner = WEFT_GROUP_INIT;
  struct parker p = {0};
  CHECK_INT(weft_group_enter(&outer), 0);
  CHECK_INT(weft_group_enter(&inner), 0);
  weft_group_spawn(&inner, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  weft_group_spawn(&outer, return_own_error, NULL, NULL);
  int r = weft_group_exit(&inner, weft_sleep(A_LONG_TIME));
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  CHECK_UINT(weft_group_errors(&inner, NULL, 0), 0);
  CHECK_INT(weft_group_exit(&outer, r), OWN_ERROR);
  check_untouched(0);
}

struct racer {
  struct latch ready;
  int left;
};

static int race_body(void *arg) {
  struct racer *r = arg;
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  latch_hit(&r->ready);
  r->left = weft_group_exit(&g, weft_sleep(A_LONG_TIME));
  int before = weft_cancelling(weft_current());
  int told = weft_yield();
  int after = weft_cancelling(weft_current());
  CHECK_INT(told, told == 0 && before == 0 ? 0 : WEFT_ECANCELED);
  if (told < 0) CHECK_INT(after, 1);
  return after;
}

TASK_TEST(TG5_a_cancel_that_races_with_the_failure_is_kept) {
  for (int i = 0; i < count(2000); i++) {
    struct racer r = {0};
    weft_task t = weft_spawn(race_body, &r, NULL);
    CHECK_INT(latch_wait(&r.ready, 1), 0);
    int made = weft_cancel(t);
    int code = weft_await(t);
    /* Cancelled before its child began, it had nobody who could fail. */
    CHECK(r.left == OWN_ERROR || (r.left == WEFT_ECANCELED && made == 1));
    /* It came before the last yield, or as the task returned, or after its end. */
    CHECK(code == 1 || code == WEFT_ECANCELED || (code == 0 && made == 0));
    if (weft_test_failed()) return;
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TG5_the_count_is_what_it_was_before_the_group),
    cmocka_unit_test(TG5_a_cancel_from_before_the_group_stays),
    cmocka_unit_test(TG5_nested_groups_both_fail),
    cmocka_unit_test(TG5_an_outer_groups_failure_passes_through_the_inner_one),
    cmocka_unit_test(TG5_a_cancel_that_races_with_the_failure_is_kept),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
