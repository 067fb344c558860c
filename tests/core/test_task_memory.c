/* Memory of task objects: bounded by what is alive, however tasks are awaited. Method: counts the
 * slabs of the running runtime. */
#include <weft.h>

#include "core/worker.h"
#include "weft_test.h"

enum { BATCH = 1000, ROUNDS = 200 };

static unsigned slabs(void) {
  unsigned n = 0;
  struct weft__task_slab *s = weft__load_acquire_ptr(&weft__self()->rt->tasks.slabs);
  for (; s; s = s->next) n++;
  return n;
}

static int nothing(void *arg) {
  (void)arg;
  return 0;
}

static int oldest_first(void *arg) {
  static weft_task t[BATCH];
  (void)arg;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BATCH; i++) t[i] = weft_spawn(nothing, NULL, NULL);
    for (int i = 0; i < BATCH; i++)
      if (!CHECK_INT(weft_await(t[i]), 0)) return -1;
  }
  return (int)slabs();
}

static int never_the_newest(void *arg) {
  static weft_task t[BATCH];
  (void)arg;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BATCH; i++) t[i] = weft_spawn(nothing, NULL, NULL);
    for (int i = 0; i + 1 < BATCH; i++)
      if (!CHECK_INT(weft_await(t[i]), 0)) return -1;
    weft_detach(t[BATCH - 1]);
  }
  return (int)slabs();
}

/* Room for the batch, the entries that one deque holds, and the caches. */
static unsigned bound(void) {
  return (BATCH + WEFT__DEQUE_CAP + WEFT__TASK_CACHE_MAX) / WEFT__TASKS_PER_SLAB + 4;
}

static void tasks_awaited_oldest_first_leave_nothing_behind(void **state) {
  (void)state;
  int n = weft_run(oldest_first, NULL, &(weft_run_opts){.workers = 1});
  CHECK(n > 0 && (unsigned)n <= BATCH / WEFT__TASKS_PER_SLAB + 2);
}

static void entries_of_begun_tasks_are_bounded_by_the_queue(void **state) {
  (void)state;
  int n = weft_run(never_the_newest, NULL, &(weft_run_opts){.workers = 1});
  CHECK(n > 0 && (unsigned)n <= bound());
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tasks_awaited_oldest_first_leave_nothing_behind),
    cmocka_unit_test(entries_of_begun_tasks_are_bounded_by_the_queue),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
