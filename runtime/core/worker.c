#include "core/worker.h"

#include <stdio.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/point.h"
#include "core/debug.h"
#include "core/finish.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/shutdown.h"
#include "core/simulate.h"

enum {
  POLL_EVERY = 61,    /* turns between looks at loop and timers */
  SLICE_BUDGET = 128, /* waits in one slice that may be answered without suspending */
};

int weft__worker_init(struct weft__worker *w, struct weft__runtime *rt, unsigned index,
                      bool reserve) {
  w->rt = rt;
  w->index = index;
  w->reserve = reserve;
  w->plain = !reserve && !rt->exact;
  w->poll_in = 1;
  weft__tasklist_init(&w->inbox, WEFT__LINK_READY);
  weft__tasklist_init(&w->hogs, WEFT__LINK_READY);
  weft__timers_init(&w->own_timers);
  weft__stack_cache_init(&w->stacks, &rt->stacks);
  if (reserve) return 0;
  w->timers = &w->own_timers;
  w->loop = &w->own_loop;
  return weft__loop_init(&w->own_loop);
}

void weft__worker_fini(struct weft__worker *w) {
  if (!w->reserve) weft__loop_fini(&w->own_loop);
  weft__timers_fini(&w->own_timers);
  weft__stack_cache_fini(&w->stacks);
}

/* ---- the body of a task's own stack ---- */

_Noreturn void weft__end_child(int code) {
  _exit(code < 0 ? 1 : code);
}

static void task_entry(void *arg) {
  struct weft__task *t = arg;
  int code = weft__task_fn(t)(t->arg);
  struct weft__worker *w = weft__self();
  if (!w) weft__end_child(code);
  weft__task_finish(w, t, code);
  w = weft__self();
  w->post = WEFT__POST_EXIT;
  weft__context_exit(t->ctx, &w->sched);
}

/* Gives a begun task its stack, or ends it: cancelled before its first run, or no memory. */
static bool give_stack(struct weft__worker *w, struct weft__task *t) {
  t->fresh = false;
  int r = 0;
  if (weft__load_relaxed_u64(&t->word) & WEFT__CANCEL)
    r = WEFT_ECANCELED;
  else
    r = weft__stack_get(&w->stacks, t->stack_size, &t->stack);
  if (r < 0) {
    weft__task_finish(w, t, r);
    weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
    return false;
  }
  t->ctx = &t->stack->context;
  weft__context_reset(t->ctx, t->stack->lo, t->stack->size, task_entry, t);
  return true;
}

/* ---- turns ---- */

static void after_slice(struct weft__worker *w, struct weft__task *t) {
  weft__point(); /* what the task published before it left may be taken already */
  /* Nothing of t may be touched once its wait is committed: it may be running elsewhere. */
  t->hog = false;
  if (weft__unlikely(weft__load_relaxed_u32(&w->hogged))) {
    weft__store_relaxed_u32(&w->hogged, 0);
    t->hog = true;
  }
  switch (w->post) {
  case WEFT__POST_COMMIT:
    if (!weft__claim_commit(&t->word)) weft__make_ready_by(w, t);
    break;
  case WEFT__POST_YIELD:
    weft__make_ready_by(w, t);
    break;
  case WEFT__POST_EXIT:
    weft__stack_put(&w->stacks, t->stack);
    weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
    break;
  }
}

/* Afterwards w->current need not be t: a task that ran inline on t's stack may have gone on to its
 * awaiter, or be waiting. */
static inline __attribute__((always_inline)) void slice(struct weft__worker *w,
                                                        struct weft__task *t) {
  weft__point();
  w->current = t;
  w->budget = SLICE_BUDGET;
  weft__count(&w->counters.tasks_run);
  weft__store_relaxed_u32(&w->slice, weft__load_relaxed_u32(&w->slice) + 1);
  weft__context_switch(&w->sched, t->ctx);
  weft__store_relaxed_u32(&w->slice, weft__load_relaxed_u32(&w->slice) + 1);
}

/* The same for those who watch: apart, so that others do not pay. */
static __attribute__((noinline)) void run_observed(struct weft__worker *w, struct weft__task *t) {
  struct weft__runtime *rt = w->rt;
  if (rt->sim) weft__simulated_slice(w, t);
  if (rt->debug) weft__debug_slice_begin(w, t);
  slice(w, t);
  t = w->current;
  if (rt->debug) weft__debug_slice_end(w, t);
  w->current = NULL;
  after_slice(w, t);
}

static inline __attribute__((always_inline)) void run_task(struct weft__worker *w,
                                                           struct weft__task *t) {
  if (weft__unlikely(w->searching)) weft__stop_searching(w);
  if (t->fresh && !give_stack(w, t)) return;
  if (weft__unlikely(w->rt->observed)) {
    run_observed(w, t);
    return;
  }
  slice(w, t);
  t = w->current;
  w->current = NULL;
  after_slice(w, t);
}

void weft__run_task(struct weft__worker *w, struct weft__task *t) {
  run_task(w, t);
}

/* In exact mode a look at the loop closes a turn of asyncio: after all tasks that were ready at its
 * beginning. */
static uint32_t poll_interval(struct weft__worker *w) {
  if (!w->rt->exact) return POLL_EVERY;
  uint32_t n = weft__ring_len(&w->ring) + weft__tasklist_count(&w->rt->ready);
  return n ? n : 1;
}

void weft__worker_poll(struct weft__worker *w) {
  weft__store_relaxed_u32(&w->poll_due, 0);
  /* While the reserve has the lease, loop and timers are its business. */
  if (weft__loop_enter(w->loop, w)) {
    weft__loop_turn(w->loop);
    weft__loop_leave(w->loop);
    if (weft__timers_next(w->timers) != WEFT__NEVER)
      weft__make_ready_chain(weft__timers_fire(w->timers, weft__now()));
  }
  w->poll_in = poll_interval(w);
}

void weft__worker_loop(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  while (weft__life(rt) != WEFT__ENDED) {
    if (weft__unlikely(weft__load_relaxed_u32(&rt->main_done)) && w->index == 0)
      weft__shutdown_step(rt, w);
    if (--w->poll_in == 0 || weft__unlikely(weft__load_relaxed_u32(&w->poll_due)))
      weft__worker_poll(w);
    struct weft__task *t = weft__next_task(w);
    if (weft__unlikely(!t)) {
      weft__worker_poll(w);
      t = weft__next_task(w);
      if (!t) t = weft__worker_idle(w);
    }
    if (t) run_task(w, t);
  }
  weft__stop_searching(w);
}
