/* Task-locals and contexts, the public side. The maps are core's (core/locals.h). */
#include <weft/local.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "core/locals.h"
#include "core/self.h"
#include "core/task.h"

/* Fills an entry; a value that is to be freed gets its count. 0 or WEFT_ENOMEM. */
static int make_entry(struct weft__local_entry *e, const weft_local *local, void *value) {
  *e = (struct weft__local_entry){.local = local, .value = value};
  if (!local->free_value) return 0;
  e->owned = weft__alloc(sizeof *e->owned);
  if (!e->owned) return WEFT_ENOMEM;
  weft__store_relaxed_u32(&e->owned->refs, 1);
  e->owned->free_value = local->free_value;
  e->owned->value = value;
  return 0;
}

static int set_in(weft__env *env, const weft_local *local, void *value,
                  struct weft__local_entry *ret_old) {
  struct weft__local_entry e;
  int r = make_entry(&e, local, value);
  if (r < 0) return r;
  r = weft__env_set(env, &e, ret_old);
  if (r < 0) weft__free(e.owned); /* not the value: it is still the caller's */
  return r;
}

/* Where t's values are: the explicit context that it runs in, or the task itself. */
static void where(struct weft__task *t, uintptr_t *ret, uint64_t *ret_key) {
  bool shared = t->env & 1;
  *ret = shared ? t->env : (uintptr_t)t;
  *ret_key = shared ? 0 : weft__word_key(weft__load_relaxed_u64(&t->word));
}

int weft_local_set(const weft_local *local, void *value, weft_local_token *ret_token) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!local) return WEFT_EINVAL;
  struct weft__local_entry old;
  int r = set_in(&t->env, local, value, ret_token ? &old : NULL);
  if (r < 0) return r;
  t->has_opts = true;
  if (!ret_token) return 0;
  *ret_token = (weft_local_token){.local_ = local, .open_ = true};
  ret_token->had_ = old.local != NULL;
  ret_token->value_ = old.value;
  ret_token->owned_ = old.owned;
  where(t, &ret_token->where_, &ret_token->key_);
  return 0;
}

int weft_local_reset(weft_local_token *token) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!token->open_) return WEFT_ESTATE;
  uintptr_t here;
  uint64_t key;
  where(t, &here, &key);
  if (here != token->where_ || key != token->key_) return WEFT_EINVAL;
  struct weft__local_entry e = {
      .local = token->local_, .value = token->value_, .owned = token->owned_};
  int r = token->had_ ? weft__env_set(&t->env, &e, NULL) : weft__env_unset(&t->env, e.local);
  if (r == 0) token->open_ = false;
  return r;
}

void weft_local_keep(weft_local_token *token) {
  if (!token->open_) return;
  token->open_ = false;
  weft__local_value_drop(token->owned_);
}

static void *get_in(weft__env env, const weft_local *local, void *fallback) {
  const struct weft__local_entry *e;
  if (!(env & 1)) { /* the task's own map: nobody else changes it */
    e = weft__locals_find((struct weft__locals *)env, local);
    return e ? e->value : fallback;
  }
  struct weft__locals *map = weft__env_map(env);
  e = weft__locals_find(map, local);
  void *value = e ? e->value : fallback;
  weft__locals_drop(map);
  return value;
}

void *weft_local_get(const weft_local *local, void *fallback) {
  struct weft__task *t = weft__current_task();
  return t && t->env ? get_in(t->env, local, fallback) : fallback;
}

/* ---- contexts ---- */

static int make_context(struct weft__locals *map, weft_context **ret) {
  if (weft__in_child()) return WEFT_ECHILD; /* no task is current there, so there is no map */
  weft_context *ctx = weft__zalloc(sizeof *ctx);
  if (!ctx) {
    weft__locals_drop(map);
    return WEFT_ENOMEM;
  }
  weft__store_relaxed_u32(&ctx->refs, 1);
  ctx->map = map;
  *ret = ctx;
  return 0;
}

int weft_context_new(weft_context **ret) {
  return make_context(NULL, ret);
}

int weft_context_copy(weft_context **ret) {
  struct weft__task *t = weft__current_task();
  return make_context(t ? weft__env_map(t->env) : NULL, ret);
}

/* Drops one reference. */
static void drop_context(weft_context *ctx) {
  weft__env_drop((weft__env)ctx | 1);
}

void weft_context_free(weft_context *ctx) {
  if (ctx) drop_context(ctx);
}

int weft_context_run(weft_context *ctx, weft_fn fn, void *arg) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!ctx || !fn) return WEFT_EINVAL;
  weft__env saved = t->env;
  t->env = weft__env_of_context(ctx);
  t->has_opts = true;
  t->contexts++;
  int code = fn(arg);
  t->contexts--;
  weft__env_drop(t->env);
  t->env = saved;
  return code;
}

void *weft_context_get(weft_context *ctx, const weft_local *local, void *fallback) {
  return get_in((weft__env)ctx | 1, local, fallback);
}

int weft_context_set(weft_context *ctx, const weft_local *local, void *value) {
  weft__env env = (weft__env)ctx | 1;
  if (weft__in_child()) return WEFT_ECHILD; /* its lock may be held by a thread that is not here */
  return ctx && local ? set_in(&env, local, value, NULL) : WEFT_EINVAL;
}
