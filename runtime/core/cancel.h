/* Requesting a cancel, for the floors above. */
#ifndef WEFT_CORE_CANCEL_H
#define WEFT_CORE_CANCEL_H

#include "core/task.h"

/* Cancels the task that key names, and what it runs inline. 1 if the request was made, 0 if the task
 * had ended, WEFT_ESTALE. Any thread. */
int weft__cancel_task(struct weft__task *t, uint32_t key);

#endif
