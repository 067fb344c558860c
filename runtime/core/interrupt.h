/* SIGINT: the first one cancels the main task, the second one ends the process.
 *
 * asyncio's rule: a run takes the signal only on the process's main thread, and only when nobody else
 * does (its disposition is the default); it gives it back when the main task has ended.
 *
 * The handler may be called on any thread that does not block the signal, in the middle of anything: it
 * only makes a note and wakes the monitor, which cancels the task.
 *
 *   noted: NONE --handler--> NOTED --monitor--> PASSING --monitor--> PASSED
 *
 * Whoever takes the handler away waits until no thread is inside of it, and until the monitor is not
 * PASSING: then nothing of this run is cancelled any more.
 */
#ifndef WEFT_CORE_INTERRUPT_H
#define WEFT_CORE_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"

struct weft__runtime;
struct weft__task;

/* Of a runtime. */
struct weft__interrupts {
  bool refused;   /* constant: .no_sigint of the options */
  bool installed; /* worker 0's */
  struct weft__task
      *task; /* the main task and its key: written by worker 0 before the handler finds the
                             runtime, read by the monitor after it has seen the note */
  uint32_t key;
  weft__atomic_u32 noted; /* the handler's CAS releases, the monitor's and worker 0's acquire */
};

/* By worker 0: the run of t begins; it has ended. */
void weft__interrupts_begin(struct weft__runtime *rt, struct weft__task *t);
void weft__interrupts_end(struct weft__runtime *rt);

/* What the run answers whose main task, ended since, had this code. By worker 0. */
int weft__interrupts_answer(struct weft__runtime *rt, int code);

/* By the monitor: cancels the main task if that is wanted. */
void weft__interrupts_pass(struct weft__runtime *rt);

#endif
