/* Streams: how they begin and end. */
#include "io/stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/self.h"
#include "io/stream_state.h"

/* The last one is out of the descriptor. */
static void gone(void *owner) {
  weft_stream *s = owner;
  weft__chunks_free(s->kept.first);
  weft__free(s->in.data);
  weft__free(s);
}

/* What is open for one direction refuses the other from the beginning: the system says so only when it is
 * asked, and a wait for it has no end. */
static int learn_direction(weft_stream *s, int fd) {
  if (s->kind == WEFT__STREAM_SOCKET) return 0;
  int mode = weft__sys_fcntl(fd, F_GETFL, 0);
  if (mode < 0) return mode;
  if ((mode & O_ACCMODE) == O_WRONLY) {
    s->in.error = WEFT_EBADF;
    weft__stream_flag(s, WEFT__STREAM_IN_ERROR);
  } else if ((mode & O_ACCMODE) == O_RDONLY) {
    s->out_error = WEFT_EBADF;
    weft__stream_flag(s, WEFT__STREAM_OUT_ERROR);
  }
  return 0;
}

int weft__stream_open(weft_stream **ret, int fd, enum weft__stream_kind kind, unsigned can,
                      const void *site) {
  weft_stream *s = weft__zalloc(sizeof *s);
  if (!s) return WEFT_ENOMEM;
  s->kind = kind;
  s->in.limit = WEFT_STREAM_LIMIT;
  s->kept.high_mark = WEFT_STREAM_HIGH;
  s->kept.low_mark = WEFT_STREAM_LOW;
  s->kept.most = WEFT_STREAM_MOST;
  weft__waitq_init(&s->kept.drains);
  weft__waitq_init(&s->kept.flushes);
  int r = learn_direction(s, fd);
  if (r == 0) r = weft__descriptor_open(&s->d, fd, can, gone, s);
  if (r < 0) {
    weft__free(s);
    return r;
  }
  weft__resource_open(&s->resource, "a stream", site);
  *ret = s;
  return 0;
}

/* ---- adopting ---- */

void weft__socket_unlinger(int fd) {
  struct linger l = {0};
  socklen_t len = sizeof l;
  int r = weft__sys_getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len);
  if (r < 0 || !l.l_onoff || l.l_linger == 0) return;
  l = (struct linger){0};
  (void)weft__sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static int kind_of_file(int fd, enum weft__stream_kind *ret) {
  *ret = WEFT__STREAM_PIPE;
  if (weft__sim_net_owns(fd)) return 0;
  struct stat st;
  int r = weft__sys_fstat(fd, &st);
  if (r < 0) return r;
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)) return WEFT_EPERM;
  if (!S_ISFIFO(st.st_mode)) *ret = WEFT__STREAM_TTY;
  return 0;
}

static int kind_of(int fd, enum weft__stream_kind *ret) {
  int type = 0, listens = 0;
  socklen_t len = sizeof type;
  int r = weft__sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
  if (r == WEFT_ENOTSOCK) return kind_of_file(fd, ret);
  if (r < 0) return r;
  if (type != SOCK_STREAM) return WEFT_EPROTOTYPE;
  len = sizeof listens;
  r = weft__sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
  if (r < 0) return r;
  weft__socket_unlinger(fd);
  *ret = WEFT__STREAM_SOCKET;
  return listens ? WEFT_EINVAL : 0;
}

int weft_stream_from_fd(weft_stream **ret, int fd) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  int flags = weft__sys_fcntl(fd, F_GETFL, 0);
  if (flags < 0) return flags;
  enum weft__stream_kind kind;
  int r = kind_of(fd, &kind);
  if (r < 0) return r;
  if (!(flags & O_NONBLOCK)) {
    r = weft__sys_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    if (r < 0) return r;
  }
  return weft__stream_open(ret, fd, kind, WEFT__CAN_READ | WEFT__CAN_WRITE,
                           __builtin_return_address(0));
}

/* ---- the end ---- */

bool weft__stream_error_passes(ssize_t error) {
  return error == WEFT_ENOMEM || error == WEFT_ENOBUFS || error == WEFT_EFAULT ||
         error == WEFT_EINVAL || error == WEFT_EBADF || error == WEFT_EMSGSIZE;
}

void weft__stream_kick(weft_stream *s) {
  weft__descriptor_event(s->d, s->d->age, WEFT__CAN_READ | WEFT__CAN_WRITE);
}

/* What is kept goes out, behind the writes that are under way: these end now. A message that they leave in the
 * middle is not to be followed by another. */
static int flush_and_shut(weft_stream *s, struct weft__task *t) {
  weft__stream_kick(s);
  int r = weft__turn_take(s, t);
  if (r < 0) return r;
  uint32_t flags = weft__stream_flags(s);
  if (flags & WEFT__STREAM_OUT_ERROR)
    r = s->out_error;
  else if (flags & WEFT__STREAM_TORN)
    r = WEFT_ESTATE;
  else
    r = weft__stream_send_kept(s, 0, true);
  weft_lock_release(&s->turn);
  return r;
}

static int flush_for_close(weft_stream *s) {
  weft__spin_lock(&s->kept.lock); /* who keeps something looks at the flag under it */
  bool kept = s->kept.first != NULL;
  weft__spin_unlock(&s->kept.lock);
  if (!kept) return 0;
  struct weft__task *t = weft__current_task();
  if (!t) return WEFT_ENOTASK;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  r = flush_and_shut(s, t);
  weft__descriptor_leave(s->d);
  return r;
}

static void free_closed(weft_stream *s) {
  weft__resource_close(&s->resource);
  weft__descriptor_free(s->d);
}

static int begin_close(weft_stream *s, uint32_t *ret_before) {
  *ret_before = weft__or_u32(&s->flags, WEFT__STREAM_CLOSING | WEFT__STREAM_CLOSED);
  if (*ret_before & WEFT__STREAM_CLOSED) return WEFT_ESTALE;
  weft__stream_wake_drains(s);
  return 0;
}

/* Its owner may release it meanwhile: it is there while we are inside. */
static int close_owned(weft_stream *s, uint32_t flags) {
  uint32_t before;
  if (flags & WEFT__STREAM_CLOSED) return WEFT_ESTALE;
  if (weft__descriptor_enter(s->d) < 0) return 0; /* after an abort */
  int r = begin_close(s, &before);
  if (r == 0) {
    r = flush_for_close(s);
    weft__descriptor_close(s->d);
  }
  weft__descriptor_leave(s->d);
  return r;
}

int weft_stream_close(weft_stream *s) {
  if (!s) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  uint32_t before = weft__stream_flags(s);
  if (before & WEFT__STREAM_OWNED) return close_owned(s, before);
  int r = begin_close(s, &before);
  if (r < 0) return r;
  r = before & WEFT__STREAM_ABORTED ? 0 : flush_for_close(s);
  free_closed(s);
  return r;
}

void weft__stream_own(weft_stream *s) {
  weft__or_u32(&s->flags, WEFT__STREAM_OWNED);
}

int weft__stream_release(weft_stream *s) {
  if (!s) return 0;
  int r = weft_stream_close(s);
  if (r == WEFT_ECHILD) return r;
  free_closed(s);
  return r == WEFT_ESTALE ? 0 : r;
}

int weft_stream_close_fn(void *stream) {
  return weft_stream_close(stream);
}

int weft_stream_abort(weft_stream *s) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!s) return WEFT_EINVAL;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  uint32_t before = weft__or_u32(&s->flags, WEFT__STREAM_CLOSING | WEFT__STREAM_ABORTED);
  if (before & WEFT__STREAM_ABORTED) {
    r = WEFT_ECLOSED;
  } else {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (s->kind == WEFT__STREAM_SOCKET)
      (void)weft__sys_setsockopt(weft__descriptor_fd(s->d), SOL_SOCKET, SO_LINGER, &reset,
                                 sizeof reset);
    weft__stream_wake_drains(s);
    weft__descriptor_close(s->d);
  }
  weft__descriptor_leave(s->d);
  return r;
}

bool weft_stream_is_closing(const weft_stream *s) {
  return s && weft__stream_flags(s) & WEFT__STREAM_CLOSING;
}
