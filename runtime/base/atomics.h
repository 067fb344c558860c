/* The atomics shim: every atomic of the runtime's protocols goes through here.
 *
 * Why a shim: compiled with WEFT_MODEL each operation becomes a scheduling point of the bounded
 * explorer (tests/model), which then runs the real queue and park/wake code over every
 * interleaving. Compiled normally each operation is one C11 atomic, nothing more.
 *
 * Types: weft__atomic_u32, weft__atomic_u64, weft__atomic_ptr (void *). Each is a struct with one
 * member, so that a plain access does not compile; all bits zero is a valid initial value.
 *
 * Operations, S one of u32, u64, ptr:
 *   weft__load_relaxed_S(a)  weft__load_acquire_S(a)  weft__load_seq_S(a)
 *   weft__store_relaxed_S(a, x)  weft__store_release_S(a, x)  weft__store_seq_S(a, x)
 *   weft__cas_S(a, &expected, desired)      strong; acq_rel, on failure acquire into expected
 *   weft__cas_seq_S(a, &expected, desired)  strong; seq_cst, on failure seq_cst into expected
 *   weft__xchg_S(a, x)                      acq_rel; returns the old value
 * and for u32, u64 only, each returning the old value:
 *   weft__add_S  weft__sub_S  weft__or_S  weft__and_S (acq_rel)  weft__add_relaxed_S (relaxed)
 * An acq_rel operation is NOT a store-load fence on aarch64: where a store must be visible before
 * a later load of something else, use the seq forms on all four sides or a fence below.
 * A seq store is an exchange: what x86 makes of it anyway, and qemu's user mode (7.2, on x86) lets a
 * store-release be overtaken by the load-acquire behind it, which aarch64 itself does not.
 *
 * Fences:
 *   weft__fence_light()  the side that runs often: a compiler barrier where membarrier works
 *   weft__fence_heavy()  the rare side: makes every thread of the process pass a full fence
 *   weft__fence_full()   a symmetric store-load fence
 * Contract: for threads L (store a; light; load b) and H (store b; heavy; load a) at least one of
 * the loads sees the other's store. Light against light promises nothing; heavy or full against
 * heavy or full promises it too. Where membarrier is refused all three are full fences.
 */
#ifndef WEFT_BASE_ATOMICS_H
#define WEFT_BASE_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

/* What words that different threads write are kept apart by: two lines of 64 bytes, because the
 * prefetchers of x86 fetch lines in pairs. */
#define WEFT__CACHE_LINE 128

#if defined(WEFT_MODEL)

#include "base/atomics_model.h"

#else /* !WEFT_MODEL */

#include <stdatomic.h>

#include "base/annotate.h"
#include "base/point.h"

typedef struct weft__atomic_u32 {
  _Atomic(uint32_t) v;
} weft__atomic_u32;
typedef struct weft__atomic_u64 {
  _Atomic(uint64_t) v;
} weft__atomic_u64;
typedef struct weft__atomic_ptr {
  _Atomic(void *) v;
} weft__atomic_ptr;

/* One accessor family per type; S the suffix, T the value type. */
#define WEFT__ATOMIC_ACCESS(S, T)                                                                  \
  static inline T weft__load_relaxed_##S(const weft__atomic_##S *a) {                              \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_load_explicit(&a->v, memory_order_relaxed);                                      \
  }                                                                                                \
  static inline T weft__load_acquire_##S(const weft__atomic_##S *a) {                              \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_load_explicit(&a->v, memory_order_acquire);                                      \
  }                                                                                                \
  static inline T weft__load_seq_##S(const weft__atomic_##S *a) {                                  \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_load_explicit(&a->v, memory_order_seq_cst);                                      \
  }                                                                                                \
  static inline void weft__store_relaxed_##S(weft__atomic_##S *a, T x) {                           \
    WEFT__ATOMIC_POINT();                                                                          \
    atomic_store_explicit(&a->v, x, memory_order_relaxed);                                         \
  }                                                                                                \
  static inline void weft__store_release_##S(weft__atomic_##S *a, T x) {                           \
    WEFT__ATOMIC_POINT();                                                                          \
    atomic_store_explicit(&a->v, x, memory_order_release);                                         \
  }                                                                                                \
  static inline void weft__store_seq_##S(weft__atomic_##S *a, T x) {                               \
    WEFT__ATOMIC_POINT();                                                                          \
    (void)atomic_exchange_explicit(&a->v, x, memory_order_seq_cst);                                \
  }                                                                                                \
  static inline bool weft__cas_##S(weft__atomic_##S *a, T *expected, T desired) {                  \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_compare_exchange_strong_explicit(&a->v, expected, desired, memory_order_acq_rel, \
                                                   memory_order_acquire);                          \
  }                                                                                                \
  static inline bool weft__cas_seq_##S(weft__atomic_##S *a, T *expected, T desired) {              \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_compare_exchange_strong_explicit(&a->v, expected, desired, memory_order_seq_cst, \
                                                   memory_order_seq_cst);                          \
  }                                                                                                \
  static inline T weft__xchg_##S(weft__atomic_##S *a, T x) {                                       \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_exchange_explicit(&a->v, x, memory_order_acq_rel);                               \
  }

/* The fetch operations, for the integer types. */
#define WEFT__ATOMIC_FETCH(S, T)                                                                   \
  static inline T weft__add_##S(weft__atomic_##S *a, T x) {                                        \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_fetch_add_explicit(&a->v, x, memory_order_acq_rel);                              \
  }                                                                                                \
  static inline T weft__sub_##S(weft__atomic_##S *a, T x) {                                        \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_fetch_sub_explicit(&a->v, x, memory_order_acq_rel);                              \
  }                                                                                                \
  static inline T weft__or_##S(weft__atomic_##S *a, T x) {                                         \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_fetch_or_explicit(&a->v, x, memory_order_acq_rel);                               \
  }                                                                                                \
  static inline T weft__and_##S(weft__atomic_##S *a, T x) {                                        \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_fetch_and_explicit(&a->v, x, memory_order_acq_rel);                              \
  }                                                                                                \
  static inline T weft__add_relaxed_##S(weft__atomic_##S *a, T x) {                                \
    WEFT__ATOMIC_POINT();                                                                          \
    return atomic_fetch_add_explicit(&a->v, x, memory_order_relaxed);                              \
  }

WEFT__ATOMIC_ACCESS(u32, uint32_t)
WEFT__ATOMIC_ACCESS(u64, uint64_t)
WEFT__ATOMIC_ACCESS(ptr, void *)
WEFT__ATOMIC_FETCH(u32, uint32_t)
WEFT__ATOMIC_FETCH(u64, uint64_t)

#undef WEFT__ATOMIC_ACCESS
#undef WEFT__ATOMIC_FETCH

/* Whether the light fence may be a compiler barrier. Written by weft__fence_init() and
 * weft__fence_use_full() while no other thread runs, hence plain. */
extern bool weft__fence_asymmetric;

#if WEFT__TSAN
/* TSan does not model fences. A seq_cst read-modify-write of one shared word is as strong for our
 * purpose: all of them are in one order, and the later one acquires what the earlier released. */
extern weft__atomic_u32 weft__fence_word;

static inline void weft__fence_full(void) {
  atomic_fetch_add_explicit(&weft__fence_word.v, 0, memory_order_seq_cst);
}
#else
static inline void weft__fence_full(void) {
  atomic_thread_fence(memory_order_seq_cst);
}
#endif

static inline void weft__fence_light(void) {
  if (__builtin_expect(weft__fence_asymmetric, 1))
    atomic_signal_fence(memory_order_seq_cst); /* pairs with membarrier in weft__fence_heavy */
  else
    weft__fence_full();
}

/* About 10 us where membarrier is used: only for the side that may be slow. */
void weft__fence_heavy(void);

/* Registers the process for membarrier; decides what the light fence is. Called before any second
 * thread uses the fences; more calls change nothing. */
void weft__fence_init(void);

/* Makes light and heavy full fences, as where membarrier is refused: for tests of that path.
 * Called while no other thread uses the fences; weft__fence_init() undoes it. */
void weft__fence_use_full(void);

#endif /* WEFT_MODEL */

/* Tells the CPU that the caller spins, in a loop that ends by itself (by count or time). */
static inline void weft__cpu_pause(void) {
#if defined(WEFT_MODEL)
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#else
  atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* The same once a round in a loop that ends only when another thread stores something: to the
 * explorer a thread that goes round until then. */
static inline void weft__cpu_relax(void) {
#if defined(WEFT_MODEL)
  weft__model_spin();
#else
  weft__point_spin();
  weft__cpu_pause();
#endif
}

#endif
