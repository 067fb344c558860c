/* Processes that die: each takes the job it had begun with it, and the pool is whole again. */
#include "pool_test.h"

#include <signal.h>

#include "base/sys.h"
#include "counts.h"
#include "log_capture.h"

struct dying {
  enum death how;
  int code;
  int last_death;
};

static int die_task(void *arg) {
  struct dying *d = arg;
  d->code = call_die(d->how);
  d->last_death = weft_procpool_last_death(pool);
  return 0;
}

/* One dies, eight beside it do not notice. */
static void check_death(enum death how, unsigned workers) {
  static char text[] = "unharmed";
  struct dying d = {.how = how, .code = 99};
  weft_task others[8];
  uint64_t deaths = weft_procpool_deaths(pool);
  for (int i = 0; i < 4; i++) others[i] = weft_spawn(echo_task, text, NULL);
  weft_task t = weft_spawn(die_task, &d, NULL);
  for (int i = 4; i < 8; i++) others[i] = weft_spawn(echo_task, text, NULL);
  CHECK_INT(weft_await(t), 0);
  if (d.code != WEFT_EPROC || d.last_death != death_answer(how)) {
    CHECK_FAIL("%s: code %d, last death %d", death_names[how], d.code, d.last_death);
  }
  for (int i = 0; i < 8; i++) CHECK_INT(weft_await(others[i]), 0);
  CHECK_UINT(weft_procpool_deaths(pool), deaths + 1);
  check_whole(workers);
  if (how == DIE_LEAVING_A_CHILD) kill_and_await(atomic_load(&board->child));
}

POOL_TEST(every_death_fails_one_job_in_a_pool_of_one, 1) {
  for (int d = 0; d < DEATHS; d++) check_death((enum death)d, 1);
  CHECK_INT(weft_procpool_last_death(pool), 0); /* no job of this task died */
}

POOL_TEST(every_death_fails_one_job_in_a_pool_of_two, 2) {
  for (int d = 0; d < DEATHS; d++) check_death((enum death)d, 2);
}

POOL_TEST(all_processes_may_die_at_once, 3) {
  struct dying d[9];
  weft_task tasks[9];
  for (int i = 0; i < 9; i++) {
    d[i] = (struct dying){.how = DIE_EXIT_3};
    tasks[i] = weft_spawn(die_task, &d[i], NULL);
  }
  for (int i = 0; i < 9; i++) {
    CHECK_INT(weft_await(tasks[i]), 0);
    CHECK_INT(d[i].code, WEFT_EPROC);
    CHECK_INT(d[i].last_death, 256 + 3);
  }
  CHECK_UINT(weft_procpool_deaths(pool), 9);
  check_whole(3);
}

POOL_TEST(the_last_death_is_the_last_one_of_this_task, 1) {
  CHECK_INT(weft_procpool_last_death(pool), 0);
  CHECK_INT(call_die(DIE_EXIT_3), WEFT_EPROC);
  CHECK_INT(weft_procpool_last_death(pool), 256 + 3);
  CHECK_INT(call_echo("a success does not change it"), 0);
  CHECK_INT(weft_procpool_last_death(pool), 256 + 3);
  CHECK_INT(call_die(DIE_ABORT), WEFT_EPROC);
  CHECK_INT(weft_procpool_last_death(pool), SIGABRT);
}

static int last_death_task(void *arg) {
  (void)arg;
  return weft_procpool_last_death(pool);
}

POOL_TEST(a_new_task_in_old_memory_has_no_death, 1) {
  struct dying d = {.how = DIE_EXIT_0};
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_await(weft_spawn(die_task, &d, NULL)), 0);
    CHECK_INT(d.last_death, 256);
    for (int k = 0; k < 300; k++) CHECK_INT(weft_await(weft_spawn(last_death_task, NULL, NULL)), 0);
  }
}

/* A job that was not begun loses nothing: it runs in the replacement. */
POOL_TEST(a_process_that_died_idle_costs_no_job, 2) {
  for (uint64_t i = 1; i <= 10; i++) {
    kill_and_await(call_pid());
    for (int k = 0; k < 3; k++) CHECK_INT(call_echo("meets the dead one"), 0);
    CHECK_UINT(weft_procpool_deaths(pool), i);
  }
  CHECK_INT(weft_procpool_last_death(pool), 0);
  check_whole(2);
}

/* ---- kills at random moments ---- */

struct storm {
  _Atomic(uint32_t) calls; /* that have returned */
  _Atomic(uint32_t) lost;  /* of them, with their process */
};

enum { STORM_TASKS = 8, STORM_CALLS = COUNTS_PICK(250, 120, 40), STORM_KILLS = 40 };

static int storm_task(void *arg) {
  struct storm *s = arg;
  for (int i = 0; i < STORM_CALLS; i++) {
    pid_t pid = 0;
    int r = weft_procpool_call(pool, &jobs[JOB_SHOW_PID], NULL, 0, &pid, sizeof pid, NULL);
    if (r == 0) {
      CHECK(pid > 0);
    } else {
      CHECK_INT(r, WEFT_EPROC);
      CHECK_INT(weft_procpool_last_death(pool), SIGKILL);
      atomic_fetch_add(&s->lost, 1);
    }
    atomic_fetch_add(&s->calls, 1);
  }
  return 0;
}

/* Kills processes while they are at work, between two jobs, or just born. */
POOL_TEST(kills_at_random_fail_what_was_running_and_nothing_else, 2) {
  struct storm s = {0};
  weft_task tasks[STORM_TASKS];
  uint32_t kills = 0;
  for (int i = 0; i < STORM_TASKS; i++) tasks[i] = weft_spawn(storm_task, &s, NULL);
  while (kills < STORM_KILLS && atomic_load(&s.calls) < STORM_TASKS * STORM_CALLS) {
    pid_t pid = atomic_exchange(&board->pid, 0); /* of the job that began last */
    if (pid > 1 && kill(pid, SIGKILL) == 0) kills++;
    if (weft_yield() < 0) break;
  }
  for (int i = 0; i < STORM_TASKS; i++) CHECK_INT(weft_await(tasks[i]), 0);
  CHECK_UINT(atomic_load(&s.calls), STORM_TASKS * STORM_CALLS);
  CHECK(kills > 0);
  CHECK(atomic_load(&s.lost) <= kills);
  check_whole(2); /* meets the last one that died idle */
  CHECK(weft_procpool_deaths(pool) <= kills);
  CHECK(weft_procpool_deaths(pool) >= atomic_load(&s.lost));
}

/* ---- when no process can be made ---- */

POOL_TEST(a_process_that_cannot_be_replaced_now_is_replaced_by_the_next_call, 1) {
  CHECK_INT(call_echo("before"), 0);
  weft__sys_fail(WEFT__SYS_socketpair, 1, WEFT_EMFILE, true);
  CHECK_INT(call_die(DIE_EXIT_3), WEFT_EPROC);
  CHECK_INT(weft_procpool_last_death(pool), 256 + 3);
  CHECK_UINT(weft_procpool_alive(pool), 0);
  CHECK_INT(call_echo("while"), WEFT_EMFILE);
  CHECK_INT(call_echo("while"), WEFT_EMFILE);
  weft__sys_clear();
  check_whole(1);
  CHECK_UINT(weft_procpool_deaths(pool), 1);
}

POOL_TEST(a_pool_that_cannot_replace_one_process_goes_on_with_the_other, 2) {
  weft__sys_fail(WEFT__SYS_socketpair, 1, WEFT_ENFILE, true);
  CHECK_INT(call_die(DIE_EXIT_3), WEFT_EPROC);
  CHECK_UINT(weft_procpool_alive(pool), 1);
  for (int i = 0; i < 20; i++) CHECK_INT(call_echo("the other one"), 0);
  weft__sys_clear();
  check_whole(2); /* two at a time need both */
}

/* ---- when the zygote is killed ---- */

static struct log_capture log_lines = LOG_CAPTURE_INIT;
static const weft_run_opts captured = {.log = log_capture_line, .log_arg = &log_lines};

POOL_TEST_WITH(without_a_zygote_the_living_go_on_and_the_dead_are_not_replaced, 2, &captured) {
  check_whole(2); /* both have let go of what they inherited from the zygote */
  kill_and_await(pool->zygote.pid);
  for (int i = 0; i < 10; i++) CHECK_INT(call_echo("still there"), 0);
  CHECK_INT(call_die(DIE_EXIT_3), WEFT_EPROC);
  CHECK_INT(weft_procpool_last_death(pool), SIGKILL); /* nobody can tell */
  CHECK_UINT(weft_procpool_alive(pool), 1);
  for (int i = 0; i < 10; i++) CHECK_INT(call_echo("the last one"), 0);
  CHECK_INT(log_capture_count(&log_lines, "zygote"), 0); /* no call needed a new process */
  CHECK_INT(call_die(DIE_KILLED), WEFT_EPROC);
  CHECK_UINT(weft_procpool_alive(pool), 0);
  for (int i = 0; i < 10; i++) CHECK_INT(call_echo("nobody left"), WEFT_EPROC);
  CHECK_UINT(weft_procpool_deaths(pool), 2);
  CHECK_INT(log_capture_count(&log_lines, "zygote"), 1);
}

POOL_TEST_WITH(a_job_is_killed_also_when_the_zygote_is_gone, 1, &captured) {
  weft_task t = weft_spawn(wait_task, NULL, NULL);
  until_running(1);
  int pidfd = watch_process(atomic_load(&board->pid));
  kill_and_await(pool->zygote.pid);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  await_end(pidfd);
  CHECK_INT(call_echo("nobody left"), WEFT_EPROC);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_death_fails_one_job_in_a_pool_of_one),
    cmocka_unit_test(every_death_fails_one_job_in_a_pool_of_two),
    cmocka_unit_test(all_processes_may_die_at_once),
    cmocka_unit_test(the_last_death_is_the_last_one_of_this_task),
    cmocka_unit_test(a_new_task_in_old_memory_has_no_death),
    cmocka_unit_test(a_process_that_died_idle_costs_no_job),
    cmocka_unit_test(kills_at_random_fail_what_was_running_and_nothing_else),
    cmocka_unit_test(a_process_that_cannot_be_replaced_now_is_replaced_by_the_next_call),
    cmocka_unit_test(a_pool_that_cannot_replace_one_process_goes_on_with_the_other),
    cmocka_unit_test(without_a_zygote_the_living_go_on_and_the_dead_are_not_replaced),
    cmocka_unit_test(a_job_is_killed_also_when_the_zygote_is_gone),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
