/* Where a worker's next task comes from: the order of its queues, its peers', and what it passes over.
 * Method: workers without threads and loops, whose queues the test fills. */
#include <stdlib.h>
#include <string.h>

#include "core/ready.h"
#include "core/worker.h"
#include "weft_test.h"

enum { WORKERS = 2, EMPTY = -1, FAIR = 100 }; /* no queue is overlooked for as many turns as that */

static struct weft__runtime rt;
static struct weft__worker *w; /* the one that asks; its peer is w + 1, its reserve w + 2 */
static struct weft__task *task[400];
static int tasks;

static void init_worker(struct weft__worker *v, bool reserve) {
  v->rt = &rt;
  v->plain = !reserve && !rt.exact;
  v->reserve = reserve;
  weft__tasklist_init(&v->inbox, WEFT__LINK_READY);
  weft__tasklist_init(&v->hogs, WEFT__LINK_READY);
  weft__rng_init(&v->rng, 7, 0);
}

static void begin_with(unsigned workers, unsigned reserves, bool exact) {
  size_t size = (WORKERS + 1) * sizeof *w;
  memset(&rt, 0, sizeof rt);
  w = aligned_alloc(WEFT__CACHE_LINE, (size + 127) / 128 * 128);
  memset(w, 0, size);
  rt.workers = w;
  rt.nworkers = workers;
  rt.nreserves = reserves;
  rt.exact = exact;
  tasks = 0;
  weft__task_pool_init(&rt.tasks, &rt);
  weft__tasklist_init(&rt.ready, WEFT__LINK_READY);
  weft__tasklist_init(&rt.unstarted, WEFT__LINK_START);
  for (int i = 0; i <= WORKERS; i++) init_worker(&w[i], i == WORKERS);
}

static void begin(void) {
  begin_with(WORKERS, 1, false);
}

static void end(void) {
  weft__task_pool_fini(&rt.tasks);
  free(w);
}

static unsigned phase(int i) {
  return weft__word_phase(weft__load_relaxed_u64(&task[i]->word));
}

/* A task that has not begun; its number. */
static struct weft__task *unstarted(void) {
  struct weft__task *t = weft__task_new(&rt.tasks, &w->cache);
  t->odd = 0;
  return task[tasks++] = t;
}

static struct weft__task *ready(void) {
  struct weft__task *t = unstarted();
  CHECK(weft__claim_start(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)), false));
  return t;
}

/* As unstarted, but its awaiter has begun and ended it, and its entry is all that is left. */
static struct weft__task *tombstone(void) {
  struct weft__task *t = ready();
  weft__task_unref(&rt.tasks, &w->cache, t, 1);
  return t;
}

static int number(const struct weft__task *t) {
  if (!t) return EMPTY;
  for (int i = 0; i < tasks; i++)
    if (task[i] == t) return i;
  return -2;
}

/* The next task, which is begun afterwards, and fresh if it had not been. */
static int next_of(struct weft__worker *v) {
  struct weft__task *t = weft__next_task(v);
  if (t) CHECK_UINT(phase(number(t)), WEFT__RUNNING);
  return number(t);
}
static int next(void) {
  return next_of(w);
}

static void an_idle_worker_has_none(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < FAIR; i++) CHECK_INT(next(), EMPTY);
  CHECK_PTR(weft__steal_task(w), NULL);
  end();
}

static void what_only_this_worker_may_run_comes_first(void **state) {
  (void)state;
  begin();
  CHECK(weft__ring_push(&w->ring, ready()));
  weft__tasklist_push(&w->inbox, ready());
  weft__tasklist_push(&w->inbox, unstarted());
  CHECK_INT(next(), 1);
  CHECK(!(task[1]->odd & WEFT__FRESH));
  CHECK_INT(next(), 2);
  CHECK((task[2]->odd & WEFT__FRESH));
  CHECK_INT(next(), 0);
  CHECK_INT(next(), EMPTY);
  end();
}

/* Pinned tasks that yield for ever must not keep the others from the worker. */
static void what_only_this_worker_may_run_leaves_turns_to_the_others(void **state) {
  (void)state;
  begin();
  weft__tasklist_push(&w->inbox, ready());
  CHECK(weft__ring_push(&w->ring, ready()));
  CHECK(weft__deque_push(&w->deque, unstarted()));
  int seen[3] = {0}, turns;
  for (turns = 0; turns < FAIR && !(seen[1] && seen[2]); turns++) {
    int n = next();
    if (!CHECK(n >= 0)) break;
    seen[n]++;
    if (n == 0) weft__tasklist_push(&w->inbox, task[0]);
  }
  CHECK(turns < FAIR && seen[0] > 4);
  end();
  begin();
  for (int i = 0; i < 20; i++) weft__tasklist_push(&w->inbox, ready());
  for (int i = 0; i < 20; i++) CHECK_INT(next(), i); /* alone it has every turn */
  end();
}

static void ready_and_unstarted_tasks_take_turns(void **state) {
  static const int order[] = {5, 0, 4, 1, 3, 2, EMPTY}; /* newest first, oldest first */
  (void)state;
  begin();
  for (int i = 0; i < 3; i++) CHECK(weft__ring_push(&w->ring, ready()));
  for (int i = 0; i < 3; i++) CHECK(weft__deque_push(&w->deque, unstarted()));
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) CHECK_INT(next(), order[i]);
  for (int i = 0; i < 3; i++) CHECK(!(task[i]->odd & WEFT__FRESH));
  for (int i = 3; i < 6; i++) CHECK((task[i]->odd & WEFT__FRESH));
  end();
}

/* Without this a worker that spawns for ever would never begin its first tasks. */
static void now_and_then_the_oldest_unstarted_task_is_begun(void **state) {
  (void)state;
  begin();
  struct weft__task *first = unstarted();
  CHECK(weft__deque_push(&w->deque, first));
  int turns = 0;
  for (; turns < FAIR && !(first->odd & WEFT__FRESH); turns++) {
    CHECK(weft__deque_push(&w->deque, unstarted()));
    CHECK(weft__deque_push(&w->deque, unstarted()));
    next();
  }
  CHECK(turns > 1 && turns < FAIR);
  end();
}

static void entries_of_tasks_that_their_awaiters_began_are_dropped(void **state) {
  (void)state;
  begin();
  CHECK(weft__deque_push(&w->deque, unstarted()));
  CHECK(weft__deque_push(&w->deque, tombstone()));
  CHECK(weft__deque_push(&w->deque, tombstone()));
  CHECK_INT(next(), 0);
  CHECK_UINT(phase(1), WEFT__FREE);
  CHECK_UINT(phase(2), WEFT__FREE);
  for (int i = 0; i < 2; i++) weft__tasklist_push(&rt.unstarted, tombstone());
  CHECK_INT(next(), EMPTY);
  CHECK_UINT(phase(3), WEFT__FREE);
  CHECK_UINT(phase(4), WEFT__FREE);
  end();
}

static void shared_tasks_come_when_there_are_no_others(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 3; i++) weft__tasklist_push(&rt.ready, ready());
  weft__tasklist_push(&rt.unstarted, unstarted());
  weft__tasklist_push(&rt.unstarted, unstarted());
  CHECK(weft__ring_push(&w->ring, ready()));
  CHECK_INT(next(), 5);
  for (int i = 0; i < 5; i++) CHECK_INT(next(), i);
  CHECK((task[3]->odd & WEFT__FRESH) && (task[4]->odd & WEFT__FRESH) &&
        !(task[0]->odd & WEFT__FRESH));
  CHECK_INT(next(), EMPTY);
  end();
}

static void a_batch_of_shared_tasks_leaves_some_to_the_others(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 100; i++) weft__tasklist_push(&rt.ready, ready());
  CHECK_INT(next(), 0);
  unsigned taken = 1 + weft__ring_len(&w->ring);
  CHECK(taken > 1 && taken < 50);
  CHECK_UINT(weft__tasklist_count(&rt.ready), 100 - taken);
  for (unsigned i = 1; i < taken; i++) CHECK_INT(next(), i);
  end();
}

/* Also when the ring has room for less than a batch. */
static void shared_tasks_are_looked_for_while_the_own_queues_are_full(void **state) {
  (void)state;
  for (unsigned room = 0; room < 4; room++) {
    begin();
    for (int i = 0; i < 6; i++) weft__tasklist_push(&rt.ready, ready());
    while (weft__ring_len(&w->ring) < WEFT__RING_CAP - room)
      CHECK(weft__ring_push(&w->ring, ready()));
    struct weft__task *t = NULL;
    int turns = 0;
    while (turns++ < FAIR && (t = weft__next_task(w)) != task[0])
      CHECK(weft__ring_push(&w->ring, t)); /* one goes, one comes */
    CHECK(turns > 1 && turns <= FAIR);
    CHECK_UINT(weft__ring_len(&w->ring), WEFT__RING_CAP);
    CHECK_UINT(weft__tasklist_count(&rt.ready), 5 - room);
    end();
  }
}

static void a_hog_comes_last_but_comes(void **state) {
  (void)state;
  begin();
  weft__tasklist_push(&w->hogs, ready());
  weft__tasklist_push(&rt.unstarted, unstarted());
  CHECK(weft__ring_push(&w->ring, ready()));
  CHECK_INT(next(), 2);
  CHECK_INT(next(), 1);
  CHECK_INT(next(), 0);
  weft__tasklist_push(&w->hogs, task[0]);
  int turns = 0;
  do {
    CHECK(weft__ring_push(&w->ring, task[2]));
    turns++;
  } while (turns < FAIR && next() != 0);
  CHECK(turns > 4 && turns < FAIR);
  end();
}

static void in_exact_mode_tasks_come_in_the_order_of_their_readiness(void **state) {
  (void)state;
  begin_with(1, 0, true);
  CHECK(weft__ring_push(&w->ring, ready()));
  CHECK(weft__ring_push(&w->ring, unstarted()));
  for (int i = 2; i < 60; i++) weft__tasklist_push(&rt.ready, i % 2 ? ready() : unstarted());
  for (int i = 0; i < 60; i++) {
    CHECK_INT(next(), i);
    CHECK_INT((task[i]->odd & WEFT__FRESH), i == 1 || (i > 1 && i % 2 == 0));
  }
  CHECK_INT(next(), EMPTY);
  end();
}

static void a_reserve_begins_nothing(void **state) {
  (void)state;
  begin();
  struct weft__worker *reserve = &w[WORKERS];
  weft__tasklist_push(&rt.unstarted, unstarted());
  for (int i = 0; i < FAIR; i++) CHECK_INT(next_of(reserve), EMPTY);
  weft__tasklist_push(&rt.ready, ready());
  CHECK_INT(next_of(reserve), 1);
  end();
}

/* ---- peers ---- */

static void surplus(struct weft__worker *v, bool running, bool hogged, bool want) {
  weft__store_relaxed_u32(&v->slice, running ? 3 : 2);
  weft__store_relaxed_u32(&v->hogged, hogged);
  CHECK_INT(weft__worker_surplus(v), want);
}

static void a_worker_keeps_what_it_does_next(void **state) {
  (void)state;
  begin();
  for (int running = 0; running < 2; running++) surplus(w, running, running, false);
  CHECK(weft__ring_push(&w->ring, ready()));
  surplus(w, false, false, false);
  surplus(w, true, false, false);
  surplus(w, true, true, true); /* it will not come to it */
  CHECK(weft__deque_push(&w->deque, unstarted()));
  surplus(w, false, false, true);
  CHECK_INT(next(), 1);
  surplus(w, false, false, false);
  CHECK_INT(next(), 0);
  weft__tasklist_push(&w->hogs, task[0]);
  surplus(w, false, false, false);
  surplus(w, true, false, true);
  surplus(w, true, true, true);
  weft__tasklist_push(&w->hogs, task[1]);
  surplus(w, false, false, true);
  end();
}

static void a_thief_takes_half_of_the_ready_tasks_oldest_first(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 10; i++) CHECK(weft__ring_push(&w[1].ring, ready()));
  CHECK_INT(number(weft__steal_task(w)), 0);
  CHECK_UINT(weft__ring_len(&w->ring), 4);
  CHECK_UINT(weft__ring_len(&w[1].ring), 5);
  for (int i = 1; i < 10; i++) CHECK_INT(next_of(i < 5 ? w : &w[1]), i);
  end();
}

static void a_thief_takes_the_oldest_unstarted_task_and_no_entry_without_one(void **state) {
  (void)state;
  begin();
  CHECK(weft__deque_push(&w[1].deque, tombstone()));
  for (int i = 0; i < 3; i++) CHECK(weft__deque_push(&w[1].deque, unstarted()));
  CHECK_INT(number(weft__steal_task(w)), 1);
  CHECK((task[1]->odd & WEFT__FRESH));
  CHECK_UINT(phase(0), WEFT__FREE);
  CHECK_INT(number(weft__steal_task(w)), 2);
  CHECK_PTR(weft__steal_task(w), NULL); /* its next one */
  CHECK_INT(next_of(&w[1]), 3);
  end();
}

static void a_thief_takes_a_hog_that_waits_behind_a_running_one(void **state) {
  (void)state;
  begin();
  weft__tasklist_push(&w[1].hogs, ready());
  CHECK_PTR(weft__steal_task(w), NULL);
  weft__store_relaxed_u32(&w[1].slice, 1);
  CHECK_INT(number(weft__steal_task(w)), 0);
  CHECK_PTR(weft__steal_task(w), NULL);
  end();
}

static void a_thief_looks_at_reserves_too_and_never_at_itself(void **state) {
  (void)state;
  begin();
  for (int i = 0; i < 4; i++) CHECK(weft__ring_push(&w->ring, ready()));
  for (int i = 0; i < 20; i++) CHECK_PTR(weft__steal_task(w), NULL);
  for (int i = 0; i < 2; i++) CHECK(weft__ring_push(&w[WORKERS].ring, ready()));
  for (int i = 0; i < 20 && weft__ring_len(&w[WORKERS].ring) == 2; i++)
    CHECK_INT(number(weft__steal_task(w)), 4);
  rt.nworkers = 1;
  rt.nreserves = 0;
  CHECK_PTR(weft__steal_task(w), NULL); /* nobody else is there */
  end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_idle_worker_has_none),
    cmocka_unit_test(what_only_this_worker_may_run_comes_first),
    cmocka_unit_test(what_only_this_worker_may_run_leaves_turns_to_the_others),
    cmocka_unit_test(ready_and_unstarted_tasks_take_turns),
    cmocka_unit_test(now_and_then_the_oldest_unstarted_task_is_begun),
    cmocka_unit_test(entries_of_tasks_that_their_awaiters_began_are_dropped),
    cmocka_unit_test(shared_tasks_come_when_there_are_no_others),
    cmocka_unit_test(a_batch_of_shared_tasks_leaves_some_to_the_others),
    cmocka_unit_test(shared_tasks_are_looked_for_while_the_own_queues_are_full),
    cmocka_unit_test(a_hog_comes_last_but_comes),
    cmocka_unit_test(in_exact_mode_tasks_come_in_the_order_of_their_readiness),
    cmocka_unit_test(a_reserve_begins_nothing),
    cmocka_unit_test(a_worker_keeps_what_it_does_next),
    cmocka_unit_test(a_thief_takes_half_of_the_ready_tasks_oldest_first),
    cmocka_unit_test(a_thief_takes_the_oldest_unstarted_task_and_no_entry_without_one),
    cmocka_unit_test(a_thief_takes_a_hog_that_waits_behind_a_running_one),
    cmocka_unit_test(a_thief_looks_at_reserves_too_and_never_at_itself),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
