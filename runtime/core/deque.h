/* The deque of unstarted tasks: a bounded Chase-Lev deque of opaque non-NULL pointers.
 *
 * The owner pushes and pops at the bottom (newest first); thieves take at the top (oldest first).
 * Elements are numbered in push order and never renumbered; element i lives in slot i % capacity;
 * the deque holds [top, bottom). Numbers are 64 bits wide and top only grows, so a
 * compare-and-swap of top cannot mistake an old value for a new one.
 *
 * Who takes element i:
 *  - a thief, and the owner at the old end, by moving top from i with a compare-and-swap;
 *  - the owner at the new end by lowering bottom to i first and then reading top: if top < i no
 *    thief can still reach i and it is taken without a compare-and-swap; if top == i it is the
 *    last one and the compare-and-swap decides.
 *
 * The one store-load order this rests on: the owner's "store bottom, light fence, load top" against
 * the thief's "load top, heavy fence, load bottom". Either the thief sees the lowered bottom and
 * gives up, or the owner sees the top from which the thief started and settles it by
 * compare-and-swap. The thief must therefore load top BEFORE its fence: a top read again after it
 * could be one that the owner has not seen, and both would take the element.
 *
 * Slot i is overwritten (by element i + capacity) only after the owner has read top > i with
 * acquire; the compare-and-swap that moved top past i is a release that follows the taker's read
 * of the slot.
 */
#ifndef WEFT_CORE_DEQUE_H
#define WEFT_CORE_DEQUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/check.h"

#ifndef WEFT__DEQUE_CAP
#define WEFT__DEQUE_CAP 4096
#endif

_Static_assert(WEFT__DEQUE_CAP >= 2 && (WEFT__DEQUE_CAP & (WEFT__DEQUE_CAP - 1)) == 0,
               "the capacity of the deque is a power of two");

/* All zero is an empty deque. Three regions a cache line apart: what the owner writes, what takers
 * of the oldest write, what holds the elements. */
struct weft__deque {
  /* Number of the next push. Written by the owner only: release in push, for the acquire load in
   * steal (the slot, and what the element points to); relaxed elsewhere. */
  _Alignas(WEFT__CACHE_LINE) weft__atomic_u64 bottom;
  /* A lower bound of top, so that push need not touch the thieves' line. Owner only. */
  uint64_t top_seen;

  /* Number of the oldest element. Moved by compare-and-swap only (acq_rel), by any thread; its
   * release pairs with push's acquire load, see above. */
  _Alignas(WEFT__CACHE_LINE) weft__atomic_u64 top;

  /* Written by the owner only; ordered by bottom and top, hence all relaxed. */
  _Alignas(WEFT__CACHE_LINE) weft__atomic_ptr slots[WEFT__DEQUE_CAP];
};

static inline weft__atomic_ptr *weft__deque_slot(struct weft__deque *d, uint64_t i) {
  return &d->slots[i & (WEFT__DEQUE_CAP - 1)];
}

/* Elements in [top, bottom); a pop in progress can make bottom smaller than top for a moment. */
static inline uint64_t weft__deque_span(uint64_t top, uint64_t bottom) {
  return (int64_t)(bottom - top) > 0 ? bottom - top : 0;
}

/* Any thread. A guess: exact only for the owner while nobody steals. Orders nothing: who parks on
 * the answer needs a fence between publishing that and looking here. An element that stays in the
 * deque is never overlooked. */
static inline uint64_t weft__deque_len(const struct weft__deque *d) {
  uint64_t t = weft__load_relaxed_u64(&d->top); /* before bottom: it only grows */
  return weft__deque_span(t, weft__load_relaxed_u64(&d->bottom));
}

static inline bool weft__deque_looks_empty(const struct weft__deque *d) {
  return weft__deque_len(d) == 0;
}

/* Owner. Adds x as the newest; false when the deque is full. */
static inline bool weft__deque_push(struct weft__deque *d, void *x) {
  uint64_t b = weft__load_relaxed_u64(&d->bottom);
  if (weft__unlikely(b - d->top_seen >= WEFT__DEQUE_CAP)) {
    d->top_seen = weft__load_acquire_u64(&d->top); /* pairs with the takers' release */
    if (b - d->top_seen >= WEFT__DEQUE_CAP) return false;
  }
  weft__store_relaxed_ptr(weft__deque_slot(d, b), x);
  weft__store_release_u64(&d->bottom, b + 1); /* pairs with the acquire load in steal */
  return true;
}

/* Owner, inside claim: bottom was lowered to b and top read as t >= b. Element b, if it is still
 * there, is the last one. Not inline, to keep the fast path short. */
__attribute__((noinline, unused)) static bool weft__deque_claim_last(struct weft__deque *d,
                                                                     uint64_t b, uint64_t t) {
  bool mine = t == b && weft__cas_u64(&d->top, &t, b + 1); /* exactly one moves top from b */
  /* Relaxed: nothing is published, the deque is empty at b + 1. */
  weft__store_relaxed_u64(&d->bottom, b + 1);
  return mine;
}

/* Owner, inside pop: takes element b, the newest, unless a thief has it. */
static inline bool weft__deque_claim(struct weft__deque *d, uint64_t b) {
  weft__store_relaxed_u64(&d->bottom, b);
  weft__fence_light(); /* bottom before top; pairs with the heavy fence in steal */
  uint64_t t = weft__load_relaxed_u64(&d->top);
  if (weft__likely((int64_t)(b - t) > 0)) return true;
  return weft__deque_claim_last(d, b, t);
}

/* Owner. Takes the newest; NULL when the deque is empty. The slot of an empty deque may hold an
 * element that was taken long ago: the claim then finds top > b and answers false. */
static inline void *weft__deque_pop(struct weft__deque *d) {
  uint64_t b = weft__load_relaxed_u64(&d->bottom) - 1;
  void *x = weft__load_relaxed_ptr(weft__deque_slot(d, b));
  return weft__deque_claim(d, b) ? x : NULL;
}

/* Owner. The newest; when the deque is empty NULL or what was taken long ago: only a pop_if tells. */
static inline void *weft__deque_peek(struct weft__deque *d) {
  return weft__load_relaxed_ptr(weft__deque_slot(d, weft__load_relaxed_u64(&d->bottom) - 1));
}

/* Owner. Takes the newest when it is x and returns x; otherwise NULL, and nothing has changed. */
static inline void *weft__deque_pop_if(struct weft__deque *d, void *x) {
  uint64_t b = weft__load_relaxed_u64(&d->bottom) - 1;
  if (weft__load_relaxed_ptr(weft__deque_slot(d, b)) != x) return NULL;
  return weft__deque_claim(d, b) ? x : NULL;
}

/* Owner. Takes the oldest; NULL when the deque is empty. A theft from oneself, without a fence:
 * the fence of steal guards against a bottom that the owner has lowered and the thief does not see
 * yet, and the owner sees its own bottom. Other takers are held off by the compare-and-swap. */
static inline void *weft__deque_pop_oldest(struct weft__deque *d) {
  uint64_t b = weft__load_relaxed_u64(&d->bottom);
  uint64_t t = weft__load_relaxed_u64(&d->top);
  while (t != b) {
    void *x = weft__load_relaxed_ptr(weft__deque_slot(d, t));
    if (weft__cas_u64(&d->top, &t, t + 1)) return x;
  }
  return NULL;
}

/* Owner. Takes the oldest half, rounded up, at most max, into out in age order; returns how many.
 * Moving top by more than one is open to the owner alone: between its reads of bottom and top and
 * its compare-and-swap nobody lowers bottom, so [t, t + n) is taken by nobody without moving top. */
static inline unsigned weft__deque_take_half(struct weft__deque *d, void **out, unsigned max) {
  uint64_t b = weft__load_relaxed_u64(&d->bottom);
  uint64_t t = weft__load_relaxed_u64(&d->top);
  for (;;) {
    uint64_t n = (b - t + 1) / 2;
    if (n > max) n = max;
    if (n == 0) return 0;
    for (uint64_t i = 0; i < n; i++) out[i] = weft__load_relaxed_ptr(weft__deque_slot(d, t + i));
    if (weft__cas_u64(&d->top, &t, t + n)) return (unsigned)n;
  }
}

/* Any thread. Takes the oldest; NULL when the deque is empty, and NULL when another taker was
 * faster, which alone sets *lost. Pays for the heavy fence only when there is something to take. */
static inline void *weft__deque_steal(struct weft__deque *d, bool *lost) {
  *lost = false;
  uint64_t t = weft__load_relaxed_u64(&d->top);
  if (weft__deque_span(t, weft__load_relaxed_u64(&d->bottom)) == 0) return NULL;
  weft__fence_heavy(); /* top before bottom; pairs with the light fence in pop */
  uint64_t b = weft__load_acquire_u64(&d->bottom); /* pairs with push's release */
  if (weft__deque_span(t, b) == 0) return NULL;
  void *x = weft__load_relaxed_ptr(weft__deque_slot(d, t));
  if (!weft__cas_u64(&d->top, &t, t + 1)) {
    *lost = true;
    return NULL;
  }
  return x;
}

#endif
