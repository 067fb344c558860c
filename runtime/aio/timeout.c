/* Timeout scopes.
 *
 * A scope only records its deadline and the nearest one of it and the scopes around it; nothing is
 * armed. The task carries the innermost scope's nearest deadline (limit), and each of its waits arms
 * that beside its own (core/park.c). A deadline that ends a wait is noted in the task (limit_hit) and
 * makes every later wait answer WEFT_ECANCELED, until the scope it belongs to ends: the innermost
 * one whose deadline is not after limit_hit.
 */
#include <weft/timeout.h>

#include "base/clock.h"
#include "core/park.h"
#include "core/self.h"

static uint64_t deadline_in(weft_ns limit) {
  if (limit == WEFT_FOREVER) return WEFT__NEVER;
  uint64_t now = weft__now();
  return limit > 0 ? now + (uint64_t)limit : now;
}

static void set_nearest(struct weft__task *t, weft_timeout *s) {
  uint64_t around = s->outer_ ? s->outer_->nearest_ : WEFT__NEVER;
  s->nearest_ = s->deadline_ < around ? s->deadline_ : around;
  t->limit = s->nearest_;
}

static bool hit(const struct weft__task *t, const weft_timeout *s) {
  return t->limit_hit && s->deadline_ <= t->limit_hit;
}

int weft_timeout_begin(weft_timeout *s, weft_ns limit) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  *s = (weft_timeout){.outer_ = t->scopes, .task_ = t, .deadline_ = deadline_in(limit)};
  t->scopes = s;
  set_nearest(t, s);
  return 0;
}

int weft_timeout_end(weft_timeout *s, int code) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (t->scopes != s) return WEFT_ESTATE;
  s->expired_ = hit(t, s);
  s->task_ = NULL;
  t->scopes = s->outer_;
  t->limit = s->outer_ ? s->outer_->nearest_ : WEFT__NEVER;
  if (!s->expired_) return code;
  t->limit_hit = 0;
  bool cancelled = t->sticky || (weft__load_relaxed_u64(&t->word) & WEFT__CANCEL);
  return code == WEFT_ECANCELED && !cancelled ? WEFT_ETIMEDOUT : code;
}

bool weft_timeout_expired(const weft_timeout *s) {
  struct weft__task *t = weft__current_task();
  return s->expired_ || (t && s->task_ == t && hit(t, s));
}

/* From s inwards: an inner scope's nearest deadline depends on those around it. */
static void renew_inside(struct weft__task *t, weft_timeout *at, weft_timeout *s) {
  if (at != s) renew_inside(t, at->outer_, s);
  set_nearest(t, at);
}

int weft_timeout_reschedule(weft_timeout *s, weft_ns limit) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (s->task_ != t || hit(t, s)) return WEFT_ESTATE;
  s->deadline_ = deadline_in(limit);
  renew_inside(t, t->scopes, s);
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
