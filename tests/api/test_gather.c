/* weft_gather: with and without the list of codes. */
#include <stdatomic.h>
#include <weft.h>

#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

TASK_TEST(G1_codes_come_in_argument_order) {
  enum { N = 100 };
  static int given[N], codes[N];
  weft_task t[N];
  for (int i = 0; i < N; i++) {
    given[i] = i % 2 ? i : OWN_ERROR - i;
    t[i] = weft_spawn(return_given, &given[i], NULL);
  }
  CHECK_INT(weft_gather(t, N, codes), 0);
  for (int i = 0; i < N; i++) {
    CHECK_INT(codes[i], given[i]);
    CHECK_INT(weft_await(t[i]), WEFT_ESTALE);
  }
}

TASK_TEST(G1_gathering_nothing_returns_0) {
  int code = 12345;
  CHECK_INT(weft_gather(NULL, 0, NULL), 0);
  CHECK_INT(weft_gather(NULL, 0, &code), 0);
  CHECK_INT(code, 12345);
}

TASK_TEST(G1_the_same_handle_twice_gives_its_code_twice) {
  struct latch runs = {0};
  int codes[3] = {0};
  weft_task a = weft_spawn(return_seven, NULL, NULL), b = weft_spawn(hit_and_return, &runs, NULL);
  CHECK_INT(weft_gather((weft_task[]){a, b, a}, 3, codes), 0);
  CHECK_INT(codes[0], 7);
  CHECK_INT(codes[1], 0);
  CHECK_INT(codes[2], 7);
  CHECK_INT(latch_hits(&runs), 1);
  a = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_gather((weft_task[]){a, a}, 2, NULL), 0);
  CHECK_INT(weft_await(a), WEFT_ESTALE);
}

TASK_TEST(gather_without_codes_returns_0_when_all_succeed) {
  static weft_task t[COUNT_TASKS];
  const int n = count(COUNT_TASKS);
  struct latch runs = {0};
  for (int i = 0; i < n; i++) t[i] = weft_spawn(hit_and_return, &runs, NULL);
  CHECK_INT(weft_gather(t, (size_t)n, NULL), 0);
  CHECK_INT(latch_hits(&runs), n);
}

static int wait_then_count(void *arg) {
  struct latch *l = arg;
  int r = latch_wait(&l[0], 1);
  latch_hit(&l[1]);
  return r;
}

TASK_TEST(G2_the_first_error_returns_at_once_and_the_others_run_on) {
  static struct latch l[2]; /* of tasks that run on */
  weft_task t[4];
  l[0] = l[1] = (struct latch){0};
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(wait_then_count, l, NULL);
  t[3] = weft_spawn(return_own_error, NULL, NULL);
  CHECK_INT(weft_gather(t, 4, NULL), OWN_ERROR);
  CHECK_INT(latch_hits(&l[1]), 0);
  for (int i = 0; i < 4; i++) CHECK_INT(weft_await(t[i]), WEFT_ESTALE);
  latch_hit(&l[0]);
  CHECK_INT(latch_wait(&l[1], 3), 0);
}

TASK_TEST(G2_an_error_that_is_already_there_is_the_result) {
  struct latch parked = {0};
  weft_task t[2] = {weft_spawn(hit_and_park, &parked, NULL),
                    weft_spawn(return_own_error, NULL, NULL)};
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_task_wait(t[1], NULL), 0);
  CHECK_INT(weft_gather(t, 2, NULL), OWN_ERROR);
}

TASK_TEST(G3_cancelled_tasks_and_failed_ones_become_codes) {
  struct latch parked = {0};
  int codes[3] = {0};
  weft_task t[3] = {weft_spawn(hit_and_park, &parked, NULL),
                    weft_spawn(return_own_error, NULL, NULL), weft_spawn(return_seven, NULL, NULL)};
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_gather(t, 3, codes), 0);
  CHECK_INT(codes[0], WEFT_ECANCELED);
  CHECK_INT(codes[1], OWN_ERROR);
  CHECK_INT(codes[2], 7);
}

struct gatherer {
  struct latch parked, gathering;
  int codes[3];
  bool with_codes;
  int result, after;
};

static int gather_parked(void *arg) {
  struct gatherer *g = arg;
  weft_task t[3];
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(hit_and_park, &g->parked, NULL);
  CHECK_INT(latch_wait(&g->parked, 3), 0);
  latch_hit(&g->gathering);
  g->result = weft_gather(t, 3, g->with_codes ? g->codes : NULL);
  g->after = weft_yield();
  for (int i = 0; i < 3; i++) CHECK_INT(weft_await(t[i]), WEFT_ESTALE);
  return g->result;
}

TASK_TEST(G4_cancelling_gather_cancels_all_and_ends_cancelled) {
  for (int with_codes = 0; with_codes < 2; with_codes++) {
    struct gatherer g = {.with_codes = with_codes};
    weft_task t = weft_spawn(gather_parked, &g, NULL);
    CHECK_INT(latch_wait(&g.gathering, 1), 0);
    CHECK_INT(weft_cancel(t), 1);
    CHECK_INT(weft_await(t), WEFT_ECANCELED);
    CHECK_INT(g.result, WEFT_ECANCELED);
    CHECK_INT(g.after, WEFT_ECANCELED);
    CHECK_INT(weft_tasks(NULL, 0), 1); /* all had ended when it returned */
  }
}

TASK_TEST(G5_a_child_cancelled_from_outside_is_its_error_and_the_siblings_run_on) {
  static struct latch l[2], parked; /* of tasks that run on */
  l[0] = l[1] = parked = (struct latch){0};
  weft_task t[2] = {weft_spawn(hit_and_park, &parked, NULL), weft_spawn(wait_then_count, l, NULL)};
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_gather(t, 2, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_cancelling(weft_current()), 0);
  CHECK_INT(weft_yield(), 0); /* the caller itself is not cancelled */
  CHECK_INT(latch_hits(&l[1]), 0);
  latch_hit(&l[0]);
  CHECK_INT(latch_wait(&l[1], 1), 0);
}

TASK_TEST(a_bad_handle_is_refused_and_nothing_is_consumed) {
  int codes[2] = {12345, 12345};
  weft_task good = weft_spawn(return_seven, NULL, NULL),
            stale = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(weft_await(stale), 0);
  CHECK_INT(weft_gather((weft_task[]){good, stale}, 2, codes), WEFT_ESTALE);
  CHECK_INT(weft_gather((weft_task[]){good, stale}, 2, NULL), WEFT_ESTALE);
  CHECK_INT(weft_gather((weft_task[]){good, {0}}, 2, NULL), WEFT_EINVAL);
  CHECK_INT(weft_gather((weft_task[]){good, weft_current()}, 2, NULL), WEFT_ESELF);
  CHECK_INT(codes[0], 12345);
  CHECK_INT(weft_await(good), 7);
}

TASK_TEST(a_timeout_cuts_gather_and_ends_its_tasks) {
  struct latch parked = {0};
  weft_task t[3];
  weft_timeout s;
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 3), 0);
  CHECK_INT(weft_timeout_begin(&s, weft_ms(10)), 0);
  CHECK_INT(weft_timeout_end(&s, weft_gather(t, 3, NULL)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

static int fail_after_latch(void *latch) {
  int r = latch_wait(latch, 1);
  return r < 0 ? r : OWN_ERROR;
}

static int fail_three_times(void *arg) {
  struct latch release = {0};
  weft_task t[3];
  (void)arg;
  t[0] = weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "first failure"});
  t[1] = weft_spawn(return_own_error, NULL, &(weft_spawn_opts){.name = "second failure"});
  t[2] = weft_spawn(fail_after_latch, &release, &(weft_spawn_opts){.name = "third failure"});
  CHECK_INT(weft_task_wait(t[0], NULL), 0);
  CHECK_INT(weft_task_wait(t[1], NULL), 0);
  CHECK_INT(weft_gather(t, 3, NULL), OWN_ERROR);
  latch_hit(&release);
  return wait_until_live(1);
}

static void G2_later_errors_count_as_read(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  CHECK_INT(
      weft_run(fail_three_times, NULL, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
      0);
  CHECK_INT(log_capture_count(&log, "failure"), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(G1_codes_come_in_argument_order),
    cmocka_unit_test(G1_gathering_nothing_returns_0),
    cmocka_unit_test(G1_the_same_handle_twice_gives_its_code_twice),
    cmocka_unit_test(gather_without_codes_returns_0_when_all_succeed),
    cmocka_unit_test(G2_the_first_error_returns_at_once_and_the_others_run_on),
    cmocka_unit_test(G2_an_error_that_is_already_there_is_the_result),
    cmocka_unit_test(G3_cancelled_tasks_and_failed_ones_become_codes),
    cmocka_unit_test(G4_cancelling_gather_cancels_all_and_ends_cancelled),
    cmocka_unit_test(G5_a_child_cancelled_from_outside_is_its_error_and_the_siblings_run_on),
    cmocka_unit_test(a_bad_handle_is_refused_and_nothing_is_consumed),
    cmocka_unit_test(a_timeout_cuts_gather_and_ends_its_tasks),
    cmocka_unit_test(G2_later_errors_count_as_read),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
