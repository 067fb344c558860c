/* One round: its options, its run, and what the runtime says of itself at the end. */
#include <stdio.h>
#include <string.h>

#include "base/choice.h"
#include "core/worker.h"
#include "report.h"

void stress_rng(struct weft__rng *ret, const struct stress_round *r, uint64_t stream) {
  weft__rng_init(ret, r->seed, stream + 1);
}

/* Lines that a healthy round has no reason for. A task may well be alive a second after its cancel
 * when threads are held up on purpose. */
static void log_line(const char *line, void *arg) {
  struct stress_round *r = arg;
  if (r->quiet || strncmp(line, "still alive", 11) == 0 || strncmp(line, "and ", 4) == 0) return;
  stress_fail("the runtime says: %s", line);
}

void stress_round_init(struct stress_round *r, const struct stress_workload *workload,
                       uint64_t seed, struct weft__rng *rng) {
  memset(r, 0, sizeof *r);
  weft__rng_init(rng, seed, 0);
  r->workload = workload;
  r->seed = seed;
  r->rng = rng;
  r->opts.log = log_line;
  r->opts.log_arg = r;
  r->opts.workers = stress_one_in(rng, 8) ? 1 : 1 + (int)stress_draw(rng, stress_options.workers);
  r->opts.no_reserve = stress_one_in(rng, 4);
  r->opts.no_spin = stress_one_in(rng, 4);
  if (stress_one_in(rng, 8)) r->opts.stack_size = 256 * 1024;
  if ((workload->flags & STRESS_EXACT_TOO) && stress_one_in(rng, 8)) {
    r->opts.exact = true;
    r->opts.workers = 1;
  }
}

struct stage {
  struct stress_round *r;
  weft_fn fn;
  void *arg;
};

static void read_figures(struct weft__runtime *rt) {
  struct weft__blocking_stats b;
  for (unsigned i = 0; i < rt->nworkers + rt->nreserves; i++) {
    struct weft__worker *w = &rt->workers[i];
    stress_count(STRESS_SLICES, weft__counter_read(&w->counters.tasks_run));
    stress_count(STRESS_STEALS, weft__counter_read(&w->counters.steals));
    stress_count(STRESS_PARKS, weft__counter_read(&w->counters.parks));
    stress_count(STRESS_LEASES, weft__counter_read(&w->lease_count));
    stress_count(STRESS_HOGGED, weft__counter_read(&w->hog_count));
  }
  weft__blocking_stats(&rt->blocking, &b);
  stress_count(STRESS_JOBS, b.finished);
}

static int stage_main(void *arg) {
  struct stage *s = arg;
  struct weft__runtime *rt = weft__self()->rt;
  atomic_store(&s->r->rt, rt);
  int code = s->fn(s->arg);
  while (!s->r->leaves && weft__tasks_live(rt) != 1)
    if (!EXPECT_INT(weft_yield(), 0)) break;
  read_figures(rt);
  return code;
}

int stress_run(struct stress_round *r, weft_fn fn, void *arg) {
  struct stage s = {r, fn, arg};
  stress_watch_add(r);
  int code = weft_run(stage_main, &s, &r->opts);
  stress_watch_remove(r);
  atomic_store(&r->rt, NULL);
  return code;
}
