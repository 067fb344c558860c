/* The pool's jobs and threads. When it grows is in blocking_growth.c; the protocol is in the
 * header.
 *
 * The one store-load pair: a submitter pushes its job, then reads `attention`; a thread that stops
 * looking writes `attention`, then reads `incoming` once more. Both are sequentially consistent, so
 * either the submitter sees that it has to come into the lock, or the thread sees the job.
 */
#include "core/blocking.h"

#include <string.h>
#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutex.h"

enum {
  IDLE_NS_DEFAULT_S = 10,
  SPIN_NS_DEFAULT = 25000,   /* about what waking a halted CPU costs */
  WORTH_A_THREAD_NS = 50000, /* twice that: work of this length is worth waking one */
};

/* On top of `incoming` once the pool is closed. */
static struct weft__job closed_mark;

int weft__blocking_init(struct weft__blocking *p, unsigned hot, unsigned max) {
  if (hot < 1 || max < hot) return WEFT_EINVAL;
  memset(p, 0, sizeof *p);
  if (pthread_mutex_init(&p->lock, NULL) != 0) return WEFT_ENOMEM;
  p->hot = hot;
  p->max = max;
  p->growth = hot;
  p->each = WEFT__BLOCKING_LONG_NS; /* until it is known */
  p->idle_ns = IDLE_NS_DEFAULT_S * WEFT__NS_PER_SEC;
  p->spin_ns = hot > 1 ? SPIN_NS_DEFAULT : 0; /* on one CPU there is nobody to wait for */
  weft__list_init(&p->queue);
  weft__list_init(&p->running);
  weft__list_init(&p->idle);
  weft__list_init(&p->unused);
  weft__store_seq_u32(&p->attention, WEFT__BLOCKING_SUMMON | WEFT__BLOCKING_DESERTED);
  return 0;
}

/* Moves the jobs and leaves mark, NULL or that the pool is closed. The lock is held. */
static void collect(struct weft__blocking *p, struct weft__job *mark) {
  struct weft__job *j = weft__xchg_ptr(&p->incoming, mark);
  /* The newest comes first: each one goes before the one that came just before it. */
  struct weft__list *after = &p->queue;
  while (j) {
    struct weft__job *older = j->below;
    j->state = WEFT__JOB_QUEUED;
    weft__list_insert_before(after, &j->link);
    after = &j->link;
    p->queued++;
    j = older;
  }
}

void weft__blocking_collect(struct weft__blocking *p) {
  void *top = weft__load_seq_ptr(&p->incoming);
  if (top && top != &closed_mark) collect(p, NULL);
}

void weft__blocking_refuse(struct weft__blocking *p) {
  p->closed = true;
  collect(p, &closed_mark);
}

/* Whether the jobs in the queue, or one that comes now, should have one more thread. */
static bool has_room(const struct weft__blocking *p) {
  unsigned active = p->awake - p->blocked;
  if (p->searching > 0 || active >= p->hot) return false;
  if (p->threads == p->max && weft__list_empty(&p->idle)) return false;
  return active == 0 || p->each * (p->queued + 1) > WORTH_A_THREAD_NS;
}

static bool needs_ticks(const struct weft__blocking *p) {
  return p->searching == 0 && !p->ticking && p->want_ticks;
}

void weft__blocking_publish(struct weft__blocking *p) {
  uint32_t bits = has_room(p) || needs_ticks(p) ? WEFT__BLOCKING_SUMMON : 0;
  if (p->threads == 0) bits |= WEFT__BLOCKING_DESERTED;
  if (weft__load_relaxed_u32(&p->attention) != bits) weft__store_seq_u32(&p->attention, bits);
}

int weft__blocking_provide(struct weft__blocking *p, struct weft__blocking_errand *e) {
  int r = 0;
  *e = (struct weft__blocking_errand){NULL, false};
  if (p->queued > 0 && has_room(p)) r = weft__blocking_summon(p, &e->wake);
  if ((p->queued > 0 || p->batched > 0) && needs_ticks(p)) p->ticking = e->ticks = true;
  weft__blocking_publish(p);
  return r;
}

void weft__blocking_run_errand(struct weft__blocking *p, const struct weft__blocking_errand *e) {
  if (e->wake) weft__blocking_wake(e->wake);
  if (e->ticks) p->want_ticks(p);
}

/* Makes the first thread, so that a submit that cannot get one fails before anyone sees its job. */
static int found(struct weft__blocking *p) {
  struct weft__blocking_thread *t = NULL;
  int r = 0;
  weft__mutex_lock(&p->lock);
  if (p->threads == 0 && !p->closed) r = weft__blocking_summon(p, &t);
  weft__blocking_publish(p);
  weft__mutex_unlock(&p->lock);
  return r;
}

int weft__blocking_submit(struct weft__blocking *p, struct weft__job *j) {
  if (weft__unlikely(weft__load_relaxed_u32(&p->attention) & WEFT__BLOCKING_DESERTED)) {
    int r = found(p);
    if (r < 0) return r;
  }
  j->state = WEFT__JOB_INCOMING;
  void *top = weft__load_relaxed_ptr(&p->incoming);
  do {
    if (top == &closed_mark) return WEFT_ECLOSED;
    j->below = top;
  } while (!weft__cas_seq_ptr(&p->incoming, &top, j));
  /* From here on the job may be over and its memory gone. */
  if (weft__likely(weft__load_seq_u32(&p->attention) == 0)) return 0;
  struct weft__blocking_errand e;
  weft__mutex_lock(&p->lock);
  weft__blocking_collect(p);
  /* When no thread can be made now, one that exists comes to the job, or the tick tries again. */
  (void)weft__blocking_provide(p, &e);
  weft__mutex_unlock(&p->lock);
  weft__blocking_run_errand(p, &e);
  return 0;
}

bool weft__blocking_withdraw(struct weft__blocking *p, struct weft__job *j) {
  bool won = false;
  weft__mutex_lock(&p->lock);
  weft__blocking_collect(p);
  if (j->state == WEFT__JOB_QUEUED) {
    weft__list_remove(&j->link);
    p->queued--;
    won = true;
  } else {
    void *mine = j;
    won = weft__cas_ptr(&j->holder->slot[j->slot], &mine, NULL);
  }
  weft__mutex_unlock(&p->lock);
  return won;
}

void weft__blocking_reclaim(struct weft__blocking *p, struct weft__blocking_thread *t) {
  for (unsigned i = t->taken; i-- > 0;) {
    struct weft__job *j = weft__xchg_ptr(&t->slot[i], NULL);
    if (!j) continue;
    j->state = WEFT__JOB_QUEUED;
    weft__list_push_front(&p->queue, &j->link);
    p->queued++;
  }
}

void weft__blocking_stats(struct weft__blocking *p, struct weft__blocking_stats *ret) {
  weft__mutex_lock(&p->lock);
  weft__blocking_collect(p);
  struct weft__blocking_stats s = {.threads = p->threads,
                                   .awake = p->awake,
                                   .blocked = p->blocked,
                                   .peak = p->peak,
                                   .waiting = p->queued,
                                   .finished = p->ended_finished};
  weft__list_foreach(link, &p->idle) {
    s.finished +=
        weft__counter_read(&weft__container_of(link, struct weft__blocking_thread, link)->finished);
  }
  weft__list_foreach(link, &p->running) {
    struct weft__blocking_thread *t = weft__container_of(link, struct weft__blocking_thread, link);
    s.finished += weft__counter_read(&t->finished);
    for (unsigned i = 0; i < t->taken; i++)
      s.waiting += weft__load_relaxed_ptr(&t->slot[i]) != NULL;
  }
  weft__mutex_unlock(&p->lock);
  *ret = s;
}
