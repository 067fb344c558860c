/* How many threads the blocking pool has: when it grows, rests some and lets them end. */
#include <pthread.h>
#include <sched.h>

#include "base/sys.h"
#include "blocking_test.h"
#include "counts.h"

static void grows_while_jobs_block(void **state) {
  enum { N = 30 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  (void)state;
  pool_init(&p, 2, 512);
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &probes[i], blocking_body);
  }
  /* Twice as many with each tick: 5 ticks, where the kernel runs the threads at once. */
  int ticks = 0;
  for (; latch_hits(&begun) < N; ticks++) {
    unsigned before = stats_of(&p).threads;
    next_tick(&p);
    CHECK(stats_of(&p).threads <= 2 * before + 2);
  }
  CHECK(ticks <= 2000 * COUNTS_SLOWER);
  CHECK_UINT(stats_of(&p).threads, N);
  CHECK(!next_tick(&p)); /* nothing waits any more */
  open_gate(&gate);
  pool_close(&p);
}

/* The thread's CPU clock has to tell, where the kernel's word cannot be had. */
static void grows_without_proc_too(void **state) {
  enum { N = 6 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  (void)state;
  weft__sys_fail(WEFT__SYS_open, 1, WEFT_EMFILE, true);
  pool_init(&p, 1, 64);
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &probes[i], blocking_body);
  }
  int ticks = tick_until(&p, &begun, N);
  CHECK(ticks >= 20); /* one quiet look proves nothing */
  weft__sys_clear();
  open_gate(&gate);
  pool_close(&p);
}

/* Whether the pool took a thread that computes for one that blocks. */
static bool grew_for_jobs_that_compute_without_proc(void) {
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  struct probe probes[2];
  pool_init(&p, 1, 64);
  for (int i = 0; i < 2; i++) {
    probes[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &probes[i], spinning_body);
  }
  tick_until(&p, &begun, 1);
  for (int i = 0; i < 60; i++) next_tick(&p);
  bool grew = latch_hits(&begun) > 1;
  atomic_store(&gate, true);
  pool_close(&p);
  return grew;
}

/* A thread without CPU for twenty looks in a row looks blocked; sooner or later it gets some. */
static void does_not_grow_for_jobs_that_compute_without_proc_either(void **state) {
  bool grew = true;
  (void)state;
  weft__sys_fail(WEFT__SYS_open, 1, WEFT_EMFILE, true);
  for (int i = 0; i < 50 && grew; i++) grew = grew_for_jobs_that_compute_without_proc();
  weft__sys_clear();
  CHECK(!grew);
}

static void one_long_job_does_not_make_all_look_long(void **state) {
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  atomic_bool gate = false;
  struct probe probe = {.begun = &begun, .over = &over, .gate = &gate};
  (void)state;
  pool_init(&p, 1, 1);
  submit(&p, &probe, blocking_body);
  latch_wait_thread(&begun, 1);
  for (int i = 0; i < 10; i++) next_tick(&p);
  open_gate(&gate);
  latch_wait_thread(&over, 1);
  while (stats_of(&p).awake > 0) sched_yield();
  CHECK(p.each <= WEFT__BLOCKING_LONG_NS);
  pool_close(&p);
}

static void a_look_that_comes_too_soon_says_nothing(void **state) {
  enum { N = 4 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  (void)state;
  pool_init(&p, 1, N);
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &probes[i], blocking_body);
  }
  tick_until(&p, &begun, N);
  while (stats_of(&p).blocked < N) next_tick(&p);
  uint64_t now = weft__now();
  for (int i = 0; i < 40; i++) {
    weft__blocking_tick(&p, now);
    CHECK_UINT(stats_of(&p).blocked, N);
    CHECK_UINT(p.surplus, 0);
  }
  open_gate(&gate);
  pool_close(&p);
}

static void stops_growing_at_its_maximum(void **state) {
  enum { N = 12, MAX = 5 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  (void)state;
  pool_init(&p, 2, MAX);
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &probes[i], blocking_body);
  }
  tick_until(&p, &begun, MAX);
  for (int i = 0; i < 20; i++) CHECK(next_tick(&p)); /* more wait */
  CHECK_INT(latch_hits(&begun), MAX);
  CHECK_UINT(stats_of(&p).threads, MAX);
  CHECK_UINT(stats_of(&p).waiting, N - MAX);
  open_gate(&gate);
  pool_close(&p);
  CHECK_INT(latch_hits(&begun), N);
}

static void does_not_grow_for_jobs_that_compute(void **state) {
  enum { N = 8, HOT = 2 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  (void)state;
  pool_init(&p, HOT, 64);
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &probes[i], spinning_body);
  }
  tick_until(&p, &begun, HOT);
  for (int i = 0; i < 100; i++) next_tick(&p);
  CHECK_INT(latch_hits(&begun), HOT);
  CHECK_UINT(stats_of(&p).threads, HOT);
  atomic_store(&gate, true);
  pool_close(&p);
  CHECK_INT(latch_hits(&begun), N);
}

static atomic_int turn;
enum { TURN_LAST = 1 << 30 };

/* Computes until the next turn. */
static int turning_body(void *arg) {
  int mine = atomic_load(&turn), code = body(arg);
  while (mine != TURN_LAST && atomic_load(&turn) == mine) weft__cpu_relax();
  return code;
}

static void rests_the_threads_it_has_too_many_of_when_jobs_compute(void **state) {
  enum { BLOCKED = 6, HOT = 2, N = 2000 };
  static struct probe blocked[BLOCKED], computing[N];
  struct weft__blocking p;
  struct latch begun = {0}, computing_begun = {0};
  atomic_bool gate = false;
  (void)state;
  atomic_store(&turn, 0);
  pool_init(&p, HOT, 64);
  for (int i = 0; i < BLOCKED; i++) {
    blocked[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &blocked[i], blocking_body);
  }
  tick_until(&p, &begun, BLOCKED);
  for (int i = 0; i < N; i++) {
    computing[i] = (struct probe){.begun = &computing_begun};
    submit(&p, &computing[i], turning_body);
  }
  open_gate(&gate);
  tick_until(&p, &computing_begun, 1);
  unsigned threads = stats_of(&p).threads;
  CHECK(threads >= BLOCKED);
  for (int i = 0; stats_of(&p).awake > HOT; i++) {
    next_tick(&p);
    if (i % 4 == 3) atomic_fetch_add(&turn, 1);
  }
  CHECK(stats_of(&p).threads >= threads); /* idle, not gone */
  CHECK(stats_of(&p).waiting > 0);
  atomic_store(&turn, TURN_LAST);
  pool_close(&p);
  CHECK_INT(latch_hits(&computing_begun), N);
}

static void asks_for_ticks_again_after_they_ended(void **state) {
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  (void)state;
  pool_init(&p, 1, 1);
  for (int round = 1; round <= 3; round++) {
    atomic_bool gate = false;
    struct probe holder = {.begun = &begun, .over = &over, .gate = &gate};
    struct probe waiting = {.over = &over}, more = {.over = &over};
    submit(&p, &holder, blocking_body);
    latch_wait_thread(&begun, round);
    submit(&p, &waiting, body);
    submit(&p, &more, body);
    CHECK_INT(atomic_load(&ticks_wanted), round);
    CHECK(next_tick(&p));
    open_gate(&gate);
    latch_wait_thread(&over, 3 * round);
    while (next_tick(&p)) {}
  }
  pool_close(&p);
}

static void idle_threads_end_and_come_back(void **state) {
  enum { N = 6 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  (void)state;
  pool_init(&p, 2, 16);
  p.idle_ns = WEFT__NS_PER_MS;
  for (int round = 1; round <= 3; round++) {
    atomic_bool gate = false;
    for (int i = 0; i < N; i++) {
      probes[i] = (struct probe){.begun = &begun, .over = &over, .gate = &gate};
      submit(&p, &probes[i], blocking_body);
    }
    tick_until(&p, &begun, round * N);
    open_gate(&gate);
    latch_wait_thread(&over, round * N);
    while (stats_of(&p).threads > 0) sched_yield();
    CHECK_UINT(stats_of(&p).finished, round * N);
    CHECK_UINT(stats_of(&p).peak, N);
  }
  pool_close(&p);
}

static void close_grows_the_pool_for_jobs_that_block_each_other(void **state) {
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  struct probe waits = {.begun = &begun, .gate = &gate}, opens = {.code = 0};
  pthread_t closer;
  (void)state;
  pool_init(&p, 1, 2);
  submit(&p, &waits, blocking_body);
  latch_wait_thread(&begun, 1);
  opens.begun = &begun;
  submit(&p, &opens, body);
  CHECK_INT(pthread_create(&closer, NULL, close_for_ever, &p), 0);
  latch_wait_thread(&begun, 2); /* nobody ticks but close */
  open_gate(&gate);
  pthread_join(closer, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(grows_while_jobs_block),
    cmocka_unit_test(grows_without_proc_too),
    cmocka_unit_test(does_not_grow_for_jobs_that_compute_without_proc_either),
    cmocka_unit_test(one_long_job_does_not_make_all_look_long),
    cmocka_unit_test(a_look_that_comes_too_soon_says_nothing),
    cmocka_unit_test(stops_growing_at_its_maximum),
    cmocka_unit_test(does_not_grow_for_jobs_that_compute),
    cmocka_unit_test(rests_the_threads_it_has_too_many_of_when_jobs_compute),
    cmocka_unit_test(asks_for_ticks_again_after_they_ended),
    cmocka_unit_test(idle_threads_end_and_come_back),
    cmocka_unit_test(close_grows_the_pool_for_jobs_that_block_each_other),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
