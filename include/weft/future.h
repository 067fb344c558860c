/* Futures: a result that arrives later, from anywhere. asyncio: Future; elsewhere: promise,
 * one-shot.
 *
 *   weft_future *f;
 *   weft_future_new(&f, sizeof(int));
 *   start_something(weft_future_ref(f));          (which calls weft_future_set(f, &n) and unref)
 *   r = weft_future_await(f, &n);
 *   weft_future_unref(f);
 *
 * A future is over once: with a value (some bytes, copied), with an error, or cancelled. Any thread
 * may bring it about, any number of tasks may await it. References are counted: who holds one may
 * use the future, and who waits for it has to hold one until the wait returns.
 *
 * An error that nobody has seen (by await, get or another wait that tells the code) when the last
 * reference goes is reported, once.
 */
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/awaitable.h>
#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

typedef struct weft_future weft_future;

/* Makes a pending future for values of `size` bytes (0: none, up to 1 MiB) with one reference, the
 * caller's. WEFT_ENOMEM, WEFT_EINVAL.
 * [any thread] [never suspends]. asyncio: loop.create_future */
int weft_future_new(weft_future **ret, size_t size);

/* One reference more; returns f. One less: the last one frees it. NULL does nothing.
 * [any thread] [never suspends] */
weft_future *weft_future_ref(weft_future *f);
void weft_future_unref(weft_future *f);

/* Ends the future with a value (copied from *value; may be NULL when size is 0), or with an error
 * code below 0. Those who wait are woken in the order they came. 0; WEFT_ESTATE when it is over
 * already (nothing changes: asyncio's InvalidStateError); WEFT_EINVAL for a code that is no error,
 * for WEFT_ECANCELED (that is weft_future_cancel) or a value that is missing; WEFT_ENOMEM when a
 * callback is to be called and no task can be made for it: it is pending as before.
 * [any thread] [never suspends]. asyncio: set_result, set_exception */
int weft_future_set(weft_future *f, const void *value);
int weft_future_fail(weft_future *f, int code);

/* Ends the future as cancelled: 1, or 0 when it was over already. A future made by weft_task_share
 * asks its task to end and is over when the task is. WEFT_ENOMEM as above.
 * [any thread] [never suspends]. asyncio: Future.cancel */
int weft_future_cancel(weft_future *f);

/* Waits until it is over; copies the value to *ret (may be NULL) and returns 0 (of a shared task:
 * its code), or the error, or WEFT_ECANCELED when it was cancelled. When the caller is cancelled
 * meanwhile, the future is cancelled, and so everybody who awaits it: weft_shield or weft_wait
 * leave it alone. WEFT_ENOMEM when there is no memory for the timer of a deadline around the call:
 * the future is then cancelled, too. WEFT_ESELF for the future of the calling task itself.
 * [task] [suspends] [cancel point]. asyncio: await future */
int weft_future_await(weft_future *f, void *ret);

/* The same without waiting: WEFT_EPENDING when it is not over.
 * [any thread] [never suspends]. asyncio: result, exception */
int weft_future_get(weft_future *f, void *ret);

/* Snapshots. A future that is over stays so. [any thread] [never suspends]. asyncio: done,
 * cancelled */
bool weft_future_done(const weft_future *f);
bool weft_future_cancelled(const weft_future *f);

/* Called when the future is over; negative is a failure, and is reported. */
typedef int (*weft_future_fn)(weft_future *f, void *arg);

/* Has fn(f, arg) called once the future is over, or soon if it is over already, and never inside
 * this call. A task calls it: of the caller's runtime (if several add callbacks at once: of the
 * first one's), with the task-locals (weft/local.h) that the caller has now, and in its strand
 * (weft/strand.h). Callbacks of one future are called one after the other in the order they were
 * added (one that suspends holds up the next; in exact mode it does not). If the runtime ends first
 * they are not called. WEFT_ENOMEM, WEFT_EINVAL, WEFT_ENOTASK.
 * [task] [never suspends]. asyncio: add_done_callback */
int weft_future_on_done(weft_future *f, weft_future_fn fn, void *arg);

/* Takes back every callback with this fn and arg that has not begun; how many.
 * [any thread] [never suspends]. asyncio: remove_done_callback */
int weft_future_forget(weft_future *f, weft_future_fn fn, void *arg);

/* As an awaitable (weft/awaitable.h); it borrows the reference.
 * [any thread] [never suspends] */
weft_awaitable weft_future_awaitable(weft_future *f);

/* Makes a future of a task, for several awaiters: it is over when the task is, with its code.
 * Consumes the handle. WEFT_ESTALE, WEFT_ENOMEM (the handle is then as before), or the error of the
 * spawn.
 * [task] [never suspends]. asyncio: a Task is a Future */
int weft_task_share(weft_task t, weft_future **ret);

WEFT_END_DECLS
#endif
