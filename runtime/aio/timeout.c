/* Timeout scopes.
 *
 * A scope only records its deadline and the nearest one of it and the scopes around it; nothing is
 * armed. The task carries the innermost scope's nearest deadline (limit), and each of its waits arms
 * that beside its own (core/park.c). A deadline that ends a wait is noted in the task (limit_hit) and
 * makes every later wait answer WEFT_ECANCELED, until the scope it belongs to ends. What shields have to
 * do with it is in core/limit.h.
 */
#include <weft/timeout.h>

#include "core/deadline.h"
#include "core/limit.h"
#include "core/park.h"
#include "core/self.h"
#include "core/worker.h"

int weft_timeout_begin(weft_timeout *s, weft_ns limit) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  weft__limit_note(t);
  *s = (weft_timeout){
      .outer_ = t->scopes, .task_ = t, .deadline_ = weft__deadline_in(limit), .shield_ = t->shield};
  t->scopes = s;
  weft__limit_nearest(s);
  t->limit = s->nearest_; /* and limit_hit is what it was */
  if (weft__unlikely(t->rt->debug != NULL)) weft__task_check_end(t);
  return 0;
}

int weft_timeout_end(weft_timeout *s, int code) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (t->scopes != s) return WEFT_ESTATE;
  weft__limit_note(t);
  s->task_ = NULL;
  t->scopes = s->outer_;
  weft__limit_renew(t);
  if (!s->expired_) return code;
  /* One that was begun under a shield was cut by nothing but its deadline. */
  bool cancelled = !s->shield_ && (t->sticky || (weft__load_relaxed_u64(&t->word) & WEFT__CANCEL));
  return code == WEFT_ECANCELED && !cancelled ? WEFT_ETIMEDOUT : code;
}

bool weft_timeout_expired(const weft_timeout *s) {
  struct weft__task *t = weft__current_task();
  if (t && s->task_ == t) weft__limit_note(t);
  return s->expired_;
}

/* From s inwards: an inner scope's nearest deadline depends on those around it. */
static void renew_inside(weft_timeout *at, weft_timeout *s) {
  if (at != s) renew_inside(at->outer_, s);
  weft__limit_nearest(at);
}

int weft_timeout_reschedule(weft_timeout *s, weft_ns limit) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  weft__limit_note(t);
  if (s->task_ != t || s->expired_) return WEFT_ESTATE;
  s->deadline_ = weft__deadline_in(limit);
  renew_inside(t->scopes, s);
  weft__limit_renew(t);
  return 0;
}

int weft_wait_for(weft_fn fn, void *arg, weft_ns limit) {
  weft_timeout s;
  int r = weft_timeout_begin(&s, limit);
  if (r < 0) return r;
  if (!fn) return weft_timeout_end(&s, WEFT_EINVAL);
  if (limit > 0) return weft_timeout_end(&s, fn(arg));
  weft_timeout_end(&s, 0);
  return WEFT_ETIMEDOUT;
}

int weft_wait_for_task(weft_task h, weft_ns limit) {
  weft_timeout s;
  int r = weft_timeout_begin(&s, limit);
  if (r < 0) return r;
  return weft_timeout_end(&s, weft_await(h));
}
