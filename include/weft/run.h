/* Starting the runtime, its options and its statistics. asyncio counterpart: asyncio.run, Runner.
 *
 * weft_run turns the calling thread into worker 0, starts the other workers, runs one main task,
 * and returns when that task has. What it leaves behind is cancelled, awaited and reported.
 */
#ifndef WEFT_RUN_H
#define WEFT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/errors.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* The body of a task, and of a job for a thread. Negative is an error (a WEFT_E* code or one of the
 * program's own), zero or more is success. Results travel in the argument struct. A C++ exception
 * must not leave it. */
typedef int (*weft_fn)(void *arg);

/* Receives one line of text (no newline at its end) whenever the runtime has something to report:
 * a detached task that failed, a task left behind. May be called on any thread of
 * the runtime; must not call weft functions. */
typedef void (*weft_log_fn)(const char *line, void *log_arg);

struct weft_report;

/* Is told what has no caller who could be told (weft/report.h). Returns 0 or more when it has dealt
 * with the report, a negative code when it could not: then the log gets it after all. */
typedef int (*weft_error_fn)(const struct weft_report *report, void *arg);

/* Every field may be left zero: zero means the default named beside it. */
typedef struct weft_run_opts {
  int workers;       /* worker threads; default: WEFT_WORKERS, else the CPUs usable by the process
                               (affinity, cpuset and cgroup quota); 1 to WEFT_WORKERS_MAX */
  bool exact;        /* asyncio's own order: one worker, first in first out, atomic between
                               awaits, reproducible; workers must be 0 or 1 */
  bool no_reserve;   /* no reserve threads: while every worker is busy in a long slice, timers
                               and I/O wait as they do in asyncio */
  bool no_spin;      /* an idle worker goes to sleep at once instead of searching a while */
  bool no_sigint;    /* leave SIGINT alone (see weft_run) */
  size_t stack_size; /* stack of a task in bytes; default 64 KiB; at least
                               WEFT_STACK_MIN */
  weft_ns
      shutdown_timeout; /* how long to wait at the end for tasks that ignore their cancel and for
                               pool jobs that still run; default: for tasks without limit, then
                               for jobs 300 s */
  unsigned blocking_threads; /* most threads of the blocking pool; default 512 */
  bool debug;         /* debug mode (weft/debug.h); default: WEFT_DEBUG=1 in the environment */
  weft_ns slow_slice; /* debug mode: a task that keeps its worker for longer is reported;
                         default: 100 ms */
  uint64_t seed;      /* not 0: simulate, with this seed (weft/sim.h); default: WEFT_SEED when
                               it is set, else real threads */
  weft_log_fn log;    /* default: stderr */
  void *log_arg;
  weft_error_fn on_error; /* the error handler (weft/report.h); default: a line to the log */
  void *on_error_arg;
} weft_run_opts;

enum {
  WEFT_WORKERS_MAX = 256,
  WEFT_STACK_MIN = 16 * 1024,
};

/* Runs fn(arg) as the main task and returns its code.
 * [any thread that is not in a runtime] blocks the thread until the main task has returned.
 * After that: every task still alive is cancelled and awaited (one that is left is named every
 * second to the log), what is open is closed (generators), the blocking pool is joined, the threads
 * end, all memory is given back.
 * SIGINT, on the process's main thread and while its disposition is the default: the first one
 * cancels the main task, the second one ends the process, as does one that comes after the main
 * task's end. A main task that ends cancelled by nothing else is answered with WEFT_EINTR; one that
 * catches the cancel and returns something else keeps its code. .no_sigint leaves the signal alone,
 * as a simulation does.
 * Returns the main task's code, or
 *   WEFT_EINTR      SIGINT, as above
 *   WEFT_EINVAL     an option is out of range, WEFT_WORKERS is not a number in range, or WEFT_SEED
 *                   none
 *   WEFT_EBUSY      a simulation (weft/sim.h) runs in this process, or this was to be one and
 *                   another runtime runs
 *   WEFT_EDEADLK    simulated, and nothing could go on
 *   WEFT_ENESTED    called inside a runtime
 *   WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE  the threads or loops could not be made; fn
 *                   was not run
 *   WEFT_ETIMEDOUT  shutdown_timeout ran out; threads and memory that are still in use are left
 *                   behind
 *   WEFT_ECHILD     in a child made by fork() inside a runtime
 * asyncio: asyncio.run */
int weft_run(weft_fn fn, void *arg, const weft_run_opts *opts);

/* Names a running runtime, for use from threads that are not its own. A value: may be copied, and
 * is answered with WEFT_ECLOSED once its run has ended. */
typedef struct weft_runtime {
  uint64_t id_;
} weft_runtime;

/* The runtime of the calling task; an empty value (WEFT_ECLOSED wherever it is used) elsewhere.
 * [any thread] [never suspends]. asyncio: get_running_loop */
weft_runtime weft_runtime_current(void);

struct weft_spawn_opts;

/* Starts fn(arg) as a detached task of rt from any thread. Returns 0, or WEFT_ECLOSED once the
 * runtime is shutting down (the function is then not run, now or later), WEFT_ENOMEM, WEFT_EINVAL,
 * WEFT_EBUSY when the runtime is simulated and the thread is not.
 * opts as for weft_spawn; .pinned is refused with WEFT_EINVAL on a thread outside the runtime.
 * [any thread] [never suspends]. asyncio: call_soon_threadsafe; with a result: weft/submit.h */
int weft_submit(weft_runtime rt, weft_fn fn, void *arg, const struct weft_spawn_opts *opts);

/* Index of the worker that runs the calling task, from 0; a reserve thread has the index of the
 * worker it stands in for. WEFT_ENOTASK elsewhere. It may change at every suspension.
 * [any thread] [never suspends] */
int weft_worker_id(void);

/* Number of worker threads of the calling task's runtime, or WEFT_ENOTASK.
 * [any thread] [never suspends] */
int weft_worker_count(void);

/* What one worker has done since its runtime began. Read while it runs: each figure is exact for
 * some recent moment, two of them need not be of the same one. */
typedef struct weft_worker_stats {
  uint64_t tasks_run;   /* slices: times a task was resumed or begun from a queue */
  uint64_t inline_run;  /* unstarted tasks run on their awaiter's stack */
  uint64_t spawned;     /* tasks created here */
  uint64_t finished;    /* tasks that ended here */
  uint64_t steals;      /* tasks taken from another worker's queues */
  uint64_t loop_turns;  /* turns of this worker's own libuv loop, whoever ran them */
  uint64_t leases;      /* times this worker's loop and timers were served by its reserve thread */
  uint64_t reserve_run; /* tasks run by that reserve thread */
  uint64_t parks;       /* times the worker went to sleep */
  uint64_t hogged;      /* times one slice outlasted the hog limit with something due */
} weft_worker_stats;

typedef struct weft_stats {
  unsigned workers;
  unsigned blocking_threads;    /* threads of the blocking pool now */
  uint64_t tasks_live;          /* spawned and not finished */
  uint64_t blocking_jobs;       /* jobs finished by the blocking pool */
  uint64_t stacks;              /* task stacks that exist, in use or kept for reuse */
  const char *allocator;        /* "jemalloc 5.3.0-0-g..." or "glibc ..." */
  uint64_t bytes_allocated;     /* by the whole process, as that allocator counts */
  uint64_t bytes_resident;      /* physical memory the allocator holds */
  uint64_t runtime_allocations; /* allocations made by weft and libuv, since the process began */
} weft_stats;

/* Fills *ret with the runtime's figures; weft_stats_worker with those of worker `index`.
 * Returns 0, WEFT_ENOTASK outside a runtime, WEFT_EINVAL for a bad index.
 * [task] [never suspends] */
int weft_stats_read(weft_stats *ret);
int weft_stats_worker(unsigned index, weft_worker_stats *ret);

WEFT_END_DECLS
#endif
