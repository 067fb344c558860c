/* What a stream is: names, counts, options of its socket. */
#include <netinet/tcp.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "core/self.h"
#include "io/addr.h"
#include "io/stream_state.h"

/* A call on the socket begins: its descriptor, or an error. */
static int socket_enter(weft_stream *s) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!s) return WEFT_EINVAL;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  if (s->kind == WEFT__STREAM_SOCKET) return weft__descriptor_fd(s->d);
  weft__descriptor_leave(s->d);
  return WEFT_ENOTSOCK;
}

int weft_stream_fd(const weft_stream *s) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!s) return WEFT_EINVAL;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  int fd = weft__descriptor_fd(s->d);
  weft__descriptor_leave(s->d);
  return fd;
}

typedef int name_fn(int fd, struct sockaddr *addr, socklen_t *len);

static int name(weft_stream *s, weft_addr *ret, name_fn *ask) {
  if (!ret) return WEFT_EINVAL;
  int fd = socket_enter(s);
  if (fd < 0) return fd;
  weft_addr a = {0};
  a.len = WEFT__SA_ROOM;
  int r = ask(fd, &weft__sa(&a)->any, &a.len);
  weft__descriptor_leave(s->d);
  if (r < 0) return r;
  *ret = a;
  return 0;
}

int weft_stream_peer(weft_stream *s, weft_addr *ret) {
  return name(s, ret, weft__sys_getpeername);
}

int weft_stream_local(weft_stream *s, weft_addr *ret) {
  return name(s, ret, weft__sys_getsockname);
}

int weft_stream_count(const weft_stream *s, weft_stream_counts *ret) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!s || !ret) return WEFT_EINVAL;
  weft_stream *at = (weft_stream *)(uintptr_t)s; /* a lock is no const object */
  weft__spin_lock(&at->kept.lock);
  size_t kept = weft__stream_flags(s) & WEFT__STREAM_ABORTED ? 0 : s->kept.bytes;
  weft__spin_unlock(&at->kept.lock);
  *ret = (weft_stream_counts){
      .bytes_read = weft__load_relaxed_u64(&s->bytes_read),
      .bytes_written = weft__load_relaxed_u64(&s->bytes_written),
      .read_buffered = (size_t)weft__load_relaxed_u64(&s->in.unread),
      .write_buffered = kept,
  };
  return 0;
}

/* ---- options ---- */

static int set(int fd, int level, int option, int value) {
  return weft__sys_setsockopt(fd, level, option, &value, sizeof value);
}

int weft_stream_set_nodelay(weft_stream *s, bool on) {
  int fd = socket_enter(s);
  if (fd < 0) return fd;
  int r = set(fd, IPPROTO_TCP, TCP_NODELAY, on);
  weft__descriptor_leave(s->d);
  return r;
}

static int set_keepalive(int fd, int idle, int interval, int count) {
  int r = set(fd, SOL_SOCKET, SO_KEEPALIVE, idle > 0);
  if (r == 0 && idle > 0) r = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  if (r == 0 && interval > 0) r = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
  if (r == 0 && count > 0) r = set(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
  return r;
}

int weft_stream_set_keepalive(weft_stream *s, int idle, int interval, int count) {
  if (idle < 0 || interval < 0 || count < 0) return WEFT_EINVAL;
  int fd = socket_enter(s);
  if (fd < 0) return fd;
  int r = set_keepalive(fd, idle, interval, count);
  weft__descriptor_leave(s->d);
  return r;
}

int weft_stream_set_buffers(weft_stream *s, int receive, int send) {
  if (receive < 0 || send < 0) return WEFT_EINVAL;
  int fd = socket_enter(s);
  if (fd < 0) return fd;
  int r = receive > 0 ? set(fd, SOL_SOCKET, SO_RCVBUF, receive) : 0;
  if (r == 0 && send > 0) r = set(fd, SOL_SOCKET, SO_SNDBUF, send);
  weft__descriptor_leave(s->d);
  return r;
}

/* More seconds would stop the worker that closes: close(2) waits for the peer even where nothing else does. */
int weft_stream_set_linger(weft_stream *s, int seconds) {
  if (seconds < -1 || seconds > 0) return WEFT_EINVAL;
  int fd = socket_enter(s);
  if (fd < 0) return fd;
  struct linger l = {.l_onoff = seconds == 0};
  int r = weft__sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  weft__descriptor_leave(s->d);
  return r;
}
