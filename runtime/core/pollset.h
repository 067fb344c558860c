/* The descriptors of a loop: one epoll set.
 *
 * Descriptors are in it from their first wait until they are closed, edge-triggered: the kernel tells of a
 * change once, to one of those who look. So a set may be looked at by any thread, not only by who drives
 * the loop: a worker without work looks into the sets of those that are busy. Only the bell is for the
 * driver, and level-triggered, so that nobody else takes its news.
 *
 * libuv's uv_poll_t would be the other way. Starting and stopping one is the driver's alone, a change of
 * what is waited for takes the descriptor out of the set and puts it in again (about 1.5 us), and an
 * unread byte is told of in every turn.
 */
#ifndef WEFT_CORE_POLLSET_H
#define WEFT_CORE_POLLSET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomics.h"

/* How much of the time goes into looking. Written by whoever looks, without care for others who do, and read
 * as a hint: relaxed. On the clock of weft__now_fast. */
struct weft__pollset_load {
  weft__atomic_u64 since; /* the beginning of this period */
  weft__atomic_u64 spent; /* ns of it in looks */
  weft__atomic_u32 full;  /* what the last period has shown */
};

struct weft__worker;

struct weft__pollset {
  struct weft__worker *owner; /* constant; NULL: of no worker, in a test */
  int fd;                     /* constant, as bell */
  int bell;                   /* an eventfd, rung from any thread to end a wait */
  /* A worker that sleeps in it and is not its owner: CAS from NULL, given back by a release store (idle.c). */
  weft__atomic_ptr guest;
  /* Descriptors in it, and waits. Raised after one was put in; read relaxed as a hint, which the fences of
   * weft__loop_poke and of a driver that goes to sleep make exact. */
  weft__atomic_u32 watched;
  /* On the clock of weft__now_fast: when somebody last looked. Relaxed. */
  weft__atomic_u64 looked_at;
  struct weft__pollset_load load;
};

/* What an event is for: the address of one of the two, and how the kernel is to say it. */
enum weft__poll_kind {
  WEFT__POLL_DESCRIPTOR, /* a struct weft__descriptor: both directions, edge-triggered */
  WEFT__POLL_WAITED,     /* a struct weft__waited (fdwait.h): what is asked for, once */
};

/* 0, WEFT_ENOMEM, WEFT_EMFILE, WEFT_ENFILE; nothing is left on failure. */
int weft__pollset_init(struct weft__pollset *s);
void weft__pollset_fini(struct weft__pollset *s);

/* Puts fd into the set for a descriptor, of that age. 0, WEFT_ENOMEM, WEFT_ENOSPC, WEFT_EPERM, WEFT_EBADF.
 * Any thread. */
int weft__pollset_add(struct weft__pollset *s, int fd, void *descriptor, uint16_t age);
/* One more, or one less, that events may come of; add has counted its own. Any thread, while the loop
 * lives. */
void weft__pollset_raise(struct weft__pollset *s);
void weft__pollset_lower(struct weft__pollset *s);

/* Asks for one event of fd: mask is of EPOLLIN and EPOLLOUT. Codes as above. Any thread. */
int weft__pollset_ask(struct weft__pollset *s, int fd, void *waited, uint16_t age, uint32_t mask);

/* Looks once and tells the descriptors of what has happened. On a worker or a reserve. */
void weft__pollset_look(struct weft__pollset *s);
/* Somebody who waited has found the bell rung, which may have been for another. idle.c */
void weft__ring_heard(struct weft__pollset *s);

/* The same by the driver, or by a guest, who waits for an event, a ring, or the deadline (UINT64_MAX for none). */
void weft__pollset_wait(struct weft__pollset *s, uint64_t deadline);

/* Ends the driver's wait, or the next one. Any thread. */
void weft__pollset_ring(struct weft__pollset *s);

/* Looking has lately taken so much of a thread's time that what is new had better be in another set. Any
 * thread. */
bool weft__pollset_full(const struct weft__pollset *s);

static inline uint32_t weft__pollset_watched(const struct weft__pollset *s) {
  return weft__load_relaxed_u32(&s->watched);
}

#endif
