/* From a duration of the interface to a deadline on the clock of weft__now. */
#ifndef WEFT_CORE_DEADLINE_H
#define WEFT_CORE_DEADLINE_H

#include <weft/time.h>

#include "base/clock.h"
#include "core/task.h"

/* `limit` from now; zero or less is now, WEFT_FOREVER is WEFT__NEVER. */
static inline uint64_t weft__deadline_in(weft_ns limit) {
  if (limit == WEFT_FOREVER) return WEFT__NEVER;
  return weft__now() + (limit > 0 ? (uint64_t)limit : 0);
}

#endif
