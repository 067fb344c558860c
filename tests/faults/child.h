/* One point in a process of its own, and what came of it. */
#ifndef WEFT_FAULTS_CHILD_H
#define WEFT_FAULTS_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "point.h"
#include "scene.h"

/* What is left at the end: of a scenario that nothing failed in, and of any other one. */
struct residue {
  uint64_t own_blocks, own_bytes;
  uint64_t uv_blocks, uv_bytes;
  uint64_t mapped_bytes; /* through the seam */
  uint64_t descriptors;
};

/* Filled by the child, in memory that it shares with the harness. */
struct report {
  bool reached;  /* the point came to pass */
  bool strayed;  /* some call did not succeed */
  bool finished; /* the child came to its end by itself */
  bool lost;     /* tasks began that never ended */
  bool leak;
  char text[512]; /* what is wrong; empty when nothing is */
  struct point_counts counts;
  struct residue residue;
};

/* Runs the scenario with the fault, then without, and ends the process. expected NULL: nothing is
 * compared. shared is zeroed memory of weft__sys_share_size() bytes. */
_Noreturn void child_main(const struct scenario *s, const struct point *p,
                          const struct residue *expected, struct report *report, void *shared);

#endif
