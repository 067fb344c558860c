/* Groups: tasks that are started together and end together. asyncio: TaskGroup.
 *
 *   weft_group g = WEFT_GROUP_INIT;
 *   for (int i = 0; i < n; i++)
 *     weft_group_spawn(&g, fetch, &jobs[i], NULL);
 *   return weft_group_join(&g);
 *
 * A group lives on the stack of the task that owns it and owns the tasks spawned into it. The frame
 * that holds it must not be left before weft_group_join or weft_group_exit has returned, on no
 * path, errors included: the children go on, and their ends are written to memory that is something
 * else by then. A forgotten join is a use after free, not an error that weft could return.
 *
 * By default the first child that fails cancels its siblings. Join always waits for every child,
 * also when its caller is cancelled; so arguments on the owner's stack are safe.
 *
 * When the owner does work of its own before it joins, it enters the group, and a failure
 * interrupts that work too, as in asyncio's `async with`:
 *
 *   weft_group g = WEFT_GROUP_INIT;
 *   weft_group_enter(&g);
 *   weft_group_spawn(&g, produce, &queue, NULL);
 *   r = consume(&queue);                 (WEFT_ECANCELED when produce has failed)
 *   return weft_group_exit(&g, r);       (what produce has failed with)
 *
 * Ending in two steps. The children of a group with .stoppable can be asked to finish:
 * weft_group_stop makes weft_stopping() true in them and in all that they have started, wakes who
 * waits for that, gives them some time, and cancels those who are left.
 *
 * After its join a group takes no more children: whoever spawns into it is told WEFT_ESTATE.
 * weft_group_done makes it new. */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <weft/awaitable.h>
#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

enum weft_group_policy {
  WEFT_GROUP_FAIL_FAST = 0, /* the first error cancels the other children and is join's result */
  WEFT_GROUP_COLLECT = 1,   /* nobody is cancelled; codes are read by weft_group_status */
};

/* One failure in a group. */
typedef struct weft_group_error {
  int code;
  unsigned index;   /* of the spawn, from 0; WEFT_GROUP_BODY: what weft_group_exit was given */
  const char *name; /* the task's, as the spawn was given it, or NULL */
} weft_group_error;

#define WEFT_GROUP_BODY (~0U)

/* Every field may be left zero. */
typedef struct weft_group_opts {
  enum weft_group_policy on_error;
  unsigned
      limit; /* most children alive at a time: weft_group_spawn waits for a place; 0: no limit */
  bool stoppable;           /* weft_group_stop may be used */
  weft_group_error *errors; /* where to keep failures, of max_errors places, as long as the group is
                               used; default: the group keeps the first four */
  unsigned max_errors;
} weft_group_opts;

enum { WEFT_GROUP_SIZE = 320 };

/* Opaque, valid when zeroed. Must not be copied or moved between the first spawn and join. */
typedef union weft_group {
  void *align_;
  uint64_t align64_;
  unsigned char opaque_[WEFT_GROUP_SIZE];
} weft_group;

#define WEFT_GROUP_INIT                                                                            \
  { 0 }

/* Makes an empty group of any memory and sets its options; a group that keeps the defaults needs no
 * init. Not for one that has children, or codes (weft_group_done). [any thread] [never suspends] */
void weft_group_init(weft_group *g, const weft_group_opts *opts);

/* The calling task owns the group, and what it does from now to weft_group_exit is the group's
 * body: when the group fails or is cancelled, the suspending call that the body is in, or its next
 * one, returns WEFT_ECANCELED. The exit takes that back. WEFT_ESTATE when it was entered or joined,
 * WEFT_ENOTASK. Without it a failure leaves the owner alone until it joins.
 * [task] [never suspends]. asyncio: TaskGroup.__aenter__ */
int weft_group_enter(weft_group *g);

/* Starts fn(arg) as a child. A failure is returned and remembered, so a loop of spawns need not
 * check: with FAIL_FAST it is an error of the group; with COLLECT it is the code of this index.
 * WEFT_ENOMEM, WEFT_EINVAL, WEFT_ECANCELED (the caller was cancelled while waiting for a place, or
 * the group is being cancelled: fn will not run, and that is no error of the group), WEFT_ESTATE
 * after the join (the group is as it was), WEFT_ENOTASK. Children may spawn into their group while
 * it is joined; with .limit a child that spawns keeps its own place while it waits for another.
 * When every child does, none of them would ever end: the last one is told WEFT_EDEADLK (fn will
 * not run, the group is as it was). So with .limit = 1 a child cannot spawn into its group.
 * [task] [suspends only with .limit] [cancel point only with .limit].
 * asyncio: TaskGroup.create_task */
int weft_group_spawn(weft_group *g, weft_fn fn, void *arg, const weft_spawn_opts *opts);

/* Waits until every child has ended, then returns 0 or, with FAIL_FAST, the first error. A child
 * that ended cancelled on its own is no error. When the caller is cancelled, the children are
 * cancelled and awaited; WEFT_ECANCELED unless a child had an error, which wins. With COLLECT 0,
 * WEFT_ECANCELED, or WEFT_ENOMEM when there was no room for some code. Without memory for the timer
 * of a deadline around it, it ends as when the caller is cancelled, with WEFT_ENOMEM.
 * WEFT_ESTATE when it was joined before, or another task is joining or has entered it; WEFT_ESELF
 * from a child.
 * [task, the one that owns the group] [suspends] [cancel point]. asyncio: TaskGroup.__aexit__ */
int weft_group_join(weft_group *g);

/* Join, with the code that the body ended with. An error of the body is one of the group's, after
 * those that came before it, and cancels the children (not with COLLECT); so does WEFT_ECANCELED,
 * which is the result unless there are errors, or the group itself interrupted the body. The count
 * of weft_cancelling is what it was without the group. [as weft_group_join]. asyncio: leaving
 * `async with` */
int weft_group_exit(weft_group *g, int code);

/* Cancels every child, and the body if the group was entered; join still has to be called. Returns
 * 0.
 * [any thread] [never suspends]. asyncio: TaskGroup.cancel (3.15) */
int weft_group_cancel(weft_group *g);

/* How many errors there are, in the order in which they happened: children that failed (also while
 * they were cancelled), failed spawns, the body. Writes the first `max` of those that are kept to
 * errors[]. The number is exact also when fewer are kept; the first one always is. Complete after
 * the join, and readable until weft_group_done. [task] [never suspends].
 * asyncio: ExceptionGroup.exceptions */
size_t weft_group_errors(weft_group *g, weft_group_error *errors, size_t max);

/* With COLLECT, after join: the code of the i-th weft_group_spawn (its own error if it failed), or
 * WEFT_EINVAL. [task] [never suspends] */
int weft_group_status(const weft_group *g, size_t index);

/* Gives back the codes that COLLECT kept, and makes a joined group new: empty, with its options.
 * Needed with COLLECT, and before a group is used again. [task] [never suspends] */
void weft_group_done(weft_group *g);

/* ---- ending in two steps ---- */

typedef struct weft_group_stopped {
  unsigned ended; /* children that ended between the request and the end of the grace */
  unsigned cut;   /* that had not ended and were cancelled */
} weft_group_stopped;

/* Asks the children to finish, waits until all have ended, at most for `grace` (WEFT_FOREVER:
 * without limit; zero or less: not at all), and cancels the rest. Returns 0 when none was left,
 * WEFT_ETIMEDOUT when some were cut, and writes how many to *ret (may be NULL). Children may still
 * be spawned during the grace; they find weft_stopping() true. When the caller is cancelled
 * meanwhile (WEFT_ECANCELED) or there is no memory for a timer (WEFT_ENOMEM) the children are
 * cancelled at once. The group still has to be joined, which may be in progress; a child that was
 * cut is no error. WEFT_ESTATE without .stoppable or after the join, WEFT_ESELF from a child (nor
 * may a task call it that a child waits for: it would wait for itself), WEFT_ENOTASK.
 * [task] [suspends] [cancel point] */
int weft_group_stop(weft_group *g, weft_ns grace, weft_group_stopped *ret);

/* True when the calling task was asked to finish: a group around it, its spawner, or their
 * spawners, was stopped. [any thread] [never suspends] */
bool weft_stopping(void);

/* Waits until weft_stopping(): 0, WEFT_ECANCELED, or WEFT_ENOMEM as weft_sleep. Where nobody can
 * ask, only a cancel ends it.
 * [task] [suspends] [cancel point] */
int weft_stop_wait(void);

/* The same as an awaitable, for weft_select and its kin: "the next item, or the request to finish".
 * Code 0. Good while the calling task lives. WEFT_ENOTASK is the code outside a task.
 * [any thread] [never suspends] */
weft_awaitable weft_stop_awaitable(void);

WEFT_END_DECLS
#endif
