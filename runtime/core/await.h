/* Awaiting, for the floors above. */
#ifndef WEFT_CORE_AWAIT_H
#define WEFT_CORE_AWAIT_H

#include "core/task.h"

/* Waits for the end of t, whose handle the caller has taken (weft__claim_take) and whose reference it
 * drops afterwards; returns what weft_await promises. */
int weft__await_taken(struct weft__task *cur, struct weft__task *t, uint32_t key);

#endif
