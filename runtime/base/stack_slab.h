/* Where stacks come from: address space, cut into slabs, cut into slots; and their guards. Behind
 * stack.c, which keeps what is unused. */
#ifndef WEFT_BASE_STACK_SLAB_H
#define WEFT_BASE_STACK_SLAB_H

#include "base/stack.h"

#define WEFT__STACK_GUARD ((size_t)32 << 10)
#define WEFT__STACK_SLAB_BYTES ((size_t)2 << 20)
enum { WEFT__STACK_SLABS_PER_REGION = 32 };

/* Slots of one class. All records are complete before the slab is published. */
struct weft__stack_slab {
  char *base;     /* constant */
  size_t spacing; /* constant */
  uint32_t count; /* constant: slots */
  uint32_t used;  /* slots taken so far; the pool's lock */
  struct weft__stack stacks[];
};

/* One mapping. Regions of all pools are in one list that signal handlers read: links and slabs are
 * stored with release when what they point to is complete, and read with acquire. */
struct weft__stack_region {
  weft__atomic_ptr next;               /* written under the list's lock */
  struct weft__stack_region *next_own; /* constant: the pool's next */
  char *base;                          /* constant */
  size_t bytes;                        /* constant */
  void *mapping;                       /* constant: what to unmap */
  size_t mapping_bytes;
  bool single;    /* constant: the whole region is one slab of one stack */
  uint32_t slabs; /* how many are cut; the pool's lock */
  weft__atomic_ptr slab[WEFT__STACK_SLABS_PER_REGION];
};

/* Usable bytes of a class in this pool. */
size_t weft__stack_class_bytes(const struct weft__stack_pool *pool, uint32_t class_index);

/* A slot that was never used, without a guard. The pool's lock is held. 0 or WEFT_ENOMEM. */
int weft__stack_cut(struct weft__stack_pool *pool, uint32_t class_index, struct weft__stack **ret);

/* Puts the guard below s. The pool's lock is not held. 0 or WEFT_ENOMEM. */
int weft__stack_guard(struct weft__stack_pool *pool, struct weft__stack *s);

/* Every guard of the pool from now on by mprotect. The pool's lock is held, or nobody has it yet. */
void weft__stack_guard_by_mprotect(struct weft__stack_pool *pool);

/* Takes all slabs and regions of the pool away. Nobody uses the pool. */
void weft__stack_unmap_all(struct weft__stack_pool *pool);

#endif
