/* Threads for calls that may be stuck for long, and that nobody has to wait for: the resolver's.
 *
 * Unlike the blocking pool (core/blocking.h), which is built for many short jobs, this one gives each
 * call a thread of its own as long as there are fewer than WEFT__LOOKUPS of them, and a caller may
 * leave at any time: what the call reads and writes is in its lookup, which then belongs to the
 * thread. A thread in such a call is stuck: it does not count, so another one may be made, until
 * there are WEFT__LOOKUP_THREADS.
 *
 * A lane belongs to a runtime, is made by the first lookup, and closed by the runtime's last closers
 * (core/closer.h), when no task is alive: idle threads are joined, stuck ones have a tenth of a second
 * and are then left behind, with the lane's memory and without anything of the runtime's.
 */
#ifndef WEFT_IO_LOOKUP_H
#define WEFT_IO_LOOKUP_H

#include <stdbool.h>

#include <weft/dns.h>

#include "base/list.h"
#include "core/task.h"

struct weft__lane_thread;

enum {
  WEFT__LOOKUPS = 8, /* at a time */
  WEFT__LOOKUP_THREADS = 64,
};

enum weft__lookup_state { WEFT__LOOKUP_WAITS, WEFT__LOOKUP_RUNS, WEFT__LOOKUP_OVER };

/* One call; a part of a block of memory that holds its arguments and its results. The caller sets run
 * and free; the rest is guarded by the lane's lock. */
struct weft__lookup {
  int (*run)(struct weft__lookup *l);   /* on a thread of the lane */
  void (*free)(struct weft__lookup *l); /* on any thread */
  enum weft__lookup_state state;
  struct weft__task *task; /* who waits; NULL once it has left */
  weft__ticket ticket;
  struct weft__lane_thread *thread; /* while it runs */
  int code;                         /* what run returned; also read by the task once it was woken */
  struct weft__list link;           /* while it waits */
};

/* Runs it, and waits for its end, in a task. *ret_code is what it returned, and l is the caller's
 * again: 0. Or it was not run, or was left behind, and is freed: WEFT_ECANCELED, WEFT_ENOTASK,
 * WEFT_ENOMEM, WEFT_EAGAIN. */
int weft__lookup(struct weft__lookup *l, int *ret_code);

#endif
