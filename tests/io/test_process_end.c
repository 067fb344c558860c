/* Child processes where something is missing, and at the end of a run. */
#include "base/sys.h"
#include "counts.h"
#include "io/process.h"
#include "log_capture.h"
#include "process_test.h"

/* ---- no descriptors of processes ---- */

static int wait_for_code(void *p) {
  weft_process_status st = {.code = 99};
  int r = weft_process_wait(p, &st);
  return r < 0 ? r : st.code;
}

static int start_and_wait(void *arg) {
  (void)arg;
  weft_process *p = start_script("read x; exit 5", &with_pipes);
  if (!p) return 0;
  CHECK_INT(weft_wait_for(wait_for_code, p, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_process_poll(p, NULL), WEFT_EPENDING);
  CHECK_INT(weft_process_signal(p, 0), 0);
  weft_task t = weft_spawn(wait_for_code, p, NULL);
  CHECK_INT(weft_process_close_stdin(p), 0);
  CHECK_INT(weft_await(t), 5);
  CHECK_INT(weft_process_poll(p, NULL), 0);
  CHECK_INT(weft_process_kill(p), WEFT_ESRCH);
  return weft_process_close(p);
}

static int kill_and_close(void *arg) {
  (void)arg;
  weft_process_status st = {0};
  weft_process *p = start_endless("", NULL);
  if (!p) return 0;
  CHECK_INT(weft_process_kill(p), 0);
  CHECK_INT(weft_process_wait(p, &st), 0);
  CHECK_INT(st.signal, SIGKILL);
  CHECK_INT(weft_process_close(p), 0);
  p = start_endless("", NULL);
  if (!p) return 0;
  pid_t pid = weft_process_pid(p);
  CHECK_INT(weft_process_close(p), 0);
  CHECK(is_gone(pid));
  return 0;
}

static void with_refusal(enum weft__sys_call call, int error) {
  weft_group g = WEFT_GROUP_INIT;
  weft__sys_fail(call, 1, error, true);
  start_and_wait(NULL);
  kill_and_close(NULL);
  for (int i = 0; i < count(20); i++) weft_group_spawn(&g, start_and_wait, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  weft__sys_clear();
}

TASK_TEST(PR1_waiting_works_where_the_kernel_has_no_pidfd) {
  with_refusal(WEFT__SYS_pidfd_open, WEFT_ENOSYS);
}

TASK_TEST(PR1_waiting_works_where_a_sandbox_refuses_pidfds) {
  with_refusal(WEFT__SYS_pidfd_open, WEFT_EPERM);
}

TASK_TEST(a_kernel_may_have_pidfds_and_not_signal_by_them) {
  with_refusal(WEFT__SYS_pidfd_send_signal, WEFT_ENOSYS);
}

/* Linux 5.3. The first of two calls each time: so it is asked by number instead. */
TASK_TEST(a_kernel_may_have_pidfds_and_not_wait_by_them) {
  weft__sys_fail(WEFT__SYS_waitid, 1, WEFT_EINVAL, false);
  weft_process *p = start_script("exit 5", NULL);
  if (p) {
    CHECK_INT(wait_for_code(p), 5);
    CHECK_INT(weft_process_close(p), 0);
  }
  weft__sys_clear();
}

/* As that of a child whose debugger is told of its end first. */
TASK_TEST(an_event_that_is_not_the_end_is_not_taken_for_it) {
  weft_process *p = start_script("read x; exit 5", &with_pipes);
  if (!p) return;
  for (int i = 0; i < 3 && p->ends; i++) { /* valgrind has no pidfds */
    weft__descriptor_event(p->ends, p->ends->age, WEFT__CAN_READ);
    CHECK_INT(weft_process_poll(p, NULL), WEFT_EPENDING);
  }
  CHECK_INT(weft_process_close_stdin(p), 0);
  CHECK_INT(wait_for_code(p), 5);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(at_the_limit_of_descriptors_nothing_is_started_or_left) {
  weft_process *p = NULL;
  static const enum weft__sys_call calls[] = {WEFT__SYS_child_pipe, WEFT__SYS_posix_spawnp};
  int open_before = count_open();
  for (int c = 0; c < 2; c++) {
    for (uint64_t n = 1; n <= (c == 0 ? 3 : 1); n++) {
      weft__sys_fail(calls[c], n, WEFT_EMFILE, false);
      CHECK_INT(weft_process_shell(&p, "exit 0", &with_pipes), WEFT_EMFILE);
      weft__sys_clear();
      CHECK_PTR(p, NULL);
      CHECK_INT(count_open(), open_before);
    }
  }
}

static int start_one(void *arg) {
  return weft_process_shell(arg, "exit 0", &with_pipes);
}

/* Cancelled before it has begun, or too late: then it is there. */
TASK_TEST(a_cancelled_spawn_has_started_nothing_or_says_so) {
  int open_before = count_open();
  for (int i = 0; i < count(COUNT_RUNS / 4); i++) {
    weft_process *p = NULL;
    weft_task t = weft_spawn(start_one, &p, NULL);
    for (int k = i % 4; k > 0; k--) weft_yield();
    weft_cancel(t);
    int code = 1;
    CHECK_INT(weft_task_wait(t, &code), 0);
    weft_await(t);
    if (p)
      CHECK_INT(weft_process_close(p), 0);
    else
      CHECK_INT(code, WEFT_ECANCELED);
  }
  CHECK_INT(count_open(), open_before);
}

/* ---- the end of the run ---- */

struct left {
  pid_t pid[3];
  weft_process *p;
};

static int leave_open(void *arg) {
  struct left *left = arg;
  for (int i = 0; i < 3; i++) {
    weft_process *p = start_endless(i == 1 ? "trap '' TERM;" : "", &with_pipes);
    if (p) left->pid[i] = weft_process_pid(p);
  }
  return 0;
}

static void what_is_open_at_the_end_of_the_run_is_ended(void **state) {
  (void)state;
  struct left left = {{0}, NULL};
  CHECK_INT(weft_run(return_zero, NULL, NULL), 0); /* libuv keeps two of its first run */
  int open_before = count_open();
  CHECK_INT(weft_run(leave_open, &left, NULL), 0);
  for (int i = 0; i < 3; i++) CHECK(left.pid[i] > 0 && is_gone(left.pid[i]));
  CHECK_INT(count_open(), open_before);
}

static int leave_ended(void *arg) {
  (void)arg;
  weft_process *p = start_script("exit 0", NULL);
  CHECK_INT(weft_process_wait(p, NULL), 0);
  return 0;
}

static void the_debug_mode_names_what_was_left_open(void **state) {
  (void)state;
  struct left left = {{0}, NULL};
  struct log_capture log = LOG_CAPTURE_INIT;
  weft_run_opts opts = {.debug = true, .log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(leave_open, &left, &opts), 0);
  CHECK(log_capture_count(&log, "a process opened at ") == 3 || !log_capture_print(&log));
  for (int i = 0; i < 3; i++) CHECK(left.pid[i] > 0 && is_gone(left.pid[i]));
  CHECK_INT(weft_run(leave_ended, NULL, &opts), 0);
  CHECK(log_capture_count(&log, "a process opened at ") == 4 || !log_capture_print(&log));
}

/* A task that cleans up after its cancel ends its process in its own way: nobody is faster. */
static int stop_when_cancelled(void *arg) {
  struct left *left = arg;
  weft_process_status st = {0};
  int r = weft_process_wait(left->p, NULL);
  CHECK_INT(r, WEFT_ECANCELED);
  weft_shield_begin();
  CHECK_INT(weft_process_stop(left->p, A_LONG_TIME, &st), 0);
  CHECK_INT(st.code, 4);
  CHECK_INT(weft_process_close(left->p), 0);
  weft_shield_end();
  return r;
}

static int leave_to_a_task(void *arg) {
  struct left *left = arg;
  left->p = start_endless("trap 'exit 4' TERM;", NULL);
  if (left->p) weft_detach(weft_spawn(stop_when_cancelled, left, NULL));
  return weft_yield();
}

static void a_task_that_cleans_up_at_the_end_still_has_its_process(void **state) {
  (void)state;
  struct left left = {{0}, NULL};
  CHECK_INT(weft_run(leave_to_a_task, &left, NULL), 0);
}

/* A generator that is closed by the end of the run, while its process is. */
static int hand_out_lines(weft_gen *g, void *arg) {
  struct left *left = *(struct left **)arg;
  weft_process *p = start_endless("", NULL);
  if (!p) return 0;
  left->pid[0] = weft_process_pid(p);
  int r = weft_gen_yield(g, NULL);
  CHECK_INT(r, WEFT_ECLOSED);
  weft_process_status st = {0};
  CHECK_INT(weft_process_stop(p, 0, &st), 0);
  CHECK(st.signal != 0);
  CHECK_INT(weft_process_close(p), 0);
  return r;
}

static int leave_a_generator(void *arg) {
  weft_gen *g;
  CHECK_INT(weft_gen_open(&g, hand_out_lines, &arg, 0, &(weft_gen_opts){.arg_size = sizeof arg}),
            0);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  return 0;
}

static void a_generator_that_is_closed_at_the_end_may_close_its_process(void **state) {
  (void)state;
  for (int i = 0; i < count(20); i++) {
    struct left left = {{0}, NULL};
    CHECK_INT(weft_run(leave_a_generator, &left, NULL), 0);
    CHECK(left.pid[0] > 0 && is_gone(left.pid[0]));
  }
}

static int begin_one(void *arg) {
  struct left *left = arg;
  left->p = start_script("read x; exit 3", &with_pipes);
  return 0;
}

static int end_it(void *arg) {
  struct left *left = arg;
  CHECK_INT(weft_process_poll(left->p, NULL), WEFT_EPENDING);
  CHECK_INT(weft_process_close_stdin(left->p), 0);
  CHECK_INT(wait_for_code(left->p), 3);
  return weft_process_close(left->p);
}

static void a_process_lives_through_the_runs_of_a_runner(void **state) {
  (void)state;
  struct left left = {{0}, NULL};
  weft_runner runner;
  CHECK_INT(weft_runner_open(&runner, NULL), 0);
  CHECK_INT(weft_runner_run(&runner, begin_one, &left), 0);
  CHECK_INT(weft_runner_run(&runner, end_it, &left), 0);
  CHECK_INT(weft_runner_close(&runner), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(PR1_waiting_works_where_the_kernel_has_no_pidfd),
    cmocka_unit_test(PR1_waiting_works_where_a_sandbox_refuses_pidfds),
    cmocka_unit_test(a_kernel_may_have_pidfds_and_not_signal_by_them),
    cmocka_unit_test(a_kernel_may_have_pidfds_and_not_wait_by_them),
    cmocka_unit_test(an_event_that_is_not_the_end_is_not_taken_for_it),
    cmocka_unit_test(at_the_limit_of_descriptors_nothing_is_started_or_left),
    cmocka_unit_test(a_cancelled_spawn_has_started_nothing_or_says_so),
    cmocka_unit_test(what_is_open_at_the_end_of_the_run_is_ended),
    cmocka_unit_test(the_debug_mode_names_what_was_left_open),
    cmocka_unit_test(a_task_that_cleans_up_at_the_end_still_has_its_process),
    cmocka_unit_test(a_generator_that_is_closed_at_the_end_may_close_its_process),
    cmocka_unit_test(a_process_lives_through_the_runs_of_a_runner),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
