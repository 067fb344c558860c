/* Meeting points: barriers, wait groups, and what is done once.
 * asyncio counterpart of barriers: Barrier. Wait groups and once are weft's own.
 *
 * They share what weft/sync.h says of its objects: valid when zeroed (a barrier needs its number of
 * parties), small, not to be copied, without destruction, first come first served, and how they are
 * cancelled.
 */
#ifndef WEFT_BARRIER_H
#define WEFT_BARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

enum {
  WEFT_BARRIER_SIZE = 40,
  WEFT_WAIT_GROUP_SIZE = 32,
  WEFT_ONCE_SIZE = 32,
};

/* ---- barriers ---- */

typedef union weft_barrier {
  int64_t first_[4];
  void *align_;
  unsigned char opaque_[WEFT_BARRIER_SIZE];
} weft_barrier;

/* For `parties` tasks, 1 <= parties <= INT32_MAX; every call on a barrier for less answers
 * WEFT_EINVAL. */
#define WEFT_BARRIER_INIT(parties)                                                                 \
  {                                                                                                \
    { 0, 0, 0, (parties) }                                                                         \
  }

/* The same for a barrier that nobody uses yet. WEFT_EINVAL for less than one party.
 * [any thread] [never suspends]. asyncio: Barrier(parties) */
int weft_barrier_init(weft_barrier *b, int parties);

/* Waits until as many tasks as the barrier has parties are here; then all go on, and each gets
 * another number from 0 to parties - 1, the last one to come the highest. The next round may begin
 * at once: who comes while others of this round are on their way out belongs to the next. A waiter
 * that is cancelled leaves the round, which then waits for another.
 * WEFT_EBROKEN when the barrier is broken, or was reset or broken during the wait. WEFT_ECANCELED.
 * [task] [suspends] [cancel point]. asyncio: Barrier.wait */
int weft_barrier_wait(weft_barrier *b);

/* Those who wait get WEFT_EBROKEN; the barrier is empty and whole after that, and may be used. 0.
 * [any thread] [never suspends]. asyncio: Barrier.reset */
int weft_barrier_reset(weft_barrier *b);

/* Those who wait, and all who come until a reset, get WEFT_EBROKEN. 0.
 * [any thread] [never suspends]. asyncio: Barrier.abort */
int weft_barrier_abort(weft_barrier *b);

/* [any thread] [never suspends]. asyncio: Barrier.parties, n_waiting, broken */
int weft_barrier_parties(const weft_barrier *b);
int weft_barrier_waiting(const weft_barrier *b);
bool weft_barrier_broken(const weft_barrier *b);

/* ---- wait groups ---- */

typedef union weft_wait_group {
  uint64_t align64_;
  void *align_;
  unsigned char opaque_[WEFT_WAIT_GROUP_SIZE];
} weft_wait_group;

#define WEFT_WAIT_GROUP_INIT                                                                       \
  { 0 }

/* n more things are under way; before the wait that is to include them. WEFT_EOVERFLOW beyond
 * INT32_MAX.
 * [any thread] [never suspends] */
int weft_wait_group_add(weft_wait_group *g, unsigned n);

/* One of them is over. What was done before it is seen after the wait. WEFT_ESTATE when none is
 * under way.
 * [any thread] [never suspends] */
int weft_wait_group_done(weft_wait_group *g);

/* Waits until none is under way; does not suspend when none is. The group may be used again.
 * [any thread] [suspends] [cancel point] */
int weft_wait_group_wait(weft_wait_group *g);

/* How many are under way. [any thread] [never suspends] */
int weft_wait_group_count(const weft_wait_group *g);

/* ---- once ---- */

typedef union weft_once {
  uint64_t align64_;
  void *align_;
  unsigned char opaque_[WEFT_ONCE_SIZE];
} weft_once;

#define WEFT_ONCE_INIT                                                                             \
  { 0 }

/* Runs fn(arg) unless a call on this object has done that with success; returns 0 when that is so,
 * and what it wrote is seen. A call that comes while fn runs waits for its end. When fn fails (a
 * negative code, WEFT_ECANCELED as well), the call that ran it returns that code, and the oldest of
 * the waiting calls, or else the next one to come, runs its own fn. WEFT_EDEADLK when fn calls it
 * on the same object.
 * [task] [suspends] [cancel point unless it has been done] */
int weft_once_run(weft_once *o, weft_fn fn, void *arg);

/* It has been done with success. [any thread] [never suspends] */
bool weft_once_done(const weft_once *o);

WEFT_END_DECLS
#endif
