/* Opening, closing and sharing the process pool; see procpool.h. */
#include "offload/procpool.h"

#include <weft/errors.h>
#include <weft/offload.h>

#include "base/check.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "core/self.h"
#include "offload/isolate.h"

enum {
  DEFAULT_PAYLOAD = 16 * 1024 * 1024,
  /* Births that may be under way at once: their descriptors count against the process's limit. */
  BIRTHS = 16
};

int weft__procpool_acquire(struct weft_procpool *pool, struct weft__procslot **ret) {
  weft__spin_lock(&pool->lock);
  if (pool->closing) {
    weft__spin_unlock(&pool->lock);
    return WEFT_ECLOSED;
  }
  if (pool->nidle == pool->granted) {
    static const struct weft__wait_kind free_process = {"a process of a pool"};
    int r = weft__waitq_wait(&pool->waiters, &pool->lock, &free_process, pool); /* unlocks */
    if (r < 0) return r;
    weft__spin_lock(&pool->lock);
    WEFT__ASSERT(pool->granted > 0);
    pool->granted--;
  }
  struct weft__list *first = weft__list_pop_front(&pool->idle);
  WEFT__ASSERT(first != NULL);
  pool->nidle--;
  weft__spin_unlock(&pool->lock);
  *ret = weft__container_of(first, struct weft__procslot, idle);
  return 0;
}

void weft__procpool_release(struct weft_procpool *pool, struct weft__procslot *s) {
  weft__spin_lock(&pool->lock);
  if (s->channel >= 0)
    weft__list_push_front(&pool->idle, &s->idle);
  else
    weft__list_push_back(&pool->idle, &s->idle);
  pool->nidle++;
  if (weft__waitq_wake_one(&pool->waiters)) pool->granted++;
  weft__spin_unlock(&pool->lock);
}

int weft__procpool_revive(struct weft_procpool *pool, struct weft__procslot *s,
                          weft__wait_fn wait) {
  if (s->channel >= 0) return 0;
  int r = weft__procslot_request(s, &pool->zygote);
  if (r == 0) r = weft__procslot_birth(s, wait);
  if (r == 0) weft__add_relaxed_u32(&pool->alive, 1);
  return r;
}

uint32_t weft__procpool_bury(struct weft_procpool *pool, struct weft__procslot *s,
                             weft__wait_fn wait) {
  uint32_t how = weft__procslot_bury(s, &pool->zygote, wait);
  weft__sub_u32(&pool->alive, 1);
  weft__add_relaxed_u64(&pool->deaths, 1);
  return how;
}

static int check_options(const weft_procpool_opts *opts) {
  if (!opts || !opts->jobs || opts->njobs == 0 || opts->njobs > UINT32_MAX) return WEFT_EINVAL;
  if (opts->workers > WEFT__PROCPOOL_MAX) return WEFT_EINVAL;
  for (size_t i = 0; i < opts->njobs; i++) {
    if (!opts->jobs[i].name || !opts->jobs[i].fn) return WEFT_EINVAL;
  }
  return 0;
}

/* Whether a fork is safe: what other threads hold would be held for ever in the child. */
static int check_threads(void) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__current_task()) return WEFT_EBUSY;
  int n = weft__isolate_other_threads();
  return n < 0 ? n : n > 0 ? WEFT_EBUSY : 0;
}

static uint32_t worker_count(const weft_procpool_opts *opts) {
  unsigned n = opts->workers ? opts->workers : weft__cpus_usable();
  return n < WEFT__PROCPOOL_MAX ? n : WEFT__PROCPOOL_MAX;
}

static struct weft_procpool *new_pool(const weft_procpool_opts *opts) {
  uint32_t n = worker_count(opts);
  struct weft_procpool *pool = weft__zalloc(sizeof *pool + n * sizeof pool->slots[0]);
  if (!pool) return NULL;
  pool->crew = (struct weft__crew){.jobs = opts->jobs,
                                   .njobs = (uint32_t)opts->njobs,
                                   .workers = n,
                                   .max_payload = opts->max_payload};
  if (pool->crew.max_payload == 0) pool->crew.max_payload = DEFAULT_PAYLOAD;
  weft__waitq_init(&pool->waiters);
  weft__list_init(&pool->idle);
  for (uint32_t i = 0; i < n; i++) {
    weft__procslot_init(&pool->slots[i], i);
    weft__list_push_back(&pool->idle, &pool->slots[i].idle);
  }
  pool->nidle = n;
  return pool;
}

/* All processes, some of them under way at once. */
static int populate(struct weft_procpool *pool) {
  uint32_t n = pool->crew.workers;
  for (uint32_t asked = 0, born = 0; born < n;) {
    int r;
    if (asked < n && asked - born < BIRTHS) {
      r = weft__procslot_request(&pool->slots[asked++], &pool->zygote);
    } else {
      r = weft__procslot_birth(&pool->slots[born++], weft__procslot_block);
    }
    if (r < 0) return r;
  }
  weft__store_relaxed_u32(&pool->alive, n);
  return 0;
}

static void dismantle(struct weft_procpool *pool) {
  weft__zygote_stop(&pool->zygote);
  for (uint32_t i = 0; i < pool->crew.workers; i++) weft__procslot_fini(&pool->slots[i]);
  weft__area_unmap(&pool->crew.area);
  weft__free(pool);
}

int weft_procpool_open(weft_procpool **ret, const weft_procpool_opts *opts) {
  int r = ret ? check_options(opts) : WEFT_EINVAL;
  if (r == 0) r = check_threads();
  if (r < 0) return r;
  struct weft_procpool *pool = new_pool(opts);
  if (!pool) return WEFT_ENOMEM;
  r = weft__area_map(&pool->crew.area, pool->crew.workers, pool->crew.max_payload);
  if (r == 0) r = weft__zygote_start(&pool->zygote, &pool->crew);
  if (r < 0) {
    weft__area_unmap(&pool->crew.area);
    weft__free(pool);
    return r;
  }
  weft__area_withhold(&pool->crew.area);
  r = populate(pool);
  if (r < 0) {
    dismantle(pool);
    return r;
  }
  *ret = pool;
  return 0;
}

unsigned weft_procpool_alive(const weft_procpool *pool) {
  return weft__load_relaxed_u32(&pool->alive);
}

uint64_t weft_procpool_deaths(const weft_procpool *pool) {
  return weft__load_relaxed_u64(&pool->deaths);
}

int weft_procpool_close(weft_procpool *pool) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!pool) return 0;
  weft__spin_lock(&pool->lock);
  bool busy = pool->nidle < pool->crew.workers || pool->granted > 0 || pool->closing;
  if (!busy) pool->closing = true;
  weft__spin_unlock(&pool->lock);
  if (busy) return WEFT_EBUSY;
  dismantle(pool);
  return 0;
}
