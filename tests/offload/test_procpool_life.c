/* Opening and closing a pool, and what is left of it whatever happens. */
#include "pool_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "base/sys.h"
#include "counts.h"

static const weft_procpool_opts two = {.jobs = jobs, .njobs = JOBS, .workers = 2};

static int echo_main(void *arg) {
  return call_echo(arg);
}

static void run_echo(void) {
  static char text[] = "hello";
  assert_int_equal(weft_run(echo_main, text, NULL), 0);
}

/* ---- options ---- */

static void options_out_of_range_are_refused(void **state) {
  (void)state;
  static const weft_job nameless[] = {{NULL, NULL}};
  static const weft_job bodyless[] = {{"a", NULL}};
  static const weft_procpool_opts bad[] = {
      {0},
      {.jobs = jobs},
      {.njobs = 1},
      {.jobs = nameless, .njobs = 1},
      {.jobs = bodyless, .njobs = 1},
      {.jobs = jobs, .njobs = JOBS, .workers = 257},
      {.jobs = jobs, .njobs = JOBS, .workers = UINT32_MAX},
      {.jobs = jobs, .njobs = JOBS, .max_payload = SIZE_MAX},
      {.jobs = jobs, .njobs = JOBS, .workers = 256, .max_payload = SIZE_MAX / 256},
  };
  int fds = count_fds();
  pool = (weft_procpool *)&two;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    if (weft_procpool_open(&pool, &bad[i]) != WEFT_EINVAL) CHECK_FAIL("options %zu", i);
  }
  assert_int_equal(weft_procpool_open(&pool, NULL), WEFT_EINVAL);
  assert_int_equal(weft_procpool_open(NULL, &two), WEFT_EINVAL);
  assert_ptr_equal(pool, &two);
  assert_int_equal(count_fds(), fds);
  assert_int_equal(count_children(getpid()), 0);
}

static void zero_options_mean_the_defaults(void **state) {
  (void)state;
  make_board();
  assert_int_equal(weft_procpool_open(&pool, &(weft_procpool_opts){.jobs = jobs, .njobs = JOBS}),
                   0);
  assert_int_equal(weft_procpool_alive(pool), weft__cpus_usable());
  assert_int_equal(pool->crew.max_payload, 16 << 20);
  assert_int_equal(weft_procpool_deaths(pool), 0);
  assert_int_equal(weft_procpool_close(pool), 0);
}

static void a_pool_may_have_many_processes(void **state) {
  (void)state;
  make_board();
  weft_procpool_opts many = {.jobs = jobs, .njobs = JOBS, .workers = 100, .max_payload = 1 << 20};
  assert_int_equal(weft_procpool_open(&pool, &many), 0);
  assert_int_equal(count_children(pool->zygote.pid), 100);
  run_echo();
  assert_int_equal(weft_procpool_close(pool), 0);
  assert_int_equal(count_children(getpid()), 0);
}

/* ---- when a pool may be opened ---- */

static void *open_in_thread(void *arg) {
  *(int *)arg = weft_procpool_open(&pool, &two);
  return NULL;
}

static void a_process_with_threads_is_refused(void **state) {
  (void)state;
  pthread_t t;
  int r = 0;
  assert_int_equal(pthread_create(&t, NULL, open_in_thread, &r), 0);
  pthread_join(t, NULL);
  assert_int_equal(r, WEFT_EBUSY); /* the main thread was the other one */
  assert_int_equal(count_children(getpid()), 0);
}

static int open_main(void *arg) {
  (void)arg;
  return weft_procpool_open(&pool, &two);
}

static void a_task_is_refused(void **state) {
  (void)state;
  weft_run_opts alone = {.workers = 1, .exact = true, .no_reserve = true};
  assert_int_equal(weft_run(open_main, NULL, NULL), WEFT_EBUSY);
  assert_int_equal(weft_run(open_main, NULL, &alone), WEFT_EBUSY);
  assert_int_equal(count_children(getpid()), 0);
}

/* After a run its threads are gone. ThreadSanitizer's own, which it starts with the first thread of
 * a program, stays: there the process still has two, and the answer is the one for that. */
static void a_pool_may_be_opened_after_a_run(void **state) {
  (void)state;
  make_board();
  for (int i = 0; i < 5; i++) {
    assert_int_equal(weft_procpool_open(&pool, &two), COUNTS_TSAN && i > 0 ? WEFT_EBUSY : 0);
    if (COUNTS_TSAN && i > 0) continue;
    run_echo();
    assert_int_equal(weft_procpool_close(pool), 0);
  }
}

/* ---- closing ---- */

static void close_while_idle_leaves_nothing(void **state) {
  (void)state;
  int fds = count_fds();
  assert_int_equal(weft_procpool_open(&pool, &two), 0);
  int zygote = watch_process(pool->zygote.pid);
  int workers[2] = {watch_process(pool->slots[0].pid), watch_process(pool->slots[1].pid)};
  assert_int_equal(weft_procpool_close(pool), 0);
  await_end(zygote);
  await_end(workers[0]);
  await_end(workers[1]);
  assert_int_equal(count_fds(), fds);
  assert_int_equal(count_children(getpid()), 0);
  assert_int_equal(weft_procpool_close(NULL), 0);
}

static void a_hundred_pools_leave_nothing(void **state) {
  (void)state;
  int fds = count_fds();
  int mappings = 0;
  for (int i = 0; i < 100; i++) {
    if (i == 10) mappings = count_mappings(); /* the allocator has what it needs by now */
    assert_int_equal(weft_procpool_open(&pool, &two), 0);
    assert_int_equal(weft_procpool_close(pool), 0);
  }
  assert_int_equal(count_fds(), fds);
  assert_int_equal(count_children(getpid()), 0);
  assert_in_range(count_mappings(), 0, mappings);
}

POOL_TEST(close_refuses_while_a_job_runs_or_waits, 1) {
  weft_task running = weft_spawn(wait_task, NULL, NULL);
  until_running(1);
  CHECK_INT(weft_procpool_close(pool), WEFT_EBUSY);
  weft_task waiting = weft_spawn(wait_task, NULL, NULL);
  until_queued(1);
  CHECK_INT(weft_procpool_close(pool), WEFT_EBUSY);
  atomic_store(&board->go, 1);
  CHECK_INT(weft_await(running), 0);
  CHECK_INT(weft_await(waiting), 0);
  check_whole(1);
}

static int close_main(void *arg) {
  (void)arg;
  CHECK_INT(call_echo("last"), 0);
  return weft_procpool_close(pool);
}

static void a_task_may_close_the_pool(void **state) {
  (void)state;
  make_board();
  assert_int_equal(weft_procpool_open(&pool, &two), 0);
  assert_int_equal(weft_run(close_main, NULL, NULL), 0);
  assert_int_equal(count_children(getpid()), 0);
}

static void a_program_that_reaps_all_children_can_close(void **state) {
  (void)state;
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  struct sigaction old;
  sigaction(SIGCHLD, &ignore, &old);
  assert_int_equal(weft_procpool_open(&pool, &two), 0);
  assert_int_equal(weft_procpool_close(pool), 0);
  sigaction(SIGCHLD, &old, NULL);
  assert_int_equal(count_children(getpid()), 0);
}

/* ---- two pools ---- */

static int use_both(void *arg) {
  weft_procpool **pools = arg;
  for (int i = 0; i < 2; i++) {
    pool = pools[i];
    CHECK_INT(call_echo("one of two"), 0);
    CHECK_INT(call_die(DIE_EXIT_3), WEFT_EPROC);
    CHECK_INT(call_echo("one of two"), 0);
  }
  return 0;
}

static void two_pools_do_not_know_each_other(void **state) {
  (void)state;
  weft_procpool *pools[2];
  settle_descriptors();
  int fds = count_fds();
  make_board();
  assert_int_equal(weft_procpool_open(&pools[0], &two), 0);
  assert_int_equal(weft_procpool_open(&pools[1], &two), 0);
  assert_int_equal(weft_run(use_both, pools, NULL), 0);
  /* The second zygote must not hold what the first one waits for. */
  assert_int_equal(weft_procpool_close(pools[0]), 0);
  assert_int_equal(weft_procpool_close(pools[1]), 0);
  assert_int_equal(count_fds(), fds);
  assert_int_equal(count_children(getpid()), 0);
}

/* ---- failures while it opens ---- */

/* Makes the n-th call of a kind fail, for n = 1, 2, ... until open does not make so many. Where it is
 * the zygote that meets the failure, it may end of it: WEFT_EPROC. */
static void fail_each(enum weft__sys_call call, int error, int want) {
  int fds = count_fds();
  int mappings = count_mappings();
  int failures = 0;
  for (uint64_t n = 1; n < 100; n++) {
    pool = NULL;
    weft__sys_fail(call, n, error, false);
    int r = weft_procpool_open(&pool, &two);
    weft__sys_clear();
    if (r == 0) {
      CHECK_INT(weft_procpool_close(pool), 0);
      break;
    }
    failures++;
    if (r != WEFT_EPROC) CHECK_INT(r, want);
    CHECK_PTR(pool, NULL);
    if (!CHECK_INT(count_fds(), fds) || !CHECK_INT(count_children(getpid()), 0)) break;
    if (!CHECK_INT(count_mappings(), mappings)) break;
  }
  if (failures == 0) CHECK_FAIL("%s was never called", weft__sys_name(call));
}

static void every_failure_to_open_is_named_and_leaves_nothing(void **state) {
  (void)state;
  assert_int_equal(weft_procpool_open(&pool, &two), 0); /* once, for what the allocator keeps */
  assert_int_equal(weft_procpool_close(pool), 0);
  fail_each(WEFT__SYS_mmap, WEFT_ENOMEM, WEFT_ENOMEM);
  fail_each(WEFT__SYS_socketpair, WEFT_EMFILE, WEFT_EMFILE);
  fail_each(WEFT__SYS_fcntl, WEFT_ENOMEM, WEFT_ENOMEM);
  fail_each(WEFT__SYS_fork, WEFT_EAGAIN, WEFT_EAGAIN);
  fail_each(WEFT__SYS_sendmsg, WEFT_ENOBUFS, WEFT_ENOBUFS);
  fail_each(WEFT__SYS_poll, WEFT_ENOMEM, WEFT_ENOMEM);
}

static void no_memory_for_the_pool_is_named(void **state) {
  (void)state;
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  int r = weft_procpool_open(&pool, &two);
  weft__memory_fail_end();
  assert_int_equal(r, WEFT_ENOMEM);
  assert_int_equal(count_children(getpid()), 0);
}

/* ---- the end of the program ---- */

struct household {
  pid_t zygote;
  pid_t workers[2];
};

static int busy_main(void *arg) {
  struct household h = {pool->zygote.pid, {pool->slots[0].pid, pool->slots[1].pid}};
  (void)arg;
  weft_task t = weft_spawn(wait_task, NULL, NULL);
  until_running(1);
  if (write(1, &h, sizeof h) != sizeof h) return -1;
  return weft_await(t); /* never ends */
}

/* What this program does when it is started with HOUSEHOLD: opens a pool, keeps one of its
 * processes busy, and tells on its standard output who they are. */
#define HOUSEHOLD "--household"

static int be_the_household(void) {
  make_board();
  if (weft_procpool_open(&pool, &two) < 0) return 1;
  return weft_run(busy_main, NULL, NULL) < 0;
}

static void the_death_of_the_program_ends_all_processes(void **state) {
  (void)state;
  int ends[2];
  struct household h;
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  /* A program of its own: a child of fork would have the thread that ThreadSanitizer starts. */
  pid_t program = fork();
  if (program == 0) {
    dup2(ends[1], 1);
    execl("/proc/self/exe", "household", HOUSEHOLD, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], &h, sizeof h), sizeof h);
  close(ends[0]);
  int pidfds[3] = {watch_process(h.zygote), watch_process(h.workers[0]),
                   watch_process(h.workers[1])};
  assert_int_equal(kill(program, SIGKILL), 0);
  assert_int_equal(waitpid(program, NULL, 0), program);
  for (int i = 0; i < 3; i++) await_end(pidfds[i]);
}

static void on_interrupt(int sig) {
  (void)sig;
}

/* As when somebody types ^C: the program has a handler, its processes must not be hit. */
static void an_interrupt_of_the_group_does_not_reach_the_processes(void **state) {
  (void)state;
  struct sigaction handle = {.sa_handler = on_interrupt};
  struct sigaction old;
  make_board();
  assert_int_equal(setpgid(0, 0), 0);
  sigaction(SIGINT, &handle, &old);
  assert_int_equal(weft_procpool_open(&pool, &two), 0);
  assert_int_equal(kill(0, SIGINT), 0);
  run_echo();
  assert_int_equal(weft_procpool_deaths(pool), 0);
  assert_int_equal(weft_procpool_close(pool), 0);
  sigaction(SIGINT, &old, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(options_out_of_range_are_refused),
    cmocka_unit_test(zero_options_mean_the_defaults),
    cmocka_unit_test(a_pool_may_have_many_processes),
    cmocka_unit_test(a_process_with_threads_is_refused),
    cmocka_unit_test(a_task_is_refused),
    cmocka_unit_test(a_pool_may_be_opened_after_a_run),
    cmocka_unit_test(close_while_idle_leaves_nothing),
    cmocka_unit_test(a_hundred_pools_leave_nothing),
    cmocka_unit_test(close_refuses_while_a_job_runs_or_waits),
    cmocka_unit_test(a_task_may_close_the_pool),
    cmocka_unit_test(a_program_that_reaps_all_children_can_close),
    cmocka_unit_test(two_pools_do_not_know_each_other),
    cmocka_unit_test(every_failure_to_open_is_named_and_leaves_nothing),
    cmocka_unit_test(no_memory_for_the_pool_is_named),
    cmocka_unit_test(the_death_of_the_program_ends_all_processes),
    cmocka_unit_test(an_interrupt_of_the_group_does_not_reach_the_processes),
};

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], HOUSEHOLD) == 0) return be_the_household();
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
