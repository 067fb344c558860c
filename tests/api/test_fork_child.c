/* fork() inside a runtime: in the child every call answers WEFT_ECHILD and no task runs on. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "child.h"
#include "counts.h"
#include "task_test.h"

/* The child counts what was wrong: its checks would be recorded in a copy of the test. */
static int wrong;
#define EXPECT(call, want)                                                                         \
  do {                                                                                             \
    long got_ = (long)(call);                                                                      \
    if (got_ != (want)) {                                                                          \
      fprintf(stderr, "in the child %s is %ld, expected %ld\n", #call, got_, (long)(want));        \
      wrong++;                                                                                     \
    }                                                                                              \
  } while (0)

/* Counts a cleanup. */
static int add_one(void *arg) {
  ++*(int *)arg;
  return 0;
}

static weft_context *before_the_fork;

static int call_everything(weft_task t, weft_runtime rt) {
  weft_timeout s;
  weft_group g = WEFT_GROUP_INIT;
  weft_stats stats;
  weft_worker_stats worker;
  char text[64];
  weft_task list[1];
  struct latch runs = {0};
  EXPECT(weft_run(hit_and_return, &runs, NULL), WEFT_ECHILD);
  EXPECT(weft_task_error(weft_spawn(hit_and_return, &runs, NULL)), WEFT_ECHILD);
  EXPECT(weft_await(t), WEFT_ECHILD);
  EXPECT(weft_task_wait(t, NULL), WEFT_ECHILD);
  EXPECT(weft_detach(t), WEFT_ECHILD);
  EXPECT(weft_cancel(t), WEFT_ECHILD);
  EXPECT(weft_cancelling(t), WEFT_ECHILD);
  EXPECT(weft_uncancel(t), WEFT_ECHILD);
  EXPECT(weft_task_done(t), WEFT_ECHILD);
  EXPECT(weft_task_describe(t, text, sizeof text), WEFT_ECHILD);
  EXPECT(weft_sleep(1), WEFT_ECHILD);
  EXPECT(weft_yield(), WEFT_ECHILD);
  EXPECT(weft_tasks(list, 1), WEFT_ECHILD);
  EXPECT(weft_group_spawn(&g, hit_and_return, &runs, NULL), WEFT_ECHILD);
  EXPECT(weft_group_join(&g), WEFT_ECHILD);
  EXPECT(weft_gather(&t, 1, NULL), WEFT_ECHILD);
  EXPECT(weft_timeout_begin(&s, weft_ms(1)), WEFT_ECHILD);
  EXPECT(weft_wait_for(hit_and_return, &runs, weft_sec(1)), WEFT_ECHILD);
  EXPECT(weft_wait_for_task(t, weft_sec(1)), WEFT_ECHILD);
  EXPECT(weft_to_thread(hit_and_return, &runs), WEFT_ECHILD);
  EXPECT(weft_submit(rt, hit_and_return, &runs, NULL), WEFT_ECHILD);
  EXPECT(weft_worker_id(), WEFT_ECHILD);
  EXPECT(weft_worker_count(), WEFT_ECHILD);
  EXPECT(weft_stats_read(&stats), WEFT_ECHILD);
  EXPECT(weft_stats_worker(0, &worker), WEFT_ECHILD);
  weft_context *context = NULL;
  static const weft_local local = WEFT_LOCAL_INIT("number", NULL);
  EXPECT(weft_context_new(&context), WEFT_ECHILD);
  EXPECT(weft_context_copy(&context), WEFT_ECHILD);
  EXPECT(context != NULL, 0);
  EXPECT(weft_context_set(before_the_fork, &local, &runs), WEFT_ECHILD);
  weft_barrier barrier;
  weft_sem sem;
  weft_interval interval;
  EXPECT(weft_barrier_init(&barrier, 2), WEFT_ECHILD);
  EXPECT(weft_sem_init(&sem, 2, false), WEFT_ECHILD);
  EXPECT(weft_interval_init(&interval, weft_ms(1), NULL), WEFT_ECHILD);
  EXPECT(weft_current().slot_ != NULL, 0);
  EXPECT(weft_cancel_catch(), 0);
  EXPECT(latch_hits(&runs), 0);
  weft_shield_begin();
  weft_shield_end();
  /* What asks nothing of the runtime still works. */
  EXPECT(weft_now() > 0, 1);
  weft_scope scope = WEFT_SCOPE_INIT;
  int cleanups = 0;
  EXPECT(weft_scope_reserve(&scope, 10), 0);
  EXPECT(weft_scope_defer(&scope, add_one, &cleanups), 0);
  EXPECT(weft_scope_exit(&scope, 3), 3);
  EXPECT(cleanups, 1);
  EXPECT(strcmp(weft_err_name(WEFT_ECHILD), "WEFT_ECHILD"), 0);
  return wrong;
}

static int exit_code_of(pid_t child) {
  int status = 0;
  CHECK_INT(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TASK_TEST(in_a_child_forked_by_a_task_every_call_is_echild) {
  struct latch parked = {0};
  weft_runtime rt = weft_runtime_current();
  weft_task t = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_context_new(&before_the_fork), 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(call_everything(t, rt) ? 1 : 0);
  CHECK(child > 0);
  CHECK_INT(exit_code_of(child), 0);
  weft_context_free(before_the_fork);
  /* The parent is unharmed. */
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

/* Set by the task that forks, so that the test can wait for the child of a task that returns. */
static pid_t forked;
static int returned_in_child[2];

static int fork_and_return(void *arg) {
  pid_t child = fork();
  if (child == 0) {
    *(int *)arg = 1;
    return 0;
  }
  forked = child;
  return 0;
}

TASK_TEST(a_task_that_returns_in_the_child_ends_the_child_and_nothing_else_runs_there) {
  int in_child = 0;
  if (!CHECK_INT(pipe(returned_in_child), 0)) return;
  pid_t parent = getpid();
  fflush(NULL);
  CHECK_INT(weft_await(weft_spawn(fork_and_return, &in_child, NULL)), 0);
  if (getpid() != parent) {
    (void)!write(returned_in_child[1], "x", 1); /* the awaiter must not run on in the child */
    _exit(0);
  }
  close(returned_in_child[1]);
  char byte;
  CHECK_INT(read(returned_in_child[0], &byte, 1), 0);
  close(returned_in_child[0]);
  int status = 0;
  CHECK_INT(waitpid(forked, &status, 0), forked);
  CHECK(WIFEXITED(status));
}

struct thread_side {
  weft_task t;
  weft_runtime rt;
  int exit_code;
};

static void *fork_on_a_thread(void *arg) {
  struct thread_side *s = arg;
  pid_t child = fork();
  if (child == 0) _exit(call_everything(s->t, s->rt) ? 1 : 0);
  s->exit_code = exit_code_of(child);
  return NULL;
}

TASK_TEST(in_a_child_forked_by_a_foreign_thread_every_call_is_echild) {
  struct latch parked = {0};
  struct thread_side s = {.t = weft_spawn(hit_and_park, &parked, NULL),
                          .rt = weft_runtime_current()};
  pthread_t thread;
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_context_new(&before_the_fork), 0);
  fflush(NULL);
  if (!CHECK_INT(pthread_create(&thread, NULL, fork_on_a_thread, &s), 0)) return;
  pthread_join(thread, NULL);
  weft_context_free(before_the_fork);
  CHECK_INT(s.exit_code, 0);
  CHECK_INT(weft_cancel(s.t), 1);
  CHECK_INT(weft_await(s.t), WEFT_ECANCELED);
}

static int run_in_child(void *arg) {
  return weft_run(return_seven, arg, &(weft_run_opts){.workers = 2});
}

static void a_child_forked_after_the_run_may_run_its_own(void **state) {
  (void)state;
  CHECK_INT(weft_run(return_seven, NULL, &(weft_run_opts){.workers = 2}), 7);
  struct child_end end = child_run(run_in_child, NULL);
  CHECK_INT(child_exit_code(&end), 7);
  if (weft_test_failed()) fputs(end.output, stderr);
}

TASK_TEST(many_forks_from_many_tasks_leave_the_parent_whole) {
  for (int i = 0; i < COUNTS_PICK(50, 20, 10); i++) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(weft_yield() == WEFT_ECHILD ? 0 : 1);
    CHECK_INT(exit_code_of(child), 0);
    CHECK_INT(weft_yield(), 0);
    CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(in_a_child_forked_by_a_task_every_call_is_echild),
    cmocka_unit_test(a_task_that_returns_in_the_child_ends_the_child_and_nothing_else_runs_there),
    cmocka_unit_test(in_a_child_forked_by_a_foreign_thread_every_call_is_echild),
    cmocka_unit_test(a_child_forked_after_the_run_may_run_its_own),
    cmocka_unit_test(many_forks_from_many_tasks_leave_the_parent_whole),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
