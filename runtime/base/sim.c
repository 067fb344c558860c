/* The scheduler of simulated threads. See sim.h.
 *
 * Everything here belongs to the playing thread. This file is compiled without TSan: what it keeps is
 * touched by all simulated threads, and must neither look like a race nor order them.
 */
#include "base/sim.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/point.h"
#include "base/sim_draw.h"
#include "base/sim_net.h"
#include "base/sim_threads.h"
#include "base/sys.h"

/* The time at which every simulation begins; any, but the same. */
#define BEGINNING (3600 * WEFT__NS_PER_SEC)
#define FOREVER UINT64_MAX

enum {
  FDS_AT_ONCE = 64,
  LOOK_AT_FDS = 64,        /* turns between looks at descriptors while threads can run */
  SPINS_IN_VAIN = 1000000, /* of the only thread that can run, before that is called stuck */
  OUTSIDE_MS = 2000, /* real time that what is outside of the simulation has, before it is stuck */
  SPIN_NS = 200,     /* what a round of spinning takes */
  STALL_MAX_NS =
      6000000, /* how long a thread may be kept off its CPU: several of the monitor's periods */
};

__thread bool weft__sim_playing;

static struct weft__simulation sim;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* ---- decisions ---- */

static uint32_t draw(uint32_t n) {
  return n <= 1 ? 0 : weft__draws_next(&sim.draws, n);
}

uint64_t weft__sim_seed(void) {
  return sim.seed;
}

uint32_t weft__sim_draw(uint32_t n) {
  return draw(n);
}

/* ---- the turn ---- */

static uint64_t next_deadline(void) {
  uint64_t first = FOREVER;
  weft__list_foreach(link, &sim.asleep) {
    struct weft__sim_thread *t = weft__sim_thread_of(link);
    if (t->deadline < first) first = t->deadline;
  }
  return first;
}

static void make_runnable(struct weft__sim_thread *t, enum weft__sim_why why) {
  weft__list_remove(&t->link);
  weft__list_push_back(&sim.runnable, &t->link);
  sim.nrunnable++;
  t->why = why;
  t->key = NULL;
}

/* Those whose time has come. */
static void expire(void) {
  uint64_t now = weft__now();
  if (now < sim.wake_at) return;
  uint64_t first = FOREVER;
  weft__list_foreach_safe(link, next, &sim.asleep) {
    struct weft__sim_thread *t = weft__sim_thread_of(link);
    if (t->deadline <= now)
      make_runnable(t, WEFT__SIM_TIME);
    else if (t->deadline < first)
      first = t->deadline;
  }
  sim.wake_at = first;
}

/* Those whose descriptor is readable; true when there was one. Waits at most ms of real time. */
static bool look_at_fds(int ms) {
  struct pollfd p[FDS_AT_ONCE];
  struct weft__sim_thread *of[FDS_AT_ONCE];
  nfds_t n = 0;
  weft__list_foreach(link, &sim.asleep) {
    struct weft__sim_thread *t = weft__sim_thread_of(link);
    if (t->fd < 0 || n == FDS_AT_ONCE) continue;
    p[n] = (struct pollfd){.fd = t->fd, .events = POLLIN};
    of[n++] = t;
  }
  if (n == 0 || poll(p, n, ms) <= 0) return false;
  for (nfds_t i = 0; i < n; i++)
    if (p[i].revents) make_runnable(of[i], WEFT__SIM_FD);
  return sim.nrunnable > 0;
}

static bool nobody_held_up(void) {
  weft__list_foreach(link, &sim.asleep) {
    if (weft__sim_thread_of(link)->stalled) return false;
  }
  return true;
}

/* The floor above is called: what it does must not give the turn away. */
static void tell_quiet(void) {
  sim.busy = true;
  if (sim.hooks.quiet) sim.hooks.quiet(sim.hooks.arg);
  sim.busy = false;
}

static void tell_stuck(void) {
  sim.busy = true;
  bool again = sim.hooks.stuck && sim.hooks.stuck(sim.hooks.arg);
  sim.busy = false;
  if (!again)
    weft__fatal("simulation with seed %llu: no thread can run", (unsigned long long)sim.seed);
}

/* No thread can run: something outside, the next deadline, or whoever asked for the simulation. */
static void wait_for_something(void) {
  while (sim.nrunnable == 0) {
    if (look_at_fds(0)) return;
    if (nobody_held_up()) tell_quiet();
    uint64_t first = next_deadline(), now = weft__now();
    if (first == FOREVER) {
      if (!look_at_fds(OUTSIDE_MS)) tell_stuck();
      continue;
    }
    if (first > now) weft__clock_advance(first - now);
    sim.wake_at = 0;
    expire();
  }
}

static struct weft__sim_thread *pick(void) {
  uint32_t at = draw(sim.nrunnable);
  weft__list_foreach(link, &sim.runnable) {
    if (at-- == 0) return weft__sim_thread_of(link);
  }
  weft__fatal("the list of runnable threads is shorter than its count");
}

/* How many points the next thread passes before the turn is somebody's again. */
static void draw_run(void) {
  sim.run = sim.left = 1 + draw(sim.patience);
}

/* What the run that ends now took. */
static void pass_time(void) {
  uint64_t ns = (uint64_t)(sim.run - sim.left) * sim.pace + draw(2 * sim.pace);
  sim.current->cpu += ns;
  weft__clock_advance(ns);
}

/* The stack that runs: a task's, or the thread's own. */
static weft__context *here(struct weft__sim_thread *me) {
  const char *sp = __builtin_frame_address(0);
  if (sp >= (const char *)me->lo && sp < (const char *)me->lo + me->size) return &me->own;
  weft__context *c = sim.hooks.context ? sim.hooks.context() : NULL;
  return c ? c : &me->own;
}

/* Gives the turn to t; comes back when it is the caller's again. */
static __attribute__((noinline)) void give_turn(struct weft__sim_thread *me,
                                                struct weft__sim_thread *t) {
  if (t == me) return;
  me->local = sim.hooks.local();
  me->at = here(me);
  sim.hooks.set_local(t->local);
  weft__context_switch_apart(me->at, t->at);
}

struct weft__sim_thread *weft__sim_next(void) {
  if (++sim.turns % LOOK_AT_FDS == 0) look_at_fds(0);
  pass_time();
  expire();
  if (sim.nrunnable == 0) wait_for_something();
  struct weft__sim_thread *next = pick();
  weft__list_remove(&next->link);
  sim.nrunnable--;
  draw_run();
  if (next != sim.current) {
    sim.switches++;
    sim.spins = 0;
  }
  sim.current = next;
  return next;
}

/* The caller is in one of the lists; whoever is drawn runs next. */
static void schedule(struct weft__sim_thread *me) {
  int saved = errno; /* of the caller, whatever is called until it runs again */
  give_turn(me, weft__sim_next());
  errno = saved;
}

static void stay_runnable(struct weft__sim_thread *me) {
  weft__list_push_back(&sim.runnable, &me->link);
  sim.nrunnable++;
}

static void fall_asleep(struct weft__sim_thread *me, const void *key, uint64_t deadline, int fd) {
  me->key = key;
  me->deadline = deadline;
  me->fd = fd;
  weft__list_push_back(&sim.asleep, &me->link);
  if (deadline < sim.wake_at) sim.wake_at = deadline;
}

/* The thread is kept off its CPU for a while, as a loaded machine does it, or what it does at this place
 * takes long. */
static void stall(struct weft__sim_thread *me, uint64_t ns, bool computing) {
  me->stalled = true;
  me->computing = computing;
  me->since = weft__now();
  fall_asleep(me, me, me->since + ns, -1);
  schedule(me);
  if (computing) me->cpu += weft__now() - me->since;
  me->stalled = me->computing = false;
}

void weft__sim_compute(uint64_t ns) {
  stall(sim.current, ns, true);
}

/* The caller waits for somebody. If nobody else can run, time must pass. */
static void spin(struct weft__sim_thread *me) {
  uint64_t first = next_deadline(), now = weft__now();
  bool alone = sim.nrunnable == 0;
  weft__clock_advance(alone && first != FOREVER && first > now ? first - now : SPIN_NS);
  if (alone) {
    sim.wake_at = 0;
    if (++sim.spins > SPINS_IN_VAIN)
      weft__fatal("simulation with seed %llu: a thread spins for ever",
                  (unsigned long long)sim.seed);
  }
  stay_runnable(me);
  schedule(me);
}

static void on_point(enum weft__point kind) {
  if (!weft__sim_playing || sim.busy) return;
  struct weft__sim_thread *me = sim.current;
  if (kind == WEFT__POINT_SPIN) {
    spin(me);
    return;
  }
  if (--sim.left > 0) return;
  if (sim.stalls && draw(sim.stalls) == 0) {
    stall(me, 1 + draw(STALL_MAX_NS), draw(2));
    return;
  }
  stay_runnable(me);
  schedule(me);
}

void weft__sim_pass(void) {
  struct weft__sim_thread *me = sim.current;
  stay_runnable(me);
  schedule(me);
}

bool weft__sim_wait(const void *key, uint64_t deadline, int fd) {
  struct weft__sim_thread *me = sim.current;
  if (fd >= 0) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 0) > 0) deadline = 0; /* now, but others may come first */
  }
  fall_asleep(me, key, deadline, fd);
  schedule(me);
  me->fd = -1;
  return me->why == WEFT__SIM_WOKEN;
}

unsigned weft__sim_wake(const void *key, unsigned n) {
  unsigned woken = 0;
  while (woken < n) {
    unsigned waiting = 0;
    weft__list_foreach(link, &sim.asleep) waiting += weft__sim_thread_of(link)->key == key;
    if (waiting == 0) break;
    uint32_t at = draw(waiting);
    weft__list_foreach_safe(link, next, &sim.asleep) {
      struct weft__sim_thread *t = weft__sim_thread_of(link);
      if (t->key != key || at-- != 0) continue;
      make_runnable(t, WEFT__SIM_WOKEN);
      break;
    }
    woken++;
  }
  return woken;
}

void weft__sim_runnable(struct weft__sim_thread *t) {
  stay_runnable(t);
}

struct weft__sim_thread *weft__sim_current(void) {
  return sim.current;
}

void weft__sim_set_local(void *local) {
  sim.hooks.set_local(local);
}

/* ---- begin and end ---- */

static uint32_t choose_for_worker(void *arg, struct weft__rng *rng, uint32_t n) {
  (void)arg;
  (void)rng;
  return draw(n);
}

/* Runs differ in how often threads change: what one mixture hides another shows. */
static void draw_temper(void) {
  static const uint32_t patience[] = {2, 8, 32, 128, 1024, 8192};
  static const uint32_t stalls[] = {0, 0, 16, 64, 256};
  static const uint32_t pace[] = {10, 30, 100, 1000};
  sim.patience = patience[draw(sizeof patience / sizeof *patience)];
  sim.stalls = stalls[draw(sizeof stalls / sizeof *stalls)];
  sim.pace = pace[draw(sizeof pace / sizeof *pace)];
  draw_run();
}

/* A child has none of the simulated threads, and must not play them: it has one thread of its own. */
static void in_child(void) {
  if (!weft__sim_playing) return;
  weft__sim_playing = false;
  weft__point_set_hook(NULL);
  weft__choice_set_hook(NULL, NULL);
  weft__sys_install(NULL);
  weft__clock_set_real();
}

static void register_in_child(void) {
  pthread_atfork(NULL, NULL, in_child);
}

int weft__sim_begin(const struct weft__sim_setup *setup) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_in_child); /* after the clock's, which frees the clock's lock */
  if (weft__sim_playing || pthread_mutex_trylock(&one_at_a_time) != 0) return WEFT_EBUSY;
  sim.hooks = setup->hooks;
  sim.seed = setup->follow ? setup->follow->seed : setup->seed;
  sim.switches = sim.turns = sim.spins = 0;
  sim.nrunnable = 0;
  sim.wake_at = FOREVER;
  weft__list_init(&sim.runnable);
  weft__list_init(&sim.asleep);
  weft__draws_begin(&sim.draws, setup);
  draw_temper();
  sim.current = weft__sim_threads_begin();
  weft__clock_set_virtual(BEGINNING);
  weft__sys_install(weft__sim_sys());
  weft__choice_set_hook(choose_for_worker, NULL);
  weft__sim_playing = true;
  weft__sim_watch_death();
  weft__point_set_hook(on_point);
  return 0;
}

void weft__sim_end(struct weft__sim_report *ret) {
  weft__sim_forget_death();
  weft__point_set_hook(NULL);
  weft__sim_playing = false;
  weft__choice_set_hook(NULL, NULL);
  weft__sys_install(NULL);
  *ret = (struct weft__sim_report){
      .decisions = sim.draws.taken,
      .switches = sim.switches,
      .ns = weft__now() - BEGINNING,
      .diverged = weft__draws_diverged(&sim.draws),
  };
  weft__clock_set_real();
  weft__sim_net_end();
  weft__sim_threads_end();
  pthread_mutex_unlock(&one_at_a_time);
}
