/* One interface for all that gives items, and what takes them: collect, take, fold. */
#include <stdint.h>
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "task_test.h"

static int count_up(weft_gen *g, void *arg) {
  int r = 0, n = *(const int *)arg;
  for (int i = 0; i < n && r == 0; i++) {
    if (i % 5 == 0) r = weft_yield();
    if (r == 0) r = weft_gen_yield(g, &i);
  }
  return r;
}

static int fail_after_three(weft_gen *g, void *arg) {
  int r = 0;
  (void)arg;
  for (int i = 0; i < 3 && r == 0; i++) r = weft_gen_yield(g, &i);
  return r < 0 ? r : OWN_ERROR;
}

static weft_gen *open_ints(weft_gen_fn fn, void *arg) {
  weft_gen *g = NULL;
  CHECK_INT(weft_gen_open(&g, fn, arg, sizeof(int), NULL), 0);
  return g;
}

/* The ints from 0 on, n of them, then the end. */
static void expect_ints(weft_iter it, int n) {
  int got = -1;
  for (int i = 0; i < n; i++) {
    CHECK_INT(weft_iter_next(it, &got), 1);
    CHECK_INT(got, i);
  }
  CHECK_INT(weft_iter_next(it, &got), 0);
  CHECK_INT(weft_iter_next(it, &got), 0);
}

struct sum {
  int sum, stop_at, fail_at;
};

static int add(void *acc, const void *item) {
  struct sum *s = acc;
  int n = *(const int *)item;
  if (n == s->fail_at) return OWN_ERROR;
  s->sum += n;
  return n == s->stop_at;
}

static const struct sum nothing = {.stop_at = -1, .fail_at = -1};

/* ---- what gives items ---- */

TASK_TEST(a_generator_is_an_iterator_and_closing_closes_it) {
  int n = 12;
  weft_iter it = weft_gen_iter(open_ints(count_up, &n));
  expect_ints(it, n);
  CHECK_INT(weft_iter_close(it), 0);
}

static int fill(void *arg) {
  weft_queue *q = arg;
  int r = 0;
  for (int i = 0; i < 12 && r == 0; i++) r = weft_queue_put(q, &i);
  CHECK_INT(weft_queue_shutdown(q, false), 0);
  return r;
}

TASK_TEST(a_queue_is_an_iterator_that_ends_when_it_is_shut_down) {
  weft_queue *q;
  CHECK_INT(weft_queue_new(&q, sizeof(int), &(weft_queue_opts){.capacity = 3}), 0);
  weft_task t = weft_spawn(fill, q, &(weft_spawn_opts){.pinned = true});
  weft_iter it = weft_queue_iter(q);
  expect_ints(it, 12);
  CHECK_INT(weft_iter_close(it), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_queue_free(q), 0);
}

TASK_TEST(a_broadcast_receiver_is_an_iterator) {
  weft_broadcast *b;
  int got = 0;
  CHECK_INT(weft_broadcast_new(&b, sizeof(int), 4), 0);
  weft_broadcast_receiver r = weft_broadcast_receive(b), late = r;
  weft_iter it = weft_broadcast_iter(&r), late_it = weft_broadcast_iter(&late);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_broadcast_send(b, &i), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_iter_next(it, &got), 1);
    CHECK_INT(got, i);
  }
  for (int i = 3; i < 6; i++) CHECK_INT(weft_broadcast_send(b, &i), 0);
  CHECK_INT(weft_broadcast_close(b), 0);
  CHECK_INT(weft_iter_next(late_it, &got), WEFT_ELAGGED);
  CHECK_INT(weft_iter_next(late_it, &got), 1);
  CHECK_INT(got, 2);
  struct sum s = nothing;
  CHECK_INT(weft_fold(it, &got, 0, add, &s), 0);
  CHECK_INT(s.sum, 3 + 4 + 5);
  CHECK_INT(weft_iter_close(it), 0);
  CHECK_INT(weft_broadcast_free(b), 0);
}

TASK_TEST(a_reader_of_the_latest_is_an_iterator) {
  weft_latest *l;
  int got = 0;
  CHECK_INT(weft_latest_new(&l, sizeof(int), &(int){7}), 0);
  weft_latest_reader r = weft_latest_read(l, true);
  weft_iter it = weft_latest_iter(&r);
  CHECK_INT(weft_iter_next(it, &got), 1);
  CHECK_INT(got, 7);
  CHECK_INT(weft_latest_set(l, &(int){8}), 0);
  CHECK_INT(weft_latest_set(l, &(int){9}), 0);
  CHECK_INT(weft_latest_close(l), 0);
  CHECK_INT(weft_iter_next(it, &got), 1);
  CHECK_INT(got, 9);
  CHECK_INT(weft_iter_next(it, &got), 0);
  CHECK_INT(weft_iter_close(it), 0);
  CHECK_INT(weft_latest_free(l), 0);
}

TASK_TEST(an_interval_is_an_iterator_and_closing_stops_it) {
  weft_interval every;
  weft_ns due[3], got;
  size_t n = 0;
  CHECK_INT(weft_interval_init(&every, weft_us(100), NULL), 0);
  weft_iter it = weft_interval_iter(&every);
  CHECK_INT(weft_take(it, sizeof due[0], 3, due, &n), 1);
  CHECK_INT(due[1] - due[0], weft_us(100));
  CHECK_INT(due[2] - due[1], weft_us(100));
  CHECK_INT(weft_iter_close(it), 0);
  CHECK_INT(weft_iter_next(it, &got), 0);
}

TASK_TEST(an_array_is_an_iterator) {
  int items[] = {0, 1, 2, 3};
  weft_array a = {.items = items, .item_size = sizeof(int), .n = 4};
  expect_ints(weft_array_iter(&a), 4);
  a.at = 3;
  int got = 0;
  CHECK_INT(weft_iter_next(weft_array_iter(&a), &got), 1);
  CHECK_INT(got, 3);
  CHECK_INT(weft_iter_close(weft_array_iter(&a)), 0);
}

TASK_TEST(what_is_completed_is_an_iterator) {
  int codes[] = {3, OWN_ERROR, 5}, seen = 0;
  weft_awaitable set[3];
  weft_task t[3];
  weft_completed *c;
  weft_completion item;
  for (int i = 0; i < 3; i++) {
    t[i] = weft_spawn(return_given, &codes[i], NULL);
    set[i] = weft_task_awaitable(t[i]);
  }
  CHECK_INT(weft_as_completed(&c, set, 3, WEFT_FOREVER), 0);
  weft_iter it = weft_completed_iter(c);
  while (weft_iter_next(it, &item) == 1) {
    CHECK_INT(item.code, codes[item.index]);
    seen |= 1 << item.index;
  }
  CHECK_INT(seen, 7);
  CHECK_INT(weft_iter_close(it), 0);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_await(t[i]), codes[i]);
}

/* Squares of the even numbers, as longs; an error at *arg. */
static int square_even(void *arg, const void *in, void *ret_item) {
  int n = *(const int *)in;
  if (n == *(int *)arg) return OWN_ERROR;
  if (n % 2) return 0;
  *(long *)ret_item = (long)n * n;
  return 1;
}

static int leave_out_odd(void *arg, const void *in, void *ret_item) {
  (void)arg, (void)ret_item;
  return *(const int *)in % 2 == 0;
}

TASK_TEST(a_transformation_changes_and_leaves_out) {
  int n = 9, in, stop = -1;
  long got = 0;
  weft_transform t = {weft_gen_iter(open_ints(count_up, &n)), square_even, &stop, &in};
  weft_iter it = weft_transform_iter(&t);
  for (long i = 0; i < 9; i += 2) {
    CHECK_INT(weft_iter_next(it, &got), 1);
    CHECK_INT(got, i * i);
  }
  CHECK_INT(weft_iter_next(it, &got), 0);
  CHECK_INT(weft_iter_close(it), 0);
  stop = 4;
  t.from = weft_gen_iter(open_ints(count_up, &n));
  CHECK_INT(weft_iter_next(it, &got), 1);
  CHECK_INT(weft_iter_next(it, &got), 1);
  CHECK_INT(weft_iter_next(it, &got), OWN_ERROR);
  CHECK_INT(weft_iter_close(it), 0); /* and the generator with it */
}

TASK_TEST(a_transformation_in_place_needs_no_variable) {
  int items[] = {1, 2, 3, 4, 5}, got = 0;
  weft_array a = {items, sizeof(int), 5, 0};
  weft_transform t = {.from = weft_array_iter(&a), .fn = leave_out_odd};
  weft_iter it = weft_transform_iter(&t);
  CHECK_INT(weft_iter_next(it, &got), 1);
  CHECK_INT(got, 2);
  CHECK_INT(weft_iter_next(it, &got), 1);
  CHECK_INT(got, 4);
  CHECK_INT(weft_iter_next(it, &got), 0);
}

/* ---- collect ---- */

TASK_TEST(collect_takes_all) {
  int n = count(1000);
  void *items = NULL;
  size_t got = 0;
  weft_iter it = weft_gen_iter(open_ints(count_up, &n));
  CHECK_INT(weft_collect(it, sizeof(int), 0, &items, &got), 0);
  CHECK_UINT(got, (unsigned)n);
  for (int i = 0; i < n; i++) CHECK_INT(((int *)items)[i], i);
  weft_collect_free(items);
  CHECK_INT(weft_iter_close(it), 0);
}

TASK_TEST(collect_of_nothing_is_an_empty_array) {
  int none = 0;
  void *items = &none;
  size_t got = 7;
  weft_iter it = weft_gen_iter(open_ints(count_up, &none));
  CHECK_INT(weft_collect(it, sizeof(int), 0, &items, &got), 0);
  CHECK(items == NULL);
  CHECK_UINT(got, 0);
  weft_collect_free(items);
  CHECK_INT(weft_iter_close(it), 0);
}

TASK_TEST(collect_stops_at_its_limit_and_leaves_the_rest) {
  int n = 50, next = 0;
  void *items = NULL;
  size_t got = 0;
  weft_iter it = weft_gen_iter(open_ints(count_up, &n));
  CHECK_INT(weft_collect(it, sizeof(int), 20, &items, &got), 1);
  CHECK_UINT(got, 20);
  CHECK_INT(((int *)items)[19], 19);
  weft_collect_free(items);
  CHECK_INT(weft_iter_next(it, &next), 1);
  CHECK_INT(next, 20);
  CHECK_INT(weft_iter_close(it), 0);
}

TASK_TEST(collect_ends_with_the_iterators_error_and_writes_nothing) {
  void *items = NULL;
  size_t got = 9;
  weft_iter it = weft_gen_iter(open_ints(fail_after_three, NULL));
  CHECK_INT(weft_collect(it, sizeof(int), 0, &items, &got), OWN_ERROR);
  CHECK(items == NULL);
  CHECK_UINT(got, 9);
  CHECK_INT(weft_iter_close(it), 0);
  CHECK_INT(weft_collect(it, 0, 0, &items, &got), WEFT_EINVAL);
}

TASK_TEST(collect_without_memory_leaves_the_iterator_usable) {
  int items[] = {0, 1, 2};
  void *taken = NULL;
  size_t got = 0;
  weft_array a = {items, sizeof(int), 3, 0};
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  CHECK_INT(weft_collect(weft_array_iter(&a), sizeof(int), 0, &taken, &got), WEFT_ENOMEM);
  weft__memory_fail_end();
  expect_ints(weft_array_iter(&a), 3);
}

/* ---- take ---- */

TASK_TEST(take_fills_the_callers_array) {
  int n = 7, items[5];
  size_t got = 0;
  weft_iter it = weft_gen_iter(open_ints(count_up, &n));
  CHECK_INT(weft_take(it, sizeof(int), 5, items, &got), 1);
  CHECK_UINT(got, 5);
  CHECK_INT(items[4], 4);
  CHECK_INT(weft_take(it, sizeof(int), 5, items, &got), 0);
  CHECK_UINT(got, 2);
  CHECK_INT(items[1], 6);
  CHECK_INT(weft_take(it, sizeof(int), 0, NULL, &got), 1);
  CHECK_UINT(got, 0);
  CHECK_INT(weft_iter_close(it), 0);
}

TASK_TEST(take_keeps_what_came_before_an_error) {
  int items[5];
  size_t got = 0;
  weft_iter it = weft_gen_iter(open_ints(fail_after_three, NULL));
  CHECK_INT(weft_take(it, sizeof(int), 5, items, &got), OWN_ERROR);
  CHECK_UINT(got, 3);
  CHECK_INT(items[2], 2);
  CHECK_INT(weft_iter_close(it), 0);
}

static int put_three(void *arg) {
  for (int i = 0; i < 3; i++) weft_queue_put(arg, &i);
  return 0;
}

TASK_TEST(take_under_a_deadline_makes_batches) {
  weft_queue *q;
  weft_timeout s;
  int items[10];
  size_t got = 0;
  CHECK_INT(weft_queue_new(&q, sizeof(int), NULL), 0);
  CHECK_INT(weft_await(weft_spawn(put_three, q, NULL)), 0);
  weft_timeout_begin(&s, weft_ms(2));
  int r = weft_take(weft_queue_iter(q), sizeof(int), 10, items, &got);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_UINT(got, 3);
  CHECK_INT(items[2], 2);
  CHECK_INT(weft_queue_free(q), 0);
}

/* ---- fold ---- */

TASK_TEST(fold_calls_for_each_item) {
  int n = 10, item;
  struct sum s = nothing;
  weft_iter it = weft_gen_iter(open_ints(count_up, &n));
  CHECK_INT(weft_fold(it, &item, 0, add, &s), 0);
  CHECK_INT(s.sum, 45);
  CHECK_INT(weft_iter_close(it), 0);
}

TASK_TEST(fold_stops_when_it_is_told_and_at_its_limit) {
  int n = 10, item;
  struct sum s = nothing;
  weft_iter it = weft_gen_iter(open_ints(count_up, &n));
  CHECK_INT(weft_fold(it, &item, 3, add, &s), 1);
  CHECK_INT(s.sum, 0 + 1 + 2);
  s.stop_at = 5;
  CHECK_INT(weft_fold(it, &item, 0, add, &s), 1);
  CHECK_INT(s.sum, 0 + 1 + 2 + 3 + 4 + 5);
  s.fail_at = 7;
  CHECK_INT(weft_fold(it, &item, 0, add, &s), OWN_ERROR);
  CHECK_INT(weft_fold(it, &item, 0, add, &s), 0);
  CHECK_INT(s.sum, 0 + 1 + 2 + 3 + 4 + 5 + 6 + 8 + 9);
  CHECK_INT(weft_iter_close(it), 0);
}

/* ---- others get their turn ---- */

static int always(void *object, void *ret_item) {
  (void)ret_item;
  return !latch_hits(object);
}

/* The iterator never suspends and goes on until another task of the same worker has run. */
TASK_TEST_WITH(an_endless_loop_over_ready_items_lets_others_run,
               (&(weft_run_opts){.workers = 1, .no_reserve = true})) {
  static const weft_iter_ops ops = {.next = always};
  struct latch stop = {0};
  struct sum s = nothing;
  weft_task t = weft_spawn(hit_and_return, &stop, NULL);
  CHECK_INT(weft_fold((weft_iter){&ops, &stop}, &(int){0}, 0, add, &s), 0);
  CHECK_INT(weft_await(t), 0);
}

static void an_array_needs_no_task(void **state) {
  int items[] = {1, 2, 3}, item;
  struct sum s = nothing;
  weft_array a = {items, sizeof(int), 3, 0};
  (void)state;
  CHECK_INT(weft_fold(weft_array_iter(&a), &item, 0, add, &s), 0);
  CHECK_INT(s.sum, 6);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_generator_is_an_iterator_and_closing_closes_it),
    cmocka_unit_test(a_queue_is_an_iterator_that_ends_when_it_is_shut_down),
    cmocka_unit_test(a_broadcast_receiver_is_an_iterator),
    cmocka_unit_test(a_reader_of_the_latest_is_an_iterator),
    cmocka_unit_test(an_interval_is_an_iterator_and_closing_stops_it),
    cmocka_unit_test(an_array_is_an_iterator),
    cmocka_unit_test(what_is_completed_is_an_iterator),
    cmocka_unit_test(a_transformation_changes_and_leaves_out),
    cmocka_unit_test(a_transformation_in_place_needs_no_variable),
    cmocka_unit_test(collect_takes_all),
    cmocka_unit_test(collect_of_nothing_is_an_empty_array),
    cmocka_unit_test(collect_stops_at_its_limit_and_leaves_the_rest),
    cmocka_unit_test(collect_ends_with_the_iterators_error_and_writes_nothing),
    cmocka_unit_test(collect_without_memory_leaves_the_iterator_usable),
    cmocka_unit_test(take_fills_the_callers_array),
    cmocka_unit_test(take_keeps_what_came_before_an_error),
    cmocka_unit_test(take_under_a_deadline_makes_batches),
    cmocka_unit_test(fold_calls_for_each_item),
    cmocka_unit_test(fold_stops_when_it_is_told_and_at_its_limit),
    cmocka_unit_test(an_endless_loop_over_ready_items_lets_others_run),
    cmocka_unit_test(an_array_needs_no_task),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
