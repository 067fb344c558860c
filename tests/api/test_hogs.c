/* Tasks that keep their worker for long do not stop the timers and wake-ups of the others. The
 * bounds are generous: they tell "served meanwhile" from "served when the hog is done". Hogs burn CPU
 * time, and what they hold up is counted in their slices, so that a busy machine changes nothing. */
#include <stdatomic.h>
#include <time.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

static weft_ns cpu_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return weft_sec(t.tv_sec) + t.tv_nsec;
}

static void burn(weft_ns duration) {
  weft_ns until = cpu_time() + duration;
  while (cpu_time() < until) {}
}

/* ---- one long slice ---- */

struct beside {
  atomic_bool stop;
  atomic_int ticks;
  atomic_int ticks_in_slice; /* written by each hog */
  struct latch ticking;
};

static int tick(void *arg) {
  struct beside *b = arg;
  int r = 0;
  while (!atomic_load(&b->stop) && (r = weft_sleep(weft_ms(1))) == 0) {
    atomic_fetch_add(&b->ticks, 1);
    latch_hit(&b->ticking);
  }
  return r;
}

static int hog_for_long(void *arg) {
  struct beside *b = arg;
  int before = atomic_load(&b->ticks);
  burn(weft_ms(300));
  atomic_store(&b->ticks_in_slice, atomic_load(&b->ticks) - before);
  atomic_store(&b->stop, true);
  return 0;
}

/* As many hogs as workers, all in one slice at the same time. */
static int tick_beside_long_hogs(void *arg) {
  struct beside *b = arg;
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, tick, b, NULL);
  CHECK_INT(latch_wait(&b->ticking, 3), 0);
  for (int i = 0; i < weft_worker_count(); i++) weft_group_spawn(&g, hog_for_long, b, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  weft_worker_stats s;
  uint64_t leases = 0;
  for (int i = 0; i < weft_worker_count(); i++) {
    CHECK_INT(weft_stats_worker((unsigned)i, &s), 0);
    leases += s.leases;
  }
  return leases > 0;
}

static void ticks_during_a_slice(weft_run_opts opts, int at_least, int at_most, int leased) {
  struct beside b = {0};
  CHECK_INT(weft_run(tick_beside_long_hogs, &b, &opts), leased);
  print_message("%d ticks in the slice\n", b.ticks_in_slice);
  CHECK(b.ticks_in_slice >= at_least);
  CHECK(b.ticks_in_slice <= at_most);
}

static void a_ticker_ticks_while_the_only_worker_is_hogged(void **state) {
  (void)state;
  ticks_during_a_slice((weft_run_opts){.workers = 1}, 10, 1000000, 1);
}

static void a_ticker_ticks_while_both_workers_are_hogged(void **state) {
  (void)state;
  ticks_during_a_slice((weft_run_opts){.workers = 2}, 10, 1000000, 1);
}

static void without_reserves_a_hog_stops_the_only_workers_timers(void **state) {
  (void)state;
  ticks_during_a_slice((weft_run_opts){.workers = 1, .no_reserve = true}, 0, 1, 0);
}

/* ---- a wake-up, not a timer ---- */

static int wake_others(void *arg) {
  struct latch *woken = arg;
  weft_task t[10];
  struct latch parked = {0};
  for (int i = 0; i < 10; i++) t[i] = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 10), 0);
  for (int i = 0; i < 10; i++) {
    CHECK_INT(weft_cancel(t[i]), 1);
    CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
    latch_hit(woken);
    CHECK_INT(weft_sleep(weft_us(500)), 0);
  }
  return 0;
}

static int hog_until_woken(void *arg) {
  struct latch *woken = arg;
  weft_ns until = weft_now() + weft_sec(20);
  while (latch_hits(woken) < 10 && weft_now() < until) {}
  return latch_hits(woken);
}

static int wake_ups_beside_a_hog(void *arg) {
  struct latch woken = {0};
  (void)arg;
  weft_task waker = weft_spawn(wake_others, &woken, NULL);
  CHECK_INT(latch_wait(&woken, 1), 0);
  weft_task hog = weft_spawn(hog_until_woken, &woken, NULL);
  CHECK_INT(weft_await(hog), 10); /* all were woken while it hogged */
  CHECK_INT(weft_await(waker), 0);
  return 0;
}

static void wake_ups_go_on_beside_a_hog(void **state) {
  (void)state;
  for (int workers = 1; workers <= 2; workers++)
    CHECK_INT(weft_run(wake_ups_beside_a_hog, NULL, &(weft_run_opts){.workers = workers}), 0);
}

/* ---- hogs that yield now and then ---- */

enum { SLICES = 24 };

struct progress {
  atomic_bool stop;
  atomic_int slices; /* of all hogs */
};

/* Ticks until the hogs have had SLICES slices; returns how often. */
static int tick_beside_slices(void *arg) {
  struct progress *p = arg;
  int until = atomic_load(&p->slices) + SLICES, ticks = 0, r = 0;
  for (; atomic_load(&p->slices) < until && r == 0; ticks++) r = weft_sleep(weft_ms(1));
  atomic_store(&p->stop, true);
  return r < 0 ? r : ticks;
}

static int hog_and_yield(void *arg) {
  struct progress *p = arg;
  int slices = 0, r = 0;
  for (; !atomic_load(&p->stop) && r == 0; slices++) {
    burn(weft_ms(10));
    atomic_fetch_add(&p->slices, 1);
    r = weft_yield();
  }
  return r < 0 ? r : slices;
}

static int ticker_beside_yielding_hogs(void *arg) {
  struct progress p = {0};
  weft_task hog[4];
  (void)arg;
  for (int i = 0; i < 4; i++) hog[i] = weft_spawn(hog_and_yield, &p, NULL);
  int ticks = weft_await(weft_spawn(tick_beside_slices, &p, NULL));
  for (int i = 0; i < 4; i++) CHECK(weft_await(hog[i]) > 0); /* and each of them made progress */
  return ticks;
}

static void a_ticker_beside_four_hogs_need_not_wait_for_their_slices(void **state) {
  (void)state;
  for (int workers = 1; workers <= 2; workers++) {
    int ticks = weft_run(ticker_beside_yielding_hogs, NULL, &(weft_run_opts){.workers = workers});
    print_message("%d workers: %d ticks in %d hog slices\n", workers, ticks, SLICES);
    /* In turn with the hogs it would tick once in four slices on one worker, once in one on two. */
    CHECK(ticks >= SLICES * 2);
  }
}

/* ---- what is said about a hog ---- */

static int be_a_hog(void *arg) {
  struct beside *b = arg;
  burn(weft_ms(200));
  atomic_store(&b->stop, true);
  return 0;
}

static int count_hogs(void *arg) {
  struct beside *b = arg;
  weft_worker_stats s;
  uint64_t hogged = 0;
  weft_task ticker = weft_spawn(tick, b, NULL);
  CHECK_INT(latch_wait(&b->ticking, 2), 0);
  weft_task hog = weft_spawn(be_a_hog, b, &(weft_spawn_opts){.name = "the hog"});
  CHECK_INT(weft_await(hog), 0);
  CHECK_INT(weft_await(ticker), 0);
  for (int i = 0; i < weft_worker_count(); i++) {
    CHECK_INT(weft_stats_worker((unsigned)i, &s), 0);
    hogged += s.hogged;
  }
  return hogged > 0;
}

static void stats_count_the_hogged_slices(void **state) {
  struct beside b = {0};
  (void)state;
  CHECK_INT(weft_run(count_hogs, &b, &(weft_run_opts){.workers = 1}), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_ticker_ticks_while_the_only_worker_is_hogged),
    cmocka_unit_test(a_ticker_ticks_while_both_workers_are_hogged),
    cmocka_unit_test(without_reserves_a_hog_stops_the_only_workers_timers),
    cmocka_unit_test(wake_ups_go_on_beside_a_hog),
    cmocka_unit_test(a_ticker_beside_four_hogs_need_not_wait_for_their_slices),
    cmocka_unit_test(stats_count_the_hogged_slices),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
