/* Listening, connecting and accepting among simulated descriptors. Compiled without TSan, as sim.c:
 * an address is copied byte by byte, because memcpy would show it (and one that a thread binds
 * another reads, with the kernel in between).
 *
 * A connection is a stream from the beginning: end 0 is the client's, end 1 waits at the listener
 * until it is accepted. A connect to nobody is a stream that is reset before it is connected.
 */
#include "base/sim_connect.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/point.h"
#include "base/sim.h"
#include "base/sys.h"

#define NEVER WEFT__SIM_NEVER

enum {
  FIRST_PORT = 32768, /* of those that the system chooses */
  BACKLOG = 4096,     /* the most */
};
/* A client whose request finds a full queue asks again after so long. */
#define RETRY_NS WEFT__NS_PER_SEC

static bool mine(int fd) {
  return weft__sim_here() && weft__sim_net_owns(fd);
}

/* ---- addresses ---- */

static void copy_bytes(volatile char *to, const volatile char *from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = from[i];
}

static bool same_bytes(const volatile char *a, const volatile char *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static void copy_name(struct weft__sim_name *to, const struct weft__sim_name *from) {
  copy_bytes(to->u.raw, from->u.raw, sizeof to->u.raw);
  to->len = from->len;
}

static int family_of(const struct weft__sim_name *n) {
  return n->u.any.sa_family;
}

static in_port_t *port_of(struct weft__sim_name *n) {
  return family_of(n) == AF_INET ? &n->u.in.sin_port : &n->u.in6.sin6_port;
}

static int take_name(struct weft__sim_name *to, int family, const struct sockaddr *addr,
                     socklen_t len) {
  size_t least = family == AF_INET    ? sizeof to->u.in
                 : family == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_scope_id)
                                      : offsetof(struct sockaddr_un, sun_path) + 1;
  if (len < least || len > sizeof to->u.raw) return WEFT_EINVAL;
  copy_bytes(to->u.raw, (const char *)addr, len);
  to->len = family == AF_INET ? sizeof to->u.in : len;
  return family_of(to) == family ? 0 : WEFT_EAFNOSUPPORT;
}

/* Writes what fits, and says how long it is. */
static void give_name(const struct weft__sim_name *n, int family, struct sockaddr *addr,
                      socklen_t *len) {
  struct weft__sim_name none = {.len = sizeof none.u.any.sa_family};
  none.u.any.sa_family = (sa_family_t)family;
  if (n->len == 0) n = &none;
  copy_bytes((char *)addr, n->u.raw, *len < n->len ? *len : n->len);
  *len = n->len;
}

static bool is_any(const struct weft__sim_name *n) {
  static const char zeros[16];
  if (family_of(n) == AF_INET) return n->u.in.sin_addr.s_addr == 0;
  return same_bytes((const char *)&n->u.in6.sin6_addr, zeros, sizeof zeros);
}

/* The two mean the same place, or one of them any. */
static bool meet(const struct weft__sim_name *a, const struct weft__sim_name *b) {
  if (a->len == 0 || b->len == 0 || family_of(a) != family_of(b)) return false;
  if (family_of(a) == AF_UNIX) {
    size_t at = offsetof(struct sockaddr_un, sun_path);
    if (a->u.un.sun_path[0] == 0) return a->len == b->len && same_bytes(a->u.raw, b->u.raw, a->len);
    for (; at < a->len && at < b->len && a->u.raw[at] == b->u.raw[at]; at++)
      if (a->u.raw[at] == 0) return true;
    return (at == a->len || a->u.raw[at] == 0) && (at == b->len || b->u.raw[at] == 0);
  }
  if (family_of(a) == AF_INET)
    return a->u.in.sin_port == b->u.in.sin_port &&
           (is_any(a) || is_any(b) || a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr);
  return a->u.in6.sin6_port == b->u.in6.sin6_port &&
         (is_any(a) || is_any(b) ||
          same_bytes((const char *)&a->u.in6.sin6_addr, (const char *)&b->u.in6.sin6_addr, 16));
}

/* Who is bound to the address. */
static struct weft__sim_fd *bound_to(const struct weft__sim_name *n) {
  for (struct weft__sim_fd *f = weft__sim_fd_next(NULL); f; f = weft__sim_fd_next(f))
    if (!f->link && meet(&f->name, n)) return f;
  return NULL;
}

/* A port that nobody has. False when there is none. */
static bool choose_port(struct weft__sim_name *n) {
  for (unsigned port = FIRST_PORT; port <= UINT16_MAX; port++) {
    *port_of(n) = htons((uint16_t)port);
    if (!bound_to(n)) return true;
  }
  return false;
}

/* Of a client that is not bound. (Two of them may get the same: nobody can tell. But not the server's, which
 * would be a connection with itself.) */
static void name_client(struct weft__sim_name *n, const struct weft__sim_name *server) {
  if (family_of(server) == AF_UNIX) return;
  copy_name(n, server);
  uint16_t port = (uint16_t)(FIRST_PORT + weft__sim_draw(UINT16_MAX - FIRST_PORT));
  if (htons(port) == *port_of(n)) port++;
  *port_of(n) = htons(port);
}

/* ---- making, binding, listening ---- */

static int net_socket(int domain, int type, int protocol) {
  int options = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
  bool known = domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
  if (!weft__sim_here() || !known || (type & ~options) != SOCK_STREAM)
    return weft__sys_real.socket(domain, type, protocol);
  if (protocol != 0 && (domain == AF_UNIX || protocol != IPPROTO_TCP)) return WEFT_EPROTONOSUPPORT;
  weft__point();
  struct weft__sim_fd *f;
  int status = O_RDWR | (options & SOCK_NONBLOCK ? O_NONBLOCK : 0);
  int r = weft__sim_fd_open(&f, "socket", status, options & SOCK_CLOEXEC);
  if (r < 0) return r;
  f->family = domain;
  return f->fd;
}

static int bind_to(struct weft__sim_fd *f, struct weft__sim_name *n) {
  if (f->family == AF_UNIX || *port_of(n) != 0) {
    if (bound_to(n)) return WEFT_EADDRINUSE;
  } else if (!choose_port(n)) {
    return WEFT_EADDRINUSE;
  }
  copy_name(&f->name, n);
  return 0;
}

static int net_bind(int fd, const struct sockaddr *addr, socklen_t len) {
  if (!mine(fd)) return weft__sys_real.bind(fd, addr, len);
  weft__point();
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (f->link || f->name.len > 0) return WEFT_EINVAL;
  struct weft__sim_name n = {.len = 0};
  int r = take_name(&n, f->family, addr, len);
  return r < 0 ? r : bind_to(f, &n);
}

static int net_listen(int fd, int backlog) {
  if (!mine(fd)) return weft__sys_real.listen(fd, backlog);
  weft__point();
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (f->link) return WEFT_EINVAL;
  if (f->name.len == 0) {
    if (f->family == AF_UNIX) return WEFT_EINVAL;
    struct weft__sim_name n = {.len = f->family == AF_INET ? sizeof n.u.in : sizeof n.u.in6};
    n.u.any.sa_family = (sa_family_t)f->family;
    int r = bind_to(f, &n);
    if (r < 0) return r;
  }
  f->backlog = 1 + (unsigned)(backlog < 0 || backlog >= BACKLOG ? BACKLOG - 1 : backlog);
  f->listens = true;
  return 0;
}

void weft__sim_listener_close(struct weft__sim_fd *f) {
  uint64_t now = weft__now();
  weft__list_foreach_safe(n, next, &f->pending) {
    struct weft__sim_link *l = weft__container_of(n, struct weft__sim_link, pending);
    weft__list_remove(n);
    if (l->acceptable_at > now) { /* as if nobody had listened */
      l->end[0].connected_at = NEVER;
      l->end[0].reset_code = WEFT_ECONNREFUSED;
    }
    weft__sim_link_close(l, 1, true);
    weft__sim_fd_changed(l->end[0].file);
  }
  f->npending = 0;
}

/* ---- connecting ---- */

/* A local socket's connect is done at once or not at all. */
static int connect_local(struct weft__sim_fd *f, struct weft__sim_fd *server,
                         const struct weft__sim_name *to) {
  if (!server) return to->u.un.sun_path[0] ? WEFT_ENOENT : WEFT_ECONNREFUSED;
  if (!server->listens) return WEFT_ECONNREFUSED;
  if (server->npending >= server->backlog) return WEFT_EAGAIN;
  f->link->acceptable_at = weft__now();
  return 0;
}

static int connect_far(struct weft__sim_fd *f, struct weft__sim_fd *server) {
  struct weft__sim_link *l = f->link;
  uint64_t there = weft__now() + weft__sim_link_latency(l);
  uint64_t back = there + weft__sim_link_latency(l);
  bool full = server && server->listens && server->npending >= server->backlog;
  l->acceptable_at = there + (full ? RETRY_NS : 0);
  l->end[0].connected_at = back + (full ? RETRY_NS : 0);
  if (server && server->listens) return WEFT_EINPROGRESS;
  l->end[0].connected_at = NEVER;
  l->end[0].reset_code = WEFT_ECONNREFUSED;
  l->end[0].reset_at = back;
  l->end[1].closed = true;
  return WEFT_EINPROGRESS;
}

static int start(struct weft__sim_fd *f, const struct weft__sim_name *to) {
  struct weft__sim_fd *server = bound_to(to);
  struct weft__sim_link *l = weft__sim_link_make(false);
  if (!l) return WEFT_ENOBUFS;
  weft__sim_fd_attach(f, l, 0);
  int r = f->family == AF_UNIX ? connect_local(f, server, to) : connect_far(f, server);
  if (r < 0 && r != WEFT_EINPROGRESS) {
    f->link = NULL;
    return r;
  }
  copy_name(&l->end[1].name, to);
  if (f->name.len > 0)
    copy_name(&l->end[0].name, &f->name);
  else
    name_client(&l->end[0].name, to);
  if (server && server->listens) {
    weft__list_push_back(&server->pending, &l->pending);
    server->npending++;
    weft__sim_fd_changed(server);
  }
  return r;
}

/* A socket that has tried already: what came of it. 1: it may try again. */
static int tried(struct weft__sim_fd *f) {
  struct weft__sim_end *e = &f->link->end[f->who];
  int error = weft__sim_link_error(f->link, f->who);
  if (error < 0) return error;
  if (e->connected_at == NEVER && weft__now() >= e->reset_at) {
    f->link = NULL;
    return 1;
  }
  return weft__now() < e->connected_at ? WEFT_EALREADY : WEFT_EISCONN;
}

static int net_connect(int fd, const struct sockaddr *addr, socklen_t len) {
  if (!mine(fd)) return weft__sys_real.connect(fd, addr, len);
  weft__point();
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (f->listens) return WEFT_EINVAL;
  struct weft__sim_name to = {.len = 0};
  int r = take_name(&to, f->family, addr, len);
  if (r < 0) return r;
  r = f->link ? tried(f) : 1;
  if (r <= 0) return r;
  r = start(f, &to);
  if (r != WEFT_EINPROGRESS || (f->status & O_NONBLOCK)) return r;
  weft__sim_fds_wait(&(struct weft__sim_watch){.file = f, .events = POLLOUT}, 1, NEVER);
  return weft__sim_link_error(f->link, f->who);
}

/* ---- accepting ---- */

static struct weft__sim_link *first_pending(const struct weft__sim_fd *f) {
  struct weft__sim_link *first = NULL;
  weft__list_foreach(n, &f->pending) {
    struct weft__sim_link *l = weft__container_of(n, struct weft__sim_link, pending);
    if (!first || l->acceptable_at < first->acceptable_at) first = l;
  }
  return first;
}

uint64_t weft__sim_listener_when(const struct weft__sim_fd *f) {
  struct weft__sim_link *l = first_pending(f);
  return l ? l->acceptable_at : NEVER;
}

static int accept_one(struct weft__sim_fd *f, struct sockaddr *addr, socklen_t *len, int flags) {
  struct weft__sim_link *l = first_pending(f);
  if (!l || l->acceptable_at > weft__now()) return WEFT_EAGAIN;
  struct weft__sim_fd *a;
  int status = O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
  int r = weft__sim_fd_open(&a, "accept4", status, flags & SOCK_CLOEXEC);
  if (r < 0) return r;
  weft__list_remove(&l->pending);
  f->npending--;
  a->family = f->family;
  weft__sim_fd_attach(a, l, 1);
  if (addr && len) give_name(&l->end[0].name, a->family, addr, len);
  return a->fd;
}

static int net_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) {
  if (!mine(fd)) return weft__sys_real.accept4(fd, addr, len, flags);
  for (;;) {
    weft__point();
    struct weft__sim_fd *f = weft__sim_fd_find(fd);
    if (!f) return WEFT_EBADF;
    if (!f->listens || (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))) return WEFT_EINVAL;
    if (weft__sim_net_interrupted()) return WEFT_EINTR;
    int r = accept_one(f, addr, len, flags);
    if (r != WEFT_EAGAIN || (f->status & O_NONBLOCK)) return r;
    weft__sim_fds_wait(&(struct weft__sim_watch){.file = f, .events = POLLIN}, 1, NEVER);
  }
}

/* ---- names ---- */

static int net_getsockname(int fd, struct sockaddr *addr, socklen_t *len) {
  if (!mine(fd)) return weft__sys_real.getsockname(fd, addr, len);
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (f->link && f->link->pipe) return WEFT_ENOTSOCK;
  give_name(f->link ? &f->link->end[f->who].name : &f->name, f->family, addr, len);
  return 0;
}

static int net_getpeername(int fd, struct sockaddr *addr, socklen_t *len) {
  if (!mine(fd)) return weft__sys_real.getpeername(fd, addr, len);
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (f->link && f->link->pipe) return WEFT_ENOTSOCK;
  if (!f->link || weft__now() < f->link->end[f->who].connected_at) return WEFT_ENOTCONN;
  if (weft__now() >= f->link->end[f->who].reset_at) return WEFT_ENOTCONN;
  give_name(&f->link->end[1 - f->who].name, f->family, addr, len);
  return 0;
}

void weft__sim_connect_install(struct weft__sys_table *table) {
  table->socket = net_socket;
  table->bind = net_bind;
  table->listen = net_listen;
  table->connect = net_connect;
  table->accept4 = net_accept4;
  table->getsockname = net_getsockname;
  table->getpeername = net_getpeername;
}
