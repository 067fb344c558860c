/* map: a few tasks share the items, each taking the next one when it has done with the last. */
#include <weft/wait.h>

#include <weft/group.h>

#include "core/park.h"
#include "core/worker.h"

enum { PER_WORKER = 4 };

/* On the caller's stack; the tasks end before it goes. */
struct map {
  weft_group group;
  weft_fn fn;
  char *items;
  size_t n, item_size;
  int *codes;
  weft__atomic_u64 next;  /* relaxed: places are given out, and nothing else depends on it */
  weft__atomic_u32 error; /* the first one, without codes; acq_rel CAS from 0. What the calls wrote
                             comes back through the group's join */
};

static void fail(struct map *m, int code) {
  uint32_t none = 0;
  if (weft__cas_u32(&m->error, &none, (uint32_t)code)) weft_group_cancel(&m->group);
}

static int call_some(void *arg) {
  struct map *m = arg;
  size_t i;
  while ((i = weft__add_relaxed_u64(&m->next, 1)) < m->n) {
    int r = weft__checkpoint(weft__current_task());
    if (r == 0) r = m->fn(m->items + i * m->item_size);
    if (m->codes)
      m->codes[i] = r;
    else if (r < 0)
      fail(m, r);
  }
  return 0;
}

static int map(struct map *m, unsigned limit, const char *name) {
  weft_group_init(&m->group, NULL);
  for (size_t i = 0; m->codes && i < m->n; i++) m->codes[i] = WEFT_ECANCELED;
  int r = 0;
  for (size_t i = 0; i < limit && i < m->n && r == 0; i++)
    r = weft_group_spawn(&m->group, call_some, m, &(weft_spawn_opts){.name = name});
  r = weft_group_join(&m->group);
  /* A call that was cancelled is an error of its own only if nothing else has cancelled it. */
  int error = (int)weft__load_acquire_u32(&m->error);
  return error == 0 || (error == WEFT_ECANCELED && r < 0) ? r : error;
}

int weft_map(weft_fn fn, void *items, size_t n, size_t item_size, const weft_map_opts *opts) {
  static const weft_map_opts defaults;
  if (!weft__current_task()) return weft__no_task();
  if (!fn || (n && (!items || !item_size))) return WEFT_EINVAL;
  if (!opts) opts = &defaults;
  struct map m = {.fn = fn, .items = items, .n = n, .item_size = item_size, .codes = opts->codes};
  unsigned limit = opts->limit ? opts->limit : (unsigned)weft_worker_count() * PER_WORKER;
  return map(&m, limit, opts->name ? opts->name : "map");
}
