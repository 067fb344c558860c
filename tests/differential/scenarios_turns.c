/* In which turn a waiter goes on: each is woken just after a counter of turns was started. */
#include "scene.h"

struct waiter {
  const char *name;
  weft_fn wait;
  void *object;
};

static int wait_by(void *arg) {
  struct waiter *w = arg;
  w->wait(w->object);
  trace("%s goes on", w->name);
  return 0;
}

struct race {
  struct waiter waiters[2];
  weft_task tasks[2], early, late;
  int n;
};

static void line_up(struct race *r, int n, weft_fn wait, void *object) {
  static const char *const names[] = {"waiter 0", "waiter 1"};
  r->n = n;
  for (int i = 0; i < n; i++) {
    r->waiters[i] = (struct waiter){names[i], wait, object};
    r->tasks[i] = weft_spawn(wait_by, &r->waiters[i], NULL);
  }
  nap(1);
}

static void finish(struct race *r) {
  for (int i = 0; i < r->n; i++) weft_await(r->tasks[i]);
  weft_await(r->early);
  weft_await(r->late);
}

static void race_the_counter(int n, weft_fn wakes, weft_fn wait, void *object) {
  struct race r;
  line_up(&r, n, wait, object);
  r.early = start(tick, "early");
  wakes(object);
  r.late = start(tick, "late");
  trace("woken");
  finish(&r);
}

static int set_future(void *f) {
  return weft_future_set(f, NULL);
}

static int await_future(void *f) {
  return weft_future_await(f, NULL);
}

SCENARIO(a_future_wakes_in_the_next_turn) {
  weft_future *f = NULL;
  weft_future_new(&f, 0);
  race_the_counter(2, set_future, await_future, f);
  weft_future_unref(f);
}

static int set_event(void *e) {
  return weft_event_set(e);
}

static int wait_for_event(void *e) {
  return weft_event_wait(e);
}

SCENARIO(an_event_wakes_in_the_next_turn) {
  weft_event e = WEFT_EVENT_INIT;
  race_the_counter(2, set_event, wait_for_event, &e);
}

static int release_lock(void *l) {
  return weft_lock_release(l);
}

static int acquire_lock(void *l) {
  return weft_lock_acquire(l);
}

SCENARIO(a_lock_is_handed_over_in_the_next_turn) {
  weft_lock l = WEFT_LOCK_INIT;
  weft_lock_acquire(&l);
  race_the_counter(1, release_lock, acquire_lock, &l);
}

static int release_two(void *s) {
  weft_sem_release(s);
  return weft_sem_release(s);
}

static int acquire_permit(void *s) {
  return weft_sem_acquire(s);
}

SCENARIO(permits_are_handed_over_in_the_next_turn) {
  weft_sem s = WEFT_SEM_INIT(0);
  race_the_counter(2, release_two, acquire_permit, &s);
}

static int put_two(void *q) {
  int one = 1, two = 2;
  weft_queue_try_put(q, &one);
  return weft_queue_try_put(q, &two);
}

static int put_one(void *q) {
  int one = 1;
  return weft_queue_put(q, &one);
}

static int get_one(void *q) {
  int item;
  return weft_queue_get(q, &item);
}

SCENARIO(an_item_arrives_in_the_next_turn) {
  weft_queue *q = NULL;
  weft_queue_new(&q, sizeof(int), NULL);
  race_the_counter(2, put_two, get_one, q);
  weft_queue_free(q);
}

SCENARIO(a_place_falls_free_in_the_next_turn) {
  weft_queue *q = NULL;
  weft_queue_new(&q, sizeof(int), &(weft_queue_opts){.capacity = 1});
  put_one(q);
  race_the_counter(1, get_one, put_one, q);
  weft_queue_free(q);
}

static int task_done(void *q) {
  return weft_queue_task_done(q);
}

static int join_queue(void *q) {
  return weft_queue_join(q);
}

SCENARIO(all_is_done_in_the_next_turn) {
  weft_queue *q = NULL;
  weft_queue_new(&q, sizeof(int), NULL);
  put_one(q);
  get_one(q);
  race_the_counter(2, task_done, join_queue, q);
  weft_queue_free(q);
}

static int come(void *b) {
  return weft_barrier_wait(b);
}

SCENARIO(a_barrier_opens_in_the_next_turn) {
  weft_barrier b = WEFT_BARRIER_INIT(3);
  struct race r;
  line_up(&r, 2, come, &b);
  r.early = start(tick, "early");
  trace("place %d", weft_barrier_wait(&b));
  r.late = start(tick, "late");
  finish(&r);
}

static int wait_in_condition(void *c) {
  weft_cond_acquire(c);
  weft_cond_wait(c);
  return weft_cond_release(c);
}

SCENARIO(the_notified_go_on_in_the_next_turn) {
  weft_cond c = WEFT_COND_INIT(NULL);
  struct race r;
  line_up(&r, 2, wait_in_condition, &c);
  weft_cond_acquire(&c);
  r.early = start(tick, "early");
  weft_cond_notify_all(&c);
  weft_cond_release(&c);
  r.late = start(tick, "late");
  finish(&r);
}

static int sleep_and_catch(void *arg) {
  (void)arg;
  nap(3600);
  return weft_cancel_catch();
}

SCENARIO(a_cancel_arrives_in_the_next_turn) {
  struct waiter w = {"waiter", sleep_and_catch, NULL};
  weft_task t = weft_spawn(wait_by, &w, NULL);
  nap(1);
  weft_task early = start(tick, "early");
  weft_cancel(t);
  weft_task late = start(tick, "late");
  weft_await(t);
  weft_await(early);
  weft_await(late);
}

static int end_beside_counters(void *counter) {
  *(weft_task *)counter = start(tick, "early");
  trace("the task ends");
  return 0;
}

static int await_that(void *counter) {
  return weft_await(weft_spawn(end_beside_counters, counter, NULL));
}

SCENARIO(an_awaiter_goes_on_in_the_next_turn) {
  weft_task counter;
  wait_by(&(struct waiter){"awaiter", await_that, &counter});
  weft_await(counter);
}

const struct scenario scenarios_turns[] = {
    ENTRY(a_future_wakes_in_the_next_turn),        ENTRY(an_event_wakes_in_the_next_turn),
    ENTRY(a_lock_is_handed_over_in_the_next_turn), ENTRY(permits_are_handed_over_in_the_next_turn),
    ENTRY(an_item_arrives_in_the_next_turn),       ENTRY(a_place_falls_free_in_the_next_turn),
    ENTRY(all_is_done_in_the_next_turn),           ENTRY(a_barrier_opens_in_the_next_turn),
    ENTRY(the_notified_go_on_in_the_next_turn),    ENTRY(a_cancel_arrives_in_the_next_turn),
    ENTRY(an_awaiter_goes_on_in_the_next_turn),    {NULL, NULL},
};
