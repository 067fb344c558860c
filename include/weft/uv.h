/* The libuv loops of the workers, for libraries that are built on libuv. Not part of <weft.h>: include it
 * beside, with the system's names visible (-std=gnu11 or _GNU_SOURCE), and link with libuv.
 *
 *   static void on_timer(uv_timer_t *t) {                      (on the loop's driver)
 *     weft_future_set(t->data, NULL);
 *     weft_future_unref(t->data);
 *   }
 *   static int start(uv_loop_t *loop, void *arg) {             (likewise)
 *     struct thing *x = arg;
 *     x->timer.data = weft_future_ref(x->done);
 *     int r = uv_timer_init(loop, &x->timer);
 *     return r < 0 ? r : uv_timer_start(&x->timer, on_timer, 50, 0);
 *   }
 *
 *   weft_uv home = weft_uv_here();                             (a task)
 *   r = weft_uv_call(home, start, &x);
 *   if (r == 0) r = weft_future_await(x.done, NULL);
 *   weft_uv_call(home, stop, &x);                              (uv_close, on the same loop)
 *
 * The rules of the lease. A loop is driven by one thread at a time, not always by the same one: by its
 * worker, and by another thread while that is stuck in a long task. All that libuv does with a loop and
 * its handles, but uv_async_send, is done by its driver, between two tasks:
 *   - A task comes there by weft_uv_call, and gives the same home for the same handles.
 *   - What libuv calls is there already. It runs outside of any task: calls marked [task] answer
 *     WEFT_ENOTASK, those marked [any thread] work: a callback sets a future or puts into a queue, and a
 *     task goes on with it. It must be short, since the loop waits meanwhile, and all who are in it.
 *   - Nobody calls uv_run, uv_stop or uv_loop_close, or keeps what is thread-local.
 *
 * Handles are closed by who made them, by weft_uv_call; libuv has done with the memory of one when its close
 * callback is called, not before: a task that has a handle on its stack waits for that. What is open when the
 * runtime ends is told to the log and closed, without a callback; requests under way are ended by libuv,
 * and their callbacks may still be called.
 *
 * For one's own descriptors weft_fd_wait (weft/fd.h) is simpler, and for one's own timers and sockets so is
 * weft. Worker threads block all signals but those of faults: uv_signal_t works when the program's main
 * thread runs the runtime, and weft/signal.h in any case.
 */
#ifndef WEFT_UV_H
#define WEFT_UV_H

#include <stdint.h>
#include <uv.h>

#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* Names the loop of a worker: a value that may be copied and kept. {0} names none. */
typedef struct weft_uv {
  uint64_t runtime_;
  uint32_t worker_;
} weft_uv;

/* The loop of the worker on which the caller is now (where a callback is: that which calls it); {0} where there
 * is none. A task may be on another worker after it has suspended: keep the value.
 * [any thread] [never suspends] */
weft_uv weft_uv_here(void);

/* The same for the worker of that number, below weft_stats.workers: to spread handles over all of them; {0}
 * where there is none. [task] [never suspends] */
weft_uv weft_uv_of(unsigned worker);

/* Runs fn(loop, arg) on the thread that drives the loop, waits for its end, and returns its code. fn follows the
 * rules above. When the caller is cancelled before fn has begun fn is not run: WEFT_ECANCELED; once it
 * has begun its end is waited for, and the cancel is the next cancel point's. A call takes about as long as it
 * takes the worker to come to its loop: microseconds when it sleeps, some milliseconds when it is stuck in a
 * task and has no reserve yet, and until the end of that task when reserves are switched off.
 * WEFT_EINVAL for {0}, without fn, or for the loop of another runtime; WEFT_ENOTSUP in a simulation, where
 * libuv's time and its descriptors are not played.
 * [task] [suspends] [cancel point] */
int weft_uv_call(weft_uv home, int (*fn)(uv_loop_t *loop, void *arg), void *arg);

WEFT_END_DECLS
#endif
