/* Suspending a task: the one way in which a task waits for anything.
 *
 *   r = weft__wait_open(t, masked, &ticket);      answers a cancel that is already there
 *   link a record with (t, ticket) into each source, under the source's lock; if the source turns
 *   out to be ready: weft__wait_abort(t, ticket), unlink, done
 *   r = weft__wait_park(t, ticket, deadline);     switches away, comes back won
 *   unlink the records that are still linked, under their sources' locks
 *
 * Sources win the wait with weft__claim_win(word, ticket) under their own lock and then make the
 * task ready. All functions here are called by the task itself. After wait_park the task may be on
 * another thread.
 */
#ifndef WEFT_CORE_PARK_H
#define WEFT_CORE_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/task.h"

/* 0 when the calling task may go on; WEFT_ECANCELED when a cancel or an expired timeout scope is to
 * be delivered here, which it then has been. What every cancel point asks first. */
int weft__checkpoint(struct weft__task *t);

/* True when nothing is to be delivered to the calling task: a wait that is answered at once needs no more.
 * Delivers nothing. */
static inline bool weft__checkpoint_clear(struct weft__task *t) {
  return !t->sticky && !t->limit_hit && t->limit == WEFT__NEVER &&
         !(weft__load_relaxed_u64(&t->word) & WEFT__CANCEL);
}

/* As weft__checkpoint, then opens a wait. A masked wait opens always and obeys no timeout scope; one under
 * a shield obeys those that were begun in it (limit.h). */
int weft__wait_open(struct weft__task *t, bool masked, weft__ticket *ret);

/* The source was ready after all: closes the wait. A cancel that won it meanwhile is put back, since
 * the caller has its success to return. */
void weft__wait_abort(struct weft__task *t, weft__ticket ticket);

/* Waits until the wait is won or the deadline (WEFT__NEVER for none) has passed. 0 for an event,
 * WEFT_ETIMEDOUT for the deadline, WEFT_ECANCELED, or WEFT_ENOMEM when the timer could not be armed
 * (the wait is closed then). */
int weft__wait_park(struct weft__task *t, weft__ticket ticket, uint64_t deadline);

/* A cancel ended the wait, but the caller has a success to return all the same: the cancel counts as
 * undelivered again, so that the next suspension, or the end of the task, answers it. */
void weft__postpone_cancel(struct weft__task *t);

/* Suspends once without waiting for anything. */
int weft__yield(struct weft__task *t);

/* Leaves the stack for the eager child in w->eager, until that suspends or ends (eager.h). */
void weft__make_way(struct weft__task *t);

/* A wait that was answered without suspending: now and then lets others run. */
int weft__spend(struct weft__task *t);

/* Waits for t's end; t is key's task. 0, WEFT_ECANCELED unless masked, WEFT_ESTALE, WEFT_ENOMEM. */
int weft__wait_done(struct weft__task *cur, struct weft__task *t, uint32_t key, bool masked);

#endif
