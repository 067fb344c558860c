/* Listeners: their beginning and their end. */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/addr.h"
#include "io/listener.h"
#include "io/stream.h"

enum { BACKLOG = 128, MODES = 0777 };

/* ---- the socket ---- */

static int set_option(int fd, int level, int name, int value) {
  return weft__sys_setsockopt(fd, level, name, &value, sizeof value);
}

/* What accepted connections inherit is set here once. */
static int set_options(int fd, int family, const weft_listen_opts *o) {
  int r = 0;
  if (family == AF_UNIX) return 0;
  if (!o->no_reuse_addr) r = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (r == 0 && o->reuse_port) r = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (r == 0 && family == AF_INET6) r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6_only);
  if (r == 0) r = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return r;
}

static int bind_to(int fd, const weft_addr *a) {
  int r = weft__sys_bind(fd, &weft__sa(a)->any, a->len);
  if (r != WEFT_EADDRINUSE || weft__sa(a)->any.sa_family != AF_UNIX) return r;
  r = weft__sock_file_clear(a);
  return r < 0 ? r : weft__sys_bind(fd, &weft__sa(a)->any, a->len);
}

/* A socket that is bound and listens. Nobody can connect before the file has its permissions. */
static int open_socket(int *ret, const weft_addr *a, const weft_listen_opts *o,
                       struct weft__sock_file *file) {
  int family = weft_addr_family(a);
  int fd = weft__sys_socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  int r = set_options(fd, family, o);
  if (r == 0) r = bind_to(fd, a);
  if (r == 0) {
    r = weft__sock_file_made(file, a, o->mode);
    if (r == 0) r = weft__sys_listen(fd, o->backlog ? o->backlog : BACKLOG);
    if (r < 0) weft__sock_file_remove(file, a);
  }
  if (r < 0) {
    weft__close(fd);
    return r;
  }
  *ret = fd;
  return 0;
}

static int get_option(int fd, int name, int *ret) {
  socklen_t len = sizeof *ret;
  return weft__sys_getsockopt(fd, SOL_SOCKET, name, ret, &len);
}

/* ---- the listener ---- */

/* Nobody is inside any more. */
static void gone(void *owner) {
  weft_listener *l = owner;
  if (l->kept >= 0) weft__close(l->kept);
  weft__free(l);
}

/* A listener of fd, which on success is its own. */
static int open_listener(weft_listener **ret, int fd, int backlog, const weft_addr *a,
                         const struct weft__sock_file *file, const void *site) {
  weft_listener *l = weft__zalloc(sizeof *l);
  if (!l) return WEFT_ENOMEM;
  weft__addr_room(&l->addr);
  int r = weft__sys_getsockname(fd, &weft__sa(&l->addr)->any, &l->addr.len);
  weft__addr_filled(&l->addr);
  /* The kernel's name of a file is as it was given, but for what follows its end. */
  if (a && weft_addr_path(a)) l->addr = *a;
  if (r == 0) r = weft__descriptor_open(&l->d, fd, WEFT__CAN_READ, gone, l);
  if (r < 0) {
    weft__free(l);
    return r;
  }
  l->burst = (uint32_t)backlog + 1;
  l->file = *file;
  l->kept = -1;
  weft__resource_open(&l->resource, "a listener", site);
  *ret = l;
  return 0;
}

int weft_listen(weft_listener **ret, const weft_addr *a, const weft_listen_opts *opts) {
  static const weft_listen_opts defaults;
  const weft_listen_opts *o = opts ? opts : &defaults;
  struct weft__sock_file file = {0};
  int fd = -1;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret || !a || a->len == 0 || o->backlog < 0 || o->mode > MODES) return WEFT_EINVAL;
  int r = open_socket(&fd, a, o, &file);
  if (r < 0) return r;
  r = open_listener(ret, fd, o->backlog ? o->backlog : BACKLOG, a, &file,
                    __builtin_return_address(0));
  if (r < 0) {
    weft__sock_file_remove(&file, a);
    weft__close(fd);
    return r;
  }
  (*ret)->alone = !o->reuse_port && weft_addr_family(a) != AF_UNIX;
  return 0;
}

int weft_listener_from_fd(weft_listener **ret, int fd) {
  const struct weft__sock_file no_file = {0};
  int listens = 0, type = 0;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret || fd < 0) return fd < 0 ? WEFT_EBADF : WEFT_EINVAL;
  int r = get_option(fd, SO_ACCEPTCONN, &listens);
  if (r == 0) r = get_option(fd, SO_TYPE, &type);
  if (r < 0) return r;
  if (!listens || type != SOCK_STREAM) return WEFT_EINVAL;
  weft__socket_unlinger(fd); /* what it accepts is as it is */
  int flags = weft__sys_fcntl(fd, F_GETFL, 0);
  r = flags < 0 ? flags : weft__sys_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  if (r < 0) return r;
  return open_listener(ret, fd, BACKLOG, NULL, &no_file, __builtin_return_address(0));
}

void weft__listener_unlink(weft_listener *l) {
  if (!weft__xchg_u32(&l->no_file, 1)) weft__sock_file_remove(&l->file, &l->addr);
}

int weft_listener_close(weft_listener *l) {
  if (!l) return WEFT_EINVAL;
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__xchg_u32(&l->closed, 1)) return 0;
  weft__resource_close(&l->resource);
  /* Before it is closed: a file that nobody listens on is anybody's. */
  weft__listener_unlink(l);
  weft__descriptor_close(l->d);
  weft__room_made(); /* who is inside may wait for that */
  return 0;
}

int weft_listener_free(weft_listener *l) {
  if (!l) return 0;
  int r = weft_listener_close(l);
  if (r == 0) weft__descriptor_free(l->d);
  return r;
}

int weft_listener_addr(weft_listener *l, weft_addr *ret) {
  if (!l || !ret) return WEFT_EINVAL;
  if (weft__load_acquire_u32(&l->closed)) return WEFT_ECLOSED;
  *ret = l->addr;
  return 0;
}
