/* weft_uv_call: a request to the driver of a loop, and the task that waits for it. */
#include "core/uv.h"

#include <weft/errors.h>
#include <weft/uv.h>

#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"

/* On the waiting task's stack. */
struct call {
  struct weft__loop_request req;
  int (*fn)(uv_loop_t *loop, void *arg); /* constant, as the next two */
  void *arg;
  struct weft__task *task;
  struct weft__spin lock; /* guards the rest */
  weft__ticket ticket;    /* of the open wait: a second one after a cancel */
  bool over;
  int code;
};

static const struct weft__wait_kind a_loop = {"a libuv loop"};

static weft_uv name_of(const struct weft__worker *w) {
  return (weft_uv){.runtime_ = w->rt->id, .worker_ = w->index};
}

weft_uv weft_uv_here(void) {
  struct weft__worker *w = weft__self();
  if (!w) return (weft_uv){0};
  /* A reserve is in the loop of the worker that it stands in for, which has the same number. */
  return name_of(w);
}

weft_uv weft_uv_of(unsigned worker) {
  struct weft__task *t = weft__current_task();
  if (!t || worker >= t->rt->nworkers) return (weft_uv){0};
  return name_of(&t->rt->workers[worker]);
}

/* On the driver. The frame lives until the task has had the lock after `over`. */
static void run(struct weft__loop_request *req, uv_loop_t *uv) {
  struct call *c = weft__container_of(req, struct call, req);
  struct weft__task *t = c->task;
  uv_update_time(uv); /* libuv was not in the loop perhaps for long: timers count from its time */
  int code = c->fn(uv, c->arg);
  weft__spin_lock(&c->lock);
  c->over = true;
  c->code = code;
  enum weft__outcome won = weft__claim_win(&t->word, c->ticket, WEFT__BY_EVENT);
  weft__spin_unlock(&c->lock);
  if (won == WEFT__WON_PARKED) weft__make_ready(t);
}

static bool is_over(struct call *c) {
  weft__spin_lock(&c->lock);
  bool over = c->over;
  weft__spin_unlock(&c->lock);
  return over;
}

static void wait_for_end(struct weft__task *t, struct call *c) {
  while (!is_over(c)) {
    weft__ticket ticket;
    weft__wait_open(t, true, &ticket); /* masked: opens always */
    weft__waits_for(t, &a_loop, NULL);
    weft__spin_lock(&c->lock);
    c->ticket = ticket;
    bool over = c->over;
    weft__spin_unlock(&c->lock);
    if (over)
      weft__wait_abort(t, ticket);
    else
      weft__wait_park(t, ticket, WEFT__NEVER);
  }
}

int weft_uv_call(weft_uv home, int (*fn)(uv_loop_t *loop, void *arg), void *arg) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  struct weft__runtime *rt = t->rt;
  if (!fn || home.runtime_ != rt->id || home.worker_ >= rt->nworkers) return WEFT_EINVAL;
  if (rt->sim) return WEFT_ENOTSUP;
  struct weft__loop *loop = &rt->workers[home.worker_].own_loop;
  struct call c = {.req = {.run = run}, .fn = fn, .arg = arg, .task = t};
  weft__list_init(&c.req.link);
  int r = weft__wait_open(t, false, &c.ticket);
  if (r < 0) return r;
  weft__waits_for(t, &a_loop, NULL);
  weft__loop_post(loop, &c.req);
  weft__loop_poke(loop);
  r = weft__wait_park(t, c.ticket, WEFT__NEVER);
  if (r < 0 && weft__loop_unpost(loop, &c.req)) return r;
  wait_for_end(t, &c);
  if (r == WEFT_ECANCELED) weft__postpone_cancel(t);
  return c.code;
}

/* ---- the end ---- */

static void report(uv_handle_t *h, void *arg) {
  struct weft__worker *w = arg;
  const void *own[] = {&w->own_loop.inner, &w->own_loop.alarm};
  if (h == own[0] || h == own[1] || uv_is_closing(h)) return;
  weft__log(w->rt, "a handle (uv_%s_t) was left open in the loop of worker %u",
            uv_handle_type_name(h->type), w->index);
}

void weft__uv_report_left(struct weft__worker *w) {
  uv_walk(&w->own_loop.uv, report, w);
}
