/* Runs: what they find at their beginning, what they leave at their end, several at a time. */
#include <pthread.h>
#include <stdlib.h>

#include "base/stack.h"
#include "scene.h"

static int nothing(void *arg) {
  (void)arg;
  scene_enter();
  return scene_leave(0);
}

/* The number of workers comes from the CPUs: affinity and cgroup files. */
static void run_default(void) {
  scene_run(nothing, NULL, &(weft_run_opts){0});
}

static void run_four(void) {
  scene_run(nothing, NULL, &(weft_run_opts){.workers = 4});
}

static int leave_much(void *arg) {
  (void)arg;
  scene_enter();
  for (int i = 0; i < 8; i++) {
    weft_task t = weft_spawn(scene_park, NULL, NULL);
    if (i % 2) STEP(weft_detach(t), 0, WEFT_ENOMEM);
    weft_spawn(scene_yield_seven, NULL, NULL);
  }
  STEP(weft_yield(), 0, 0);
  STEP(weft_submit(weft_runtime_current(), scene_park, NULL, NULL), 0, WEFT_ENOMEM);
  return scene_leave(0);
}

static void leftovers(void) {
  scene_run(leave_much, NULL, &(weft_run_opts){.workers = 2});
}

static int leave_some(void *arg) {
  (void)arg;
  scene_enter();
  for (int i = 0; i < 4; i++) STEP(weft_detach(weft_spawn(scene_park, NULL, NULL)), 0, WEFT_ENOMEM);
  STEP(weft_await(weft_spawn(scene_yield_seven, NULL, NULL)), 7, WEFT_ENOMEM);
  STEP(weft_yield(), 0, 0);
  return scene_leave(0);
}

static void runner(void) {
  weft_runner r;
  weft_run_opts opts = scene_opts(&(weft_run_opts){.workers = 2});
  if (STEP(weft_runner_open(&r, &opts), 0, RUN_CODES) != 0) return;
  for (int i = 0; i < 3; i++) {
    STEP(weft_runner_run(&r, leave_some, NULL), 0, WEFT_ENOMEM);
    STEP(weft_submit(weft_runner_runtime(&r), scene_park, NULL, NULL), 0, WEFT_ENOMEM);
  }
  HOLDS(weft_runner_close(&r) == 0);
}

/* ---- two runtimes ---- */

static int some_work(void *arg) {
  weft_task t[4];
  (void)arg;
  scene_enter();
  for (int i = 0; i < 4; i++) t[i] = weft_spawn(scene_yield_seven, NULL, NULL);
  for (int i = 0; i < 4; i++) STEP(weft_await(t[i]), 7, WEFT_ENOMEM);
  HOLDS(weft_run(nothing, NULL, NULL) == WEFT_ENESTED);
  return scene_leave(0);
}

static void *other_thread(void *arg) {
  (void)arg;
  scene_run(some_work, NULL, &(weft_run_opts){.workers = 2});
  return NULL;
}

static void two_runtimes(void) {
  pthread_t thread;
  bool there = pthread_create(&thread, NULL, other_thread, NULL) == 0;
  scene_run(some_work, NULL, &(weft_run_opts){.workers = 1});
  if (there) pthread_join(thread, NULL);
}

/* ---- other ways to run ---- */

/* Every suspension goes to another worker. */
static void migrate(void) {
  setenv("WEFT_MIGRATE", "1", 1);
  scene_run(some_work, NULL, &(weft_run_opts){.workers = 2});
  unsetenv("WEFT_MIGRATE");
}

/* Guards by mprotect, as on kernels that have no other. */
static void old_guards(void) {
  weft__stack_use_mprotect(true);
  scene_run(some_work, NULL, &(weft_run_opts){.workers = 1});
  weft__stack_use_mprotect(false);
}

static void no_threads(void) {
  scene_run(some_work, NULL, &(weft_run_opts){.workers = 1, .no_reserve = true, .no_spin = true});
}

const struct scenario weft_faults_life_scenarios[] = {
    {"run_default", "a run with as many workers as CPUs", run_default, SCENARIO_ANY},
    {"run_four", "a run with four workers", run_four, SCENARIO_ANY},
    {"leftovers", "tasks that are there when the main task ends", leftovers, SCENARIO_ANY},
    {"runner", "three runs in one runtime, which leave tasks behind", runner, SCENARIO_ANY},
    {"two_runtimes", "two runtimes at a time", two_runtimes, SCENARIO_REAL},
    {"migrate", "a move at every suspension", migrate, SCENARIO_ANY},
    {"old_guards", "stacks guarded by mprotect", old_guards, SCENARIO_ANY},
    {"plain", "no reserves, no spinning", no_threads, SCENARIO_ANY},
    {0},
};
