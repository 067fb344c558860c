/* weft_sem. Permits are never there while somebody waits: a release hands its permit over. */
#include <weft/sync.h>

#include <string.h>

#include "aio/sync.h"

/* The word's state is the number of permits times PERMIT. Below 0: it was begun with a negative number,
 * and is of no use. WEFT_SEM_INIT writes the word and the bound. */
#define PERMIT 16

struct sem {
  struct weft__sync sync;
  int64_t bound; /* constant: 0, or the number of permits there may be, plus 1 */
};
_Static_assert(sizeof(struct sem) <= WEFT_SEM_SIZE, "weft_sem is large enough");
_Static_assert(offsetof(struct sem, sync.word) == 0 && offsetof(struct sem, bound) == 24,
               "WEFT_SEM_INIT fills the word and the bound");

static const struct weft__wait_kind a_semaphore = {"a semaphore"};

static struct sem *inner(weft_sem *s) {
  return (struct sem *)(void *)s;
}
static int64_t permits(uint64_t word) {
  return (int64_t)(word & ~WEFT__SYNC_FLAGS);
}
static bool full(const struct sem *s, uint64_t word) {
  int64_t most = s->bound ? s->bound - 1 : WEFT_SEM_MAX;
  return permits(word) >= most * PERMIT;
}

int weft_sem_init(weft_sem *sem, int n, bool bounded) {
  int r = weft__sync_enter_any();
  if (r < 0) return r;
  if (n < 0) return WEFT_EINVAL;
  memset(sem, 0, sizeof *sem);
  *sem = bounded ? (weft_sem)WEFT_BOUNDED_SEM_INIT(n) : (weft_sem)WEFT_SEM_INIT(n);
  return 0;
}

static int acquire_slow(struct sem *m, struct weft__task *t) {
  struct weft__sync *s = &m->sync;
  int r = weft__sync_open(t);
  if (r < 0) return r;
  uint64_t state = weft__sync_lock(s);
  if (permits(state) != 0) {
    bool bad = permits(state) < 0;
    weft__sync_unlock(s, bad ? state : state - PERMIT);
    weft__sync_abort(t);
    return bad ? WEFT_EINVAL : 0;
  }
  return weft__sync_queue_up(s, t, state, &a_semaphore);
}

/* 0 with a permit; WEFT_EAGAIN when that is not so simple. */
static inline int take_one(struct sem *m) {
  uint64_t word = weft__load_relaxed_u64(&m->sync.word);
  while ((int64_t)word >= PERMIT && !(word & WEFT__SYNC_FLAGS))
    if (weft__likely(weft__cas_u64(&m->sync.word, &word, word - PERMIT))) return 0;
  return WEFT_EAGAIN;
}

int weft_sem_acquire(weft_sem *sem) {
  struct sem *m = inner(sem);
  struct weft__task *t = NULL;
  int r = weft__sync_enter_or_block(&t);
  if (r < 0) return r;
  return weft__likely(take_one(m) == 0) ? 0 : acquire_slow(m, t);
}

int weft_sem_try(weft_sem *sem) {
  struct sem *m = inner(sem);
  int r = weft__sync_enter_any();
  if (r < 0 || (r = take_one(m)) == 0) return r;
  struct weft__sync *s = &m->sync;
  uint64_t state = weft__sync_lock(s);
  if (permits(state) != 0) r = permits(state) < 0 ? WEFT_EINVAL : 0;
  weft__sync_unlock(s, r == 0 ? state - PERMIT : state);
  return r;
}

static __attribute__((noinline)) int release_slow(struct sem *m) {
  struct weft__sync *s = &m->sync;
  struct weft__sync_woken woken = {NULL, NULL};
  uint64_t state = weft__sync_lock(s);
  int r = full(m, state) ? WEFT_EOVERFLOW : weft__sync_refuses(s) ? WEFT_EBUSY : 0;
  bool handed_over = r == 0 && weft__sync_wake(s, 0, &woken, NULL);
  weft__sync_unlock(s, r < 0 || handed_over ? state : state + PERMIT);
  weft__sync_ready(&woken);
  return r;
}

int weft_sem_release(weft_sem *sem) {
  struct sem *m = inner(sem);
  int r = weft__sync_enter_any();
  if (weft__unlikely(r < 0)) return r;
  uint64_t word = weft__load_relaxed_u64(&m->sync.word);
  while (!(word & WEFT__SYNC_FLAGS)) {
    if (weft__unlikely(permits(word) < 0)) return WEFT_EINVAL;
    if (weft__unlikely(full(m, word))) return WEFT_EOVERFLOW;
    if (weft__likely(weft__cas_u64(&m->sync.word, &word, word + PERMIT))) return 0;
  }
  return release_slow(m);
}

int weft_sem_value(const weft_sem *sem) {
  const struct sem *m = (const struct sem *)(const void *)sem;
  int64_t n = permits(weft__load_relaxed_u64(&m->sync.word));
  return n < 0 ? WEFT_EINVAL : (int)(n / PERMIT);
}

bool weft_sem_locked(const weft_sem *sem) {
  return weft_sem_value(sem) <= 0;
}
