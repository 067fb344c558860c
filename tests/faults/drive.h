/* Runs points, some at a time, and says how each one ended. */
#ifndef WEFT_FAULTS_DRIVE_H
#define WEFT_FAULTS_DRIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "child.h"

enum verdict {
  VERDICT_NOT_REACHED, /* not a point: the n-th never came */
  VERDICT_HELD,
  VERDICT_CRASH,
  VERDICT_LEAK,
  VERDICT_HANG,
  VERDICT_LOST,
  VERDICT_WRONG, /* a code that no header names, an output written on failure, no use afterwards */
  VERDICTS
};
const char *verdict_name(enum verdict v);

struct outcome {
  const struct scenario *scenario;
  struct point point;
  enum verdict verdict;
  const struct report *report; /* valid during the call of done */
  const char *output;          /* the end of what the child printed; the same */
};

struct drive;

/* jobs processes at a time, each with limit_s seconds. done is called for each point, in the order
 * in which they end. */
struct drive *drive_new(unsigned jobs, unsigned limit_s,
                        void (*done)(const struct outcome *o, void *arg), void *arg);

/* Starts a point, waiting until there is a place. */
void drive_start(struct drive *d, const struct scenario *s, const struct point *p,
                 const struct residue *expected);

/* Waits until all have ended. */
void drive_finish(struct drive *d);
void drive_free(struct drive *d);

#endif
