/* The clock on the machine's real counter. What it does when the counter misbehaves is shown with
 * a counter made for the purpose in test_clock_line.c. */
#include "weft_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft/time.h>

#include "base/clock.h"

static uint64_t kernel_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * WEFT__NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Reads the clock between two readings of the kernel's: what lies between them is no error. */
static uint64_t error_now(uint64_t (*read)(void)) {
  uint64_t before = kernel_now();
  uint64_t ns = read();
  uint64_t after = kernel_now();
  return ns < before ? before - ns : weft__elapsed(after, ns);
}

static void stays_near_the_kernel(uint64_t (*read)(void), uint64_t duration) {
  uint64_t end = kernel_now() + duration;
  uint64_t worst = 0;
  while (kernel_now() < end) {
    uint64_t error = error_now(read);
    if (error > worst) worst = error;
  }
  CHECK(worst < WEFT__NS_PER_MS);
}

static void before_init_it_is_the_kernels_clock(void **state) {
  (void)state;
  CHECK_STR(weft__clock_source(), "clock_gettime");
  stays_near_the_kernel(weft__now, 2 * WEFT__NS_PER_MS);
}

/* From the first reading on, over the first lines, which are short, to the long ones. */
static void it_is_within_a_millisecond_of_the_kernel(void **state) {
  (void)state;
  weft__clock_init();
  stays_near_the_kernel(weft__now, 700 * WEFT__NS_PER_MS);
}

static void the_fast_reading_is_the_same_clock(void **state) {
  (void)state;
  weft__clock_init();
  stays_near_the_kernel(weft__now_fast, 300 * WEFT__NS_PER_MS);
}

static void it_reads_the_counter_exactly_where_the_kernel_does(void **state) {
  (void)state;
  char kernel[16] = "";
  FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
  if (f) {
    if (!fgets(kernel, sizeof kernel, f)) kernel[0] = '\0';
    fclose(f);
  }
  weft__clock_init();
  if (strcmp(kernel, "tsc\n") != 0) CHECK_STR(weft__clock_source(), "clock_gettime");
#if defined(__x86_64__)
  f = fopen("/proc/cpuinfo", "r");
  char line[4096];
  bool invariant = false;
  while (f && fgets(line, sizeof line, f)) invariant |= strstr(line, "nonstop_tsc") != NULL;
  if (f) fclose(f);
  if (strcmp(kernel, "tsc\n") == 0 && invariant) CHECK_STR(weft__clock_source(), "tsc");
#endif
}

static void never_backwards(uint64_t (*read)(void), uint64_t duration) {
  uint64_t last = read();
  uint64_t end = last + duration;
  while (last < end) {
    uint64_t ns = read();
    if (!CHECK(ns >= last)) return;
    last = ns;
  }
}

static void a_thread_never_sees_it_go_backwards(void **state) {
  (void)state;
  never_backwards(weft__now, 5 * WEFT__NS_PER_MS);
  weft__clock_init();
  never_backwards(weft__now, 300 * WEFT__NS_PER_MS);
  never_backwards(weft__now_fast, 100 * WEFT__NS_PER_MS);
  weft__clock_set_system();
  CHECK_STR(weft__clock_source(), "clock_gettime");
  never_backwards(weft__now, 20 * WEFT__NS_PER_MS);
}

/* A time that somebody has read; what is read after seeing it must not be smaller. There is no
 * read-modify-write between the two readings: it would order them by itself. */
static _Atomic(uint64_t) seen_by_somebody __attribute__((aligned(64)));
static _Atomic(unsigned) waiting;
static _Atomic(uint64_t) backwards;

static void *compares_with_the_others(void *arg) {
  uint64_t end = kernel_now() + *(uint64_t *)arg;
  atomic_fetch_sub(&waiting, 1);
  while (atomic_load(&waiting) > 0) continue;
  for (unsigned i = 0;; i++) {
    uint64_t seen = atomic_load_explicit(&seen_by_somebody, memory_order_acquire);
    uint64_t ns = weft__now();
    if (ns < seen) atomic_store(&backwards, seen - ns);
    if (i % 4 == 0) atomic_store_explicit(&seen_by_somebody, ns, memory_order_release);
    if (ns >= end) return NULL;
  }
}

static void later_on_another_thread_is_never_earlier(void **state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  uint64_t duration = 400 * WEFT__NS_PER_MS;
  weft__clock_init();
  atomic_store(&waiting, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, compares_with_the_others, &duration), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK_UINT(atomic_load(&backwards), 0);
}

static void virtual_time_moves_only_when_told(void **state) {
  (void)state;
  weft__clock_init();
  weft__clock_set_virtual(5000);
  CHECK_STR(weft__clock_source(), "virtual");
  for (int i = 0; i < 1000; i++) CHECK_UINT(weft__now(), 5000);
  weft__clock_advance(3600 * WEFT__NS_PER_SEC);
  CHECK_UINT(weft__now(), 5000 + 3600 * WEFT__NS_PER_SEC);
  CHECK_UINT(weft__now_fast(), 5000 + 3600 * WEFT__NS_PER_SEC);
  CHECK_INT(weft_now(), 5000 + weft_sec(3600));
  weft__clock_set_real();
  CHECK(error_now(weft__now) < WEFT__NS_PER_MS);
  stays_near_the_kernel(weft__now, 20 * WEFT__NS_PER_MS);
}

static void a_child_made_by_fork_has_the_same_clock(void **state) {
  (void)state;
  weft__clock_init();
  never_backwards(weft__now, 10 * WEFT__NS_PER_MS);
  uint64_t before = weft__now();
  pid_t child = fork();
  if (child == 0) {
    uint64_t ns = weft__now();
    bool good = ns >= before && error_now(weft__now) < WEFT__NS_PER_MS;
    for (uint64_t end = ns + 5 * WEFT__NS_PER_MS; good && ns < end;) {
      uint64_t next = weft__now();
      good = next >= ns;
      ns = next;
    }
    _exit(good ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
}

static void elapsed_time_is_never_negative(void **state) {
  (void)state;
  CHECK_UINT(weft__elapsed(10, 25), 15);
  CHECK_UINT(weft__elapsed(25, 10), 0);
  CHECK_UINT(weft__elapsed(10, 10), 0);
}

static void units_scale_and_saturate(void **state) {
  (void)state;
  CHECK_INT(weft_us(3), 3000);
  CHECK_INT(weft_ms(20), 20000000);
  CHECK_INT(weft_sec(-2), -2000000000);
  CHECK_INT(weft_sec(INT64_MAX / 1000000000), INT64_MAX / 1000000000 * 1000000000);
  CHECK_INT(weft_sec(INT64_MAX / 1000000000 + 1), WEFT_FOREVER);
  CHECK_INT(weft_ms(INT64_MAX), WEFT_FOREVER);
  CHECK_INT(weft_us(WEFT_FOREVER), WEFT_FOREVER);
  CHECK_INT(weft_sec(INT64_MIN), INT64_MIN);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(before_init_it_is_the_kernels_clock),
    cmocka_unit_test(it_is_within_a_millisecond_of_the_kernel),
    cmocka_unit_test(the_fast_reading_is_the_same_clock),
    cmocka_unit_test(it_reads_the_counter_exactly_where_the_kernel_does),
    cmocka_unit_test(a_thread_never_sees_it_go_backwards),
    cmocka_unit_test(later_on_another_thread_is_never_earlier),
    cmocka_unit_test(virtual_time_moves_only_when_told),
    cmocka_unit_test(a_child_made_by_fork_has_the_same_clock),
    cmocka_unit_test(elapsed_time_is_never_negative),
    cmocka_unit_test(units_scale_and_saturate),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
