/* Making tasks ready: from whoever won a wait to a queue that some worker will look into. */
#ifndef WEFT_CORE_READY_H
#define WEFT_CORE_READY_H

#include "core/worker.h"

/* The caller won t's wait while t was parked (or t is new and claimed), so t is the caller's: puts
 * it where it will run, and wakes a worker if one is needed. From any thread; t's runtime is given
 * by the task. Never suspends. */
void weft__make_ready(struct weft__task *t);

/* The same for a chain through link[WEFT__LINK_READY]; NULL is empty. */
void weft__make_ready_chain(struct weft__task *chain);

/* The same by a caller that knows which worker it is: weft__self(); or NULL on a thread that the runtime
 * joins before it ends. */
void weft__make_ready_by(struct weft__worker *w, struct weft__task *t);

/* The same on a thread that t's runtime does not wait for: one of the program's own, or another runtime's.
 * Once such a thread has made the task ready the run may end, so it holds the runtime until its waker's
 * work is done. submit.c */
void weft__make_ready_outside(struct weft__task *t);

void weft__ready_local_slow(struct weft__worker *w, struct weft__task *t);

/* As weft__make_ready on worker w, which is the calling thread's. Does not wake anybody. */
static inline void weft__ready_local(struct weft__worker *w, struct weft__task *t) {
  if (weft__unlikely(!w->plain || (t->odd & WEFT__HOG)) ||
      weft__unlikely(!weft__ring_push(&w->ring, t)))
    weft__ready_local_slow(w, t);
}

/* After a push into w's queues, by w: the fence orders it before the look at `parked` (pairs with the
 * heavy fence of a worker that goes to sleep). In a burst nothing, which its end makes up for. */
static inline void weft__notify_if_surplus(struct weft__worker *w) {
  weft__fence_light();
  if (weft__unlikely(weft__load_relaxed_u32(&w->rt->parked) != 0) && !w->burst.open &&
      weft__worker_surplus(w))
    weft__notify(w->rt);
}

void weft__push_unstarted_slow(struct weft__worker *w, struct weft__task *t);

/* Puts an unstarted task where it will be begun, from a thread that is none of its runtime's workers. */
void weft__push_unstarted_foreign(struct weft__task *t);

/* Puts a task of a strand, whose turn it is, where it will run. From any thread, which is worker w of
 * the runtime, or NULL. */
void weft__queue_turn(struct weft__worker *w, struct weft__task *t);

/* Puts an unstarted task into w's own queue; wakes a helper when w has more than it can do next. By w's
 * thread. One that is eager runs to its first suspension in here, instead of the calling task. */
static inline void weft__push_unstarted(struct weft__worker *w, struct weft__task *t) {
  if (weft__likely(w->plain && !t->odd) && weft__likely(weft__deque_push(&w->deque, t)))
    weft__notify_if_surplus(w);
  else
    weft__push_unstarted_slow(w, t);
}

#endif
