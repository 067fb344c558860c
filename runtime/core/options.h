/* The options of a run, with what the environment says. */
#ifndef WEFT_CORE_OPTIONS_H
#define WEFT_CORE_OPTIONS_H

#include <stdint.h>

#include <weft/run.h>

struct weft__runtime;

/* Fills the constant fields of a zeroed runtime; 0 or WEFT_EINVAL. */
int weft__options_apply(struct weft__runtime *rt, const weft_run_opts *o);

/* The seed of the environment: 1; without one any: 0. WEFT_EINVAL, which is said in the log, for a bad
 * one. */
int weft__options_seed(const weft_run_opts *o, uint64_t *ret);

/* One line to the log that the options name, while there is no runtime. o may be NULL. */
void weft__options_log(const weft_run_opts *o, const char *line);

#endif
