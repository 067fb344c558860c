/* Futures, waits on several things, queues, generators and what is built of them. */
#include "base/atomics.h"
#include "scene.h"

/* Yields until the task has set *begun, or has ended without having begun. */
static bool has_begun(weft_task t, weft__atomic_u32 *begun) {
  while (!weft__load_acquire_u32(begun) && weft_task_done(t) == 0) weft_yield();
  return weft__load_acquire_u32(begun);
}

/* ---- futures ---- */

struct setting {
  weft_future *f;
  weft__atomic_u32 begun;
};

static int note(weft_future *f, void *arg) {
  (void)f;
  (void)arg;
  scene_note_ended();
  return 0;
}

static int set_it(void *arg) {
  struct setting *s = arg;
  scene_enter();
  weft__store_release_u32(&s->begun, 1);
  int seven = 7;
  int r;
  while ((r = weft_future_set(s->f, &seven)) == WEFT_ENOMEM && weft_yield() == 0) {}
  return scene_leave(STEP(r, 0, WEFT_ENOMEM));
}

static int use_futures(void *arg) {
  int v = 0;
  weft_future *f = NULL;
  (void)arg;
  scene_enter();
  if (STEP(weft_future_new(&f, sizeof v), 0, WEFT_ENOMEM) < 0) return scene_leave(0);
  bool added = STEP(weft_future_on_done(f, note, NULL), 0, WEFT_ENOMEM) == 0;
  struct setting s = {f, {0}};
  weft_task t = weft_spawn(set_it, &s, NULL);
  bool set = weft_task_error(t) == 0 && has_begun(t, &s.begun);
  if (!set) weft_future_cancel(f);
  int r = STEP(weft_future_await(f, &v), set ? 0 : WEFT_ECANCELED, WEFT_ENOMEM, WEFT_ECANCELED);
  HOLDS((r == 0) == (v == 7));
  STEP(weft_await(t), 0, WEFT_ENOMEM);
  if (added && weft_future_done(f)) {
    scene_accept(0);
    scene_wait_for_accepted();
  }
  weft_future_unref(f);
  return scene_leave(0);
}

static int share_one(void *arg) {
  weft_future *f = NULL;
  (void)arg;
  scene_enter();
  weft_task t = weft_spawn(scene_yield_seven, NULL, NULL);
  if (STEP(weft_task_share(t, &f), 0, WEFT_ENOMEM) == 0) {
    STEP(weft_future_await(f, NULL), 7, WEFT_ENOMEM);
    weft_future_unref(f);
  } else if (weft_task_error(t) == 0) {
    STEP(weft_await(t), 7, WEFT_ENOMEM);
  }
  return scene_leave(0);
}

static void futures(void) {
  scene_run(use_futures, NULL, &(weft_run_opts){.workers = 2});
  scene_run(use_futures, NULL, &(weft_run_opts){.exact = true});
  scene_run(share_one, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- waits on several things ---- */

enum { SEVERAL = 12 }; /* more than a wait keeps on its stack */

static int wait_for_several(void *arg) {
  weft_task t[SEVERAL];
  weft_awaitable set[SEVERAL];
  weft_outcome out[SEVERAL];
  (void)arg;
  scene_enter();
  for (int i = 0; i < SEVERAL; i++) {
    t[i] = weft_spawn(scene_yield_seven, NULL, NULL);
    set[i] = weft_task_awaitable(t[i]);
  }
  int r = weft_select(set, SEVERAL, NULL);
  STEP(r < 0 ? r : 0, 0, WEFT_ENOMEM);
  STEP(weft_wait(set, SEVERAL, WEFT_ALL_OVER, weft_sec(3600), out), SEVERAL, WEFT_ENOMEM);
  weft_completed *c = NULL;
  if (STEP(weft_as_completed(&c, set, SEVERAL, weft_sec(3600)), 0, WEFT_ENOMEM) == 0) {
    int n = 0;
    while (weft_completed_next(c, NULL, NULL) == 1) n++;
    HOLDS(n == SEVERAL || scene_strayed());
    weft_completed_free(c);
  }
  int codes[SEVERAL];
  if (STEP(weft_gather_mixed(set, SEVERAL, codes), 0, WEFT_ENOMEM) < 0)
    for (int i = 0; i < SEVERAL; i++) STEP(weft_await(t[i]), 7, WEFT_ENOMEM);
  return scene_leave(0);
}

static int double_it(void *arg) {
  int *n = arg;
  scene_enter();
  *n *= 2;
  return scene_leave(weft_yield());
}

static int map_some(void *arg) {
  int items[20], codes[20];
  (void)arg;
  scene_enter();
  for (int i = 0; i < 20; i++) items[i] = 1;
  int r = STEP(weft_map(double_it, items, 20, sizeof(int), &(weft_map_opts){.limit = 3}), 0,
               WEFT_ENOMEM);
  for (int i = 0; i < 20 && r == 0; i++) HOLDS(items[i] == 2);
  STEP(weft_map(double_it, items, 20, sizeof(int), &(weft_map_opts){.codes = codes}), 0,
       WEFT_ENOMEM);
  return scene_leave(0);
}

static void waits(void) {
  scene_run(wait_for_several, NULL, &(weft_run_opts){.workers = 2});
  scene_run(map_some, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- queues ---- */

struct production {
  weft_queue *q;
  weft__atomic_u32 begun;
};

static int produce(void *arg) {
  struct production *p = arg;
  weft_queue *q = p->q;
  scene_enter();
  weft__store_release_u32(&p->begun, 1);
  int r = 0;
  for (int i = 1; i <= 40 && r == 0; i++)
    while ((r = weft_queue_put(q, &i)) == WEFT_ENOMEM && weft_yield() == 0) {}
  weft_queue_shutdown(q, false);
  return scene_leave(STEP(r, 0, WEFT_ENOMEM));
}

static int pass_items(void *arg) {
  static const weft_queue_opts opts[] = {{.capacity = 3}, {0}, {.order = WEFT_QUEUE_LIFO}};
  (void)arg;
  scene_enter();
  for (size_t k = 0; k < sizeof opts / sizeof opts[0]; k++) {
    weft_queue *q = NULL;
    if (STEP(weft_queue_new(&q, sizeof(int), &opts[k]), 0, WEFT_ENOMEM) < 0) continue;
    struct production p = {q, {0}};
    weft_task t = weft_spawn(produce, &p, NULL);
    if (weft_task_error(t) < 0 || !has_begun(t, &p.begun)) weft_queue_shutdown(q, false);
    int item, r, n = 0;
    while ((r = weft_queue_get(q, &item)) > 0 || (r == WEFT_ENOMEM && weft_yield() == 0))
      n += r > 0;
    STEP(weft_await(t), 0, WEFT_ENOMEM);
    HOLDS(n == 40 || scene_strayed());
    STEP(weft_queue_free(q), 0, 0);
  }
  return scene_leave(0);
}

static void queues(void) {
  scene_run(pass_items, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- generators ---- */

static int count_to(weft_gen *g, void *arg) {
  int r = 0;
  for (int i = 1; i <= *(int *)arg && r == 0; i++) {
    r = weft_gen_yield(g, &i);
    if (r == 0 && i % 2) r = weft_yield();
  }
  return r == WEFT_ECLOSED ? 0 : r;
}

static int generate(void *arg) {
  int five = 5;
  (void)arg;
  scene_enter();
  for (int stop = 2; stop <= 9; stop += 7) {
    weft_gen *g = NULL;
    if (STEP(weft_gen_open(&g, count_to, &five, sizeof(int), NULL), 0, WEFT_ENOMEM) < 0) continue;
    int item = 0, r, n = 0;
    while (n < stop && (r = weft_gen_next(g, &item)) > 0) n++;
    HOLDS(n == (stop < 5 ? stop : 5) || scene_strayed());
    STEP(weft_gen_close(g), 0, WEFT_ENOMEM);
  }
  return scene_leave(0);
}

static void generators(void) {
  scene_run(generate, NULL, &(weft_run_opts){.workers = 1});
}

/* ---- locks ---- */

struct shared {
  weft_lock lock;
  weft_cond cond;
  weft_sem sem;
  int turns;
};

static int take_turns(void *arg) {
  struct shared *s = arg;
  scene_enter();
  int r = weft_sem_acquire(&s->sem);
  if (r == 0) {
    r = weft_lock_acquire(&s->lock);
    if (r == 0) {
      s->turns++;
      weft_yield();
      weft_lock_release(&s->lock);
    }
    weft_sem_release(&s->sem);
  }
  return scene_leave(r);
}

static int lock_much(void *arg) {
  struct shared s = {.sem = WEFT_SEM_INIT(2)};
  weft_group g = WEFT_GROUP_INIT;
  (void)arg;
  scene_enter();
  for (int i = 0; i < 10; i++) weft_group_spawn(&g, take_turns, &s, NULL);
  int r = STEP(weft_group_join(&g), 0, WEFT_ENOMEM);
  HOLDS(r < 0 || s.turns == 10);
  HOLDS(!weft_lock_locked(&s.lock));
  HOLDS(weft_sem_value(&s.sem) == 2);
  return scene_leave(0);
}

static void locks(void) {
  scene_run(lock_much, NULL, &(weft_run_opts){.workers = 2});
}

const struct scenario weft_faults_aio_scenarios[] = {
    {"futures", "set, awaited, with callbacks, and shared tasks", futures, SCENARIO_ANY},
    {"waits", "select, wait, as_completed, gather and map", waits, SCENARIO_ANY},
    {"queues", "items through queues of three kinds", queues, SCENARIO_ANY},
    {"generators", "read to the end, and closed before it", generators, SCENARIO_ANY},
    {"locks", "a lock and a semaphore among ten tasks", locks, SCENARIO_ANY},
    {0},
};
