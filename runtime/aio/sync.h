/* What locks, events, semaphores and their kin are made of: a word that holds the object's state and
 * the bit that locks it, and a first-in first-out line of waiting tasks.
 *
 *   bit 0   LOCKED  somebody changes the line, and alone may change the word: a spinlock
 *   bit 1   QUEUED  somebody waits
 *   others          the object's state
 *
 * While neither bit is set nobody waits, and a change of the state is one CAS of the word (the fast
 * path of every object). Whoever finds one of the bits locks the word first; who hands something over
 * does so under it: pops the oldest waiter, wins its wait, and publishes the new state together with
 * the unlocking. So nobody can come in between, and a waiter whose cancel was faster has taken nothing:
 * the next one gets it.
 *
 * The object may die as soon as a waiter has gone on, since it may lie on the waiter's stack:
 *   - A waiter that was parked is made ready by who has won it after the last touch of the object.
 *   - One that had not parked yet may go on by itself while the winner still has the word locked: it
 *     waits for the unlocking before it returns (weft__sync_settle).
 *   - A waiter that was not won takes itself out of the line under the lock.
 *   - A thread that waits is woken under the lock, and waits for the unlocking like the second kind.
 *
 * Ordering: every change of the word is an acq_rel CAS, or the release store that unlocks it; who reads
 * the state to act on it does so by CAS or acquires. So what was done before a release, a set or a done
 * is seen by who acquires or waits successfully: through the word, or for who was handed it through
 * the claim word of the task.
 *
 * LOCKED is taken by tasks and by plain threads, for a few dozen instructions; only the claim words of
 * tasks are changed under it.
 */
#ifndef WEFT_AIO_SYNC_H
#define WEFT_AIO_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/list.h"
#include "base/sim.h"
#include "core/park.h"
#include "core/self.h"
#include "core/worker.h"

#define WEFT__SYNC_LOCKED UINT64_C(1)
#define WEFT__SYNC_QUEUED UINT64_C(2)
#define WEFT__SYNC_FLAGS (WEFT__SYNC_LOCKED | WEFT__SYNC_QUEUED)

/* Valid when zeroed. The first member of an object, whose address names it in reports. */
struct weft__sync {
  weft__atomic_u64 word;  /* see above */
  struct weft__list line; /* guarded by LOCKED; a ring since the first time it was locked */
};

/* Tasks that were won while parked: their winner's, to be made ready when the object is unlocked. */
struct weft__sync_woken {
  struct weft__task *first; /* through link[WEFT__LINK_READY] */
  struct weft__task *last;
};

static inline void weft__sync_woken_add(struct weft__sync_woken *woken, struct weft__task *t) {
  t->link[WEFT__LINK_READY] = NULL;
  if (woken->last)
    woken->last->link[WEFT__LINK_READY] = t;
  else
    woken->first = t;
  woken->last = t;
}

/* ---- entering ---- */

/* A cancel, or a timeout scope that has expired, may be due. */
static inline bool weft__cancel_due(struct weft__task *t) {
  return (weft__load_relaxed_u64(&t->word) & WEFT__CANCEL) || t->sticky || t->limit_hit;
}

/* What every acquire and wait begins with: 0 and the calling task, which then has paid for a turn that may
 * need no suspension; or why there is nothing to be had. Inline: half of an uncontended acquire. */
static inline __attribute__((always_inline)) int weft__sync_enter_as(const char *function,
                                                                     struct weft__task **ret) {
  struct weft__worker *w = weft__self();
  if (weft__unlikely(!w || !w->current))
    return weft__no_task_at(function, __builtin_return_address(0));
  struct weft__task *t = w->current;
  if (weft__unlikely(weft__cancel_due(t))) {
    int r = weft__checkpoint(t);
    if (r < 0) return r;
  }
  if (weft__likely(w->budget > 1))
    w->budget--;
  else
    weft__spend(t);
  *ret = t;
  return 0;
}

/* In the public function itself, which a report names. */
#define weft__sync_enter(ret) weft__sync_enter_as(__func__, ret)

/* The same for calls that block a thread which is no worker: 0 and NULL for that one. */
int weft__sync_enter_outside(void);
static inline __attribute__((always_inline)) int
weft__sync_enter_or_block_as(const char *function, struct weft__task **ret) {
  if (weft__likely(weft__self() != NULL)) return weft__sync_enter_as(function, ret);
  *ret = NULL;
  return weft__sync_enter_outside();
}
#define weft__sync_enter_or_block(ret) weft__sync_enter_or_block_as(__func__, ret)

/* What a call begins with that any thread may make: 0 or WEFT_ECHILD. */
static inline int weft__sync_enter_any(void) {
  return weft__unlikely(!weft__self()) && weft__in_child() ? WEFT_ECHILD : 0;
}

/* ---- the word and the line ---- */

void weft__sync_wait_unlocked(struct weft__sync *s);

/* Locks; returns the word without the flags. */
static inline uint64_t weft__sync_lock(struct weft__sync *s) {
  uint64_t word = weft__load_relaxed_u64(&s->word);
  while ((word & WEFT__SYNC_LOCKED) ||
         weft__unlikely(!weft__cas_u64(&s->word, &word, word | WEFT__SYNC_LOCKED))) {
    if (!(word & WEFT__SYNC_LOCKED)) continue;
    weft__sync_wait_unlocked(s);
    word = weft__load_relaxed_u64(&s->word);
  }
  if (weft__unlikely(!s->line.next)) weft__list_init(&s->line);
  return word & ~WEFT__SYNC_FLAGS;
}

/* Unlocks with this state, which has no flags; the last touch of an object that may die. */
static inline void weft__sync_unlock(struct weft__sync *s, uint64_t state) {
  uint64_t queued = weft__list_empty(&s->line) ? 0 : WEFT__SYNC_QUEUED;
  weft__store_release_u64(&s->word, state | queued); /* pairs with the CAS of the next who locks */
}

/* The calling task's wait was won: returns when the winner is done with the object. The winner had the word
 * locked before it won, so a load that comes after sees that or what came later. */
static inline void weft__sync_settle(struct weft__sync *s) {
  if (weft__unlikely(weft__load_acquire_u64(&s->word) & WEFT__SYNC_LOCKED))
    weft__sync_wait_unlocked(s);
}

/* Who calls is about to wait: t, or a thread when t is NULL. 0, or WEFT_ECANCELED. */
static inline int weft__sync_open(struct weft__task *t) {
  return t ? weft__wait_open(t, false, &t->wait.ticket) : 0;
}
/* It need not wait. */
static inline void weft__sync_abort(struct weft__task *t) {
  if (t) weft__wait_abort(t, t->wait.ticket);
}

/* Then, with the word locked: goes to the end of the line, unlocks with this state, and waits for its turn.
 * What it was told, or WEFT_ECANCELED or WEFT_ENOMEM, and it is in no line any more. */
int weft__sync_queue_up(struct weft__sync *s, struct weft__task *t, uint64_t state,
                        const struct weft__wait_kind *kind);

/* The parts of that, for a task. */

/* t, which calls it, has an open wait (t->wait.ticket) and the word locked: goes to the end of the line with
 * this mark, and unlocks with this state. `object` is what it waits for, as the caller of the API knows
 * it. */
void weft__sync_join(struct weft__sync *s, struct weft__task *t, uint64_t state, int mark,
                     const struct weft__wait_kind *kind, const void *object);

/* Then parks. 0: won, t->wait.code is the winner's; else what weft__wait_park says, and the record is
 * still to be taken out (weft__sync_leave). */
int weft__sync_wait(struct weft__sync *s, struct weft__task *t);

/* After a wait that was not won: locks, takes the record out if it is still linked, and returns the state
 * as weft__sync_lock does. The caller unlocks. */
uint64_t weft__sync_leave(struct weft__sync *s, struct weft__task *t);

/* Under the lock: takes the record out of its line, tells it code, and wins its wait; false when a cancel
 * or a deadline was faster. */
bool weft__sync_win(struct weft__waiter *rec, int code, struct weft__sync_woken *woken);

/* Under the lock: wins the oldest waiter that is still to be had; false when there is none. *ret, if not
 * NULL, is the task, or NULL. */
bool weft__sync_wake(struct weft__sync *s, int code, struct weft__sync_woken *woken,
                     struct weft__task **ret);

/* After the unlocking, on any thread. */
void weft__sync_ready_slow(struct weft__sync_woken *woken);
static inline void weft__sync_ready(struct weft__sync_woken *woken) {
  if (woken->first) weft__sync_ready_slow(woken);
}

/* Under the lock: the calling thread must not wake these waiters, because they are simulated and it is
 * not. No worker is a stranger to them: a simulation has no runtime beside it. */
bool weft__sync_refuses_stranger(struct weft__sync *s);
static inline bool weft__sync_refuses(struct weft__sync *s) {
  return weft__unlikely(!weft__self()) && weft__sync_refuses_stranger(s);
}

/* The oldest waiter's record, or NULL. Under the lock. */
static inline struct weft__waiter *weft__sync_first(struct weft__sync *s) {
  struct weft__list *l = weft__list_first(&s->line);
  return l ? weft__container_of(l, struct weft__waiter, link) : NULL;
}

/* Wakes all who wait, through the gates of their records if they have any, and tells them code. Locked on
 * entry, on return unlocked with this state; the last touch of an object that may die. In one go, however
 * many they are: they might all be gone, and the object with them, when it is unlocked in between. */
void weft__sync_wake_all(struct weft__sync *s, uint64_t state, int code);

#endif
