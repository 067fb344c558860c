/* weft_event. Waiters and watchers stand in one line. */
#include <weft/sync.h>

#include "aio/awaitable.h"
#include "aio/sync.h"

#define SET UINT64_C(4) /* the word's state */

struct event {
  struct weft__sync sync;
};
_Static_assert(sizeof(struct event) <= WEFT_EVENT_SIZE, "weft_event is large enough");

static const struct weft__wait_kind an_event = {"an event"};

static struct event *inner(weft_event *e) {
  return (struct event *)(void *)e;
}

static int wait_slow(struct event *e, struct weft__task *t) {
  struct weft__sync *s = &e->sync;
  int r = weft__sync_open(t);
  if (r < 0) return r;
  uint64_t state = weft__sync_lock(s);
  if (state & SET) {
    weft__sync_unlock(s, state);
    weft__sync_abort(t);
    return 0;
  }
  return weft__sync_queue_up(s, t, state, &an_event);
}

int weft_event_wait(weft_event *event) {
  struct event *e = inner(event);
  struct weft__task *t = NULL;
  int r = weft__sync_enter_or_block(&t);
  if (r < 0) return r;
  /* Acquire: pairs with whoever set it. */
  if (weft__load_acquire_u64(&e->sync.word) & SET) return 0;
  return wait_slow(e, t);
}

static int set_slow(struct event *e) {
  uint64_t state = weft__sync_lock(&e->sync);
  if (weft__sync_refuses(&e->sync)) {
    weft__sync_unlock(&e->sync, state);
    return WEFT_EBUSY;
  }
  weft__sync_wake_all(&e->sync, state | SET, 0);
  return 0;
}

int weft_event_set(weft_event *event) {
  struct event *e = inner(event);
  int r = weft__sync_enter_any();
  if (r < 0) return r;
  /* Also when it is set already: who sees that from now on sees what this caller did, too. */
  uint64_t word = weft__load_relaxed_u64(&e->sync.word);
  while (!(word & WEFT__SYNC_FLAGS))
    if (weft__cas_u64(&e->sync.word, &word, word | SET)) return 0;
  return set_slow(e);
}

int weft_event_clear(weft_event *event) {
  struct weft__sync *s = &inner(event)->sync;
  int r = weft__sync_enter_any();
  if (r < 0) return r;
  uint64_t word = weft__load_relaxed_u64(&s->word);
  while (!(word & WEFT__SYNC_FLAGS))
    if (weft__cas_u64(&s->word, &word, word & ~SET)) return 0;
  weft__sync_unlock(s, weft__sync_lock(s) & ~SET);
  return 0;
}

bool weft_event_is_set(const weft_event *event) {
  const struct event *e = (const struct event *)(const void *)event;
  return (weft__load_acquire_u64(&e->sync.word) & SET) != 0;
}

/* ---- as an awaitable ---- */

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  struct event *e = object;
  (void)key;
  uint64_t state = weft__sync_lock(&e->sync);
  bool set = (state & SET) != 0;
  if (!set) weft__list_push_back(&e->sync.line, &w->rec.link);
  weft__sync_unlock(&e->sync, state);
  if (set) *ret_code = 0;
  return set;
}

static void unwatch(void *object, uint64_t key, weft_watch *w) {
  struct event *e = object;
  (void)key;
  uint64_t state = weft__sync_lock(&e->sync);
  weft__list_remove(&w->rec.link);
  weft__sync_unlock(&e->sync, state);
}

static const weft_awaitable_ops event_ops = {
    .name = "an event", .watch = watch, .unwatch = unwatch};

weft_awaitable weft_event_awaitable(weft_event *e) {
  return (weft_awaitable){&event_ops, e, 0};
}
