/* Datagrams: messages that arrive whole or not at all, over UDP and Unix sockets.
 * asyncio: create_datagram_endpoint, DatagramTransport, DatagramProtocol.
 *
 *   weft_addr here, from;
 *   weft_addr_parse(&here, "0.0.0.0", 5353);
 *   r = weft_datagram_open(&d, &(weft_datagram_opts){.local = &here});
 *   while ((r = weft_datagram_receive_from(d, buf, sizeof buf, &len, &from)) > 0)
 *     if ((r = weft_datagram_send_to(d, buf, len, &from)) < 0) break;       (an echo server)
 *   weft_datagram_close(d);
 *
 * Receiving. A datagram may be empty, so its length is not the result: receive answers 1 for a
 * datagram and writes the length, which is that of the whole datagram. When it is more than there
 * was room for, the rest is lost. There is no end: a loop ends with an error, or when the socket is
 * closed.
 *
 * Sending is all or nothing. While the socket's buffer is full, send waits: weft keeps no datagrams
 * of its own, drops none, and close has nothing to flush. (What the network and the receiver's
 * kernel lose, they lose.)
 *
 * Errors from the network. What an earlier datagram met (WEFT_ECONNREFUSED: nobody there) arrives
 * later, and a connected socket tells it once, by the next call that sends or receives, of whoever;
 * that call has then sent or received nothing. The socket works on. A socket that is not connected
 * is not told, unless it was opened with .errors, which says also which datagram it was.
 *
 * Any number of tasks may send and receive on one socket, on all workers. Who has to wait for a
 * datagram, or for room, waits in the order in which they came; each datagram goes to one of them.
 * (Who sends to Unix sockets by name waits in order with those who send to the same one.)
 * Cancelling: WEFT_ECANCELED means that nothing was received, or sent.
 */
#ifndef WEFT_DATAGRAM_H
#define WEFT_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/addr.h>
#include <weft/decls.h>
#include <weft/errors.h>

WEFT_BEGIN_DECLS

typedef struct weft_datagram weft_datagram;

/* Every field may be left zero. */
typedef struct weft_datagram_opts {
  const weft_addr *local; /* bound to; default: the system chooses when the first one is sent. The
                             file of a Unix socket is removed by the close if it is still this
                             one's; one that was left behind, and nobody has bound, is replaced */
  const weft_addr *peer;  /* connected to: only datagrams from there are received */
  int family;         /* AF_INET, AF_INET6, AF_UNIX; default: that of local or peer, or AF_INET */
  bool v6_only;       /* of an IPv6 socket: no IPv4 */
  bool reuse_port;    /* others may bind the same address, and share what arrives */
  bool reuse_address; /* of multicast: others may bind it, and each gets all */
  bool broadcast;     /* may send to broadcast addresses */
  bool errors;        /* keeps the errors of the network, for weft_datagram_next_error */
  int receive_buffer; /* bytes; default: the system's */
  int send_buffer;
} weft_datagram_opts;

/* Opens a socket. opts may be NULL. 0; WEFT_EINVAL for options that go not together; what the
 * system answers, as WEFT_EADDRINUSE, WEFT_EADDRNOTAVAIL, WEFT_EACCES, WEFT_EAFNOSUPPORT,
 * WEFT_EMFILE; WEFT_ENOMEM. The caller closes it.
 * [any thread] [never suspends]. asyncio: loop.create_datagram_endpoint */
int weft_datagram_open(weft_datagram **ret, const weft_datagram_opts *opts);

/* Two Unix sockets that are connected to each other: ret[0] and ret[1].
 * [any thread] [never suspends] */
int weft_datagram_pair(weft_datagram *ret[2]);

/* Takes over a socket of the program, which becomes non-blocking, and on success belongs to the
 * result. Whether an exec closes it stays as it is. WEFT_EBADF, WEFT_ENOTSOCK; WEFT_EPROTOTYPE when it
 * is not one of datagrams.
 * [any thread] [never suspends]. asyncio: loop.create_datagram_endpoint(sock=...) */
int weft_datagram_from_fd(weft_datagram **ret, int fd);

/* Closes the socket and frees it. Calls that are under way in other tasks end with WEFT_ECLOSED,
 * those that wait at once; none may begin after it. NULL does nothing. 0.
 * [any thread] [never suspends]. asyncio: DatagramTransport.close, DatagramTransport.abort */
int weft_datagram_close(weft_datagram *d);

/* ---- receiving ---- */

/* Waits for a datagram and writes its first `size` bytes to buf and its whole length, 0 or more, to
 * *ret_len (may be NULL): 1. Or an error: one from the network, WEFT_ECANCELED, WEFT_ECLOSED,
 * WEFT_ENOMEM. Never 0.
 * [task] [suspends] [cancel point]. asyncio: DatagramProtocol.datagram_received, error_received */
int weft_datagram_receive(weft_datagram *d, void *buf, size_t size, size_t *ret_len);

/* The same, and *ret_from (may be NULL) is the sender's address: none for a Unix socket that has
 * no name. [task] [suspends] [cancel point]. asyncio: loop.sock_recvfrom, loop.sock_recvfrom_into */
int weft_datagram_receive_from(weft_datagram *d, void *buf, size_t size, size_t *ret_len,
                               weft_addr *ret_from);

/* The same, and WEFT_EAGAIN where there is none. It does not ask who else waits.
 * [any thread] [never suspends] */
int weft_datagram_try_receive_from(weft_datagram *d, void *buf, size_t size, size_t *ret_len,
                                   weft_addr *ret_from);

/* Waits until there is a datagram, or an error, to be received: 0. It takes nothing, and another
 * task may be faster. For who wants no buffer while it waits.
 * [task] [suspends] [cancel point] */
int weft_datagram_wait_readable(weft_datagram *d);

/* ---- sending ---- */

/* Sends one datagram to the peer of a connected socket; waits while there is no room for it. 0;
 * WEFT_EDESTADDRREQ or WEFT_ENOTCONN when the socket is not connected; WEFT_EMSGSIZE when it is
 * too long; an error of an earlier one; what the system answers; WEFT_ECANCELED, WEFT_ECLOSED,
 * WEFT_ENOMEM.
 * [task] [suspends] [cancel point]. asyncio: DatagramTransport.sendto */
int weft_datagram_send(weft_datagram *d, const void *buf, size_t len);

/* Sends one datagram to that address. When the queue of a Unix socket that the sender is not
 * connected to is full, the kernel tells nobody when it has room again: then this asks again and
 * again, every 32 ms in the end, and holds up nobody who sends to another one. 0, and the same
 * errors.
 * [task] [suspends] [cancel point]. asyncio: DatagramTransport.sendto, loop.sock_sendto */
int weft_datagram_send_to(weft_datagram *d, const void *buf, size_t len, const weft_addr *to);

/* The same, `to` NULL for the peer, and WEFT_EAGAIN where there is no room. It does not ask who
 * else waits. [any thread] [never suspends] */
int weft_datagram_try_send_to(weft_datagram *d, const void *buf, size_t len, const weft_addr *to);

/* ---- many at once ---- */

typedef struct weft_datagram_item {
  void *data;      /* the bytes; or where they go */
  size_t size;     /* how many; or room for how many */
  size_t length;   /* of a received one, the whole: more than size when the rest was lost */
  weft_addr *addr; /* where to, NULL: the peer; or where the sender's is written, unless NULL */
} weft_datagram_item;

/* The most that one call receives. */
enum { WEFT_DATAGRAM_BATCH = 64 };

/* Waits for a datagram and takes it, and those that are there with it, n at most: how many, 1 or
 * more. What the others' addr point to is undefined then. An error as for receive, and then nothing
 * was taken; WEFT_EINVAL for n = 0. One system call where the kernel has it.
 * [task] [suspends] [cancel point] */
int weft_datagram_receive_many(weft_datagram *d, weft_datagram_item *items, size_t n);

/* Sends n datagrams in this order; waits while there is no room. 0 when all were sent; otherwise
 * why the next one was not. *ret_sent (may be NULL) says in both cases how many were. Others'
 * datagrams may go in between. A system call for up to 64 where the kernel has it; one for each on
 * a connected socket without .errors, because there the kernel would lose an error of the network
 * in the middle.
 * [task] [suspends] [cancel point] */
int weft_datagram_send_many(weft_datagram *d, const weft_datagram_item *items, size_t n,
                            size_t *ret_sent);

/* ---- errors of the network ---- */

typedef struct weft_datagram_error {
  int code;                /* WEFT_ECONNREFUSED, WEFT_EHOSTUNREACH, WEFT_EMSGSIZE, ... */
  weft_addr to;            /* where the datagram was to go */
  weft_addr reporter;      /* who says so; none: this machine */
  unsigned char icmp_type; /* as it arrived; both 0 from this machine */
  unsigned char icmp_code;
  unsigned mtu; /* with WEFT_EMSGSIZE: what is small enough, with the headers */
} weft_datagram_error;

/* Takes the oldest error of a socket opened with .errors: 1, or 0 when there is none. Such a
 * socket's calls tell errors too, connected or not: first the call's code, then here all of it.
 * [any thread] [never suspends]. asyncio: DatagramProtocol.error_received */
int weft_datagram_next_error(weft_datagram *d, weft_datagram_error *ret);

/* ---- settings ---- */

/* Connects to that address, also from another one; NULL: connects no more. What had arrived stays.
 * [any thread] [never suspends]. asyncio: loop.sock_connect */
int weft_datagram_connect(weft_datagram *d, const weft_addr *peer);

typedef enum weft_datagram_option {
  WEFT_DATAGRAM_RECEIVE_BUFFER = 1, /* bytes; the system doubles them, for its own needs */
  WEFT_DATAGRAM_SEND_BUFFER,
  WEFT_DATAGRAM_BROADCAST,      /* 0, 1 */
  WEFT_DATAGRAM_TTL,            /* how far datagrams go: 1 to 255 */
  WEFT_DATAGRAM_MULTICAST_TTL,  /* those to groups: 0 to 255; 1 is this network */
  WEFT_DATAGRAM_MULTICAST_LOOP, /* 1: this machine gets its own */
} weft_datagram_option;

/* 0; WEFT_EINVAL, WEFT_ENOPROTOOPT for what the family does not have.
 * [any thread] [never suspends]. asyncio: BaseTransport.get_extra_info("socket") */
int weft_datagram_set(weft_datagram *d, weft_datagram_option option, int value);
int weft_datagram_get(weft_datagram *d, weft_datagram_option option, int *ret);

/* Joins and leaves a group of multicast, at the interface of that number (if_nametoindex); 0: the
 * system chooses. [any thread] [never suspends] */
int weft_datagram_join(weft_datagram *d, const weft_addr *group, unsigned interface);
int weft_datagram_leave(weft_datagram *d, const weft_addr *group, unsigned interface);

/* The interface for what is sent to groups; 0: the system chooses.
 * [any thread] [never suspends] */
int weft_datagram_multicast_from(weft_datagram *d, unsigned interface);

/* The socket's own address, and that of its peer (WEFT_ENOTCONN).
 * [any thread] [never suspends]. asyncio: BaseTransport.get_extra_info("sockname", "peername") */
int weft_datagram_local(weft_datagram *d, weft_addr *ret);
int weft_datagram_peer(weft_datagram *d, weft_addr *ret);

/* The descriptor, which stays the socket's: to be looked at and to be given other options. Not to
 * be closed, made blocking, or watched. [any thread] [never suspends] */
int weft_datagram_fd(const weft_datagram *d);

WEFT_END_DECLS
#endif
