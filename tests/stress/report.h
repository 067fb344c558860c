/* What has been counted, and its printing. */
#ifndef WEFT_TESTS_STRESS_REPORT_H
#define WEFT_TESTS_STRESS_REPORT_H

#include "stress.h"

/* One per workload. */
struct stress_report {
  const struct stress_workload *workload;
  uint64_t rounds; /* main's */
  atomic_uint_least64_t figure[STRESS_FIGURES];
  double seconds; /* main's */
  bool broken;    /* main's: a round failed */
};

/* The report that stress_count adds to, and the round that messages name. Between rounds only. */
void stress_report_current(struct stress_report *report, uint64_t seed);
void stress_report_head(void);
void stress_report_line(const struct stress_report *report);

#endif
