/* Deadlines that pass at the moment when what they limit happens: scopes in scopes around sleeps,
 * awaits and joins, wait_for in both forms, with cancels from outside. Nothing is early, and a code
 * is explained by what happened. */
#include "base/choice.h"
#include "stress.h"

struct limited {
  struct weft__rng rng;
  struct stress_mark mark;
  struct stress_mark inner[4]; /* of what it starts */
  uint32_t used;
  weft_task task;
  bool cancelled; /* a request was accepted */
};

struct limits {
  struct limited *tasks;
  int n;
};

static weft_ns draw_time(struct weft__rng *rng) {
  static const uint32_t most[] = {0, 5, 50, 300, 2000};
  return (weft_ns)stress_draw(rng, 1 + 1000 * most[stress_draw(rng, 5)]);
}

struct sleeper {
  struct stress_mark *mark;
  weft_ns duration;
};

/* 3 when it slept for the whole time. */
static int sleep_for(void *arg) {
  struct sleeper *s = arg;
  weft_ns begin = weft_now();
  stress_begin(s->mark);
  int r = weft_sleep(s->duration);
  if (r == 0) EXPECT(weft_now() - begin >= s->duration);
  if (r < 0) EXPECT_INT(r, WEFT_ECANCELED);
  return stress_end(s->mark, r < 0 ? r : 3);
}

static int wait_somehow(struct limited *l) {
  struct sleeper s = {&l->inner[l->used++], draw_time(&l->rng)};
  weft_group g = WEFT_GROUP_INIT;
  int r;
  switch (stress_draw(&l->rng, 3)) {
  case 0:
    r = sleep_for(&s);
    break;
  case 1:
    r = weft_await(weft_spawn(sleep_for, &s, NULL));
    break;
  default:
    weft_group_spawn(&g, sleep_for, &s, NULL);
    r = weft_group_join(&g);
    if (r == 0) r = 3;
  }
  stress_whole(s.mark);
  return r;
}

/* 3, WEFT_ETIMEDOUT of the outer scope, or WEFT_ECANCELED. */
static int scopes(struct limited *l) {
  weft_ns out = draw_time(&l->rng), in = draw_time(&l->rng), begin = weft_now();
  weft_timeout outer, inner;
  EXPECT_INT(weft_timeout_begin(&outer, out), 0);
  EXPECT_INT(weft_timeout_begin(&inner, in), 0);
  if (stress_one_in(&l->rng, 4)) {
    in = draw_time(&l->rng) + (weft_now() - begin);
    int r = weft_timeout_reschedule(&inner, in);
    EXPECT(r == 0 || r == WEFT_ESTATE);
    if (r < 0) in = 0;
  }
  EXPECT_INT(weft_timeout_end(&outer, 1), WEFT_ESTATE);
  int r = weft_timeout_end(&inner, wait_somehow(l));
  weft_ns passed = weft_now() - begin;
  if (r == WEFT_ETIMEDOUT) {
    stress_count(STRESS_CUT, 1);
    EXPECT(weft_timeout_expired(&inner));
    EXPECT(passed >= in);
    r = 3;
  }
  r = weft_timeout_end(&outer, r);
  if (r == WEFT_ETIMEDOUT) {
    stress_count(STRESS_CUT, 1);
    EXPECT(weft_timeout_expired(&outer));
    EXPECT(weft_now() - begin >= out);
    r = 3;
  }
  return r;
}

static int wait_for(struct limited *l, bool task) {
  struct sleeper s = {&l->inner[l->used++], draw_time(&l->rng)};
  weft_ns limit = draw_time(&l->rng), begin = weft_now();
  int r = task ? weft_wait_for_task(weft_spawn(sleep_for, &s, NULL), limit)
               : weft_wait_for(sleep_for, &s, limit);
  stress_whole(s.mark);
  if (r == WEFT_ETIMEDOUT) {
    stress_count(STRESS_CUT, 1);
    EXPECT(weft_now() - begin >= limit);
    r = 3;
  } else if (r == 3) {
    stress_ran(s.mark);
  }
  return r;
}

static int be_limited(void *arg) {
  struct limited *l = arg;
  int r = 3;
  stress_begin(&l->mark);
  for (int i = 0; i < 4 && r == 3; i++) {
    uint32_t how = stress_draw(&l->rng, 4);
    r = how < 2 ? scopes(l) : wait_for(l, how == 2);
    EXPECT(r == 3 || r == WEFT_ECANCELED);
  }
  return stress_end(&l->mark, r);
}

static int limits_main(void *arg) {
  struct limits *l = arg;
  for (int i = 0; i < l->n; i++) l->tasks[i].task = weft_spawn(be_limited, &l->tasks[i], NULL);
  for (int i = 0; i < l->n; i++) {
    struct limited *t = &l->tasks[i];
    if (i % 64 == 0) EXPECT_INT(weft_yield(), 0);
    if (i % 3 != 0) continue;
    t->cancelled = weft_cancel(t->task) == 1;
    stress_count(STRESS_CANCELS, t->cancelled);
  }
  for (int i = 0; i < l->n; i++) {
    struct limited *t = &l->tasks[i];
    EXPECT_INT(weft_await(t->task), t->cancelled ? WEFT_ECANCELED : 3);
    stress_whole(&t->mark);
  }
  return 0;
}

static void timeouts_round(struct stress_round *r) {
  struct limits l = {.n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(500))};
  l.tasks = stress_alloc((size_t)l.n, sizeof *l.tasks);
  for (int i = 0; i < l.n; i++) stress_rng(&l.tasks[i].rng, r, (uint64_t)i);
  EXPECT_INT(stress_run(r, limits_main, &l), 0);
  free(l.tasks);
}

const struct stress_workload stress_timeouts = {
    .name = "timeouts",
    .about = "scopes and wait_for that expire while their events happen, and cancels",
    .round = timeouts_round,
    .flags = STRESS_EXACT_TOO,
};
