/* Whole files, and temporary ones: each call is one job of the pool. */
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/self.h"
#include "io/file.h"

#define DEFAULT_LIMIT ((size_t)64 << 20)

/* ---- names that nobody has ---- */

static const char any_name[] = "XXXXXX";
enum { RANDOM = sizeof any_name - 1, ATTEMPTS = 100 };

static int draw_name(char *to) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  uint8_t bytes[RANDOM];
  ssize_t n = weft__sys_getrandom(bytes, sizeof bytes, 0);
  if (n < 0) return (int)n;
  if (n < RANDOM) return WEFT_EAGAIN;
  for (int i = 0; i < RANDOM; i++) to[i] = letters[bytes[i] % (sizeof letters - 1)];
  return 0;
}

int weft__make_unique(char *path, weft__make_fn make, mode_t mode) {
  size_t len = strlen(path);
  if (len < RANDOM || strcmp(path + len - RANDOM, any_name) != 0) return WEFT_EINVAL;
  char *end = path + len - RANDOM;
  int r = WEFT_EEXIST;
  for (int i = 0; i < ATTEMPTS && r == WEFT_EEXIST; i++) {
    r = draw_name(end);
    if (r == 0) r = make(path, mode);
  }
  if (r < 0) memcpy(end, any_name, RANDOM);
  return r;
}

static int make_file(const char *path, mode_t mode) {
  return weft__sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (int)mode);
}

int weft__file_make_temp(char *path, mode_t mode) {
  return weft__make_unique(path, make_file, mode);
}

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
  (void)weft__sys_close(fd);
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
  const char *path;
  const void *data;
  size_t len;
  weft_write_file_opts opts;
};

/* The directory of path, with the slash; how long. */
static size_t directory_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* What is there now: 1 with its mode, 0 when there is nothing, or why it cannot be replaced. */
static int look_at_old(const struct writing *w, mode_t *ret_mode) {
  struct stat st;
  int r = weft__sys_fstatat(AT_FDCWD, w->path, &st, AT_SYMLINK_NOFOLLOW);
  if (r == WEFT_ENOENT) return 0;
  if (r < 0) return r;
  if (w->opts.exclusive) return WEFT_EEXIST;
  if (S_ISDIR(st.st_mode)) return WEFT_EISDIR;
  if (S_ISLNK(st.st_mode)) return 0;
  if (!S_ISREG(st.st_mode)) return WEFT_ENOTSUP;
  *ret_mode = st.st_mode & 07777;
  return 1;
}

static int sync_directory(const char *path) {
  char dir[PATH_MAX];
  size_t len = directory_of(path);
  if (len == 0) {
    strcpy(dir, ".");
  } else {
    memcpy(dir, path, len);
    dir[len] = '\0';
  }
  int fd = weft__sys_open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return fd == WEFT_EACCES ? 0 : fd; /* it may be written in and not read */
  int r = weft__sys_fsync(fd);
  (void)weft__sys_close(fd);
  return r == WEFT_EINVAL ? 0 : r; /* of a file system that has no such thing */
}

/* Fills the new file and closes it. keep: a mode it must have, whatever the umask. */
static int fill(const struct writing *w, int fd, const mode_t *keep) {
  struct weft__cursor c;
  struct iovec all = {(void *)(uintptr_t)w->data, w->len};
  int r = weft__cursor_init(&c, &all, 1);
  if (r == 0) r = weft__file_write_all(fd, &c, -1);
  if (r == 0 && keep) r = weft__sys_fchmod(fd, *keep);
  if (r == 0 && !w->opts.no_sync) r = weft__sys_fsync(fd);
  int e = weft__sys_close(fd);
  return r < 0 ? r : e == WEFT_EINTR ? 0 : e;
}

/* The new file gets its name. */
static int put_in_place(const struct writing *w, const char *temp) {
  if (!w->opts.exclusive) return weft__sys_rename(temp, w->path);
  int r = weft__sys_link(temp, w->path); /* refuses where a rename would replace */
  if (r == 0) (void)weft__sys_unlinkat(AT_FDCWD, temp, 0);
  return r;
}

static int write_whole(void *arg) {
  const struct writing *w = arg;
  char temp[PATH_MAX];
  size_t dir = directory_of(w->path);
  static const char name[] = ".weft-XXXXXX";
  if (dir + sizeof name > sizeof temp) return WEFT_ENAMETOOLONG;
  mode_t mode = 0666;
  int old = look_at_old(w, &mode);
  if (old < 0) return old;
  bool keep = old > 0 && !w->opts.mode;
  if (w->opts.mode) mode = w->opts.mode;
  memcpy(temp, w->path, dir);
  memcpy(temp + dir, name, sizeof name);
  int fd = weft__file_make_temp(temp, mode);
  if (fd < 0) return fd;
  int r = fill(w, fd, keep ? &mode : NULL);
  if (r == 0) r = put_in_place(w, temp);
  if (r < 0) {
    (void)weft__sys_unlinkat(AT_FDCWD, temp, 0);
    return r;
  }
  return w->opts.no_sync ? 0 : sync_directory(w->path);
}

int weft_write_file(const char *path, const void *data, size_t len,
                    const weft_write_file_opts *opts) {
  if (!weft__current_task()) return weft__no_task();
  if (!path || !*path || (!data && len > 0) || len > SSIZE_MAX) return WEFT_EINVAL;
  struct writing w = {.path = path, .data = data, .len = len};
  if (opts) w.opts = *opts;
  return weft_to_thread(write_whole, &w);
}
