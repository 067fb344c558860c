/* Address space for stacks, and the guards. See stack.h and stack_slab.h.
 *
 * Regions double from 2 to 64 MiB, so that a small program maps little and a million stacks make
 * some 1,500 mappings.
 */
#include "base/stack_slab.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <weft/errors.h>

#include "base/memory.h"
#include "base/mutex.h"
#include "base/sys.h"

/* Linux 6.13; older headers lack the names. */
enum { ADVICE_GUARD_INSTALL = 102, ADVICE_POPULATE_READ = 22 };

enum { COLOURS = 16, COLOUR_STEP = 5, COLOUR_BYTES = 64 };

/* All regions of the process: struct weft__stack_region through next. */
static weft__atomic_ptr all_regions;
static pthread_mutex_t all_regions_lock = PTHREAD_MUTEX_INITIALIZER; /* for writers */

size_t weft__stack_class_bytes(const struct weft__stack_pool *pool, uint32_t class_index) {
  size_t bytes = (WEFT__STACK_MIN << class_index) * WEFT__STACK_SCALE;
  return bytes < pool->page ? pool->page : bytes;
}

static struct weft__stack_region *first_region(void) {
  return weft__load_acquire_ptr(&all_regions); /* release: publish_region */
}

static struct weft__stack_region *next_region(struct weft__stack_region *r) {
  return weft__load_acquire_ptr(&r->next); /* release: publish_region, withdraw_region */
}

static void publish_region(struct weft__stack_region *r) {
  weft__mutex_lock(&all_regions_lock);
  weft__store_relaxed_ptr(&r->next, first_region());
  weft__store_release_ptr(&all_regions, r);
  weft__mutex_unlock(&all_regions_lock);
}

static void withdraw_region(struct weft__stack_region *r) {
  weft__mutex_lock(&all_regions_lock);
  weft__atomic_ptr *link = &all_regions;
  while (weft__load_acquire_ptr(link) != r)
    link = &((struct weft__stack_region *)weft__load_acquire_ptr(link))->next;
  weft__store_release_ptr(link, next_region(r));
  weft__mutex_unlock(&all_regions_lock);
}

static int map(size_t bytes, void **ret) {
  int r = weft__sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0, ret);
  if (r < 0) return r;
  /* Fails where the kernel has no huge pages, which is as good. */
  (void)weft__sys_madvise(*ret, bytes, MADV_NOHUGEPAGE);
  return 0;
}

/* Maps bytes at a multiple of align. The kernel often aligns by itself, and neighbours then merge;
 * otherwise the mapping is larger than the region. */
static int map_aligned(struct weft__stack_region *r, size_t bytes, size_t align) {
  void *p;
  size_t total = bytes;
  int e = map(bytes, &p);
  if (e == 0 && ((uintptr_t)p & (align - 1)) != 0) {
    (void)weft__sys_munmap(p, bytes);
    total = bytes + align;
    e = map(total, &p);
  }
  if (e < 0) return e;
  r->mapping = p;
  r->mapping_bytes = total;
  r->base = (char *)(((uintptr_t)p + align - 1) & ~(uintptr_t)(align - 1));
  r->bytes = bytes;
  return 0;
}

/* A region for slabs, or for one stack of single bytes. */
static int new_region(struct weft__stack_pool *pool, size_t single,
                      struct weft__stack_region **ret) {
  struct weft__stack_region *r = weft__zalloc(sizeof *r);
  if (r == NULL) return WEFT_ENOMEM;
  int e;
  if (single != 0) {
    r->single = true;
    e = map_aligned(r, single, pool->page);
  } else {
    /* What is refused whole may be had in part. */
    size_t bytes = pool->region_bytes;
    while ((e = map_aligned(r, bytes, WEFT__STACK_SLAB_BYTES)) < 0 &&
           bytes > WEFT__STACK_SLAB_BYTES)
      bytes /= 2;
    if (e == 0 && bytes == pool->region_bytes &&
        bytes < WEFT__STACK_SLABS_PER_REGION * WEFT__STACK_SLAB_BYTES)
      pool->region_bytes *= 2;
  }
  if (e < 0) {
    weft__free(r);
    return WEFT_ENOMEM;
  }
  r->next_own = pool->regions;
  pool->regions = r;
  pool->mapped += r->mapping_bytes;
  publish_region(r);
  *ret = r;
  return 0;
}

/* The pool's region with room for another slab, or NULL. Only the newest of them can have some. */
static struct weft__stack_region *region_with_room(struct weft__stack_pool *pool) {
  struct weft__stack_region *r = pool->regions;
  while (r != NULL && r->single) r = r->next_own;
  return r != NULL && r->slabs < r->bytes / WEFT__STACK_SLAB_BYTES ? r : NULL;
}

static void fill_slab(struct weft__stack_pool *pool, struct weft__stack_slab *slab,
                      uint32_t class_index, size_t bytes) {
  for (uint32_t i = 0; i < slab->count; i++) {
    struct weft__stack *s = &slab->stacks[i];
    size_t n = pool->classes[class_index].n_made + i;
    s->lo = slab->base + i * slab->spacing + pool->guard;
    s->colour = (uint8_t)(n * COLOUR_STEP % COLOURS);
    s->size = bytes - (size_t)s->colour * COLOUR_BYTES;
    s->class_index = (uint8_t)class_index;
  }
}

static int new_slab(struct weft__stack_pool *pool, uint32_t class_index,
                    struct weft__stack_slab **ret) {
  size_t bytes = weft__stack_class_bytes(pool, class_index);
  size_t spacing = bytes + pool->guard;
  uint32_t count = (uint32_t)(WEFT__STACK_SLAB_BYTES / spacing);
  bool single = count < 2;
  if (single) count = 1;
  struct weft__stack_slab *slab = weft__zalloc(sizeof *slab + count * sizeof slab->stacks[0]);
  if (slab == NULL) return WEFT_ENOMEM;
  struct weft__stack_region *region = single ? NULL : region_with_room(pool);
  if (region == NULL && new_region(pool, single ? spacing : 0, &region) < 0) {
    weft__free(slab);
    return WEFT_ENOMEM;
  }
  slab->base = region->base + region->slabs * WEFT__STACK_SLAB_BYTES;
  slab->spacing = spacing;
  slab->count = count;
  fill_slab(pool, slab, class_index, bytes);
  weft__store_release_ptr(&region->slab[region->slabs++], slab); /* acquire: slab_at */
  *ret = slab;
  return 0;
}

int weft__stack_cut(struct weft__stack_pool *pool, uint32_t class_index, struct weft__stack **ret) {
  struct weft__stack_class *c = &pool->classes[class_index];
  if (c->slab == NULL || c->slab->used == c->slab->count) {
    int e = new_slab(pool, class_index, &c->slab);
    if (e < 0) return e;
  }
  *ret = &c->slab->stacks[c->slab->used++];
  c->n_made++;
  return 0;
}

/* As many guards as leave a process of that many mappings room to live: each makes two. */
static size_t most_split(void) {
  size_t most = 65530;
  int fd = weft__sys_open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0);
  if (fd >= 0) {
    char text[32];
    ssize_t n = weft__sys_read(fd, text, sizeof text - 1);
    (void)weft__sys_close(fd);
    if (n > 0) {
      text[n] = '\0';
      most = strtoul(text, NULL, 10);
    }
  }
  return (most - most / 32) / 2;
}

void weft__stack_guard_by_mprotect(struct weft__stack_pool *pool) {
  if (pool->by_mprotect) return;
  pool->by_mprotect = true;
  pool->split_most = most_split();
}

static int guard_by_mprotect(struct weft__stack_pool *pool, char *guard) {
  weft__mutex_lock(&pool->lock);
  bool room = pool->split < pool->split_most;
  if (room) pool->split++;
  weft__mutex_unlock(&pool->lock);
  if (!room) return WEFT_ENOMEM;
  if (weft__sys_mprotect(guard, pool->guard, PROT_NONE) == 0) return 0;
  weft__mutex_lock(&pool->lock);
  pool->split--;
  weft__mutex_unlock(&pool->lock);
  return WEFT_ENOMEM;
}

/* WEFT_EINVAL when the kernel cannot. An emulator that ignores advice it does not know says 0: so
 * the first guard is asked whether it is one. */
static int guard_by_advice(const struct weft__stack_pool *pool, char *guard, bool first) {
  int r;
  do {
    r = weft__sys_madvise(guard, pool->guard, ADVICE_GUARD_INSTALL);
  } while (r == WEFT_EINTR || r == WEFT_EAGAIN);
  if (r == 0 && first && weft__sys_madvise(guard, pool->page, ADVICE_POPULATE_READ) != WEFT_EFAULT)
    r = WEFT_EINVAL;
  return r;
}

int weft__stack_guard(struct weft__stack_pool *pool, struct weft__stack *s) {
  char *guard = (char *)s->lo - pool->guard;
  weft__mutex_lock(&pool->lock);
  bool by_mprotect = pool->by_mprotect;
  bool first = !pool->advice_works;
  weft__mutex_unlock(&pool->lock);
  int r = by_mprotect ? guard_by_mprotect(pool, guard) : guard_by_advice(pool, guard, first);
  if (r == WEFT_EINVAL || (first && r == 0 && !by_mprotect)) {
    weft__mutex_lock(&pool->lock);
    pool->advice_works = r == 0;
    if (r == WEFT_EINVAL) weft__stack_guard_by_mprotect(pool);
    weft__mutex_unlock(&pool->lock);
    if (r == WEFT_EINVAL) r = guard_by_mprotect(pool, guard);
  }
  if (r < 0) return WEFT_ENOMEM;
  s->tool_id = weft__note_mapped(s->lo, s->size);
  s->guarded = true;
  return 0;
}

static void free_slab(struct weft__stack_slab *slab) {
  for (uint32_t i = 0; i < slab->used; i++) {
    struct weft__stack *s = &slab->stacks[i];
    weft__context_fini(&s->context);
    if (s->guarded) weft__note_unmapped(s->tool_id, s->lo, s->size);
  }
  weft__free(slab);
}

void weft__stack_unmap_all(struct weft__stack_pool *pool) {
  struct weft__stack_region *next;
  for (struct weft__stack_region *r = pool->regions; r != NULL; r = next) {
    next = r->next_own;
    withdraw_region(r);
    for (uint32_t i = 0; i < r->slabs; i++) free_slab(weft__load_relaxed_ptr(&r->slab[i]));
    /* Refused only when it would split a mapping beyond the limit; then it stays, unused. */
    (void)weft__sys_munmap(r->mapping, r->mapping_bytes);
    weft__free(r);
  }
  pool->regions = NULL;
  pool->mapped = 0;
}

static struct weft__stack_slab *slab_at(struct weft__stack_region *r, size_t offset) {
  size_t i = r->single ? 0 : offset / WEFT__STACK_SLAB_BYTES;
  return weft__load_acquire_ptr(&r->slab[i]); /* release: new_slab */
}

struct weft__stack *weft__stack_find(const void *address, bool *in_guard) {
  const char *a = address;
  for (struct weft__stack_region *r = first_region(); r != NULL; r = next_region(r)) {
    if (a < r->base || a >= r->base + r->bytes) continue;
    struct weft__stack_slab *slab = slab_at(r, (size_t)(a - r->base));
    if (slab == NULL) return NULL;
    size_t slot = (size_t)(a - slab->base) / slab->spacing;
    if (slot >= slab->count) return NULL;
    struct weft__stack *s = &slab->stacks[slot];
    *in_guard = a < (const char *)s->lo;
    return s;
  }
  return NULL;
}
