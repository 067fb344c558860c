/* Conditions: the lock around each wait, who is notified, cancels in each phase. */
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

enum { WAITERS = 4 };

struct scene {
  weft_cond cond;
  int order[WAITERS]; /* guarded by the condition's lock, as the rest */
  int n;
  int value;
};

struct waiter {
  struct scene *scene;
  int number;
  int answer;    /* of the wait */
  bool had_lock; /* after it */
  int after;     /* of a cancel point after that */
};

static int wait_and_note(void *arg) {
  struct waiter *w = arg;
  struct scene *s = w->scene;
  int r = weft_cond_acquire(&s->cond);
  if (r < 0) return r;
  w->answer = weft_cond_wait(&s->cond);
  w->had_lock = weft_cond_locked(&s->cond);
  if (w->answer == 0) s->order[s->n++] = w->number;
  r = weft_cond_release(&s->cond);
  CHECK_INT(r, 0);
  w->after = weft_yield();
  return w->answer;
}

/* n waiters in the line, in order; nobody holds the lock. */
static void fill(struct scene *s, struct waiter *w, weft_task *t, int n) {
  for (int i = 0; i < n; i++) {
    w[i] = (struct waiter){.scene = s, .number = i, .answer = 1, .after = 1};
    t[i] = spawn_parked(wait_and_note, &w[i]);
  }
}

static void notify(struct scene *s, unsigned n) {
  CHECK_INT(weft_cond_acquire(&s->cond), 0);
  CHECK_INT(weft_cond_notify(&s->cond, n), 0);
  CHECK_INT(weft_cond_release(&s->cond), 0);
}

/* ---- the lock ---- */

static int use_without_the_lock(void *arg) {
  struct scene *s = arg;
  CHECK_INT(weft_cond_wait(&s->cond), WEFT_ESTATE);
  CHECK_INT(weft_cond_wait_for(&s->cond, return_seven, NULL), WEFT_ESTATE);
  CHECK_INT(weft_cond_notify(&s->cond, 1), WEFT_ESTATE);
  CHECK_INT(weft_cond_notify_all(&s->cond), WEFT_ESTATE);
  return 0;
}

TASK_TEST(C1_wait_and_notify_without_the_lock_are_estate) {
  struct scene s = {0};
  struct waiter w[1];
  weft_task t[1];
  use_without_the_lock(&s);
  CHECK_INT(weft_cond_release(&s.cond), WEFT_ESTATE);
  fill(&s, w, t, 1);
  notify(&s, 1);
  CHECK_INT(weft_await(t[0]), 0);
}

TASK_TEST(C1_that_another_task_holds_the_lock_is_not_enough) {
  struct scene s = {0};
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  weft_task t = weft_spawn(use_without_the_lock, &s, NULL);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK(weft_cond_locked(&s.cond));
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_cond_release(&s.cond), 0);
}

static int acquire_and_end(void *arg) {
  return weft_cond_acquire(&((struct scene *)arg)->cond);
}

/* Nor that an earlier task did, whose memory is the caller's now. */
EXACT_TEST(C1_that_a_task_which_has_ended_holds_the_lock_is_not_enough) {
  struct scene s = {0};
  weft_task gone = weft_spawn(acquire_and_end, &s, NULL);
  int again = 0;
  CHECK_INT(weft_await(gone), 0);
  for (int i = 0; i < count(100); i++) {
    weft_task t = weft_spawn(use_without_the_lock, &s, NULL);
    again += t.slot_ == gone.slot_;
    CHECK_INT(weft_await(t), 0);
  }
  CHECK(again > 0);
  CHECK_INT(weft_cond_release(&s.cond), 0);
}

static void outside_a_task_a_condition_is_enotask(void **state) {
  (void)state;
  weft_cond c = {0};
  CHECK_INT(weft_cond_wait(&c), WEFT_ENOTASK);
  CHECK_INT(weft_cond_wait_for(&c, return_seven, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_cond_notify(&c, 1), WEFT_ENOTASK);
  CHECK_INT(weft_cond_notify_all(&c), WEFT_ENOTASK);
}

TASK_TEST(a_condition_without_a_lock_of_its_own_uses_the_given_one) {
  weft_lock lock = WEFT_LOCK_INIT;
  struct scene s = {.cond = WEFT_COND_INIT(&lock)};
  struct waiter w[1];
  weft_task t[1];
  fill(&s, w, t, 1);
  CHECK(!weft_lock_locked(&lock));
  CHECK_INT(weft_lock_acquire(&lock), 0);
  CHECK(weft_cond_locked(&s.cond));
  CHECK_INT(weft_cond_notify(&s.cond, 1), 0);
  CHECK_INT(weft_lock_release(&lock), 0);
  CHECK_INT(weft_await(t[0]), 0);
}

/* ---- notify ---- */

TASK_TEST(notify_wakes_the_n_oldest) {
  struct scene s = {0};
  struct waiter w[WAITERS];
  weft_task t[WAITERS];
  fill(&s, w, t, WAITERS);
  notify(&s, 0);
  notify(&s, 2);
  CHECK_INT(weft_await(t[0]), 0);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK(is_parked(t[2]) && is_parked(t[3]));
  notify(&s, 100);
  CHECK_INT(weft_await(t[2]), 0);
  CHECK_INT(weft_await(t[3]), 0);
  CHECK_INT(s.n, WAITERS);
  for (int i = 0; i < WAITERS; i++) CHECK(w[i].had_lock);
}

EXACT_TEST(notify_all_wakes_all_in_order) {
  struct scene s = {0};
  struct waiter w[WAITERS];
  weft_task t[WAITERS];
  fill(&s, w, t, WAITERS);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  CHECK_INT(weft_cond_notify_all(&s.cond), 0);
  CHECK_INT(weft_cond_release(&s.cond), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(s.order[i], i);
}

TASK_TEST(a_notify_with_nobody_there_is_not_kept) {
  struct scene s = {0};
  notify(&s, 1);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  weft_timeout limit;
  weft_timeout_begin(&limit, weft_ms(1));
  CHECK_INT(weft_timeout_end(&limit, weft_cond_wait(&s.cond)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_cond_release(&s.cond), 0);
}

/* ---- cancels ---- */

TASK_TEST(C2_a_cancelled_wait_takes_the_lock_again_before_it_returns) {
  struct scene s = {0};
  struct waiter w[1];
  weft_task t[1];
  fill(&s, w, t, 1);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  CHECK(w[0].had_lock);
  CHECK(!weft_cond_locked(&s.cond));
}

TASK_TEST(C2_a_cancelled_wait_waits_for_a_contested_lock_through_further_cancels) {
  struct scene s = {0};
  struct waiter w[1];
  weft_task t[1];
  fill(&s, w, t, 1);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  CHECK_INT(weft_cancel(t[0]), 1);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(wait_until_parked(t[0]), 0); /* for the lock, now */
    CHECK_INT(weft_cancel(t[0]), 1);
    weft_yield();
    CHECK_INT(w[0].answer, 1);
  }
  CHECK_INT(weft_cancelling(t[0]), 4);
  CHECK_INT(weft_cond_release(&s.cond), 0);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  CHECK(w[0].had_lock);
  CHECK_INT(w[0].after, WEFT_ECANCELED);
  CHECK(!weft_cond_locked(&s.cond));
}

static int wait_on(void *cond) {
  return weft_cond_wait(cond);
}

TASK_TEST(C2_a_deadline_ends_a_wait_with_the_lock_held) {
  struct scene s = {0};
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  CHECK_INT(weft_wait_for(wait_on, &s.cond, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK(weft_cond_locked(&s.cond));
  CHECK_INT(weft_cond_notify_all(&s.cond), 0);
  CHECK_INT(weft_cond_release(&s.cond), 0);
}

TASK_TEST(C2_a_task_that_is_cancelled_already_keeps_the_lock) {
  struct scene s = {0};
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  weft_timeout limit;
  weft_timeout_begin(&limit, 0);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_cond_wait(&s.cond), WEFT_ECANCELED);
  CHECK(weft_cond_locked(&s.cond));
  CHECK_INT(weft_timeout_end(&limit, WEFT_ECANCELED), WEFT_ETIMEDOUT);
  CHECK_INT(weft_cond_release(&s.cond), 0);
}

TASK_TEST(C3_a_cancelled_waiter_uses_up_no_notify) {
  struct scene s = {0};
  struct waiter w[3];
  weft_task t[3];
  fill(&s, w, t, 3);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_cond_notify(&s.cond, 1), 0);
  CHECK_INT(weft_cond_release(&s.cond), 0);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK(is_parked(t[2]));
  notify(&s, 1);
  CHECK_INT(weft_await(t[2]), 0);
}

/* asyncio raises in the notified waiter and wakes another one for it; here the notify stands, and the
 * cancel is answered next. */
TASK_TEST(C3_a_cancel_after_the_notify_leaves_it_and_stays_pending) {
  struct scene s = {0};
  struct waiter w[2];
  weft_task t[2];
  fill(&s, w, t, 2);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  CHECK_INT(weft_cond_notify(&s.cond, 1), 0);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_cond_release(&s.cond), 0);
  CHECK_INT(weft_task_wait(t[0], NULL), 0);
  CHECK_INT(weft_await(t[0]), 0);
  CHECK_INT(w[0].after, WEFT_ECANCELED);
  CHECK(is_parked(t[1]));
  notify(&s, 1);
  CHECK_INT(weft_await(t[1]), 0);
}

/* ---- wait_for ---- */

static int value_of(void *arg) {
  struct scene *s = arg;
  s->n++;
  CHECK(weft_cond_locked(&s->cond));
  return s->value;
}

static int wait_for_value(void *arg) {
  struct scene *s = arg;
  CHECK_INT(weft_cond_acquire(&s->cond), 0);
  int r = weft_cond_wait_for(&s->cond, value_of, s);
  CHECK(weft_cond_locked(&s->cond));
  CHECK_INT(weft_cond_release(&s->cond), 0);
  return r;
}

TASK_TEST(wait_for_ends_when_its_predicate_is_true) {
  struct scene s = {0};
  weft_task t = spawn_parked(wait_for_value, &s);
  notify(&s, 1);
  wait_until_parked(t);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  while (s.n < 2) { /* it has not looked yet */
    CHECK_INT(weft_cond_release(&s.cond), 0);
    weft_yield();
    CHECK_INT(weft_cond_acquire(&s.cond), 0);
  }
  s.value = 5;
  CHECK_INT(weft_cond_notify(&s.cond, 1), 0);
  CHECK_INT(weft_cond_release(&s.cond), 0);
  CHECK_INT(weft_await(t), 5);
  CHECK_INT(s.n, 3);
}

TASK_TEST(wait_for_returns_at_once_what_is_not_0) {
  struct scene s = {.value = 7};
  CHECK_INT(wait_for_value(&s), 7);
  s.value = OWN_ERROR;
  CHECK_INT(wait_for_value(&s), OWN_ERROR);
  CHECK_INT(s.n, 2);
  CHECK_INT(weft_cond_acquire(&s.cond), 0);
  CHECK_INT(weft_cond_wait_for(&s.cond, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_cond_release(&s.cond), 0);
}

TASK_TEST(wait_for_is_cancelled_with_the_lock_held) {
  struct scene s = {0};
  weft_task t = spawn_parked(wait_for_value, &s);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(!weft_cond_locked(&s.cond));
}

/* ---- many: a store of limited size, with a condition on each side of one lock ---- */

enum { ROOM = 3, TRADERS = 3 };

struct store {
  weft_lock lock;
  weft_cond not_full, not_empty; /* of that lock */
  int goods;                     /* guarded by it */
  long put, taken;               /* likewise */
  bool interrupts;
};

static int has_room(void *arg) {
  return ((struct store *)arg)->goods < ROOM;
}
static int has_goods(void *arg) {
  return ((struct store *)arg)->goods > 0;
}

static int trade(struct store *s, bool put) {
  int r = weft_lock_acquire(&s->lock);
  if (r < 0) return r;
  r = put ? weft_cond_wait_for(&s->not_full, has_room, s)
          : weft_cond_wait_for(&s->not_empty, has_goods, s);
  if (r > 0) {
    s->goods += put ? 1 : -1;
    *(put ? &s->put : &s->taken) += 1;
    CHECK(s->goods >= 0 && s->goods <= ROOM);
    CHECK_INT(weft_cond_notify(put ? &s->not_empty : &s->not_full, 1), 0);
  }
  CHECK_INT(weft_lock_release(&s->lock), 0);
  return r;
}

static int trade_often(struct store *s, bool put) {
  for (int i = 0; i < count(COUNT_TASKS / 20);) {
    weft_timeout limit;
    if (s->interrupts) weft_timeout_begin(&limit, weft_us(1 + (i * 7) % 30));
    int r = trade(s, put);
    if (s->interrupts) r = weft_timeout_end(&limit, r);
    if (r == WEFT_ECANCELED) weft_cancel_catch();
    if (!CHECK(r == 1 || (s->interrupts && (r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT)))) break;
    if (r == 1) i++;
  }
  return 0;
}

static int put_often(void *store) {
  return trade_often(store, true);
}
static int take_often(void *store) {
  return trade_often(store, false);
}

static void trade_all(bool interrupts) {
  struct store s = {.interrupts = interrupts};
  s.not_full = (weft_cond)WEFT_COND_INIT(&s.lock);
  s.not_empty = (weft_cond)WEFT_COND_INIT(&s.lock);
  weft_task t[2 * TRADERS];
  struct latch begun = {0};
  for (int i = 0; i < 2 * TRADERS; i++) {
    t[i] = weft_spawn(i % 2 ? put_often : take_often, &s, NULL);
    weft_task first = weft_spawn(hit_and_return, &begun, NULL);
    CHECK_INT(weft_await(first), 0);
  }
  for (int i = 0; interrupts && i < count(COUNT_TASKS / 40); i++) {
    for (int k = 0; k < 3; k++) weft_yield();
    if (is_parked(t[i % (2 * TRADERS)])) weft_cancel(t[i % (2 * TRADERS)]);
  }
  for (int i = 0; i < 2 * TRADERS; i++) {
    int code = -1;
    CHECK_INT(weft_task_wait(t[i], &code), 0);
    weft_await(t[i]);
    CHECK(code == 0 || (interrupts && code == WEFT_ECANCELED)); /* cancelled as it ended */
  }
  CHECK_INT(s.put, s.taken);
  CHECK_INT(s.put, TRADERS * count(COUNT_TASKS / 20));
  CHECK_INT(s.goods, 0);
}

TASK_TEST(two_conditions_of_one_lock_make_a_bounded_store) {
  trade_all(false);
}

TASK_TEST(no_notify_is_lost_while_waiters_are_cancelled_and_time_out) {
  trade_all(true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(C1_wait_and_notify_without_the_lock_are_estate),
    cmocka_unit_test(C1_that_another_task_holds_the_lock_is_not_enough),
    cmocka_unit_test(C1_that_a_task_which_has_ended_holds_the_lock_is_not_enough),
    cmocka_unit_test(outside_a_task_a_condition_is_enotask),
    cmocka_unit_test(a_condition_without_a_lock_of_its_own_uses_the_given_one),
    cmocka_unit_test(notify_wakes_the_n_oldest),
    cmocka_unit_test(notify_all_wakes_all_in_order),
    cmocka_unit_test(a_notify_with_nobody_there_is_not_kept),
    cmocka_unit_test(C2_a_cancelled_wait_takes_the_lock_again_before_it_returns),
    cmocka_unit_test(C2_a_cancelled_wait_waits_for_a_contested_lock_through_further_cancels),
    cmocka_unit_test(C2_a_deadline_ends_a_wait_with_the_lock_held),
    cmocka_unit_test(C2_a_task_that_is_cancelled_already_keeps_the_lock),
    cmocka_unit_test(C3_a_cancelled_waiter_uses_up_no_notify),
    cmocka_unit_test(C3_a_cancel_after_the_notify_leaves_it_and_stays_pending),
    cmocka_unit_test(wait_for_ends_when_its_predicate_is_true),
    cmocka_unit_test(wait_for_returns_at_once_what_is_not_0),
    cmocka_unit_test(wait_for_is_cancelled_with_the_lock_held),
    cmocka_unit_test(two_conditions_of_one_lock_make_a_bounded_store),
    cmocka_unit_test(no_notify_is_lost_while_waiters_are_cancelled_and_time_out),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
