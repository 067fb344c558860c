#include "report.h"

#include <inttypes.h>
#include <stdio.h>

const char *const stress_figure_names[STRESS_FIGURES] = {
    "tasks", "cancels", "cut", "slices", "steals", "leases", "parks", "hogged", "jobs",
};

static _Atomic(struct stress_report *) current;
static atomic_uint_least64_t current_seed;
static atomic_uint_least64_t rounds_begun;

#define RELAXED memory_order_relaxed

void stress_report_current(struct stress_report *report, uint64_t seed) {
  atomic_store_explicit(&current, report, RELAXED);
  atomic_store_explicit(&current_seed, seed, RELAXED);
  atomic_fetch_add_explicit(&rounds_begun, 1, RELAXED);
}

void stress_count(enum stress_figure what, uint64_t n) {
  struct stress_report *report = atomic_load_explicit(&current, RELAXED);
  atomic_fetch_add_explicit(&report->figure[what], n, RELAXED);
}

struct stress_now stress_now(void) {
  static const struct stress_workload none = {.name = "(none)"};
  struct stress_report *report = atomic_load_explicit(&current, RELAXED);
  return (struct stress_now){report ? report->workload : &none,
                             atomic_load_explicit(&current_seed, RELAXED)};
}

uint64_t stress_progress(void) {
  struct stress_report *report = atomic_load_explicit(&current, RELAXED);
  uint64_t sum = atomic_load_explicit(&rounds_begun, RELAXED);
  for (int i = 0; report && i < STRESS_FIGURES; i++)
    sum += atomic_load_explicit(&report->figure[i], RELAXED);
  return sum;
}

void stress_report_head(void) {
  printf("%-12s %8s", "workload", "rounds");
  for (int i = 0; i < STRESS_FIGURES; i++) printf(" %10s", stress_figure_names[i]);
  printf(" %8s\n", "seconds");
}

void stress_report_line(const struct stress_report *report) {
  printf("%-12s %8" PRIu64, report->workload->name, report->rounds);
  for (int i = 0; i < STRESS_FIGURES; i++)
    printf(" %10" PRIu64, (uint64_t)atomic_load_explicit(&report->figure[i], RELAXED));
  printf(" %8.1f%s\n", report->seconds, report->broken ? "  BROKEN" : "");
  fflush(stdout);
}
