/* The network of a simulation: streams in memory behind the seam (sys.h).
 *
 * While a thread plays, weft__sys_socket and weft__sys_socketpair (of SOCK_STREAM) and
 * weft__sys_pipe2 make simulated descriptors, with numbers that no real one has. Among themselves
 * they are bound, listen, connect and accept; nobody else is in this network. Reading, writing,
 * polling and closing them is played: bytes travel for a drawn, virtual time and in order, a buffer
 * is bounded, a transfer is often short, some calls are interrupted, a stream is sometimes reset.
 * All else stays the kernel's.
 *
 * What a stream does is what TCP does, also where a local socket is kinder: the end that closes
 * with bytes unread resets the stream; what is in flight then is lost; who writes before the news
 * of a close has arrived is told that all went well. Bytes that have arrived can be read before the
 * reset is reported, it is reported once, then reading gives the end and writing WEFT_EPIPE. No
 * signal is raised. Pipes have no latency and no resets, and a write of at most PIPE_BUF bytes is
 * not divided.
 *
 * A descriptor without O_NONBLOCK blocks the simulated thread that uses it.
 *
 * Everything is for the playing thread.
 */
#ifndef WEFT_BASE_SIM_NET_H
#define WEFT_BASE_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct weft__sys_table;
struct weft__sim_fd;

/* What is unkind, and how often: one in so many, 0 is never. */
struct weft__sim_net_rates {
  uint32_t short_read; /* gives fewer bytes than have arrived */
  uint32_t short_write;
  uint32_t split;     /* a write arrives in two parts */
  uint32_t interrupt; /* WEFT_EINTR */
  uint32_t reset;     /* of a stream, by a call that transfers */
  uint32_t spurious;  /* a wait ends although nothing is ready */
  uint32_t late;      /* what is ready is told in a later turn of the loop */
  uint32_t small;     /* a buffer is smaller than capacity */
  size_t capacity;    /* bytes that one direction holds */
  uint64_t latency_min, latency_max; /* ns; each stream draws its own maximum between them */
};

/* From now on, for all simulations; NULL is the defaults. Descriptors that exist keep their latency
 * and their capacity. */
void weft__sim_net_rates(const struct weft__sim_net_rates *rates);
/* Those in use. */
const struct weft__sim_net_rates *weft__sim_net_rates_now(void);

/* The descriptor is a simulated one, open or not. */
bool weft__sim_net_owns(int fd);

/* ---- waiting ---- */

/* Somebody waits for a descriptor: one shot. The memory is the waiter's until ready is called or
 * the watch is taken back. */
struct weft__sim_watch {
  struct weft__list link; /* in the list of all watches */
  struct weft__sim_fd *file;
  const void *key; /* what the waiter's thread sleeps on (weft__sim_wait) */
  int events;      /* POLLIN, POLLOUT, POLLRDHUP; errors and hang-ups always count */
  uint64_t at;     /* when the sleeper is going to look; a change that is ready earlier wakes it */
  void (*ready)(struct weft__sim_watch *w);
};

/* 0, WEFT_EBADF, or WEFT_EEXIST when the key has a watch of this descriptor already. */
int weft__sim_net_watch(struct weft__sim_watch *w, int fd);
/* A second time does nothing. */
void weft__sim_net_unwatch(struct weft__sim_watch *w);

/* For the loop that sleeps on key. Calls ready for the watches that are, each unlinked before. */
void weft__sim_net_deliver(const void *key);
bool weft__sim_net_watched(const void *key);
/* When the next watch is ready if nobody does anything; UINT64_MAX for never. The caller goes to
 * sleep until then at once. */
uint64_t weft__sim_net_next(const void *key);
/* A watch is ready now. */
bool weft__sim_net_ready(const void *key);

/* ---- the beginning and the end of a simulation ---- */

/* Puts the calls that know simulated descriptors into the table. */
void weft__sim_net_install(struct weft__sys_table *table);

/* Nothing is waited for and every descriptor is closed; else a line that says which one is not, and
 * the end of the process. (That no byte was lost is looked at whenever a stream ends.) */
void weft__sim_net_check(void);

/* Closes what is left, for the next simulation. */
void weft__sim_net_end(void);

#endif
