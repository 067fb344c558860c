/* Generators: items, what is sent and thrown in, who may use one, and whose task the body runs in. */
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

/* Yields 0 to n-1; arg is n. */
static int count_up(weft_gen *g, void *arg) {
  int r = 0, n = *(const int *)arg;
  for (int i = 0; i < n && r == 0; i++) r = weft_gen_yield(g, &i);
  return r;
}

/* The same, and waits before each item, in turns by a yield, a sleep and an await. */
static int count_up_slowly(weft_gen *g, void *arg) {
  int r = 0, n = *(const int *)arg;
  for (int i = 0; i < n && r == 0; i++) {
    if (i % 3 == 0) r = weft_yield();
    if (i % 3 == 1) r = weft_sleep(weft_us(10));
    if (i % 3 == 2) r = weft_await(weft_spawn(return_zero, NULL, NULL));
    if (r == 0) r = weft_gen_yield(g, &i);
  }
  return r;
}

static weft_gen *open_ints(weft_gen_fn fn, void *arg) {
  weft_gen *g = NULL;
  CHECK_INT(weft_gen_open(&g, fn, arg, sizeof(int), NULL), 0);
  return g;
}

/* All items of a counting generator come in order, then the end, more than once. */
static void expect_count(weft_gen *g, int n) {
  int got = -1, i = 0;
  for (; i < n && weft_gen_next(g, &got) == 1; i++) CHECK_INT(got, i);
  CHECK_INT(i, n);
  got = -7;
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(got, -7);
}

TASK_TEST(items_come_in_order_and_then_the_end_for_ever) {
  int n = count(COUNT_TASKS);
  weft_gen *g = open_ints(count_up, &n);
  expect_count(g, n);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(the_body_may_wait_between_its_items) {
  int n = count(300);
  weft_gen *g = open_ints(count_up_slowly, &n);
  expect_count(g, n);
  CHECK_INT(weft_gen_close(g), 0);
}

static int fail_after_one(weft_gen *g, void *arg) {
  (void)arg;
  int r = weft_gen_yield(g, &(int){1});
  return r < 0 ? r : OWN_ERROR;
}

TASK_TEST(the_bodys_error_comes_once_and_then_the_end) {
  int got = 0;
  weft_gen *g = open_ints(fail_after_one, NULL);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_next(g, &got), OWN_ERROR);
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

static int end_at_once(weft_gen *g, void *arg) {
  (void)g, (void)arg;
  return 5;
}

TASK_TEST(a_body_that_yields_nothing_is_an_end) {
  weft_gen *g = open_ints(end_at_once, NULL);
  CHECK_INT(weft_gen_next(g, NULL), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

/* ---- items of any size ---- */

struct big {
  char text[100];
  int number;
};

static int yield_big(weft_gen *g, void *arg) {
  struct big b = {"a text", 0};
  int r = 0;
  (void)arg;
  for (; b.number < 3 && r == 0; b.number++) r = weft_gen_yield(g, &b);
  return r;
}

TASK_TEST(items_are_copied_whole) {
  weft_gen *g;
  struct big b;
  CHECK_INT(weft_gen_open(&g, yield_big, NULL, sizeof b, NULL), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_gen_next(g, &b), 1);
    CHECK_STR(b.text, "a text");
    CHECK_INT(b.number, i);
  }
  CHECK_INT(weft_gen_next(g, &b), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

static int only_count(weft_gen *g, void *arg) {
  int r = 0;
  for (int i = 0; i < *(int *)arg && r == 0; i++) r = weft_gen_yield(g, NULL);
  return r;
}

TASK_TEST(items_without_size_are_only_counted) {
  int n = 10, got = 0;
  weft_gen *g;
  CHECK_INT(weft_gen_open(&g, only_count, &n, 0, NULL), 0);
  while (weft_gen_next(g, NULL) == 1) got++;
  CHECK_INT(got, n);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(an_item_nobody_wants_is_dropped) {
  int n = 3, got = -1;
  weft_gen *g = open_ints(count_up, &n);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 1);
  CHECK_INT(weft_gen_close(g), 0);
}

/* ---- options ---- */

TASK_TEST(a_copied_argument_may_die_after_the_open) {
  weft_gen *g;
  int n = 4;
  CHECK_INT(weft_gen_open(&g, count_up, &n, sizeof n, &(weft_gen_opts){.arg_size = sizeof n}), 0);
  n = 0;
  expect_count(g, 4);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(options_out_of_range_are_refused) {
  weft_gen *g = NULL;
  int n = 1;
  CHECK_INT(weft_gen_open(&g, NULL, NULL, 4, NULL), WEFT_EINVAL);
  CHECK_INT(weft_gen_open(&g, count_up, &n, 4, &(weft_gen_opts){.stack_size = 100}), WEFT_EINVAL);
  CHECK_INT(weft_gen_open(&g, count_up, &n, 4, &(weft_gen_opts){.arg_size = 1 << 20}), WEFT_EINVAL);
  CHECK(g == NULL);
}

static int use_much_stack(weft_gen *g, void *arg) {
  volatile char much[400 * 1024];
  size_t size = sizeof much;
  (void)arg;
  for (size_t i = 0; i < size; i += 1024) much[i] = 1;
  int r = weft_gen_yield(g, &(int){much[1024]});
  return r < 0 ? r : much[0] - 1;
}

TASK_TEST(a_body_may_have_a_large_stack) {
  weft_gen *g;
  int got = 0;
  CHECK_INT(weft_gen_open(&g, use_much_stack, NULL, sizeof got,
                          &(weft_gen_opts){.stack_size = 512 * 1024}),
            0);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 1);
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

/* ---- send and throw ---- */

static const weft_gen_opts takes_ints = {.send_size = sizeof(int)};

/* Yields the double of what it was sent, or -1 when nothing was. */
static int double_it(weft_gen *g, void *arg) {
  int out = -1, r = 0, in;
  (void)arg;
  while (r == 0 && (r = weft_gen_yield(g, &out)) == 0)
    if ((r = weft_gen_received(g, &in)) >= 0) {
      out = r == 1 ? 2 * in : -1;
      r = 0;
    }
  return r;
}

TASK_TEST(what_is_sent_is_received_at_the_yield) {
  weft_gen *g;
  int got = 0;
  CHECK_INT(weft_gen_open(&g, double_it, NULL, sizeof(int), &takes_ints), 0);
  CHECK_INT(weft_gen_next(g, &got), 1);
  for (int i = 1; i < 20; i++) {
    CHECK_INT(weft_gen_send(g, &i, &got), 1);
    CHECK_INT(got, 2 * i);
  }
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, -1);
  CHECK_INT(weft_gen_send(g, NULL, &got), 1);
  CHECK_INT(got, -1);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(nothing_can_be_sent_before_the_first_yield) {
  weft_gen *g;
  int got = 0;
  CHECK_INT(weft_gen_open(&g, double_it, NULL, sizeof(int), &takes_ints), 0);
  CHECK_INT(weft_gen_send(g, &(int){3}, &got), WEFT_ESTATE);
  CHECK_INT(weft_gen_send(g, NULL, &got), 1); /* which is next */
  CHECK_INT(weft_gen_send(g, &(int){3}, &got), 1);
  CHECK_INT(got, 6);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(a_generator_without_send_size_takes_nothing) {
  int n = 2, got = -1;
  weft_gen *g = open_ints(count_up, &n);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_send(g, &(int){3}, &got), WEFT_EINVAL);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 1);
  CHECK_INT(weft_gen_close(g), 0);
}

/* Yields 0, 1, 2 ...; a throw makes it yield the code, and it ends with OWN_ERROR. */
static int yield_what_is_thrown(weft_gen *g, void *arg) {
  (void)arg;
  for (int i = 0;; i++) {
    int r = weft_gen_yield(g, &i);
    if (r == OWN_ERROR || r == WEFT_ECLOSED) return r;
    if (r < 0 && (r = weft_gen_yield(g, &r)) < 0) return r;
  }
}

TASK_TEST(what_is_thrown_is_the_yields_answer) {
  int got = 0;
  weft_gen *g = open_ints(yield_what_is_thrown, NULL);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_throw(g, WEFT_EIO, &got), 1);
  CHECK_INT(got, WEFT_EIO);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 1);
  CHECK_INT(weft_gen_throw(g, 1, &got), WEFT_EINVAL);
  CHECK_INT(weft_gen_throw(g, OWN_ERROR, &got), OWN_ERROR);
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(weft_gen_throw(g, OWN_ERROR, &got), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(a_throw_ends_a_generator_that_has_not_begun) {
  int got = 0;
  weft_gen *g = open_ints(yield_what_is_thrown, NULL);
  CHECK_INT(weft_gen_throw(g, WEFT_EIO, &got), WEFT_EIO);
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

/* ---- delegation ---- */

struct halves {
  weft_gen *inner;
  int answer; /* of the delegation */
  weft_gen_fn fn;
  int n;
};

/* -100, then all of inner, then 100. */
static int frame_inner(weft_gen *g, void *arg) {
  struct halves *h = arg;
  int r = weft_gen_yield(g, &(int){-100});
  if (r < 0) return r;
  r = weft_gen_open(&h->inner, h->fn, &h->n, sizeof(int), &takes_ints);
  if (r < 0) return r;
  h->answer = weft_gen_delegate(g, h->inner);
  r = weft_gen_close(h->inner);
  if (h->answer < 0 || r < 0) return h->answer < 0 ? h->answer : r;
  return weft_gen_yield(g, &(int){100});
}

static weft_gen *open_frame(struct halves *h) {
  weft_gen *g = NULL;
  int got = 0;
  CHECK_INT(weft_gen_open(&g, frame_inner, h, sizeof(int), &takes_ints), 0);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, -100);
  return g;
}

TASK_TEST(delegation_yields_all_of_the_inner_ones_items) {
  struct halves h = {.fn = count_up_slowly, .n = 5};
  weft_gen *g = open_frame(&h);
  int got = 0;
  for (int i = 0; i < h.n; i++) {
    CHECK_INT(weft_gen_next(g, &got), 1);
    CHECK_INT(got, i);
  }
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 100);
  CHECK_INT(h.answer, 0);
  CHECK_INT(weft_gen_next(g, &got), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(delegation_passes_sends_and_throws_through) {
  struct halves h = {.fn = double_it};
  weft_gen *g = open_frame(&h);
  int got = 0;
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_send(g, &(int){21}, &got), 1);
  CHECK_INT(got, 42);
  CHECK_INT(weft_gen_throw(g, OWN_ERROR, &got), OWN_ERROR);
  CHECK_INT(h.answer, OWN_ERROR);
  CHECK_INT(weft_gen_close(g), 0);
  h = (struct halves){.fn = yield_what_is_thrown};
  g = open_frame(&h);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_throw(g, WEFT_EIO, &got), 1);
  CHECK_INT(got, WEFT_EIO);
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(h.answer, WEFT_ECLOSED);
}

TASK_TEST(delegation_ends_with_the_inner_ones_error) {
  struct halves h = {.fn = fail_after_one};
  weft_gen *g = open_frame(&h);
  int got = 0;
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_next(g, &got), OWN_ERROR);
  CHECK_INT(weft_gen_close(g), 0);
}

static int refuse_to_close(weft_gen *g, void *arg) {
  int r = 0;
  (void)arg;
  for (int i = 0; i < 5; i++) r = weft_gen_yield(g, &i);
  return r == WEFT_ECLOSED ? 0 : OWN_ERROR;
}

TASK_TEST(delegation_tells_an_error_of_the_inner_ones_end) {
  struct halves h = {.fn = refuse_to_close};
  weft_gen *g = open_frame(&h);
  int got = 0;
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(weft_gen_close(g), WEFT_ESTATE);
  CHECK_INT(h.answer, WEFT_ESTATE);
}

static int delegate_to_given(weft_gen *g, void *arg) {
  return weft_gen_delegate(g, arg);
}

TASK_TEST(delegation_wants_items_of_one_size) {
  weft_gen *inner, *outer;
  int n = 3, got = 0;
  CHECK_INT(weft_gen_open(&inner, count_up, &n, sizeof(int), NULL), 0);
  CHECK_INT(weft_gen_open(&outer, delegate_to_given, inner, sizeof(long), NULL), 0);
  CHECK_INT(weft_gen_next(outer, &(long){0}), WEFT_EINVAL);
  CHECK_INT(weft_gen_close(outer), 0);
  CHECK_INT(weft_gen_next(inner, &got), 1);
  CHECK_INT(got, 0);
  CHECK_INT(weft_gen_close(inner), 0);
}

/* A tree walked by one generator per node: recursion through delegation. */
static int walk(weft_gen *g, void *arg) {
  int depth = *(const int *)arg;
  int r = weft_gen_yield(g, &depth);
  for (int side = 0; side < 2 && depth > 0 && r == 0; side++) {
    weft_gen *child;
    int below = depth - 1;
    r = weft_gen_open(&child, walk, &below, sizeof(int), NULL);
    if (r < 0) return r;
    r = weft_gen_delegate(g, child);
    int e = weft_gen_close(child);
    if (r == 0) r = e;
  }
  return r;
}

TASK_TEST(a_generator_may_delegate_to_its_own_kind) {
  int depth = counts_simulated() ? 3 : 8, got = 0, nodes = 0, r;
  weft_gen *g = open_ints(walk, &depth);
  while ((r = weft_gen_next(g, &got)) == 1) nodes++;
  CHECK_INT(r, 0);
  CHECK_INT(nodes, (2 << depth) - 1);
  CHECK_INT(weft_gen_close(g), 0);
}

/* Each takes its items from the one below. */
static int add_one(weft_gen *g, void *arg) {
  int r, item;
  while ((r = weft_gen_next(*(weft_gen **)arg, &item)) > 0) {
    item++;
    if ((r = weft_gen_yield(g, &item)) < 0) break;
  }
  return r;
}

TASK_TEST(generators_may_be_stacked) {
  enum { LAYERS = 20 };
  weft_gen *g[LAYERS + 1];
  int n = 10, got = 0;
  g[0] = open_ints(count_up_slowly, &n);
  for (int i = 0; i < LAYERS; i++) g[i + 1] = open_ints(add_one, &g[i]);
  for (int i = 0; i < n; i++) {
    CHECK_INT(weft_gen_next(g[LAYERS], &got), 1);
    CHECK_INT(got, i + LAYERS);
  }
  CHECK_INT(weft_gen_next(g[LAYERS], &got), 0);
  for (int i = LAYERS; i >= 0; i--) CHECK_INT(weft_gen_close(g[i]), 0);
}

/* As in asyncio: what runs between two waits of the body is atomic. */
EXACT_TEST(a_next_that_does_not_wait_keeps_the_turn) {
  struct latch other = {0};
  int n = 1000;
  weft_task t = weft_spawn(hit_and_return, &other, NULL);
  weft_gen *g = open_ints(count_up, &n);
  expect_count(g, n);
  CHECK_INT(latch_hits(&other), 0);
  CHECK_INT(weft_gen_close(g), 0);
  g = open_ints(count_up_slowly, &n); /* which waits before its first item */
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(latch_hits(&other), 1);
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(weft_await(t), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(items_come_in_order_and_then_the_end_for_ever),
    cmocka_unit_test(the_body_may_wait_between_its_items),
    cmocka_unit_test(the_bodys_error_comes_once_and_then_the_end),
    cmocka_unit_test(a_body_that_yields_nothing_is_an_end),
    cmocka_unit_test(items_are_copied_whole),
    cmocka_unit_test(items_without_size_are_only_counted),
    cmocka_unit_test(an_item_nobody_wants_is_dropped),
    cmocka_unit_test(a_copied_argument_may_die_after_the_open),
    cmocka_unit_test(options_out_of_range_are_refused),
    cmocka_unit_test(a_body_may_have_a_large_stack),
    cmocka_unit_test(what_is_sent_is_received_at_the_yield),
    cmocka_unit_test(nothing_can_be_sent_before_the_first_yield),
    cmocka_unit_test(a_generator_without_send_size_takes_nothing),
    cmocka_unit_test(what_is_thrown_is_the_yields_answer),
    cmocka_unit_test(a_throw_ends_a_generator_that_has_not_begun),
    cmocka_unit_test(delegation_yields_all_of_the_inner_ones_items),
    cmocka_unit_test(delegation_passes_sends_and_throws_through),
    cmocka_unit_test(delegation_ends_with_the_inner_ones_error),
    cmocka_unit_test(delegation_tells_an_error_of_the_inner_ones_end),
    cmocka_unit_test(delegation_wants_items_of_one_size),
    cmocka_unit_test(a_generator_may_delegate_to_its_own_kind),
    cmocka_unit_test(generators_may_be_stacked),
    cmocka_unit_test(a_next_that_does_not_wait_keeps_the_turn),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
