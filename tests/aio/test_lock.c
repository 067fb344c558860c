/* Locks: order, hand-over, cancels and deadlines, wrong use. */
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "task_test.h"

enum { WAITERS = 5 };

struct contest {
  weft_lock lock;
  int order[WAITERS]; /* guarded by the lock */
  int n;              /* likewise */
};

struct entrant {
  struct contest *contest;
  int number;
  struct latch go; /* the rest is for single tests */
  int after;
};

static int enter_and_note(void *arg) {
  struct entrant *e = arg;
  int r = weft_lock_acquire(&e->contest->lock);
  if (r < 0) return r;
  e->contest->order[e->contest->n++] = e->number;
  return weft_lock_release(&e->contest->lock);
}

static void in_order(const struct contest *c, int n) {
  CHECK_INT(c->n, n);
  for (int i = 0; i < n; i++) CHECK_INT(c->order[i], i);
}

/* ---- order ---- */

TASK_TEST(L1_lock_is_fifo) {
  struct contest c = {0};
  struct entrant e[WAITERS];
  weft_task t[WAITERS];
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  for (int i = 0; i < WAITERS; i++) {
    e[i] = (struct entrant){.contest = &c, .number = i};
    t[i] = spawn_parked(enter_and_note, &e[i]);
  }
  CHECK_INT(weft_lock_release(&c.lock), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), 0);
  in_order(&c, WAITERS);
  CHECK(!weft_lock_locked(&c.lock));
}

TASK_TEST(L1_who_releases_does_not_overtake_a_waiter) {
  struct contest c = {0};
  struct entrant e = {.contest = &c, .number = 0}, self = {.contest = &c, .number = 1};
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_note, &e);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(enter_and_note(&self), 0);
  CHECK_INT(weft_await(t), 0);
  in_order(&c, 2);
}

TASK_TEST(L1_a_try_does_not_overtake_a_waiter) {
  weft_lock lock = WEFT_LOCK_INIT;
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  CHECK_INT(weft_lock_try(&lock), 0);
  CHECK_INT(weft_lock_try(&lock), WEFT_EAGAIN);
  CHECK_INT(weft_lock_release(&lock), 0);
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_note, &e);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  int r = weft_lock_try(&c.lock);
  if (r == 0) { /* the other is done with it */
    CHECK_INT(c.n, 1);
    CHECK_INT(weft_lock_release(&c.lock), 0);
  } else {
    CHECK_INT(r, WEFT_EAGAIN);
  }
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(c.n, 1);
}

/* On one worker in a fixed order: at the release the lock is the waiter's already. */
EXACT_TEST(L1_a_release_with_a_waiter_never_frees_the_lock) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_note, &e);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK(weft_lock_locked(&c.lock));
  CHECK_INT(weft_lock_try(&c.lock), WEFT_EAGAIN);
  CHECK_INT(c.n, 0);
  CHECK_INT(weft_await(t), 0);
  CHECK(!weft_lock_locked(&c.lock));
}

/* ---- cancels ---- */

/* Takes the lock, waits until it is told to go on, and notes what a suspension then answers. */
static int enter_and_yield(void *arg) {
  struct entrant *e = arg;
  int r = weft_lock_acquire(&e->contest->lock);
  if (r < 0) return r;
  int rounds = 0;
  while (!latch_hits(&e->go) && rounds++ < 1000000) {
    if (weft_simulated()) weft_sim_work(weft_us(20));
    weft_sim_point();
    if (!latch_hits(&e->go)) {
      weft_shield_begin();
      weft_yield();
      weft_shield_end();
    }
  }
  e->after = weft_yield();
  return weft_lock_release(&e->contest->lock);
}

TASK_TEST(L2_a_cancel_after_the_hand_over_leaves_the_lock_and_stays_pending) {
  struct contest c = {0};
  struct entrant e = {.contest = &c}, next = {.contest = &c};
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_yield, &e);
  weft_task behind = spawn_parked(enter_and_note, &next);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(weft_cancel(t), 1);
  latch_hit(&e.go);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(e.after, WEFT_ECANCELED);
  CHECK_INT(weft_await(behind), 0);
  CHECK_INT(c.n, 1);
}

TASK_TEST(L2_a_cancelled_waiter_passes_its_turn_on) {
  struct contest c = {0};
  struct entrant e[3];
  weft_task t[3];
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  for (int i = 0; i < 3; i++) {
    e[i] = (struct entrant){.contest = &c, .number = i == 2 ? 1 : 0};
    t[i] = spawn_parked(enter_and_note, &e[i]);
  }
  CHECK_INT(weft_cancel(t[1]), 1);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(weft_await(t[1]), WEFT_ECANCELED);
  CHECK_INT(weft_await(t[0]), 0);
  CHECK_INT(weft_await(t[2]), 0);
  in_order(&c, 2);
  CHECK(!weft_lock_locked(&c.lock));
}

TASK_TEST(L2_when_every_waiter_is_cancelled_the_lock_is_free) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  weft_task t[WAITERS];
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  for (int i = 0; i < WAITERS; i++) t[i] = spawn_parked(enter_and_note, &e);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_cancel(t[i]), 1);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
  CHECK_INT(c.n, 0);
  CHECK(!weft_lock_locked(&c.lock));
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  CHECK_INT(weft_lock_release(&c.lock), 0);
}

/* A release and a cancel at the same time: either the waiter has the lock, and later its cancel, or it
 * has neither taken nor lost anything. */
TASK_TEST(L2_a_cancel_meets_the_hand_over) {
  for (int i = 0; i < count(COUNT_RACES / 20); i++) {
    struct contest c = {0};
    struct entrant e = {.contest = &c}, next = {.contest = &c};
    latch_hit(&e.go);
    CHECK_INT(weft_lock_acquire(&c.lock), 0);
    weft_task t = weft_spawn(enter_and_yield, &e, NULL);
    weft_task behind = weft_spawn(enter_and_note, &next, NULL);
    for (int k = i % 3; k > 0; k--) weft_yield();
    int cancelled = 0;
    if (i % 2) cancelled = weft_cancel(t);
    CHECK_INT(weft_lock_release(&c.lock), 0);
    if (i % 2 == 0) cancelled = weft_cancel(t);
    int code = 0;
    CHECK_INT(weft_task_wait(t, &code), 0);
    CHECK_INT(weft_await(t), code);
    if (code == 0)
      CHECK_INT(e.after, cancelled ? WEFT_ECANCELED : 0);
    else
      CHECK_INT(code, WEFT_ECANCELED);
    CHECK_INT(weft_await(behind), 0);
    CHECK_INT(c.n, 1);
    if (!CHECK(!weft_lock_locked(&c.lock))) return;
  }
}

static int acquire_when_cancelled(void *arg) {
  weft_lock *lock = arg;
  weft_cancel(weft_current());
  CHECK_INT(weft_lock_acquire(lock), WEFT_ECANCELED);
  CHECK_INT(weft_lock_acquire(lock), WEFT_ECANCELED); /* sticky */
  CHECK(!weft_lock_locked(lock));
  CHECK_INT(weft_lock_try(lock), 0); /* no cancel point */
  CHECK_INT(weft_lock_release(lock), 0);
  weft_shield_begin();
  CHECK_INT(weft_lock_acquire(lock), 0);
  weft_shield_end();
  CHECK_INT(weft_lock_release(lock), 0);
  CHECK(weft_cancel_catch());
  CHECK_INT(weft_lock_acquire(lock), 0);
  return weft_lock_release(lock);
}

TASK_TEST(a_cancelled_task_does_not_get_a_free_lock) {
  weft_lock lock = WEFT_LOCK_INIT;
  CHECK_INT(weft_await(weft_spawn(acquire_when_cancelled, &lock, NULL)), 0);
  CHECK(!weft_lock_locked(&lock));
}

static int acquire_shielded(void *arg) {
  struct entrant *e = arg;
  weft_shield_begin();
  int r = enter_and_note(e);
  weft_shield_end();
  e->after = weft_yield();
  return r;
}

TASK_TEST(under_a_shield_a_wait_for_a_lock_is_not_cut) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(acquire_shielded, &e);
  CHECK_INT(weft_cancel(t), 1);
  CHECK(is_parked(t));
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(e.after, WEFT_ECANCELED);
  CHECK_INT(c.n, 1);
}

/* ---- deadlines ---- */

TASK_TEST(a_deadline_ends_the_wait_for_a_lock) {
  struct contest c = {0};
  struct entrant e = {.contest = &c}, self = {.contest = &c};
  weft_timeout s;
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_note, &e);
  CHECK_INT(weft_wait_for_task(t, weft_ms(2)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK(!weft_lock_locked(&c.lock));
  CHECK_INT(weft_timeout_begin(&s, A_LONG_TIME), 0);
  CHECK_INT(weft_timeout_end(&s, enter_and_note(&self)), 0);
  CHECK_INT(c.n, 1);
}

/* ---- wrong use ---- */

TASK_TEST(L3_release_of_an_unheld_lock_is_estate) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  CHECK_INT(weft_lock_release(&c.lock), WEFT_ESTATE);
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(weft_lock_release(&c.lock), WEFT_ESTATE);
  CHECK_INT(enter_and_note(&e), 0);
}

static int release_it(void *lock) {
  return weft_lock_release(lock);
}

TASK_TEST(L3_any_task_may_release_a_lock) {
  weft_lock lock = WEFT_LOCK_INIT;
  CHECK_INT(weft_lock_acquire(&lock), 0);
  CHECK_INT(weft_await(weft_spawn(release_it, &lock, NULL)), 0);
  CHECK(!weft_lock_locked(&lock));
}

static void *release_on_thread(void *lock) {
  CHECK_INT(weft_lock_release(lock), 0);
  return NULL;
}

TASK_TEST(L3_any_thread_may_release_a_lock) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  pthread_t thread;
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_note, &e);
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, release_on_thread, &c.lock), 0)) return;
  CHECK_INT(weft_await(t), 0);
  weft__sys_thread_join(thread);
  CHECK(!weft_lock_locked(&c.lock));
}

TASK_TEST(a_lock_that_the_caller_holds_is_edeadlk) {
  weft_lock lock = WEFT_LOCK_INIT;
  CHECK_INT(weft_lock_acquire(&lock), 0);
  CHECK_INT(weft_lock_acquire(&lock), WEFT_EDEADLK);
  CHECK_INT(weft_lock_release(&lock), 0);
  CHECK_INT(weft_lock_release(&lock), WEFT_ESTATE);
}

TASK_TEST(a_lock_that_was_handed_to_the_caller_is_edeadlk_too) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  latch_hit(&e.go);
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  weft_task t = spawn_parked(enter_and_yield, &e);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(weft_lock_acquire(&c.lock), 0);
  CHECK_INT(weft_lock_acquire(&c.lock), WEFT_EDEADLK);
  CHECK_INT(weft_lock_release(&c.lock), 0);
  CHECK_INT(weft_await(t), 0);
}

/* ---- a lock that is held for longer than its holder lives ---- */

static int acquire_and_end(void *lock) {
  return weft_lock_acquire(lock);
}
static int acquire_with_a_limit(void *lock) {
  weft_timeout s;
  int r = weft_timeout_begin(&s, weft_us(20));
  return r < 0 ? r : weft_timeout_end(&s, weft_lock_acquire(lock));
}

/* The memory of the task that took it is used again: by others, who do not hold it. */
EXACT_TEST(a_lock_of_a_task_that_has_ended_is_held_by_no_later_one) {
  weft_lock lock = WEFT_LOCK_INIT;
  weft_task gone = weft_spawn(acquire_and_end, &lock, NULL);
  int again = 0;
  CHECK_INT(weft_await(gone), 0);
  for (int i = 0; i < count(COUNT_TASKS / 50); i++) {
    weft_task t = weft_spawn(acquire_with_a_limit, &lock, NULL);
    again += t.slot_ == gone.slot_;
    if (!CHECK_INT(weft_await(t), WEFT_ETIMEDOUT)) break;
  }
  CHECK(again > 0);
  CHECK_INT(weft_lock_release(&lock), 0);
  CHECK_INT(weft_await(weft_spawn(acquire_and_end, &lock, NULL)), 0);
  CHECK_INT(weft_lock_release(&lock), 0);
}

static void outside_a_task_a_lock_is_enotask(void **state) {
  (void)state;
  weft_lock lock = WEFT_LOCK_INIT;
  CHECK_INT(weft_lock_acquire(&lock), WEFT_ENOTASK);
  CHECK_INT(weft_lock_try(&lock), WEFT_ENOTASK);
  CHECK_INT(weft_lock_release(&lock), WEFT_ESTATE);
  CHECK(!weft_lock_locked(&lock));
}

/* ---- many ---- */

struct shared {
  weft_lock lock;
  int inside;      /* guarded by it */
  long done;       /* likewise */
  bool interrupts; /* cancels and deadlines come in between */
};

static int increment(struct shared *s) {
  int r = weft_lock_acquire(&s->lock);
  if (r < 0) return r;
  CHECK_INT(s->inside++, 0);
  long done = s->done;
  weft_sim_point();
  if (done % 3 == 0) {
    weft_shield_begin();
    weft_yield();
    weft_shield_end();
  }
  s->done = done + 1;
  CHECK_INT(--s->inside, 0);
  return weft_lock_release(&s->lock);
}

struct worker {
  struct shared *shared;
  long done;
};

static int work(void *arg) {
  struct worker *w = arg;
  for (int i = 0; i < count(COUNT_TASKS / 20); i++) {
    weft_timeout s;
    if (w->shared->interrupts) weft_timeout_begin(&s, weft_us(1 + i % 40));
    int r = increment(w->shared);
    if (w->shared->interrupts) r = weft_timeout_end(&s, r);
    if (r == 0) w->done++;
    if (r == WEFT_ECANCELED) weft_cancel_catch();
    if (!CHECK(r == 0 || r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT)) break;
  }
  return 0;
}

static void exclude(bool interrupts) {
  enum { TASKS = 8 };
  struct shared s = {.interrupts = interrupts};
  struct worker w[TASKS];
  weft_task t[TASKS];
  long done = 0;
  for (int i = 0; i < TASKS; i++) {
    w[i] = (struct worker){.shared = &s};
    t[i] = weft_spawn(work, &w[i], NULL);
  }
  for (int i = 0; interrupts && i < count(COUNT_TASKS / 20); i++) {
    weft_cancel(t[(unsigned)i % TASKS]);
    if (weft_sim_random(2) == 0) weft_yield();
  }
  for (int i = 0; i < TASKS; i++) {
    int code = -1;
    CHECK_INT(weft_task_wait(t[i], &code), 0);
    weft_await(t[i]);
    done += w[i].done;
  }
  CHECK_INT(s.done, done);
  CHECK(!weft_lock_locked(&s.lock));
}

TASK_TEST(a_lock_excludes) {
  exclude(false);
}

TASK_TEST(a_lock_excludes_while_waiters_are_cancelled_and_time_out) {
  exclude(true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(L1_lock_is_fifo),
    cmocka_unit_test(L1_who_releases_does_not_overtake_a_waiter),
    cmocka_unit_test(L1_a_try_does_not_overtake_a_waiter),
    cmocka_unit_test(L1_a_release_with_a_waiter_never_frees_the_lock),
    cmocka_unit_test(L2_a_cancel_after_the_hand_over_leaves_the_lock_and_stays_pending),
    cmocka_unit_test(L2_a_cancelled_waiter_passes_its_turn_on),
    cmocka_unit_test(L2_when_every_waiter_is_cancelled_the_lock_is_free),
    cmocka_unit_test(L2_a_cancel_meets_the_hand_over),
    cmocka_unit_test(a_cancelled_task_does_not_get_a_free_lock),
    cmocka_unit_test(under_a_shield_a_wait_for_a_lock_is_not_cut),
    cmocka_unit_test(a_deadline_ends_the_wait_for_a_lock),
    cmocka_unit_test(L3_release_of_an_unheld_lock_is_estate),
    cmocka_unit_test(L3_any_task_may_release_a_lock),
    cmocka_unit_test(L3_any_thread_may_release_a_lock),
    cmocka_unit_test(a_lock_that_the_caller_holds_is_edeadlk),
    cmocka_unit_test(a_lock_that_was_handed_to_the_caller_is_edeadlk_too),
    cmocka_unit_test(a_lock_of_a_task_that_has_ended_is_held_by_no_later_one),
    cmocka_unit_test(outside_a_task_a_lock_is_enotask),
    cmocka_unit_test(a_lock_excludes),
    cmocka_unit_test(a_lock_excludes_while_waiters_are_cancelled_and_time_out),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
