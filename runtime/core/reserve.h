/* Reserves: worker i's reserve is a thread that stands in for it while it is stuck in a long task.
 *
 * The lease. While a worker is in a long slice nobody drives its loop and nobody looks at its timers.
 * When something is due there, the monitor asks the reserve (want). The reserve takes the loop's
 * driver word and keeps it: it polls the loop, fires the timers, and runs what they made ready, and
 * what is ready in the hogged worker's ring. It never begins a task, and never takes a task whose
 * last slice was a hog's: so CPU work stays on as many threads as there are workers. The lease outlasts
 * the hog's yields and ends 100 ms after the last hogged slice, or when the owner, about to sleep,
 * asks for it back (recall). What is then left in the reserve's queues goes to the shared lists.
 */
#ifndef WEFT_CORE_RESERVE_H
#define WEFT_CORE_RESERVE_H

#include <stdint.h>

struct weft__runtime;
struct weft__worker;

/* w is hogged: its reserve is to serve its loop and timers until `until`. Starts the thread the first
 * time. By the monitor. */
void weft__reserve_want(struct weft__worker *w, uint64_t until);

/* w, about to sleep, wants its loop and timers back; its reserve unparks it when it has let go. */
void weft__reserve_recall(struct weft__worker *w);

/* Ends and joins the threads that were started. The runtime has ended. */
void weft__reserves_stop(struct weft__runtime *rt);
/* The same without waiting for them. */
void weft__reserves_leave(struct weft__runtime *rt);

#endif
