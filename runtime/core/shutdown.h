/* The end of a runtime, in steps that worker 0 takes between tasks once the main task has returned (of the
 * last run, or when a Runner is closed; after another run the runtime rests: rest.h):
 *
 *   1. submits from foreign threads are refused, and those under way are waited for;
 *   2. every task that is alive is cancelled;
 *   3. while any is alive the workers go on; what remains is named once a second;
 *   4. tasks that were started meanwhile are cancelled when no other is alive;
 *   5. when none is, what is still open is closed by tasks (closer.h), until nothing is;
 *   6. then, or when the shutdown's time has run out, life becomes ENDED and the threads leave.
 */
#ifndef WEFT_CORE_SHUTDOWN_H
#define WEFT_CORE_SHUTDOWN_H

#include <stdint.h>

struct weft__runtime;
struct weft__worker;

/* Steps 1 and 2; by worker 0. */
void weft__shutdown_begin(struct weft__runtime *rt);

/* One step; by worker 0. */
void weft__shutdown_step(struct weft__runtime *rt, struct weft__worker *w);

/* Until when w may sleep at most: worker 0 has names to print while it waits for the end. */
uint64_t weft__shutdown_deadline(struct weft__worker *w);

/* A task has ended while the runtime is stopping: worker 0 looks whether it was the last. */
void weft__shutdown_hint(struct weft__runtime *rt);

#endif
