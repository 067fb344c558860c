/* The memory models: what an operation of a model thread does once it is its turn. Thread numbers
 * are 0 .. threads - 1; a `bytes` wide cell is its address. Internal to the explorer. */
#ifndef WEFT_TESTS_MEMORY_H
#define WEFT_TESTS_MEMORY_H

#include "model.h"

/* What memory asks of the search: which of n possibilities, 0 being the one without surprise. */
unsigned explore_choose(unsigned n);
/* Whether a store is to be held back now: one of the surprises that the bound counts. */
bool explore_delay(void);
/* What memory tells the run: what thread t stored is visible, so others that spin look again. */
void explore_changed(unsigned t);
/* Whether loads of the cell are to be remembered: model_guard. */
bool explore_guarded(const void *cell);
/* The name of a cell, for failures. */
const char *explore_name(const void *cell);

static inline uint64_t memory_peek(const void *cell, unsigned bytes) {
  return bytes == 4 ? *(const uint32_t *)cell : *(const uint64_t *)cell;
}

static inline void memory_poke(void *cell, unsigned bytes, uint64_t x) {
  if (bytes == 4)
    *(uint32_t *)cell = (uint32_t)x;
  else
    *(uint64_t *)cell = x;
}

static inline bool memory_releases(int order) {
  return order == WEFT__RELEASE || order == WEFT__ACQ_REL || order == WEFT__SEQ;
}
static inline bool memory_acquires(int order) {
  return order == WEFT__ACQUIRE || order == WEFT__ACQ_REL || order == WEFT__SEQ;
}

/* The result of a read-modify-write: false leaves the cell as it was. */
struct memory_update {
  enum { MEMORY_CAS, MEMORY_FETCH } kind;
  enum weft__model_rmw op; /* FETCH */
  uint64_t expected;       /* CAS */
  uint64_t operand;
};

static inline bool memory_compute(const struct memory_update *u, unsigned bytes, uint64_t old,
                                  uint64_t *ret) {
  uint64_t x = u->operand;
  if (u->kind == MEMORY_CAS) {
    if (old != u->expected) return false;
  } else {
    switch (u->op) {
    case WEFT__RMW_XCHG:
      break;
    case WEFT__RMW_ADD:
      x = old + x;
      break;
    case WEFT__RMW_SUB:
      x = old - x;
      break;
    case WEFT__RMW_OR:
      x = old | x;
      break;
    case WEFT__RMW_AND:
      x = old & x;
      break;
    }
  }
  *ret = bytes == 4 ? (uint32_t)x : x;
  return true;
}

/* One memory model. All stores of setup have been made when start is called, once per run; forget
 * is called once per search. */
struct memory {
  void (*forget)(void);
  void (*start)(unsigned threads);
  uint64_t (*load)(unsigned t, const void *cell, unsigned bytes, int order);
  void (*store)(unsigned t, void *cell, unsigned bytes, uint64_t x, int order);
  /* Returns the old value; *done says whether the cell was changed. */
  uint64_t (*update)(unsigned t, void *cell, unsigned bytes, const struct memory_update *u,
                     int order, bool *done);
  void (*fence)(unsigned t, enum weft__model_fence kind);
  uint64_t (*read_plain)(unsigned t, const struct model_plain *p);
  void (*write_plain)(unsigned t, struct model_plain *p, uint64_t x);
  /* The thread relies on the newest of its loads of guarded cells that gave x. */
  void (*rely)(unsigned t, uint64_t x);
  /* The thread has waited: it sees the newest value of every atomic. */
  void (*catch_up)(unsigned t);
  /* The thread's code is over. That settles nothing: what no fence has followed may still wait. */
  void (*ended)(unsigned t);
  /* Stores that wait to become visible: how many threads have some is asked with `waits`; drain
   * makes the oldest of one visible and returns its cell. */
  bool (*waits)(unsigned t);
  const void *(*drain)(unsigned t);
  /* Mixes everything that a later operation can depend on, beyond the cells' newest values. */
  uint64_t (*hash)(uint64_t h);
};

extern const struct memory memory_sc, memory_tso, memory_weak;

static inline uint64_t memory_mix(uint64_t h, uint64_t x) {
  h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ (h >> 29);
}

#endif
