/* Idle workers, for which idle.c, ready.c, next.c, loop.c and timers.c are compiled as they are:
 * work that comes while a worker goes to sleep is never left lying.
 *
 * One model thread is the worker that goes idle (or two are), the others bring work and are then
 * busy for ever: they have ended. So a sleeper that should have been woken is a deadlock. What
 * is behind these files is replaced here: libuv, the clock, the monitor, the reserves. */
#include "core/reserve.h"
#include "workers.h"

void weft__monitor_wake(struct weft__runtime *rt) {
  (void)rt;
}
void weft__reserve_recall(struct weft__worker *w) {
  (void)w;
}

/* Worker 0 is running the task that brings work. */
static void setup_busy(unsigned workers) {
  setup(workers, 0);
  weft__store_relaxed_u32(&S.w[0].slice, 1);
}
static void two_workers(void) {
  setup_busy(2);
}
static void three_workers(void) {
  setup_busy(3);
}
static void two_workers_in_loops(void) {
  setup_busy(2);
  S.loop_alive = true;
}

/* Worker 0 has a descriptor, and nobody has looked at it for long. */
static void descriptor_of_0(void) {
  weft__store_relaxed_u32(&S.w[0].own_loop.set.watched, 1);
  weft__store_relaxed_u64(&S.w[0].own_loop.set.looked_at, (uint64_t)-WEFT__NS_PER_SEC);
}
static void two_workers_and_a_descriptor(void) {
  setup_busy(2);
  descriptor_of_0();
}
static void two_idle_workers_and_a_descriptor(void) {
  setup(2, 0);
  descriptor_of_0();
}

/* --- who brings work --- */

static void spawn(unsigned i) {
  model_write(&S.payload[i], i + 1);
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
  S.task[0].odd = WEFT__PINNED;
  S.task[0].home = &S.w[1];
  weft__make_ready(&S.task[0]);
}
static void wakes_a_pinned_one_of_each(void) {
  for (unsigned i = 0; i < 2; i++) {
    begun(i);
    S.task[i].odd = WEFT__PINNED;
    S.task[i].home = &S.w[i];
    weft__make_ready(&S.task[i]);
  }
}
static void nothing(void) {}

/* Something for the other worker's loop, which may be asleep or about to be. */
static void posts(void) {
  post(1);
}

/* The other worker's loop gets its first descriptor, then that gets an event. */
static void watches(void) {
  struct weft__loop *l = &S.w[1].own_loop;
  weft__add_u32(&l->set.watched, 1);
  weft__loop_watches(l);
  weft__fence_full(); /* what comes to a descriptor comes by a system call that takes locks */
  weft__xchg_u32(&S.event, 1);
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
  setup_busy(2);
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
    runs(t);
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

/* Asleep in the set of the busy one; and two in one set, of whom the bell may wake the wrong one. */
static const struct model watched =
    MODEL("idle: a first descriptor", two_workers, {"busy", watches}, {"idle", works_once});
static const struct model watched_guest =
    MODEL("idle: a first descriptor, asleep as a guest", two_workers_and_a_descriptor,
          {"busy", watches}, {"guest", works_once});
static const struct model guest = MODEL("idle: asleep as a guest", two_workers_and_a_descriptor,
                                        {"busy", spawns_two}, {"guest", works_once});
static const struct model guest_request =
    MODEL("idle: a request, asleep as a guest", two_workers_and_a_descriptor, {"busy", posts},
          {"guest", works_for_its_loop});
static const struct model owner_and_guest =
    MODEL("idle: owner and guest", two_idle_workers_and_a_descriptor, {"owner", works_once},
          {"guest", works_once}, {"foreign", wakes_a_pinned_one_of_each});

/* --- tests --- */

static const struct model *const one_idle[] = {
    &spawned,         &woken, &foreign, &pinned,        &in_loop, &request,
    &request_in_loop, &timer, &guest,   &guest_request, &watched, &watched_guest};

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

static void a_bell_for_two_is_heard_by_the_one_it_is_for(void **state) {
  (void)state;
  model_holds(&owner_and_guest, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 1});
  model_holds(&owner_and_guest, &(struct model_bounds){.memory = MODEL_TSO, .preemptions = 1});
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
    cmocka_unit_test(a_bell_for_two_is_heard_by_the_one_it_is_for),
    cmocka_unit_test(a_burst_wakes_one_worker_after_the_other),
    cmocka_unit_test(a_missing_fence_loses_a_wakeup),
};

static const struct model_suite suites[] = {
    {one_idle, sizeof one_idle / sizeof one_idle[0], {.memory = MODEL_WEAK, .preemptions = 1}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, sizeof tests / sizeof tests[0], suites,
                    sizeof suites / sizeof suites[0]);
}
