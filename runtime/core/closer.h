/* What a runtime closes when it ends: whatever is open beyond the tasks that use it (generators).
 *
 * A closer is registered with the runtime while its object is open. At the runtime's end, when every
 * task has ended, each closer that is still registered is taken off the list and its `run` is the body
 * of a task: it may suspend, spawn and await, on any worker, and is not cancelled. All of them run at
 * the same time; those that are registered meanwhile, by their own run too, follow when they have
 * ended. A negative code is reported. When the shutdown's time runs out they are left.
 */
#ifndef WEFT_CORE_CLOSER_H
#define WEFT_CORE_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/list.h"
#include "base/spin.h"
#include "core/task.h"

struct weft__worker;

/* Zeroed is not registered. The registrant's memory, until run is called or remove answered true. */
struct weft__closer {
  struct weft__list link; /* guarded by the runtime's list */
  bool registered;        /* likewise */
  const char *name;       /* of the task; constant, a string that outlives it */
  int (*run)(struct weft__closer *c);
  /* When there is no memory for that task, or no stack: called by a worker instead. May register the
   * closer again, must not suspend. NULL: nothing is done. */
  void (*drop)(struct weft__closer *c);
};

/* Of a runtime. */
struct weft__closers {
  struct weft__spin lock; /* guards list */
  struct weft__list list; /* oldest first */
  weft__atomic_u32
      running; /* tasks of closers that have not ended: raised by worker 0, lowered by who
                                ends one; read by worker 0 as a hint for when to look again */
  struct weft__owner owner; /* of those tasks */
};

void weft__closers_init(struct weft__closers *cs);

/* Any thread that keeps the runtime from ending: one of its tasks, say. */
void weft__closer_add(struct weft__closers *cs, struct weft__closer *c);
/* True: it was registered, and will not run. False: it never was, or its run has begun. Any thread. */
bool weft__closer_remove(struct weft__closers *cs, struct weft__closer *c);

/* Makes tasks of those that are registered; false when there was none. By worker 0. */
bool weft__closers_begin(struct weft__closers *cs, struct weft__worker *w);

static inline bool weft__closers_run(struct weft__closers *cs) {
  return weft__load_relaxed_u32(&cs->running) != 0;
}

#endif
