/* The monitor: a thread that looks at all workers about every millisecond while any of them works.
 *
 * It samples each worker's slice counter (a plain store per switch). A worker that is in the same
 * slice for a whole period, computing or blocked, is hogged; one that has only lost its CPU is not. Then, if other work waits behind it, an idle worker is woken to
 * take it; if a timer, an event or a ready task is due, its reserve is told to take the lease of its
 * loop and timers (reserve.c). A worker that is busy with short slices is told to look at its loop
 * and timers, so that no worker has to read the clock at every switch. The monitor also gives the
 * blocking pool the ticks by which it grows.
 *
 * When every worker sleeps it sleeps too, until one of them wakes it.
 */
#ifndef WEFT_CORE_MONITOR_H
#define WEFT_CORE_MONITOR_H

struct weft__runtime;
struct weft__worker;

/* Before any worker's thread begins: they look for it without a lock. */
int weft__monitor_start(struct weft__runtime *rt);
/* Ends and joins the thread; wake does nothing from now on. Then, when no other thread is left: */
void weft__monitor_stop(struct weft__runtime *rt);
void weft__monitor_free(struct weft__runtime *rt);

/* The blocking pool wants ticks. Any thread. */
void weft__monitor_want_ticks(struct weft__runtime *rt);

/* Makes it look at what was noted for it (interrupt.h). Safe in a signal handler. */
void weft__monitor_ring(struct weft__runtime *rt);

/* A worker has woken up. Cheap when the monitor is awake. Any thread. */
void weft__monitor_wake(struct weft__runtime *rt);

#endif
