/* Exact mode: whatever the machine does around it, the same program takes the same steps in the
 * same order, and what stands between two awaits is not interrupted. */
#include <string.h>

#include "base/choice.h"
#include "stress.h"

struct actor;

struct play {
  struct actor *actors;
  int capacity, used;
  uint32_t *steps; /* who and what, in the order it happened */
  size_t taken, most;
  uint64_t unlocked; /* counted without a lock */
};

struct actor {
  struct play *play;
  struct weft__rng rng;
  struct stress_mark mark;
  weft_task task;
};

static struct actor *take(struct play *p, struct weft__rng *rng) {
  if (p->used == p->capacity) return NULL;
  struct actor *a = &p->actors[p->used++];
  a->play = p;
  a->rng.state = weft__rng_next(rng);
  return a;
}

static void step(struct actor *a, uint32_t what) {
  struct play *p = a->play;
  if (p->taken < p->most) p->steps[p->taken++] = (uint32_t)(a - p->actors) << 8 | what;
}

static int act(void *arg) {
  struct actor *a = arg;
  struct play *p = a->play;
  int r = 0;
  stress_begin(&a->mark);
  for (uint32_t i = 1 + stress_draw(&a->rng, 6); i > 0 && r == 0; i--) {
    uint64_t before = p->unlocked;
    uint32_t what = stress_draw(&a->rng, 6);
    struct actor *child = what >= 2 ? take(p, &a->rng) : NULL;
    step(a, what);
    for (volatile uint32_t k = stress_draw(&a->rng, 200); k > 0; k--) {}
    p->unlocked = before + 1;
    if (child) child->task = weft_spawn(act, child, NULL);
    if (!child || what == 2)
      r = weft_yield();
    else if (what == 3)
      weft_cancel(child->task);
    if (child && what == 4)
      weft_detach(child->task);
    else if (child)
      EXPECT(weft_await(child->task) <= 0);
  }
  step(a, 100 + (uint32_t)(r < 0));
  return stress_end(&a->mark, r);
}

static void play_once(struct stress_round *r, struct play *p) {
  struct weft__rng rng;
  p->capacity = stress_many(2000);
  p->most = (size_t)p->capacity * 8;
  p->actors = stress_alloc((size_t)p->capacity, sizeof *p->actors);
  p->steps = stress_alloc(p->most, sizeof *p->steps);
  stress_rng(&rng, r, 0);
  EXPECT_INT(stress_run(r, act, take(p, &rng)), 0);
  for (int i = 0; i < p->used; i++) stress_whole(&p->actors[i].mark);
}

static void exact_round(struct stress_round *r) {
  struct play first = {0}, again = {0};
  r->opts.exact = true;
  r->opts.workers = 1;
  play_once(r, &first);
  play_once(r, &again);
  EXPECT_INT(again.taken, first.taken);
  EXPECT_INT(again.unlocked, first.unlocked);
  EXPECT(memcmp(first.steps, again.steps, first.taken * sizeof *first.steps) == 0);
  free(first.actors);
  free(first.steps);
  free(again.actors);
  free(again.steps);
}

const struct stress_workload stress_exact = {
    .name = "exact",
    .about = "exact mode: the same steps in the same order, twice",
    .round = exact_round,
};
