/* A pool of stacks and one cache of it, for tests that need no more. */
#ifndef WEFT_TEST_BASE_ONE_POOL_H
#define WEFT_TEST_BASE_ONE_POOL_H

#include "base/stack.h"
#include "weft_test.h"

static struct weft__stack_pool pool;
static struct weft__stack_cache cache;

static inline void open_pool(void) {
  assert_int_equal(weft__stack_pool_init(&pool, 0), 0);
  weft__stack_cache_init(&cache, &pool);
}

static inline void close_pool(void) {
  weft__stack_cache_fini(&cache);
  weft__stack_pool_fini(&pool);
}

static inline struct weft__stack *get(size_t size) {
  struct weft__stack *s = NULL;
  CHECK_INT(weft__stack_get(&cache, size, &s), 0);
  return s;
}

static inline void put(struct weft__stack *s) {
  weft__stack_put(&cache, s);
}

static inline char *top_of(const struct weft__stack *s) {
  return (char *)s->lo + s->size;
}

static inline struct weft__stack_stats stats(void) {
  struct weft__stack_stats now;
  weft__stack_pool_stats(&pool, &now);
  return now;
}

#endif
