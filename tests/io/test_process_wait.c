/* The end of child processes: who waits for it, who brings it about, who is told. */
#include <sys/wait.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "process_test.h"

/* ---- waiting ---- */

static int wait_for_code(void *p) {
  weft_process_status st = {.code = 99};
  int r = weft_process_wait(p, &st);
  return r < 0 ? r : st.code;
}

static int wait_for_signal(void *p) {
  weft_process_status st = {.signal = 99};
  int r = weft_process_wait(p, &st);
  return r < 0 ? r : st.signal;
}

TASK_TEST(PR1_many_tasks_wait_for_one_process) {
  enum { WAITERS = 20 };
  weft_task t[WAITERS];
  weft_process *p = start_script("read x; exit 42", &with_pipes);
  if (!p) return;
  for (int i = 0; i < WAITERS; i++) t[i] = spawn_parked(wait_for_code, p);
  CHECK_INT(weft_write(weft_process_stdin(p), "\n", 1), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), 42);
  CHECK_INT(wait_for_code(p), 42); /* and later ones */
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(PR1_a_cancelled_wait_leaves_the_process) {
  weft_process *p = start_script("read x; exit 5", &with_pipes);
  if (!p) return;
  weft_task t[2] = {spawn_parked(wait_for_code, p), spawn_parked(wait_for_code, p)};
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  CHECK_INT(weft_wait_for(wait_for_code, p, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_process_poll(p, NULL), WEFT_EPENDING);
  CHECK_INT(weft_process_signal(p, 0), 0);
  CHECK_INT(weft_write(weft_process_stdin(p), "\n", 1), 0);
  CHECK_INT(weft_await(t[1]), 5);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(PR1_closing_kills_a_process_that_runs) {
  weft_process *p = start_endless("", NULL);
  if (!p) return;
  pid_t pid = weft_process_pid(p);
  weft_task t = spawn_parked(wait_for_signal, p);
  CHECK_INT(weft_process_close(p), 0);
  CHECK(is_gone(pid));
  CHECK_INT(weft_await(t), SIGKILL); /* who waited is told, though the process object is closed */
}

TASK_TEST(asking_without_waiting_says_pending_until_it_has_ended) {
  weft_process_status st = {.code = 99};
  weft_process *p = start_script("read x; exit 3", &with_pipes);
  if (!p) return;
  CHECK_INT(weft_process_poll(p, &st), WEFT_EPENDING);
  CHECK_INT(st.code, 99);
  CHECK_INT(weft_process_close_stdin(p), 0);
  int r, rounds = 0;
  while ((r = weft_process_poll(p, &st)) == WEFT_EPENDING && latch_turn(&rounds) == 0) {}
  CHECK_INT(r, 0);
  CHECK_INT(st.code, 3);
  CHECK_INT(weft_process_wait(p, NULL), 0);
  CHECK_INT(weft_process_close(p), 0);
}

/* Who asks first also tells those who wait. */
TASK_TEST(asking_and_waiting_meet) {
  for (int i = 0; i < count(COUNT_RUNS / 2); i++) {
    weft_process *p = start_script("exit 9", NULL);
    if (!p) return;
    weft_task t = weft_spawn(wait_for_code, p, NULL);
    int rounds = 0;
    while (weft_process_poll(p, NULL) == WEFT_EPENDING && latch_turn(&rounds) == 0) {}
    CHECK_INT(weft_await(t), 9);
    CHECK_INT(weft_process_close(p), 0);
  }
}

TASK_TEST(the_end_is_one_of_several_things_to_wait_for) {
  weft_event e = WEFT_EVENT_INIT;
  weft_process *slow = start_endless("", NULL), *quick = start_script("read x", &with_pipes);
  if (!slow || !quick) return;
  weft_awaitable set[] = {weft_event_awaitable(&e), weft_process_awaitable(slow),
                          weft_process_awaitable(quick)};
  CHECK_INT(weft_process_close_stdin(quick), 0);
  CHECK_INT(weft_select(set, 3, NULL), 2);
  CHECK_INT(weft_awaitable_await(set[2]), 0);
  CHECK_INT(weft_awaitable_wait_for(set[1], weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_process_signal(slow, 0), 0); /* it runs on */
  CHECK_INT(weft_process_kill(slow), 0);
  CHECK_INT(weft_awaitable_await(set[1]), 0);
  CHECK_INT(weft_process_close(slow), 0);
  CHECK_INT(weft_process_close(quick), 0);
}

static int run_one(void *arg) {
  char script[32];
  int code = *(int *)arg % 256;
  snprintf(script, sizeof script, "exit %d", code);
  weft_process *p = start_script(script, NULL);
  if (!p) return -1;
  pid_t pid = weft_process_pid(p);
  CHECK_INT(wait_for_code(p), code);
  CHECK(is_gone(pid));
  return weft_process_close(p);
}

TASK_TEST(two_hundred_processes_at_once) {
  weft_group g = WEFT_GROUP_INIT;
  int n[200], open_before = count_open();
  for (int i = 0; i < count(200); i++) {
    n[i] = i;
    weft_group_spawn(&g, run_one, &n[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(count_open(), open_before);
}

/* ---- signals ---- */

TASK_TEST(signals_reach_it_while_it_runs_and_nobody_afterwards) {
  weft_process *p = start_endless("trap 'echo usr1' USR1; trap 'exit 7' TERM;", NULL);
  if (!p) return;
  char *line = NULL;
  CHECK_INT(weft_process_signal(p, SIGUSR1), 0);
  CHECK_INT(weft_read_line(weft_process_stdout(p), &line), 5);
  CHECK_STR(line, "usr1\n");
  CHECK_INT(weft_process_signal(p, 12345), WEFT_EINVAL);
  CHECK_INT(weft_process_terminate(p), 0);
  CHECK_INT(wait_for_code(p), 7);
  CHECK_INT(weft_process_terminate(p), WEFT_ESRCH);
  CHECK_INT(weft_process_kill(p), WEFT_ESRCH);
  CHECK_INT(weft_process_signal(p, 0), WEFT_ESRCH);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(it_may_be_killed_from_outside) {
  weft_process *p = start_endless("", NULL);
  if (!p) return;
  CHECK_INT(kill(weft_process_pid(p), SIGKILL), 0);
  CHECK_INT(wait_for_signal(p), SIGKILL);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(a_signal_for_the_group_reaches_what_it_has_started) {
  weft_process_opts opts = with_output;
  opts.new_group = true;
  weft_process *p = start_script("sleep 1000 & echo $!; wait", &opts);
  if (!p) return;
  char *line = NULL;
  CHECK(weft_read_line(weft_process_stdout(p), &line) > 1);
  pid_t grandchild = line ? (pid_t)atoi(line) : -1;
  CHECK(grandchild > 0 && kill(grandchild, 0) == 0);
  CHECK_INT(weft_process_signal_group(p, SIGKILL), 0);
  CHECK_INT(wait_for_signal(p), SIGKILL);
  /* The end of the pipe: nobody of the group has it any more. */
  CHECK_INT(weft_read_line(weft_process_stdout(p), &line), 0);
  CHECK_INT(weft_process_signal_group(p, SIGKILL), WEFT_ESRCH);
  CHECK_INT(weft_process_close(p), 0);
  p = start_script("exit 0", NULL);
  CHECK_INT(weft_process_signal_group(p, SIGKILL), WEFT_ESTATE);
  CHECK_INT(weft_process_close(p), 0);
}

/* ---- stopping and closing ---- */

TASK_TEST(stopping_asks_first_and_kills_who_does_not_listen) {
  weft_process_status st = {0};
  weft_process *p = start_endless("trap 'exit 4' TERM;", NULL);
  if (!p) return;
  CHECK_INT(weft_process_stop(p, A_LONG_TIME, &st), 0);
  CHECK_INT(st.code, 4);
  CHECK_INT(weft_process_stop(p, 0, &st), 0);
  CHECK_INT(st.code, 4);
  CHECK_INT(weft_process_close(p), 0);

  p = start_endless("trap '' TERM;", NULL);
  if (!p) return;
  CHECK_INT(weft_process_stop(p, weft_ms(5), &st), 0);
  CHECK_INT(st.signal, SIGKILL);
  CHECK_INT(weft_process_close(p), 0);
}

static int stop_patiently(void *p) {
  return weft_process_stop(p, A_LONG_TIME, NULL);
}

TASK_TEST(stopping_may_be_cancelled) {
  weft_process *p = start_endless("trap '' TERM;", NULL);
  if (!p) return;
  weft_task t = spawn_parked(stop_patiently, p);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_process_poll(p, NULL), WEFT_EPENDING);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(closing_with_grace_lets_it_end_by_itself) {
  weft_process_opts opts = {.grace = A_LONG_TIME};
  weft_process *p = start_endless("trap 'exit 6' TERM;", &opts);
  if (!p) return;
  weft_task t = spawn_parked(wait_for_code, p);
  CHECK_INT(weft_process_close(p), 0);
  CHECK_INT(weft_await(t), 6);
  opts.grace = weft_ms(5);
  p = start_endless("trap '' TERM;", &opts);
  if (!p) return;
  t = spawn_parked(wait_for_signal, p);
  CHECK_INT(weft_process_close(p), 0);
  CHECK_INT(weft_await(t), SIGKILL);
}

TASK_TEST(a_cancel_does_not_cut_the_close) {
  weft_process_opts opts = {.grace = weft_ms(20)};
  weft_process *p = start_endless("trap '' TERM;", &opts);
  if (!p) return;
  pid_t pid = weft_process_pid(p);
  weft_task t = spawn_parked(close_process, p);
  CHECK_INT(weft_cancel(t), 1);
  int r = weft_await(t); /* the cancel is answered by the end of the task, or by nobody */
  CHECK(r == 0 || r == WEFT_ECANCELED);
  CHECK(is_gone(pid));
}

TASK_TEST(a_second_close_beside_the_first_is_refused) {
  weft_process_opts opts = {.grace = A_LONG_TIME};
  weft_process *p = start_endless("trap '' TERM;", &opts);
  if (!p) return;
  pid_t pid = weft_process_pid(p);
  weft_task t = spawn_parked(close_process, p);
  CHECK_INT(weft_process_close(p), WEFT_EBUSY);
  CHECK_INT(kill(pid, SIGKILL), 0);
  CHECK_INT(weft_await(t), 0);
}

static int close_on_the_way_out(void *arg) {
  weft_scope s = WEFT_SCOPE_INIT;
  weft_process *p = start_endless("", NULL);
  if (!p) return weft_scope_exit(&s, -1);
  *(pid_t *)arg = weft_process_pid(p);
  weft_scope_defer(&s, weft_process_close_fn, p);
  return weft_scope_exit(&s, OWN_ERROR);
}

TASK_TEST(a_scope_closes_it) {
  pid_t pid = 0;
  CHECK_INT(weft_await(weft_spawn(close_on_the_way_out, &pid, NULL)), OWN_ERROR);
  CHECK(is_gone(pid));
}

/* ---- children that are not weft's, and programs that take the status away ---- */

TASK_TEST(children_of_the_program_itself_and_its_handler_are_left_alone) {
  struct sigaction before, after;
  sigaction(SIGCHLD, NULL, &before);
  int status = 0;
  pid_t own = vfork();
  if (own == 0) {
    execl("/bin/sh", "sh", "-c", "exit 11", (char *)NULL);
    _exit(12);
  }
  for (int i = 0; i < 5; i++) run_one(&i);
  CHECK_INT(waitpid(own, &status, 0), own);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 11);
  sigaction(SIGCHLD, NULL, &after);
  CHECK(before.sa_handler == after.sa_handler && before.sa_flags == after.sa_flags);
}

TASK_TEST(where_sigchld_is_ignored_there_is_no_status) {
  struct sigaction before, ignore = {.sa_handler = SIG_IGN};
  weft_process_status st = {.code = 99};
  sigaction(SIGCHLD, &ignore, &before);
  weft_process *p = start_script("read x; exit 1", &with_pipes);
  if (!p) return;
  weft_task t = spawn_parked(wait_for_code, p);
  CHECK_INT(weft_process_poll(p, NULL), WEFT_EPENDING);
  CHECK_INT(weft_process_close_stdin(p), 0);
  CHECK_INT(weft_await(t), WEFT_ECHILD);
  CHECK_INT(weft_process_wait(p, &st), WEFT_ECHILD);
  CHECK_INT(weft_process_poll(p, &st), WEFT_ECHILD);
  CHECK_INT(weft_awaitable_await(weft_process_awaitable(p)), WEFT_ECHILD);
  CHECK_INT(st.code, 99);
  CHECK_INT(weft_process_kill(p), WEFT_ESRCH);
  CHECK_INT(weft_process_close(p), 0);
  p = start_endless("", NULL);
  if (p) CHECK_INT(weft_process_close(p), 0);
  sigaction(SIGCHLD, &before, NULL);
}

TASK_TEST(a_status_that_somebody_else_took_is_echild) {
  int status = 0;
  weft_process *p = start_script("read x; exit 1", &with_pipes);
  if (!p) return;
  siginfo_t how = {0};
  CHECK_INT(weft_process_close_stdin(p), 0);
  /* This thread waits, without a suspension, so that on one worker the event comes later. */
  if (waitid(P_PID, (id_t)weft_process_pid(p), &how, WEXITED) == 0)
    CHECK_INT(weft_process_wait(p, NULL), WEFT_ECHILD);
  else
    CHECK_INT(weft_process_wait(p, NULL), 0);
  (void)status;
  CHECK_INT(weft_process_close(p), 0);
}

/* ---- wrong use ---- */

struct asked {
  weft_process *p;
  atomic_bool done;
};

static void *ask_from_outside(void *arg) {
  struct asked *a = arg;
  weft_process_status st;
  CHECK_INT(weft_process_wait(a->p, &st), WEFT_ENOTASK);
  CHECK_INT(weft_process_stop(a->p, 0, &st), WEFT_ENOTASK);
  CHECK_INT(weft_process_close(a->p), WEFT_ENOTASK);
  CHECK_INT(weft_process_communicate(a->p, NULL, 0, 0, NULL, &st), WEFT_ENOTASK);
  CHECK_INT(weft_process_close_stdin(a->p), WEFT_ENOTASK);
  CHECK_INT(weft_process_poll(a->p, &st), WEFT_EPENDING);
  CHECK_INT(weft_process_kill(a->p), 0); /* which any thread may */
  atomic_store(&a->done, true);
  return NULL;
}

TASK_TEST(a_plain_thread_may_ask_and_signal_but_not_wait) {
  struct asked a = {.p = start_endless("", NULL)};
  pthread_t thread;
  if (!a.p || !CHECK_INT(weft__sys_thread_create(&thread, NULL, ask_from_outside, &a), 0)) return;
  CHECK_INT(wait_for_signal(a.p), SIGKILL);
  int rounds = 0;
  while (!atomic_load(&a.done) && latch_turn(&rounds) == 0) {}
  weft__sys_thread_join(thread);
  CHECK_INT(weft_process_close(a.p), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(PR1_many_tasks_wait_for_one_process),
    cmocka_unit_test(PR1_a_cancelled_wait_leaves_the_process),
    cmocka_unit_test(PR1_closing_kills_a_process_that_runs),
    cmocka_unit_test(asking_without_waiting_says_pending_until_it_has_ended),
    cmocka_unit_test(asking_and_waiting_meet),
    cmocka_unit_test(the_end_is_one_of_several_things_to_wait_for),
    cmocka_unit_test(two_hundred_processes_at_once),
    cmocka_unit_test(signals_reach_it_while_it_runs_and_nobody_afterwards),
    cmocka_unit_test(it_may_be_killed_from_outside),
    cmocka_unit_test(a_signal_for_the_group_reaches_what_it_has_started),
    cmocka_unit_test(stopping_asks_first_and_kills_who_does_not_listen),
    cmocka_unit_test(stopping_may_be_cancelled),
    cmocka_unit_test(closing_with_grace_lets_it_end_by_itself),
    cmocka_unit_test(a_cancel_does_not_cut_the_close),
    cmocka_unit_test(a_second_close_beside_the_first_is_refused),
    cmocka_unit_test(a_scope_closes_it),
    cmocka_unit_test(children_of_the_program_itself_and_its_handler_are_left_alone),
    cmocka_unit_test(where_sigchld_is_ignored_there_is_no_status),
    cmocka_unit_test(a_status_that_somebody_else_took_is_echild),
    cmocka_unit_test(a_plain_thread_may_ask_and_signal_but_not_wait),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
