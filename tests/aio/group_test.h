/* What the tests of the group rules share. */
#ifndef WEFT_TEST_GROUP_TEST_H
#define WEFT_TEST_GROUP_TEST_H

#include <weft.h>

#include "task_test.h"

enum { BODY_ERROR = WEFT_EUSER - 20, LATE_ERROR = WEFT_EUSER - 21 };

struct parker {
  struct latch parked;
  int woke_with;
};

static inline int park(void *arg) {
  struct parker *p = arg;
  p->woke_with = hit_and_park(&p->parked);
  return p->woke_with;
}

static inline int return_minus(void *arg) {
  return LATE_ERROR - *(int *)arg;
}

/* The calling task is as if it had never been cancelled. */
static inline void check_untouched(int count) {
  CHECK_INT(weft_cancelling(weft_current()), count);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_cancel_catch(), false);
}

#endif
