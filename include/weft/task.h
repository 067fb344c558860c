/* Tasks: functions that run concurrently, await each other and can be cancelled.
 * asyncio counterparts: Task, create_task, sleep, current_task, all_tasks.
 *
 * A task is a plain function on a stack of its own. It begins when a worker gets to it, or at once
 * on its awaiter's stack when it is awaited before anyone began it. After any call marked
 * [suspends] it may continue on another thread.
 *
 * Handles. weft_task is a value. weft_await, weft_detach, weft_gather and a group's join consume
 * it: the task's memory is then used again, and the old value answers WEFT_ESTALE from then on. All
 * other calls borrow it. Each handle that weft_spawn returns is to be consumed exactly once.
 * A handle, consumed or not, may be used as long as its runtime lives: until weft_run, or
 * weft_runner_close, returns. After that the memory that it names is gone, and not even WEFT_ESTALE
 * can be answered: a thread that keeps handles has to be done with them before.
 *
 * Cancellation is sticky. A cancelled task gets WEFT_ECANCELED from every call marked
 * [cancel point] until it returns, or says weft_cancel_catch(), which is what `except
 * CancelledError` is in Python. A task ends cancelled when it returns WEFT_ECANCELED, and when it
 * returns success although a cancel was requested that no call has delivered; an error that it
 * returns stays its code. Being cancelled is only ever a return value: nothing is unwound, so `goto
 * out` cleans up. When a call returns WEFT_ECANCELED it has taken nothing. Cleanup that has to wait
 * runs between weft_shield_begin() and weft_shield_end().
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/decls.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

/* A task handle; {0} is no task. When weft_spawn fails, the handle it returns carries the error,
 * and every function given that handle answers the error: one check, at the await, is enough. */
typedef struct weft_task {
  void *slot_;
  uint64_t key_;
} weft_task;

/* Every field may be left zero. */
typedef struct weft_spawn_opts {
  const char *name;  /* shown in reports; must outlive the task; default: the function's address */
  size_t arg_size;   /* copies this many bytes of *arg onto the task, which gets the copy: the
                        caller's may die at once, the copy lives until the handle is consumed. Up
                        to 64 KiB */
  size_t stack_size; /* of this task; default: the run's; from WEFT_STACK_MIN to 64 MiB */
  bool pinned;       /* runs on the spawning worker only, and is never moved */
  struct weft_context *context; /* the task-locals it runs in (weft/local.h); default: a copy of the
                                   spawner's */
  bool eager;    /* runs to its first suspension before the spawn returns, which costs no turn when
                        it ends there; a task of another strand that is busy begins later all the
                        same. No matter for weft_submit. asyncio: eager_start */
  bool parallel; /* belongs to no strand, though its spawner does */
  struct weft_strand *strand; /* the strand it belongs to; default: the spawner's (weft/strand.h) */
} weft_spawn_opts;

/* Creates a task that will run fn(arg). opts may be NULL. Never runs fn before returning, unless
 * .eager says so.
 * The argument must stay valid until the task has ended, unless .arg_size copies it.
 * On failure the handle carries the error (see weft_task_error): WEFT_ENOMEM, WEFT_EINVAL for an
 * option out of range, WEFT_ENOTASK outside a task, WEFT_ECLOSED when the runtime is past its
 * shutdown.
 * [task] [never suspends]. asyncio: create_task */
weft_task weft_spawn(weft_fn fn, void *arg, const weft_spawn_opts *opts);

/* The error that the handle's spawn failed with (WEFT_EINVAL for {0}), else 0, also once the task
 * has ended and the handle was consumed: it looks at the handle only.
 * [any thread] [never suspends] */
int weft_task_error(weft_task t);

/* Waits until the task has ended and returns its code; consumes the handle. If the awaiting task is
 * cancelled meanwhile, the awaited one is cancelled first and its end waited for; WEFT_ECANCELED is
 * returned if it let itself be cancelled, its own code if it refused (and then the awaiter's cancel
 * is done with, if it came during this call). A task that has ended gives its code also to an
 * awaiter that is cancelled, whose next suspending call then answers the cancel: no code is lost.
 * WEFT_ENOMEM when there is no memory for the timer of a deadline around the call: the task is then
 * cancelled, too, its end waited for and its code lost, and the handle is consumed.
 * WEFT_ESTALE for a handle that was consumed. WEFT_ESELF for the calling task itself and
 * WEFT_EINVAL for a task of another runtime: their handles are not consumed. One task awaits; any
 * number of others may weft_task_wait.
 * A task nobody has begun yet runs at once on the caller's stack.
 * [task] [suspends] [cancel point]. asyncio: await task */
int weft_await(weft_task t);

/* Waits until the task has ended and leaves the handle as it is. Writes the task's code to
 * *ret_code (may be NULL) and returns 0; or WEFT_ECANCELED if the caller was cancelled, or
 * WEFT_ENOMEM without memory for the timer of a deadline around the call, which leave the task
 * alone; or the codes of weft_await for a handle that cannot be awaited.
 * [task] [suspends] [cancel point]. asyncio: wait({task}) */
int weft_task_wait(weft_task t, int *ret_code);

/* Lets the task run on its own and consumes the handle. A failure (other than WEFT_ECANCELED) is
 * reported to the log when it happens. 0 or WEFT_ESTALE.
 * [any thread] [never suspends] */
int weft_detach(weft_task t);

/* Asks the task to end: the suspending call it is in, or its next one, returns WEFT_ECANCELED. A
 * task that has not begun ends cancelled without running. Returns 1 if the request was made, 0 if
 * the task had already ended, WEFT_ESTALE for a consumed handle.
 * [any thread] [never suspends]. asyncio: task.cancel */
int weft_cancel(weft_task t);

/* The same, and says why: a static string, which is not copied. It replaces the reason of an
 * earlier request (weft_cancel replaces it by none), and goes with the cancel to the task that t
 * awaits.
 * [any thread] [never suspends]. asyncio: task.cancel(msg) */
int weft_cancel_why(weft_task t, const char *reason);

/* The reason that the last request gave; NULL when it gave none, when there is no request that was
 * not taken back, and for a stale handle. weft_cancel_reason(weft_current()) tells a task its own.
 * [any thread] [never suspends]. asyncio: the message of CancelledError */
const char *weft_cancel_reason(weft_task t);

/* Number of cancel requests made and not taken back. 0, or more; WEFT_ESTALE. It stops counting at
 * 255.
 * [any thread] [never suspends]. asyncio: task.cancelling */
int weft_cancelling(weft_task t);

/* Takes one request back and returns how many remain; at 0 a request that was not delivered yet is
 * withdrawn. Never below 0. WEFT_ESTALE.
 * [any thread] [never suspends]. asyncio: task.uncancel */
int weft_uncancel(weft_task t);

/* Ends the stickiness: the calling task has handled its cancel and goes on; later suspending calls
 * work again. The count of weft_cancelling stays. Returns true if there was one to catch.
 * [task] [never suspends]. asyncio: except CancelledError */
bool weft_cancel_catch(void);

/* Between begin and end the calling task's cancel points do not deliver a cancel, nor the deadline
 * of a timeout scope that was begun before; they are delivered at the first one after the end. The
 * deadlines of scopes that are begun in between are delivered at once. They nest; an end without a
 * begin does nothing.
 * [task] [never suspends]. asyncio: shield, for the code of one task */
void weft_shield_begin(void);
void weft_shield_end(void);

/* 1 if the task has ended, 0 if not: a snapshot. WEFT_ESTALE for a consumed handle is true in an
 * `if`, so compare with 1, or ask for > 0.
 * [any thread] [never suspends]. asyncio: task.done */
int weft_task_done(weft_task t);

/* Suspends for at least `duration`; zero or less lets the others run once, as weft_yield.
 * 0, WEFT_ECANCELED, or WEFT_ENOMEM without memory for the timer (it has not slept then).
 * [task] [suspends] [cancel point]. asyncio: sleep */
int weft_sleep(weft_ns duration);

/* Goes to the back of the ready queue. [task] [suspends] [cancel point]. asyncio: sleep(0) */
int weft_yield(void);

/* The calling task, borrowed; {0} outside a task. Exact also in a task that runs on its awaiter's
 * stack.
 * [any thread] [never suspends]. asyncio: current_task */
weft_task weft_current(void);

/* The task's name (.name of its spawn, or NULL). The pointer is the caller's of weft_spawn.
 * [any thread] [never suspends]. asyncio: get_name */
const char *weft_task_name(weft_task t);

/* Writes one line that describes the task (name, state, what it waits for, function, spawn site)
 * and returns its length as snprintf does, or WEFT_ESTALE.
 * [any thread] [never suspends]. asyncio: repr(task) */
int weft_task_describe(weft_task t, char *buf, size_t size);

/* Fills tasks[0..max) with borrowed handles of the tasks of this runtime that have not ended and
 * returns how many there are (may exceed max), or WEFT_ENOTASK. A snapshot; a child leaves it a
 * moment before its group knows of its end.
 * [task] [never suspends]. asyncio: all_tasks */
int weft_tasks(weft_task *tasks, size_t max);

WEFT_END_DECLS
#endif
