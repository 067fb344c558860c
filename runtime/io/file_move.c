/* Reading and writing. The bytes move in the pool, but for short reads of what the system has in its
 * memory: those are made on the spot, with RWF_NOWAIT. In a simulation they are not: what the system
 * has in memory is no part of a schedule. */
#include <limits.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "aio/sync.h"
#include "base/sim.h"
#include "base/sys.h"
#include "io/file.h"

/* A read on the spot keeps the worker for 10 us at most. */
#define ON_THE_SPOT ((size_t)64 * 1024)

/* Parts given to the system at a time. */
enum { WINDOW = 32 };

/* ---- cursors ---- */

int weft__cursor_init(struct weft__cursor *c, const struct iovec *iov, int n) {
  if (n < 0 || (n > 0 && !iov)) return WEFT_EINVAL;
  *c = (struct weft__cursor){.iov = iov, .n = n};
  for (int i = 0; i < n; i++) {
    if (!iov[i].iov_base && iov[i].iov_len > 0) return WEFT_EINVAL;
    if (iov[i].iov_len > (size_t)SSIZE_MAX - c->left) return WEFT_EINVAL;
    c->left += iov[i].iov_len;
  }
  return 0;
}

/* The next parts; how many. */
static int window(const struct weft__cursor *c, struct iovec *out) {
  int k = 0;
  size_t skip = c->skip;
  for (int i = 0; i < c->n && k < WINDOW; i++, skip = 0) {
    if (c->iov[i].iov_len == skip) continue;
    out[k].iov_base = (char *)c->iov[i].iov_base + skip;
    out[k++].iov_len = c->iov[i].iov_len - skip;
  }
  return k;
}

static void advance(struct weft__cursor *c, size_t by) {
  c->left -= by;
  by += c->skip;
  while (c->n > 0 && by >= c->iov->iov_len) {
    by -= c->iov->iov_len;
    c->iov++;
    c->n--;
  }
  c->skip = by;
}

/* ---- moving ---- */

struct move {
  weft_file *f;
  struct weft__cursor at;
  size_t done; /* what was read; so an error after it is left to the next call */
  off_t off;   /* where it begins; -1: the position */
};

static off_t offset_of(const struct move *m) {
  return m->off < 0 ? -1 : m->off + (off_t)m->done;
}

/* One system call: 1 when there may be more to come, 0 at the end, or an error. */
static int read_some(struct move *m, int flags) {
  struct iovec parts[WINDOW];
  int k = window(&m->at, parts);
  ssize_t n = weft__sys_preadv2(m->f->fd, parts, k, offset_of(m), flags);
  if (n <= 0) return (int)n;
  advance(&m->at, (size_t)n);
  m->done += (size_t)n;
  return 1;
}

static int read_all(void *arg) {
  struct move *m = arg;
  int r = 1;
  while (m->at.left > 0 && r > 0) {
    r = read_some(m, 0);
    if (r == WEFT_EINTR) r = 1;
    if (r > 0 && !m->f->regular && m->done > 0) break;
  }
  return r;
}

/* What can be read without waiting. 0 when that is all there is to read, 1 when the pool has to. */
static int read_on_the_spot(struct move *m) {
  weft_file *f = m->f;
  if (!f->regular || m->at.left > ON_THE_SPOT || weft__load_relaxed_u32(&f->blind)) return 1;
  if (weft__sim_here()) return 1;
  int r = 1;
  while (m->at.left > 0 && r > 0) r = read_some(m, RWF_NOWAIT);
  if (r >= 0) return 0;
  if (r != WEFT_EAGAIN && r != WEFT_EINTR) weft__store_relaxed_u32(&f->blind, 1);
  return 1;
}

static ssize_t read_it(struct move *m) {
  int r = m->at.left > 0 ? read_on_the_spot(m) : 0;
  if (r > 0) r = weft_to_thread(read_all, m);
  return r < 0 && m->done == 0 ? r : (ssize_t)m->done;
}

int weft__file_write_all(int fd, struct weft__cursor *c, off_t off) {
  struct iovec parts[WINDOW];
  while (c->left > 0) {
    int k = window(c, parts);
    ssize_t n = weft__sys_pwritev2(fd, parts, k, off, 0);
    if (n == WEFT_EINTR) continue;
    if (n == 0) return WEFT_EIO; /* a device that takes nothing */
    if (n < 0) return (int)n;
    advance(c, (size_t)n);
    if (off >= 0) off += n;
  }
  return 0;
}

static int write_all(void *arg) {
  struct move *m = arg;
  return weft__file_write_all(m->f->fd, &m->at, m->off);
}

static int write_it(struct move *m) {
  return m->at.left > 0 ? weft_to_thread(write_all, m) : 0;
}

/* ---- with the position: in turns ---- */

int weft__file_turn(weft_file *f) {
  int r = weft_lock_acquire(&f->turn);
  if (r < 0) return r;
  if (!(weft__load_relaxed_u32(&f->calls) & WEFT__FILE_CLOSED)) return 0;
  weft_lock_release(&f->turn);
  return WEFT_ECLOSED;
}

static int begin(struct move *m, weft_file *f, const struct iovec *iov, int n, off_t off) {
  if (!f) return WEFT_EINVAL;
  m->f = f;
  m->done = 0;
  m->off = off;
  int r = weft__cursor_init(&m->at, iov, n);
  return r < 0 ? r : weft__file_enter(f);
}

static ssize_t read_next(weft_file *f, const struct iovec *iov, int n) {
  struct move m;
  ssize_t r = begin(&m, f, iov, n, -1);
  if (r < 0) return r;
  r = weft__file_turn(f);
  if (r == 0) {
    r = read_it(&m);
    weft_lock_release(&f->turn);
  }
  weft__file_leave(f);
  return r;
}

static int write_next(weft_file *f, const struct iovec *iov, int n) {
  struct move m;
  int r = begin(&m, f, iov, n, -1);
  if (r < 0) return r;
  r = weft__file_turn(f);
  if (r == 0) {
    r = write_it(&m);
    weft_lock_release(&f->turn);
  }
  weft__file_leave(f);
  return r;
}

ssize_t weft_file_read(weft_file *f, void *buf, size_t len) {
  if (!weft__current_task()) return weft__no_task();
  return read_next(f, &(struct iovec){buf, len}, 1);
}

ssize_t weft_file_readv(weft_file *f, const struct iovec *iov, int n) {
  if (!weft__current_task()) return weft__no_task();
  return read_next(f, iov, n);
}

int weft_file_write(weft_file *f, const void *buf, size_t len) {
  if (!weft__current_task()) return weft__no_task();
  return write_next(f, &(struct iovec){(void *)(uintptr_t)buf, len}, 1);
}

int weft_file_writev(weft_file *f, const struct iovec *iov, int n) {
  if (!weft__current_task()) return weft__no_task();
  return write_next(f, iov, n);
}

/* ---- at an offset ---- */

/* A negative one would mean the position. */
static ssize_t read_at(weft_file *f, const struct iovec *iov, int n, off_t off) {
  struct move m;
  ssize_t r = off < 0 ? WEFT_EINVAL : begin(&m, f, iov, n, off);
  if (r < 0) return r;
  r = read_it(&m);
  weft__file_leave(f);
  return r;
}

static int write_at(weft_file *f, const struct iovec *iov, int n, off_t off) {
  struct move m;
  int r = off < 0 ? WEFT_EINVAL : begin(&m, f, iov, n, off);
  if (r < 0) return r;
  r = write_it(&m);
  weft__file_leave(f);
  return r;
}

ssize_t weft_file_pread(weft_file *f, void *buf, size_t len, off_t offset) {
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  return r < 0 ? r : read_at(f, &(struct iovec){buf, len}, 1, offset);
}

ssize_t weft_file_preadv(weft_file *f, const struct iovec *iov, int n, off_t offset) {
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  return r < 0 ? r : read_at(f, iov, n, offset);
}

int weft_file_pwrite(weft_file *f, const void *buf, size_t len, off_t offset) {
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  return r < 0 ? r : write_at(f, &(struct iovec){(void *)(uintptr_t)buf, len}, 1, offset);
}

int weft_file_pwritev(weft_file *f, const struct iovec *iov, int n, off_t offset) {
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  return r < 0 ? r : write_at(f, iov, n, offset);
}
