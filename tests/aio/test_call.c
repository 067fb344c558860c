/* Callbacks: soon, later, at a time; and how they are withdrawn. */
#include <stdatomic.h>
#include <weft.h>

#include "base/sys.h"
#include "core/worker.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"
#include "threads.h"

static int order[1024], filled; /* by callbacks that cannot run at the same time */
static int numbers[1024];

static int *number(int i) {
  numbers[i] = i;
  return &numbers[i];
}

static int note_place(void *arg) {
  order[filled++] = *(int *)arg;
  return 0;
}

static void check_order(int n) {
  CHECK_INT(filled, n);
  for (int i = 0; i < n && i < filled; i++)
    if (!CHECK_INT(order[i], i)) return;
}

/* Timers that are armed, in all heaps. By a task, with no other running. */
static uint32_t armed(void) {
  struct weft__runtime *rt = weft__self()->rt;
  uint32_t n = 0;
  for (unsigned i = 0; i < rt->nworkers; i++) {
    struct weft__timers *h = &rt->workers[i].own_timers;
    weft__spin_lock(&h->lock);
    n += h->count;
    weft__spin_unlock(&h->lock);
  }
  return n;
}

/* The rules of asyncio's one order hold in exact mode and in a strand: each of these is shown in both. */
#define ORDER_TEST(name)                                                                           \
  static void name##_rule(void);                                                                   \
  static int name##_first(void *arg) {                                                             \
    (void)arg;                                                                                     \
    filled = 0;                                                                                    \
    name##_rule();                                                                                 \
    return 0;                                                                                      \
  }                                                                                                \
  EXACT_TEST(name##_in_exact_mode) {                                                               \
    name##_first(NULL);                                                                            \
  }                                                                                                \
  TASK_TEST(name##_in_a_strand) {                                                                  \
    CHECK_INT(weft_strand_run(name##_first, NULL), 0);                                             \
  }                                                                                                \
  static void name##_rule(void)

static void yield_until_filled(int n) {
  while (filled < n) CHECK_INT(weft_yield(), 0);
}

/* ---- soon ---- */

ORDER_TEST(R1_callbacks_run_in_the_order_they_were_made) {
  for (int i = 0; i < 100; i++)
    CHECK_INT(weft_call_error(weft_call_soon(note_place, number(i))), 0);
  CHECK_INT(filled, 0);
  CHECK_INT(weft_yield(), 0);
  check_order(100); /* all in one turn */
}

static int add_two(void *arg) {
  note_place(arg);
  weft_call_soon(note_place, number(3));
  weft_call_soon(note_place, number(4));
  return 0;
}

ORDER_TEST(R1_what_a_turn_adds_runs_in_the_next) {
  weft_call_soon(add_two, number(0));
  weft_call_soon(note_place, number(1));
  weft_call_soon(note_place, number(2));
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(filled, 3);
  CHECK_INT(weft_yield(), 0);
  check_order(5);
}

ORDER_TEST(R1_a_callback_withdrawn_before_its_turn_does_not_run) {
  weft_call c[6];
  for (int i = 0; i < 6; i++) c[i] = weft_call_soon(note_place, number(i / 2));
  for (int i = 1; i < 6; i += 2) CHECK_INT(weft_call_cancel(c[i]), 1);
  for (int i = 1; i < 6; i += 2) CHECK_INT(weft_call_cancel(c[i]), 0); /* it was */
  CHECK_INT(weft_yield(), 0);
  check_order(3);
  for (int i = 0; i < 6; i++) CHECK_INT(weft_call_cancel(c[i]), 0);
}

static int withdraw(void *arg) {
  note_place(number(0));
  CHECK_INT(weft_call_cancel(*(weft_call *)arg), 1);
  return 0;
}

ORDER_TEST(R1_a_callback_withdraws_the_next) {
  weft_call c;
  weft_call_soon(withdraw, &c);
  c = weft_call_soon(note_place, number(1));
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_yield(), 0);
  check_order(1);
}

static int note_around_a_yield(void *arg) {
  note_place(arg);
  int r = weft_yield();
  note_place(number(2));
  return r;
}

ORDER_TEST(a_callback_may_suspend) {
  weft_call c = weft_call_soon(note_around_a_yield, number(0));
  weft_call_soon(note_place, number(1));
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(filled, 2);
  CHECK_INT(weft_call_cancel(c), 0); /* it has begun */
  yield_until_filled(3);
  check_order(3);
}

/* ---- later ---- */

struct dated {
  int place;
  weft_ns when;
};

static int note_when_due(void *arg) {
  struct dated *d = arg;
  CHECK(weft_now() >= d->when);
  order[filled++] = d->place;
  return 0;
}

/* How far apart timers are that are armed one after the other by one task. */
static weft_ns apart(void) {
  return weft_ms(counts_simulated() ? 500 : 2);
}

static void sleep_until_filled(int n) {
  while (filled < n) CHECK_INT(weft_sleep(apart()), 0);
}

ORDER_TEST(R2_callbacks_begin_by_their_time_and_never_early) {
  enum { N = 48 };
  struct dated d[N];
  weft_ns begin = weft_now() + (counts_simulated() ? weft_sec(20) : weft_ms(20 * COUNTS_SLOWER));
  for (int i = 0; i < N; i++) {
    int place = (i * 35) % N; /* every place once, shuffled */
    d[i] = (struct dated){place, begin + apart() * place};
    weft_call c = weft_call_at(d[i].when, note_when_due, &d[i]);
    CHECK_INT(weft_call_when(c), d[i].when);
  }
  sleep_until_filled(N);
  check_order(N);
}

ORDER_TEST(R2_callbacks_of_one_time_begin_in_the_order_they_were_made) {
  enum { N = 100 };
  struct dated d[N];
  weft_ns when = weft_now() + apart();
  for (int i = 0; i < N; i++) {
    d[i] = (struct dated){i, when};
    weft_call_at(when, note_when_due, &d[i]);
  }
  sleep_until_filled(N);
  check_order(N);
}

/* Those without a delay are due at once, but a turn is a turn: what was ready before goes first. */
EXACT_TEST(R2_no_delay_and_a_negative_one_are_the_next_turn) {
  filled = 0;
  struct dated d[4];
  for (int i = 0; i < 4; i++) d[i] = (struct dated){i + 1, 0};
  weft_call_later(0, note_when_due, &d[3]);
  weft_call_later(-weft_sec(1), note_when_due, &d[2]);
  weft_call_at(1, note_when_due, &d[1]);
  weft_call_later(INT64_MIN, note_when_due, &d[0]);
  weft_call_soon(note_place, number(0));
  CHECK_INT(filled, 0);
  yield_until_filled(5);
  check_order(5);
}

/* While this one runs other workers may look at the timers: those that are due queue up then. */
static int nothing_begins_meanwhile(void *arg) {
  (void)arg;
  filled = 0;
  for (int i = 0; i < 4; i++) weft_call_later(-i, note_place, number(i));
  burn_ns(weft_us(100));
  CHECK_INT(filled, 0);
  yield_until_filled(4);
  CHECK_INT(order[0] + order[1] + order[2] + order[3], 6);
  return 0;
}

TASK_TEST(R2_what_is_due_at_once_in_a_strand_waits_for_its_turn) {
  CHECK_INT(weft_strand_run(nothing_begins_meanwhile, NULL), 0);
}

TASK_TEST(R2_a_delay_is_counted_from_the_call) {
  struct latch l = {0};
  weft_ns before = weft_now();
  weft_call c = weft_call_later(weft_ms(5), hit_and_return, &l);
  weft_ns after = weft_now();
  CHECK(weft_call_when(c) >= before + weft_ms(5));
  CHECK(weft_call_when(c) <= after + weft_ms(5));
  CHECK_INT(latch_wait(&l, 1), 0);
  CHECK(weft_now() >= weft_call_when(c));
  CHECK_INT(weft_call_cancel(c), 0);
}

struct due {
  struct latch *l;
  weft_ns when;
};

static int hit_when_due(void *arg) {
  struct due *d = arg;
  CHECK(weft_now() >= d->when);
  return hit_and_return(d->l);
}

TASK_TEST(R2_many_callbacks_are_never_early) {
  static struct due d[COUNT_SLEEPERS];
  struct latch l = {0};
  const int n = count(COUNT_SLEEPERS);
  for (int i = 0; i < n; i++) {
    d[i] = (struct due){&l, weft_now() + weft_us(i * 7 % 5000)};
    CHECK_INT(weft_call_error(weft_call_at(d[i].when, hit_when_due, &d[i])), 0);
  }
  CHECK_INT(latch_wait(&l, n), 0);
}

TASK_TEST(a_callback_for_never_never_begins) {
  struct latch l = {0};
  uint32_t before = armed();
  weft_call a = weft_call_later(WEFT_FOREVER, hit_and_return, &l);
  weft_call b = weft_call_at(WEFT_FOREVER, hit_and_return, &l);
  weft_call c = weft_call_later(WEFT_FOREVER - 1, hit_and_return, &l);
  CHECK_INT(weft_call_when(c), WEFT_FOREVER);
  CHECK_UINT(armed(), before);
  CHECK_INT(weft_call_cancel(a), 1);
  CHECK_INT(weft_sleep(weft_ms(2)), 0);
  CHECK_INT(latch_hits(&l), 0);
  CHECK_INT(weft_call_cancel(a), 0);
  CHECK_INT(weft_call_cancel(b), 1);
  CHECK_INT(weft_call_error(c), 0); /* dropped at the end of the run */
}

/* ---- what it runs in ---- */

struct seen {
  struct latch done;
  void *value;
};
static weft_local color = WEFT_LOCAL_INIT("color", NULL);

static int see_color(void *arg) {
  struct seen *s = arg;
  s->value = weft_local_get(&color, NULL);
  CHECK_INT(weft_local_set(&color, "its own", NULL), 0);
  latch_hit(&s->done);
  return 0;
}

TASK_TEST(F6_a_callback_runs_in_the_context_in_which_it_was_made) {
  char red[] = "red", blue[] = "blue";
  struct seen soon = {0}, later = {0}, after = {0};
  CHECK_INT(weft_local_set(&color, red, NULL), 0);
  weft_call_soon(see_color, &soon);
  weft_call_later(weft_us(50), see_color, &later);
  CHECK_INT(weft_local_set(&color, blue, NULL), 0);
  weft_call_later(weft_us(20), see_color, &after);
  CHECK_INT(latch_wait(&soon.done, 1), 0);
  CHECK_INT(latch_wait(&later.done, 1), 0);
  CHECK_INT(latch_wait(&after.done, 1), 0);
  CHECK_PTR(soon.value, red);
  CHECK_PTR(later.value, red);
  CHECK_PTR(after.value, blue);
  CHECK_PTR(weft_local_get(&color, NULL), blue);
}

/* ---- withdrawn ---- */

TASK_TEST(R1_a_withdrawn_callback_leaves_no_timer_and_no_task) {
  enum { N = 200 };
  weft_call c[N];
  struct latch l = {0};
  uint32_t timers = armed();
  int tasks = weft_tasks(NULL, 0);
  for (int i = 0; i < N; i++) c[i] = weft_call_later(A_LONG_TIME + i % 7, hit_and_return, &l);
  CHECK_UINT(armed(), timers + N);
  for (int i = 0; i < N; i++) CHECK_INT(weft_call_cancel(c[(i * 7) % N]), 1);
  CHECK_UINT(armed(), timers);
  CHECK_INT(weft_tasks(NULL, 0), tasks);
  for (int i = 0; i < N; i++) CHECK_INT(weft_call_cancel(c[i]), 0);
  CHECK_INT(latch_hits(&l), 0);
}

struct race {
  weft_call c;
  struct latch ran;
};

static int run_once(void *arg) {
  struct race *r = arg;
  latch_hit(&r->ran);
  return 0;
}

static int withdraw_it(void *arg) {
  struct race *r = arg;
  return weft_call_cancel(r->c);
}

/* Its time, its withdrawal and its beginning meet: it runs, or was withdrawn, never both or neither. */
TASK_TEST(R1_withdrawn_or_run_whichever_is_first) {
  enum { MOST = COUNT_RACES / 20 };
  int withdrawn = 0;
  const int n = count(MOST);
  for (int i = 0; i < n; i++) {
    struct race r = {0};
    r.c =
        i % 4 == 0 ? weft_call_soon(run_once, &r) : weft_call_later(weft_us(i % 40), run_once, &r);
    weft_task t = weft_spawn(withdraw_it, &r, NULL);
    if (i % 3) CHECK_INT(weft_sleep(weft_us(i % 50)), 0);
    int by_task = weft_task_wait(t, NULL);
    CHECK_INT(by_task, 0);
    int r1 = weft_await(t), r2 = weft_call_cancel(r.c);
    CHECK(r1 + r2 <= 1);
    withdrawn += r1 + r2;
    if (r1 + r2 == 0) CHECK_INT(latch_wait(&r.ran, 1), 0);
    if (!CHECK_INT(latch_hits(&r.ran) + r1 + r2, 1)) return;
  }
  CHECK(withdrawn <= n);
}

static void *withdraw_on_a_thread(void *arg) {
  struct race *r = arg;
  CHECK_INT(weft_call_cancel(r->c), 1);
  latch_hit(&r->ran);
  return NULL;
}

TASK_TEST(a_thread_outside_withdraws_a_callback) {
  struct race r = {0};
  int tasks = weft_tasks(NULL, 0);
  pthread_t thread;
  r.c = weft_call_later(A_LONG_TIME, hit_and_return, &r.ran);
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, withdraw_on_a_thread, &r), 0)) return;
  CHECK_INT(latch_wait(&r.ran, 1), 0);
  weft__sys_thread_join(thread);
  CHECK_INT(wait_until_live(tasks), 0);
  CHECK_INT(latch_hits(&r.ran), 1);
}

/* A cancel of the task that a callback is comes before it begins, as a withdrawal does. */
TASK_TEST(T2_a_cancelled_callback_never_begins) {
  struct latch l = {0};
  weft_task list[8];
  int before = weft_tasks(NULL, 0);
  weft_call c = weft_call_later(A_LONG_TIME, hit_and_return, &l);
  int n = weft_tasks(list, 8);
  CHECK_INT(n, before + 1);
  for (int i = 0; i < n && i < 8; i++)
    if (list[i].slot_ == c.slot_) CHECK_INT(weft_cancel(list[i]), 1);
  CHECK_INT(wait_until_live(before), 0);
  CHECK_INT(weft_call_cancel(c), 0);
  CHECK_INT(latch_hits(&l), 0);
}

/* ---- the end ---- */

static int leave_callbacks(void *arg) {
  struct latch *l = arg;
  for (int i = 0; i < 20; i++) weft_call_later(weft_sec(1000 + i), hit_and_return, l);
  weft_call_later(WEFT_FOREVER, hit_and_return, l);
  return 5;
}

static void callbacks_left_are_dropped_with_the_run(void **state) {
  struct latch l = {0};
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  const weft_run_opts o = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(leave_callbacks, &l, &o), 5);
  CHECK_INT(latch_hits(&l), 0);
  CHECK_INT(log.total, 0);
}

static int call_a_failing_one(void *arg) {
  struct latch *l = arg;
  weft_call_soon(return_own_error, NULL);
  weft_call_later(weft_us(100), return_own_error, NULL);
  weft_call_later(weft_us(200), hit_and_return, l);
  return wait_until_live(1);
}

static void a_failing_callback_is_reported_and_stops_nothing(void **state) {
  struct latch l = {0};
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  const weft_run_opts o = {.log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(call_a_failing_one, &l, &o), 0);
  CHECK_INT(latch_hits(&l), 1);
  if (!CHECK_INT(log_capture_count(&log, "nobody awaits it"), 2)) log_capture_print(&log);
}

/* asyncio's loop.stop: whoever has the main task's handle ends the run by cancelling it. What is ready by
 * then has its turn; what comes later is dropped. */
struct stop {
  weft_task main;
};

static int stop_the_run(void *arg) {
  struct stop *s = arg;
  note_place(number(1));
  weft_call_soon(note_place, number(4));
  CHECK_INT(weft_cancel(s->main), 1);
  weft_call_soon(note_place, number(5));
  return 0;
}

static int run_until_stopped(void *arg) {
  struct stop *s = arg;
  s->main = weft_current();
  weft_call_soon(note_place, number(0));
  weft_call_soon(stop_the_run, s);
  weft_call_soon(note_place, number(2));
  weft_call_later(A_LONG_TIME, note_place, number(6));
  int r = weft_sleep(WEFT_FOREVER);
  note_place(number(r == WEFT_ECANCELED ? 3 : 7));
  /* Its own turn comes after those that were ready, and 4 was before it. */
  return 8;
}

static void R6_the_turn_in_which_the_main_task_is_stopped_is_finished(void **state) {
  struct stop s = {0};
  (void)state;
  filled = 0;
  CHECK_INT(weft_run(run_until_stopped, &s, &(weft_run_opts){.workers = 1, .exact = true}), 8);
  static const int want[] = {0, 1, 2, 4, 3};
  CHECK_INT(filled, 5);
  for (int i = 0; i < 5 && i < filled; i++) CHECK_INT(order[i], want[i]);
}

/* ---- wrong use ---- */

static void *call_on_a_thread(void *arg) {
  CHECK_INT(weft_call_error(weft_call_soon(hit_and_return, arg)), WEFT_ENOTASK);
  CHECK_INT(weft_call_error(weft_call_later(1, hit_and_return, arg)), WEFT_ENOTASK);
  latch_hit(arg);
  return NULL;
}

TASK_TEST(R3_a_thread_outside_makes_no_callbacks_but_submits) {
  struct latch l = {0};
  pthread_t thread;
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, call_on_a_thread, &l), 0)) return;
  CHECK_INT(latch_wait(&l, 1), 0);
  weft__sys_thread_join(thread);
  CHECK_INT(latch_hits(&l), 1);
}

static void outside_a_task_there_are_no_callbacks(void **state) {
  (void)state;
  CHECK_INT(weft_call_error(weft_call_soon(return_zero, NULL)), WEFT_ENOTASK);
  CHECK_INT(weft_call_cancel(weft_call_later(1, return_zero, NULL)), WEFT_ENOTASK);
  CHECK_INT(weft_call_error(weft_call_at(1, return_zero, NULL)), WEFT_ENOTASK);
}

TASK_TEST(wrong_use_of_callbacks_is_answered) {
  CHECK_INT(weft_call_error(weft_call_soon(NULL, NULL)), WEFT_EINVAL);
  CHECK_INT(weft_call_error(weft_call_later(5, NULL, NULL)), WEFT_EINVAL);
  CHECK_INT(weft_call_cancel((weft_call){0}), WEFT_EINVAL);
  CHECK_INT(weft_call_error((weft_call){0}), WEFT_EINVAL);
  CHECK_INT(weft_call_when((weft_call){0}), 0);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

#define BOTH(name) cmocka_unit_test(name##_in_exact_mode), cmocka_unit_test(name##_in_a_strand)

static const struct CMUnitTest tests[] = {
    BOTH(R1_callbacks_run_in_the_order_they_were_made),
    BOTH(R1_what_a_turn_adds_runs_in_the_next),
    BOTH(R1_a_callback_withdrawn_before_its_turn_does_not_run),
    BOTH(R1_a_callback_withdraws_the_next),
    BOTH(a_callback_may_suspend),
    BOTH(R2_callbacks_begin_by_their_time_and_never_early),
    BOTH(R2_callbacks_of_one_time_begin_in_the_order_they_were_made),
    cmocka_unit_test(R2_no_delay_and_a_negative_one_are_the_next_turn),
    cmocka_unit_test(R2_what_is_due_at_once_in_a_strand_waits_for_its_turn),
    cmocka_unit_test(R2_a_delay_is_counted_from_the_call),
    cmocka_unit_test(R2_many_callbacks_are_never_early),
    cmocka_unit_test(a_callback_for_never_never_begins),
    cmocka_unit_test(R1_a_withdrawn_callback_leaves_no_timer_and_no_task),
    cmocka_unit_test(R1_withdrawn_or_run_whichever_is_first),
    cmocka_unit_test(a_thread_outside_withdraws_a_callback),
    cmocka_unit_test(T2_a_cancelled_callback_never_begins),
    cmocka_unit_test(callbacks_left_are_dropped_with_the_run),
    cmocka_unit_test(a_failing_callback_is_reported_and_stops_nothing),
    cmocka_unit_test(R6_the_turn_in_which_the_main_task_is_stopped_is_finished),
    cmocka_unit_test(F6_a_callback_runs_in_the_context_in_which_it_was_made),
    cmocka_unit_test(R3_a_thread_outside_makes_no_callbacks_but_submits),
    cmocka_unit_test(outside_a_task_there_are_no_callbacks),
    cmocka_unit_test(wrong_use_of_callbacks_is_answered),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
