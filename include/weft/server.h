/* Servers: listening sockets, the connections that come in, and a task for each of them.
 * asyncio counterparts: start_server, start_unix_server, Server.
 *
 *   static int echo(weft_stream *s, void *arg) {
 *     char buf[4096];
 *     ssize_t n;
 *     int r = 0;
 *     (void)arg;
 *     while ((n = weft_read(s, buf, sizeof buf)) > 0 && (r = weft_write(s, buf, (size_t)n)) == 0) {}
 *     return n < 0 ? (int)n : r;               (the connection is closed by the server)
 *   }
 *   ...
 *   return weft_serve(echo, NULL, &(weft_serve_opts){.host = "127.0.0.1", .port = 7000});
 *
 * Three layers, each made of the one below it: weft_serve is a whole server in one call; a
 * weft_server is one that others may look at and end; a weft_listener and weft_accept are a loop of
 * one's own.
 *
 * Connections are accepted by one task for each socket, and each is handled by a task of its own,
 * which any worker may run.
 *
 * Out of descriptors (or memory for one more), nothing is dropped and nothing spins: accepting
 * pauses, which is reported once (weft/report.h), and goes on as soon as weft has closed a descriptor,
 * or after a tenth of a second. Clients wait in the kernel's queue meanwhile. A connection whose
 * handler gets no stack waits, too, with the same report, and is tried ten times a second. (Without
 * memory even for that it is closed, which is reported as a handler's failure.) A connection that its
 * client has given up before it was accepted is skipped.
 *
 * The end of a server, in phases (weft_server_shutdown):
 *   1. It stops to listen. Who is connected, or is being connected, by then is still served: while the
 *      server waits for those, for a twentieth of a second at most, the kernel drops requests for new
 *      connections, and clients that ask again are refused. Not where others have the same clients: a
 *      socket that was given (weft_listener_from_fd), or a port that is shared (.reuse_port); there,
 *      and while connections wait for a place (.max_conns), new ones come until the close.
 *   2. Every handler is told: weft_stopping() is true in it, and in all that it has started, and
 *      weft_stop_wait returns. And a read of its connection that would have to wait answers 0, the
 *      end, when the handler has read nothing since it last wrote: so a loop that reads a request and
 *      writes the answer ends between two of them, by itself, and never within one. (Who has read
 *      nothing at all waits for a fifth of a second.) A client that is sending just then is not
 *      reset: for a second the server reads what it sends, to no effect, until it closes, too.
 *   3. Handlers have the time `grace` to end by themselves.
 *   4. Those who are left are cancelled, and have the time `cancel_grace`.
 *   5. The connections of those who are left even then are dropped; `abort_grace`.
 * The report says how each of them ended, and whose connections were cut off.
 */
#ifndef WEFT_SERVER_H
#define WEFT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/addr.h>
#include <weft/decls.h>
#include <weft/stream.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* ---- listening and accepting ---- */

typedef struct weft_listener weft_listener;

/* Every field may be left zero. */
typedef struct weft_listen_opts {
  int backlog;        /* clients that the kernel connects before they are accepted; default: 128.
                         The system has a limit of its own (net.core.somaxconn) */
  bool reuse_port;    /* others may listen on the same port, and the kernel deals out the clients */
  bool no_reuse_addr; /* refuse a port on which connections of an earlier listener linger */
  bool v6_only;       /* an IPv6 socket takes no IPv4 clients; default: "::" takes them, too */
  unsigned mode;      /* permissions of a Unix socket's file, up to 0777; default: by the umask */
} weft_listen_opts;

/* Listens on the address: IPv4 and IPv6 (port 0: one that is free; see weft_listener_addr), or a Unix
 * socket, whose file is made. A file that a listener has left behind which is gone is replaced; one that
 * somebody listens on, or that is no socket, is WEFT_EADDRINUSE. opts may be NULL.
 * 0; WEFT_EINVAL for an option out of range; WEFT_ENOMEM; what the system says: WEFT_EADDRINUSE,
 * WEFT_EADDRNOTAVAIL, WEFT_EACCES, WEFT_EMFILE, and of a Unix socket WEFT_ENOENT, WEFT_ENOTDIR and
 * so on. Nothing is left behind then. Of the caller: weft_listener_free.
 * [any thread] [never suspends]. asyncio: loop.create_server, loop.create_unix_server */
int weft_listen(weft_listener **ret, const weft_addr *addr, const weft_listen_opts *opts);

/* A listener of a socket that listens already: inherited, or made by other means. It becomes
 * non-blocking and, on success only, belongs to the listener; whether an exec closes it stays as it
 * is, and a Unix socket's file is left alone, and so is what other processes have of the socket:
 * they go on to accept when this listener is closed. 0; WEFT_EINVAL for a socket that does not
 * listen or is of another family; WEFT_ENOTSOCK, WEFT_EBADF; WEFT_ENOMEM.
 * [any thread] [never suspends]. asyncio: sock= of start_server */
int weft_listener_from_fd(weft_listener **ret, int fd);

/* The next connection, as a stream that is the caller's (weft_stream_close); waits for one. 1; 0 once
 * the listener is closed, also when that happens during the call; WEFT_ECANCELED, and then no
 * connection was taken; WEFT_EBUSY while another task is in this call; WEFT_ENOTASK; WEFT_ENOMEM
 * without memory for the timer of a deadline around the call; and what the system says of the socket
 * for good. Clients that gave up are skipped, and it waits while there are no descriptors: see above.
 * [task] [suspends] [cancel point]. asyncio: loop.sock_accept */
int weft_accept(weft_listener *l, weft_stream **ret);

/* Stops to listen: the accept in progress, and all later ones, answer 0; clients that were not
 * accepted are reset. A Unix socket's file is removed if it is still the one that this listener has
 * made. Twice is fine. 0. [any thread] [never suspends]. asyncio: Server.close */
int weft_listener_close(weft_listener *l);

/* Closes it unless that was done, and frees it; NULL does nothing. Nobody may call anything on it at
 * the same time or later, but for an accept that is in progress: that one answers 0. 0.
 * [any thread] [never suspends] */
int weft_listener_free(weft_listener *l);

/* Where it listens: with the port that the system has chosen. 0; WEFT_ECLOSED.
 * [any thread] [never suspends]. asyncio: sock.getsockname */
int weft_listener_addr(weft_listener *l, weft_addr *ret);

/* ---- servers ---- */

/* Handles one connection, in a task of its own. The stream is the server's: it is closed, after what has
 * been written is out, when the handler returns, and must not be used afterwards. The handler may close
 * it sooner (weft_stream_close), which leaves the memory to the server. A negative code is reported
 * (weft/report.h); not WEFT_ECANCELED, nor what comes of a connection that the server itself has
 * dropped. */
typedef int (*weft_handler_fn)(weft_stream *s, void *arg);

/* How much time the phases of a shutdown have: zero is the default, negative is none, WEFT_FOREVER no
 * limit. */
typedef struct weft_shutdown_opts {
  weft_ns grace;        /* for handlers that were told, to end by themselves; default: 10 s */
  weft_ns cancel_grace; /* for those who were cancelled; default: 1 s */
  weft_ns abort_grace;  /* for those whose connections were dropped; default: 1 s */
} weft_shutdown_opts;

/* How a handler ended that did not end in time. */
enum weft_server_end {
  WEFT_SERVER_CANCELLED = 1, /* after it was cancelled */
  WEFT_SERVER_ABORTED,       /* after its connection was dropped, too */
  WEFT_SERVER_LEFT,          /* not at all yet */
};

typedef struct weft_server_cut {
  enum weft_server_end end;
  weft_addr peer; /* whose connection it was */
} weft_server_cut;

enum { WEFT_SERVER_CUTS = 8 };

/* What a shutdown has come to. */
typedef struct weft_server_report {
  uint64_t accepted;  /* connections since the server began */
  unsigned ended;     /* handlers that have ended by themselves since the shutdown began */
  unsigned cancelled; /* that have not, and ended when they were cancelled */
  unsigned aborted;   /* nor that, and ended when their connections were dropped */
  unsigned left;      /* that had not ended when the call returned */
  weft_server_cut cuts[WEFT_SERVER_CUTS]; /* the first of the last three: there are ncuts of them */
  unsigned ncuts;
} weft_server_report;

/* Where to listen is said by one of host and port, path, addrs, listener. Every field may be left
 * zero. */
typedef struct weft_serve_opts {
  const char *host;       /* a number or a name, which is looked up: all its addresses that this
                               machine has; default: all of it, IPv4 and IPv6 */
  int port;               /* 0: one that is free, the same for all addresses */
  const char *path;       /* a Unix socket's file */
  const weft_addr *addrs; /* these addresses, naddrs of them */
  size_t naddrs;
  weft_listener *listener; /* this one, which on success belongs to the server */
  weft_listen_opts listen; /* for all but the last */
  unsigned max_conns; /* connections at a time; more clients wait in the kernel's queue; default:
                               no limit but that of descriptors */
  size_t stack_size;  /* of a handler's task; default: the run's */
  const char *name;   /* of the handlers' tasks; must outlive the server; default: "a handler" */
  weft_shutdown_opts shutdown; /* of weft_serve and weft_server_serve */
  weft_server_report *report;  /* the same: filled when they have shut the server down */
} weft_serve_opts;

typedef struct weft_server weft_server;

/* Listens, and serves each connection by handler(stream, arg), until the calling task is asked to
 * finish (weft_stopping) or cancelled; then shuts the server down as .shutdown says, under a shield,
 * and frees it. 0 when it was asked; WEFT_ECANCELED; what weft_server_start answers; WEFT_ETIMEDOUT
 * when a handler has survived all phases (which then uses arg still).
 * [task] [suspends] [cancel point]. asyncio: start_server and Server.serve_forever */
int weft_serve(weft_handler_fn handler, void *arg, const weft_serve_opts *opts);

/* Listens, and begins to serve in the background. The server is the caller's: weft_server_free.
 * 0; WEFT_EINVAL; WEFT_ENOTASK; WEFT_ENOMEM; what weft_listen answers for one of the addresses, or
 * the search for the name: then nothing listens.
 * [task] [suspends only to look up a name] [cancel point only there].
 * asyncio: start_server, start_unix_server */
int weft_server_start(weft_server **ret, weft_handler_fn handler, void *arg,
                      const weft_serve_opts *opts);

/* Serves until the calling task is asked to finish or cancelled, and then shuts the server down: as
 * weft_serve, but frees nothing. Also returns, with 0, when the server was closed by somebody else
 * and its last connection has ended. WEFT_EBUSY when another task is in this call; WEFT_ESELF in
 * a handler of it. [task] [suspends] [cancel point]. asyncio: Server.serve_forever */
int weft_server_serve(weft_server *v);

/* Stops to listen; connections go on. Who is in the kernel's queue by then is still served, unless
 * .max_conns is reached. Nothing listens any more when it returns, which takes no waiting for
 * anybody's business. Twice is fine. 0; WEFT_ENOTASK.
 * [task] [suspends]. asyncio: Server.close */
int weft_server_close(weft_server *v);

/* Waits until the server is closed and no connection is left. 0, WEFT_ECANCELED, WEFT_ENOMEM;
 * WEFT_ESELF in a handler of it. [task] [suspends] [cancel point]. asyncio: Server.wait_closed */
int weft_server_wait_closed(weft_server *v);

/* Closes every connection that is open at this moment: what has been written still goes out, reads
 * give the end, and writes WEFT_ECLOSED. Close the server first, or clients go on to come. 0.
 * [any thread] [never suspends]. asyncio: Server.close_clients */
int weft_server_close_clients(weft_server *v);

/* Drops every connection that is open at this moment: the clients see a reset, and the handlers
 * WEFT_ECLOSED. 0. [any thread] [never suspends]. asyncio: Server.abort_clients */
int weft_server_abort_clients(weft_server *v);

/* Ends the server in the phases that are told above; opts and ret_report may be NULL. 0 when every
 * handler has ended by itself; WEFT_ETIMEDOUT when some were cut off, or are left: *ret_report is
 * filled in both cases. WEFT_ECANCELED when the caller is cancelled, which goes through the
 * remaining phases without their times: the handlers have been cancelled and the connections
 * dropped, and weft_server_wait_closed waits for their ends. WEFT_EBUSY while another task
 * is in this call; WEFT_ESELF in a handler of it; WEFT_ENOTASK.
 * [task] [suspends] [cancel point] */
int weft_server_shutdown(weft_server *v, const weft_shutdown_opts *opts,
                         weft_server_report *ret_report);

/* Frees a server that is closed and has no connections; NULL does nothing. 0; or WEFT_EBUSY while it
 * listens, a handler is alive or another task waits in it: nothing is freed then.
 * [any thread] [never suspends] */
int weft_server_free(weft_server *v);

/* It listens. [any thread] [never suspends]. asyncio: Server.is_serving */
bool weft_server_listening(weft_server *v);

/* Connections now: handlers that have not ended. [any thread] [never suspends] */
unsigned weft_server_connections(weft_server *v);

/* The i-th address that it listens on, from 0. 0; WEFT_EINVAL when there are not so many;
 * WEFT_ECLOSED. [any thread] [never suspends]. asyncio: Server.sockets */
int weft_server_addr(weft_server *v, size_t i, weft_addr *ret);

WEFT_END_DECLS
#endif
