/* Between the parts of the explorer: the search (explore.c) decides, a run (run.c) carries out, the
 * trace (trace.c) tells. */
#ifndef WEFT_TESTS_EXPLORE_H
#define WEFT_TESTS_EXPLORE_H

#include <limits.h>

#include "memory.h"
#include "model.h"

/* What one run is told, and what it reports. */
struct run {
  const struct model *model;
  const struct memory *memory;
  const struct model_bounds *bounds;
  int preemptions; /* the bound of this round */
  bool tracing;
  bool cut;    /* the bound has hidden a possibility */
  bool failed; /* why says how */
  char why[256];
  int used; /* preemptions */
  uint64_t steps;
};

/* Runs the model once from the start, to its end or until explore_known() ends it. */
void run_model(struct run *run);

/* True when the state was seen before with at least as many preemptions left: nothing new can
 * follow. Asked at every point where the scheduler chooses. */
bool explore_known(uint64_t (*hash)(void), int used);

/* The orderings that the code under test asked for, while somebody collects them. */
struct site {
  const void *at;   /* return address into the code */
  const char *what; /* "load", ... */
  int order;        /* enum weft__model_order; for a fence its kind */
};
extern bool sites_collecting;
void sites_add(const void *at, const char *what, int order);

void trace_start(const struct model *m);
void trace_line(const char *thread, bool preempted, const void *site, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The lines as text, each with file and line of its operation where they can be found out. */
const char *trace_text(void);

/* Where a return address is in the source. */
struct place {
  char file[PATH_MAX]; /* "?" when it cannot be found out */
  unsigned line;
  char function[64];
};
void trace_places(const void *const *sites, unsigned n, struct place *ret);
const char *trace_order(int order);
void trace_forget_names(void);

#endif
