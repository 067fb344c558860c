/* What the pool, its zygote and its workers know alike: set before the zygote is forked and never
 * changed, so each process has it in its own memory.
 */
#ifndef WEFT_OFFLOAD_CREW_H
#define WEFT_OFFLOAD_CREW_H

#include <stddef.h>
#include <stdint.h>

#include <weft/offload.h>

#include "offload/area.h"

enum { WEFT__PROCPOOL_MAX = 256 };

struct weft__crew {
  const weft_job *jobs;
  uint32_t njobs;
  uint32_t workers; /* number of slots, at most WEFT__PROCPOOL_MAX */
  size_t max_payload;
  struct weft__area area;
};

/* Exit statuses of a worker that gives up by itself. */
enum {
  WEFT__EXIT_CLOSED = 0,    /* the pool closed the channel, or died */
  WEFT__EXIT_UNSENT = 120,  /* the channel would not take the answer: the job closed it */
  WEFT__EXIT_REQUEST = 121, /* what came was no call */
  WEFT__EXIT_SETUP = 122    /* the process could not be made safe for a job */
};

/* The life of a worker: answers the calls that come through the channel until it closes. The
 * zygote's descriptors, which it inherits, are those from floor on. */
_Noreturn void weft__procworker_main(const struct weft__crew *crew, unsigned slot, int channel,
                                     int floor);

/* The life of the zygote, see zygote.h. control is its end of the channel to the pool. */
_Noreturn void weft__zygote_main(const struct weft__crew *crew, int control);

#endif
