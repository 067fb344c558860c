/* Streams to somewhere: connections by name or by address, Unix sockets, pipes.
 * asyncio counterparts: open_connection, open_unix_connection.
 *
 *   weft_stream *s;
 *   int r = weft_connect(&s, "example.org", 80, NULL);
 *   if (r < 0) return r;
 *   ...
 *   weft_stream_close(s);
 *
 * A name may have several addresses, some of which do not answer. They are tried as RFC 8305 (happy
 * eyeballs) says: families by turns, the next one when the one before has failed or has not
 * answered for a quarter of a second, and the first connection wins; the others are closed before
 * the call returns. Who wants to know why each failed gives a list for that.
 *
 * A deadline: weft_timeout_begin, or weft_wait_for, around the call; without one the system gives an
 * address up after about two minutes. Cancelled means that nothing is left behind: no descriptor, no
 * task. (A name lookup may run on: weft/dns.h.)
 */
#ifndef WEFT_CONNECT_H
#define WEFT_CONNECT_H

#include <stddef.h>

#include <weft/addr.h>
#include <weft/decls.h>
#include <weft/stream.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* An address that could not be connected to. */
typedef struct weft_connect_error {
  weft_addr addr;
  int code;
} weft_connect_error;

/* Where to write those: the caller's array, and how many it has room for. */
typedef struct weft_connect_errors {
  weft_connect_error *list;
  size_t max;
  size_t count; /* written by every connect that gets as far as an address: how many have failed, in
                   the order in which they were tried. May be more than max */
} weft_connect_errors;

/* Every field may be left zero. */
typedef struct weft_connect_opts {
  int family;             /* of weft_connect: AF_INET or AF_INET6; default: both */
  const weft_addr *local; /* the connection comes from this address; port 0: any */
  weft_ns stagger;        /* how long an address has before the next one is tried, too; default
                             250 ms; negative: none, all at once; WEFT_FOREVER: until it has failed */
  weft_connect_errors *errors;
} weft_connect_opts;

/* Connects to one of the host's addresses: a name, or a number. opts may be NULL. On success the
 * stream is the caller's (weft_stream_close). Otherwise the code of the address that was tried first, or
 * of the lookup, as weft_getaddrinfo has them:
 *   WEFT_ECONNREFUSED  nobody listens there   WEFT_ETIMEDOUT  no answer for long
 *   WEFT_ENETUNREACH, WEFT_EHOSTUNREACH       WEFT_EADDRNOTAVAIL, WEFT_EADDRINUSE  of .local
 *   WEFT_EAI_NONAME, WEFT_EAI_AGAIN, ...      WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOBUFS, WEFT_EACCES
 *   WEFT_EAFNOSUPPORT  also: .local is of another family
 *   WEFT_EINVAL        host is NULL, port is not 1 to 65535
 *   WEFT_ECANCELED, WEFT_ENOMEM, WEFT_EAGAIN, WEFT_ENOTASK
 * [task] [suspends] [cancel point]. asyncio: open_connection, loop.create_connection */
int weft_connect(weft_stream **ret, const char *host, int port, const weft_connect_opts *opts);

/* Connects to one of the n addresses, in the order in which they are; each may be of any family.
 * WEFT_EINVAL when n is 0, and for an address without a port; otherwise as weft_connect.
 * [task] [suspends] [cancel point] */
int weft_connect_addrs(weft_stream **ret, const weft_addr *addrs, size_t n,
                       const weft_connect_opts *opts);

/* The same with one. [task] [suspends] [cancel point] */
int weft_connect_addr(weft_stream **ret, const weft_addr *addr, const weft_connect_opts *opts);

/* Connects to the Unix socket of that file. WEFT_ENOENT, WEFT_ECONNREFUSED (nobody listens any
 * more), WEFT_EACCES; WEFT_EINVAL and WEFT_ENAMETOOLONG as weft_addr_unix; otherwise as
 * weft_connect. While the listener's queue is full it waits for a place there, as a connect that
 * blocks does. [task] [suspends] [cancel point].
 * asyncio: open_unix_connection, loop.create_unix_connection */
int weft_connect_unix(weft_stream **ret, const char *path, const weft_connect_opts *opts);

/* A pipe: what is written to one end is read from the other. Both are the caller's. WEFT_EMFILE,
 * WEFT_ENFILE, WEFT_ENOMEM, WEFT_EINVAL. [any thread] [never suspends].
 * asyncio: os.pipe with loop.connect_read_pipe, loop.connect_write_pipe */
int weft_pipe(weft_stream **ret_read, weft_stream **ret_write);

/* Two streams that are connected with each other, each for reading and writing: Unix sockets. Both
 * are the caller's. Errors as weft_pipe. [any thread] [never suspends]. asyncio: socket.socketpair */
int weft_stream_pair(weft_stream **ret_a, weft_stream **ret_b);

WEFT_END_DECLS
#endif
