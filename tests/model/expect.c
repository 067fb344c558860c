/* Searches as tests, and the mutants of orderings. */
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

/* --- mutants --- */

#define SITES 128
#define DROPPED (-1)

static struct site sites[SITES];
static unsigned site_count;
bool sites_collecting;

void sites_add(const void *at, const char *what, int order) {
  for (unsigned i = 0; i < site_count; i++)
    if (sites[i].at == at) return;
  if (site_count < SITES)
    sites[site_count++] = (struct site){.at = at, .what = what, .order = order};
}

/* The orders one step weaker than what a site asks for; returns how many. */
static unsigned weaker(const struct site *s, int *order) {
  bool loads = *s->what == 'l';
  if (*s->what == 'f') {
    order[0] = DROPPED;
    return 1;
  }
  switch (s->order) {
  case WEFT__SEQ:
    order[0] = *s->what == 'u' ? WEFT__ACQ_REL : loads ? WEFT__ACQUIRE : WEFT__RELEASE;
    return 1;
  case WEFT__ACQ_REL:
    order[0] = WEFT__ACQUIRE;
    order[1] = WEFT__RELEASE;
    return 2;
  case WEFT__ACQUIRE:
  case WEFT__RELEASE:
    order[0] = WEFT__RELAXED;
    return 1;
  default:
    return 0;
  }
}

static bool survives(const struct model *const *models, size_t n, const struct model_bounds *b) {
  for (size_t i = 0; i < n; i++)
    if (model_search(models[i], b).failed) return false;
  return true;
}

unsigned model_mutants(const struct model *const *models, size_t n,
                       const struct model_bounds *bounds, unsigned *mutants) {
  struct model_bounds b = *bounds;
  unsigned survivors = 0;
  *mutants = 0;
  site_count = 0;
  sites_collecting = true;
  for (size_t i = 0; i < n; i++) model_search(models[i], &b);
  sites_collecting = false;
  for (unsigned i = 0; i < site_count; i++) {
    int orders[2];
    unsigned count = weaker(&sites[i], orders);
    for (unsigned k = 0; k < count; k++) {
      b.site = sites[i].at;
      b.site_order = orders[k];
      ++*mutants;
      if (!survives(models, n, &b)) continue;
      survivors++;
      bool fence = orders[k] == DROPPED;
      printf("survives: %s at %s: %s to %s\n", sites[i].what, trace_place(sites[i].at),
             fence ? "there" : trace_order(sites[i].order),
             fence ? "none" : trace_order(orders[k]));
    }
  }
  printf("%u mutants, %u survive\n", *mutants, survivors);
  return survivors;
}
