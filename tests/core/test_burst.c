/* Bursts: when what a look made ready is worth a helper. Method: a worker that is none, whose looks are told
 * with times of the test's own, beside one that seems to sleep and would be woken. And where what begins to
 * wait is put. */
#include "core/burst.h"

#include <string.h>
#include <weft.h>

#include "base/clock.h"
#include "core/descriptor.h"
#include "core/ready.h"
#include "core/worker.h"
#include "counts.h"
#include "task_test.h"

enum { US = 1000, MS = 1000 * US };

static struct {
  struct weft__runtime rt;
  struct weft__worker w[2];
  struct weft__task task[256];
  uint64_t now;
} S;

static void begin(void) {
  memset(&S, 0, sizeof S);
  S.rt.workers = S.w;
  S.rt.nworkers = 2;
  S.w[0].rt = S.w[1].rt = &S.rt;
  weft__burst_init(&S.w[0].burst);
  S.now = 1;
}

static bool woken(void) {
  return weft__load_relaxed_u32(&S.w[1].park) == WEFT__NOTIFIED;
}

static void sleeps(void) {
  weft__store_relaxed_u32(&S.rt.parked, 1);
  weft__store_relaxed_u32(&S.rt.searching, 0);
  weft__store_relaxed_u32(&S.w[1].park, WEFT__ON_FUTEX);
}

/* Slices have been run since the last look, in so much time; this one makes so many tasks ready. Whether the
 * other worker was woken for them. */
static bool look(unsigned slices, uint64_t took, unsigned makes) {
  struct weft__worker *w = &S.w[0];
  S.now += took;
  weft__counter_add(&w->counters.tasks_run, slices);
  sleeps();
  weft__burst_begin(w, S.now);
  for (unsigned i = 0; i < makes; i++) {
    weft__ready_local(w, &S.task[i]);
    weft__notify_if_surplus(w);
  }
  bool early = woken();
  weft__burst_end(w);
  while (weft__ring_pop(&w->ring)) {}
  CHECK(!early);
  return woken();
}

/* Until that is what slices take here. */
static void learn(uint64_t slice) {
  begin();
  S.w[0].plain = true;
  for (int i = 0; i < 100; i++) look(10, 10 * slice, 0);
}

static void before_anything_is_known_two_tasks_are_worth_a_helper(void **state) {
  (void)state;
  begin();
  S.w[0].plain = true;
  CHECK(!look(0, 0, 1));
  CHECK(look(0, 0, 2));
}

static void short_slices_stay_where_they_are(void **state) {
  (void)state;
  learn(5 * US);
  CHECK(!look(10, 50 * US, 2));
  CHECK(!look(10, 50 * US, 16));
  CHECK(look(10, 50 * US, 64)); /* together they are long */
}

static void long_slices_get_a_helper(void **state) {
  (void)state;
  learn(60 * US);
  CHECK(look(10, 600 * US, 3));
  learn(1 * MS);
  CHECK(look(10, 10 * MS, 2));
}

static void a_task_alone_is_run_by_who_found_it(void **state) {
  (void)state;
  learn(10 * MS);
  CHECK(!look(1, 10 * MS, 1));
}

static void a_look_without_a_cpu_proves_little(void **state) {
  (void)state;
  learn(5 * US);
  CHECK(!look(10, 50 * MS, 4));
  CHECK(!look(10, 50 * US, 4));
}

static void a_sleep_is_no_slice(void **state) {
  (void)state;
  learn(5 * US);
  for (int i = 0; i < 100; i++) {
    weft__burst_rested(&S.w[0]);
    CHECK(!look(1, 100 * MS, 4));
  }
}

static void what_is_pushed_outside_of_a_look_wakes_at_once(void **state) {
  (void)state;
  learn(1 * US);
  sleeps();
  for (int i = 0; i < 2; i++) {
    weft__ready_local(&S.w[0], &S.task[i]);
    weft__notify_if_surplus(&S.w[0]);
  }
  CHECK(woken());
  while (weft__ring_pop(&S.w[0].ring)) {}
}

/* ---- the home of what begins to wait ---- */

static int is_at_home_here(void *arg) {
  (void)arg;
  return weft__descriptor_home() == weft__self()->loop;
}

static void set_full(struct weft__runtime *rt, unsigned worker, bool full) {
  struct weft__pollset_load *l = &rt->workers[worker].own_loop.set.load;
  weft__store_relaxed_u64(&l->since, weft__now_fast());
  weft__store_relaxed_u32(&l->full, full);
}

TASK_TEST(sets_are_filled_one_after_the_other) {
  struct weft__runtime *rt = weft__current_task()->rt;
  if (rt->sim) weft_test_skip("a simulated descriptor is at home where it is waited for");
  CHECK_PTR(weft__descriptor_home(), &rt->workers[0].own_loop);
  set_full(rt, 0, true);
  CHECK_PTR(weft__descriptor_home(), &rt->workers[rt->nworkers > 1].own_loop);
  for (unsigned i = 0; i < rt->nworkers; i++) set_full(rt, i, true);
  CHECK(weft__descriptor_home() != NULL);
  for (unsigned i = 0; i < rt->nworkers; i++) set_full(rt, i, false);
}

TASK_TEST(a_pinned_task_is_at_home_where_it_runs) {
  weft_task t = weft_spawn(is_at_home_here, NULL, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_await(t), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(before_anything_is_known_two_tasks_are_worth_a_helper),
    cmocka_unit_test(short_slices_stay_where_they_are),
    cmocka_unit_test(long_slices_get_a_helper),
    cmocka_unit_test(a_task_alone_is_run_by_who_found_it),
    cmocka_unit_test(a_look_without_a_cpu_proves_little),
    cmocka_unit_test(a_sleep_is_no_slice),
    cmocka_unit_test(what_is_pushed_outside_of_a_look_wakes_at_once),
    cmocka_unit_test(sets_are_filled_one_after_the_other),
    cmocka_unit_test(a_pinned_task_is_at_home_where_it_runs),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
