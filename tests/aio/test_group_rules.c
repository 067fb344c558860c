/* Groups that are entered and left, as asyncio's TaskGroup: the TG rules. */
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "group_test.h"
#include "task_test.h"

static int fail_when_cancelled(void *latch) {
  hit_and_park(latch);
  return LATE_ERROR;
}

static int count_up(void *arg) {
  int r = weft_yield();
  atomic_fetch_add((atomic_int *)arg, 1);
  return r;
}

/* ---- TG1: waiting ---- */

TASK_TEST(TG1_exit_waits_for_all_children) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int n = 0;
  CHECK_INT(weft_group_enter(&g), 0);
  for (int i = 0; i < 20; i++) CHECK_INT(weft_group_spawn(&g, count_up, &n, NULL), 0);
  CHECK_INT(weft_group_exit(&g, 5), 0);
  CHECK_INT(atomic_load(&n), 20);
  CHECK_UINT(weft_group_errors(&g, NULL, 0), 0);
}

TASK_TEST(TG1_a_group_without_children_is_left_at_once) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_group_exit(&g, 0), 0);
  weft_group bare = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_exit(&bare, BODY_ERROR), BODY_ERROR);
}

/* ---- TG2: the first error ---- */

TASK_TEST(TG2_the_first_error_cancels_the_siblings_and_the_body) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p[3] = {0};
  CHECK_INT(weft_group_enter(&g), 0);
  for (int i = 0; i < 3; i++) weft_group_spawn(&g, park, &p[i], NULL);
  for (int i = 0; i < 3; i++) CHECK_INT(latch_wait(&p[i].parked, 1), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  int r = weft_sleep(A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_STR(weft_cancel_reason(weft_current()), "a task of its group failed");
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, r), OWN_ERROR);
  for (int i = 0; i < 3; i++) CHECK_INT(p[i].woke_with, WEFT_ECANCELED);
  check_untouched(0);
}

TASK_TEST(TG2_all_errors_come_out_the_bodys_included) {
  weft_group g = WEFT_GROUP_INIT;
  struct latch parked = {0};
  weft_group_error e[4];
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, fail_when_cancelled, &parked, &(weft_spawn_opts){.name = "late"});
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_group_spawn(&g, return_own_error, NULL, &(weft_spawn_opts){.name = "first"});
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, BODY_ERROR), OWN_ERROR);
  if (!CHECK_UINT(weft_group_errors(&g, e, 4), 3)) return;
  CHECK_INT(e[0].code, OWN_ERROR);
  CHECK_UINT(e[0].index, 1);
  CHECK_STR(e[0].name, "first");
  int late = e[1].code == LATE_ERROR ? 1 : 2; /* the body and the child race */
  CHECK_INT(e[late].code, LATE_ERROR);
  CHECK_UINT(e[late].index, 0);
  CHECK_STR(e[late].name, "late");
  CHECK_INT(e[3 - late].code, BODY_ERROR);
  CHECK_UINT(e[3 - late].index, WEFT_GROUP_BODY);
  CHECK_PTR(e[3 - late].name, NULL);
}

TASK_TEST(TG2_a_body_that_fails_cancels_the_children) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  weft_group_error e;
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  CHECK_INT(weft_group_exit(&g, BODY_ERROR), BODY_ERROR);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  CHECK_UINT(weft_group_errors(&g, &e, 1), 1);
  CHECK_UINT(e.index, WEFT_GROUP_BODY);
  check_untouched(0);
}

TASK_TEST(TG2_errors_beyond_the_room_are_counted) {
  enum { N = 10 };
  weft_group_error kept[7], e[N];
  for (int room = 0; room < 2; room++) {
    weft_group g;
    weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT,
                                           .errors = room ? kept : NULL,
                                           .max_errors = room ? 7 : 0});
    for (int i = 0; i < N; i++)
      weft_group_spawn(&g, return_minus, &i, &(weft_spawn_opts){.arg_size = sizeof i});
    CHECK_INT(weft_group_join(&g), 0);
    memset(e, 0, sizeof e);
    CHECK_UINT(weft_group_errors(&g, e, N), N);
    int n = 0;
    for (; n < N && e[n].code; n++) CHECK_INT(e[n].code, LATE_ERROR - (int)e[n].index);
    CHECK_INT(n, room ? 7 : 4);
    CHECK_UINT(weft_group_errors(&g, e, 1), N);
    weft_group_done(&g);
    CHECK_UINT(weft_group_errors(&g, e, N), 0);
  }
}

TASK_TEST(TG2_a_spawn_that_fails_is_an_error_of_the_group) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  weft_group_error e = {0};
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  weft_spawn_opts bad = {.name = "bad", .stack_size = 1};
  CHECK_INT(weft_group_spawn(&g, return_zero, NULL, &bad), WEFT_EINVAL);
  CHECK_INT(weft_group_join(&g), WEFT_EINVAL);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  CHECK_UINT(weft_group_errors(&g, &e, 1), 1);
  CHECK_UINT(e.index, 1);
  CHECK_STR(e.name, "bad");
}

TASK_TEST(a_spawn_that_fails_has_its_code_where_codes_are_collected) {
  weft_group g;
  weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT});
  CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), 0);
  CHECK_INT(weft_group_spawn(&g, NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), 0);
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_status(&g, 1), WEFT_EINVAL);
  CHECK_INT(weft_group_status(&g, 3), WEFT_ECANCELED);
  CHECK_INT(weft_group_status(&g, 4), WEFT_EINVAL);
  CHECK_UINT(weft_group_errors(&g, NULL, 0), 1);
  weft_group_done(&g);
}

TASK_TEST(a_join_says_when_there_was_no_room_for_a_code) {
  weft_group g;
  weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT});
  CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), 0);
  for (int i = 1; i < 16; i++) CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), 0);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  int r = weft_group_spawn(&g, return_seven, NULL, NULL); /* the 17th needs room */
  weft__memory_fail_end();
  CHECK_INT(r, WEFT_ENOMEM);
  CHECK_INT(weft_group_join(&g), WEFT_ENOMEM);
  for (size_t i = 0; i < 16; i++) CHECK_INT(weft_group_status(&g, i), 7);
  CHECK_INT(weft_group_status(&g, 16), WEFT_EINVAL);
  weft_group_done(&g);
}

TASK_TEST(a_failing_body_of_a_collecting_group_cancels_nobody) {
  weft_group g;
  atomic_int n = 0;
  weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT});
  CHECK_INT(weft_group_enter(&g), 0);
  for (int i = 0; i < 5; i++) weft_group_spawn(&g, count_up, &n, NULL);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_group_exit(&g, BODY_ERROR), BODY_ERROR);
  CHECK_INT(atomic_load(&n), 5);
  weft_group_done(&g);
}

/* ---- TG3 ---- */

static int end_cancelled(void *arg) {
  (void)arg;
  weft_cancel(weft_current());
  return 0;
}

TASK_TEST(TG3_a_child_cancelled_alone_interrupts_nobody) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int n = 0;
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, end_cancelled, NULL, NULL);
  for (int i = 0; i < 5; i++) weft_group_spawn(&g, count_up, &n, NULL);
  for (int i = 0; i < 5; i++) CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_group_exit(&g, 0), 0);
  CHECK_INT(atomic_load(&n), 5);
  CHECK_UINT(weft_group_errors(&g, NULL, 0), 0);
}

/* ---- TG4: the parent is cancelled ---- */

struct parent {
  struct latch ready;
  struct parker child;
  struct latch failing;
  bool fails;
  int body, left, after, count;
};

static int be_the_body(void *arg) {
  struct parent *p = arg;
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, park, &p->child, NULL);
  if (p->fails) {
    weft_group_spawn(&g, fail_when_cancelled, &p->failing, NULL);
    CHECK_INT(latch_wait(&p->failing, 1), 0);
  }
  CHECK_INT(latch_wait(&p->child.parked, 1), 0);
  latch_hit(&p->ready);
  p->body = weft_sleep(A_LONG_TIME);
  p->left = weft_group_exit(&g, p->body);
  p->after = weft_yield();
  p->count = weft_cancelling(weft_current());
  return p->left;
}

TASK_TEST(TG4_a_cancel_in_the_body_cancels_the_children_and_goes_on) {
  struct parent p = {0};
  weft_task t = weft_spawn(be_the_body, &p, NULL);
  CHECK_INT(latch_wait(&p.ready, 1), 0);
  CHECK_INT(weft_cancel_why(t, "enough"), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(p.child.woke_with, WEFT_ECANCELED);
  CHECK_INT(p.left, WEFT_ECANCELED);
  CHECK_INT(p.after, WEFT_ECANCELED);
  CHECK_INT(p.count, 1);
}

TASK_TEST(TG4_an_error_wins_over_the_cancel_which_is_not_lost) {
  struct parent p = {.fails = true};
  weft_task t = weft_spawn(be_the_body, &p, NULL);
  CHECK_INT(latch_wait(&p.ready, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), LATE_ERROR);
  CHECK_INT(p.body, WEFT_ECANCELED);
  CHECK_INT(p.after, WEFT_ECANCELED);
  CHECK_INT(p.count, 1);
}

static int return_canceled_code(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  (void)arg;
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  CHECK_INT(weft_group_exit(&g, WEFT_ECANCELED), WEFT_ECANCELED);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  check_untouched(0);
  return 3;
}

TASK_TEST(TG4_a_body_that_ends_as_cancelled_cancels_the_children) {
  CHECK_INT(weft_await(weft_spawn(return_canceled_code, NULL, NULL)), 3);
}

/* ---- TG6: too early, too late ---- */

TASK_TEST(TG6_nothing_is_spawned_into_a_group_that_was_left) {
  weft_group g = WEFT_GROUP_INIT;
  struct latch runs = {0};
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_exit(&g, 0), OWN_ERROR);
  CHECK_INT(weft_group_spawn(&g, hit_and_return, &runs, NULL), WEFT_ESTATE);
  CHECK_INT(weft_group_join(&g), WEFT_ESTATE);
  CHECK_INT(weft_group_exit(&g, 0), WEFT_ESTATE);
  CHECK_INT(weft_group_enter(&g), WEFT_ESTATE);
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_UINT(weft_group_errors(&g, NULL, 0), 1); /* still there */
  CHECK_INT(latch_hits(&runs), 0);
  weft_group_done(&g); /* and usable again */
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_group_spawn(&g, hit_and_return, &runs, NULL), 0);
  CHECK_INT(weft_group_exit(&g, 0), 0);
  CHECK_INT(latch_hits(&runs), 1);
}

TASK_TEST(TG6_a_group_that_has_failed_refuses_and_the_body_is_told) {
  weft_group g = WEFT_GROUP_INIT;
  struct latch runs = {0};
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  CHECK_INT(weft_group_spawn(&g, hit_and_return, &runs, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, 0), OWN_ERROR);
  CHECK_INT(latch_hits(&runs), 0);
  CHECK_UINT(weft_group_errors(&g, NULL, 0), 1); /* a refusal is none */
}

struct misused {
  weft_group g;
  struct latch in_join, go;
  int entered, left;
};

static int use_anothers_group(void *arg) {
  struct misused *m = arg;
  m->entered = weft_group_enter(&m->g);
  m->left = weft_group_exit(&m->g, 0);
  latch_hit(&m->in_join);
  return 0;
}

TASK_TEST(TG6_a_group_is_entered_once_and_left_by_the_task_that_did) {
  struct misused m = {0};
  CHECK_INT(weft_group_enter(&m.g), 0);
  CHECK_INT(weft_group_enter(&m.g), WEFT_ESTATE);
  CHECK_INT(weft_await(weft_spawn(use_anothers_group, &m, NULL)), 0);
  CHECK_INT(m.entered, WEFT_ESTATE);
  CHECK_INT(m.left, WEFT_ESTATE);
  CHECK_INT(weft_group_spawn(&m.g, return_seven, NULL, NULL), 0);
  CHECK_INT(weft_group_exit(&m.g, 0), 0);
}

static int join_my_own_group(void *arg) {
  struct misused *m = arg;
  m->left = weft_group_join(&m->g);
  return weft_group_exit(&m->g, 0) == WEFT_ESELF ? 0 : OWN_ERROR;
}

TASK_TEST(TG6_a_child_cannot_join_its_group) {
  struct misused m = {0};
  CHECK_INT(weft_group_spawn(&m.g, join_my_own_group, &m, NULL), 0);
  CHECK_INT(weft_group_join(&m.g), 0);
  CHECK_INT(m.left, WEFT_ESELF);
}

static int join_given(void *arg) {
  struct misused *m = arg;
  latch_hit(&m->in_join);
  return weft_group_join(&m->g);
}

TASK_TEST(TG6_one_task_joins_and_the_second_is_told) {
  struct misused m = {0};
  CHECK_INT(weft_group_spawn(&m.g, wait_for_latch, &m.go, NULL), 0);
  weft_task one = weft_spawn(join_given, &m, NULL), two = weft_spawn(join_given, &m, NULL);
  while (weft_task_done(one) + weft_task_done(two) == 0) CHECK_INT(weft_yield(), 0);
  weft_task loser = weft_task_done(one) ? one : two, winner = weft_task_done(one) ? two : one;
  CHECK_INT(weft_await(loser), WEFT_ESTATE);
  CHECK_INT(weft_task_done(winner), 0);
  latch_hit(&m.go);
  CHECK_INT(weft_await(winner), 0);
}

static void TG6_outside_a_task_no_group_is_entered(void **state) {
  (void)state;
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&g), WEFT_ENOTASK);
  CHECK_INT(weft_group_exit(&g, 0), WEFT_ENOTASK);
  CHECK_INT(weft_group_stop(&g, 0, NULL), WEFT_ENOTASK);
}

/* ---- TG7 ---- */

struct chain {
  weft_group *g;
  int left;
};

static int spawn_the_next(void *arg) {
  struct chain c = *(struct chain *)arg;
  int r = weft_yield();
  if (r < 0 || c.left-- == 0) return r;
  return weft_group_spawn(c.g, spawn_the_next, &c, &(weft_spawn_opts){.arg_size = sizeof c});
}

TASK_TEST(TG7_children_spawn_while_the_body_waits_at_the_exit) {
  weft_group g = WEFT_GROUP_INIT;
  struct chain c = {.g = &g, .left = count(50)};
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_group_spawn(&g, spawn_the_next, &c, NULL), 0);
  CHECK_INT(weft_group_exit(&g, 0), 0);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

/* ---- TG8: in C no error is fatal: each stays in the group ---- */

TASK_TEST(TG8_errors_of_every_kind_stay_in_the_group) {
  static const int codes[] = {-1, WEFT_ENOMEM, WEFT_EINTR, WEFT_ESTALE, WEFT_EUSER, INT_MIN};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    weft_group g = WEFT_GROUP_INIT;
    weft_group_error e = {0};
    struct parker p = {0};
    int code = codes[i];
    CHECK_INT(weft_group_enter(&g), 0);
    weft_group_spawn(&g, park, &p, NULL);
    CHECK_INT(latch_wait(&p.parked, 1), 0);
    weft_group_spawn(&g, return_given, &code, NULL);
    CHECK_INT(weft_group_exit(&g, weft_sleep(A_LONG_TIME)), codes[i]);
    CHECK_UINT(weft_group_errors(&g, &e, 1), 1);
    CHECK_INT(e.code, codes[i]);
    CHECK_INT(p.woke_with, WEFT_ECANCELED);
    check_untouched(0);
  }
}

/* ---- TG9: children that begin in their spawn ---- */

TASK_TEST(TG9_a_child_that_fails_in_its_spawn_interrupts_the_body_afterwards) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, park, &p, &(weft_spawn_opts){.eager = true});
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  CHECK_INT(weft_group_spawn(&g, return_own_error, NULL, &(weft_spawn_opts){.eager = true}), 0);
  int r = weft_sleep(A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, r), OWN_ERROR);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  check_untouched(0);
}

/* ---- cancelling an entered group ---- */

static int cancel_the_group(void *arg) {
  return weft_group_cancel(arg);
}

TASK_TEST(cancelling_an_entered_group_interrupts_the_body_and_is_no_error) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  weft_group_spawn(&g, cancel_the_group, &g, NULL);
  int r = weft_sleep(A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, r), 0);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  check_untouched(0);
}

TASK_TEST(a_group_that_was_cancelled_before_it_is_entered_interrupts_the_body) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, WEFT_ECANCELED), 0);
  check_untouched(0);
}

TASK_TEST(a_body_that_does_not_suspend_is_not_interrupted_afterwards) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_group_exit(&g, 0), 0);
  check_untouched(0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TG1_exit_waits_for_all_children),
    cmocka_unit_test(TG1_a_group_without_children_is_left_at_once),
    cmocka_unit_test(TG2_the_first_error_cancels_the_siblings_and_the_body),
    cmocka_unit_test(TG2_all_errors_come_out_the_bodys_included),
    cmocka_unit_test(TG2_a_body_that_fails_cancels_the_children),
    cmocka_unit_test(TG2_errors_beyond_the_room_are_counted),
    cmocka_unit_test(TG2_a_spawn_that_fails_is_an_error_of_the_group),
    cmocka_unit_test(a_spawn_that_fails_has_its_code_where_codes_are_collected),
    cmocka_unit_test(a_join_says_when_there_was_no_room_for_a_code),
    cmocka_unit_test(a_failing_body_of_a_collecting_group_cancels_nobody),
    cmocka_unit_test(TG3_a_child_cancelled_alone_interrupts_nobody),
    cmocka_unit_test(TG4_a_cancel_in_the_body_cancels_the_children_and_goes_on),
    cmocka_unit_test(TG4_an_error_wins_over_the_cancel_which_is_not_lost),
    cmocka_unit_test(TG4_a_body_that_ends_as_cancelled_cancels_the_children),
    cmocka_unit_test(TG6_nothing_is_spawned_into_a_group_that_was_left),
    cmocka_unit_test(TG6_a_group_that_has_failed_refuses_and_the_body_is_told),
    cmocka_unit_test(TG6_a_group_is_entered_once_and_left_by_the_task_that_did),
    cmocka_unit_test(TG6_a_child_cannot_join_its_group),
    cmocka_unit_test(TG6_one_task_joins_and_the_second_is_told),
    cmocka_unit_test(TG6_outside_a_task_no_group_is_entered),
    cmocka_unit_test(TG7_children_spawn_while_the_body_waits_at_the_exit),
    cmocka_unit_test(TG8_errors_of_every_kind_stay_in_the_group),
    cmocka_unit_test(TG9_a_child_that_fails_in_its_spawn_interrupts_the_body_afterwards),
    cmocka_unit_test(cancelling_an_entered_group_interrupts_the_body_and_is_no_error),
    cmocka_unit_test(a_group_that_was_cancelled_before_it_is_entered_interrupts_the_body),
    cmocka_unit_test(a_body_that_does_not_suspend_is_not_interrupted_afterwards),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
