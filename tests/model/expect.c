/* Searches as tests. */
#include <stdio.h>
#include <string.h>

#include "explore.h"
#include "weft_test.h"

static const char *memory_name(enum model_memory memory) {
  static const char *const names[] = {"sc", "tso", "weak"};
  return names[memory];
}

static void print_result(const struct model *m, const struct model_bounds *b,
                         const struct model_result *r) {
  char bound[40] = "every schedule";
  if (r->preemptions != MODEL_ALL && !r->exhaustive)
    snprintf(bound, sizeof bound, "%d preemptions", r->preemptions);
  printf("%s [%s, %s]: %ju runs, %ju states, %ju steps, %s, %.2f s\n", m->name,
         memory_name(b->memory), bound, (uintmax_t)r->schedules, (uintmax_t)r->states,
         (uintmax_t)r->steps,
         r->failed     ? r->why
         : r->complete ? "complete"
                       : "bound hit",
         r->seconds);
}

bool model_holds(const struct model *m, const struct model_bounds *bounds) {
  struct model_result r = model_search(m, bounds);
  print_result(m, bounds, &r);
  if (r.failed) {
    printf("%s%s\n", r.trace, r.replayed ? "" : "(the replay went another way)");
    return CHECK_FAIL("%s: %s", m->name, r.why);
  }
  return r.complete || CHECK_FAIL("%s: the search is not complete", m->name);
}

bool model_breaks(const struct model *m, const struct model_bounds *bounds, const char *why) {
  struct model_result r = model_search(m, bounds);
  print_result(m, bounds, &r);
  if (!r.failed) return CHECK_FAIL("%s: no failure was found", m->name);
  if (!r.replayed) return CHECK_FAIL("%s: '%s' does not replay", m->name, r.why);
  return strstr(r.why, why) || CHECK_FAIL("%s: '%s', expected '%s'", m->name, r.why, why);
}
