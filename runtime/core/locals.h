/* Task-locals: what a task has from its spawner beside its argument.
 *
 * The values of a task are an immutable map: a set makes a new version and leaves the old one to the
 * tasks that share it. So a spawn copies one pointer and raises one count, and what either side sets
 * afterwards is its own. An explicit context (weft_context) is a holder of such a map, which may be
 * shared: who runs in it changes the holder.
 *
 * An environment (weft__env) is one of the two, or empty. It is a task's own: read and written by the
 * task, given by its spawner before it may run, dropped with its memory.
 */
#ifndef WEFT_CORE_LOCALS_H
#define WEFT_CORE_LOCALS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/local.h>

#include "base/atomics.h"
#include "base/spin.h"

/* A value whose local has a free function. */
struct weft__local_value {
  weft__atomic_u32 refs; /* acq_rel drops: the last one frees after all the others' uses */
  void (*free_value)(void *value);
  void *value;
};

struct weft__local_entry {
  const weft_local *local;
  void *value;
  struct weft__local_value *owned; /* or NULL: the value is not freed by anybody */
};

/* Constant but for refs. Entries are sorted by the address of the local. */
struct weft__locals {
  weft__atomic_u32 refs; /* as above */
  uint32_t n;
  struct weft__local_entry entries[];
};

struct weft_context {
  weft__atomic_u32 refs;    /* the program's, and one for each task that runs in it */
  struct weft__spin lock;   /* guards map */
  struct weft__locals *map; /* or NULL: empty */
};

/* 0, a map, or a context with bit 0 set; with a reference. */
typedef uintptr_t weft__env;

/* A reference to the map in env as it is now, or NULL. */
struct weft__locals *weft__env_map(weft__env env);

/* What a task gets that is created in env: a map of its own. */
static inline weft__env weft__env_inherit(weft__env env) {
  return env ? (weft__env)weft__env_map(env) : 0;
}

/* An environment that runs in ctx, with a reference. */
weft__env weft__env_of_context(struct weft_context *ctx);

/* Drops the reference; values that nobody has any more are freed. */
void weft__env_drop(weft__env env);

void weft__locals_drop(struct weft__locals *map);
void weft__local_value_drop(struct weft__local_value *owned);

/* The entry of the local, or NULL. */
const struct weft__local_entry *weft__locals_find(const struct weft__locals *map,
                                                  const weft_local *local);

/* Gives the local a value in *env, taking a reference of `owned` over. 0 or WEFT_ENOMEM. With ret_old
 * also what it had before, whose `owned` the caller then has a reference to; ret_old->local is NULL when
 * there was none. */
int weft__env_set(weft__env *env, const struct weft__local_entry *entry,
                  struct weft__local_entry *ret_old);

/* Takes the local out of *env. 0 or WEFT_ENOMEM. */
int weft__env_unset(weft__env *env, const weft_local *local);

#endif
