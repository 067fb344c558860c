/* The contrast's workloads on weft. Each takes its arguments from the program, runs, and says its
 * figures; the result is 0 or a WEFT_E* code. */
#ifndef CONTRAST_WEFT_H
#define CONTRAST_WEFT_H

#include "program.h"

#include <weft.h>

int sleepers_workload(struct program *p);
int primes_workload(struct program *p);
int skynet_workload(struct program *p);
int blocking_workload(struct program *p);
int hogs_workload(struct program *p);
int index_workload(struct program *p);
int echo_workload(struct program *p);

/* Runs fn(arg) as the main task with the options that every workload understands:
 *   workers=N  worker threads (0: as many as the CPUs)
 *   reserve=0  no reserve threads
 * Sets wall_s: from before the runtime exists until it has ended. Says each worker's statistics. */
int contrast_run(struct program *p, weft_fn fn, void *arg);

#endif
