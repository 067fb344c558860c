/* Sequential consistency and store buffers. The cells hold what every thread sees; under MODEL_TSO
 * a thread sees its own waiting stores first. */
#include <string.h>

#include "memory.h"

#define BUFFER 8 /* a store into a full buffer pushes the oldest out, as hardware does */

struct waiting {
  void *cell;
  uint64_t x;
  unsigned bytes;
  bool fenced; /* a light fence or more has followed: the compiler has let go of it */
};

static struct buffer {
  unsigned n;
  struct waiting store[BUFFER]; /* oldest first */
} buffers[MODEL_THREADS];

static unsigned threads;
static bool buffering; /* MODEL_TSO */

static void forget(void) {
  threads = 0;
}

static void start(unsigned n) {
  threads = n;
  for (unsigned t = 0; t < n; t++) buffers[t].n = 0;
}

static void start_sc(unsigned n) {
  buffering = false;
  start(n);
}

static void start_tso(unsigned n) {
  buffering = true;
  start(n);
}

static bool waits(unsigned t) {
  return buffers[t].n > 0;
}

static const void *drain(unsigned t) {
  struct buffer *b = &buffers[t];
  struct waiting w = b->store[0];
  b->n--;
  memmove(&b->store[0], &b->store[1], b->n * sizeof b->store[0]);
  memory_poke(w.cell, w.bytes, w.x);
  explore_changed(t);
  return w.cell;
}

static void drain_all(unsigned t) {
  while (waits(t)) drain(t);
}

static uint64_t load(unsigned t, const void *cell, unsigned bytes, int order) {
  (void)order; /* loads are not reordered */
  const struct buffer *b = &buffers[t];
  for (unsigned i = b->n; i-- > 0;)
    if (b->store[i].cell == cell) return b->store[i].x;
  return memory_peek(cell, bytes);
}

static void store(unsigned t, void *cell, unsigned bytes, uint64_t x, int order) {
  struct buffer *b = &buffers[t];
  if (b->n == BUFFER) drain(t);
  bool at_once = b->n == 0 && (!buffering || order == WEFT__SEQ || !explore_delay());
  b->store[b->n++] = (struct waiting){.cell = cell, .x = x, .bytes = bytes};
  if (at_once || order == WEFT__SEQ) drain_all(t);
}

static uint64_t update(unsigned t, void *cell, unsigned bytes, const struct memory_update *u,
                       int order, bool *done) {
  (void)order; /* a locked instruction is a full fence whatever was asked for */
  drain_all(t);
  uint64_t old = memory_peek(cell, bytes);
  uint64_t x;
  *done = memory_compute(u, bytes, old, &x);
  if (*done) {
    memory_poke(cell, bytes, x);
    explore_changed(t);
  }
  return old;
}

/* Drains what the compiler cannot hold back any more: a prefix, because buffers are FIFO. */
static void drain_fenced(unsigned t) {
  while (waits(t) && buffers[t].store[0].fenced) drain(t);
}

static void fence(unsigned t, enum weft__model_fence kind) {
  for (unsigned i = 0; i < buffers[t].n; i++) buffers[t].store[i].fenced = true;
  if (kind == WEFT__FENCE_LIGHT) return;
  drain_all(t);
  if (kind == WEFT__FENCE_HEAVY)
    for (unsigned other = 0; other < threads; other++) drain_fenced(other);
}

static uint64_t read_plain(unsigned t, const struct model_plain *p) {
  return load(t, &p->v, sizeof p->v, WEFT__RELAXED);
}

static void write_plain(unsigned t, struct model_plain *p, uint64_t x) {
  store(t, &p->v, sizeof p->v, x, WEFT__RELAXED);
}

static void rely(unsigned t, uint64_t x) {
  (void)t, (void)x; /* loads are not reordered */
}

static void catch_up(unsigned t) {
  (void)t; /* memory is what everybody sees */
}

static void ended(unsigned t) {
  (void)t;
}

static uint64_t hash(uint64_t h) {
  for (unsigned t = 0; t < threads; t++) {
    const struct buffer *b = &buffers[t];
    h = memory_mix(h, b->n);
    for (unsigned i = 0; i < b->n; i++) {
      h = memory_mix(h, (uintptr_t)b->store[i].cell ^ b->store[i].fenced);
      h = memory_mix(h, b->store[i].x);
    }
  }
  return h;
}

#define REST                                                                                       \
  .forget = forget, .load = load, .store = store, .update = update, .fence = fence,                \
  .read_plain = read_plain, .write_plain = write_plain, .rely = rely, .catch_up = catch_up,        \
  .ended = ended, .waits = waits, .drain = drain, .hash = hash

const struct memory memory_sc = {.start = start_sc, REST};
const struct memory memory_tso = {.start = start_tso, REST};
