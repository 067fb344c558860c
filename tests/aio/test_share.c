/* weft_task_share: a task as a future, for several awaiters. */
#include <weft.h>

#include "future_test.h"
#include "log_capture.h"
#include "task_test.h"

TASK_TEST(T9_a_shared_task_gives_its_code_to_every_awaiter) {
  weft_future *f = NULL;
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_task_share(t, &f), 0);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  struct awaited a = {.f = f}, b = {.f = f};
  weft_task ta = weft_spawn(await_future, &a, NULL), tb = weft_spawn(await_future, &b, NULL);
  CHECK_INT(weft_await(ta), 7);
  CHECK_INT(weft_await(tb), 7);
  CHECK_INT(weft_future_get(f, NULL), 7);
  weft_future_unref(f);
}

TASK_TEST(T9_cancelling_one_awaiter_of_a_shared_task_cancels_it_for_all) {
  struct latch begun = {0}, waiting = {0};
  weft_future *f = NULL;
  CHECK_INT(weft_task_share(weft_spawn(hit_and_park, &begun, NULL), &f), 0);
  struct awaited a = {f, &waiting, 0, 0}, b = {f, &waiting, 0, 0};
  weft_task ta = weft_spawn(await_future, &a, NULL), tb = weft_spawn(await_future, &b, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  CHECK_INT(latch_wait(&waiting, 2), 0);
  CHECK_INT(weft_cancel(ta), 1);
  CHECK_INT(weft_await(ta), WEFT_ECANCELED);
  CHECK_INT(weft_await(tb), WEFT_ECANCELED);
  CHECK(weft_future_cancelled(f));
  weft_future_unref(f);
}

static int refuse_once(void *arg) {
  latch_hit(arg);
  CHECK_INT(weft_sleep(A_LONG_TIME), WEFT_ECANCELED);
  CHECK(weft_cancel_catch());
  return 4;
}

TASK_TEST(T8_a_shared_task_that_refuses_its_cancel_does_not_interrupt_the_awaiter) {
  struct latch begun = {0}, waiting = {0};
  weft_future *f = NULL;
  CHECK_INT(weft_task_share(weft_spawn(refuse_once, &begun, NULL), &f), 0);
  struct awaited a = {f, &waiting, 0, 0};
  weft_task ta = weft_spawn(await_future, &a, NULL);
  CHECK_INT(latch_wait(&begun, 1), 0);
  CHECK_INT(latch_wait(&waiting, 1), 0);
  CHECK_INT(weft_cancel(ta), 1);
  CHECK_INT(weft_await(ta), 4);
  weft_future_unref(f);
}

static int share_and_forget(void *arg) {
  (void)arg;
  struct latch end = {0};
  weft_future *f = NULL;
  CHECK_INT(weft_task_share(weft_spawn(return_own_error, NULL, NULL), &f), 0);
  weft_future_unref(f);
  CHECK_INT(wait_until_live(1), 0);
  (void)end;
  return 0;
}

static void F7_a_shared_task_that_fails_unseen_is_reported_once(void **state) {
  (void)state;
  struct log_capture log = LOG_CAPTURE_INIT;
  weft_run_opts opts = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(share_and_forget, NULL, &opts), 0);
  if (!CHECK_INT(log_capture_count(&log, "failed"), 1)) log_capture_print(&log);
}

static int await_own_future(void *arg) {
  struct awaited *a = arg;
  CHECK_INT(latch_wait(a->waiting, 1), 0);
  return weft_future_await(a->f, NULL);
}

TASK_TEST(T13_awaiting_ones_own_future_is_a_named_error) {
  struct latch shared = {0};
  struct awaited a = {.waiting = &shared};
  CHECK_INT(weft_task_share(weft_spawn(await_own_future, &a, NULL), &a.f), 0);
  latch_hit(&shared);
  CHECK_INT(weft_future_await(a.f, NULL), WEFT_ESELF);
  weft_future_unref(a.f);
}

TASK_TEST(sharing_a_handle_that_was_consumed_is_refused) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  CHECK_INT(weft_await(t), 7);
  weft_future *f = NULL;
  CHECK_INT(weft_task_share(t, &f), WEFT_ESTALE);
  CHECK_INT(weft_task_share(weft_spawn(NULL, NULL, NULL), &f), WEFT_EINVAL);
  CHECK_INT(weft_task_share(weft_current(), &f), WEFT_ESELF);
  CHECK_PTR(f, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(T9_a_shared_task_gives_its_code_to_every_awaiter),
    cmocka_unit_test(T9_cancelling_one_awaiter_of_a_shared_task_cancels_it_for_all),
    cmocka_unit_test(T8_a_shared_task_that_refuses_its_cancel_does_not_interrupt_the_awaiter),
    cmocka_unit_test(F7_a_shared_task_that_fails_unseen_is_reported_once),
    cmocka_unit_test(T13_awaiting_ones_own_future_is_a_named_error),
    cmocka_unit_test(sharing_a_handle_that_was_consumed_is_refused),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
