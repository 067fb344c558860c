/* The allocation seam: everything the runtime and its libuv loops allocate goes through here.
 *
 * What serves it: the malloc family of the process. In a build with jemalloc (WEFT_JEMALLOC, the
 * default outside sanitizer and valgrind builds) libweft links libjemalloc as a shared library,
 * and linking it replaces malloc for the whole program, the user's code and libuv included; it
 * costs 0.9 ms of process start. There is no second heap: memory from here may be given to free()
 * and the sanitizers and valgrind see every block. What does not come from here: task stacks
 * (base/stack.h), and task objects after their first use, which live on per-worker free lists.
 *
 * Each call is counted on a block of the calling thread, without an atomic read-modify-write; the
 * statistics add the blocks up. A test can make the n-th allocation fail.
 */
#ifndef WEFT_BASE_MEMORY_H
#define WEFT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes libuv allocate through this seam. Idempotent; any thread, but before the first libuv call
 * of the runtime. Blocks that libuv allocated earlier stay valid: both sides are malloc's. A
 * program that installs its own libuv allocator must do so after its first weft_run has begun, or
 * keep it compatible with malloc. */
int weft__memory_init(void);

/* NULL when memory is exhausted; size 0 gives a unique pointer. Alignment as malloc's, or align (a
 * power of two, at least sizeof(void *)). */
void *weft__alloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *weft__zalloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *weft__alloc_aligned(size_t align, size_t size)
    __attribute__((malloc, alloc_align(1), alloc_size(2), warn_unused_result));
/* n objects of size bytes, zeroed; NULL also when n * size overflows. */
void *weft__calloc(size_t n, size_t size)
    __attribute__((malloc, alloc_size(1, 2), warn_unused_result));
/* On failure the old block stays as it is. */
void *weft__realloc(void *p, size_t size) __attribute__((alloc_size(2), warn_unused_result));
/* A copy of the string, or NULL. */
char *weft__strdup(const char *s) __attribute__((malloc, warn_unused_result));
/* NULL is allowed. Any thread may free what another allocated. */
void weft__free(void *p);

/* Zeroed, for the process: never given back, so what the runtime holds does not count it. The caller keeps it
 * where it can be reached from a static variable. */
void *weft__alloc_for_good(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));

/* ---- room for libuv ---- */

/* libuv ends the process when one of its tables cannot grow. From here to weft__memory_reserve_end,
 * a reallocation of libuv's on this thread that finds no memory takes a block of size bytes that is
 * set aside now. WEFT_ENOMEM when there is none: then there is nothing to end. No task may be
 * switched in between. */
int weft__memory_reserve(size_t size);
void weft__memory_reserve_end(void);

/* ---- statistics ---- */

struct weft__memory_stats {
  char allocator[48];      /* what really serves malloc: "jemalloc 5.3.0", "glibc 2.36",
                              "sanitizer", "valgrind" */
  uint64_t allocations;    /* successful allocations through the seam, the runtime's own */
  uint64_t frees;          /* of them, given back */
  uint64_t live_bytes;     /* usable bytes now held by the runtime's own */
  uint64_t uv_allocations; /* the same three for libuv's */
  uint64_t uv_frees;
  uint64_t uv_live_bytes;
  uint64_t failures;       /* allocations that returned NULL, injected ones included */
  uint64_t heap_allocated; /* the whole process (0 where it is not known): bytes in live blocks, */
  uint64_t heap_active;    /* in pages that hold live blocks, */
  uint64_t heap_resident;  /* resident in memory for the heap */
};

/* Any thread. The counts are exact when no other thread allocates. With jemalloc it takes about
 * 150 us, because all its threads' figures are brought up to date. */
void weft__memory_stats(struct weft__memory_stats *ret);

/* ---- fault injection, for tests ---- */

enum weft__memory_who {
  WEFT__MEMORY_OWN = 1, /* calls of the runtime */
  WEFT__MEMORY_UV = 2   /* calls of libuv (which aborts on some failures) */
};

/* From now on the n-th allocation (1 is the next one) by who (a set of the bits above) returns
 * NULL; with forever, that one and all later ones. n = 0 only counts. Any thread. */
void weft__memory_fail(unsigned who, uint64_t n, bool forever);

/* Ends the injection and returns how many allocations were asked for since weft__memory_fail. */
uint64_t weft__memory_fail_end(void);

#endif
