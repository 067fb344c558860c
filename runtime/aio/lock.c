/* weft_lock. */
#include "aio/lock.h"

int weft__lock_take(struct weft__lock *l, struct weft__task *t, bool masked) {
  struct weft__sync *s = &l->sync;
  int r = weft__wait_open(t, masked, &t->wait.ticket);
  if (r < 0) return r;
  uint64_t self = weft__holder_self(t);
  uint64_t holder = weft__sync_lock(s);
  if (holder == 0 || holder == self) {
    weft__sync_unlock(s, self);
    weft__wait_abort(t, t->wait.ticket);
    return holder ? WEFT_EDEADLK : 0;
  }
  return weft__sync_queue_up(s, t, holder, &weft__waits_lock);
}

int weft_lock_acquire(weft_lock *lock) {
  struct weft__lock *l = weft__lock_of(lock);
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  uint64_t free = 0;
  if (weft__likely(weft__cas_u64(&l->sync.word, &free, weft__holder_self(t)))) return 0;
  return weft__lock_take(l, t, false);
}

int weft_lock_try(weft_lock *lock) {
  struct weft__task *t = weft__current_task();
  if (weft__unlikely(!t)) return weft__no_task();
  uint64_t free = 0;
  return weft__cas_u64(&weft__lock_of(lock)->sync.word, &free, weft__holder_self(t)) ? 0
                                                                                     : WEFT_EAGAIN;
}

/* Of the task that was won just now. */
static uint64_t next_holder(const struct weft__task *t) {
  return weft__holder(t, weft__word_key(t->wait.ticket));
}

static __attribute__((noinline)) int release_slow(struct weft__lock *l) {
  struct weft__sync *s = &l->sync;
  struct weft__sync_woken woken = {NULL, NULL};
  uint64_t holder = weft__sync_lock(s);
  int r = holder == 0 ? WEFT_ESTATE : weft__sync_refuses(s) ? WEFT_EBUSY : 0;
  struct weft__task *next = NULL;
  if (r == 0) {
    /* Its record is as it was when it came until the unlocking lets it go on. */
    holder = weft__sync_wake(s, 0, &woken, &next) ? next_holder(next) : 0;
  }
  weft__sync_unlock(s, holder);
  weft__sync_ready(&woken);
  return r;
}

int weft_lock_release(weft_lock *lock) {
  struct weft__lock *l = weft__lock_of(lock);
  int r = weft__sync_enter_any();
  if (weft__unlikely(r < 0)) return r;
  uint64_t word = weft__load_relaxed_u64(&l->sync.word);
  while (!(word & WEFT__SYNC_FLAGS)) {
    if (weft__unlikely(word == 0)) return WEFT_ESTATE;
    if (weft__likely(weft__cas_u64(&l->sync.word, &word, 0))) return 0;
  }
  return release_slow(l);
}

bool weft_lock_locked(const weft_lock *lock) {
  const struct weft__lock *l = (const struct weft__lock *)(const void *)lock;
  return (weft__load_relaxed_u64(&l->sync.word) & ~WEFT__SYNC_FLAGS) != 0;
}
