/* The call graph of a running program: which task waits for which, and which waits can never end.
 * asyncio counterparts: print_call_graph, capture_call_graph, `python -m asyncio ps` and `pstree`.
 *
 *   weft_graph_print(weft_runtime_current(), WEFT_GRAPH_TREE, stderr);
 *
 *     #1 'main': waiting for a group at main_task+0x51 (app.c:33)
 *     |-- #2 'left': waiting for a lock
 *     |   `-- holder #3 'right': waiting for a lock
 *     |       `-- holder #2 'left': see above
 *     `-- #3 'right': see above
 *     2 tasks wait for each other for ever, unless somebody else releases the lock:
 *       #2 'left', spawned at main+0x4f (app.c:31), waits for a lock held by #3 'right'
 *       #3 'right', spawned at main+0x6a (app.c:32), waits for a lock held by #2 'left'
 *
 * All of it is a snapshot, taken from any task or thread while the others go on: each line is true
 * of some moment of the call. A wait that is called endless is one of a circle, or leads to one,
 * whose tasks were all waiting at one moment, none of them with a deadline. (A task awaited under a
 * timeout scope shows "with a deadline" and is no part of a circle: it ends.)
 *   - Where tasks await each other, directly or by their groups, only a cancel from outside can end
 *     it: it is certain.
 *   - Where one waits for a lock, it is so as long as locks are released by those who hold them, as
 *     nearly every program does it. But any task or thread may release a lock (weft/sync.h), and
 *     which will cannot be known: such a circle is reported "unless somebody else releases the
 *     lock". The same goes for a lock whose holder has ended.
 *
 * In debug mode (weft/debug.h) the runtime looks for circles by itself.
 */
#ifndef WEFT_GRAPH_H
#define WEFT_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <weft/decls.h>
#include <weft/run.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/* One task. Everything it points to is valid during the visit only. */
typedef struct weft_graph_task {
  weft_task task;        /* borrowed; it may end at any moment */
  uint32_t number;       /* in this snapshot, from 1 */
  const char *name;      /* .name of its spawn, or NULL */
  const char *function;  /* what it runs, as text */
  const char *site;      /* where it was spawned */
  const char *state;     /* "not begun", "running" (or ready to), "waiting" */
  const char *waits_for; /* "a lock"; NULL when it does not wait */
  const void *object;    /* the lock; NULL where there is none to name */
  const char *place;     /* where in the program the call stands in which it waits; NULL: unknown */
  bool deadline;         /* its wait ends by itself at some time */
  bool endless;          /* its wait can never end, if locks are released by their holders only */
  bool certain;          /* and not even if they are not: only a cancel ends it */
  size_t awaits;         /* edges from it */
  size_t awaited_by;     /* edges to it */
} weft_graph_task;

/* How one task depends on another. */
typedef enum weft_graph_via {
  WEFT_GRAPH_AWAIT, /* waits for its end: await, gather, wait, shield, as_completed ... */
  WEFT_GRAPH_GROUP, /* joins the group that it belongs to */
  WEFT_GRAPH_CHILD, /* spawned it into a group and will join it; does not wait for it now */
  WEFT_GRAPH_LOCK,  /* waits for a lock that it holds */
} weft_graph_via;

typedef struct weft_graph_edge {
  weft_task waiter, awaited;
  weft_graph_via via;
  const void *object; /* the lock */
  bool endless;       /* both ends wait for ever */
} weft_graph_edge;

/* Either may be NULL. A value other than 0 ends the walk, which returns it. */
typedef struct weft_graph_visitor {
  int (*task)(const weft_graph_task *task, void *arg);
  int (*edge)(const weft_graph_edge *edge, void *arg);
} weft_graph_visitor;

/* Visits every task that has not ended, then every edge. 0, what a visit returned, WEFT_ENOMEM, or
 * WEFT_ECLOSED when rt names no runtime that runs (or
 * WEFT_EBUSY from outside a simulated one). The visits happen on a copy: they may take time, and
 * may suspend in a task.
 * [any thread] [suspends only if a visit does] */
int weft_graph_walk(weft_runtime rt, const weft_graph_visitor *visitor, void *arg);

/* Ways to write a graph down. */
typedef enum weft_graph_form {
  WEFT_GRAPH_TREE,  /* who awaits is above whom it awaits; endless waits follow. asyncio: pstree */
  WEFT_GRAPH_TABLE, /* a line for each task. asyncio: ps */
  WEFT_GRAPH_ENDLESS, /* only the endless waits; nothing when there are none */
} weft_graph_form;

/* Gets one line of text, without a newline at its end. Must not suspend. */
typedef void (*weft_graph_line_fn)(const char *line, void *arg);

/* Writes the graph line by line. Returns how many tasks there are (of ENDLESS: how many wait for
 * ever), WEFT_ENOMEM, WEFT_EINVAL or WEFT_ECLOSED.
 * [any thread] [never suspends]. asyncio: pstree, ps */
int weft_graph_lines(weft_runtime rt, weft_graph_form form, weft_graph_line_fn fn, void *arg);
int weft_graph_print(weft_runtime rt, weft_graph_form form, FILE *out);

/* Writes who awaits t, who awaits those, and so on: the way from t up to the task that waits for
 * all of it. Returns the number of lines, WEFT_ESTALE, WEFT_ENOMEM, or the error of a handle.
 * [any thread that keeps t's runtime from ending: one of its tasks, say] [never suspends].
 * asyncio: print_call_graph, capture_call_graph */
int weft_graph_awaiters(weft_task t, weft_graph_line_fn fn, void *arg);

/* Fills tasks[0..max) with borrowed handles of those whose waits are endless, a circle's members
 * next to each other, and returns how many there are (may exceed max); WEFT_ENOMEM, WEFT_ECLOSED.
 * Among them are those that go on if a lock is released by one who does not hold it:
 * weft_graph_walk tells which waits are certain.
 * [any thread] [never suspends] */
int weft_graph_endless(weft_runtime rt, weft_task *tasks, size_t max);

WEFT_END_DECLS
#endif
