/* Runner: several runs in one runtime. asyncio: Runner.
 *
 *   weft_runner r;
 *   int code = weft_runner_open(&r, NULL);
 *   if (code < 0) return code;
 *   weft_runner_run(&r, first, NULL);
 *   weft_runner_run(&r, second, NULL);
 *   weft_runner_close(&r);
 *
 * weft_run is open, one run and close. A Runner keeps its threads, its loops, its pools and one
 * context: the task-locals (weft/local.h) that a main task sets are there in the main task of the
 * next run.
 *
 * Between the runs nothing moves. weft_runner_run returns when its main task has returned and every
 * other task has come to the end of the slice it was in; what is left of them stays as it is, on
 * every worker: ready or waiting, no code of theirs runs. Timers that expire, events and jobs of
 * the thread pool (which go on) are noticed in the next run, and weft_submit is accepted and served
 * then. Closing cancels what is left, waits for it, and ends the runtime, as weft_run does when its
 * main task has returned. The calling thread is worker 0 during a run, and the program's own in
 * between.
 *
 * Runs of one Runner may be made by different threads, one after the other. In a simulation
 * (weft/sim.h) the whole life of a Runner is played on the thread that opened it, and other threads
 * get WEFT_EBUSY.
 */
#ifndef WEFT_RUNNER_H
#define WEFT_RUNNER_H

#include <weft/decls.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

/* {0} is a closed one. */
typedef struct weft_runner {
  void *state_;
} weft_runner;

/* Starts a runtime that rests. opts as for weft_run; they hold for every run. Writes *ret only on
 * success. Returns 0, or what weft_run answers when the runtime cannot be made: WEFT_EINVAL,
 * WEFT_EBUSY, WEFT_ENESTED, WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EMFILE, WEFT_ENFILE, WEFT_ECHILD.
 * [any thread that is not in a runtime] [never suspends]. asyncio: Runner() */
int weft_runner_open(weft_runner *ret, const weft_run_opts *opts);

/* Runs fn(arg) as the main task and returns its code, as weft_run does, SIGINT included; what it
 * leaves behind stays for the next run. Also WEFT_ECLOSED once the Runner is closed, WEFT_EBUSY
 * while another thread is in a run of it, WEFT_ENESTED inside a runtime, WEFT_ENOMEM, WEFT_ECHILD;
 * simulated, WEFT_EDEADLK when nothing could go on: then all its tasks were cancelled.
 * [any thread that is not in a runtime] blocks the thread. asyncio: Runner.run */
int weft_runner_run(weft_runner *r, weft_fn fn, void *arg);

/* Cancels and awaits what is left, closes what is open, joins the thread pool and the threads, and
 * gives everything back. A second time, and of NULL or {0}, it does nothing. Returns 0, or
 * WEFT_ETIMEDOUT when shutdown_timeout ran out (threads and memory in use are left behind);
 * WEFT_EDEADLK as above. WEFT_EBUSY during a run, WEFT_ENESTED inside a runtime, WEFT_ECHILD: after
 * these it is open as before, after all others it is closed.
 * It frees what the weft_runner refers to: no other call on the same weft_runner may be in progress
 * on another thread, nor begin, before it has returned (a run in progress is told apart, the others
 * are not).
 * [any thread that is not in a runtime] blocks the thread. asyncio: Runner.close */
int weft_runner_close(weft_runner *r);

/* The Runner's runtime, for weft_submit from anywhere; an empty value once it is closed. Threads
 * that may still be there when it is closed ask before and keep the value, which stays good for
 * weft_submit (which then says WEFT_ECLOSED): this call must not race with weft_runner_close.
 * [any thread] [never suspends]. asyncio: Runner.get_loop */
weft_runtime weft_runner_runtime(const weft_runner *r);

WEFT_END_DECLS
#endif
