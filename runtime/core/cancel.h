/* Requesting a cancel, for the floors above. */
#ifndef WEFT_CORE_CANCEL_H
#define WEFT_CORE_CANCEL_H

#include "core/task.h"

/* Cancels the task that key names, and what it runs inline. 1 if the request was made, 0 if the task
 * had ended, WEFT_ESTALE. Any thread. */
int weft__cancel_task(struct weft__task *t, uint32_t key);

/* The same with a reason: a static string, or NULL. */
int weft__cancel_task_why(struct weft__task *t, uint32_t key, const char *reason);

/* Many at a time. A task that is not waiting may run another inline, which is only to be looked for after a
 * heavy fence: a system call, which all threads notice. Here up to WEFT__CANCELS tasks share one. */
enum { WEFT__CANCELS = 128 };

struct weft__cancelled {
  struct weft__task *task;
  uint32_t key;
};

/* On the canceller's stack. */
struct weft__cancels {
  const char *reason; /* of all */
  uint32_t n;
  struct weft__cancelled running[WEFT__CANCELS]; /* whose inline children are to be looked for */
};

static inline void weft__cancel_begin(struct weft__cancels *many, const char *reason) {
  many->reason = reason;
  many->n = 0;
}

/* Requests the cancel of t. What t runs inline may get it later, at the latest in weft__cancel_end. */
void weft__cancel_add(struct weft__cancels *many, struct weft__task *t, uint32_t key);
void weft__cancel_end(struct weft__cancels *many);

/* The request alone, for who knows that t runs nothing inline: claim.h's weft__claim_cancel. */
enum weft__outcome weft__cancel_request(struct weft__task *t, uint32_t key, const char *reason);

/* The reason of the last request, or NULL. What passes a cancel on passes it on, too. */
const char *weft__cancel_reason(struct weft__task *t, uint32_t key);

/* The calling task's. */
static inline const char *weft__own_cancel_reason(struct weft__task *cur) {
  return weft__cancel_reason(cur, weft__word_key(weft__load_relaxed_u64(&cur->word)));
}

#endif
