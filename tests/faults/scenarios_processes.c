/* The process pool. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "offload/procpool.h"
#include "scene.h"

/* ---- jobs; they run in processes of the pool ---- */

static int reverse(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  if (out_cap < in_len) return WEFT_ENOBUFS;
  for (size_t i = 0; i < in_len; i++) ((char *)out)[i] = ((const char *)in)[in_len - 1 - i];
  *ret_len = in_len;
  return 3;
}

static int die(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  _exit(5);
}

static int wait_for_ever(const void *in, size_t in_len, void *out, size_t out_cap,
                         size_t *ret_len) {
  (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  for (;;) pause();
  return 0;
}

static const weft_job jobs[] = {
    {"reverse", reverse},
    {"die", die},
    {"wait_for_ever", wait_for_ever},
};

static weft_procpool *open_pool(unsigned workers) {
  weft_procpool *pool = NULL;
  weft_procpool_opts opts = {
      .jobs = jobs, .njobs = 3, .workers = workers, .max_payload = 4096};
  int r = STEP(weft_procpool_open(&pool, &opts), 0, OPEN_CODES);
  HOLDS((r == 0) == (pool != NULL));
  return pool;
}

/* A call whose result is checked, and nothing is written when it fails. */
static int call_reverse(weft_procpool *pool) {
  char out[8] = "unseen";
  size_t len = 77;
  int r = STEP(weft_procpool_call(pool, &jobs[0], "abc", 3, out, sizeof out, &len), 3, CALL_CODES);
  if (r == 3)
    HOLDS(len == 3 && memcmp(out, "cba", 3) == 0);
  else
    HOLDS(len == 77 && strcmp(out, "unseen") == 0);
  return r;
}

/* ---- scenarios ---- */

static void open_close(void) {
  weft_procpool *pool = open_pool(3);
  if (!pool) return;
  HOLDS(weft_procpool_alive(pool) == 3 && weft_procpool_deaths(pool) == 0);
  STEP(weft_procpool_close(pool), 0, 0);
}

static int call_task(void *arg) {
  scene_enter();
  return scene_leave(call_reverse(arg));
}

static int call_some(void *arg) {
  weft_task t[6];
  scene_enter();
  for (int i = 0; i < 6; i++) t[i] = weft_spawn(call_task, arg, NULL);
  for (int i = 0; i < 6; i++) STEP(weft_await(t[i]), 3, CALL_CODES);
  STEP(weft_wait_for(call_task, arg, weft_sec(3600)), 3, CALL_CODES);
  return scene_leave(0);
}

static void with_pool(weft_fn main_task, unsigned workers) {
  weft_procpool *pool = open_pool(workers);
  if (!pool) return;
  scene_run(main_task, pool, &(weft_run_opts){.workers = 2});
  STEP(weft_procpool_close(pool), 0, 0);
}

static void call(void) {
  with_pool(call_some, 2);
}

static int call_dying(void *arg) {
  scene_enter();
  STEP(weft_procpool_call(arg, &jobs[1], NULL, 0, NULL, 0, NULL), WEFT_EPROC, CALL_CODES);
  call_reverse(arg);
  call_reverse(arg);
  return scene_leave(0);
}

static void death(void) {
  with_pool(call_dying, 1);
}

static int call_stuck(void *arg) {
  return weft_procpool_call(arg, &jobs[2], NULL, 0, NULL, 0, NULL);
}

static int call_in_time(void *arg) {
  scene_enter();
  STEP(weft_wait_for(call_stuck, arg, weft_ms(2)), WEFT_ETIMEDOUT, CALL_CODES);
  call_reverse(arg);
  return scene_leave(0);
}

static void killed(void) {
  with_pool(call_in_time, 1);
}

/* More processes than are born at a time. */
static void many(void) {
  weft_procpool *pool = open_pool(18);
  if (pool) STEP(weft_procpool_close(pool), 0, 0);
}

/* Without a zygote: a process that dies is not replaced, and the pool says so. */
static int call_without_zygote(void *arg) {
  weft_procpool *pool = arg;
  scene_enter();
  call_reverse(pool);
  STEP(weft_procpool_call(pool, &jobs[1], NULL, 0, NULL, 0, NULL), WEFT_EPROC, CALL_CODES);
  STEP(weft_wait_for(call_stuck, pool, weft_ms(2)), WEFT_ETIMEDOUT, CALL_CODES);
  for (int i = 0; i < 2; i++)
    STEP(weft_procpool_call(pool, &jobs[0], "abc", 3, NULL, 0, NULL), WEFT_EPROC, CALL_CODES);
  return scene_leave(0);
}

static void no_zygote(void) {
  weft_procpool *pool = open_pool(2);
  if (!pool) return;
  kill(pool->zygote.pid, SIGKILL);
  scene_run(call_without_zygote, pool, &(weft_run_opts){.workers = 2});
  STEP(weft_procpool_close(pool), 0, 0);
}

/* Opened when the process has run a runtime before: libuv has its signal pipe, and a handler for
 * fork. */
static int nothing(void *arg) {
  (void)arg;
  scene_enter();
  return scene_leave(0);
}

static void open_after_run(void) {
  scene_run(nothing, NULL, &(weft_run_opts){.workers = 1});
  with_pool(call_some, 1);
}

/* A simulation waits a second of real time for a job that does not end. */
const struct scenario weft_faults_process_scenarios[] = {
    {"process_open", "a pool of processes, opened and closed", open_close, SCENARIO_ANY},
    {"process_call", "jobs in two processes", call, SCENARIO_ANY},
    {"process_death", "a job that ends its process", death, SCENARIO_ANY},
    {"process_kill", "a job that is killed at its deadline", killed, SCENARIO_REAL},
    {"process_many", "more processes than are born at a time", many, SCENARIO_ANY},
    {"process_orphans", "a pool whose zygote was killed", no_zygote, SCENARIO_REAL},
    {"process_late", "a pool that is opened after a run", open_after_run, SCENARIO_ANY},
    {0},
};
