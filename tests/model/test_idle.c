/* Idle workers, for which idle.c, ready.c, next.c, loop.c and timers.c are compiled as they are: work
 * that comes while a worker goes to sleep is never left lying.
 *
 * One model thread is the worker that goes idle (or two are), the others bring work and are then
 * busy for ever: they have ended. So a sleeper that should have been woken is a deadlock. What is
 * behind these files is replaced here: libuv, the clock, the monitor, the reserves. */
#include <string.h>

#include "base/clock.h"
#include "base/futex.h"
#include "core/monitor.h"
#include "core/ready.h"
#include "core/reserve.h"
#include "core/shutdown.h"
#include "core/worker.h"
#include "model.h"
#include "weft_test.h"

#define WORKERS 3
#define TASKS 3
enum { EARLY = 100, LATE = 1000 };

static struct {
  struct weft__runtime rt;
  struct weft__worker w[WORKERS];
  struct weft__task task[TASKS];
  weft__atomic_u32 bell[WORKERS]; /* of the worker's loop: uv_async */
  struct model_plain request;     /* what the poster of a request wrote for it */
  struct weft__loop_request posted;
  bool ran_request;
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
  return weft__load_relaxed_u32(&S.bell[1]) != 0;
}
static bool rung_2(void) {
  return weft__load_relaxed_u32(&S.bell[2]) != 0;
}
static bool (*const rung[WORKERS])(void) = {rung_0, rung_1, rung_2};

int uv_run(uv_loop_t *uv, uv_run_mode mode) {
  struct weft__loop *l = weft__container_of(uv, struct weft__loop, uv);
  MODEL_CHECK(weft__load_relaxed_ptr(&l->driver) == weft__tls_worker);
  if (mode == UV_RUN_ONCE) model_wait_until(rung[index_of(l)]);
  weft__store_seq_u32(&S.bell[index_of(l)], 0);
  return 0;
}
int uv_async_send(uv_async_t *bell) {
  struct weft__loop *l = weft__container_of(bell, struct weft__loop, bell);
  weft__fence_full(); /* a system call that takes locks */
  weft__store_seq_u32(&S.bell[index_of(l)], 1);
  return 0;
}
int uv_loop_alive(const uv_loop_t *uv) {
  (void)uv;
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
void weft__monitor_wake(struct weft__runtime *rt) {
  (void)rt;
}
void weft__reserve_recall(struct weft__worker *w) {
  (void)w;
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

/* --- the state --- */

/* Thread t is worker t; the others are foreign threads. What only counts turns would make a worker
 * that goes round look different each time. */
static void enter(unsigned t) {
  weft__tls_worker = t < S.rt.nworkers ? &S.w[t] : NULL;
  for (unsigned i = 0; i < WORKERS; i++) {
    memset(&S.w[i].counters, 0, sizeof S.w[i].counters);
    S.w[i].tick = 0;
  }
}

static void setup(unsigned workers) {
  S.rt.workers = S.w;
  S.rt.nworkers = workers;
  weft__tasklist_init(&S.rt.ready, WEFT__LINK_READY);
  weft__tasklist_init(&S.rt.unstarted, WEFT__LINK_START);
  for (unsigned i = 0; i < workers; i++) {
    struct weft__worker *w = &S.w[i];
    w->rt = &S.rt;
    w->index = i;
    w->plain = true;
    weft__tasklist_init(&w->inbox, WEFT__LINK_READY);
    weft__tasklist_init(&w->hogs, WEFT__LINK_READY);
    weft__timers_init(&w->own_timers);
    weft__list_init(&w->own_loop.requests);
    w->timers = &w->own_timers;
    w->loop = &w->own_loop;
  }
  weft__store_relaxed_u32(&S.w[0].slice, 1); /* it is running the task that brings work */
  for (unsigned i = 0; i < TASKS; i++) {
    S.task[i].rt = &S.rt;
    weft__store_relaxed_u64(&S.task[i].word, weft__word_fresh(0));
  }
  model_name(&S.rt.parked, "parked");
  model_name(&S.rt.searching, "searching");
  model_name(&S.rt.ready.count, "ready.count");
  model_name(&S.w[0].deque.bottom, "w0.bottom");
  model_name(&S.w[0].deque.top, "w0.top");
  model_name(&S.w[0].park, "w0.park");
  model_name(&S.w[1].park, "w1.park");
  model_name(&S.w[2].park, "w2.park");
}
static void two_workers(void) {
  setup(2);
}
static void three_workers(void) {
  setup(3);
}
static void two_workers_in_loops(void) {
  setup(2);
  S.loop_alive = true;
}

/* --- who brings work --- */

static void spawn(unsigned i) {
  weft__push_unstarted(&S.w[0], &S.task[i]);
}
/* One for the worker itself to do next, one for others. */
static void spawns_two(void) {
  spawn(0);
  spawn(1);
}
static void spawns_three(void) {
  spawn(0);
  spawn(1);
  spawn(2);
}
static void begun(unsigned i) {
  weft__store_relaxed_u64(&S.task[i].word,
                          weft__word_with_phase(weft__word_fresh(0), WEFT__RUNNING));
}
static void wakes_one(void) {
  begun(2);
  weft__make_ready(&S.task[2]);
}
static void wakes_two(void) {
  begun(0);
  begun(1);
  weft__make_ready(&S.task[0]);
  weft__make_ready(&S.task[1]);
}
static void wakes_a_pinned_one(void) {
  begun(0);
  S.task[0].pinned = true;
  S.task[0].home = &S.w[1];
  weft__make_ready(&S.task[0]);
}
static void nothing(void) {}

/* Something for the other worker's loop, which may be asleep or about to be. */
static void run_request(struct weft__loop_request *req, uv_loop_t *uv) {
  (void)req;
  (void)uv;
  MODEL_CHECK(model_read(&S.request) == 7);
  S.ran_request = true;
}
static void posts(void) {
  model_write(&S.request, 7);
  S.posted.run = run_request;
  weft__loop_post(&S.w[1].own_loop, &S.posted);
  weft__loop_poke(&S.w[1].own_loop);
}

/* A task of worker 0 begins to wait with a deadline; the timers are served by worker 1, who may
 * sleep until a later one. */
static void waits_until_early(void) {
  struct weft__worker *guardian;
  weft__ticket ticket;
  begun(0);
  weft__claim_arm(&S.task[0].word, false, &ticket);
  weft__timers_add(&S.w[1].own_timers, &S.task[0], ticket, EARLY, &guardian);
  if (guardian) weft__unpark(guardian);
  if (weft__claim_commit(&S.task[0].word)) return;
  S.fired = true; /* before the task had left its stack: then it is this worker's */
  weft__unpark(&S.w[1]);
}
static void a_late_timer(void) {
  struct weft__timers *h = &S.w[1].own_timers;
  struct weft__worker *guardian;
  setup(2);
  h->entries = S.entries; /* no memory from elsewhere */
  h->capacity = TASKS;
  begun(1);
  weft__timers_add(h, &S.task[1], 0, LATE, &guardian);
}

/* --- who goes idle --- */

static void work(unsigned tasks) {
  struct weft__worker *w = weft__self();
  while (tasks > 0 && !S.fired) {
    struct weft__task *t = weft__next_task(w);
    if (!t) t = weft__worker_idle(w);
    /* Without a task of its own making and without news another turn would be the same. */
    if (!t && weft__ring_len(&w->ring) == 0) weft__cpu_relax();
    if (!t) continue;
    weft__stop_searching(w); /* as weft__run_task does */
    tasks--;
  }
  weft__stop_searching(w);
}
static void works_once(void) {
  work(1);
}
static void works_twice(void) {
  work(2);
}

static void works_for_its_loop(void) {
  while (!S.ran_request) {
    MODEL_CHECK(weft__worker_idle(weft__self()) == NULL);
    if (!S.ran_request) weft__cpu_relax();
  }
  weft__stop_searching(weft__self());
}

/* A worker that has found work is busy and counted nowhere. */
static void accounts(void) {
  MODEL_CHECK(weft__load_relaxed_u32(&S.rt.parked) == 0);
  MODEL_CHECK(weft__load_relaxed_u32(&S.rt.searching) == 0);
}

#define MODEL(name_, setup_, ...)                                                                  \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup_, .enter = enter, .check = accounts,             \
    .threads = {                                                                                   \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

static const struct model spawned =
    MODEL("idle: spawned tasks", two_workers, {"busy", spawns_two}, {"idle", works_once});
static const struct model woken =
    MODEL("idle: woken tasks", two_workers, {"busy", wakes_two}, {"idle", works_once});
static const struct model foreign =
    MODEL("idle: a foreign thread's wake-up", two_workers, {"busy", nothing}, {"idle", works_once},
          {"foreign", wakes_one});
static const struct model pinned =
    MODEL("idle: a pinned task", two_workers, {"busy", wakes_a_pinned_one}, {"idle", works_once});
static const struct model in_loop = MODEL("idle: asleep in the loop", two_workers_in_loops,
                                          {"busy", spawns_two}, {"idle", works_once});
static const struct model both =
    MODEL("idle: spawned here, woken there", two_workers, {"busy", spawns_two},
          {"idle", works_twice}, {"foreign", wakes_one});
static const struct model chain =
    MODEL("idle: one wakes the next", three_workers, {"busy", spawns_three}, {"idle", works_once},
          {"sleepy", works_once});

static const struct model request = MODEL("idle: a request for its loop", two_workers,
                                          {"busy", posts}, {"idle", works_for_its_loop});
static const struct model request_in_loop =
    MODEL("idle: a request, asleep in the loop", two_workers_in_loops, {"busy", posts},
          {"idle", works_for_its_loop});
static const struct model timer = MODEL("idle: an earlier deadline", a_late_timer,
                                        {"busy", waits_until_early}, {"idle", works_once});

/* --- tests --- */

static const struct model *const one_idle[] = {&spawned, &woken,   &foreign,         &pinned,
                                               &in_loop, &request, &request_in_loop, &timer};

static void hold(enum model_memory memory, int preemptions) {
  for (size_t i = 0; i < sizeof one_idle / sizeof one_idle[0]; i++)
    model_holds(one_idle[i], &(struct model_bounds){.memory = memory, .preemptions = preemptions});
}

static void no_work_is_overlooked_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC, 3);
}

static void no_work_is_overlooked_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO, 2);
}

static void no_work_is_overlooked_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK, 2);
}

/* A worker that is woken may have found work, and be looking for a place to sleep again, before its
 * waker has done its accounts. */
static void accounts_that_lag_lose_nothing(void **state) {
  (void)state;
  model_holds(&both, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 2});
  model_holds(&both, &(struct model_bounds){.memory = MODEL_TSO, .preemptions = 1});
  model_holds(&both, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 1});
}

static void a_burst_wakes_one_worker_after_the_other(void **state) {
  (void)state;
  model_holds(&chain, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 1});
  model_holds(&chain, &(struct model_bounds){.memory = MODEL_TSO, .preemptions = 1});
  model_holds(&chain, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 1});
}

/* --- planted bugs --- */

static void a_missing_fence_loses_a_wakeup(void **state) {
  (void)state;
  for (int memory = MODEL_TSO; memory <= MODEL_WEAK; memory++) {
    struct model_bounds b = {.memory = (enum model_memory)memory, .preemptions = 3};
    b.weaken = MODEL_NO_LIGHT;
    model_breaks(&spawned, &b, "deadlock: busy has ended, idle sleeps");
    b.weaken = MODEL_NO_HEAVY;
    model_breaks(&spawned, &b, "deadlock: busy has ended, idle sleeps");
    b.weaken = MODEL_NO_FULL;
    if (memory == MODEL_WEAK) model_breaks(&foreign, &b, "idle sleeps");
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_work_is_overlooked_sequentially_consistent),
    cmocka_unit_test(no_work_is_overlooked_with_store_buffers),
    cmocka_unit_test(no_work_is_overlooked_in_weak_memory),
    cmocka_unit_test(accounts_that_lag_lose_nothing),
    cmocka_unit_test(a_burst_wakes_one_worker_after_the_other),
    cmocka_unit_test(a_missing_fence_loses_a_wakeup),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
