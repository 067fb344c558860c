/* Tasks: making, awaiting, naming, letting go. */
#include <stdio.h>
#include <string.h>

#include "scene.h"

/* What awaiting a task gives when it, its stack or its name's copy could not be had. */
#define TASK_CODES WEFT_ENOMEM

static int await_some(void *arg) {
  (void)arg;
  scene_enter();
  int value = 41;
  weft_task t[6];
  t[0] = weft_spawn(scene_return_seven, NULL, NULL);
  t[1] = weft_spawn(scene_yield_seven, NULL, NULL);
  t[2] = weft_spawn(scene_return_given, &value, &(weft_spawn_opts){.arg_size = sizeof value});
  t[3] = weft_spawn(scene_yield_seven, NULL, &(weft_spawn_opts){.name = "named"});
  t[4] = weft_spawn(scene_sleep_little, NULL, NULL);
  t[5] = weft_spawn(scene_yield_seven, NULL, &(weft_spawn_opts){.pinned = true});
  value = 0; /* t[2] has a copy */
  int code = -1;
  int r = STEP(weft_task_wait(t[1], &code), 0, TASK_CODES);
  HOLDS((r == 0) == (code != -1));
  if (r == 0) STEP(code, 7, TASK_CODES);
  char line[128];
  if (weft_task_error(t[3]) == 0) {
    HOLDS(strcmp(weft_task_name(t[3]), "named") == 0);
    HOLDS(weft_task_describe(t[3], line, sizeof line) > 0);
  }
  STEP(weft_await(t[0]), 7, TASK_CODES);
  STEP(weft_await(t[1]), 7, TASK_CODES);
  STEP(weft_await(t[2]), 41, TASK_CODES);
  STEP(weft_await(t[3]), 7, TASK_CODES);
  STEP(weft_await(t[4]), 0, TASK_CODES);
  STEP(weft_await(t[5]), 7, TASK_CODES);
  return scene_leave(0);
}

static void spawn_await(void) {
  scene_run(await_some, NULL, &(weft_run_opts){.workers = 1});
}

static void spawn_await_two(void) {
  scene_run(await_some, NULL, &(weft_run_opts){.workers = 2});
}

static void spawn_await_exact(void) {
  scene_run(await_some, NULL, &(weft_run_opts){.exact = true});
}

/* More than a deque holds, and many at a time that need stacks. */
enum { MANY = 6000, WITH_STACK_EVERY = 10 };

static int await_many(void *arg) {
  static weft_task t[MANY];
  (void)arg;
  scene_enter();
  for (int i = 0; i < MANY; i++) {
    bool stack = i % WITH_STACK_EVERY == 0;
    t[i] = weft_spawn(stack ? scene_yield_seven : scene_return_seven, NULL, NULL);
  }
  for (int i = 0; i < MANY; i++) STEP(weft_await(t[i]), 7, TASK_CODES);
  return scene_leave(0);
}

static void spawn_many(void) {
  scene_run(await_many, NULL, &(weft_run_opts){.workers = 2});
}

/* A tree whose nodes are stolen from each other. */
struct node {
  int depth;
};

static int tree(void *arg) {
  scene_enter();
  const struct node *n = arg;
  if (n->depth == 0) return scene_leave(1);
  struct node below = {n->depth - 1};
  weft_spawn_opts copy = {.arg_size = sizeof below};
  weft_task left = weft_spawn(tree, &below, &copy);
  weft_task right = weft_spawn(tree, &below, &copy);
  STEP(weft_yield(), 0, 0);
  int l = weft_await(left);
  int r = weft_await(right);
  if (l < 0) return scene_leave(l);
  return scene_leave(r < 0 ? r : l + r);
}

static int grow_tree(void *arg) {
  struct node root = {6};
  (void)arg;
  scene_enter();
  STEP(tree(&root), 64, TASK_CODES);
  return scene_leave(0);
}

static void steal(void) {
  scene_run(grow_tree, NULL, &(weft_run_opts){.workers = 3});
}

static void stack_of(size_t bytes) {
  weft_task t =
      weft_spawn(scene_yield_seven, NULL, &(weft_spawn_opts){.stack_size = bytes, .name = "own"});
  STEP(weft_await(t), 7, TASK_CODES);
}

static int use_stacks(void *arg) {
  (void)arg;
  scene_enter();
  stack_of(WEFT_STACK_MIN);
  stack_of((size_t)200 << 10);
  stack_of((size_t)4 << 20);
  stack_of((size_t)64 << 20);
  for (int i = 0; i < 3; i++) stack_of((size_t)1 << 20);
  return scene_leave(0);
}

static void stacks(void) {
  scene_run(use_stacks, NULL, &(weft_run_opts){.workers = 1, .stack_size = 128 << 10});
}

static int let_go(void *arg) {
  (void)arg;
  scene_enter();
  for (int i = 0; i < 40; i++) {
    weft_task t = weft_spawn(scene_alone, NULL, NULL);
    scene_accept(weft_task_error(t) == 0 ? 0 : -1);
    STEP(weft_detach(t), 0, TASK_CODES);
  }
  scene_wait_for_accepted();
  return scene_leave(0);
}

static void detach(void) {
  scene_run(let_go, NULL, &(weft_run_opts){.workers = 2});
}

static int cancel_some(void *arg) {
  (void)arg;
  scene_enter();
  weft_task parked = weft_spawn(scene_park, NULL, NULL);
  weft_task unstarted = weft_spawn(scene_park, NULL, NULL);
  STEP(weft_cancel(unstarted), 1, TASK_CODES);
  STEP(weft_yield(), 0, 0);
  STEP(weft_cancelling(unstarted), 1, TASK_CODES);
  if (weft_task_error(parked) == 0) HOLDS(weft_cancel(parked) >= 0);
  STEP(weft_await(parked), WEFT_ECANCELED, TASK_CODES);
  STEP(weft_await(unstarted), WEFT_ECANCELED, TASK_CODES);
  /* itself */
  weft_cancel(weft_current());
  weft_shield_begin();
  STEP(weft_sleep(weft_us(10)), 0, WEFT_ENOMEM);
  weft_shield_end();
  HOLDS(weft_sleep(weft_us(10)) == WEFT_ECANCELED);
  HOLDS(weft_cancel_catch());
  HOLDS(weft_uncancel(weft_current()) == 0);
  STEP(weft_sleep(weft_us(10)), 0, WEFT_ENOMEM);
  return scene_leave(0);
}

static void cancel(void) {
  scene_run(cancel_some, NULL, &(weft_run_opts){.workers = 2});
}

static int look_around(void *arg) {
  weft_task seen[8];
  weft_stats all;
  weft_worker_stats one;
  (void)arg;
  scene_enter();
  weft_task t = weft_spawn(scene_sleep_little, NULL, NULL);
  HOLDS(weft_tasks(seen, 8) >= 1);
  HOLDS(weft_stats_read(&all) == 0 && all.workers == 2);
  HOLDS(weft_stats_worker(1, &one) == 0 && weft_stats_worker(2, &one) == WEFT_EINVAL);
  HOLDS(weft_worker_count() == 2 && weft_worker_id() >= 0);
  STEP(weft_await(t), 0, TASK_CODES);
  return scene_leave(0);
}

static void introspect(void) {
  scene_run(look_around, NULL, &(weft_run_opts){.workers = 2});
}

static int in_parts(void *arg) {
  int *shared = arg;
  scene_enter();
  int seen = *shared;
  int r = weft_await(weft_spawn(scene_return_seven, NULL, NULL));
  if (r == 7 && (r = weft_sleep(weft_us(10))) == 0) *shared = seen + 1;
  return scene_leave(r);
}

/* One after the other, so each sees what the one before it wrote. */
static int one_by_one(void *arg) {
  int *shared = arg, done = 0;
  scene_enter();
  for (int i = 0; i < 3; i++)
    if (STEP(weft_await(weft_spawn(in_parts, shared, NULL)), 0, TASK_CODES) == 0) done++;
  for (int i = 0; i < 2; i++)
    STEP(weft_await(weft_spawn(scene_yield_seven, NULL, &(weft_spawn_opts){.eager = true})), 7,
         TASK_CODES);
  HOLDS(*shared == done);
  return scene_leave(0);
}

static int use_strands(void *arg) {
  int shared = 0, other = 0;
  weft_strand *s = NULL;
  (void)arg;
  scene_enter();
  STEP(weft_strand_run(one_by_one, &shared), 0, TASK_CODES);
  if (STEP(weft_strand_new(&s), 0, WEFT_ENOMEM) == 0) {
    weft_task t = weft_spawn(one_by_one, &other, &(weft_spawn_opts){.strand = s});
    weft_task u = weft_spawn(scene_yield_seven, NULL, &(weft_spawn_opts){.strand = s});
    weft_strand_free(s);
    STEP(weft_await(t), 0, TASK_CODES);
    STEP(weft_await(u), 7, TASK_CODES);
  }
  return scene_leave(0);
}

static void strands(void) {
  scene_run(use_strands, NULL, &(weft_run_opts){.workers = 2});
}

enum { CALLS = 100 }; /* more than the first block of a timer heap */

static int call_many(void *arg) {
  static weft_call c[CALLS];
  (void)arg;
  scene_enter();
  for (int i = 0; i < 5; i++) scene_accept(weft_call_error(weft_call_soon(scene_alone, NULL)));
  for (int i = 0; i < 5; i++)
    scene_accept(weft_call_error(weft_call_later(weft_us(10 * i), scene_alone, NULL)));
  for (int i = 0; i < CALLS; i++) c[i] = weft_call_later(weft_sec(1000 - i), scene_alone, NULL);
  for (int i = 0; i < CALLS; i++) {
    int r = STEP(weft_call_error(c[i]), 0, WEFT_ENOMEM);
    HOLDS(weft_call_cancel(c[i]) == (r == 0 ? 1 : r));
  }
  scene_wait_for_accepted();
  weft_call_later(weft_sec(1000), scene_alone, NULL); /* dropped with the run */
  return scene_leave(0);
}

static void callbacks(void) {
  scene_run(call_many, NULL, &(weft_run_opts){.workers = 2});
}

const struct scenario weft_faults_task_scenarios[] = {
    {"spawn_await", "tasks of every kind, awaited, on one worker", spawn_await, SCENARIO_ANY},
    {"spawn_await_two", "the same on two", spawn_await_two, SCENARIO_ANY},
    {"spawn_await_exact", "the same in exact mode", spawn_await_exact, SCENARIO_ANY},
    {"spawn_many", "more tasks than a queue holds", spawn_many, SCENARIO_ANY},
    {"steal", "a tree of tasks on three workers", steal, SCENARIO_ANY},
    {"stacks", "stacks of own sizes", stacks, SCENARIO_ANY},
    {"detach", "tasks that nobody awaits", detach, SCENARIO_ANY},
    {"cancel", "cancels, before the first run and in a wait, and their end", cancel, SCENARIO_ANY},
    {"strands", "tasks one at a time, and eager ones", strands, SCENARIO_ANY},
    {"callbacks", "called soon and later, and withdrawn", callbacks, SCENARIO_ANY},
    {"introspect", "tasks, statistics, names", introspect, SCENARIO_ANY},
    {0},
};
