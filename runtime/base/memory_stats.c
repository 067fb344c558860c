/* The tallies of the allocation seam and what the allocator itself says.
 *
 * The functions that find the calling thread's tally are never inlined: code that switches tasks
 * would otherwise keep the address of one thread's variable across a move to another.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

#include "base/annotate.h"
#include "base/check.h"
#include "base/counters.h"
#include "base/memory_tally.h"

#if WEFT__ASAN || WEFT__TSAN
/* Of sanitizer/allocator_interface.h, which gcc's sanitizers have and its headers lack. */
extern size_t __sanitizer_get_current_allocated_bytes(void);
extern size_t __sanitizer_get_heap_size(void);
#endif

#if WEFT_JEMALLOC
#include <jemalloc/jemalloc.h>
#else
/* Only there when somebody preloads jemalloc into a program that was built without it. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new_value, size_t new_len)
    __attribute__((weak));
#endif

/* ---- tallies ---- */

/* One cache line, so that no two threads write the same one. */
struct tally {
  struct {
    struct weft__counter allocs;
    struct weft__counter frees;
    struct weft__counter bytes; /* got minus given back, modulo 2^64: a block may end elsewhere */
  } side[2];                    /* own, libuv */
  struct weft__counter failures;
  _Atomic(uint32_t) held; /* 1 while a thread holds it. Claimed by cas (acquire), released by a
                             store (release): the next holder sees the counts of the last one */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct tally) == 64, "a tally is one cache line");

enum { TALLIES = 128 };
static struct tally tallies[TALLIES];
/* For threads that found none free; written with locked adds. */
static struct tally overflow;

/* This thread's tally; NULL until its first allocation. */
static _Thread_local struct tally *mine __attribute__((tls_model("initial-exec")));

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

/* A destructor that runs after this one and allocates claims again, and is called again. */
static void give_back_tally(void *held) {
  struct tally *t = held;
  mine = NULL;
  atomic_store_explicit(&t->held, 0, memory_order_release);
}

static void make_key(void) {
  have_key = pthread_key_create(&key, give_back_tally) == 0;
}

static struct tally *claim(void) {
  pthread_once(&key_once, make_key);
  for (size_t i = 0; have_key && i < TALLIES; i++) {
    uint32_t free = 0;
    struct tally *t = &tallies[i];
    if (atomic_load_explicit(&t->held, memory_order_relaxed) != 0) continue;
    if (!atomic_compare_exchange_strong_explicit(&t->held, &free, 1, memory_order_acquire,
                                                 memory_order_relaxed))
      continue;
    if (pthread_setspecific(key, t) == 0) return t;
    atomic_store_explicit(&t->held, 0, memory_order_release);
    break;
  }
  return &overflow;
}

static struct tally *current(void) {
  if (weft__unlikely(!mine)) mine = claim();
  return mine;
}

static void add(struct tally *t, struct weft__counter *c, uint64_t n) {
  if (weft__likely(t != &overflow))
    weft__counter_add(c, n);
  else
    atomic_fetch_add_explicit(&c->v, n, memory_order_relaxed);
}

__attribute__((noinline)) void weft__tally_alloc(enum weft__memory_who who, uint64_t bytes) {
  struct tally *t = current();
  size_t side = who == WEFT__MEMORY_UV;
  add(t, &t->side[side].allocs, 1);
  add(t, &t->side[side].bytes, bytes);
}

__attribute__((noinline)) void weft__tally_free(enum weft__memory_who who, uint64_t bytes) {
  struct tally *t = current();
  size_t side = who == WEFT__MEMORY_UV;
  add(t, &t->side[side].frees, 1);
  add(t, &t->side[side].bytes, 0 - bytes);
}

__attribute__((noinline)) void weft__tally_failure(void) {
  struct tally *t = current();
  add(t, &t->failures, 1);
}

/* While other threads allocate, a block may be seen given back before it is seen got. */
static uint64_t not_negative(uint64_t sum) {
  return sum > INT64_MAX ? 0 : sum;
}

static void add_up(struct weft__memory_stats *s) {
  for (size_t i = 0; i <= TALLIES; i++) {
    const struct tally *t = i < TALLIES ? &tallies[i] : &overflow;
    s->allocations += weft__counter_read(&t->side[0].allocs);
    s->frees += weft__counter_read(&t->side[0].frees);
    s->live_bytes += weft__counter_read(&t->side[0].bytes);
    s->uv_allocations += weft__counter_read(&t->side[1].allocs);
    s->uv_frees += weft__counter_read(&t->side[1].frees);
    s->uv_live_bytes += weft__counter_read(&t->side[1].bytes);
    s->failures += weft__counter_read(&t->failures);
  }
  s->live_bytes = not_negative(s->live_bytes);
  s->uv_live_bytes = not_negative(s->uv_live_bytes);
}

/* ---- the allocator's own figures ---- */

static uint64_t mallctl_size(const char *name) {
  size_t value = 0;
  size_t len = sizeof value;
  return mallctl(name, &value, &len, NULL, 0) == 0 ? value : 0;
}

static void ask_jemalloc(struct weft__memory_stats *s) {
  const char *version = "";
  size_t len = sizeof version;
  if (mallctl("version", &version, &len, NULL, 0) != 0) version = "?";
  snprintf(s->allocator, sizeof s->allocator, "jemalloc %.*s", (int)strcspn(version, "-"), version);

  /* The figures are those of the last epoch; a write begins a new one. */
  uint64_t epoch = 1;
  mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
  s->heap_allocated = mallctl_size("stats.allocated");
  s->heap_active = mallctl_size("stats.active");
  s->heap_resident = mallctl_size("stats.resident");
}

#if WEFT__ASAN || WEFT__TSAN
static void ask_libc(struct weft__memory_stats *s) {
  snprintf(s->allocator, sizeof s->allocator, "sanitizer");
  s->heap_allocated = __sanitizer_get_current_allocated_bytes();
  s->heap_active = s->heap_resident = __sanitizer_get_heap_size();
}
#elif defined(__GLIBC__)
static void ask_libc(struct weft__memory_stats *s) {
#if WEFT__MEMCHECK
  if (RUNNING_ON_VALGRIND) {
    snprintf(s->allocator, sizeof s->allocator, "valgrind");
    return;
  }
#endif
  snprintf(s->allocator, sizeof s->allocator, "glibc %s", gnu_get_libc_version());
  struct mallinfo2 m = mallinfo2();
  s->heap_allocated = m.uordblks + m.hblkhd;
  /* glibc does not say which of its pages are resident. */
  s->heap_active = s->heap_resident = m.arena + m.hblkhd;
}
#else
static void ask_libc(struct weft__memory_stats *s) {
  snprintf(s->allocator, sizeof s->allocator, "libc");
}
#endif

static bool jemalloc_serves(void) {
#if WEFT_JEMALLOC
  return true;
#else
  return mallctl != NULL;
#endif
}

void weft__memory_stats(struct weft__memory_stats *ret) {
  struct weft__memory_stats s = {.allocator = ""};
  add_up(&s);
  if (jemalloc_serves())
    ask_jemalloc(&s);
  else
    ask_libc(&s);
  *ret = s;
}
