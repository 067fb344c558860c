/* Debug mode: the runtime watches for what is legal C and almost always a mistake, and reports it
 * with the place in the program. asyncio counterpart: PYTHONASYNCIODEBUG, loop.set_debug,
 * slow_callback_duration.
 *
 * It is on with WEFT_DEBUG=1 in the environment or .debug in the options of a run. What it reports,
 * each to the run's error handler, else its log (weft/report.h):
 *
 *   - a task that keeps its worker for longer than .slow_slice without suspending: its name, where
 *     it was spawned, and what it is doing at that moment (a backtrace)
 *   - a handle of weft_spawn that nobody has consumed when the run ends
 *   - a call that needs a task, made outside of one: the function and who called it
 *   - a task that suspends, or ends, while it holds a pthread mutex or rwlock (with libweft-debug)
 *   - what is still open when every task of the run has ended (generators, strands, ...)
 *   - a task that ends inside a timeout scope or a shield that it began
 *   - tasks that wait for each other in a circle, and a run in which nothing can wake anybody any
 *     more (weft/graph.h)
 *
 * Places are given as function, file and line where the program has debug information, else as
 * module and offset, which addr2line understands.
 *
 * The backtrace of a task that computes is taken by a signal (the last real-time signal but one,
 * unless the program has a handler for it) on the worker's thread: a system call that blocks there
 * may return EINTR. Debug mode costs about 0.1 us a switch and one look at all tasks a second.
 *
 * libweft-debug is a small library beside libweft: it stands in for pthread_mutex_lock and its kin
 * and remembers which are held. Link it (weft::debug) or preload it; not together with
 * ThreadSanitizer.
 */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <stdbool.h>

#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* The calling task's runtime is in debug mode. False outside a runtime.
 * [any thread] [never suspends]. asyncio: get_debug */
bool weft_debugging(void);

WEFT_END_DECLS
#endif
