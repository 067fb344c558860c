/* Queues, futures and generators whose items have a type do what the untyped ones do. That the compiler
 * refuses other types is tests/headers/typed_cases.c. */
#include <weft.h>

#include "task_test.h"

struct point {
  int x, y;
};

WEFT_QUEUE_TYPE(point_queue, struct point);
WEFT_FUTURE_TYPE(point_future, struct point);
WEFT_GEN_TYPE(points, struct point);
WEFT_GEN_TYPE_SENDS(halves, int, double);

TASK_TEST(a_typed_queue_is_a_queue) {
  point_queue q;
  struct point p = {1, 2}, got = {0};
  CHECK_INT(point_queue_new(&q, &(weft_queue_opts){.capacity = 2}), 0);
  CHECK_INT(point_queue_put(q, &p), 0);
  p.x = 3;
  CHECK_INT(point_queue_try_put(q, &p), 0);
  CHECK_INT(point_queue_try_put(q, &p), WEFT_EAGAIN);
  CHECK_INT(point_queue_get(q, &got), 1);
  CHECK_INT(got.x, 1);
  CHECK_INT(point_queue_try_get(q, &got), 1);
  CHECK_INT(got.x, 3);
  CHECK_INT(got.y, 2);
  CHECK_INT(point_queue_try_get(q, &got), WEFT_EAGAIN);
  CHECK_UINT(weft_queue_item_size(q.untyped), sizeof p);
  CHECK_INT(weft_queue_free(q.untyped), 0);
}

TASK_TEST(a_typed_future_is_a_future) {
  point_future f;
  struct point p = {1, 2}, got = {0};
  CHECK_INT(point_future_new(&f), 0);
  CHECK_INT(point_future_get(f, &got), WEFT_EPENDING);
  CHECK_INT(point_future_set(f, &p), 0);
  CHECK_INT(point_future_get(f, &got), 0);
  CHECK_INT(got.y, 2);
  got.x = 0;
  CHECK_INT(point_future_await(f, &got), 0);
  CHECK_INT(got.x, 1);
  weft_future_unref(f.untyped);
}

static int diagonal(points g, void *arg) {
  int r = 0, n = *(const int *)arg;
  for (struct point p = {0, 0}; p.x < n && r == 0; p.x++, p.y--) r = points_yield(g, &p);
  return r;
}

static int twice(points g, void *arg) {
  int r = 0;
  for (int i = 0; i < 2 && r == 0; i++) {
    points inner;
    r = points_open(&inner, diagonal, arg, NULL);
    if (r < 0) return r;
    r = points_delegate(g, inner);
    weft_gen_close(inner.untyped);
  }
  return r;
}

TASK_TEST(a_typed_generator_is_a_generator) {
  points g;
  struct point p = {0};
  int n = 3;
  CHECK_INT(points_open(&g, NULL, &n, NULL), WEFT_EINVAL);
  CHECK_INT(points_open(&g, twice, &n, &(weft_gen_opts){.arg_size = sizeof n}), 0);
  for (int i = 0; i < 2 * n; i++) {
    CHECK_INT(points_next(g, &p), 1);
    CHECK_INT(p.x, i % n);
    CHECK_INT(p.y, -p.x);
  }
  CHECK_INT(points_next(g, &p), 0);
  CHECK_INT(weft_gen_close(g.untyped), 0);
  CHECK_INT(points_open(&g, diagonal, &n, NULL), 0);
  CHECK_INT(points_next(g, &p), 1);
  CHECK_INT(points_throw(g, OWN_ERROR, &p), OWN_ERROR);
  CHECK_INT(weft_gen_close(g.untyped), 0);
}

static int halve(halves g, void *arg) {
  int r = 0, half = -1;
  (void)arg;
  while ((r = halves_yield(g, &half)) == 0) {
    double d;
    half = halves_received(g, &d) == 1 ? (int)(d / 2) : -1;
  }
  return r;
}

TASK_TEST(a_typed_generator_may_be_sent_values) {
  halves g;
  int half = 0;
  double d = 9.0;
  CHECK_INT(halves_open(&g, halve, NULL, NULL), 0);
  CHECK_INT(halves_next(g, &half), 1);
  CHECK_INT(halves_send(g, &d, &half), 1);
  CHECK_INT(half, 4);
  CHECK_INT(halves_next(g, &half), 1);
  CHECK_INT(half, -1);
  CHECK_INT(weft_gen_close(g.untyped), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_typed_queue_is_a_queue),
    cmocka_unit_test(a_typed_future_is_a_future),
    cmocka_unit_test(a_typed_generator_is_a_generator),
    cmocka_unit_test(a_typed_generator_may_be_sent_values),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
