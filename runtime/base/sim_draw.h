/* The decisions of a simulation: drawn from its seed, recorded, or read from a log. */
#ifndef WEFT_BASE_SIM_DRAW_H
#define WEFT_BASE_SIM_DRAW_H

#include "base/choice.h"
#include "base/sim.h"

struct weft__draws {
  struct weft__rng rng;
  struct weft_sim_log *record;
  const struct weft_sim_log *follow;
  uint64_t taken;
  bool diverged;
};

void weft__draws_begin(struct weft__draws *d, const struct weft__sim_setup *setup);

/* The program did not take the decisions of the log that it followed: others, more, or fewer. */
bool weft__draws_diverged(const struct weft__draws *d);

/* One of 0 .. n - 1. */
uint32_t weft__draws_next(struct weft__draws *d, uint32_t n);

#endif
