/* The threads of the blocking pool: how one is made, takes jobs, sleeps and ends, and the pool's
 * end.
 *
 * A thread is in one of three places, moved under the lock: `running` (awake: it runs jobs, looks
 * for some or is on its way there), `idle` (asleep on its signal word) or, after its end, `ended`
 * and then `unused`. Whoever takes it off `idle` sets the signal word first and wakes it after
 * unlocking.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/sim.h"
#include "base/sys.h"
#include "core/blocking.h"
#include "core/thread.h"

/* A thread takes as many jobs as it expects to finish within this. */
enum { BATCH_NS = 20000 };
#define TELL_EVERY_NS WEFT__NS_PER_SEC

static void *thread_main(void *arg);

static struct weft__blocking_thread *thread_of(struct weft__list *link) {
  return weft__container_of(link, struct weft__blocking_thread, link);
}

static struct weft__job *job_of(struct weft__list *link) {
  return weft__container_of(link, struct weft__job, link);
}

/* ---- making and calling; the lock is held unless said otherwise ---- */

static struct weft__blocking_thread *thread_new(struct weft__blocking *p) {
  struct weft__list *link = weft__list_pop_front(&p->unused);
  if (link) return thread_of(link);
  struct weft__blocking_thread *t = weft__zalloc(sizeof *t);
  if (!t) return NULL;
  weft__list_init(&t->link);
  t->pool = p;
  t->number = p->numbers++;
  return t;
}

static int thread_start(struct weft__blocking_thread *t) {
  sigset_t old;
  weft__block_program_signals(&old);
  int r = weft__sys_thread_create(&t->id, NULL, thread_main, t);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (r == 0) WEFT__ASSERT(weft__sys_thread_cpu_clock(t->id, &t->clock) == 0);
  return r;
}

static int add_thread(struct weft__blocking *p, struct weft__blocking_thread **ret) {
  if (p->threads == p->max) return WEFT_EAGAIN;
  struct weft__blocking_thread *t = thread_new(p);
  if (!t) return WEFT_ENOMEM;
  weft__counter_set(&t->finished, 0);
  int r = thread_start(t);
  if (r < 0) {
    weft__list_push_back(&p->unused, &t->link);
    return r;
  }
  p->threads++;
  if (p->threads > p->peak) p->peak = p->threads;
  weft__store_release_u32(&p->alive, p->threads);
  *ret = t;
  return 0;
}

int weft__blocking_summon(struct weft__blocking *p, struct weft__blocking_thread **ret) {
  struct weft__blocking_thread *t = NULL;
  struct weft__list *link = weft__list_pop_front(&p->idle);
  if (link) {
    t = thread_of(link);
  } else {
    int r = add_thread(p, &t);
    if (r < 0) return r;
    t->out_at = weft__now();
  }
  weft__list_push_back(&p->running, &t->link);
  t->summoned_at = weft__now();
  t->seen_time = 0;
  t->searching = true;
  p->awake++;
  p->searching++;
  weft__store_release_u32(&t->signal, 1); /* a new thread finds it set and does not sleep */
  *ret = t;
  return 0;
}

/* Not under the lock: who is woken wants it at once. */
void weft__blocking_wake(struct weft__blocking_thread *t) {
  weft__futex_wake(&t->signal, 1);
}

/* ---- the life of a thread; the lock is held unless said otherwise ---- */

/* How many jobs to take: few enough that the other threads find some too. */
static unsigned share(const struct weft__blocking *p) {
  size_t fair = p->queued / (p->awake - p->blocked);
  size_t fit = BATCH_NS / (p->each + 1);
  size_t n = fair < fit ? fair : fit;
  if (n > WEFT__BLOCKING_BATCH) return WEFT__BLOCKING_BATCH;
  return n < 1 ? 1 : (unsigned)n;
}

static void take(struct weft__blocking *p, struct weft__blocking_thread *t) {
  unsigned n = share(p);
  for (unsigned i = 0; i < n; i++) {
    struct weft__job *j = job_of(weft__list_pop_front(&p->queue));
    j->state = WEFT__JOB_HELD;
    j->holder = t;
    j->slot = i;
    weft__store_release_ptr(&t->slot[i], j); /* withdraw and reclaim exchange it under the lock */
  }
  p->queued -= n;
  t->taken = n;
  if (n > 1) p->batched++;
}

static void stop_searching(struct weft__blocking *p, struct weft__blocking_thread *t) {
  if (t->searching) p->searching--;
  t->searching = false;
}

/* Not under the lock. Runs what is left in the slots and learns how long such jobs take. */
static void run_jobs(struct weft__blocking_thread *t, unsigned n) {
  uint64_t begin = weft__now_fast();
  unsigned ran = 0;
  for (unsigned i = 0; i < n; i++) {
    struct weft__job *j = weft__xchg_ptr(&t->slot[i], NULL);
    if (!j) continue;
    j->code = j->fn(j->arg);
    weft__counter_add(&t->finished, 1); /* before anybody is told of the end, who may look */
    j->done(j);
    ran++;
  }
  if (ran > 0) t->each = weft__elapsed(begin, weft__now_fast()) / ran;
}

/* A time into a running average: quickly, but one long pause must not spoil it for long. */
static void average(uint64_t *mean, uint64_t ns) {
  if (ns > WEFT__BLOCKING_LONG_NS) ns = WEFT__BLOCKING_LONG_NS;
  *mean = (3 * *mean + ns) / 4;
}

/* Takes jobs, of which there are some, and runs them. */
static void serve(struct weft__blocking *p, struct weft__blocking_thread *t) {
  struct weft__blocking_errand e;
  if (t->out_at) {
    average(&p->gap, weft__elapsed(t->out_at, t->summoned_at));
    t->out_at = 0;
  }
  take(p, t);
  unsigned n = t->taken;
  stop_searching(p, t);
  t->running = true;
  /* From here on this thread looks for no more jobs. As in rest: first tell submitters to come into
   * the lock, then look for jobs of those that did not know. */
  weft__blocking_publish(p);
  weft__blocking_collect(p);
  (void)weft__blocking_provide(
      p, &e); /* a thread that cannot be made is missed, but this one goes on */
  weft__mutex_unlock(&p->lock);
  weft__blocking_run_errand(p, &e);
  run_jobs(t, n);
  weft__mutex_lock(&p->lock);
  t->running = false;
  average(&p->each, t->each);
  if (t->taken > 1) p->batched--;
  t->taken = 0;
  if (t->blocked) p->blocked--;
  t->blocked = false;
}

/* Stays on the CPU for a moment when jobs have lately come in close succession: being woken costs a
 * job more than this costs the CPU. One thread at a time does it. */
static bool worth_spinning(const struct weft__blocking *p, const struct weft__blocking_thread *t) {
  unsigned others = p->searching - (t->searching ? 1 : 0);
  return others == 0 && p->gap < p->spin_ns && !p->closed;
}

static void spin(struct weft__blocking *p, struct weft__blocking_thread *t) {
  if (!t->searching) p->searching++;
  t->searching = true;
  weft__blocking_publish(p);
  uint64_t begin = weft__now_fast(), now = begin;
  weft__mutex_unlock(&p->lock);
  while (!weft__load_acquire_ptr(&p->incoming) && weft__elapsed(begin, now) < p->spin_ns) {
    for (unsigned i = 0; i < 8; i++) weft__cpu_relax();
    now = weft__now_fast();
  }
  weft__mutex_lock(&p->lock);
  t->out_at = begin;
  t->summoned_at = now;
}

/* Sleeps until the thread is summoned: true; or until it was idle for long: false. */
static bool rest(struct weft__blocking *p, struct weft__blocking_thread *t) {
  struct weft__blocking_errand e;
  stop_searching(p, t);
  weft__list_remove(&t->link);
  weft__list_push_front(&p->idle, &t->link);
  p->awake--;
  weft__store_relaxed_u32(&t->signal, 0);
  uint64_t now = weft__now();
  if (!t->out_at) t->out_at = now;
  /* First tell submitters to come into the lock, then look for jobs of those that did not know. */
  weft__blocking_publish(p);
  weft__blocking_collect(p);
  (void)weft__blocking_provide(p, &e); /* may summon this very thread */
  weft__mutex_unlock(&p->lock);
  weft__blocking_run_errand(p, &e);
  int r = 0;
  while (weft__load_acquire_u32(&t->signal) == 0 && r != WEFT_ETIMEDOUT)
    r = weft__futex_wait(&t->signal, 0, now + p->idle_ns);
  weft__mutex_lock(&p->lock);
  if (weft__load_relaxed_u32(&t->signal) == 1) return true;
  weft__list_remove(&t->link);
  weft__list_push_back(&p->running, &t->link);
  p->awake++;
  return false;
}

/* Each thread that ends joins the one that ended before it; close joins the last. */
static void retire(struct weft__blocking *p, struct weft__blocking_thread *t) {
  stop_searching(p, t);
  weft__list_remove(&t->link);
  p->awake--;
  p->threads--;
  p->ended_finished += weft__counter_read(&t->finished);
  struct weft__blocking_thread *before = p->ended;
  p->ended = p->abandoned ? NULL : t;
  if (p->abandoned) {
    weft__sys_thread_detach(t->id);
    weft__list_push_back(&p->unused, &t->link);
  }
  weft__blocking_publish(p);
  weft__store_release_u32(&p->alive, p->threads);
  bool last = p->closed && p->threads == 0;
  weft__mutex_unlock(&p->lock);
  /* close waits for the join of this thread before it frees the pool */
  if (last) weft__futex_wake(&p->alive, 1);
  if (!before) return;
  weft__sys_thread_join(before->id);
  weft__mutex_lock(&p->lock);
  weft__list_push_back(&p->unused, &before->link);
  weft__mutex_unlock(&p->lock);
}

static bool has_to_rest(struct weft__blocking *p) {
  if (p->surplus == 0 || p->closed || p->awake - p->blocked <= p->hot) return false;
  p->surplus--;
  return true;
}

static void reclaim_all(struct weft__blocking *p) {
  weft__list_foreach(link, &p->running) {
    weft__blocking_reclaim(p, thread_of(link));
  }
}

static void *thread_main(void *arg) {
  struct weft__blocking_thread *t = arg;
  struct weft__blocking *p = t->pool;
  char name[16];
  snprintf(name, sizeof name, "weft-block-%u", t->number % 10000);
  weft__mutex_lock(&p->lock); /* by then who made the thread has written its id */
  weft__sys_thread_name(t->id, name);
  t->tid = weft__sim_here() ? (int)weft__sim_thread_number() : (int)gettid();
  bool spun = false;
  for (;;) {
    weft__blocking_collect(p);
    if (p->queued == 0 && p->batched > 0) reclaim_all(p);
    if (p->queued > 0 && !has_to_rest(p)) {
      serve(p, t);
      spun = false;
    } else if (p->queued == 0 && p->closed) {
      break;
    } else if (p->queued == 0 && !spun && worth_spinning(p, t)) {
      spin(p, t);
      spun = true;
    } else {
      if (!rest(p, t)) break;
      spun = false;
    }
  }
  retire(p, t);
  return NULL;
}

/* ---- the end ---- */

/* Refuses jobs from now on and calls the idle threads, which then end. */
static void shut(struct weft__blocking *p) {
  struct weft__list *link;
  weft__mutex_lock(&p->lock);
  weft__blocking_refuse(p);
  while ((link = weft__list_pop_front(&p->idle))) {
    struct weft__blocking_thread *t = thread_of(link);
    weft__list_push_back(&p->running, &t->link);
    p->awake++;
    weft__store_release_u32(&t->signal, 1);
    weft__blocking_wake(t);
  }
  weft__blocking_publish(p);
  weft__mutex_unlock(&p->lock);
}

/* Leaves the threads that are alive behind; false when none is. */
static bool abandon(struct weft__blocking *p) {
  weft__mutex_lock(&p->lock);
  bool any = p->threads > 0;
  struct weft__blocking_thread *last = any ? p->ended : NULL;
  if (any) p->ended = NULL;
  p->abandoned = any;
  weft__mutex_unlock(&p->lock);
  if (last) weft__sys_thread_join(last->id);
  return any;
}

int weft__blocking_close(struct weft__blocking *p, uint64_t deadline_ns) {
  shut(p);
  bool waiting = true;
  uint32_t alive;
  uint64_t tell_at = p->waits ? weft__now() + TELL_EVERY_NS : UINT64_MAX;
  while ((alive = weft__load_acquire_u32(&p->alive)) > 0) {
    uint64_t now = weft__now();
    if (now >= deadline_ns && abandon(p)) return WEFT_ETIMEDOUT;
    if (now >= tell_at) {
      p->waits(p);
      tell_at = now + TELL_EVERY_NS;
    }
    uint64_t until = waiting ? now + WEFT__NS_PER_MS : tell_at;
    weft__futex_wait(&p->alive, alive, until < deadline_ns ? until : deadline_ns);
    if (waiting) waiting = weft__blocking_tick(p, weft__now());
  }
  if (p->ended) {
    weft__sys_thread_join(p->ended->id);
    weft__list_push_back(&p->unused, &p->ended->link);
  }
  struct weft__list *link;
  while ((link = weft__list_pop_front(&p->unused))) weft__free(thread_of(link));
  pthread_mutex_destroy(&p->lock);
  return 0;
}
