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
#include "core/strand.h"
#include "core/uv.h"

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
  weft__burst_init(&w->burst);
  if (reserve) return 0;
  w->timers = &w->own_timers;
  w->loop = &w->own_loop;
  int r = weft__loop_init(&w->own_loop);
  w->own_loop.set.owner = w;
  return r;
}

void weft__worker_fini(struct weft__worker *w) {
  if (!w->reserve) {
    weft__uv_report_left(w);
    weft__loop_fini(&w->own_loop);
  }
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

/* A task that is cancelled before its first run never runs. Of the others only a callback has a reason in
 * its word: it was to begin at a time. */
static __attribute__((noinline)) int begin_callback(struct weft__task *t) {
  weft__timers_remove(t);
  return weft__claim_begin(&t->word) ? 0 : WEFT_ECANCELED;
}

static void pass_turn(struct weft__worker *w, struct weft_strand *s, struct weft__task *again);

/* Ended before it could run. */
static __attribute__((noinline)) void end_unrun(struct weft__worker *w, struct weft__task *t,
                                                int code) {
  weft__task_finish(w, t, code);
  if (t->odd & WEFT__STRAND) pass_turn(w, t->strand, NULL);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
}

/* Gives a begun task its stack, or ends it: cancelled before its first run, or no memory. */
static inline __attribute__((always_inline)) bool give_stack(struct weft__worker *w,
                                                             struct weft__task *t) {
  t->odd &= (uint8_t)~WEFT__FRESH;
  int r = 0;
  if (weft__unlikely(weft__load_relaxed_u64(&t->word) & (WEFT__CANCEL | WEFT__REASON_MASK)))
    r = begin_callback(t);
  if (r == 0) r = weft__stack_get(&w->stacks, t->stack_size, &t->stack);
  if (weft__unlikely(r < 0)) {
    end_unrun(w, t, r);
    return false;
  }
  t->ctx = &t->stack->context;
  weft__context_reset(t->ctx, t->stack->lo, t->stack->size, task_entry, t);
  return true;
}

/* ---- slices ---- */

/* Switches to t, and comes back when it, or a task that it ran inline, has switched away: which is
 * w->current then. */
static inline __attribute__((always_inline)) void switch_to(struct weft__worker *w,
                                                            struct weft__task *t) {
  weft__point();
  w->current = t;
  weft__count(&w->counters.tasks_run);
  weft__store_relaxed_u32(&w->slice, weft__load_relaxed_u32(&w->slice) + 1);
  weft__context_switch(&w->sched, t->ctx);
  weft__store_relaxed_u32(&w->slice, weft__load_relaxed_u32(&w->slice) + 1);
}

/* The same for those who watch: apart, so that others do not pay. */
static __attribute__((noinline)) void switch_observed(struct weft__worker *w,
                                                      struct weft__task *t) {
  struct weft__runtime *rt = w->rt;
  if (rt->sim) weft__simulated_slice(w, t);
  if (rt->debug) weft__debug_slice_begin(w, t);
  switch_to(w, t);
  if (rt->debug) weft__debug_slice_end(w, w->current);
}

/* Runs t until it, or a task that it ran inline, has switched away, which is returned. */
static inline __attribute__((always_inline)) struct weft__task *slice(struct weft__worker *w,
                                                                      struct weft__task *t) {
  if (weft__unlikely(w->rt->observed))
    switch_observed(w, t);
  else
    switch_to(w, t);
  t = w->current;
  w->current = NULL;
  return t;
}

static void run_eager(struct weft__worker *w, struct weft__task *spawner);

/* Does what t asked for. Nothing of t may be touched once its wait is committed: it may be running
 * elsewhere. */
static inline __attribute__((always_inline)) void settle(struct weft__worker *w,
                                                         struct weft__task *t) {
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
  case WEFT__POST_EAGER:
    run_eager(w, t);
    break;
  }
}

/* The task of s that had the turn has left its stack; `again`, if not NULL, can go on already. An eager
 * child runs in the turn of its spawner, if that is of the same strand: then the turn is kept. */
static void pass_turn(struct weft__worker *w, struct weft_strand *s, struct weft__task *again) {
  if (w->spawners && w->spawners->strand == s) {
    if (again) WEFT__ASSERT(!weft__strand_enter(s, again));
    return;
  }
  struct weft__task *next = weft__strand_next(s, again);
  if (next) weft__queue_turn(w, next);
}

/* As settle. The strand outlives a committed task: none of its tasks runs before the turn is passed. */
static void settle_in_strand(struct weft__worker *w, struct weft__task *t) {
  struct weft_strand *s = t->strand;
  switch (w->post) {
  case WEFT__POST_COMMIT:
    pass_turn(w, s, weft__claim_commit(&t->word) ? NULL : t);
    break;
  case WEFT__POST_YIELD:
    pass_turn(w, s, t);
    break;
  case WEFT__POST_EXIT:
    weft__stack_put(&w->stacks, t->stack);
    pass_turn(w, s, NULL);
    weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
    break;
  case WEFT__POST_EAGER:
    run_eager(w, t);
    break;
  }
}

static __attribute__((noinline)) void after_odd_slice(struct weft__worker *w,
                                                      struct weft__task *t) {
  if (w->post != WEFT__POST_EAGER) { /* else the slice goes on */
    t->odd &= (uint8_t)~WEFT__HOG;
    if (weft__load_relaxed_u32(&w->hogged)) {
      weft__store_relaxed_u32(&w->hogged, 0);
      t->odd |= WEFT__HOG;
    }
  }
  if (t->odd & WEFT__STRAND)
    settle_in_strand(w, t);
  else
    settle(w, t);
}

static inline __attribute__((always_inline)) void after_slice(struct weft__worker *w,
                                                              struct weft__task *t) {
  weft__point(); /* what the task published before it left may be taken already */
  if (weft__unlikely(weft__load_relaxed_u32(&w->hogged) | t->odd))
    after_odd_slice(w, t);
  else
    settle(w, t);
}

/* An eager child has left its stack for the first time. */
static void after_eager_slice(struct weft__worker *w, struct weft__task *t) {
  weft__point();
  if (t->odd & WEFT__STRAND)
    settle_in_strand(w, t);
  else
    settle(w, t);
}

/* `spawner` has made way for its eager child, which may do so for its own, and so on: each child runs to
 * its first suspension, then its spawner goes on where it was. All of that is one slice, the spawner's,
 * with one budget; and nothing here calls itself, however deep they nest. */
static __attribute__((noinline)) void run_eager(struct weft__worker *w,
                                                struct weft__task *spawner) {
  struct weft__task *t = spawner;
  for (;;) {
    struct weft__task *next = NULL;
    if (w->post == WEFT__POST_EAGER) {
      t->link[WEFT__LINK_READY] = w->spawners;
      w->spawners = t;
      next = w->eager;
    } else if (w->spawners) {
      after_eager_slice(w, t);
    } else {
      break;
    }
    if (!next || !give_stack(w, next)) {
      next = w->spawners;
      w->spawners = next->link[WEFT__LINK_READY];
    }
    /* For the monitor it goes on: the counter reads as before. */
    weft__store_relaxed_u32(&w->slice, weft__load_relaxed_u32(&w->slice) - 2);
    t = slice(w, next);
  }
  after_slice(w, t);
}

/* ---- turns ---- */

static inline __attribute__((always_inline)) void run_task(struct weft__worker *w,
                                                           struct weft__task *t) {
  if (weft__unlikely(w->searching)) weft__stop_searching(w);
  if ((t->odd & WEFT__FRESH) && !give_stack(w, t)) return;
  w->budget = SLICE_BUDGET;
  t = slice(w, t);
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
  while (weft__life(rt) < WEFT__RESTS) {
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
