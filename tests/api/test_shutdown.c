/* The end of a run: foreign threads that submit meanwhile, tasks that do not end, the time limit. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

#include "base/sys.h"
#include "child.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"
#include "threads.h"

/* ---- foreign threads that submit while the run ends ---- */

struct submitter {
  weft_runtime rt;
  struct latch *begun;
  atomic_bool *over;
  int accepted, refused, other;
  atomic_int ran;
};

static int count_up(void *arg) {
  atomic_fetch_add((atomic_int *)arg, 1);
  return 0;
}

static void *submit_until_closed(void *arg) {
  struct submitter *s = arg;
  while (!atomic_load(s->over) && s->refused < 100) {
    int r = weft_submit(s->rt, count_up, &s->ran, NULL);
    if (r == 0)
      s->accepted++;
    else if (r == WEFT_ECLOSED)
      s->refused++;
    else
      s->other = r;
    if (s->accepted == 20) latch_hit(s->begun);
  }
  return NULL;
}

enum { THREADS = 3 };

struct meeting {
  struct submitter s[THREADS];
  pthread_t thread[THREADS];
  struct latch begun;
  atomic_bool over;
  int yields;
};

static int end_among_submitters(void *arg) {
  struct meeting *m = arg;
  for (int i = 0; i < THREADS; i++) {
    m->s[i] =
        (struct submitter){.rt = weft_runtime_current(), .begun = &m->begun, .over = &m->over};
    CHECK_INT(weft__sys_thread_create(&m->thread[i], NULL, submit_until_closed, &m->s[i]), 0);
  }
  CHECK_INT(latch_wait(&m->begun, THREADS), 0);
  int yields = m->yields < 0 ? (int)weft_sim_random(8) : m->yields;
  for (int i = 0; i < yields; i++) CHECK_INT(weft_yield(), 0);
  return 1;
}

static void run_meetings(int workers) {
  for (int round = 0; round < (counts_simulated() ? 1 : COUNT_RUNS / 4); round++) {
    struct meeting m = {.yields = counts_simulated() ? -1 : round % 8};
    CHECK_INT(weft_run(end_among_submitters, &m, &(weft_run_opts){.workers = workers}), 1);
    /* From here on nothing may run any more: the functions' argument may die. */
    int ran[THREADS];
    for (int i = 0; i < THREADS; i++) ran[i] = atomic_load(&m.s[i].ran);
    atomic_store(&m.over, true);
    for (int i = 0; i < THREADS; i++) {
      thread_join(m.thread[i]);
      CHECK_INT(m.s[i].other, 0);
      CHECK_INT(atomic_load(&m.s[i].ran), ran[i]);
      /* What was accepted ran, or was cancelled before it began. */
      CHECK(ran[i] <= m.s[i].accepted);
    }
    if (weft_test_failed()) return;
  }
}

static void foreign_threads_submit_while_one_worker_shuts_down(void **state) {
  (void)state;
  run_meetings(1);
}

static void foreign_threads_submit_while_four_workers_shut_down(void **state) {
  (void)state;
  run_meetings(4);
}

/* ---- tasks that do not end ---- */

struct stubborn {
  struct latch parked, release;
};

static int ignore_cancels(void *arg) {
  struct stubborn *s = arg;
  latch_hit(&s->parked);
  while (latch_hits(&s->release) == 0) {
    if (weft_sleep(weft_ms(1)) < 0) weft_cancel_catch();
  }
  return 0;
}

static int leave_a_stubborn_task(void *arg) {
  struct stubborn *s = arg;
  weft_detach(weft_spawn(ignore_cancels, s, &(weft_spawn_opts){.name = "the stubborn one"}));
  return latch_wait(&s->parked, 1);
}

static struct log_capture log_lines = LOG_CAPTURE_INIT;

static void *release_after_two_reports(void *arg) {
  while (log_capture_count(&log_lines, "the stubborn one") < 2) sched_yield();
  latch_hit(&((struct stubborn *)arg)->release);
  return NULL;
}

static void R7_a_task_that_does_not_end_is_named_every_second(void **state) {
  struct stubborn s = {0};
  pthread_t thread;
  weft_ns start = weft_now();
  (void)state;
  assert_int_equal(pthread_create(&thread, NULL, release_after_two_reports, &s), 0);
  CHECK_INT(weft_run(leave_a_stubborn_task, &s,
                     &(weft_run_opts){.log = log_capture_line, .log_arg = &log_lines}),
            0);
  pthread_join(thread, NULL);
  CHECK(weft_now() - start >= weft_ms(1500));
  CHECK(log_capture_count(&log_lines, "the stubborn one") >= 2);
}

/* The memory of a run that timed out stays in use; what the tasks touch is static. */
static struct stubborn left_behind;

static void R7_shutdown_timeout_ends_the_wait_with_etimedout(void **state) {
  weft_ns start = weft_now();
  (void)state;
  CHECK_INT(weft_run(leave_a_stubborn_task, &left_behind,
                     &(weft_run_opts){.shutdown_timeout = weft_ms(100)}),
            WEFT_ETIMEDOUT);
  CHECK(weft_now() - start >= weft_ms(100));
  CHECK(weft_now() - start < weft_sec(10 * COUNTS_SLOWER));
  /* The process is fine: another run works beside what was left. */
  CHECK_INT(weft_run(return_seven, NULL, &(weft_run_opts){.workers = 2}), 7);
  latch_hit(&left_behind.release);
}

static void R7_a_shutdown_that_is_quick_enough_is_not_timed_out(void **state) {
  (void)state;
  CHECK_INT(weft_run(return_seven, NULL, &(weft_run_opts){.shutdown_timeout = weft_sec(60)}), 7);
}

/* ---- exit in a task ---- */

enum { EXIT_CODE = 41 };

static int exit_now(void *arg) {
  (void)arg;
  exit(EXIT_CODE);
}

/* This program again, as one that does nothing else: see main. */
static int exec_exiting(void *arg) {
  execl("/proc/self/exe", "exiting", arg, (char *)NULL);
  return 99;
}

static void exit_in_a_task_ends_the_process(void **state) {
  (void)state;
  if (WEFT_TEST_EMULATED) weft_test_skip("what is executed would not be emulated");
  struct child_end end = child_run(exec_exiting, "--exit-in-a-task");
  if (child_exit_code(&end) != EXIT_CODE)
    CHECK_FAIL("the child's status is %#x, it said: %s", (unsigned)end.status, end.output);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(foreign_threads_submit_while_one_worker_shuts_down),
    cmocka_unit_test(foreign_threads_submit_while_four_workers_shut_down),
    cmocka_unit_test(R7_a_task_that_does_not_end_is_named_every_second),
    cmocka_unit_test(R7_shutdown_timeout_ends_the_wait_with_etimedout),
    cmocka_unit_test(R7_a_shutdown_that_is_quick_enough_is_not_timed_out),
    cmocka_unit_test(exit_in_a_task_ends_the_process),
};

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--exit-in-a-task") == 0) return weft_run(exit_now, NULL, NULL);
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
