/* Datagram sockets: opening, closing, one datagram. */
#include "io/datagram.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "aio/sync.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "io/addr.h"

/* ---- receiving ---- */

struct receive {
  void *buf;
  size_t size;
  weft_addr *from; /* or NULL */
};

static ssize_t try_receive(int fd, void *call) {
  struct receive *c = call;
  weft_addr from;
  struct iovec part = {.iov_base = c->buf, .iov_len = c->size};
  struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
  if (c->from) {
    weft__addr_room(&from);
    msg.msg_name = weft__sa(&from);
    msg.msg_namelen = from.len;
  }
  ssize_t n = weft__sys_recvmsg(fd, &msg, MSG_TRUNC); /* the length of all of it */
  if (n >= 0 && c->from) {
    from.len = msg.msg_namelen;
    weft__addr_filled(&from);
    *c->from = from;
  }
  return n;
}

static int received(ssize_t n, size_t *ret_len) {
  if (n < 0) return (int)n;
  if (ret_len) *ret_len = (size_t)n;
  return 1;
}

int weft_datagram_receive_from(weft_datagram *d, void *buf, size_t size, size_t *ret_len,
                               weft_addr *ret_from) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  struct receive c = {buf, size, ret_from};
  return received(weft__datagram_receive(d, t, try_receive, &c), ret_len);
}

int weft_datagram_receive(weft_datagram *d, void *buf, size_t size, size_t *ret_len) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  struct receive c = {buf, size, NULL};
  return received(weft__datagram_receive(d, t, try_receive, &c), ret_len);
}

int weft_datagram_try_receive_from(weft_datagram *d, void *buf, size_t size, size_t *ret_len,
                                   weft_addr *ret_from) {
  int r = weft__sync_enter_any();
  if (weft__unlikely(r < 0)) return r;
  struct receive c = {buf, size, ret_from};
  return received(weft__datagram_now(d, try_receive, &c), ret_len);
}

/* Not by a look at the first datagram: that would take an error away. */
static ssize_t try_look(int fd, void *call) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  (void)call;
  int n = weft__sys_poll(&p, 1, 0);
  return n == 0 ? WEFT_EAGAIN : n;
}

int weft_datagram_wait_readable(weft_datagram *d) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  ssize_t n = weft__datagram_receive(d, t, try_look, NULL);
  return n < 0 ? (int)n : 0;
}

/* ---- sending ---- */

struct send {
  const void *buf;
  size_t len;
  const weft_addr *to; /* NULL: the peer */
};

static ssize_t try_send(int fd, void *call) {
  struct send *c = call;
  struct iovec part = {.iov_base = (void *)(uintptr_t)c->buf, .iov_len = c->len};
  struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
  if (c->to) {
    msg.msg_name = (void *)(uintptr_t)weft__sa(c->to);
    msg.msg_namelen = c->to->len;
  }
  return weft__sys_sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static int send_one(weft_datagram *d, struct weft__task *t, struct send *c) {
  if (!d) return WEFT_EINVAL;
  ssize_t n = d->family == AF_UNIX && c->to ? weft__datagram_send_patiently(d, try_send, c, c->to)
                                            : weft__datagram_send(d, t, try_send, c);
  return n < 0 ? (int)n : 0;
}

int weft_datagram_send(weft_datagram *d, const void *buf, size_t len) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  return send_one(d, t, &(struct send){buf, len, NULL});
}

int weft_datagram_send_to(weft_datagram *d, const void *buf, size_t len, const weft_addr *to) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  if (!to || to->len == 0) return WEFT_EDESTADDRREQ;
  return send_one(d, t, &(struct send){buf, len, to});
}

int weft_datagram_try_send_to(weft_datagram *d, const void *buf, size_t len, const weft_addr *to) {
  int r = weft__sync_enter_any();
  if (weft__unlikely(r < 0)) return r;
  if (to && to->len == 0) return WEFT_EDESTADDRREQ;
  ssize_t n = weft__datagram_now(d, try_send, &(struct send){buf, len, to});
  return n < 0 ? (int)n : 0;
}

/* ---- life ---- */

static void gone(void *owner) {
  weft__free(owner);
}

/* fd is the datagram's on success only. */
static int adopt(weft_datagram **ret, int fd, int family, uint32_t mode, const void *site) {
  weft_datagram *d = weft__zalloc(sizeof *d);
  if (!d) return WEFT_ENOMEM;
  d->family = family;
  weft__list_init(&d->patients);
  weft__waitq_init(&d->pauses);
  weft__store_relaxed_u32(&d->mode, mode);
  int r = weft__descriptor_open(&d->io, fd, WEFT__CAN_READ | WEFT__CAN_WRITE, gone, d);
  if (r < 0) {
    weft__free(d);
    return r;
  }
  weft__resource_open(&d->resource, "a datagram socket", site);
  *ret = d;
  return 0;
}

static int set_flag(int fd, int level, int name, bool on) {
  int value = 1;
  return on ? weft__sys_setsockopt(fd, level, name, &value, sizeof value) : 0;
}

static int set_size(int fd, int name, int size) {
  if (size == 0) return 0;
  return size > 0 ? weft__sys_setsockopt(fd, SOL_SOCKET, name, &size, sizeof size) : WEFT_EINVAL;
}

/* A file that a socket has left behind which is gone is replaced. */
static int bind_to(int fd, const weft_addr *a, struct weft__sock_file *file) {
  int r = weft__sys_bind(fd, &weft__sa(a)->any, a->len);
  if (r == WEFT_EADDRINUSE && weft__sa(a)->any.sa_family == AF_UNIX) {
    r = weft__sock_file_clear(a);
    if (r == 0) r = weft__sys_bind(fd, &weft__sa(a)->any, a->len);
  }
  return r == 0 ? weft__sock_file_made(file, a, 0) : r;
}

static int prepare(int fd, int family, const weft_datagram_opts *o, struct weft__sock_file *file) {
  int r = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6_only);
  if (r == 0) r = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, o->reuse_port);
  if (r == 0) r = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, o->reuse_address);
  if (r == 0) r = set_flag(fd, SOL_SOCKET, SO_BROADCAST, o->broadcast);
  if (r == 0) r = set_size(fd, SO_RCVBUF, o->receive_buffer);
  if (r == 0) r = set_size(fd, SO_SNDBUF, o->send_buffer);
  if (r == 0 && o->errors) r = weft__datagram_keep_errors(fd, family);
  if (r == 0 && o->local) r = bind_to(fd, o->local, file);
  if (r == 0 && o->peer) r = weft__sys_connect(fd, &weft__sa(o->peer)->any, o->peer->len);
  return r;
}

/* Of what the options say; or an error when they say different things. */
static int family_of(const weft_datagram_opts *o) {
  const int said[] = {o->family, o->local ? weft_addr_family(o->local) : 0,
                      o->peer ? weft_addr_family(o->peer) : 0};
  int family = AF_UNSPEC;
  if ((o->local && said[1] == AF_UNSPEC) || (o->peer && said[2] == AF_UNSPEC)) return WEFT_EINVAL;
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
    if (said[i] == AF_UNSPEC) continue;
    if (family != AF_UNSPEC && family != said[i]) return WEFT_EINVAL;
    family = said[i];
  }
  if (family == AF_UNSPEC) family = AF_INET;
  if (family == AF_INET || family == AF_INET6 || family == AF_UNIX) return family;
  return WEFT_EAFNOSUPPORT;
}

enum { AS_OURS = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

int weft_datagram_open(weft_datagram **ret, const weft_datagram_opts *opts) {
  static const weft_datagram_opts none;
  const weft_datagram_opts *o = opts ? opts : &none;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  int family = family_of(o);
  if (family < 0) return family;
  int fd = weft__sys_socket(family, AS_OURS, 0);
  if (fd < 0) return fd;
  uint32_t mode =
      (o->peer ? WEFT__DATAGRAM_CONNECTED : 0) | (o->errors ? WEFT__DATAGRAM_ERRORS : 0);
  struct weft__sock_file file = {0};
  int r = prepare(fd, family, o, &file);
  if (r == 0) r = adopt(ret, fd, family, mode, __builtin_return_address(0));
  if (r == 0) {
    (*ret)->file = file;
    return 0;
  }
  if (file.made) weft__sock_file_remove(&file, o->local);
  (void)weft__close(fd);
  return r;
}

int weft_datagram_pair(weft_datagram *ret[2]) {
  const void *site = __builtin_return_address(0);
  weft_datagram *pair[2];
  int fds[2];
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  int r = weft__sys_socketpair(AF_UNIX, AS_OURS, 0, fds);
  if (r < 0) return r;
  r = adopt(&pair[0], fds[0], AF_UNIX, WEFT__DATAGRAM_CONNECTED, site);
  if (r < 0) (void)weft__close(fds[0]);
  if (r == 0) {
    r = adopt(&pair[1], fds[1], AF_UNIX, WEFT__DATAGRAM_CONNECTED, site);
    if (r < 0) (void)weft_datagram_close(pair[0]);
  }
  if (r < 0) {
    (void)weft__close(fds[1]);
    return r;
  }
  ret[0] = pair[0];
  ret[1] = pair[1];
  return 0;
}

static int option_of(int fd, int name, int *ret) {
  socklen_t len = sizeof *ret;
  return weft__sys_getsockopt(fd, SOL_SOCKET, name, ret, &len);
}

int weft_datagram_from_fd(weft_datagram **ret, int fd) {
  const void *site = __builtin_return_address(0);
  weft_addr peer;
  int type, family;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  int r = option_of(fd, SO_TYPE, &type);
  if (r == 0 && type != SOCK_DGRAM) r = WEFT_EPROTOTYPE;
  if (r == 0) r = option_of(fd, SO_DOMAIN, &family);
  if (r == 0) r = weft__sys_fcntl(fd, F_GETFL, 0);
  if (r >= 0) r = weft__sys_fcntl(fd, F_SETFL, r | O_NONBLOCK);
  if (r < 0) return r;
  weft__addr_room(&peer);
  bool connected = weft__sys_getpeername(fd, &weft__sa(&peer)->any, &peer.len) == 0;
  return adopt(ret, fd, family, connected ? WEFT__DATAGRAM_CONNECTED : 0, site);
}

int weft_datagram_close(weft_datagram *d) {
  weft_addr name;
  if (!d) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  weft__resource_close(&d->resource);
  /* Before it is closed: a file that nobody has bound is anybody's. */
  if (d->file.made && weft_datagram_local(d, &name) == 0) weft__sock_file_remove(&d->file, &name);
  /* Closed first: whoever looks from now on does not pause. */
  (void)weft__descriptor_close(d->io);
  weft__datagram_wake_patients(d);
  weft__descriptor_free(d->io);
  return 0;
}

int weft_datagram_fd(const weft_datagram *d) {
  return d ? weft__descriptor_fd(d->io) : WEFT_EINVAL;
}
