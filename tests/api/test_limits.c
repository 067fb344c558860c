/* At the limits of memory: as many parked tasks as the table says, no memory for a stack, for a task,
 * for anything. What fails says so, and the rest goes on. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

#include "base/memory.h"
#include "base/stack.h"
#include "base/sys.h"
#include "counts.h"
#include "task_test.h"

/* Every number of the table that a test parks at once; static: no stack is that large. */
static weft_task tasks[COUNT_LIVE_TASKS];

static long max_map_count(void) {
  long n = 0;
  FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
  if (f && fscanf(f, "%ld", &n) != 1) n = 0;
  if (f) fclose(f);
  return n;
}

/* Spawns n tasks that park; returns how many did. Those without a stack have ended. */
static int park_many(int n, struct latch *parked) {
  int refused = 0, done = 0;
  for (int i = 0; i < n; i++) {
    tasks[i] = weft_spawn(hit_and_park, parked, NULL);
    refused += weft_task_error(tasks[i]) != 0;
    /* Now and then, so that they begin while the others are being spawned. */
    if (i % 64 == 0) CHECK_INT(weft_yield(), 0);
  }
  while (latch_hits(parked) + refused + done < n) {
    if (!CHECK_INT(weft_sleep(weft_ms(5)), 0)) break; /* looking is slow: not at every turn */
    done = 0;
    for (int i = 0; i < n; i++)
      if (weft_task_error(tasks[i]) == 0) done += weft_task_done(tasks[i]);
  }
  return latch_hits(parked);
}

/* Cancels and awaits all; every one that had parked must say so. */
static void end_all(int n, int parked) {
  int cancelled = 0, no_memory = 0;
  for (int i = 0; i < n; i++) weft_cancel(tasks[i]);
  for (int i = 0; i < n; i++) {
    int code = weft_await(tasks[i]);
    cancelled += code == WEFT_ECANCELED;
    no_memory += code == WEFT_ENOMEM;
  }
  CHECK_INT(cancelled, parked);
  CHECK_INT(no_memory, n - parked);
}

static int park_as_many_as_the_table_says(void *arg) {
  struct latch parked = {0};
  (void)arg;
  int n = park_many(COUNT_LIVE_TASKS, &parked);
  CHECK_INT(n, COUNT_LIVE_TASKS);
  CHECK_INT(weft_tasks(NULL, 0), COUNT_LIVE_TASKS + 1);
  /* The runtime is as usable as ever. */
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  end_all(COUNT_LIVE_TASKS, n);
  return 0;
}

static bool guards_by_mprotect(void) {
  struct weft__stack_pool pool;
  struct weft__stack_cache cache;
  struct weft__stack_stats stats;
  struct weft__stack *s;
  assert_int_equal(weft__stack_pool_init(&pool, 0), 0);
  weft__stack_cache_init(&cache, &pool);
  assert_int_equal(weft__stack_get(&cache, 0, &s), 0);
  weft__stack_put(&cache, s);
  weft__stack_cache_fini(&cache);
  weft__stack_pool_stats(&pool, &stats);
  weft__stack_pool_fini(&pool);
  return stats.by_mprotect;
}

static void a_hundred_thousand_tasks_park_under_the_default_map_count(void **state) {
  (void)state;
  if (COUNT_LIVE_TASKS > 20000 && guards_by_mprotect())
    weft_test_skip("this kernel splits a mapping for each guard");
  print_message("%d tasks, vm.max_map_count is %ld\n", COUNT_LIVE_TASKS, max_map_count());
  for (int workers = 1; workers <= 2; workers++)
    CHECK_INT(weft_run(park_as_many_as_the_table_says, NULL, &(weft_run_opts){.workers = workers}),
              0);
}

/* ---- guards that split mappings, until none is left ---- */

static int park_until_no_memory(void *arg) {
  struct latch parked = {0};
  int most = *(int *)arg;
  int n = park_many(most, &parked);
  print_message("%d of %d tasks got a stack\n", n, most);
  CHECK(n > 0);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  end_all(most, n);
  /* What was given back serves again. */
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, &(weft_spawn_opts){.pinned = true})), 7);
  return n;
}

static void with_guards_by_mprotect_it_ends_in_enomem_and_all_earlier_tasks_finish(void **state) {
  int most = COUNTS_PICK(COUNT_LIVE_TASKS, 0, 0);
  (void)state;
  long maps = max_map_count();
  if (maps == 0 || maps / 2 > COUNT_LIVE_TASKS) {
    /* Not reachable with this count: a refusal of the kernel stands for the limit. */
    most = COUNT_LIVE_TASKS / 4;
    weft__stack_use_mprotect(true);
    weft__sys_fail(WEFT__SYS_mprotect, (uint64_t)most / 2, WEFT_ENOMEM, true);
    int n = weft_run(park_until_no_memory, &most, &(weft_run_opts){.workers = 2});
    weft__sys_clear();
    CHECK(n > 0 && n < most);
    return;
  }
  weft__stack_use_mprotect(true);
  int n = weft_run(park_until_no_memory, &most, &(weft_run_opts){.workers = 2});
  CHECK(n > maps / 4 && n < most);
}

/* ---- the kernel refuses memory ---- */

static int park_with_refusals(void *arg) {
  enum { N = 2000 };
  struct latch parked = {0};
  (void)arg;
  weft__sys_fail(WEFT__SYS_mmap, 3, WEFT_ENOMEM, true);
  int n = park_many(N, &parked);
  weft__sys_clear();
  CHECK(n > 0 && n < N);
  /* Memory is back: a new task gets a stack, and the parked ones go on. */
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, &(weft_spawn_opts){.pinned = true})), 7);
  end_all(N, n);
  CHECK_INT(park_many(N, &(struct latch){0}), N);
  end_all(N, N);
  return 0;
}

static void without_memory_for_a_stack_the_task_fails_and_the_rest_goes_on(void **state) {
  (void)state;
  for (int workers = 1; workers <= 2; workers++)
    CHECK_INT(weft_run(park_with_refusals, NULL, &(weft_run_opts){.workers = workers}), 0);
}

static int spawn_with_refusals(void *arg) {
  enum { N = 2000 };
  int refused = 0;
  struct latch release = {0};
  (void)arg;
  weft__memory_fail(WEFT__MEMORY_OWN, 2, true);
  for (int i = 0; i < N; i++) {
    tasks[i] = weft_spawn(wait_for_latch, &release, NULL);
    refused += weft_task_error(tasks[i]) == WEFT_ENOMEM;
  }
  CHECK(refused > 0 && refused < N);
  /* A copy of the argument needs memory of its own. */
  int value = 5;
  weft_task copied = weft_spawn(return_given, &value, &(weft_spawn_opts){.arg_size = sizeof value});
  CHECK_INT(weft_await(copied), WEFT_ENOMEM);
  weft__memory_fail_end();
  latch_hit(&release);
  for (int i = 0; i < N; i++) refused -= weft_await(tasks[i]) == WEFT_ENOMEM;
  CHECK_INT(refused, 0);
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  return 0;
}

static void without_memory_for_a_task_the_spawn_fails_and_the_rest_goes_on(void **state) {
  (void)state;
  for (int workers = 1; workers <= 2; workers++)
    CHECK_INT(weft_run(spawn_with_refusals, NULL, &(weft_run_opts){.workers = workers}), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_hundred_thousand_tasks_park_under_the_default_map_count),
    cmocka_unit_test(with_guards_by_mprotect_it_ends_in_enomem_and_all_earlier_tasks_finish),
    cmocka_unit_test(without_memory_for_a_stack_the_task_fails_and_the_rest_goes_on),
    cmocka_unit_test(without_memory_for_a_task_the_spawn_fails_and_the_rest_goes_on),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
