/* What both channels are: a count of what was sent, a line of those who have had all of it, and an end.
 *
 * Nobody is given anything: a change ends the waits of all, and each looks for itself when it runs. The
 * count only grows, so who waits for more than it has seen waits for a fact that stays true: such a
 * reader is also an awaitable, its place being the key.
 */
#ifndef WEFT_AIO_CHANNEL_H
#define WEFT_AIO_CHANNEL_H

#include <weft/awaitable.h>

#include "aio/line.h"

struct weft__channel {
  struct weft__shared shared; /* its lock guards the rest */
  bool closed;
  uint64_t sent;
  struct weft__line waiting;
  weft_watchers watchers;
};

/* Of zeroed memory. */
void weft__channel_init(struct weft__channel *c);

/* Nobody waits, nor watches. */
bool weft__channel_idle(struct weft__channel *c);

/* Begins a change: 0 with the lock held, or WEFT_ECLOSED, WEFT_ECHILD, WEFT_EBUSY. */
int weft__channel_change(struct weft__channel *c);

/* Ends it: one more was sent, or nothing new; gives the lock back. */
void weft__channel_changed(struct weft__channel *c, bool news);

int weft__channel_close(struct weft__channel *c);

/* Takes the lock to look, as 0; waits until more than `seen` were sent. 1 when they were and 0 when the
 * channel is closed, both with the lock held; WEFT_EAGAIN when it may not wait, or why the wait failed,
 * without it. */
int weft__channel_look(struct weft__channel *c, uint64_t seen, bool may_wait,
                       const struct weft__wait_kind *kind);

weft_awaitable weft__channel_awaitable(struct weft__channel *c, uint64_t seen);

#endif
