/* Submitting a task from a plain thread, and waiting there for its result.
 * asyncio: run_coroutine_threadsafe and the concurrent.futures.Future that it returns.
 *
 *   r = weft_submit_wait(rt, look_up, &query, NULL, weft_sec(2));
 *
 *   weft_submission *s;
 *   r = weft_submit_start(rt, look_up, query, NULL, &s);
 *   if (r == 0) r = weft_submission_wait(s, weft_sec(2), &code);
 *   if (r == WEFT_ETIMEDOUT) weft_submission_cancel(s);
 *   weft_submission_free(s);
 *
 * The thread is blocked while it waits: a thread that runs tasks is told WEFT_EDEADLK instead, for
 * it may be the one that is to run this one. A job of weft_to_thread may wait. (Without an interest
 * in the result: weft_submit.)
 *
 * When the runtime ends its tasks are cancelled, and the result of a submission is WEFT_ECANCELED,
 * or what the task made of its cancel. What was submitted to a Runner between two runs is run by
 * the next.
 */
#ifndef WEFT_SUBMIT_H
#define WEFT_SUBMIT_H

#include <weft/decls.h>
#include <weft/run.h>
#include <weft/task.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* A task as a thread outside sees it. */
typedef struct weft_submission weft_submission;

/* Starts fn(arg) as a task of rt. *ret, written on success only, is the caller's, until
 * weft_submission_free. arg stays valid until the task has ended, unless .arg_size copies it.
 * Returns 0, or as weft_submit: WEFT_ECLOSED once the runtime is shutting down, WEFT_ENOMEM,
 * WEFT_EINVAL (.pinned, too), WEFT_EBUSY when the runtime is simulated and the thread is not,
 * WEFT_ECHILD.
 * [any thread] [never suspends]. asyncio: run_coroutine_threadsafe */
int weft_submit_start(weft_runtime rt, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                      weft_submission **ret);

/* Blocks the thread until the task has ended, writes its code to *ret_code (may be NULL) and
 * returns 0; or
 *   WEFT_ETIMEDOUT  not within `limit` (zero or less: it has not ended yet); the task goes on
 *   WEFT_ECLOSED    it will never end: the shutdown's time limit ran out, and it was left behind
 *   WEFT_EDEADLK    on a thread that runs tasks
 *   WEFT_ECHILD     in a child made by fork
 * Several threads may wait, and again.
 * [any thread that runs no tasks] blocks the thread. asyncio: Future.result(timeout) */
int weft_submission_wait(weft_submission *s, weft_ns limit, int *ret_code);

/* 1 if the task has ended, or will never, 0 if not. [any thread] [never suspends].
 * asyncio: Future.done */
int weft_submission_done(const weft_submission *s);

/* Asks the task to end, as weft_cancel: 1 if the request was made (or the runtime, which is
 * shutting down, has made it), 0 if the task had ended, WEFT_EBUSY when the runtime is simulated
 * and the thread is not.
 * [any thread] [never suspends]. asyncio: Future.cancel */
int weft_submission_cancel(weft_submission *s);

/* Gives it up; once, when no thread waits any more. A task that has not ended goes on, and its
 * failure is reported as that of a detached one; so is one that nobody has read. NULL is allowed.
 * [any thread] [never suspends] */
void weft_submission_free(weft_submission *s);

/* Start, wait and free in one: returns the task's code. When it has not ended within `limit` it is
 * cancelled and its end waited for, since arg is the caller's: then WEFT_ETIMEDOUT, or its own code
 * if it refused. Also what start and wait answer; after WEFT_ECLOSED from a task that had begun,
 * arg may be in use for ever.
 * [any thread that runs no tasks] blocks the thread.
 * asyncio: run_coroutine_threadsafe(...).result(timeout) */
int weft_submit_wait(weft_runtime rt, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                     weft_ns limit);

WEFT_END_DECLS
#endif
