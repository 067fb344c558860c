/* Sleeping. */
#include <weft/task.h>

#include "core/deadline.h"
#include "core/park.h"
#include "core/worker.h"

int weft_sleep(weft_ns duration) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (duration <= 0) return weft__yield(t);
  weft__ticket ticket;
  int r = weft__wait_open(t, false, &ticket);
  if (r < 0) return r;
  weft__waits_for(t, &weft__waits_time, NULL);
  r = weft__wait_park(t, ticket, weft__deadline_in(duration));
  return r == WEFT_ETIMEDOUT ? 0 : r;
}
