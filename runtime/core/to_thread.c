/* weft_to_thread: a job of the blocking pool, and the task that waits for it. */
#include <weft/offload.h>

#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"

/* On the waiting task's stack. */
struct offload {
  struct weft__job job;
  struct weft__task *task; /* constant */
  struct weft__spin lock;  /* guards the rest */
  weft__ticket ticket;     /* of the open wait: a second one after a cancel */
  bool over;
};

/* On the pool's thread. The frame lives until the task has had the lock after `over`. */
static void on_done(struct weft__job *job) {
  struct offload *o = weft__container_of(job, struct offload, job);
  struct weft__task *t = o->task;
  weft__spin_lock(&o->lock);
  o->over = true;
  enum weft__outcome won = weft__claim_win(&t->word, o->ticket, WEFT__BY_EVENT);
  weft__spin_unlock(&o->lock);
  if (won == WEFT__WON_PARKED) weft__make_ready_by(NULL, t);
}

static bool is_over(struct offload *o) {
  weft__spin_lock(&o->lock);
  bool over = o->over;
  weft__spin_unlock(&o->lock);
  return over;
}

/* The job cannot be abandoned: its argument may be on the caller's stack. */
static void wait_for_end(struct weft__task *t, struct offload *o) {
  while (!is_over(o)) {
    weft__ticket ticket;
    weft__wait_open(t, true, &ticket); /* masked: opens always */
    weft__waits_for(t, &weft__waits_job, NULL);
    weft__spin_lock(&o->lock);
    o->ticket = ticket;
    bool over = o->over;
    weft__spin_unlock(&o->lock);
    if (over)
      weft__wait_abort(t, ticket);
    else
      weft__wait_park(t, ticket, WEFT__NEVER);
  }
}

int weft_to_thread(weft_fn fn, void *arg) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!fn) return WEFT_EINVAL;
  struct weft__blocking *pool = &t->rt->blocking;
  struct offload o = {.job = {.fn = fn, .arg = arg, .done = on_done}, .task = t};
  int r = weft__wait_open(t, false, &o.ticket);
  if (r < 0) return r;
  weft__waits_for(t, &weft__waits_job, NULL);
  r = weft__blocking_submit(pool, &o.job);
  if (r < 0) {
    weft__wait_abort(t, o.ticket);
    return r;
  }
  r = weft__wait_park(t, o.ticket, WEFT__NEVER);
  if (r < 0 && weft__blocking_withdraw(pool, &o.job)) return r;
  wait_for_end(t, &o);
  if (r == WEFT_ECANCELED) weft__postpone_cancel(t);
  return o.job.code;
}
