/* The blocking pool, and threads that are not the runtime's. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "scene.h"

/* ---- the pool ---- */

static int job(void *arg) {
  (void)arg;
  scene_enter();
  HOLDS(weft_yield() == WEFT_ENOTASK);
  return scene_leave(7);
}

static int offload(void *arg) {
  (void)arg;
  scene_enter();
  int r = weft_to_thread(job, NULL);
  return scene_leave(r);
}

static int offload_some(void *arg) {
  enum { N = 12 };
  weft_task t[N];
  (void)arg;
  scene_enter();
  STEP(weft_to_thread(job, NULL), 7, THREAD_CODES);
  for (int i = 0; i < N; i++) t[i] = weft_spawn(offload, NULL, NULL);
  for (int i = 0; i < N; i++) STEP(weft_await(t[i]), 7, THREAD_CODES);
  STEP(weft_wait_for(offload, NULL, weft_sec(3600)), 7, THREAD_CODES);
  return scene_leave(0);
}

static void to_thread(void) {
  scene_run(offload_some, NULL, &(weft_run_opts){.workers = 2});
}

/* Jobs that block until the main task has slept a while: the pool grows beyond the CPUs, if it can;
 * else the jobs go one after the other. */
static int blocked_job(void *arg) {
  char c;
  scene_enter();
  bool got = read(*(const int *)arg, &c, 1) == 1;
  return scene_leave(got ? 7 : -1);
}

static int offload_blocked(void *arg) {
  scene_enter();
  return scene_leave(weft_to_thread(blocked_job, arg));
}

static int make_pool_grow(void *arg) {
  enum { N = 10 };
  const int *fds = arg;
  weft_task t[N];
  scene_enter();
  for (int i = 0; i < N; i++) t[i] = weft_spawn(offload_blocked, arg, NULL);
  STEP(weft_sleep(weft_ms(8)), 0, WEFT_ENOMEM);
  for (int i = 0; i < N; i++) HOLDS(write(fds[1], "x", 1) == 1);
  for (int i = 0; i < N; i++) STEP(weft_await(t[i]), 7, THREAD_CODES);
  return scene_leave(0);
}

static void pool_growth(void) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
    return;
  }
  scene_run(make_pool_grow, fds, &(weft_run_opts){.workers = 2});
  close(fds[0]);
  close(fds[1]);
}

/* One thread that is busy, a job behind it that is withdrawn, and one that is too late for that. */
static int withdraw(void *arg) {
  const int *fds = arg;
  scene_enter();
  weft_task running = weft_spawn(offload_blocked, arg, NULL);
  STEP(weft_sleep(weft_us(500)), 0, WEFT_ENOMEM);
  weft_task waiting = weft_spawn(offload_blocked, arg, NULL);
  STEP(weft_sleep(weft_us(500)), 0, WEFT_ENOMEM);
  if (weft_task_error(waiting) == 0) weft_cancel(waiting);
  if (weft_task_error(running) == 0) weft_cancel(running);
  HOLDS(write(fds[1], "xx", 2) == 2);
  int r = weft_await(waiting);
  /* It may have been taken, when the other one never was. */
  if (r != 7) STEP(r, WEFT_ECANCELED, THREAD_CODES);
  r = weft_await(running);
  if (r != WEFT_ECANCELED) STEP(r, 7, THREAD_CODES);
  return scene_leave(0);
}

static void pool_withdraw(void) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) {
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
    return;
  }
  scene_run(withdraw, fds, &(weft_run_opts){.workers = 1, .blocking_threads = 8});
  close(fds[0]);
  close(fds[1]);
}

/* ---- foreign threads ---- */

static void *submit_some(void *arg) {
  weft_runtime rt = *(weft_runtime *)arg;
  int value = 0;
  for (int i = 0; i < 20; i++) {
    weft_spawn_opts copy = {.arg_size = i % 3 ? 0 : sizeof value, .name = "submitted"};
    scene_accept(STEP(weft_submit(rt, scene_alone, &value, &copy), 0, WEFT_ENOMEM));
  }
  return NULL;
}

static int be_submitted_to(void *arg) {
  weft_runtime rt = weft_runtime_current();
  pthread_t thread;
  (void)arg;
  scene_enter();
  int value = 0;
  scene_accept(STEP(weft_submit(rt, scene_alone, &value, NULL), 0, WEFT_ENOMEM));
  if (pthread_create(&thread, NULL, submit_some, &rt) == 0) {
    STEP(weft_sleep(weft_us(300)), 0, WEFT_ENOMEM);
    pthread_join(thread, NULL);
  }
  scene_wait_for_accepted();
  return scene_leave(0);
}

static void submit(void) {
  scene_run(be_submitted_to, NULL, &(weft_run_opts){.workers = 2});
}

struct waiter {
  weft_runtime rt;
  atomic_bool over;
};

static void *submit_and_wait(void *arg) {
  struct waiter *w = arg;
  weft_runtime rt = w->rt;
  for (int i = 0; i < 5; i++) {
    weft_submission *s;
    int code = 7;
    STEP(weft_submit_wait(rt, scene_yield_seven, NULL, NULL, WEFT_FOREVER), 7, WEFT_ENOMEM);
    if (STEP(weft_submit_start(rt, scene_park, NULL, NULL, &s), 0, WEFT_ENOMEM) != 0) continue;
    int r = weft_submission_wait(s, weft_us(20), NULL); /* 0: it had no stack */
    HOLDS(r == WEFT_ETIMEDOUT || r == 0);
    HOLDS(weft_submission_cancel(s) >= 0);
    HOLDS(weft_submission_wait(s, WEFT_FOREVER, &code) == 0);
    STEP(code, WEFT_ECANCELED, WEFT_ENOMEM);
    weft_submission_free(s);
  }
  atomic_store(&w->over, true);
  return NULL;
}

static int be_waited_for(void *arg) {
  struct waiter w = {.rt = weft_runtime_current()};
  pthread_t thread;
  (void)arg;
  scene_enter();
  if (pthread_create(&thread, NULL, submit_and_wait, &w) == 0) {
    while (!atomic_load(&w.over)) STEP(weft_sleep(weft_us(100)), 0, WEFT_ENOMEM);
    pthread_join(thread, NULL);
  }
  return scene_leave(0);
}

static void submission(void) {
  scene_run(be_waited_for, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- reserves: a worker that is busy while a timer is due ---- */

static int hog(void *arg) {
  (void)arg;
  scene_enter();
  weft_ns until = weft_now() + weft_ms(6);
  while (weft_now() < until) {}
  return scene_leave(0);
}

static int hog_and_sleep(void *arg) {
  weft_task t[3];
  (void)arg;
  scene_enter();
  for (int i = 0; i < 2; i++) t[i] = weft_spawn(scene_sleep_little, NULL, NULL);
  STEP(weft_yield(), 0, 0);
  t[2] = weft_spawn(hog, NULL, NULL);
  for (int i = 2; i >= 0; i--) STEP(weft_await(t[i]), 0, WEFT_ENOMEM);
  return scene_leave(0);
}

static void reserve(void) {
  scene_run(hog_and_sleep, NULL, &(weft_run_opts){.workers = 1});
}

const struct scenario weft_faults_thread_scenarios[] = {
    {"to_thread", "jobs of the blocking pool", to_thread, SCENARIO_ANY},
    {"pool_growth", "jobs that block, so that the pool grows", pool_growth, SCENARIO_REAL},
    {"pool_withdraw", "jobs that are cancelled", pool_withdraw, SCENARIO_REAL},
    {"submit", "tasks from a thread that is not the runtime's", submit, SCENARIO_REAL},
    {"submission", "a thread that waits for its tasks", submission, SCENARIO_REAL},
    {"reserve", "a hog and timers", reserve, SCENARIO_REAL},
    {0},
};
