/* Lines: who waits for an object that tasks and plain threads share (queues, channels).
 *
 * The object keeps its state and its lines under one spinlock. Whoever changes the state ends the wait
 * of the oldest in a line while it has the lock, and tells the waiter after it has given the lock back:
 * waking a worker or a thread may be a system call. A waiter, once its wait is over, takes the lock again
 * before it goes on, in every case. So its place, and the item it points to, may be used by whoever
 * ended its wait until the lock is given back, although the waiter may be running by then.
 *
 * A wait that was ended is over for good: a cancel that comes later stays pending. A wait that a cancel
 * or a timeout ended was given nothing, and whoever gives goes on to the next in line.
 *
 * Who frees the object takes the lock once more, and finds `waiting` 0: after it nobody who has told a
 * waiter, and nobody who has waited, touches the object any more.
 */
#ifndef WEFT_AIO_LINE_H
#define WEFT_AIO_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/spin.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/self.h"
#include "core/worker.h"

/* What such an object begins with. All bits zero is valid. */
struct weft__shared {
  struct weft__spin lock;     /* guards waiting, and the object's state and lines */
  uint32_t waiting;           /* calls that wait, or have waited and not had the lock since */
  weft__atomic_u32 simulated; /* 1: used in a simulation, whose threads alone may use it. Relaxed: a
                                 refusal of wrong use */
};

struct weft__line {
  struct weft__list places;
};

/* One who waits, on its stack. Filled by the waiter before it is in line; guarded by the lock after it. */
struct weft__place {
  struct weft__waiter rec; /* task NULL: a thread. rec.code: what it was given */
  void *item;              /* the object's: where an item is to go, or is */
  weft__atomic_u32 over; /* of a thread: its wait has ended. Release by who ends it, acquire by the
                              thread, which sleeps on it */
};

/* Whom to tell after the lock. Zeroed: nobody. */
struct weft__woken {
  struct weft__task *first, *last; /* through link[WEFT__LINK_READY] */
  weft__atomic_u32 *thread;        /* an address to wake; its memory may be gone */
};

static inline void weft__line_init(struct weft__line *line) {
  weft__list_init(&line->places);
}

static inline bool weft__line_empty(const struct weft__line *line) {
  return weft__list_empty(&line->places);
}

void weft__shared_lock_slow(struct weft__shared *s);

/* The lock, taken so that under contention one worker has it many times in a row (line.c). */
static inline void weft__shared_lock(struct weft__shared *s) {
  if (weft__unlikely(!weft__spin_trylock(&s->lock))) weft__shared_lock_slow(s);
}

static inline void weft__shared_unlock(struct weft__shared *s) {
  weft__spin_unlock(&s->lock);
}

/* The object is new: which threads may use it. */
void weft__shared_init(struct weft__shared *s);

/* A caller that is no running task: 0 for a thread that may use the object, WEFT_ENOTASK where a worker
 * runs no task, WEFT_ECHILD, WEFT_EBUSY. */
int weft__shared_enter_outside(const struct weft__shared *s, bool suspends);

/* Others have had no turn for long, or there is a cancel to answer. */
int weft__shared_pause(struct weft__task *t);

/* What every call asks first that does not suspend. */
static inline int weft__shared_enter(const struct weft__shared *s) {
  if (weft__likely(weft__self() != NULL)) return 0;
  return weft__shared_enter_outside(s, false);
}

/* A task is about to wait by way of an awaitable. */
void weft__shared_watched(struct weft__shared *s);

/* What every call asks first that may suspend: a cancel is answered before anything is taken, and who
 * never finds a reason to wait lets the others run now and then. */
static inline int weft__shared_enter_suspending(const struct weft__shared *s) {
  struct weft__worker *w = weft__self();
  struct weft__task *t = w ? w->current : NULL;
  if (weft__unlikely(!t)) return weft__shared_enter_outside(s, true);
  int r = weft__checkpoint(t);
  if (weft__unlikely(r < 0)) return r;
  return weft__likely(--w->budget > 0) ? 0 : weft__shared_pause(t);
}

/* Called with the lock held, and returns with it: goes to the end of the line and waits there. What
 * whoever ended the wait gave (0 or more); or WEFT_ECANCELED, WEFT_ENOMEM: then nothing was given. A
 * thread outside the runtimes sleeps meanwhile. */
int weft__line_wait(struct weft__line *line, struct weft__place *place, struct weft__shared *s,
                    const struct weft__wait_kind *kind, const void *object);

/* Ends the wait of the oldest in line with this code and adds it to those to be told. Its place, or NULL
 * when the line is empty. Under the lock. */
struct weft__place *weft__line_end(struct weft__line *line, int code, struct weft__woken *woken);

/* The same for all in line. */
void weft__line_end_all(struct weft__line *line, int code, struct weft__woken *woken);

void weft__woken_tell_slow(struct weft__woken *woken);

/* After the lock: makes the tasks ready in the order in which their waits ended. */
static inline void weft__woken_tell(struct weft__woken *woken) {
  if (woken->first || woken->thread) weft__woken_tell_slow(woken);
}

#endif
