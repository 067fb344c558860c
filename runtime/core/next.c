/* Where a worker's next task comes from: its own queues, what all workers share, its peers. */
#include "base/check.h"
#include "base/point.h"
#include "core/ready.h"
#include "core/worker.h"

enum {
  SHARED_EVERY = 61, /* turns between looks at the shared lists while the own queues have work */
  OLDEST_EVERY = 16, /* turns between takes of the oldest unstarted task instead of the newest */
  INBOX_RESTS_EVERY = 8, /* turns in which the inbox does not come first: others must come on */
  HOG_EVERY = 16,        /* turns between takes of a hog while other tasks are ready */
  SHARED_BATCH = 32,
  STEAL_BATCH = 32,
};

/* Takes an unstarted task as begun by the caller. An entry whose task its awaiter has begun is a
 * tombstone: its reference goes, and the caller looks further. */
static struct weft__task *begin_claim(struct weft__worker *w, struct weft__task *t) {
  uint64_t word = weft__load_relaxed_u64(&t->word);
  if (weft__claim_start(&t->word, weft__word_key(word), false)) {
    t->odd |= WEFT__FRESH;
    return t;
  }
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
  return NULL;
}

/* Inboxes and, in exact mode, the ring hold begun and unstarted tasks; none of these is a tombstone,
 * since tasks that go there are never run inline. */
static struct weft__task *either(struct weft__worker *w, struct weft__task *t) {
  if (t && weft__word_phase(weft__load_relaxed_u64(&t->word)) == WEFT__UNSTARTED)
    return begin_claim(w, t);
  return t;
}

static struct weft__task *take_unstarted(struct weft__worker *w) {
  if (weft__deque_looks_empty(&w->deque)) return NULL; /* cheaper than a pop that finds nothing */
  struct weft__task *t;
  do {
    bool oldest = w->tick % OLDEST_EVERY == 0;
    t = oldest ? weft__deque_pop_oldest(&w->deque) : weft__deque_pop(&w->deque);
    if (!t) return NULL;
    t = begin_claim(w, t);
  } while (!t);
  return t;
}

static struct weft__task *take_shared_unstarted(struct weft__worker *w) {
  while (weft__tasklist_count(&w->rt->unstarted) != 0) {
    struct weft__task *t = weft__tasklist_pop(&w->rt->unstarted);
    if (t && (t = begin_claim(w, t)) != NULL) return t;
  }
  return NULL;
}

/* Refills the ring from the shared list and returns the first. Only as many as the ring has room
 * for: in exact mode their order must stay. */
static struct weft__task *take_shared_ready(struct weft__worker *w) {
  struct weft__task *batch[SHARED_BATCH];
  unsigned room = WEFT__RING_CAP - weft__ring_len(&w->ring);
  unsigned max = w->rt->nworkers == 1 ? SHARED_BATCH : SHARED_BATCH / 4;
  uint32_t n = weft__tasklist_take(&w->rt->ready, batch, room + 1 < max ? room + 1 : max);
  for (uint32_t i = 1; i < n; i++) WEFT__ASSERT(weft__ring_push(&w->ring, batch[i]));
  return n ? either(w, batch[0]) : NULL;
}

static struct weft__task *take_shared(struct weft__worker *w) {
  struct weft__task *t = NULL;
  if (weft__tasklist_count(&w->rt->ready) != 0) t = take_shared_ready(w);
  if (!t && !w->reserve) t = take_shared_unstarted(w);
  return t;
}

static struct weft__task *take_own(struct weft__worker *w) {
  struct weft__task *t;
  w->turn_unstarted = !w->turn_unstarted;
  if (w->turn_unstarted && (t = take_unstarted(w)) != NULL) return t;
  t = weft__ring_pop(&w->ring);
  if (t) return either(w, t);
  return w->turn_unstarted ? NULL : take_unstarted(w);
}

struct weft__task *weft__next_task(struct weft__worker *w) {
  struct weft__task *t;
  uint32_t tick = ++w->tick;
  bool inbox = weft__unlikely(weft__tasklist_count(&w->inbox) != 0);
  bool later = inbox && tick % INBOX_RESTS_EVERY == 0 && !w->rt->exact;
  if (inbox && !later && (t = either(w, weft__tasklist_pop(&w->inbox))) != NULL) return t;
  if (weft__unlikely(w->rt->exact)) {
    t = weft__ring_pop(&w->ring);
    return t ? either(w, t) : take_shared_ready(w);
  }
  if (tick % SHARED_EVERY == 0 && (t = take_shared(w)) != NULL) return t;
  if (tick % HOG_EVERY == 0 && (t = weft__tasklist_pop(&w->hogs)) != NULL) return t;
  if ((t = take_own(w)) != NULL) return t;
  if ((t = take_shared(w)) != NULL) return t;
  if (later && (t = either(w, weft__tasklist_pop(&w->inbox))) != NULL) return t;
  return weft__tasklist_pop(&w->hogs);
}

bool weft__worker_surplus(struct weft__worker *w) {
  uint64_t n = weft__ring_len(&w->ring) + weft__deque_len(&w->deque);
  if (n >= 2) return true;
  if (weft__load_relaxed_u32(&w->hogged)) return n >= 1 || weft__tasklist_count(&w->hogs) >= 1;
  bool running = weft__load_relaxed_u32(&w->slice) & 1;
  return weft__tasklist_count(&w->hogs) >= (running ? 1 : 2);
}

static struct weft__task *steal_from(struct weft__worker *w, struct weft__worker *v) {
  void *batch[STEAL_BATCH];
  unsigned n = weft__ring_steal(&v->ring, batch, STEAL_BATCH);
  for (unsigned i = 1; i < n; i++) weft__ready_local(w, batch[i]);
  if (n) {
    weft__counter_add(&w->counters.steals, n);
    return batch[0];
  }
  bool lost;
  do {
    lost = false;
    struct weft__task *t = weft__deque_steal(&v->deque, &lost);
    if (!t && !lost) break;
    if (t && (t = begin_claim(w, t)) != NULL) {
      weft__count(&w->counters.steals);
      return t;
    }
  } while (weft__worker_surplus(v));
  weft__point();
  struct weft__task *t = weft__tasklist_pop(&v->hogs);
  if (t) weft__count(&w->counters.steals);
  return t;
}

struct weft__task *weft__steal_task(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  unsigned n = rt->nworkers + rt->nreserves;
  if (n < 2) return NULL;
  unsigned first = weft__choose(&w->rng, n);
  for (unsigned i = 0; i < n; i++) {
    struct weft__worker *v = &rt->workers[(first + i) % n];
    if (v == w || !weft__worker_surplus(v)) continue;
    struct weft__task *t = steal_from(w, v);
    if (t) return t;
  }
  return NULL;
}
