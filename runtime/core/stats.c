/* The figures of a run. */
#include <stdio.h>
#include <string.h>

#include <weft/run.h>

#include "base/memory.h"
#include "base/mutex.h"
#include "core/worker.h"

int weft_worker_id(void) {
  struct weft__worker *w = weft__self();
  return w ? (int)w->index : weft__not_in_task();
}

int weft_worker_count(void) {
  struct weft__worker *w = weft__self();
  return w ? (int)w->rt->nworkers : weft__not_in_task();
}

int weft_stats_worker(unsigned index, weft_worker_stats *ret) {
  struct weft__worker *self = weft__self();
  if (!self) return weft__no_task();
  struct weft__runtime *rt = self->rt;
  if (!ret || index >= rt->nworkers) return WEFT_EINVAL;
  struct weft__worker *w = &rt->workers[index];
  struct weft__counters *c = &w->counters;
  memset(ret, 0, sizeof *ret);
  ret->tasks_run = weft__counter_read(&c->tasks_run);
  ret->inline_run = weft__counter_read(&c->inline_run);
  ret->spawned = weft__counter_read(&c->spawned);
  ret->finished = weft__counter_read(&c->finished);
  ret->steals = weft__counter_read(&c->steals);
  ret->parks = weft__counter_read(&c->parks);
  ret->loop_turns = weft__counter_read(&w->own_loop.turns);
  ret->hogged = weft__counter_read(&w->hog_count);
  if (rt->nreserves) {
    struct weft__worker *r = &rt->workers[rt->nworkers + index];
    ret->leases = weft__counter_read(&r->lease_count);
    ret->reserve_run = weft__counter_read(&r->counters.tasks_run);
  }
  return 0;
}

/* The name of the allocator outlives the call that asks for it. */
static const char *allocator_name(const struct weft__memory_stats *m) {
  static char name[sizeof m->allocator];
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  weft__mutex_lock(&lock);
  if (!name[0]) memcpy(name, m->allocator, sizeof name);
  weft__mutex_unlock(&lock);
  return name;
}

int weft_stats_read(weft_stats *ret) {
  struct weft__worker *w = weft__self();
  if (!w) return weft__no_task();
  if (!ret) return WEFT_EINVAL;
  struct weft__runtime *rt = w->rt;
  struct weft__memory_stats m;
  struct weft__blocking_stats b;
  struct weft__stack_stats s;
  weft__memory_stats(&m);
  weft__blocking_stats(&rt->blocking, &b);
  weft__stack_pool_stats(&rt->stacks, &s);
  memset(ret, 0, sizeof *ret);
  ret->workers = rt->nworkers;
  ret->blocking_threads = b.threads;
  ret->tasks_live = weft__tasks_live(rt);
  ret->blocking_jobs = b.finished;
  ret->stacks = s.made;
  ret->allocator = allocator_name(&m);
  ret->bytes_allocated = m.heap_allocated;
  ret->bytes_resident = m.heap_resident;
  ret->runtime_allocations = m.allocations + m.uv_allocations;
  return 0;
}
