/* weft_once. The right to run the function is handed on like a lock, until one run succeeds. */
#include <weft/barrier.h>

#include "aio/sync.h"

/* The word's state: 0, the address of the task that runs the function, or DONE. */
#define DONE UINT64_C(4)

enum { IT_IS_DONE = 0, YOUR_TURN = 1 }; /* what waiters are told */

struct once {
  struct weft__sync sync;
};
_Static_assert(sizeof(struct once) <= WEFT_ONCE_SIZE, "weft_once is large enough");
_Static_assert(_Alignof(struct weft__task) > (WEFT__SYNC_FLAGS | DONE),
               "an address leaves room for the flags");

static const struct weft__wait_kind a_once = {"what is done once"};

static struct weft__sync *inner(weft_once *o) {
  return &((struct once *)(void *)o)->sync;
}
static uint64_t run_by(struct weft__task *t) {
  return (uint64_t)(uintptr_t)t;
}

/* The function has ended. */
static void finish(struct weft__sync *s, struct weft__task *t, bool well) {
  uint64_t word = run_by(t);
  if (weft__cas_u64(&s->word, &word, well ? DONE : 0)) return;
  weft__sync_lock(s);
  if (well) {
    weft__sync_wake_all(s, DONE, IT_IS_DONE);
    return;
  }
  struct weft__sync_woken woken = {NULL, NULL};
  struct weft__task *next = NULL;
  weft__sync_wake(s, YOUR_TURN, &woken, &next);
  weft__sync_unlock(s, run_by(next));
  weft__sync_ready(&woken);
}

/* Waits for the end of the run in progress, if there is one. YOUR_TURN, IT_IS_DONE or an error. */
static int turn(struct weft__sync *s, struct weft__task *t) {
  uint64_t free = 0;
  if (weft__cas_u64(&s->word, &free, run_by(t))) return YOUR_TURN;
  int r = weft__wait_open(t, false, &t->wait.ticket);
  if (r < 0) return r;
  uint64_t state = weft__sync_lock(s);
  if (state == 0 || state == DONE || state == run_by(t)) {
    weft__sync_unlock(s, state == 0 ? run_by(t) : state);
    weft__wait_abort(t, t->wait.ticket);
    return state == 0 ? YOUR_TURN : state == DONE ? IT_IS_DONE : WEFT_EDEADLK;
  }
  return weft__sync_queue_up(s, t, state, &a_once);
}

int weft_once_run(weft_once *o, weft_fn fn, void *arg) {
  struct weft__sync *s = inner(o);
  if (!weft__current_task()) return weft__no_task();
  if (!fn) return WEFT_EINVAL;
  if (weft_once_done(o)) return 0;
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r == 0) r = turn(s, t);
  if (r != YOUR_TURN) return r;
  r = fn(arg);
  finish(s, t, r >= 0);
  return r < 0 ? r : 0;
}

bool weft_once_done(const weft_once *o) {
  const struct once *once = (const struct once *)(const void *)o;
  return (weft__load_acquire_u64(&once->sync.word) & DONE) != 0; /* pairs with the end of the run */
}
