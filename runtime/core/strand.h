/* A strand: tasks of which one at a time runs, oldest first, whichever worker it is on.
 *
 * A strand is busy from the moment one of its tasks is put into a worker's queue until a worker that
 * has run one finds no other that could go on. While it is busy the others that become ready, or are
 * made, queue up in the strand; so at most one of its tasks is in any queue of the scheduler or running,
 * and that one is dealt with as any task. Whoever runs it passes the turn on when it leaves its stack.
 *
 * A task of a strand runs nothing on its own stack and never runs on another's (await.c): a switch away
 * is then the end of its own slice. What it spawns belongs to its strand (spawn.c); its timers are all
 * in one heap, so that they come due in one order. In exact mode, which is one strand, there is none.
 */
#ifndef WEFT_CORE_STRAND_H
#define WEFT_CORE_STRAND_H

#include <weft/strand.h>

#include "core/resource.h"
#include "core/task.h"

struct weft__timers;

struct weft_strand {
  struct weft__spin lock;      /* guards busy, head and tail */
  bool busy;                   /* one of its tasks is in a queue or runs */
  struct weft__task *head;     /* those that wait for their turn, through link[WEFT__LINK_READY] */
  struct weft__task *tail;     /* meaningless while head is NULL */
  weft__atomic_u32 refs;       /* its owner's and one for each of its tasks; as those of a task */
  uint64_t run;                /* constant: the id of its runtime */
  struct weft__timers *timers; /* constant: the heap of its tasks' deadlines; NULL in exact mode */
  struct weft__resource resource; /* its owner's; zeroed for one that has none */
};

/* Drops a reference. */
void weft__strand_unref(struct weft_strand *s);

/* Makes t, which is new and in no queue, a task of s; keeps it from being run inline. */
void weft__strand_join(struct weft_strand *s, struct weft__task *t);

/* t could go on. True when it is t's turn and the caller puts it into a queue; false when t waits in s. */
bool weft__strand_enter(struct weft_strand *s, struct weft__task *t);

/* The task whose turn it was has left its stack: the next one, for the caller to put into a queue, or
 * NULL. `again`, if not NULL, waits behind all others first. */
struct weft__task *weft__strand_next(struct weft_strand *s, struct weft__task *again);

#endif
