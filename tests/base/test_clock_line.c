/* The clock against a counter and a kernel that do what a test wants: adjusted, suspended, replaced,
 * interrupted. The clock is compiled into this file with a counter of the test's own. */
#include "weft_test.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t world_count(void);
#define WEFT__CLOCK_COUNT world_count
#include "base/clock.c" // NOLINT(bugprone-suspicious-include)

#include "base/choice.h"

/* The machine: true time goes on a little with every reading. */
static struct {
  double now;     /* true time in ns */
  double kernel;  /* CLOCK_MONOTONIC in ns */
  double count;   /* the counter */
  double ghz;     /* counts per true ns */
  double ppm;     /* how much faster than true time the kernel's clock runs */
  double reading; /* how long one reading takes */
} world;

static void pass(double ns) {
  world.now += ns;
  world.kernel += ns * (1 + world.ppm / 1e6);
  world.count += ns * world.ghz;
}

static uint64_t world_count(void) {
  pass(world.reading);
  return (uint64_t)world.count;
}

static int world_clock_gettime(clockid_t clock, struct timespec *ret) {
  (void)clock;
  pass(world.reading);
  ret->tv_sec = (time_t)(world.kernel / 1e9);
  ret->tv_nsec = (long)(world.kernel - (double)ret->tv_sec * 1e9);
  return 0;
}

static uint64_t last;

static int begin(void **state) {
  static struct weft__sys_table table;
  (void)state;
  table = weft__sys_real;
  table.clock_gettime = world_clock_gettime;
  weft__sys_install(&table);
  memset(&world, 0, sizeof world);
  world.kernel = 5e9;
  world.count = 1e12;
  world.ghz = 2.9;
  world.reading = 10;
  last = 0;
  weft__clock_init();
  weft__clock_set_real();
  return 0;
}

/* Reads the clock, which must not have gone back; returns how far it is off, in ns. */
static double off(void) {
  uint64_t ns = weft__now();
  if (ns < last) CHECK_FAIL("from %ju back to %ju", (uintmax_t)last, (uintmax_t)ns);
  last = ns;
  double error = (double)ns - world.kernel;
  return error < 0 ? -error : error;
}

/* Reads at irregular times for a while; returns the largest error. */
static double run(double seconds, double longest_step) {
  struct weft__rng rng;
  double end = world.now + seconds * 1e9;
  double worst = 0;
  weft__rng_init(&rng, 1, 1);
  while (world.now < end && !weft_test_failed()) {
    double error = off();
    if (error > worst) worst = error;
    pass(1 + (double)weft__choose(&rng, (uint32_t)longest_step));
  }
  return worst;
}

static bool reads_the_counter(void) {
  return atomic_load(&line.length) != 0;
}

static void after_a_millisecond_it_reads_the_counter(void **state) {
  (void)state;
  CHECK(off() < 100);
  CHECK(!reads_the_counter());
  CHECK(run(0.005, 1000) < 200);
  CHECK(reads_the_counter());
}

static void it_is_exact_on_a_steady_machine(void **state) {
  (void)state;
  CHECK(run(5, 1e5) < 500);
}

static void it_follows_a_kernel_that_adjusts_its_clock(void **state) {
  (void)state;
  /* 500 ppm is the most that the kernel's own adjustment does. */
  CHECK(run(2, 1e5) < 1e6);
  world.ppm = 500;
  CHECK(run(3, 1e5) < 1e6);
  world.ppm = -500;
  CHECK(run(3, 1e5) < 1e6);
  world.ppm = 0;
  CHECK(run(3, 1e5) < 1e6);
  CHECK(reads_the_counter());
}

static void it_is_right_at_once_after_hours_without_a_reading(void **state) {
  (void)state;
  run(1, 1e5);
  world.ppm = 20;
  for (int i = 0; i < 5; i++) {
    pass(7200e9);
    CHECK(off() < 1e6);
    CHECK(run(1, 1e6) < 1e6);
    CHECK(reads_the_counter());
  }
}

static void it_survives_a_suspend_in_which_only_the_counter_went_on(void **state) {
  (void)state;
  run(1, 1e5);
  world.count += 3600e9 * world.ghz;
  /* What is left of the line counts as given out: the clock waits for the kernel's. */
  CHECK(off() < 21e6);
  CHECK(!reads_the_counter());
  run(0.03, 1e5);
  CHECK(run(2, 1e5) < 1e6);
  CHECK(reads_the_counter());
}

static void it_survives_a_counter_that_began_anew(void **state) {
  (void)state;
  run(1, 1e5);
  world.count = 1000;
  CHECK(off() < 21e6);
  run(0.03, 1e5);
  CHECK(run(2, 1e5) < 1e6);
  CHECK(reads_the_counter());
}

static void it_recovers_from_a_counter_that_changed_its_rate(void **state) {
  (void)state;
  const double factors[] = {1.5, 0.5, 1.01, 0.99};
  for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
    pass(7200e9); /* a baseline of hours would hide the change */
    run(1, 1e5);
    world.ghz *= factors[i];
    CHECK(run(0.1, 1e5) < 21e6);
    CHECK(run(1, 1e5) < 1e6);
    CHECK(reads_the_counter());
  }
}

static void it_takes_no_rate_from_interrupted_readings(void **state) {
  (void)state;
  /* Readings that take 30 us cannot give a rate over a millisecond, but over half a second. */
  world.reading = 30e3;
  for (double end = world.now + 5e6; world.now < end;) CHECK(off() < 1e6);
  CHECK(!reads_the_counter());
  for (double end = world.now + 1e9; world.now < end;) CHECK(off() < 1e6);
  CHECK(reads_the_counter());
  world.reading = 10;
  CHECK(run(3, 1e5) < 1e6);
}

static void it_does_not_believe_an_absurd_rate(void **state) {
  (void)state;
  world.ghz = 0.0005;
  CHECK(run(1, 1e5) < 1e6);
  CHECK(!reads_the_counter());
}

/* What a child inherits when another thread was just writing a line. */
static void a_child_does_not_wait_for_a_thread_it_does_not_have(void **state) {
  (void)state;
  run(1, 1e5);
  weft__spin_lock(&lock);
  atomic_fetch_add(&line.version, 1);
  pid_t child = fork();
  if (child == 0) {
    alarm(10);
    bool good = run(0.1, 1e5) < 1e6 && reads_the_counter();
    _exit(good && !weft_test_failed() ? 0 : 1);
  }
  atomic_fetch_sub(&line.version, 1);
  weft__spin_unlock(&lock);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(after_a_millisecond_it_reads_the_counter, begin),
    cmocka_unit_test_setup(it_is_exact_on_a_steady_machine, begin),
    cmocka_unit_test_setup(it_follows_a_kernel_that_adjusts_its_clock, begin),
    cmocka_unit_test_setup(it_is_right_at_once_after_hours_without_a_reading, begin),
    cmocka_unit_test_setup(it_survives_a_suspend_in_which_only_the_counter_went_on, begin),
    cmocka_unit_test_setup(it_survives_a_counter_that_began_anew, begin),
    cmocka_unit_test_setup(it_recovers_from_a_counter_that_changed_its_rate, begin),
    cmocka_unit_test_setup(it_takes_no_rate_from_interrupted_readings, begin),
    cmocka_unit_test_setup(it_does_not_believe_an_absurd_rate, begin),
    cmocka_unit_test_setup(a_child_does_not_wait_for_a_thread_it_does_not_have, begin),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
