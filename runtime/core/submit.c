/* Tasks from foreign threads, and the table by which those find a runtime. */
#include <weft/task.h>

#include "base/check.h"
#include "base/futex.h"
#include "base/mutex.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/table.h"
#include "core/worker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All guarded by lock, as next and refuses of each. Those that are left had their end cut off: they are never
 * freed, for threads may be in them, and what looks for leaks finds them here. */
static struct weft__runtime *first, *left;
static uint64_t last_id;
static weft__atomic_u32 running; /* how many are in the table; for the fork handler, relaxed */

/* Runs under way, those included that were left behind by their shutdown's limit; -1: a simulation.
 * Guarded by lock. */
static int runs;

int weft__table_enter(bool alone) {
  weft__mutex_lock(&lock);
  bool free = alone ? runs == 0 : runs >= 0;
  if (free) runs += alone ? -1 : 1;
  weft__mutex_unlock(&lock);
  return free ? 0 : WEFT_EBUSY;
}

void weft__table_leave(bool alone) {
  weft__mutex_lock(&lock);
  runs += alone ? 1 : -1;
  weft__mutex_unlock(&lock);
}

bool weft__table_alone(void) {
  weft__mutex_lock(&lock);
  bool alone = runs < 0;
  weft__mutex_unlock(&lock);
  return alone;
}

bool weft__runtime_any(void) {
  return weft__load_relaxed_u32(&running) != 0;
}

void weft__table_add(struct weft__runtime *rt) {
  weft__mutex_lock(&lock);
  rt->id = ++last_id;
  rt->next = first;
  first = rt;
  weft__add_relaxed_u32(&running, 1);
  weft__mutex_unlock(&lock);
}

void weft__table_remove(struct weft__runtime *rt) {
  weft__mutex_lock(&lock);
  struct weft__runtime **at = &first;
  while (*at != rt) at = &(*at)->next;
  *at = rt->next;
  weft__sub_u32(&running, 1);
  weft__mutex_unlock(&lock);
}

void weft__table_leave_behind(struct weft__runtime *rt) {
  weft__mutex_lock(&lock);
  rt->next = left;
  left = rt;
  weft__mutex_unlock(&lock);
}

struct weft__runtime *weft__runtime_hold(uint64_t id) {
  weft__mutex_lock(&lock);
  struct weft__runtime *rt = first;
  while (rt && rt->id != id) rt = rt->next;
  if (rt && rt->refuses) rt = NULL;
  if (rt) weft__add_relaxed_u32(&rt->held, 1);
  weft__mutex_unlock(&lock);
  return rt;
}

struct weft__runtime *weft__runtime_hold_debugged(void) {
  weft__mutex_lock(&lock);
  struct weft__runtime *rt = first;
  while (rt && (!rt->debug || rt->refuses || rt->sim)) rt = rt->next;
  if (rt) weft__add_relaxed_u32(&rt->held, 1);
  weft__mutex_unlock(&lock);
  return rt;
}

void weft__runtime_release(struct weft__runtime *rt) {
  /* Under the lock, since rt may be gone once it is seen to be held by nobody. */
  weft__mutex_lock(&lock);
  if (weft__sub_u32(&rt->held, 1) == 1 && rt->refuses) weft__futex_wake(&rt->held, 1);
  weft__mutex_unlock(&lock);
}

void weft__runtime_refuse(struct weft__runtime *rt) {
  weft__mutex_lock(&lock);
  rt->refuses = true;
  weft__mutex_unlock(&lock);
  uint32_t held;
  while ((held = weft__load_acquire_u32(&rt->held)) != 0)
    weft__futex_wait(&rt->held, held, WEFT__FUTEX_FOREVER);
  /* The last one wakes under the lock. */
  weft__mutex_lock(&lock);
  weft__mutex_unlock(&lock);
}

/* Also while the runtime refuses submitters: what the caller has is a task, without whose end there is
 * no end of the run. */
void weft__make_ready_outside(struct weft__task *t) {
  struct weft__runtime *rt = t->rt;
  weft__mutex_lock(&lock);
  weft__add_relaxed_u32(&rt->held, 1);
  weft__mutex_unlock(&lock);
  weft__make_ready_by(NULL, t);
  weft__runtime_release(rt);
}

weft_runtime weft_runtime_current(void) {
  struct weft__worker *w = weft__self();
  return (weft_runtime){.id_ = w ? w->rt->id : 0};
}

/* A task made on a thread that keeps no free objects; detached, unless it has an owner. */
static int make_foreign(struct weft__runtime *rt, weft_fn fn, void *arg,
                        const weft_spawn_opts *opts, struct weft__owner *owner, const void *site,
                        weft_task *ret) {
  struct weft__task_cache cache = {0};
  struct weft__task *t = weft__task_new(&rt->tasks, &cache);
  weft__task_cache_drain(&rt->tasks, &cache);
  if (!t) return WEFT_ENOMEM;
  weft__task_set_fn(t, fn, site);
  t->arg = arg;
  weft__store_relaxed_ptr(&t->owner, owner);
  weft__store_relaxed_ptr(&t->parent, NULL);
  int r = opts ? weft__spawn_apply(t, opts) : 0;
  if (r < 0) {
    weft__task_unref(&rt->tasks, NULL, t, 2);
    return r;
  }
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  if (ret) *ret = weft__handle(t, weft__load_relaxed_u64(&t->word));
  weft__add_u64(&rt->submitted, 1);
  if (!owner) weft__let_go(t);
  weft__push_unstarted_foreign(t);
  return 0;
}

int weft__submit_owned(struct weft__runtime *rt, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                       struct weft__owner *owner, const void *site, weft_task *ret) {
  if (rt->sim && !weft__sim_here()) return WEFT_EBUSY;
  return make_foreign(rt, fn, arg, opts, owner, site, ret);
}

int weft_submit(weft_runtime id, weft_fn fn, void *arg, const weft_spawn_opts *opts) {
  if (weft__in_child()) return WEFT_ECHILD;
  int r = weft__spawn_check(fn, opts);
  if (r < 0) return r;
  if (opts && opts->pinned) return WEFT_EINVAL;
  struct weft__runtime *rt = weft__runtime_hold(id.id_);
  if (!rt) return WEFT_ECLOSED;
  /* A thread of its own beside those that are played. */
  if (rt->sim && !weft__sim_here()) {
    weft__runtime_release(rt);
    return WEFT_EBUSY;
  }
  r = make_foreign(rt, fn, arg, opts, NULL, __builtin_return_address(0), NULL);
  weft__runtime_release(rt);
  return r;
}
