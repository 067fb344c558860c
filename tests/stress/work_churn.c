/* Floods: producers start more tiny tasks than the queues hold and await, detach or join them; some
 * of the tasks yield, some are tied to the worker that started them. */
#include "base/choice.h"
#include "stress.h"

struct churn;

struct grain {
  struct churn *churn;
  struct stress_mark mark;
  uint32_t yields;
  bool pinned;
  uint64_t value; /* result: written by the task */
};

struct churn {
  struct stress_round *r;
  struct grain *grains;
  int producers, batches, batch;
  atomic_int detached_ended; /* release by the task, acquire by who waits for all */
};

struct producer {
  struct churn *churn;
  int index;
};

static int work(void *arg) {
  struct grain *g = arg;
  int worker = weft_worker_id();
  stress_begin(&g->mark);
  for (uint32_t i = 0; i < g->yields; i++) {
    EXPECT_INT(weft_yield(), 0);
    if (g->pinned) EXPECT_INT(weft_worker_id(), worker);
  }
  g->value = (uint64_t)(uintptr_t)g * 3;
  return stress_end(&g->mark, 5);
}

static int work_detached(void *arg) {
  struct grain *g = arg;
  struct churn *c = g->churn;
  work(g);
  atomic_fetch_add_explicit(&c->detached_ended, 1, memory_order_release);
  return 0;
}

static const weft_spawn_opts *options(const struct grain *g) {
  static const weft_spawn_opts pinned = {.pinned = true, .name = "pinned grain"};
  return g->pinned ? &pinned : NULL;
}

static void await_batch(struct grain *g, int n, weft_task *t) {
  for (int i = 0; i < n; i++) t[i] = weft_spawn(work, &g[i], options(&g[i]));
  for (int i = n; i-- > 0;) EXPECT_INT(weft_await(t[i]), 5);
  for (int i = 0; i < n; i++) EXPECT(g[i].value == (uint64_t)(uintptr_t)&g[i] * 3);
}

static void join_batch(struct grain *g, int n) {
  weft_group group = WEFT_GROUP_INIT;
  for (int i = 0; i < n; i++) EXPECT_INT(weft_group_spawn(&group, work, &g[i], options(&g[i])), 0);
  EXPECT_INT(weft_group_join(&group), 0);
  for (int i = 0; i < n; i++) EXPECT(g[i].value == (uint64_t)(uintptr_t)&g[i] * 3);
}

static int produce(void *arg) {
  struct producer *p = arg;
  struct churn *c = p->churn;
  struct weft__rng rng;
  weft_task *t = stress_alloc((size_t)c->batch, sizeof *t);
  int detached = 0;
  stress_rng(&rng, c->r, (uint64_t)p->index);
  for (int b = 0; b < c->batches; b++) {
    struct grain *g = &c->grains[(p->index * c->batches + b) * c->batch];
    for (int i = 0; i < c->batch; i++) {
      g[i].churn = c;
      g[i].yields = stress_one_in(&rng, 4) ? stress_draw(&rng, 4) : 0;
      g[i].pinned = stress_one_in(&rng, 16);
    }
    uint32_t how = stress_draw(&rng, 3);
    if (how == 0) await_batch(g, c->batch, t);
    if (how == 1) join_batch(g, c->batch);
    for (int i = 0; how == 2 && i < c->batch; i++, detached++)
      EXPECT_INT(weft_detach(weft_spawn(work_detached, &g[i], options(&g[i]))), 0);
  }
  free(t);
  return detached;
}

static int churn_main(void *arg) {
  struct churn *c = arg;
  struct producer p[8];
  weft_task t[8];
  int detached = 0;
  for (int i = 0; i < c->producers; i++) {
    p[i] = (struct producer){c, i};
    t[i] = weft_spawn(produce, &p[i], NULL);
  }
  for (int i = 0; i < c->producers; i++) {
    int code = weft_await(t[i]);
    if (EXPECT(code >= 0)) detached += code;
  }
  while (atomic_load_explicit(&c->detached_ended, memory_order_acquire) < detached)
    if (!EXPECT_INT(weft_yield(), 0)) break;
  return 0;
}

static void churn_round(struct stress_round *r) {
  struct churn c = {.r = r,
                    .producers = 1 + (int)stress_draw(r->rng, 8),
                    .batches = 2 + (int)stress_draw(r->rng, 4),
                    .batch = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(1500))};
  int n = c.producers * c.batches * c.batch;
  c.grains = stress_alloc((size_t)n, sizeof *c.grains);
  EXPECT_INT(stress_run(r, churn_main, &c), 0);
  for (int i = 0; i < n; i++) stress_ran(&c.grains[i].mark);
  free(c.grains);
}

const struct stress_workload stress_churn = {
    .name = "churn",
    .about = "floods of tiny tasks, awaited, joined or detached, some pinned",
    .round = churn_round,
    .flags = STRESS_EXACT_TOO,
};
