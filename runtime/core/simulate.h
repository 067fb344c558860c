/* The runtime under simulation (base/sim.h): what it tells the simulated threads about itself, and what
 * is checked while and after they run. */
#ifndef WEFT_CORE_SIMULATE_H
#define WEFT_CORE_SIMULATE_H

#include <weft/run.h>
#include <weft/sim.h>

struct weft__main;
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
  bool begun;                  /* there was a run */
  int failure;                 /* WEFT_EDEADLK once nothing could go on; what run answers */
  unsigned stuck;              /* 1: nothing could go on, all was cancelled; 2: given up */
  unsigned waits_at_end;       /* for a thread that has not ended yet */
  unsigned waits_while_ending; /* in a row, with nothing awaited */
};

/* The calling thread begins to play; *ret are the options with what the seed adds to them. 0, WEFT_EBUSY.
 * Then runs, then close: code, or what the simulation has to say instead; *ret, unless NULL, gets what
 * weft_sim_report says of one run. */
int weft__simulated_open(struct weft__simulated *sim, const weft_run_opts *opts,
                         weft_run_opts *ret);
int weft__simulated_close(struct weft__simulated *sim, int code, weft_sim_report *ret);
/* What one run of several answers whose main task had this code. */
int weft__simulated_answer(struct weft__simulated *sim, int code);

/* One run between the two. */
int weft__run_simulated(const struct weft__main *m, const weft_run_opts *opts,
                        struct weft__simulated *sim, weft_sim_report *ret);

/* The real run, for both: run.c. sim is NULL for threads of the system. */
int weft__run(const struct weft__main *m, const weft_run_opts *opts, uint64_t seed,
              struct weft__simulated *sim);

/* Worker w is about to run t: is nobody else? */
void weft__simulated_slice(struct weft__worker *w, struct weft__task *t);

/* All tasks have ended and the threads are gone: is nothing left? */
void weft__simulated_end(struct weft__runtime *rt);

#endif
