/* A descriptor that tasks read, write and wait for.
 *
 * Who wants something of it tries at once and waits only when the kernel says "would block". Each
 * direction knows whether a try is worth it: `ready` is set by an event and by who left more to do,
 * and cleared before a try. So in steady state a message is one read and one write, and an unread
 * byte that nobody wants is one event, not one for each turn of a loop:
 *
 *   r = weft__descriptor_enter(d);
 *   while (weft__descriptor_take(d, WEFT__IN) || (r = weft__descriptor_wait(d, WEFT__IN, deadline)) == 0) {
 *     n = weft__sys_read(weft__descriptor_fd(d), buf, len);
 *     if (n == WEFT_EAGAIN) {                     (what it was told of is gone: wait for the next event)
 *       weft__descriptor_blocked(d, WEFT__IN);
 *       continue;
 *     }
 *     if (n == (ssize_t)len || weft__descriptor_unsure(d))
 *       weft__descriptor_more(d, WEFT__IN);       (there may be more, or it is the end: try again)
 *     break;
 *   }
 *   weft__descriptor_leave(d);
 *
 * Events come from the poll set of one loop (pollset.h), its home: the one of the worker that waited
 * first, or one that has less to do. The kernel is told once, for both directions and for as long as
 * the descriptor is open; it tells of a change once. A wait is under the descriptor's lock alone, on
 * whatever worker the task is, and so is the event: no thread has to be asked for anything.
 *
 * A call counts itself in and out. Close marks the descriptor and wakes who waits: they and all later
 * ones answer WEFT_ECLOSED, and the last one out closes the number. Free says that nobody will enter
 * any more: the last one out then gives the memory back, and calls `gone`. Out of an open descriptor
 * is one CAS; everything about the end is decided under the lock.
 *
 * The memory is type-stable and belongs to the process: an event that was under way when a descriptor
 * was closed finds a descriptor, though another one, which then is tried for nothing.
 */
#ifndef WEFT_CORE_DESCRIPTOR_H
#define WEFT_CORE_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/errors.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/list.h"
#include "base/sim_net.h"
#include "base/spin.h"
#include "base/sys.h"

struct weft__loop;
struct weft__waiter;

enum weft__direction { WEFT__IN = 0, WEFT__OUT = 1 };

enum {
  WEFT__CAN_READ = 1 << WEFT__IN,
  WEFT__CAN_WRITE = 1 << WEFT__OUT,
  /* Of an event, and of the descriptor from then on: */
  WEFT__HAS_ENDED = 4,  /* nothing more will come in */
  WEFT__HAS_URGENT = 8, /* urgent data has come, at which a read stops though more is behind it */
};

struct weft__descriptor {
  struct weft__spin lock;         /* guards what follows, up to calls */
  bool borrowed;                  /* constant: of weft__fd_wait; the number is the program's */
  bool simulated;                 /* constant: of the simulated network */
  uint16_t age;                   /* of the memory: counts descriptors; events carry it */
  int fd;                         /* constant while open */
  struct weft__loop *home;        /* NULL until the first wait, and after its runtime's end */
  struct weft__waiter *waiter[2]; /* who waits, by direction */
  struct weft__sim_watch watch;   /* of a simulated one; linked while somebody waits */
  /* By direction: a try may succeed. Set under the lock; cleared without it by the one caller of that
   * direction (exchange, acquire), before its try, so that an event during the try sets it again. */
  weft__atomic_u32 ready[2];
  /* What an event has said besides: WEFT__HAS_ENDED, WEFT__HAS_URGENT. It may be the last one, and have come
   * together with bytes. Relaxed: written under the lock before `ready`, or before the waiter is woken. */
  weft__atomic_u32 said;
  /* Calls inside, WEFT__DESCRIPTOR_CALL each, a bit for the reader, and the two of the end, which are set under the
   * lock; from then on it is lowered under the lock too. All changes acq_rel, so that the last one
   * out comes after all that the others did. */
  weft__atomic_u32 calls;
  void (*gone)(void *owner); /* constant; or NULL */
  void *owner;               /* constant */
  struct weft__list link;    /* in the free list, or in the list of its home: the pool's lock */
};

/* A descriptor for fd, which has O_NONBLOCK and, on success, belongs to it. can: what to try before it
 * is waited for, of WEFT__CAN_READ and WEFT__CAN_WRITE. gone(owner), unless NULL, is called once the
 * descriptor is freed and nobody is inside any more, by the last one out, on any thread.
 * 0, WEFT_ENOMEM. Any thread. */
int weft__descriptor_open(struct weft__descriptor **ret, int fd, unsigned can,
                          void (*gone)(void *owner), void *owner);

/* A call begins: 0, or WEFT_ECLOSED. With 0 the caller leaves later. Any thread. */
static inline int weft__descriptor_enter(struct weft__descriptor *d);
/* Ends it. The descriptor, and its owner, may be gone afterwards. */
static inline void weft__descriptor_leave(struct weft__descriptor *d);

/* The same for the one call at a time that reads: also WEFT_EBUSY. What a reader has written before it
 * left, the next one reads. */
static inline int weft__descriptor_enter_reader(struct weft__descriptor *d);
static inline void weft__descriptor_leave_reader(struct weft__descriptor *d);

/* Marks it closed, wakes who waits, and leaves it to the last one inside (perhaps this call) to close
 * the number. A second time: WEFT_ECLOSED. Any thread; never suspends. */
int weft__descriptor_close(struct weft__descriptor *d);

/* Closes it unless that was done, and gives it back when the last one is out (perhaps this call).
 * Nobody enters it after this. Any thread; never suspends. */
void weft__descriptor_free(struct weft__descriptor *d);

/* What follows: between enter and leave. */

static inline int weft__descriptor_fd(const struct weft__descriptor *d) {
  return d->fd;
}

/* Whether a try is worth it; forgets it: the caller tries now. */
static inline bool weft__descriptor_take(struct weft__descriptor *d, enum weft__direction way) {
  return weft__load_relaxed_u32(&d->ready[way]) && weft__xchg_u32(&d->ready[way], 0);
}

/* Whether it looks as if a try is worth it. */
static inline bool weft__descriptor_ready(const struct weft__descriptor *d,
                                          enum weft__direction way) {
  return weft__load_relaxed_u32(&d->ready[way]) != 0;
}

/* A read that gave less than it was asked for may have left something for which there is no event: the end,
 * when the other end is closed or shut down, or what is behind urgent data. For the caller that has read. */
static inline bool weft__descriptor_unsure(const struct weft__descriptor *d) {
  return weft__load_relaxed_u32(&d->said) != 0;
}

/* The try may have left something, so that the next one is worth it too. Any thread. */
static inline void weft__descriptor_more(struct weft__descriptor *d, enum weft__direction way) {
  weft__store_release_u32(&d->ready[way], 1);
}

void weft__descriptor_look(struct weft__descriptor *d, enum weft__direction way);

/* The try said "would block", or moved less than it was asked to: there will be an event. Unless a test has
 * made the call say so; then it is looked at. */
static inline void weft__descriptor_blocked(struct weft__descriptor *d, enum weft__direction way) {
  if (weft__unlikely(weft__sys_lies())) weft__descriptor_look(d, way);
}

/* Suspends the calling task until a try in that direction is worth it: 0, and the caller tries now, as
 * after a take that answered true. At most until deadline, on the clock of weft__now (WEFT__NEVER for
 * none): WEFT_ETIMEDOUT. WEFT_ECANCELED; WEFT_ECLOSED when it was closed meanwhile; WEFT_EBUSY when
 * another task waits in this direction; WEFT_ENOTASK; WEFT_ENOMEM, WEFT_ENOSPC or WEFT_EPERM when the
 * kernel does not take the descriptor into a poll set (EPERM: a regular file, which is always ready).
 * After an error `ready` is what it was. */
int weft__descriptor_wait(struct weft__descriptor *d, enum weft__direction way, uint64_t deadline);

/* The same without a task: has rec fired, once, when a try in that direction is worth it, or the descriptor is
 * closed. It has a gate with an `event`, which is called under the descriptor's lock. 0; 1 when a try is
 * worth it now, and rec is not fired; errors as above. rec stays until it was fired, or the descriptor is
 * freed. On a worker; never suspends. */
int weft__descriptor_watch(struct weft__descriptor *d, enum weft__direction way,
                           struct weft__waiter *rec);

/* By that event, while it is called: it is to be fired again for the next change. */
static inline void weft__descriptor_watch_on(struct weft__descriptor *d, enum weft__direction way,
                                             struct weft__waiter *rec) {
  d->waiter[way] = rec;
}

/* The descriptor was reported ready, or is broken, in these directions: wakes who waits, or sets ready.
 * With WEFT__HAS_ENDED and WEFT__HAS_URGENT besides, when it was said.
 * For the poll set; age: of when the event was asked for. On a worker or a reserve. */
void weft__descriptor_event(struct weft__descriptor *d, uint16_t age, unsigned ways);

/* The loop's runtime ends: its descriptors have no home any more. Nobody waits. */
void weft__descriptors_leave_home(struct weft__loop *home);

/* How many there are, closed ones not counted; for tests and for reports. Any thread. */
unsigned weft__descriptors_open(void);

/* ---- inside ---- */

enum {
  WEFT__DESCRIPTOR_CLOSED = 1,
  WEFT__DESCRIPTOR_FREED = 2,
  WEFT__DESCRIPTOR_READER = 4, /* one of the calls is the reader */
  WEFT__DESCRIPTOR_CALL = 8,
};

/* What the call has added to `calls`. */
void weft__descriptor_leave_closed(struct weft__descriptor *d, uint32_t call);

static inline void weft__descriptor_leave_as(struct weft__descriptor *d, uint32_t call) {
  uint32_t calls = weft__load_relaxed_u32(&d->calls);
  while (!(calls & WEFT__DESCRIPTOR_CLOSED))
    if (weft__cas_u32(&d->calls, &calls, calls - call)) return;
  weft__descriptor_leave_closed(d, call);
}

static inline void weft__descriptor_leave(struct weft__descriptor *d) {
  weft__descriptor_leave_as(d, WEFT__DESCRIPTOR_CALL);
}

static inline int weft__descriptor_enter(struct weft__descriptor *d) {
  uint32_t before = weft__add_u32(&d->calls, WEFT__DESCRIPTOR_CALL);
  if (weft__likely(!(before & WEFT__DESCRIPTOR_CLOSED))) return 0;
  weft__descriptor_leave_closed(d, WEFT__DESCRIPTOR_CALL);
  return WEFT_ECLOSED;
}

static inline int weft__descriptor_enter_reader(struct weft__descriptor *d) {
  uint32_t calls = weft__load_relaxed_u32(&d->calls);
  do {
    if (weft__unlikely(calls & WEFT__DESCRIPTOR_CLOSED)) return WEFT_ECLOSED;
    if (weft__unlikely(calls & WEFT__DESCRIPTOR_READER)) return WEFT_EBUSY;
  } while (
      !weft__cas_u32(&d->calls, &calls, calls + WEFT__DESCRIPTOR_CALL + WEFT__DESCRIPTOR_READER));
  return 0;
}

static inline void weft__descriptor_leave_reader(struct weft__descriptor *d) {
  weft__descriptor_leave_as(d, WEFT__DESCRIPTOR_CALL + WEFT__DESCRIPTOR_READER);
}

/* The loop whose set takes what begins to wait now. On a worker. */
struct weft__loop *weft__descriptor_home(void);

#endif
