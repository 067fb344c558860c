/* Making tasks. */
#include <string.h>

#include <weft/task.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/point.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/strand.h"
#include "core/worker.h"

enum { ARG_SIZE_MAX = 64 * 1024 };
#define STACK_SIZE_MAX ((size_t)64 << 20)

int weft__spawn_check(weft_fn fn, const weft_spawn_opts *opts) {
  if (!fn) return WEFT_EINVAL;
  if (!opts) return 0;
  if (opts->arg_size > ARG_SIZE_MAX) return WEFT_EINVAL;
  if (opts->stack_size && (opts->stack_size < WEFT_STACK_MIN || opts->stack_size > STACK_SIZE_MAX))
    return WEFT_EINVAL;
  return 0;
}

int weft__spawn_apply(struct weft__task *t, const weft_spawn_opts *opts) {
  t->has_opts = true;
  if (opts->strand && opts->strand->run != t->rt->id) return WEFT_EINVAL;
  if (opts->arg_size && t->arg) {
    t->copy = weft__alloc(opts->arg_size);
    if (!t->copy) return WEFT_ENOMEM;
    memcpy(t->copy, t->arg, opts->arg_size);
    t->arg = t->copy;
  }
  if (opts->context) t->env = weft__env_of_context(opts->context);
  weft__task_set_name(t, opts->name);
  t->stack_size = opts->stack_size;
  if (opts->pinned) t->odd |= WEFT__PINNED;
  if (opts->eager) t->odd |= WEFT__EAGER;
  if (opts->pinned || opts->eager || opts->stack_size != 0)
    weft__store_relaxed_u64(&t->word, weft__load_relaxed_u64(&t->word) | WEFT__APART);
  if (opts->strand && opts->strand->timers) weft__strand_join(opts->strand, t);
  return 0;
}

/* What the spawner hands down beside the argument. */
static __attribute__((noinline)) void inherit(struct weft__task *from, struct weft__task *t,
                                              const weft_spawn_opts *opts) {
  if ((from->odd & WEFT__STRAND) && !(t->odd & WEFT__STRAND) && !(opts && opts->parallel))
    weft__strand_join(from->strand, t);
  if (from->env && !t->env) t->env = weft__env_inherit(from->env); /* else a context of its own */
  t->heritage = from->heritage;
  if (t->heritage) weft__heritage_ref(t->heritage);
  if (t->env || t->heritage) t->has_opts = true;
}

static inline __attribute__((always_inline)) int make(struct weft__worker *w, weft_fn fn, void *arg,
                                                      const weft_spawn_opts *opts,
                                                      struct weft__owner *owner, const void *site,
                                                      struct weft__task **ret) {
  int r = opts ? weft__spawn_check(fn, opts) : fn ? 0 : WEFT_EINVAL;
  if (weft__unlikely(r < 0)) return r;
  struct weft__task *t = weft__task_new(&w->rt->tasks, &w->cache);
  if (weft__unlikely(!t)) return WEFT_ENOMEM;
  weft__task_set_fn(t, fn, site);
  t->arg = arg;
  weft__store_relaxed_ptr(&t->owner, owner);
  if (owner) weft__store_relaxed_ptr(&t->parent, w->current);
  if (weft__unlikely(opts != NULL)) {
    t->home = w->reserve ? &w->rt->workers[w->index] : w;
    r = weft__spawn_apply(t, opts);
    if (r < 0) {
      weft__task_unref(&w->rt->tasks, &w->cache, t, 2);
      return r;
    }
  }
  struct weft__task *cur = w->current; /* NULL where the runtime itself makes a task */
  if (weft__unlikely(cur && cur->has_opts) &&
      (cur->env || cur->heritage || (cur->odd & WEFT__STRAND)))
    inherit(cur, t, opts);
  weft__count(&w->counters.spawned);
  *ret = t;
  return 0;
}

int weft__spawn_make(struct weft__worker *w, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                     struct weft__owner *owner, const void *site, struct weft__task **ret) {
  return make(w, fn, arg, opts, owner, site, ret);
}

weft_task weft_spawn(weft_fn fn, void *arg, const weft_spawn_opts *opts) {
  struct weft__worker *w = weft__self();
  if (weft__unlikely(!w || !w->current)) return weft__handle_failed(weft__no_task());
  struct weft__task *t;
  int r = make(w, fn, arg, opts, NULL, __builtin_return_address(0), &t);
  if (weft__unlikely(r < 0)) return weft__handle_failed(r);
  weft_task h = weft__handle(t, weft__load_relaxed_u64(&t->word)); /* before it may run */
  weft__point();
  weft__push_unstarted(w, t);
  return h;
}

int weft_task_error(weft_task t) {
  return weft__handle_error(t);
}
