/* Callbacks. One that is to begin at a time is a task that waits before it has begun: without a stack,
 * its wait ended by its timer or by who withdraws it. The worker that would begin it asks its claim
 * word whether it still may (weft__claim_begin). */
#include <weft/call.h>
#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/point.h"
#include "base/sim.h"
#include "core/finish.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/strand.h"
#include "core/timers.h"
#include "core/worker.h"

static weft_call failed(int error) {
  weft_task t = weft__handle_failed(error);
  return (weft_call){.slot_ = t.slot_, .key_ = t.key_};
}

static weft_task as_task(weft_call c) {
  return (weft_task){.slot_ = c.slot_, .key_ = c.key_};
}

/* A task without a handle, which nobody has seen yet. */
static int make(struct weft__worker *w, weft_fn fn, void *arg, const void *site,
                struct weft__task **ret) {
  int r = weft__spawn_make(w, fn, arg, NULL, NULL, site, ret);
  if (r < 0) return r;
  weft__store_relaxed_u32(&(*ret)->watched, WEFT__DETACHED);
  weft__store_relaxed_u32(&(*ret)->refs, 1);
  return 0;
}

static weft_call soon(struct weft__worker *w, weft_fn fn, void *arg, const void *site) {
  struct weft__task *t;
  int r = make(w, fn, arg, site, &t);
  if (r < 0) return failed(r);
  weft_task h = weft__handle(t, weft__load_relaxed_u64(&t->word));
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  weft__push_unstarted(w, t);
  return (weft_call){h.slot_, h.key_, 0};
}

/* No memory for its timer: it ends before it began, and who made it says so. */
static int give_up(struct weft__worker *w, struct weft__task *t) {
  weft__store_relaxed_ptr(&t->owner, NULL);
  weft__store_relaxed_u32(&t->watched, 0);
  weft__task_finish(w, t, WEFT_ENOMEM);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
  return WEFT_ENOMEM;
}

static const struct weft__wait_kind its_time = {"its time"};

/* Puts t, of which only its maker and who cancels all tasks know, into the heap. */
static int arm(struct weft__worker *w, struct weft__task *t, weft__ticket ticket, uint64_t when) {
  struct weft__timers *h = t->odd & WEFT__STRAND ? t->strand->timers : w->timers;
  struct weft__worker *guardian = NULL;
  if (when != WEFT__NEVER && weft__timers_add(h, t, ticket, when, &guardian) < 0) {
    /* Its maker ends it, unless a cancel was faster. */
    if (weft__claim_win(&t->word, ticket, WEFT__BY_EVENT) == WEFT__WON) return give_up(w, t);
  }
  if (guardian) weft__unpark(guardian);
  weft__point();
  if (!weft__claim_commit(&t->word)) weft__make_ready_by(w, t);
  return 0;
}

int weft__push_unstarted_at(struct weft__worker *w, struct weft__task *t, uint64_t when) {
  t->odd |= WEFT__FRESH;
  weft__waits_for(t, &its_time, NULL);
  weft__ticket ticket;
  if (weft__claim_schedule(&t->word, &ticket)) return arm(w, t, ticket, when);
  /* It, or all tasks, were cancelled: it ends as one of them. */
  t->odd &= (uint8_t)~WEFT__FRESH;
  weft__push_unstarted(w, t);
  return 0;
}

static weft_call at(struct weft__worker *w, uint64_t when, weft_fn fn, void *arg,
                    const void *site) {
  struct weft__task *t;
  int r = make(w, fn, arg, site, &t);
  if (r < 0) return failed(r);
  weft_task h = weft__handle(t, weft__load_relaxed_u64(&t->word));
  r = weft__push_unstarted_at(w, t, when);
  return r < 0 ? failed(r) : (weft_call){h.slot_, h.key_, 0};
}

weft_call weft_call_soon(weft_fn fn, void *arg) {
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return failed(weft__no_task());
  return soon(w, fn, arg, __builtin_return_address(0));
}

weft_call weft_call_later(weft_ns delay, weft_fn fn, void *arg) {
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return failed(weft__no_task());
  weft_ns now = (weft_ns)weft__now();
  /* What lies in the past keeps its place there: an earlier time begins first. */
  weft_ns when = delay > 0 && now > WEFT_FOREVER - delay ? WEFT_FOREVER
                 : now + delay < 0                       ? 0
                                                         : now + delay;
  uint64_t deadline = when == WEFT_FOREVER ? WEFT__NEVER : (uint64_t)when;
  weft_call c = at(w, deadline, fn, arg, __builtin_return_address(0));
  c.when_ = when;
  return c;
}

weft_call weft_call_at(weft_ns when, weft_fn fn, void *arg) {
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return failed(weft__no_task());
  uint64_t deadline = when == WEFT_FOREVER ? WEFT__NEVER : when < 0 ? 0 : (uint64_t)when;
  weft_call c = at(w, deadline, fn, arg, __builtin_return_address(0));
  c.when_ = when;
  return c;
}

int weft_call_cancel(weft_call c) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!c.slot_) return weft__handle_error(as_task(c));
  struct weft__task *t = c.slot_;
  if (weft__unlikely(t->rt->sim && !weft__sim_here())) return WEFT_EBUSY;
  weft__point();
  switch (weft__claim_withdraw(&t->word, weft__handle_key(as_task(c)))) {
  case WEFT__WON_PARKED: {
    struct weft__worker *w = weft__self();
    if (!w || w->rt != t->rt) {
      weft__make_ready(t);
    } else {
      weft__timers_remove(t);
      weft__task_finish(w, t, WEFT_ECANCELED);
      weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
    }
    return 1;
  }
  case WEFT__WON:
    return 1;
  default:
    return 0;
  }
}

weft_ns weft_call_when(weft_call c) {
  return c.when_;
}

int weft_call_error(weft_call c) {
  return weft__handle_error(as_task(c));
}
