/* Simulated threads: one thread of the system plays all threads of the runtime, from a seed.
 *
 * Between weft__sim_begin and weft__sim_end every thread that is made through the seam (sys.h) is a
 * stack of its own that runs only when it is that thread's turn. The clock is virtual, sleeping on a
 * word is a list, and at every marked point (point.h) another thread may be given the turn. Who it is,
 * how long it runs, who of several sleepers wakes, how long a thread is kept off its CPU: all is drawn
 * (sim_draw.c) from the seed, so a run with the same seed and the same program is the same run, step by
 * step. When no thread can run, the clock jumps to the next deadline; when there is none either, the
 * program is stuck, and whoever began the simulation is asked what to do.
 *
 * Which thread runs is no synchronisation: under TSan each simulated thread has a clock of its own that
 * is ordered with others only by what the program itself does, so a missing release is found although
 * one thread of the system plays both sides.
 *
 * All of it is for the thread that began the simulation; on any other thread weft__sim_here is false
 * and the seam is the kernel's.
 */
#ifndef WEFT_BASE_SIM_H
#define WEFT_BASE_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/sim.h>

#include "base/context.h"

/* The calling thread plays a simulation. Written by that thread. */
extern __thread bool weft__sim_playing __attribute__((tls_model("initial-exec")));

#if defined(WEFT_MODEL)
#define weft__sim_here() false /* the explorer's threads are its own */
#else
static inline bool weft__sim_here(void) {
  return weft__sim_playing;
}
#endif

/* What the floor above knows. Called on the playing thread, on the stack of whichever thread it is. */
struct weft__sim_hooks {
  /* The thread-local of the floor above: each simulated thread has its own. */
  void *(*local)(void);
  void (*set_local)(void *local);
  /* The context of the stack that runs, when it is not the thread's own. */
  weft__context *(*context)(void);
  /* Nothing is runnable, no thread is merely held up, and the clock is about to jump. */
  void (*quiet)(void *arg);
  /* Nothing can run and nothing is awaited. True when something can run now. */
  bool (*stuck)(void *arg);
  void *arg;
};

struct weft__sim_setup {
  uint64_t seed;
  struct weft_sim_log *record;       /* or NULL */
  const struct weft_sim_log *follow; /* or NULL; then the seed is the log's */
  struct weft__sim_hooks hooks;
};

struct weft__sim_report {
  uint64_t decisions; /* drawn */
  uint64_t switches;  /* from one thread to another */
  uint64_t ns;        /* virtual time that passed */
  bool diverged;      /* the program asked for other decisions than the log that it followed */
};

/* The calling thread is simulated thread 0. WEFT_EBUSY: another thread plays. */
int weft__sim_begin(const struct weft__sim_setup *setup);
/* All other simulated threads have ended, or are left where they are, never to run again. */
void weft__sim_end(struct weft__sim_report *ret);

/* ---- on the playing thread ---- */

uint64_t weft__sim_seed(void);
/* Says the seed on stderr when the caller plays a simulation. Safe in a signal handler. */
void weft__sim_tell_seed(void);

/* One of 0 .. n - 1, n >= 1. */
uint32_t weft__sim_draw(uint32_t n);

/* Another thread may have the turn; the caller stays runnable. */
void weft__sim_pass(void);

/* The caller computes for so long. */
void weft__sim_compute(uint64_t ns);

/* Sleeps until weft__sim_wake(key), or the deadline, or, unless fd is -1, until the descriptor is
 * readable (looked at only now and then). True when woken by a call. */
bool weft__sim_wait(const void *key, uint64_t deadline, int fd);
/* Makes at most n of those that sleep on key runnable, in an order that is drawn; returns how many. */
unsigned weft__sim_wake(const void *key, unsigned n);

/* c is to be switched from by the simulated thread on its own stack (context.h). */
void weft__sim_context_thread(weft__context *c);

/* 0 for the first thread, then in the order of their creation. */
uint64_t weft__sim_thread_number(void);

/* The thread is number 0, which has a thread of the system to itself. */
bool weft__sim_first_thread(void);

#endif
