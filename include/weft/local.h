/* Task-locals: values that belong to a task and go on to the tasks it starts. asyncio: contextvars.
 *
 *   static weft_local user = WEFT_LOCAL_INIT("user", NULL);
 *
 *   weft_local_set(&user, u, NULL);
 *   weft_group_spawn(&g, handle, request, NULL);     (handle and all it starts see u)
 *   struct user *who = weft_local_get(&user, NULL);
 *
 * A task gets a copy of its spawner's values when it is created; what either sets afterwards is its
 * own. A copy is one pointer, however many values there are. A task that is awaited before anyone
 * began it, and so runs on its awaiter's stack, has its own values as any other. Tasks that
 * weft_submit makes begin with none.
 *
 * Values. A local may have a function that frees its values: it is called once per weft_local_set,
 * when the last task or context that has the value is gone (for a task: ended, and its handle
 * consumed). It may run on any thread of the runtime and must not suspend. Without that function a
 * value is only a pointer, and the program sees to it that it lives long enough.
 *
 * Contexts. A weft_context holds values outside of any task. What runs in it, by weft_context_run
 * or .context of weft_spawn_opts, reads and sets the context's values, not a copy; several tasks
 * may do so at once. Then do not set a local with a function that frees: one task's set may free
 * the value that another has just got and still uses. Share a context when its values are never
 * freed, or never set while it is shared.
 */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

/* A key; its address is its identity. Define it static, or let it live as long as any value of
 * it. */
typedef struct weft_local {
  const char *name;                /* for whoever looks at it in a debugger */
  void (*free_value)(void *value); /* NULL: values are not freed */
} weft_local;

#define WEFT_LOCAL_INIT(name, free_value)                                                          \
  { (name), (free_value) }

/* What a set has replaced. The fields are the runtime's. A token that was written is to be used
 * once, by weft_local_reset or weft_local_keep: it may hold the old value. */
typedef struct weft_local_token {
  const weft_local *local_;
  void *value_;
  void *owned_;
  uintptr_t where_;
  uint64_t key_;
  bool had_;
  bool open_;
} weft_local_token;

/* Gives the local a value in the calling task (or in the context that it runs in). ret_token, which
 * may be NULL, gets what weft_local_reset needs. WEFT_ENOTASK, WEFT_EINVAL for no local, or
 * WEFT_ENOMEM: then nothing has changed and the value is still the caller's.
 * [task] [never suspends]. asyncio: ContextVar.set */
int weft_local_set(const weft_local *local, void *value, weft_local_token *ret_token);

/* The value, or `fallback` when the local has none here, as always outside a task. It stays valid
 * until the task sets or resets the local. In a context that several tasks share it stays so only
 * until any of them does: with .free_value the value may be freed while the caller looks at it, and
 * weft cannot keep it (see Contexts above).
 * [any thread] [never suspends]. asyncio: ContextVar.get */
void *weft_local_get(const weft_local *local, void *fallback);

/* Brings back what the set that wrote the token has replaced: the old value, or none. WEFT_ESTATE
 * when the token was used already, WEFT_EINVAL when it is of another task or context, WEFT_ENOMEM,
 * WEFT_ENOTASK: the token then stays as it is.
 * [task] [never suspends]. asyncio: ContextVar.reset */
int weft_local_reset(weft_local_token *token);

/* Gives the token up: the value that was set stays. Nothing to do for one that was used.
 * [any thread] [never suspends] */
void weft_local_keep(weft_local_token *token);

typedef struct weft_context weft_context;

/* An empty context. 0 or WEFT_ENOMEM. [any thread] [never suspends]. asyncio: Context() */
int weft_context_new(weft_context **ret);

/* A context with the values of the calling task as they are now; an empty one outside a task. 0 or
 * WEFT_ENOMEM. [any thread] [never suspends]. asyncio: copy_context */
int weft_context_copy(weft_context **ret);

/* Gives it up; tasks that run in it keep it for themselves. NULL is allowed.
 * [any thread] [never suspends] */
void weft_context_free(weft_context *ctx);

/* Calls fn(arg) in the calling task, in this context; returns its code, or WEFT_ENOTASK or
 * WEFT_EINVAL. fn may suspend. Unlike in Python a context may be entered by several at once, and
 * again from inside.
 * [task] [suspends if fn does]. asyncio: Context.run */
int weft_context_run(weft_context *ctx, weft_fn fn, void *arg);

/* The value in the context, or `fallback`. Valid until anybody sets the local there, as said of
 * weft_local_get. [any thread] [never suspends]. asyncio: Context.get */
void *weft_context_get(weft_context *ctx, const weft_local *local, void *fallback);

/* Gives the local a value in the context, as weft_local_set does in a task: for threads outside the
 * runtime, before a weft_submit with .context. 0, WEFT_EINVAL or WEFT_ENOMEM.
 * [any thread] [never suspends] */
int weft_context_set(weft_context *ctx, const weft_local *local, void *value);

WEFT_END_DECLS
#endif
