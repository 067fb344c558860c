#include "aio/sync.h"

#include <sched.h>

#include "base/spin.h"
#include "core/ready.h"

void weft__sync_wait_unlocked(struct weft__sync *s) {
  /* Acquire: who waits for its winner may free the object next. Pairs with weft__sync_unlock. */
  for (unsigned round = 1; weft__load_acquire_u64(&s->word) & WEFT__SYNC_LOCKED; round++) {
    weft__cpu_relax();
#if defined(WEFT_MODEL)
    (void)round;
#else
    if (round % WEFT__SPIN_ROUNDS == 0 && !weft__sim_here()) sched_yield();
#endif
  }
}

void weft__sync_join(struct weft__sync *s, struct weft__task *t, uint64_t state, int mark,
                     const struct weft__wait_kind *kind, const void *object) {
  struct weft__waiter *rec = &t->wait;
  rec->task = t;
  rec->gate = NULL;
  rec->code = mark;
  weft__waits_for(t, kind, object);
  weft__list_push_back(&s->line, &rec->link);
  weft__sync_unlock(s, state);
}

int weft__sync_wait(struct weft__sync *s, struct weft__task *t) {
  int r = weft__wait_park(t, t->wait.ticket, WEFT__NEVER);
  if (r == 0) weft__sync_settle(s);
  return r;
}

uint64_t weft__sync_leave(struct weft__sync *s, struct weft__task *t) {
  uint64_t state = weft__sync_lock(s);
  weft__list_remove(&t->wait.link);
  return state;
}

bool weft__sync_win(struct weft__waiter *rec, int code, struct weft__sync_woken *woken) {
  struct weft__task *t = rec->task;
  weft__list_remove(&rec->link);
  rec->code = code;
  switch (weft__claim_win(&t->word, rec->ticket, WEFT__BY_EVENT)) {
  case WEFT__WON_PARKED:
    weft__sync_woken_add(woken, t);
    return true;
  case WEFT__WON:
    return true;
  default:
    return false;
  }
}

struct weft__task *weft__sync_wake(struct weft__list *line, int code,
                                   struct weft__sync_woken *woken) {
  struct weft__list *l;
  while ((l = weft__list_first(line)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *t = rec->task; /* once it is won, the record is its task's again */
    if (weft__sync_win(rec, code, woken)) return t;
  }
  return NULL;
}

void weft__sync_ready_slow(struct weft__sync_woken *woken) {
  weft__make_ready_chain(woken->first);
  woken->first = woken->last = NULL;
}

bool weft__sync_refuses(struct weft__sync *s) {
  struct weft__waiter *rec = weft__sync_first(s);
  return rec && rec->task->rt->sim && !weft__sim_here();
}

void weft__sync_wake_all(struct weft__sync *s, uint64_t state, int code) {
  struct weft__sync_woken woken = {NULL, NULL};
  struct weft__list *l;
  while ((l = weft__list_pop_front(&s->line)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *t = rec->task; /* once it is won, the record is its task's again */
    if (weft__waiter_fire(rec, code)) weft__sync_woken_add(&woken, t);
  }
  weft__sync_unlock(s, state);
  weft__sync_ready(&woken);
}
