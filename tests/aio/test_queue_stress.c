/* Many producers and consumers, cancels and timeouts at any moment: no item is lost, none comes twice. */
#include <stdatomic.h>
#include <stdlib.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

enum { PRODUCERS = 4, CONSUMERS = 4, PER_PRODUCER = COUNT_TASKS / 4 };

struct item {
  int producer;
  int number;
  int rank;
};

struct scene {
  weft_queue *q;
  weft_queue_order order;
  int n;              /* items of each producer */
  bool disturbs;      /* waits end by timeouts and cancels */
  bool joins;         /* every item is reported as done */
  struct latch begun; /* members: one that is cancelled before never runs */
  _Atomic int left;   /* producers that have not ended */
  _Atomic uint32_t random;
  atomic_uchar put[PRODUCERS][PER_PRODUCER], got[PRODUCERS][PER_PRODUCER];
};

/* Drawn from the seed in a simulation; else anything will do. */
static uint32_t draw(struct scene *s, uint32_t n) {
  if (weft_simulated()) return weft_sim_random(n);
  uint32_t x = atomic_fetch_add(&s->random, 0x9e3779b9u);
  x ^= x >> 15;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  return x % n;
}

static bool less_rank(const void *a, const void *b, void *arg) {
  (void)arg;
  return ((const struct item *)a)->rank < ((const struct item *)b)->rank;
}

/* One call, at times with little time for it. A cancel is caught: what it says of the item is what counts. */
static int put(struct scene *s, const struct item *item) {
  weft_timeout scope;
  bool limited = s->disturbs && draw(s, 4) == 0;
  if (limited) weft_timeout_begin(&scope, weft_us(draw(s, 20)));
  int r = weft_queue_put(s->q, item);
  if (limited) r = weft_timeout_end(&scope, r);
  if (r == WEFT_ECANCELED) weft_cancel_catch();
  return r;
}

static int get(struct scene *s, struct item *item) {
  weft_timeout scope;
  bool limited = s->disturbs && draw(s, 4) == 0;
  if (limited) weft_timeout_begin(&scope, weft_us(draw(s, 20)));
  int r = weft_queue_get(s->q, item);
  if (limited) r = weft_timeout_end(&scope, r);
  if (r == WEFT_ECANCELED) weft_cancel_catch();
  return r;
}

struct member {
  struct scene *s;
  int index;
};

static int produce(void *arg) {
  const struct member *m = arg;
  struct scene *s = m->s;
  int r = 0;
  latch_hit(&s->begun);
  for (int i = 0; i < s->n && r != WEFT_ECLOSED; i++) {
    r = put(s, &(struct item){m->index, i, (int)draw(s, 5)});
    if (r == 0)
      s->put[m->index][i]++;
    else
      CHECK(r == WEFT_ECLOSED || r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT);
    if (draw(s, 16) == 0) weft_yield();
    weft_cancel_catch();
  }
  s->left--;
  return 0;
}

static int consume(void *arg) {
  const struct member *m = arg;
  struct scene *s = m->s;
  int r, last[PRODUCERS];
  for (int i = 0; i < PRODUCERS; i++) last[i] = -1;
  struct item item;
  latch_hit(&s->begun);
  while ((r = get(s, &item)) != 0) {
    if (r < 0) {
      CHECK(r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT);
      continue;
    }
    CHECK_INT(s->got[item.producer][item.number]++, 0);
    if (s->order == WEFT_QUEUE_FIFO) CHECK(item.number > last[item.producer]);
    last[item.producer] = item.number;
    if (s->joins) CHECK_INT(weft_queue_task_done(s->q), 0);
    if (draw(s, 16) == 0) weft_yield();
    weft_cancel_catch();
  }
  return 0;
}

struct crowd {
  struct scene *s;
  struct member members[PRODUCERS + CONSUMERS];
  weft_task tasks[PRODUCERS + CONSUMERS];
};

static void start_crowd(struct crowd *c) {
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
    bool producer = i < PRODUCERS;
    c->members[i] = (struct member){c->s, producer ? i : i - PRODUCERS};
    c->tasks[i] = weft_spawn(producer ? produce : consume, &c->members[i], NULL);
  }
  CHECK_INT(latch_wait(&c->s->begun, PRODUCERS + CONSUMERS), 0);
}

/* Until the producers have ended. */
static void disturb(struct crowd *c) {
  int rounds = 0;
  while (c->s->left > 0) {
    if (c->s->disturbs) weft_cancel(c->tasks[draw(c->s, PRODUCERS + CONSUMERS)]);
    CHECK_INT(latch_turn(&rounds), 0);
  }
}

static struct scene *new_scene(weft_queue_order order, size_t capacity, bool disturbs) {
  struct scene *s = calloc(1, sizeof *s);
  weft_queue_opts opts = {.order = order, .capacity = capacity, .less = less_rank};
  s->order = order;
  s->n = count(PER_PRODUCER);
  s->disturbs = disturbs;
  s->left = PRODUCERS;
  CHECK_INT(weft_queue_new(&s->q, sizeof(struct item), &opts), 0);
  return s;
}

/* Every item that was put was got, unless they were dropped, and no other. */
static void end_scene(struct scene *s, bool dropped) {
  for (int p = 0; p < PRODUCERS; p++)
    for (int i = 0; i < s->n; i++)
      if (s->got[p][i] != s->put[p][i] && !(dropped && s->got[p][i] == 0))
        CHECK_FAIL("item %d of producer %d: put %d, got %d", i, p, s->put[p][i], s->got[p][i]);
  CHECK_UINT(weft_queue_size(s->q), 0);
  CHECK_INT(weft_queue_free(s->q), 0);
  free(s);
}

static void through(weft_queue_order order, size_t capacity, bool disturbs) {
  struct crowd c = {.s = new_scene(order, capacity, disturbs)};
  start_crowd(&c);
  disturb(&c);
  CHECK_INT(weft_queue_shutdown(c.s->q, false), 0);
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++) weft_await(c.tasks[i]);
  end_scene(c.s, false);
}

TASK_TEST(all_items_go_through_a_fifo_queue_of_one) {
  through(WEFT_QUEUE_FIFO, 1, false);
}
TASK_TEST(all_items_go_through_a_fifo_queue) {
  through(WEFT_QUEUE_FIFO, 7, false);
}
TASK_TEST(all_items_go_through_an_unbounded_queue) {
  through(WEFT_QUEUE_FIFO, 0, false);
}
TASK_TEST(all_items_go_through_a_lifo_queue) {
  through(WEFT_QUEUE_LIFO, 3, false);
}
TASK_TEST(all_items_go_through_a_priority_queue) {
  through(WEFT_QUEUE_PRIORITY, 3, false);
}
TASK_TEST(Q2_cancels_and_timeouts_lose_no_item_of_a_fifo_queue_of_one) {
  through(WEFT_QUEUE_FIFO, 1, true);
}
TASK_TEST(Q2_cancels_and_timeouts_lose_no_item_of_a_fifo_queue) {
  through(WEFT_QUEUE_FIFO, 3, true);
}
TASK_TEST(Q2_cancels_and_timeouts_lose_no_item_of_an_unbounded_queue) {
  through(WEFT_QUEUE_FIFO, 0, true);
}
TASK_TEST(Q2_cancels_and_timeouts_lose_no_item_of_a_lifo_queue) {
  through(WEFT_QUEUE_LIFO, 2, true);
}
TASK_TEST(Q2_cancels_and_timeouts_lose_no_item_of_a_priority_queue) {
  through(WEFT_QUEUE_PRIORITY, 2, true);
}

static int join(void *q) {
  return weft_queue_join(q);
}

/* The end comes in the middle. Every join is freed, by the last item or by the drop. */
static void shut_down_in_the_middle(weft_queue_order order, size_t capacity, bool immediate) {
  struct crowd c = {.s = new_scene(order, capacity, true)};
  weft_queue *q = c.s->q;
  c.s->joins = true;
  start_crowd(&c);
  uint32_t rounds = draw(c.s, 40);
  for (uint32_t i = 0; i < rounds; i++) {
    weft_cancel(c.tasks[draw(c.s, PRODUCERS + CONSUMERS)]);
    CHECK_INT(weft_yield(), 0);
  }
  weft_task joins[2] = {weft_spawn(join, q, NULL), weft_spawn(join, q, NULL)};
  CHECK_INT(weft_queue_shutdown(q, immediate), 0);
  CHECK_INT(weft_gather(joins, 2, (int[2]){0}), 0);
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++) weft_await(c.tasks[i]);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  end_scene(c.s, immediate);
}

TASK_TEST(Q4_shutdown_in_the_middle_loses_no_item) {
  shut_down_in_the_middle(WEFT_QUEUE_FIFO, 2, false);
  shut_down_in_the_middle(WEFT_QUEUE_PRIORITY, 2, false);
}
TASK_TEST(Q4_immediate_shutdown_in_the_middle_frees_everybody) {
  shut_down_in_the_middle(WEFT_QUEUE_FIFO, 2, true);
  shut_down_in_the_middle(WEFT_QUEUE_LIFO, 2, true);
}

/* The consumer frees the queue as soon as it has the last item, while the producer's call may not have
 * returned yet. */
static int put_the_last(void *arg) {
  return weft_queue_put(arg, &(struct item){0});
}

TASK_TEST(a_queue_may_be_freed_by_who_gets_the_last_item) {
  int n = count(COUNT_TASKS);
  for (int i = 0; i < n; i++) {
    struct item item;
    weft_queue *q;
    CHECK_INT(weft_queue_new(&q, sizeof(struct item), NULL), 0);
    weft_task t = weft_spawn(put_the_last, q, NULL);
    CHECK_INT(weft_queue_get(q, &item), 1);
    CHECK_INT(weft_queue_free(q), 0);
    CHECK_INT(weft_await(t), 0);
  }
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_items_go_through_a_fifo_queue_of_one),
      cmocka_unit_test(all_items_go_through_a_fifo_queue),
      cmocka_unit_test(all_items_go_through_an_unbounded_queue),
      cmocka_unit_test(all_items_go_through_a_lifo_queue),
      cmocka_unit_test(all_items_go_through_a_priority_queue),
      cmocka_unit_test(Q2_cancels_and_timeouts_lose_no_item_of_a_fifo_queue_of_one),
      cmocka_unit_test(Q2_cancels_and_timeouts_lose_no_item_of_a_fifo_queue),
      cmocka_unit_test(Q2_cancels_and_timeouts_lose_no_item_of_an_unbounded_queue),
      cmocka_unit_test(Q2_cancels_and_timeouts_lose_no_item_of_a_lifo_queue),
      cmocka_unit_test(Q2_cancels_and_timeouts_lose_no_item_of_a_priority_queue),
      cmocka_unit_test(Q4_shutdown_in_the_middle_loses_no_item),
      cmocka_unit_test(Q4_immediate_shutdown_in_the_middle_frees_everybody),
      cmocka_unit_test(a_queue_may_be_freed_by_who_gets_the_last_item),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
