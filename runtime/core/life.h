/* A runtime from its first thread to its last, in the order of the calls. What uses it is runner.c. */
#ifndef WEFT_CORE_LIFE_H
#define WEFT_CORE_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/run.h>

struct weft__runtime;
struct weft__simulated;

/* Everything that can fail for want of memory or descriptors. sim: or NULL. */
int weft__runtime_make(struct weft__runtime **ret, const weft_run_opts *o, uint64_t seed,
                       struct weft__simulated *sim);

/* Starts the monitor and the other workers, who find it when they begin; with rests they wait for
 * weft__rest_end first. On failure those that were started have ended. */
int weft__runtime_start(struct weft__runtime *rt, bool rests);

/* After life has become ENDED: ends the pool and the threads. True when all are gone and the memory may go
 * too. */
bool weft__runtime_end(struct weft__runtime *rt);

/* No thread of it is left, or none was started. */
void weft__runtime_free(struct weft__runtime *rt);

#endif
