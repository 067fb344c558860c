/* The trace: what each worker did when, for the timeline picture and the debugger.
 *
 * Each worker owns a ring of fixed events, writes it without any synchronisation, and overwrites
 * the oldest when it is full. It is read when the worker has ended (the join orders the two). Off
 * by default: then an event costs one predictable branch.
 */
#ifndef WEFT_BASE_TRACE_H
#define WEFT_BASE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum weft__trace_kind {
  WEFT__TRACE_RUN_BEGIN = 1, /* a slice of a task begins */
  WEFT__TRACE_RUN_END,       /* aux: 0 it suspended, 1 it ended */
  WEFT__TRACE_SPAWN,         /* task: the new one; aux: its parent */
  WEFT__TRACE_STEAL,         /* aux: the worker it was taken from */
  WEFT__TRACE_WAKE,          /* the task was made ready */
  WEFT__TRACE_PARK,          /* the worker goes to sleep; task 0 */
  WEFT__TRACE_UNPARK,        /* the worker goes on; task 0 */
  WEFT__TRACE_LEASE,         /* the worker enters a peer's loop; aux: the peer; task 0 */
  WEFT__TRACE_RETURN,        /* the lease ends; aux: the peer; task 0 */
  WEFT__TRACE_KINDS
};

struct weft__trace_event {
  uint64_t time;   /* weft__now_fast */
  uint64_t task;   /* the task's id, 0 for none */
  uint64_t aux;    /* see the kinds */
  uint32_t worker; /* who wrote it */
  uint32_t kind;   /* enum weft__trace_kind */
};
_Static_assert(sizeof(struct weft__trace_event) == 32, "two events per cache line");

/* All zero is a trace that is off. Owned by its worker; read by others after the worker ended. */
struct weft__trace {
  struct weft__trace_event *events; /* NULL: off */
  uint64_t mask;                    /* capacity - 1; the capacity is a power of two */
  uint64_t written;                 /* events ever written */
  uint32_t worker;
};

/* Switches it on with room for at least capacity events (1 or more, rounded up to a power of two).
 * 0, WEFT_EINVAL or WEFT_ENOMEM; on failure the trace stays off. */
int weft__trace_init(struct weft__trace *t, uint32_t worker, size_t capacity);

/* Frees the ring; the trace is off. */
void weft__trace_fini(struct weft__trace *t);

void weft__trace_write(struct weft__trace *t, enum weft__trace_kind kind, uint64_t task,
                       uint64_t aux);

/* The owner only. */
static inline void weft__trace_add(struct weft__trace *t, enum weft__trace_kind kind, uint64_t task,
                                   uint64_t aux) {
  if (weft__unlikely(t->events != NULL)) weft__trace_write(t, kind, task, aux);
}

/* How many events are in the ring, and the i-th of them, oldest first. */
size_t weft__trace_length(const struct weft__trace *t);
const struct weft__trace_event *weft__trace_at(const struct weft__trace *t, size_t i);

/* Events that were overwritten. */
uint64_t weft__trace_lost(const struct weft__trace *t);

/* "run-begin", "steal"; "?" for a number that is no kind. */
const char *weft__trace_kind_name(uint32_t kind);

#endif
