/* A runtime from inside: what the options of a run make of it, and the table that others find it in. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "base/cpus.h"
#include "base/sys.h"
#include "core/table.h"
#include "core/worker.h"
#include "log_capture.h"
#include "task_test.h"

/* ---- options ---- */

/* What a run with these options looks like from its main task. */
struct seen {
  unsigned workers, reserves;
  bool exact, migrate, spin;
  uint64_t shutdown_timeout;
  size_t stack_size;
};

static int look(void *arg) {
  struct weft__runtime *rt = weft__self()->rt;
  *(struct seen *)arg = (struct seen){.workers = rt->nworkers,
                                      .reserves = rt->nreserves,
                                      .exact = rt->exact,
                                      .migrate = rt->migrate,
                                      .spin = rt->spin,
                                      .shutdown_timeout = rt->shutdown_timeout,
                                      .stack_size = weft__current_task()->stack->size};
  return 0;
}

static struct seen run_with(weft_run_opts opts) {
  struct seen seen = {0};
  CHECK_INT(weft_run(look, &seen, &opts), 0);
  return seen;
}

static void every_worker_has_a_reserve_unless_there_shall_be_none(void **state) {
  (void)state;
  for (int n = 1; n <= 3; n++) {
    struct seen s = run_with((weft_run_opts){.workers = n});
    CHECK_UINT(s.workers, n);
    CHECK_UINT(s.reserves, n);
    CHECK(!s.exact);
    s = run_with((weft_run_opts){.workers = n, .no_reserve = true});
    CHECK_UINT(s.reserves, 0);
  }
  struct seen s = run_with((weft_run_opts){.exact = true});
  CHECK_UINT(s.workers, 1);
  CHECK_UINT(s.reserves, 0);
  CHECK(s.exact);
}

/* Searching takes a CPU of its own, and somebody to find work at. */
static void workers_search_before_they_sleep_where_each_has_a_cpu(void **state) {
  int cpus = (int)weft__cpus_usable();
  (void)state;
  CHECK(!run_with((weft_run_opts){.workers = 1}).spin);
  CHECK(!run_with((weft_run_opts){.workers = cpus + 1}).spin);
  CHECK(!run_with((weft_run_opts){.exact = true}).spin);
  if (cpus < 2) return;
  CHECK(run_with((weft_run_opts){.workers = cpus}).spin);
  CHECK(run_with((weft_run_opts){.workers = 2}).spin);
  CHECK(!run_with((weft_run_opts){.workers = 2, .no_spin = true}).spin);
}

static void tasks_move_at_every_suspension_when_the_environment_says_so(void **state) {
  (void)state;
  CHECK_INT(setenv("WEFT_MIGRATE", "1", 1), 0);
  CHECK(!run_with((weft_run_opts){.workers = 1}).migrate);
  CHECK(run_with((weft_run_opts){.workers = 2}).migrate);
  CHECK_INT(setenv("WEFT_MIGRATE", "0", 1), 0);
  CHECK(!run_with((weft_run_opts){.workers = 2}).migrate);
  CHECK_INT(setenv("WEFT_MIGRATE", "", 1), 0);
  CHECK(!run_with((weft_run_opts){.workers = 2}).migrate);
  CHECK_INT(unsetenv("WEFT_MIGRATE"), 0);
  CHECK(!run_with((weft_run_opts){.workers = 2}).migrate);
}

static void without_a_timeout_the_shutdown_waits_for_ever(void **state) {
  (void)state;
  CHECK_UINT(run_with((weft_run_opts){.workers = 1}).shutdown_timeout, WEFT__NEVER);
  weft_run_opts opts = {.workers = 1, .shutdown_timeout = weft_sec(5)};
  CHECK_UINT(run_with(opts).shutdown_timeout, weft_sec(5));
}

static void a_stack_may_have_every_size_up_to_the_largest(void **state) {
  static const size_t sizes[] = {WEFT_STACK_MIN, WEFT_STACK_MIN + 1, 1 << 20, WEFT__STACK_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    CHECK(run_with((weft_run_opts){.workers = 1, .stack_size = sizes[i]}).stack_size >= sizes[i]);
  weft_run_opts opts = {.stack_size = WEFT__STACK_MAX + 1};
  struct seen seen;
  CHECK_INT(weft_run(look, &seen, &opts), WEFT_EINVAL);
}

/* ---- options of a task ---- */

static uint64_t run_inline(weft_spawn_opts opts) {
  weft_worker_stats before, after;
  CHECK_INT(weft_stats_worker(0, &before), 0);
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, &opts)), 7);
  CHECK_INT(weft_stats_worker(0, &after), 0);
  return after.inline_run - before.inline_run;
}

static int await_with_options(void *arg) {
  (void)arg;
  CHECK_UINT(run_inline((weft_spawn_opts){0}), 1);
  CHECK_UINT(run_inline((weft_spawn_opts){.name = "named"}), 1);
  CHECK_UINT(run_inline((weft_spawn_opts){.pinned = true}), 0);
  CHECK_UINT(run_inline((weft_spawn_opts){.stack_size = 1 << 20}), 0);
  return 0;
}

/* On its awaiter's stack, that is. */
static void a_task_runs_apart_only_if_its_options_need_it(void **state) {
  (void)state;
  CHECK_INT(weft_run(await_with_options, NULL, &(weft_run_opts){.workers = 1}), 0);
}

/* "function+0x12" or an address: of each spawn its own. */
static int compare_sites(void *arg) {
  weft_task t[2];
  char text[2][256];
  const char *site[2];
  (void)arg;
  t[0] = weft_spawn(return_seven, NULL, NULL);
  t[1] = weft_spawn(return_seven, NULL, NULL);
  for (int i = 0; i < 2; i++) {
    CHECK(weft_task_describe(t[i], text[i], sizeof text[i]) > 0);
    site[i] = strstr(text[i], "spawned at ");
    if (!CHECK(site[i] != NULL)) return OWN_ERROR;
  }
  CHECK(strcmp(site[0], site[1]) != 0);
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(t[i]), 7);
  return 0;
}

static void a_description_tells_where_a_task_was_spawned(void **state) {
  (void)state;
  CHECK_INT(weft_run(compare_sites, NULL, &(weft_run_opts){.workers = 1}), 0);
}

/* ---- the main task ---- */

static int claim_main(void *arg) {
  weft_task main = *(weft_task *)arg;
  CHECK_INT(weft_detach(main), WEFT_ESTALE);
  CHECK_INT(weft_await(main), WEFT_ESTALE);
  return weft_task_done(main); /* looking is allowed */
}

static int fail_after_all_tried(void *arg) {
  weft_task self = weft_current();
  (void)arg;
  CHECK_INT(weft_await(weft_spawn(claim_main, &self, NULL)), 0);
  CHECK_INT(weft_detach(self), WEFT_ESTALE);
  return OWN_ERROR;
}

/* Its code is the run's: nobody else may take it, and nobody else is told of it. */
static void the_main_tasks_end_belongs_to_the_run(void **state) {
  static struct log_capture log = LOG_CAPTURE_INIT;
  weft_run_opts opts = {.workers = 2, .log = log_capture_line, .log_arg = &log};
  (void)state;
  CHECK_INT(weft_run(fail_after_all_tried, NULL, &opts), OWN_ERROR);
  CHECK_INT(log_capture_count(&log, ""), 0);
}

/* ---- the table ---- */

static void a_runtime_is_found_by_its_id_until_it_is_removed(void **state) {
  struct weft__runtime *rt = calloc(3, sizeof *rt);
  static const int order[] = {1, 2, 0}; /* from the middle, the newest, the last one */
  (void)state;
  CHECK(!weft__runtime_any());
  for (int i = 0; i < 3; i++) weft__table_add(&rt[i]);
  CHECK(rt[0].id != rt[1].id && rt[1].id != rt[2].id && rt[0].id != rt[2].id);
  CHECK_PTR(weft__runtime_hold(0), NULL);
  for (int gone = 0; gone < 3; gone++) {
    CHECK(weft__runtime_any());
    for (int i = 0; i < 3; i++) {
      struct weft__runtime *r = &rt[order[i]], *found = weft__runtime_hold(r->id);
      CHECK_PTR(found, i < gone ? NULL : r);
      CHECK_UINT(weft__load_relaxed_u32(&r->held), i < gone ? 0 : 1);
      if (found) weft__runtime_release(found);
      CHECK_UINT(weft__load_relaxed_u32(&r->held), 0);
    }
    weft__table_remove(&rt[order[gone]]);
  }
  CHECK(!weft__runtime_any());
  free(rt);
}

struct refusal {
  struct weft__runtime *rt;
  struct latch over;
};

static void *refuse(void *arg) {
  struct refusal *r = arg;
  weft__runtime_refuse(r->rt);
  latch_hit(&r->over);
  return NULL;
}

static void a_runtime_that_refuses_waits_for_those_that_hold_it(void **state) {
  struct weft__runtime *rt = calloc(1, sizeof *rt);
  struct refusal r = {.rt = rt};
  pthread_t thread;
  (void)state;
  weft__table_add(rt);
  CHECK_PTR(weft__runtime_hold(rt->id), rt);
  CHECK_PTR(weft__runtime_hold(rt->id), rt);
  assert_int_equal(weft__sys_thread_create(&thread, NULL, refuse, &r), 0);
  for (struct weft__runtime *held = rt; held;) {
    held = weft__runtime_hold(rt->id);
    if (held) weft__runtime_release(held);
  }
  for (int i = 0; i < 1000; i++) sched_yield();
  CHECK_INT(latch_hits(&r.over), 0);
  weft__runtime_release(rt);
  for (int i = 0; i < 1000; i++) sched_yield();
  CHECK_INT(latch_hits(&r.over), 0);
  weft__runtime_release(rt);
  weft__sys_thread_join(thread);
  CHECK_INT(latch_hits(&r.over), 1);
  CHECK_PTR(weft__runtime_hold(rt->id), NULL);
  weft__runtime_refuse(rt); /* again: nobody holds it */
  weft__table_remove(rt);
  free(rt);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_worker_has_a_reserve_unless_there_shall_be_none),
    cmocka_unit_test(workers_search_before_they_sleep_where_each_has_a_cpu),
    cmocka_unit_test(tasks_move_at_every_suspension_when_the_environment_says_so),
    cmocka_unit_test(without_a_timeout_the_shutdown_waits_for_ever),
    cmocka_unit_test(a_stack_may_have_every_size_up_to_the_largest),
    cmocka_unit_test(a_task_runs_apart_only_if_its_options_need_it),
    cmocka_unit_test(a_description_tells_where_a_task_was_spawned),
    cmocka_unit_test(the_main_tasks_end_belongs_to_the_run),
    cmocka_unit_test(a_runtime_is_found_by_its_id_until_it_is_removed),
    cmocka_unit_test(a_runtime_that_refuses_waits_for_those_that_hold_it),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
