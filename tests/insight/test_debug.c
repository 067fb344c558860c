/* The debug mode: what it reports, with the place, and what it does not. */
#include <weft/debug.h>

#include <pthread.h>
#include <stdlib.h>

#include "base/sys.h"
#include "counts.h"
#include "report_capture.h"
#include "task_test.h"
#include "threads.h"

static int run_debug(struct reports *all, weft_fn fn, void *arg, weft_ns slow) {
  weft_run_opts o = {
      .debug = true, .slow_slice = slow, .on_error = keep_report, .on_error_arg = all};
  return weft_run(fn, arg, &o);
}

/* Of a test that does nothing slow on purpose: a busy machine is slow, too. */
#define NEVER_SLOW weft_sec(1000)

/* ---- slow slices ---- */

int burn_here(void *arg); /* a name of its own in a backtrace */
int burn_here(void *arg) {
  burn_ns(*(weft_ns *)arg);
  return 0;
}

static int spawn_hog(void *arg) {
  return weft_await(weft_spawn(
      burn_here, arg, &(weft_spawn_opts){.name = "hog", .stack_size = (size_t)256 * 1024}));
}

static void R4_a_slice_over_the_limit_is_reported_with_task_and_site(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  weft_ns ns = weft_ms(60 * COUNTS_SLOWER);
  CHECK_INT(run_debug(&all, spawn_hog, &ns, weft_ms(20 * COUNTS_SLOWER)), 0);
  CHECK_REPORTED_SOME(&all, WEFT_REPORT_HOG, "task 'hog', spawned at spawn_hog+");
  CHECK_REPORTED_SOME(&all, WEFT_REPORT_HOG,
                      ", kept its worker for "); /* at its end; before: "has kept" */
  CHECK(strstr(all.site[0], " (test_debug.c:"));
}

static void R4_the_limit_is_100_ms_unless_it_is_set(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  weft_ns ns = weft_ms(130);
  CHECK_INT(run_debug(&all, spawn_hog, &ns, 0), 0);
  CHECK_REPORTED_SOME(&all, WEFT_REPORT_HOG, "'hog'");
  CHECK_INT(weft_run(return_zero, NULL, &(weft_run_opts){.debug = true, .slow_slice = -1}),
            WEFT_EINVAL);
}

static int sleep_long(void *arg) {
  (void)arg;
  int r = weft_sleep(weft_ms(50));
  return r == 0 ? weft_yield() : r;
}

static void R4_a_task_that_waits_is_not_slow(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, sleep_long, NULL, weft_sec(20)), 0);
  CHECK(atomic_load(&all.total) == 0 || !print_reports(&all));
}

int spin_until_reported(void *arg);
int spin_until_reported(void *arg) {
  struct reports *all = arg;
  while (atomic_load(&all->total) == 0) {}
  return 0;
}

static int spawn_spinner(void *arg) {
  return weft_await(weft_spawn(spin_until_reported, arg,
                               &(weft_spawn_opts){.name = "spinner", .stack_size = 1 << 18}));
}

static void R4_a_slice_that_does_not_end_is_reported_while_it_lasts_with_a_backtrace(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, spawn_spinner, &all, weft_ms(20)), 0);
  if (COUNTS_TSAN || WEFT_VALGRIND) return; /* they hold signals back until a system call */
  CHECK_REPORTED(&all, WEFT_REPORT_HOG, "task 'spinner', spawned at ", 2);
  CHECK_REPORTED(&all, WEFT_REPORT_HOG, "has kept its worker for ", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_HOG, "\n  in spin_until_reported", 1);
}

static void R4_each_run_of_a_runner_is_watched(void **state) {
  (void)state;
  if (COUNTS_TSAN || WEFT_VALGRIND) return;
  struct reports all = REPORTS_INIT;
  weft_run_opts o = {
      .debug = true, .slow_slice = weft_ms(20), .on_error = keep_report, .on_error_arg = &all};
  weft_runner r;
  if (!CHECK_INT(weft_runner_open(&r, &o), 0)) return;
  for (int run = 1; run <= 2; run++) {
    atomic_store(&all.total, 0);
    CHECK_INT(weft_runner_run(&r, spawn_spinner, &all), 0);
    CHECK_REPORTED(&all, WEFT_REPORT_HOG, "\n  in spin_until_reported", 1);
  }
  CHECK_INT(weft_runner_close(&r), 0);
}

/* ---- handles ---- */

static int forget_two(void *arg) {
  struct latch *ended = arg;
  weft_spawn(hit_and_return, ended, &(weft_spawn_opts){.name = "forgotten"});
  weft_spawn(hit_and_park, ended, &(weft_spawn_opts){.name = "left behind"});
  weft_detach(weft_spawn(hit_and_return, ended, &(weft_spawn_opts){.name = "detached"}));
  weft_await(weft_spawn(return_zero, NULL, &(weft_spawn_opts){.name = "awaited"}));
  return latch_wait(ended, 3);
}

static void a_handle_that_nobody_consumed_is_reported_with_its_spawn_site(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  struct latch ended = {0};
  CHECK_INT(run_debug(&all, forget_two, &ended, NEVER_SLOW), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_HANDLE, "the handle of task 'forgotten', spawned at ", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_HANDLE, "the handle of task 'left behind', spawned at ", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_HANDLE, "", 2);
  CHECK(strstr(all.site[0], " (test_debug.c:"));
}

/* ---- what is open ---- */

struct left {
  weft_strand *strand;
  weft_completed *c;
};

static int leave_open(void *arg) {
  struct left *left = arg;
  weft_completed *closed = NULL;
  weft_awaitable none[1];
  weft_strand *freed = NULL;
  CHECK_INT(weft_strand_new(&left->strand), 0);
  CHECK_INT(weft_strand_new(&freed), 0);
  weft_strand_free(freed);
  CHECK_INT(weft_as_completed(&left->c, none, 0, WEFT_FOREVER), 0);
  CHECK_INT(weft_as_completed(&closed, none, 0, WEFT_FOREVER), 0);
  weft_completed_free(closed);
  return 0;
}

static void what_is_left_open_is_reported_with_its_place(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  struct left left = {NULL, NULL};
  CHECK_INT(run_debug(&all, leave_open, &left, NEVER_SLOW), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "a strand opened at leave_open+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "an as_completed iterator opened at leave_open+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, " (test_debug.c:", 2);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "", 2);
  weft_strand_free(left.strand);
  weft_completed_free(left.c);
}

/* ---- scopes of a task ---- */

static int leave_a_scope(void *arg) {
  static weft_timeout s; /* its task ends first */
  (void)arg;
  return weft_timeout_begin(&s, A_LONG_TIME);
}

static int leave_a_shield(void *arg) {
  weft_timeout s;
  weft_timeout_begin(&s, A_LONG_TIME);
  weft_shield_begin();
  weft_timeout_end(&s, 0);
  return arg ? weft_yield() : 0;
}

static int leave_none(void *arg) {
  weft_timeout s;
  (void)arg;
  weft_shield_begin();
  weft_timeout_begin(&s, A_LONG_TIME);
  weft_timeout_end(&s, 0);
  weft_shield_end();
  return 0;
}

static int leave_scopes(void *arg) {
  weft_spawn_opts scope = {.name = "scope"}, shield = {.name = "shield"};
  (void)arg;
  CHECK_INT(weft_await(weft_spawn(leave_none, NULL, NULL)), 0); /* inline, all of them */
  for (int i = 0; i < 3; i++) CHECK_INT(weft_await(weft_spawn(leave_a_scope, NULL, &scope)), 0);
  CHECK_INT(weft_await(weft_spawn(leave_a_shield, NULL, &shield)), 0);
  return 0;
}

static void a_task_that_ends_inside_a_scope_is_reported(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, leave_scopes, NULL, NEVER_SLOW), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "task 'scope', spawned at leave_scopes+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "has ended inside a timeout scope that it began", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "task 'shield', spawned at leave_scopes+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "has ended inside a shield that it began", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, " (test_debug.c:", 2);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "", 2);
}

static int leave_a_shield_and_a_child(void *arg) {
  CHECK_INT(weft_detach(weft_spawn(leave_a_scope, NULL, NULL)), 0);
  CHECK_INT(wait_until_live(1), 0);
  return leave_a_shield(arg);
}

static void the_main_task_and_detached_ones_are_looked_at_too(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, leave_a_shield_and_a_child, &all, NEVER_SLOW), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "inside a shield that it began", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OPEN, "inside a timeout scope that it began", 1);
}

/* ---- calls from the wrong thread ---- */

static void *call_from_outside(void *arg) {
  (void)arg;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_sleep(1), WEFT_ENOTASK);
  CHECK_INT(weft_task_error(weft_spawn(return_zero, NULL, NULL)), WEFT_ENOTASK);
  CHECK_INT(weft_worker_id(), WEFT_ENOTASK); /* only asks */
  CHECK(weft_task_error(weft_current()) == WEFT_ENOTASK);
  CHECK(!weft_debugging());
  return NULL;
}

static int let_a_thread_call(void *arg) {
  pthread_t thread;
  (void)arg;
  if (CHECK_INT(weft__sys_thread_create(&thread, NULL, call_from_outside, NULL), 0))
    weft__sys_thread_join(thread);
  return 0;
}

static void a_call_from_outside_a_task_is_reported_once_for_each_place(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, let_a_thread_call, NULL, NEVER_SLOW), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_THREAD,
                 "weft_sleep was called outside a task, at call_from_outside+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_THREAD, "weft_spawn was called outside a task, at ", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_THREAD, " (test_debug.c:", 2);
  CHECK_REPORTED(&all, WEFT_REPORT_THREAD, "", 2);
}

static weft_lock a_lock;
static weft_rwlock an_rwlock;
static weft_cond a_cond;

static void *lock_from_outside(void *arg) {
  (void)arg;
  CHECK_INT(weft_lock_acquire(&a_lock), WEFT_ENOTASK);
  CHECK_INT(weft_rwlock_acquire_write(&an_rwlock), WEFT_ENOTASK);
  CHECK_INT(weft_rwlock_try_read(&an_rwlock), WEFT_ENOTASK);
  CHECK_INT(weft_cond_wait(&a_cond), WEFT_ENOTASK);
  CHECK_INT(weft_cond_notify(&a_cond, 1), WEFT_ENOTASK);
  return NULL;
}

static int let_a_thread_lock(void *arg) {
  pthread_t thread;
  (void)arg;
  if (CHECK_INT(weft__sys_thread_create(&thread, NULL, lock_from_outside, NULL), 0))
    weft__sys_thread_join(thread);
  return 0;
}

static void the_function_that_was_called_from_outside_is_the_public_one(void **state) {
  static const char *const names[] = {"weft_lock_acquire", "weft_rwlock_acquire_write",
                                      "weft_rwlock_try_read", "weft_cond_wait", "weft_cond_notify"};
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, let_a_thread_lock, NULL, NEVER_SLOW), 0);
  for (int i = 0; i < 5; i++) {
    char text[96];
    snprintf(text, sizeof text, "%s was called outside a task, at lock_from_outside+", names[i]);
    CHECK_REPORTED(&all, WEFT_REPORT_THREAD, text, 1);
  }
  CHECK_REPORTED(&all, WEFT_REPORT_THREAD, "", 5);
}

/* ---- failures ---- */

static int fail_unseen(void *latch) {
  latch_hit(latch);
  return OWN_ERROR;
}

static int fail_in_two_ways(void *arg) {
  struct reports *all = arg;
  struct latch begun = {0};
  int rounds = 0;
  weft_spawn(fail_unseen, &begun, NULL); /* told at the end */
  weft_detach(weft_spawn(fail_unseen, &begun, NULL));
  latch_wait(&begun, 2);
  while (reported(all, WEFT_REPORT_TASK, "") == 0 && latch_turn(&rounds) == 0) {}
  return weft_report_error(&(weft_report){.kind = WEFT_REPORT_OWN,
                                          .message = "own",
                                          .site = (const char *)(uintptr_t)fail_in_two_ways + 1});
}

static void a_failure_is_reported_with_function_file_and_line(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, fail_in_two_ways, &all, NEVER_SLOW), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_TASK, "task fail_unseen, spawned at fail_in_two_ways+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_TASK, " (test_debug.c:", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_UNAWAITED, "task fail_unseen, spawned at fail_in_two_ways+", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_UNAWAITED, " (test_debug.c:", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_OWN, "own", 1);
  CHECK_INT(atomic_load(&all.total), 3);
  for (int i = 0; i < 3; i++) CHECK(strstr(all.site[i], " (test_debug.c:"));
}

/* ---- endless waits ---- */

struct crossing {
  weft_lock l[2];
  struct latch taken;
  struct reports *all;
};

static int cross(struct crossing *c, int first) {
  weft_lock_acquire(&c->l[first]);
  latch_hit(&c->taken);
  weft_shield_begin();
  latch_wait(&c->taken, 2);
  weft_shield_end();
  int r = weft_lock_acquire(&c->l[1 - first]);
  if (r == 0) weft_lock_release(&c->l[1 - first]);
  weft_lock_release(&c->l[first]);
  return r;
}
static int left_first(void *c) {
  return cross(c, 0);
}
static int right_first(void *c) {
  return cross(c, 1);
}

static int make_a_circle(void *arg) {
  struct crossing *c = arg;
  weft_task left = weft_spawn(left_first, c, &(weft_spawn_opts){.name = "left"});
  weft_task right = weft_spawn(right_first, c, &(weft_spawn_opts){.name = "right"});
  while (reported(c->all, WEFT_REPORT_DEADLOCK, "") == 0) weft_sleep(weft_ms(20));
  weft_sleep(weft_ms(2500)); /* two more looks */
  weft_cancel(left);
  CHECK_INT(weft_await(left), WEFT_ECANCELED);
  return weft_await(right);
}

static void tasks_that_wait_for_each_other_are_reported_once(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  struct crossing c = {.all = &all};
  CHECK_INT(run_debug(&all, make_a_circle, &c, NEVER_SLOW), 0);
  CHECK_REPORTED(
      &all, WEFT_REPORT_DEADLOCK,
      "2 tasks wait for each other for ever, unless somebody else releases the lock:", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_DEADLOCK, "'left', spawned at ", 1);
  CHECK_REPORTED(&all, WEFT_REPORT_DEADLOCK, "waits for a lock held by #", 1);
  CHECK_INT(atomic_load(&all.total), 1);
}

struct stall {
  weft_event event;
  struct reports all;
};

static int end_the_stall(const weft_report *r, void *arg) {
  struct stall *s = arg;
  keep_report(r, &s->all);
  if (r->kind == WEFT_REPORT_DEADLOCK) weft_event_set(&s->event);
  return 0;
}

static int wait_for_event(void *arg) {
  return weft_event_wait(&((struct stall *)arg)->event);
}

static void a_run_in_which_nothing_can_happen_any_more_is_reported(void **state) {
  (void)state;
  struct stall s = {.all = REPORTS_INIT};
  weft_run_opts o = {.debug = true, .on_error = end_the_stall, .on_error_arg = &s};
  CHECK_INT(weft_run(wait_for_event, &s, &o), 0);
  CHECK_REPORTED(&s.all, WEFT_REPORT_DEADLOCK, "every task waits, and no timer", 1);
  CHECK_REPORTED(&s.all, WEFT_REPORT_DEADLOCK, "'main': waiting for an event", 1);
}

/* ---- the switch ---- */

static int is_debugging(void *arg) {
  (void)arg;
  return weft_debugging();
}

static void WEFT_DEBUG_switches_it_on(void **state) {
  (void)state;
  unsetenv("WEFT_DEBUG");
  CHECK(!weft_debugging());
  CHECK_INT(weft_run(is_debugging, NULL, NULL), 0);
  CHECK_INT(weft_run(is_debugging, NULL, &(weft_run_opts){.debug = true}), 1);
  setenv("WEFT_DEBUG", "0", 1);
  CHECK_INT(weft_run(is_debugging, NULL, NULL), 0);
  setenv("WEFT_DEBUG", "1", 1);
  CHECK_INT(weft_run(is_debugging, NULL, NULL), 1);
  unsetenv("WEFT_DEBUG");
}

static int make_mistakes(void *arg) {
  struct latch *ended = arg;
  weft_spawn(hit_and_return, ended, NULL);
  latch_wait(ended, 1);
  return let_a_thread_call(NULL);
}

static void without_it_none_of_this_is_reported(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  struct latch ended = {0};
  weft_run_opts o = {.on_error = keep_report, .on_error_arg = &all};
  CHECK_INT(weft_run(make_mistakes, &ended, &o), 0);
  CHECK(atomic_load(&all.total) == 0 || !print_reports(&all));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R4_a_slice_over_the_limit_is_reported_with_task_and_site),
    cmocka_unit_test(R4_the_limit_is_100_ms_unless_it_is_set),
    cmocka_unit_test(R4_a_task_that_waits_is_not_slow),
    cmocka_unit_test(R4_a_slice_that_does_not_end_is_reported_while_it_lasts_with_a_backtrace),
    cmocka_unit_test(R4_each_run_of_a_runner_is_watched),
    cmocka_unit_test(a_handle_that_nobody_consumed_is_reported_with_its_spawn_site),
    cmocka_unit_test(what_is_left_open_is_reported_with_its_place),
    cmocka_unit_test(a_task_that_ends_inside_a_scope_is_reported),
    cmocka_unit_test(the_main_task_and_detached_ones_are_looked_at_too),
    cmocka_unit_test(a_call_from_outside_a_task_is_reported_once_for_each_place),
    cmocka_unit_test(the_function_that_was_called_from_outside_is_the_public_one),
    cmocka_unit_test(a_failure_is_reported_with_function_file_and_line),
    cmocka_unit_test(tasks_that_wait_for_each_other_are_reported_once),
    cmocka_unit_test(a_run_in_which_nothing_can_happen_any_more_is_reported),
    cmocka_unit_test(WEFT_DEBUG_switches_it_on),
    cmocka_unit_test(without_it_none_of_this_is_reported),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
