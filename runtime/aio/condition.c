/* weft_cond. Its line is changed by holders of its lock, who come and go, and by waiters whose wait has
 * ended otherwise, so it is guarded by a word of its own. */
#include <weft/sync.h>

#include "aio/lock.h"

struct cond {
  weft_lock
      *given; /* constant: NULL, or the lock to use instead of own; WEFT_COND_INIT writes it */
  struct weft__sync sync; /* no state */
  struct weft__lock own;
};
_Static_assert(sizeof(struct cond) <= WEFT_COND_SIZE, "weft_cond is large enough");
_Static_assert(offsetof(struct cond, given) == 0, "WEFT_COND_INIT fills the lock");

static const struct weft__wait_kind a_condition = {"a condition"};

static struct cond *inner(weft_cond *c) {
  return (struct cond *)(void *)c;
}
static struct weft__lock *lock_of(struct cond *c) {
  return c->given ? weft__lock_of(c->given) : &c->own;
}

int weft_cond_acquire(weft_cond *c) {
  return weft_lock_acquire((weft_lock *)(void *)lock_of(inner(c)));
}
int weft_cond_release(weft_cond *c) {
  return weft_lock_release((weft_lock *)(void *)lock_of(inner(c)));
}
bool weft_cond_locked(const weft_cond *cond) {
  const struct cond *c = (const struct cond *)(const void *)cond;
  return weft_lock_locked(c->given ? c->given : (const weft_lock *)(const void *)&c->own);
}

/* 0 and the calling task, when it holds the lock. function: the public one, which a report names. */
static inline __attribute__((always_inline)) int holder(struct cond *c, struct weft__task **ret,
                                                        const char *function) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task_at(function, __builtin_return_address(0));
  *ret = t;
  return weft__lock_held_by(lock_of(c), t) ? 0 : WEFT_ESTATE;
}

static int wait_once(struct cond *c, struct weft__task *t) {
  struct weft__sync *s = &c->sync;
  struct weft__lock *l = lock_of(c);
  int r = weft__wait_open(t, false, &t->wait.ticket);
  if (r < 0) return r;
  /* In the line before the lock is released: whoever holds it next notifies this waiter, too. */
  weft__sync_lock(s);
  weft__sync_join(s, t, 0, 0, &a_condition, c);
  weft_lock_release((weft_lock *)(void *)l);
  r = weft__sync_wait(s, t);
  if (r != 0) weft__sync_unlock(s, weft__sync_leave(s, t));
  /* Masked: a cancel that comes now is answered by the next cancel point, with the lock held. */
  weft__lock_take(l, t, true);
  return r;
}

int weft_cond_wait(weft_cond *cond) {
  struct cond *c = inner(cond);
  struct weft__task *t = NULL;
  int r = holder(c, &t, __func__);
  return r < 0 ? r : wait_once(c, t);
}

int weft_cond_wait_for(weft_cond *cond, weft_fn predicate, void *arg) {
  struct cond *c = inner(cond);
  struct weft__task *t = NULL;
  int r = holder(c, &t, __func__);
  if (r < 0) return r;
  if (!predicate) return WEFT_EINVAL;
  while ((r = predicate(arg)) == 0)
    if ((r = wait_once(c, t)) < 0) break;
  return r;
}

int weft_cond_notify(weft_cond *cond, unsigned n) {
  struct cond *c = inner(cond);
  struct weft__sync *s = &c->sync;
  struct weft__sync_woken woken = {NULL, NULL};
  struct weft__task *t = NULL;
  int r = holder(c, &t, __func__);
  if (r < 0) return r;
  weft__sync_lock(s);
  while (n > 0 && weft__sync_wake(s, 0, &woken, NULL)) n--;
  weft__sync_unlock(s, 0);
  weft__sync_ready(&woken);
  return 0;
}

int weft_cond_notify_all(weft_cond *cond) {
  return weft_cond_notify(cond, UINT32_MAX);
}
