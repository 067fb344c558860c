/* Looking at the call graph in a test: edges by the names of the tasks, and the lines of text. */
#ifndef WEFT_TEST_GRAPH_LOOK_H
#define WEFT_TEST_GRAPH_LOOK_H

#include <stdio.h>
#include <string.h>
#include <weft.h>

#include "latch.h"
#include "weft_test.h"

struct look {
  const char *from, *to;
  weft_graph_via via;
  int found;   /* edges */
  int endless; /* of them */
};

static inline bool is_named(weft_task t, const char *name) {
  const char *has = weft_task_name(t);
  return has && strcmp(has, name) == 0;
}

static inline int look_at_edge(const weft_graph_edge *e, void *arg) {
  struct look *l = arg;
  if (e->via != l->via || !is_named(e->waiter, l->from) || !is_named(e->awaited, l->to)) return 0;
  l->found++;
  l->endless += e->endless;
  return 0;
}

static inline struct look look_for(const char *from, const char *to, weft_graph_via via) {
  struct look l = {.from = from, .to = to, .via = via};
  CHECK_INT(
      weft_graph_walk(weft_runtime_current(), &(weft_graph_visitor){.edge = look_at_edge}, &l), 0);
  return l;
}

/* Returns when the edge is there, and checks that it is there once. */
static inline void wait_for_edge(const char *from, const char *to, weft_graph_via via) {
  int rounds = 0;
  struct look l;
  while ((l = look_for(from, to, via)).found == 0 && latch_turn(&rounds) == 0) {}
  CHECK_INT(l.found, 1);
}

/* Returns when n waits are endless. */
static inline void wait_for_endless(int n) {
  int rounds = 0, r;
  while ((r = weft_graph_endless(weft_runtime_current(), NULL, 0)) < n &&
         latch_turn(&rounds) == 0) {}
  CHECK_INT(r, n);
}

/* The task of that name. */
struct named {
  const char *name;
  int found;
  bool deadline, endless, certain;
  char state[32], waits_for[48];
};

static inline int look_at_task(const weft_graph_task *t, void *arg) {
  struct named *n = arg;
  if (!t->name || strcmp(t->name, n->name) != 0) return 0;
  n->found++;
  n->deadline = t->deadline;
  n->endless = t->endless;
  n->certain = t->certain;
  snprintf(n->state, sizeof n->state, "%s", t->state);
  snprintf(n->waits_for, sizeof n->waits_for, "%s", t->waits_for ? t->waits_for : "-");
  return 0;
}

static inline struct named find_named(const char *name) {
  struct named n = {.name = name};
  CHECK_INT(
      weft_graph_walk(weft_runtime_current(), &(weft_graph_visitor){.task = look_at_task}, &n), 0);
  return n;
}

/* Returns when the task waits for such a thing. */
static inline void wait_for_state(const char *name, const char *waits_for) {
  int rounds = 0;
  while (strcmp(find_named(name).waits_for, waits_for) != 0 && latch_turn(&rounds) == 0) {}
}

/* Text, lines joined. */
struct page {
  char text[16384];
  size_t at;
};

static inline void page_line(const char *line, void *arg) {
  struct page *p = arg;
  int n = snprintf(p->text + p->at, sizeof p->text - p->at, "%s\n", line);
  if (n > 0 && (size_t)n < sizeof p->text - p->at) p->at += (size_t)n;
}

/* Where the first text stands before the second. */
static inline bool stands_before(const struct page *p, const char *first, const char *second) {
  const char *at = strstr(p->text, first);
  return at && strstr(at, second);
}

#endif
