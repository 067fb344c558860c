/* Every nondeterministic decision of the runtime: which victim, which waiter, which of equals.
 *
 * Each worker has its own generator, seeded from one seed and its index, so a run is described by
 * WEFT_SEED and the decisions. A hook takes all decisions away from the generators: that is where a
 * simulation draws them from its own seed, and where a replay reads them from a log.
 */
#ifndef WEFT_BASE_CHOICE_H
#define WEFT_BASE_CHOICE_H

#include <stdint.h>

#include "base/check.h"

/* splitmix64: one word, full period, passes BigCrush. Written by its owner only. */
struct weft__rng {
  uint64_t state;
};

/* Takes the decision instead of the generator: a number below n. Runs on the deciding thread. */
typedef uint32_t (*weft__choice_fn)(void *arg, struct weft__rng *rng, uint32_t n);

/* Both set before the threads that decide begin and cleared after they ended: plain reads. */
extern weft__choice_fn weft__choice_hook;
extern void *weft__choice_hook_arg;

/* Generators with the same seed and different streams are independent. */
void weft__rng_init(struct weft__rng *rng, uint64_t seed, uint64_t stream);

/* The seed of this process: 1 and WEFT_SEED (decimal or 0x...), or 0 and a random one. A value of
 * WEFT_SEED that is not a number is reported with WEFT_EINVAL and *ret stays untouched. Any thread. */
int weft__choice_seed(uint64_t *ret);

/* NULL gives the decisions back to the generators. */
void weft__choice_set_hook(weft__choice_fn fn, void *arg);

/* 64 uniform bits; not a decision (the hook does not see it). */
static inline uint64_t weft__rng_next(struct weft__rng *rng) {
  uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* One of 0 .. n - 1, n >= 1; the bias is below n / 2^32. A choice among one is no decision. */
static inline uint32_t weft__choose(struct weft__rng *rng, uint32_t n) {
  WEFT__DEBUG_ASSERT(n > 0);
  if (n <= 1) return 0;
  if (weft__unlikely(weft__choice_hook)) return weft__choice_hook(weft__choice_hook_arg, rng, n);
  return (uint32_t)(((weft__rng_next(rng) >> 32) * n) >> 32);
}

#endif
