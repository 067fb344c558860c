/* Marked points: places between two steps of a protocol where another thread may come in.
 *
 * On one CPU, or between instructions that follow each other closely, the order that breaks a protocol
 * comes once in a million runs. A hook that is called at each point makes it common: the simulation
 * switches to another of its threads there, the stress test gives the CPU away. Without a hook a point
 * is a load and a branch, so it may stand on paths that are not the hottest; built with WEFT_POINTS every
 * operation of the atomics shim is a point too.
 *
 * A point may stand anywhere but in a signal handler: under a spinlock, under a mutex of the
 * runtime, on a task's stack or a thread's.
 */
#ifndef WEFT_BASE_POINT_H
#define WEFT_BASE_POINT_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/check.h"

enum weft__point {
  WEFT__POINT_PASS, /* between two steps */
  WEFT__POINT_SPIN, /* the caller goes round until another thread stores something */
};

typedef void (*weft__point_fn)(enum weft__point kind);

#if defined(WEFT_MODEL)
/* The explorer's points are the atomics. */
static inline void weft__point(void) {}
static inline void weft__point_spin(void) {}
#else

/* Set by weft__point_set_hook before the threads that it is for begin. Relaxed: other threads may pass a
 * point at any time, and a hook tells by itself whether it is for them. The hook must itself pass no
 * point, and runs on whatever thread and stack passes one. */
extern _Atomic(weft__point_fn) weft__point_hook;

/* NULL takes it away. */
static inline void weft__point_set_hook(weft__point_fn fn) {
  atomic_store_explicit(&weft__point_hook, fn, memory_order_relaxed);
}

static inline void weft__point(void) {
  weft__point_fn hook = atomic_load_explicit(&weft__point_hook, memory_order_relaxed);
  if (weft__unlikely(hook != NULL)) hook(WEFT__POINT_PASS);
}

static inline void weft__point_spin(void) {
  weft__point_fn hook = atomic_load_explicit(&weft__point_hook, memory_order_relaxed);
  if (weft__unlikely(hook != NULL)) hook(WEFT__POINT_SPIN);
}
#endif

/* What stands before every operation of the atomics shim. */
#if defined(WEFT_POINTS) && WEFT_POINTS
#define WEFT__ATOMIC_POINT() weft__point()
#else
#define WEFT__ATOMIC_POINT() ((void)0)
#endif

#endif
