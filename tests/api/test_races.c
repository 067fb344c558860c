/* Two things at the same instant: a cancel and an end, a wake-up and a deadline, two cancels.
 *
 * Each test is many short rounds in which both sides take a varying number of steps first, so that
 * every order comes up. What is checked holds for every order: the answer of weft_cancel and the
 * code of the task agree. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "task_test.h"

static void spin(int steps) {
  if (counts_simulated()) weft_sim_work(weft_sim_random((uint32_t)steps));
  for (volatile int i = 0; i < steps; i++) {}
}

struct round {
  weft_task victim;
  int victim_steps, canceller_steps;
  weft_ns nap;
  atomic_int entered; /* how often the victim's body ran */
  struct latch go;
  int answer;
};

/* The invariant of every round: a cancel that was accepted ends the task cancelled (nobody here
 * catches one), a refused one left its code alone. */
static bool consistent(struct round *r, int code) {
  bool ok = CHECK(r->answer == 0 || r->answer == 1);
  ok = CHECK_INT(code, r->answer == 1 ? WEFT_ECANCELED : 3) && ok;
  ok = CHECK(atomic_load(&r->entered) <= 1) && ok;
  return CHECK(code != 3 || atomic_load(&r->entered) == 1) && ok;
}

static int cancel_victim(void *arg) {
  struct round *r = arg;
  spin(r->canceller_steps);
  r->answer = weft_cancel(r->victim);
  return 0;
}

/* Runs rounds with the canceller as a task. */
static void rounds(weft_fn victim, int n, int steps) {
  for (int i = 0; i < count(n); i++) {
    struct round r = {.victim_steps = (i * 7) % steps,
                      .canceller_steps = (i * 13) % steps,
                      .nap = weft_us(20 + i % 11)};
    r.victim = weft_spawn(victim, &r, NULL);
    weft_task canceller = weft_spawn(cancel_victim, &r, NULL);
    int code = 0;
    CHECK_INT(weft_task_wait(r.victim, &code), 0);
    CHECK_INT(weft_await(canceller), 0);
    CHECK_INT(weft_await(r.victim), code);
    if (!consistent(&r, code)) return;
  }
}

static int compute(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  spin(r->victim_steps);
  return 3;
}

TASK_TEST(a_cancel_meets_a_task_that_begins_and_ends) {
  rounds(compute, COUNT_RACES / 4, 300);
}

static int yield_once(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  spin(r->victim_steps);
  int c = weft_yield();
  return c < 0 ? c : 3;
}

TASK_TEST(a_cancel_meets_a_task_that_yields) {
  rounds(yield_once, COUNT_RACES / 4, 300);
}

static int nap(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  int c = weft_sleep(r->nap);
  return c < 0 ? c : 3;
}

TASK_TEST(a_cancel_meets_the_wake_up_of_a_sleep) {
  rounds(nap, COUNT_RACES / 20, 30000);
}

static int await_child(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  int steps = r->victim_steps;
  weft_task t = weft_spawn(return_given, &steps, NULL);
  int c = weft_await(t);
  return c < 0 ? c : 3;
}

TASK_TEST(a_cancel_meets_the_end_of_the_task_that_is_awaited) {
  rounds(await_child, COUNT_RACES / 4, 300);
}

static int join_children(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 3; i++) weft_group_spawn(&g, return_seven, NULL, NULL);
  int c = weft_group_join(&g);
  return c < 0 ? c : 3;
}

TASK_TEST(a_cancel_meets_the_end_of_a_groups_children) {
  rounds(join_children, COUNT_RACES / 10, 2000);
}

static int gather_children(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  weft_task t[3];
  int codes[3];
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(return_seven, NULL, NULL);
  int c = weft_gather(t, 3, codes);
  return c < 0 ? c : 3;
}

TASK_TEST(a_cancel_meets_the_end_of_gathered_tasks) {
  rounds(gather_children, COUNT_RACES / 10, 2000);
}

static int offload(void *arg) {
  struct round *r = arg;
  atomic_fetch_add(&r->entered, 1);
  int c = weft_to_thread(return_zero, NULL);
  return c < 0 ? c : 3;
}

TASK_TEST(a_cancel_meets_the_end_of_a_blocking_job) {
  rounds(offload, COUNT_RACES / 20, 20000);
}

/* ---- a canceller that is no task ---- */

struct foreign {
  _Atomic(struct round *) round; /* handed over by the test, taken back when it is done */
  atomic_bool stop;
};

static void *cancel_rounds(void *arg) {
  struct foreign *f = arg;
  while (!atomic_load(&f->stop)) {
    struct round *r = atomic_load(&f->round);
    weft_sim_point();
    if (!r) continue;
    cancel_victim(r);
    atomic_store(&f->round, NULL);
  }
  return NULL;
}

TASK_TEST(a_foreign_threads_cancel_meets_the_end_of_a_task) {
  struct foreign f = {0};
  pthread_t thread;
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, cancel_rounds, &f), 0)) return;
  for (int i = 0; i < count(COUNT_RACES / 10) && !weft_test_failed(); i++) {
    struct round r = {.victim_steps = i % 200, .canceller_steps = (i * 3) % 200};
    r.victim = weft_spawn(i % 2 ? compute : yield_once, &r, NULL);
    atomic_store(&f.round, &r);
    int code = 0;
    CHECK_INT(weft_task_wait(r.victim, &code), 0);
    while (atomic_load(&f.round)) CHECK_INT(weft_yield(), 0);
    CHECK_INT(weft_await(r.victim), code);
    consistent(&r, code);
  }
  atomic_store(&f.stop, true);
  weft__sys_thread_join(thread);
}

/* ---- several at once ---- */

struct many {
  weft_task victim;
  atomic_int accepted, refused, stale;
};

static int cancel_many(void *arg) {
  struct many *m = arg;
  int r = weft_cancel(m->victim);
  atomic_fetch_add(r == 1 ? &m->accepted : r == 0 ? &m->refused : &m->stale, 1);
  return 0;
}

TASK_TEST(several_cancels_meet_and_are_all_counted) {
  for (int i = 0; i < count(COUNT_RACES / 50) && !weft_test_failed(); i++) {
    struct many m = {0};
    struct round r = {.victim_steps = i % 100};
    weft_group g = WEFT_GROUP_INIT;
    m.victim = weft_spawn(i % 2 ? compute : yield_once, &r, NULL);
    for (int k = 0; k < 5; k++) weft_group_spawn(&g, cancel_many, &m, NULL);
    CHECK_INT(weft_group_join(&g), 0);
    int code = 0;
    CHECK_INT(weft_task_wait(m.victim, &code), 0);
    CHECK_INT(atomic_load(&m.accepted) + atomic_load(&m.refused), 5);
    CHECK_INT(weft_cancelling(m.victim), atomic_load(&m.accepted));
    CHECK_INT(code, atomic_load(&m.accepted) ? WEFT_ECANCELED : 3);
    CHECK_INT(weft_await(m.victim), code);
  }
}

struct taker {
  weft_task victim;
  atomic_int got, stale;
};

static int try_to_await(void *arg) {
  struct taker *t = arg;
  int r = weft_await(t->victim);
  atomic_fetch_add(r == WEFT_ESTALE ? &t->stale : &t->got, 1);
  return r == WEFT_ESTALE || r == 7 ? 0 : OWN_ERROR;
}

TASK_TEST(several_awaits_meet_and_one_gets_the_code) {
  for (int i = 0; i < count(COUNT_RACES / 50) && !weft_test_failed(); i++) {
    struct taker t = {0};
    weft_group g = WEFT_GROUP_INIT;
    t.victim = weft_spawn(return_seven, NULL, NULL);
    for (int k = 0; k < 4; k++) weft_group_spawn(&g, try_to_await, &t, NULL);
    CHECK_INT(weft_group_join(&g), 0);
    CHECK_INT(atomic_load(&t.got), 1);
    CHECK_INT(atomic_load(&t.stale), 3);
  }
}

/* ---- a wake-up and a deadline ---- */

TASK_TEST(a_wake_up_meets_its_timeout_and_nothing_is_lost) {
  for (int i = 0; i < count(COUNT_RACES / 20) && !weft_test_failed(); i++) {
    struct round r = {.nap = weft_us(30)};
    weft_timeout s;
    weft_task t = weft_spawn(nap, &r, NULL);
    CHECK_INT(weft_timeout_begin(&s, weft_us(25 + i % 13)), 0);
    int code = 12345, w = weft_task_wait(t, &code);
    CHECK(w == 0 || w == WEFT_ECANCELED);
    CHECK_INT(code, w == 0 ? 3 : 12345); /* cut: nothing was taken */
    CHECK_INT(weft_timeout_end(&s, w), w == 0 ? 0 : WEFT_ETIMEDOUT);
    CHECK_INT(weft_await(t), 3); /* the wait cancelled nobody */
  }
}

static int wait_until_told(void *arg) {
  struct round *r = arg;
  int c = 0;
  while (latch_hits(&r->go) == 0 && (c = weft_sleep(weft_us(5))) == 0) {}
  return c < 0 ? c : 3;
}

TASK_TEST(wait_for_task_meets_the_end_of_its_task) {
  for (int i = 0; i < count(COUNT_RACES / 50) && !weft_test_failed(); i++) {
    struct round r = {.nap = weft_us(10)};
    weft_task t = weft_spawn(i % 2 ? nap : wait_until_told, &r, NULL);
    latch_hit(&r.go);
    int code = weft_wait_for_task(t, weft_us(i % 30));
    CHECK(code == 3 || code == WEFT_ETIMEDOUT);
    CHECK_INT(weft_yield(), 0);
  }
}

/* ---- a description and the memory's next task ---- */

struct described {
  weft_task task;
  atomic_bool there; /* release after task, acquire before it is read */
  atomic_bool seen;  /* relaxed: the description must need no other order than its own */
};

static void *describe(void *arg) {
  struct described *d = arg;
  char line[256];
  while (!atomic_load_explicit(&d->there, memory_order_acquire)) latch_turn_thread();
  CHECK(weft_task_describe(d->task, line, sizeof line) > 0);
  CHECK_STR(weft_task_name(d->task), "described");
  atomic_store_explicit(&d->seen, true, memory_order_relaxed);
  return NULL;
}

static int wait_until_seen(void *arg) {
  struct described *d = arg;
  int r = 0;
  while (!atomic_load_explicit(&d->seen, memory_order_relaxed) && r == 0) r = weft_yield();
  return r;
}

TASK_TEST(a_description_meets_the_next_task_in_the_same_memory) {
  for (int i = 0; i < count(COUNT_RUNS); i++) {
    struct described d = {.there = false};
    pthread_t thread;
    if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, describe, &d), 0)) return;
    d.task = weft_spawn(wait_until_seen, &d, &(weft_spawn_opts){.name = "described"});
    atomic_store_explicit(&d.there, true, memory_order_release);
    CHECK_INT(weft_await(d.task), 0);
    weft_task next[4];
    for (int k = 0; k < 4; k++)
      next[k] = weft_spawn(return_seven, NULL, &(weft_spawn_opts){.name = "next"});
    for (int k = 0; k < 4; k++) CHECK_INT(weft_await(next[k]), 7);
    weft__sys_thread_join(thread);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_cancel_meets_a_task_that_begins_and_ends),
    cmocka_unit_test(a_cancel_meets_a_task_that_yields),
    cmocka_unit_test(a_cancel_meets_the_wake_up_of_a_sleep),
    cmocka_unit_test(a_cancel_meets_the_end_of_the_task_that_is_awaited),
    cmocka_unit_test(a_cancel_meets_the_end_of_a_groups_children),
    cmocka_unit_test(a_cancel_meets_the_end_of_gathered_tasks),
    cmocka_unit_test(a_cancel_meets_the_end_of_a_blocking_job),
    cmocka_unit_test(a_foreign_threads_cancel_meets_the_end_of_a_task),
    cmocka_unit_test(several_cancels_meet_and_are_all_counted),
    cmocka_unit_test(several_awaits_meet_and_one_gets_the_code),
    cmocka_unit_test(a_wake_up_meets_its_timeout_and_nothing_is_lost),
    cmocka_unit_test(wait_for_task_meets_the_end_of_its_task),
    cmocka_unit_test(a_description_meets_the_next_task_in_the_same_memory),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
