/* Calls from where they do not belong: outside a runtime, on foreign threads, on stale handles. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "task_test.h"

/* Every function of the API that needs a task, called where there is none. */
static void every_task_call_is_enotask(void) {
  weft_timeout s;
  weft_group g = WEFT_GROUP_INIT;
  weft_stats stats;
  weft_worker_stats worker;
  weft_task list[1];
  struct latch runs = {0};
  weft_task failed = weft_spawn(hit_and_return, &runs, NULL);
  CHECK_INT(weft_task_error(failed), WEFT_ENOTASK);
  CHECK_INT(weft_await(failed), WEFT_ENOTASK);
  CHECK_INT(weft_detach(failed), WEFT_ENOTASK);
  CHECK_INT(weft_cancel(failed), WEFT_ENOTASK);
  CHECK_INT(weft_task_wait(failed, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_sleep(1), WEFT_ENOTASK);
  CHECK_INT(weft_sleep(-1), WEFT_ENOTASK);
  CHECK_INT(weft_yield(), WEFT_ENOTASK);
  CHECK_INT(weft_tasks(list, 1), WEFT_ENOTASK);
  CHECK_INT(weft_group_spawn(&g, hit_and_return, &runs, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_group_join(&g), WEFT_ENOTASK);
  CHECK_INT(weft_gather(NULL, 0, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_gather(&failed, 1, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_timeout_begin(&s, weft_ms(1)), WEFT_ENOTASK);
  CHECK_INT(weft_wait_for(hit_and_return, &runs, weft_sec(1)), WEFT_ENOTASK);
  CHECK_INT(weft_wait_for_task(failed, weft_sec(1)), WEFT_ENOTASK);
  CHECK_INT(weft_to_thread(hit_and_return, &runs), WEFT_ENOTASK);
  CHECK_INT(weft_stats_read(&stats), WEFT_ENOTASK);
  CHECK_INT(weft_stats_worker(0, &worker), WEFT_ENOTASK);
  CHECK_INT(weft_worker_id(), WEFT_ENOTASK);
  CHECK_INT(weft_worker_count(), WEFT_ENOTASK);
  CHECK_INT(weft_submit(weft_runtime_current(), hit_and_return, &runs, NULL), WEFT_ECLOSED);
  CHECK_PTR(weft_current().slot_, NULL);
  CHECK(!weft_cancel_catch());
  weft_shield_begin();
  weft_shield_end();
  weft_shield_end();
  CHECK_INT(latch_hits(&runs), 0);
}

static void before_and_after_a_run_every_task_call_is_enotask(void **state) {
  (void)state;
  every_task_call_is_enotask();
  CHECK_INT(weft_run(return_seven, NULL, NULL), 7);
  every_task_call_is_enotask();
}

static void *call_everything(void *arg) {
  (void)arg;
  every_task_call_is_enotask();
  return NULL;
}

TASK_TEST(on_a_foreign_thread_every_task_call_is_enotask_while_a_runtime_runs) {
  pthread_t thread;
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, call_everything, NULL), 0)) return;
  weft__sys_thread_join(thread);
  CHECK_INT(weft_yield(), 0);
}

static void scope_calls_outside_a_task_are_harmless(void **state) {
  weft_timeout s;
  (void)state;
  memset(&s, 0, sizeof s);
  CHECK(weft_timeout_end(&s, 0) < 0);
  CHECK(weft_timeout_reschedule(&s, 1) < 0);
  CHECK(!weft_timeout_expired(&s));
}

static void a_group_may_be_initialised_outside_a_runtime(void **state) {
  weft_group g;
  (void)state;
  weft_group_init(&g, &(weft_group_opts){.on_error = WEFT_GROUP_COLLECT, .limit = 3});
  CHECK_INT(weft_group_cancel(&g), 0);
  weft_group_done(&g);
}

/* A task with a body of its own, so that a stale handle to it is not one to a neighbour. */
static void every_call_is_estale(weft_task t) {
  char text[64];
  int codes[2] = {12345, 12345};
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(weft_task_wait(t, codes), WEFT_ESTALE);
  CHECK_INT(weft_detach(t), WEFT_ESTALE);
  CHECK_INT(weft_cancel(t), WEFT_ESTALE);
  CHECK_INT(weft_cancelling(t), WEFT_ESTALE);
  CHECK_INT(weft_uncancel(t), WEFT_ESTALE);
  CHECK_INT(weft_task_done(t), WEFT_ESTALE);
  CHECK_INT(weft_task_describe(t, text, sizeof text), WEFT_ESTALE);
  CHECK_PTR(weft_task_name(t), NULL);
  CHECK_INT(weft_gather(&t, 1, codes), WEFT_ESTALE);
  CHECK_INT(weft_gather((weft_task[]){t, t}, 2, NULL), WEFT_ESTALE);
  CHECK_INT(weft_wait_for_task(t, weft_ms(1)), WEFT_ESTALE);
  CHECK_INT(codes[0], 12345);
}

static void consume(weft_task t, int how) {
  switch (how) {
  case 0:
    CHECK_INT(weft_await(t), 7);
    break;
  case 1:
    CHECK_INT(weft_wait_for_task(t, weft_sec(60)), 7);
    break;
  case 2:
    CHECK_INT(weft_gather(&t, 1, NULL), 0);
    break;
  default:
    CHECK_INT(weft_detach(t), 0);
    CHECK_INT(wait_until_live(1), 0);
  }
}

static int make_handles_stale(void *arg) {
  (void)arg;
  for (int how = 0; how < 4; how++) {
    weft_task t = weft_spawn(return_seven, NULL, &(weft_spawn_opts){.name = "gone"});
    consume(t, how);
    every_call_is_estale(t);
    /* The memory serves other tasks now; none of them may be touched by the old value. */
    struct latch parked = {0};
    weft_task other = weft_spawn(hit_and_park, &parked, NULL);
    CHECK_INT(latch_wait(&parked, 1), 0);
    every_call_is_estale(t);
    CHECK_INT(weft_cancelling(other), 0);
    CHECK_INT(weft_cancel(other), 1);
    CHECK_INT(weft_await(other), WEFT_ECANCELED);
  }
  return 0;
}

static void every_call_on_a_consumed_handle_is_estale(void **state) {
  (void)state;
  for (int workers = 1; workers <= 4; workers += 3)
    CHECK_INT(weft_run(make_handles_stale, NULL, &(weft_run_opts){.workers = workers}), 0);
}

static int unbalanced_shield(void *arg) {
  (void)arg;
  weft_shield_end(); /* without a begin */
  weft_cancel(weft_current());
  return weft_yield() == WEFT_ECANCELED ? 5 : 0;
}

TASK_TEST(a_shield_end_without_a_begin_changes_nothing) {
  CHECK_INT(weft_await(weft_spawn(unbalanced_shield, NULL, NULL)), 5);
}

static int leave_a_shield_open(void *arg) {
  (void)arg;
  weft_shield_begin();
  return 3;
}

TASK_TEST(a_shield_left_open_ends_with_its_task) {
  for (int i = 0; i < 20; i++)
    CHECK_INT(weft_await(weft_spawn(leave_a_shield_open, NULL, NULL)), 3);
  CHECK_INT(weft_await(weft_spawn(unbalanced_shield, NULL, NULL)), 5);
}

static int leave_a_scope_open(void *arg) {
  weft_timeout s;
  (void)arg;
  weft_timeout_begin(&s, weft_ms(1));
  return weft_yield() == 0 ? 3 : 4;
}

TASK_TEST(a_scope_left_open_does_not_reach_the_next_task_in_the_same_memory) {
  for (int i = 0; i < 50; i++) {
    int code = weft_await(weft_spawn(leave_a_scope_open, NULL, NULL));
    CHECK(code == 3 || code == 4);
    CHECK_INT(weft_sleep(weft_us(300)), 0);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(before_and_after_a_run_every_task_call_is_enotask),
    cmocka_unit_test(on_a_foreign_thread_every_task_call_is_enotask_while_a_runtime_runs),
    cmocka_unit_test(scope_calls_outside_a_task_are_harmless),
    cmocka_unit_test(a_group_may_be_initialised_outside_a_runtime),
    cmocka_unit_test(every_call_on_a_consumed_handle_is_estale),
    cmocka_unit_test(a_shield_end_without_a_begin_changes_nothing),
    cmocka_unit_test(a_shield_left_open_ends_with_its_task),
    cmocka_unit_test(a_scope_left_open_does_not_reach_the_next_task_in_the_same_memory),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
