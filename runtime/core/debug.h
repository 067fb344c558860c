/* The debug mode as the scheduler sees it: calls that insight/debug.c answers. All but the first and
 * the last two are for runtimes in debug mode, whose rt->debug is not NULL. */
#ifndef WEFT_CORE_DEBUG_H
#define WEFT_CORE_DEBUG_H

#include <stddef.h>
#include <stdint.h>

#include <weft/graph.h>
#include <weft/run.h>

#include "base/atomics.h"

struct weft__runtime;
struct weft__task;
struct weft__worker;

/* Before rt's threads begin: sets rt->debug if the options or the environment ask for it. 0, or
 * WEFT_ENOMEM or WEFT_EINVAL with nothing to end. */
int weft__debug_begin(struct weft__runtime *rt, const weft_run_opts *opts);
/* After they have ended: reports what is only known then, and sets rt->debug to NULL. */
void weft__debug_end(struct weft__runtime *rt);

/* On the thread that becomes w's, each time that one does. */
void weft__debug_thread_begin(struct weft__worker *w);

/* On w's thread, around every slice. t is the task that begins or has ended the slice; at its end
 * w->post tells why, and t's wait is not committed yet. */
void weft__debug_slice_begin(struct weft__worker *w, struct weft__task *t);
void weft__debug_slice_end(struct weft__worker *w, struct weft__task *t);

/* On its worker's thread, as t ends, if it has begun a timeout scope or a shield (WEFT__CHECKED). */
void weft__debug_task_end(struct weft__task *t);

/* By the monitor: about every millisecond while any worker is awake, and once or twice while all of them
 * have slept for a second. */
void weft__debug_tick(struct weft__runtime *rt, uint64_t now);
void weft__debug_idle(struct weft__runtime *rt);

/* By worker 0: the main task has returned and no task is alive; what is open is about to be closed. */
void weft__debug_tasks_over(struct weft__runtime *rt);

/* In debug mode or not: who waits for whom for ever, line by line. The caller keeps rt from ending. */
void weft__debug_endless(struct weft__runtime *rt, weft_graph_line_fn fn, void *arg);

/* How many runtimes of the process are in debug mode; relaxed, a hint. */
extern weft__atomic_u32 weft__debug_runs;
static inline bool weft__debug_any(void) {
  return weft__load_relaxed_u32(&weft__debug_runs) != 0;
}

/* Addresses as text, from the debug information where there is some: a function, or the call that returns
 * to the address with file and line. Any thread, with or without a runtime. */
void weft__debug_symbol(const void *address, char *buf, size_t size);
void weft__debug_place(const void *address, char *buf, size_t size);

/* Outside every task somebody called the function from site. Any thread. */
void weft__debug_wrong_thread(const char *function, const void *site);

#endif
