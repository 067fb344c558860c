/* Reading from the system, with nothing in between.
 *
 * A read of a stream that reads no lines and the like is: in, one call to the system, out. Whether that
 * call is worth it the descriptor knows (core/descriptor.h).
 */
#include <netinet/in.h>
#include <poll.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/self.h"
#include "io/stream_state.h"

/* ---- the parts ---- */

int weft__stream_read_refusal(const weft_stream *s) {
  uint32_t flags = weft__stream_flags(s);
  if (weft__likely(!(flags & WEFT__STREAM_NO_READ))) return 1;
  if (flags & WEFT__STREAM_CLOSING) return WEFT_ECLOSED;
  return flags & WEFT__STREAM_IN_ERROR ? s->in.error : 0;
}

/* Waits for an event: 0, an error; 1: it is the end. */
static int await_event(weft_stream *s) {
  for (;;) {
    uint64_t by = WEFT__NEVER;
    if (weft__unlikely(weft__stream_flags(s) & (WEFT__STREAM_FINISHING | WEFT__STREAM_ENDING)))
      by = weft__stream_patience(s);
    if (weft__unlikely(by == 0)) return 1;
    int r = weft__descriptor_wait(s->d, WEFT__IN, by);
    if (weft__likely(r != WEFT_ETIMEDOUT)) return r;
  }
}

int weft__stream_await_input(weft_stream *s) {
  if (!weft__descriptor_take(s->d, WEFT__IN)) {
    int r = await_event(s);
    if (weft__unlikely(r != 0)) return r;
  }
  /* A kick comes after the flag. */
  return weft__unlikely(weft__stream_flags(s) & WEFT__STREAM_CLOSING) ? WEFT_ECLOSED : 0;
}

static inline ssize_t receive_once(const weft_stream *s, void *buf, size_t len) {
  int fd = weft__descriptor_fd(s->d);
  if (weft__likely(s->kind == WEFT__STREAM_SOCKET)) return weft__sys_recv(fd, buf, len, 0);
  return weft__sys_read(fd, buf, len);
}

static bool is_option(int fd, int option, int value) {
  int is = 0;
  socklen_t len = sizeof is;
  return weft__sys_getsockopt(fd, SOL_SOCKET, option, &is, &len) == 0 && is == value;
}

/* Only TCP gives all that there is, but for urgent data. Others have borders at which a call stops, and which
 * nobody here can see coming: a Unix socket stops behind a message that came with descriptors or from another
 * process, a pipe behind one written with O_DIRECT, a terminal behind a line. They pay one more call a message. */
static __attribute__((noinline)) uint32_t get_to_know(weft_stream *s) {
  int fd = weft__descriptor_fd(s->d);
  if (s->kind == WEFT__STREAM_SOCKET && is_option(fd, SO_PROTOCOL, IPPROTO_TCP) &&
      (is_option(fd, SO_DOMAIN, AF_INET) || is_option(fd, SO_DOMAIN, AF_INET6)))
    weft__stream_flag(s, WEFT__STREAM_SHORT_IS_ALL);
  weft__stream_flag(s, WEFT__STREAM_KNOWN);
  return weft__stream_flags(s);
}

/* The call gave less than it was asked for, and more may be there all the same. */
static inline bool short_says_nothing(weft_stream *s) {
  uint32_t flags = weft__stream_flags(s);
  if (weft__unlikely(!(flags & WEFT__STREAM_KNOWN))) flags = get_to_know(s);
  return !(flags & WEFT__STREAM_SHORT_IS_ALL) || weft__descriptor_unsure(s->d);
}

static ssize_t received(weft_stream *s, ssize_t n, size_t len) {
  if (weft__likely(n > 0)) {
    if ((size_t)n == len || short_says_nothing(s))
      weft__descriptor_more(s->d, WEFT__IN);
    else
      weft__descriptor_blocked(s->d, WEFT__IN);
    weft__stream_account(&s->bytes_read, n);
    s->in.written_then = weft__load_relaxed_u64(&s->bytes_written);
    return n;
  }
  if (n == 0) {
    weft__stream_flag(s, WEFT__STREAM_IN_END);
  } else if (weft__stream_error_passes(n)) {
    weft__descriptor_more(s->d, WEFT__IN);
  } else {
    s->in.error = (int)n;
    weft__stream_flag(s, WEFT__STREAM_IN_ERROR);
  }
  return n;
}

ssize_t weft__stream_receive(weft_stream *s, void *buf, size_t len, bool wait) {
  if (weft__unlikely(s->kind == WEFT__STREAM_FILE))
    return weft__stream_receive_file(s, buf, len, wait);
  for (;;) {
    if (weft__likely(wait)) {
      int r = weft__stream_await_input(s);
      if (weft__unlikely(r != 0)) return r < 0 ? r : 0;
    } else {
      (void)weft__descriptor_take(s->d, WEFT__IN); /* perhaps nobody has looked yet */
    }
    ssize_t n = receive_once(s, buf, len);
    if (weft__likely(n != WEFT_EAGAIN && n != WEFT_EINTR)) return received(s, n, len);
    if (n == WEFT_EINTR)
      weft__descriptor_more(s->d, WEFT__IN);
    else
      weft__descriptor_blocked(s->d, WEFT__IN);
    if (!wait && n == WEFT_EAGAIN) return n;
  }
}

/* ---- the calls ---- */

/* Something was read ahead, or is over. */
static __attribute__((noinline)) ssize_t read_beside(weft_stream *s, void *buf, size_t len,
                                                     bool wait) {
  weft__stream_unlend(s);
  if (weft__stream_flags(s) & WEFT__STREAM_CLOSING) return WEFT_ECLOSED;
  if (len == 0) return 0;
  if (weft__stream_unread(s) > 0) {
    size_t n = weft__stream_unread(s) < len ? weft__stream_unread(s) : len;
    weft__stream_take(s, buf, n);
    return (ssize_t)n;
  }
  int r = weft__stream_read_refusal(s);
  if (r <= 0) return r;
  weft__stream_drop_empty(s);
  return weft__stream_receive(s, buf, len, wait);
}

static inline __attribute__((always_inline)) ssize_t read_bytes(weft_stream *s, void *buf,
                                                                size_t len, bool wait) {
  int r = weft__reader_enter(s);
  if (weft__unlikely(r < 0)) return r;
  ssize_t n;
  if (weft__unlikely(s->in.data || weft__stream_flags(s) & WEFT__STREAM_NO_READ || len == 0))
    n = read_beside(s, buf, len, wait);
  else
    n = weft__stream_receive(s, buf, len, wait);
  weft__reader_leave(s);
  return n;
}

ssize_t weft_read(weft_stream *s, void *buf, size_t len) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  if (weft__unlikely(!s || (!buf && len) || len > SSIZE_MAX)) return WEFT_EINVAL;
  return read_bytes(s, buf, len, true);
}

ssize_t weft_try_read(weft_stream *s, void *buf, size_t len) {
  if (weft__unlikely(!weft__current_task())) return weft__no_task();
  if (weft__unlikely(!s || (!buf && len) || len > SSIZE_MAX)) return WEFT_EINVAL;
  return read_bytes(s, buf, len, false);
}

/* ---- waiting without a buffer ---- */

/* Whether there is something now, of a stream about which that is not known. */
static bool look(const weft_stream *s) {
  struct pollfd p = {.fd = weft__descriptor_fd(s->d), .events = POLLIN};
  return weft__sys_poll(&p, 1, 0) != 0; /* whatever is wrong, the read will say */
}

static int wait_readable(weft_stream *s) {
  weft__stream_unlend(s);
  if (weft__stream_flags(s) & WEFT__STREAM_CLOSING) return WEFT_ECLOSED;
  if (weft__stream_unread(s) > 0 || weft__stream_read_refusal(s) <= 0) return 0;
  weft__stream_drop_empty(s);
  if (!weft__descriptor_take(s->d, WEFT__IN) || !look(s)) {
    int r = await_event(s);
    if (r != 0) return r < 0 ? r : 0;
    if (weft__stream_flags(s) & WEFT__STREAM_CLOSING) return WEFT_ECLOSED;
  }
  weft__descriptor_more(s->d, WEFT__IN);
  return 0;
}

int weft_wait_readable(weft_stream *s) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s) return WEFT_EINVAL;
  r = weft__reader_enter(s);
  if (r < 0) return r;
  r = wait_readable(s);
  weft__reader_leave(s);
  return r;
}

bool weft_stream_at_eof(const weft_stream *s) {
  return s && weft__stream_flags(s) & WEFT__STREAM_IN_END &&
         weft__load_relaxed_u64(&s->in.unread) == 0;
}
