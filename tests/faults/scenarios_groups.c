/* Groups and gather. */
#include "scene.h"

enum { OWN_ERROR = WEFT_EUSER - 3 };

static int fail(void *arg) {
  (void)arg;
  scene_enter();
  return scene_leave(OWN_ERROR);
}

/* ---- groups ---- */

/* A child that adds another one to its group while that is joined. */
static int spawn_sibling(void *arg) {
  scene_enter();
  STEP(weft_yield(), 0, WEFT_ECANCELED);
  int r = weft_group_spawn(arg, scene_yield_seven, NULL, NULL);
  return scene_leave(STEP(r, 0, WEFT_ENOMEM, WEFT_ECANCELED));
}

static int join_good(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  (void)arg;
  scene_enter();
  for (int i = 0; i < 12; i++)
    STEP(weft_group_spawn(&g, i % 2 ? scene_yield_seven : scene_return_seven, NULL, NULL), 0,
         WEFT_ENOMEM, WEFT_ECANCELED);
  STEP(weft_group_spawn(&g, spawn_sibling, &g, NULL), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  STEP(weft_group_join(&g), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  return scene_leave(0);
}

static void group(void) {
  scene_run(join_good, NULL, &(weft_run_opts){.workers = 2});
}

static int join_failing(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  (void)arg;
  scene_enter();
  for (int i = 0; i < 5; i++)
    STEP(weft_group_spawn(&g, scene_park, NULL, NULL), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  STEP(weft_group_spawn(&g, fail, NULL, NULL), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  STEP(weft_group_join(&g), OWN_ERROR, WEFT_ENOMEM);
  return scene_leave(0);
}

static void group_fail_fast(void) {
  scene_run(join_failing, NULL, &(weft_run_opts){.workers = 2});
}

static int join_collecting(void *arg) {
  enum { N = 40 };
  int value[N];
  weft_group g;
  (void)arg;
  scene_enter();
  weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT});
  for (int i = 0; i < N; i++) {
    value[i] = i % 2 ? i : OWN_ERROR - i;
    weft_spawn_opts copy = {.arg_size = sizeof value[i]};
    int r = STEP(weft_group_spawn(&g, scene_return_given, &value[i], &copy), 0, WEFT_ENOMEM);
    if (r < 0) value[i] = r;
  }
  /* Unless the join says that one is missing, every spawn has its code, those that failed too. */
  int joined = STEP(weft_group_join(&g), 0, WEFT_ENOMEM);
  for (int i = 0; i < N && joined == 0; i++)
    STEP(weft_group_status(&g, (size_t)i), value[i], WEFT_ENOMEM);
  HOLDS(weft_group_status(&g, N) == WEFT_EINVAL);
  weft_group_done(&g);
  return scene_leave(0);
}

static void group_collect(void) {
  scene_run(join_collecting, NULL, &(weft_run_opts){.workers = 2});
}

static int join_limited(void *arg) {
  weft_group g;
  (void)arg;
  scene_enter();
  weft_group_init(&g, &(weft_group_opts){.limit = 3});
  for (int i = 0; i < 15; i++)
    STEP(weft_group_spawn(&g, scene_yield_seven, NULL, NULL), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  STEP(weft_group_join(&g), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  weft_group_done(&g);
  /* and once more, under a deadline, with a child that sleeps beyond it */
  weft_timeout s;
  STEP(weft_timeout_begin(&s, weft_us(500)), 0, 0);
  int r = STEP(weft_group_spawn(&g, scene_park, NULL, NULL), 0, WEFT_ENOMEM, WEFT_ECANCELED);
  int j = weft_timeout_end(&s, weft_group_join(&g));
  if (r == 0) STEP(j, WEFT_ETIMEDOUT, WEFT_ENOMEM, WEFT_ECANCELED);
  return scene_leave(0);
}

static void group_limit(void) {
  scene_run(join_limited, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- gather ---- */

static int gather_codes(void *arg) {
  enum { N = 20 };
  weft_task t[N];
  int codes[N];
  (void)arg;
  scene_enter();
  for (int i = 0; i < N; i++) {
    codes[i] = 1234;
    t[i] = weft_spawn(i % 2 ? scene_yield_seven : scene_return_seven, NULL, NULL);
  }
  int r = STEP(weft_gather(t, N, codes), 0, WEFT_ENOMEM);
  for (int i = 0; i < N; i++) {
    /* For want of memory nothing was consumed and nothing written. */
    HOLDS(r == 0 || codes[i] == 1234);
    if (r == 0)
      STEP(codes[i], 7, WEFT_ENOMEM);
    else
      STEP(weft_await(t[i]), 7, WEFT_ENOMEM);
  }
  return scene_leave(0);
}

/* Under a deadline the wait needs room in a timer heap. */
static int gather_in_time(void *arg) {
  weft_task t[3];
  int codes[3] = {1234, 1234, 1234};
  weft_timeout s;
  (void)arg;
  scene_enter();
  STEP(weft_timeout_begin(&s, weft_sec(3600)), 0, 0);
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(scene_sleep_little, NULL, NULL);
  int r = STEP(weft_gather(t, 3, codes), 0, WEFT_ENOMEM);
  for (int i = 0; i < 3; i++) {
    HOLDS(r == 0 || codes[i] == 1234);
    if (r < 0) STEP(weft_await(t[i]), 0, WEFT_ENOMEM);
  }
  STEP(weft_timeout_end(&s, 0), 0, 0);
  return scene_leave(0);
}

static int gather_first_error(void *arg) {
  weft_task t[4];
  (void)arg;
  scene_enter();
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(scene_sleep_little, NULL, NULL);
  t[3] = weft_spawn(fail, NULL, NULL);
  int r = STEP(weft_gather(t, 4, NULL), OWN_ERROR, WEFT_ENOMEM);
  /* The error may have been a task's, which has consumed them, or gather's own. */
  for (int i = 0; i < 4 && r == WEFT_ENOMEM; i++) {
    int code = weft_await(t[i]);
    HOLDS(code == 0 || code == OWN_ERROR || code == WEFT_ENOMEM || code == WEFT_ESTALE);
  }
  return scene_leave(0);
}

static void gather(void) {
  scene_run(gather_codes, NULL, &(weft_run_opts){.workers = 2});
  scene_run(gather_in_time, NULL, &(weft_run_opts){.workers = 1});
  scene_run(gather_first_error, NULL, &(weft_run_opts){.workers = 1});
}

const struct scenario weft_faults_group_scenarios[] = {
    {"group", "a group whose children also spawn into it", group, SCENARIO_ANY},
    {"group_fail_fast", "a child's error cancels the others", group_fail_fast, SCENARIO_ANY},
    {"group_collect", "a group that keeps all codes", group_collect, SCENARIO_ANY},
    {"group_limit", "a group with a limit, and a join under a deadline", group_limit, SCENARIO_ANY},
    {"gather", "gather with codes, under a deadline, to the first error", gather, SCENARIO_ANY},
    {0},
};
