#include "core/ready.h"

#include "base/point.h"
#include "core/eager.h"
#include "core/strand.h"
#include "core/worker.h"

/* A burst that leaves a full deque moves in batches of this size. */
enum { OVERFLOW_BATCH = 256 };

void weft__ready_local_slow(struct weft__worker *w, struct weft__task *t) {
  struct weft__runtime *rt = w->rt;
  if (weft__unlikely(t->odd & WEFT__HOG) && !rt->exact) {
    /* A reserve keeps no hogs: they are its worker's, which may be asleep. */
    struct weft__worker *owner = w->reserve ? &rt->workers[w->index] : w;
    weft__tasklist_push(&owner->hogs, t);
    if (owner != w) weft__unpark(owner);
    return;
  }
  /* Exact mode keeps one order: behind an overflow everything queues up there. */
  bool ring_first = !rt->exact || weft__tasklist_count(&rt->ready) == 0;
  if (!ring_first || weft__unlikely(!weft__ring_push(&w->ring, t)))
    weft__tasklist_push(&rt->ready, t);
}

/* Test mode: the task goes to some other worker than the one at hand. */
static void send_away(struct weft__worker *w, struct weft__runtime *rt, struct weft__task *t) {
  uint32_t n = rt->nworkers;
  /* Any spread will do for threads without a generator. */
  uint32_t at = w ? (w->index + 1 + weft__choose(&w->rng, n - 1)) % n
                  : weft__add_relaxed_u32(&rt->foreign_turn, 1) % n;
  struct weft__worker *target = &rt->workers[at];
  weft__tasklist_push(&target->inbox, t);
  weft__unpark(target);
}

void weft__make_ready(struct weft__task *t) {
  struct weft__worker *w = weft__self();
  if (weft__likely(w && w->rt == t->rt))
    weft__make_ready_by(w, t);
  else
    weft__make_ready_outside(t);
}

static void send_home(struct weft__worker *w, struct weft__task *t) {
  struct weft__worker *home = t->home;
  weft__tasklist_push(&home->inbox, t);
  if (home != w) weft__unpark(home);
}

static void queue_ready(struct weft__worker *w, struct weft__task *t) {
  struct weft__runtime *rt = t->rt;
  if (t->odd & WEFT__PINNED) {
    send_home(w, t);
  } else if (rt->migrate) {
    send_away(w, rt, t);
  } else if (w) {
    weft__ready_local(w, t);
    weft__notify_if_surplus(w);
  } else {
    weft__tasklist_push(&rt->ready, t);
    weft__fence_full(); /* the push before the look at `parked`; pairs as in weft__notify_if_surplus */
    weft__notify(rt);
  }
}

static __attribute__((noinline)) void ready_elsewhere(struct weft__worker *w,
                                                      struct weft__task *t) {
  if (!(t->odd & WEFT__STRAND))
    queue_ready(w, t);
  else if (weft__strand_enter(t->strand, t))
    weft__queue_turn(w, t);
}

void weft__make_ready_by(struct weft__worker *w, struct weft__task *t) {
  weft__point();
  if (w && w->rt != t->rt) w = NULL;
  if (weft__likely(w && !(t->odd & (WEFT__PINNED | WEFT__STRAND)) && !w->rt->migrate)) {
    weft__ready_local(w, t);
    weft__notify_if_surplus(w);
  } else {
    ready_elsewhere(w, t);
  }
}

void weft__make_ready_chain(struct weft__task *chain) {
  while (chain) {
    struct weft__task *next = chain->link[WEFT__LINK_READY];
    weft__make_ready(chain);
    chain = next;
  }
}

/* Moves the older half of a full deque to where every worker finds it. Tombstones go no further. */
static __attribute__((noinline)) void overflow(struct weft__worker *w) {
  void *taken[OVERFLOW_BATCH];
  unsigned n = weft__deque_take_half(&w->deque, taken, OVERFLOW_BATCH);
  struct weft__task *first = NULL, *last = NULL;
  uint32_t live = 0;
  for (unsigned i = 0; i < n; i++) {
    struct weft__task *t = taken[i];
    if (weft__word_phase(weft__load_relaxed_u64(&t->word)) != WEFT__UNSTARTED) {
      weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
      continue;
    }
    if (last) last->link[WEFT__LINK_START] = t;
    if (!first) first = t;
    last = t;
    live++;
  }
  if (live) weft__tasklist_append(&w->rt->unstarted, first, last, live);
}

static void queue_unstarted(struct weft__worker *w, struct weft__task *t) {
  if (t->odd & WEFT__PINNED) {
    send_home(w, t);
  } else if (w->rt->exact) {
    weft__ready_local(w, t);
  } else if (w->reserve) { /* begins nothing */
    weft__tasklist_push(&w->rt->unstarted, t);
    weft__fence_light();
    weft__notify(w->rt);
  } else {
    while (!weft__deque_push(&w->deque, t)) overflow(w);
    weft__notify_if_surplus(w);
  }
}

void weft__push_unstarted_slow(struct weft__worker *w, struct weft__task *t) {
  if ((t->odd & WEFT__EAGER) && weft__start_eagerly(w, w->current, t)) return;
  if (!(t->odd & WEFT__STRAND) || weft__strand_enter(t->strand, t)) queue_unstarted(w, t);
}

static void queue_foreign(struct weft__task *t) {
  struct weft__runtime *rt = t->rt;
  /* Exact mode has one queue, whose end is there. */
  weft__tasklist_push(rt->exact ? &rt->ready : &rt->unstarted, t);
  weft__fence_full(); /* the push before the look at `parked` (idle.c) */
  weft__notify(rt);
}

void weft__push_unstarted_foreign(struct weft__task *t) {
  t->odd &= (uint8_t)~WEFT__EAGER;
  if (!(t->odd & WEFT__STRAND) || weft__strand_enter(t->strand, t)) queue_foreign(t);
}

void weft__queue_turn(struct weft__worker *w, struct weft__task *t) {
  if (weft__word_phase(weft__load_relaxed_u64(&t->word)) != WEFT__UNSTARTED)
    queue_ready(w, t);
  else if (w)
    queue_unstarted(w, t);
  else if (t->odd & WEFT__PINNED)
    send_home(w, t);
  else
    queue_foreign(t);
}
