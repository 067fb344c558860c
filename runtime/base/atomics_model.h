/* The atomics shim under WEFT_MODEL: each operation calls the bounded explorer, which is free to
 * run another model thread first and, in its store-buffer modes, to delay what a store makes
 * visible. Included by base/atomics.h only; tests/model implements the weft__model_ functions. */
#ifndef WEFT_BASE_ATOMICS_MODEL_H
#define WEFT_BASE_ATOMICS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum weft__model_order { WEFT__RELAXED, WEFT__ACQUIRE, WEFT__RELEASE, WEFT__ACQ_REL, WEFT__SEQ };
enum weft__model_rmw { WEFT__RMW_XCHG, WEFT__RMW_ADD, WEFT__RMW_SUB, WEFT__RMW_OR, WEFT__RMW_AND };
enum weft__model_fence { WEFT__FENCE_LIGHT, WEFT__FENCE_HEAVY, WEFT__FENCE_FULL };

/* A cell is the member of an atomic struct, bytes its width (4 or 8); values travel as bits. */
uint64_t weft__model_load(const void *cell, unsigned bytes, enum weft__model_order order);
void weft__model_store(void *cell, unsigned bytes, uint64_t x, enum weft__model_order order);
bool weft__model_cas(void *cell, unsigned bytes, uint64_t *expected, uint64_t desired,
                     enum weft__model_order order);
uint64_t weft__model_rmw(void *cell, unsigned bytes, enum weft__model_rmw op, uint64_t x,
                         enum weft__model_order order);
void weft__model_fence(enum weft__model_fence kind);
void weft__model_spin(void);

typedef struct weft__atomic_u32 {
  uint32_t v;
} weft__atomic_u32;
typedef struct weft__atomic_u64 {
  uint64_t v;
} weft__atomic_u64;
typedef struct weft__atomic_ptr {
  void *v;
} weft__atomic_ptr;

/* Always inline, so that the return address in a weft__model_ function tells which operation of the
 * code under test is meant. */
#define WEFT__MODEL_OP static inline __attribute__((always_inline))

/* S the suffix, T the value type; B the integer that a value's bits pass through. */
#define WEFT__MODEL_LOAD(S, T, B, name, order)                                                     \
  WEFT__MODEL_OP T weft__load_##name##_##S(const weft__atomic_##S *a) {                            \
    return (T)(B)weft__model_load(&a->v, sizeof a->v, order);                                      \
  }
#define WEFT__MODEL_STORE(S, T, B, name, order)                                                    \
  WEFT__MODEL_OP void weft__store_##name##_##S(weft__atomic_##S *a, T x) {                         \
    weft__model_store(&a->v, sizeof a->v, (B)x, order);                                            \
  }
#define WEFT__MODEL_CAS(S, T, B, name, order)                                                      \
  WEFT__MODEL_OP bool weft__##name##_##S(weft__atomic_##S *a, T *expected, T desired) {            \
    uint64_t bits = (B)*expected;                                                                  \
    bool done = weft__model_cas(&a->v, sizeof a->v, &bits, (B)desired, order);                     \
    *expected = (T)(B)bits;                                                                        \
    return done;                                                                                   \
  }
#define WEFT__MODEL_RMW(S, T, B, name, op, order)                                                  \
  WEFT__MODEL_OP T weft__##name##_##S(weft__atomic_##S *a, T x) {                                  \
    return (T)(B)weft__model_rmw(&a->v, sizeof a->v, op, (B)x, order);                             \
  }
#define WEFT__MODEL_ACCESS(S, T, B)                                                                \
  WEFT__MODEL_LOAD(S, T, B, relaxed, WEFT__RELAXED)                                                \
  WEFT__MODEL_LOAD(S, T, B, acquire, WEFT__ACQUIRE)                                                \
  WEFT__MODEL_LOAD(S, T, B, seq, WEFT__SEQ)                                                        \
  WEFT__MODEL_STORE(S, T, B, relaxed, WEFT__RELAXED)                                               \
  WEFT__MODEL_STORE(S, T, B, release, WEFT__RELEASE)                                               \
  WEFT__MODEL_STORE(S, T, B, seq, WEFT__SEQ)                                                       \
  WEFT__MODEL_CAS(S, T, B, cas, WEFT__ACQ_REL)                                                     \
  WEFT__MODEL_CAS(S, T, B, cas_seq, WEFT__SEQ)                                                     \
  WEFT__MODEL_RMW(S, T, B, xchg, WEFT__RMW_XCHG, WEFT__ACQ_REL)
#define WEFT__MODEL_FETCH(S, T)                                                                    \
  WEFT__MODEL_RMW(S, T, T, add, WEFT__RMW_ADD, WEFT__ACQ_REL)                                      \
  WEFT__MODEL_RMW(S, T, T, sub, WEFT__RMW_SUB, WEFT__ACQ_REL)                                      \
  WEFT__MODEL_RMW(S, T, T, or, WEFT__RMW_OR, WEFT__ACQ_REL)                                        \
  WEFT__MODEL_RMW(S, T, T, and, WEFT__RMW_AND, WEFT__ACQ_REL)                                      \
  WEFT__MODEL_RMW(S, T, T, add_relaxed, WEFT__RMW_ADD, WEFT__RELAXED)

WEFT__MODEL_ACCESS(u32, uint32_t, uint32_t)
WEFT__MODEL_ACCESS(u64, uint64_t, uint64_t)
WEFT__MODEL_ACCESS(ptr, void *, uintptr_t)
WEFT__MODEL_FETCH(u32, uint32_t)
WEFT__MODEL_FETCH(u64, uint64_t)

#undef WEFT__MODEL_LOAD
#undef WEFT__MODEL_STORE
#undef WEFT__MODEL_CAS
#undef WEFT__MODEL_RMW
#undef WEFT__MODEL_ACCESS
#undef WEFT__MODEL_FETCH

WEFT__MODEL_OP void weft__fence_light(void) {
  weft__model_fence(WEFT__FENCE_LIGHT);
}
WEFT__MODEL_OP void weft__fence_heavy(void) {
  weft__model_fence(WEFT__FENCE_HEAVY);
}
WEFT__MODEL_OP void weft__fence_full(void) {
  weft__model_fence(WEFT__FENCE_FULL);
}
static inline void weft__fence_init(void) {}
static inline void weft__fence_use_full(void) {}

#endif
