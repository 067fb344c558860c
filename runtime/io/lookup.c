/* The lane of a runtime: lookups that wait, the threads that run them, and its end. */
#include "io/lookup.h"

#include <pthread.h>
#include <string.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/mutex.h"
#include "base/sim.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/thread.h"
#include "core/worker.h"

#define IDLE_NS (10 * WEFT__NS_PER_SEC)
enum { GRACE_TURNS = 100 }; /* of a millisecond, for stuck threads at the end */

struct weft__lane_thread {
  struct weft__list link; /* in threads, or none */
  struct weft__lane *lane;
  pthread_t id;
  bool stuck; /* runs a lookup that nobody waits for */
  bool left;  /* detached */
};

struct weft__lane {
  struct weft__closer closer;
  struct weft__runtime *rt; /* not to be used by a thread of the lane once it is closed */
  unsigned users;           /* tasks in weft__lookup: guarded by makers */

  pthread_mutex_t lock; /* guards the rest. A leaf */
  struct weft__list waiting;
  struct weft__list threads;
  struct weft__lane_thread *ended; /* the last thread that has ended by itself, not joined yet */
  unsigned nwaiting;
  unsigned nthreads;
  unsigned idle; /* asleep, or on the way from there */
  unsigned running;
  unsigned stuck;   /* of the running */
  unsigned holders; /* once closed: threads left behind, and who closes it; the last one frees it */
  bool closed;
  uint64_t asked, answered, abandoned;
  weft__atomic_u32 bell; /* futex word: raised under the lock by who has put something into waiting,
                            or has closed the lane; read under it before a thread sleeps on it */
};

static const struct weft__wait_kind waits_lookup = {"a name lookup"};

/* Guards rt->lookups of all runtimes, and the users of their lanes. */
static struct weft__spin makers;

static int close_lane(struct weft__closer *c);
static void drop_lane(struct weft__closer *c);

/* ---- a lane ---- */

static struct weft__lane *lane_make(struct weft__runtime *rt) {
  struct weft__lane *lane = weft__zalloc(sizeof *lane);
  if (!lane) return NULL;
  if (pthread_mutex_init(&lane->lock, NULL) != 0) {
    weft__free(lane);
    return NULL;
  }
  lane->rt = rt;
  lane->closer =
      (struct weft__closer){.name = "name lookups", .run = close_lane, .drop = drop_lane};
  weft__list_init(&lane->waiting);
  weft__list_init(&lane->threads);
  return lane;
}

static void lane_free(struct weft__lane *lane) {
  pthread_mutex_destroy(&lane->lock);
  weft__free(lane);
}

static void lane_release(struct weft__lane *lane) {
  weft__mutex_lock(&lane->lock);
  bool last = --lane->holders == 0;
  weft__mutex_unlock(&lane->lock);
  if (last) lane_free(lane);
}

/* The runtime's lane, or the one that was made for it. */
static struct weft__lane *lane_find(struct weft__runtime *rt, struct weft__lane *made) {
  weft__spin_lock(&makers);
  struct weft__lane *lane = weft__load_relaxed_ptr(&rt->lookups);
  if (!lane) weft__store_relaxed_ptr(&rt->lookups, lane = made);
  if (lane) lane->users++;
  weft__spin_unlock(&makers);
  return lane;
}

/* The same; it is not closed before lane_leave. */
static struct weft__lane *lane_enter(struct weft__runtime *rt, bool make) {
  struct weft__lane *lane = lane_find(rt, NULL), *made = NULL;
  if (lane || !make) return lane;
  made = lane_make(rt);
  if (!made) return NULL;
  lane = lane_find(rt, made);
  if (lane == made)
    weft__closer_add(&rt->closers, &lane->closer);
  else
    lane_free(made);
  return lane;
}

static void lane_leave(struct weft__lane *lane) {
  weft__spin_lock(&makers);
  lane->users--;
  weft__spin_unlock(&makers);
}

static void ring(struct weft__lane *lane, unsigned n) {
  weft__add_u32(&lane->bell, 1);
  weft__futex_wake(&lane->bell, n);
}

/* ---- its threads; the lock is held unless said otherwise ---- */

static unsigned most_threads(const struct weft__lane *lane) {
  unsigned most = WEFT__LOOKUPS + lane->stuck;
  return most < WEFT__LOOKUP_THREADS ? most : WEFT__LOOKUP_THREADS;
}

/* Somebody waits for the result: the task is woken, without the lock, and l is not to be touched
 * after that. */
static void hand_over(struct weft__lane *lane, struct weft__lookup *l) {
  struct weft__task *t = l->task;
  l->state = WEFT__LOOKUP_OVER;
  lane->answered++;
  enum weft__outcome won = weft__claim_win(&t->word, l->ticket, WEFT__BY_EVENT);
  weft__mutex_unlock(&lane->lock);
  if (won == WEFT__WON_PARKED) weft__make_ready_by(NULL, t);
  weft__mutex_lock(&lane->lock);
}

static void run_one(struct weft__lane *lane, struct weft__lane_thread *self) {
  struct weft__lookup *l =
      weft__container_of(weft__list_pop_front(&lane->waiting), struct weft__lookup, link);
  lane->nwaiting--;
  lane->running++;
  l->state = WEFT__LOOKUP_RUNS;
  l->thread = self;
  weft__mutex_unlock(&lane->lock);
  int code = l->run(l);
  weft__mutex_lock(&lane->lock);
  lane->running--;
  l->code = code;
  if (l->task) {
    hand_over(lane, l);
    return;
  }
  lane->stuck--;
  self->stuck = false;
  weft__mutex_unlock(&lane->lock);
  l->free(l);
  weft__mutex_lock(&lane->lock);
}

/* False when it was idle for long. */
static bool rest(struct weft__lane *lane) {
  uint64_t deadline = weft__now() + IDLE_NS;
  int r = 0;
  lane->idle++;
  while (lane->nwaiting == 0 && !lane->closed && r != WEFT_ETIMEDOUT) {
    uint32_t bell = weft__load_relaxed_u32(&lane->bell);
    weft__mutex_unlock(&lane->lock);
    r = weft__futex_wait(&lane->bell, bell, deadline);
    weft__mutex_lock(&lane->lock);
  }
  lane->idle--;
  return lane->nwaiting > 0 || !(r == WEFT_ETIMEDOUT);
}

/* The end of a thread, which releases the lock. Each that ends by itself joins the one that did so before
 * it; the end of the lane joins the last one, and those that are there. */
static void retire(struct weft__lane *lane, struct weft__lane_thread *self) {
  struct weft__lane_thread *before = NULL;
  bool left = self->left;
  lane->nthreads--;
  if (!lane->closed) {
    weft__list_remove(&self->link);
    before = lane->ended;
    lane->ended = self;
  }
  weft__mutex_unlock(&lane->lock); /* unless it was left behind, self may be gone after this */
  if (before) {
    weft__sys_thread_join(before->id);
    weft__free(before);
  }
  if (!left) return;
  weft__free(self);
  lane_release(lane);
}

static void *thread_main(void *arg) {
  struct weft__lane_thread *self = arg;
  struct weft__lane *lane = self->lane;
  weft__mutex_lock(&lane->lock); /* by then who made the thread has written its id */
  weft__sys_thread_name(self->id, "weft-lookup");
  for (;;) {
    while (lane->nwaiting > 0 && lane->nthreads <= most_threads(lane)) run_one(lane, self);
    if (lane->closed || lane->nthreads > most_threads(lane) || !rest(lane)) break;
  }
  retire(lane, self);
  return NULL;
}

static int add_thread(struct weft__lane *lane) {
  struct weft__lane_thread *t = weft__zalloc(sizeof *t);
  if (!t) return WEFT_ENOMEM;
  t->lane = lane;
  sigset_t old;
  weft__block_program_signals(&old); /* the new thread inherits the mask */
  int r = weft__sys_thread_create(&t->id, NULL, thread_main, t);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (r < 0) {
    weft__free(t);
    return r;
  }
  weft__list_push_back(&lane->threads, &t->link);
  lane->nthreads++;
  return 0;
}

/* Sees to it that what waits is run: 0; or an error when there is no thread that will come to it. */
static int provide(struct weft__lane *lane) {
  int r = 0;
  if (lane->nwaiting > lane->idle && lane->nthreads < most_threads(lane)) r = add_thread(lane);
  if (lane->idle > 0) ring(lane, 1);
  return lane->nthreads > lane->stuck ? 0 : r;
}

/* ---- the task's side ---- */

static int submit(struct weft__lane *lane, struct weft__lookup *l) {
  weft__mutex_lock(&lane->lock);
  l->state = WEFT__LOOKUP_WAITS;
  weft__list_push_back(&lane->waiting, &l->link);
  lane->nwaiting++;
  int r = provide(lane);
  if (r < 0) {
    weft__list_remove(&l->link);
    lane->nwaiting--;
  } else {
    lane->asked++;
  }
  weft__mutex_unlock(&lane->lock);
  return r;
}

/* The caller leaves. True when l is its own all the same: it has not begun, or is over. */
static bool take_back(struct weft__lane *lane, struct weft__lookup *l) {
  weft__mutex_lock(&lane->lock);
  bool mine = l->state != WEFT__LOOKUP_RUNS;
  if (l->state == WEFT__LOOKUP_WAITS) {
    weft__list_remove(&l->link);
    lane->nwaiting--;
  } else if (!mine) {
    l->task = NULL;
    l->thread->stuck = true;
    lane->stuck++;
    lane->abandoned++;
    (void)provide(lane); /* a thread that cannot be made now: others come to what waits */
  }
  weft__mutex_unlock(&lane->lock);
  return mine;
}

static int wait_in(struct weft__lane *lane, struct weft__task *t, struct weft__lookup *l,
                   int *ret_code) {
  int r = weft__wait_open(t, false, &l->ticket);
  if (r == 0) {
    weft__ticket ticket = l->ticket;
    l->task = t;
    weft__waits_for(t, &waits_lookup, NULL);
    r = submit(lane, l);
    if (r == 0) {
      r = weft__wait_park(t, ticket, WEFT__NEVER);
      if (r == 0) {
        *ret_code = l->code;
        return 0;
      }
      if (!take_back(lane, l)) return r;
    } else {
      weft__wait_abort(t, ticket);
    }
  }
  l->free(l);
  return r;
}

int weft__lookup(struct weft__lookup *l, int *ret_code) {
  struct weft__task *t = weft__current_task();
  struct weft__runtime *rt = t ? t->rt : NULL;
  struct weft__lane *lane = rt ? lane_enter(rt, true) : NULL;
  if (!lane) {
    l->free(l);
    return rt ? WEFT_ENOMEM : weft__not_in_task();
  }
  weft__add_u32(&rt->awaited, 1);
  int r = wait_in(lane, t, l, ret_code);
  weft__sub_u32(&rt->awaited, 1);
  lane_leave(lane);
  return r;
}

int weft_dns_stats_read(weft_dns_stats *ret) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!ret) return WEFT_EINVAL;
  struct weft__lane *lane = lane_enter(t->rt, false);
  memset(ret, 0, sizeof *ret);
  if (!lane) return 0;
  weft__mutex_lock(&lane->lock);
  *ret = (weft_dns_stats){.asked = lane->asked,
                          .answered = lane->answered,
                          .abandoned = lane->abandoned,
                          .running = lane->running,
                          .stuck = lane->stuck,
                          .waiting = lane->nwaiting,
                          .threads = lane->nthreads};
  weft__mutex_unlock(&lane->lock);
  lane_leave(lane);
  return 0;
}

/* ---- the end ---- */

/* Sorts the threads: those to be joined go to ours, stuck ones are left behind: how many. In a simulation
 * none is, since each must have ended when it does. The lock is held. */
static unsigned part(struct weft__lane *lane, struct weft__list *ours) {
  unsigned left = 0;
  struct weft__list *link;
  while ((link = weft__list_pop_front(&lane->threads))) {
    struct weft__lane_thread *t = weft__container_of(link, struct weft__lane_thread, link);
    t->left = t->stuck && !lane->rt->sim;
    if (t->left) {
      weft__sys_thread_detach(t->id);
      left++;
    } else {
      weft__list_push_back(ours, link);
    }
  }
  if (lane->ended) weft__list_push_back(ours, &lane->ended->link);
  return left;
}

/* Nobody uses the lane any more: all that runs is stuck. */
static void lane_end(struct weft__lane *lane) {
  struct weft__list ours, *link;
  weft__list_init(&ours);
  weft__mutex_lock(&lane->lock);
  lane->closed = true;
  unsigned left = part(lane, &ours);
  lane->holders = left + 1;
  ring(lane, WEFT__LOOKUP_THREADS);
  weft__mutex_unlock(&lane->lock);
  while ((link = weft__list_pop_front(&ours))) {
    struct weft__lane_thread *t = weft__container_of(link, struct weft__lane_thread, link);
    weft__sys_thread_join(t->id);
    weft__free(t);
  }
  if (left > 0) weft__log(lane->rt, "%u name lookups that nobody waits for are left running", left);
  lane_release(lane);
}

/* The lane gets no new users. False while it has some: tasks that other closers have started. */
static bool lane_unlink(struct weft__lane *lane) {
  weft__spin_lock(&makers);
  if (weft__load_relaxed_ptr(&lane->rt->lookups) == lane)
    weft__store_relaxed_ptr(&lane->rt->lookups, NULL);
  bool unused = lane->users == 0;
  weft__spin_unlock(&makers);
  if (!unused) weft__closer_add(&lane->rt->closers, &lane->closer); /* for when they have ended */
  return unused;
}

static bool any_stuck(struct weft__lane *lane) {
  weft__mutex_lock(&lane->lock);
  bool any = lane->stuck > 0;
  weft__mutex_unlock(&lane->lock);
  return any;
}

static int close_lane(struct weft__closer *c) {
  struct weft__lane *lane = weft__container_of(c, struct weft__lane, closer);
  if (!lane_unlink(lane)) return 0;
  for (int turn = 0; turn < GRACE_TURNS && any_stuck(lane); turn++) weft_sleep(weft_ms(1));
  lane_end(lane);
  return 0;
}

static void drop_lane(struct weft__closer *c) {
  struct weft__lane *lane = weft__container_of(c, struct weft__lane, closer);
  if (lane_unlink(lane)) lane_end(lane);
}
