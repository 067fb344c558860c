/* Simulation: a program's schedules, drawn from a seed and replayed.
 *
 * With WEFT_SEED=n in the environment, or .seed in the options of a run, weft_run plays all its
 * threads (workers, reserves, the monitor, the blocking pool) on the calling thread, with virtual
 * time. Which thread goes on, who is woken, which worker steals from whom, how long a thread is off
 * its CPU, in which order jobs end: every choice is drawn from the seed. The same seed and the same
 * program give the same run. When nothing can run the clock jumps to the next deadline, so an hour
 * of sleep costs nothing.
 *
 * A failure that one schedule in a hundred thousand shows is found by running many seeds, and then
 * happens every time:
 *
 *   int r = weft_simulate(scenario, NULL, &(weft_sim_opts){.seeds = 10000}, &report);
 *   if (r < 0) printf("WEFT_SEED=%llu shows it\n", (unsigned long long)report.seed);
 *
 * With that seed in the environment the same program runs this one schedule. (A seed is a schedule
 * of one build: another compiler option, or WEFT_POINTS, is another program.)
 *
 * What a simulated program may do: anything that goes through weft. What is not played:
 *   - Threads of the program's own. weft_submit and weft_cancel from one of them are refused with
 *     WEFT_EBUSY, and so is any other run of the process, simulated or not, while a simulation
 *     runs.
 *   - Locks: one that a task or a pool job waits for, or holds while it calls weft, blocks the only
 *     thread there is.
 *   - What belongs to a thread: thread-locals and pthread_self are the same for all simulated
 *     threads.
 *   - Real time: weft_now, sleeps and timeouts are virtual; the program's own calls of sleep or
 *     clock_gettime are not. Computing takes no virtual time unless it says so (weft_sim_work).
 *   - Plain memory: two tasks change places at suspensions, at calls of weft and at
 *     weft_sim_point(), not between two instructions. A data race without such a place in between
 *     is a case for ThreadSanitizer, which works together with the simulation.
 *   - Child processes (weft/process.h), and the pipes to them.
 *   - Descriptors of the kernel, those pipes among them: they are looked at when nothing else can run, and a deadline comes
 *     first. Who else writes to them has two seconds of real time before the run counts as stuck.
 *
 * After each run the runtime checks itself: no task lost, none run twice, nothing left in a queue,
 * a timer heap or a loop. A run in which nothing can ever happen again (a deadlock) is reported
 * with its tasks, cancelled, and answers WEFT_EDEADLK; if tasks do not end by that, they and their
 * memory are left behind. asyncio has no counterpart.
 */
#ifndef WEFT_SIM_H
#define WEFT_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/run.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* The decisions of a run, for a later one to follow. The caller gives the memory; it is a ring:
 * when it is full the oldest decisions are lost, and who follows draws those from the seed again.
 * Decisions may be changed by hand before they are followed: then the run takes another way from
 * there on. */
typedef struct weft_sim_log {
  uint32_t *decisions; /* the i-th is at i % capacity */
  size_t capacity;
  uint64_t seed;  /* written by the run that records, as is taken */
  uint64_t taken; /* decisions taken in all */
} weft_sim_log;

/* Every field may be left zero: zero means the default named beside it. */
typedef struct weft_sim_opts {
  uint64_t first_seed;        /* default 1; the runs have this seed, the next, and so on */
  uint64_t seeds;             /* how many runs; default 1000 */
  weft_ns time_limit;         /* of real time: no run begins after it; default: none */
  weft_sim_log *record;       /* gets the decisions of the last run: of the one that failed */
  const weft_sim_log *follow; /* one run, with these decisions; the seeds above are ignored */
  const weft_run_opts
      *run; /* of every run; .seed is ignored. Without .workers (and WEFT_WORKERS) each
                                 seed has 1 to 4 workers */
} weft_sim_opts;

/* What was run, and how the last run went. */
typedef struct weft_sim_report {
  uint64_t runs;
  uint64_t seed; /* of the last run: of the one that failed */
  int code;      /* what it returned */
  unsigned workers;
  uint64_t decisions; /* drawn by it */
  uint64_t switches;  /* of threads */
  weft_ns time;       /* virtual, that passed in it */
  bool diverged; /* it did not take just the decisions that it followed: they were changed, or it
                         is not the same program */
} weft_sim_report;

/* Runs fn(arg) once for each seed until one run returns a negative code: that code is returned, and
 * *ret (unless NULL) tells the seed, as does a line to the log. 0 when all went well. fn must leave
 * arg as it found it, or begin by setting it up: every run gets the same. When WEFT_SEED is set,
 * only that seed is run.
 * Also WEFT_EBUSY when another thread of the process simulates or a runtime runs, WEFT_EINVAL for
 * bad options or a bad WEFT_SEED, WEFT_ENESTED inside a runtime, WEFT_ECHILD, and what weft_run
 * answers. Of a run that was refused *ret has the code and nothing else; of none at all, zeros.
 * [any thread that is not in a runtime] blocks the thread until all runs have ended */
int weft_simulate(weft_fn fn, void *arg, const weft_sim_opts *opts, weft_sim_report *ret);

/* The caller runs in a simulation. [any thread] [never suspends] */
bool weft_simulated(void);

/* The seed of the simulation that the caller runs in; 0 outside of one (weft_simulated).
 * [any thread] [never suspends] */
uint64_t weft_sim_seed(void);

/* A place where, in a simulation, another thread may come first: between the read and the write of
 * a shared variable, say. Elsewhere it does nothing. The caller stays on its worker and on its
 * stack.
 * [any thread] [never suspends] */
void weft_sim_point(void);

/* One of 0 .. n - 1, drawn from the seed: for the scenario itself (how many, in which order). 0
 * outside a simulation or for n = 0. [any thread] [never suspends] */
uint32_t weft_sim_random(uint32_t n);

/* The caller computes for this long, in virtual time: its thread is busy, others go on. Nothing
 * outside a simulation or for ns <= 0. [any thread] [never suspends] */
void weft_sim_work(weft_ns ns);

WEFT_END_DECLS

#endif
