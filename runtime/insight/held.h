/* What libweft-debug tells of the calling thread. The library is separate: it is found by name when a run
 * in debug mode begins. */
#ifndef WEFT_INSIGHT_HELD_H
#define WEFT_INSIGHT_HELD_H

/* A lock that the thread has taken and not given back. */
struct weft__held_lock {
  const void *lock;
  const void *site; /* where: a return address */
  const char *kind; /* "mutex", "rwlock" */
};

#define WEFT__HELD_SYMBOL "weft_debug_held_locks"

/* Writes the calling thread's locks, the newest first, at most max of them, and forgets all. Returns how
 * many it has written. */
typedef unsigned (*weft__held_fn)(struct weft__held_lock *out, unsigned max);

#endif
