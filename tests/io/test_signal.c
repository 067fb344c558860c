/* Signals: waited for, handled, given back. Every signal is sent by the process to itself. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

static const int usr1[] = {SIGUSR1};
static const int both[] = {SIGUSR1, SIGUSR2};

static weft_signal *open_both(void) {
  weft_signal *s = NULL;
  CHECK_INT(weft_signal_open(&s, both, 2), 0);
  return s;
}

/* What the system has for a signal. */
static void (*disposition(int signo))(int) {
  struct sigaction sa;
  return sigaction(signo, NULL, &sa) == 0 ? sa.sa_handler : SIG_ERR;
}

static struct latch own_hits;

static void own_handler(int signo) {
  (void)signo;
  latch_hit(&own_hits);
}

/* ---- handlers ---- */

struct called {
  struct latch latch;
  bool in_task;
};

static int on_call(void *arg) {
  struct called *c = arg;
  c->in_task = weft_yield() == 0;
  latch_hit(&c->latch);
  return 0;
}

TASK_TEST(SG1_a_handler_runs_as_a_callback_each_time) {
  struct called c = {0};
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &c), 0);
  for (int i = 1; i <= 3; i++) {
    CHECK_INT(weft_signal_raise(SIGUSR1), 0);
    CHECK_INT(latch_wait(&c.latch, i), 0);
    CHECK(c.in_task);
  }
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 0);
  CHECK_INT(latch_hits(&c.latch), 3);
}

TASK_TEST(SG1_removing_a_handler_restores_what_was_there) {
  struct called c = {0};
  if (weft_simulated()) return;
  own_hits = (struct latch){0};
  CHECK(disposition(SIGUSR1) == SIG_DFL);
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &c), 0);
  CHECK(disposition(SIGUSR1) != SIG_DFL);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK(disposition(SIGUSR1) == SIG_DFL);
  signal(SIGUSR1, SIG_IGN);
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &c), 0);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK(disposition(SIGUSR1) == SIG_IGN);
  signal(SIGUSR1, own_handler);
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &c), 0);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(latch_wait(&c.latch, 1), 0);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK(disposition(SIGUSR1) == own_handler);
  CHECK_INT(latch_hits(&own_hits), 0);
  signal(SIGUSR1, SIG_DFL);
}

TASK_TEST(a_handler_that_the_program_has_put_in_its_place_stays) {
  struct called c = {0};
  if (weft_simulated()) return;
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &c), 0);
  signal(SIGUSR1, own_handler);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK(disposition(SIGUSR1) == own_handler);
  signal(SIGUSR1, SIG_DFL);
}

TASK_TEST(SG1_a_second_handler_takes_the_place_of_the_first) {
  struct called a = {0}, b = {0};
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &a), 0);
  CHECK_INT(weft_signal_handler(SIGUSR2, on_call, &a), 0);
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &b), 0);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(latch_wait(&b.latch, 1), 0);
  CHECK_INT(latch_hits(&a.latch), 0);
  CHECK_INT(weft_signal_raise(SIGUSR2), 0);
  CHECK_INT(latch_wait(&a.latch, 1), 0);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 0);
  CHECK_INT(weft_signal_handler_remove(SIGUSR2), 1);
}

static int change_handler(void *arg) {
  int r = 0;
  for (int i = 0; r >= 0 && i < count(200); i++) {
    r = weft_signal_handler(SIGUSR1, on_call, arg);
    if (r == 0) r = weft_signal_raise(SIGUSR2);
    if (r == 0) r = weft_yield();
    if (r == 0) r = weft_signal_handler_remove(SIGUSR1);
  }
  return r < 0 ? r : 0;
}

TASK_TEST(handlers_may_be_set_and_removed_by_many_at_once) {
  struct called c = {0};
  weft_task tasks[4];
  weft_signal *s = open_both(); /* so that none of them ends the process */
  for (int i = 0; i < 4; i++) tasks[i] = weft_spawn(change_handler, &c, NULL);
  CHECK_INT(weft_gather(tasks, 4, NULL), 0);
  CHECK_INT(weft_signal_next(s, NULL), SIGUSR2);
  CHECK_INT(weft_signal_close(s), 0);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 0);
}

/* ---- waiting ---- */

static int next_of(void *s) {
  return weft_signal_next(s, NULL);
}

TASK_TEST(a_signal_that_came_before_is_there_and_one_that_comes_wakes) {
  weft_signal *s = open_both();
  CHECK_INT(weft_signal_raise(SIGUSR2), 0);
  CHECK_INT(weft_signal_next(s, NULL), SIGUSR2);
  weft_task t = spawn_parked(next_of, s);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(weft_await(t), SIGUSR1);
  CHECK_INT(weft_signal_close(s), 0);
  CHECK_INT(weft_signal_close(NULL), 0);
}

TASK_TEST(signals_that_come_together_are_counted) {
  weft_signal *s = open_both();
  unsigned times = 0, sum = 0;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  while (sum < 3) {
    CHECK_INT(weft_signal_next(s, &times), SIGUSR1);
    CHECK(times >= 1);
    sum += times;
  }
  CHECK_UINT(sum, 3);
  CHECK_INT(weft_signal_close(s), 0);
}

TASK_TEST(everybody_who_listens_gets_it) {
  struct called c = {0};
  weft_signal *a = open_both(), *b = open_both();
  CHECK_INT(weft_signal_handler(SIGUSR1, on_call, &c), 0);
  weft_task t = spawn_parked(next_of, a);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(weft_await(t), SIGUSR1);
  CHECK_INT(weft_signal_next(b, NULL), SIGUSR1);
  CHECK_INT(latch_wait(&c.latch, 1), 0);
  CHECK_INT(weft_signal_close(a), 0);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0); /* b and the handler have it still */
  CHECK_INT(weft_signal_next(b, NULL), SIGUSR1);
  CHECK_INT(latch_wait(&c.latch, 2), 0);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  CHECK_INT(weft_signal_close(b), 0);
  if (!weft_simulated()) CHECK(disposition(SIGUSR1) == SIG_DFL);
}

TASK_TEST(of_several_waiters_the_longest_waiting_gets_it) {
  weft_signal *s = open_both();
  weft_task a = spawn_parked(next_of, s), b = spawn_parked(next_of, s);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(weft_await(a), SIGUSR1);
  CHECK(!weft_task_done(b));
  CHECK_INT(weft_signal_raise(SIGUSR2), 0);
  CHECK_INT(weft_await(b), SIGUSR2);
  CHECK_INT(weft_signal_close(s), 0);
}

TASK_TEST(a_wait_that_is_cancelled_or_late_takes_nothing) {
  weft_signal *s = open_both();
  weft_timeout limit;
  weft_task t = spawn_parked(next_of, s);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_timeout_begin(&limit, weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&limit, weft_signal_next(s, NULL)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(weft_signal_next(s, NULL), SIGUSR1);
  CHECK_INT(weft_signal_close(s), 0);
}

static int serve_for_ever(void *arg) {
  (void)arg;
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(a_select_ends_with_the_signal_and_leaves_it_there) {
  weft_signal *s = open_both();
  weft_task server = spawn_parked(serve_for_ever, NULL);
  weft_awaitable set[] = {weft_task_awaitable(server), weft_signal_awaitable(s)};
  CHECK_INT(weft_signal_raise(SIGUSR2), 0);
  int code = 0;
  CHECK_INT(weft_select(set, 2, &code), 1);
  CHECK_INT(code, SIGUSR2);
  CHECK_INT(weft_select(set, 2, &code), 1); /* as long as it is not taken */
  CHECK_INT(weft_signal_next(s, NULL), SIGUSR2);
  CHECK_INT(weft_cancel(server), 1);
  CHECK_INT(weft_select(set, 2, NULL), 0);
  CHECK_INT(weft_await(server), WEFT_ECANCELED);
  CHECK_INT(weft_signal_close(s), 0);
}

static int wait_for_it(void *arg) {
  (void)arg;
  return weft_wait_signal(both, 2);
}

TASK_TEST(a_signal_can_be_waited_for_in_one_call) {
  weft_task t = spawn_parked(wait_for_it, NULL);
  CHECK_INT(weft_signal_raise(SIGUSR2), 0);
  CHECK_INT(weft_await(t), SIGUSR2);
  t = spawn_parked(wait_for_it, NULL);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  if (!weft_simulated()) CHECK(disposition(SIGUSR2) == SIG_DFL);
}

TASK_TEST(one_that_is_waited_for_is_not_closed) {
  weft_signal *s = open_both();
  weft_task t = spawn_parked(next_of, s);
  CHECK_INT(weft_signal_close(s), WEFT_EBUSY);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  CHECK_INT(weft_await(t), SIGUSR1);
  CHECK_INT(weft_signal_close(s), 0);
}

TASK_TEST(signals_that_nobody_can_wait_for_are_refused) {
  static const int refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL,
                                SIGFPE,  SIGTRAP, SIGABRT, SIGSYS};
  static const int no_signal[] = {0, -1, 65, 1000000};
  weft_signal *s = NULL;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    const int set[] = {SIGUSR1, refused[i]};
    CHECK_INT(weft_signal_open(&s, set, 2), WEFT_ENOTSUP);
    CHECK_INT(weft_signal_handler(refused[i], return_zero, NULL), WEFT_ENOTSUP);
    CHECK_INT(weft_signal_handler_remove(refused[i]), WEFT_ENOTSUP);
    CHECK_INT(weft_wait_signal(set, 2), WEFT_ENOTSUP);
  }
  for (size_t i = 0; i < sizeof no_signal / sizeof no_signal[0]; i++) {
    CHECK_INT(weft_signal_open(&s, &no_signal[i], 1), WEFT_EINVAL);
    CHECK_INT(weft_signal_handler(no_signal[i], return_zero, NULL), WEFT_EINVAL);
    CHECK_INT(weft_signal_raise(no_signal[i]), WEFT_EINVAL);
  }
  CHECK_INT(weft_signal_open(&s, usr1, 0), WEFT_EINVAL);
  CHECK_INT(weft_signal_open(&s, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_signal_open(NULL, usr1, 1), WEFT_EINVAL);
  CHECK_INT(weft_signal_handler(SIGUSR1, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_signal_next(NULL, NULL), WEFT_EINVAL);
  CHECK_PTR(s, NULL);
  if (weft_simulated()) {
    CHECK_INT(weft_signal_raise(SIGUSR1), WEFT_ENOTSUP); /* it would end the process */
    return;
  }
  const int kept[] = {SIGUSR1, 33}; /* the C library's: all or none are taken */
  CHECK_INT(weft_signal_open(&s, kept, 2), WEFT_EINVAL);
  CHECK(disposition(SIGUSR1) == SIG_DFL);
}

static void outside_a_task_it_is_enotask(void **state) {
  (void)state;
  weft_signal *s = NULL;
  CHECK_INT(weft_signal_open(&s, usr1, 1), WEFT_ENOTASK);
  CHECK_INT(weft_signal_handler(SIGUSR1, return_zero, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_signal_handler_remove(SIGUSR1), WEFT_ENOTASK);
  CHECK_INT(weft_wait_signal(usr1, 1), WEFT_ENOTASK);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(SG1_a_handler_runs_as_a_callback_each_time),
      cmocka_unit_test(SG1_removing_a_handler_restores_what_was_there),
      cmocka_unit_test(a_handler_that_the_program_has_put_in_its_place_stays),
      cmocka_unit_test(SG1_a_second_handler_takes_the_place_of_the_first),
      cmocka_unit_test(handlers_may_be_set_and_removed_by_many_at_once),
      cmocka_unit_test(a_signal_that_came_before_is_there_and_one_that_comes_wakes),
      cmocka_unit_test(signals_that_come_together_are_counted),
      cmocka_unit_test(everybody_who_listens_gets_it),
      cmocka_unit_test(of_several_waiters_the_longest_waiting_gets_it),
      cmocka_unit_test(a_wait_that_is_cancelled_or_late_takes_nothing),
      cmocka_unit_test(a_select_ends_with_the_signal_and_leaves_it_there),
      cmocka_unit_test(a_signal_can_be_waited_for_in_one_call),
      cmocka_unit_test(one_that_is_waited_for_is_not_closed),
      cmocka_unit_test(signals_that_nobody_can_wait_for_are_refused),
      cmocka_unit_test(outside_a_task_it_is_enotask),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
