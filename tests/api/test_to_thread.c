/* weft_to_thread: calls that block, on threads of their own. */
#include <pthread.h>
#include <stdatomic.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "task_test.h"
#include "threads.h"

TASK_TEST(K1_to_thread_gives_the_functions_code) {
  int codes[] = {0, 9, OWN_ERROR, WEFT_EINVAL, WEFT_ECANCELED};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    CHECK_INT(weft_to_thread(return_given, &codes[i]), codes[i]);
  CHECK_INT(weft_yield(), 0);
}

struct seen {
  long thread;
  int spawned, slept, yielded, worker;
  uint64_t runtime;
  void *current;
  int before, after;
};

static int look_around(void *arg) {
  struct seen *s = arg;
  s->thread = thread_id();
  s->spawned = weft_task_error(weft_spawn(return_zero, NULL, NULL));
  s->slept = weft_sleep(1);
  s->yielded = weft_yield();
  s->worker = weft_worker_id();
  s->runtime = weft_runtime_current().id_;
  s->current = weft_current().slot_;
  s->after = s->before + 1;
  return 0;
}

TASK_TEST(K1_the_function_runs_outside_the_runtime) {
  struct seen s = {.before = 41};
  long here = thread_id();
  CHECK_INT(weft_to_thread(look_around, &s), 0);
  CHECK(s.thread != 0 && s.thread != here);
  CHECK_INT(s.spawned, WEFT_ENOTASK);
  CHECK_INT(s.slept, WEFT_ENOTASK);
  CHECK_INT(s.yielded, WEFT_ENOTASK);
  CHECK_INT(s.worker, WEFT_ENOTASK);
  CHECK_UINT(s.runtime, 0);
  CHECK_PTR(s.current, NULL);
  CHECK_INT(s.after, 42);
}

static int nested_to_thread(void *arg) {
  return weft_to_thread(return_zero, arg);
}

TASK_TEST(to_thread_inside_a_job_is_enotask) {
  CHECK_INT(weft_to_thread(nested_to_thread, NULL), WEFT_ENOTASK);
}

TASK_TEST(a_null_job_is_einval) {
  CHECK_INT(weft_to_thread(NULL, NULL), WEFT_EINVAL);
}

static int offload_block(void *arg) {
  return weft_to_thread(block_at_gate, arg);
}

TASK_TEST(other_tasks_run_while_a_job_blocks) {
  struct gate g = {0};
  weft_task t = weft_spawn(offload_block, &g, NULL);
  CHECK_INT(latch_wait(&g.blocked, 1), 0);
  for (int i = 0; i < 100; i++) CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_INT(weft_task_done(t), 0);
  gate_open(&g);
  CHECK_INT(weft_await(t), 3);
}

TASK_TEST(K4_the_pool_grows_when_jobs_really_block) {
  enum { MOST = 40 };
  weft_task t[MOST];
  struct gate g = {0};
  const int n = count(MOST);
  for (int i = 0; i < n; i++) t[i] = weft_spawn(offload_block, &g, NULL);
  CHECK_INT(latch_wait(&g.blocked, n), 0); /* all of them block at the same time */
  gate_open(&g);
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(t[i]), 3);
}

static int tiny_job(void *arg) {
  atomic_fetch_add((atomic_int *)arg, 1);
  return 0;
}

static int offload_tiny(void *arg) {
  return weft_to_thread(tiny_job, arg);
}

TASK_TEST(K4_thousands_of_jobs_all_run_once) {
  static weft_task t[COUNT_TASKS];
  const int n = count(COUNT_TASKS);
  atomic_int runs = 0;
  for (int i = 0; i < n; i++) t[i] = weft_spawn(offload_tiny, &runs, NULL);
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK_INT(atomic_load(&runs), n);
  weft_stats s;
  CHECK_INT(weft_stats_read(&s), 0);
  CHECK(s.blocking_jobs >= (uint64_t)n);
}

/* ---- cancelling ---- */

struct cancelled_job {
  struct gate gate;
  int result, after;
};

static int offload_and_note(void *arg) {
  struct cancelled_job *c = arg;
  c->result = weft_to_thread(block_at_gate, &c->gate);
  c->after = weft_yield();
  return c->after;
}

TASK_TEST(K2_a_cancelled_caller_waits_for_its_running_job) {
  struct cancelled_job c = {0};
  weft_task t = weft_spawn(offload_and_note, &c, NULL);
  CHECK_INT(latch_wait(&c.gate.blocked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  for (int i = 0; i < 50; i++) {
    CHECK_INT(weft_yield(), 0);
    CHECK_INT(weft_task_done(t), 0);
  }
  gate_open(&c.gate);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(c.result, 3);             /* the job's code is not lost, */
  CHECK_INT(c.after, WEFT_ECANCELED); /* nor is the cancel */
}

static int offload_in_time(void *arg) {
  struct cancelled_job *c = arg;
  weft_timeout s;
  weft_timeout_begin(&s, weft_ms(100) * COUNTS_SLOWER); /* the job has begun by then */
  c->result = weft_to_thread(block_at_gate, &c->gate);
  c->after = weft_yield();
  return weft_timeout_end(&s, c->after);
}

TASK_TEST(K2_a_timeout_waits_for_the_running_job_too) {
  struct cancelled_job c = {0};
  weft_task t = weft_spawn(offload_in_time, &c, NULL);
  CHECK_INT(latch_wait(&c.gate.blocked, 1), 0);
  CHECK_INT(weft_sleep(weft_ms(120) * COUNTS_SLOWER), 0);
  CHECK_INT(weft_task_done(t), 0);
  gate_open(&c.gate);
  CHECK_INT(weft_await(t), WEFT_ETIMEDOUT);
  CHECK_INT(c.result, 3);
  CHECK_INT(c.after, WEFT_ECANCELED);
}

static int cancel_self_then_offload(void *arg) {
  CHECK_INT(weft_cancel(weft_current()), 1);
  return weft_to_thread(tiny_job, arg);
}

TASK_TEST(K3_a_job_whose_caller_is_cancelled_already_never_runs) {
  atomic_int runs = 0;
  CHECK_INT(weft_await(weft_spawn(cancel_self_then_offload, &runs, NULL)), WEFT_ECANCELED);
  CHECK_INT(atomic_load(&runs), 0);
}

static int fill_the_pool_and_queue_one(void *arg) {
  atomic_int *runs = arg;
  struct gate g = {0};
  weft_task blocker[2];
  for (int i = 0; i < 2; i++) blocker[i] = weft_spawn(offload_block, &g, NULL);
  CHECK_INT(latch_wait(&g.blocked, 2), 0);
  weft_task queued = weft_spawn(offload_tiny, runs, NULL);
  /* Until it is parked in the queue, a cancel meets it earlier: withdrawn all the same. */
  for (int i = 0; i < 100; i++) CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_cancel(queued), 1);
  CHECK_INT(weft_await(queued), WEFT_ECANCELED);
  CHECK_INT(atomic_load(runs), 0);
  gate_open(&g);
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(blocker[i]), 3);
  /* The pool goes on, and the withdrawn job does not come back. */
  CHECK_INT(weft_to_thread(return_seven, NULL), 7);
  CHECK_INT(atomic_load(runs), 0);
  return 0;
}

static void K3_a_queued_job_is_withdrawn_by_a_cancel(void **state) {
  atomic_int runs = 0;
  (void)state;
  CHECK_INT(weft_run(fill_the_pool_and_queue_one, &runs, &(weft_run_opts){.blocking_threads = 2}),
            0);
}

static int block_all_threads(void *arg) {
  enum { N = 12 };
  weft_task t[N];
  struct gate g = {0};
  weft_stats s;
  (void)arg;
  for (int i = 0; i < N; i++) t[i] = weft_spawn(offload_block, &g, NULL);
  CHECK_INT(latch_wait(&g.blocked, 3), 0);
  for (int i = 0; i < 200; i++) {
    CHECK_INT(weft_yield(), 0);
    CHECK(latch_hits(&g.blocked) <= 3);
  }
  CHECK_INT(weft_stats_read(&s), 0);
  CHECK(s.blocking_threads <= 3);
  gate_open(&g);
  for (int i = 0; i < N; i++) CHECK_INT(weft_await(t[i]), 3);
  return 0;
}

static void the_pool_keeps_to_its_limit(void **state) {
  (void)state;
  CHECK_INT(weft_run(block_all_threads, NULL, &(weft_run_opts){.blocking_threads = 3}), 0);
}

static int call_one_by_one(void *arg) {
  weft_stats s;
  (void)arg;
  for (int i = 0; i < 10; i++) CHECK_INT(weft_to_thread(return_seven, NULL), 7);
  CHECK_INT(weft_stats_read(&s), 0);
  CHECK_INT(s.blocking_threads, 1);
  return 0;
}

static void a_pool_of_fewer_threads_than_cpus_works(void **state) {
  (void)state;
  CHECK_INT(weft_run(call_one_by_one, NULL, &(weft_run_opts){.blocking_threads = 1}), 0);
}

/* ---- the end of the run ---- */

static struct gate left = {0};

struct leaver {
  struct latch returned;
  pthread_t opener;
};

static void *open_left(void *arg);

static int leave_a_running_job(void *arg) {
  struct leaver *l = arg;
  if (!CHECK_INT(weft__sys_thread_create(&l->opener, NULL, open_left, l), 0)) return OWN_ERROR;
  weft_detach(weft_spawn(offload_block, &left, NULL));
  return latch_wait(&left.blocked, 1);
}

static void *open_left(void *arg) {
  struct leaver *l = arg;
  for (int i = 0; i < count(1000); i++) latch_turn_thread();
  weft_sim_work(weft_sim_random(2) ? weft_ms(1) : weft_sec(3));
  CHECK_INT(latch_hits(&l->returned), 0);
  gate_open(&left);
  return NULL;
}

static void R7_run_waits_for_a_job_that_is_still_running(void **state) {
  struct leaver l = {0};
  (void)state;
  left = (struct gate){0};
  CHECK_INT(weft_run(leave_a_running_job, &l, NULL), 0);
  CHECK_UINT(weft__load_acquire_u32(&left.open), 1);
  latch_hit(&l.returned);
  thread_join(l.opener);
}

/* ---- a job may talk back ---- */

struct talk {
  weft_runtime rt;
  weft_task waiting;
  struct latch runs, parked;
};

static int submit_and_cancel(void *arg) {
  struct talk *t = arg;
  CHECK_INT(weft_submit(t->rt, hit_and_return, &t->runs, NULL), 0);
  CHECK_INT(weft_cancel(t->waiting), 1);
  return weft_task_done(t->waiting) >= 0 ? 0 : OWN_ERROR;
}

TASK_TEST(a_job_may_submit_and_cancel) {
  struct talk t = {.rt = weft_runtime_current()};
  t.waiting = weft_spawn(hit_and_park, &t.parked, NULL);
  CHECK_INT(latch_wait(&t.parked, 1), 0);
  CHECK_INT(weft_to_thread(submit_and_cancel, &t), 0);
  CHECK_INT(weft_await(t.waiting), WEFT_ECANCELED);
  CHECK_INT(latch_wait(&t.runs, 1), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(K1_to_thread_gives_the_functions_code),
    cmocka_unit_test(K1_the_function_runs_outside_the_runtime),
    cmocka_unit_test(to_thread_inside_a_job_is_enotask),
    cmocka_unit_test(a_null_job_is_einval),
    cmocka_unit_test(other_tasks_run_while_a_job_blocks),
    cmocka_unit_test(K4_the_pool_grows_when_jobs_really_block),
    cmocka_unit_test(K4_thousands_of_jobs_all_run_once),
    cmocka_unit_test(K2_a_cancelled_caller_waits_for_its_running_job),
    cmocka_unit_test(K2_a_timeout_waits_for_the_running_job_too),
    cmocka_unit_test(K3_a_job_whose_caller_is_cancelled_already_never_runs),
    cmocka_unit_test(K3_a_queued_job_is_withdrawn_by_a_cancel),
    cmocka_unit_test(the_pool_keeps_to_its_limit),
    cmocka_unit_test(a_pool_of_fewer_threads_than_cpus_works),
    cmocka_unit_test(R7_run_waits_for_a_job_that_is_still_running),
    cmocka_unit_test(a_job_may_submit_and_cancel),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
