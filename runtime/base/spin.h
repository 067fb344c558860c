/* A spinlock of four bytes for sections of a few dozen instructions that never block, never
 * suspend and take no other lock of the same kind out of order.
 *
 * All bits zero is unlocked. A waiter relaxes the CPU for about the length of such a section and
 * then yields the thread, because the holder may have been preempted. Not for signal handlers.
 */
#ifndef WEFT_BASE_SPIN_H
#define WEFT_BASE_SPIN_H

#include <sched.h>
#include <stdbool.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/sim.h"

struct weft__spin {
  weft__atomic_u32 locked; /* 1 while held. Taken by cas (acquire), given back by a release store */
};

/* About the length of a section: so long it is worth staying on the CPU. */
#define WEFT__SPIN_ROUNDS 64

/* Waits until the lock looks free. Under the explorer every round is a scheduling point. */
static inline void weft__spin_wait(struct weft__spin *s) {
  for (unsigned round = 1; weft__load_relaxed_u32(&s->locked) != 0; round++) {
    weft__cpu_relax();
#if defined(WEFT_MODEL)
    (void)round;
#else
    if (round % WEFT__SPIN_ROUNDS == 0 && !weft__sim_here()) sched_yield();
#endif
  }
}

static inline bool weft__spin_trylock(struct weft__spin *s) {
  uint32_t free = 0;
  return weft__load_relaxed_u32(&s->locked) == 0 && weft__cas_u32(&s->locked, &free, 1);
}

static inline void weft__spin_lock(struct weft__spin *s) {
  uint32_t free = 0;
  while (weft__unlikely(!weft__cas_u32(&s->locked, &free, 1))) {
    weft__spin_wait(s);
    free = 0;
  }
}

static inline void weft__spin_unlock(struct weft__spin *s) {
  WEFT__DEBUG_ASSERT(weft__load_relaxed_u32(&s->locked) == 1);
  weft__store_release_u32(&s->locked, 0);
}

#endif
