/* A copy of who waits for whom, taken while all go on.
 *
 * What each task waits for is read from the task itself, who waits for a task's end from its list of
 * watchers under its lock. A wait that was the same (ticket) before and after the reading was read truly:
 * what a wait is for does not change during it. So when all tasks of a set had the same waits before the
 * first edge was read and after the last, there was a moment at which all those edges were there.
 */
#ifndef WEFT_INSIGHT_GRAPH_H
#define WEFT_INSIGHT_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/graph.h>

#include "core/task.h"

enum { WEFT__GRAPH_NAME = 48, WEFT__NO_NODE = UINT32_MAX };

struct weft__graph_node {
  struct weft__task *task;
  uint64_t word;                      /* as first read */
  const struct weft__wait_kind *kind; /* what it waits for; NULL when it does not */
  const void *object;
  const void *owner; /* of its group, or NULL: only to be compared */
  struct weft__task *parent;
  const void *fn, *site;
  char name[WEFT__GRAPH_NAME]; /* empty: it has none */
  bool deadline;
  bool orphaned;  /* waits for a lock whose holder has ended */
  bool any;       /* one of several may end its wait, or something that is no task */
  bool fail_fast; /* an error of one of several ends it */
  bool
      endless; /* only a cancel ends its wait, or a release of a lock by one who does not hold it */
  bool certain;       /* and not even that */
  uint32_t need;      /* of several: how many have to be over */
  uint32_t first_out; /* its edges: out[first_out .. + outs) */
  uint32_t outs;
  uint32_t first_in; /* edges to it, as places in `in` */
  uint32_t ins;
};

struct weft__graph_link {
  uint32_t from, to; /* places in nodes */
  weft_graph_via via;
};

struct weft__graph {
  struct weft__runtime *rt;
  struct weft__graph_node *nodes; /* by address of the task */
  uint32_t n;
  struct weft__graph_link *links; /* by from */
  uint32_t nlinks, capacity;
  uint32_t *in; /* places of links, by to */
};

/* Fills *ret: the tasks of rt that live, their edges, and which of them wait for ever. The caller keeps
 * rt from ending. 0 or WEFT_ENOMEM. */
int weft__graph_take(struct weft__graph *ret, struct weft__runtime *rt);
void weft__graph_free(struct weft__graph *g);

/* Marks the endless and the certain waits; by weft__graph_take. 0 or WEFT_ENOMEM. */
int weft__graph_mark_endless(struct weft__graph *g);

/* The task's wait is the one that n tells of. */
static inline bool weft__graph_same_wait(const struct weft__graph_node *n) {
  uint64_t word = weft__load_acquire_u64(&n->task->word);
  return (word & WEFT__TICKET_MASK) == (n->word & WEFT__TICKET_MASK) &&
         weft__word_phase(word) == weft__word_phase(n->word);
}

/* The place of the task, or WEFT__NO_NODE. */
uint32_t weft__graph_find(const struct weft__graph *g, const struct weft__task *t);

/* Calls fn for each circle of endless waits, with its links in order. Returns 0 or WEFT_ENOMEM. */
typedef void (*weft__graph_circle_fn)(const struct weft__graph *g,
                                      const struct weft__graph_link *const *links, uint32_t n,
                                      void *arg);
int weft__graph_circles(const struct weft__graph *g, weft__graph_circle_fn fn, void *arg);

/* Writes the endless waits as lines of text; nothing when there are none. 0 or WEFT_ENOMEM. */
int weft__graph_write_endless(const struct weft__graph *g, weft_graph_line_fn fn, void *arg);

/* weft_graph_lines of a runtime that the caller keeps from ending. */
int weft__graph_lines_of(struct weft__runtime *rt, weft_graph_form form, weft_graph_line_fn fn,
                         void *arg);

/* "#3 'name'" */
void weft__graph_label(const struct weft__graph *g, uint32_t node, char *buf, size_t size);
/* Where in the program the call stands in which n waits, as text; "" when that cannot be told, or when it
 * waits no more. */
void weft__graph_place(const struct weft__graph_node *n, char *buf, size_t size);

/* "waiting for a lock, with a deadline" */
void weft__graph_state(const struct weft__graph_node *n, char *buf, size_t size);

#endif
