/* The future object, for its own file and those that end futures of other things (share.c).
 *
 * The state goes once from PENDING to what it stays. It is changed under the lock, after the value and
 * the code were written: a release store, whose partner is the acquire load of who reads them without
 * the lock.
 */
#ifndef WEFT_AIO_FUTURE_H
#define WEFT_AIO_FUTURE_H

#include <weft/future.h>

#include "aio/awaitable.h"
#include "base/spin.h"

enum weft__future_state {
  WEFT__FUTURE_PENDING = 0,
  WEFT__FUTURE_SET = 1,
  WEFT__FUTURE_FAILED = 2,
  WEFT__FUTURE_CANCELLED = 3,
};

struct weft_future {
  weft__atomic_u32 state;
  weft__atomic_u32 refs; /* taken relaxed, dropped acq_rel: the last one sees what the others did */
  weft__atomic_u32
      seen;         /* somebody was told the code; relaxed: who drops the last reference has the
                            others' drops before it */
  int code;         /* written before the state */
  size_t size;      /* constant */
  const void *site; /* constant: of the call that made it, for reports */
  uint64_t home;    /* constant: the runtime it was made in, or 0; where reports go */

  struct weft__spin lock;    /* guards what follows */
  struct weft__list waiting; /* records of those who wait, and callbacks, in the order they came */
  struct weft__list due;     /* callbacks of a future that is over, not called yet */
  uint32_t callbacks;        /* of waiting */
  uint32_t runners;          /* tasks that call them and have not begun */
  bool calling;     /* and one has, or will: no second one beside it, except in exact mode */
  uint64_t runtime; /* where the callbacks are called: that of the first one */

  struct weft__owner runner; /* constant: told when a runner ends */
  /* Asks for the end of a future that is not its canceller's to end: 1 when asked; NULL for others.
   * Constant before it is shared with anyone. */
  int (*cancel)(struct weft_future *f);
  const struct weft__task
      *of; /* likewise: the task whose end it is, which cannot wait for it, or NULL */

  _Alignas(16) unsigned char value[]; /* written before the state */
};

static inline enum weft__future_state weft__future_state(const struct weft_future *f) {
  return (enum weft__future_state)weft__load_acquire_u32(&f->state);
}

/* A pending future with one reference and `extra` bytes behind its value. NULL when memory is out. */
struct weft_future *weft__future_make(size_t size, size_t extra, const void *site);

/* Ends f: 0, WEFT_ESTATE when it was over, WEFT_ENOMEM when no task could be made for its callbacks (it
 * is pending as before). Any thread. */
int weft__future_end(struct weft_future *f, enum weft__future_state state, int code,
                     const void *value);

/* The same for who cannot try again: callbacks for which there is no memory are not called. */
void weft__future_end_anyway(struct weft_future *f, enum weft__future_state state, int code);

/* ---- callbacks: future_callbacks.c ---- */

/* Takes the lock, and holds the runtime of f's callbacks when the calling thread is none of its own: NULL
 * when there is no need, or it has ended. */
struct weft__runtime *weft__future_lock(struct weft_future *f);
void weft__future_unlock(struct weft_future *f, struct weft__runtime *rt);

/* Makes a task that calls what is due, in the strand (or none) of the callback that is first; it begins with
 * the lock. From outside its runtime (rt, or NULL when
 * that has ended, and the callbacks with it) it is on its way at once; a worker gets it in *ret, to send
 * it on its way when its turn has come. Under the lock. 0 or WEFT_ENOMEM. */
int weft__future_make_runner(struct weft_future *f, struct weft__runtime *rt,
                             struct weft_strand *strand, struct weft__task **ret);

/* The strand of the callback that waits longest, or NULL. Under the lock. */
struct weft_strand *weft__future_first_strand(struct weft_future *f);

/* The turn of a callback that waited, just unlinked, has come; t is a runner to send on its way, or NULL.
 * Under the lock. */
void weft__future_callback_due(struct weft_future *f, struct weft__waiter *rec,
                               struct weft__task *t);

/* A runner has ended: drops what it held. */
void weft__future_runner_done(struct weft__owner *owner, struct weft__task *t);

/* Frees the callbacks of a list in which nobody else waits. */
void weft__future_free_callbacks(struct weft__list *list);

#endif
