/* A decision that is followed is drawn too, so that the generator stands where it stood when the log
 * was made: what the ring has lost, and what comes after its end, are the seed's.
 */
#include "base/sim_draw.h"

#include <stddef.h>

enum { DRAWS = 1 }; /* the stream; workers have the others */

void weft__draws_begin(struct weft__draws *d, const struct weft__sim_setup *setup) {
  uint64_t seed = setup->follow ? setup->follow->seed : setup->seed;
  *d = (struct weft__draws){.record = setup->record, .follow = setup->follow};
  weft__rng_init(&d->rng, seed, UINT64_MAX - DRAWS);
  if (!d->record) return;
  d->record->seed = seed;
  d->record->taken = 0;
}

/* The i-th decision of the log, if the ring still has it. */
static bool logged(const struct weft_sim_log *log, uint64_t i, uint32_t *ret) {
  if (i >= log->taken || log->taken - i > log->capacity) return false;
  *ret = log->decisions[i % log->capacity];
  return true;
}

uint32_t weft__draws_next(struct weft__draws *d, uint32_t n) {
  uint32_t x = (uint32_t)(((weft__rng_next(&d->rng) >> 32) * n) >> 32);
  uint32_t follow;
  if (d->follow && logged(d->follow, d->taken, &follow)) {
    if (follow < n)
      x = follow;
    else
      d->diverged = true;
  }
  if (d->record && d->record->capacity) {
    d->record->decisions[d->taken % d->record->capacity] = x;
    d->record->taken = d->taken + 1;
  }
  d->taken++;
  return x;
}

bool weft__draws_diverged(const struct weft__draws *d) {
  return d->diverged || (d->follow && d->follow->taken != d->taken);
}
