/* Whole files: each call is one job of the pool. */
#include <limits.h>
#include <stdint.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/file.h"
#include "io/fs.h"

#define DEFAULT_LIMIT ((size_t)64 << 20)

/* ---- reading ---- */

struct reading {
  const char *path;
  size_t limit;
  char *data;
  size_t len;
};

/* Room for one byte more than `wanted` and the zero behind it. */
static int make_room(struct reading *r, size_t *room, size_t wanted) {
  if (wanted > SIZE_MAX - 2) return WEFT_ENOMEM;
  char *data = weft__realloc(r->data, wanted + 2);
  if (!data) return WEFT_ENOMEM;
  r->data = data;
  *room = wanted + 1;
  return 0;
}

/* Reads to the end, whatever the size was said to be: one byte over the limit tells that it is over. */
static int read_to_end(struct reading *r, int fd, size_t size) {
  size_t room = 0;
  int e = make_room(r, &room, size < r->limit ? size : r->limit);
  while (e == 0) {
    if (r->len > r->limit) return WEFT_EFBIG;
    if (r->len == room) {
      size_t wanted = room < SIZE_MAX / 4 ? 2 * room + 4096 : SIZE_MAX;
      e = make_room(r, &room, wanted < r->limit ? wanted : r->limit);
      continue;
    }
    size_t len = room - r->len;
    ssize_t n = weft__sys_read(fd, r->data + r->len, len < SSIZE_MAX ? len : SSIZE_MAX);
    if (n == 0) return 0;
    if (n > 0) r->len += (size_t)n;
    if (n < 0 && n != WEFT_EINTR) e = (int)n;
  }
  return e;
}

static int read_whole(void *arg) {
  struct reading *r = arg;
  bool regular;
  struct stat st;
  int fd = weft__file_open_fd(r->path, O_RDONLY, 0, &regular);
  if (fd < 0) return fd;
  int e = weft__sys_fstat(fd, &st);
  if (e == 0 && S_ISDIR(st.st_mode)) e = WEFT_EISDIR;
  if (e == 0) e = read_to_end(r, fd, st.st_size > 0 ? (size_t)st.st_size : 0);
  (void)weft__close(fd);
  return e;
}

int weft_read_file(const char *path, size_t limit, void **ret_data, size_t *ret_len) {
  if (!weft__current_task()) return weft__no_task();
  if (!path || !ret_data || !ret_len) return WEFT_EINVAL;
  struct reading r = {.path = path, .limit = limit ? limit : DEFAULT_LIMIT};
  int e = weft_to_thread(read_whole, &r);
  if (e < 0) {
    weft__free(r.data);
    return e;
  }
  r.data[r.len] = '\0';
  *ret_data = r.data;
  *ret_len = r.len;
  return 0;
}

void weft_read_file_free(void *data) {
  weft__free(data);
}

/* ---- writing ---- */

struct writing {
  struct weft__place place;
  struct weft__cursor data;
};

static int write_whole(void *arg) {
  struct writing *w = arg;
  int r = weft__place_begin(&w->place);
  if (r < 0) return r;
  r = weft__file_write_all(w->place.fd, &w->data, -1);
  if (r == 0) return weft__place_end(&w->place);
  weft__place_abandon(&w->place);
  return r;
}

int weft_write_file(const char *path, const void *data, size_t len, const weft_replace_opts *opts) {
  if (!weft__current_task()) return weft__no_task();
  if (!path) return WEFT_EINVAL;
  struct iovec all = {(void *)(uintptr_t)data, len};
  struct weft__cursor cursor;
  int r = weft__cursor_init(&cursor, &all, 1);
  if (r < 0) return r;
  struct writing *w = weft__alloc(sizeof *w); /* too large for a task's stack */
  if (!w) return WEFT_ENOMEM;
  w->place.path = path;
  w->place.opts = opts ? *opts : (weft_replace_opts){0};
  w->place.otherwise = 0666;
  w->place.exactly = false;
  w->data = cursor;
  r = weft_to_thread(write_whole, w);
  weft__free(w);
  return r;
}
