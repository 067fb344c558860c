/* Locks, for those who build on them and for those who look at who holds one. */
#ifndef WEFT_AIO_LOCK_H
#define WEFT_AIO_LOCK_H

#include <weft/sync.h>

#include "aio/holder.h"
#include "aio/sync.h"

/* The word's state names the task that holds the lock (holder.h), 0 when it is free. QUEUED is set only
 * while somebody holds it. */
struct weft__lock {
  struct weft__sync sync;
};
_Static_assert(sizeof(struct weft__lock) <= WEFT_LOCK_SIZE, "weft_lock is large enough");

static inline struct weft__lock *weft__lock_of(weft_lock *l) {
  return (struct weft__lock *)(void *)l;
}

/* Whether t, which calls it, holds the lock. */
static inline bool weft__lock_held_by(const struct weft__lock *l, struct weft__task *t) {
  uint64_t word = weft__load_relaxed_u64(&l->sync.word);
  return (word & ~WEFT__SYNC_FLAGS) == weft__holder_self(t);
}

/* Takes the lock for t, which calls it, on the slow path; masked: no cancel ends the wait. 0,
 * WEFT_ECANCELED, WEFT_EDEADLK, WEFT_ENOMEM. */
int weft__lock_take(struct weft__lock *l, struct weft__task *t, bool masked);

#endif
