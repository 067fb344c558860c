/* A storm of cancels from tasks and from threads on tasks in every state. What holds for every
 * order: a task ends cancelled exactly if a request for it was accepted, except one that catches:
 * that one sees at most as many cancels as there were requests. */
#include "base/choice.h"
#include "stress.h"

enum kind { COMPUTES, YIELDS, SLEEPS, AWAITS, JOINS, GATHERS, SHIELDS, CATCHES, KINDS };

struct victim {
  struct storm *storm;
  enum kind kind;
  struct weft__rng rng;
  struct stress_mark mark, child;
  int delivered; /* of a catcher */
  weft_task task;
  atomic_int accepted; /* relaxed: added up by the cancellers, read after they have ended */
};

struct storm {
  struct stress_round *r;
  struct victim *victims;
  uint32_t n, shots;
  int tasks, threads;
  atomic_int next;
  atomic_bool fire; /* the handles are there */
};

/* ---- the victims ---- */

static int nap(struct weft__rng *rng) {
  return weft_sleep((weft_ns)stress_draw(rng, 300) * 1000);
}

static int child(void *arg) {
  struct victim *v = arg;
  stress_begin(&v->child);
  int r = stress_one_in(&v->rng, 2) ? weft_yield() : weft_sleep(weft_us(100));
  return stress_end(&v->child, r < 0 ? r : 3);
}

static int await_child(struct victim *v) {
  int r = weft_await(weft_spawn(child, v, NULL));
  stress_whole(&v->child);
  return r;
}

static int join_child(struct victim *v) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, child, v, NULL);
  int r = weft_group_join(&g);
  stress_whole(&v->child);
  return r;
}

static int gather_child(struct victim *v) {
  weft_task t = weft_spawn(child, v, NULL);
  int code = 3;
  int r = weft_gather(&t, 1, &code);
  stress_whole(&v->child);
  if (r == 0) EXPECT(code == 3 || code == WEFT_ECANCELED);
  return r;
}

/* Nothing is delivered inside; at once after the end if there is one. */
static int under_shield(struct victim *v) {
  weft_shield_begin();
  EXPECT_INT(nap(&v->rng), 0);
  EXPECT_INT(weft_yield(), 0);
  weft_shield_end();
  return weft_yield();
}

/* Refuses every cancel it sees. */
static int catch_all(struct victim *v) {
  for (int i = 0; i < 10; i++) {
    if (nap(&v->rng) == 0) continue;
    v->delivered++;
    EXPECT(weft_cancel_catch());
    if (stress_one_in(&v->rng, 2)) EXPECT(weft_uncancel(weft_current()) >= 0);
  }
  return 0;
}

static int suffer(void *arg) {
  struct victim *v = arg;
  int r = 0;
  stress_begin(&v->mark);
  switch (v->kind) {
  case COMPUTES:
    for (volatile uint32_t i = stress_draw(&v->rng, 2000); i > 0; i--) {}
    break;
  case YIELDS:
    for (uint32_t i = stress_draw(&v->rng, 20); i > 0 && r == 0; i--) r = weft_yield();
    break;
  case SLEEPS:
    r = nap(&v->rng);
    break;
  case AWAITS:
    r = await_child(v);
    break;
  case JOINS:
    r = join_child(v);
    break;
  case GATHERS:
    r = gather_child(v);
    break;
  case SHIELDS:
    r = under_shield(v);
    break;
  case CATCHES:
    r = catch_all(v);
    break;
  case KINDS:
    break;
  }
  if (r < 0) {
    EXPECT_INT(r, WEFT_ECANCELED);
    if (stress_one_in(&v->rng, 2)) EXPECT_INT(weft_yield(), WEFT_ECANCELED); /* it stays */
    stress_count(STRESS_CUT, 1);
  }
  return stress_end(&v->mark, r < 0 ? r : 3);
}

/* ---- the cancellers ---- */

static void shoot(struct storm *s, struct weft__rng *rng) {
  struct victim *v = &s->victims[stress_draw(rng, s->n)];
  int answer = weft_cancel(v->task);
  if (answer == 1) atomic_fetch_add_explicit(&v->accepted, 1, memory_order_relaxed);
  stress_count(STRESS_CANCELS, answer == 1);
  EXPECT(answer == 0 || answer == 1 || answer == WEFT_ESTALE);
}

static int shooter(void *arg) {
  struct storm *s = arg;
  struct weft__rng rng;
  stress_rng(&rng, s->r, 5000 + (uint64_t)atomic_fetch_add(&s->next, 1));
  for (uint32_t i = 0; i < s->shots; i++) {
    shoot(s, &rng);
    if (stress_one_in(&rng, 8)) EXPECT_INT(weft_yield(), 0);
  }
  return 0;
}

static void *thread_shooter(void *arg) {
  struct storm *s = arg;
  struct weft__rng rng;
  stress_rng(&rng, s->r, 5000 + (uint64_t)atomic_fetch_add(&s->next, 1));
  while (!atomic_load(&s->fire)) sched_yield();
  for (uint32_t i = 0; i < s->shots; i++) {
    shoot(s, &rng);
    if (stress_one_in(&rng, 8)) sched_yield();
  }
  return NULL;
}

static void check_victim(struct victim *v, int code) {
  int accepted = atomic_load_explicit(&v->accepted, memory_order_relaxed);
  stress_whole(&v->mark);
  if (v->kind == CATCHES) {
    EXPECT(v->delivered <= accepted);
    EXPECT(code == 3 || (code == WEFT_ECANCELED && v->delivered < accepted));
  } else {
    EXPECT_INT(code, accepted > 0 ? WEFT_ECANCELED : 3);
  }
  if (accepted == 0) stress_ran(&v->mark);
}

static int storm_main(void *arg) {
  struct storm *s = arg;
  int *codes = stress_alloc(s->n, sizeof *codes);
  pthread_t thread[4];
  weft_task task[8];
  for (int i = 0; i < s->threads; i++) thread[i] = stress_thread(thread_shooter, s);
  for (uint32_t i = 0; i < s->n; i++) {
    struct victim *v = &s->victims[i];
    v->task = weft_spawn(suffer, v, NULL);
  }
  atomic_store(&s->fire, true);
  for (int i = 0; i < s->tasks; i++) task[i] = weft_spawn(shooter, s, NULL);
  for (uint32_t i = 0; i < s->n; i++) codes[i] = weft_await(s->victims[i].task);
  for (int i = 0; i < s->tasks; i++) EXPECT_INT(weft_await(task[i]), 0);
  for (int i = 0; i < s->threads; i++) pthread_join(thread[i], NULL);
  for (uint32_t i = 0; i < s->n; i++) check_victim(&s->victims[i], codes[i]);
  free(codes);
  return 0;
}

static void cancels_round(struct stress_round *r) {
  struct storm s = {.r = r,
                    .n = 1 + stress_draw(r->rng, (uint32_t)stress_many(600)),
                    .tasks = (int)stress_draw(r->rng, 8),
                    .threads = (int)stress_draw(r->rng, 4)};
  s.shots = 1 + stress_draw(r->rng, s.n);
  s.victims = stress_alloc(s.n, sizeof *s.victims);
  for (uint32_t i = 0; i < s.n; i++) {
    struct victim *v = &s.victims[i];
    v->storm = &s;
    v->kind = (enum kind)stress_draw(r->rng, KINDS);
    stress_rng(&v->rng, r, i);
  }
  EXPECT_INT(stress_run(r, storm_main, &s), 0);
  free(s.victims);
}

const struct stress_workload stress_cancels = {
    .name = "cancels",
    .about = "storms of cancels from tasks and threads on tasks in every state",
    .round = cancels_round,
    .flags = STRESS_EXACT_TOO,
};
