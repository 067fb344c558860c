/* Waiting for several things at once. asyncio: gather, wait, as_completed; Go and Tokio: select.
 *
 * All of them take awaitables (weft/awaitable.h) in any mix: tasks, futures, events, objects of
 * your own. gather consumes what can be consumed (task handles); the others only look, and leave
 * every handle to be awaited, which then does not wait any more.
 */
#ifndef WEFT_WAIT_H
#define WEFT_WAIT_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/awaitable.h>
#include <weft/decls.h>
#include <weft/task.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* ---- gather ---- */

/* Waits for n tasks that are already spawned, in any order, and consumes their handles.
 * ret_codes NULL: returns 0 when all have succeeded, or the first error as soon as it happens. The
 * other tasks then run on with nobody to await them, so their arguments must not be on the caller's
 * stack (use a group for that); their errors count as read, as in asyncio, and are not reported as
 * those of a task of weft_detach are. ret_codes non-NULL: waits for all, writes each code in
 * argument order, returns 0.
 * When the caller is cancelled all n are cancelled; WEFT_ECANCELED after all have ended.
 * The same handle twice gives its code twice. n = 0 returns 0.
 * WEFT_ESTALE, WEFT_EINVAL, WEFT_ESELF for a bad handle, WEFT_ENOMEM: nothing was consumed.
 * [task] [suspends] [cancel point]. asyncio: gather, with and without return_exceptions */
int weft_gather(const weft_task *tasks, size_t n, int *ret_codes);

/* The same for awaitables of any kind. One that cannot be cancelled is not waited for when the
 * caller is.
 * [task] [suspends] [cancel point]. asyncio: gather */
int weft_gather_mixed(const weft_awaitable *set, size_t n, int *ret_codes);

/* ---- wait and select ---- */

enum weft_wait_until {
  WEFT_ALL_OVER = 0,   /* ALL_COMPLETED */
  WEFT_FIRST_OVER = 1, /* FIRST_COMPLETED */
  WEFT_FIRST_ERROR =
      2, /* FIRST_EXCEPTION: all are over, or one with an error other than a cancel */
};

typedef struct weft_outcome {
  bool over;
  int code; /* when over; else 0 */
} weft_outcome;

/* Waits until the condition holds, at most for `limit` (<= 0: looks once; WEFT_FOREVER: without
 * limit). Returns how many are over at that moment, which may be 0 when the time ran out: that is
 * no error. ret (may be NULL) gets the outcome of each, in argument order. Consumes and cancels
 * nothing, also when the caller is cancelled. The same awaitable twice counts twice.
 * WEFT_EINVAL for none at all, WEFT_ESTALE or WEFT_ESELF for a bad handle, WEFT_ENOMEM,
 * WEFT_ECANCELED.
 * [task] [suspends] [cancel point]. asyncio: wait */
int weft_wait(const weft_awaitable *set, size_t n, enum weft_wait_until until, weft_ns limit,
              weft_outcome *ret);

/* Waits until one is over and returns its index (the lowest, when several are); *ret_code (may be
 * NULL) is its code. Consumes and cancels nothing. Errors as weft_wait.
 * [task] [suspends] [cancel point]. asyncio: wait(FIRST_COMPLETED) */
int weft_select(const weft_awaitable *set, size_t n, int *ret_code);

/* ---- as_completed ---- */

/* Gives what is over, one by one, in the order in which that happens. Opaque. */
typedef struct weft_completed weft_completed;

/* Begins to watch n awaitables. The array is copied; what it names must live until
 * weft_completed_free.
 * The same awaitable twice counts once (its first index). `limit` from now is the time for all of
 * them; WEFT_FOREVER: no limit. n = 0 gives none. WEFT_ENOMEM, WEFT_EINVAL, WEFT_ESTALE,
 * WEFT_ESELF.
 * [task] [never suspends]. asyncio: as_completed */
int weft_as_completed(weft_completed **ret, const weft_awaitable *set, size_t n, weft_ns limit);

/* The next one that is over: 1 with its index in *ret_index and its code in *ret_code (each may be
 * NULL); 0 when all were given. When the time has run out, those that were over in time still come,
 * and then WEFT_ETIMEDOUT once for each that was not. Cancels nothing. Several tasks may share the
 * object: each awaitable is given to one of them. WEFT_ECANCELED, and WEFT_ENOMEM without memory
 * for a timer: nothing was taken.
 * [task] [suspends] [cancel point]. asyncio: the iterator of as_completed */
int weft_completed_next(weft_completed *c, size_t *ret_index, int *ret_code);

/* Stops watching and frees. No task may be waiting in weft_completed_next. NULL does nothing.
 * [any thread] [never suspends] */
void weft_completed_free(weft_completed *c);

/* ---- map ---- */

/* Every field may be left zero. */
typedef struct weft_map_opts {
  unsigned limit;   /* most calls at a time; 0: as many as the runtime has workers, times 4 */
  int *codes;       /* not NULL: gets the code of each call, and no error stops the others */
  const char *name; /* of the tasks that make the calls */
} weft_map_opts;

/* Calls fn(&items[i]) for each of n items of item_size bytes, several at a time, each in a task.
 * Without .codes the first error stops it: calls in progress are cancelled, no further ones begin,
 * and that error is the result. Returns when every call has ended, also when the caller is
 * cancelled (which cancels the calls). 0, the first error, WEFT_ECANCELED, WEFT_ENOMEM,
 * WEFT_EINVAL. A call that did not begin has WEFT_ECANCELED in .codes.
 * [task] [suspends] [cancel point]. asyncio: gather with a semaphore; Executor.map */
int weft_map(weft_fn fn, void *items, size_t n, size_t item_size, const weft_map_opts *opts);

WEFT_END_DECLS
#endif
