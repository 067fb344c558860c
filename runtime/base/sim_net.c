/* The system calls on simulated descriptors. Compiled without TSan, as sim.c.
 *
 * A call is one step for the simulation: others may come before it (the point at its beginning),
 * but not into it.
 */
#include "base/sim_net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/point.h"
#include "base/sim.h"
#include "base/sim_connect.h"
#include "base/sys.h"

#define NEVER WEFT__SIM_NEVER

static const struct weft__sim_net_rates defaults = {
    .short_read = 4,
    .short_write = 4,
    .split = 4,
    .interrupt = 64,
    .reset = 4096,
    .spurious = 256,
    .late = 8,
    .small = 3,
    .capacity = 65536,
    .latency_max = 20 * WEFT__NS_PER_MS,
};
static struct weft__sim_net_rates given;
static const struct weft__sim_net_rates *rates = &defaults;

void weft__sim_net_rates(const struct weft__sim_net_rates *r) {
  if (r) given = *r;
  rates = r ? &given : &defaults;
}

const struct weft__sim_net_rates *weft__sim_net_rates_now(void) {
  return rates;
}

/* The call is about a simulated descriptor, whether or not that is open. */
static bool mine(int fd) {
  return weft__sim_here() && weft__sim_net_owns(fd);
}

bool weft__sim_net_interrupted(void) {
  return rates->interrupt != 0 && weft__sim_draw(rates->interrupt) == 0;
}

static void changed(struct weft__sim_link *l) {
  weft__sim_fd_changed(l->end[0].file);
  weft__sim_fd_changed(l->end[1].file);
}

/* ---- making ---- */

static int make_two(const char *made, bool pipe, const int status[2], bool cloexec, int fds[2]) {
  struct weft__sim_fd *f[2];
  weft__point();
  int r = weft__sim_fd_open(&f[0], made, status[0], cloexec);
  if (r < 0) return r;
  r = weft__sim_fd_open(&f[1], made, status[1], cloexec);
  struct weft__sim_link *l = r == 0 ? weft__sim_link_make(pipe) : NULL;
  if (!l) {
    weft__sim_fd_close(f[0]);
    if (r < 0) return r;
    weft__sim_fd_close(f[1]);
    return WEFT_ENOMEM;
  }
  for (int i = 0; i < 2; i++) {
    weft__sim_fd_attach(f[i], l, i);
    fds[i] = f[i]->fd;
  }
  return 0;
}

static int net_socketpair(int domain, int type, int protocol, int fds[2]) {
  int options = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (!weft__sim_here() || domain != AF_UNIX || (type & ~options) != SOCK_STREAM)
    return weft__sys_real.socketpair(domain, type, protocol, fds);
  if (protocol != 0) return WEFT_EPROTONOSUPPORT;
  int status = O_RDWR | (options & SOCK_NONBLOCK ? O_NONBLOCK : 0);
  return make_two("socketpair", false, (int[]){status, status}, options & SOCK_CLOEXEC, fds);
}

static int net_pipe2(int fds[2], int flags) {
  if (!weft__sim_here()) return weft__sys_real.pipe2(fds, flags);
  if (flags & ~(O_NONBLOCK | O_CLOEXEC)) return WEFT_EINVAL;
  int status = flags & O_NONBLOCK;
  return make_two("pipe2", true, (int[]){status | O_RDONLY, status | O_WRONLY}, flags & O_CLOEXEC,
                  fds);
}

static int net_close(int fd) {
  if (!mine(fd)) return weft__sys_real.close(fd);
  weft__point();
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  weft__sim_fd_close(f);
  weft__sim_listener_close(f);
  if (!f->link) return 0;
  weft__sim_link_close(f->link, f->who, f->linger);
  changed(f->link);
  return 0;
}

static int net_shutdown(int fd, int how) {
  if (!mine(fd)) return weft__sys_real.shutdown(fd, how);
  weft__point();
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (!f->link) return WEFT_ENOTCONN;
  int r = weft__sim_link_shutdown(f->link, f->who, how);
  changed(f->link);
  return r;
}

/* ---- bytes ---- */

typedef ssize_t transfer_fn(struct weft__sim_fd *f, const struct iovec *iov, size_t n, int flags);

static ssize_t receive(struct weft__sim_fd *f, const struct iovec *iov, size_t n, int flags) {
  return weft__sim_link_read(f->link, f->who, iov, n, flags & MSG_PEEK);
}

static ssize_t transmit(struct weft__sim_fd *f, const struct iovec *iov, size_t n, int flags) {
  (void)flags;
  return weft__sim_link_write(f->link, f->who, iov, n);
}

/* Until the call can do something; a descriptor that does not block is told WEFT_EAGAIN instead. */
static ssize_t transfer(transfer_fn *fn, int events, int fd, const struct iovec *iov, size_t n,
                        int flags) {
  for (;;) {
    weft__point();
    struct weft__sim_fd *f = weft__sim_fd_find(fd);
    if (!f) return WEFT_EBADF;
    if (!f->link) return WEFT_ENOTCONN;
    if (weft__sim_net_interrupted()) return WEFT_EINTR;
    ssize_t r = fn(f, iov, n, flags);
    changed(f->link);
    if (r != WEFT_EAGAIN || (f->status & O_NONBLOCK) || (flags & MSG_DONTWAIT)) return r;
    weft__sim_fds_wait(&(struct weft__sim_watch){.file = f, .events = events}, 1, NEVER);
  }
}

static ssize_t net_readv(int fd, const struct iovec *iov, int n) {
  if (!mine(fd)) return weft__sys_real.readv(fd, iov, n);
  return n < 0 ? WEFT_EINVAL : transfer(receive, POLLIN, fd, iov, (size_t)n, 0);
}

static ssize_t net_writev(int fd, const struct iovec *iov, int n) {
  if (!mine(fd)) return weft__sys_real.writev(fd, iov, n);
  return n < 0 ? WEFT_EINVAL : transfer(transmit, POLLOUT, fd, iov, (size_t)n, 0);
}

static ssize_t net_read(int fd, void *buf, size_t len) {
  if (!mine(fd)) return weft__sys_real.read(fd, buf, len);
  return net_readv(fd, &(struct iovec){.iov_base = buf, .iov_len = len}, 1);
}

static ssize_t net_write(int fd, const void *buf, size_t len) {
  if (!mine(fd)) return weft__sys_real.write(fd, buf, len);
  return net_writev(fd, &(struct iovec){.iov_base = (void *)(uintptr_t)buf, .iov_len = len}, 1);
}

/* Of the flags, what a stream without messages can do. */
static int refuse(int fd, int flags, int known) {
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  if (f->link && f->link->pipe) return WEFT_ENOTSOCK;
  return flags & ~known ? WEFT_EINVAL : 0;
}

enum {
  RECEIVE_FLAGS = MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
  SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE,
};

static ssize_t net_recvmsg(int fd, struct msghdr *msg, int flags) {
  if (!mine(fd)) return weft__sys_real.recvmsg(fd, msg, flags);
  int error = refuse(fd, flags, RECEIVE_FLAGS);
  if (error < 0) return error;
  ssize_t r = transfer(receive, POLLIN, fd, msg->msg_iov, msg->msg_iovlen, flags);
  if (r < 0) return r;
  msg->msg_namelen = 0;
  msg->msg_controllen = 0;
  msg->msg_flags = 0;
  return r;
}

static ssize_t net_sendmsg(int fd, const struct msghdr *msg, int flags) {
  if (!mine(fd)) return weft__sys_real.sendmsg(fd, msg, flags);
  int error = refuse(fd, flags, SEND_FLAGS);
  if (error < 0) return error;
  if (msg->msg_controllen > 0) return WEFT_EINVAL; /* data only */
  return transfer(transmit, POLLOUT, fd, msg->msg_iov, msg->msg_iovlen, flags);
}

static ssize_t net_recv(int fd, void *buf, size_t len, int flags) {
  if (!mine(fd)) return weft__sys_real.recv(fd, buf, len, flags);
  struct iovec part = {.iov_base = buf, .iov_len = len};
  return net_recvmsg(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, flags);
}

static ssize_t net_send(int fd, const void *buf, size_t len, int flags) {
  if (!mine(fd)) return weft__sys_real.send(fd, buf, len, flags);
  struct iovec part = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
  return net_sendmsg(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, flags);
}

/* ---- settings ---- */

static int net_fcntl(int fd, int cmd, long arg) {
  if (!mine(fd)) return weft__sys_real.fcntl(fd, cmd, arg);
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (!f) return WEFT_EBADF;
  switch (cmd) {
  case F_GETFL:
    return f->status;
  case F_SETFL:
    f->status = (f->status & ~O_NONBLOCK) | (int)(arg & O_NONBLOCK);
    return 0;
  case F_GETFD:
    return f->cloexec ? FD_CLOEXEC : 0;
  case F_SETFD:
    f->cloexec = arg & FD_CLOEXEC;
    return 0;
  default:
    return WEFT_EINVAL;
  }
}

/* SO_LINGER with no time: the close resets. */
static int net_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
  if (!mine(fd)) return weft__sys_real.setsockopt(fd, level, name, value, len);
  int error = refuse(fd, 0, 0);
  if (error < 0) return error;
  if (level != SOL_SOCKET || name != SO_LINGER) return 0; /* what it changes is not played */
  struct linger linger;
  if (len < sizeof linger) return WEFT_EINVAL;
  memcpy(&linger, value, sizeof linger);
  weft__sim_fd_find(fd)->linger = linger.l_onoff && linger.l_linger == 0;
  return 0;
}

static int net_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
  if (!mine(fd)) return weft__sys_real.getsockopt(fd, level, name, value, len);
  int error = refuse(fd, 0, 0), n;
  if (error < 0) return error;
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  if (level != SOL_SOCKET) return WEFT_ENOPROTOOPT;
  if (*len < sizeof n) return WEFT_EINVAL;
  if (name == SO_ERROR)
    n = f->link ? -weft__sim_link_error(f->link, f->who) : 0;
  else if (name == SO_ACCEPTCONN)
    n = f->listens;
  else if (name == SO_TYPE)
    n = SOCK_STREAM;
  else
    return WEFT_ENOPROTOOPT;
  memcpy(value, &n, sizeof n);
  *len = sizeof n;
  return 0;
}

/* ---- poll ---- */

/* Writes revents; returns how many are not 0. */
static int look(struct pollfd *fds, nfds_t n) {
  int some = 0;
  for (nfds_t i = 0; i < n; i++) {
    struct weft__sim_fd *f = fds[i].fd < 0 ? NULL : weft__sim_fd_find(fds[i].fd);
    int state = f ? weft__sim_fd_state(f, weft__now()) & (fds[i].events | POLLERR | POLLHUP) : 0;
    if (fds[i].fd >= 0 && !f) state = POLLNVAL;
    fds[i].revents = (short)state;
    some += state != 0;
  }
  return some;
}

static int wait_for_one(const struct pollfd *fds, nfds_t n, uint64_t deadline) {
  struct weft__sim_watch *w = calloc(n ? n : 1, sizeof *w);
  if (!w) return WEFT_ENOMEM;
  size_t some = 0;
  for (nfds_t i = 0; i < n; i++) {
    if (fds[i].fd < 0) continue;
    w[some].file = weft__sim_fd_find(fds[i].fd);
    w[some++].events = fds[i].events;
  }
  weft__sim_fds_wait(w, some, deadline);
  free(w);
  return 0;
}

/* Of simulated descriptors only, or of none. */
static int net_poll(struct pollfd *fds, nfds_t n, int ms) {
  nfds_t played = 0, real = 0;
  for (nfds_t i = 0; i < n; i++) {
    if (fds[i].fd >= 0 && mine(fds[i].fd)) played++;
    if (fds[i].fd >= 0 && !mine(fds[i].fd)) real++;
  }
  if (played == 0) return weft__sys_real.poll(fds, n, ms);
  if (real > 0) return WEFT_ENOTSUP;
  weft__point();
  int some = look(fds, n);
  if (some > 0 || ms == 0) return some;
  if (weft__sim_net_interrupted()) return WEFT_EINTR;
  uint64_t deadline = ms < 0 ? NEVER : weft__now() + (uint64_t)ms * WEFT__NS_PER_MS;
  int r = wait_for_one(fds, n, deadline);
  return r < 0 ? r : look(fds, n);
}

/* ---- the simulation ---- */

void weft__sim_net_install(struct weft__sys_table *table) {
  table->socketpair = net_socketpair;
  table->pipe2 = net_pipe2;
  table->close = net_close;
  table->shutdown = net_shutdown;
  table->read = net_read;
  table->write = net_write;
  table->readv = net_readv;
  table->writev = net_writev;
  table->recv = net_recv;
  table->send = net_send;
  table->recvmsg = net_recvmsg;
  table->sendmsg = net_sendmsg;
  table->fcntl = net_fcntl;
  table->getsockopt = net_getsockopt;
  table->setsockopt = net_setsockopt;
  table->poll = net_poll;
  weft__sim_connect_install(table);
}

void weft__sim_net_check(void) {
  struct weft__sim_fd *f = weft__sim_fd_watched();
  const char *what = f ? "is still waited for" : "is still open";
  if (!f) f = weft__sim_fd_next(NULL);
  if (f)
    weft__fatal("simulation with seed %llu: descriptor %d, made by %s at %llu ns, %s at the end",
                (unsigned long long)weft__sim_seed(), f->fd, f->made,
                (unsigned long long)f->made_at, what);
}

void weft__sim_net_end(void) {
  weft__sim_fds_end();
  weft__sim_links_end();
}
