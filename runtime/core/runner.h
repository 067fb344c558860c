/* Runs: the one mechanism behind weft_run, weft_simulate and weft_runner_*. */
#ifndef WEFT_CORE_RUNNER_H
#define WEFT_CORE_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/local.h>
#include <weft/run.h>

struct weft__runtime;
struct weft__simulated;

/* A main task. */
struct weft__main {
  weft_fn fn;
  void *arg;
  weft_context *context; /* or NULL: one of its own */
  const void *site;      /* who asked for the run */
};

/* What a process does once, before its first runtime. 0 or a negative code. */
int weft__process_init(void);

/* Makes a runtime with its threads. It rests, or its workers are at work and weft__runner_play is to be
 * called at once. sim: NULL for threads of the system. */
int weft__runner_begin(struct weft__runtime **ret, const weft_run_opts *opts, uint64_t seed,
                       struct weft__simulated *sim, bool rests);

/* The calling thread becomes worker 0 until the main task has returned and the runtime rests, or, when it is
 * the last run, has ended. The main task's code, or why there is none. */
int weft__runner_play(struct weft__runtime *rt, const struct weft__main *m, bool last);

/* Ends the runtime, unless the last run has, and frees it. 0 or WEFT_ETIMEDOUT. */
int weft__runner_finish(struct weft__runtime *rt);

#endif
