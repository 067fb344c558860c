#include "core/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/errors.h>

#include "base/choice.h"
#include "base/cpus.h"
#include "core/runtime.h"

/* A whole number from 1 to WEFT_WORKERS_MAX, or WEFT_EINVAL. */
static int parse_workers(const char *text) {
  char *end;
  long n = strtol(text, &end, 10);
  return end != text && *end == '\0' && n >= 1 && n <= WEFT_WORKERS_MAX ? (int)n : WEFT_EINVAL;
}

static int choose_workers(struct weft__runtime *rt, const weft_run_opts *o) {
  if (o->workers < 0 || o->workers > WEFT_WORKERS_MAX) return WEFT_EINVAL;
  if (o->exact) return o->workers <= 1 ? 1 : WEFT_EINVAL;
  if (o->workers > 0) return o->workers;
  const char *env = getenv("WEFT_WORKERS");
  if (env && *env) {
    int n = parse_workers(env);
    /* The caller sees an invalid argument that is none of its own. */
    if (n < 0)
      weft__log(rt, "WEFT_WORKERS is '%s': wanted is a number from 1 to %d", env, WEFT_WORKERS_MAX);
    return n;
  }
  unsigned cpus = weft__cpus_usable();
  return cpus < WEFT_WORKERS_MAX ? (int)cpus : WEFT_WORKERS_MAX;
}

static bool env_set(const char *name) {
  const char *v = getenv(name);
  return v && *v && strcmp(v, "0") != 0;
}

int weft__options_apply(struct weft__runtime *rt, const weft_run_opts *o) {
  rt->log = o->log;
  rt->log_arg = o->log_arg;
  weft__reports_init(&rt->reports, o->on_error, o->on_error_arg);
  int n = choose_workers(rt, o);
  if (n < 0) return n;
  if (o->shutdown_timeout < 0) return WEFT_EINVAL;
  if (o->stack_size && (o->stack_size < WEFT_STACK_MIN || o->stack_size > WEFT__STACK_MAX))
    return WEFT_EINVAL;
  rt->nworkers = (unsigned)n;
  rt->interrupts.refused = o->no_sigint;
  rt->exact = o->exact;
  rt->nreserves = o->exact || o->no_reserve ? 0 : (unsigned)n;
  rt->migrate = env_set("WEFT_MIGRATE") && n > 1;
  rt->spin = !o->exact && !o->no_spin && !rt->sim && n > 1 && (unsigned)n <= weft__cpus_usable();
  rt->shutdown_timeout = o->shutdown_timeout ? (uint64_t)o->shutdown_timeout : WEFT__NEVER;
  return 0;
}

int weft__options_seed(const weft_run_opts *o, uint64_t *ret) {
  int r = weft__choice_seed(ret);
  if (r >= 0) return r;
  /* The caller sees an invalid argument that is none of its own. */
  char line[160];
  snprintf(line, sizeof line, "WEFT_SEED is '%s': wanted is a whole number, decimal or 0x...",
           getenv("WEFT_SEED"));
  weft__options_log(o, line);
  return r;
}

void weft__options_log(const weft_run_opts *o, const char *line) {
  if (o && o->log)
    o->log(line, o->log_arg);
  else
    fprintf(stderr, "weft: %s\n", line);
}
