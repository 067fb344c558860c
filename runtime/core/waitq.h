/* A first-in first-out queue of waiting tasks, for whatever hands something over: the owner keeps its
 * state and the queue under one spinlock, and a turn is passed to the oldest waiter under that lock,
 * so nobody who comes later can take it (no barging).
 */
#ifndef WEFT_CORE_WAITQ_H
#define WEFT_CORE_WAITQ_H

#include "base/list.h"
#include "base/spin.h"
#include "core/waitkind.h"

struct weft__waitq {
  struct weft__list waiters; /* guarded by the owner's lock */
};

void weft__waitq_init(struct weft__waitq *q);

/* Called by a task with the owner's lock held, which it releases. Waits for its turn: 0 when it was
 * passed on to it, WEFT_ECANCELED or WEFT_ENOMEM (then it was not, and nothing was taken). kind and
 * object say to others what it waits for. */
int weft__waitq_wait(struct weft__waitq *q, struct weft__spin *lock,
                     const struct weft__wait_kind *kind, const void *object);

/* The same, at most until the deadline: then WEFT_ETIMEDOUT. */
int weft__waitq_wait_until(struct weft__waitq *q, struct weft__spin *lock,
                           const struct weft__wait_kind *kind, const void *object,
                           uint64_t deadline);

/* Passes the turn to the oldest waiter: true if there was one. Called with the lock held, from any
 * thread. */
bool weft__waitq_wake_one(struct weft__waitq *q);

#endif
