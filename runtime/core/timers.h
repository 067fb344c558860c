/* Deadlines of waiting tasks: a heap per worker, in nanoseconds.
 *
 * An entry names a wait by (task, ticket), never a record on a stack. The task remembers the heap
 * and the entry's place, so that it removes its timer from any worker under the heap's lock. Equal
 * deadlines fire in the order of their insertion. A timer never fires early: it fires when the
 * heap is looked at with a clock reading not below its deadline.
 *
 * Who sleeps on behalf of a heap publishes in `bound`, under the lock, until when; an insertion of
 * an earlier deadline by somebody else has to wake that sleeper: weft__timers_add says so.
 */
#ifndef WEFT_CORE_TIMERS_H
#define WEFT_CORE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spin.h"
#include "core/task.h"

struct weft__timer_entry {
  uint64_t deadline;
  uint64_t order; /* of insertion, among equals */
  struct weft__task *task;
  weft__ticket ticket;
};

struct weft__timers {
  struct weft__spin lock;            /* guards all but next */
  struct weft__timer_entry *entries; /* a 4-ary heap, the root at 0 */
  uint32_t count;
  uint32_t capacity;
  uint64_t order;
  uint64_t bound;                /* until when its guardian sleeps; 0 while the guardian is awake */
  struct weft__worker *guardian; /* who sleeps, while bound is not 0 */
  weft__atomic_u64 next; /* deadline of the root or WEFT__NEVER: written under the lock, read
                            without it as a hint, relaxed: who would sleep past it reads the heap
                            under the lock */
};

void weft__timers_init(struct weft__timers *h);
void weft__timers_fini(struct weft__timers *h);

/* Arms the wait (t, ticket). 0 or WEFT_ENOMEM; *ret_wake is the guardian when it sleeps past the
 * deadline and has to be woken, else NULL. By t itself. */
int weft__timers_add(struct weft__timers *h, struct weft__task *t, weft__ticket ticket,
                     uint64_t deadline, struct weft__worker **ret_wake);

/* Disarms t's timer if it still is armed. By t itself, after its wait. */
void weft__timers_remove(struct weft__task *t);

/* Wins every wait whose deadline is not after now and returns those that the caller has to make
 * ready, oldest deadline first, as a chain. Any worker. */
struct weft__task *weft__timers_fire(struct weft__timers *h, uint64_t now);

static inline uint64_t weft__timers_next(const struct weft__timers *h) {
  return weft__load_relaxed_u64(&h->next);
}

/* Worker w is about to sleep until `until` at the latest: returns the time until which it may,
 * which is not after the first deadline. Then weft__timers_awake. */
uint64_t weft__timers_sleep(struct weft__timers *h, struct weft__worker *w, uint64_t until);
void weft__timers_awake(struct weft__timers *h);

#endif
