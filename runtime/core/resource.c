#include "core/resource.h"

#include <pthread.h>

#include "base/mutex.h"
#include "core/worker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards every list of resources */

void weft__resource_open(struct weft__resource *r, const char *kind, const void *site) {
  struct weft__worker *w = weft__self();
  r->kind = kind;
  r->site = site;
  weft__list_init(&r->link);
  weft__store_relaxed_ptr(&r->runtime, NULL);
  if (weft__likely(!w || !w->rt->debug)) return;
  weft__mutex_lock(&lock);
  if (!w->rt->resources.next) weft__list_init(&w->rt->resources);
  weft__list_push_back(&w->rt->resources, &r->link);
  weft__store_relaxed_ptr(&r->runtime, w->rt);
  weft__mutex_unlock(&lock);
}

void weft__resource_close_slow(struct weft__resource *r) {
  weft__mutex_lock(&lock);
  weft__list_remove(&r->link); /* of one that its runtime has dropped: nothing */
  weft__store_relaxed_ptr(&r->runtime, NULL);
  weft__mutex_unlock(&lock);
}

size_t weft__resources_copy(struct weft__runtime *rt, struct weft__resource_seen *out, size_t max) {
  size_t n = 0;
  weft__mutex_lock(&lock);
  if (rt->resources.next) weft__list_foreach(l, &rt->resources) {
      struct weft__resource *r = weft__container_of(l, struct weft__resource, link);
      if (n < max) out[n] = (struct weft__resource_seen){r->kind, r->site};
      n++;
    }
  weft__mutex_unlock(&lock);
  return n;
}

void weft__resources_drop(struct weft__runtime *rt) {
  struct weft__list *l;
  weft__mutex_lock(&lock);
  while (rt->resources.next && (l = weft__list_pop_front(&rt->resources)) != NULL) {
    struct weft__resource *r = weft__container_of(l, struct weft__resource, link);
    weft__store_release_ptr(&r->runtime, NULL);
  }
  weft__mutex_unlock(&lock);
}
