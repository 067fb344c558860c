/* Requests to finish (weft_group_stop): a tree of flags that tasks hand down.
 *
 * A stoppable group has a flag. Its children hold it and hand it to all that they start, as they do with
 * task-locals, so no task is ever looked for: asking sets the flag and those below it. A flag lives as
 * long as somebody holds it; what is below holds what is above.
 */
#ifndef WEFT_AIO_STOP_H
#define WEFT_AIO_STOP_H

#include <stdbool.h>

#include <weft/awaitable.h>

#include "core/task.h"

struct weft__stop {
  struct weft__heritage base;
  weft__atomic_u32 asked;    /* once 1, always: release under the lock of all flags, acquire */
  struct weft__stop *parent; /* constant; with a reference */
  /* Guarded by the lock of all flags. */
  struct weft__list below;
  struct weft__list siblings;
  weft_watchers watchers;
};

/* A flag below that of the calling task, or NULL without memory. */
struct weft__stop *weft__stop_new(void);

/* Sets it and all below it, and wakes who waits for them. Any thread. */
void weft__stop_ask(struct weft__stop *s);

/* Gives t, which may not run yet, this flag in place of its spawner's. */
void weft__stop_hand_down(struct weft__stop *s, struct weft__task *t);

static inline void weft__stop_drop(struct weft__stop *s) {
  if (s) weft__heritage_drop(&s->base);
}

#endif
