/* Deadlines around any code. asyncio: timeout(), wait_for.
 *
 *   weft_timeout s;
 *   weft_timeout_begin(&s, weft_ms(50));
 *   r = fetch_everything(ctx);          (any depth of code, no deadline parameter)
 *   r = weft_timeout_end(&s, r);        (WEFT_ETIMEDOUT if this scope's time ran out)
 *
 * When the deadline passes, the suspending call in progress, or the next one, returns
 * WEFT_ECANCELED, and so does every later one until the scope's end. Scopes nest; the nearest
 * deadline counts.
 *
 * Under a shield (weft_shield_begin) the scopes that were begun in it work as anywhere: cleanup may
 * have a limit. Those around the shield, and cancels, are delivered after it. A scope that is still
 * open at the end of the shield in which it was begun goes on as one that was begun just before
 * that shield.
 */
#ifndef WEFT_TIMEOUT_H
#define WEFT_TIMEOUT_H

#include <weft/decls.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/* Lives on the stack of the task that begins it, until its end. The fields are the runtime's. */
typedef struct weft_timeout {
  struct weft_timeout *outer_;
  void *task_;
  uint64_t deadline_;
  uint64_t nearest_;
  uint32_t shield_;
  bool expired_;
} weft_timeout;

/* Begins a scope. limit <= 0: the body runs to its first suspension and is cut there;
 * WEFT_FOREVER: no limit. Returns 0, or WEFT_ENOTASK.
 * [task] [never suspends]. asyncio: timeout() */
int weft_timeout_begin(weft_timeout *s, weft_ns limit);

/* Ends the scope, innermost first. Returns code unchanged, or WEFT_ETIMEDOUT in place of
 * WEFT_ECANCELED if this scope's own deadline caused it and the task was not cancelled otherwise
 * meanwhile. WEFT_ESTATE if s is not the innermost scope of the calling task (nothing is changed).
 * [task] [never suspends]. asyncio: leaving timeout() */
int weft_timeout_end(weft_timeout *s, int code);

/* True once the scope's deadline has been delivered to a suspending call. [task]
 * [never suspends] */
bool weft_timeout_expired(const weft_timeout *s);

/* Moves the deadline to `limit` from now. WEFT_ESTATE once it has expired or ended.
 * [task] [never suspends]. asyncio: Timeout.reschedule */
int weft_timeout_reschedule(weft_timeout *s, weft_ns limit);

/* fn(arg) in the calling task under a timeout scope; its code, or WEFT_ETIMEDOUT. limit <= 0: fn is
 * not called. [task] [suspends] [cancel point]. asyncio: wait_for(coroutine) */
int weft_wait_for(weft_fn fn, void *arg, weft_ns limit);

/* Awaits the task, at most for `limit`; then cancels it, waits until it is really over, and returns
 * WEFT_ETIMEDOUT, or the code it ended with if it refused the cancel. Consumes the handle, but for
 * WEFT_ESELF, WEFT_EINVAL and WEFT_ENOTASK (see weft_await).
 * [task] [suspends] [cancel point]. asyncio: wait_for(task) */
int weft_wait_for_task(weft_task t, weft_ns limit);

WEFT_END_DECLS
#endif
