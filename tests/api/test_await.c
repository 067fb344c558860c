/* Awaiting, waiting for and detaching tasks. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

/* ---- weft_await ---- */

TASK_TEST(await_returns_the_code_whatever_its_sign) {
  int codes[] = {0, 1, 1 << 30, WEFT_EINVAL, WEFT_ETIMEDOUT, OWN_ERROR};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    CHECK_INT(weft_await(weft_spawn(return_given, &codes[i], NULL)), codes[i]);
}

TASK_TEST(a_task_that_returns_ecanceled_by_itself_has_that_code) {
  int code = WEFT_ECANCELED;
  CHECK_INT(weft_await(weft_spawn(return_given, &code, NULL)), WEFT_ECANCELED);
  CHECK_INT(weft_yield(), 0); /* its awaiter was not cancelled */
}

TASK_TEST(await_gives_the_code_of_a_task_that_ended_before) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  while (weft_task_done(t) == 0) CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_await(t), 7);
}

TASK_TEST(await_waits_for_a_task_that_suspends) {
  struct latch release = {0};
  weft_task waiter = weft_spawn(wait_for_latch, &release, NULL);
  weft_task parked = weft_spawn(hit_and_park, &release, NULL);
  CHECK_INT(weft_await(waiter), 0);
  CHECK_INT(weft_task_done(parked), 0);
  CHECK_INT(weft_cancel(parked), 1);
  CHECK_INT(weft_await(parked), WEFT_ECANCELED);
}

struct writes {
  int before, after;
};

static int write_both(void *arg) {
  struct writes *w = arg;
  w->before = 1;
  int r = weft_yield();
  w->after = 2;
  return r;
}

TASK_TEST(what_a_task_wrote_is_seen_after_its_await) {
  for (int i = 0; i < count(COUNT_TASKS / 10); i++) {
    struct writes w = {0};
    CHECK_INT(weft_await(weft_spawn(write_both, &w, NULL)), 0);
    if (!CHECK_INT(w.before + w.after, 3)) return;
  }
}

TASK_TEST(T13_awaiting_oneself_is_eself_and_changes_nothing) {
  weft_task me = weft_current();
  CHECK_INT(weft_await(me), WEFT_ESELF);
  CHECK_INT(weft_task_wait(me, NULL), WEFT_ESELF);
  CHECK_INT(weft_wait_for_task(me, weft_ms(1)), WEFT_ESELF);
  CHECK_INT(weft_task_error(me), 0);
  CHECK_INT(weft_task_done(me), 0);
  CHECK_INT(weft_yield(), 0);
}

static int await_self(void *arg) {
  (void)arg;
  CHECK_INT(weft_await(weft_current()), WEFT_ESELF);
  return 3;
}

TASK_TEST(T13_awaiting_oneself_in_a_task_that_is_awaited) {
  weft_task t = weft_spawn(await_self, NULL, NULL);
  CHECK_INT(weft_await(t), 3);
}

TASK_TEST(awaiting_a_handle_twice_is_estale) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_await(t), 7);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
}

TASK_TEST(a_consumed_handle_stays_stale_when_its_memory_is_used_again) {
  weft_task old = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_await(old), 7);
  for (int i = 0; i < count(COUNT_TASKS); i++) {
    weft_task t = weft_spawn(return_zero, NULL, NULL);
    if (!CHECK_INT(weft_cancel(old), WEFT_ESTALE) || !CHECK_INT(weft_await(t), 0)) return;
  }
  CHECK_INT(weft_await(old), WEFT_ESTALE);
}

static int await_given(void *arg) {
  return weft_await(*(weft_task *)arg);
}

TASK_TEST(T9_only_one_task_may_await_a_task_and_the_second_is_told) {
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_task one = weft_spawn(await_given, &t, NULL), two = weft_spawn(await_given, &t, NULL);
  while (weft_task_done(one) + weft_task_done(two) == 0) CHECK_INT(weft_yield(), 0);
  weft_task loser = weft_task_done(one) ? one : two, winner = weft_task_done(one) ? two : one;
  CHECK_INT(weft_await(loser), WEFT_ESTALE);
  CHECK_INT(weft_task_done(winner), 0);
  weft_cancel(winner); /* goes to t first: T8 */
  CHECK_INT(weft_await(winner), WEFT_ECANCELED);
}

TASK_TEST(await_runs_a_task_that_nobody_began_on_its_own_stack) {
  weft_worker_stats s;
  uint64_t before = 0, after = 0;
  for (int i = 0; i < weft_worker_count(); i++)
    before += weft_stats_worker((unsigned)i, &s) == 0 ? s.inline_run : 0;
  for (int i = 0; i < 100; i++) CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  for (int i = 0; i < weft_worker_count(); i++)
    after += weft_stats_worker((unsigned)i, &s) == 0 ? s.inline_run : 0;
  /* Another worker may have taken some of them; with one worker there is none. */
  CHECK(weft_worker_count() > 1 ? after > before : after == before + 100);
}

struct identity {
  weft_task self, seen, seen_after;
  const char *name;
};

static int note_identity(void *arg) {
  struct identity *id = arg;
  id->seen = weft_current();
  id->name = weft_task_name(weft_current());
  int r = weft_yield();
  id->seen_after = weft_current();
  return r;
}

static bool same_task(weft_task a, weft_task b) {
  return a.slot_ == b.slot_ && a.key_ == b.key_;
}

TASK_TEST(T15_current_is_exact_in_a_task_run_by_its_awaiter) {
  weft_task me = weft_current();
  for (int i = 0; i < 100; i++) {
    struct identity id = {0};
    weft_task t = weft_spawn(note_identity, &id, &(weft_spawn_opts){.name = "inner"});
    CHECK_INT(weft_await(t), 0);
    CHECK(same_task(id.seen, t));
    CHECK(same_task(id.seen_after, t));
    CHECK_STR(id.name, "inner");
    CHECK(same_task(weft_current(), me));
  }
}

static int fib(void *arg) {
  int *n = arg;
  if (*n < 2) return *n;
  int a = *n - 1, b = *n - 2;
  weft_task t = weft_spawn(fib, &a, NULL);
  int right = weft_await(weft_spawn(fib, &b, NULL));
  int left = weft_await(t);
  return left < 0 || right < 0 ? WEFT_EINVAL : left + right;
}

TASK_TEST(fork_join_gives_the_right_sum) {
  static const int fibonacci[] = {[7] = 13, [12] = 144, [20] = 6765};
  int n = counts_simulated() ? 7 : COUNTS_TSAN ? 12 : 20;
  CHECK_INT(weft_await(weft_spawn(fib, &n, NULL)), fibonacci[n]);
}

/* ---- cancelling an awaiter ---- */

struct pair {
  int (*child)(void *);
  struct latch child_at_work;
  int awaited, after, caught;
};

static int await_child(void *arg) {
  struct pair *p = arg;
  p->awaited = weft_await(weft_spawn(p->child, &p->child_at_work, NULL));
  p->after = weft_yield();
  p->caught = weft_cancel_catch();
  return p->after;
}

TASK_TEST(T8_cancelling_an_awaiter_cancels_the_awaited_task_first) {
  struct pair p = {.child = hit_and_park};
  weft_task t = weft_spawn(await_child, &p, NULL);
  CHECK_INT(latch_wait(&p.child_at_work, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(p.awaited, WEFT_ECANCELED);
  CHECK_INT(p.after, WEFT_ECANCELED); /* sticky */
  CHECK_INT(p.caught, true);
}

static int refuse(void *latch) {
  latch_hit(latch);
  int r = weft_sleep(A_LONG_TIME);
  CHECK_INT(r, WEFT_ECANCELED);
  weft_cancel_catch();
  r = weft_sleep(weft_ms(1));
  return r < 0 ? r : 11;
}

TASK_TEST(T8_an_awaited_task_that_refuses_leaves_its_awaiter_uninterrupted) {
  struct pair p = {.child = refuse};
  weft_task t = weft_spawn(await_child, &p, NULL);
  CHECK_INT(latch_wait(&p.child_at_work, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(p.awaited, 11);
  CHECK_INT(p.after, 0);
  CHECK_INT(p.caught, false);
}

static int fail_when_cancelled(void *latch) {
  latch_hit(latch);
  weft_sleep(A_LONG_TIME);
  return OWN_ERROR;
}

TASK_TEST(T11_an_error_made_while_being_cancelled_is_what_the_awaiter_gets) {
  struct pair p = {.child = fail_when_cancelled};
  weft_task t = weft_spawn(await_child, &p, NULL);
  CHECK_INT(latch_wait(&p.child_at_work, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(p.awaited, OWN_ERROR);
  CHECK_INT(p.after, 0);
}

static int cancel_self_then_await(void *arg) {
  struct latch *runs = arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  /* Pinned to this worker, so nobody can have begun it before the await. */
  return weft_await(weft_spawn(hit_and_return, runs, &(weft_spawn_opts){.pinned = true}));
}

TASK_TEST(T8_a_cancel_that_is_already_there_goes_to_the_awaited_task) {
  struct latch runs = {0};
  CHECK_INT(weft_await(weft_spawn(cancel_self_then_await, &runs, NULL)), WEFT_ECANCELED);
  CHECK_INT(latch_hits(&runs), 0);
}

static int await_three_deep(void *arg) {
  struct pair *p = arg;
  return weft_await(weft_spawn(await_child, p, NULL));
}

TASK_TEST(T8_a_cancel_travels_to_the_innermost_task) {
  struct pair p = {.child = hit_and_park};
  weft_task t = weft_spawn(await_three_deep, &p, NULL);
  CHECK_INT(latch_wait(&p.child_at_work, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(p.awaited, WEFT_ECANCELED);
}

/* ---- weft_task_wait ---- */

TASK_TEST(W1_wait_writes_the_code_and_leaves_the_handle) {
  weft_task t = weft_spawn(return_own_error, NULL, NULL);
  int code = 0;
  CHECK_INT(weft_task_wait(t, &code), 0);
  CHECK_INT(code, OWN_ERROR);
  code = 0;
  CHECK_INT(weft_task_wait(t, &code), 0);
  CHECK_INT(code, OWN_ERROR);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_await(t), OWN_ERROR);
  CHECK_INT(weft_task_wait(t, NULL), WEFT_ESTALE);
}

struct wait_for_one {
  weft_task t;
  struct latch at_work;
  int result, code;
};

static int wait_given(void *arg) {
  struct wait_for_one *w = arg;
  latch_hit(&w->at_work);
  w->result = weft_task_wait(w->t, &w->code);
  return w->result;
}

TASK_TEST(W5_cancelling_a_waiter_leaves_the_task_running) {
  struct latch parked = {0};
  struct wait_for_one w = {.code = 12345};
  w.t = weft_spawn(hit_and_park, &parked, NULL);
  weft_task waiter = weft_spawn(wait_given, &w, NULL);
  CHECK_INT(latch_wait(&w.at_work, 1), 0);
  CHECK_INT(weft_cancel(waiter), 1);
  CHECK_INT(weft_await(waiter), WEFT_ECANCELED);
  CHECK_INT(w.code, 12345);
  CHECK_INT(weft_task_done(w.t), 0);
  CHECK_INT(weft_cancelling(w.t), 0);
  weft_cancel(w.t);
  CHECK_INT(weft_await(w.t), WEFT_ECANCELED);
}

TASK_TEST(a_waiter_that_was_cancelled_may_wait_again) {
  struct latch release = {0};
  weft_task t = weft_spawn(wait_for_latch, &release, NULL);
  struct wait_for_one w = {.t = t};
  for (int i = 0; i < count(50); i++) {
    weft_task waiter = weft_spawn(wait_given, &w, NULL);
    CHECK_INT(latch_wait(&w.at_work, i + 1), 0);
    weft_cancel(waiter);
    CHECK_INT(weft_await(waiter), WEFT_ECANCELED);
  }
  latch_hit(&release);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(many_tasks_wait_for_one) {
  enum { MOST = 500 };
  static struct wait_for_one w[MOST];
  static weft_task waiter[MOST];
  const int n = count(MOST);
  struct latch release = {0};
  weft_task t = weft_spawn(wait_for_latch, &release, NULL);
  for (int i = 0; i < n; i++) {
    w[i] = (struct wait_for_one){.t = t, .code = 12345};
    waiter[i] = weft_spawn(wait_given, &w[i], NULL);
  }
  for (int i = 0; i < n; i++) CHECK_INT(latch_wait(&w[i].at_work, 1), 0);
  latch_hit(&release);
  for (int i = 0; i < n; i++) {
    CHECK_INT(weft_await(waiter[i]), 0);
    CHECK_INT(w[i].code, 0);
  }
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(T9_every_waiter_sees_that_the_task_was_cancelled) {
  enum { N = 8 };
  struct wait_for_one w[N];
  weft_task waiter[N];
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, NULL);
  for (int i = 0; i < N; i++) {
    w[i] = (struct wait_for_one){.t = t};
    waiter[i] = weft_spawn(wait_given, &w[i], NULL);
  }
  for (int i = 0; i < N; i++) CHECK_INT(latch_wait(&w[i].at_work, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  for (int i = 0; i < N; i++) {
    CHECK_INT(weft_await(waiter[i]), 0);
    CHECK_INT(w[i].code, WEFT_ECANCELED);
  }
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

TASK_TEST(waiting_begins_a_task_that_nobody_began) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  int code = 0;
  CHECK_INT(weft_task_wait(t, &code), 0);
  CHECK_INT(code, 7);
  CHECK_INT(weft_await(t), 7);
}

/* ---- done ---- */

TASK_TEST(done_is_0_then_1_and_never_goes_back) {
  struct latch release = {0};
  weft_task t = weft_spawn(wait_for_latch, &release, NULL);
  CHECK_INT(weft_task_done(t), 0);
  CHECK_INT(weft_task_done(weft_current()), 0);
  latch_hit(&release);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  for (int i = 0; i < 10; i++) CHECK_INT(weft_task_done(t), 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_task_done(t), WEFT_ESTALE);
}

/* ---- weft_detach ---- */

TASK_TEST(detach_consumes_the_handle_and_the_task_runs_on) {
  struct latch release = {0}, ended = {0};
  weft_task t = weft_spawn(wait_for_latch, &release, NULL);
  CHECK_INT(weft_detach(t), 0);
  CHECK_INT(weft_detach(t), WEFT_ESTALE);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  latch_hit(&release);
  CHECK_INT(weft_detach(weft_spawn(hit_and_return, &ended, NULL)), 0);
  CHECK_INT(latch_wait(&ended, 1), 0);
  CHECK_INT(wait_until_live(1), 0);
}

static int detach_self(void *arg) {
  struct latch *detached = arg;
  int r = weft_detach(weft_current());
  latch_hit(detached);
  return r;
}

TASK_TEST(a_task_may_detach_itself_and_then_its_spawners_handle_is_stale) {
  struct latch detached = {0};
  weft_task t = weft_spawn(detach_self, &detached, NULL);
  CHECK_INT(latch_wait(&detached, 1), 0);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(wait_until_live(1), 0);
}

static int detach_some(void *arg) {
  static int cancelled = WEFT_ECANCELED;
  (void)arg;
  weft_detach(weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "fails later"}));
  weft_task t = weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "failed before"});
  CHECK_INT(weft_task_wait(t, NULL), 0);
  weft_detach(t);
  weft_detach(weft_spawn(return_seven, NULL, &(weft_spawn_opts){.name = "succeeds"}));
  weft_detach(weft_spawn(return_given, &cancelled, &(weft_spawn_opts){.name = "cancelled"}));
  CHECK_INT(weft_await(weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "awaited"})),
            OWN_ERROR);
  return wait_until_live(1);
}

static void F7_a_detached_task_that_fails_is_reported_once_by_name(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  CHECK_INT(weft_run(detach_some, NULL, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
            0);
  CHECK_INT(log_capture_count(&log, "fails later"), 1);
  CHECK_INT(log_capture_count(&log, "failed before"), 1);
  CHECK_INT(log_capture_count(&log, "succeeds"), 0);
  CHECK_INT(log_capture_count(&log, "cancelled"), 0);
  CHECK_INT(log_capture_count(&log, "awaited"), 0);
  if (weft_test_failed()) log_capture_print(&log);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(await_returns_the_code_whatever_its_sign),
    cmocka_unit_test(a_task_that_returns_ecanceled_by_itself_has_that_code),
    cmocka_unit_test(await_gives_the_code_of_a_task_that_ended_before),
    cmocka_unit_test(await_waits_for_a_task_that_suspends),
    cmocka_unit_test(what_a_task_wrote_is_seen_after_its_await),
    cmocka_unit_test(T13_awaiting_oneself_is_eself_and_changes_nothing),
    cmocka_unit_test(T13_awaiting_oneself_in_a_task_that_is_awaited),
    cmocka_unit_test(awaiting_a_handle_twice_is_estale),
    cmocka_unit_test(a_consumed_handle_stays_stale_when_its_memory_is_used_again),
    cmocka_unit_test(T9_only_one_task_may_await_a_task_and_the_second_is_told),
    cmocka_unit_test(await_runs_a_task_that_nobody_began_on_its_own_stack),
    cmocka_unit_test(T15_current_is_exact_in_a_task_run_by_its_awaiter),
    cmocka_unit_test(fork_join_gives_the_right_sum),
    cmocka_unit_test(T8_cancelling_an_awaiter_cancels_the_awaited_task_first),
    cmocka_unit_test(T8_an_awaited_task_that_refuses_leaves_its_awaiter_uninterrupted),
    cmocka_unit_test(T11_an_error_made_while_being_cancelled_is_what_the_awaiter_gets),
    cmocka_unit_test(T8_a_cancel_that_is_already_there_goes_to_the_awaited_task),
    cmocka_unit_test(T8_a_cancel_travels_to_the_innermost_task),
    cmocka_unit_test(W1_wait_writes_the_code_and_leaves_the_handle),
    cmocka_unit_test(W5_cancelling_a_waiter_leaves_the_task_running),
    cmocka_unit_test(a_waiter_that_was_cancelled_may_wait_again),
    cmocka_unit_test(many_tasks_wait_for_one),
    cmocka_unit_test(T9_every_waiter_sees_that_the_task_was_cancelled),
    cmocka_unit_test(waiting_begins_a_task_that_nobody_began),
    cmocka_unit_test(done_is_0_then_1_and_never_goes_back),
    cmocka_unit_test(detach_consumes_the_handle_and_the_task_runs_on),
    cmocka_unit_test(a_task_may_detach_itself_and_then_its_spawners_handle_is_stale),
    cmocka_unit_test(F7_a_detached_task_that_fails_is_reported_once_by_name),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
