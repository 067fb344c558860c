/* weft_wait, weft_select and weft_shield, over tasks, futures and an awaitable of the test's own. */
#include <pthread.h>
#include <weft.h>

#include "base/mutex.h"
#include "base/sys.h"
#include "counts.h"
#include "door.h"
#include "log_capture.h"
#include "task_test.h"

static weft_future *fresh(void) {
  weft_future *f = NULL;
  CHECK_INT(weft_future_new(&f, 0), 0);
  return f;
}

static weft_task parked(struct latch *begun) {
  weft_task t = weft_spawn(hit_and_park, begun, NULL);
  CHECK_INT(latch_wait(begun, 1), 0);
  return t;
}

static int end_parked(weft_task t) {
  weft_cancel(t);
  return weft_await(t);
}

static int set_later(void *arg) {
  int r = weft_yield();
  return r < 0 ? r : weft_future_set(arg, NULL);
}

/* ---- W: wait ---- */

TASK_TEST(W1_the_time_running_out_is_no_error_and_cancels_nothing) {
  struct latch begun = {0};
  weft_task t = parked(&begun), u = weft_spawn(return_seven, NULL, NULL);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_task_awaitable(u)};
  weft_outcome out[2];
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, weft_ms(20), out), 1);
  CHECK(!out[0].over);
  CHECK(out[1].over);
  CHECK_INT(out[1].code, 7);
  CHECK_INT(weft_cancelling(t), 0);
  CHECK_INT(weft_task_done(t), 0);
  CHECK_INT(weft_await(u), 7);
  CHECK_INT(end_parked(t), WEFT_ECANCELED);
}

TASK_TEST(W1_without_time_it_looks_once) {
  weft_future *f = fresh();
  weft_awaitable set[] = {weft_future_awaitable(f)};
  CHECK_INT(weft_wait(set, 1, WEFT_ALL_OVER, 0, NULL), 0);
  CHECK_INT(weft_wait(set, 1, WEFT_ALL_OVER, -1, NULL), 0);
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(weft_wait(set, 1, WEFT_ALL_OVER, 0, NULL), 1);
  weft_future_unref(f);
}

TASK_TEST(W2_waiting_for_nothing_is_an_error) {
  weft_outcome out[1];
  weft_awaitable none = {0};
  CHECK_INT(weft_wait(NULL, 0, WEFT_ALL_OVER, WEFT_FOREVER, out), WEFT_EINVAL);
  CHECK_INT(weft_wait(&none, 1, WEFT_ALL_OVER, WEFT_FOREVER, out), WEFT_EINVAL);
  CHECK_INT(weft_select(NULL, 0, NULL), WEFT_EINVAL);
}

TASK_TEST(W2_bad_handles_are_named_and_the_others_stay_usable) {
  weft_task dead = weft_spawn(return_seven, NULL, NULL), t = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(weft_await(dead), 7);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_task_awaitable(dead)};
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, WEFT_FOREVER, NULL), WEFT_ESTALE);
  set[1] = weft_task_awaitable(weft_current());
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, WEFT_FOREVER, NULL), WEFT_ESELF);
  set[1] = weft_task_awaitable(weft_spawn(NULL, NULL, NULL));
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, WEFT_FOREVER, NULL), WEFT_EINVAL);
  CHECK_INT(weft_wait(set, 1, WEFT_FIRST_ERROR + 1, WEFT_FOREVER, NULL), WEFT_EINVAL);
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(W2_the_same_awaitable_twice_is_over_in_both_places) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_task_awaitable(t)};
  weft_outcome out[2];
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, WEFT_FOREVER, out), 2);
  CHECK_INT(out[0].code, 7);
  CHECK_INT(out[1].code, 7);
  CHECK_INT(weft_await(t), 7);
}

TASK_TEST(W3_first_over_returns_with_all_that_are_over) {
  struct latch begun = {0};
  weft_future *f = fresh(), *g = fresh();
  weft_task t = parked(&begun);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f),
                          weft_future_awaitable(g)};
  weft_outcome out[3];
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(weft_future_fail(g, OWN_ERROR), 0);
  CHECK_INT(weft_wait(set, 3, WEFT_FIRST_OVER, WEFT_FOREVER, out), 2);
  CHECK(!out[0].over);
  CHECK(out[1].over);
  CHECK_INT(out[2].code, OWN_ERROR);
  CHECK_INT(end_parked(t), WEFT_ECANCELED);
  weft_future_unref(f);
  weft_future_unref(g);
}

TASK_TEST(W3_first_over_wakes_at_the_first) {
  struct latch begun = {0};
  weft_future *f = fresh();
  weft_task t = parked(&begun), s = weft_spawn(set_later, f, NULL);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f)};
  weft_outcome out[2];
  CHECK_INT(weft_wait(set, 2, WEFT_FIRST_OVER, WEFT_FOREVER, out), 1);
  CHECK(out[1].over);
  CHECK_INT(weft_await(s), 0);
  CHECK_INT(end_parked(t), WEFT_ECANCELED);
  weft_future_unref(f);
}

TASK_TEST(W4_first_error_ignores_what_was_cancelled) {
  struct latch begun = {0};
  weft_future *f = fresh(), *g = fresh();
  weft_task t = parked(&begun);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f),
                          weft_future_awaitable(g)};
  weft_outcome out[3];
  CHECK_INT(weft_future_cancel(f), 1);
  CHECK_INT(weft_wait(set, 3, WEFT_FIRST_ERROR, weft_ms(5), out), 1); /* went on waiting */
  CHECK_INT(out[1].code, WEFT_ECANCELED);
  CHECK_INT(weft_future_fail(g, OWN_ERROR), 0);
  CHECK_INT(weft_wait(set, 3, WEFT_FIRST_ERROR, WEFT_FOREVER, out), 2);
  CHECK_INT(out[2].code, OWN_ERROR);
  CHECK_INT(end_parked(t), WEFT_ECANCELED);
  weft_future_unref(f);
  weft_future_unref(g);
}

struct waiter {
  weft_awaitable *set;
  size_t n;
  struct latch waiting;
  int code;
};

static int wait_for_all(void *arg) {
  struct waiter *w = arg;
  latch_hit(&w->waiting);
  return w->code = weft_wait(w->set, w->n, WEFT_ALL_OVER, WEFT_FOREVER, NULL);
}

TASK_TEST(W5_cancelling_the_waiter_leaves_the_others_running) {
  struct latch begun = {0};
  weft_task t = parked(&begun);
  weft_future *f = fresh();
  weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f)};
  struct waiter w = {set, 2, {0}, 0};
  weft_task waiting = weft_spawn(wait_for_all, &w, NULL);
  CHECK_INT(latch_wait(&w.waiting, 1), 0);
  weft_cancel(waiting);
  CHECK_INT(weft_await(waiting), WEFT_ECANCELED);
  CHECK_INT(weft_cancelling(t), 0);
  CHECK(!weft_future_done(f));
  CHECK_INT(end_parked(t), WEFT_ECANCELED);
  weft_future_unref(f);
}

TASK_TEST(waiting_for_many_from_several_workers) {
  enum { N = 200 };
  static weft_task t[N];
  static weft_awaitable set[N];
  static weft_outcome out[N];
  static int given[N];
  const int n = count(N);
  for (int i = 0; i < n; i++) {
    given[i] = i;
    t[i] = weft_spawn(return_given, &given[i], NULL);
    set[i] = weft_task_awaitable(t[i]);
  }
  CHECK_INT(weft_wait(set, (size_t)n, WEFT_ALL_OVER, WEFT_FOREVER, out), n);
  for (int i = 0; i < n; i++) {
    CHECK_INT(out[i].code, i);
    CHECK_INT(weft_await(t[i]), i);
  }
}

/* ---- select and awaitables of one's own ---- */

static int open_later(void *arg) {
  int r = weft_yield();
  door_open(arg);
  return r;
}

static void *open_from_thread(void *arg) {
  door_open(arg);
  return NULL;
}

TASK_TEST(select_takes_any_mix_and_tells_which_was_first) {
  struct latch begun = {0};
  struct door d = DOOR_INIT;
  weft_future *f = fresh();
  weft_task t = parked(&begun);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f), door_awaitable(&d)};
  weft_task opener = weft_spawn(open_later, &d, NULL);
  int code = -1;
  CHECK_INT(weft_select(set, 3, &code), 2);
  CHECK_INT(code, DOOR_CODE);
  CHECK_INT(weft_future_fail(f, OWN_ERROR), 0);
  CHECK_INT(weft_select(set, 3, &code), 1); /* the lowest of several */
  CHECK_INT(code, OWN_ERROR);
  CHECK_INT(end_parked(t), WEFT_ECANCELED);
  CHECK_INT(weft_select(set + 1, 2, NULL), 0);
  CHECK_INT(weft_await(opener), 0);
  weft_future_unref(f);
}

TASK_TEST(a_timeout_scope_cuts_a_select) {
  weft_future *f = fresh();
  weft_awaitable set[] = {weft_future_awaitable(f)};
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, weft_select(set, 1, NULL)), WEFT_ETIMEDOUT);
  CHECK(!weft_future_done(f));
  weft_future_unref(f);
}

static int await_door(void *arg) {
  return weft_awaitable_await(door_awaitable(arg));
}

TASK_TEST(an_awaitable_of_ones_own_is_awaited_from_a_thread_and_by_many) {
  enum { N = 10 };
  struct door d = DOOR_INIT;
  weft_task t[N];
  int codes[N];
  for (int i = 0; i < N; i++) t[i] = weft_spawn(await_door, &d, NULL);
  CHECK_INT(weft_yield(), 0);
  pthread_t thread;
  CHECK_INT(weft__sys_thread_create(&thread, NULL, open_from_thread, &d), 0);
  CHECK_INT(weft_awaitable_await(door_awaitable(&d)), DOOR_CODE);
  CHECK_INT(weft_gather(t, N, codes), 0);
  weft__sys_thread_join(thread);
  for (int i = 0; i < N; i++) CHECK_INT(codes[i], DOOR_CODE);
}

TASK_TEST(cancelling_who_awaits_one_that_cannot_be_cancelled_leaves_it_alone) {
  struct door d = DOOR_INIT;
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, weft_awaitable_await(door_awaitable(&d))), WEFT_ETIMEDOUT);
  door_open(&d);
  CHECK_INT(weft_awaitable_await(door_awaitable(&d)), DOOR_CODE);
}

TASK_TEST(gather_takes_any_mix) {
  struct door d = DOOR_INIT;
  weft_future *f = fresh();
  weft_task t = weft_spawn(return_seven, NULL, NULL), s = weft_spawn(set_later, f, NULL),
            o = weft_spawn(open_later, &d, NULL);
  weft_awaitable set[] = {weft_task_awaitable(t), door_awaitable(&d), weft_future_awaitable(f),
                          weft_future_awaitable(f), weft_task_awaitable(t)};
  int codes[5];
  CHECK_INT(weft_gather_mixed(set, 5, codes), 0);
  CHECK_INT(codes[0], 7);
  CHECK_INT(codes[1], DOOR_CODE);
  CHECK_INT(codes[2], 0);
  CHECK_INT(codes[3], 0);
  CHECK_INT(codes[4], 7);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(weft_await(s), 0);
  CHECK_INT(weft_await(o), 0);
  weft_future_unref(f);
}

static int gather_mixed(void *arg) {
  struct waiter *w = arg;
  latch_hit(&w->waiting);
  return w->code = weft_gather_mixed(w->set, w->n, NULL);
}

TASK_TEST(G4_cancelling_a_mixed_gather_cancels_what_can_be_cancelled) {
  struct latch begun = {0};
  struct door d = DOOR_INIT;
  weft_future *f = fresh();
  weft_task t = parked(&begun);
  weft_awaitable set[] = {weft_task_awaitable(t), door_awaitable(&d), weft_future_awaitable(f)};
  struct waiter w = {set, 3, {0}, 0};
  weft_task g = weft_spawn(gather_mixed, &w, NULL);
  CHECK_INT(latch_wait(&w.waiting, 1), 0);
  weft_cancel(g);
  CHECK_INT(weft_await(g), WEFT_ECANCELED);
  CHECK(weft_future_cancelled(f));
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  weft_future_unref(f);
}

TASK_TEST(G6_cancelling_after_a_gather_has_failed_does_nothing_to_the_rest) {
  struct latch begun = {0};
  weft_future *f = fresh();
  CHECK_INT(weft_future_fail(f, OWN_ERROR), 0);
  weft_task t = parked(&begun);
  weft_awaitable set[] = {weft_task_awaitable(t), weft_future_awaitable(f)};
  CHECK_INT(weft_gather_mixed(set, 2, NULL), OWN_ERROR);
  CHECK_INT(weft_cancelling(t), 0); /* it was consumed, and runs on */
  CHECK_INT(weft_tasks(NULL, 0), 2);
  weft_future_unref(f);
}

/* ---- X: wait_for over awaitables ---- */

TASK_TEST(X1_wait_for_cancels_a_future_when_the_time_ran_out) {
  weft_future *f = fresh();
  CHECK_INT(weft_awaitable_wait_for(weft_future_awaitable(f), weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK(weft_future_cancelled(f));
  weft_future_unref(f);
}

TASK_TEST(X4_without_time_a_future_that_is_over_gives_its_result) {
  weft_future *f = fresh();
  CHECK_INT(weft_future_fail(f, OWN_ERROR), 0);
  CHECK_INT(weft_awaitable_wait_for(weft_future_awaitable(f), 0), OWN_ERROR);
  CHECK_INT(weft_awaitable_wait_for(weft_future_awaitable(f), -1), OWN_ERROR);
  weft_future_unref(f);
  f = fresh();
  CHECK_INT(weft_awaitable_wait_for(weft_future_awaitable(f), 0), WEFT_ETIMEDOUT);
  CHECK(weft_future_cancelled(f));
  weft_future_unref(f);
}

TASK_TEST(X4_without_time_what_is_over_gives_its_code_whatever_it_is) {
  struct door d = DOOR_INIT;
  weft_event e = WEFT_EVENT_INIT;
  CHECK_INT(weft_awaitable_wait_for(door_awaitable(&d), 0), WEFT_ETIMEDOUT);
  CHECK_INT(weft_awaitable_wait_for(weft_event_awaitable(&e), 0), WEFT_ETIMEDOUT);
  door_open(&d);
  CHECK_INT(weft_event_set(&e), 0);
  CHECK_INT(weft_awaitable_wait_for(door_awaitable(&d), 0), DOOR_CODE);
  CHECK_INT(weft_awaitable_wait_for(weft_event_awaitable(&e), -1), 0);
}

static int shielded_wait(void *arg) {
  return weft_shield(weft_task_awaitable(*(weft_task *)arg));
}

TASK_TEST(X7_a_shielded_task_survives_the_timeout) {
  struct latch begun = {0};
  weft_task t = parked(&begun);
  CHECK_INT(weft_wait_for(shielded_wait, &t, weft_ms(5)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_await(t), WEFT_ESTALE); /* detached now */
  CHECK_INT(weft_tasks(NULL, 0), 2);
}

/* ---- S: shield ---- */

struct shielded {
  weft_awaitable a;
  struct latch waiting;
};

static int shield_it(void *arg) {
  struct shielded *s = arg;
  latch_hit(&s->waiting);
  return weft_shield(s->a);
}

TASK_TEST(S1_cancelling_who_shields_leaves_the_inner_one_running) {
  weft_future *f = fresh();
  struct shielded s = {weft_future_awaitable(f), {0}};
  weft_task t = weft_spawn(shield_it, &s, NULL);
  CHECK_INT(latch_wait(&s.waiting, 1), 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(!weft_future_done(f));
  CHECK_INT(weft_future_set(f, NULL), 0);
  CHECK_INT(weft_shield(weft_future_awaitable(f)), 0);
  weft_future_unref(f);
}

TASK_TEST(S2_what_happens_to_the_inner_one_shows_through) {
  weft_future *f = fresh(), *g = fresh();
  CHECK_INT(weft_future_cancel(f), 1);
  CHECK_INT(weft_shield(weft_future_awaitable(f)), WEFT_ECANCELED);
  CHECK_INT(weft_cancelling(weft_current()), 0);
  CHECK_INT(weft_future_fail(g, OWN_ERROR), 0);
  CHECK_INT(weft_shield(weft_future_awaitable(g)), OWN_ERROR);
  CHECK_INT(weft_shield(weft_task_awaitable(weft_spawn(return_own_error, NULL, NULL))), OWN_ERROR);
  weft_future_unref(f);
  weft_future_unref(g);
}

static int fail_at_latch(void *arg) {
  struct latch *l = arg;
  latch_hit(&l[0]);
  CHECK_INT(latch_wait(&l[1], 1), 0);
  return OWN_ERROR;
}

static int shield_main(void *arg) {
  struct latch *l = arg;
  weft_task inner = weft_spawn(fail_at_latch, l, NULL);
  struct shielded s = {weft_task_awaitable(inner), {0}};
  weft_task t = weft_spawn(shield_it, &s, NULL);
  CHECK_INT(latch_wait(&s.waiting, 1), 0);
  CHECK_INT(latch_wait(&l[0], 1), 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  latch_hit(&l[1]);
  return wait_until_live(1);
}

static void S3_an_inner_failure_after_the_outer_cancel_is_reported_once(void **state) {
  (void)state;
  struct log_capture log = LOG_CAPTURE_INIT;
  struct latch l[2] = {{0}};
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(shield_main, l, &opts), 0);
  if (!CHECK_INT(log_capture_count(&log, "failed"), 1)) log_capture_print(&log);
}

TASK_TEST(S4_an_inner_one_that_is_over_is_returned_as_is) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_shield(weft_task_awaitable(t)), 7);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(weft_shield(weft_task_awaitable(t)), WEFT_ESTALE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(W1_the_time_running_out_is_no_error_and_cancels_nothing),
    cmocka_unit_test(W1_without_time_it_looks_once),
    cmocka_unit_test(W2_waiting_for_nothing_is_an_error),
    cmocka_unit_test(W2_bad_handles_are_named_and_the_others_stay_usable),
    cmocka_unit_test(W2_the_same_awaitable_twice_is_over_in_both_places),
    cmocka_unit_test(W3_first_over_returns_with_all_that_are_over),
    cmocka_unit_test(W3_first_over_wakes_at_the_first),
    cmocka_unit_test(W4_first_error_ignores_what_was_cancelled),
    cmocka_unit_test(W5_cancelling_the_waiter_leaves_the_others_running),
    cmocka_unit_test(waiting_for_many_from_several_workers),
    cmocka_unit_test(select_takes_any_mix_and_tells_which_was_first),
    cmocka_unit_test(a_timeout_scope_cuts_a_select),
    cmocka_unit_test(an_awaitable_of_ones_own_is_awaited_from_a_thread_and_by_many),
    cmocka_unit_test(cancelling_who_awaits_one_that_cannot_be_cancelled_leaves_it_alone),
    cmocka_unit_test(gather_takes_any_mix),
    cmocka_unit_test(G4_cancelling_a_mixed_gather_cancels_what_can_be_cancelled),
    cmocka_unit_test(G6_cancelling_after_a_gather_has_failed_does_nothing_to_the_rest),
    cmocka_unit_test(X1_wait_for_cancels_a_future_when_the_time_ran_out),
    cmocka_unit_test(X4_without_time_a_future_that_is_over_gives_its_result),
    cmocka_unit_test(X4_without_time_what_is_over_gives_its_code_whatever_it_is),
    cmocka_unit_test(X7_a_shielded_task_survives_the_timeout),
    cmocka_unit_test(S1_cancelling_who_shields_leaves_the_inner_one_running),
    cmocka_unit_test(S2_what_happens_to_the_inner_one_shows_through),
    cmocka_unit_test(S3_an_inner_failure_after_the_outer_cancel_is_reported_once),
    cmocka_unit_test(S4_an_inner_one_that_is_over_is_returned_as_is),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
