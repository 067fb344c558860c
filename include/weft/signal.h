/* Signals, as something to wait for and as callbacks.
 * asyncio counterparts: add_signal_handler, remove_signal_handler.
 *
 *   static const int ends[] = {SIGTERM, SIGINT};
 *   weft_signal *s;
 *   r = weft_signal_open(&s, ends, 2);
 *   r = weft_select((weft_awaitable[]){weft_task_awaitable(server), weft_signal_awaitable(s)}, 2, NULL);
 *   if (r == 1) signo = weft_signal_next(s, NULL);
 *   weft_signal_close(s);
 *
 * While somebody in the process listens to a signal it has no other effect; whoever listens gets it, each for
 * itself. When the last one has ceased, what was there before is there again: the default, or a handler of
 * the program's (unless that has put another one there meanwhile). Signals of one number that come close
 * together may be told as one with a count, as the system itself merges them. It takes up to some
 * milliseconds until one is passed on.
 *
 * SIGINT: a run takes the first one to cancel its main task (weft/run.h). Whoever listens to it takes that
 * over, and gives it back.
 *
 * WEFT_ENOTSUP for signals that cannot be waited for: SIGKILL and SIGSTOP, which nobody gets, and SIGSEGV,
 * SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT and SIGSYS, which say that the program is broken. WEFT_EINVAL
 * for what is no signal. In a simulation (weft/sim.h) signals come from weft_signal_raise only.
 *
 * In a child made by fork() nobody listens: a signal does what it did before.
 */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <signal.h>
#include <stddef.h>

#include <weft/awaitable.h>
#include <weft/decls.h>
#include <weft/run.h>

WEFT_BEGIN_DECLS

/* One who listens to some signals. */
typedef struct weft_signal weft_signal;

/* Listens to these n signals from now on: those that come are kept until they are taken. Until it is closed,
 * or the runtime ends. WEFT_EINVAL for none, WEFT_ENOTSUP and WEFT_EINVAL as above, WEFT_ENOBUFS when more
 * than 16 runtimes of the process listen, WEFT_ENOMEM.
 * [task] [never suspends] */
int weft_signal_open(weft_signal **ret, const int *signos, size_t n);

/* Takes the next signal, waiting for it if there is none: its number, and in *ret_times (may be NULL) how
 * often it came since it was taken last. Of several that are there the lowest number comes first. Each is
 * given to one task, the longest waiting. WEFT_ECANCELED: none was taken. WEFT_ECLOSED once the runtime in
 * which it was opened has ended. [task] [suspends] [cancel point] */
int weft_signal_next(weft_signal *s, unsigned *ret_times);

/* Over, with its number, when there is a signal to be taken; takes none. It borrows s.
 * [any thread] [never suspends] */
weft_awaitable weft_signal_awaitable(weft_signal *s);

/* Listens no more, and frees s; what was not taken is lost. NULL does nothing. WEFT_EBUSY while a task waits
 * for it: nothing is changed then. [any thread] [never suspends] */
int weft_signal_close(weft_signal *s);

/* Waits for one of these n signals: its number. Before and after the call they have the effect that they have
 * without it. Errors as weft_signal_open. [task] [suspends] [cancel point] */
int weft_wait_signal(const int *signos, size_t n);

/* Calls fn(arg) as a callback (weft/call.h: a task that nobody awaits) when the signal comes. A second one for
 * the same signal takes the place of the first. They last until they are removed or the runtime ends. Errors as
 * weft_signal_open. [task] [never suspends]. asyncio: loop.add_signal_handler */
int weft_signal_handler(int signo, weft_fn fn, void *arg);

/* Removes it: 1; 0 when there is none. Callbacks that have not begun may still run.
 * [task] [never suspends]. asyncio: loop.remove_signal_handler */
int weft_signal_handler_remove(int signo);

/* Sends the signal to the calling thread: it has come when the call returns. In a simulation it is
 * played, for those who listen; WEFT_ENOTSUP when nobody does.
 * [any thread] [never suspends]. Python: signal.raise_signal */
int weft_signal_raise(int signo);

WEFT_END_DECLS
#endif
