#include "core/descriptor_pool.h"

#include "base/memory.h"
#include "core/loop.h"

enum { PER_SLAB = 64 };

struct slab {
  struct slab *next;
  struct weft__descriptor descriptors[PER_SLAB];
};

static struct {
  struct weft__spin lock; /* guards all of it, and the lists of the loops */
  struct weft__list free; /* the ones used last first */
  struct slab *slabs;     /* so that all memory can be reached */
  unsigned open;
} pool = {.free = {&pool.free, &pool.free}};

static int add_slab(void) {
  struct slab *s = weft__alloc_for_good(sizeof *s);
  if (!s) return WEFT_ENOMEM;
  weft__spin_lock(&pool.lock);
  s->next = pool.slabs;
  pool.slabs = s;
  for (int i = 0; i < PER_SLAB; i++) weft__list_push_back(&pool.free, &s->descriptors[i].link);
  weft__spin_unlock(&pool.lock);
  return 0;
}

int weft__descriptor_alloc(struct weft__descriptor **ret) {
  for (;;) {
    weft__spin_lock(&pool.lock);
    struct weft__list *l = weft__list_pop_front(&pool.free);
    if (l) pool.open++;
    weft__spin_unlock(&pool.lock);
    if (l) {
      *ret = weft__container_of(l, struct weft__descriptor, link);
      return 0;
    }
    int r = add_slab();
    if (r < 0) return r;
  }
}

void weft__descriptor_recycle(struct weft__descriptor *d) {
  weft__spin_lock(&pool.lock);
  weft__list_push_front(&pool.free, &d->link);
  pool.open--;
  weft__spin_unlock(&pool.lock);
}

unsigned weft__descriptors_open(void) {
  weft__spin_lock(&pool.lock);
  unsigned n = pool.open;
  weft__spin_unlock(&pool.lock);
  return n;
}

void weft__descriptor_settle(struct weft__descriptor *d, struct weft__loop *home) {
  weft__spin_lock(&pool.lock);
  weft__list_push_back(&home->descriptors, &d->link);
  weft__spin_unlock(&pool.lock);
  d->home = home;
}

void weft__descriptor_unsettle(struct weft__descriptor *d) {
  if (!d->home) return;
  weft__spin_lock(&pool.lock);
  if (!d->simulated) weft__pollset_lower(&d->home->set);
  weft__list_remove(&d->link);
  weft__spin_unlock(&pool.lock);
  d->home = NULL;
}

struct weft__descriptor *weft__descriptor_at(struct weft__loop *home) {
  weft__spin_lock(&pool.lock);
  struct weft__list *l = weft__list_first(&home->descriptors);
  weft__spin_unlock(&pool.lock);
  return l ? weft__container_of(l, struct weft__descriptor, link) : NULL;
}
