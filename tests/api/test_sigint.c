/* SIGINT: the first cancels the main task, the second ends the process. Real signals, each in a process of
 * its own; what a child has to say is its exit status. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "child.h"
#include "counts.h"
#include "task_test.h"

enum { GOOD = 42 };

static void interrupt_self(void) {
  kill(getpid(), SIGINT);
}

static bool disposition_is(void (*handler)(int)) {
  struct sigaction sa;
  return sigaction(SIGINT, NULL, &sa) == 0 && sa.sa_handler == handler;
}

/* What the child's run is to return, and the body of its main task. */
struct scene {
  weft_fn main;
  int code;
  const weft_run_opts *opts;
};

static int run_scene(void *arg) {
  const struct scene *s = arg;
  int r = weft_run(s->main, NULL, s->opts);
  if (r != s->code) fprintf(stderr, "run returned %d, not %d\n", r, s->code);
  if (!disposition_is(SIG_DFL)) fprintf(stderr, "SIGINT was not given back\n");
  return r == s->code && disposition_is(SIG_DFL) ? GOOD : 1;
}

static void play(const struct scene *s) {
  if (counts_simulated()) weft_test_skip("a simulation takes no signals");
  struct child_end end = child_run(run_scene, (void *)(uintptr_t)s);
  if (!CHECK_INT(child_exit_code(&end), GOOD)) fprintf(stderr, "%s", end.output);
}

/* ---- what the first one does ---- */

static int be_interrupted(void *arg) {
  (void)arg;
  interrupt_self();
  return weft_sleep(A_LONG_TIME);
}

static void R10_the_first_sigint_cancels_the_main_task(void **state) {
  (void)state;
  play(&(struct scene){be_interrupted, WEFT_EINTR, NULL});
  play(&(struct scene){be_interrupted, WEFT_EINTR, &(weft_run_opts){.exact = true, .workers = 1}});
}

static int be_interrupted_while_computing(void *arg) {
  int r = 0;
  (void)arg;
  interrupt_self();
  while (r == 0) r = weft_yield(); /* asyncio's test_interrupt_call_soon */
  return r;
}

static void R10_a_main_task_that_never_waits_is_cancelled_too(void **state) {
  (void)state;
  play(&(struct scene){be_interrupted_while_computing, WEFT_EINTR, NULL});
}

static int cancelled_future(void *arg) {
  struct latch *cancelled = arg;
  int r = weft_sleep(A_LONG_TIME);
  if (r == WEFT_ECANCELED) latch_hit(cancelled);
  return r;
}

static int wait_for_another(void *arg) {
  struct latch cancelled = {0};
  (void)arg;
  weft_task t = weft_spawn(cancelled_future, &cancelled, NULL);
  weft_yield();
  interrupt_self();
  int r = weft_await(t);
  return latch_hits(&cancelled) ? r : 1;
}

static void R10_what_the_main_task_awaits_is_cancelled_with_it(void **state) {
  (void)state;
  play(&(struct scene){wait_for_another, WEFT_EINTR, NULL});
}

/* ---- what the run returns ---- */

static int swallow(void *arg) {
  int r = be_interrupted(arg);
  if (r != WEFT_ECANCELED || !weft_cancel_catch() || weft_yield() != 0) return 1;
  return 5;
}

static int swallow_and_end_cancelled(void *arg) {
  return swallow(arg) == 5 ? WEFT_ECANCELED : 1;
}

static int uncancel_and_end_cancelled(void *arg) {
  int r = swallow(arg);
  return r == 5 && weft_uncancel(weft_current()) == 0 ? WEFT_ECANCELED : 1;
}

static int fail_otherwise(void *arg) {
  return be_interrupted(arg) == WEFT_ECANCELED ? OWN_ERROR : 1;
}

static void R10_a_main_task_that_swallows_it_keeps_its_result(void **state) {
  (void)state;
  play(&(struct scene){swallow, 5, NULL});
  play(&(struct scene){fail_otherwise, OWN_ERROR, NULL});
  /* Only an end by a cancel is answered with the interrupt. */
  play(&(struct scene){swallow_and_end_cancelled, WEFT_EINTR, NULL});
  play(&(struct scene){uncancel_and_end_cancelled, WEFT_EINTR, NULL});
}

static int cancel_self_too(void *arg) {
  int r;
  (void)arg;
  weft_cancel(weft_current());
  interrupt_self();
  /* Until the signal's request is there, too. */
  while ((r = weft_cancelling(weft_current())) < 2 && r >= 0) {
    weft_yield();
    weft_cancel_catch();
  }
  return WEFT_ECANCELED;
}

static void R10_a_main_task_that_something_else_cancelled_is_cancelled(void **state) {
  (void)state;
  play(&(struct scene){cancel_self_too, WEFT_ECANCELED, NULL});
}

/* ---- the second one ---- */

static void check_killed(int (*fn)(void *arg), void *arg) {
  if (counts_simulated()) weft_test_skip("a simulation takes no signals");
  struct child_end end = child_run(fn, arg);
  if (!CHECK(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGINT))
    fprintf(stderr, "status %x: %s", end.status, end.output);
}

static int interrupt_twice(void *arg) {
  if (be_interrupted(arg) != WEFT_ECANCELED) return 1;
  weft_cancel_catch();
  interrupt_self();
  while (weft_yield() == 0) {}
  return 2;
}

static int ignore_one(void *arg) {
  (void)arg;
  return weft_run(interrupt_twice, NULL, NULL);
}

/* The first one is not taken up before the second comes: nobody yields. */
static int interrupt_twice_at_once(void *arg) {
  (void)arg;
  interrupt_self();
  interrupt_self();
  while (kill(getpid(), 0) == 0) {}
  return 2;
}

static int hog_main(void *arg) {
  (void)arg;
  return weft_run(interrupt_twice_at_once, NULL, NULL);
}

static void R10_the_second_sigint_ends_the_process(void **state) {
  (void)state;
  check_killed(ignore_one, NULL);
  check_killed(hog_main, NULL);
}

static int interrupt_the_end(void *arg) {
  latch_hit(arg);
  weft_sleep(A_LONG_TIME);
  interrupt_self(); /* the main task is over: nobody takes it any more */
  weft_shield_begin();
  return weft_sleep(A_LONG_TIME);
}

static int leave_it(void *arg) {
  static struct latch begun; /* outlives main */
  (void)arg;
  begun = (struct latch){0};
  weft_detach(weft_spawn(interrupt_the_end, &begun, NULL));
  return latch_wait(&begun, 1);
}

static int end_interrupted(void *arg) {
  (void)arg;
  return weft_run(leave_it, NULL, NULL);
}

static void R10_once_the_main_task_has_ended_the_first_one_ends_the_process(void **state) {
  (void)state;
  check_killed(end_interrupted, NULL);
}

/* ---- from elsewhere ---- */

static struct latch waits;

static bool main_thread_sleeps(void) {
  char path[64], line[256] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
  FILE *f = fopen(path, "r");
  if (!f) return true;
  if (!fgets(line, sizeof line, f)) line[0] = 0;
  fclose(f);
  const char *name_ends = strrchr(line, ')');
  return !name_ends || name_ends[2] == 'S';
}

/* TSan keeps a signal for the fiber it met: one that meets the task would wait for the task to go on. */
static void *interrupt_from_a_thread(void *arg) {
  (void)arg;
  latch_wait_thread(&waits, 1);
  while (!main_thread_sleeps()) sched_yield();
  interrupt_self();
  return NULL;
}

static int sleep_for_ever(void *arg) {
  (void)arg;
  latch_hit(&waits);
  return weft_sleep(A_LONG_TIME);
}

static int run_beside_a_thread(void *arg) {
  pthread_t thread;
  (void)arg;
  waits = (struct latch){0};
  if (pthread_create(&thread, NULL, interrupt_from_a_thread, NULL) != 0) return 1;
  int r = weft_run(sleep_for_ever, NULL, NULL);
  pthread_join(thread, NULL);
  return r == WEFT_EINTR ? GOOD : 1;
}

static void check_good(int (*fn)(void *arg)) {
  if (counts_simulated()) weft_test_skip("a simulation takes no signals");
  struct child_end end = child_run(fn, NULL);
  if (!CHECK_INT(child_exit_code(&end), GOOD))
    fprintf(stderr, "status %x: %s", end.status, end.output);
}

static void R10_a_runtime_that_sleeps_is_woken(void **state) {
  (void)state;
  check_good(run_beside_a_thread);
}

/* ---- who takes it ---- */

static atomic_int own_calls;

static void own_handler(int sig) {
  (void)sig;
  atomic_fetch_add(&own_calls, 1);
}

static int not_be_interrupted(void *arg) {
  (void)arg;
  interrupt_self();
  return weft_sleep(weft_us(100));
}

static int run_with_own_handler(void *arg) {
  (void)arg;
  signal(SIGINT, own_handler);
  if (weft_run(not_be_interrupted, NULL, NULL) != 0) return 1;
  if (atomic_load(&own_calls) != 1 || !disposition_is(own_handler)) return 2;
  signal(SIGINT, SIG_IGN);
  if (weft_run(not_be_interrupted, NULL, NULL) != 0) return 3;
  return disposition_is(SIG_IGN) ? GOOD : 4;
}

static void R10_a_handler_of_the_program_is_left_alone(void **state) {
  (void)state;
  check_good(run_with_own_handler);
}

static int see_the_default(void *arg) {
  (void)arg;
  return disposition_is(SIG_DFL) ? 7 : 1;
}

static void *run_on_a_thread(void *arg) {
  *(int *)arg = weft_run(see_the_default, NULL, NULL);
  return NULL;
}

static int run_without(void *arg) {
  pthread_t thread;
  int r = 0;
  (void)arg;
  if (weft_run(see_the_default, NULL, NULL) == 7) return 1; /* it is taken else */
  if (weft_run(see_the_default, NULL, &(weft_run_opts){.no_sigint = true}) != 7) return 2;
  if (pthread_create(&thread, NULL, run_on_a_thread, &r) != 0) return 3;
  pthread_join(thread, NULL);
  return r == 7 ? GOOD : 4;
}

static void R10_only_the_main_thread_takes_it_and_only_if_allowed(void **state) {
  (void)state;
  check_good(run_without);
}

static int set_a_handler(void *arg) {
  (void)arg;
  signal(SIGINT, own_handler);
  return 0;
}

static int run_and_set(void *arg) {
  (void)arg;
  if (weft_run(set_a_handler, NULL, NULL) != 0) return 1;
  return disposition_is(own_handler) ? GOOD : 2;
}

static void R10_a_handler_that_the_program_sets_meanwhile_stays(void **state) {
  (void)state;
  check_good(run_and_set);
}

static int run_twice(void *arg) {
  weft_runner r;
  (void)arg;
  if (weft_runner_open(&r, NULL) != 0) return 1;
  for (int i = 0; i < 3; i++) {
    if (!disposition_is(SIG_DFL)) return 2;
    if (weft_runner_run(&r, be_interrupted, NULL) != WEFT_EINTR) return 3;
    if (weft_runner_run(&r, return_seven, NULL) != 7) return 4;
  }
  return weft_runner_close(&r) == 0 && disposition_is(SIG_DFL) ? GOOD : 5;
}

static void R10_each_run_of_a_runner_takes_it_anew(void **state) {
  (void)state;
  check_good(run_twice);
}

static int fork_and_interrupt(void *arg) {
  int status = 0;
  (void)arg;
  pid_t pid = fork();
  if (pid == 0) {
    interrupt_self();
    while (pause() < 0) {}
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return 1;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGINT ? 7 : 2;
}

static int run_and_fork(void *arg) {
  (void)arg;
  return weft_run(fork_and_interrupt, NULL, NULL) == 7 ? GOOD : 1;
}

static void R10_a_child_made_by_fork_dies_of_it(void **state) {
  (void)state;
  if (COUNTS_TSAN)
    weft_test_skip("TSan delivers no signals in the child of a process with threads");
  check_good(run_and_fork);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(R10_the_first_sigint_cancels_the_main_task),
    cmocka_unit_test(R10_a_main_task_that_never_waits_is_cancelled_too),
    cmocka_unit_test(R10_what_the_main_task_awaits_is_cancelled_with_it),
    cmocka_unit_test(R10_a_main_task_that_swallows_it_keeps_its_result),
    cmocka_unit_test(R10_a_main_task_that_something_else_cancelled_is_cancelled),
    cmocka_unit_test(R10_the_second_sigint_ends_the_process),
    cmocka_unit_test(R10_once_the_main_task_has_ended_the_first_one_ends_the_process),
    cmocka_unit_test(R10_a_runtime_that_sleeps_is_woken),
    cmocka_unit_test(R10_a_handler_of_the_program_is_left_alone),
    cmocka_unit_test(R10_only_the_main_thread_takes_it_and_only_if_allowed),
    cmocka_unit_test(R10_a_handler_that_the_program_sets_meanwhile_stays),
    cmocka_unit_test(R10_each_run_of_a_runner_takes_it_anew),
    cmocka_unit_test(R10_a_child_made_by_fork_dies_of_it),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
