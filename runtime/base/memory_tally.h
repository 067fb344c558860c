/* How many blocks and bytes each thread got and gave back. Private to the allocation seam
 * (memory.c counts, memory_stats.c reads); memory.c says who writes a tally. */
#ifndef WEFT_BASE_MEMORY_TALLY_H
#define WEFT_BASE_MEMORY_TALLY_H

#include <stdint.h>

#include "base/memory.h"

/* The calling thread got or gave back a block. */
void weft__tally_alloc(enum weft__memory_who who, uint64_t bytes);
void weft__tally_free(enum weft__memory_who who, uint64_t bytes);
void weft__tally_failure(void);

#endif
