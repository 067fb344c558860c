/* Callbacks: functions that run soon, or at a time, without anybody awaiting them.
 * asyncio counterparts: call_soon, call_later, call_at, Handle, TimerHandle.
 *
 * A callback is a task that nobody awaits: it may suspend, and its failure is reported as that of
 * any detached task; the value it returns otherwise is lost.
 *
 * In exact mode and in a strand callbacks begin in asyncio's order: those of weft_call_soon as they
 * were made, those with a time by their time. (In a strand a callback queues up when it is due,
 * even while a task of the strand runs; asyncio looks at its timers between turns only.) Elsewhere
 * any worker begins any of them.
 *
 * The handle is a value that need not be kept or given back. From a thread outside the runtime:
 * weft_submit, which is asyncio's call_soon_threadsafe.
 *
 * When the run ends, callbacks that have not begun are dropped.
 */
#ifndef WEFT_CALL_H
#define WEFT_CALL_H

#include <stdint.h>

#include <weft/decls.h>
#include <weft/run.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* Names a callback. {0} names none. When one could not be made, its handle carries the error. May
 * be used until the run ends; once the callback has begun every call answers 0 or its time. */
typedef struct weft_call {
  void *slot_;
  uint64_t key_;
  weft_ns when_;
} weft_call;

/* Calls fn(arg) on a later turn, in the order of these calls (see above), and never at once. When
 * it cannot be made the handle carries WEFT_ENOMEM, WEFT_EINVAL or WEFT_ENOTASK (weft_call_error).
 * [task] [never suspends]. asyncio: call_soon */
weft_call weft_call_soon(weft_fn fn, void *arg);

/* Calls fn(arg) when `delay` has passed, never earlier; zero or less: on a later turn. Callbacks of
 * one time begin in the order of these calls. With WEFT_FOREVER it never begins. Errors as
 * weft_call_soon.
 * [task] [never suspends]. asyncio: call_later */
weft_call weft_call_later(weft_ns delay, weft_fn fn, void *arg);

/* Calls fn(arg) at `when` on the clock of weft_now, else as weft_call_later.
 * [task] [never suspends]. asyncio: call_at */
weft_call weft_call_at(weft_ns when, weft_fn fn, void *arg);

/* Keeps the callback from beginning. 1: it will not; 0: it has begun or ended, or was withdrawn
 * before; the error of a handle that carries one.
 * [any thread] [never suspends]. asyncio: Handle.cancel */
int weft_call_cancel(weft_call c);

/* The time for which the callback was made, on the clock of weft_now; 0 for one of weft_call_soon.
 * Never fails. [any thread] [never suspends]. asyncio: TimerHandle.when */
weft_ns weft_call_when(weft_call c);

/* 0 for a handle that names a callback, else the error with which it could not be made (WEFT_EINVAL
 * for {0}).
 * [any thread] [never suspends] */
int weft_call_error(weft_call c);

WEFT_END_DECLS
#endif
