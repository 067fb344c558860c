/* Events: who is woken, by whom, and for how long they have to live. */
#include <stdlib.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "task_test.h"
#include "threads.h"

enum { WAITERS = 5 };

static int wait_for_event(void *event) {
  return weft_event_wait(event);
}

TASK_TEST(E1_set_wakes_all_who_wait_even_if_it_is_cleared_at_once) {
  weft_event e = WEFT_EVENT_INIT;
  weft_task t[WAITERS];
  for (int i = 0; i < WAITERS; i++) t[i] = spawn_parked(wait_for_event, &e);
  CHECK_INT(weft_event_set(&e), 0);
  CHECK_INT(weft_event_clear(&e), 0);
  CHECK(!weft_event_is_set(&e));
  weft_task late = spawn_parked(wait_for_event, &e);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK(is_parked(late));
  CHECK_INT(weft_event_set(&e), 0);
  CHECK_INT(weft_await(late), 0);
}

/* A task that counts its turns: a wait that suspends would give it one. */
struct turns {
  weft_event event;
  int others;
  bool stop;
};

static int count_turns(void *arg) {
  struct turns *t = arg;
  while (!t->stop) {
    t->others++;
    int r = weft_yield();
    if (r < 0) return r;
  }
  return 0;
}

EXACT_TEST(E1_wait_on_a_set_event_does_not_suspend) {
  struct turns turns = {.stop = false};
  weft_task t = weft_spawn(count_turns, &turns, NULL);
  weft_event_set(&turns.event);
  for (int i = 0; i < 1000; i++) CHECK_INT(weft_event_wait(&turns.event), 0);
  CHECK_INT(turns.others, 0);
  turns.stop = true;
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(set_and_clear_may_come_any_number_of_times) {
  weft_event e = {0};
  CHECK(!weft_event_is_set(&e));
  CHECK_INT(weft_event_clear(&e), 0);
  CHECK_INT(weft_event_set(&e), 0);
  CHECK_INT(weft_event_set(&e), 0);
  CHECK(weft_event_is_set(&e));
  CHECK_INT(weft_event_wait(&e), 0);
  CHECK_INT(weft_event_clear(&e), 0);
  CHECK_INT(weft_event_clear(&e), 0);
  CHECK(!weft_event_is_set(&e));
}

TASK_TEST(a_cancelled_waiter_leaves_the_others) {
  weft_event e = WEFT_EVENT_INIT;
  weft_task t[WAITERS];
  for (int i = 0; i < WAITERS; i++) t[i] = spawn_parked(wait_for_event, &e);
  CHECK_INT(weft_cancel(t[1]), 1);
  CHECK_INT(weft_await(t[1]), WEFT_ECANCELED);
  CHECK_INT(weft_cancel(t[4]), 1);
  CHECK_INT(weft_event_set(&e), 0);
  CHECK_INT(weft_await(t[4]), WEFT_ECANCELED);
  CHECK_INT(weft_await(t[0]), 0);
  CHECK_INT(weft_await(t[2]), 0);
  CHECK_INT(weft_await(t[3]), 0);
}

static int cancelled_wait(void *event) {
  weft_cancel(weft_current());
  CHECK_INT(weft_event_wait(event), WEFT_ECANCELED);
  weft_cancel_catch();
  return weft_event_wait(event);
}

TASK_TEST(a_cancelled_task_hears_of_it_although_the_event_is_set) {
  weft_event e = WEFT_EVENT_INIT;
  weft_event_set(&e);
  CHECK_INT(weft_await(weft_spawn(cancelled_wait, &e, NULL)), 0);
}

TASK_TEST(a_deadline_ends_the_wait_for_an_event) {
  weft_event e = WEFT_EVENT_INIT;
  CHECK_INT(weft_wait_for(wait_for_event, &e, weft_ms(2)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_event_set(&e), 0);
  CHECK_INT(weft_wait_for(wait_for_event, &e, A_LONG_TIME), 0);
}

/* ---- lifetime: who waits may take the event with it ---- */

static int set_it(void *event) {
  return weft_event_set(event);
}

TASK_TEST(an_event_may_die_as_soon_as_its_only_waiter_has_gone_on) {
  for (int i = 0; i < count(COUNT_RACES / 10); i++) {
    weft_event *e = calloc(1, sizeof *e);
    weft_task t = weft_spawn(set_it, e, NULL);
    for (int k = i % 3; k > 0; k--) weft_yield();
    CHECK_INT(weft_event_wait(e), 0);
    free(e);
    CHECK_INT(weft_await(t), 0);
  }
}

/* ---- plain threads ---- */

static void *set_on_thread(void *event) {
  CHECK_INT(weft_event_set(event), 0);
  return NULL;
}

TASK_TEST(a_plain_thread_sets_an_event) {
  for (int i = 0; i < count(20); i++) {
    weft_event e = WEFT_EVENT_INIT;
    weft_task t[WAITERS];
    pthread_t thread;
    for (int k = 0; k < WAITERS; k++) t[k] = weft_spawn(wait_for_event, &e, NULL);
    if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, set_on_thread, &e), 0)) return;
    CHECK_INT(weft_event_wait(&e), 0);
    for (int k = 0; k < WAITERS; k++) CHECK_INT(weft_await(t[k]), 0);
    weft__sys_thread_join(thread);
  }
}

/* A thread and a task hand a turn to each other, and wait for it in the same way. */
struct duet {
  weft_event thread_may, task_may;
  int notes; /* plain: the events order it */
};

static void *play_on_thread(void *arg) {
  struct duet *d = arg;
  for (int i = 0; i < count(COUNT_RUNS); i++) {
    CHECK_INT(weft_event_wait(&d->thread_may), 0);
    CHECK_INT(weft_event_clear(&d->thread_may), 0);
    CHECK_INT(d->notes++, 2 * i);
    CHECK_INT(weft_event_set(&d->task_may), 0);
  }
  return NULL;
}

TASK_TEST(a_plain_thread_waits_for_an_event) {
  struct duet d = {.notes = 0};
  pthread_t thread;
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, play_on_thread, &d), 0)) return;
  for (int i = 0; i < count(COUNT_RUNS); i++) {
    CHECK_INT(weft_event_set(&d.thread_may), 0);
    CHECK_INT(weft_event_wait(&d.task_may), 0);
    CHECK_INT(weft_event_clear(&d.task_may), 0);
    CHECK_INT(d.notes++, 2 * i + 1);
  }
  weft__sys_thread_join(thread);
}

struct held_up {
  weft_event go;
  struct latch begun, gone_on;
};

static void *wait_on_thread(void *arg) {
  struct held_up *h = arg;
  latch_hit(&h->begun);
  CHECK_INT(weft_event_wait(&h->go), 0);
  latch_hit(&h->gone_on);
  return NULL;
}

TASK_TEST(E1_set_wakes_threads_and_tasks_together) {
  struct held_up h = {.go = WEFT_EVENT_INIT};
  pthread_t thread[2];
  weft_task t[WAITERS];
  int made = 0;
  for (int i = 0; i < 2; i++)
    made += CHECK_INT(weft__sys_thread_create(&thread[i], NULL, wait_on_thread, &h), 0);
  for (int i = 0; i < WAITERS; i++) t[i] = spawn_parked(wait_for_event, &h.go);
  CHECK_INT(latch_wait(&h.begun, made), 0);
  CHECK_INT(latch_hits(&h.gone_on), 0);
  CHECK_INT(weft_event_set(&h.go), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(t[i]), 0);
  for (int i = 0; i < made; i++) weft__sys_thread_join(thread[i]);
  CHECK_INT(latch_hits(&h.gone_on), made);
}

/* The wake-up is the last thing that the run waits for: it may be over before the thread is. */
static pthread_t last_thread;

static int main_that_waits(void *arg) {
  (void)arg;
  static weft_event e;
  e = (weft_event)WEFT_EVENT_INIT;
  if (!CHECK_INT(weft__sys_thread_create(&last_thread, NULL, set_on_thread, &e), 0)) return 0;
  int r = weft_event_wait(&e);
  if (weft_simulated()) weft__sys_thread_join(last_thread);
  return r;
}

static void a_run_may_end_as_soon_as_a_thread_has_woken_its_last_task(void **state) {
  (void)state;
  for (int i = 0; i < count(COUNT_RUNS / 2); i++) {
    CHECK_INT(weft_run(main_that_waits, NULL, NULL), 0);
    thread_join(last_thread);
  }
}

static void outside_a_run_an_event_is_set_and_cleared(void **state) {
  (void)state;
  weft_event e = WEFT_EVENT_INIT;
  CHECK_INT(weft_event_set(&e), 0);
  CHECK(weft_event_is_set(&e));
  CHECK_INT(weft_event_wait(&e), 0);
  CHECK_INT(weft_event_clear(&e), 0);
  CHECK(!weft_event_is_set(&e));
}

/* ---- as an awaitable ---- */

TASK_TEST(an_event_is_awaited_like_everything_else) {
  weft_event e = WEFT_EVENT_INIT;
  weft_task t = weft_spawn(set_it, &e, NULL);
  CHECK_INT(weft_awaitable_await(weft_event_awaitable(&e)), 0);
  CHECK_INT(weft_awaitable_await(weft_event_awaitable(&e)), 0);
  CHECK_INT(weft_await(t), 0);
}

static int select_two(void *arg) {
  weft_event *e = arg;
  weft_awaitable set[] = {weft_event_awaitable(&e[0]), weft_event_awaitable(&e[1])};
  return weft_select(set, 2, NULL);
}

TASK_TEST(an_event_is_one_of_several_things_to_wait_for) {
  weft_event e[2] = {WEFT_EVENT_INIT, WEFT_EVENT_INIT};
  weft_task t = spawn_parked(select_two, e);
  weft_task plain = spawn_parked(wait_for_event, &e[1]);
  CHECK_INT(weft_event_set(&e[1]), 0);
  CHECK_INT(weft_event_clear(&e[1]), 0);
  CHECK_INT(weft_await(t), 1);
  CHECK_INT(weft_await(plain), 0);
  t = spawn_parked(select_two, e); /* nothing is left of the first one */
  CHECK_INT(weft_event_set(&e[0]), 0);
  CHECK_INT(weft_await(t), 0);
  t = spawn_parked(select_two, &(weft_event[2]){{0}, {0}});
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

/* ---- many ---- */

/* Each side waits for the other's event and clears it, over and over. */
struct pingpong {
  weft_event ping, pong;
  int rounds;
};

static int answer(void *arg) {
  struct pingpong *p = arg;
  for (int i = 0; i < p->rounds; i++) {
    int r = weft_event_wait(&p->ping);
    if (r < 0) return r;
    weft_event_clear(&p->ping);
    weft_event_set(&p->pong);
  }
  return 0;
}

TASK_TEST(no_set_is_lost) {
  struct pingpong p = {.rounds = count(COUNT_TASKS)};
  weft_task t = weft_spawn(answer, &p, NULL);
  for (int i = 0; i < p.rounds; i++) {
    CHECK_INT(weft_event_set(&p.ping), 0);
    if (!CHECK_INT(weft_event_wait(&p.pong), 0)) break;
    CHECK_INT(weft_event_clear(&p.pong), 0);
  }
  CHECK_INT(weft_await(t), 0);
}

/* Waits with deadlines of all lengths, until the set that ends it all. */
static int wait_in_bits(void *event) {
  int r;
  do {
    weft_timeout s;
    weft_timeout_begin(&s, weft_us(1 + (weft_ns)weft_sim_random(50)));
    r = weft_timeout_end(&s, weft_event_wait(event));
    if (r == WEFT_ECANCELED) weft_cancel_catch();
  } while (r == WEFT_ETIMEDOUT || r == WEFT_ECANCELED);
  return r;
}

TASK_TEST(a_set_reaches_waiters_that_come_and_go) {
  weft_event e = WEFT_EVENT_INIT;
  weft_task t[WAITERS];
  for (int i = 0; i < WAITERS; i++) t[i] = weft_spawn(wait_in_bits, &e, NULL);
  for (int i = 0; i < count(200); i++) {
    weft_cancel(t[i % WAITERS]);
    weft_yield();
  }
  CHECK_INT(weft_event_set(&e), 0);
  for (int i = 0; i < WAITERS; i++) {
    int code = -1;
    CHECK_INT(weft_task_wait(t[i], &code), 0);
    CHECK(code == 0 || code == WEFT_ECANCELED); /* cancelled before it began, or as it ended */
    weft_await(t[i]);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(E1_set_wakes_all_who_wait_even_if_it_is_cleared_at_once),
    cmocka_unit_test(E1_wait_on_a_set_event_does_not_suspend),
    cmocka_unit_test(set_and_clear_may_come_any_number_of_times),
    cmocka_unit_test(a_cancelled_waiter_leaves_the_others),
    cmocka_unit_test(a_cancelled_task_hears_of_it_although_the_event_is_set),
    cmocka_unit_test(a_deadline_ends_the_wait_for_an_event),
    cmocka_unit_test(an_event_may_die_as_soon_as_its_only_waiter_has_gone_on),
    cmocka_unit_test(a_plain_thread_sets_an_event),
    cmocka_unit_test(a_plain_thread_waits_for_an_event),
    cmocka_unit_test(E1_set_wakes_threads_and_tasks_together),
    cmocka_unit_test(a_run_may_end_as_soon_as_a_thread_has_woken_its_last_task),
    cmocka_unit_test(outside_a_run_an_event_is_set_and_cleared),
    cmocka_unit_test(an_event_is_awaited_like_everything_else),
    cmocka_unit_test(an_event_is_one_of_several_things_to_wait_for),
    cmocka_unit_test(no_set_is_lost),
    cmocka_unit_test(a_set_reaches_waiters_that_come_and_go),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
