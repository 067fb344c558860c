/* What a queue shows while waiters have been given their turn and have not run, and its other sides. In
 * exact mode sizes and order are asyncio's. */
#include <stdio.h>
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "parked.h"
#include "task_test.h"

static bool less_int(const void *a, const void *b, void *arg) {
  (void)arg;
  return *(const int *)a < *(const int *)b;
}

static weft_queue *new_queue(size_t capacity, weft_queue_order order) {
  weft_queue *q = NULL;
  weft_queue_opts opts = {.capacity = capacity, .order = order, .less = less_int};
  CHECK_INT(weft_queue_new(&q, sizeof(int), &opts), 0);
  return q;
}

static void put_all(weft_queue *q, int n, const int *items) {
  for (int i = 0; i < n; i++) CHECK_INT(weft_queue_try_put(q, &items[i]), 0);
}

struct call {
  weft_queue *q;
  int item;
  int code;
};

static int get_one(void *arg) {
  struct call *c = arg;
  return c->code = weft_queue_get(c->q, &c->item);
}

static int put_one(void *arg) {
  struct call *c = arg;
  return c->code = weft_queue_put(c->q, &c->item);
}

static weft_task start(weft_fn fn, struct call *c) {
  return spawn_parked(fn, c);
}

/* ---- exact mode ---- */

struct script {
  weft_queue *q;
  char trace[512];
  int n;
};

static void note(struct script *s, const char *what, int item) {
  size_t used = strlen(s->trace);
  snprintf(s->trace + used, sizeof s->trace - used, "%s%d ", what, item);
}

static int produce(void *arg) {
  struct script *s = arg;
  for (int i = 0; i < s->n; i++) {
    CHECK_INT(weft_queue_put(s->q, &i), 0);
    note(s, "p", i);
  }
  return 0;
}

static int consume(void *arg) {
  struct script *s = arg;
  for (int i = 0; i < s->n; i++) {
    int item = -1;
    CHECK_INT(weft_queue_get(s->q, &item), 1);
    note(s, "g", item);
  }
  return 0;
}

static void play(struct script *s, weft_fn first, weft_fn second) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_spawn(&g, first, s, NULL), 0);
  CHECK_INT(weft_group_spawn(&g, second, s, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_queue_free(s->q), 0);
}

/* The traces are those of asyncio.Queue(2). */
EXACT_TEST(a_bounded_queue_takes_turns_as_asyncio_does) {
  struct script a = {.q = new_queue(2, WEFT_QUEUE_FIFO), .n = 5};
  play(&a, produce, consume);
  CHECK_STR(a.trace, "p0 p1 g0 g1 p2 p3 g2 g3 p4 g4 ");
  struct script b = {.q = new_queue(2, WEFT_QUEUE_FIFO), .n = 5};
  play(&b, consume, produce);
  CHECK_STR(b.trace, "p0 p1 g0 g1 p2 p3 g2 g3 p4 g4 ");
}

static int put_down_from_three(void *arg) {
  struct script *s = arg;
  for (int i = 3; i > 0; i--) CHECK_INT(weft_queue_try_put(s->q, &i), 0);
  return 0;
}

static int get_three(void *arg) {
  struct script *s = arg;
  s->n = 3;
  return consume(s);
}

EXACT_TEST(Q5_a_getter_that_waited_takes_the_best_of_what_is_there_when_it_runs) {
  struct script a = {.q = new_queue(0, WEFT_QUEUE_PRIORITY)};
  play(&a, get_three, put_down_from_three);
  CHECK_STR(a.trace, "g1 g2 g3 ");
  struct script b = {.q = new_queue(0, WEFT_QUEUE_LIFO)};
  play(&b, get_three, put_down_from_three);
  CHECK_STR(b.trace, "g1 g2 g3 ");
}

static void given_items_count(weft_queue_order order) {
  weft_queue *q = new_queue(2, order);
  struct call c = {.q = q};
  int item = 9;
  weft_task t = start(get_one, &c);
  put_all(q, 1, (int[]){1});
  CHECK_UINT(weft_queue_size(q), 1);
  put_all(q, 1, (int[]){2});
  CHECK(weft_queue_full(q));
  CHECK_INT(weft_queue_try_put(q, &item), WEFT_EAGAIN);
  CHECK_INT(weft_queue_try_get(q, &item), 1);
  CHECK_INT(weft_queue_try_get(q, &item), WEFT_EAGAIN); /* the other one is the getter's */
  CHECK_UINT(weft_queue_size(q), 1);
  CHECK_INT(weft_queue_free(q), WEFT_EBUSY);
  CHECK_INT(weft_await(t), 1);
  CHECK_INT(c.item + item, 3);
  CHECK_UINT(weft_queue_size(q), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

EXACT_TEST(Q2_an_item_given_to_a_getter_counts_until_it_runs_and_is_nobody_elses) {
  given_items_count(WEFT_QUEUE_FIFO);
  given_items_count(WEFT_QUEUE_LIFO);
  given_items_count(WEFT_QUEUE_PRIORITY);
}

static void given_places_count(weft_queue_order order) {
  weft_queue *q = new_queue(1, order);
  struct call c = {.q = q, .item = 2};
  int item = 1;
  put_all(q, 1, &item);
  weft_task t = start(put_one, &c);
  CHECK_INT(weft_queue_try_get(q, &item), 1);
  CHECK_UINT(weft_queue_size(q), 0);
  CHECK_INT(weft_queue_try_get(q, &item), WEFT_EAGAIN);
  CHECK_INT(weft_queue_try_put(q, &item), WEFT_EAGAIN); /* the place is the putter's */
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_queue_try_get(q, &item), 1);
  CHECK_INT(item, 2);
  CHECK_INT(weft_queue_free(q), 0);
}

EXACT_TEST(Q2_a_place_given_to_a_putter_is_nobody_elses) {
  given_places_count(WEFT_QUEUE_FIFO);
  given_places_count(WEFT_QUEUE_LIFO);
  given_places_count(WEFT_QUEUE_PRIORITY);
}

/* A turn was given, and then comes the end, before the waiter has run. */
static void shut_with_a_held_item(weft_queue_order order, bool immediate, int code) {
  weft_queue *q = new_queue(0, order);
  struct call c = {.q = q, .item = -1};
  weft_task t = start(get_one, &c);
  put_all(q, 1, (int[]){5});
  CHECK_INT(weft_queue_shutdown(q, immediate), 0);
  CHECK_INT(weft_await(t), code);
  CHECK_INT(c.item, code ? 5 : -1);
  CHECK_INT(weft_queue_get(q, &c.item), 0);
  if (code) CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  CHECK_INT(weft_queue_join(q), 0);
  CHECK_UINT(weft_queue_size(q), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

EXACT_TEST(Q4_shutdown_between_a_getters_turn_and_its_run) {
  shut_with_a_held_item(WEFT_QUEUE_FIFO, false, 1);
  shut_with_a_held_item(WEFT_QUEUE_FIFO, true, 1); /* handed over: taken */
  shut_with_a_held_item(WEFT_QUEUE_PRIORITY, false, 1);
  shut_with_a_held_item(WEFT_QUEUE_PRIORITY, true, 0); /* taken when it runs: dropped */
}

static void shut_with_a_given_place(weft_queue_order order, bool immediate, int code) {
  weft_queue *q = new_queue(1, order);
  struct call c = {.q = q, .item = 2};
  int item = 1, left = code == 0 && !immediate;
  put_all(q, 1, &item);
  weft_task t = start(put_one, &c);
  CHECK_INT(weft_queue_try_get(q, &item), 1);
  CHECK_INT(weft_queue_shutdown(q, immediate), 0);
  CHECK_INT(weft_await(t), code);
  CHECK_INT(weft_queue_get(q, &item), left);
  if (left) CHECK_INT(item, 2);
  CHECK_INT(weft_queue_get(q, &item), 0);
  for (int i = 0; i < 1 + left; i++) CHECK_INT(weft_queue_task_done(q), 0);
  CHECK_INT(weft_queue_task_done(q), WEFT_ESTATE);
  CHECK_INT(weft_queue_free(q), 0);
}

EXACT_TEST(Q4_shutdown_between_a_putters_turn_and_its_run) {
  shut_with_a_given_place(WEFT_QUEUE_FIFO, false, 0); /* it is in */
  shut_with_a_given_place(WEFT_QUEUE_FIFO, true, 0);  /* and dropped */
  shut_with_a_given_place(WEFT_QUEUE_PRIORITY, false, WEFT_ECLOSED);
  shut_with_a_given_place(WEFT_QUEUE_PRIORITY, true, WEFT_ECLOSED);
}

/* The putter has its place and has not run: the shutdown does not lose its item. */
EXACT_TEST(Q4_an_item_on_its_way_at_the_shutdown_can_be_got) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  struct call p = {.q = q, .item = 2}, g = {.q = q};
  int item = 1;
  put_all(q, 1, &item);
  weft_task putter = start(put_one, &p);
  weft_task getter = weft_spawn(get_one, &g, NULL);
  CHECK_INT(weft_queue_get(q, &item), 1);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  CHECK_INT(weft_await(getter), 1);
  CHECK_INT(g.item, 2);
  CHECK_INT(weft_await(putter), 0);
  CHECK_INT(weft_queue_get(q, &item), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

/* ---- memory ---- */

struct wide {
  char bytes[24];
};

TASK_TEST(items_of_any_size_keep_their_bytes_while_the_queue_grows) {
  for (size_t size = 1; size <= sizeof(struct wide); size++) {
    weft_queue *q;
    struct wide in, out;
    int next = 0;
    CHECK_INT(weft_queue_new(&q, size, NULL), 0);
    for (int i = 0; i < 300; i++) {
      memset(&in, i, sizeof in);
      CHECK_INT(weft_queue_put(q, &in), 0);
      if (i % 3) continue; /* the ring's head moves, too */
      CHECK_INT(weft_queue_get(q, &out), 1);
      CHECK_INT((unsigned char)out.bytes[0], next++ % 256);
    }
    while (weft_queue_try_get(q, &out) > 0) {
      for (size_t b = 0; b < size; b++) CHECK_INT((unsigned char)out.bytes[b], next % 256);
      next++;
    }
    CHECK_INT(next, 300);
    CHECK_INT(weft_queue_free(q), 0);
  }
}

/* What put needs memory for, and a bounded queue does not. */
static int put_without_memory(weft_queue *q, int n) {
  int r = 0, i = 0;
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  while (i < n && (r = weft_queue_try_put(q, &i)) == 0) i++;
  weft__memory_fail_end();
  int put = i;
  for (int item; i-- > 0;) {
    CHECK_INT(weft_queue_try_get(q, &item), 1);
    CHECK_INT(item, put - 1 - i);
  }
  return r;
}

TASK_TEST(an_unbounded_queue_without_memory_puts_nothing_and_a_bounded_one_needs_none) {
  weft_queue *unbounded = new_queue(0, WEFT_QUEUE_FIFO), *bounded = new_queue(100, WEFT_QUEUE_FIFO);
  CHECK_INT(put_without_memory(unbounded, 100), WEFT_ENOMEM);
  CHECK(weft_queue_empty(unbounded));
  CHECK_INT(put_without_memory(bounded, 100), 0);
  weft_queue *heap = new_queue(0, WEFT_QUEUE_PRIORITY);
  CHECK_INT(put_without_memory(heap, 100), WEFT_ENOMEM);
  put_all(heap, 2, (int[]){2, 1});
  CHECK_UINT(weft_queue_size(heap), 2);
  CHECK_INT(weft_queue_free(unbounded), 0);
  CHECK_INT(weft_queue_free(bounded), 0);
  CHECK_INT(weft_queue_free(heap), 0);
}

/* The task's memory of the run is there; the queue's is what fails. */
TASK_TEST(a_queue_that_cannot_be_made_is_enomem) {
  weft_queue *q = NULL;
  weft_queue_opts opts = {.order = WEFT_QUEUE_PRIORITY, .less = less_int};
  for (uint64_t n = 1; n <= 3; n++) {
    weft__memory_fail(WEFT__MEMORY_OWN, n, false);
    int r = weft_queue_new(&q, sizeof(int), &opts);
    weft__memory_fail_end();
    CHECK_INT(r, WEFT_ENOMEM);
    CHECK_PTR(q, NULL);
  }
  CHECK_INT(weft_queue_new(&q, sizeof(int), &(weft_queue_opts){.capacity = SIZE_MAX}), WEFT_ENOMEM);
  CHECK_INT(weft_queue_new(&q, SIZE_MAX / 8, &(weft_queue_opts){.capacity = 100}), WEFT_ENOMEM);
  CHECK_PTR(q, NULL);
}

/* ---- wrong use ---- */

TASK_TEST(bad_options_are_einval) {
  weft_queue *q = NULL;
  CHECK_INT(weft_queue_new(NULL, 4, NULL), WEFT_EINVAL);
  CHECK_INT(weft_queue_new(&q, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_queue_new(&q, 4, &(weft_queue_opts){.order = WEFT_QUEUE_PRIORITY}), WEFT_EINVAL);
  CHECK_INT(weft_queue_new(&q, 4, &(weft_queue_opts){.order = (weft_queue_order)3}), WEFT_EINVAL);
  CHECK_PTR(q, NULL);
  CHECK_INT(weft_queue_free(NULL), 0);
}

TASK_TEST(a_queue_somebody_waits_in_is_not_freed_and_works_on) {
  weft_queue *q = new_queue(1, WEFT_QUEUE_FIFO);
  struct call c = {.q = q, .item = 1};
  weft_task t = start(get_one, &c);
  CHECK_INT(weft_queue_free(q), WEFT_EBUSY);
  put_all(q, 1, (int[]){1});
  CHECK_INT(weft_await(t), 1);
  put_all(q, 1, (int[]){1});
  t = start(put_one, &c);
  CHECK_INT(weft_queue_free(q), WEFT_EBUSY);
  CHECK_INT(weft_queue_get(q, &c.item), 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

/* ---- cancellation ---- */

/* A cancelled task is told so by every call, also one that would not have waited. */
static int use_while_cancelled(void *arg) {
  weft_queue *q = arg;
  int item = 1;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_queue_put(q, &item), WEFT_ECANCELED);
  CHECK_INT(weft_queue_get(q, &item), WEFT_ECANCELED);
  CHECK_INT(weft_queue_join(q), WEFT_ECANCELED);
  CHECK_INT(weft_queue_try_put(q, &item), 0); /* no cancel point */
  CHECK_INT(weft_queue_try_get(q, &item), 1);
  weft_shield_begin();
  CHECK_INT(weft_queue_put(q, &item), 0);
  CHECK_INT(weft_queue_get(q, &item), 1);
  weft_shield_end();
  CHECK_INT(weft_queue_put(q, &item), WEFT_ECANCELED);
  CHECK(weft_cancel_catch());
  CHECK_INT(weft_queue_put(q, &item), 0);
  return 0;
}

TASK_TEST(a_cancelled_task_puts_and_gets_nothing_until_it_catches_that) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  CHECK_INT(weft_await(weft_spawn(use_while_cancelled, q, NULL)), 0);
  CHECK_UINT(weft_queue_size(q), 1);
  CHECK_INT(weft_queue_free(q), 0);
}

static int turn_round(void *arg) {
  int r, item = 0;
  while ((r = weft_queue_put(arg, &item)) == 0 && (r = weft_queue_get(arg, &item)) == 1) {}
  return r;
}

TASK_TEST(who_never_waits_lets_others_run_and_can_be_cancelled_and_timed_out) {
  weft_queue *q = new_queue(2, WEFT_QUEUE_FIFO);
  weft_task t = weft_spawn(turn_round, q, NULL);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_wait_for(turn_round, q, weft_ms(2)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_queue_shutdown(q, true), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

/* ---- as an awaitable ---- */

static int put_later(void *arg) {
  struct call *c = arg;
  int r = weft_sleep(weft_ms(1));
  return r < 0 ? r : weft_queue_put(c->q, &c->item);
}

TASK_TEST(queues_can_be_selected_on) {
  weft_queue *a = new_queue(0, WEFT_QUEUE_FIFO), *b = new_queue(0, WEFT_QUEUE_PRIORITY);
  weft_awaitable set[] = {weft_queue_readable(a), weft_queue_readable(b)};
  struct call c = {.q = b, .item = 6};
  int code = -1, item = 0;
  weft_task t = weft_spawn(put_later, &c, NULL);
  CHECK_INT(weft_select(set, 2, &code), 1);
  CHECK_INT(code, 1);
  CHECK_INT(weft_queue_try_get(b, &item), 1);
  CHECK_INT(item, 6);
  CHECK_INT(weft_await(t), 0);
  put_all(a, 1, (int[]){1});
  CHECK_INT(weft_select(set, 2, &code), 0);
  weft_outcome outcomes[2];
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, weft_ms(1), outcomes), 1);
  CHECK(outcomes[0].over && !outcomes[1].over);
  CHECK_INT(weft_queue_shutdown(b, false), 0);
  CHECK_INT(weft_wait(set, 2, WEFT_ALL_OVER, WEFT_FOREVER, outcomes), 2);
  CHECK_INT(outcomes[0].code, 1);
  CHECK_INT(outcomes[1].code, 0);
  CHECK_INT(weft_queue_free(a), 0);
  CHECK_INT(weft_queue_free(b), 0);
}

static int await_readable(void *arg) {
  return weft_awaitable_await(weft_queue_readable(arg));
}

TASK_TEST(a_getter_comes_before_those_who_watch) {
  weft_queue *q = new_queue(0, WEFT_QUEUE_FIFO);
  struct call c = {.q = q};
  weft_task watcher = spawn_parked(await_readable, q);
  CHECK_INT(weft_queue_free(q), WEFT_EBUSY);
  weft_task getter = start(get_one, &c);
  put_all(q, 1, (int[]){1});
  CHECK_INT(weft_await(getter), 1);
  CHECK_INT(weft_task_done(watcher), 0);
  put_all(q, 1, (int[]){2});
  CHECK_INT(weft_await(watcher), 1);
  CHECK_UINT(weft_queue_size(q), 1);
  watcher = weft_spawn(await_readable, q, NULL);
  CHECK_INT(weft_await(watcher), 1);
  CHECK_INT(weft_queue_shutdown(q, true), 0);
  CHECK_INT(weft_awaitable_await(weft_queue_readable(q)), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bounded_queue_takes_turns_as_asyncio_does),
      cmocka_unit_test(Q5_a_getter_that_waited_takes_the_best_of_what_is_there_when_it_runs),
      cmocka_unit_test(Q2_an_item_given_to_a_getter_counts_until_it_runs_and_is_nobody_elses),
      cmocka_unit_test(Q2_a_place_given_to_a_putter_is_nobody_elses),
      cmocka_unit_test(Q4_shutdown_between_a_getters_turn_and_its_run),
      cmocka_unit_test(Q4_shutdown_between_a_putters_turn_and_its_run),
      cmocka_unit_test(Q4_an_item_on_its_way_at_the_shutdown_can_be_got),
      cmocka_unit_test(items_of_any_size_keep_their_bytes_while_the_queue_grows),
      cmocka_unit_test(an_unbounded_queue_without_memory_puts_nothing_and_a_bounded_one_needs_none),
      cmocka_unit_test(a_queue_that_cannot_be_made_is_enomem),
      cmocka_unit_test(bad_options_are_einval),
      cmocka_unit_test(a_queue_somebody_waits_in_is_not_freed_and_works_on),
      cmocka_unit_test(a_cancelled_task_puts_and_gets_nothing_until_it_catches_that),
      cmocka_unit_test(who_never_waits_lets_others_run_and_can_be_cancelled_and_timed_out),
      cmocka_unit_test(queues_can_be_selected_on),
      cmocka_unit_test(a_getter_comes_before_those_who_watch),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
