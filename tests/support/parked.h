/* Waiting until a task waits: for tests about who is first in a line. */
#ifndef WEFT_TEST_PARKED_H
#define WEFT_TEST_PARKED_H

#include <weft/task.h>

#include "core/task.h"
#include "latch.h"

/* The task has left its stack to wait for something: it is in the line. A snapshot. */
static inline bool is_parked(weft_task h) {
  struct weft__task *t = h.slot_;
  return weft__word_phase(weft__load_acquire_u64(&t->word)) == WEFT__PARKED;
}

/* Yields until the task is parked. 0, or what weft_yield answers. */
static inline int wait_until_parked(weft_task h) {
  int r = 0, rounds = 0;
  /* In a simulated network a wait may end for nothing: then there is nobody to park any more. */
  while (!is_parked(h) && weft_task_done(h) == 0 && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

/* Spawns a task that goes at once to wait, and returns when it does. */
static inline weft_task spawn_parked(weft_fn fn, void *arg) {
  weft_task t = weft_spawn(fn, arg, NULL);
  if (!weft_task_error(t)) wait_until_parked(t);
  return t;
}

#endif
