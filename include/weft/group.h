/* Groups: tasks that are started together and end together. asyncio: TaskGroup.
 *
 *   weft_group g = WEFT_GROUP_INIT;
 *   for (int i = 0; i < n; i++)
 *     weft_group_spawn(&g, fetch, &jobs[i], NULL);
 *   return weft_group_join(&g);
 *
 * A group lives on the stack of the task that owns it and owns the tasks spawned into it. By default the
 * first child that fails cancels its siblings. Join always waits for every child, also when its caller
 * is cancelled; so arguments on the owner's stack are safe.
 */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

enum weft_group_policy {
  WEFT_GROUP_FAIL_FAST = 0, /* the first error cancels the other children and is join's result */
  WEFT_GROUP_COLLECT = 1,   /* nobody is cancelled; codes are read by weft_group_status */
};

/* Every field may be left zero. */
typedef struct weft_group_opts {
  enum weft_group_policy on_error;
  unsigned
      limit; /* most children alive at a time: weft_group_spawn waits for a place; 0: no limit */
} weft_group_opts;

enum { WEFT_GROUP_SIZE = 128 };

/* Opaque, valid when zeroed. Must not be copied or moved between the first spawn and join. */
typedef union weft_group {
  void *align_;
  uint64_t align64_;
  unsigned char opaque_[WEFT_GROUP_SIZE];
} weft_group;

#define WEFT_GROUP_INIT                                                                            \
  { 0 }

/* Empties the group and sets its options; a group that keeps the defaults needs no init.
 * [any thread] [never suspends] */
void weft_group_init(weft_group *g, const weft_group_opts *opts);

/* Starts fn(arg) as a child. A failure is returned and, with FAIL_FAST, remembered: join reports it, so a loop of spawns
 * need not check. WEFT_ENOMEM, WEFT_EINVAL, WEFT_ECANCELED (the caller was cancelled while waiting for a
 * place, or the group is being cancelled: fn will not run), WEFT_ENOTASK. Children may spawn into their
 * group while it is joined.
 * [task] [suspends only with .limit] [cancel point only with .limit]. asyncio: TaskGroup.create_task */
int weft_group_spawn(weft_group *g, weft_fn fn, void *arg, const weft_spawn_opts *opts);

/* Waits until every child has ended, then returns 0 or, with FAIL_FAST, the first error. A child that
 * ended cancelled on its own is no error. When the caller is cancelled, the children are cancelled and
 * awaited; WEFT_ECANCELED unless a child had an error, which wins. With COLLECT 0 or WEFT_ECANCELED.
 * The group is empty again afterwards (codes stay readable until weft_group_done or the next spawn).
 * [task, the one that owns the group] [suspends] [cancel point]. asyncio: TaskGroup.__aexit__ */
int weft_group_join(weft_group *g);

/* Cancels every child; join still has to be called. Returns 0.
 * [any thread] [never suspends] */
int weft_group_cancel(weft_group *g);

/* With COLLECT, after join: the code of the child that was spawned i-th, or WEFT_EINVAL.
 * [task] [never suspends] */
int weft_group_status(const weft_group *g, size_t index);

/* Gives back the codes that COLLECT kept. Not needed with FAIL_FAST. [task] [never suspends] */
void weft_group_done(weft_group *g);

WEFT_END_DECLS
#endif
