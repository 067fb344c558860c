/* The search: depth first over lists of choices, and past no state twice.
 *
 * A run consumes choices: who runs next, which store a load sees. The list of the last run, up to
 * the last choice with an untried alternative, is the prefix of the next. States reached beyond the
 * prefix are entered into a table; a run that reaches a state of the table ends, because whatever
 * can follow has been tried or lies ahead in the list of the run that entered it. So the cost is
 * that of the states, not of the schedules, which are exponentially many. A state is known by a
 * hash of 64 bits; with ten million states the chance that two share one is 3 in a million. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore.h"

#define CHOICES 65536
#define STATES_DEFAULT 8000000

static struct choice { uint8_t taken, of; } choices[CHOICES];
static unsigned length;   /* of the list */
static unsigned consumed; /* by the running run */
static unsigned prefix;   /* of the running run: up to here it only repeats */

/* Open addressing, a power of two, at most 2/3 full; key 0 is an empty place. */
static struct table {
  uint64_t *key;
  uint8_t *left; /* preemptions that were left when it was entered */
  size_t size, used, limit;
  bool full, off;
} table;

unsigned explore_choose(unsigned n) {
  if (n <= 1) return 0;
  if (consumed == length) {
    if (length == CHOICES || n > UINT8_MAX) model_fail("too many choices");
    choices[length++] = (struct choice){.taken = 0, .of = (uint8_t)n};
  }
  struct choice *c = &choices[consumed++];
  if (c->of != n) model_fail("the model is not a function of its choices: it kept something");
  return c->taken;
}

/* Moves the list to the next one; false when all have been tried. */
static bool advance(void) {
  length = consumed; /* a run that ended early leaves choices behind only if it diverged */
  while (length > 0 && choices[length - 1].taken + 1 == choices[length - 1].of) length--;
  if (length == 0) return false;
  choices[length - 1].taken++;
  return true;
}

static void table_clear(size_t limit) {
  table.limit = limit;
  table.used = 0;
  table.full = false;
  if (!table.key) {
    table.size = 1 << 16;
    table.key = malloc(table.size * sizeof *table.key);
    table.left = malloc(table.size);
    if (!table.key || !table.left) abort();
  }
  memset(table.key, 0, table.size * sizeof *table.key);
}

static size_t table_place(uint64_t key) {
  size_t i = (size_t)(key >> 7) & (table.size - 1);
  while (table.key[i] != 0 && table.key[i] != key) i = (i + 1) & (table.size - 1);
  return i;
}

static void table_grow(void) {
  struct table old = table;
  table.size *= 2;
  table.key = calloc(table.size, sizeof *table.key);
  table.left = malloc(table.size);
  if (!table.key || !table.left) abort();
  for (size_t i = 0; i < old.size; i++) {
    if (old.key[i] == 0) continue;
    size_t at = table_place(old.key[i]);
    table.key[at] = old.key[i];
    table.left[at] = old.left[i];
  }
  free(old.key);
  free(old.left);
}

static const struct run *R;

bool explore_known(uint64_t (*hash)(void), int used) {
  if (table.off || consumed < prefix) return false;
  uint8_t left = R->preemptions == MODEL_ALL ? 0 : (uint8_t)(R->preemptions - used);
  uint64_t key = hash();
  if (key == 0) key = 1;
  size_t at = table_place(key);
  if (table.key[at] == key) {
    if (table.left[at] >= left) return true;
    table.left[at] = left;
    return false;
  }
  if (table.used == table.limit) {
    table.full = true;
    return true;
  }
  if (table.used * 3 > table.size * 2) {
    table_grow();
    at = table_place(key);
  }
  table.key[at] = key;
  table.left[at] = left;
  table.used++;
  return false;
}

static const struct memory *memory_of(enum model_memory memory) {
  return memory == MODEL_SC ? &memory_sc : memory == MODEL_TSO ? &memory_tso : &memory_weak;
}

/* All runs with at most this many preemptions, or up to the first failure. */
static void search_round(struct run *run, int preemptions, struct model_result *ret) {
  size_t limit = run->bounds->max_states ? run->bounds->max_states : STATES_DEFAULT;
  table_clear(limit);
  length = 0;
  run->preemptions = ret->preemptions = preemptions;
  run->cut = false;
  do {
    prefix = length;
    consumed = 0;
    run_model(run);
    ret->schedules++;
  } while (!run->failed && advance());
  ret->states += table.used;
  ret->complete = !run->failed && !table.full;
  ret->exhaustive = ret->complete && !run->cut;
}

/* Repeats the failing run with its trace. */
static void replay(struct run *run, struct model_result *ret) {
  ret->failed = true;
  memcpy(ret->why, run->why, sizeof ret->why);
  ret->preemptions = run->used;
  prefix = length = consumed;
  consumed = 0;
  table.off = true;
  run->tracing = true;
  trace_start(run->model);
  run_model(run);
  run->tracing = false;
  ret->replayed = run->failed && strcmp(run->why, ret->why) == 0 && consumed == prefix;
  ret->trace = trace_text();
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct model_result model_search(const struct model *m, const struct model_bounds *bounds) {
  struct model_result ret = {0};
  struct run run = {.model = m, .memory = memory_of(bounds->memory), .bounds = bounds};
  double start = now();
  R = &run;
  run.memory->forget();
  trace_forget_names();
  trace_start(m);
  table.off = bounds->every_schedule;
  /* Few preemptions first: most bugs need no more than two, and the schedule is easier to read. */
  int last = bounds->preemptions;
  for (int bound = 0; !bounds->every_schedule && bound <= (last == MODEL_ALL ? 2 : last); bound++) {
    if (run.failed || ret.exhaustive) break;
    search_round(&run, bound, &ret);
  }
  if (bounds->every_schedule || (last == MODEL_ALL && !run.failed && !ret.exhaustive))
    search_round(&run, last, &ret);
  if (run.failed) replay(&run, &ret);
  ret.steps = run.steps;
  ret.seconds = now() - start;
  return ret;
}
