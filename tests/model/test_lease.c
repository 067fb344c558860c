/* The lease of a loop, for which reserve.c is compiled as it is with what it stands on: while a
 * worker is stuck in a long task its reserve drives the worker's loop and timers and runs what
 * is ready behind it; when the worker is about to sleep it asks for them back.
 *
 * One model thread is the worker, one its reserve; others play the monitor and the rest of the
 * world. What is due is seen to by one of the two, or the run ends in a deadlock; two at once
 * inside libuv, or one that does not see what the other left there, fail in uv_run. */
#include "core/reserve.h"
#include "core/rest.h"

#include "core/thread.h"
#include "workers.h"

#define OWNER S.w[0]
#define RESERVE S.w[S.rt.nworkers]

static struct {
  void *(*run)(void *);
  void *arg;
} thread; /* the reserve's: the same in every run */

int weft__thread_start(pthread_t *ret, void *(*run)(void *), void *arg, const char *name) {
  (void)ret;
  (void)name;
  thread.run = run;
  thread.arg = arg;
  return 0;
}
void weft__thread_short_slice(void) {}
void weft__worker_thread_begin(struct weft__worker *w) {
  (void)w;
}
void weft__worker_thread_end(struct weft__worker *w) {
  (void)w;
}
bool weft__work_begin(struct weft__runtime *rt) {
  (void)rt; /* nobody rests here */
  return true;
}
void weft__work_end(struct weft__runtime *rt) {
  (void)rt;
}
void weft__monitor_wake(struct weft__runtime *rt) {
  (void)rt;
}
void weft__run_task(struct weft__worker *w, struct weft__task *t) {
  weft__stop_searching(w);
  runs(t);
}

/* --- the state at the start --- */

static void waits_with_deadline(unsigned i) {
  struct weft__worker *guardian;
  weft__ticket ticket;
  begun(i);
  weft__claim_arm(&S.task[i].word, false, &ticket);
  weft__claim_commit(&S.task[i].word);
  weft__timers_add(&OWNER.own_timers, &S.task[i], ticket, EARLY, &guardian);
  if (guardian) weft__unpark(guardian);
}

/* The owner is in a long slice; its reserve has a thread, and nobody has asked for it yet. */
static void stuck_among(unsigned workers) {
  setup(workers, 1);
  OWNER.own_timers.entries = S.entries; /* no memory from elsewhere */
  OWNER.own_timers.capacity = TASKS;
  weft__store_relaxed_u32(&OWNER.slice, 1);
  weft__reserve_want(&OWNER, 0);
  weft__store_relaxed_u32(&RESERVE.lease, WEFT__LEASE_NONE);
  model_name(&RESERVE.lease, "lease");
  model_name(&RESERVE.lease_until, "lease_until");
  model_name(&OWNER.own_loop.driver, "driver");
  model_name(&OWNER.own_loop.posted, "posted");
  model_name(&OWNER.own_loop.lock.locked, "requests.lock");
  model_name(&OWNER.own_timers.lock.locked, "timers.lock");
  model_name(&OWNER.own_timers.next, "timers.next");
  model_name(&OWNER.ring.head, "w0.head");
  model_name(&OWNER.ring.tail, "w0.tail");
  model_name(&S.bell[0], "bell");
}
static void stuck(void) {
  stuck_among(1);
}
static void stuck_loop_alive(void) {
  stuck();
  S.loop_alive = true;
}
/* The monitor has found it so. */
static void leased(void) {
  stuck();
  weft__reserve_want(&OWNER, WEFT__NEVER);
}
static void leased_loop_alive(void) {
  leased();
  S.loop_alive = true;
}
/* The lease ends by itself. */
static void leased_for_a_while(void) {
  stuck();
  weft__reserve_want(&OWNER, EARLY);
}
/* The lease is over before the reserve has run what was made ready here; there is another
 * worker, which does not search (exact). */
static void over_beside_a_worker(void) {
  stuck_among(2);
  S.rt.exact = true;
  begun(0);
  weft__ring_push(&RESERVE.ring, &S.task[0]);
  weft__reserve_want(&OWNER, 0);
}

/* --- who takes part --- */

static void reserve(void) {
  thread.run(thread.arg);
}

static void monitor(void) {
  weft__reserve_want(&OWNER, WEFT__NEVER);
}
/* In time: the first look at a slice that is too long. An earlier want would be repeated. */
static bool hogged(void) {
  return S.hogged;
}
static void monitor_finds_a_hog(void) {
  model_wait_until(hogged);
  weft__reserve_want(&OWNER, WEFT__NEVER);
}

/* As weft__reserves_stop, at the end of each run. */
static void end_runtime(void) {
  weft__store_release_u32(&S.rt.life, WEFT__ENDED);
  weft__unpark(&RESERVE);
}

static bool ran_0(void) {
  return S.ran[0];
}
static bool ran_request(void) {
  return S.ran_request;
}
static bool anything(void) {
  return S.ran[0] || S.ran_request;
}
static bool ran_both(void) {
  return S.ran[0] && S.ran[1];
}

/* The owner stays in its slice until somebody else has done it. */
static void hogs_until(bool (*happened)(void)) {
  S.hogged = true;
  model_wait_until(happened);
  end_runtime();
}
static void hogs_with_a_ready_task(void) {
  begun(0);
  weft__make_ready(&S.task[0]);
  hogs_until(ran_0);
}
static void hogs_with_a_timer(void) {
  waits_with_deadline(0);
  S.now = EARLY;
  hogs_until(ran_0);
}
static void hogs_with_a_request(void) {
  hogs_until(ran_request);
}

/* The owner's long slice is over: it looks for work and sleeps until it has happened. */
static void idles_until(bool (*happened)(void)) {
  unsigned fruitless = 0;
  weft__store_relaxed_u32(&OWNER.slice, 2);
  while (!happened()) {
    struct weft__task *t = weft__next_task(&OWNER);
    if (!t) t = weft__worker_idle(&OWNER);
    if (t)
      weft__run_task(&OWNER, t);
    /* Two turns without news and without work of its own making are alike: the first may have
     * used up a notice, the next waits for news. */
    else if (!happened() && ++fruitless % 2 == 0 && weft__ring_len(&OWNER.ring) == 0)
      weft__cpu_relax();
  }
  weft__stop_searching(&OWNER);
  MODEL_CHECK(weft__load_relaxed_u32(&S.rt.parked) == 0);
  end_runtime();
}
static void idles(void) {
  idles_until(anything);
}
/* Another worker, whose slice is over. */
static void helps(void) {
  struct weft__worker *w = &S.w[1];
  while (!ran_0()) {
    struct weft__task *t = weft__next_task(w);
    if (!t) t = weft__worker_idle(w);
    if (t) weft__run_task(w, t);
  }
  weft__stop_searching(w);
  end_runtime();
}
static void hogs_for_ever(void) {
}
static void idles_with_two_timers(void) {
  waits_with_deadline(0);
  waits_with_deadline(1);
  S.now = EARLY;
  idles_until(ran_both);
}
static void ends_at_once(void) {
  end_runtime();
}

/* What happened while the owner slept is told it by nothing else in these models. */
static void tell_owner(void) {
  model_wait_until(anything);
  weft__unpark(&OWNER);
}
static void tell_of_both(void) {
  model_wait_until(ran_both);
  weft__unpark(&OWNER);
}
static void posts(void) {
  post(0);
}
static void posts_and_tells(void) {
  post(0);
  tell_owner();
}
static void wakes(void) {
  begun(0);
  weft__make_ready(&S.task[0]);
  tell_owner();
}
static void adds_timer(void) {
  waits_with_deadline(0);
  tell_owner();
}

/* --- models --- */

/* Nothing is left with anybody, and nobody inside. */
static void all_done(void) {
  MODEL_CHECK(weft__load_relaxed_ptr(&OWNER.own_loop.driver) == NULL);
  MODEL_CHECK(weft__ring_len(&RESERVE.ring) == 0);
  MODEL_CHECK(weft__tasklist_count(&RESERVE.inbox) == 0);
}

#define MODEL(name_, setup_, ...)                                                                  \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup_, .enter = enter, .check = all_done,             \
    .threads = {                                                                                   \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

/* The owner never comes back: only the reserve can. */
static const struct model hog_task =
    MODEL("lease: a ready task behind a hog", stuck, {"owner", hogs_with_a_ready_task},
          {"reserve", reserve}, {"monitor", monitor_finds_a_hog});
static const struct model hog_timer =
    MODEL("lease: a timer behind a hog", stuck, {"owner", hogs_with_a_timer}, {"reserve", reserve},
          {"monitor", monitor_finds_a_hog});
static const struct model hog_request =
    MODEL("lease: a request behind a hog", leased, {"owner", hogs_with_a_request},
          {"reserve", reserve}, {"other", posts});
static const struct model hog_request_in_loop =
    MODEL("lease: a request behind a hog, asleep in the loop", leased_loop_alive,
          {"owner", hogs_with_a_request}, {"reserve", reserve}, {"other", posts});

/* The owner comes back and recalls the lease. */
static const struct model request =
    MODEL("lease: recall, a request", leased, {"owner", idles}, {"reserve", reserve},
          {"other", posts_and_tells});
static const struct model request_in_loop =
    MODEL("lease: recall, a request, asleep in the loop", leased_loop_alive, {"owner", idles},
          {"reserve", reserve}, {"other", posts_and_tells});
static const struct model wake = MODEL("lease: recall, a foreign thread's wake-up", leased,
                                       {"owner", idles}, {"reserve", reserve}, {"other", wakes});
static const struct model timer = MODEL("lease: recall, a deadline", leased, {"owner", idles},
                                        {"reserve", reserve}, {"other", adds_timer});
static const struct model hand_over =
    MODEL("lease: recall, two timers", leased, {"owner", idles_with_two_timers},
          {"reserve", reserve}, {"other", tell_of_both});
static const struct model late_want =
    MODEL("lease: wanted when the owner is idle", stuck_loop_alive, {"owner", idles},
          {"reserve", reserve}, {"other", posts_and_tells}, {"monitor", monitor});

/* It runs out, or the runtime ends. */
static const struct model expiry =
    MODEL("lease: it runs out, a request", leased_for_a_while, {"owner", idles},
          {"reserve", reserve}, {"other", posts_and_tells});
static const struct model ended =
    MODEL("lease: the runtime ends", stuck_loop_alive, {"owner", ends_at_once},
          {"reserve", reserve}, {"monitor", monitor});

/* What the reserve leaves is found by a worker that is about to sleep. */
static const struct model left_over =
    MODEL("lease: it ends with a task left over", over_beside_a_worker, {"owner", hogs_for_ever},
          {"helper", helps}, {"reserve", reserve});

/* What a task on a reserve spawns begins elsewhere. */
static void beside_a_worker(void) {
  stuck_among(2);
}
static void spawns(void) {
  model_write(&S.payload[0], 1);
  weft__push_unstarted(&RESERVE, &S.task[0]);
}
static void takes_unstarted(void) {
  struct weft__worker *w = &S.w[1];
  while (!ran_0()) {
    struct weft__task *t = weft__tasklist_pop(&S.rt.unstarted);
    if (!t) t = weft__worker_idle(w);
    if (t) weft__run_task(w, t);
  }
  weft__stop_searching(w);
}
static const struct model spawned =
    MODEL("lease: a task spawned on the reserve", beside_a_worker, {"owner", hogs_for_ever},
          {"helper", takes_unstarted}, {"reserve", spawns});

static const struct model *const hogs[] = {&hog_task, &hog_timer, &hog_request,
                                           &hog_request_in_loop, &ended,
                                           &left_over, &spawned};
static const struct model *const recalls[] = {&request, &request_in_loop, &wake,     &timer,
                                              &hand_over, &expiry,        &late_want};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void hold(const struct model *const *models, size_t n, enum model_memory memory,
                 int preemptions) {
  for (size_t i = 0; i < n; i++)
    model_holds(models[i], &(struct model_bounds){.memory = memory, .preemptions = preemptions});
}

static void a_reserve_sees_to_what_is_due_behind_a_hog(void **state) {
  (void)state;
  hold(hogs, COUNT(hogs), MODEL_SC, 3);
  hold(hogs, COUNT(hogs), MODEL_TSO, 2);
  hold(hogs, COUNT(hogs), MODEL_WEAK, 2);
}
static void nothing_is_missed_when_the_owner_comes_back_sequentially_consistent(void **state) {
  (void)state;
  hold(recalls, COUNT(recalls), MODEL_SC, 1);
  model_holds(&hand_over, &(struct model_bounds){.memory = MODEL_SC, .preemptions = 2});
}
static void nothing_is_missed_when_the_owner_comes_back_with_store_buffers(void **state) {
  (void)state;
  hold(recalls, COUNT(recalls), MODEL_TSO, 1);
}
static void nothing_is_missed_when_the_owner_comes_back_in_weak_memory(void **state) {
  (void)state;
  hold(recalls, COUNT(recalls), MODEL_WEAK, 0);
  model_holds(&request, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 1});
  model_holds(&hand_over, &(struct model_bounds){.memory = MODEL_WEAK, .preemptions = 1});
}

/* --- planted bugs --- */

/* Who leaves a request against who is about to sleep in the loop. */
static void a_missing_fence_loses_a_request(void **state) {
  (void)state;
  for (int memory = MODEL_TSO; memory <= MODEL_WEAK; memory++) {
    struct model_bounds b = {.memory = (enum model_memory)memory, .preemptions = 2};
    b.weaken = MODEL_NO_LIGHT;
    model_breaks(&hog_request_in_loop, &b, "deadlock");
    b.weaken = MODEL_NO_HEAVY;
    model_breaks(&hog_request_in_loop, &b, "deadlock");
  }
}

/* The next driver has to see what the last one left in the loop. */
static void a_driver_word_that_orders_nothing_is_found(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_WEAK, .preemptions = 1};
  b.weaken = MODEL_RELEASE_RELAXED;
  model_breaks(&request, &b, "");
  b.weaken = MODEL_ACQUIRE_RELAXED;
  model_breaks(&request, &b, "");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_reserve_sees_to_what_is_due_behind_a_hog),
    cmocka_unit_test(nothing_is_missed_when_the_owner_comes_back_sequentially_consistent),
    cmocka_unit_test(nothing_is_missed_when_the_owner_comes_back_with_store_buffers),
    cmocka_unit_test(nothing_is_missed_when_the_owner_comes_back_in_weak_memory),
    cmocka_unit_test(a_missing_fence_loses_a_request),
    cmocka_unit_test(a_driver_word_that_orders_nothing_is_found),
};

static const struct model_suite suites[] = {
    {hogs, COUNT(hogs), {.memory = MODEL_WEAK, .preemptions = 1}},
    {recalls, COUNT(recalls) - 1, {.memory = MODEL_WEAK, .preemptions = 0}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, COUNT(tests), suites, COUNT(suites));
}
