/* Counters that one thread writes and any thread reads.
 *
 * The writer adds with a plain load and store, no locked instruction; a reader sees some recent
 * value, never a torn one. They carry no ordering: nothing may be concluded from a counter about
 * other memory. For that reason they stay outside base/atomics.h: as scheduling points of the
 * explorer they would only multiply its schedules.
 */
#ifndef WEFT_BASE_COUNTERS_H
#define WEFT_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct weft__counter {
  _Atomic(uint64_t) v; /* written by one thread; relaxed, partner: weft__counter_read */
};

/* The owner only. */
static inline void weft__counter_add(struct weft__counter *c, uint64_t n) {
  uint64_t v = atomic_load_explicit(&c->v, memory_order_relaxed);
  atomic_store_explicit(&c->v, v + n, memory_order_relaxed);
}

/* The owner only. */
static inline void weft__counter_set(struct weft__counter *c, uint64_t n) {
  atomic_store_explicit(&c->v, n, memory_order_relaxed);
}

/* The exception to "no ordering": whoever reads, with weft__counter_read_acquire, a value from a count
 * of its own or later sees what the writer did before it. The owner only. */
static inline void weft__counter_add_release(struct weft__counter *c, uint64_t n) {
  uint64_t v = atomic_load_explicit(&c->v, memory_order_relaxed);
  atomic_store_explicit(&c->v, v + n, memory_order_release);
}

/* Any thread. */
static inline uint64_t weft__counter_read_acquire(const struct weft__counter *c) {
  return atomic_load_explicit(&c->v, memory_order_acquire);
}

/* Any thread. */
static inline uint64_t weft__counter_read(const struct weft__counter *c) {
  return atomic_load_explicit(&c->v, memory_order_relaxed);
}

#endif
