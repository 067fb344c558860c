/* Barriers: rounds, numbers, what breaks them. */
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "task_test.h"

enum { PARTIES = 4 };

static int meet(void *barrier) {
  return weft_barrier_wait(barrier);
}

static void fill(weft_barrier *b, weft_task *t, int n) {
  for (int i = 0; i < n; i++) t[i] = spawn_parked(meet, b);
}

TASK_TEST(B1_each_of_n_gets_a_distinct_index) {
  weft_barrier b = WEFT_BARRIER_INIT(PARTIES);
  for (int round = 0; round < 3; round++) { /* reusable */
    weft_task t[PARTIES];
    bool seen[PARTIES] = {false};
    for (int i = 0; i < PARTIES; i++) t[i] = weft_spawn(meet, &b, NULL);
    for (int i = 0; i < PARTIES; i++) {
      int index = weft_await(t[i]);
      if (CHECK(index >= 0 && index < PARTIES && !seen[index])) seen[index] = true;
    }
    CHECK_INT(weft_barrier_waiting(&b), 0);
  }
}

TASK_TEST(B1_the_last_one_to_come_has_the_highest_index) {
  weft_barrier b = WEFT_BARRIER_INIT(PARTIES);
  weft_task t[PARTIES];
  CHECK_INT(weft_barrier_parties(&b), PARTIES);
  fill(&b, t, PARTIES - 1);
  CHECK_INT(weft_barrier_waiting(&b), PARTIES - 1);
  CHECK_INT(weft_barrier_wait(&b), PARTIES - 1);
  for (int i = 0; i < PARTIES - 1; i++) CHECK_INT(weft_await(t[i]), i);
}

/* Those who come while a round is on its way out wait for the next one. */
TASK_TEST(B1_late_comers_belong_to_the_next_round) {
  weft_barrier b = WEFT_BARRIER_INIT(2);
  weft_task first[1], late[1];
  fill(&b, first, 1);
  CHECK_INT(weft_barrier_wait(&b), 1); /* the other one of the round may not have run yet */
  fill(&b, late, 1);
  CHECK_INT(weft_await(first[0]), 0);
  CHECK(is_parked(late[0]));
  CHECK_INT(weft_barrier_waiting(&b), 1);
  CHECK_INT(weft_barrier_wait(&b), 1);
  CHECK_INT(weft_await(late[0]), 0);
}

TASK_TEST(a_barrier_for_one_never_waits) {
  weft_barrier b = WEFT_BARRIER_INIT(1);
  for (int i = 0; i < count(1000); i++) CHECK_INT(weft_barrier_wait(&b), 0);
}

TASK_TEST(B2_abort_breaks_the_barrier_until_a_reset) {
  weft_barrier b = WEFT_BARRIER_INIT(3);
  weft_task t[2];
  fill(&b, t, 2);
  CHECK(!weft_barrier_broken(&b));
  CHECK_INT(weft_barrier_abort(&b), 0);
  CHECK(weft_barrier_broken(&b));
  CHECK_INT(weft_barrier_waiting(&b), 0);
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(t[i]), WEFT_EBROKEN);
  CHECK_INT(weft_barrier_wait(&b), WEFT_EBROKEN);
  CHECK_INT(weft_barrier_abort(&b), 0);
  CHECK_INT(weft_barrier_wait(&b), WEFT_EBROKEN);
  CHECK_INT(weft_barrier_reset(&b), 0);
  CHECK(!weft_barrier_broken(&b));
  fill(&b, t, 2);
  CHECK_INT(weft_barrier_wait(&b), 2);
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(t[i]), i);
}

TASK_TEST(B2_reset_breaks_the_waiters_and_leaves_the_barrier_usable) {
  weft_barrier b = WEFT_BARRIER_INIT(3);
  weft_task t[2];
  CHECK_INT(weft_barrier_reset(&b), 0);
  fill(&b, t, 2);
  CHECK_INT(weft_barrier_reset(&b), 0);
  CHECK(!weft_barrier_broken(&b));
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(t[i]), WEFT_EBROKEN);
  fill(&b, t, 2);
  CHECK_INT(weft_barrier_wait(&b), 2);
  for (int i = 0; i < 2; i++) CHECK_INT(weft_await(t[i]), i);
}

TASK_TEST(B3_a_cancelled_waiter_just_leaves_the_count) {
  weft_barrier b = WEFT_BARRIER_INIT(3);
  weft_task t[3];
  fill(&b, t, 2);
  CHECK_INT(weft_cancel(t[0]), 1);
  CHECK_INT(weft_await(t[0]), WEFT_ECANCELED);
  CHECK_INT(weft_barrier_waiting(&b), 1);
  t[2] = spawn_parked(meet, &b);
  CHECK_INT(weft_barrier_wait(&b), 2);
  CHECK_INT(weft_await(t[1]), 0);
  CHECK_INT(weft_await(t[2]), 1);
  CHECK_INT(weft_wait_for(meet, &b, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_barrier_waiting(&b), 0);
}

/* ---- what happens at the same time ---- */

struct party {
  weft_barrier *barrier;
  int answer;
  int after;
};

static int meet_and_yield(void *arg) {
  struct party *p = arg;
  p->answer = weft_barrier_wait(p->barrier);
  p->after = weft_yield();
  return p->answer;
}

/* The round ends for all of them or for none, and no cancel is lost. */
TASK_TEST(B3_a_cancel_meets_the_end_of_a_round) {
  for (int i = 0; i < count(COUNT_RACES / 20); i++) {
    weft_barrier b = WEFT_BARRIER_INIT(3);
    struct party p[2] = {{&b, 0, 0}, {&b, 0, 0}};
    weft_task t[2] = {spawn_parked(meet_and_yield, &p[0]), spawn_parked(meet_and_yield, &p[1])};
    weft_task last = weft_spawn(meet, &b, NULL);
    for (int k = i % 3; k > 0; k--) weft_yield();
    int cancelled = weft_cancel(t[0]);
    int code = 1;
    CHECK_INT(weft_task_wait(t[0], &code), 0);
    if (p[0].answer == WEFT_ECANCELED) {
      int own = weft_barrier_wait(&b), other = weft_await(last); /* this one, in its place */
      CHECK((own == 1 && other == 2) || (own == 2 && other == 1));
      CHECK_INT(weft_await(t[1]), 0);
    } else {
      CHECK_INT(p[0].answer, 0);
      CHECK(!cancelled || p[0].after == WEFT_ECANCELED || code == WEFT_ECANCELED);
      CHECK_INT(weft_await(last), 2);
      CHECK_INT(weft_await(t[1]), 1);
    }
    weft_await(t[0]);
    if (!CHECK_INT(weft_barrier_waiting(&b), 0)) return;
  }
}

TASK_TEST(B2_an_abort_meets_the_end_of_a_round) {
  for (int i = 0; i < count(COUNT_RACES / 20); i++) {
    weft_barrier b = WEFT_BARRIER_INIT(2);
    weft_task t[2] = {weft_spawn(meet, &b, NULL), weft_spawn(meet, &b, NULL)};
    for (int k = i % 4; k > 0; k--) weft_yield();
    CHECK_INT(weft_barrier_abort(&b), 0);
    int a = weft_await(t[0]), c = weft_await(t[1]);
    CHECK((a == WEFT_EBROKEN && c == WEFT_EBROKEN) || (a >= 0 && c >= 0 && a + c == 1));
  }
}

TASK_TEST(a_barrier_may_die_as_soon_as_all_have_gone_on) {
  for (int i = 0; i < count(COUNT_RACES / 20); i++) {
    weft_barrier *b = malloc(sizeof *b);
    CHECK_INT(weft_barrier_init(b, 2), 0);
    weft_task t = weft_spawn(meet, b, NULL);
    CHECK(weft_barrier_wait(b) >= 0);
    CHECK(weft_await(t) >= 0);
    free(b);
  }
}

/* Rounds without end, in which some are cancelled and start anew, until each has met often enough. */
struct rounds {
  weft_barrier barrier;
  atomic_int met; /* in all rounds together */
  atomic_bool stop;
  struct latch begun;
};

static int go_round(void *arg) {
  struct rounds *r = arg;
  latch_hit(&r->begun);
  while (!atomic_load(&r->stop)) {
    int index = weft_barrier_wait(&r->barrier);
    weft_cancel_catch();
    if (index == WEFT_EBROKEN) break;
    if (index == WEFT_ECANCELED) continue;
    if (!CHECK(index >= 0 && index < PARTIES)) return 0;
    atomic_fetch_add(&r->met, 1);
  }
  return 0;
}

TASK_TEST(rounds_end_while_waiters_are_cancelled) {
  struct rounds r = {.barrier = WEFT_BARRIER_INIT(PARTIES)};
  weft_task t[PARTIES];
  for (int i = 0; i < PARTIES; i++) t[i] = weft_spawn(go_round, &r, NULL);
  CHECK_INT(latch_wait(&r.begun, PARTIES), 0);
  int rounds = 0;
  for (int i = 0; atomic_load(&r.met) < PARTIES * count(COUNT_TASKS / 50); i++) {
    if (i % 7 == 0 && i < 7 * count(500)) weft_cancel(t[(i / 7) % PARTIES]);
    if (latch_turn(&rounds) < 0) break;
  }
  atomic_store(&r.stop, true);
  CHECK_INT(weft_barrier_abort(&r.barrier), 0);
  for (int i = 0; i < PARTIES; i++) {
    CHECK_INT(weft_task_wait(t[i], NULL), 0);
    weft_await(t[i]);
  }
}

/* ---- wrong use ---- */

TASK_TEST(a_barrier_without_parties_is_einval) {
  weft_barrier b = {0}, good = WEFT_BARRIER_INIT(1), negative = WEFT_BARRIER_INIT(-1);
  CHECK_INT(weft_barrier_wait(&b), WEFT_EINVAL);
  CHECK_INT(weft_barrier_abort(&b), WEFT_EINVAL);
  CHECK_INT(weft_barrier_reset(&b), WEFT_EINVAL);
  CHECK_INT(weft_barrier_parties(&b), WEFT_EINVAL);
  CHECK_INT(weft_barrier_wait(&negative), WEFT_EINVAL);
  CHECK_INT(weft_barrier_init(&good, 0), WEFT_EINVAL);
  CHECK_INT(weft_barrier_init(&good, -1), WEFT_EINVAL);
  CHECK_INT(weft_barrier_parties(&good), 1);
  CHECK_INT(weft_barrier_init(&b, 1), 0);
  CHECK_INT(weft_barrier_wait(&b), 0);
}

static void outside_a_task_a_barrier_is_not_waited_for(void **state) {
  (void)state;
  weft_barrier b;
  CHECK_INT(weft_barrier_init(&b, 1), 0);
  CHECK_INT(weft_barrier_wait(&b), WEFT_ENOTASK);
  CHECK_INT(weft_barrier_abort(&b), 0);
  CHECK(weft_barrier_broken(&b));
  CHECK_INT(weft_barrier_reset(&b), 0);
}

static void *abort_it(void *barrier) {
  CHECK_INT(weft_barrier_abort(barrier), 0);
  return NULL;
}

TASK_TEST(a_plain_thread_breaks_a_barrier) {
  weft_barrier b = WEFT_BARRIER_INIT(2);
  pthread_t thread;
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, abort_it, &b), 0)) return;
  CHECK_INT(weft_barrier_wait(&b), WEFT_EBROKEN);
  weft__sys_thread_join(thread);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(B1_each_of_n_gets_a_distinct_index),
    cmocka_unit_test(B1_the_last_one_to_come_has_the_highest_index),
    cmocka_unit_test(B1_late_comers_belong_to_the_next_round),
    cmocka_unit_test(a_barrier_for_one_never_waits),
    cmocka_unit_test(B2_abort_breaks_the_barrier_until_a_reset),
    cmocka_unit_test(B2_reset_breaks_the_waiters_and_leaves_the_barrier_usable),
    cmocka_unit_test(B3_a_cancelled_waiter_just_leaves_the_count),
    cmocka_unit_test(B3_a_cancel_meets_the_end_of_a_round),
    cmocka_unit_test(B2_an_abort_meets_the_end_of_a_round),
    cmocka_unit_test(a_barrier_may_die_as_soon_as_all_have_gone_on),
    cmocka_unit_test(rounds_end_while_waiters_are_cancelled),
    cmocka_unit_test(a_barrier_without_parties_is_einval),
    cmocka_unit_test(outside_a_task_a_barrier_is_not_waited_for),
    cmocka_unit_test(a_plain_thread_breaks_a_barrier),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
