/* Datagram sockets inside: the object, and the calls on its descriptor.
 *
 * Receivers take turns: whoever has the lock `receivers` tries and waits for the descriptor, the others
 * wait for the lock. So the word `ready` has one caller at a time, and a datagram goes to who came first.
 *
 * A sender tries at once, without a lock and without that word, unless others wait: room is nearly
 * always there, and the kernel takes datagrams from several threads at a time. Who finds none takes the
 * lock `senders`, and there forgets `ready` before each try, so that an event during the try is kept.
 *
 * A Unix socket that is not connected is told nothing when a receiver has room again. So who sends to one
 * that has none stands in the list `patients` instead, and asks it again after a pause, unless somebody
 * before him in the list waits for the same one.
 */
#ifndef WEFT_IO_DATAGRAM_H
#define WEFT_IO_DATAGRAM_H

#include <sys/types.h>

#include <weft/datagram.h>
#include <weft/sync.h>

#include "base/atomics.h"
#include "core/descriptor.h"
#include "core/resource.h"
#include "core/waitq.h"
#include "io/sockfile.h"

/* How the socket is set, as far as it changes what a call does. */
enum { WEFT__DATAGRAM_CONNECTED = 1, WEFT__DATAGRAM_ERRORS = 2 };

struct weft_datagram {
  struct weft__descriptor *io; /* constant */
  int family;                  /* constant */
  weft__atomic_u32 mode;       /* relaxed: who changes it while others send has either */
  weft_lock receivers;
  weft_lock senders;
  struct weft__spin patience;  /* guards the next two */
  struct weft__list patients;  /* who waits for a receiver, */
  struct weft__waitq pauses;   /* and who of them for the end of a pause */
  struct weft__sock_file file; /* of a Unix socket that was bound to one; the closer's */
  struct weft__resource resource;
};

/* One try of a call: what it moved, 0 or more; WEFT_EAGAIN; or another error. */
typedef ssize_t (*weft__datagram_try)(int fd, void *call);

/* Tries now: between enter and leave of its own. Any thread. */
ssize_t weft__datagram_now(weft_datagram *d, weft__datagram_try try, void *call);

struct weft__task;

/* Tries until it can be done; t calls it. */
ssize_t weft__datagram_receive(weft_datagram *d, struct weft__task *t, weft__datagram_try try,
                               void *call);
ssize_t weft__datagram_send(weft_datagram *d, struct weft__task *t, weft__datagram_try try,
                            void *call);

/* The same of a Unix socket that is not connected to `to`. By a task. */
ssize_t weft__datagram_send_patiently(weft_datagram *d, weft__datagram_try try, void *call,
                                      const weft_addr *to);

/* Those who pause look whether it is closed. */
void weft__datagram_wake_patients(weft_datagram *d);

static inline bool weft__datagram_is(const weft_datagram *d, uint32_t mode) {
  return weft__load_relaxed_u32(&d->mode) & mode;
}

/* Keeps the errors of the network from now on. */
int weft__datagram_keep_errors(int fd, int family);

#endif
