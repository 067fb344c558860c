/* Eager start: a task's first slice as part of its spawn. */
#ifndef WEFT_CORE_EAGER_H
#define WEFT_CORE_EAGER_H

#include "core/worker.h"

/* Runs t, which is new and in no queue, until it suspends or ends, in place of cur, which spawned it on w.
 * False when it cannot, and t is to be queued as any. True also when t waits for its turn in a strand. */
bool weft__start_eagerly(struct weft__worker *w, struct weft__task *cur, struct weft__task *t);

#endif
