/* Locks, events, conditions and semaphores for tasks.
 * asyncio counterparts: Lock, Event, Condition, Semaphore, BoundedSemaphore. Readers-writer locks
 * are weft's own. Barriers, wait groups and once are in weft/barrier.h.
 *
 *   struct account { weft_lock lock; long balance; };       (zeroed memory is an unlocked lock)
 *
 *   int r = weft_lock_acquire(&a->lock);
 *   if (r < 0) return r;                                    (cancelled: the lock was not taken)
 *   a->balance += n;
 *   weft_lock_release(&a->lock);
 *
 * Who waits suspends its task; the worker goes on with others. A lock may be held across
 * suspensions, which a pthread mutex must not.
 *
 * What all of them share:
 *   - Small objects for stacks and structs, valid when zeroed, which must not be copied or moved
 *     once used, and need no destruction. An object may end, with the frame or the memory it lies
 *     in, as soon as nobody waits at it and no call on it is still to begin.
 *   - First come, first served: what a release gives back is handed to the oldest waiter, under the
 *     object's own lock, and nobody who comes later gets it, not even who has just released it.
 *   - Cancelling. Acquire and wait are cancel points also when they need not suspend.
 *     WEFT_ECANCELED means that nothing was taken; the turn has gone to the next waiter. What was
 *     handed over before the cancel came is kept: the call succeeds, and the next cancel point
 *     answers the cancel. (asyncio raises there, and gives what was taken back.)
 *   - A deadline: a timeout scope around the call (weft/timeout.h). A call that has to wait there
 *     answers WEFT_ENOMEM, and takes nothing, when there is no memory to keep the deadline.
 *   - Events, semaphores and wait groups serve plain threads, too: a wait blocks a thread that is
 *     no worker, in the same line, and cannot be cancelled. Locks and conditions are held by tasks.
 *   - What a query answers may have changed when it returns, unless all who change it are on one
 *     worker.
 *   - On a plain thread, while a simulation of the process runs, calls that would wait, or wake a
 *     simulated task, answer WEFT_EBUSY and change nothing.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/awaitable.h>
#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

enum {
  WEFT_LOCK_SIZE = 32,
  WEFT_RWLOCK_SIZE = 40,
  WEFT_EVENT_SIZE = 32,
  WEFT_COND_SIZE = 72,
  WEFT_SEM_SIZE = 40,
};

/* ---- locks ---- */

typedef union weft_lock {
  uint64_t align64_;
  void *align_;
  unsigned char opaque_[WEFT_LOCK_SIZE];
} weft_lock;

#define WEFT_LOCK_INIT                                                                             \
  { 0 }

/* Takes the lock, when it is the caller's turn. Not recursive: WEFT_EDEADLK when the calling task
 * holds it already (asyncio waits for ever there). WEFT_ECANCELED.
 * [task] [suspends] [cancel point]. asyncio: Lock.acquire, async with lock */
int weft_lock_acquire(weft_lock *l);

/* Takes the lock if it is free and nobody waits for it; else WEFT_EAGAIN. [task]
 * [never suspends] */
int weft_lock_try(weft_lock *l);

/* Hands the lock to the oldest waiter, or leaves it free. Any task may do it, and any thread: the
 * lock does not ask whether the caller took it. WEFT_ESTATE when it is not held.
 * [any thread] [never suspends]. asyncio: Lock.release */
int weft_lock_release(weft_lock *l);

/* Somebody holds it. [any thread] [never suspends]. asyncio: Lock.locked */
bool weft_lock_locked(const weft_lock *l);

/* ---- readers-writer locks ---- */

typedef union weft_rwlock {
  uint64_t align64_;
  void *align_;
  unsigned char opaque_[WEFT_RWLOCK_SIZE];
} weft_rwlock;

#define WEFT_RWLOCK_INIT                                                                           \
  { 0 }

/* Many readers or one writer, in the order in which they came: a reader that comes after a waiting
 * writer waits behind it, so writers are not starved, and readers that wait one behind the other
 * get in together. WEFT_EDEADLK when the calling task holds it as the writer. A task that reads
 * must not acquire it again, neither to read (a writer may wait between the two) nor to write: it
 * waits for ever.
 * [task] [suspends] [cancel point] */
int weft_rwlock_acquire_read(weft_rwlock *l);
int weft_rwlock_acquire_write(weft_rwlock *l);

/* The same if that needs no waiting and overtakes nobody; else WEFT_EAGAIN. [task]
 * [never suspends] */
int weft_rwlock_try_read(weft_rwlock *l);
int weft_rwlock_try_write(weft_rwlock *l);

/* WEFT_ESTATE when nobody reads, or writes. [any thread] [never suspends] */
int weft_rwlock_release_read(weft_rwlock *l);
int weft_rwlock_release_write(weft_rwlock *l);

/* ---- events ---- */

typedef union weft_event {
  uint64_t align64_;
  void *align_;
  unsigned char opaque_[WEFT_EVENT_SIZE];
} weft_event;

#define WEFT_EVENT_INIT                                                                            \
  { 0 }

/* Waits until the event is set; does not suspend when it is. What the setter did before is seen
 * after.
 * [any thread] [suspends] [cancel point]. asyncio: Event.wait */
int weft_event_wait(weft_event *e);

/* Sets the event and wakes all who wait at this moment, also when it is cleared at once. 0.
 * [any thread] [never suspends]. asyncio: Event.set */
int weft_event_set(weft_event *e);

/* Who waits from now on waits for the next set. 0. [any thread] [never suspends].
 * asyncio: Event.clear */
int weft_event_clear(weft_event *e);

/* [any thread] [never suspends]. asyncio: Event.is_set */
bool weft_event_is_set(const weft_event *e);

/* The event as one of several things to wait for (weft/wait.h): over, with code 0, when it is set.
 * One that is cleared again was over for those who waited when it was set. [any thread]
 * [never suspends] */
weft_awaitable weft_event_awaitable(weft_event *e);

/* ---- conditions ---- */

typedef union weft_cond {
  weft_lock *lock_;
  uint64_t align64_;
  unsigned char opaque_[WEFT_COND_SIZE];
} weft_cond;

/* Zeroed, a condition has a lock of its own. This one uses a given lock, which several conditions
 * may share. */
#define WEFT_COND_INIT(lock)                                                                       \
  { (lock) }

/* The condition's lock, as weft_lock_acquire and its kin.
 * [task] [suspends] [cancel point] for acquire; [any thread] [never suspends] for the others.
 * asyncio: Condition.acquire, release, locked */
int weft_cond_acquire(weft_cond *c);
int weft_cond_release(weft_cond *c);
bool weft_cond_locked(const weft_cond *c);

/* Releases the lock, waits until the condition is notified, and takes the lock again; holds it when
 * it returns, whatever it returns: when the wait is cancelled, the lock is taken again under a
 * shield before WEFT_ECANCELED leaves. A cancelled waiter has used up no notify. The state may have
 * changed between the notify and the return: wait in a loop, or take weft_cond_wait_for.
 * WEFT_ESTATE when the caller does not hold the lock. WEFT_ECANCELED.
 * [task] [suspends] [cancel point]. asyncio: Condition.wait */
int weft_cond_wait(weft_cond *c);

/* Waits until predicate(arg) is not 0, and returns that: more than 0 is true, less than 0 an error.
 * It is called with the lock held, at once and after each notify. Errors as weft_cond_wait.
 * [task] [suspends] [cancel point when the predicate is not true at once].
 * asyncio: Condition.wait_for */
int weft_cond_wait_for(weft_cond *c, weft_fn predicate, void *arg);

/* Wakes the n oldest waiters, or all; they go on when they get the lock. 0, or WEFT_ESTATE when the
 * caller does not hold the lock. [task] [never suspends]. asyncio: Condition.notify, notify_all */
int weft_cond_notify(weft_cond *c, unsigned n);
int weft_cond_notify_all(weft_cond *c);

/* ---- semaphores ---- */

/* Permits that may be there at a time. */
#define WEFT_SEM_MAX INT32_MAX

typedef union weft_sem {
  int64_t first_[4];
  void *align_;
  unsigned char opaque_[WEFT_SEM_SIZE];
} weft_sem;

/* n permits, 0 <= n <= WEFT_SEM_MAX; a bounded one never has more than n. Zeroed, a semaphore has
 * none and no bound. Every call on one that began with a negative n answers WEFT_EINVAL. */
#define WEFT_SEM_INIT(n)                                                                           \
  {                                                                                                \
    { (int64_t)(n) * 16, 0, 0, 0 }                                                                 \
  }
#define WEFT_BOUNDED_SEM_INIT(n)                                                                   \
  {                                                                                                \
    { (int64_t)(n) * 16, 0, 0, (int64_t)(n) + 1 }                                                  \
  }

/* The same for a semaphore that nobody uses yet. WEFT_EINVAL for an n that is out of range.
 * [any thread] [never suspends]. asyncio: Semaphore(n), BoundedSemaphore(n) */
int weft_sem_init(weft_sem *s, int n, bool bounded);

/* Takes a permit, when it is the caller's turn. WEFT_ECANCELED.
 * [any thread] [suspends] [cancel point]. asyncio: Semaphore.acquire, async with semaphore */
int weft_sem_acquire(weft_sem *s);

/* Takes a permit if there is one and nobody waits; else WEFT_EAGAIN. [any thread]
 * [never suspends] */
int weft_sem_try(weft_sem *s);

/* Gives a permit to the oldest waiter, or adds it. WEFT_EOVERFLOW, and nothing is changed, when a
 * bounded semaphore has all its permits, any other WEFT_SEM_MAX.
 * [any thread] [never suspends]. asyncio: Semaphore.release */
int weft_sem_release(weft_sem *s);

/* An acquire would wait: no permit is there, or others wait. [any thread] [never suspends].
 * asyncio: Semaphore.locked */
bool weft_sem_locked(const weft_sem *s);

/* Permits that are there now. [any thread] [never suspends] */
int weft_sem_value(const weft_sem *s);

WEFT_END_DECLS
#endif
