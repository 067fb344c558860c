/* Ending a group in two steps: asked to finish, then cut. */
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "task_test.h"

static const weft_group_opts stoppable = {.stoppable = true};

static int finish_when_asked(void *latch) {
  latch_hit(latch);
  int r = 0, rounds = 0;
  while (!weft_stopping() && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

static int wait_until_asked(void *latch) {
  latch_hit(latch);
  int r = weft_stop_wait();
  CHECK_INT(weft_stopping(), r == 0);
  return r;
}

struct parker {
  struct latch parked;
  int woke_with;
};

static int park(void *arg) {
  struct parker *p = arg;
  p->woke_with = hit_and_park(&p->parked);
  return p->woke_with;
}

TASK_TEST(children_that_look_finish_in_time) {
  weft_group g;
  struct latch begun = {0};
  weft_group_stopped s;
  weft_group_init(&g, &stoppable);
  for (int i = 0; i < 5; i++)
    weft_group_spawn(&g, i % 2 ? finish_when_asked : wait_until_asked, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 5), 0);
  CHECK_INT(weft_stopping(), false);
  CHECK_INT(weft_group_stop(&g, A_LONG_TIME, &s), 0);
  CHECK_UINT(s.ended, 5);
  CHECK_UINT(s.cut, 0);
  CHECK_INT(weft_stopping(), false); /* the owner is not its own child */
  CHECK_INT(weft_group_join(&g), 0);
}

TASK_TEST(children_that_do_not_are_cut_after_the_grace) {
  weft_group g;
  struct parker p[3] = {0};
  struct latch begun = {0};
  weft_group_stopped s;
  weft_group_init(&g, &stoppable);
  for (int i = 0; i < 3; i++) weft_group_spawn(&g, park, &p[i], NULL);
  for (int i = 0; i < 3; i++) CHECK_INT(latch_wait(&p[i].parked, 1), 0);
  weft_group_spawn(&g, wait_until_asked, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  weft_ns start = weft_now();
  CHECK_INT(weft_group_stop(&g, weft_ms(100), &s), WEFT_ETIMEDOUT);
  CHECK(weft_now() - start >= weft_ms(100));
  CHECK_UINT(s.ended, 1);
  CHECK_UINT(s.cut, 3);
  CHECK_INT(weft_group_join(&g), 0); /* to be cut is no error */
  for (int i = 0; i < 3; i++) CHECK_INT(p[i].woke_with, WEFT_ECANCELED);
}

static int note_reason(void *arg) {
  const char **reason = arg;
  int r = weft_sleep(A_LONG_TIME);
  *reason = weft_cancel_reason(weft_current());
  return r;
}

TASK_TEST(without_grace_they_are_cut_at_once) {
  weft_group g;
  const char *reason = NULL;
  weft_group_stopped s;
  struct parker p = {0};
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, note_reason, &reason, NULL);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  CHECK_INT(weft_group_stop(&g, 0, &s), WEFT_ETIMEDOUT);
  CHECK_UINT(s.cut, 2);
  CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK(reason == NULL ||
        strcmp(reason, "its group was stopped") == 0); /* NULL: it had not begun */
}

static int own_the_descendants(void *arg) {
  struct latch *begun = arg;
  weft_group plain = WEFT_GROUP_INIT, inner;
  weft_group_init(&inner, &stoppable);
  weft_group_spawn(&plain, wait_until_asked, begun, NULL);
  weft_group_spawn(&inner, wait_until_asked, begun, NULL);
  weft_task t = weft_spawn(wait_until_asked, begun, &(weft_spawn_opts){.name = "single"});
  CHECK_INT(weft_await(weft_spawn(finish_when_asked, begun, NULL)), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_group_join(&plain), 0);
  CHECK_INT(weft_group_join(&inner), 0);
  return wait_until_asked(begun);
}

TASK_TEST(all_that_the_children_have_started_are_asked) {
  weft_group g;
  struct latch begun = {0};
  weft_group_stopped s;
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, own_the_descendants, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 4), 0);
  CHECK_INT(weft_group_stop(&g, A_LONG_TIME, &s), 0);
  CHECK_UINT(s.ended, 1);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(latch_hits(&begun), 5);
}

struct inside {
  struct latch begun, outer_may_end;
};

static int stop_an_inner_group(void *arg) {
  struct inside *in = arg;
  weft_group inner;
  weft_group_init(&inner, &stoppable);
  weft_group_spawn(&inner, wait_until_asked, &in->begun, NULL);
  CHECK_INT(latch_wait(&in->begun, 1), 0);
  CHECK_INT(weft_group_stop(&inner, A_LONG_TIME, NULL), 0);
  CHECK_INT(weft_group_join(&inner), 0);
  CHECK_INT(weft_stopping(), false);
  latch_hit(&in->outer_may_end);
  return weft_stop_wait();
}

TASK_TEST(an_inner_group_is_stopped_alone) {
  weft_group g;
  struct inside in = {0};
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, stop_an_inner_group, &in, NULL);
  CHECK_INT(latch_wait(&in.outer_may_end, 1), 0);
  CHECK_INT(weft_group_stop(&g, A_LONG_TIME, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
}

static int is_stopping(void *arg) {
  *(bool *)arg = weft_stopping();
  return weft_stop_wait();
}

TASK_TEST(a_child_that_comes_after_the_request_finds_it) {
  weft_group g;
  bool seen[2] = {false, false};
  weft_group_init(&g, &stoppable);
  CHECK_INT(weft_group_stop(&g, weft_sec(1), NULL), 0); /* nobody was there */
  CHECK_INT(weft_group_spawn(&g, is_stopping, &seen[0], NULL), 0);
  CHECK_INT(weft_group_spawn(&g, is_stopping, &seen[1], NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK(seen[0] && seen[1]);
}

static int start_a_group_when_asked(void *arg) {
  bool *seen = arg;
  weft_group inner;
  int r = weft_stop_wait();
  weft_group_init(&inner, &stoppable);
  weft_group_spawn(&inner, is_stopping, seen, NULL);
  int j = weft_group_join(&inner);
  return r < 0 ? r : j;
}

TASK_TEST(a_group_that_begins_below_a_stopped_one_is_stopped) {
  weft_group g;
  bool seen = false;
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, start_a_group_when_asked, &seen, NULL);
  CHECK_INT(weft_group_stop(&g, A_LONG_TIME, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK(seen);
}

struct worker {
  struct latch begun;
  weft_task item;
  int won;
};

static int next_item_or_stop(void *arg) {
  struct worker *w = arg;
  weft_awaitable set[] = {weft_task_awaitable(w->item), weft_stop_awaitable()};
  latch_hit(&w->begun);
  int code = 1234;
  w->won = weft_select(set, 2, &code);
  CHECK_INT(code, 0);
  return 0;
}

TASK_TEST(the_request_can_be_selected_with_other_things) {
  weft_group g;
  struct parker p = {0};
  struct worker w = {.item = weft_spawn(park, &p, NULL)};
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, next_item_or_stop, &w, NULL);
  CHECK_INT(latch_wait(&w.begun, 1), 0);
  CHECK_INT(weft_group_stop(&g, A_LONG_TIME, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(w.won, 1);
  weft_cancel(w.item);
  weft_await(w.item);
}

struct stopper {
  weft_group *g;
  struct latch begun;
  weft_ns grace;
  weft_group_stopped report;
};

static int stop_it(void *arg) {
  struct stopper *s = arg;
  latch_hit(&s->begun);
  return weft_group_stop(s->g, s->grace, &s->report);
}

TASK_TEST(a_group_is_stopped_while_its_owner_joins) {
  weft_group g;
  struct latch begun = {0};
  struct stopper s = {.g = &g, .grace = A_LONG_TIME};
  weft_group_init(&g, &stoppable);
  for (int i = 0; i < 4; i++) weft_group_spawn(&g, wait_until_asked, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 4), 0);
  weft_task t = weft_spawn(stop_it, &s, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  int r = weft_await(t);
  CHECK_INT(r, 0);
  CHECK_UINT(s.report.ended, 4);
}

TASK_TEST(two_may_stop_a_group_and_the_join_waits_for_both) {
  weft_group g;
  struct parker p = {0};
  struct stopper patient = {.g = &g, .grace = WEFT_FOREVER}, short_one = {.g = &g};
  short_one.grace = weft_ms(20);
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  weft_task one = weft_spawn(stop_it, &patient, NULL);
  CHECK_INT(latch_wait(&patient.begun, 1), 0);
  weft_task two = weft_spawn(stop_it, &short_one, NULL);
  CHECK_INT(latch_wait(&short_one.begun, 1), 0);
  CHECK_INT(weft_await(two), WEFT_ETIMEDOUT);
  CHECK_INT(weft_await(one), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_UINT(short_one.report.cut, 1);
  CHECK_UINT(patient.report.ended, 1);
}

TASK_TEST(a_cancelled_stopper_cuts_at_once) {
  weft_group g;
  struct parker p = {0};
  struct stopper s = {.g = &g, .grace = WEFT_FOREVER};
  weft_group_init(&g, &stoppable);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  weft_task t = weft_spawn(stop_it, &s, NULL);
  CHECK_INT(latch_wait(&s.begun, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  CHECK_UINT(s.report.cut, 1);
}

TASK_TEST(the_body_of_a_stopped_group_goes_on_unless_children_are_cut) {
  weft_group g;
  struct parker p = {0};
  struct latch begun = {0};
  weft_group_init(&g, &stoppable);
  CHECK_INT(weft_group_enter(&g), 0);
  weft_group_spawn(&g, wait_until_asked, &begun, NULL);
  CHECK_INT(weft_group_stop(&g, A_LONG_TIME, NULL), 0);
  CHECK_INT(weft_yield(), 0);
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  CHECK_INT(weft_group_stop(&g, weft_ms(1), NULL), WEFT_ETIMEDOUT);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_group_exit(&g, 0), 0);
  CHECK_INT(weft_yield(), 0);
}

TASK_TEST(a_limited_group_stops_with_those_that_wait_for_a_place) {
  weft_group g;
  struct latch begun = {0};
  struct stopper s = {.g = &g, .grace = A_LONG_TIME};
  weft_group_init(&g, &(weft_group_opts){.stoppable = true, .limit = 2});
  weft_task t = {0};
  for (int i = 0; i < 6; i++) {
    if (i == 2) t = weft_spawn(stop_it, &s, NULL);
    CHECK_INT(weft_group_spawn(&g, wait_until_asked, &begun, NULL), 0);
  }
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(latch_hits(&begun), 6);
  int r = weft_await(t);
  CHECK(r == 0 || r == WEFT_ESTATE);
}

static int stop_my_own_group(void *arg) {
  return weft_group_stop(arg, WEFT_FOREVER, NULL) == WEFT_ESELF ? 0 : OWN_ERROR;
}

TASK_TEST(wrong_uses_of_stop_are_told) {
  weft_group plain = WEFT_GROUP_INIT, g;
  CHECK_INT(weft_group_stop(&plain, 0, NULL), WEFT_ESTATE);
  CHECK_INT(weft_group_spawn(&plain, return_seven, NULL, NULL), 0);
  CHECK_INT(weft_group_stop(&plain, A_LONG_TIME, NULL), WEFT_ESTATE);
  CHECK_INT(weft_group_join(&plain), 0);
  weft_group_init(&g, &stoppable);
  CHECK_INT(weft_group_spawn(&g, stop_my_own_group, &g, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_stop(&g, 0, NULL), WEFT_ESTATE);
  weft_group_done(&g);
  CHECK_INT(weft_group_stop(&g, 0, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
}

TASK_TEST(without_memory_for_the_request_the_spawn_fails) {
  weft_group g;
  weft_group_init(&g, &stoppable);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  int r = weft_group_spawn(&g, return_seven, NULL, NULL);
  weft__memory_fail_end();
  CHECK_INT(r, WEFT_ENOMEM);
  CHECK_INT(weft_group_join(&g), WEFT_ENOMEM);
  CHECK_UINT(weft_group_errors(&g, NULL, 0), 1);
  weft_group_done(&g);
  CHECK_INT(weft_group_spawn(&g, return_seven, NULL, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
}

TASK_TEST(where_nobody_can_ask_only_a_cancel_ends_the_wait) {
  struct latch begun = {0};
  weft_task t = weft_spawn(wait_until_asked, &begun, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_stopping(), false);
}

static void outside_a_task_nobody_is_asked(void **state) {
  (void)state;
  CHECK_INT(weft_stopping(), false);
  CHECK_INT(weft_stop_wait(), WEFT_ENOTASK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(children_that_look_finish_in_time),
    cmocka_unit_test(children_that_do_not_are_cut_after_the_grace),
    cmocka_unit_test(without_grace_they_are_cut_at_once),
    cmocka_unit_test(all_that_the_children_have_started_are_asked),
    cmocka_unit_test(an_inner_group_is_stopped_alone),
    cmocka_unit_test(a_child_that_comes_after_the_request_finds_it),
    cmocka_unit_test(a_group_that_begins_below_a_stopped_one_is_stopped),
    cmocka_unit_test(the_request_can_be_selected_with_other_things),
    cmocka_unit_test(a_group_is_stopped_while_its_owner_joins),
    cmocka_unit_test(two_may_stop_a_group_and_the_join_waits_for_both),
    cmocka_unit_test(a_cancelled_stopper_cuts_at_once),
    cmocka_unit_test(the_body_of_a_stopped_group_goes_on_unless_children_are_cut),
    cmocka_unit_test(a_limited_group_stops_with_those_that_wait_for_a_place),
    cmocka_unit_test(wrong_uses_of_stop_are_told),
    cmocka_unit_test(without_memory_for_the_request_the_spawn_fails),
    cmocka_unit_test(where_nobody_can_ask_only_a_cancel_ends_the_wait),
    cmocka_unit_test(outside_a_task_nobody_is_asked),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
