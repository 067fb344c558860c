/* Requesting a cancel, for the floors above. */
#ifndef WEFT_CORE_CANCEL_H
#define WEFT_CORE_CANCEL_H

#include "core/task.h"

/* Cancels the task that key names, and what it runs inline. 1 if the request was made, 0 if the task
 * had ended, WEFT_ESTALE. Any thread. */
int weft__cancel_task(struct weft__task *t, uint32_t key);

/* The same with a reason: a static string, or NULL. */
int weft__cancel_task_why(struct weft__task *t, uint32_t key, const char *reason);

/* The request alone, for who knows that t runs nothing inline: claim.h's weft__claim_cancel. */
enum weft__outcome weft__cancel_request(struct weft__task *t, uint32_t key, const char *reason);

/* The reason of the last request, or NULL. What passes a cancel on passes it on, too. */
const char *weft__cancel_reason(struct weft__task *t, uint32_t key);

/* The calling task's. */
static inline const char *weft__own_cancel_reason(struct weft__task *cur) {
  return weft__cancel_reason(cur, weft__word_key(weft__load_relaxed_u64(&cur->word)));
}

#endif
