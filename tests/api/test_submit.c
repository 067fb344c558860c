/* weft_submit: tasks from threads that are not the runtime's own. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "core/task.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

struct thread_side {
  weft_runtime rt;
  weft_fn fn;
  void *arg;
  const weft_spawn_opts *opts;
  int answer;
};

static void *submit_once(void *arg) {
  struct thread_side *s = arg;
  s->answer = weft_submit(s->rt, s->fn, s->arg, s->opts);
  return NULL;
}

/* Submits on a foreign thread and returns the answer. */
static int submit_on_a_thread(weft_runtime rt, weft_fn fn, void *arg, const weft_spawn_opts *opts) {
  struct thread_side s = {.rt = rt, .fn = fn, .arg = arg, .opts = opts, .answer = 12345};
  pthread_t thread;
  if (CHECK_INT(weft__sys_thread_create(&thread, NULL, submit_once, &s), 0))
    weft__sys_thread_join(thread);
  return s.answer;
}

TASK_TEST(R3_a_task_submitted_by_a_foreign_thread_runs) {
  struct latch runs = {0};
  CHECK_INT(submit_on_a_thread(weft_runtime_current(), hit_and_return, &runs, NULL), 0);
  CHECK_INT(latch_wait(&runs, 1), 0);
}

/* More than a worker keeps the memory of: the rest is for whoever submits. */
TASK_TEST(a_submitted_task_belongs_to_no_group_that_had_its_memory) {
  struct latch runs = {0};
  weft_group g = WEFT_GROUP_INIT;
  int children = count(2 * WEFT__TASK_CACHE_MAX);
  for (int i = 0; i < children; i++) CHECK_INT(weft_group_spawn(&g, return_zero, NULL, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  memset(&g, 0, sizeof g);
  for (int i = 0; i < 100; i++)
    CHECK_INT(weft_submit(weft_runtime_current(), hit_and_return, &runs, NULL), 0);
  CHECK_INT(latch_wait(&runs, 100), 0);
}

struct waker {
  weft_runtime rt;
  struct latch *runs;
  int rounds;
};

static void *submit_when_quiet(void *arg) {
  struct waker *w = arg;
  for (int i = 0; i < w->rounds; i++) {
    CHECK_INT(weft_submit(w->rt, hit_and_return, w->runs, NULL), 0);
    latch_wait_thread(w->runs, i + 1); /* the workers run out of work each time */
  }
  return NULL;
}

static int sleep_through(void *arg) {
  (void)arg;
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(R3_a_submit_wakes_a_runtime_that_sleeps) {
  struct latch runs = {0};
  struct waker w = {
      .rt = weft_runtime_current(), .runs = &runs, .rounds = count(COUNT_RACES / 100)};
  pthread_t thread;
  weft_task sleeper = weft_spawn(sleep_through, NULL, NULL);
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, submit_when_quiet, &w), 0)) return;
  while (latch_hits(&runs) < w.rounds)
    CHECK_INT(weft_sleep(weft_ms(2)), 0); /* asleep most of the time */
  weft__sys_thread_join(thread);
  weft_cancel(sleeper);
  CHECK_INT(weft_await(sleeper), WEFT_ECANCELED);
}

struct flood {
  weft_runtime rt;
  atomic_int *runs;
  int n;
};

static int count_up(void *arg) {
  atomic_fetch_add((atomic_int *)arg, 1);
  return 0;
}

static void *submit_many(void *arg) {
  struct flood *f = arg;
  for (int i = 0; i < f->n; i++)
    if (!CHECK_INT(weft_submit(f->rt, count_up, f->runs, NULL), 0)) break;
  return NULL;
}

TASK_TEST(R3_many_threads_submit_at_once_and_nothing_is_lost) {
  enum { THREADS = 4 };
  atomic_int runs = 0;
  pthread_t thread[THREADS];
  struct flood f = {.rt = weft_runtime_current(), .runs = &runs, .n = count(COUNT_TASKS)};
  for (int i = 0; i < THREADS; i++)
    CHECK_INT(weft__sys_thread_create(&thread[i], NULL, submit_many, &f), 0);
  while (atomic_load(&runs) < THREADS * f.n)
    if (!CHECK_INT(weft_yield(), 0) || weft_test_failed()) break;
  for (int i = 0; i < THREADS; i++) weft__sys_thread_join(thread[i]);
  CHECK_INT(wait_until_live(1), 0);
  CHECK_INT(atomic_load(&runs), THREADS * f.n);
}

struct copied {
  int value;
  atomic_int *sum;
};

static int add_value(void *arg) {
  struct copied *c = arg;
  atomic_fetch_add(c->sum, c->value);
  return weft_task_name(weft_current()) ? 0 : OWN_ERROR;
}

static void *submit_copies(void *arg) {
  struct thread_side *s = arg;
  struct copied c = {.sum = s->arg};
  for (c.value = 1; c.value <= count(100); c.value++)
    CHECK_INT(weft_submit(s->rt, add_value, &c,
                          &(weft_spawn_opts){.arg_size = sizeof c, .name = "copied"}),
              0);
  return NULL;
}

TASK_TEST(submit_takes_the_options_of_spawn) {
  atomic_int sum = 0;
  struct thread_side s = {.rt = weft_runtime_current(), .arg = &sum};
  pthread_t thread;
  CHECK_INT(weft__sys_thread_create(&thread, NULL, submit_copies, &s), 0);
  weft__sys_thread_join(thread);
  CHECK_INT(wait_until_live(1), 0);
  CHECK_INT(atomic_load(&sum), count(100) * (count(100) + 1) / 2);
}

TASK_TEST(wrong_options_of_a_submit_are_einval) {
  struct latch runs = {0};
  weft_runtime rt = weft_runtime_current();
  static const weft_spawn_opts wrong[] = {
      {.pinned = true}, {.stack_size = 1}, {.stack_size = SIZE_MAX}, {.arg_size = 1 << 20}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    CHECK_INT(submit_on_a_thread(rt, hit_and_return, &runs, &wrong[i]), WEFT_EINVAL);
  CHECK_INT(submit_on_a_thread(rt, NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(wait_until_live(1), 0);
  CHECK_INT(latch_hits(&runs), 0);
}

TASK_TEST(a_task_may_submit_to_its_own_runtime) {
  struct latch runs = {0};
  CHECK_INT(weft_submit(weft_runtime_current(), hit_and_return, &runs, NULL), 0);
  CHECK_INT(latch_wait(&runs, 1), 0);
}

static int submit_failing(void *arg) {
  (void)arg;
  CHECK_INT(submit_on_a_thread(weft_runtime_current(), return_own_error, NULL,
                               &(weft_spawn_opts){.name = "the submitted one"}),
            0);
  return wait_until_live(1);
}

static void F7_a_submitted_task_that_fails_is_reported_once(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  CHECK_INT(
      weft_run(submit_failing, NULL, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
      0);
  CHECK_INT(log_capture_count(&log, "the submitted one"), 1);
}

/* ---- no runtime, an ended one, an empty value ---- */

static int store_runtime(void *arg) {
  *(weft_runtime *)arg = weft_runtime_current();
  return 0;
}

static void K5_submit_after_the_run_is_eclosed(void **state) {
  weft_runtime rt = {0};
  struct latch runs = {0};
  (void)state;
  CHECK_INT(weft_submit(rt, hit_and_return, &runs, NULL), WEFT_ECLOSED);
  CHECK_INT(weft_run(store_runtime, &rt, NULL), 0);
  CHECK_INT(weft_submit(rt, hit_and_return, &runs, NULL), WEFT_ECLOSED);
  /* Also while another runtime runs. */
  CHECK_INT(weft_run(return_zero, NULL, NULL), 0);
  CHECK_INT(weft_submit(rt, hit_and_return, &runs, NULL), WEFT_ECLOSED);
  CHECK_INT(latch_hits(&runs), 0);
}

static int submit_to_another(void *arg) {
  struct latch runs = {0};
  CHECK_INT(weft_submit(*(weft_runtime *)arg, hit_and_return, &runs, NULL), WEFT_ECLOSED);
  CHECK(weft_runtime_current().id_ != ((weft_runtime *)arg)->id_);
  CHECK_INT(latch_hits(&runs), 0);
  return 0;
}

static void an_ended_runtimes_name_is_not_given_to_the_next(void **state) {
  weft_runtime rt = {0};
  (void)state;
  CHECK_INT(weft_run(store_runtime, &rt, NULL), 0);
  CHECK_INT(weft_run(submit_to_another, &rt, NULL), 0);
}

static void outside_a_task_there_is_no_current_runtime(void **state) {
  struct latch runs = {0};
  (void)state;
  CHECK_INT(weft_submit(weft_runtime_current(), hit_and_return, &runs, NULL), WEFT_ECLOSED);
}

/* ---- two runtimes in one process ---- */

struct other_runtime {
  weft_runtime rt;
  struct latch up, stop;
  int result;
};

static int stay_up(void *arg) {
  struct other_runtime *o = arg;
  o->rt = weft_runtime_current();
  latch_hit(&o->up);
  while (latch_hits(&o->stop) == 0)
    if (weft_sleep(weft_ms(1)) < 0) break;
  return 6;
}

static void *run_other(void *arg) {
  struct other_runtime *o = arg;
  o->result = weft_run(stay_up, o, &(weft_run_opts){.workers = 2});
  return NULL;
}

static int talk_to_other(void *arg) {
  struct other_runtime *o = arg;
  struct latch runs = {0};
  CHECK_INT(weft_submit(o->rt, hit_and_return, &runs, NULL), 0);
  CHECK_INT(latch_wait(&runs, 1), 0);
  CHECK_INT(weft_submit(o->rt, hit_and_return, &runs, &(weft_spawn_opts){.pinned = true}),
            WEFT_EINVAL);
  return weft_await(weft_spawn(return_seven, NULL, NULL));
}

static void two_runtimes_run_at_once_and_submit_to_each_other(void **state) {
  struct other_runtime o = {0};
  pthread_t thread;
  (void)state;
  assert_int_equal(weft__sys_thread_create(&thread, NULL, run_other, &o), 0);
  latch_wait_thread(&o.up, 1);
  CHECK_INT(weft_run(talk_to_other, &o, NULL), 7);
  latch_hit(&o.stop);
  weft__sys_thread_join(thread);
  CHECK_INT(o.result, 6);
  CHECK_INT(weft_submit(o.rt, return_zero, NULL, NULL), WEFT_ECLOSED);
}

struct foreign_task {
  struct other_runtime other;
  weft_task parked, unbegun;
  struct latch checked;
};

static int offer_tasks(void *arg) {
  struct foreign_task *f = arg;
  struct latch parked = {0};
  f->parked = weft_spawn(hit_and_park, &parked, NULL);
  int r = latch_wait(&parked, 1);
  f->unbegun = weft_spawn(return_seven, NULL, NULL);
  latch_hit(&f->other.up);
  latch_wait_thread(&f->checked, 1); /* without suspending: the second is not begun */
  CHECK_INT(weft_await(f->unbegun), 7);
  CHECK_INT(weft_cancel(f->parked), 1);
  CHECK_INT(weft_await(f->parked), WEFT_ECANCELED);
  return r;
}

static void *offer_in_other(void *arg) {
  struct foreign_task *f = arg;
  f->other.result = weft_run(offer_tasks, f, &(weft_run_opts){.workers = 1});
  return NULL;
}

static int await_foreign(void *arg) {
  struct foreign_task *f = arg;
  const weft_task t[] = {f->parked, f->unbegun};
  for (int i = 0; i < 2; i++) {
    int code = 1;
    CHECK_INT(weft_await(t[i]), WEFT_EINVAL);
    CHECK_INT(weft_task_wait(t[i], &code), WEFT_EINVAL);
    CHECK_INT(code, 1);
    CHECK_INT(weft_wait_for_task(t[i], weft_ms(1)), WEFT_EINVAL);
    CHECK_INT(weft_gather(&t[i], 1, NULL), WEFT_EINVAL);
    CHECK_INT(weft_task_done(t[i]), 0);
  }
  latch_hit(&f->checked);
  return 0;
}

static void T13_awaiting_a_task_of_another_runtime_is_einval(void **state) {
  struct foreign_task f = {0};
  pthread_t thread;
  (void)state;
  assert_int_equal(weft__sys_thread_create(&thread, NULL, offer_in_other, &f), 0);
  latch_wait_thread(&f.other.up, 1);
  CHECK_INT(weft_run(await_foreign, &f, NULL), 0);
  weft__sys_thread_join(thread);
  CHECK_INT(f.other.result, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R3_a_task_submitted_by_a_foreign_thread_runs),
    cmocka_unit_test(a_submitted_task_belongs_to_no_group_that_had_its_memory),
    cmocka_unit_test(R3_a_submit_wakes_a_runtime_that_sleeps),
    cmocka_unit_test(R3_many_threads_submit_at_once_and_nothing_is_lost),
    cmocka_unit_test(submit_takes_the_options_of_spawn),
    cmocka_unit_test(wrong_options_of_a_submit_are_einval),
    cmocka_unit_test(a_task_may_submit_to_its_own_runtime),
    cmocka_unit_test(F7_a_submitted_task_that_fails_is_reported_once),
    cmocka_unit_test(K5_submit_after_the_run_is_eclosed),
    cmocka_unit_test(an_ended_runtimes_name_is_not_given_to_the_next),
    cmocka_unit_test(outside_a_task_there_is_no_current_runtime),
    cmocka_unit_test(two_runtimes_run_at_once_and_submit_to_each_other),
    cmocka_unit_test(T13_awaiting_a_task_of_another_runtime_is_einval),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
