/* Several runtimes of the process at the same time, begun and ended beside each other, each with
 * rounds of any other workload. */
#include "base/choice.h"
#include "stress.h"

enum { MOST = 4, ROUNDS = 3 };

struct beside {
  struct weft__rng rng;
  uint64_t seed;
  pthread_t thread;
};

static const struct stress_workload *draw_workload(struct weft__rng *rng) {
  uint32_t n = 0;
  while (stress_workloads[n]) n++;
  for (;;) {
    const struct stress_workload *w = stress_workloads[stress_draw(rng, n)];
    if (!(w->flags & (STRESS_ALONE | STRESS_PLANTED))) return w;
  }
}

static void *run_rounds(void *arg) {
  struct beside *b = arg;
  for (uint32_t i = 1 + stress_draw(&b->rng, ROUNDS); i > 0 && !stress_failed(); i--) {
    struct stress_round r;
    struct weft__rng rng;
    stress_round_init(&r, draw_workload(&b->rng), b->seed + i, &rng);
    if (r.opts.workers > 3) r.opts.workers = 3;
    r.workload->round(&r);
  }
  return NULL;
}

static void runtimes_round(struct stress_round *r) {
  struct beside b[MOST];
  uint32_t n = 2 + stress_draw(r->rng, MOST - 1);
  for (uint32_t i = 0; i < n; i++) {
    b[i].seed = r->seed + 100 * (i + 1);
    stress_rng(&b[i].rng, r, i);
    b[i].thread = stress_thread(run_rounds, &b[i]);
  }
  for (uint32_t i = 0; i < n; i++) pthread_join(b[i].thread, NULL);
}

const struct stress_workload stress_runtimes = {
    .name = "runtimes",
    .about = "several runtimes at the same time, with rounds of the other workloads",
    .round = runtimes_round,
    .flags = STRESS_ALONE,
};
