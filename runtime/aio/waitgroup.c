/* weft_wait_group. */
#include <weft/barrier.h>

#include "aio/sync.h"

/* The word's state is the number of things under way times ONE. Somebody waits only while it is not 0. */
#define ONE UINT64_C(16)

struct wait_group {
  struct weft__sync sync;
};
_Static_assert(sizeof(struct wait_group) <= WEFT_WAIT_GROUP_SIZE,
               "weft_wait_group is large enough");

static const struct weft__wait_kind a_wait_group = {"a wait group"};

static struct weft__sync *inner(weft_wait_group *g) {
  return &((struct wait_group *)(void *)g)->sync;
}

static bool too_many(uint64_t word, unsigned n) {
  return word / ONE + n > INT32_MAX;
}

int weft_wait_group_add(weft_wait_group *g, unsigned n) {
  struct weft__sync *s = inner(g);
  int r = weft__sync_enter_any();
  if (r < 0) return r;
  uint64_t word = weft__load_relaxed_u64(&s->word);
  while (!(word & WEFT__SYNC_FLAGS)) {
    if (too_many(word, n)) return WEFT_EOVERFLOW;
    if (weft__cas_u64(&s->word, &word, word + n * ONE)) return 0;
  }
  uint64_t state = weft__sync_lock(s);
  if (too_many(state, n))
    r = WEFT_EOVERFLOW;
  else
    state += n * ONE;
  weft__sync_unlock(s, state);
  return r;
}

static int done_slow(struct weft__sync *s) {
  uint64_t state = weft__sync_lock(s);
  int r = state == 0 ? WEFT_ESTATE : state == ONE && weft__sync_refuses(s) ? WEFT_EBUSY : 0;
  if (r == 0 && state == ONE)
    weft__sync_wake_all(s, 0, 0);
  else
    weft__sync_unlock(s, r == 0 ? state - ONE : state);
  return r;
}

int weft_wait_group_done(weft_wait_group *g) {
  struct weft__sync *s = inner(g);
  int r = weft__sync_enter_any();
  if (r < 0) return r;
  uint64_t word = weft__load_relaxed_u64(&s->word);
  while (!(word & WEFT__SYNC_FLAGS)) {
    if (word == 0) return WEFT_ESTATE;
    if (weft__cas_u64(&s->word, &word, word - ONE)) return 0;
  }
  return done_slow(s);
}

static int wait_slow(struct weft__sync *s, struct weft__task *t) {
  int r = weft__sync_open(t);
  if (r < 0) return r;
  uint64_t state = weft__sync_lock(s);
  if (state == 0) {
    weft__sync_unlock(s, state);
    weft__sync_abort(t);
    return 0;
  }
  return weft__sync_queue_up(s, t, state, &a_wait_group);
}

int weft_wait_group_wait(weft_wait_group *g) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter_or_block(&t);
  if (r < 0) return r;
  /* Acquire: pairs with every done. Locked, it may be by the last done, which is not finished. */
  if (weft__load_acquire_u64(&inner(g)->word) == 0) return 0;
  return wait_slow(inner(g), t);
}

int weft_wait_group_count(const weft_wait_group *g) {
  const struct wait_group *inner_g = (const struct wait_group *)(const void *)g;
  return (int)(weft__load_relaxed_u64(&inner_g->sync.word) / ONE);
}
