/* Writing: whoever has the turn sends, and waits only when the system takes no more.
 *
 * The first try is made without asking the descriptor: mostly there is room. A try that took less than all is
 * made again after the descriptor's `ready` was cleared, so that the room which comes after the last try is
 * told as an event; and only when that one took nothing is the event waited for.
 */
#include <limits.h>
#include <poll.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "core/self.h"
#include "io/stream_state.h"

/* ---- the parts ---- */

int weft__stream_write_refusal(const weft_stream *s) {
  if (weft__likely(!(weft__stream_flags(s) & WEFT__STREAM_NO_WRITE))) return 0;
  uint32_t flags =
      weft__load_acquire_u32(&s->flags); /* before the error: not all who ask have the turn */
  if (flags & WEFT__STREAM_CLOSING) return WEFT_ECLOSED;
  if (flags & WEFT__STREAM_OUT_ERROR) return s->out_error;
  if (flags & WEFT__STREAM_SHUT) return WEFT_ESHUTDOWN;
  return flags & WEFT__STREAM_TORN ? WEFT_ESTATE : WEFT_ECLOSED;
}

static __attribute__((noinline)) ssize_t not_sent(weft_stream *s, ssize_t n) {
  if (n == WEFT_EAGAIN) return 0;
  if (!weft__stream_error_passes(n)) {
    s->out_error = (int)n;
    weft__stream_flag(s, WEFT__STREAM_OUT_ERROR);
    weft__stream_wake_drains(s);
  }
  return n;
}

static inline ssize_t sent(weft_stream *s, ssize_t n) {
  if (weft__unlikely(n < 0)) return not_sent(s, n);
  weft__stream_account(&s->bytes_written, n);
  return n;
}

ssize_t weft__stream_send(weft_stream *s, const void *buf, size_t len) {
  int fd = weft__descriptor_fd(s->d);
  ssize_t n;
  do {
    if (weft__likely(s->kind == WEFT__STREAM_SOCKET))
      n = weft__sys_send(fd, buf, len, MSG_NOSIGNAL);
    else
      n = weft__sys_write(fd, buf, len);
  } while (weft__unlikely(n == WEFT_EINTR));
  return sent(s, n);
}

/* The same for parts. */
static ssize_t send_parts(weft_stream *s, const struct iovec *parts, int n_parts) {
  int fd = weft__descriptor_fd(s->d), most = n_parts < IOV_MAX ? n_parts : IOV_MAX;
  struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)most};
  ssize_t n;
  do {
    if (s->kind == WEFT__STREAM_SOCKET)
      n = weft__sys_sendmsg(fd, &m, MSG_NOSIGNAL);
    else
      n = weft__sys_writev(fd, parts, most);
  } while (n == WEFT_EINTR);
  return sent(s, n);
}

int weft__stream_await_room(weft_stream *s, ssize_t took, bool closing) {
  if (took == 0) weft__descriptor_blocked(s->d, WEFT__OUT);
  if (!weft__descriptor_take(s->d, WEFT__OUT) && took == 0) {
    int r = weft__descriptor_wait(s->d, WEFT__OUT, WEFT__NEVER);
    if (r < 0) return r;
  }
  /* An abort closes the descriptor as well: the next wait says so. */
  return !closing && weft__stream_flags(s) & WEFT__STREAM_CLOSING ? WEFT_ECLOSED : 0;
}

/* ---- in and out ---- */

/* A writer has its turn: 0, and what was kept before is gone; or it gives the turn back. */
static __attribute__((noinline)) int settle(weft_stream *s) {
  int r = weft__stream_write_refusal(s);
  if (r == 0 && weft__stream_flags(s) & WEFT__STREAM_KEPT) r = weft__stream_send_kept(s, 0, false);
  return r;
}

static inline void writer_leave(weft_stream *s) {
  weft_lock_release(&s->turn);
  weft__descriptor_leave(s->d);
}

static inline __attribute__((always_inline)) int writer_enter(weft_stream *s,
                                                              struct weft__task *t) {
  int r = weft__descriptor_enter(s->d);
  if (weft__unlikely(r < 0)) return r;
  r = weft__turn_take(s, t);
  if (weft__unlikely(r < 0)) {
    weft__descriptor_leave(s->d);
    return r;
  }
  if (weft__unlikely(weft__stream_flags(s) & (WEFT__STREAM_NO_WRITE | WEFT__STREAM_KEPT))) {
    r = settle(s);
    if (r < 0) writer_leave(s);
  }
  return r;
}

/* ---- the calls ---- */

/* From *ret_sent on, which it moves. */
static int send_rest(weft_stream *s, struct weft__task *t, const char *buf, size_t len,
                     size_t *ret_sent) {
  for (;;) {
    ssize_t n = weft__stream_send(s, buf + *ret_sent, len - *ret_sent);
    if (weft__unlikely(n < 0)) return (int)n;
    *ret_sent += (size_t)n;
    if (weft__likely(*ret_sent == len)) return 0;
    int r = weft__stream_await_room(s, n, false);
    if (r < 0) return r;
    weft__spend(t);
  }
}

/* The caller is not told where it was cut. */
static void tear(weft_stream *s, size_t sent_bytes) {
  if (sent_bytes > 0) weft__stream_flag(s, WEFT__STREAM_TORN);
}

int weft_write(weft_stream *s, const void *buf, size_t len) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  if (weft__unlikely(!s || (!buf && len) || len > SSIZE_MAX)) return WEFT_EINVAL;
  r = writer_enter(s, t);
  if (weft__unlikely(r < 0)) return r;
  size_t done = 0;
  if (weft__likely(len > 0)) r = send_rest(s, t, buf, len, &done);
  if (weft__unlikely(r < 0)) tear(s, done);
  writer_leave(s);
  return r;
}

int weft_write_counted(weft_stream *s, const void *buf, size_t len, size_t *ret_sent) {
  struct weft__task *t = NULL;
  if (!ret_sent) return WEFT_EINVAL;
  *ret_sent = 0;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s || (!buf && len) || len > SSIZE_MAX) return WEFT_EINVAL;
  r = writer_enter(s, t);
  if (r < 0) return r;
  if (len > 0) r = send_rest(s, t, buf, len, ret_sent);
  /* What the closer has kept must not follow. */
  if (r == WEFT_ECLOSED) tear(s, *ret_sent);
  writer_leave(s);
  return r;
}

/* parts[0] from `at` on. What one call has taken may end in the middle of a part: the rest of that one goes
 * alone. Empty parts are passed over first: a call with nothing else takes nothing, as if there were no room. */
static int send_all_parts(weft_stream *s, struct weft__task *t, const struct iovec *parts, int n,
                          size_t *ret_sent) {
  for (size_t at = 0;;) {
    while (n > 0 && at >= parts->iov_len) {
      at -= parts->iov_len;
      parts++;
      n--;
    }
    if (n == 0) return 0;
    ssize_t took = 1;
    if (at > 0) {
      size_t had = at;
      int r = send_rest(s, t, parts->iov_base, parts->iov_len, &at);
      *ret_sent += at - had;
      if (r < 0) return r;
    } else {
      took = send_parts(s, parts, n);
      if (took < 0) return (int)took;
      *ret_sent += (size_t)took;
      at = (size_t)took;
    }
    if (took == 0) {
      int r = weft__stream_await_room(s, 0, false);
      if (r < 0) return r;
    }
    weft__spend(t);
  }
}

static bool are_parts(const struct iovec *parts, int n) {
  if (n < 0 || (n > 0 && !parts)) return false;
  size_t total = 0;
  for (int i = 0; i < n; i++) {
    if (!parts[i].iov_base && parts[i].iov_len > 0) return false;
    if (parts[i].iov_len > SSIZE_MAX - total) return false;
    total += parts[i].iov_len;
  }
  return true;
}

int weft_writev(weft_stream *s, const struct iovec *parts, int n) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s || !are_parts(parts, n)) return WEFT_EINVAL;
  r = writer_enter(s, t);
  if (r < 0) return r;
  size_t done = 0;
  r = send_all_parts(s, t, parts, n, &done);
  if (r < 0) tear(s, done);
  writer_leave(s);
  return r;
}

ssize_t weft_write_some(weft_stream *s, const void *buf, size_t len) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s || (!buf && len) || len > SSIZE_MAX) return WEFT_EINVAL;
  r = writer_enter(s, t);
  if (r < 0) return r;
  ssize_t n = 0;
  while (len > 0 && r == 0) {
    n = weft__stream_send(s, buf, len);
    if (n != 0) break;
    r = weft__stream_await_room(s, 0, false);
  }
  writer_leave(s);
  return r < 0 ? r : n;
}

ssize_t weft_try_write(weft_stream *s, const void *buf, size_t len) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!s || (!buf && len) || len > SSIZE_MAX) return WEFT_EINVAL;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  ssize_t n = weft_lock_try(&s->turn);
  if (n == 0) {
    n = weft__stream_write_refusal(s);
    if (n == 0 && weft__stream_flags(s) & WEFT__STREAM_KEPT) n = WEFT_EAGAIN;
    if (n == 0 && len > 0) {
      n = weft__stream_send(s, buf, len);
      if (n == 0) n = WEFT_EAGAIN;
    }
    weft_lock_release(&s->turn);
  }
  weft__descriptor_leave(s->d);
  return n;
}

/* ---- waiting without bytes ---- */

static bool has_room(const weft_stream *s) {
  struct pollfd p = {.fd = weft__descriptor_fd(s->d), .events = POLLOUT};
  return weft__sys_poll(&p, 1, 0) != 0;
}

int weft_wait_writable(weft_stream *s) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s) return WEFT_EINVAL;
  r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  r = weft__turn_take(s, t);
  if (r == 0) {
    r = settle(s);
    bool refused = r < 0 && r != WEFT_ECANCELED && r != WEFT_ECLOSED;
    while (r == 0 && !has_room(s)) r = weft__stream_await_room(s, 0, false);
    if (refused) r = 0;
    weft_lock_release(&s->turn);
  }
  weft__descriptor_leave(s->d);
  return r;
}

/* ---- half close ---- */

int weft_stream_shutdown_write(weft_stream *s) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s) return WEFT_EINVAL;
  if (s->kind != WEFT__STREAM_SOCKET) return WEFT_ENOTSOCK;
  r = writer_enter(s, t);
  if (r < 0) return r;
  r = weft__sys_shutdown(weft__descriptor_fd(s->d), SHUT_WR);
  if (r == 0) weft__stream_flag(s, WEFT__STREAM_SHUT);
  writer_leave(s);
  return r;
}

bool weft_stream_can_shutdown_write(const weft_stream *s) {
  return s && s->kind == WEFT__STREAM_SOCKET;
}
