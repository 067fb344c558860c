/* A runtime at rest: every worker is asleep and counted as such, nobody counts as searching, and no
 * thread looks around any more. Method: a thread of the program works it, lets it come to rest, and
 * looks at its counts from outside. */
#include <pthread.h>
#include <sched.h>
#include <weft.h>

#include "base/clock.h"
#include "base/sys.h"
#include "core/worker.h"
#include "task_test.h"

enum { ROUNDS = 60, BURST = 5 };

struct outsider {
  struct weft__runtime *rt;
  weft_runtime name;
  weft_task main;
  struct latch ran;
};

/* Counts may lag behind for a moment; they are right in the end. */
static bool in_the_end(bool (*holds)(struct weft__runtime *rt), struct weft__runtime *rt) {
  uint64_t give_up = weft__now() + 20 * WEFT__NS_PER_SEC;
  while (!holds(rt)) {
    if (weft__now() > give_up) return false;
    sched_yield();
  }
  return true;
}

static bool asleep(struct weft__runtime *rt) {
  for (unsigned i = 0; i < rt->nworkers; i++) {
    uint32_t park = weft__load_acquire_u32(&rt->workers[i].park);
    if (park != WEFT__ON_FUTEX && park != WEFT__IN_LOOP) return false;
  }
  return weft__load_seq_u32(&rt->parked) == rt->nworkers;
}

static bool at_rest(struct weft__runtime *rt) {
  return asleep(rt) && weft__load_seq_u32(&rt->searching) == 0;
}

/* For a tenth of a second no thread of the runtime asked the kernel for anything. */
static bool silent(struct weft__runtime *rt) {
  (void)rt;
  uint64_t before = weft__sys_calls(WEFT__SYS_futex_wait);
  uint64_t until = weft__now() + 100 * WEFT__NS_PER_MS;
  while (weft__now() < until) sched_yield();
  return weft__sys_calls(WEFT__SYS_futex_wait) == before;
}

static void *work_and_let_rest(void *arg) {
  struct outsider *o = arg;
  for (int i = 0, n = 0; i < ROUNDS && !weft_test_failed(); i++) {
    for (int k = 0; k <= i % BURST; k++, n++)
      CHECK_INT(weft_submit(o->name, hit_and_return, &o->ran, NULL), 0);
    latch_wait_thread(&o->ran, n);
    CHECK(in_the_end(at_rest, o->rt));
  }
  weft__sys_count();
  CHECK(in_the_end(silent, o->rt));
  weft__sys_clear();
  CHECK_INT(weft_cancel(o->main), 1);
  return NULL;
}

static int rest_until_cancelled(void *arg) {
  struct outsider o = {.rt = weft__self()->rt, .name = weft_runtime_current(),
                       .main = weft_current()};
  pthread_t thread;
  (void)arg;
  if (!CHECK_INT(pthread_create(&thread, NULL, work_and_let_rest, &o), 0)) return 0;
  int r = weft_sleep(A_LONG_TIME);
  pthread_join(thread, NULL);
  return r;
}

static void comes_to_rest(weft_run_opts opts) {
  CHECK_INT(weft_run(rest_until_cancelled, NULL, &opts), WEFT_ECANCELED);
}

static void one_worker_comes_to_rest(void **state) {
  (void)state;
  comes_to_rest((weft_run_opts){.workers = 1});
}

static void an_exact_worker_comes_to_rest(void **state) {
  (void)state;
  comes_to_rest((weft_run_opts){.exact = true});
}

static void two_workers_that_search_come_to_rest(void **state) {
  (void)state;
  comes_to_rest((weft_run_opts){.workers = 2});
}

static void five_workers_come_to_rest(void **state) {
  (void)state;
  comes_to_rest((weft_run_opts){.workers = 5});
}

static void without_reserves_and_searching_it_is_the_same(void **state) {
  (void)state;
  comes_to_rest((weft_run_opts){.workers = 3, .no_reserve = true, .no_spin = true});
}

/* ---- woken from outside ---- */

static int wait_until_all_sleep(void *arg) {
  CHECK(in_the_end(asleep, arg));
  return 0;
}

static int use_threads(void *arg) {
  (void)arg;
  int worker = weft_worker_id();
  for (int i = 0; i < ROUNDS; i++) {
    CHECK_INT(weft_to_thread(wait_until_all_sleep, weft__self()->rt), 0);
    CHECK_INT(weft_worker_id(), worker);
  }
  return 0;
}

static int use_threads_pinned(void *arg) {
  return weft_await(weft_spawn(use_threads, arg, &(weft_spawn_opts){.pinned = true}));
}

/* Nobody else may run it. */
static void a_pinned_task_is_woken_where_it_sleeps(void **state) {
  (void)state;
  CHECK_INT(weft_run(use_threads_pinned, NULL, &(weft_run_opts){.workers = 3}), 0);
}

enum { BUSY = 2 };

struct busy {
  struct outsider outsider;
  struct latch begun, released;
};

static int keep_a_worker_busy(void *arg) {
  struct busy *b = arg;
  latch_hit(&b->begun);
  while (latch_hits(&b->released) == 0) weft__cpu_pause();
  return 0;
}

static void *submit_to_the_sleeper(void *arg) {
  struct busy *b = arg;
  latch_wait_thread(&b->begun, BUSY);
  while (weft__load_seq_u32(&b->outsider.rt->parked) != 1) sched_yield();
  CHECK_INT(weft_submit(b->outsider.name, hit_and_return, &b->outsider.ran, NULL), 0);
  latch_wait_thread(&b->outsider.ran, 1);
  latch_hit(&b->released);
  return NULL;
}

static int submit_while_others_are_busy(void *arg) {
  (void)arg;
  for (int i = 0; i < 20; i++) {
    struct busy b = {.outsider = {.rt = weft__self()->rt, .name = weft_runtime_current()}};
    weft_task t[BUSY];
    pthread_t thread;
    if (!CHECK_INT(pthread_create(&thread, NULL, submit_to_the_sleeper, &b), 0)) return 0;
    for (int k = 0; k < BUSY; k++) t[k] = weft_spawn(keep_a_worker_busy, &b, NULL);
    while (latch_hits(&b.released) == 0) CHECK_INT(weft_sleep(weft_ms(1)), 0);
    for (int k = 0; k < BUSY; k++) CHECK_INT(weft_await(t[k]), 0);
    pthread_join(thread, NULL);
  }
  return 0;
}

/* Whichever it is. Reserves would come to help. */
static void the_only_worker_that_sleeps_is_found(void **state) {
  (void)state;
  weft_run_opts opts = {.workers = BUSY + 1, .no_reserve = true};
  CHECK_INT(weft_run(submit_while_others_are_busy, NULL, &opts), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_worker_comes_to_rest),
    cmocka_unit_test(an_exact_worker_comes_to_rest),
    cmocka_unit_test(two_workers_that_search_come_to_rest),
    cmocka_unit_test(five_workers_come_to_rest),
    cmocka_unit_test(without_reserves_and_searching_it_is_the_same),
    cmocka_unit_test(a_pinned_task_is_woken_where_it_sleeps),
    cmocka_unit_test(the_only_worker_that_sleeps_is_found),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
