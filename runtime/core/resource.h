/* What is open: in debug mode, what has to be closed (a generator, a pool, a stream) is registered with
 * its runtime while it is open, with the place in the program that opened it. What is still there when
 * every task of the run has ended is reported.
 *
 * Without debug mode nothing is registered, and both calls are a load and a branch. One lock guards the
 * lists of all runtimes: a resource may outlive its runtime, and is then taken off the list by it.
 */
#ifndef WEFT_CORE_RESOURCE_H
#define WEFT_CORE_RESOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/list.h"

struct weft__runtime;

/* A part of the object that is open. Zeroed is not registered. */
struct weft__resource {
  struct weft__list link; /* guarded by the lock, as the next two */
  const char *kind;       /* "a generator": outlives the object */
  const void *site;       /* a return address in the program */
  weft__atomic_ptr
      runtime; /* NULL while not registered. Written under the lock; read without it by who
                               closes the object (acquire): nobody but the end of the runtime clears
                               it meanwhile (release), and then does not touch the object again */
};

/* r is open, opened by the caller of a public function whose return address is site. Registered where the
 * calling thread runs a task of a runtime in debug mode; elsewhere r is zeroed. Before others can
 * close it. */
void weft__resource_open(struct weft__resource *r, const char *kind, const void *site);

void weft__resource_close_slow(struct weft__resource *r);

/* r is closed. Any thread, once. */
static inline void weft__resource_close(struct weft__resource *r) {
  if (weft__unlikely(weft__load_acquire_ptr(&r->runtime) != NULL)) weft__resource_close_slow(r);
}

/* ---- for the debug mode ---- */

struct weft__resource_seen {
  const char *kind;
  const void *site;
};

/* Copies the oldest of rt's, at most max; returns how many there are. Any thread. */
size_t weft__resources_copy(struct weft__runtime *rt, struct weft__resource_seen *out, size_t max);

/* rt ends: what is still registered is so no more. */
void weft__resources_drop(struct weft__runtime *rt);

#endif
