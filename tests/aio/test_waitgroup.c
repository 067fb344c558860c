/* Wait groups, and what is done once. */
#include <limits.h>
#include <stdlib.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "task_test.h"

/* ---- wait groups ---- */

static int wait_for_group(void *group) {
  return weft_wait_group_wait(group);
}
static int one_is_done(void *group) {
  return weft_wait_group_done(group);
}

TASK_TEST(a_wait_lasts_until_all_are_done) {
  weft_wait_group g = WEFT_WAIT_GROUP_INIT;
  weft_task waiting[3];
  CHECK_INT(weft_wait_group_wait(&g), 0);
  for (int round = 0; round < 2; round++) {
    CHECK_INT(weft_wait_group_add(&g, 2), 0);
    for (int i = 0; i < 3; i++) waiting[i] = spawn_parked(wait_for_group, &g);
    CHECK_INT(weft_wait_group_done(&g), 0);
    CHECK_INT(weft_wait_group_add(&g, 1), 0); /* while some wait */
    CHECK_INT(weft_wait_group_done(&g), 0);
    CHECK_INT(weft_wait_group_count(&g), 1);
    for (int i = 0; i < 3; i++) CHECK(is_parked(waiting[i]));
    CHECK_INT(weft_wait_group_done(&g), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_await(waiting[i]), 0);
    CHECK_INT(weft_wait_group_count(&g), 0);
  }
}

TASK_TEST(done_too_often_is_estate) {
  weft_wait_group g = WEFT_WAIT_GROUP_INIT;
  CHECK_INT(weft_wait_group_done(&g), WEFT_ESTATE);
  CHECK_INT(weft_wait_group_add(&g, 1), 0);
  CHECK_INT(weft_wait_group_done(&g), 0);
  CHECK_INT(weft_wait_group_done(&g), WEFT_ESTATE);
  CHECK_INT(weft_wait_group_add(&g, INT_MAX), 0);
  CHECK_INT(weft_wait_group_add(&g, 1), WEFT_EOVERFLOW);
  CHECK_INT(weft_wait_group_add(&g, UINT_MAX), WEFT_EOVERFLOW);
  CHECK_INT(weft_wait_group_count(&g), INT_MAX);
  CHECK_INT(weft_wait_group_add(&g, 0), 0);
}

TASK_TEST(a_wait_for_a_group_is_cancelled_or_times_out) {
  weft_wait_group g = WEFT_WAIT_GROUP_INIT;
  CHECK_INT(weft_wait_group_add(&g, 1), 0);
  weft_task t = spawn_parked(wait_for_group, &g);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_wait_for(wait_for_group, &g, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_wait_group_done(&g), 0);
  CHECK_INT(weft_wait_group_wait(&g), 0);
}

TASK_TEST(a_wait_group_may_die_as_soon_as_its_only_waiter_has_gone_on) {
  for (int i = 0; i < count(COUNT_RACES / 20); i++) {
    weft_wait_group *g = calloc(1, sizeof *g);
    CHECK_INT(weft_wait_group_add(g, 2), 0);
    weft_task t[2] = {weft_spawn(one_is_done, g, NULL), weft_spawn(one_is_done, g, NULL)};
    for (int k = i % 3; k > 0; k--) weft_yield();
    CHECK_INT(weft_wait_group_wait(g), 0);
    free(g);
    CHECK_INT(weft_await(t[0]), 0);
    CHECK_INT(weft_await(t[1]), 0);
  }
}

enum { THINGS = 500 };

struct things {
  weft_wait_group group;
  int done[2]; /* plain: the group orders them */
};

static void *do_things_0(void *arg) {
  struct things *w = arg;
  for (int i = 0; i < count(THINGS); i++) {
    w->done[0]++;
    weft_wait_group_done(&w->group);
  }
  return NULL;
}
static void *do_things_1(void *arg) {
  struct things *w = arg;
  for (int i = 0; i < count(THINGS); i++) {
    w->done[1]++;
    weft_wait_group_done(&w->group);
  }
  return NULL;
}

TASK_TEST(plain_threads_tell_a_group) {
  struct things w = {.done = {0, 0}};
  pthread_t thread[2];
  weft_wait_group_add(&w.group, 2 * (unsigned)count(THINGS));
  if (!CHECK_INT(weft__sys_thread_create(&thread[0], NULL, do_things_0, &w), 0)) return;
  if (CHECK_INT(weft__sys_thread_create(&thread[1], NULL, do_things_1, &w), 0)) {
    CHECK_INT(weft_wait_group_wait(&w.group), 0);
    CHECK_INT(w.done[0] + w.done[1], 2 * count(THINGS));
    weft__sys_thread_join(thread[1]);
  }
  weft__sys_thread_join(thread[0]);
}

/* ---- once ---- */

struct job {
  weft_once once;
  struct latch begun, go;
  atomic_int runs;
  int code;     /* of the function */
  int value;    /* plain: once orders it */
  bool suspend; /* the function waits for go */
};

static int run_job(void *arg) {
  struct job *j = arg;
  atomic_fetch_add(&j->runs, 1);
  latch_hit(&j->begun);
  if (j->suspend) {
    int r = latch_wait(&j->go, 1);
    if (r < 0) return r;
  }
  j->value++;
  return j->code;
}

static int call_once(void *arg) {
  struct job *j = arg;
  int r = weft_once_run(&j->once, run_job, j);
  if (r == 0) CHECK_INT(j->value, 1);
  return r;
}

TASK_TEST(what_is_done_once_is_not_done_again) {
  struct job j = {.code = 5};
  CHECK(!weft_once_done(&j.once));
  for (int i = 0; i < 3; i++) CHECK_INT(call_once(&j), 0);
  CHECK(weft_once_done(&j.once));
  CHECK_INT(atomic_load(&j.runs), 1);
}

TASK_TEST(others_wait_for_the_end_of_the_one_run) {
  enum { CALLERS = 6 };
  struct job j = {.suspend = true};
  weft_task t[CALLERS];
  for (int i = 0; i < CALLERS; i++) t[i] = weft_spawn(call_once, &j, NULL);
  CHECK_INT(latch_wait(&j.begun, 1), 0);
  CHECK(!weft_once_done(&j.once));
  latch_hit(&j.go);
  for (int i = 0; i < CALLERS; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK_INT(atomic_load(&j.runs), 1);
}

TASK_TEST(a_failed_run_lets_the_next_caller_try) {
  struct job j = {.code = OWN_ERROR};
  CHECK_INT(weft_once_run(&j.once, run_job, &j), OWN_ERROR);
  CHECK(!weft_once_done(&j.once));
  j.value = 0;
  j.code = 0;
  CHECK_INT(call_once(&j), 0);
  CHECK_INT(atomic_load(&j.runs), 2);
}

TASK_TEST(a_cancelled_run_hands_its_turn_to_the_oldest_waiter) {
  struct job j = {.suspend = true};
  weft_task first = weft_spawn(call_once, &j, NULL);
  CHECK_INT(latch_wait(&j.begun, 1), 0);
  weft_task second = spawn_parked(call_once, &j);
  weft_task third = spawn_parked(call_once, &j);
  CHECK_INT(weft_cancel(first), 1);
  CHECK_INT(weft_await(first), WEFT_ECANCELED);
  CHECK_INT(latch_wait(&j.begun, 2), 0);
  CHECK(is_parked(third));
  latch_hit(&j.go);
  CHECK_INT(weft_await(second), 0);
  CHECK_INT(weft_await(third), 0);
  CHECK_INT(atomic_load(&j.runs), 2);
}

TASK_TEST(a_cancelled_waiter_of_once_leaves_the_run_alone) {
  struct job j = {.suspend = true};
  weft_task first = weft_spawn(call_once, &j, NULL);
  CHECK_INT(latch_wait(&j.begun, 1), 0);
  weft_task second = spawn_parked(call_once, &j);
  CHECK_INT(weft_cancel(second), 1);
  CHECK_INT(weft_await(second), WEFT_ECANCELED);
  latch_hit(&j.go);
  CHECK_INT(weft_await(first), 0);
  CHECK_INT(atomic_load(&j.runs), 1);
}

static int call_inside(void *arg) {
  struct job *j = arg;
  return weft_once_run(&j->once, run_job, j);
}

TASK_TEST(wrong_use_of_once_is_a_named_error) {
  struct job j = {.code = 0};
  CHECK_INT(weft_once_run(&j.once, call_inside, &j), WEFT_EDEADLK);
  CHECK_INT(weft_once_run(&j.once, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(atomic_load(&j.runs), 0);
  CHECK_INT(call_once(&j), 0);
}

static void outside_a_task_once_is_enotask(void **state) {
  (void)state;
  struct job j = {.code = 0};
  weft_wait_group g = WEFT_WAIT_GROUP_INIT;
  CHECK_INT(weft_once_run(&j.once, run_job, &j), WEFT_ENOTASK);
  CHECK_INT(atomic_load(&j.runs), 0);
  CHECK_INT(weft_wait_group_add(&g, 1), 0);
  CHECK_INT(weft_wait_group_done(&g), 0);
  CHECK_INT(weft_wait_group_wait(&g), 0);
}

/* Fails now and then, for callers that are cancelled now and then. */
static int fail_sometimes(void *arg) {
  struct job *j = arg;
  int run = atomic_fetch_add(&j->runs, 1);
  int r = weft_yield();
  if (r == 0 && run % 4 != 3) r = OWN_ERROR;
  if (r == 0) j->value++;
  return r;
}

static int call_until_done(void *arg) {
  struct job *j = arg;
  int r;
  while ((r = weft_once_run(&j->once, fail_sometimes, j)) != 0) {
    if (!CHECK(r == OWN_ERROR || r == WEFT_ECANCELED)) break;
    weft_cancel_catch();
  }
  CHECK_INT(j->value, 1);
  return r;
}

TASK_TEST(it_is_done_once_whatever_fails_on_the_way) {
  enum { CALLERS = 6 };
  for (int i = 0; i < count(COUNT_RACES / 100); i++) {
    struct job j = {.code = 0};
    weft_task t[CALLERS];
    for (int k = 0; k < CALLERS; k++) t[k] = weft_spawn(call_until_done, &j, NULL);
    weft_yield();
    for (int k = 0; k < 3; k++) weft_cancel(t[(i + k) % CALLERS]);
    for (int k = 0; k < CALLERS; k++) {
      CHECK_INT(weft_task_wait(t[k], NULL), 0);
      weft_await(t[k]);
    }
    CHECK_INT(j.value, 1);
    if (!CHECK(weft_once_done(&j.once))) return;
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_wait_lasts_until_all_are_done),
    cmocka_unit_test(done_too_often_is_estate),
    cmocka_unit_test(a_wait_for_a_group_is_cancelled_or_times_out),
    cmocka_unit_test(a_wait_group_may_die_as_soon_as_its_only_waiter_has_gone_on),
    cmocka_unit_test(plain_threads_tell_a_group),
    cmocka_unit_test(what_is_done_once_is_not_done_again),
    cmocka_unit_test(others_wait_for_the_end_of_the_one_run),
    cmocka_unit_test(a_failed_run_lets_the_next_caller_try),
    cmocka_unit_test(a_cancelled_run_hands_its_turn_to_the_oldest_waiter),
    cmocka_unit_test(a_cancelled_waiter_of_once_leaves_the_run_alone),
    cmocka_unit_test(wrong_use_of_once_is_a_named_error),
    cmocka_unit_test(outside_a_task_once_is_enotask),
    cmocka_unit_test(it_is_done_once_whatever_fails_on_the_way),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
