/* Memory of task objects: bounded by what is alive, however tasks are awaited, and nothing of a task
 * is left in it. Method: counts the slabs of the running runtime, and looks at free objects. */
#include <weft.h>

#include "base/memory.h"
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

static int all_detached(void *arg) {
  (void)arg;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BATCH; i++) CHECK_INT(weft_detach(weft_spawn(nothing, NULL, NULL)), 0);
    while (weft_tasks(NULL, 0) > 1)
      if (!CHECK_INT(weft_yield(), 0)) return -1;
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

static void detached_tasks_leave_nothing_behind(void **state) {
  (void)state;
  int n = weft_run(all_detached, NULL, &(weft_run_opts){.workers = 1});
  CHECK(n > 0 && (unsigned)n <= bound());
}

/* ---- the memory of one task, used again ---- */

static int look_at_self(void *arg) {
  struct weft__task *t = weft__current_task();
  CHECK_PTR(weft_task_name(weft_current()), NULL);
  CHECK(!t->odd && !t->has_opts && !t->sticky && t->shield == 0 && t->scopes == NULL);
  CHECK_UINT(t->limit, WEFT__NEVER);
  CHECK_UINT(t->limit_hit, 0);
  CHECK(t->stack->size < (size_t)1 << 20);
  CHECK_PTR(t->copy, NULL);
  *(struct weft__task **)arg = t;
  return weft_yield(); /* of its own stack, not its awaiter's */
}

/* Ends with everything set that a task can leave behind. */
static int leave_a_mess(void *arg) {
  weft_timeout scope;
  (void)arg;
  CHECK_INT(weft_timeout_begin(&scope, 0), 0);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  weft_cancel(weft_current());
  weft_shield_begin();
  return 0;
}

static int reuse(void *arg) {
  struct weft__task *first, *again;
  const weft_spawn_opts opts = {.name = "before", .stack_size = (size_t)2 << 20, .pinned = true,
                                .arg_size = 100};
  static char copied[100];
  (void)arg;
  for (int i = 0; i < 3; i++) {
    weft_task t = weft_spawn(leave_a_mess, copied, &opts);
    first = t.slot_;
    (void)weft_await(t);
    t = weft_spawn(look_at_self, &again, NULL);
    weft_detach(t); /* so that it runs on a stack of its own */
    while (weft_tasks(NULL, 0) > 1) CHECK_INT(weft_yield(), 0);
    CHECK_PTR(again, first);
  }
  return 0;
}

static void nothing_of_a_task_is_left_to_the_next_in_its_memory(void **state) {
  (void)state;
  CHECK_INT(weft_run(reuse, NULL, &(weft_run_opts){.workers = 1}), 0);
}

/* ---- free objects, without a runtime ---- */

static struct weft__task_pool pool;

static unsigned spare(void) {
  unsigned n = 0;
  for (struct weft__task *t = pool.spare; t; t = t->link[WEFT__LINK_READY]) n++;
  return n;
}

static void objects_come_by_the_slab_and_go_through_the_cache(void **state) {
  struct weft__task_cache c = {0};
  (void)state;
  weft__task_pool_init(&pool, NULL);
  struct weft__task *a = weft__task_new(&pool, &c);
  CHECK_UINT(c.count, WEFT__TASKS_PER_SLAB - 1);
  CHECK_UINT(weft__load_relaxed_u32(&a->refs), 2);
  uint64_t word = weft__load_relaxed_u64(&a->word);
  CHECK_UINT(weft__word_phase(word), WEFT__UNSTARTED);
  weft__task_unref(&pool, &c, a, 1);
  CHECK_UINT(c.count, WEFT__TASKS_PER_SLAB - 1);
  weft__task_unref(&pool, &c, a, 1);
  CHECK_UINT(c.count, WEFT__TASKS_PER_SLAB);
  CHECK_UINT(weft__word_phase(weft__load_relaxed_u64(&a->word)), WEFT__FREE);
  CHECK_PTR(weft__task_new(&pool, &c), a); /* the warm one, under another key */
  CHECK(weft__word_key(weft__load_relaxed_u64(&a->word)) != weft__word_key(word));
  weft__task_unref(&pool, NULL, a, 2); /* by a thread without a cache */
  CHECK_UINT(spare(), 1);
  weft__task_cache_drain(&pool, &c);
  CHECK_UINT(c.count, 0);
  CHECK_PTR(c.head, NULL);
  CHECK_UINT(spare(), WEFT__TASKS_PER_SLAB);
  weft__task_pool_fini(&pool);
}

static void a_cache_takes_from_the_pool_before_it_makes_a_slab(void **state) {
  struct weft__task_cache giver = {0}, taker = {0};
  struct weft__task *t[WEFT__TASKS_PER_SLAB + 1];
  (void)state;
  weft__task_pool_init(&pool, NULL);
  for (int i = 0; i <= WEFT__TASKS_PER_SLAB; i++) t[i] = weft__task_new(&pool, &giver);
  for (int i = 0; i <= WEFT__TASKS_PER_SLAB; i++) weft__task_unref(&pool, &giver, t[i], 2);
  CHECK_UINT(giver.count, 2 * WEFT__TASKS_PER_SLAB);
  weft__task_cache_drain(&pool, &giver);
  CHECK(weft__task_cache_fill(&pool, &taker));
  CHECK_UINT(taker.count, WEFT__TASKS_PER_SLAB); /* and leaves the rest to others */
  CHECK_UINT(spare(), WEFT__TASKS_PER_SLAB);
  CHECK(weft__task_cache_fill(&pool, &giver));
  CHECK_UINT(spare(), 0);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  struct weft__task_cache empty = {0};
  CHECK(!weft__task_cache_fill(&pool, &empty));
  CHECK_PTR(weft__task_new(&pool, &empty), NULL);
  weft__memory_fail_end();
  weft__task_pool_fini(&pool);
}

static void a_full_cache_gives_half_to_the_pool(void **state) {
  enum { ALL = WEFT__TASK_CACHE_MAX + 1 };
  static struct weft__task *t[ALL];
  struct weft__task_cache c = {0};
  (void)state;
  weft__task_pool_init(&pool, NULL);
  for (int i = 0; i < ALL; i++) t[i] = weft__task_new(&pool, &c);
  weft__task_cache_drain(&pool, &c);
  unsigned drained = spare();
  for (int i = 0; i + 1 < ALL; i++) weft__task_unref(&pool, &c, t[i], 2);
  CHECK_UINT(c.count, WEFT__TASK_CACHE_MAX);
  CHECK_UINT(spare(), drained);
  weft__task_unref(&pool, &c, t[ALL - 1], 2);
  CHECK_UINT(c.count, WEFT__TASK_CACHE_MAX / 2);
  CHECK_UINT(spare(), drained + WEFT__TASK_CACHE_MAX / 2 + 1);
  weft__task_pool_fini(&pool);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(detached_tasks_leave_nothing_behind),
    cmocka_unit_test(nothing_of_a_task_is_left_to_the_next_in_its_memory),
    cmocka_unit_test(objects_come_by_the_slab_and_go_through_the_cache),
    cmocka_unit_test(a_cache_takes_from_the_pool_before_it_makes_a_slab),
    cmocka_unit_test(a_full_cache_gives_half_to_the_pool),
    cmocka_unit_test(tasks_awaited_oldest_first_leave_nothing_behind),
    cmocka_unit_test(entries_of_begun_tasks_are_bounded_by_the_queue),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
