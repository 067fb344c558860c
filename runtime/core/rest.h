/* Rest: between the runs of a Runner nothing of its runtime moves.
 *
 * The calling thread, worker 0, ends a run by setting life to RESTS. Workers and reserves see it between
 * two tasks, stop, and wait for life to change; a task stays where it is, queued or waiting, and so do
 * timers and events. The run returns when the last of them has stopped. `active` counts those that may
 * run tasks: who goes to work raises it and then looks at life, who calls for rest sets life and then
 * looks at `active`, all sequentially consistent, so that nobody works unseen.
 */
#ifndef WEFT_CORE_REST_H
#define WEFT_CORE_REST_H

#include <stdbool.h>

struct weft__runtime;
struct weft__worker;

/* The caller is to run tasks: true, and then weft__work_end follows; false while the runtime rests, and
 * when it has ended. By workers other than 0, and by reserves. */
bool weft__work_begin(struct weft__runtime *rt);
void weft__work_end(struct weft__runtime *rt);

/* As weft__work_begin, but waits until the rest is over; false: the runtime has ended. */
bool weft__rest(struct weft__worker *w);

/* Before the threads begin: the runtime rests at first. */
void weft__rest_first(struct weft__runtime *rt);
/* By worker 0: calls for rest; waits until nobody runs; wakes all again to this life. The rest is worker
 * 0's own as well, from wait to end. */
void weft__rest_begin(struct weft__runtime *rt);
void weft__rest_wait(struct weft__runtime *rt);
void weft__rest_end(struct weft__runtime *rt, unsigned life);

/* Life becomes ENDED, and everybody is told. By worker 0, or when no worker runs. */
void weft__life_end(struct weft__runtime *rt);

#endif
