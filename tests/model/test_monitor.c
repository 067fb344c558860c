/* The monitor, for which monitor.c is compiled as it is: it sleeps when every worker does, and
 * wakes with the first of them, or for the blocking pool; it tells the reserve of a hog.
 *
 * One model thread is the monitor. A worker that wakes up, a wish for ticks or a hog that it
 * overlooks in its sleep is a deadlock. */
#include "core/debug.h"
#include "core/monitor.h"

#include <string.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/ready.h"
#include "core/reserve.h"
#include "core/signals.h"
#include "core/thread.h"
#include "core/worker.h"
#include "model.h"

#define PERIODS 24

static struct {
  struct weft__runtime rt;
  struct weft__worker w[2]; /* one, and its reserve */
  _Alignas(64) char monitor[128];
  uint64_t seen[8]; /* what the monitor keeps of each */
  uint32_t looks;   /* at the CPU time of a worker, which computes all the time */
  struct model_plain job; /* of who wants ticks */
  bool ticked, wanted;
  unsigned periods;
} S;

static struct {
  void *(*run)(void *);
  void *arg;
} thread; /* the monitor's: the same in every run */

/* --- what the code under test stands on --- */

__thread struct weft__worker *weft__tls_worker;

int weft__thread_start(pthread_t *ret, void *(*run)(void *), void *arg, const char *name) {
  (void)ret;
  (void)name;
  thread.run = run;
  thread.arg = arg;
  return 0;
}
void weft__thread_short_slice(void) {}
void *weft__zalloc(size_t size) {
  MODEL_CHECK(size <= sizeof S.monitor);
  return S.monitor;
}
void *weft__calloc(size_t n, size_t size) {
  MODEL_CHECK(n * size <= sizeof S.seen);
  return S.seen;
}
void weft__free(void *p) {
  (void)p;
}
uint64_t weft__now(void) {
  return 1;
}
/* A period passes at once, and after some more than the monitor needs to fall asleep not without
 * news; of a longer sleep every end is tried. */
int weft__futex_wait(weft__atomic_u32 *word, uint32_t expected, uint64_t deadline) {
  bool period = expected == 0;
  if (period && ++S.periods > PERIODS) {
    S.periods = PERIODS;
    weft__cpu_relax();
  }
  if (period || (deadline != WEFT__FUTEX_FOREVER && model_choose(2))) return WEFT_ETIMEDOUT;
  return model_futex_wait(word, expected) ? 0 : WEFT_EAGAIN;
}
int weft__futex_wake(weft__atomic_u32 *word, unsigned n) {
  return (int)model_futex_wake(word, n);
}
size_t weft__stack_pool_trim(struct weft__stack_pool *p) {
  (void)p;
  return 0;
}
static int thread_join(pthread_t joined) {
  (void)joined;
  return 0;
}
static int clock_gettime_computing(clockid_t clock, struct timespec *ret) {
  (void)clock;
  *ret = (struct timespec){.tv_nsec = 1000000 * (long)++S.looks};
  return 0;
}
static const struct weft__sys_table table = {.thread_join = thread_join,
                                             .clock_gettime = clock_gettime_computing};
_Atomic(const struct weft__sys_table *) weft__sys_current = &table;
bool weft__loop_has_event(const struct weft__loop *l) {
  (void)l;
  return false;
}
void weft__debug_tick(struct weft__runtime *rt, uint64_t now) {
  (void)rt, (void)now;
}
void weft__debug_idle(struct weft__runtime *rt) {
  (void)rt;
}
void weft__notify_hard(struct weft__runtime *rt) {
  (void)rt;
}
void weft__reserve_want(struct weft__worker *w, uint64_t until) {
  (void)w;
  (void)until;
  S.wanted = true;
}
void weft__signals_pass(struct weft__runtime *rt) {
  (void)rt;
}
void weft__interrupts_pass(struct weft__runtime *rt) {
  (void)rt;
}
bool weft__blocking_tick(struct weft__blocking *p, uint64_t now) {
  (void)p;
  (void)now;
  MODEL_CHECK(model_read(&S.job) == 7);
  S.ticked = true;
  return false;
}

/* --- the threads --- */

/* What only counts would make a round look different each time. */
static void enter(unsigned t) {
  (void)t;
  S.looks = 0;
  memset(&S.w[0].hog_count, 0, sizeof S.w[0].hog_count);
}

static void setup(void) {
  S.rt.workers = S.w;
  S.rt.nworkers = 1;
  S.rt.nreserves = 1;
  weft__store_relaxed_u64(&S.w[0].own_timers.next, WEFT__NEVER);
  weft__monitor_start(&S.rt);
  model_name(&S.rt.parked, "parked");
  model_name(&S.w[0].slice, "slice");
  model_name(&S.w[0].hogged, "hogged");
  model_name(&S.w[0].poll_due, "poll_due");
  model_name(&S.w[0].park, "park");
}
static void all_asleep(void) {
  setup();
  weft__store_relaxed_u32(&S.rt.parked, 1);
  weft__store_relaxed_u32(&S.w[0].park, WEFT__ON_FUTEX);
}
/* In a long slice, with a ready task behind it. */
static void hogged(void) {
  setup();
  weft__store_relaxed_u32(&S.w[0].slice, 1);
  weft__ring_push(&S.w[0].ring, &S.w[0]);
}

static void monitor(void) {
  thread.run(thread.arg);
}
static bool looked_at(void) {
  return weft__load_relaxed_u32(&S.w[0].poll_due) != 0;
}
static bool ticked(void) {
  return S.ticked;
}
static bool wanted(void) {
  return S.wanted;
}
/* As park_end and weft__worker_idle. */
static void wakes_up(void) {
  uint32_t how = WEFT__ON_FUTEX;
  weft__cas_seq_u32(&S.w[0].park, &how, WEFT__AWAKE);
  weft__sub_u32(&S.rt.parked, 1);
  weft__monitor_wake(&S.rt);
  model_wait_until(looked_at);
  weft__monitor_stop(&S.rt);
}
static void wants_ticks(void) {
  model_write(&S.job, 7);
  weft__monitor_want_ticks(&S.rt);
  model_wait_until(ticked);
  weft__monitor_stop(&S.rt);
}
static void hogs(void) {
  model_wait_until(wanted);
  weft__monitor_stop(&S.rt);
}
static void stops(void) {
  weft__monitor_stop(&S.rt);
}

#define MODEL(name_, setup_, ...)                                                                  \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup_, .enter = enter, .threads = {                   \
      {"monitor", monitor},                                                                        \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

static const struct model wake =
    MODEL("monitor: a worker wakes up", all_asleep, {"worker", wakes_up});
static const struct model ticks =
    MODEL("monitor: the pool wants ticks", all_asleep, {"pool", wants_ticks});
static const struct model hog = MODEL("monitor: a hog", hogged, {"worker", hogs});
static const struct model stop = MODEL("monitor: the end", all_asleep, {"main", stops});

static const struct model *const all[] = {&wake, &ticks, &hog, &stop};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void hold(enum model_memory memory) {
  for (size_t i = 0; i < COUNT(all); i++)
    model_holds(all[i], &(struct model_bounds){.memory = memory, .preemptions = MODEL_ALL});
}

static void nothing_is_overlooked_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC);
}
static void nothing_is_overlooked_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO);
}
static void nothing_is_overlooked_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK);
}

/* --- planted bugs --- */

static void a_missing_fence_loses_a_worker(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_WEAK, .preemptions = 3, .weaken = MODEL_NO_FULL};
  model_breaks(&wake, &b, "deadlock: monitor sleeps, worker waits");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_overlooked_sequentially_consistent),
    cmocka_unit_test(nothing_is_overlooked_with_store_buffers),
    cmocka_unit_test(nothing_is_overlooked_in_weak_memory),
    cmocka_unit_test(a_missing_fence_loses_a_worker),
};

static const struct model_suite suites[] = {
    {all, COUNT(all), {.memory = MODEL_WEAK, .preemptions = 2}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, COUNT(tests), suites, COUNT(suites));
}
