#include "core/locals.h"

#include <string.h>

#include <weft/errors.h>

#include "base/memory.h"

#define SHARED ((weft__env)1)

static struct weft_context *context_of(weft__env env) {
  return env & SHARED ? (struct weft_context *)(env & ~SHARED) : NULL;
}

static struct weft__locals *map_of(weft__env env) {
  return (struct weft__locals *)env;
}

static struct weft__locals *locals_ref(struct weft__locals *map) {
  if (map) weft__add_relaxed_u32(&map->refs, 1);
  return map;
}

void weft__local_value_drop(struct weft__local_value *owned) {
  if (!owned || weft__sub_u32(&owned->refs, 1) != 1) return;
  owned->free_value(owned->value);
  weft__free(owned);
}

void weft__locals_drop(struct weft__locals *map) {
  if (!map || weft__sub_u32(&map->refs, 1) != 1) return;
  for (uint32_t i = 0; i < map->n; i++) weft__local_value_drop(map->entries[i].owned);
  weft__free(map);
}

struct weft__locals *weft__env_map(weft__env env) {
  struct weft_context *ctx = context_of(env);
  if (!ctx) return locals_ref(map_of(env));
  weft__spin_lock(&ctx->lock);
  struct weft__locals *map = locals_ref(ctx->map);
  weft__spin_unlock(&ctx->lock);
  return map;
}

weft__env weft__env_of_context(struct weft_context *ctx) {
  weft__add_relaxed_u32(&ctx->refs, 1);
  return (weft__env)ctx | SHARED;
}

void weft__env_drop(weft__env env) {
  struct weft_context *ctx = context_of(env);
  if (!ctx) {
    weft__locals_drop(map_of(env));
  } else if (weft__sub_u32(&ctx->refs, 1) == 1) {
    weft__locals_drop(ctx->map);
    weft__free(ctx);
  }
}

/* Puts a new version in the place of the one that it was made from, and drops the caller's reference to
 * that; false if somebody else has been faster. */
static bool replace(weft__env *env, struct weft__locals *old, struct weft__locals *new) {
  struct weft_context *ctx = context_of(*env);
  bool same = true;
  if (ctx) {
    weft__spin_lock(&ctx->lock);
    same = ctx->map == old;
    if (same) ctx->map = new;
    weft__spin_unlock(&ctx->lock);
  } else {
    *env = (weft__env) new;
  }
  if (same) weft__locals_drop(old); /* the environment's reference, which new has replaced */
  weft__locals_drop(old);
  return same;
}

static uint32_t place_of(const struct weft__locals *map, const weft_local *local) {
  uint32_t i = 0;
  while (map && i < map->n && (uintptr_t)map->entries[i].local < (uintptr_t)local) i++;
  return i;
}

const struct weft__local_entry *weft__locals_find(const struct weft__locals *map,
                                                  const weft_local *local) {
  uint32_t i = place_of(map, local);
  return map && i < map->n && map->entries[i].local == local ? &map->entries[i] : NULL;
}

/* A version of old (or of nothing) without the local, and with the entry in its place unless that is
 * NULL. */
static struct weft__locals *new_version(const struct weft__locals *old, const weft_local *local,
                                        const struct weft__local_entry *entry) {
  uint32_t at = place_of(old, local), n = old ? old->n : 0;
  uint32_t had = weft__locals_find(old, local) ? 1 : 0, have = entry ? 1 : 0;
  struct weft__locals *map = weft__alloc(sizeof *map + (n - had + have) * sizeof *entry);
  if (!map) return NULL;
  weft__store_relaxed_u32(&map->refs, 1);
  map->n = n - had + have;
  if (at) memcpy(map->entries, old->entries, at * sizeof *entry);
  if (entry) map->entries[at] = *entry;
  if (n - had > at)
    memcpy(map->entries + at + have, old->entries + at + had, (n - had - at) * sizeof *entry);
  for (uint32_t i = 0; i < map->n; i++)
    if (map->entries[i].owned) weft__add_relaxed_u32(&map->entries[i].owned->refs, 1);
  return map;
}

static int change(weft__env *env, const weft_local *local, const struct weft__local_entry *entry,
                  struct weft__local_entry *ret_old) {
  struct weft__local_entry before;
  for (bool done = false; !done;) {
    struct weft__locals *old = weft__env_map(*env);
    const struct weft__local_entry *had = weft__locals_find(old, local);
    before = had ? *had : (struct weft__local_entry){0};
    struct weft__locals *new = new_version(old, local, entry);
    if (!new) {
      weft__locals_drop(old);
      return WEFT_ENOMEM;
    }
    if (before.owned) weft__add_relaxed_u32(&before.owned->refs, 1);
    done = replace(env, old, new);
    if (done) break;
    weft__local_value_drop(before.owned);
    weft__locals_drop(new);
  }
  if (ret_old)
    *ret_old = before;
  else
    weft__local_value_drop(before.owned);
  return 0;
}

int weft__env_set(weft__env *env, const struct weft__local_entry *entry,
                  struct weft__local_entry *ret_old) {
  int r = change(env, entry->local, entry, ret_old);
  if (r == 0) weft__local_value_drop(entry->owned); /* the maps have their own references */
  return r;
}

int weft__env_unset(weft__env *env, const weft_local *local) {
  return change(env, local, NULL, NULL);
}
