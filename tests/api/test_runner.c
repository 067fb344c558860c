/* Runners: several runs in one runtime, which rests in between. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"
#include "threads.h"

static int note_runtime(void *arg) {
  *(weft_runtime *)arg = weft_runtime_current();
  return 3;
}

static void R9_one_runtime_serves_all_runs(void **state) {
  weft_runner r;
  weft_runtime rt[3];
  (void)state;
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_runner_run(&r, note_runtime, &rt[i]), 3);
  CHECK_INT(weft_runner_run(&r, return_own_error, NULL), OWN_ERROR);
  CHECK(rt[0].id_ != 0);
  CHECK_UINT(rt[1].id_, rt[0].id_);
  CHECK_UINT(rt[2].id_, rt[0].id_);
  CHECK_UINT(weft_runner_runtime(&r).id_, rt[0].id_);
  CHECK_INT(weft_worker_id(), WEFT_ENOTASK);
  CHECK_INT(weft_runner_close(&r), 0);
}

static void R9_closing_twice_is_fine(void **state) {
  weft_runner r, none = {0};
  (void)state;
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  weft_runtime rt = weft_runner_runtime(&r);
  CHECK_INT(weft_runner_close(&r), 0); /* without any run */
  CHECK_INT(weft_runner_close(&r), 0);
  CHECK_INT(weft_runner_close(&none), 0);
  CHECK_INT(weft_runner_close(NULL), 0);
  CHECK_INT(weft_runner_run(&r, return_seven, NULL), WEFT_ECLOSED);
  CHECK_INT(weft_runner_run(&none, return_seven, NULL), WEFT_ECLOSED);
  CHECK_INT(weft_runner_run(NULL, return_seven, NULL), WEFT_ECLOSED);
  CHECK_UINT(weft_runner_runtime(&r).id_, 0);
  CHECK_UINT(weft_runner_runtime(NULL).id_, 0);
  CHECK_INT(weft_submit(rt, return_seven, NULL, NULL), WEFT_ECLOSED);
}

static void R9_bad_options_open_nothing(void **state) {
  weft_runner r = {&r}, before = r;
  (void)state;
  CHECK_INT(weft_runner_open(&r, &(weft_run_opts){.workers = -1}), WEFT_EINVAL);
  CHECK_INT(weft_runner_open(NULL, NULL), WEFT_EINVAL);
  CHECK_PTR(r.state_, before.state_);
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_runner_close(&r), 0);
}

/* ---- what is left rests ---- */

enum { LEFT = 12 };

struct left {
  struct latch begun;
  atomic_int steps, inside, cancelled;
};

static struct left left;

static int go_on_for_ever(void *arg) {
  struct left *l = arg;
  int r;
  latch_hit(&l->begun);
  do {
    atomic_fetch_add(&l->inside, 1);
    atomic_fetch_add(&l->steps, 1);
    burn_ns(weft_us(20));
    atomic_fetch_sub(&l->inside, 1);
  } while ((r = atomic_load(&l->steps) % 3 ? weft_yield() : weft_sleep(weft_us(50))) == 0);
  if (r == WEFT_ECANCELED) atomic_fetch_add(&l->cancelled, 1);
  return r;
}

static int leave_movers(void *arg) {
  struct left *l = arg;
  for (int i = 0; i < LEFT; i++) weft_detach(weft_spawn(go_on_for_ever, l, NULL));
  return latch_wait(&l->begun, LEFT);
}

static int wait_for_steps(void *arg) {
  int from = atomic_load(&left.steps), r = 0, rounds = 0;
  while (atomic_load(&left.steps) < from + *(int *)arg && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

/* No step is taken for a while in which many would be. */
static void check_at_rest(void) {
  CHECK_INT(atomic_load(&left.inside), 0);
  int before = atomic_load(&left.steps);
  burn_ns(weft_us(300));
  CHECK_INT(atomic_load(&left.steps), before);
  CHECK_INT(atomic_load(&left.cancelled), 0);
}

static void R9_what_is_left_rests_until_the_next_run_or_the_close(void **state) {
  weft_runner r;
  int steps = 50;
  (void)state;
  left = (struct left){0};
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, leave_movers, &left), 0);
  for (int i = 0; i < count(30); i++) {
    check_at_rest();
    CHECK_INT(weft_runner_run(&r, wait_for_steps, &steps), 0);
  }
  check_at_rest();
  CHECK_INT(weft_runner_close(&r), 0);
  CHECK_INT(atomic_load(&left.cancelled), LEFT);
}

static int hog(void *arg) {
  struct left *l = arg;
  int r;
  latch_hit(&l->begun);
  do {
    atomic_fetch_add(&l->inside, 1);
    burn_ns(weft_ms(3)); /* long enough for the reserve to come */
    atomic_fetch_add(&l->steps, 1);
    atomic_fetch_sub(&l->inside, 1);
  } while ((r = weft_yield()) == 0);
  if (r == WEFT_ECANCELED) atomic_fetch_add(&l->cancelled, 1);
  return r;
}

static int leave_hogs_and_sleepers(void *arg) {
  struct left *l = arg;
  for (int i = 0; i < 3; i++) weft_detach(weft_spawn(hog, l, NULL));
  for (int i = 0; i < 3; i++) weft_detach(weft_spawn(go_on_for_ever, l, NULL));
  return latch_wait(&l->begun, 6);
}

static void R9_hogs_and_reserves_come_to_rest_too(void **state) {
  weft_runner r;
  int steps = 20;
  (void)state;
  left = (struct left){0};
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, leave_hogs_and_sleepers, &left), 0);
  for (int i = 0; i < 5; i++) {
    check_at_rest();
    CHECK_INT(weft_runner_run(&r, wait_for_steps, &steps), 0);
  }
  check_at_rest();
  CHECK_INT(weft_runner_close(&r), 0);
  CHECK_INT(atomic_load(&left.cancelled), 6);
}

/* ---- timers, jobs and submits while it rests ---- */

struct sleeper {
  weft_task task;
  struct latch begun;
  int slept;
};

static int sleep_a_little(void *arg) {
  struct sleeper *s = arg;
  latch_hit(&s->begun);
  s->slept = weft_sleep(weft_us(200));
  return 9;
}

static int begin_sleeper(void *arg) {
  struct sleeper *s = arg;
  s->task = weft_spawn(sleep_a_little, s, NULL);
  return latch_wait(&s->begun, 1);
}

static int await_sleeper(void *arg) {
  return weft_await(((struct sleeper *)arg)->task);
}

static void R9_a_timer_that_expires_at_rest_fires_in_the_next_run(void **state) {
  weft_runner r;
  static struct sleeper s;
  (void)state;
  s = (struct sleeper){.slept = -1};
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, begin_sleeper, &s), 0);
  burn_ns(weft_ms(1));
  CHECK_INT(weft_runner_run(&r, await_sleeper, &s), 9);
  CHECK_INT(s.slept, 0);
  CHECK_INT(weft_runner_close(&r), 0);
}

struct job {
  struct gate gate;
  weft_task task;
};

static int offload(void *arg) {
  return weft_to_thread(block_at_gate, arg);
}

static int begin_job(void *arg) {
  struct job *j = arg;
  j->task = weft_spawn(offload, &j->gate, NULL);
  return latch_wait(&j->gate.blocked, 1);
}

static int await_job(void *arg) {
  return weft_await(((struct job *)arg)->task);
}

static void R9_a_job_that_ends_at_rest_is_noticed_in_the_next_run(void **state) {
  weft_runner r;
  static struct job j;
  (void)state;
  memset(&j, 0, sizeof j);
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, begin_job, &j), 0);
  gate_open(&j.gate);
  CHECK_INT(weft_runner_run(&r, await_job, &j), 3);
  CHECK_INT(weft_runner_close(&r), 0);
}

static void R9_a_submit_at_rest_runs_in_the_next_run(void **state) {
  weft_runner r;
  struct latch ran = {0};
  (void)state;
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_submit(weft_runner_runtime(&r), hit_and_return, &ran, NULL), 0);
  CHECK_INT(weft_runner_run(&r, wait_for_latch, &ran), 0);
  CHECK_INT(weft_submit(weft_runner_runtime(&r), hit_and_return, &ran, NULL), 0);
  burn_ns(weft_us(100));
  CHECK_INT(latch_hits(&ran), 1);
  CHECK_INT(weft_runner_close(&r), 0); /* cancelled before it began */
  CHECK_INT(latch_hits(&ran), 1);
}

/* ---- the context ---- */

static const weft_local local = WEFT_LOCAL_INIT("local", NULL);
static int value;

static int set_local(void *arg) {
  return weft_local_set(&local, arg, NULL);
}

static int get_local(void *arg) {
  return weft_local_get(&local, NULL) == arg;
}

static void R9_all_main_tasks_have_one_context(void **state) {
  weft_runner r;
  (void)state;
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, get_local, NULL), 1);
  CHECK_INT(weft_runner_run(&r, set_local, &value), 0);
  CHECK_INT(weft_runner_run(&r, get_local, &value), 1);
  CHECK_INT(weft_runner_close(&r), 0);
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, get_local, NULL), 1);
  CHECK_INT(weft_runner_close(&r), 0);
}

/* ---- the wrong time, the wrong place ---- */

TASK_TEST(R8_a_runner_inside_a_run_is_enested) {
  weft_runner r = {0};
  CHECK_INT(weft_runner_open(&r, NULL), WEFT_ENESTED);
  CHECK_INT(weft_runner_run(&r, return_zero, NULL), WEFT_ENESTED);
  CHECK_INT(weft_runner_close(&r), WEFT_ENESTED);
}

static int use_inside(void *arg) {
  CHECK_INT(weft_runner_run(arg, return_zero, NULL), WEFT_ENESTED);
  CHECK_INT(weft_runner_close(arg), WEFT_ENESTED);
  CHECK_INT(weft_run(return_zero, NULL, NULL), WEFT_ENESTED);
  return 6;
}

static void R8_a_runner_inside_its_own_run_is_enested(void **state) {
  weft_runner r;
  (void)state;
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&r, use_inside, &r), 6);
  CHECK_INT(weft_runner_run(&r, return_seven, NULL), 7);
  CHECK_INT(weft_runner_close(&r), 0);
}

struct other {
  weft_runner r;
  int ran, closed;
  struct latch over;
};

static void *use_beside(void *arg) {
  struct other *o = arg;
  o->ran = weft_runner_run(&o->r, return_zero, NULL);
  o->closed = weft_runner_close(&o->r);
  latch_hit(&o->over);
  return NULL;
}

static int let_another_try(void *arg) {
  struct other *o = arg;
  pthread_t thread;
  CHECK_INT(weft__sys_thread_create(&thread, NULL, use_beside, o), 0);
  int r = latch_wait(&o->over, 1);
  weft__sys_thread_join(thread);
  return r;
}

static void R9_another_thread_finds_a_running_runner_busy(void **state) {
  static struct other o;
  (void)state;
  o = (struct other){.ran = 1};
  if (!CHECK_INT(weft_runner_open(&o.r, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&o.r, let_another_try, &o), 0);
  CHECK_INT(o.ran, WEFT_EBUSY);
  CHECK_INT(o.closed, WEFT_EBUSY);
  CHECK_INT(weft_runner_run(&o.r, return_seven, NULL), 7);
  CHECK_INT(weft_runner_close(&o.r), 0);
}

static void *run_once(void *arg) {
  struct other *o = arg;
  o->ran = weft_runner_run(&o->r, return_seven, NULL);
  return NULL;
}

/* Real threads: a simulated Runner stays where it is. */
static void R9_threads_may_take_turns(void **state) {
  static struct other o;
  pthread_t thread;
  (void)state;
  o = (struct other){.ran = 1};
  if (!CHECK_INT(weft_runner_open(&o.r, NULL), 0)) return;
  for (int i = 0; i < 3; i++) {
    CHECK_INT(pthread_create(&thread, NULL, run_once, &o), 0);
    pthread_join(thread, NULL);
    CHECK_INT(o.ran, 7);
    CHECK_INT(weft_runner_run(&o.r, return_seven, NULL), 7);
  }
  CHECK_INT(weft_runner_close(&o.r), 0);
}

static void R9_two_runners_take_turns_on_one_thread(void **state) {
  weft_runner a, b;
  (void)state;
  left = (struct left){0};
  int steps = 10;
  if (!CHECK_INT(weft_runner_open(&a, NULL), 0)) return;
  if (!CHECK_INT(weft_runner_open(&b, NULL), 0)) return;
  CHECK_INT(weft_runner_run(&a, leave_movers, &left), 0);
  CHECK_INT(weft_runner_run(&b, return_seven, NULL), 7);
  check_at_rest();
  CHECK_INT(weft_run(return_seven, NULL, NULL), 7);
  CHECK_INT(weft_runner_run(&a, wait_for_steps, &steps), 0);
  CHECK_INT(weft_runner_close(&b), 0);
  CHECK_INT(weft_runner_close(&a), 0);
  CHECK_INT(atomic_load(&left.cancelled), LEFT);
}

/* ---- errors of what is left ---- */

static int fail_when_cancelled(void *arg) {
  hit_and_park(arg);
  return OWN_ERROR;
}

static int leave_a_failure(void *arg) {
  weft_detach(weft_spawn(fail_when_cancelled, arg, &(weft_spawn_opts){.name = "the leftover"}));
  return latch_wait(arg, 1);
}

static void R7_errors_of_what_a_runner_leaves_are_reported_at_the_close(void **state) {
  static struct log_capture log;
  struct latch parked = {0};
  weft_runner r;
  (void)state;
  log = (struct log_capture)LOG_CAPTURE_INIT;
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  if (!CHECK_INT(weft_runner_open(&r, &opts), 0)) return;
  CHECK_INT(weft_runner_run(&r, leave_a_failure, &parked), 0);
  CHECK_INT(weft_runner_run(&r, return_zero, NULL), 0);
  CHECK_INT(log_capture_count(&log, "the leftover"), 0);
  CHECK_INT(weft_runner_close(&r), 0);
  CHECK_INT(log_capture_count(&log, "the leftover"), 1);
}

/* ---- many ---- */

static int spawn_some(void *arg) {
  weft_task t[20];
  int sum = 0;
  (void)arg;
  for (int i = 0; i < 20; i++) t[i] = weft_spawn(return_seven, NULL, NULL);
  for (int i = 0; i < 20; i++) sum += weft_await(t[i]);
  return sum;
}

static void R9_many_runs_in_one_runtime(void **state) {
  weft_runner r;
  (void)state;
  if (!CHECK_INT(weft_runner_open(&r, NULL), 0)) return;
  for (int i = 0; i < count(COUNT_RUNS * 5); i++)
    if (!CHECK_INT(weft_runner_run(&r, spawn_some, NULL), 140)) break;
  CHECK_INT(weft_runner_close(&r), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R9_one_runtime_serves_all_runs),
    cmocka_unit_test(R9_closing_twice_is_fine),
    cmocka_unit_test(R9_bad_options_open_nothing),
    cmocka_unit_test(R9_what_is_left_rests_until_the_next_run_or_the_close),
    cmocka_unit_test(R9_hogs_and_reserves_come_to_rest_too),
    cmocka_unit_test(R9_a_timer_that_expires_at_rest_fires_in_the_next_run),
    cmocka_unit_test(R9_a_job_that_ends_at_rest_is_noticed_in_the_next_run),
    cmocka_unit_test(R9_a_submit_at_rest_runs_in_the_next_run),
    cmocka_unit_test(R9_all_main_tasks_have_one_context),
    cmocka_unit_test(R8_a_runner_inside_a_run_is_enested),
    cmocka_unit_test(R8_a_runner_inside_its_own_run_is_enested),
    cmocka_unit_test(R9_another_thread_finds_a_running_runner_busy),
    cmocka_unit_test(R9_threads_may_take_turns),
    cmocka_unit_test(R9_two_runners_take_turns_on_one_thread),
    cmocka_unit_test(R7_errors_of_what_a_runner_leaves_are_reported_at_the_close),
    cmocka_unit_test(R9_many_runs_in_one_runtime),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
