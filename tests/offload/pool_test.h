/* Tests whose body is a task beside an open pool of the jobs in jobs.h.
 *
 *   POOL_TEST(echo_comes_back, 2) { CHECK_INT(call_echo("hello"), 0); }
 *
 * opens a pool of 2 processes, runs the block as the main task with the options of the environment,
 * closes the pool, and checks that no descriptor and no process is left. Inside the block use CHECK
 * and its kin, never cmocka's asserts.
 */
#ifndef WEFT_TESTS_OFFLOAD_POOL_TEST_H
#define WEFT_TESTS_OFFLOAD_POOL_TEST_H

#include <sched.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <weft.h>

#include "jobs.h"
#include "offload/procpool.h"
#include "processes.h"
#include "weft_test.h"

#define POOL_TEST_WITH(name, nworkers, opts)                                                       \
  static void name##_body(void);                                                                   \
  static int name##_main(void *arg) {                                                              \
    (void)arg;                                                                                     \
    name##_body();                                                                                 \
    return 0;                                                                                      \
  }                                                                                                \
  static void name(void **state) {                                                                 \
    (void)state;                                                                                   \
    with_pool(nworkers, name##_main, opts);                                                        \
  }                                                                                                \
  static void name##_body(void)

#define POOL_TEST(name, nworkers) POOL_TEST_WITH(name, nworkers, NULL)

static weft_procpool *pool;

/* libuv opens a pipe with its first loop and keeps it. */
static inline void settle_descriptors(void) {
  uv_loop_t loop;
  assert_int_equal(uv_loop_init(&loop), 0);
  assert_int_equal(uv_loop_close(&loop), 0);
}

static inline void with_pool(unsigned workers, weft_fn fn, const weft_run_opts *opts) {
  make_board();
  settle_descriptors();
  int fds = count_fds();
  weft_procpool_opts pool_opts = {.jobs = jobs, .njobs = JOBS, .workers = workers};
  assert_int_equal(weft_procpool_open(&pool, &pool_opts), 0);
  CHECK_INT(count_children(pool->zygote.pid), (int)workers);
  CHECK_INT(weft_run(fn, NULL, opts), 0);
  CHECK_INT(weft_procpool_close(pool), 0);
  CHECK_INT(count_fds(), fds);
  CHECK_INT(count_children(getpid()), 0);
}

/* Calls the job with no input and an int as output, if it has any. */
static inline int call_plain(int job) {
  char out[256];
  return weft_procpool_call(pool, &jobs[job], NULL, 0, out, sizeof out, NULL);
}

static inline int call_echo(const char *text) {
  char out[256] = "";
  size_t len = 0;
  int r = weft_procpool_call(pool, &jobs[JOB_ECHO], text, strlen(text), out, sizeof out, &len);
  if (r == 0) {
    CHECK_UINT(len, strlen(text));
    CHECK_STR(out, text);
  }
  return r;
}

static inline int call_die(enum death d) {
  return weft_procpool_call(pool, &jobs[JOB_DIE], &d, sizeof d, NULL, 0, NULL);
}

/* The pid of a worker, or 0. */
static inline pid_t call_pid(void) {
  pid_t pid = 0;
  weft_procpool_call(pool, &jobs[JOB_PID], NULL, 0, &pid, sizeof pid, NULL);
  return pid;
}

/* Bodies of tasks. */
static inline int echo_task(void *text) {
  return call_echo(text);
}
static inline int wait_task(void *arg) {
  (void)arg;
  return call_plain(JOB_WAIT);
}

/* Lets others run until so many JOB_WAIT jobs have begun. */
static inline void until_running(uint32_t n) {
  while (atomic_load(&board->running) < n && weft_yield() == 0) continue;
}

/* Lets others run until so many tasks wait for a process. */
static inline void until_queued(unsigned n) {
  for (unsigned queued = 0; queued < n;) {
    queued = 0;
    weft__spin_lock(&pool->lock);
    weft__list_foreach(node, &pool->waiters.waiters) queued++;
    weft__spin_unlock(&pool->lock);
    if (queued < n && weft_yield() != 0) return;
  }
}

static inline int meet_task(void *arg) {
  return weft_procpool_call(pool, &jobs[JOB_MEET], arg, sizeof(uint32_t), NULL, 0, NULL);
}

/* The pool is whole: as many processes as it was opened with, and all of them work at the same
 * time. A process that died idle is met and replaced by this. No other job may be under way. */
static inline void check_whole(unsigned workers) {
  weft_task tasks[8];
  uint32_t all = atomic_load(&board->met) + workers;
  if (!CHECK(workers <= 8)) return;
  for (unsigned i = 0; i < workers; i++) tasks[i] = weft_spawn(meet_task, &all, NULL);
  for (unsigned i = 0; i < workers; i++) CHECK_INT(weft_await(tasks[i]), 0);
  CHECK_UINT(weft_procpool_alive(pool), workers);
  CHECK_INT(count_children(pool->zygote.pid), (int)workers);
}

#endif
