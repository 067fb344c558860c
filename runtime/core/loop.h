/* A worker's loop: its poll set (pollset.h) and its libuv loop, and the right to enter the latter.
 *
 * The poll set has the descriptors of streams, sockets and all that weft itself waits for. While nothing of
 * libuv's is alive the thread sleeps in the set, and libuv costs nothing; else it sleeps in libuv, where
 * the set is one uv_poll_t, and each turn has one of libuv's in it.
 *
 * A libuv loop has no thread identity; it must only never be entered twice. `driver` names the worker
 * that may call into libuv for this loop. A worker takes it between tasks, for a turn or for a sleep;
 * while it is in a long task nobody drives its loop, and its reserve takes the word and keeps it for
 * as long as the lease lasts. uv_run is called on a thread's own stack only (it needs 12 KiB).
 *
 * Whoever is not the driver leaves a request: a record with a function that the driver runs inside
 * its next turn, and rings the loop when the driver sleeps in it.
 */
#ifndef WEFT_CORE_LOOP_H
#define WEFT_CORE_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "base/counters.h"
#include "base/list.h"
#include "base/spin.h"
#include "core/pollset.h"

struct weft__worker;

/* Something to be done by the loop's driver. Owned by who posts it until run is called. */
struct weft__loop_request {
  struct weft__list link; /* guarded by the loop's lock; self-linked when not posted */
  void (*run)(struct weft__loop_request *req, uv_loop_t *uv);
};

struct weft__loop {
  uv_loop_t uv;     /* the driver's */
  uv_poll_t inner;  /* the driver's: the set, in libuv */
  uv_timer_t alarm; /* the driver's: bounds a sleep in libuv */
  weft__atomic_u32
      used; /* a request has run: libuv may have something to do. Written by the driver; a
                            hint for others. Relaxed */
  weft__atomic_u64
      uv_due; /* when libuv wants to be run, on the clock of weft__now; never before it is used.
                              Written by the driver, a hint for the monitor. Relaxed */
  struct weft__pollset set;
  struct weft__list descriptors; /* whose home it is: guarded by descriptor.c's pool lock */
  weft__atomic_ptr
      driver;             /* struct weft__worker; NULL when nobody is inside. CAS from NULL acquires
                              what the last driver released by storing NULL */
  struct weft__spin lock; /* guards requests */
  struct weft__list requests;
  weft__atomic_u32 posted;    /* requests not yet run. Written under the lock; read without it as a
                                 hint, which the fences of weft__loop_poke and of a driver that goes
                                 to sleep make exact: nothing is read on its strength but under the
                                 lock */
  weft__atomic_u32 rung;      /* the bell of a simulated loop */
  struct weft__counter turns; /* written by the driver */
};

/* 0, WEFT_ENOMEM, WEFT_EMFILE, WEFT_ENFILE. Leaves nothing on failure. */
int weft__loop_init(struct weft__loop *l);
/* Closes what is left in the loop. The caller is the last thread that uses it. */
void weft__loop_fini(struct weft__loop *l);

/* Makes w the driver; false when another worker is. */
bool weft__loop_enter(struct weft__loop *l, struct weft__worker *w);
void weft__loop_leave(struct weft__loop *l);

/* One turn without waiting. Driver only. */
void weft__loop_turn(struct weft__loop *l);
/* One turn that waits for an event, a ring, or the deadline. Driver only. */
void weft__loop_sleep(struct weft__loop *l, uint64_t deadline);
/* Whether events can come: then its driver sleeps in it. Driver only. */
bool weft__loop_alive(const struct weft__loop *l);

/* Any thread. The caller then calls weft__loop_poke. */
void weft__loop_post(struct weft__loop *l, struct weft__loop_request *req);
/* Wakes the driver if it sleeps, so that it runs what was posted. Any thread. (idle.c) */
void weft__loop_poke(struct weft__loop *l);
/* A descriptor of the loop, or a wait, has come: its driver, if it sleeps elsewhere, is woken to sleep in the
 * loop. Any thread. (idle.c) */
void weft__loop_watches(struct weft__loop *l);
/* Takes req back: true when it will not be run. Any thread. */
bool weft__loop_unpost(struct weft__loop *l, struct weft__loop_request *req);
/* Ends a sleep in the loop; for idle.c. Any thread. */
void weft__loop_ring(struct weft__loop *l);

/* What the driver of a simulated loop sleeps on. */
static inline const void *weft__loop_key(const struct weft__loop *l) {
  return &l->set;
}

/* Whether a descriptor of the loop has an event waiting; for the monitor, when nobody drives it. */
bool weft__loop_has_event(const struct weft__loop *l);

#endif
