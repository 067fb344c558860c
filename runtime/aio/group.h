/* Groups of tasks, inside. A group is the owner (core/task.h) of its children: each tells it of its end.
 * All of the group is guarded by its lock; the owner task leaves join only after it has had the lock
 * with no child alive, so that the last child has let go of the group's memory by then.
 *
 * group.c makes children and takes their ends, group_exit.c is what the owner does.
 */
#ifndef WEFT_AIO_GROUP_H
#define WEFT_AIO_GROUP_H

#include <weft/group.h>

#include "core/task.h"
#include "core/waitq.h"

struct weft__stop;

enum { WEFT__GROUP_ERRORS = 4 };

struct weft__group {
  struct weft__owner owner; /* child_done NULL: nothing was spawned yet, and only options are set */
  struct weft__spin lock;   /* guards the rest */
  uint32_t live;            /* children, and places held for spawns that wait */
  uint32_t holds;           /* stops in progress, which the join waits for, too */
  /* Options. */
  uint32_t limit;
  bool collect;
  bool stoppable;
  /* State. */
  bool aborting; /* children were cancelled; no more are taken */
  bool joining;
  bool joined;
  bool interrupted;            /* the body was cancelled by this group */
  bool body_was_pending;       /* when it entered: a cancel was undelivered, */
  bool body_was_sticky;        /* or delivered and not caught */
  bool asked;                  /* to finish */
  uint32_t body_count;         /* cancel requests of the body when it entered */
  struct weft__task *body;     /* who has entered and not begun to leave, or NULL */
  int first_error;             /* of those that are join's result */
  struct weft__list children;  /* through siblings */
  struct weft__waitq spawners; /* waiting for a place */
  uint32_t stuck;              /* children among them that nothing but a place or a cancel wakes */
  struct weft__waitq stoppers; /* waiting for the last child */
  struct weft__task *joiner;   /* whose wait `ticket` is, or NULL */
  weft__ticket ticket;
  struct weft__stop *stop; /* what the children see, or NULL; with a reference, until the join */
  uint32_t ended;          /* children that have; wraps */
  uint32_t spawned;        /* spawns: the next index */
  /* Of COLLECT, by index of spawn. */
  int *codes;
  uint32_t capacity;
  /* Failures, as far as there is room. */
  uint32_t nerrors;
  uint32_t max_errors;
  weft_group_error *errors; /* the program's, or NULL: few */
  weft_group_error few[WEFT__GROUP_ERRORS];
};
_Static_assert(sizeof(struct weft__group) <= WEFT_GROUP_SIZE, "weft_group is large enough");

static inline struct weft__group *weft__group_of(weft_group *g) {
  return (struct weft__group *)(void *)g;
}

/* The functions below are called with the lock held. */

/* Makes what is not zero in a group that was zeroed. */
void weft__group_begin(struct weft__group *g);

/* Cancels the children, and the body if there is one. */
void weft__group_abort(struct weft__group *g, const char *reason);

/* Counts a failure and keeps it if there is room. */
void weft__group_note(struct weft__group *g, int code, unsigned index, const char *name);

/* Ends join's wait if nobody is alive; returns the task to make ready, or NULL. */
struct weft__task *weft__group_wake_joiner(struct weft__group *g);

#endif
