/* A slot of the pool: a place for one worker process, and the pool's side of its channel.
 *
 * Whoever holds a slot (procpool.c hands it out) may use all of it, and nobody else may; there is
 * no lock here. A slot is empty (channel -1) when its process died and no other could be made;
 * asking again is up to the next holder.
 *
 * The functions that wait take the wait as a parameter: weft__fd_wait_until lets other tasks run,
 * and weft__procslot_block blocks the thread, for callers that are no task.
 */
#ifndef WEFT_OFFLOAD_PROCSLOT_H
#define WEFT_OFFLOAD_PROCSLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "offload/crew.h"
#include "offload/zygote.h"

struct weft__procslot {
  struct weft__list idle; /* guarded by the pool's lock */
  unsigned index;         /* constant */
  int channel;            /* -1: empty */
  pid_t pid;              /* of the process that was born last */
  uint64_t seq;           /* of the call made last; never starts again, also for a new process */
  bool dead;              /* the channel has told the death of its process, */
  uint32_t how;           /* and how it died */
};

/* Waits until fd is ready for events (WEFT__FD_READ). 0, or a negative code that ends the wait. */
typedef int (*weft__wait_fn)(int fd, int events, uint64_t deadline);

int weft__procslot_block(int fd, int events, uint64_t deadline);

void weft__procslot_init(struct weft__procslot *s, unsigned index);
/* Closes the channel, if there is one; the process ends by itself or was ended. */
void weft__procslot_fini(struct weft__procslot *s);

/* Makes a process for an empty slot: request sends the wish, birth waits for its outcome. After a
 * failure the slot is empty. 0, WEFT_EPROC when the zygote is gone, or why it could not fork. */
int weft__procslot_request(struct weft__procslot *s, const struct weft__zygote *z);
int weft__procslot_birth(struct weft__procslot *s, weft__wait_fn wait);

/* One call. In and out lie in the slot's areas. */
struct weft__proccall {
  uint32_t job;
  size_t in_len;
  size_t out_cap;
  int code;       /* set by an answer */
  size_t out_len; /* set by an answer */
};

/* Sends the call and waits for the answer. 1 answered; else the process must be buried before the
 * slot is used again: 0 it is dead or says things that are no answer; negative: what ended the
 * wait. */
int weft__procslot_call(struct weft__procslot *s, struct weft__proccall *call, weft__wait_fn wait);

/* Kills the process if it is alive, waits until it is reaped and leaves the slot empty. Returns how
 * it died: a signal's number, or 256 + an exit status. When nobody can tell, because the zygote is
 * gone, that is SIGKILL. A wait that fails is replaced by weft__procslot_block. */
uint32_t weft__procslot_bury(struct weft__procslot *s, const struct weft__zygote *z,
                             weft__wait_fn wait);

/* True if the process began the last call before it died. */
bool weft__procslot_begun(const struct weft__procslot *s, const struct weft__area *area);

#endif
