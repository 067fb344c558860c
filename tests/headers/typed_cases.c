/* Compiled by itself, as C and as C++: without CASE it is right; each CASE is an item of the wrong type,
 * which the compiler has to refuse without being asked for warnings. */
#include <weft.h>

#ifndef CASE
#define CASE 0
#endif

struct order {
  int number;
};

WEFT_QUEUE_TYPE(order_queue, struct order);
WEFT_QUEUE_TYPE(long_queue, long);
WEFT_FUTURE_TYPE(int_future, int);
WEFT_GEN_TYPE(ints, int);
WEFT_GEN_TYPE(longs, long);
WEFT_GEN_TYPE_SENDS(echo, int, double);

static int count_ints(ints g, void *arg) {
  int i = *(int *)arg;
  long l = 0;
  (void)l;
#if CASE == 1
  return ints_yield(g, &l);
#else
  return ints_yield(g, &i);
#endif
}

static int echo_doubles(echo g, void *arg) {
  int i = 0;
  double d = 0;
  (void)arg;
#if CASE == 2
  return echo_received(g, &i);
#else
  (void)echo_received(g, &d);
  return echo_yield(g, &i);
#endif
}

static int use_generators(void) {
  ints g;
  longs other;
  echo e;
  int i = 0, r = 0;
  long l = 0;
  double d = 0;
  other.untyped = NULL;
#if CASE == 3
  r = longs_open(&other, count_ints, &i, NULL);
#else
  r = ints_open(&g, count_ints, &i, NULL);
#endif
#if CASE == 4
  r = ints_next(g, &l);
#elif CASE == 5
  r = longs_next(g, &l);
#elif CASE == 6
  r = ints_throw(g, WEFT_EIO, &l);
#elif CASE == 7
  r = ints_delegate(g, other);
#else
  r = ints_next(g, &i);
#endif
  r = echo_open(&e, echo_doubles, NULL, NULL);
#if CASE == 8
  r = echo_send(e, &i, &i);
#else
  r = echo_send(e, &d, &i);
#endif
  (void)l, (void)other;
  return r;
}

static int use_queues(void) {
  order_queue q;
  long_queue other;
  struct order order = {1};
  int i = 0, r = order_queue_new(&q, NULL);
#if CASE == 9
  r = long_queue_new(&q, NULL);
#else
  r = long_queue_new(&other, NULL);
#endif
#if CASE == 10
  r = order_queue_put(q, &i);
#elif CASE == 11
  r = order_queue_get(q, &i);
#elif CASE == 12
  r = order_queue_try_put(other, &order);
#elif CASE == 13
  r = order_queue_try_get(q, &i);
#else
  r = order_queue_put(q, &order);
#endif
  (void)i, (void)other;
  return r;
}

static int use_futures(void) {
  int_future f;
  int i = 0, r = int_future_new(&f);
  long l = 0;
#if CASE == 14
  r = int_future_set(f, &l);
#elif CASE == 15
  r = int_future_await(f, &l);
#elif CASE == 16
  r = int_future_get(f, &l);
#else
  r = int_future_set(f, &i);
#endif
  (void)l, (void)i;
  return r;
}

int main(void) {
  return use_generators() + use_queues() + use_futures();
}
