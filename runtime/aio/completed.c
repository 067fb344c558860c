/* as_completed: every awaitable has a record for as long as the object lives; an event puts the place of
 * its awaitable into a list, from which the consumers take. Locks: a source's, then the object's. */
#include <weft/wait.h>

#include <stdlib.h>

#include "aio/awaitable.h"
#include "base/memory.h"
#include "core/deadline.h"
#include "core/park.h"
#include "core/resource.h"
#include "core/waitq.h"
#include "core/worker.h"

struct weft_completed {
  struct weft__gate gate; /* whose event is on_over; constant */
  size_t n;               /* watched: constant once made, as are the next four */
  weft_awaitable *set;
  weft_watch *recs;
  size_t *place; /* in the caller's array, by record */
  uint64_t deadline;
  struct weft__resource resource;

  struct weft__spin lock;    /* guards the rest */
  size_t *order;             /* records whose awaitables are over, in that order */
  size_t over, given;        /* of order: filled, and taken by consumers */
  size_t late;               /* answers of WEFT_ETIMEDOUT; from the first on nothing more comes */
  struct weft__waitq takers; /* consumers that wait */
};

/* Under the source's lock, on any thread. */
static void on_over(struct weft__gate *gate, struct weft__waiter *rec) {
  struct weft_completed *c = weft__container_of(gate, struct weft_completed, gate);
  weft__spin_lock(&c->lock);
  if (c->late == 0) {
    c->order[c->over++] = (size_t)((weft_watch *)(void *)rec - c->recs);
    weft__waitq_wake_one(&c->takers);
  }
  weft__spin_unlock(&c->lock);
}

static void unwatch(struct weft_completed *c, size_t n) {
  for (size_t i = 0; i < n; i++)
    c->set[i].ops->unwatch(c->set[i].object, c->set[i].key, &c->recs[i]);
}

static void free_memory(struct weft_completed *c) {
  weft__free(c->set);
  weft__free(c->recs);
  weft__free(c->place);
  weft__free(c->order);
  weft__free(c);
}

/* ---- making ---- */

struct entry {
  weft_awaitable a;
  size_t place;
};

static int compare(const void *x, const void *y) {
  const struct entry *p = x, *q = y;
  uintptr_t a = (uintptr_t)p->a.object, b = (uintptr_t)q->a.object;
  if (a != b) return a < b ? -1 : 1;
  if (p->a.key != q->a.key) return p->a.key < q->a.key ? -1 : 1;
  a = (uintptr_t)p->a.ops, b = (uintptr_t)q->a.ops;
  if (a != b) return a < b ? -1 : 1;
  return p->place < q->place ? -1 : 1;
}

/* Marks the places of set whose awaitable stands earlier, too. */
static int find_repeats(const weft_awaitable *set, size_t n, bool *repeats) {
  struct entry *sorted = weft__calloc(n, sizeof *sorted);
  if (!sorted) return WEFT_ENOMEM;
  for (size_t i = 0; i < n; i++) sorted[i] = (struct entry){set[i], i};
  qsort(sorted, n, sizeof *sorted, compare);
  for (size_t i = 1; i < n; i++)
    repeats[sorted[i].place] = weft__awaitable_same(sorted[i].a, sorted[i - 1].a);
  weft__free(sorted);
  return 0;
}

static int fill(struct weft_completed *c, const weft_awaitable *set, size_t n) {
  bool *repeats = weft__calloc(n, sizeof *repeats);
  int r = repeats ? find_repeats(set, n, repeats) : WEFT_ENOMEM;
  for (size_t i = 0; r == 0 && i < n; i++) {
    if (repeats[i]) continue;
    c->set[c->n] = set[i];
    c->place[c->n++] = i;
  }
  weft__free(repeats);
  return r;
}

static int watch_all(struct weft_completed *c, struct weft__task *cur) {
  for (size_t i = 0; i < c->n; i++) {
    struct weft__waiter *rec = &c->recs[i].rec;
    weft__list_init(&rec->link);
    rec->task = cur; /* who may not watch itself; nobody is made ready through it */
    rec->gate = &c->gate;
    int r = c->set[i].ops->watch(c->set[i].object, c->set[i].key, &c->recs[i], &rec->code);
    if (r == 1) {
      on_over(&c->gate, rec);
    } else if (r < 0) {
      unwatch(c, i);
      return r;
    }
  }
  return 0;
}

static int make(struct weft_completed *c, struct weft__task *cur, const weft_awaitable *set,
                size_t n) {
  c->gate.event = on_over;
  c->gate.object = c;
  weft__waitq_init(&c->takers);
  if (n == 0) return 0;
  c->set = weft__calloc(n, sizeof *c->set);
  c->recs = weft__calloc(n, sizeof *c->recs);
  c->place = weft__calloc(n, sizeof *c->place);
  c->order = weft__calloc(n, sizeof *c->order);
  if (!c->set || !c->recs || !c->place || !c->order) return WEFT_ENOMEM;
  int r = fill(c, set, n);
  return r < 0 ? r : watch_all(c, cur);
}

int weft_as_completed(weft_completed **ret, const weft_awaitable *set, size_t n, weft_ns limit) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (n && !set) return WEFT_EINVAL;
  for (size_t i = 0; i < n; i++)
    if (!set[i].ops) return WEFT_EINVAL;
  struct weft_completed *c = weft__zalloc(sizeof *c);
  if (!c) return WEFT_ENOMEM;
  c->deadline = weft__deadline_in(limit);
  int r = make(c, cur, set, n);
  if (r < 0) {
    free_memory(c);
    return r;
  }
  weft__resource_open(&c->resource, "an as_completed iterator", __builtin_return_address(0));
  *ret = c;
  return 0;
}

void weft_completed_free(weft_completed *c) {
  if (!c) return;
  weft__resource_close(&c->resource);
  unwatch(c, c->n);
  free_memory(c);
}

/* ---- taking ---- */

static const struct weft__wait_kind next_completed = {"the next of several awaitables"};

/* With the lock held. */
static void take(struct weft_completed *c, size_t *ret_index, int *ret_code) {
  size_t i = c->order[c->given++];
  if (ret_index) *ret_index = c->place[i];
  if (ret_code) {
    *ret_code = c->recs[i].rec.code;
    weft__awaitable_told(c->set[i]);
  }
  if (c->given + c->late == c->n)
    while (weft__waitq_wake_one(&c->takers)) {} /* who waits for one more waits for none */
}

/* 1 with one that is over, 0 when none is left, -1 when the caller has to wait: for those the lock is
 * free, free, held. */
static int look(struct weft_completed *c, size_t *ret_index, int *ret_code) {
  weft__spin_lock(&c->lock);
  bool there = c->given < c->over;
  if (there) take(c, ret_index, ret_code);
  if (!there && c->given + c->late < c->n) return -1;
  weft__spin_unlock(&c->lock);
  return there;
}

int weft_completed_next(weft_completed *c, size_t *ret_index, int *ret_code) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  int r = 0, found;
  while ((found = look(c, ret_index, ret_code)) < 0) {
    if (r == WEFT_ETIMEDOUT) {
      c->late++;
      weft__spin_unlock(&c->lock);
      return r;
    }
    r = weft__waitq_wait_until(&c->takers, &c->lock, &next_completed, c, c->deadline);
    if (r < 0 && r != WEFT_ETIMEDOUT) return r;
  }
  if (found && r == 0) weft__spend(cur);
  return found;
}
