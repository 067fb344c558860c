#include "io/sockfile.h"
#include "io/addr.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <weft/errors.h>

#include "base/sys.h"
#include "core/room.h"

static int look(const char *path, struct stat *ret) {
  return weft__sys_fstatat(AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW);
}

/* Whether somebody listens there: 1, 0, or why that cannot be said. A listener whose queue is full is one. */
static int answers(const weft_addr *a) {
  int fd = weft__sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  int r = weft__sys_connect(fd, &weft__sa(a)->any, a->len);
  weft__close(fd);
  if (r == WEFT_ECONNREFUSED) return 0;
  return r == WEFT_ENOENT ? 0 : 1;
}

int weft__sock_file_clear(const weft_addr *a) {
  const char *path = weft_addr_path(a);
  struct stat before, now;
  if (!path) return WEFT_EADDRINUSE;
  int r = look(path, &before);
  if (r < 0) return r == WEFT_ENOENT ? 0 : WEFT_EADDRINUSE;
  if (!S_ISSOCK(before.st_mode)) return WEFT_EADDRINUSE;
  r = answers(a);
  if (r != 0) return r < 0 ? r : WEFT_EADDRINUSE;
  /* Somebody else may have done the same, and listen there by now. */
  r = look(path, &now);
  if (r == WEFT_ENOENT) return 0;
  if (r < 0 || now.st_ino != before.st_ino || now.st_dev != before.st_dev) return WEFT_EADDRINUSE;
  r = weft__sys_unlinkat(AT_FDCWD, path, 0);
  return r == WEFT_ENOENT ? 0 : r;
}

int weft__sock_file_made(struct weft__sock_file *f, const weft_addr *a, unsigned mode) {
  const char *path = weft_addr_path(a);
  struct stat st;
  if (!path) return 0;
  int r = look(path, &st);
  if (r == WEFT_ENOENT) return 0; /* the simulated network has no files */
  if (r < 0) return r;
  *f = (struct weft__sock_file){.made = true, .dev = st.st_dev, .ino = st.st_ino};
  return mode ? weft__sys_chmod(path, mode) : 0;
}

void weft__sock_file_remove(struct weft__sock_file *f, const weft_addr *a) {
  struct stat st;
  if (!f->made) return;
  f->made = false;
  const char *path = weft_addr_path(a);
  if (look(path, &st) < 0 || st.st_ino != f->ino || st.st_dev != f->dev) return;
  (void)weft__sys_unlinkat(AT_FDCWD, path, 0);
}
