/* The shared memory through which job bytes travel: per slot one page of notes, an area for what
 * goes in and one for what comes out.
 *
 * It is mapped once, before the zygote is forked, so the pool and every worker have it at the same
 * address and no descriptor is needed. It is address space only until it is touched. A slot's areas
 * belong to whoever holds the slot, and from its CALL to its ANSWER or DEATH to the worker; the
 * frames order the accesses. A worker unmaps the slots of the others: what it scribbles over is its
 * own job.
 */
#ifndef WEFT_OFFLOAD_AREA_H
#define WEFT_OFFLOAD_AREA_H

#include <stddef.h>

#include "base/atomics.h"

/* Constant once mapped. */
struct weft__area {
  char *base;
  size_t page;
  size_t payload; /* of one direction, in whole pages */
  size_t stride;  /* from slot to slot */
  unsigned slots;
};

/* 0, WEFT_EINVAL when the size overflows, WEFT_ENOMEM. */
int weft__area_map(struct weft__area *a, unsigned slots, size_t max_payload);
void weft__area_unmap(struct weft__area *a);

/* In the pool's process, after the zygote was forked: no later fork inherits the areas. */
void weft__area_withhold(const struct weft__area *a);

/* In a worker: unmaps all but one slot. 0 or the code of munmap. */
int weft__area_keep(const struct weft__area *a, unsigned slot);

static inline char *weft__area_slot(const struct weft__area *a, unsigned slot) {
  return a->base + slot * a->stride;
}

/* The seq of the call that the slot's worker began last: the worker stores it (release) before it
 * runs the job, the pool loads it (acquire) when the worker has died, to tell a job that was lost
 * from one that was never begun. */
static inline weft__atomic_u64 *weft__area_begun(const struct weft__area *a, unsigned slot) {
  return (weft__atomic_u64 *)(void *)weft__area_slot(a, slot);
}

static inline void *weft__area_in(const struct weft__area *a, unsigned slot) {
  return weft__area_slot(a, slot) + a->page;
}

static inline void *weft__area_out(const struct weft__area *a, unsigned slot) {
  return weft__area_slot(a, slot) + a->page + a->payload;
}

#endif
