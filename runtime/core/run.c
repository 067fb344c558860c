/* weft_run: from a plain thread to a runtime and back. */
#include <weft/run.h>

#include "core/options.h"
#include "core/runner.h"
#include "core/simulate.h"
#include "core/worker.h"

int weft__run(const struct weft__main *m, const weft_run_opts *opts, uint64_t seed,
              struct weft__simulated *sim) {
  struct weft__runtime *rt;
  int r = weft__runner_begin(&rt, opts, seed, sim, false);
  if (r < 0) return r;
  if (sim) sim->begun = true;
  int code = weft__runner_play(rt, m, true);
  r = weft__runner_finish(rt);
  return r < 0 ? r : code;
}

int weft_run(weft_fn fn, void *arg, const weft_run_opts *opts) {
  static const weft_run_opts defaults;
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__self()) return WEFT_ENESTED;
  if (!fn) return WEFT_EINVAL;
  if (!opts) opts = &defaults;
  int r = weft__process_init();
  struct weft__simulated sim = {.seed = opts->seed};
  if (r == 0) r = opts->seed ? 1 : weft__options_seed(opts, &sim.seed);
  if (r < 0) return r;
  const struct weft__main m = {fn, arg, NULL, __builtin_return_address(0)};
  if (r == 0) return weft__run(&m, opts, sim.seed, NULL);
  weft_sim_report report;
  return weft__run_simulated(&m, opts, &sim, &report);
}
