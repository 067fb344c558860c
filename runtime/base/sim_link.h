/* A simulated stream: two ends and a direction of bytes from each to the other. For the files of
 * the simulated network (sim_net.h says what it does). Fields are the playing thread's. */
#ifndef WEFT_BASE_SIM_LINK_H
#define WEFT_BASE_SIM_LINK_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/annotate.h"
#include "base/list.h"
#include "base/sim_net.h"

/* For TSan: what came before a release of the address comes before what follows an acquire of
 * it. */
static inline void weft__sim_release(char *order) {
#if WEFT__TSAN
  __tsan_release(order);
#else
  (void)order;
#endif
}

static inline void weft__sim_acquire(char *order) {
#if WEFT__TSAN
  __tsan_acquire(order);
#else
  (void)order;
#endif
}

#define WEFT__SIM_NEVER UINT64_MAX

/* An address; len 0: none. */
struct weft__sim_name {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    char raw[sizeof(struct sockaddr_storage)];
  } u;
  socklen_t len;
};

/* From one end, which writes, to the other. Bytes are in one of three places: sent == received +
 * dropped + held. */
struct weft__sim_way {
  struct weft__list segments; /* what was sent and not read yet, in the order of arrival */
  size_t held;                /* bytes in them */
  size_t capacity;
  uint64_t last;    /* nothing that is sent from now on arrives before */
  uint64_t fin_at;  /* when the reader learns that no more comes */
  uint64_t gone_at; /* when the writer learns that nobody reads */
  bool away;        /* nobody reads: what is sent is lost */
  uint64_t sent, received, dropped;
  char order; /* what precedes a write comes before what follows the read */
};

struct weft__sim_end {
  struct weft__sim_fd *file; /* or NULL: closed, or not accepted yet */
  bool reads, writes;        /* a pipe's ends do one of the two */
  bool shut_read, shut_write;
  bool closed;
  bool told;             /* the reset was reported */
  uint64_t connected_at; /* nothing can be done before */
  uint64_t reset_at;     /* when the end learns that the stream was reset, */
  int reset_code;        /* and by which code */
  struct weft__sim_name name;
};

/* way[i] leads from end[i]. */
struct weft__sim_link {
  struct weft__list all; /* in the list of a simulation's links */
  struct weft__sim_way way[2];
  struct weft__sim_end end[2];
  uint64_t latency_min, latency_max;
  bool pipe; /* end 1 writes, end 0 reads */
  struct weft__list pending; /* in the list of a listener, while end 1 is not accepted */
  uint64_t acceptable_at;    /* before that the listener knows nothing of it */
};

/* Lasts until weft__sim_links_end; NULL when there is no memory. */
struct weft__sim_link *weft__sim_link_make(bool pipe);
/* All of a simulation. */
void weft__sim_links_end(void);

/* A latency of this stream. */
uint64_t weft__sim_link_latency(const struct weft__sim_link *l);

/* By the end `who`, as the calls of the same names on a descriptor that does not block. */
ssize_t weft__sim_link_read(struct weft__sim_link *l, int who, const struct iovec *iov, size_t n,
                            bool peek);
ssize_t weft__sim_link_write(struct weft__sim_link *l, int who, const struct iovec *iov, size_t n);
int weft__sim_link_shutdown(struct weft__sim_link *l, int who, int how);
/* abort: as a reset, whether or not there is something unread. */
void weft__sim_link_close(struct weft__sim_link *l, int who, bool abort);
/* The error that waits to be reported, which it then is no more, or 0. */
int weft__sim_link_error(struct weft__sim_link *l, int who);

/* What poll says at that time, if nobody does anything until then. */
int weft__sim_link_state(const struct weft__sim_link *l, int who, uint64_t at);
/* The times after `now` at which it changes by itself, in no order; returns how many. */
enum { WEFT__SIM_LINK_TIMES = 5 };
unsigned weft__sim_link_times(const struct weft__sim_link *l, int who, uint64_t now,
                              uint64_t times[WEFT__SIM_LINK_TIMES]);

#endif
