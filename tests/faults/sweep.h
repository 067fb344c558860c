/* All points of the scenarios that were asked for, and the table of what came of them. */
#ifndef WEFT_FAULTS_SWEEP_H
#define WEFT_FAULTS_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "point.h"

enum sweep_mode { SWEEP_POINTS, SWEEP_LIST, SWEEP_LIBUV, SWEEP_SELF_TEST };

struct sweep {
  enum sweep_mode mode;
  const char *only; /* a scenario, or NULL */
  bool one;         /* point alone */
  struct point point;
  uint64_t most; /* points of one series */
  const char *seed; /* of the simulation that the scenarios run in, or NULL: real threads */
  unsigned jobs;
  unsigned limit_s;
  const char *summary; /* a file, or NULL */
};

/* The exit status. */
int sweep_run(const struct sweep *sweep);

#endif
