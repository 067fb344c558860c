/* The world around the workers, for models that compile the files of the scheduler as they are:
 * the runtime with its workers and tasks, and stand-ins for libuv, the clock, the kernel and the
 * monitor. Included once, by a test. */
#ifndef WEFT_TESTS_WORKERS_H
#define WEFT_TESTS_WORKERS_H

#include <string.h>

#include "base/clock.h"
#include "base/futex.h"
#include "core/descriptor.h"
#include "core/eager.h"
#include "core/fdwait.h"
#include "core/monitor.h"
#include "core/ready.h"
#include "core/shutdown.h"
#include "core/strand.h"
#include "core/worker.h"
#include "model.h"
#include "weft_test.h"

#define WORKERS 3 /* and the reserves among them */
#define TASKS 3
enum { EARLY = 100, LATE = 1000 };

static struct {
  struct weft__runtime rt;
  struct weft__worker w[WORKERS];
  struct weft__task task[TASKS];
  weft__atomic_u32 bell[WORKERS]; /* of the worker's loop */
  weft__atomic_u32 event;         /* has come to a descriptor of worker 1 */
  struct model_plain uv[WORKERS]; /* what libuv keeps for the loop */
  unsigned inside[WORKERS];       /* threads that are in uv_run of it */
  struct model_plain request;     /* what the poster of a request wrote for it */
  struct weft__loop_request posted;
  struct model_plain payload[TASKS]; /* what the task was given */
  bool ran_request;
  bool ran[TASKS];
  bool hogged;     /* a worker has begun a slice that is too long */
  bool loop_alive; /* the loops have handles: their drivers sleep in them */
  struct weft__timer_entry entries[TASKS];
  uint64_t now;
  bool fired;
} S;

/* --- what the code under test stands on --- */

__thread struct weft__worker *weft__tls_worker;

static unsigned index_of(const struct weft__loop *l) {
  unsigned i = 0;
  while (&S.w[i].own_loop != l) i++;
  return i;
}

static bool rung_0(void) {
  return weft__load_relaxed_u32(&S.bell[0]) != 0;
}
static bool rung_1(void) {
  return weft__load_relaxed_u32(&S.bell[1]) != 0 || weft__load_relaxed_u32(&S.event) != 0;
}
static bool rung_2(void) {
  return weft__load_relaxed_u32(&S.bell[2]) != 0;
}
static bool (*const rung[WORKERS])(void) = {rung_0, rung_1, rung_2};

/* One thread at a time, and what one left there is seen by the next. */
int uv_run(uv_loop_t *uv, uv_run_mode mode) {
  unsigned i = index_of(weft__container_of(uv, struct weft__loop, uv));
  MODEL_CHECK(S.inside[i]++ == 0);
  model_write(&S.uv[i], 1);
  if (mode == UV_RUN_ONCE) model_wait_until(rung[i]);
  bool heard = weft__xchg_u32(&S.bell[i], 0) != 0;
  S.inside[i]--;
  if (heard) weft__ring_heard(&S.w[i].own_loop.set);
  return 0;
}
int weft__pollset_init(struct weft__pollset *s) {
  (void)s;
  model_fail("no model makes a loop");
}
void weft__pollset_fini(struct weft__pollset *s) {
  (void)s;
}
void weft__descriptors_leave_home(struct weft__loop *home) {
  (void)home;
}
void weft__waited_leave_home(struct weft__loop *home) {
  (void)home;
}
static void begun(unsigned i);

/* What comes of a descriptor: its task can go on. */
static void take_event(void) {
  if (!weft__xchg_u32(&S.event, 0)) return;
  begun(0);
  weft__make_ready(&S.task[0]);
}
void weft__pollset_look(struct weft__pollset *s) {
  if (index_of(weft__container_of(s, struct weft__loop, set)) == 1) take_event();
}
/* Several may. */
void weft__pollset_wait(struct weft__pollset *s, uint64_t deadline) {
  unsigned i = index_of(weft__container_of(s, struct weft__loop, set));
  (void)deadline;
  model_wait_until(rung[i]);
  weft__xchg_u32(&S.bell[i], 0);
  if (i == 1) take_event();
  weft__ring_heard(s);
}
void weft__pollset_ring(struct weft__pollset *s) {
  struct weft__loop *l = weft__container_of(s, struct weft__loop, set);
  weft__fence_full(); /* a system call that takes locks */
  weft__xchg_u32(&S.bell[index_of(l)], 1);
}
int uv_loop_alive(const uv_loop_t *uv) {
  model_read(&S.uv[index_of(weft__container_of(uv, struct weft__loop, uv))]);
  return S.loop_alive;
}
/* Time passes in a sleep that ends at its deadline, at once up to EARLY; LATE never comes. */
int weft__futex_wait(weft__atomic_u32 *word, uint32_t expected, uint64_t deadline) {
  if (deadline <= EARLY)
    S.now = deadline;
  else
    model_futex_wait(word, expected);
  return 0;
}
uint64_t weft__now(void) {
  return S.now;
}
uint64_t weft__now_fast(void) {
  return S.now;
}
int weft__futex_wake(weft__atomic_u32 *word, unsigned n) {
  return (int)model_futex_wake(word, n);
}
uint64_t weft__shutdown_deadline(struct weft__worker *w) {
  (void)w;
  return WEFT__NEVER;
}
void weft__worker_poll(struct weft__worker *w) {
  if (!weft__loop_enter(w->loop, w)) return;
  weft__loop_turn(w->loop);
  weft__loop_leave(w->loop);
  weft__make_ready_chain(weft__timers_fire(w->timers, weft__now()));
}
void weft__task_free_slow(struct weft__task_pool *p, struct weft__task_cache *c,
                          struct weft__task *t) {
  (void)p;
  (void)c;
  (void)t;
  model_fail("no model leaves a tombstone");
}

void weft__make_ready_outside(struct weft__task *t) {
  weft__make_ready_by(NULL, t);
}
bool weft__start_eagerly(struct weft__worker *w, struct weft__task *cur, struct weft__task *t) {
  (void)w;
  (void)cur;
  (void)t;
  model_fail("no model starts a task eagerly");
}
void weft__strand_join(struct weft_strand *s, struct weft__task *t) {
  (void)s;
  (void)t;
  model_fail("no model has a strand");
}
bool weft__strand_enter(struct weft_strand *s, struct weft__task *t) {
  (void)s;
  (void)t;
  model_fail("no model has a strand");
}

/* --- the state --- */

/* Thread t is worker t; the others are foreign threads. What only counts turns would make a worker
 * that goes round look different each time. */
static void enter(unsigned t) {
  weft__tls_worker = t < S.rt.nworkers + S.rt.nreserves ? &S.w[t] : NULL;
  for (unsigned i = 0; i < WORKERS; i++) {
    memset(&S.w[i].counters, 0, sizeof S.w[i].counters);
    S.w[i].tick = 0;
  }
}

static void setup(unsigned workers, unsigned reserves) {
  S.rt.workers = S.w;
  S.rt.nworkers = workers;
  S.rt.nreserves = reserves;
  weft__tasklist_init(&S.rt.ready, WEFT__LINK_READY);
  weft__tasklist_init(&S.rt.unstarted, WEFT__LINK_START);
  for (unsigned i = 0; i < workers + reserves; i++) {
    struct weft__worker *w = &S.w[i];
    w->rt = &S.rt;
    w->reserve = i >= workers;
    w->plain = !w->reserve;
    w->index = w->reserve ? i - workers : i;
    weft__tasklist_init(&w->inbox, WEFT__LINK_READY);
    weft__tasklist_init(&w->hogs, WEFT__LINK_READY);
    weft__timers_init(&w->own_timers);
    weft__list_init(&w->own_loop.requests);
    weft__store_relaxed_u32(&w->own_loop.used, 1); /* each turn has one of libuv's in it */
    if (w->reserve) continue;
    w->timers = &w->own_timers;
    w->loop = &w->own_loop;
    w->own_loop.set.owner = w;
  }
  for (unsigned i = 0; i < TASKS; i++) {
    S.task[i].rt = &S.rt;
    weft__store_relaxed_u64(&S.task[i].word, weft__word_fresh(0));
  }
  model_name(&S.rt.parked, "parked");
  model_name(&S.rt.searching, "searching");
  model_name(&S.rt.ready.count, "ready.count");
  model_name(&S.rt.life, "life");
  model_name(&S.w[0].deque.bottom, "w0.bottom");
  model_name(&S.w[0].deque.top, "w0.top");
  model_name(&S.w[0].park, "w0.park");
  model_name(&S.w[1].park, "w1.park");
  model_name(&S.w[2].park, "w2.park");
}

/* --- who brings work --- */

/* Task i has waited and may go on. */
static void begun(unsigned i) {
  model_write(&S.payload[i], i + 1);
  weft__store_relaxed_u64(&S.task[i].word,
                          weft__word_with_phase(weft__word_fresh(0), WEFT__RUNNING));
}

/* t is about to run. */
static void runs(struct weft__task *t) {
  unsigned i = (unsigned)(t - S.task);
  MODEL_CHECK(model_read(&S.payload[i]) == i + 1);
  MODEL_CHECK(!S.ran[i]);
  S.ran[i] = true;
}

/* Something for the loop of worker i. */
static void run_request(struct weft__loop_request *req, uv_loop_t *uv) {
  (void)req;
  (void)uv;
  MODEL_CHECK(model_read(&S.request) == 7);
  S.ran_request = true;
}
static void post(unsigned i) {
  model_write(&S.request, 7);
  S.posted.run = run_request;
  weft__loop_post(&S.w[i].own_loop, &S.posted);
  weft__loop_poke(&S.w[i].own_loop);
}

#endif
