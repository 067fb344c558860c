/* The runtime under simulation (base/sim.h): what it tells the simulated threads about itself, and what
 * is checked while and after they run. */
#ifndef WEFT_CORE_SIMULATE_H
#define WEFT_CORE_SIMULATE_H

#include <weft/run.h>
#include <weft/sim.h>

struct weft__runtime;
struct weft__worker;
struct weft__task;

/* One simulated run. Its fields are the playing thread's. */
struct weft__simulated {
  const struct weft_sim_log *follow;
  struct weft_sim_log *record;
  uint64_t seed;
  struct weft__runtime *rt; /* while there is one */
  unsigned workers;
  int failure;                 /* WEFT_EDEADLK once nothing could go on; what run answers */
  unsigned stuck;              /* 1: nothing could go on, all was cancelled; 2: given up */
  unsigned waits_at_end;       /* for a thread that has not ended yet */
  unsigned waits_while_ending; /* in a row, with nothing awaited */
};

/* Runs fn as weft_run does, simulated. *ret gets what weft_sim_report says of one run. */
int weft__run_simulated(weft_fn fn, void *arg, const weft_run_opts *opts,
                        struct weft__simulated *sim, const void *site, weft_sim_report *ret);

/* The real run, for both: run.c. sim is NULL for threads of the system. */
int weft__run(weft_fn fn, void *arg, const weft_run_opts *opts, uint64_t seed,
              struct weft__simulated *sim, const void *site);

/* Worker w is about to run t: is nobody else? */
void weft__simulated_slice(struct weft__worker *w, struct weft__task *t);

/* All tasks have ended and the threads are gone: is nothing left? */
void weft__simulated_end(struct weft__runtime *rt);

#endif
