/* What the tests of futures share: a fresh one, and a task that awaits one. */
#ifndef WEFT_TEST_FUTURE_TEST_H
#define WEFT_TEST_FUTURE_TEST_H

#include <weft.h>

#include "task_test.h"

static inline weft_future *fresh(size_t size) {
  weft_future *f = NULL;
  CHECK_INT(weft_future_new(&f, size), 0);
  return f;
}

struct awaited {
  weft_future *f;
  struct latch *waiting;
  int code, value;
};

static inline int await_future(void *arg) {
  struct awaited *a = arg;
  if (a->waiting) latch_hit(a->waiting);
  a->code = weft_future_await(a->f, &a->value);
  return a->code;
}

#endif
