/* Servers, for their own files:
 *   server.c         a server as a whole: its beginning, looks at it, its end as an object
 *   server_addrs.c   where it is to listen
 *   server_accept.c  the tasks that accept
 *   server_conn.c    the tasks that handle connections
 *   server_end.c     closing, waiting for the end, and the shutdown in phases
 *
 * A server is the owner of its tasks: one acceptor for each listener, one handler for each connection.
 * What changes is guarded by its lock. A place is what max_conns counts: an acceptor takes one before it
 * tries to accept, and gives it back or hands it to the handler. Who is told that a task has ended is
 * told under the lock, as the last thing that touches the server: so it may be freed by whoever has
 * had the lock and found nobody alive and nobody inside.
 */
#ifndef WEFT_IO_SERVER_H
#define WEFT_IO_SERVER_H

#include <weft/awaitable.h>
#include <weft/server.h>
#include <weft/stream.h>

#include "aio/stop.h"
#include "core/resource.h"
#include "core/task.h"
#include "core/waitq.h"
#include "io/addr.h"

/* A connection, from when it was accepted to its handler's end; the argument of that task. */
struct weft__conn {
  weft_server *server;
  weft_stream *stream;      /* until it is closed; then NULL, by the handler, under the lock */
  struct weft__task *task;  /* a later one when it got no stack; under the lock */
  struct weft__list link;   /* in conns; under the lock */
  enum weft_server_end end; /* how far the shutdown has come with it, or 0; under the lock */
  unsigned cut;             /* its place in the report's list plus one, or 0; under the lock */
  bool dropped;             /* by the server; under the lock */
  bool late;                /* it got no stack at first; its maker's, then the handler's */
  socklen_t peer_len;       /* constant, as peer: as much of the address as there is room for */
  struct sockaddr_in6 peer;
};

struct weft__acceptor {
  weft_server *server;
  weft_listener *listener;
  struct weft__conn *spare; /* the acceptor's: for its next connection, or NULL */
  uint32_t late;            /* the acceptor's: tries since the server is closing */
};

struct weft_server {
  /* Constant. */
  weft_handler_fn handler;
  void *arg;
  const char *name;
  size_t stack_size;
  const void *site;
  unsigned max_conns; /* UINT_MAX: no limit */
  weft_shutdown_opts times;
  weft_server_report *wanted; /* of weft_server_serve, or NULL */
  struct weft__owner handlers, acceptors;
  struct weft__stop *stop; /* what the handlers see */
  struct weft__resource resource;
  unsigned nlisteners;

  struct weft__spin lock; /* guards the rest, but for what acceptor[] says */
  unsigned accepting;     /* acceptors that have not ended */
  unsigned places;        /* taken */
  unsigned alive;         /* connections */
  unsigned inside;        /* calls that wait, or have waited and not had the lock since */
  bool closing;           /* listening ends */
  uint64_t close_by;      /* until then who closes waits for places and descriptors */
  bool told;              /* handlers are asked to finish */
  bool shutting;          /* a shutdown is in progress */
  bool serving;           /* a task is in weft_server_serve */
  bool forsaken;          /* the last one to end frees it */
  bool starved;           /* handlers got no stack, and that was reported */
  int error;              /* why an acceptor has ended by itself, or 0 */
  struct weft__list conns;
  struct weft__waitq for_place;
  struct weft__waitq for_close; /* no acceptor */
  struct weft__waitq for_end;   /* nobody at all */
  weft_watchers watchers;       /* the same */
  uint64_t accepted;
  weft_server_report report; /* of the shutdown in progress */

  struct weft__acceptor acceptor[]; /* nlisteners */
};

/* ---- server_addrs.c ---- */

/* Makes the listeners that the options ask for; on success *ret is an array to be freed. Suspends to look up
 * a name only. */
int weft__server_listen(const weft_serve_opts *o, weft_listener ***ret, unsigned *ret_n);

/* Frees the first n, and the array. */
void weft__server_unlisten(weft_listener **list, unsigned n);

/* ---- server_accept.c ---- */

/* Starts the acceptors. 0, or WEFT_ENOMEM: then some may be alive. */
int weft__server_accept(weft_server *v);

/* An acceptor has ended. (A child_done.) */
void weft__acceptor_done(struct weft__owner *owner, struct weft__task *t);

/* ---- server_conn.c ---- */

/* Who it is that is connected. */
weft_addr weft__conn_peer(const struct weft__conn *c);

/* Makes the task of c, whose stream and peer are set, which has a place: it has the stream from now on. 0, or
 * WEFT_ENOMEM. By an acceptor. */
int weft__conn_start(struct weft__conn *c);

/* A handler has ended. (A child_done.) */
void weft__conn_done(struct weft__owner *owner, struct weft__task *t);

/* ---- server_end.c ---- */

/* With the lock: nobody is alive. */
static inline bool weft__server_over(const weft_server *v) {
  return v->accepting == 0 && v->places == 0;
}

/* With the lock: a task has ended, or a place was given back. */
void weft__server_ended(weft_server *v);

/* With the lock, which it releases: frees it if it is forsaken and over. */
void weft__server_release(weft_server *v);

/* Frees what nobody uses any more. */
void weft__server_destroy(weft_server *v);

/* Ends listening, and waits for that: acceptors take who is there, and until the deadline wait for places
 * for them. Not a cancel point. By a task. */
void weft__server_stop_listening(weft_server *v, uint64_t by);

#endif
