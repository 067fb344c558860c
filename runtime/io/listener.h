/* Listeners, for servers and for their own files (listen.c opens and closes, listener.c accepts).
 *
 * One task at a time accepts. It tries at once, and waits for the descriptor when nobody is there. What
 * the kernel has given and could not become a stream, for want of memory, is kept for the next try.
 */
#ifndef WEFT_IO_LISTENER_H
#define WEFT_IO_LISTENER_H

#include <weft/server.h>
#include <weft/time.h>

#include "base/atomics.h"
#include "core/descriptor.h"
#include "core/resource.h"
#include "io/sockfile.h"

/* So long at most a listener that was told that there is no room waits for a close. */
#define WEFT__ROOM_PAUSE weft_ms(100)

struct weft_listener {
  struct weft__descriptor *d; /* constant; frees the listener when it is gone */
  weft_addr addr;             /* constant */
  uint32_t burst;             /* constant: so many in a row, then others have a turn */
  weft__atomic_u32 closed;    /* 1: who sets it (acq_rel) closes d */
  weft__atomic_u32 accepting; /* 1: a task is inside; acquire by it, release by the one before */
  weft__atomic_u32 hasty; /* 1: waits until last_call only. Release before d is woken, acquire */
  weft__atomic_u64 last_call;  /* relaxed, before hasty */
  weft__atomic_u32 no_file;    /* 1: who sets it (acq_rel) removes the file */
  struct weft__sock_file file; /* the opener's; then the remover's */
  struct weft__resource resource;
  bool
      alone; /* constant: a socket of weft's own, whose port nobody else listens on; no Unix socket */
  /* Of the one inside: */
  uint32_t row;   /* accepted, or skipped, without a wait */
  int kept;       /* a connection that has no stream yet, or -1 */
  weft_addr from; /* who has come last */
  bool paused;    /* there was no room, and that was reported */
  bool deaf;      /* the kernel drops what asks for a connection */
  bool last_try;  /* the one after the time was over has been asked for */
};

/* One task, from here to leave. 0, WEFT_ECLOSED, WEFT_EBUSY. */
int weft__listener_enter(weft_listener *l);
void weft__listener_leave(weft_listener *l);

/* Removes the file of a Unix socket, once. */
void weft__listener_unlink(weft_listener *l);

/* Inside: waits until a try is worth it. 0, WEFT_ECLOSED, WEFT_ECANCELED, WEFT_ENOMEM; WEFT_EAGAIN when it
 * is hasty. */
int weft__listener_wait(weft_listener *l);

/* The system has no descriptor, or no memory, for one more. */
bool weft__no_room(int code);

/* Inside: takes one. 0; WEFT_EAGAIN when nobody is there; a code of no room, after which the caller calls
 * pause until that does not answer 1; WEFT_ECLOSED; WEFT_ECANCELED (others have a turn now and then,
 * before anything is taken); an error of the socket. */
int weft__listener_take(weft_listener *l, weft_stream **ret, const void *site);

/* Inside: there was no room. Takes one if there is by now; else waits for room, for the time of one pause
 * and not beyond the deadline, and answers 1. Else as take, and WEFT_ENOMEM without memory for the
 * timer. */
int weft__listener_pause(weft_listener *l, weft_stream **ret, const void *site, uint64_t deadline);

/* From now on who is inside takes those who are here, or on their way here until that time, and then waits
 * for nobody any more. While it waits nobody new comes, if it may become deaf for that. Any thread, while
 * the listener lives. */
void weft__listener_hurry(weft_listener *l, uint64_t until);

/* Inside: is deaf no more, as who accepts waits for something else than a client. */
void weft__listener_hear(weft_listener *l);

#endif
