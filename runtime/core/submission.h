/* The submissions of a runtime whose tasks have not ended: weft/submit.h. */
#ifndef WEFT_CORE_SUBMISSION_H
#define WEFT_CORE_SUBMISSION_H

#include "base/list.h"
#include "base/spin.h"

struct weft__submissions {
  struct weft__spin lock; /* guards open */
  struct weft__list open; /* through weft_submission's link */
};

void weft__submissions_init(struct weft__submissions *ss);

/* The shutdown's time ran out: who waits for a task that is left behind is told so. */
void weft__submissions_leave(struct weft__submissions *ss);

#endif
