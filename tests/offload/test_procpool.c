/* Calling jobs: what goes in, what comes out, who waits for whom, and what a cancel does. */
#include "pool_test.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "counts.h"

/* ---- bytes ---- */

static void check_round_trip(size_t size) {
  unsigned char *in = malloc(size + 1);
  unsigned char *out = malloc(size + 1);
  size_t len = 0;
  if (!CHECK(in && out)) return;
  for (size_t i = 0; i < size; i++) in[i] = (unsigned char)(i * 2654435761u >> 13);
  out[size] = 0xa5;
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], in, size, out, size, &len), 0);
  CHECK_UINT(len, size);
  CHECK_INT(memcmp(in, out, size), 0);
  CHECK_UINT(out[size], 0xa5);
  free(in);
  free(out);
}

POOL_TEST(bytes_come_back_as_they_went, 2) {
  static const size_t sizes[] = {0,    1,     2,      55,      56,       57, 4095,   4096,
                                 4097, 65536, 212992, 1 << 20, 16 << 20, 1,  1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) check_round_trip(sizes[i]);
}

POOL_TEST(nothing_in_and_nothing_out_is_a_job_too, 1) {
  size_t len = 99;
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], NULL, 0, NULL, 0, &len), 0);
  CHECK_UINT(len, 0);
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], NULL, 0, NULL, 0, NULL), 0);
}

POOL_TEST(a_shorter_result_leaves_the_rest_of_the_buffer_alone, 1) {
  char out[8] = "1234567";
  size_t len = 0;
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], "abc", 3, out, sizeof out, &len), 0);
  CHECK_UINT(len, 3);
  CHECK_STR(out, "abc4567");
}

/* ---- codes ---- */

POOL_TEST(the_code_of_the_job_is_the_code_of_the_call, 1) {
  static const int codes[] = {0, 1, 77, 1 << 30, WEFT_EINVAL, WEFT_EPROC, WEFT_ECANCELED, -20000};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    char out[4] = "---";
    size_t len = 99;
    int r = weft_procpool_call(pool, &jobs[JOB_FAIL], &codes[i], sizeof codes[i], out, sizeof out,
                               &len);
    CHECK_INT(r, codes[i]);
    CHECK_UINT(len, codes[i] < 0 ? 99 : 1);
    CHECK_INT(out[0], codes[i] < 0 ? '-' : 1);
  }
  CHECK_UINT(weft_procpool_deaths(pool), 0);
  CHECK_INT(weft_yield(), 0); /* a job that says cancelled has cancelled nobody */
}

static int call_fill(size_t n, void *out, size_t cap, size_t *len) {
  return weft_procpool_call(pool, &jobs[JOB_FILL], &n, sizeof n, out, cap, len);
}

POOL_TEST(a_result_larger_than_the_buffer_is_refused, 1) {
  char out[100] = "untouched";
  size_t len = 99;
  CHECK_INT(call_fill(101, out, 100, &len), WEFT_ENOBUFS);
  CHECK_INT(call_fill(SIZE_MAX, out, 100, &len), WEFT_ENOBUFS);
  CHECK_INT(call_fill(1, NULL, 0, &len), WEFT_ENOBUFS);
  CHECK_STR(out, "untouched");
  CHECK_UINT(len, 99);
  CHECK_INT(call_fill(100, out, 100, &len), 0);
  CHECK_UINT(len, 100);
  CHECK_INT(out[99], 'f');
  CHECK_UINT(weft_procpool_deaths(pool), 0);
}

POOL_TEST(a_result_is_never_larger_than_max_payload, 1) {
  size_t cap = (16u << 20) + 1;
  size_t len = 99;
  char *out = malloc(cap);
  CHECK_INT(call_fill(cap, out, cap, &len), WEFT_ENOBUFS);
  CHECK_INT(call_fill(cap - 1, out, cap, &len), 0);
  CHECK_UINT(len, cap - 1);
  free(out);
}

POOL_TEST(wrong_arguments_are_named, 1) {
  static const weft_job same_name = {"echo", NULL};
  char byte = 0;
  CHECK_INT(weft_procpool_call(NULL, &jobs[JOB_ECHO], NULL, 0, NULL, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_procpool_call(pool, NULL, NULL, 0, NULL, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_procpool_call(pool, &same_name, NULL, 0, NULL, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_procpool_call(pool, &jobs[JOBS], NULL, 0, NULL, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], NULL, 1, NULL, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], NULL, 0, NULL, 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_procpool_call(pool, &jobs[JOB_ECHO], &byte, (16u << 20) + 1, NULL, 0, NULL),
            WEFT_E2BIG);
  CHECK_INT(call_echo("still works"), 0);
}

/* ---- many ---- */

enum { MANY = COUNTS_PICK(1000, 1000, 300) };

static int sum_task(void *arg) {
  unsigned i = *(unsigned *)arg;
  unsigned char in[700];
  uint64_t total = 0;
  uint64_t want = 0;
  size_t size = i % sizeof in;
  for (size_t k = 0; k < size; k++) want += in[k] = (unsigned char)(i + k * 7);
  int r = weft_procpool_call(pool, &jobs[JOB_SUM], in, size, &total, sizeof total, NULL);
  if (r == 0) CHECK_UINT(total, want);
  return r;
}

POOL_TEST(a_thousand_tasks_share_two_processes, 2) {
  static weft_task tasks[MANY];
  for (unsigned i = 0; i < MANY; i++) {
    tasks[i] = weft_spawn(sum_task, &i, &(weft_spawn_opts){.arg_size = sizeof i});
  }
  for (unsigned i = 0; i < MANY; i++) {
    if (!CHECK_INT(weft_await(tasks[i]), 0)) break;
  }
  CHECK_UINT(weft_procpool_deaths(pool), 0);
  check_whole(2);
}

POOL_TEST(jobs_run_in_as_many_processes_as_there_are, 3) {
  weft_task tasks[3];
  for (int i = 0; i < 3; i++) tasks[i] = weft_spawn(wait_task, NULL, NULL);
  until_running(3); /* never, if one had to wait for another */
  atomic_store(&board->go, 1);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_await(tasks[i]), 0);
}

static int ticket_task(void *arg) {
  uint32_t *ticket = arg;
  return weft_procpool_call(pool, &jobs[JOB_TICKET], NULL, 0, ticket, sizeof *ticket, NULL);
}

POOL_TEST(callers_are_served_in_the_order_of_asking, 1) {
  enum { N = 20 };
  weft_task tasks[N];
  uint32_t tickets[N];
  weft_task first = weft_spawn(wait_task, NULL, NULL);
  until_running(1);
  for (unsigned i = 0; i < N; i++) {
    tasks[i] = weft_spawn(ticket_task, &tickets[i], NULL);
    until_queued(i + 1);
  }
  atomic_store(&board->go, 1);
  CHECK_INT(weft_await(first), 0);
  for (unsigned i = 0; i < N; i++) {
    CHECK_INT(weft_await(tasks[i]), 0);
    CHECK_UINT(tickets[i], i);
  }
}

/* ---- cancel ---- */

POOL_TEST(a_cancel_while_waiting_for_a_process_takes_nothing, 1) {
  static char text[] = "after";
  weft_task first = weft_spawn(wait_task, NULL, NULL);
  until_running(1);
  weft_task second = weft_spawn(wait_task, NULL, NULL);
  until_queued(1);
  weft_task third = weft_spawn(echo_task, text, NULL);
  until_queued(2);
  CHECK_INT(weft_cancel(second), 1);
  CHECK_INT(weft_await(second), WEFT_ECANCELED);
  atomic_store(&board->go, 1);
  CHECK_INT(weft_await(first), 0);
  CHECK_INT(weft_await(third), 0);
  CHECK_UINT(atomic_load(&board->running), 1); /* the second one never ran */
  CHECK_UINT(weft_procpool_deaths(pool), 0);
}

static int cancelled_wait(void *arg) {
  int r = call_plain(JOB_WAIT);
  *(int *)arg = weft_procpool_last_death(pool);
  return r;
}

POOL_TEST(a_cancel_kills_the_running_job_and_its_process_only, 2) {
  int death = -1;
  weft_task doomed = weft_spawn(cancelled_wait, &death, NULL);
  until_running(1);
  int pidfd = watch_process(atomic_load(&board->pid));
  weft_task other = weft_spawn(wait_task, NULL, NULL);
  until_running(2);
  CHECK_INT(weft_cancel(doomed), 1);
  CHECK_INT(weft_await(doomed), WEFT_ECANCELED);
  await_end(pidfd);
  CHECK_INT(death, SIGKILL);
  CHECK_UINT(weft_procpool_alive(pool), 2);
  CHECK_UINT(weft_procpool_deaths(pool), 1);
  atomic_store(&board->go, 1);
  CHECK_INT(weft_await(other), 0);
  check_whole(2);
}

POOL_TEST(the_waiter_behind_a_cancelled_job_gets_the_new_process, 1) {
  static char text[] = "next";
  weft_task doomed = weft_spawn(wait_task, NULL, NULL);
  until_running(1);
  weft_task next = weft_spawn(echo_task, text, NULL);
  until_queued(1);
  CHECK_INT(weft_cancel(doomed), 1);
  CHECK_INT(weft_await(next), 0);
  CHECK_INT(weft_await(doomed), WEFT_ECANCELED);
  check_whole(1);
}

static int call_after_cancel(void *arg) {
  weft_task self = weft_current();
  (void)arg;
  CHECK_INT(weft_cancel(self), 1);
  CHECK_INT(call_echo("never sent"), WEFT_ECANCELED);
  CHECK_INT(call_echo("nor this"), WEFT_ECANCELED); /* it is sticky */
  weft_shield_begin();
  CHECK_INT(call_echo("shielded"), 0);
  weft_shield_end();
  return call_echo("nor that");
}

POOL_TEST(a_cancelled_task_starts_no_job, 1) {
  CHECK_INT(weft_await(weft_spawn(call_after_cancel, NULL, NULL)), WEFT_ECANCELED);
  CHECK_UINT(weft_procpool_deaths(pool), 0);
}

static int shielded_wait(void *arg) {
  (void)arg;
  weft_shield_begin();
  int r = call_plain(JOB_WAIT);
  weft_shield_end();
  CHECK_INT(r, 0);
  return weft_yield();
}

POOL_TEST(a_shield_lets_the_running_job_finish, 1) {
  weft_task t = weft_spawn(shielded_wait, NULL, NULL);
  until_running(1);
  CHECK_INT(weft_cancel(t), 1);
  atomic_store(&board->go, 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_UINT(weft_procpool_deaths(pool), 0);
}

POOL_TEST(a_timeout_kills_the_running_job, 2) {
  CHECK_INT(weft_wait_for(wait_task, NULL, weft_ms(30)), WEFT_ETIMEDOUT);
  CHECK_UINT(weft_procpool_alive(pool), 2);
  CHECK_UINT(weft_procpool_deaths(pool), atomic_load(&board->running));
  check_whole(2);
}

/* Cancel meets the answer: the job's result or ECANCELED, and the pool is whole in any case. */
POOL_TEST(a_cancel_at_any_moment_leaves_a_whole_pool, 2) {
  enum { ROUNDS = COUNTS_PICK(300, 150, 60) };
  static char text[] = "race";
  int done = 0;
  for (int i = 0; i < ROUNDS; i++) {
    weft_task t = weft_spawn(echo_task, text, NULL);
    for (int k = 0; k < i % 40; k++) weft_yield();
    weft_cancel(t);
    int r = weft_await(t);
    if (!CHECK(r == 0 || r == WEFT_ECANCELED)) break;
    done += r == 0;
    if (!CHECK_UINT(weft_procpool_alive(pool), 2)) break;
  }
  CHECK(weft_procpool_deaths(pool) + (uint64_t)done <= ROUNDS);
  check_whole(2);
}

/* ---- where it may be called ---- */

static void no_task_no_call(void **state) {
  (void)state;
  make_board();
  weft_procpool_opts opts = {.jobs = jobs, .njobs = JOBS, .workers = 1};
  assert_int_equal(weft_procpool_open(&pool, &opts), 0);
  assert_int_equal(call_plain(JOB_ECHO), WEFT_ENOTASK);
  assert_int_equal(weft_procpool_last_death(pool), WEFT_ENOTASK);
  assert_int_equal(weft_procpool_alive(pool), 1);
  assert_int_equal(weft_procpool_close(pool), 0);
}

static int echo_main(void *arg) {
  (void)arg;
  return call_echo("run");
}

static void a_pool_serves_one_run_after_the_other(void **state) {
  (void)state;
  make_board();
  weft_procpool_opts opts = {.jobs = jobs, .njobs = JOBS, .workers = 2};
  assert_int_equal(weft_procpool_open(&pool, &opts), 0);
  for (int i = 0; i < 5; i++) assert_int_equal(weft_run(echo_main, NULL, NULL), 0);
  assert_int_equal(weft_procpool_close(pool), 0);
}

static int use_pool_in_child(void *arg) {
  (void)arg;
  if (call_plain(JOB_ECHO) != WEFT_ECHILD) return 1;
  if (weft_procpool_last_death(pool) != WEFT_ECHILD) return 2;
  if (weft_procpool_close(pool) != WEFT_ECHILD) return 3;
  return 0;
}

POOL_TEST(a_child_of_fork_is_told_so, 1) {
  CHECK_INT(in_child(use_pool_in_child, NULL), 256);
  check_whole(1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_come_back_as_they_went),
    cmocka_unit_test(nothing_in_and_nothing_out_is_a_job_too),
    cmocka_unit_test(a_shorter_result_leaves_the_rest_of_the_buffer_alone),
    cmocka_unit_test(the_code_of_the_job_is_the_code_of_the_call),
    cmocka_unit_test(a_result_larger_than_the_buffer_is_refused),
    cmocka_unit_test(a_result_is_never_larger_than_max_payload),
    cmocka_unit_test(wrong_arguments_are_named),
    cmocka_unit_test(a_thousand_tasks_share_two_processes),
    cmocka_unit_test(jobs_run_in_as_many_processes_as_there_are),
    cmocka_unit_test(callers_are_served_in_the_order_of_asking),
    cmocka_unit_test(a_cancel_while_waiting_for_a_process_takes_nothing),
    cmocka_unit_test(a_cancel_kills_the_running_job_and_its_process_only),
    cmocka_unit_test(the_waiter_behind_a_cancelled_job_gets_the_new_process),
    cmocka_unit_test(a_cancelled_task_starts_no_job),
    cmocka_unit_test(a_shield_lets_the_running_job_finish),
    cmocka_unit_test(a_timeout_kills_the_running_job),
    cmocka_unit_test(a_cancel_at_any_moment_leaves_a_whole_pool),
    cmocka_unit_test(no_task_no_call),
    cmocka_unit_test(a_pool_serves_one_run_after_the_other),
    cmocka_unit_test(a_child_of_fork_is_told_so),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
