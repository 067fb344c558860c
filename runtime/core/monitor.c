#include "core/monitor.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/debug.h"
#include "core/reserve.h"
#include "core/thread.h"
#include "core/worker.h"

#define PERIOD_NS UINT64_C(1000000)
/* Between looks while all goes well: a look costs the workers about 10 us of their CPU. */
#define CALM_PERIOD_NS (4 * PERIOD_NS)
/* A lease outlasts the hog that caused it: the next hog is often there at once. */
#define LEASE_NS (100 * PERIOD_NS)
/* Stacks that no worker has wanted for so long give their pages back. */
#define TRIM_EVERY_NS WEFT__NS_PER_SEC
enum {
  IDLE_PERIODS = 20, /* without any worker awake, before the monitor sleeps */
  CALM_LOOKS = 16,   /* that found nothing to do, before the looks are further apart */
  CALM_MOST = 64,
  OFF_CPU_PERIODS =
      10, /* a thread so long off its CPU is blocked, not only waiting for its turn there */
};
/* Of CPU time in a period: less, and the thread was off its CPU for most of it. */
#define LITTLE_NS (PERIOD_NS / 4)

enum { MONITOR_AWAKE = 0, MONITOR_ASLEEP = 1, MONITOR_STOP = 2 };

struct weft__monitor {
  struct weft__runtime *rt;
  pthread_t thread;
  weft__atomic_u32 state; /* futex word. A worker that wakes up lowers parked, passes a full fence
                             and looks here; the monitor changes it to ASLEEP and looks at parked,
                             both seq_cst: one of the two sees the other */
  weft__atomic_u32 pool;  /* the blocking pool wants ticks, or there was a signal; against state in
                             the same way. Released by who wants them, acquired by the tick */
  weft__atomic_u32
      rests;     /* it waits for the longer period: relaxed, who misses it waits that long */
  unsigned calm; /* looks in a row that found nothing to do; the monitor's own, as all below */
  bool doubt;    /* the last one found a worker that may be in a long slice */
  uint64_t trim_at;
  struct sample *seen; /* of each worker and reserve */
};

/* What a thread was doing when it was last looked at. */
struct sample {
  uint32_t slice;
  uint32_t off;   /* periods in a row that the same slice was off the CPU */
  uint64_t cpu;   /* CPU time of the thread, when it was in a slice */
  uint64_t turns; /* of its loop */
};

static uint64_t cpu_time(const struct weft__worker *w) {
  struct timespec ts = {0};
  if (weft__sys_clock_gettime((clockid_t)weft__load_relaxed_u32(&w->cpu_clock), &ts) < 0) return 0;
  return (uint64_t)ts.tv_sec * WEFT__NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* True when the thread has been in one slice since it was last looked at, and computing or blocked
 * in it. On a loaded machine a thread can lose its CPU for longer than a period in the shortest
 * slice: that task is no hog, and whoever waits behind it would wait for the CPU elsewhere too. */
static bool in_long_slice(struct sample *seen, const struct weft__worker *w, uint32_t slice) {
  bool same = slice == seen->slice;
  seen->slice = slice;
  if (!(slice & 1)) return false;
  uint64_t before = seen->cpu;
  seen->cpu = cpu_time(w);
  bool computes = weft__elapsed(before, seen->cpu) >= LITTLE_NS;
  seen->off = same && !computes ? seen->off + 1 : 0;
  return same && (computes || seen->off >= OFF_CPU_PERIODS);
}

/* The worker's queues hold something that another worker could run. */
static bool work_behind(struct weft__worker *w) {
  return weft__ring_len(&w->ring) || weft__deque_len(&w->deque) || weft__tasklist_count(&w->hogs);
}

static bool reserve_has_work(struct weft__worker *w, uint64_t now) {
  return weft__ring_len(&w->ring) || weft__tasklist_count(&w->rt->ready) ||
         weft__timers_next(&w->own_timers) <= now + PERIOD_NS || weft__loop_has_event(&w->own_loop);
}

static void on_hog(struct weft__runtime *rt, struct weft__worker *w, uint32_t slice, uint64_t now) {
  weft__store_relaxed_u32(&w->hogged, 1);
  /* The mark is for this slice's task; a worker that has gone on meanwhile is not hogged. */
  if (weft__load_acquire_u32(&w->slice) != slice) {
    weft__store_relaxed_u32(&w->hogged, 0);
    return;
  }
  bool waits = work_behind(w);
  if (waits && weft__load_relaxed_u32(&rt->parked)) weft__notify_hard(rt);
  if (rt->nreserves && reserve_has_work(w, now)) {
    weft__counter_add(&w->hog_count, 1);
    weft__reserve_want(w, now + LEASE_NS);
  }
}

/* Whether the worker can be left alone for a while: it sleeps, or looks into its loop by itself. */
static bool look_at(struct weft__monitor *m, unsigned i, uint64_t now) {
  struct weft__worker *w = &m->rt->workers[i];
  struct sample *seen = &m->seen[i];
  uint32_t slice = weft__load_acquire_u32(&w->slice);
  uint64_t turns = weft__counter_read(&w->own_loop.turns);
  bool turned = turns != seen->turns;
  seen->turns = turns;
  if (in_long_slice(seen, w, slice)) {
    if (!m->rt->exact) on_hog(m->rt, w, slice, now);
    return false;
  }
  if (slice & 1)
    m->doubt |= weft__elapsed(weft__load_relaxed_u64(&w->own_loop.set.looked_at), now) >= PERIOD_NS;
  if (weft__load_relaxed_u32(&w->park) != WEFT__AWAKE) return true;
  weft__store_relaxed_u32(&w->poll_due, 1);
  return turned;
}

/* A reserve that is in a long slice itself: the task is marked, so that it is a worker's from then
 * on, and what waits behind it may be taken by an idle worker. */
static bool look_at_reserve(struct weft__monitor *m, unsigned i) {
  struct weft__worker *r = &m->rt->workers[i];
  if (weft__load_relaxed_u32(&r->lease) == WEFT__LEASE_NONE) return true;
  if (!in_long_slice(&m->seen[i], r, weft__load_acquire_u32(&r->slice))) return false;
  weft__store_relaxed_u32(&r->hogged, 1);
  if (weft__ring_len(&r->ring) && weft__load_relaxed_u32(&m->rt->parked)) weft__notify_hard(m->rt);
  return false;
}

static bool all_parked(struct weft__runtime *rt) {
  return weft__load_seq_u32(&rt->parked) == rt->nworkers;
}

/* True when a worker is awake, or the pool wants ticks. */
static bool tick(struct weft__monitor *m) {
  struct weft__runtime *rt = m->rt;
  uint64_t now = weft__now();
  /* The note is cleared before the tick: a wish that comes during it is kept. */
  bool noted = weft__load_relaxed_u32(&m->pool) && weft__xchg_u32(&m->pool, 0);
  if (noted) {
    weft__interrupts_pass(rt);
    weft__signals_pass(rt);
  }
  bool pool = noted && weft__blocking_tick(&rt->blocking, now);
  if (pool) weft__store_relaxed_u32(&m->pool, 1);
  if (now >= m->trim_at) {
    weft__stack_pool_trim(&rt->stacks);
    m->trim_at = now + TRIM_EVERY_NS;
  }
  if (weft__unlikely(rt->debug != NULL)) weft__debug_tick(rt, now);
  if (all_parked(rt)) return pool;
  bool calm = !pool && !rt->debug;
  m->doubt = false;
  for (unsigned i = 0; i < rt->nworkers; i++) calm &= look_at(m, i, now);
  for (unsigned i = 0; i < rt->nreserves; i++) calm &= look_at_reserve(m, rt->nworkers + i);
  /* Not back to none: on a loaded machine a worker now and then loses its CPU for a period. */
  if (!calm)
    m->calm /= 2;
  else if (m->calm < CALM_MOST)
    m->calm++;
  return true;
}

/* The last two looks at the stacks come after the work: the second gives back what it used. */
static void sleep_until_woken(struct weft__monitor *m) {
  uint32_t state = MONITOR_AWAKE;
  if (!weft__cas_seq_u32(&m->state, &state, MONITOR_ASLEEP)) return;
  if (all_parked(m->rt) && !weft__load_seq_u32(&m->pool))
    for (int looks = 2; weft__load_acquire_u32(&m->state) == MONITOR_ASLEEP;) {
      uint64_t until = looks ? weft__now() + TRIM_EVERY_NS : WEFT__FUTEX_FOREVER;
      if (weft__futex_wait(&m->state, MONITOR_ASLEEP, until) != WEFT_ETIMEDOUT) continue;
      weft__stack_pool_trim(&m->rt->stacks);
      if (m->rt->debug) weft__debug_idle(m->rt);
      looks--;
    }
  state = MONITOR_ASLEEP;
  weft__cas_u32(&m->state, &state, MONITOR_AWAKE);
}

static void wait_a_period(struct weft__monitor *m) {
  bool rests = m->calm >= CALM_LOOKS && !m->doubt;
  weft__store_relaxed_u32(&m->rests, rests);
  weft__futex_wait(&m->state, MONITOR_AWAKE, weft__now() + (rests ? CALM_PERIOD_NS : PERIOD_NS));
}

static void *monitor_main(void *arg) {
  struct weft__monitor *m = arg;
  int idle = 0;
  weft__thread_short_slice();
  while (weft__load_acquire_u32(&m->state) != MONITOR_STOP) {
    wait_a_period(m);
    idle = tick(m) ? 0 : idle + 1;
    if (idle > IDLE_PERIODS) {
      sleep_until_woken(m);
      idle = 0;
    }
  }
  return NULL;
}

int weft__monitor_start(struct weft__runtime *rt) {
  struct weft__monitor *m = weft__zalloc(sizeof *m);
  struct sample *seen = weft__calloc(rt->nworkers + rt->nreserves, sizeof *seen);
  if (!m || !seen) {
    weft__free(m);
    weft__free(seen);
    return WEFT_ENOMEM;
  }
  m->rt = rt;
  m->seen = seen;
  m->trim_at = weft__now() + TRIM_EVERY_NS;
  rt->monitor = m;
  int r = weft__thread_start(&m->thread, monitor_main, m, "weft-monitor");
  if (r == 0) return 0;
  rt->monitor = NULL;
  weft__free(seen);
  weft__free(m);
  return r;
}

void weft__monitor_stop(struct weft__runtime *rt) {
  struct weft__monitor *m = rt->monitor;
  weft__xchg_u32(&m->state, MONITOR_STOP);
  weft__futex_wake(&m->state, 1);
  weft__sys_thread_join(m->thread);
}

void weft__monitor_free(struct weft__runtime *rt) {
  struct weft__monitor *m = rt->monitor;
  weft__free(m->seen);
  weft__free(m);
  rt->monitor = NULL;
}

void weft__monitor_wake(struct weft__runtime *rt) {
  struct weft__monitor *m = rt->monitor;
  if (!m) return;
  weft__fence_full(); /* the caller's `parked`, or its job, before this look */
  uint32_t state = weft__load_relaxed_u32(&m->state);
  if (state != MONITOR_ASLEEP) return;
  if (weft__cas_u32(&m->state, &state, MONITOR_AWAKE)) weft__futex_wake(&m->state, 1);
}

void weft__monitor_want_ticks(struct weft__runtime *rt) {
  struct weft__monitor *m = rt->monitor;
  if (!m) return;
  weft__store_release_u32(&m->pool, 1); /* the fence in wake orders it before the look at state */
  weft__monitor_wake(rt);
  if (weft__load_relaxed_u32(&m->rests)) weft__futex_wake(&m->state, 1);
}

#ifndef WEFT_MODEL
/* As weft__monitor_want_ticks, but nothing of the shim or the seam: both may be the thread's to play
 * with. The monitor looks every period while it is awake. */
void weft__monitor_ring(struct weft__runtime *rt) {
  struct weft__monitor *m = rt->monitor;
  uint32_t asleep = MONITOR_ASLEEP;
  atomic_store(&m->pool.v, 1);
  if (atomic_compare_exchange_strong(&m->state.v, &asleep, MONITOR_AWAKE) ||
      atomic_load(&m->rests.v))
    syscall(SYS_futex, &m->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#endif
