/* Futures: a result that arrives later, its callbacks and those who wait for it. */
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "future_test.h"
#include "log_capture.h"
#include "task_test.h"
#include "threads.h"

/* ---- F1, F2: states ---- */

TASK_TEST(F1_the_result_of_a_pending_future_is_a_named_error) {
  weft_future *f = fresh(sizeof(int));
  int v = 5;
  CHECK_INT(weft_future_get(f, &v), WEFT_EPENDING);
  CHECK_INT(v, 5);
  CHECK(!weft_future_done(f));
  weft_future_unref(f);
}

TASK_TEST(F1_a_second_result_is_refused_and_changes_nothing) {
  weft_future *f = fresh(sizeof(int));
  int first = 1, second = 2, v = 0;
  CHECK_INT(weft_future_set(f, &first), 0);
  CHECK_INT(weft_future_set(f, &second), WEFT_ESTATE);
  CHECK_INT(weft_future_fail(f, OWN_ERROR), WEFT_ESTATE);
  CHECK_INT(weft_future_get(f, &v), 0);
  CHECK_INT(v, 1);
  weft_future_unref(f);
}

TASK_TEST(F1_an_error_is_the_result) {
  weft_future *f = fresh(sizeof(int));
  int v = 5;
  CHECK_INT(weft_future_fail(f, OWN_ERROR), 0);
  CHECK_INT(weft_future_get(f, &v), OWN_ERROR);
  CHECK_INT(weft_future_await(f, &v), OWN_ERROR);
  CHECK_INT(v, 5);
  weft_future_unref(f);
}

TASK_TEST(F2_cancel_ends_a_pending_future_once) {
  weft_future *f = fresh(0);
  CHECK_INT(weft_future_cancel(f), 1);
  CHECK(weft_future_cancelled(f));
  CHECK(weft_future_done(f));
  CHECK_INT(weft_future_cancel(f), 0);
  CHECK_INT(weft_future_set(f, NULL), WEFT_ESTATE);
  CHECK_INT(weft_future_get(f, NULL), WEFT_ECANCELED);
  weft_future_unref(f);
}

TASK_TEST(F2_cancel_of_a_future_that_is_over_changes_nothing) {
  weft_future *f = fresh(sizeof(int));
  int v = 3;
  CHECK_INT(weft_future_set(f, &v), 0);
  CHECK_INT(weft_future_cancel(f), 0);
  CHECK(!weft_future_cancelled(f));
  v = 0;
  CHECK_INT(weft_future_await(f, &v), 0);
  CHECK_INT(v, 3);
  weft_future_unref(f);
}

TASK_TEST(bad_arguments_are_named_and_leave_the_future_pending) {
  weft_future *f = fresh(sizeof(int));
  CHECK_INT(weft_future_set(f, NULL), WEFT_EINVAL);
  CHECK_INT(weft_future_fail(f, 0), WEFT_EINVAL);
  CHECK_INT(weft_future_fail(f, WEFT_ECANCELED), WEFT_EINVAL);
  CHECK_INT(weft_future_on_done(f, NULL, NULL), WEFT_EINVAL);
  CHECK(!weft_future_done(f));
  weft_future_unref(f);
  weft_future *big = NULL;
  CHECK_INT(weft_future_new(&big, SIZE_MAX / 2), WEFT_EINVAL);
  CHECK_PTR(big, NULL);
  weft_future_unref(NULL);
  CHECK_PTR(weft_future_ref(NULL), NULL);
}

/* ---- awaiting ---- */

TASK_TEST(every_awaiter_gets_the_value) {
  enum { N = 20 };
  struct awaited a[N];
  struct latch waiting = {0};
  weft_group g = WEFT_GROUP_INIT;
  weft_future *f = fresh(sizeof(int));
  for (int i = 0; i < N; i++) {
    a[i] = (struct awaited){f, &waiting, -1, 0};
    CHECK_INT(weft_group_spawn(&g, await_future, &a[i], NULL), 0);
  }
  CHECK_INT(latch_wait(&waiting, N), 0);
  int v = 42;
  CHECK_INT(weft_future_set(f, &v), 0);
  CHECK_INT(weft_group_join(&g), 0);
  for (int i = 0; i < N; i++) {
    CHECK_INT(a[i].code, 0);
    CHECK_INT(a[i].value, 42);
  }
  weft_future_unref(f);
}

static int set_from_thread_task(void *arg) {
  weft_future *f = arg;
  int v = 9;
  CHECK_INT(weft_future_set(f, &v), 0);
  weft_future_unref(f);
  return 0;
}

static void *set_from_thread(void *arg) {
  set_from_thread_task(arg);
  return NULL;
}

TASK_TEST(F9_a_thread_outside_the_runtime_sets_the_result) {
  weft_future *f = fresh(sizeof(int));
  pthread_t thread;
  CHECK_INT(weft__sys_thread_create(&thread, NULL, set_from_thread, weft_future_ref(f)), 0);
  int v = 0;
  CHECK_INT(weft_future_await(f, &v), 0);
  CHECK_INT(v, 9);
  weft__sys_thread_join(thread);
  weft_future_unref(f);
}

TASK_TEST(F9_a_thread_sees_that_its_result_is_not_wanted_any_more) {
  weft_future *f = fresh(sizeof(int));
  struct latch waiting = {0};
  struct awaited a = {f, &waiting, -1, 0};
  weft_task t = weft_spawn(await_future, &a, NULL);
  CHECK_INT(latch_wait(&waiting, 1), 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(weft_future_cancelled(f));
  int v = 1;
  CHECK_INT(weft_future_set(f, &v), WEFT_ESTATE);
  weft_future_unref(f);
}

TASK_TEST(T8_cancelling_an_awaiter_cancels_the_future) {
  weft_future *f = fresh(0);
  struct latch waiting = {0};
  struct awaited a = {f, &waiting, -1, 0}, b = {f, &waiting, -1, 0};
  weft_task ta = weft_spawn(await_future, &a, NULL), tb = weft_spawn(await_future, &b, NULL);
  CHECK_INT(latch_wait(&waiting, 2), 0);
  CHECK_INT(weft_cancel(ta), 1);
  CHECK_INT(weft_await(ta), WEFT_ECANCELED);
  /* T9: whoever else awaits it sees it cancelled, without being cancelled itself. */
  CHECK_INT(weft_task_wait(tb, NULL), 0);
  CHECK_INT(weft_cancelling(tb), 0);
  CHECK_INT(weft_await(tb), WEFT_ECANCELED);
  CHECK(weft_future_cancelled(f));
  weft_future_unref(f);
}

static int await_after_an_end(void *arg) {
  struct awaited *a = arg;
  latch_hit(a->waiting);
  CHECK_INT(weft_future_await(a->f, &a->value), 0);
  a->code = weft_yield();
  return 0;
}

TASK_TEST(a_result_that_came_first_is_kept_and_the_cancel_comes_next) {
  for (int i = 0; i < count(200); i++) {
    weft_future *f = fresh(sizeof(int));
    struct latch waiting = {0};
    struct awaited a = {f, &waiting, -1, 0};
    weft_task t = weft_spawn(await_after_an_end, &a, NULL);
    CHECK_INT(latch_wait(&waiting, 1), 0);
    for (int k = 0; k < 3; k++) weft_yield(); /* most often it waits by now */
    int v = 8;
    CHECK_INT(weft_future_set(f, &v), 0);
    weft_cancel(t);
    weft_await(t);
    CHECK_INT(a.value, 8);
    CHECK(a.code == WEFT_ECANCELED || a.code == 0);
    weft_future_unref(f);
  }
}

/* ---- callbacks ---- */

struct notes {
  weft__atomic_u32 n;
  struct note {
    struct notes *all;
    int id, at, done;
  } note[8];
  struct latch called;
};

static int take_note(weft_future *f, void *arg) {
  struct note *n = arg;
  n->at = (int)weft__add_u32(&n->all->n, 1);
  n->done = weft_future_done(f);
  latch_hit(&n->all->called);
  return 0;
}

static void add(struct notes *n, int id, weft_future *f) {
  n->note[id] = (struct note){n, id, -1, -1};
  CHECK_INT(weft_future_on_done(f, take_note, &n->note[id]), 0);
}

TASK_TEST(F3_callbacks_are_called_in_order_and_never_inside_set) {
  struct notes n = {0};
  weft_future *f = fresh(0);
  for (int i = 0; i < 8; i++) add(&n, i, f);
  weft_shield_begin(); /* set does not suspend: on one worker nothing can have run after it */
  CHECK_INT(weft_future_set(f, NULL), 0);
  if (weft_worker_count() == 1) CHECK_INT(latch_hits(&n.called), 0);
  weft_shield_end();
  CHECK_INT(latch_wait(&n.called, 8), 0);
  for (int i = 0; i < 8; i++) {
    CHECK_INT(n.note[i].at, i);
    CHECK_INT(n.note[i].done, 1);
  }
  weft_future_unref(f);
}

static int set_as_task(void *arg) {
  CHECK_INT(weft_future_set(arg, NULL), 0);
  return 0;
}

EXACT_TEST(F3_awaiters_and_callbacks_take_turns_in_the_order_they_came) {
  struct notes n = {0};
  weft_future *f = fresh(0);
  struct awaited a = {.f = f};
  add(&n, 0, f);
  weft_task t = weft_spawn(await_future, &a, NULL);
  CHECK_INT(weft_yield(), 0);
  add(&n, 1, f);
  weft_task s = weft_spawn(set_as_task, f, NULL);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(latch_hits(&n.called), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(n.note[0].at, 0);
  CHECK_INT(weft_task_done(t), 1);
  CHECK_INT(n.note[1].at, 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(s), 0);
  weft_future_unref(f);
}

TASK_TEST(F4_a_callback_of_a_future_that_is_over_is_still_deferred) {
  struct notes n = {0};
  weft_future *f = fresh(0);
  CHECK_INT(weft_future_set(f, NULL), 0);
  add(&n, 0, f);
  if (weft_worker_count() == 1) CHECK_INT(latch_hits(&n.called), 0);
  CHECK_INT(latch_wait(&n.called, 1), 0);
  add(&n, 1, f);
  CHECK_INT(latch_wait(&n.called, 2), 0);
  weft_future_unref(f);
}

TASK_TEST(F5_forgetting_removes_all_equal_callbacks_and_tells_how_many) {
  struct notes n = {0};
  weft_future *f = fresh(0);
  add(&n, 0, f);
  add(&n, 1, f);
  CHECK_INT(weft_future_on_done(f, take_note, &n.note[0]), 0);
  CHECK_INT(weft_future_forget(f, take_note, &n.note[0]), 2);
  CHECK_INT(weft_future_forget(f, take_note, &n.note[0]), 0);
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(latch_wait(&n.called, 1), 0);
  CHECK_INT(n.note[0].at, -1);
  CHECK_INT(n.note[1].at, 0);
  weft_future_unref(f);
}

struct forgetter {
  weft_future *f;
  struct notes *n;
  int forgotten;
};

static int forget_the_second(weft_future *f, void *arg) {
  struct forgetter *g = arg;
  g->forgotten = weft_future_forget(f, take_note, &g->n->note[0]);
  return 0;
}

TASK_TEST(F5_a_callback_may_remove_one_that_is_still_to_be_called) {
  struct notes n = {0};
  weft_future *f = fresh(0);
  struct forgetter g = {f, &n, -1};
  CHECK_INT(weft_future_on_done(f, forget_the_second, &g), 0);
  add(&n, 0, f);
  add(&n, 1, f);
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(latch_wait(&n.called, 1), 0);
  CHECK_INT(g.forgotten, 1);
  CHECK_INT(n.note[0].at, -1);
  CHECK_INT(n.note[1].at, 0);
  weft_future_unref(f);
}

TASK_TEST(callbacks_run_when_a_thread_outside_sets_the_future) {
  struct notes n = {0};
  weft_future *f = fresh(sizeof(int));
  add(&n, 0, f);
  pthread_t thread;
  CHECK_INT(weft__sys_thread_create(&thread, NULL, set_from_thread, weft_future_ref(f)), 0);
  CHECK_INT(latch_wait(&n.called, 1), 0);
  weft__sys_thread_join(thread);
  weft_future_unref(f);
}

TASK_TEST(callbacks_added_while_others_set_it_are_all_called_once) {
  for (int i = 0; i < count(100); i++) {
    struct notes n = {0};
    weft_future *f = fresh(0);
    weft_task t = weft_spawn(set_as_task, f, NULL);
    for (int k = 0; k < 8; k++) {
      add(&n, k, f);
      if (k % 3 == 0) weft_yield();
    }
    CHECK_INT(latch_wait(&n.called, 8), 0);
    for (int k = 0; k < 8; k++) CHECK_INT(n.note[k].at, k);
    CHECK_INT(weft_await(t), 0);
    weft_future_unref(f);
  }
}

static weft_local color = WEFT_LOCAL_INIT("color", NULL);

static int note_color(weft_future *f, void *arg) {
  (void)f;
  struct awaited *a = arg;
  a->value = (int)(intptr_t)weft_local_get(&color, NULL);
  latch_hit(a->waiting);
  return 0;
}

TASK_TEST(F6_each_callback_runs_in_the_context_it_was_added_in) {
  struct latch called = {0};
  weft_future *f = fresh(0);
  struct awaited a[3] = {{.waiting = &called}, {.waiting = &called}, {.waiting = &called}};
  CHECK_INT(weft_future_on_done(f, note_color, &a[0]), 0);
  for (int i = 1; i < 3; i++) {
    CHECK_INT(weft_local_set(&color, (void *)(intptr_t)i, NULL), 0);
    CHECK_INT(weft_future_on_done(f, note_color, &a[i]), 0);
  }
  CHECK_INT(weft_local_set(&color, (void *)9, NULL), 0);
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(latch_wait(&called, 3), 0);
  for (int i = 0; i < 3; i++) CHECK_INT(a[i].value, i);
  weft_future_unref(f);
}

/* Adds callbacks from inside a strand; each looks whether it is in it, and alone in it. */
struct in_strand {
  weft_future *f;
  weft_strand *strand;
  struct latch called, added;
  int inside; /* the strand's only */
  int wrong;
};

static int look_around(weft_future *f, void *arg) {
  struct in_strand *s = arg;
  (void)f;
  if (!weft_strand_in(s->strand) || s->inside++ != 0) s->wrong++;
  s->inside--;
  latch_hit(&s->called);
  return 0;
}

static int add_in_strand(void *arg) {
  struct in_strand *s = arg;
  for (int i = 0; i < 4; i++) CHECK_INT(weft_future_on_done(s->f, look_around, s), 0);
  latch_hit(&s->added);
  return 0;
}

static int note_outside(weft_future *f, void *arg) {
  struct in_strand *s = arg;
  (void)f;
  CHECK(!weft_strand_in(s->strand));
  latch_hit(&s->called);
  return 0;
}

TASK_TEST(F3_a_callback_is_of_the_strand_of_who_added_it) {
  for (int i = 0; i < count(30); i++) {
    struct in_strand s = {.f = fresh(0)};
    CHECK_INT(weft_strand_new(&s.strand), 0);
    CHECK_INT(weft_future_on_done(s.f, note_outside, &s), 0);
    weft_task t = weft_spawn(add_in_strand, &s, &(weft_spawn_opts){.strand = s.strand});
    CHECK_INT(weft_await(t), 0);
    CHECK_INT(weft_future_on_done(s.f, note_outside, &s), 0);
    /* Ended by a task of the strand as by one of none. */
    t = weft_spawn(set_as_task, s.f, &(weft_spawn_opts){.strand = i % 2 ? s.strand : NULL});
    CHECK_INT(weft_await(t), 0);
    CHECK_INT(latch_wait(&s.called, 6), 0);
    CHECK_INT(s.wrong, 0);
    weft_strand_free(s.strand);
    weft_future_unref(s.f);
  }
}

/* ---- reports ---- */

static int fail_note(weft_future *f, void *arg) {
  (void)f;
  latch_hit(arg);
  return OWN_ERROR;
}

struct callbacks_run {
  struct latch called;
};

static int failing_callback_main(void *arg) {
  struct callbacks_run *c = arg;
  struct notes n = {0};
  weft_future *f = fresh(0);
  CHECK_INT(weft_future_on_done(f, fail_note, &c->called), 0);
  add(&n, 0, f);
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(latch_wait(&n.called, 1), 0);
  weft_future_unref(f);
  return 0;
}

static void F8_a_callback_that_fails_is_reported_and_the_others_run(void **state) {
  (void)state;
  struct log_capture log = LOG_CAPTURE_INIT;
  struct callbacks_run c = {0};
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(failing_callback_main, &c, &opts), 0);
  CHECK_INT(latch_hits(&c.called), 1);
  if (!CHECK_INT(log_capture_count(&log, "callback of a future failed"), 1))
    log_capture_print(&log);
}

enum reading { NOT_READ, READ, AWAITED, CANCELLED, WATCHED, LOOKED_AT, GATHERED };

static int fail_a_future(void *arg) {
  weft_future *f = fresh(0);
  weft_future *other = weft_future_ref(f);
  weft_awaitable a = weft_future_awaitable(f);
  weft_completed *c = NULL;
  weft_outcome out;
  switch (*(enum reading *)arg) {
  case CANCELLED:
    weft_future_cancel(f);
    break;
  case READ:
    weft_future_fail(f, OWN_ERROR);
    CHECK_INT(weft_future_get(f, NULL), OWN_ERROR);
    break;
  case AWAITED:
    weft_future_fail(f, OWN_ERROR);
    CHECK_INT(weft_future_await(f, NULL), OWN_ERROR);
    break;
  case NOT_READ:
    weft_future_fail(f, OWN_ERROR);
    break;
  case WATCHED: /* waited for, but nobody was told the code */
    CHECK_INT(weft_as_completed(&c, &a, 1, WEFT_FOREVER), 0);
    weft_future_fail(f, OWN_ERROR);
    CHECK_INT(weft_wait(&a, 1, WEFT_ALL_OVER, WEFT_FOREVER, NULL), 1);
    weft_completed_free(c);
    break;
  case LOOKED_AT:
    weft_future_fail(f, OWN_ERROR);
    CHECK_INT(weft_wait(&a, 1, WEFT_ALL_OVER, WEFT_FOREVER, &out), 1);
    break;
  case GATHERED:
    weft_future_fail(f, OWN_ERROR);
    CHECK_INT(weft_gather_mixed(&a, 1, NULL), OWN_ERROR);
    break;
  }
  weft_future_unref(f);
  weft_future_unref(other);
  return 0;
}

static int reports_of(enum reading how) {
  struct log_capture log = LOG_CAPTURE_INIT;
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(fail_a_future, &how, &opts), 0);
  int n = log_capture_count(&log, "a future failed");
  CHECK_INT(log_capture_count(&log, "made at "), n);
  return n;
}

static void F7_an_error_nobody_read_is_reported_once(void **state) {
  (void)state;
  CHECK_INT(reports_of(NOT_READ), 1);
  CHECK_INT(reports_of(WATCHED), 1);
}

static void F7_reading_or_cancelling_silences_the_report(void **state) {
  (void)state;
  CHECK_INT(reports_of(READ), 0);
  CHECK_INT(reports_of(AWAITED), 0);
  CHECK_INT(reports_of(CANCELLED), 0);
  CHECK_INT(reports_of(LOOKED_AT), 0);
  CHECK_INT(reports_of(GATHERED), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(F1_the_result_of_a_pending_future_is_a_named_error),
    cmocka_unit_test(F1_a_second_result_is_refused_and_changes_nothing),
    cmocka_unit_test(F1_an_error_is_the_result),
    cmocka_unit_test(F2_cancel_ends_a_pending_future_once),
    cmocka_unit_test(F2_cancel_of_a_future_that_is_over_changes_nothing),
    cmocka_unit_test(bad_arguments_are_named_and_leave_the_future_pending),
    cmocka_unit_test(every_awaiter_gets_the_value),
    cmocka_unit_test(F9_a_thread_outside_the_runtime_sets_the_result),
    cmocka_unit_test(F9_a_thread_sees_that_its_result_is_not_wanted_any_more),
    cmocka_unit_test(T8_cancelling_an_awaiter_cancels_the_future),
    cmocka_unit_test(a_result_that_came_first_is_kept_and_the_cancel_comes_next),
    cmocka_unit_test(F3_callbacks_are_called_in_order_and_never_inside_set),
    cmocka_unit_test(F3_awaiters_and_callbacks_take_turns_in_the_order_they_came),
    cmocka_unit_test(F4_a_callback_of_a_future_that_is_over_is_still_deferred),
    cmocka_unit_test(F5_forgetting_removes_all_equal_callbacks_and_tells_how_many),
    cmocka_unit_test(F5_a_callback_may_remove_one_that_is_still_to_be_called),
    cmocka_unit_test(callbacks_run_when_a_thread_outside_sets_the_future),
    cmocka_unit_test(callbacks_added_while_others_set_it_are_all_called_once),
    cmocka_unit_test(F6_each_callback_runs_in_the_context_it_was_added_in),
    cmocka_unit_test(F3_a_callback_is_of_the_strand_of_who_added_it),
    cmocka_unit_test(F8_a_callback_that_fails_is_reported_and_the_others_run),
    cmocka_unit_test(F7_an_error_nobody_read_is_reported_once),
    cmocka_unit_test(F7_reading_or_cancelling_silences_the_report),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
