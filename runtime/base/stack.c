/* The unused stacks: caches, the pool, what is given back. See stack.h. */
#include "base/mutex.h"
#include "base/stack.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/stack_slab.h"
#include "base/sys.h"

/* A magazine is 4 MiB of stacks at most, and 64 of them at most. */
enum { MAGAZINE_MOST = 64 };
#define MAGAZINE_BYTES ((size_t)4 << 20)

/* Of each class, what the pool may keep warm. */
#define WARM_BYTES ((size_t)1 << 30)

/* For tests; set before pools are made, hence plain. */
static bool use_mprotect;

void weft__stack_use_mprotect(bool on) {
  use_mprotect = on;
}

static uint32_t class_of(size_t size) {
  uint32_t i = 0;
  while (WEFT__STACK_MIN << i < size) i++;
  return i;
}

int weft__stack_pool_init(struct weft__stack_pool *pool, size_t default_size) {
  if (default_size == 0) default_size = WEFT__STACK_DEFAULT;
  if (default_size < WEFT__STACK_MIN || default_size > WEFT__STACK_MAX) return WEFT_EINVAL;
  *pool = (struct weft__stack_pool){0};
  int r = pthread_mutex_init(&pool->lock, NULL);
  if (r != 0) return -r;
  pool->page = (size_t)sysconf(_SC_PAGESIZE);
  pool->guard = WEFT__STACK_GUARD < pool->page ? pool->page : WEFT__STACK_GUARD;
  pool->region_bytes = WEFT__STACK_SLAB_BYTES;
  pool->default_size = default_size;
  pool->default_class = class_of(default_size);
  if (use_mprotect) weft__stack_guard_by_mprotect(pool);
  return 0;
}

void weft__stack_pool_fini(struct weft__stack_pool *pool) {
  for (uint32_t i = 0; i < WEFT__STACK_CLASSES; i++) {
    struct weft__stack_class *c = &pool->classes[i];
    WEFT__ASSERT(c->n_warm + c->n_cold + c->n_bare == c->n_made);
  }
  weft__stack_unmap_all(pool);
  pthread_mutex_destroy(&pool->lock);
}

void weft__stack_pool_stats(struct weft__stack_pool *pool, struct weft__stack_stats *ret) {
  struct weft__stack_stats sum = {0};
  weft__mutex_lock(&pool->lock);
  sum.mapped = pool->mapped;
  sum.by_mprotect = pool->by_mprotect;
  for (uint32_t i = 0; i < WEFT__STACK_CLASSES; i++) {
    const struct weft__stack_class *c = &pool->classes[i];
    sum.made += c->n_made - c->n_bare;
    sum.warm += c->n_warm;
    sum.cold += c->n_cold;
  }
  weft__mutex_unlock(&pool->lock);
  *ret = sum;
}

/* ---- magazines in the pool; its lock is held ---- */

static void push_warm(struct weft__stack_class *c, struct weft__stack_magazine *m) {
  struct weft__stack *first = m->head;
  first->count = m->count;
  first->next_magazine = c->warm;
  c->warm = first;
  c->n_warm += m->count;
  m->head = NULL;
  m->count = 0;
}

static void pop_warm(struct weft__stack_class *c, struct weft__stack_magazine *m) {
  struct weft__stack *first = c->warm;
  c->warm = first->next_magazine;
  c->n_warm -= first->count;
  if (c->n_warm < c->least_warm) c->least_warm = c->n_warm;
  m->head = first;
  m->count = first->count;
}

static struct weft__stack *pop(struct weft__stack **list, size_t *n) {
  struct weft__stack *s = *list;
  *list = s->next;
  (*n)--;
  return s;
}

/* ---- giving back ---- */

/* The contents of the magazines go; the stacks become cold. The lock is not held. */
static size_t give_back(struct weft__stack_pool *pool, uint32_t class_index,
                        struct weft__stack *magazines) {
  size_t bytes = weft__stack_class_bytes(pool, class_index);
  struct weft__stack *list = NULL, *last = NULL, *next;
  size_t n = 0;
  for (struct weft__stack *first = magazines; first != NULL; first = next) {
    next = first->next_magazine;
    for (struct weft__stack *s = first, *after; s != NULL; s = after) {
      after = s->next;
      /* Refused for locked memory: then the pages stay, nothing else changes. */
      (void)weft__sys_madvise(s->lo, bytes, MADV_DONTNEED);
      s->next = list;
      list = s;
      if (last == NULL) last = s;
      n++;
    }
  }
  if (n == 0) return 0;
  struct weft__stack_class *c = &pool->classes[class_index];
  weft__mutex_lock(&pool->lock);
  last->next = c->cold;
  c->cold = list;
  c->n_cold += n;
  weft__mutex_unlock(&pool->lock);
  return n;
}

/* Takes the oldest magazines out that nobody needed since the last call. */
static struct weft__stack *take_idle(struct weft__stack_class *c) {
  struct weft__stack **at = &c->warm;
  size_t kept = 0, needed = c->n_warm - c->least_warm;
  while (*at != NULL && kept < needed) {
    kept += (*at)->count;
    at = &(*at)->next_magazine;
  }
  struct weft__stack *idle = *at;
  *at = NULL;
  c->n_warm = kept;
  c->least_warm = kept;
  return idle;
}

size_t weft__stack_pool_trim(struct weft__stack_pool *pool) {
  size_t n = 0;
  for (uint32_t i = 0; i < WEFT__STACK_CLASSES; i++) {
    weft__mutex_lock(&pool->lock);
    struct weft__stack *idle = take_idle(&pool->classes[i]);
    weft__mutex_unlock(&pool->lock);
    n += give_back(pool, i, idle);
  }
  return n;
}

/* ---- caches ---- */

void weft__stack_cache_init(struct weft__stack_cache *cache, struct weft__stack_pool *pool) {
  *cache = (struct weft__stack_cache){
      .pool = pool, .default_size = pool->default_size, .default_class = pool->default_class};
  for (uint32_t i = 0; i < WEFT__STACK_CLASSES; i++) {
    size_t n = MAGAZINE_BYTES / weft__stack_class_bytes(pool, i);
    uint32_t capacity = n > MAGAZINE_MOST ? MAGAZINE_MOST : n < 1 ? 1 : (uint32_t)n;
    cache->classes[i].loaded.capacity = capacity;
    cache->classes[i].spare.capacity = capacity;
  }
}

/* Hands a magazine to the pool, or, when that has enough, gives its contents back. */
static void hand_over(struct weft__stack_pool *pool, uint32_t class_index,
                      struct weft__stack_magazine *m) {
  if (m->head == NULL) return;
  struct weft__stack_class *c = &pool->classes[class_index];
  size_t most = WARM_BYTES / weft__stack_class_bytes(pool, class_index);
  weft__mutex_lock(&pool->lock);
  bool keep = c->n_warm + m->count <= most;
  if (keep) push_warm(c, m);
  weft__mutex_unlock(&pool->lock);
  if (keep) return;
  m->head->next_magazine = NULL;
  give_back(pool, class_index, m->head);
  m->head = NULL;
  m->count = 0;
}

void weft__stack_cache_flush(struct weft__stack_cache *cache) {
  for (uint32_t i = 0; i < WEFT__STACK_CLASSES; i++) {
    hand_over(cache->pool, i, &cache->classes[i].loaded);
    hand_over(cache->pool, i, &cache->classes[i].spare);
  }
}

void weft__stack_cache_fini(struct weft__stack_cache *cache) {
  weft__stack_cache_flush(cache);
}

static void swap_magazines(struct weft__stack_magazine *a, struct weft__stack_magazine *b) {
  struct weft__stack_magazine t = *a;
  *a = *b;
  *b = t;
}

/* A stack that the pool has or makes; it may still want a guard. */
static int get_from_pool(struct weft__stack_pool *pool, uint32_t class_index,
                         struct weft__stack_magazine *m, struct weft__stack **ret) {
  struct weft__stack_class *c = &pool->classes[class_index];
  int r = 0;
  weft__mutex_lock(&pool->lock);
  if (c->warm != NULL) {
    pop_warm(c, m);
    *ret = m->head;
    m->head = m->head->next;
    m->count--;
  } else if (c->cold != NULL) {
    *ret = pop(&c->cold, &c->n_cold);
  } else if (c->bare != NULL) {
    *ret = pop(&c->bare, &c->n_bare);
  } else {
    r = weft__stack_cut(pool, class_index, ret);
  }
  weft__mutex_unlock(&pool->lock);
  return r;
}

/* The guard was refused: the slot waits for a later try. */
static void keep_bare(struct weft__stack_pool *pool, struct weft__stack *s) {
  struct weft__stack_class *c = &pool->classes[s->class_index];
  weft__mutex_lock(&pool->lock);
  s->next = c->bare;
  c->bare = s;
  c->n_bare++;
  weft__mutex_unlock(&pool->lock);
}

int weft__stack_get_slow(struct weft__stack_cache *cache, size_t size, struct weft__stack **ret) {
  if (size != 0 && (size < WEFT__STACK_MIN || size > WEFT__STACK_MAX)) return WEFT_EINVAL;
  uint32_t i = size == 0 ? cache->default_class : class_of(size);
  struct weft__stack_magazine *loaded = &cache->classes[i].loaded;
  struct weft__stack *s;
  if (loaded->head == NULL) swap_magazines(loaded, &cache->classes[i].spare);
  if (loaded->head != NULL) {
    s = loaded->head;
    loaded->head = s->next;
    loaded->count--;
  } else {
    int r = get_from_pool(cache->pool, i, loaded, &s);
    if (r < 0) return r;
    if (!s->guarded && (r = weft__stack_guard(cache->pool, s)) < 0) {
      keep_bare(cache->pool, s);
      return r;
    }
  }
  s->taken = true;
  weft__note_taken(s->lo, s->size);
  *ret = s;
  return 0;
}

void weft__stack_put_slow(struct weft__stack_cache *cache, struct weft__stack *s) {
  struct weft__stack_magazine *loaded = &cache->classes[s->class_index].loaded;
  struct weft__stack_magazine *spare = &cache->classes[s->class_index].spare;
  hand_over(cache->pool, s->class_index, spare);
  swap_magazines(loaded, spare);
  s->next = loaded->head;
  loaded->head = s;
  loaded->count++;
}
