/* Semaphores: order, permits that are never lost, bounds. */
#include <limits.h>
#include <stdlib.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "task_test.h"
#include "threads.h"

enum { WAITERS = 5 };

struct contest {
  weft_sem sem;
  struct latch n;
  int order[WAITERS]; /* a place for each hit */
};

struct entrant {
  struct contest *contest;
  int number;
  int after;
};

/* Takes a permit and keeps it. */
static int take_and_note(void *arg) {
  struct entrant *e = arg;
  int r = weft_sem_acquire(&e->contest->sem);
  if (r < 0) return r;
  e->contest->order[atomic_fetch_add(&e->contest->n.hits, 1)] = e->number;
  e->after = weft_yield();
  return 0;
}

static void fill(struct contest *c, struct entrant *e, weft_task *t, int n) {
  for (int i = 0; i < n; i++) {
    e[i] = (struct entrant){.contest = c, .number = i, .after = 1};
    t[i] = spawn_parked(take_and_note, &e[i]);
  }
}

/* ---- order ---- */

TASK_TEST(SE1_semaphore_is_fifo) {
  struct contest c = {0};
  struct entrant e[WAITERS];
  weft_task t[WAITERS];
  fill(&c, e, t, WAITERS);
  for (int i = 0; i < WAITERS; i++) { /* one at a time: who was handed the permit is told apart */
    CHECK_INT(weft_sem_release(&c.sem), 0);
    CHECK_INT(weft_await(t[i]), 0);
    CHECK_INT(c.order[i], i);
  }
  CHECK_INT(weft_sem_value(&c.sem), 0);
}

EXACT_TEST(SE1_permits_given_at_once_are_taken_in_order) {
  struct contest c = {0};
  struct entrant e[WAITERS];
  weft_task t[WAITERS];
  fill(&c, e, t, WAITERS);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_sem_release(&c.sem), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(c.order[i], i);
}

TASK_TEST(SE1_locked_while_somebody_waits) {
  struct contest c = {.sem = WEFT_SEM_INIT(1)};
  struct entrant e[2];
  weft_task t[2];
  CHECK(!weft_sem_locked(&c.sem));
  CHECK_INT(weft_sem_acquire(&c.sem), 0);
  CHECK(weft_sem_locked(&c.sem));
  fill(&c, e, t, 2);
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK(weft_sem_locked(&c.sem)); /* the permit is the first waiter's, and the second one waits */
  CHECK_INT(weft_sem_try(&c.sem), WEFT_EAGAIN);
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK_INT(weft_await(t[0]), 0);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK(!weft_sem_locked(&c.sem));
  CHECK_INT(weft_sem_value(&c.sem), 1);
}

TASK_TEST(try_takes_what_is_there) {
  weft_sem s = WEFT_SEM_INIT(2);
  CHECK_INT(weft_sem_try(&s), 0);
  CHECK_INT(weft_sem_try(&s), 0);
  CHECK_INT(weft_sem_try(&s), WEFT_EAGAIN);
  CHECK_INT(weft_sem_release(&s), 0);
  CHECK_INT(weft_sem_try(&s), 0);
}

/* ---- cancels ---- */

TASK_TEST(SE2_a_cancelled_waiter_takes_no_permit_and_the_next_one_gets_it) {
  struct contest c = {0};
  struct entrant e[3];
  weft_task t[3];
  fill(&c, e, t, 3);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK_INT(weft_cancel(t[2]), 1);
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK_INT(weft_await(t[2]), WEFT_ECANCELED);
  CHECK_INT(weft_sem_value(&c.sem), 1);
}

TASK_TEST(SE2_a_cancel_after_the_hand_over_leaves_the_permit_and_stays_pending) {
  struct contest c = {0};
  struct entrant e[2];
  weft_task t[2];
  fill(&c, e, t, 2);
  weft_shield_begin();
  CHECK_INT(weft_sem_release(&c.sem), 0);
  int cancelled = weft_cancel(t[0]);
  weft_shield_end();
  int code = 1;
  CHECK_INT(weft_task_wait(t[0], &code), 0);
  CHECK_INT(weft_await(t[0]), code);
  CHECK_INT(latch_hits(&c.n), 1);
  if (cancelled && e[0].after == 0)
    CHECK_INT(code, WEFT_ECANCELED); /* it came behind its last suspension */
  else
    CHECK_INT(code, 0);
  CHECK(is_parked(t[1]));
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK_INT(weft_await(t[1]), 0);
}

/* ---- bounds ---- */

TASK_TEST(SE3_a_bounded_semaphore_has_never_more_than_it_began_with) {
  weft_sem s = WEFT_BOUNDED_SEM_INIT(2), none = WEFT_BOUNDED_SEM_INIT(0);
  CHECK_INT(weft_sem_release(&s), WEFT_EOVERFLOW);
  CHECK_INT(weft_sem_acquire(&s), 0);
  CHECK_INT(weft_sem_release(&s), 0);
  CHECK_INT(weft_sem_release(&s), WEFT_EOVERFLOW);
  CHECK_INT(weft_sem_value(&s), 2);
  CHECK_INT(weft_sem_acquire(&s), 0);
  CHECK_INT(weft_sem_acquire(&s), 0);
  CHECK_INT(weft_sem_try(&s), WEFT_EAGAIN);
  CHECK_INT(weft_sem_release(&none), WEFT_EOVERFLOW);
}

TASK_TEST(SE3_a_negative_start_is_einval) {
  weft_sem s = WEFT_SEM_INIT(-1), bounded = WEFT_BOUNDED_SEM_INIT(-1), good = WEFT_SEM_INIT(1);
  CHECK_INT(weft_sem_init(&good, -1, false), WEFT_EINVAL);
  CHECK_INT(weft_sem_value(&good), 1);
  CHECK_INT(weft_sem_acquire(&s), WEFT_EINVAL);
  CHECK_INT(weft_sem_try(&s), WEFT_EINVAL);
  CHECK_INT(weft_sem_release(&s), WEFT_EINVAL);
  CHECK_INT(weft_sem_release(&bounded), WEFT_EINVAL);
  CHECK_INT(weft_sem_value(&s), WEFT_EINVAL);
  CHECK(weft_sem_locked(&s));
}

static void a_semaphore_is_made_anywhere(void **state) {
  (void)state;
  weft_sem s;
  CHECK_INT(weft_sem_init(&s, 3, false), 0);
  CHECK_INT(weft_sem_value(&s), 3);
  CHECK_INT(weft_sem_release(&s), 0);
  CHECK_INT(weft_sem_value(&s), 4);
  CHECK_INT(weft_sem_try(&s), 0);
  CHECK_INT(weft_sem_acquire(&s), 0);
  CHECK_INT(weft_sem_value(&s), 2);
  CHECK_INT(weft_sem_init(&s, WEFT_SEM_MAX, false), 0);
  CHECK_INT(weft_sem_value(&s), WEFT_SEM_MAX);
  CHECK_INT(weft_sem_release(&s), WEFT_EOVERFLOW);
  CHECK_INT(weft_sem_init(&s, WEFT_SEM_MAX, true), 0);
  CHECK_INT(weft_sem_release(&s), WEFT_EOVERFLOW);
  CHECK_INT(weft_sem_value(&s), WEFT_SEM_MAX);
}

TASK_TEST(a_deadline_ends_the_wait_for_a_permit) {
  struct contest c = {0};
  struct entrant e = {.contest = &c};
  CHECK_INT(weft_wait_for(take_and_note, &e, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_sem_release(&c.sem), 0);
  CHECK_INT(weft_sem_value(&c.sem), 1);
}

/* ---- lifetime and plain threads ---- */

static int give(void *sem) {
  return weft_sem_release(sem);
}

TASK_TEST(a_semaphore_may_die_as_soon_as_its_only_waiter_has_gone_on) {
  for (int i = 0; i < count(COUNT_RACES / 10); i++) {
    weft_sem *s = calloc(1, sizeof *s);
    weft_task t = weft_spawn(give, s, NULL);
    for (int k = i % 3; k > 0; k--) weft_yield();
    CHECK_INT(weft_sem_acquire(s), 0);
    free(s);
    CHECK_INT(weft_await(t), 0);
  }
}

enum { GIFTS = 1000 };

static void *give_many(void *sem) {
  for (int i = 0; i < count(GIFTS); i++) CHECK_INT(weft_sem_release(sem), 0);
  return NULL;
}

TASK_TEST(plain_threads_give_permits_to_tasks) {
  weft_sem s = {0};
  pthread_t thread[2];
  int made = 0;
  for (int i = 0; i < 2; i++)
    made += CHECK_INT(weft__sys_thread_create(&thread[i], NULL, give_many, &s), 0);
  for (int i = 0; i < made * count(GIFTS); i++)
    if (!CHECK_INT(weft_sem_acquire(&s), 0)) break;
  for (int i = 0; i < made; i++) weft__sys_thread_join(thread[i]);
  CHECK_INT(weft_sem_value(&s), 0);
}

static void *take_many(void *sem) {
  for (int i = 0; i < count(GIFTS); i++) CHECK_INT(weft_sem_acquire(sem), 0);
  return NULL;
}

TASK_TEST(tasks_give_permits_to_plain_threads) {
  weft_sem s = {0};
  pthread_t thread[2];
  int made = 0;
  for (int i = 0; i < 2; i++)
    made += CHECK_INT(weft__sys_thread_create(&thread[i], NULL, take_many, &s), 0);
  for (int i = 0; i < made * count(GIFTS); i++) {
    CHECK_INT(weft_sem_release(&s), 0);
    if (i % 16 == 0) weft_yield();
  }
  for (int i = 0; i < made; i++) weft__sys_thread_join(thread[i]);
  CHECK_INT(weft_sem_value(&s), 0);
}

/* ---- many ---- */

enum { PERMITS = 3, TASKS = 8 };

struct shared {
  weft_sem sem;
  atomic_int inside, most;
};

static int hold_one(struct shared *s, int i) {
  int r = i % 5 == 4 ? weft_sem_try(&s->sem) : weft_sem_acquire(&s->sem);
  if (r < 0) return r;
  int inside = atomic_fetch_add(&s->inside, 1) + 1;
  if (inside > atomic_load(&s->most)) atomic_store(&s->most, inside);
  weft_sim_point();
  if (i % 3 == 0) weft_yield(); /* whatever it answers, the permit is given back */
  atomic_fetch_sub(&s->inside, 1);
  return weft_sem_release(&s->sem);
}

static int work(void *arg) {
  struct shared *s = arg;
  for (int i = 0; i < count(COUNT_TASKS / 20); i++) {
    weft_timeout limit;
    weft_timeout_begin(&limit, weft_us(1 + (i * 11) % 50));
    int r = weft_timeout_end(&limit, hold_one(s, i));
    if (weft_cancelling(weft_current())) weft_cancel_catch();
    if (!CHECK(r == 0 || r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT || r == WEFT_EAGAIN)) break;
  }
  return 0;
}

TASK_TEST(permits_are_conserved_while_waiters_are_cancelled_and_time_out) {
  struct shared s = {.sem = WEFT_BOUNDED_SEM_INIT(PERMITS)};
  weft_task t[TASKS];
  for (int i = 0; i < TASKS; i++) t[i] = weft_spawn(work, &s, NULL);
  for (int i = 0; i < count(COUNT_TASKS / 20); i++) {
    weft_cancel(t[i % TASKS]);
    weft_yield();
  }
  for (int i = 0; i < TASKS; i++) {
    CHECK_INT(weft_task_wait(t[i], NULL), 0);
    weft_await(t[i]);
  }
  CHECK_INT(weft_sem_value(&s.sem), PERMITS);
  CHECK(atomic_load(&s.most) <= PERMITS);
  for (int i = 0; i < PERMITS; i++) CHECK_INT(weft_sem_try(&s.sem), 0);
  CHECK_INT(weft_sem_try(&s.sem), WEFT_EAGAIN);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(SE1_semaphore_is_fifo),
    cmocka_unit_test(SE1_permits_given_at_once_are_taken_in_order),
    cmocka_unit_test(SE1_locked_while_somebody_waits),
    cmocka_unit_test(try_takes_what_is_there),
    cmocka_unit_test(SE2_a_cancelled_waiter_takes_no_permit_and_the_next_one_gets_it),
    cmocka_unit_test(SE2_a_cancel_after_the_hand_over_leaves_the_permit_and_stays_pending),
    cmocka_unit_test(SE3_a_bounded_semaphore_has_never_more_than_it_began_with),
    cmocka_unit_test(SE3_a_negative_start_is_einval),
    cmocka_unit_test(a_semaphore_is_made_anywhere),
    cmocka_unit_test(a_deadline_ends_the_wait_for_a_permit),
    cmocka_unit_test(a_semaphore_may_die_as_soon_as_its_only_waiter_has_gone_on),
    cmocka_unit_test(plain_threads_give_permits_to_tasks),
    cmocka_unit_test(tasks_give_permits_to_plain_threads),
    cmocka_unit_test(permits_are_conserved_while_waiters_are_cancelled_and_time_out),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
