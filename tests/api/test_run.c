/* weft_run from the inside: what it returns, what it leaves, the figures it gives. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

static void run_returns_the_main_tasks_code(void **state) {
  int codes[] = {0, 5, 1 << 30, OWN_ERROR, WEFT_EINVAL, WEFT_ECANCELED};
  (void)state;
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    CHECK_INT(weft_run(return_given, &codes[i], NULL), codes[i]);
}

static void a_runtime_can_be_run_many_times(void **state) {
  (void)state;
  for (int i = 0; i < count(COUNT_RUNS); i++)
    if (!CHECK_INT(weft_run(return_seven, NULL, NULL), 7)) return;
}

static int run_again_inside(void *arg) {
  struct latch *runs = arg;
  CHECK_INT(weft_run(hit_and_return, runs, NULL), WEFT_ENESTED);
  CHECK_INT(weft_yield(), 0);
  return 3;
}

static void R8_run_inside_run_is_enested(void **state) {
  struct latch runs = {0};
  (void)state;
  CHECK_INT(weft_run(run_again_inside, &runs, NULL), 3);
  CHECK_INT(latch_hits(&runs), 0);
}

TASK_TEST(R8_run_inside_a_spawned_task_is_enested) {
  struct latch runs = {0};
  CHECK_INT(weft_await(weft_spawn(run_again_inside, &runs, NULL)), 3);
  CHECK_INT(latch_hits(&runs), 0);
}

/* ---- what is left is cancelled, awaited, reported ---- */

struct left {
  struct latch parked, cancelled;
};

static int note_the_cancel(void *arg) {
  struct left *l = arg;
  int r = hit_and_park(&l->parked);
  if (r == WEFT_ECANCELED) latch_hit(&l->cancelled);
  return r;
}

static int leave_tasks(void *arg) {
  struct left *l = arg;
  for (int i = 0; i < 10; i++) weft_spawn(note_the_cancel, l, NULL);
  for (int i = 0; i < 10; i++) weft_detach(weft_spawn(note_the_cancel, l, NULL));
  CHECK_INT(latch_wait(&l->parked, 20), 0);
  return 4;
}

static void R7_run_cancels_and_awaits_what_is_left(void **state) {
  struct left l = {0};
  (void)state;
  CHECK_INT(weft_run(leave_tasks, &l, NULL), 4);
  CHECK_INT(latch_hits(&l.cancelled), 20);
}

static int clean_up_slowly(void *arg) {
  struct left *l = arg;
  int r = hit_and_park(&l->parked);
  weft_shield_begin();
  weft_sleep(weft_ms(20));
  weft_await(weft_spawn(hit_and_return, &l->cancelled, NULL));
  weft_shield_end();
  return r;
}

static int leave_a_slow_cleaner(void *arg) {
  struct left *l = arg;
  weft_detach(weft_spawn(clean_up_slowly, l, NULL));
  return latch_wait(&l->parked, 1);
}

static void R7_cleanup_may_wait_and_spawn_during_the_shutdown(void **state) {
  struct left l = {0};
  (void)state;
  CHECK_INT(weft_run(leave_a_slow_cleaner, &l, NULL), 0);
  CHECK_INT(latch_hits(&l.cancelled), 1);
}

static int fail_at_the_end(void *arg) {
  hit_and_park(arg);
  return OWN_ERROR;
}

static int leave_a_failing_task(void *arg) {
  weft_spawn(fail_at_the_end, arg, &(weft_spawn_opts){.name = "fails at the end"});
  return latch_wait(arg, 1);
}

static void R7_an_error_at_the_shutdown_is_reported(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  struct latch parked = {0};
  (void)state;
  CHECK_INT(weft_run(leave_a_failing_task, &parked,
                     &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
            0);
  CHECK_INT(log_capture_count(&log, "fails at the end"), 1);
  if (weft_test_failed()) log_capture_print(&log);
}

static int leave_unbegun_tasks(void *arg) {
  for (int i = 0; i < 1000; i++) weft_spawn(hit_and_return, arg, NULL);
  return 2;
}

static void R7_tasks_that_never_began_do_not_hold_up_the_end(void **state) {
  struct latch runs = {0};
  (void)state;
  CHECK_INT(weft_run(leave_unbegun_tasks, &runs, NULL), 2);
  CHECK(latch_hits(&runs) <= 1000);
}

static int spawn_while_shutting_down(void *arg) {
  struct left *l = arg;
  int r = hit_and_park(&l->parked);
  /* It may still run to its end, or be told that it is too late; it may not hang. */
  weft_task t = weft_spawn(hit_and_park, &l->cancelled, NULL);
  weft_await(t);
  return r;
}

static int leave_a_spawner(void *arg) {
  struct left *l = arg;
  weft_detach(weft_spawn(spawn_while_shutting_down, l, NULL));
  return latch_wait(&l->parked, 1);
}

static void R7_a_task_that_spawns_during_the_shutdown_ends(void **state) {
  struct left l = {0};
  (void)state;
  CHECK_INT(weft_run(leave_a_spawner, &l, NULL), 0);
}

/* ---- who am I ---- */

static int check_worker(void *arg) {
  int n = weft_worker_count();
  (void)arg;
  for (int i = 0; i < count(50); i++) {
    int id = weft_worker_id();
    CHECK(id >= 0 && id < n);
    if (weft_yield() < 0) break;
  }
  return n;
}

TASK_TEST(every_task_sees_a_worker_in_range_and_the_same_count) {
  int n = weft_worker_count();
  weft_task t[40];
  CHECK(n >= 1 && n <= WEFT_WORKERS_MAX);
  for (int i = 0; i < 40; i++) t[i] = weft_spawn(check_worker, NULL, NULL);
  for (int i = 0; i < 40; i++) CHECK_INT(weft_await(t[i]), n);
}

static void outside_a_runtime_there_is_no_worker(void **state) {
  (void)state;
  CHECK_INT(weft_worker_id(), WEFT_ENOTASK);
  CHECK_INT(weft_worker_count(), WEFT_ENOTASK);
  CHECK_INT(weft_run(return_zero, NULL, NULL), 0);
  CHECK_INT(weft_worker_id(), WEFT_ENOTASK);
  CHECK_INT(weft_worker_count(), WEFT_ENOTASK);
}

/* ---- statistics ---- */

TASK_TEST(stats_count_the_live_tasks) {
  weft_stats s;
  struct latch parked = {0};
  weft_task t[10];
  CHECK_INT(weft_stats_read(&s), 0);
  CHECK_UINT(s.tasks_live, 1);
  CHECK_UINT(s.workers, weft_worker_count());
  for (int i = 0; i < 10; i++) t[i] = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 10), 0);
  CHECK_INT(weft_stats_read(&s), 0);
  CHECK_UINT(s.tasks_live, 11);
  for (int i = 0; i < 10; i++) {
    weft_cancel(t[i]);
    CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
  }
  /* A task may be awaited a moment before its end is counted. */
  do {
    CHECK_INT(weft_yield(), 0);
    CHECK_INT(weft_stats_read(&s), 0);
  } while (s.tasks_live > 1);
  CHECK_UINT(s.tasks_live, 1);
}

TASK_TEST(stats_name_the_allocator_and_its_figures) {
  weft_stats s;
  CHECK_INT(weft_stats_read(&s), 0);
  if (!CHECK(s.allocator != NULL)) return;
  if (WEFT_JEMALLOC) CHECK(strstr(s.allocator, "jemalloc") != NULL);
  if (!WEFT_JEMALLOC) CHECK(strstr(s.allocator, "jemalloc") == NULL && s.allocator[0] != '\0');
  CHECK(s.runtime_allocations > 0);
#if WEFT_JEMALLOC
  CHECK(s.bytes_allocated > 0 && s.bytes_resident >= s.bytes_allocated);
#endif
}

static uint64_t total(size_t offset) {
  uint64_t sum = 0;
  for (int i = 0; i < weft_worker_count(); i++) {
    weft_worker_stats s;
    CHECK_INT(weft_stats_worker((unsigned)i, &s), 0);
    sum += *(uint64_t *)((char *)&s + offset);
  }
  return sum;
}

TASK_TEST(worker_stats_count_what_was_spawned_and_finished) {
  uint64_t spawned = total(offsetof(weft_worker_stats, spawned));
  uint64_t finished = total(offsetof(weft_worker_stats, finished));
  const int n = count(1000);
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_UINT(total(offsetof(weft_worker_stats, spawned)) - spawned, n);
  while (total(offsetof(weft_worker_stats, finished)) - finished < (uint64_t)n)
    CHECK_INT(weft_yield(), 0);
  CHECK_UINT(total(offsetof(weft_worker_stats, finished)) - finished, n);
}

TASK_TEST(stats_of_a_worker_that_is_not_there_are_einval) {
  weft_worker_stats s;
  memset(&s, 0x5a, sizeof s);
  weft_worker_stats before = s;
  CHECK_INT(weft_stats_worker((unsigned)weft_worker_count(), &s), WEFT_EINVAL);
  CHECK_INT(weft_stats_worker(~0u, &s), WEFT_EINVAL);
  CHECK_INT(memcmp(&s, &before, sizeof s), 0);
}

TASK_TEST(every_workers_loop_turns) {
  for (int i = 0; i < weft_worker_count(); i++) {
    weft_worker_stats s = {0};
    while (s.loop_turns == 0) {
      if (!CHECK_INT(weft_sleep(weft_us(200)), 0)) return;
      CHECK_INT(weft_stats_worker((unsigned)i, &s), 0);
    }
  }
}

/* ---- the main task is a task ---- */

static int check_main(void *arg) {
  weft_task me = weft_current();
  CHECK_INT(weft_task_error(me), 0);
  CHECK_INT(weft_cancelling(me), 0);
  CHECK_STR(arg, "the argument");
  CHECK(weft_runtime_current().id_ != 0);
  return 0;
}

static void the_main_task_is_a_task_like_any_other(void **state) {
  (void)state;
  CHECK_INT(weft_run(check_main, "the argument", NULL), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(run_returns_the_main_tasks_code),
    cmocka_unit_test(a_runtime_can_be_run_many_times),
    cmocka_unit_test(R8_run_inside_run_is_enested),
    cmocka_unit_test(R8_run_inside_a_spawned_task_is_enested),
    cmocka_unit_test(R7_run_cancels_and_awaits_what_is_left),
    cmocka_unit_test(R7_cleanup_may_wait_and_spawn_during_the_shutdown),
    cmocka_unit_test(R7_an_error_at_the_shutdown_is_reported),
    cmocka_unit_test(R7_tasks_that_never_began_do_not_hold_up_the_end),
    cmocka_unit_test(R7_a_task_that_spawns_during_the_shutdown_ends),
    cmocka_unit_test(every_task_sees_a_worker_in_range_and_the_same_count),
    cmocka_unit_test(outside_a_runtime_there_is_no_worker),
    cmocka_unit_test(stats_count_the_live_tasks),
    cmocka_unit_test(stats_name_the_allocator_and_its_figures),
    cmocka_unit_test(worker_stats_count_what_was_spawned_and_finished),
    cmocka_unit_test(stats_of_a_worker_that_is_not_there_are_einval),
    cmocka_unit_test(every_workers_loop_turns),
    cmocka_unit_test(the_main_task_is_a_task_like_any_other),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
