/* The options of a run and the environment: defaults, ranges, wrong values. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "base/cpus.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

static int count_workers(void *arg) {
  (void)arg;
  return weft_worker_count();
}

static void clean_environment(void) {
  unsetenv("WEFT_WORKERS");
  unsetenv("WEFT_SEED");
  unsetenv("WEFT_MIGRATE");
  unsetenv("WEFT_DEBUG");
}

/* The run must be refused and its function not called. */
static void refused(const weft_run_opts *opts, int error) {
  struct latch runs = {0};
  CHECK_INT(weft_run(hit_and_return, &runs, opts), error);
  CHECK_INT(latch_hits(&runs), 0);
}

static void without_options_there_is_a_worker_per_usable_cpu(void **state) {
  (void)state;
  clean_environment();
  CHECK_INT(weft_run(count_workers, NULL, NULL), weft__cpus_usable());
  CHECK_INT(weft_run(count_workers, NULL, &(weft_run_opts){0}), weft__cpus_usable());
}

static void the_affinity_of_the_process_counts(void **state) {
  cpu_set_t one;
  (void)state;
  clean_environment();
  CPU_ZERO(&one);
  CPU_SET((size_t)sched_getcpu(), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) weft_test_skip("the affinity cannot be set");
  CHECK_INT(weft_run(count_workers, NULL, NULL), 1);
}

static void workers_may_be_any_number_up_to_the_maximum(void **state) {
  static const int counts[] = {1, 2, 3, 7, 32, COUNTS_TSAN ? 40 : WEFT_WORKERS_MAX};
  (void)state;
  clean_environment();
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    CHECK_INT(weft_run(count_workers, NULL, &(weft_run_opts){.workers = counts[i]}), counts[i]);
}

static void a_worker_count_out_of_range_is_einval(void **state) {
  static const int counts[] = {-1, -1000000, WEFT_WORKERS_MAX + 1, 1000000};
  (void)state;
  clean_environment();
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    refused(&(weft_run_opts){.workers = counts[i]}, WEFT_EINVAL);
}

static void the_environment_gives_the_worker_count(void **state) {
  (void)state;
  clean_environment();
  setenv("WEFT_WORKERS", "3", 1);
  CHECK_INT(weft_run(count_workers, NULL, NULL), 3);
  setenv("WEFT_WORKERS", "1", 1);
  CHECK_INT(weft_run(count_workers, NULL, NULL), 1);
}

static char logged[256];

static void keep_line(const char *line, void *arg) {
  (void)arg;
  snprintf(logged, sizeof logged, "%s", line);
}

static void a_bad_worker_count_of_the_environment_is_named(void **state) {
  (void)state;
  clean_environment();
  setenv("WEFT_WORKERS", "banana", 1);
  logged[0] = '\0';
  refused(&(weft_run_opts){.log = keep_line}, WEFT_EINVAL);
  CHECK(strstr(logged, "WEFT_WORKERS") != NULL);
  CHECK(strstr(logged, "banana") != NULL);
}

static void a_bad_seed_of_the_environment_is_named(void **state) {
  (void)state;
  clean_environment();
  setenv("WEFT_SEED", "12 monkeys", 1);
  logged[0] = '\0';
  refused(&(weft_run_opts){.log = keep_line}, WEFT_EINVAL);
  CHECK(strstr(logged, "WEFT_SEED") != NULL);
  CHECK(strstr(logged, "12 monkeys") != NULL);
  unsetenv("WEFT_SEED");
}

static void an_option_goes_before_the_environment(void **state) {
  (void)state;
  clean_environment();
  setenv("WEFT_WORKERS", "3", 1);
  CHECK_INT(weft_run(count_workers, NULL, &(weft_run_opts){.workers = 2}), 2);
}

static void a_wrong_WEFT_WORKERS_is_einval(void **state) {
  static const char *const wrong[] = {
      "0", "-1", "two", "2x", " ", "0x2", "257", "1000000", "99999999999999999999", "2.5"};
  (void)state;
  clean_environment();
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    setenv("WEFT_WORKERS", wrong[i], 1);
    struct latch runs = {0};
    int r = weft_run(hit_and_return, &runs, NULL);
    if (r != WEFT_EINVAL) CHECK_FAIL("WEFT_WORKERS='%s' gives %d", wrong[i], r);
    CHECK_INT(latch_hits(&runs), 0);
  }
}

static void a_wrong_WEFT_SEED_is_einval(void **state) {
  (void)state;
  clean_environment();
  setenv("WEFT_SEED", "not a number", 1);
  refused(NULL, WEFT_EINVAL);
  setenv("WEFT_SEED", "12345", 1);
  CHECK_INT(weft_run(return_seven, NULL, NULL), 7);
  setenv("WEFT_SEED", "0x1f", 1);
  CHECK_INT(weft_run(return_seven, NULL, NULL), 7);
}

static void exact_mode_takes_one_worker_only(void **state) {
  (void)state;
  clean_environment();
  refused(&(weft_run_opts){.exact = true, .workers = 2}, WEFT_EINVAL);
  CHECK_INT(weft_run(count_workers, NULL, &(weft_run_opts){.exact = true}), 1);
  CHECK_INT(weft_run(count_workers, NULL, &(weft_run_opts){.exact = true, .workers = 1}), 1);
}

static void a_stack_below_the_minimum_is_einval(void **state) {
  (void)state;
  clean_environment();
  refused(&(weft_run_opts){.stack_size = 1}, WEFT_EINVAL);
  refused(&(weft_run_opts){.stack_size = WEFT_STACK_MIN - 1}, WEFT_EINVAL);
  refused(&(weft_run_opts){.stack_size = SIZE_MAX}, WEFT_EINVAL);
}

static int spawn_some(void *arg) {
  (void)arg;
  for (int i = 0; i < 100; i++)
    CHECK_INT(weft_await(weft_spawn(return_seven, NULL, &(weft_spawn_opts){.name = "x"})), 7);
  return weft_sleep(weft_us(100));
}

static void a_run_works_with_small_and_large_stacks(void **state) {
  static const size_t sizes[] = {WEFT_STACK_MIN, 20000, 64 * 1024, 100000, 1024 * 1024};
  (void)state;
  clean_environment();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    CHECK_INT(weft_run(spawn_some, NULL, &(weft_run_opts){.stack_size = sizes[i]}), 0);
}

__attribute__((noinline)) static int use_stack(size_t bytes) {
  volatile char frame[1024];
  frame[0] = 1;
  frame[sizeof frame - 1] = 1;
  if (bytes > sizeof frame + 64) return use_stack(bytes - sizeof frame - 64) + frame[0];
  return frame[sizeof frame - 1];
}

static int use_half_a_megabyte(void *arg) {
  (void)arg;
  return use_stack(512 * 1024) > 0 ? weft_yield() : OWN_ERROR;
}

static void the_stack_size_of_the_run_is_every_tasks(void **state) {
  (void)state;
  clean_environment();
  CHECK_INT(weft_run(use_half_a_megabyte, NULL, &(weft_run_opts){.stack_size = 1024 * 1024}), 0);
}

static void a_null_main_function_is_einval(void **state) {
  (void)state;
  clean_environment();
  CHECK_INT(weft_run(NULL, NULL, NULL), WEFT_EINVAL);
}

static void a_negative_shutdown_timeout_is_einval(void **state) {
  (void)state;
  clean_environment();
  refused(&(weft_run_opts){.shutdown_timeout = -1}, WEFT_EINVAL);
}

static int sleep_a_little(void *arg) {
  (void)arg;
  for (int i = 0; i < 20; i++) CHECK_INT(weft_sleep(weft_us(100)), 0);
  return weft_worker_count();
}

static void no_spin_and_no_reserve_work(void **state) {
  (void)state;
  clean_environment();
  for (int workers = 1; workers <= 3; workers++) {
    CHECK_INT(weft_run(sleep_a_little, NULL, &(weft_run_opts){.workers = workers, .no_spin = true}),
              workers);
    CHECK_INT(
        weft_run(sleep_a_little, NULL, &(weft_run_opts){.workers = workers, .no_reserve = true}),
        workers);
  }
}

static void every_wrong_option_leaves_the_next_run_unharmed(void **state) {
  (void)state;
  clean_environment();
  for (int i = 0; i < 5; i++) {
    refused(&(weft_run_opts){.workers = -i - 1}, WEFT_EINVAL);
    CHECK_INT(weft_run(return_seven, NULL, &(weft_run_opts){.workers = 2}), 7);
  }
}

static int fail_detached(void *arg) {
  (void)arg;
  weft_detach(weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "the failing one"}));
  return wait_until_live(1);
}

static void the_log_hook_receives_lines_without_a_newline(void **state) {
  static struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  clean_environment();
  CHECK_INT(
      weft_run(fail_detached, NULL, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}), 0);
  CHECK_INT(log_capture_count(&log, "the failing one"), 1);
  CHECK_INT(log_capture_count(&log, "\n"), 0);
}

static void a_run_with_nothing_to_report_logs_nothing(void **state) {
  static struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  clean_environment();
  CHECK_INT(weft_run(spawn_some, NULL, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
            0);
  CHECK_INT(log.total, 0);
  if (weft_test_failed()) log_capture_print(&log);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_options_there_is_a_worker_per_usable_cpu),
    cmocka_unit_test(the_affinity_of_the_process_counts),
    cmocka_unit_test(workers_may_be_any_number_up_to_the_maximum),
    cmocka_unit_test(a_worker_count_out_of_range_is_einval),
    cmocka_unit_test(the_environment_gives_the_worker_count),
    cmocka_unit_test(a_bad_worker_count_of_the_environment_is_named),
    cmocka_unit_test(a_bad_seed_of_the_environment_is_named),
    cmocka_unit_test(an_option_goes_before_the_environment),
    cmocka_unit_test(a_wrong_WEFT_WORKERS_is_einval),
    cmocka_unit_test(a_wrong_WEFT_SEED_is_einval),
    cmocka_unit_test(exact_mode_takes_one_worker_only),
    cmocka_unit_test(a_stack_below_the_minimum_is_einval),
    cmocka_unit_test(a_run_works_with_small_and_large_stacks),
    cmocka_unit_test(the_stack_size_of_the_run_is_every_tasks),
    cmocka_unit_test(a_null_main_function_is_einval),
    cmocka_unit_test(a_negative_shutdown_timeout_is_einval),
    cmocka_unit_test(no_spin_and_no_reserve_work),
    cmocka_unit_test(every_wrong_option_leaves_the_next_run_unharmed),
    cmocka_unit_test(the_log_hook_receives_lines_without_a_newline),
    cmocka_unit_test(a_run_with_nothing_to_report_logs_nothing),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
