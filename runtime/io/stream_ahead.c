/* Reading ahead: lines, exact counts, and what else looks for something in what comes.
 *
 * All of it works on the buffer, from which nothing is taken before the call succeeds; so an error, a cancel
 * and the end leave every byte where it is.
 */
#include <limits.h>
#include <string.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "core/self.h"
#include "io/stream_state.h"

enum { STEP_FIRST = 4095, STEP_MOST = 65535, SEPARATOR_MOST = 4096, LIMIT_MOST = 1 << 30 };

/* ---- the buffer ---- */

void weft__stream_unlend(weft_stream *s) {
  if (!s->in.lent) return;
  s->in.data[s->in.lent_at] = s->in.lent_was;
  s->in.lent = false;
}

static void publish(weft_stream *s) {
  weft__store_relaxed_u64(&s->in.unread, weft__stream_unread(s));
}

void weft__stream_take(weft_stream *s, void *buf, size_t len) {
  memcpy(buf, s->in.data + s->in.start, len);
  s->in.start += len;
  publish(s);
}

void weft__stream_drop_empty(weft_stream *s) {
  if (!s->in.data || weft__stream_unread(s) > 0) return;
  weft__free(s->in.data);
  s->in.data = NULL;
  s->in.start = s->in.end = s->in.room = 0;
}

/* Bytes up to start + total fit, and a '\0' behind them. 0, WEFT_ENOMEM: then it is as it was. */
static int make_room(weft_stream *s, size_t total) {
  struct weft__stream_in *in = &s->in;
  size_t unread = weft__stream_unread(s);
  if (unread == 0) in->start = in->end = 0;
  if (in->room - in->start >= total) return 0;
  if (in->room >= total) {
    memmove(in->data, in->data + in->start, unread);
  } else {
    char *data = weft__alloc(total + 1);
    if (!data) return WEFT_ENOMEM;
    if (unread > 0) memcpy(data, in->data + in->start, unread);
    weft__free(in->data);
    in->data = data;
    in->room = total;
  }
  in->start = 0;
  in->end = unread;
  return 0;
}

/* How much the next buffer holds: more each time one was filled. */
static size_t step(const weft_stream *s, size_t most) {
  size_t n = s->in.step ? s->in.step : STEP_FIRST;
  size_t twice = 2 * weft__stream_unread(s);
  if (n < twice) n = twice;
  return n < most ? n : most;
}

/* One try of it, once it looks worth it: WEFT_EAGAIN when it was not. */
static ssize_t try_fill(weft_stream *s, size_t most) {
  int r = weft__stream_read_refusal(s);
  if (r <= 0) return r;
  if (!weft__descriptor_ready(s->d, WEFT__IN)) weft__stream_drop_empty(s);
  r = weft__stream_await_input(s);
  if (r != 0) return r < 0 ? r : 0;
  weft__descriptor_more(s->d, WEFT__IN); /* found by the receive, or by the next call */
  struct weft__stream_in *in = &s->in;
  r = make_room(s, step(s, most));
  if (r < 0) return r;
  size_t free = in->room - in->end;
  if (free > most - weft__stream_unread(s)) free = most - weft__stream_unread(s);
  /* Not with the buffer in hand; but a file waits only so, and for the disk. */
  bool wait = s->kind == WEFT__STREAM_FILE;
  ssize_t n = weft__stream_receive(s, in->data + in->end, free, wait);
  if (n <= 0) return n;
  in->end += (size_t)n;
  if ((size_t)n == free && in->room < STEP_MOST) in->step = 2 * in->room + 1;
  publish(s);
  return n;
}

/* More bytes into the buffer, which has fewer than `most`: how many; 0 at the end; an error. */
static ssize_t fill(weft_stream *s, size_t most) {
  ssize_t n;
  do n = try_fill(s, most);
  while (n == WEFT_EAGAIN);
  return n;
}

/* ---- in and out ---- */

static int enter(weft_stream *s, const void *ret) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!s || !ret) return WEFT_EINVAL;
  r = weft__reader_enter(s);
  if (r < 0) return r;
  weft__stream_unlend(s);
  if (!(weft__stream_flags(s) & WEFT__STREAM_CLOSING)) return 0;
  weft__reader_leave(s);
  return WEFT_ECLOSED;
}

/* Puts the '\0' behind the first len bytes and hands them out. */
static char *lend(weft_stream *s, size_t len) {
  struct weft__stream_in *in = &s->in;
  in->lent_at = in->start + len;
  in->lent_was = in->data[in->lent_at];
  in->data[in->lent_at] = '\0';
  in->lent = true;
  return in->data + in->start;
}

static ssize_t lend_and_take(weft_stream *s, size_t len, char **ret) {
  if (len == 0) return 0;
  *ret = lend(s, len);
  s->in.start += len;
  publish(s);
  return (ssize_t)len;
}

/* ---- separators ---- */

/* The length up to the separator and with it, which stays in the buffer; 0, WEFT_EOF, WEFT_EMSGSIZE, or an
 * error. */
static ssize_t find(weft_stream *s, const char *sep, size_t sep_len) {
  struct weft__stream_in *in = &s->in;
  for (size_t scanned = 0;;) {
    size_t unread = weft__stream_unread(s);
    if (unread > scanned) {
      const char *from = in->data + in->start;
      const char *at = memmem(from + scanned, unread - scanned, sep, sep_len);
      if (at) {
        in->overrun = (size_t)(at - from);
        return in->overrun > in->limit ? WEFT_EMSGSIZE : (ssize_t)(in->overrun + sep_len);
      }
    }
    scanned = unread >= sep_len ? unread - sep_len + 1 : 0;
    in->overrun = scanned;
    if (scanned > in->limit) return WEFT_EMSGSIZE;
    ssize_t n = fill(s, in->limit + sep_len);
    if (n < 0) return n;
    if (n == 0) {
      in->overrun = unread;
      return unread > 0 ? WEFT_EOF : 0;
    }
  }
}

ssize_t weft_read_until(weft_stream *s, const void *sep, size_t sep_len, char **ret_data) {
  if (!sep || sep_len == 0 || sep_len > SEPARATOR_MOST) return WEFT_EINVAL;
  int r = enter(s, ret_data);
  if (r < 0) return r;
  ssize_t n = find(s, sep, sep_len);
  if (n > 0) n = lend_and_take(s, (size_t)n, ret_data);
  weft__reader_leave(s);
  return n;
}

/* The line is too long: without what has come of it. */
static void drop_line(weft_stream *s) {
  struct weft__stream_in *in = &s->in;
  size_t over = in->overrun;
  if (over < weft__stream_unread(s) && in->data[in->start + over] == '\n')
    in->start += over + 1;
  else
    in->start = in->end;
  publish(s);
}

ssize_t weft_read_line(weft_stream *s, char **ret_line) {
  int r = enter(s, ret_line);
  if (r < 0) return r;
  ssize_t n = find(s, "\n", 1);
  if (n == WEFT_EMSGSIZE) drop_line(s);
  if (n == WEFT_EOF) n = (ssize_t)weft__stream_unread(s);
  if (n > 0) n = lend_and_take(s, (size_t)n, ret_line);
  weft__reader_leave(s);
  return n;
}

size_t weft_stream_overrun(const weft_stream *s) {
  return s ? s->in.overrun : 0;
}

/* ---- counts ---- */

/* Fills until n bytes are there: 1; 0 when the end is nearer; or an error. */
static ssize_t gather(weft_stream *s, size_t n) {
  while (weft__stream_unread(s) < n) {
    ssize_t got = fill(s, n > s->in.limit ? n : s->in.limit);
    if (got <= 0) return got;
  }
  return 1;
}

/* More than is ever read ahead: to where the caller wants it. There is room to put it back before the first
 * byte is received. */
static ssize_t read_large(weft_stream *s, char *buf, size_t len) {
  int r = weft__stream_read_refusal(s);
  if (r < 0) return r;
  r = make_room(s, len);
  if (r < 0) return r;
  size_t unread = weft__stream_unread(s), got = unread;
  memcpy(buf, s->in.data + s->in.start, unread);
  ssize_t n = 1;
  while (got < len && n > 0) {
    n = weft__stream_read_refusal(s);
    if (n > 0) n = weft__stream_receive(s, buf + got, len - got, true);
    if (n > 0) got += (size_t)n;
    weft__spend(weft__current_task());
  }
  if (got == len) {
    s->in.start = s->in.end;
    weft__stream_drop_empty(s);
    return (ssize_t)len;
  }
  memcpy(s->in.data + s->in.end, buf + unread, got - unread);
  s->in.end += got - unread;
  return n;
}

ssize_t weft_read_exactly(weft_stream *s, void *buf, size_t len) {
  if ((!buf && len) || len > SSIZE_MAX / 2) return WEFT_EINVAL;
  int r = enter(s, s);
  if (r < 0) return r;
  ssize_t n = 0;
  if (len == 0) {
    /* nothing is asked for */
  } else if (len <= s->in.limit || len <= weft__stream_unread(s)) {
    n = gather(s, len);
    if (n > 0) weft__stream_take(s, buf, len);
    if (n > 0) n = (ssize_t)len;
  } else {
    n = read_large(s, buf, len);
  }
  if (n == 0 && len > 0 && weft__stream_unread(s) > 0) n = WEFT_EOF;
  publish(s);
  weft__reader_leave(s);
  return n;
}

ssize_t weft_peek(weft_stream *s, size_t n, char **ret_data) {
  int r = enter(s, ret_data);
  if (r < 0) return r;
  ssize_t got = n > s->in.limit ? WEFT_EMSGSIZE : gather(s, n);
  if (got >= 0) {
    got = (ssize_t)weft__stream_unread(s);
    if (got > 0) *ret_data = lend(s, (size_t)got);
  }
  weft__reader_leave(s);
  return got;
}

ssize_t weft_read_lent(weft_stream *s, char **ret_data) {
  int r = enter(s, ret_data);
  if (r < 0) return r;
  ssize_t n = gather(s, 1);
  if (n > 0) n = lend_and_take(s, weft__stream_unread(s), ret_data);
  weft__reader_leave(s);
  return n;
}

ssize_t weft_read_all(weft_stream *s, size_t limit, char **ret_data) {
  int r = enter(s, ret_data);
  if (r < 0) return r;
  if (limit == 0) limit = s->in.limit;
  if (limit > SSIZE_MAX - 1)
    limit = SSIZE_MAX - 1; /* one more is looked for, and all of it counted */
  ssize_t n = 1;
  while (n > 0) {
    if (weft__stream_unread(s) > limit)
      n = WEFT_EMSGSIZE;
    else
      n = fill(s, limit + 1);
  }
  if (n == 0) n = lend_and_take(s, weft__stream_unread(s), ret_data);
  weft__reader_leave(s);
  return n;
}

int weft_stream_set_limit(weft_stream *s, size_t limit) {
  if (!weft__current_task()) return weft__no_task();
  if (!s || limit > LIMIT_MOST) return WEFT_EINVAL;
  int r = weft__reader_enter(s);
  if (r < 0) return r;
  s->in.limit = limit ? limit : WEFT_STREAM_LIMIT;
  weft__reader_leave(s);
  return 0;
}
