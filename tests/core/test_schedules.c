/* Workloads of the scheduler under many schedules, each of which is a seed: whatever the order, every
 * task and job runs once, every wait ends for one reason, and nothing is late by more than a hog. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

enum { SEEDS = COUNTS_PICK(50, 20, 10) };

static void under_every_seed(weft_fn fn, weft_run_opts run) {
  weft_sim_report report = {0};
  int r = weft_simulate(fn, NULL, &(weft_sim_opts){.seeds = SEEDS, .run = &run}, &report);
  if (r < 0 || weft_test_failed())
    CHECK_FAIL("seed %llu with %u workers: %s", (unsigned long long)report.seed, report.workers,
               r < 0 ? weft_err_name(r) : "see above");
}

/* A check that ends the run, so that its seed is the one that is reported. */
#define HOLDS(condition)                                                                           \
  do {                                                                                             \
    if (!CHECK(condition)) return OWN_ERROR;                                                       \
  } while (0)

/* ---- the blocking pool ---- */

enum { CALLERS = 10, CALLS = 4 };

struct caller {
  int begun, ended; /* runs of its job */
  int good, cancelled;
};

static int pool_job(void *arg) {
  struct caller *c = arg;
  c->begun++;
  weft_sim_point();
  if (weft_sim_random(4) == 0) weft_sim_work(weft_us(300));
  c->ended++;
  return 3;
}

static int call_pool(void *arg) {
  struct caller *c = arg;
  for (int i = 0; i < CALLS; i++) {
    int ended = c->ended;
    int r = weft_to_thread(pool_job, c);
    HOLDS(r == 3 || r == WEFT_ECANCELED);
    HOLDS(c->begun == c->ended); /* nobody is in it any more */
    if (r == 3) {
      HOLDS(c->ended == ended + 1);
      c->good++;
    } else {
      HOLDS(c->ended <= ended + 1);
      c->cancelled++;
      weft_cancel_catch();
    }
  }
  return 0;
}

static int pool_main(void *arg) {
  struct caller c[CALLERS];
  weft_task t[CALLERS];
  int runs = 0;
  (void)arg;
  memset(c, 0, sizeof c);
  for (int i = 0; i < CALLERS; i++) t[i] = weft_spawn(call_pool, &c[i], NULL);
  for (int i = 0; i < 6; i++) {
    if (weft_sim_random(2)) weft_sleep(weft_us(weft_sim_random(500)));
    weft_cancel(t[weft_sim_random(CALLERS)]);
  }
  for (int i = 0; i < CALLERS; i++) {
    int r = weft_await(t[i]);
    HOLDS(r == 0 || r == WEFT_ECANCELED);
    if (r == 0) HOLDS(c[i].good + c[i].cancelled == CALLS);
    runs += c[i].ended;
  }
  weft_stats s;
  HOLDS(weft_stats_read(&s) == 0 && s.blocking_jobs == (uint64_t)runs);
  return 0;
}

static void a_job_of_the_pool_runs_once_or_was_withdrawn(void **state) {
  (void)state;
  under_every_seed(pool_main, (weft_run_opts){0});
}

static void a_pool_of_one_thread_serves_all(void **state) {
  (void)state;
  under_every_seed(pool_main, (weft_run_opts){.blocking_threads = 1});
}

/* ---- ends, and who waits for them ---- */

enum { WATCHERS = 6, WATCHED = 4 };

struct watched {
  weft_task task;
  int code; /* what it will return */
  int runs;
};

static int end_some_time(void *arg) {
  struct watched *w = arg;
  w->runs++;
  switch (weft_sim_random(4)) {
  case 0:
    break;
  case 1:
    HOLDS(weft_yield() == 0);
    break;
  case 2:
    HOLDS(weft_sleep(weft_us(weft_sim_random(100))) == 0);
    break;
  default:
    weft_sim_work(weft_us(50));
  }
  return w->code;
}

static int watch_all(void *arg) {
  struct watched *w = arg;
  for (int i = 0; i < WATCHED; i++) {
    int k = (int)((weft_sim_random(WATCHED) + (unsigned)i) % WATCHED), code = -77;
    weft_timeout scope;
    bool bounded = weft_sim_random(2);
    if (bounded) weft_timeout_begin(&scope, weft_us(weft_sim_random(80)));
    int r = weft_task_wait(w[k].task, &code);
    HOLDS(r == 0 ? code == w[k].code : code == -77);
    HOLDS(r == 0 || (bounded && r == WEFT_ECANCELED));
    if (bounded) {
      r = weft_timeout_end(&scope, r);
      HOLDS(r == 0 || r == WEFT_ETIMEDOUT);
    }
    HOLDS(weft_yield() == 0); /* nothing of the scope is left */
  }
  return 0;
}

static int watching_main(void *arg) {
  struct watched w[WATCHED];
  weft_task t[WATCHERS];
  (void)arg;
  for (int i = 0; i < WATCHED; i++) {
    w[i] = (struct watched){.code = 10 + i};
    w[i].task = weft_spawn(end_some_time, &w[i], NULL);
  }
  for (int i = 0; i < WATCHERS; i++) t[i] = weft_spawn(watch_all, w, NULL);
  for (int i = 0; i < WATCHERS; i++) HOLDS(weft_await(t[i]) == 0);
  for (int i = 0; i < WATCHED; i++) {
    HOLDS(weft_await(w[i].task) == 10 + i);
    HOLDS(w[i].runs == 1);
  }
  return 0;
}

static void every_end_is_told_to_all_that_still_wait(void **state) {
  (void)state;
  under_every_seed(watching_main, (weft_run_opts){0});
}

/* ---- cancels on their way ---- */

struct link_of_chain {
  struct link_of_chain *next;
  bool refuses;
  int code;
};

static int await_next(void *arg) {
  struct link_of_chain *l = arg;
  int r;
  if (l->next)
    r = weft_await(weft_spawn(await_next, l->next, NULL));
  else
    r = weft_sleep(A_LONG_TIME);
  if (l->refuses && r == WEFT_ECANCELED) {
    weft_cancel_catch();
    r = weft_yield() == 0 ? 5 : OWN_ERROR;
  }
  return l->code = r;
}

static int chain_main(void *arg) {
  struct link_of_chain l[5];
  (void)arg;
  int refuser = (int)weft_sim_random(6); /* 5: nobody */
  for (int i = 0; i < 5; i++)
    l[i] = (struct link_of_chain){.next = i < 4 ? &l[i + 1] : NULL, .refuses = i == refuser};
  weft_task t = weft_spawn(await_next, &l[0], NULL);
  for (uint32_t n = weft_sim_random(8); n > 0; n--) HOLDS(weft_yield() == 0);
  if (weft_sim_random(2)) HOLDS(weft_sleep(weft_us(weft_sim_random(50))) == 0);
  HOLDS(weft_cancel(t) == 1);
  int r = weft_await(t);
  HOLDS(r == WEFT_ECANCELED || (refuser < 5 && r == 5));
  return weft_yield(); /* the cancel was the chain's, not mine */
}

static void a_cancel_goes_down_the_awaits_and_stops_where_it_is_caught(void **state) {
  (void)state;
  under_every_seed(chain_main, (weft_run_opts){0});
}

/* ---- many at once ---- */

struct burst {
  atomic_int ran;
  int depth;
};

static int spread(void *arg) {
  struct burst *b = arg;
  int r = 0;
  atomic_fetch_add(&b->ran, 1);
  if (weft_sim_random(3) == 0) r = weft_yield();
  weft_sim_work(weft_us(weft_sim_random(3)));
  return r;
}

static int burst_main(void *arg) {
  enum { N = 600 }; /* more than a deque or a ring holds */
  struct burst b = {0};
  (void)arg;
  for (int i = 0; i < N; i++) {
    weft_spawn_opts o = {.pinned = i % 17 == 0};
    weft_task t = weft_spawn(spread, &b, &o);
    HOLDS(weft_task_error(t) == 0 && weft_detach(t) == 0);
    if (i % 50 == 0) HOLDS(weft_submit(weft_runtime_current(), spread, &b, NULL) == 0);
  }
  HOLDS(wait_until_live(1) == 0);
  HOLDS(atomic_load(&b.ran) == N + N / 50);
  return 0;
}

static void every_task_of_a_burst_runs_once(void **state) {
  (void)state;
  under_every_seed(burst_main, (weft_run_opts){0});
}

/* ---- deadlines ---- */

static int compute(void *arg) {
  (void)arg;
  for (int i = 0; i < 3; i++) {
    weft_sim_work(weft_ms(40));
    int r = weft_yield();
    if (r < 0) return r;
  }
  return 0;
}

static int sleep_in_steps(void *arg) {
  weft_ns *worst = arg;
  for (int i = 0; i < 10; i++) {
    weft_ns due = weft_now() + weft_ms(3);
    HOLDS(weft_sleep(weft_ms(3)) == 0);
    weft_ns late = weft_now() - due;
    HOLDS(late >= 0);
    if (late > *worst) *worst = late;
  }
  return 0;
}

static int hogs_main(void *arg) {
  weft_task hogs[6], sleeper;
  weft_ns worst = 0;
  (void)arg;
  sleeper = weft_spawn(sleep_in_steps, &worst, NULL);
  HOLDS(weft_yield() == 0);
  for (int i = 0; i < 6; i++) hogs[i] = weft_spawn(compute, NULL, NULL);
  HOLDS(weft_await(sleeper) == 0);
  for (int i = 0; i < 6; i++) HOLDS(weft_await(hogs[i]) == 0);
  return 0;
}

static void hogs_delay_timers_and_lose_none(void **state) {
  (void)state;
  under_every_seed(hogs_main, (weft_run_opts){0});
  under_every_seed(hogs_main, (weft_run_opts){.no_reserve = true});
}

static int work_for(void *arg) {
  for (int i = 0; i < 100; i++) weft_sim_work(*(const weft_ns *)arg);
  return 0;
}

/* No time, no decision, no other thread. */
static void no_work_is_nothing(void **state) {
  weft_ns none = 0, less = -5, some = 1;
  weft_sim_report a, b, c;
  weft_sim_opts opts = {.seeds = 1};
  (void)state;
  CHECK_INT(weft_simulate(return_zero, NULL, &opts, &a), 0);
  CHECK_INT(weft_simulate(work_for, &none, &opts, &b), 0);
  CHECK_INT(weft_simulate(work_for, &less, &opts, &c), 0);
  CHECK_UINT(b.decisions, a.decisions);
  CHECK_UINT(c.decisions, a.decisions);
  CHECK_INT(b.time, a.time);
  CHECK_INT(weft_simulate(work_for, &some, &opts, &c), 0);
  CHECK(c.decisions > a.decisions);
}

/* ---- the end ---- */

static int linger(void *arg) {
  atomic_int *ended = arg;
  int r = weft_sleep(A_LONG_TIME);
  HOLDS(r == WEFT_ECANCELED);
  weft_cancel_catch();
  r = weft_sim_random(2) ? weft_sleep(weft_us(20)) : weft_to_thread(return_zero, NULL);
  HOLDS(r == 0);
  atomic_fetch_add(ended, 1);
  return 0;
}

static atomic_int lingered;

static int leave_main(void *arg) {
  (void)arg;
  for (int i = 0; i < 8; i++) weft_detach(weft_spawn(linger, &lingered, NULL));
  for (uint32_t n = weft_sim_random(12); n > 0; n--) HOLDS(weft_yield() == 0);
  if (weft_sim_random(2)) HOLDS(weft_sleep(weft_us(1)) == 0);
  return 0;
}

/* Those that had begun: a task that is cancelled before does not run. */
static void what_is_left_at_the_end_is_cancelled_and_waited_for(void **state) {
  (void)state;
  atomic_store(&lingered, 0);
  under_every_seed(leave_main, (weft_run_opts){0});
  CHECK(atomic_load(&lingered) > SEEDS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_job_of_the_pool_runs_once_or_was_withdrawn),
    cmocka_unit_test(a_pool_of_one_thread_serves_all),
    cmocka_unit_test(every_end_is_told_to_all_that_still_wait),
    cmocka_unit_test(a_cancel_goes_down_the_awaits_and_stops_where_it_is_caught),
    cmocka_unit_test(every_task_of_a_burst_runs_once),
    cmocka_unit_test(hogs_delay_timers_and_lose_none),
    cmocka_unit_test(no_work_is_nothing),
    cmocka_unit_test(what_is_left_at_the_end_is_cancelled_and_waited_for),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
