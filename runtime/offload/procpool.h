/* The pool object: who may use which slot, and how many processes there are.
 *
 * A call is straight-line code in the calling task: acquire a slot, write the request, wait for the
 * answer, release the slot. There is no dispatcher. Slots are handed out in the order of asking:
 * a release wakes the oldest waiter and keeps a slot for it (`granted`), which a newcomer does not
 * take.
 *
 * Idle slots with a process are at the front of the list, the one used last first (its caches are
 * warm); empty ones at the back, so a call meets one only when no live process is idle.
 */
#ifndef WEFT_OFFLOAD_PROCPOOL_H
#define WEFT_OFFLOAD_PROCPOOL_H

#include <stdbool.h>

#include "base/atomics.h"
#include "base/list.h"
#include "base/spin.h"
#include "core/waitq.h"
#include "offload/crew.h"
#include "offload/procslot.h"
#include "offload/zygote.h"

struct weft_procpool {
  struct weft__crew crew;     /* constant */
  struct weft__zygote zygote; /* constant */

  /* Counts for readers on any thread: relaxed, written by whoever holds the slot concerned. */
  weft__atomic_u32 alive;
  weft__atomic_u64 deaths;
  weft__atomic_u32 zygote_reported; /* 1 once the log was told that the zygote is gone; exchanged */

  struct weft__spin lock;     /* guards the rest */
  struct weft__waitq waiters; /* for a slot */
  struct weft__list idle;     /* slots that nobody holds */
  uint32_t nidle;             /* how many there are in idle, */
  uint32_t granted;           /* and how many of them are kept for waiters that were woken */
  bool closing;

  struct weft__procslot slots[]; /* crew.workers; each its holder's */
};

/* Takes a slot, waiting for its turn. 0, WEFT_ECLOSED, or what ended the wait: none was taken. */
int weft__procpool_acquire(struct weft_procpool *pool, struct weft__procslot **ret);
void weft__procpool_release(struct weft_procpool *pool, struct weft__procslot *s);

/* For the holder of the slot: makes a process for it if it has none; ends its process, whose manner
 * of death is returned. Both count. */
int weft__procpool_revive(struct weft_procpool *pool, struct weft__procslot *s, weft__wait_fn wait);
uint32_t weft__procpool_bury(struct weft_procpool *pool, struct weft__procslot *s,
                             weft__wait_fn wait);

#endif
