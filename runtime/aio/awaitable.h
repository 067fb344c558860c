/* Awaitables inside the runtime: the public protocol (weft/awaitable.h) over the records of core. */
#ifndef WEFT_AIO_AWAITABLE_H
#define WEFT_AIO_AWAITABLE_H

#include <weft/awaitable.h>

#include "core/task.h"

struct weft_watch {
  struct weft__waiter rec;
  bool taken; /* by who has taken the object: one that is over and consumed is not stale to it */
};

extern const weft_awaitable_ops weft__task_ops;

/* Somebody is in the list. Under the object's lock. */
bool weft__watched(const weft_watchers *list);

/* The functions of a, for those who leave some out. */
static inline int weft__awaitable_take(weft_awaitable a) {
  if (!a.ops) return WEFT_EINVAL;
  return a.ops->take ? a.ops->take(a.object, a.key) : 0;
}
static inline void weft__awaitable_give_back(weft_awaitable a) {
  if (a.ops->give_back) a.ops->give_back(a.object, a.key);
}
static inline void weft__awaitable_drop(weft_awaitable a, bool over) {
  if (a.ops->drop) a.ops->drop(a.object, a.key, over);
}
/* The same; a task that fails later is not reported. */
static inline void weft__awaitable_disregard(weft_awaitable a, bool over) {
  weft__awaitable_drop(a, over || a.ops == &weft__task_ops);
}
static inline void weft__awaitable_told(weft_awaitable a) {
  if (a.ops->told) a.ops->told(a.object, a.key);
}
static inline bool weft__awaitable_same(weft_awaitable a, weft_awaitable b) {
  return a.ops == b.ops && a.object == b.object && a.key == b.key;
}

/* Waits for a, which the calling task has taken, alone. 0 with *ret_code when it is over, or why
 * the wait ended otherwise. Masked: no cancel ends it. */
int weft__await_one(struct weft__task *cur, weft_awaitable a, bool masked, int *ret_code);

/* Awaits a, which it has taken, as weft_awaitable_await does. *ret_over: whether a is over. */
int weft__await_passing_cancel(struct weft__task *cur, weft_awaitable a, bool *ret_over);

#endif
