/* Copies: a slice is one job of the pool, and between slices a cancel is heard. */
#include <weft/errors.h>
#include <weft/offload.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/file.h"
#include "io/fs.h"

/* 10 ms or so, when the bytes really have to be moved. */
#define SLICE ((size_t)32 << 20)
enum { BUFFER = 128 * 1024 };

struct copy {
  const char *from;
  struct weft__place place;
  int fd;       /* of from */
  bool begun;   /* the place is */
  bool by_hand; /* the system cannot do it */
  bool over;
  off_t done;
  char *buffer; /* for by_hand */
};

static int copy_by_hand(struct copy *c, size_t *ret_n) {
  if (!c->buffer) c->buffer = weft__alloc(BUFFER);
  if (!c->buffer) return WEFT_ENOMEM;
  ssize_t n;
  do n = weft__sys_read(c->fd, c->buffer, BUFFER);
  while (n == WEFT_EINTR);
  if (n < 0) return (int)n;
  struct weft__cursor cursor;
  weft__cursor_init(&cursor, &(struct iovec){c->buffer, (size_t)n}, 1);
  *ret_n = (size_t)n;
  return weft__file_write_all(c->place.fd, &cursor, -1);
}

/* File systems that cannot say so in many ways; and some files that have no size (of /proc) seem empty to
 * this call. */
static bool cannot(const struct copy *c, ssize_t n) {
  return n == WEFT_EXDEV || n == WEFT_EINVAL || n == WEFT_ENOSYS || n == WEFT_ENOTSUP ||
         n == WEFT_EPERM || (n == 0 && c->done == 0);
}

static int copy_some(struct copy *c, size_t most, size_t *ret_n) {
  if (!c->by_hand) {
    ssize_t n;
    do n = weft__sys_copy_file_range(c->fd, c->place.fd, most);
    while (n == WEFT_EINTR);
    *ret_n = n > 0 ? (size_t)n : 0;
    if (!cannot(c, n)) return n < 0 ? (int)n : 0;
    c->by_hand = true;
  }
  return copy_by_hand(c, ret_n);
}

static int begin(struct copy *c) {
  bool regular;
  struct stat st;
  int fd = weft__file_open_fd(c->from, O_RDONLY, 0, &regular);
  if (fd < 0) return fd;
  c->fd = fd;
  int r = weft__sys_fstat(fd, &st);
  if (r < 0) return r;
  if (S_ISDIR(st.st_mode)) return WEFT_EISDIR;
  if (!regular) return WEFT_ENOTSUP;
  c->place.otherwise = st.st_mode & 07777;
  c->place.exactly = true;
  r = weft__place_begin(&c->place);
  if (r == 0) c->begun = true;
  return r;
}

/* A slice; the first one opens, the last one puts the copy in its place. */
static int copy_slice(void *arg) {
  struct copy *c = arg;
  int r = c->begun ? 0 : begin(c);
  size_t n = 1;
  for (size_t left = SLICE; r == 0 && left > 0 && n > 0; left -= n < left ? n : left) {
    r = copy_some(c, left, &n);
    if (r == 0) c->done += (off_t)n;
  }
  if (r < 0 || n > 0) return r;
  c->over = true;
  c->begun = false;
  return weft__place_end(&c->place);
}

static int clean_up(void *arg) {
  struct copy *c = arg;
  if (c->fd >= 0) (void)weft__close(c->fd);
  if (c->begun) weft__place_abandon(&c->place);
  return 0;
}

off_t weft_fs_copy(const char *from, const char *to, const weft_replace_opts *opts) {
  if (!weft__current_task()) return weft__no_task();
  if (!from || !to) return WEFT_EINVAL;
  struct copy *c = weft__zalloc(sizeof *c);
  if (!c) return WEFT_ENOMEM;
  c->from = from;
  c->fd = -1;
  c->place.path = to;
  if (opts) c->place.opts = *opts;
  int r = 0;
  while (r == 0 && !c->over) r = weft_to_thread(copy_slice, c);
  if (c->begun)
    weft__pool_always(clean_up, c); /* to remove much takes a while */
  else
    clean_up(c);
  off_t done = c->done;
  weft__free(c->buffer);
  weft__free(c);
  return r < 0 ? r : done;
}
