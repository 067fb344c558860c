/* One socket on its way to one address. It is a stream from the beginning, so that its descriptor is in one
 * poll set and stays there. */
#include "io/connect.h"
#include "core/room.h"
#include "io/addr.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <weft/errors.h>
#include <weft/task.h>

#include "base/sys.h"
#include "io/stream.h"

enum {
  SELF_TRIES = 3,       /* the system has to choose the port of the other end so often by chance */
  FULL_FIRST_MS = 1,    /* before the next try at a queue that is full, */
  FULL_LONGEST_MS = 64, /* doubling up to here */
};

static bool is_inet(const weft_addr *a) {
  return weft_addr_family(a) == AF_INET || weft_addr_family(a) == AF_INET6;
}

/* From a port that is given only when it is known where to: so not one for each connection. */
static void bind_late(int fd, const weft_addr *local) {
  int on = 1;
  if (is_inet(local) && weft_addr_port(local) == 0)
    (void)weft__sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
}

static int prepare(int fd, const weft_addr *addr, const weft_addr *local) {
  int on = 1;
  if (is_inet(addr)) (void)weft__sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!local) return 0;
  if (weft_addr_family(local) != weft_addr_family(addr)) return WEFT_EAFNOSUPPORT;
  bind_late(fd, local);
  return weft__sys_bind(fd, &weft__sa(local)->any, local->len);
}

/* A connect that a signal has interrupted goes on all the same. On this machine a connection is there at
 * once, but only a second call says so. */
static int start(int fd, const weft_addr *addr) {
  int r = weft__sys_connect(fd, &weft__sa(addr)->any, addr->len);
  if (r == WEFT_EINTR) r = WEFT_EINPROGRESS;
  if (r != WEFT_EINPROGRESS || !weft_addr_is_loopback(addr)) return r;
  r = weft__sys_connect(fd, &weft__sa(addr)->any, addr->len);
  if (r == WEFT_EISCONN) return 0;
  return r == WEFT_EALREADY || r == WEFT_EINTR ? WEFT_EINPROGRESS : r;
}

/* A stream that is connected, 0, or on its way, WEFT_EINPROGRESS. */
static int begin(weft_stream **ret, const weft_addr *addr, const weft_addr *local,
                 const void *site) {
  int fd = weft__sys_socket(weft_addr_family(addr), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  int way = prepare(fd, addr, local);
  if (way == 0) way = start(fd, addr);
  int r = way == WEFT_EINPROGRESS ? 0 : way;
  if (r == 0)
    r = weft__stream_open(ret, fd, WEFT__STREAM_SOCKET, way == 0 ? WEFT__CAN_WRITE : 0, site);
  if (r < 0) weft__close(fd);
  return r < 0 ? r : way;
}

/* Waits until it is connected: 0; or it is not. */
static int finish(weft_stream *s, const weft_addr *addr) {
  int r;
  while ((r = weft_wait_writable(s)) == 0) {
    r = weft__sys_connect(weft_stream_fd(s), &weft__sa(addr)->any, addr->len);
    if (r == 0 || r == WEFT_EISCONN) return 0;
    if (r != WEFT_EALREADY && r != WEFT_EINTR && r != WEFT_EINPROGRESS) break;
  }
  return r;
}

/* With nobody listening on a port from which the system takes those of clients, it may give the client
 * that very port, and TCP then connects it with itself. */
static bool is_self(weft_stream *s, const weft_addr *addr) {
  weft_addr own;
  return is_inet(addr) && weft_addr_is_loopback(addr) && weft_stream_local(s, &own) == 0 &&
         weft_addr_equal(&own, addr);
}

/* The queue of a Unix listener is full, of which no descriptor tells. */
static int wait_for_place(int *ms) {
  int r = weft_sleep(weft_ms(*ms));
  if (*ms < FULL_LONGEST_MS) *ms *= 2;
  return r;
}

static int connect_once(weft_stream **ret, const weft_addr *addr, const weft_addr *local,
                        const void *site) {
  int r = begin(ret, addr, local, site);
  if (r != WEFT_EINPROGRESS) return r;
  r = finish(*ret, addr);
  if (r < 0) weft_stream_close(*ret);
  return r;
}

int weft__connect_one(weft_stream **ret, const weft_addr *addr, const weft_addr *local,
                      const void *site) {
  weft_stream *s = NULL;
  int r, ms = FULL_FIRST_MS;
  for (int tries = 1;; tries++) {
    r = connect_once(&s, addr, local, site);
    if (r == WEFT_EAGAIN && weft_addr_family(addr) == AF_UNIX) {
      if ((r = wait_for_place(&ms)) < 0) return r;
      continue;
    }
    if (r < 0) return r;
    if (local || tries >= SELF_TRIES || !is_self(s, addr)) break;
    weft_stream_close(s);
  }
  *ret = s;
  return 0;
}
