/* The zygote: a process forked while the parent has one thread, which does nothing but fork worker
 * processes later, when the parent has many. It is also their parent: it reaps them and tells the
 * pool how each one died.
 *
 * What holds it together:
 *   - One frame on its control channel asks for a process, another one for a kill; both are handled
 *     in order, so a kill never hits the process that came after the one it was meant for. Pids are
 *     used by the zygote alone, whose children they are: a signal cannot reach a stranger.
 *   - It answers on the worker's own channel (channel.h); nobody has to read the control channel.
 *   - The end of its control channel, which also comes when the parent dies in whatever way, makes
 *     it kill and reap all workers and exit. A worker that outlives the zygote sees the end of its
 *     own channel when its job is done.
 *   - It leads a process group of its own: an interrupt typed at the terminal reaches the parent,
 *     which decides what becomes of the jobs.
 */
#ifndef WEFT_OFFLOAD_ZYGOTE_H
#define WEFT_OFFLOAD_ZYGOTE_H

#include <stdbool.h>
#include <sys/types.h>

#include "offload/crew.h"

/* The pool's side. Constant from start to stop; any thread may ask, each frame is one message. */
struct weft__zygote {
  pid_t pid;
  int control;
};

/* Forks it; crew must be complete. The caller has checked that this process has one thread.
 * 0, WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOMEM, WEFT_EAGAIN. */
int weft__zygote_start(struct weft__zygote *z, const struct weft__crew *crew);

/* Asks for a process for the slot. *ret_channel gets the pool's end of its channel, on which BORN
 * or STILLBORN will arrive. 0, WEFT_EPROC when the zygote is gone, WEFT_EAGAIN when it is not
 * keeping up, WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOMEM. */
int weft__zygote_spawn(const struct weft__zygote *z, unsigned slot, int *ret_channel);

/* Asks it to kill the slot's process; harmless when that is dead. 0, WEFT_EPROC, WEFT_EAGAIN. */
int weft__zygote_kill(const struct weft__zygote *z, unsigned slot);

/* Whether it has died. A request that it had not read then is lost. */
bool weft__zygote_gone(const struct weft__zygote *z);

/* Ends it and with it all workers, and waits until they are reaped. Blocks for a moment. */
void weft__zygote_stop(struct weft__zygote *z);

#endif
