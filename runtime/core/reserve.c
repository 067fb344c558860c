#include "core/reserve.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/sys.h"
#include "core/ready.h"
#include "core/rest.h"
#include "core/thread.h"
#include "core/worker.h"

#ifndef WEFT__RESERVE_TURN_EVERY
#define WEFT__RESERVE_TURN_EVERY 8 /* tasks between looks at the leased loop */
#endif

static struct weft__worker *reserve_of(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  return rt->nreserves ? &rt->workers[rt->nworkers + w->index] : NULL;
}

static bool lease_over(struct weft__worker *r) {
  return weft__load_acquire_u32(&r->lease) != WEFT__LEASE_WANTED ||
         weft__life(r->rt) >= WEFT__RESTS || weft__now() >= weft__load_relaxed_u64(&r->lease_until);
}

/* What an event or a timer made ready: here, at the worker stood in for, or on foreign threads. */
static struct weft__task *take(struct weft__worker *r, struct weft__worker *w) {
  struct weft__task *t = weft__next_task(r);
  if (t) return t;
  void *one[1];
  return weft__ring_steal(&w->ring, one, 1) ? one[0] : NULL;
}

static bool work_here(struct weft__worker *r, struct weft__worker *w) {
  return weft__ring_len(&r->ring) || weft__ring_len(&w->ring) ||
         weft__tasklist_count(&r->rt->ready) || weft__load_relaxed_u32(&r->loop->posted) ||
         lease_over(r);
}

static void reserve_sleep(struct weft__worker *r, struct weft__worker *w) {
  uint32_t how = weft__loop_alive(r->loop) ? WEFT__IN_LOOP : WEFT__ON_FUTEX;
  weft__store_release_ptr(&r->bed, &r->loop->set);
  uint64_t until = weft__load_relaxed_u64(&r->lease_until);
  uint64_t deadline = weft__timers_sleep(r->timers, r, until);
  uint32_t awake = WEFT__AWAKE;
  if (weft__cas_u32(&r->park, &awake, how)) {
    weft__fence_heavy(); /* pairs with the fences of those who push and then unpark */
    bool blind = how == WEFT__ON_FUTEX && weft__loop_alive(r->loop);
    if (!blind && !work_here(r, w)) weft__sleep_until(r, how, deadline);
  }
  weft__xchg_u32(&r->park, WEFT__AWAKE);
  weft__timers_awake(r->timers);
}

static void serve(struct weft__worker *r, struct weft__worker *w) {
  while (!lease_over(r)) {
    weft__loop_turn(r->loop);
    weft__make_ready_chain(weft__timers_fire(r->timers, weft__now()));
    struct weft__task *t = NULL;
    for (int i = 0; i < WEFT__RESERVE_TURN_EVERY && (t = take(r, w)) != NULL; i++)
      weft__run_task(r, t);
    if (!t) reserve_sleep(r, w);
  }
}

/* Nothing may stay in the queues of a reserve that sleeps: nobody would be told of it. */
static void hand_over(struct weft__worker *r) {
  struct weft__runtime *rt = r->rt;
  struct weft__task *t;
  while ((t = weft__ring_pop(&r->ring)) != NULL) weft__tasklist_push(&rt->ready, t);
  weft__fence_full();
  weft__notify(rt);
}

static void lease(struct weft__worker *r, struct weft__worker *w) {
  if (!weft__loop_enter(&w->own_loop, r)) return; /* the owner is in its loop: not stuck */
  weft__counter_add(&r->lease_count, 1);
  r->loop = &w->own_loop;
  r->timers = &w->own_timers;
  serve(r, w);
  hand_over(r);
  weft__loop_leave(&w->own_loop);
  /* It may sleep without its loop and timers, having recalled them. */
  weft__unpark(w);
}

static void *reserve_main(void *arg) {
  struct weft__worker *r = arg;
  struct weft__worker *w = &r->rt->workers[r->index];
  weft__worker_thread_begin(r);
  weft__thread_short_slice();
  while (weft__life(r->rt) != WEFT__ENDED) {
    if (weft__load_acquire_u32(&r->lease) == WEFT__LEASE_WANTED) {
      if (weft__work_begin(r->rt)) {
        lease(r, w);
        weft__work_end(r->rt);
      }
      /* A want that came during the lease is repeated by the monitor as long as it holds. One that
       * comes from here on has changed the park word too, if that is not asleep yet. */
      weft__xchg_u32(&r->lease, WEFT__LEASE_NONE);
    }
    uint32_t awake = WEFT__AWAKE;
    if (weft__cas_u32(&r->park, &awake, WEFT__ON_FUTEX) && weft__life(r->rt) != WEFT__ENDED)
      weft__sleep_until(r, WEFT__ON_FUTEX, WEFT__NEVER);
    weft__xchg_u32(&r->park, WEFT__AWAKE);
  }
  weft__worker_thread_end(r);
  return NULL;
}

void weft__reserve_want(struct weft__worker *w, uint64_t until) {
  struct weft__worker *r = reserve_of(w);
  WEFT__ASSERT(r != NULL);
  weft__store_relaxed_u64(&r->lease_until, until);
  weft__xchg_u32(&r->lease, WEFT__LEASE_WANTED);
  if (!r->started) {
    r->started = weft__thread_start(&r->thread, reserve_main, r, "weft-reserve") == 0;
    return;
  }
  weft__unpark(r);
}

void weft__reserve_recall(struct weft__worker *w) {
  struct weft__worker *r = reserve_of(w);
  if (!r) return;
  uint32_t wanted = WEFT__LEASE_WANTED;
  if (weft__cas_u32(&r->lease, &wanted, WEFT__LEASE_RECALLED)) weft__unpark(r);
}

static void end_all(struct weft__runtime *rt, int (*part)(struct weft__worker *r)) {
  for (unsigned i = 0; i < rt->nreserves; i++) {
    struct weft__worker *r = &rt->workers[rt->nworkers + i];
    if (!r->started) continue;
    weft__unpark(r);
    part(r);
  }
}

static int join(struct weft__worker *r) {
  return weft__sys_thread_join(r->thread);
}

static int detach(struct weft__worker *r) {
  return weft__sys_thread_detach(r->thread);
}

void weft__reserves_stop(struct weft__runtime *rt) {
  end_all(rt, join);
}

void weft__reserves_leave(struct weft__runtime *rt) {
  end_all(rt, detach);
}
