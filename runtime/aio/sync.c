#include "aio/sync.h"

#include <sched.h>

#include "base/futex.h"
#include "base/spin.h"
#include "core/ready.h"
#include "core/table.h"

/* A thread that waits, on its stack. Its record has no task. */
struct sleeper {
  struct weft__waiter rec;
  weft__atomic_u32 over; /* release by the winner, who rings after it; acquire by the sleeper */
};

int weft__sync_enter_outside(void) {
  if (weft__in_child()) return WEFT_ECHILD;
  /* A simulated task would ring for a simulated thread. */
  return !weft__sim_here() && weft__table_alone() ? WEFT_EBUSY : 0;
}

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

static int sleep_in_line(struct weft__sync *s, uint64_t state) {
  struct sleeper me = {.rec = {.task = NULL}};
  weft__list_push_back(&s->line, &me.rec.link);
  weft__sync_unlock(s, state);
  while (weft__load_acquire_u32(&me.over) == 0) weft__futex_wait(&me.over, 0, WEFT__FUTEX_FOREVER);
  weft__sync_settle(s);
  return me.rec.code;
}

int weft__sync_queue_up(struct weft__sync *s, struct weft__task *t, uint64_t state,
                        const struct weft__wait_kind *kind) {
  if (!t) return sleep_in_line(s, state);
  weft__sync_join(s, t, state, 0, kind, s);
  int r = weft__sync_wait(s, t);
  if (r == 0) return t->wait.code;
  weft__sync_unlock(s, weft__sync_leave(s, t));
  return r;
}

/* It stays until the lock is free, so this is no touch of a dead one. */
static void wake_sleeper(struct weft__waiter *rec, int code) {
  struct sleeper *sleeper = weft__container_of(rec, struct sleeper, rec);
  rec->code = code;
  weft__store_release_u32(&sleeper->over, 1);
  weft__futex_wake(&sleeper->over, 1);
}

static inline bool win(struct weft__waiter *rec, int code, struct weft__sync_woken *woken) {
  struct weft__task *t = rec->task; /* once it is won, the record is its task's again */
  weft__list_remove(&rec->link);
  if (!t) {
    wake_sleeper(rec, code);
    return true;
  }
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

bool weft__sync_win(struct weft__waiter *rec, int code, struct weft__sync_woken *woken) {
  return win(rec, code, woken);
}

bool weft__sync_wake(struct weft__sync *s, int code, struct weft__sync_woken *woken,
                     struct weft__task **ret) {
  struct weft__waiter *rec;
  while ((rec = weft__sync_first(s)) != NULL) {
    struct weft__task *t = rec->task;
    if (!win(rec, code, woken)) continue;
    if (ret) *ret = t;
    return true;
  }
  return false;
}

void weft__sync_ready_slow(struct weft__sync_woken *woken) {
  struct weft__worker *w = weft__self();
  struct weft__task *t = woken->first;
  do {
    struct weft__task *next = t->link[WEFT__LINK_READY];
    if (weft__likely(w && w->rt == t->rt))
      weft__make_ready_by(w, t);
    else
      weft__make_ready_outside(t);
    t = next;
  } while (t);
}

bool weft__sync_refuses_stranger(struct weft__sync *s) {
  struct weft__waiter *rec = weft__sync_first(s);
  return rec && rec->task && rec->task->rt->sim && !weft__sim_here();
}

void weft__sync_wake_all(struct weft__sync *s, uint64_t state, int code) {
  struct weft__sync_woken woken = {NULL, NULL};
  struct weft__waiter *rec;
  while ((rec = weft__sync_first(s)) != NULL) {
    if (!rec->gate) {
      win(rec, code, &woken);
      continue;
    }
    struct weft__task *t = rec->task;
    weft__list_remove(&rec->link);
    if (weft__waiter_fire(rec, code)) weft__sync_woken_add(&woken, t);
  }
  weft__sync_unlock(s, state);
  weft__sync_ready(&woken);
}
