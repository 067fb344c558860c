#include "core/limit.h"

#include "base/check.h"
#include "core/debug.h"
#include "core/self.h"
#include "core/worker.h"

/* The innermost expired scope that counts, or NULL. */
static weft_timeout *expired(const struct weft__task *t) {
  weft_timeout *s = t->scopes;
  while (weft__limit_counts(t, s) && !s->expired_) s = s->outer_;
  return weft__limit_counts(t, s) ? s : NULL;
}

void weft__limit_note(struct weft__task *t) {
  if (weft__likely(!t->limit_hit) || expired(t)) return; /* noted already */
  weft_timeout *s = t->scopes;
  while (weft__limit_counts(t, s) && s->deadline_ > t->limit_hit) s = s->outer_;
  if (weft__limit_counts(t, s)) s->expired_ = true;
}

void weft__limit_nearest(weft_timeout *s) {
  const weft_timeout *around = s->outer_;
  s->nearest_ = s->deadline_;
  if (around && around->shield_ == s->shield_ && around->nearest_ < s->nearest_)
    s->nearest_ = around->nearest_;
}

void weft__limit_renew(struct weft__task *t) {
  const weft_timeout *hit = expired(t);
  t->limit = weft__limit_counts(t, t->scopes) ? t->scopes->nearest_ : WEFT__NEVER;
  t->limit_hit = hit ? hit->deadline_ : 0;
}

/* The shield in which s was begun has ended. */
static void surface(weft_timeout *s, uint32_t depth) {
  if (!s || s->shield_ <= depth) return;
  s->shield_ = depth;
  surface(s->outer_, depth);
  weft__limit_nearest(s);
}

void weft__shield_push(struct weft__task *t) {
  weft__limit_note(t);
  t->shield++;
  if (weft__unlikely(t->scopes != NULL)) weft__limit_renew(t);
  if (weft__unlikely(t->rt->debug != NULL)) weft__task_check_end(t);
}

void weft__shield_pop(struct weft__task *t) {
  weft__limit_note(t);
  t->shield--;
  if (weft__likely(t->scopes == NULL)) return;
  surface(t->scopes, t->shield);
  weft__limit_renew(t);
}

void weft__limit_restore(struct weft__task *t, weft_timeout *scopes, uint32_t shield) {
  t->scopes = scopes;
  t->shield = shield;
  weft__limit_note(t);
  weft__limit_renew(t);
}

void weft_shield_begin(void) {
  struct weft__task *t = weft__current_task();
  if (t) weft__shield_push(t);
}

void weft_shield_end(void) {
  struct weft__task *t = weft__current_task();
  if (t && t->shield) weft__shield_pop(t);
}
