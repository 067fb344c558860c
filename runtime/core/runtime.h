/* The runtime: what all workers share, and its beginning and end. */
#ifndef WEFT_CORE_RUNTIME_H
#define WEFT_CORE_RUNTIME_H

#include <pthread.h>
#include <stdarg.h>

#include <weft/run.h>

#include "core/blocking.h"
#include "core/closer.h"
#include "core/interrupt.h"
#include "core/report.h"
#include "core/signals.h"
#include "core/submission.h"
#include "core/task.h"
#include "core/tasklist.h"

struct weft__worker;
struct weft__monitor;
struct weft__simulated;

/* RUNS and RESTS take turns, then STOPPING, then ENDED. While it is less than RESTS tasks run. */
enum weft__life {
  WEFT__RUNS,     /* the main task is alive */
  WEFT__STOPPING, /* it has returned: what is left is cancelled and awaited; no submits */
  WEFT__RESTS,    /* between two runs of a Runner: nothing moves (rest.h) */
  WEFT__ENDED,    /* nothing is alive, or the shutdown's time ran out: the threads leave */
};

struct weft__runtime {
  /* Constant once the workers run. */
  struct weft__worker *workers; /* nworkers, then as many reserves unless switched off */
  unsigned nworkers;
  unsigned nreserves;
  bool exact;
  bool migrate;              /* test mode: every resumption on another worker */
  bool spin;                 /* idle workers search before they sleep */
  uint64_t shutdown_timeout; /* ns, or WEFT__NEVER */
  uint64_t id;
  struct weft__simulated *sim; /* or NULL: the threads are the system's */
  struct weft__debug *debug;   /* or NULL: no debug mode (debug.h) */
  bool observed;               /* one of the two */
  weft_log_fn log;
  void *log_arg;
  struct weft__reports reports; /* weft__report: what has no caller to be told */

  weft__atomic_u32 life;      /* enum weft__life; release by worker 0, acquire by the others. Who
                                 sleeps is unparked after it. The futex word of who rests */
  weft__atomic_u32 active;    /* threads, worker 0 not among them, that may run tasks (rest.h): the
                                 futex word of who waits for 0 */
  weft__atomic_u32 main_done; /* set by the main task's end, then worker 0 is unparked: the notice
                                 orders. Read relaxed */
  /* Workers asleep. Raised before the heavy fence of a worker that goes to sleep, read relaxed
   * after the fence of who has pushed (idle.c); lowered before the full fence of
   * weft__monitor_wake, read seq_cst by the monitor after its seq_cst CAS to ASLEEP. */
  weft__atomic_u32 parked;
  weft__atomic_u32 searching; /* workers looking for work at their peers: a hint, ordered by the
                                 same fences as parked */
  /* Threads inside weft_submit, or making a task ready that is none of theirs; changed under the table's
   * lock, and the futex word of who waits for 0. */
  weft__atomic_u32 held;
  bool refuses;                  /* no more of them; guarded likewise */
  weft__atomic_u32 foreign_turn; /* of tasks that WEFT_MIGRATE sends somewhere; relaxed */
  weft__atomic_u64 submitted; /* tasks made by threads that are no workers; raised (release) before
                                 the task may run, read (acquire) after the ends (shutdown.c) */

  struct weft__stack_pool stacks;
  bool keep; /* worker 0's: after the main task the runtime rests instead of ending */
  struct weft__interrupts interrupts;
  struct weft__signals signals;
  /* Worker 0's, once the main task has returned; read after the threads have been joined. */
  int main_code;
  bool timed_out;
  uint64_t report_at;
  uint64_t stop_at;
  uint64_t sweep_at; /* when to look for tasks that were started after the cancel, next */
  uint64_t sweep_every;

  struct weft__task_pool tasks;
  struct weft__tasklist ready;     /* ready tasks with no room in a ring, or from foreign threads */
  struct weft__tasklist unstarted; /* unstarted ones likewise */
  struct weft__blocking blocking;
  struct weft__submissions submissions; /* that threads wait for */
  struct weft__closers closers; /* of objects that are open beyond their tasks: weft__closer_add */
  /* The open generators (aio/gen.h). Made by the first (CAS: releases it), acquire by the others; freed
   * and set back by worker 0's last closers, or by a closer's task when no other is alive. */
  weft__atomic_ptr generators;
  weft__atomic_ptr lookups; /* the threads that look names up (io/lookup.h), or NULL; its lock's */
  weft__atomic_u32 awaited; /* what other threads than workers and those of the blocking pool are
                               going to wake tasks for: a hint for who looks whether anything will.
                               Relaxed */
  struct weft__list
      resources; /* open in debug mode; guarded by resource.c, zeroed while there is none */
  struct weft__monitor *monitor;
  struct weft__runtime *next; /* in the table, with those that run or that are left; its lock's */
};

/* True while any runtime of the process runs. Safe in a fork handler. */
bool weft__runtime_any(void);

/* Finds a running runtime by id and holds it (submitters + 1); NULL once it is stopping. */
struct weft__runtime *weft__runtime_hold(uint64_t id);
/* Any running runtime in debug mode, held; NULL when there is none. */
struct weft__runtime *weft__runtime_hold_debugged(void);
void weft__runtime_release(struct weft__runtime *rt);
/* Refuses further holds and waits until none is left. */
void weft__runtime_refuse(struct weft__runtime *rt);

/* Tasks that were created and have not ended. Exact when it answers 0. Any worker. */
uint64_t weft__tasks_live(struct weft__runtime *rt);

/* One line to the log. */
void weft__log(struct weft__runtime *rt, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The task's name, or what it runs, for a report; in debug mode with the place of its spawn between
 * commas. */
enum { WEFT__LABEL = 320 };
void weft__task_label(struct weft__task *t, char *buf, size_t size);

static inline enum weft__life weft__life(struct weft__runtime *rt) {
  return (enum weft__life)weft__load_acquire_u32(&rt->life);
}

#endif
