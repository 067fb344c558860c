/* Every allocation of a run, and every system call of a kind, fails in turn: once, and from then on.
 *
 * The scenario uses most of the API and expects of each step either success or an error that says
 * that memory or threads are missing. Whatever fails, the run ends, nothing is leaked, and the same
 * scenario works when nothing fails. */
#include <stdatomic.h>
#include <stdio.h>
#include <weft.h>

#include "base/memory.h"
#include "base/sys.h"
#include "counts.h"
#include "task_test.h"

static bool scarce(int code) {
  return code == WEFT_ENOMEM || code == WEFT_EAGAIN;
}

/* Success, or a named lack of something; anything else fails the test. Gives the code back. */
static int step(int code, int success, const char *what) {
  if (code != success && !scarce(code))
    CHECK_FAIL("%s gave %s (%d)", what, weft_err_name(code), code);
  return code;
}

static int use_groups(void) {
  weft_group g;
  int codes[3] = {0};
  weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT});
  for (int i = 0; i < 40; i++) {
    int value = 7;
    step(weft_group_spawn(&g, return_given, &value, &(weft_spawn_opts){.arg_size = sizeof value}),
         0, "group_spawn");
  }
  step(weft_group_join(&g), 0, "group_join");
  weft_group_done(&g);
  weft_task t[3];
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(return_seven, NULL, NULL);
  int r = step(weft_gather(t, 3, codes), 0, "gather");
  if (r < 0)
    for (int i = 0; i < 3; i++) step(weft_await(t[i]), 7, "await after gather");
  return 0;
}

static int use_everything(void *arg) {
  atomic_int *entered = arg;
  struct latch parked = {0};
  atomic_fetch_add(entered, 1);
  weft_task p = weft_spawn(hit_and_park, &parked, &(weft_spawn_opts){.name = "parked"});
  step(weft_await(weft_spawn(return_seven, NULL, NULL)), 7, "await");
  step(weft_await(weft_spawn(return_seven, NULL, &(weft_spawn_opts){.stack_size = 1 << 20})), 7,
       "await with an own stack");
  step(weft_sleep(weft_us(50)), 0, "sleep");
  step(weft_to_thread(return_seven, NULL), 7, "to_thread");
  use_groups();
  step(weft_wait_for(return_seven, NULL, weft_sec(60)), 7, "wait_for");
  step(weft_submit(weft_runtime_current(), return_zero, NULL, NULL), 0, "submit");
  int r = weft_wait_for_task(p, weft_us(50));
  if (r != WEFT_ETIMEDOUT && r != WEFT_ECANCELED) step(r, WEFT_ETIMEDOUT, "wait_for_task");
  return 5;
}

/* One run; true when the scenario was entered. */
static bool run_scenario(int workers) {
  atomic_int entered = 0;
  int r = weft_run(use_everything, &entered, &(weft_run_opts){.workers = workers});
  step(r, 5, "run");
  CHECK(r != 5 || atomic_load(&entered) == 1);
  return atomic_load(&entered) == 1;
}

static uint64_t live_bytes(void) {
  struct weft__memory_stats s;
  weft__memory_stats(&s);
  return s.live_bytes;
}

static void fail_each_allocation(int workers, bool forever) {
  uint64_t n = 1, asked = 0;
  run_scenario(workers); /* what is made once for the process is made now */
  uint64_t before = live_bytes();
  do {
    weft__memory_fail(WEFT__MEMORY_OWN, n, forever);
    run_scenario(workers);
    asked = weft__memory_fail_end();
    if (live_bytes() != before)
      CHECK_FAIL("allocation %llu failed and %lld bytes are left", (unsigned long long)n,
                 (long long)(live_bytes() - before));
  } while (asked >= n++ && !weft_test_failed()); /* until there was no n-th */
  CHECK(n > 10);
  CHECK(run_scenario(workers));
  print_message("%llu allocations failed in turn\n", (unsigned long long)(n - 2));
}

static void each_allocation_fails_once_on_one_worker(void **state) {
  (void)state;
  fail_each_allocation(1, false);
}

static void each_allocation_fails_once_on_three_workers(void **state) {
  (void)state;
  fail_each_allocation(3, false);
}

static void from_each_allocation_on_all_fail(void **state) {
  (void)state;
  fail_each_allocation(2, true);
}

static void fail_each_call(enum weft__sys_call call, int error, int workers) {
  uint64_t n = 1, asked = 0;
  run_scenario(workers);
  uint64_t before = live_bytes();
  do {
    weft__sys_fail(call, n, error, n % 2 == 0);
    run_scenario(workers);
    weft__sys_clear();
    asked = weft__sys_calls(call);
    if (live_bytes() != before)
      CHECK_FAIL("%s number %llu failed and %lld bytes are left", weft__sys_name(call),
                 (unsigned long long)n, (long long)(live_bytes() - before));
  } while (asked >= n++ && !weft_test_failed()); /* until there was no n-th */
  CHECK(asked > 0);
  CHECK(run_scenario(workers));
  print_message("%llu calls of %s failed in turn\n", (unsigned long long)(n - 2),
                weft__sys_name(call));
}

static void each_mmap_fails(void **state) {
  (void)state;
  fail_each_call(WEFT__SYS_mmap, WEFT_ENOMEM, 2);
}

static void each_thread_cannot_be_made(void **state) {
  (void)state;
  fail_each_call(WEFT__SYS_thread_create, WEFT_EAGAIN, 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_allocation_fails_once_on_one_worker),
    cmocka_unit_test(each_allocation_fails_once_on_three_workers),
    cmocka_unit_test(from_each_allocation_on_all_fail),
    cmocka_unit_test(each_mmap_fails),
    cmocka_unit_test(each_thread_cannot_be_made),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
