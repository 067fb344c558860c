/* Queues, rule by rule. */
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

static bool less_int(const void *a, const void *b, void *arg) {
  (void)arg;
  return *(const int *)a < *(const int *)b;
}

static weft_queue *new_queue(size_t capacity, weft_queue_order order) {
  weft_queue *q = NULL;
  CHECK_INT(
      weft_queue_new(&q, sizeof(int),
                     &(weft_queue_opts){.capacity = capacity, .order = order, .less = less_int}),
      0);
  return q;
}

static void put_all(weft_queue *q, int n, const int *items) {
  for (int i = 0; i < n; i++) CHECK_INT(weft_queue_try_put(q, &items[i]), 0);
}

/* Gets what is there. */
static void expect_items(weft_queue *q, int n, const int *items) {
  for (int i = 0; i < n; i++) {
    int got = -1;
    CHECK_INT(weft_queue_get(q, &got), 1);
    CHECK_INT(got, items[i]);
  }
}

/* A getter, and a putter, that say how it went. */
struct party {
  weft_queue *q;
  struct latch *started;
  int item;
  int code;
};

static int get_one(void *arg) {
  struct party *p = arg;
  if (p->started) latch_hit(p->started);
  return p->code = weft_queue_get(p->q, &p->item);
}

static int put_one(void *arg) {
  struct party *p = arg;
  if (p->started) latch_hit(p->started);
  return p->code = weft_queue_put(p->q, &p->item);
}

static weft_task start(weft_fn fn, struct party *p) {
  return spawn_parked(fn, p);
}

TASK_TEST(Q1_capacity_zero_is_unbounded_and_never_full) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  int n = count(1000);
  CHECK(weft_queue_empty(q));
  CHECK_UINT(weft_queue_capacity(q), 0);
  CHECK_UINT(weft_queue_item_size(q), sizeof(int));
  for (int i = 0; i < n; i++) {
    CHECK_INT(weft_queue_put(q, &i), 0);
    CHECK(!weft_queue_full(q));
  }
  CHECK_UINT(weft_queue_size(q), (size_t)n);
  for (int i = 0; i < n; i++) expect_items(q, 1, &i);
  CHECK(weft_queue_empty(q));
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q1_try_calls_answer_eagain_instead_of_waiting) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  int item = 7;
  CHECK_INT(weft_queue_try_get(q, &item), WEFT_EAGAIN);
  CHECK_INT(item, 7);
  put_all(q, 2, (int[]){1, 2});
  CHECK(weft_queue_full(q));
  CHECK_INT(weft_queue_try_put(q, &item), WEFT_EAGAIN);
  CHECK_UINT(weft_queue_size(q), 2);
  expect_items(q, 2, (int[]){1, 2});
  CHECK_INT(weft_queue_free(q), 0);
}

enum { WAITERS = 5 };

TASK_TEST(Q2_getters_are_served_in_the_order_in_which_they_came) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  struct party getters[WAITERS];
  weft_task tasks[WAITERS];
  for (int i = 0; i < WAITERS; i++) {
    getters[i] = (struct party){.q = q};
    tasks[i] = start(get_one, &getters[i]);
  }
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_queue_put(q, &i), 0);
  CHECK_INT(weft_gather(tasks, WAITERS, (int[WAITERS]){0}), 0);
  for (int i = 0; i < WAITERS; i++) {
    CHECK_INT(getters[i].code, 1);
    CHECK_INT(getters[i].item, i);
  }
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q2_putters_are_served_in_the_order_in_which_they_came) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  struct party putters[WAITERS];
  weft_task tasks[WAITERS];
  for (int i = 0; i < WAITERS; i++) {
    putters[i] = (struct party){.q = q, .item = i};
    tasks[i] = i ? start(put_one, &putters[i]) : weft_spawn(put_one, &putters[i], NULL);
    if (i == 0) CHECK_INT(weft_task_wait(tasks[0], NULL), 0);
  }
  for (int i = 0; i < WAITERS; i++) expect_items(q, 1, &i);
  CHECK_INT(weft_gather(tasks, WAITERS, (int[WAITERS]){0}), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(putters[i].code, 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q2_a_newcomer_does_not_overtake_a_getter_that_waits) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  struct party getter = {.q = q};
  weft_task t = start(get_one, &getter);
  int item = 1;
  put_all(q, 1, &item);
  CHECK_INT(weft_queue_try_get(q, &item), WEFT_EAGAIN);
  CHECK_INT(weft_await(t), 1);
  CHECK_INT(getter.item, 1);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q2_a_cancelled_getter_takes_nothing_and_the_next_one_gets_the_item) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  struct party first = {.q = q, .item = -1}, second = {.q = q};
  weft_task a = start(get_one, &first), b = start(get_one, &second);
  CHECK_INT(weft_cancel(a), 1);
  put_all(q, 1, (int[]){5});
  CHECK_INT(weft_await(a), WEFT_ECANCELED);
  CHECK_INT(first.item, -1);
  CHECK_INT(weft_await(b), 1);
  CHECK_INT(second.item, 5);
  CHECK_INT(weft_queue_free(q), 0);
}

/* The item was handed over first: the call succeeds, and the cancel is the next call's. */
static int get_then_yield(void *arg) {
  struct party *p = arg;
  p->code = weft_queue_get(p->q, &p->item);
  return weft_yield();
}

TASK_TEST(Q2_a_getter_cancelled_after_it_was_given_an_item_returns_it) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  struct party p = {.q = q};
  weft_task t = start(get_then_yield, &p);
  put_all(q, 1, (int[]){5});
  weft_cancel(t);
  int code = 0;
  CHECK_INT(weft_task_wait(t, &code), 0);
  CHECK_INT(p.code, 1);
  CHECK_INT(p.item, 5);
  CHECK(code == WEFT_ECANCELED || code == 0); /* 0: it had gone on before the cancel */
  weft_await(t);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q2_a_cancelled_putter_puts_nothing_and_the_next_one_has_its_place) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  struct party first = {.q = q, .item = 1}, second = {.q = q, .item = 2};
  put_all(q, 1, (int[]){0});
  weft_task a = start(put_one, &first), b = start(put_one, &second);
  CHECK_INT(weft_cancel(a), 1);
  expect_items(q, 2, (int[]){0, 2});
  CHECK_INT(weft_await(a), WEFT_ECANCELED);
  CHECK_INT(weft_await(b), 0);
  CHECK(weft_queue_empty(q));
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q2_a_timeout_ends_a_wait_and_nothing_is_lost) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  weft_timeout s;
  int item = 3;
  weft_timeout_begin(&s, weft_ms(5));
  CHECK_INT(weft_timeout_end(&s, weft_queue_get(q, &item)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_queue_put(q, &item), 0);
  weft_timeout_begin(&s, weft_ms(5));
  CHECK_INT(weft_timeout_end(&s, weft_queue_put(q, &item)), WEFT_ETIMEDOUT);
  CHECK_UINT(weft_queue_size(q), 1);
  expect_items(q, 1, &item);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q3_task_done_too_often_is_estate_and_the_queue_works_on) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  put_all(q, 1, (int[]){1});
  CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  expect_items(q, 1, (int[]){1});
  put_all(q, 1, (int[]){2});
  CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q3_join_returns_at_once_when_nothing_is_unfinished) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

static int join(void *q) {
  return weft_queue_join(q);
}

static int work_off(void *arg) {
  int item, r;
  while ((r = weft_queue_get(arg, &item)) > 0)
    if ((r = weft_yield()) < 0 || (r = weft_queue_task_done(arg)) < 0) break;
  return r;
}

TASK_TEST(Q3_join_waits_until_every_item_is_done) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_group_spawn(&g, work_off, q, NULL), 0);
  for (int i = 0; i < 20; i++) CHECK_INT(weft_queue_put(q, &i), 0);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q3_all_who_join_are_freed_and_a_cancelled_one_goes_away) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  weft_task tasks[3];
  put_all(q, 1, (int[]){1});
  for (int i = 0; i < 3; i++) tasks[i] = spawn_parked(join, q);
  CHECK_INT(weft_cancel(tasks[1]), 1);
  CHECK_INT(weft_await(tasks[1]), WEFT_ECANCELED);
  CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_await(tasks[0]), 0);
  CHECK_INT(weft_await(tasks[2]), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q4_shutdown_put_fails_at_once_and_get_drains_then_ends) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  int item = 9;
  put_all(q, 2, (int[]){1, 2});
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_queue_put(q, &item), WEFT_ECLOSED);
  CHECK_INT(weft_queue_try_put(q, &item), WEFT_ECLOSED);
  expect_items(q, 1, (int[]){1});
  CHECK_INT(weft_queue_try_get(q, &item), 1);
  CHECK_INT(item, 2);
  CHECK_INT(weft_queue_get(q, &item), 0);
  CHECK_INT(weft_queue_try_get(q, &item), 0);
  CHECK_INT(item, 2);
  CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q4_shutdown_wakes_all_getters) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  struct party getters[WAITERS];
  weft_task tasks[WAITERS];
  for (int i = 0; i < WAITERS; i++) {
    getters[i] = (struct party){.q = q, .item = -1};
    tasks[i] = start(get_one, &getters[i]);
  }
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  for (int i = 0; i < WAITERS; i++) {
    CHECK_INT(weft_await(tasks[i]), 0);
    CHECK_INT(getters[i].item, -1);
  }
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q4_shutdown_wakes_all_putters_and_keeps_the_items) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  struct party putters[WAITERS];
  weft_task tasks[WAITERS];
  put_all(q, 1, (int[]){4});
  for (int i = 0; i < WAITERS; i++) {
    putters[i] = (struct party){.q = q};
    tasks[i] = start(put_one, &putters[i]);
  }
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  for (int i = 0; i < WAITERS; i++) CHECK_INT(weft_await(tasks[i]), WEFT_ECLOSED);
  expect_items(q, 1, (int[]){4});
  CHECK_INT(weft_queue_get(q, &putters[0].item), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

static void shut_down_at_once(weft_queue_order order) {
  weft_queue *q = new_queue(3, order);
  int item;
  put_all(q, 3, (int[]){1, 2, 3});
  CHECK_INT(weft_queue_get(q, &item), 1);
  weft_task joiner = spawn_parked(join, q);
  CHECK_INT(weft_queue_shutdown(q, true), 0);
  CHECK_UINT(weft_queue_size(q), 0);
  CHECK_INT(weft_queue_get(q, &item), 0);
  CHECK_INT(weft_queue_put(q, &item), WEFT_ECLOSED);
  CHECK_INT(weft_task_done(joiner), 0); /* one item is out, and not done */
  CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_await(joiner), 0);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  CHECK_INT(weft_queue_shutdown(q, true), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q4_immediate_shutdown_drops_the_items_and_counts_them_done) {
  shut_down_at_once(WEFT_QUEUE_FIFO);
  shut_down_at_once(WEFT_QUEUE_LIFO);
  shut_down_at_once(WEFT_QUEUE_PRIORITY);
}

TASK_TEST(Q4_immediate_shutdown_frees_join) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  put_all(q, 2, (int[]){1, 2});
  weft_task joiner = spawn_parked(join, q);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_task_done(joiner), 0);
  CHECK_INT(weft_queue_shutdown(q, true), 0);
  CHECK_INT(weft_await(joiner), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q5_lifo_gives_the_newest_first) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_LIFO);
  put_all(q, 3, (int[]){1, 3, 2});
  expect_items(q, 3, (int[]){2, 3, 1});
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q5_priority_gives_the_lowest_first) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_PRIORITY);
  put_all(q, 7, (int[]){4, 1, 6, 3, 7, 5, 2});
  expect_items(q, 3, (int[]){1, 2, 3});
  put_all(q, 2, (int[]){0, 9});
  expect_items(q, 6, (int[]){0, 4, 5, 6, 7, 9});
  CHECK_INT(weft_queue_free(q), 0);
}

struct ranked {
  short rank;
  short number;
};

static bool less_rank(const void *a, const void *b, void *arg) {
  CHECK_PTR(arg, less_rank);
  return ((const struct ranked *)a)->rank < ((const struct ranked *)b)->rank;
}

TASK_TEST(Q5_priority_keeps_the_order_of_equals) {
  weft_queue *q;
  weft_queue_opts opts = {.order = WEFT_QUEUE_PRIORITY, .less = less_rank, .less_arg = less_rank};
  CHECK_INT(weft_queue_new(&q, sizeof(struct ranked), &opts), 0);
  enum { RANKS = 5 };
  short last[RANKS] = {-1, -1, -1, -1, -1};
  for (short i = 0; i < 200; i++) {
    struct ranked item = {(short)(i * 7 % RANKS), i};
    CHECK_INT(weft_queue_put(q, &item), 0);
  }
  for (int i = 0, rank = 0; i < 200; i++) {
    struct ranked item;
    CHECK_INT(weft_queue_get(q, &item), 1);
    CHECK(item.rank >= rank);
    CHECK(item.number > last[item.rank]);
    rank = item.rank;
    last[item.rank] = item.number;
  }
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(Q5_order_holds_for_items_of_putters_that_waited) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_PRIORITY);
  struct party p = {.q = q, .item = 0};
  put_all(q, 2, (int[]){2, 1});
  weft_task t = start(put_one, &p);
  expect_items(q, 1, (int[]){1});
  CHECK_INT(weft_await(t), 0);
  expect_items(q, 2, (int[]){0, 2});
  CHECK_INT(weft_queue_free(q), 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(Q1_capacity_zero_is_unbounded_and_never_full),
      cmocka_unit_test(Q1_try_calls_answer_eagain_instead_of_waiting),
      cmocka_unit_test(Q2_getters_are_served_in_the_order_in_which_they_came),
      cmocka_unit_test(Q2_putters_are_served_in_the_order_in_which_they_came),
      cmocka_unit_test(Q2_a_newcomer_does_not_overtake_a_getter_that_waits),
      cmocka_unit_test(Q2_a_cancelled_getter_takes_nothing_and_the_next_one_gets_the_item),
      cmocka_unit_test(Q2_a_getter_cancelled_after_it_was_given_an_item_returns_it),
      cmocka_unit_test(Q2_a_cancelled_putter_puts_nothing_and_the_next_one_has_its_place),
      cmocka_unit_test(Q2_a_timeout_ends_a_wait_and_nothing_is_lost),
      cmocka_unit_test(Q3_task_done_too_often_is_estate_and_the_queue_works_on),
      cmocka_unit_test(Q3_join_returns_at_once_when_nothing_is_unfinished),
      cmocka_unit_test(Q3_join_waits_until_every_item_is_done),
      cmocka_unit_test(Q3_all_who_join_are_freed_and_a_cancelled_one_goes_away),
      cmocka_unit_test(Q4_shutdown_put_fails_at_once_and_get_drains_then_ends),
      cmocka_unit_test(Q4_shutdown_wakes_all_getters),
      cmocka_unit_test(Q4_shutdown_wakes_all_putters_and_keeps_the_items),
      cmocka_unit_test(Q4_immediate_shutdown_drops_the_items_and_counts_them_done),
      cmocka_unit_test(Q4_immediate_shutdown_frees_join),
      cmocka_unit_test(Q5_lifo_gives_the_newest_first),
      cmocka_unit_test(Q5_priority_gives_the_lowest_first),
      cmocka_unit_test(Q5_priority_keeps_the_order_of_equals),
      cmocka_unit_test(Q5_order_holds_for_items_of_putters_that_waited),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
