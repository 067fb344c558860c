/* Idle workers: searching, sleeping, and who is woken when.
 *
 * A sleeper must not miss work, and a pusher must not pay for a wake-up that nobody needs.
 *
 *   pusher:  push; fence; if nobody searches and somebody sleeps, wake one
 *   sleeper: parked + 1, park word = asleep; heavy fence; look at all queues again; sleep
 *
 * Either the pusher sees the sleeper, or the sleeper sees the push. The pusher's fence is the light
 * one, the sleeper pays. A worker that searches stands for all pushes until it stops: it stops before
 * its last look at the queues, and when it finds work and was the last one searching it wakes the
 * next, so that a burst wakes the workers one after the other, never one per task.
 *
 * A waker moves the park word from asleep to NOTIFIED by CAS and then counts the sleeper as searching,
 * which may come after the sleeper is awake, has found work and has stopped: `searching` is below the
 * truth for that moment, and every decision taken from it errs towards waking one too many. A sleeper
 * that wakes by itself (timer, event) moves the word back to AWAKE. Either way it takes itself off
 * `parked`, so that who reads "all parked" never overlooks one that is awake.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/point.h"
#include "core/monitor.h"
#include "core/reserve.h"
#include "core/shutdown.h"
#include "core/worker.h"

enum {
  SEARCH_ROUNDS = 4,     /* looks at every peer when spinning is not worth it */
  SEARCH_NS = 20 * 1000, /* about what waking a halted CPU costs */
  PAUSES_BETWEEN_LOOKS = 32,
  UNSEEN_NS = 50 * 1000, /* so old may be the last look into a busy worker's poll set */
  ALONE_NS = 500 * 1000, /* a set unseen for so long needs somebody asleep in it */
};

/* Workers that search; below the truth, even below 0, while a waker has not yet counted a worker that
 * is awake already and has stopped searching. */
static int32_t searching(struct weft__runtime *rt) {
  return (int32_t)weft__load_relaxed_u32(&rt->searching);
}

/* The sleeper's word was asleep and is now the caller's to wake. Without a bed it is awake already. */
static void ring_sleeper(struct weft__worker *w, uint32_t how) {
  if (how == WEFT__ON_FUTEX) {
    weft__futex_wake(&w->park, 1);
    return;
  }
  struct weft__pollset *bed = weft__load_acquire_ptr(&w->bed);
  if (bed) weft__loop_ring(weft__container_of(bed, struct weft__loop, set));
}

/* Several may sleep in one set: its owner, the owner's reserve, and a guest. The bell wakes any of them, so who
 * finds it rung rings again for another that was meant. */
void weft__ring_heard(struct weft__pollset *s) {
  struct weft__worker *owner = s->owner;
  if (!owner) return;
  struct weft__runtime *rt = owner->rt;
  struct weft__worker *others[] = {owner,
                                   rt->nreserves ? &rt->workers[rt->nworkers + owner->index] : NULL,
                                   weft__load_acquire_ptr(&s->guest)};
  for (int i = 0; i < 3; i++) {
    struct weft__worker *w = others[i];
    if (!w || w == weft__self() || weft__load_acquire_ptr(&w->bed) != s) continue;
    if (weft__load_acquire_u32(&w->park) != WEFT__NOTIFIED) continue;
    weft__pollset_ring(s);
    return;
  }
}

/* True if this call took w out of its sleep. */
static bool wake_if_asleep(struct weft__worker *w) {
  uint32_t how = weft__load_relaxed_u32(&w->park);
  while (how == WEFT__ON_FUTEX || how == WEFT__IN_LOOP) {
    if (!weft__cas_seq_u32(&w->park, &how, WEFT__NOTIFIED)) continue;
    if (!w->reserve) weft__add_u32(&w->rt->searching, 1);
    ring_sleeper(w, how);
    return true;
  }
  return false;
}

/* The word is written even when it is NOTIFIED already: whoever takes that notice then sees what this
 * caller wrote before, and not only what the first notifier did. */
void weft__unpark(struct weft__worker *w) {
  uint32_t seen = weft__load_relaxed_u32(&w->park);
  for (;;) {
    if (seen == WEFT__AWAKE || seen == WEFT__NOTIFIED) {
      if (weft__cas_seq_u32(&w->park, &seen, WEFT__NOTIFIED)) return;
    } else if (wake_if_asleep(w)) {
      return;
    } else {
      seen = weft__load_relaxed_u32(&w->park);
    }
  }
}

void weft__notify_hard(struct weft__runtime *rt) {
  struct weft__worker *self = weft__self();
  unsigned n = rt->nworkers;
  unsigned first = self && self->rt == rt ? weft__choose(&self->rng, n) : 0;
  for (unsigned i = 0; i < n; i++)
    if (wake_if_asleep(&rt->workers[(first + i) % n])) return;
}

void weft__notify(struct weft__runtime *rt) {
  if (weft__load_relaxed_u32(&rt->parked) == 0 || searching(rt) > 0) return;
  weft__notify_hard(rt);
}

/* The raise of `watched` comes before the look at the driver's word, as its change of that word before its
 * last look at the loop: either it finds the loop alive or it is found asleep elsewhere. A simulated loop is
 * not woken by a kernel: its driver looks again, whatever it sleeps in. */
void weft__loop_watches(struct weft__loop *l) {
  weft__fence_light();
  struct weft__worker *driver = weft__load_acquire_ptr(&l->driver);
  if (!driver || driver == weft__self()) return;
  uint32_t how = weft__load_acquire_u32(&driver->park);
  bool elsewhere = how == WEFT__IN_LOOP && weft__load_acquire_ptr(&driver->bed) != &l->set;
  if (how == WEFT__ON_FUTEX || elsewhere || driver->rt->sim) weft__unpark(driver);
}

void weft__loop_poke(struct weft__loop *l) {
  weft__fence_light(); /* the post before the look at the driver; pairs with park's heavy fence */
  struct weft__worker *driver = weft__load_acquire_ptr(&l->driver);
  if (driver && driver != weft__self()) weft__unpark(driver);
}

/* Anything that a worker which is about to sleep could do. */
static bool work_somewhere(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  if (weft__life(rt) >= WEFT__RESTS || weft__tasklist_count(&w->inbox)) return true;
  if (weft__load_relaxed_u32(&w->loop->posted)) return true;
  if (weft__load_relaxed_u32(&rt->main_done) && w->index == 0 && weft__life(rt) == WEFT__RUNS)
    return true; /* the first step of the shutdown; later ones are rung for */
  if (weft__tasklist_count(&rt->ready) || weft__tasklist_count(&rt->unstarted)) return true;
  if (weft__ring_len(&w->ring) || weft__deque_len(&w->deque) || weft__tasklist_count(&w->hogs))
    return true;
  for (unsigned i = 0; i < rt->nworkers + rt->nreserves; i++)
    if (&rt->workers[i] != w && weft__worker_surplus(&rt->workers[i])) return true;
  return false;
}

static bool start_searching(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  if (w->searching) return true;
  /* At most half of the workers: more would only fetch each other's lines. */
  if (searching(rt) * 2 >= (int32_t)rt->nworkers) return false;
  weft__add_u32(&rt->searching, 1);
  w->searching = true;
  return true;
}

/* Stops without work. */
static void give_up_searching(struct weft__worker *w) {
  if (!w->searching) return;
  w->searching = false;
  weft__sub_u32(&w->rt->searching, 1);
}

void weft__stop_searching(struct weft__worker *w) {
  if (weft__likely(!w->searching)) return;
  w->searching = false;
  /* The last one that searches and finds something wakes its successor. */
  if ((int32_t)weft__sub_u32(&w->rt->searching, 1) <= 1) weft__notify(w->rt);
}

/* Looks into the poll sets of workers that have been busy for a while: what has come there makes tasks
 * ready here. One that sleeps in its set is told by the kernel. */
static void look_into_sets(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  for (unsigned i = 0; i < rt->nworkers; i++) {
    struct weft__worker *peer = &rt->workers[i];
    struct weft__pollset *set = &peer->own_loop.set;
    if (peer == w || weft__likely(weft__pollset_watched(set) == 0)) continue;
    if (weft__load_relaxed_u32(&peer->park) == WEFT__IN_LOOP) continue;
    if (weft__load_relaxed_ptr(&set->guest)) continue;
    if (weft__now_fast() - weft__load_relaxed_u64(&set->looked_at) > UNSEEN_NS)
      weft__pollset_look(set);
  }
}

static bool any_descriptor(struct weft__runtime *rt) {
  for (unsigned i = 0; i < rt->nworkers; i++)
    if (weft__pollset_watched(&rt->workers[i].own_loop.set)) return true;
  return false;
}

/* Where work comes from descriptors one round has to do: who sleeps in a set is woken by the kernel, and what
 * a spinning worker burns its clients lack. */
static struct weft__task *search(struct weft__worker *w) {
  bool told = any_descriptor(w->rt);
  int rounds = told ? 1 : SEARCH_ROUNDS;
  uint64_t until = w->rt->spin && !told ? weft__now_fast() + SEARCH_NS : 0;
  for (int round = 1;; round++) {
    struct weft__task *t = weft__steal_task(w);
    if (!t) t = weft__next_task(w);
    if (t) return t;
    if (weft__load_relaxed_u32(&w->park) == WEFT__NOTIFIED) return NULL;
    look_into_sets(w);
    if (round >= rounds && (until == 0 || weft__now_fast() >= until)) return weft__next_task(w);
    for (int i = 0; i < PAUSES_BETWEEN_LOOKS; i++) weft__cpu_pause();
  }
}

static void sleep_on_word(struct weft__worker *w, uint64_t deadline) {
  while (weft__load_relaxed_u32(&w->park) == WEFT__ON_FUTEX) {
    weft__futex_wait(&w->park, WEFT__ON_FUTEX, deadline);
    if (deadline != WEFT__NEVER && weft__now() >= deadline) return;
  }
}

/* Sleeps in its bed: its loop, when events can come from there, or as a guest in the set of a busy worker; or
 * on the park word, which is cheaper. w->park says which. */
void weft__sleep_until(struct weft__worker *w, uint32_t how, uint64_t deadline) {
  struct weft__pollset *bed = weft__load_relaxed_ptr(&w->bed);
  weft__burst_rested(w);
  if (how == WEFT__ON_FUTEX)
    sleep_on_word(w, deadline);
  else if (bed == &w->loop->set)
    weft__loop_sleep(w->loop, deadline);
  else
    weft__pollset_wait(bed, deadline);
}

/* A worker whose own loop has nothing to wait for sleeps in the set of one that has descriptors and has not
 * looked for a while, so that their events do not have to wait for it. Who looks often needs no guest, whom each
 * event would wake. One guest is enough: as soon as it is awake the next one that goes to sleep takes its
 * place. */
static struct weft__pollset *find_bed(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  if (rt->sim) return NULL;
  for (unsigned i = 0; i < rt->nworkers; i++) {
    struct weft__worker *peer = &rt->workers[i];
    struct weft__pollset *set = &peer->own_loop.set;
    void *none = NULL;
    if (peer == w || weft__likely(weft__pollset_watched(set) == 0)) continue;
    if (weft__load_relaxed_u32(&peer->park) == WEFT__IN_LOOP) continue;
    if (weft__now_fast() - weft__load_relaxed_u64(&set->looked_at) < ALONE_NS) continue;
    if (weft__load_relaxed_ptr(&set->guest) == NULL && weft__cas_ptr(&set->guest, &none, w))
      return set;
  }
  return NULL;
}

static void leave_bed(struct weft__worker *w) {
  struct weft__pollset *bed = weft__load_relaxed_ptr(&w->bed);
  if (bed && bed != &w->loop->set) weft__store_release_ptr(&bed->guest, NULL);
  weft__store_release_ptr(&w->bed, NULL);
}

/* Goes to sleep unless somebody notified the worker since it last looked. */
static bool park_begin(struct weft__worker *w, uint32_t how) {
  uint32_t awake = WEFT__AWAKE;
  weft__add_u32(&w->rt->parked, 1);
  if (weft__cas_seq_u32(&w->park, &awake, how)) return true;
  weft__sub_u32(&w->rt->parked, 1);
  weft__store_relaxed_u32(&w->park, WEFT__AWAKE);
  return false;
}

/* Awake again, by itself or by a waker, who has then counted it as searching. */
static void park_end(struct weft__worker *w, uint32_t how) {
  if (!weft__cas_seq_u32(&w->park, &how, WEFT__AWAKE)) {
    weft__store_relaxed_u32(&w->park, WEFT__AWAKE);
    w->searching = true;
  }
  weft__sub_u32(&w->rt->parked, 1);
}

static void park(struct weft__worker *w) {
  weft__point(); /* between the last search and the announcement */
  bool entered = weft__loop_enter(w->loop, w);
  bool alive = entered && weft__loop_alive(w->loop);
  struct weft__pollset *bed = alive ? &w->loop->set : entered ? find_bed(w) : NULL;
  uint32_t how = bed ? WEFT__IN_LOOP : WEFT__ON_FUTEX;
  weft__store_release_ptr(&w->bed, bed);
  uint64_t deadline = weft__shutdown_deadline(w);
  if (entered) {
    deadline = weft__timers_sleep(w->timers, w, deadline);
  } else {
    weft__reserve_recall(w); /* the reserve has the loop and the timers, and will ring */
  }
  if (park_begin(w, how)) {
    weft__fence_heavy(); /* pairs with the pushers' fence */
    weft__point();
    /* A descriptor may have come into the loop since it was looked at. */
    bool blind = entered && !alive && weft__loop_alive(w->loop);
    if (!blind) {
      if (!work_somewhere(w)) {
        weft__count(&w->counters.parks);
        weft__sleep_until(w, how, deadline);
      }
    }
    park_end(w, how);
  }
  leave_bed(w);
  if (entered) {
    weft__timers_awake(w->timers);
    weft__loop_leave(w->loop);
  }
}

struct weft__task *weft__worker_idle(struct weft__worker *w) {
  if (!w->rt->exact && start_searching(w)) {
    struct weft__task *t = search(w);
    if (t) return t;
  }
  /* Also when only a waker has made it one, for nothing: while one searches nobody is woken. */
  give_up_searching(w);
  park(w);
  weft__monitor_wake(w->rt);
  weft__worker_poll(w);
  return NULL;
}
