/* Files that take the place of others, whole; and names that nobody has. */
#include <stdint.h>
#include <string.h>

#include <weft/errors.h>
#include <weft/offload.h>
#include <weft/task.h>

#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/fs.h"

/* ---- names ---- */

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
  return weft__sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                          (int)mode);
}

int weft__make_temp(char *path, mode_t mode) {
  return weft__make_unique(path, make_file, mode);
}

/* ---- places ---- */

/* The directory of path, with the slash; how long. */
static size_t directory_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* What is there now: 1 with its mode, 0 when there is nothing to take it from, or why it cannot be
 * replaced. */
static int look_at_old(const struct weft__place *p, mode_t *ret_mode) {
  struct stat st;
  int r = weft__sys_fstatat(AT_FDCWD, p->path, &st, AT_SYMLINK_NOFOLLOW);
  if (r == WEFT_ENOENT) return 0;
  if (r < 0) return r;
  if (p->opts.exclusive) return WEFT_EEXIST;
  if (S_ISDIR(st.st_mode)) return WEFT_EISDIR;
  if (S_ISLNK(st.st_mode)) return 0;
  if (!S_ISREG(st.st_mode)) return WEFT_ENOTSUP;
  *ret_mode = st.st_mode & 07777;
  return 1;
}

int weft__place_begin(struct weft__place *p) {
  static const char name[] = ".weft-XXXXXX";
  size_t dir = directory_of(p->path);
  if (dir + sizeof name > sizeof p->temp) return WEFT_ENAMETOOLONG;
  p->mode = p->otherwise;
  int old = look_at_old(p, &p->mode);
  if (old < 0) return old;
  if (p->exactly) p->mode = p->otherwise;
  p->set_mode = (old > 0 || p->exactly) && p->opts.mode == 0;
  if (p->opts.mode != 0) p->mode = p->opts.mode;
  memcpy(p->temp, p->path, dir);
  memcpy(p->temp + dir, name, sizeof name);
  p->fd = weft__make_temp(p->temp, p->mode);
  return p->fd < 0 ? p->fd : 0;
}

void weft__place_abandon(struct weft__place *p) {
  if (p->fd >= 0) (void)weft__close(p->fd);
  (void)weft__sys_unlinkat(AT_FDCWD, p->temp, 0);
}

static int finish(struct weft__place *p) {
  int r = p->set_mode ? weft__sys_fchmod(p->fd, p->mode) : 0;
  if (r == 0 && !p->opts.no_sync) r = weft__sys_fsync(p->fd);
  int e = weft__close(p->fd);
  p->fd = -1;
  return r < 0 ? r : e == WEFT_EINTR ? 0 : e;
}

static int put_in_place(const struct weft__place *p) {
  if (!p->opts.exclusive) return weft__sys_rename(p->temp, p->path);
  int r = weft__sys_link(p->temp, p->path); /* refuses where a rename would replace */
  if (r == 0) (void)weft__sys_unlinkat(AT_FDCWD, p->temp, 0);
  return r;
}

/* So that the new name, too, survives a crash. */
static int sync_directory(struct weft__place *p) {
  size_t len = directory_of(p->path);
  strcpy(p->temp + len, len ? "" : ".");
  int fd = weft__sys_openat(AT_FDCWD, p->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return fd == WEFT_EACCES ? 0 : fd; /* it may be written in and not read */
  int r = weft__sys_fsync(fd);
  (void)weft__close(fd);
  return r == WEFT_EINVAL ? 0 : r; /* of a file system that has no such thing */
}

int weft__place_end(struct weft__place *p) {
  int r = finish(p);
  if (r == 0) r = put_in_place(p);
  if (r < 0) {
    weft__place_abandon(p);
    return r;
  }
  return p->opts.no_sync ? 0 : sync_directory(p);
}

/* ---- the pool ---- */

struct errand {
  weft_fn fn;
  void *arg;
  bool done;
};

static int run_errand(void *arg) {
  struct errand *e = arg;
  e->done = true;
  return e->fn(e->arg);
}

void weft__pool_always(weft_fn fn, void *arg) {
  struct errand e = {.fn = fn, .arg = arg};
  if (weft__current_task()) {
    weft_shield_begin();
    (void)weft_to_thread(run_errand, &e);
    weft_shield_end();
  }
  if (!e.done) run_errand(&e);
}
