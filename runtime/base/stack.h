/* Task stacks: where they lie, who keeps the unused ones, and what is given back.
 *
 * Geometry. A stack is [lo, lo + size) with an inaccessible guard of 32 KiB below lo. Sizes come in
 * classes, powers of two from 16 KiB to 64 MiB; the size is what a task can use, the guard is not
 * part of it. Classes below 1 MiB are carved from slabs of 2 MiB, aligned to 2 MiB (one page of
 * page tables), at a spacing of size + guard: 21 stacks of the default 64 KiB to a slab. So a
 * parked task that uses one page costs 4096 bytes + 195 of page table + the record below. Larger
 * stacks have a mapping of their own. (On kernels with pages of 64 KiB the guard and the smallest
 * class are one page. Sanitizer builds make every class four times as large, the default 256 KiB.)
 *
 * Colours. Tops at equal distances fall into the same cache sets, so each stack's top is moved down
 * by up to 15 lines of 64 bytes; size is less than the class's by that much, and lo + size is not
 * the end of a page.
 *
 * Guards are installed when a slot is first used: MADV_GUARD_INSTALL, which splits no mapping, or
 * mprotect where the kernel lacks it. mprotect costs two mappings per stack; it stops some 2,000
 * short of vm.max_map_count, because a process without a free mapping dies elsewhere. That, and any
 * refusal of the kernel, is WEFT_ENOMEM; the slot is kept for a later try. Huge pages are declined:
 * one would make a parked task cost 64 KiB.
 *
 * Life of an unused stack. It goes to the cache of the worker that ran it, last in first out, where
 * it is warm: its pages stay. A cache holds two magazines per class; a full one moves as a whole to
 * the pool, where any worker's empty cache finds it. The pool keeps what was in use lately: trim()
 * gives back the contents (all pages, MADV_DONTNEED) of those that no worker needed since the last
 * trim, and beyond 1 GiB of stacks contents are given back at once. What was given back is cold: it
 * keeps its slot and its guard, and costs a page fault when it is used again. Address space is
 * unmapped by weft__stack_pool_fini only.
 */
#ifndef WEFT_BASE_STACK_H
#define WEFT_BASE_STACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/annotate.h"
#include "base/atomics.h"
#include "base/check.h"
#include "base/context.h"

/* Classes: WEFT__STACK_MIN << 0 up to WEFT__STACK_MIN << (WEFT__STACK_CLASSES - 1). */
#define WEFT__STACK_MIN ((size_t)16 << 10)
#define WEFT__STACK_MAX ((size_t)64 << 20)
#define WEFT__STACK_DEFAULT ((size_t)64 << 10)
enum { WEFT__STACK_CLASSES = 13 };

/* Frames are larger and more of them in sanitizer builds; every class is this many times itself. */
enum { WEFT__STACK_SCALE = WEFT__ASAN || WEFT__TSAN ? 4 : 1 };

/* The record of a stack. It does not lie on the stack, so that a cold one costs no page. */
struct weft__stack {
  struct weft__stack *next; /* in the list that holds it: the cache's thread or the pool's lock */
  struct weft__stack *next_magazine; /* of the first of a magazine in the pool: the pool's lock */
  void *lo;                          /* constant */
  size_t size;                       /* constant: usable bytes, less the colour */
  weft__context
      context;         /* whoever has the stack; for weft__context_reset. Tools' handles persist */
  uint32_t count;      /* of the first of a magazine in the pool: how many */
  uint8_t class_index; /* constant */
  uint8_t colour;      /* constant: lines of 64 bytes */
  bool guarded;        /* whoever has the stack, or the pool's lock */
  bool taken;          /* between get and put: to catch a second put */
  const char *guest;   /* whoever has the stack, NULL when it is put: the name of what runs on it
                          beside a task ("" without one), for the report of an overflow */
  unsigned tool_id;    /* valgrind's; set with guarded */
};

/* Stacks of one class, linked by next. */
struct weft__stack_magazine {
  struct weft__stack *head;
  uint32_t count;
  uint32_t capacity; /* constant */
};

/* A worker's unused stacks. Its thread only. */
struct weft__stack_cache {
  struct weft__stack_pool *pool;
  size_t default_size;    /* constant: the pool's */
  uint32_t default_class; /* constant */
  struct {
    struct weft__stack_magazine loaded; /* gets and puts go here */
    struct weft__stack_magazine spare;  /* full or empty */
  } classes[WEFT__STACK_CLASSES];
};

struct weft__stack_slab;
struct weft__stack_region;

struct weft__stack_class {
  struct weft__stack *warm;      /* magazines, the newest first, by next_magazine */
  struct weft__stack *cold;      /* by next */
  struct weft__stack *bare;      /* without a guard: the kernel refused it */
  struct weft__stack_slab *slab; /* where fresh ones come from, or NULL */
  size_t n_warm, n_cold, n_bare;
  size_t least_warm; /* the least n_warm since the last trim: what nobody needed */
  size_t n_made;     /* slots ever used, bare ones included */
};

/* All stacks of a runtime. */
struct weft__stack_pool {
  pthread_mutex_t lock; /* guards what follows; a leaf */
  struct weft__stack_class classes[WEFT__STACK_CLASSES];
  struct weft__stack_region *regions; /* all of them, by next_own, the newest first */
  size_t region_bytes;                /* size of the next one for slabs */
  size_t mapped;                      /* bytes of address space */
  size_t split;                       /* guards made by mprotect */
  size_t split_most;                  /* as many as vm.max_map_count bears */
  bool by_mprotect;                   /* how guards are made */
  bool advice_works;                  /* a guard by advice was seen to work */
  size_t default_size;                /* constant: as it was asked for */
  uint32_t default_class;             /* constant */
  size_t page, guard;                 /* constant */
};

/* default_size 0 means WEFT__STACK_DEFAULT; otherwise from MIN to MAX, else WEFT_EINVAL. Maps
 * nothing yet. */
int weft__stack_pool_init(struct weft__stack_pool *pool, size_t default_size);

/* Unmaps everything. All stacks were put and all caches finished, or it aborts. */
void weft__stack_pool_fini(struct weft__stack_pool *pool);

/* Gives back the contents of the stacks in the pool that no worker wanted since the last call: for
 * the monitor, about once a second. Any thread. Returns how many became cold. */
size_t weft__stack_pool_trim(struct weft__stack_pool *pool);

struct weft__stack_stats {
  size_t mapped;    /* bytes of address space */
  size_t made;      /* stacks that exist */
  size_t warm;      /* of them, unused in the pool with their pages */
  size_t cold;      /* unused in the pool without pages */
  bool by_mprotect; /* guards are separate mappings */
};
/* Any thread. */
void weft__stack_pool_stats(struct weft__stack_pool *pool, struct weft__stack_stats *ret);

/* Pools made from now on guard with mprotect, as on a kernel before 6.13: for tests. */
void weft__stack_use_mprotect(bool on);

void weft__stack_cache_init(struct weft__stack_cache *cache, struct weft__stack_pool *pool);
/* Hands all stacks of the cache to the pool, warm: for a worker that goes idle for long. */
void weft__stack_cache_flush(struct weft__stack_cache *cache);
void weft__stack_cache_fini(struct weft__stack_cache *cache);

int weft__stack_get_slow(struct weft__stack_cache *cache, size_t size, struct weft__stack **ret);
void weft__stack_put_slow(struct weft__stack_cache *cache, struct weft__stack *s);

/* A stack of at least size bytes (in classes; 0 is the pool's default). Its contents are undefined.
 * Returns 0, WEFT_ENOMEM, or WEFT_EINVAL when size is out of range. */
static inline int weft__stack_get(struct weft__stack_cache *cache, size_t size,
                                  struct weft__stack **ret) {
  struct weft__stack_magazine *m = &cache->classes[cache->default_class].loaded;
  struct weft__stack *s = m->head;
  bool plain = size == 0 || size == cache->default_size;
  if (weft__unlikely(!plain || s == NULL)) return weft__stack_get_slow(cache, size, ret);
  m->head = s->next;
  m->count--;
  s->taken = true;
  weft__note_taken(s->lo, s->size);
  *ret = s;
  return 0;
}

/* The stack is not in use any more. Any thread may put what another got, into its own cache; nobody
 * runs on it, the caller included. */
static inline void weft__stack_put(struct weft__stack_cache *cache, struct weft__stack *s) {
  struct weft__stack_magazine *m = &cache->classes[s->class_index].loaded;
  WEFT__ASSERT(s->taken);
  s->taken = false;
  weft__note_given(s->lo, s->size);
  if (weft__unlikely(m->count == m->capacity)) {
    weft__stack_put_slow(cache, s);
    return;
  }
  s->next = m->head;
  m->head = s;
  m->count++;
}

/* The context that belongs to the stack, for weft__context_reset. */
static inline weft__context *weft__stack_context(struct weft__stack *s) {
  return &s->context;
}

/* The size of its class: what was asked for, rounded up; "stack size" in messages. */
static inline size_t weft__stack_nominal(const struct weft__stack *s) {
  return s->size + (size_t)s->colour * 64;
}

/* Bytes between the caller's frame and the guard. The caller runs on s. */
static inline size_t weft__stack_left(const struct weft__stack *s) {
  return (size_t)((const char *)__builtin_frame_address(0) - (const char *)s->lo);
}

/* The stack in whose usable part or guard the address lies, of any pool; *in_guard says which.
 * NULL when there is none. Takes no lock: for signal handlers. The pools must not be finished
 * meanwhile. */
struct weft__stack *weft__stack_find(const void *address, bool *in_guard);

#endif
