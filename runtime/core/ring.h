/* The ring of ready tasks: a bounded FIFO of opaque non-NULL pointers with one producer.
 *
 * The owner pushes at the tail with plain stores; the owner and thieves take at the head, each by a
 * compare-and-swap of head. Elements are numbered in push order; element i lives in slot
 * i % capacity; the ring holds [head, tail). Numbers are 64 bits wide and head only grows, so a
 * compare-and-swap of head cannot mistake an old value for a new one.
 *
 * Takers copy first and claim after: slots [h, h + n) are read, then head is moved from h to h + n.
 * The invariant that makes the copy good: slot i holds element i from its push until head > i,
 * because the owner reuses the slot (for element i + capacity) only after it has read head > i with
 * acquire, and the compare-and-swap that moved head is a release that follows the copy. If head has
 * moved meanwhile the compare-and-swap fails and the copy is thrown away. Nobody takes without
 * moving head, so a thief may take many at once and no fence is needed.
 */
#ifndef WEFT_CORE_RING_H
#define WEFT_CORE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/check.h"

#ifndef WEFT__RING_CAP
#define WEFT__RING_CAP 256
#endif

#define WEFT__RING_LONG (WEFT__RING_CAP / 8)
_Static_assert(WEFT__RING_CAP >= 2 && (WEFT__RING_CAP & (WEFT__RING_CAP - 1)) == 0,
               "the capacity of the ring is a power of two");

/* All zero is an empty ring. Three regions a cache line apart, as in the deque. */
struct weft__ring {
  /* Number of the next push. Written by the owner only, release; pairs with the takers' acquire
   * (the slot, and what the element points to). */
  _Alignas(WEFT__CACHE_LINE) weft__atomic_u64 tail;
  /* A lower bound of head, so that push need not touch the takers' line. Owner only. */
  uint64_t head_seen;

  /* Number of the oldest element. Moved by compare-and-swap only (acq_rel), by any thread. Its
   * release pairs with push's acquire (the copy is done) and with a thief's acquire (who sees a head
   * sees a tail that is not behind it). */
  _Alignas(WEFT__CACHE_LINE) weft__atomic_u64 head;

  /* Written by the owner only; ordered by tail and head, hence all relaxed. */
  _Alignas(WEFT__CACHE_LINE) weft__atomic_ptr slots[WEFT__RING_CAP];
};

static inline weft__atomic_ptr *weft__ring_slot(struct weft__ring *r, uint64_t i) {
  return &r->slots[i & (WEFT__RING_CAP - 1)];
}

/* Any thread. Exact for the owner while nobody steals, otherwise a guess between 0 and the
 * capacity. Orders nothing: who parks on the answer needs a fence between publishing that and
 * looking here. An element that stays in the ring is never overlooked. */
static inline unsigned weft__ring_len(const struct weft__ring *r) {
  uint64_t h = weft__load_relaxed_u64(&r->head); /* before tail: it only grows */
  uint64_t n = weft__load_relaxed_u64(&r->tail) - h;
  if ((int64_t)n <= 0) return 0; /* a head that is newer than the tail */
  return n < WEFT__RING_CAP ? (unsigned)n : WEFT__RING_CAP;
}

/* Owner. Adds x as the newest; false when the ring is full. */
static inline bool weft__ring_push(struct weft__ring *r, void *x) {
  uint64_t t = weft__load_relaxed_u64(&r->tail);
  if (weft__unlikely(t - r->head_seen >= WEFT__RING_CAP)) {
    r->head_seen = weft__load_acquire_u64(&r->head); /* pairs with the takers' release */
    if (t - r->head_seen >= WEFT__RING_CAP) return false;
  }
  weft__store_relaxed_ptr(weft__ring_slot(r, t), x);
  weft__store_release_u64(&r->tail, t + 1); /* pairs with the takers' acquire */
  return true;
}

/* Owner. Takes the oldest; NULL when the ring is empty. */
static inline void *weft__ring_pop(struct weft__ring *r) {
  uint64_t t = weft__load_relaxed_u64(&r->tail);
  uint64_t h = weft__load_relaxed_u64(&r->head);
  while (h != t) {
    void *x = weft__load_relaxed_ptr(weft__ring_slot(r, h));
    /* In a long queue the next but one is not in the cache. Perhaps it is somebody else's by then. */
    if (weft__unlikely(t - h > WEFT__RING_LONG))
      __builtin_prefetch(weft__load_relaxed_ptr(weft__ring_slot(r, h + 2)), 1);
    if (weft__cas_u64(&r->head, &h, h + 1)) /* against thieves */
      return x;
  }
  return NULL;
}

/* Any thread, the owner too. Takes the oldest half, rounded up, at most max, into out in age order;
 * returns how many, 0 only when the ring was empty. Each lost race is another taker's success, so
 * the loop ends. */
static inline unsigned weft__ring_steal(struct weft__ring *r, void **out, unsigned max) {
  uint64_t h = weft__load_acquire_u64(&r->head);
  for (;;) {
    uint64_t t = weft__load_acquire_u64(&r->tail); /* pairs with push's release */
    uint64_t n = (t - h + 1) / 2;
    if (n > WEFT__RING_CAP / 2) /* h is old: the owner has gone round since; the claim will fail */
      n = WEFT__RING_CAP / 2;
    if (n > max) n = max;
    if (n == 0) return 0;
    for (uint64_t i = 0; i < n; i++) out[i] = weft__load_relaxed_ptr(weft__ring_slot(r, h + i));
    if (weft__cas_u64(&r->head, &h, h + n)) return (unsigned)n;
  }
}

#endif
