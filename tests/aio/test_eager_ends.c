/* Eager children that are over before anybody waits for them: in gather and in groups. */
#include <weft.h>

#include "task_test.h"

static const weft_spawn_opts eager = {.eager = true};

static int count_run(void *arg) {
  (*(int *)arg)++;
  return 0;
}

TASK_TEST(G7_gather_of_eager_tasks_that_have_ended_has_their_codes) {
  int codes[3] = {1, 2, 3};
  weft_task t[3] = {weft_spawn(return_seven, NULL, &eager),
                    weft_spawn(return_own_error, NULL, &eager),
                    weft_spawn(return_zero, NULL, &eager)};
  for (int i = 0; i < 3; i++) CHECK_INT(weft_task_done(t[i]), 1);
  CHECK_INT(weft_gather(t, 3, codes), 0);
  CHECK_INT(codes[0], 7);
  CHECK_INT(codes[1], OWN_ERROR);
  CHECK_INT(codes[2], 0);
}

EXACT_TEST(G7_gather_of_what_has_ended_takes_no_turn) {
  int runs = 0, codes[2];
  weft_task other = weft_spawn(count_run, &runs, NULL);
  weft_task t[2] = {weft_spawn(return_seven, NULL, &eager), weft_spawn(return_zero, NULL, &eager)};
  CHECK_INT(weft_gather(t, 2, codes), 0);
  CHECK_INT(runs, 0);
  weft_task failed = weft_spawn(return_own_error, NULL, &eager);
  CHECK_INT(weft_gather(&failed, 1, NULL), OWN_ERROR);
  CHECK_INT(runs, 0);
  CHECK_INT(weft_await(other), 0);
  CHECK_INT(runs, 1);
}

static int gather_eagerly(void *arg) {
  int depth = *(int *)arg;
  if (depth == 0) return 1;
  int next = depth - 1, codes[2];
  weft_task t[2] = {weft_spawn(gather_eagerly, &next, &eager),
                    weft_spawn(gather_eagerly, &next, &eager)};
  CHECK_INT(weft_gather(t, 2, codes), 0);
  return codes[0] + codes[1];
}

TASK_TEST(G7_eager_tasks_gather_eager_tasks) {
  int depth = 6, runs = 0;
  weft_task other = weft_spawn(count_run, &runs, NULL);
  weft_task top = weft_spawn(gather_eagerly, &depth, &eager);
  CHECK_INT(weft_await(top), 64);
  CHECK_INT(weft_await(other), 0);
}

TASK_TEST(TG9_a_child_that_fails_eagerly_cancels_its_siblings) {
  struct latch parked = {0};
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_spawn(&g, hit_and_park, &parked, NULL), 0);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_group_spawn(&g, return_own_error, NULL, &eager), 0);
  CHECK_INT(weft_group_spawn(&g, hit_and_park, &parked, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(latch_hits(&parked), 1);
}

struct nested {
  weft_group *group;
  int inner;
};

static int spawn_then_fail(void *arg) {
  struct nested *n = arg;
  n->inner = weft_group_spawn(n->group, return_own_error, NULL, &eager);
  return weft_sleep(A_LONG_TIME);
}

/* The child is cancelled by a failure that happens while its own spawn has not returned. */
TASK_TEST(TG9_a_failure_reaches_the_child_that_is_being_created) {
  weft_group g = WEFT_GROUP_INIT;
  struct nested n = {&g, 1};
  CHECK_INT(weft_group_spawn(&g, spawn_then_fail, &n, &eager), 0);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(n.inner, 0);
}

TASK_TEST(TG9_the_owner_is_left_with_no_cancel) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_spawn(&g, return_own_error, NULL, &eager), 0);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(weft_cancelling(weft_current()), 0);
  CHECK_INT(weft_sleep(weft_us(10)), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(G7_gather_of_eager_tasks_that_have_ended_has_their_codes),
    cmocka_unit_test(G7_gather_of_what_has_ended_takes_no_turn),
    cmocka_unit_test(G7_eager_tasks_gather_eager_tasks),
    cmocka_unit_test(TG9_a_child_that_fails_eagerly_cancels_its_siblings),
    cmocka_unit_test(TG9_a_failure_reaches_the_child_that_is_being_created),
    cmocka_unit_test(TG9_the_owner_is_left_with_no_cancel),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
