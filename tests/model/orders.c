/* The mutants of orderings: each operation of the code under test with a weaker one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"
#include "weft_test.h"

#define SITES 256
#define ADDRESSES 8 /* of one operation of the source: a header is compiled more than once */
#define DROPPED (-1)

/* What the code asked for, by address. */
static struct site sites[SITES];
static unsigned site_count;
bool sites_collecting;

void sites_add(const void *at, const char *what, int order) {
  for (unsigned i = 0; i < site_count; i++)
    if (sites[i].at == at) return;
  if (site_count < SITES)
    sites[site_count++] = (struct site){.at = at, .what = what, .order = order};
}

/* The same by operation of the source. */
static struct operation {
  struct place place;
  const char *what;
  int order;
  const void *at[ADDRESSES];
  unsigned n;
} operations[SITES];
static unsigned operation_count;

static struct operation *operation_of(const struct site *s, const struct place *p) {
  for (unsigned i = 0; i < operation_count; i++) {
    struct operation *o = &operations[i];
    if (o->place.line == p->line && strcmp(o->place.file, p->file) == 0 && o->what == s->what &&
        o->order == s->order && p->line != 0)
      return o;
  }
  struct operation *o = &operations[operation_count++];
  *o = (struct operation){.place = *p, .what = s->what, .order = s->order};
  return o;
}

static void collect(const struct model_suite *suites, size_t n) {
  static struct place places[SITES];
  const void *at[SITES];
  site_count = operation_count = 0;
  sites_collecting = true;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < suites[i].n; k++) {
      struct model_result r = model_search(suites[i].models[k], &suites[i].bounds);
      if (!r.failed && r.complete) continue;
      fprintf(stderr, "%s: %s\n", suites[i].models[k]->name, r.failed ? r.why : "not complete");
      exit(2);
    }
  sites_collecting = false;
  if (site_count == SITES) {
    fprintf(stderr, "more than %d operations\n", SITES);
    exit(2);
  }
  for (unsigned i = 0; i < site_count; i++) at[i] = sites[i].at;
  trace_places(at, site_count, places);
  for (unsigned i = 0; i < site_count; i++) {
    struct operation *o = operation_of(&sites[i], &places[i]);
    if (o->n < ADDRESSES) o->at[o->n++] = sites[i].at;
  }
}

/* The orders one step weaker than `order`; returns how many. */
static unsigned weaker(const char *what, int order, int *ret) {
  switch (order) {
  case WEFT__SEQ:
    ret[0] = *what == 'u' ? WEFT__ACQ_REL : *what == 'l' ? WEFT__ACQUIRE : WEFT__RELEASE;
    return 1;
  case WEFT__ACQ_REL:
    ret[0] = WEFT__ACQUIRE;
    ret[1] = WEFT__RELEASE;
    return 2;
  case WEFT__ACQUIRE:
  case WEFT__RELEASE:
    ret[0] = WEFT__RELAXED;
    return 1;
  default:
    return 0;
  }
}

static const char *fence_name(int kind) {
  return kind == WEFT__FENCE_LIGHT   ? "light"
         : kind == WEFT__FENCE_HEAVY ? "heavy"
                                     : "full";
}

static const char *from_name(const struct operation *o) {
  return *o->what == 'f' ? fence_name(o->order) : trace_order(o->order);
}

static const char *to_name(const struct operation *o, int order) {
  return *o->what == 'f' ? "none" : trace_order(order);
}

/* The first failure of a model with the operation at that order; *ret is the model, or NULL. */
static struct model_result judge(const struct model_suite *suites, size_t n,
                                 const struct operation *o, int order, const struct model **ret) {
  struct model_result r = {0};
  *ret = NULL;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < suites[i].n; k++) {
      struct model_bounds b = suites[i].bounds;
      b.site = o->at;
      b.sites = o->n;
      b.site_order = order;
      r = model_search(suites[i].models[k], &b);
      if (!r.failed) continue;
      *ret = suites[i].models[k];
      return r;
    }
  return r;
}

struct tally {
  const struct model_suite *suites;
  size_t n;
  bool lines;       /* for tests/model/orders */
  const char *skip; /* mutants, a line each, that are not to be tried */
  unsigned mutants, survivors;
};

/* One mutant; when nothing minds that an operation is no longer seq_cst, also what is weaker
 * still. */
static void try_order(struct tally *t, const struct operation *o, int order, bool first) {
  const struct model *killer;
  char name[PATH_MAX + 160];
  snprintf(name, sizeof name, "%s\t%u\t%s\t%s\t%s\t%s", o->place.file, o->place.line,
           o->place.function, o->what, from_name(o), to_name(o, order));
  char line[sizeof name + 2];
  snprintf(line, sizeof line, "%s\n", name);
  if (t->skip && strstr(t->skip, line)) return;
  struct model_result r = judge(t->suites, t->n, o, order, &killer);
  t->mutants++;
  if (t->lines)
    printf("order\t%s\t%s\t%s\n", name, killer ? killer->name : "", killer ? r.why : "");
  if (killer) return;
  t->survivors++;
  if (!t->lines) printf("survives: %s\n", name);
  if (!first || o->order != WEFT__SEQ || *o->what == 'f') return;
  int next[2];
  unsigned count = weaker(o->what, order, next);
  for (unsigned i = 0; i < count; i++) try_order(t, o, next[i], false);
}

static void try_all(struct tally *t) {
  collect(t->suites, t->n);
  for (unsigned i = 0; i < operation_count; i++) {
    const struct operation *o = &operations[i];
    int orders[2] = {DROPPED};
    unsigned count = *o->what == 'f' ? 1 : weaker(o->what, o->order, orders);
    if (t->lines && !strstr(o->place.file, "/runtime/")) continue;
    for (unsigned k = 0; k < count; k++) try_order(t, o, orders[k], true);
    fflush(stdout);
  }
}

unsigned model_mutants(const struct model_suite *suites, size_t n, unsigned *mutants) {
  struct tally t = {.suites = suites, .n = n};
  try_all(&t);
  *mutants = t.mutants;
  printf("%u mutants, %u survive\n", t.mutants, t.survivors);
  return t.survivors;
}

static char *read_text(const char *path) {
  FILE *f = fopen(path, "r");
  size_t size = 1 << 20;
  char *text = calloc(1, size);
  if (!f || !text || fread(text, 1, size - 1, f) == size - 1) {
    fprintf(stderr, "%s cannot be read\n", path);
    exit(2);
  }
  fclose(f);
  return text;
}

int model_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests,
               const struct model_suite *suites, size_t n_suites) {
  if (argc < 2 || strcmp(argv[1], "--orders") != 0)
    return weft_test_main(argc, argv, tests, n_tests);
  struct tally t = {.suites = suites, .n = n_suites, .lines = true};
  if (argc > 2) t.skip = read_text(argv[2]);
  try_all(&t);
  return 0;
}
