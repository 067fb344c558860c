/* The allocation seam: counted wrappers around malloc's family, for the runtime and for libuv.
 *
 * Counting: a thread claims one tally when it first allocates and gives it back when it ends; the
 * next thread that claims it goes on counting where it stopped, so nothing is ever added up or
 * freed at a thread's end. Only its holder writes a tally, with plain adds (base/counters.h). When
 * all tallies are taken, threads share the last one with locked adds.
 *
 * Bytes are what malloc_usable_size says, at both ends, so that no header is needed in front of
 * a block: any block may cross between this seam and plain malloc.
 */
#include "base/memory.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>
#include <weft/errors.h>

#include "base/check.h"
#include "base/memory_tally.h"

/* ---- fault injection ---- */

/* who is stored last (release) and read first (acquire): who sees it sees the rest. */
static struct {
  _Atomic(unsigned) who; /* 0: off */
  _Atomic(bool) forever;
  _Atomic(uint64_t) nth;
  _Atomic(uint64_t) asked;
} injection;

static bool injected(void) {
  uint64_t n = atomic_fetch_add_explicit(&injection.asked, 1, memory_order_relaxed) + 1;
  uint64_t nth = atomic_load_explicit(&injection.nth, memory_order_relaxed);
  if (nth == 0 || n < nth) return false;
  return n == nth || atomic_load_explicit(&injection.forever, memory_order_relaxed);
}

static bool must_fail(enum weft__memory_who who) {
  unsigned set = atomic_load_explicit(&injection.who, memory_order_acquire);
  return weft__unlikely(set & (unsigned)who) && injected();
}

void weft__memory_fail(unsigned who, uint64_t n, bool forever) {
  atomic_store_explicit(&injection.who, 0, memory_order_relaxed);
  atomic_store_explicit(&injection.asked, 0, memory_order_relaxed);
  atomic_store_explicit(&injection.nth, n, memory_order_relaxed);
  atomic_store_explicit(&injection.forever, forever, memory_order_relaxed);
  atomic_store_explicit(&injection.who, who, memory_order_release);
}

uint64_t weft__memory_fail_end(void) {
  atomic_store_explicit(&injection.who, 0, memory_order_relaxed);
  return atomic_load_explicit(&injection.asked, memory_order_relaxed);
}

/* ---- the counted family ---- */

static void *count_in(enum weft__memory_who who, void *p) {
  if (weft__likely(p != NULL))
    weft__tally_alloc(who, malloc_usable_size(p));
  else
    weft__tally_failure();
  return p;
}

static void *get(enum weft__memory_who who, size_t size) {
  return count_in(who, must_fail(who) ? NULL : malloc(size ? size : 1));
}

static void *get_zeroed(enum weft__memory_who who, size_t n, size_t size) {
  if (n == 0 || size == 0) n = size = 1;
  return count_in(who, must_fail(who) ? NULL : calloc(n, size));
}

static void give_back(enum weft__memory_who who, void *p) {
  if (!p) return;
  weft__tally_free(who, malloc_usable_size(p));
  free(p);
}

static void *resize(enum weft__memory_who who, void *p, size_t size) {
  if (!p) return get(who, size);
  if (must_fail(who)) return count_in(who, NULL);
  size_t before = malloc_usable_size(p);
  void *q = realloc(p, size ? size : 1);
  if (q) weft__tally_free(who, before);
  return count_in(who, q);
}

void *weft__alloc(size_t size) {
  return get(WEFT__MEMORY_OWN, size);
}

void *weft__zalloc(size_t size) {
  return get_zeroed(WEFT__MEMORY_OWN, 1, size);
}

void *weft__calloc(size_t n, size_t size) {
  return get_zeroed(WEFT__MEMORY_OWN, n, size);
}

void *weft__alloc_for_good(size_t size) {
  return must_fail(WEFT__MEMORY_OWN) ? NULL : calloc(1, size);
}

void *weft__alloc_aligned(size_t align, size_t size) {
  void *p = NULL;
  if (must_fail(WEFT__MEMORY_OWN) || posix_memalign(&p, align, size ? size : 1) != 0) p = NULL;
  return count_in(WEFT__MEMORY_OWN, p);
}

void *weft__realloc(void *p, size_t size) {
  return resize(WEFT__MEMORY_OWN, p, size);
}

char *weft__strdup(const char *s) {
  size_t size = strlen(s) + 1;
  char *copy = weft__alloc(size);
  if (copy) memcpy(copy, s, size);
  return copy;
}

void weft__free(void *p) {
  give_back(WEFT__MEMORY_OWN, p);
}

/* ---- libuv ---- */

static void *uv_side_malloc(size_t size) {
  return get(WEFT__MEMORY_UV, size);
}

static void *uv_side_calloc(size_t n, size_t size) {
  return get_zeroed(WEFT__MEMORY_UV, n, size);
}

/* What this thread has set aside, or NULL when libuv took it; and whether that holds now. Simulated
 * threads share the two, one after the other, as there is no point in between: relaxed, so that this
 * does not look like a race. */
static _Thread_local _Atomic(void *) reserve;
static _Thread_local _Atomic(bool) reserving;

static void set_reserve(void *p, bool holds) {
  atomic_store_explicit(&reserve, p, memory_order_relaxed);
  atomic_store_explicit(&reserving, holds, memory_order_relaxed);
}

static void *get_reserve(void) {
  return atomic_load_explicit(&reserve, memory_order_relaxed);
}

int weft__memory_reserve(size_t size) {
  WEFT__ASSERT(!atomic_load_explicit(&reserving, memory_order_relaxed));
  void *p = get(WEFT__MEMORY_UV, size);
  if (!p) return WEFT_ENOMEM;
  set_reserve(p, true);
  return 0;
}

void weft__memory_reserve_end(void) {
  give_back(WEFT__MEMORY_UV, get_reserve());
  set_reserve(NULL, false);
}

/* In place of a reallocation that failed. A table that took the reserve grows on inside it. */
static void *resize_from_reserve(void *p, size_t size) {
  size_t had = p ? malloc_usable_size(p) : 0;
  if (!atomic_load_explicit(&reserving, memory_order_relaxed)) return NULL;
  if (p && had >= size) return p;
  void *q = get_reserve();
  if (!q || malloc_usable_size(q) < size) return NULL;
  set_reserve(NULL, true);
  if (p) memcpy(q, p, had);
  give_back(WEFT__MEMORY_UV, p);
  return q;
}

/* libuv's own rule: size 0 frees. */
static void *uv_side_realloc(void *p, size_t size) {
  if (size > 0) {
    void *q = resize(WEFT__MEMORY_UV, p, size);
    return q ? q : resize_from_reserve(p, size);
  }
  give_back(WEFT__MEMORY_UV, p);
  return NULL;
}

static void uv_side_free(void *p) {
  give_back(WEFT__MEMORY_UV, p);
}

static pthread_once_t uv_replaced = PTHREAD_ONCE_INIT;

static void replace_uv_allocator(void) {
  int r = uv_replace_allocator(uv_side_malloc, uv_side_realloc, uv_side_calloc, uv_side_free);
  WEFT__ASSERT(r == 0);
}

int weft__memory_init(void) {
  return -pthread_once(&uv_replaced, replace_uv_allocator);
}
