#include "core/waitq.h"

#include <weft/errors.h>

#include "core/park.h"
#include "core/ready.h"

void weft__waitq_init(struct weft__waitq *q) {
  weft__list_init(&q->waiters);
}

int weft__waitq_wait(struct weft__waitq *q, struct weft__spin *lock,
                     const struct weft__wait_kind *kind, const void *object) {
  return weft__waitq_wait_until(q, lock, kind, object, WEFT__NEVER);
}

int weft__waitq_wait_until(struct weft__waitq *q, struct weft__spin *lock,
                           const struct weft__wait_kind *kind, const void *object,
                           uint64_t deadline) {
  struct weft__task *t = weft__current_task();
  struct weft__waiter *rec = &t->wait;
  int r = weft__wait_open(t, false, &rec->ticket);
  if (r < 0) {
    weft__spin_unlock(lock);
    return r;
  }
  rec->task = t;
  rec->gate = NULL;
  weft__waits_for(t, kind, object);
  weft__list_push_back(&q->waiters, &rec->link);
  weft__spin_unlock(lock);
  r = weft__wait_park(t, rec->ticket, deadline);
  if (r == 0) return 0; /* whoever passed the turn has unlinked the record */
  weft__spin_lock(lock);
  weft__list_remove(&rec->link);
  weft__spin_unlock(lock);
  return r;
}

bool weft__waitq_wake_one(struct weft__waitq *q) {
  struct weft__list *l;
  while ((l = weft__list_pop_front(&q->waiters)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *t = rec->task;
    switch (weft__claim_win(&t->word, rec->ticket, WEFT__BY_EVENT)) {
    case WEFT__WON_PARKED:
      weft__make_ready(t);
      return true;
    case WEFT__WON:
      return true;
    default:
      break; /* a cancel or a timeout was faster: the next one's turn */
    }
  }
  return false;
}
