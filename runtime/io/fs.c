/* Paths: one system call each, made by the pool. */
#include "io/fs.h"

#include <string.h>
#include <unistd.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "base/sys.h"
#include "core/self.h"

struct call {
  const char *a, *b; /* b: a second path, or NULL */
  mode_t mode;       /* or what else goes with the path */
  int flags;
  struct stat *st;
  char *buf;
  size_t size;
  size_t len; /* of what was written to buf */
};

/* ---- in the pool ---- */

static int do_stat(void *arg) {
  struct call *c = arg;
  struct stat st; /* outputs are written on success only */
  int r = weft__sys_fstatat(AT_FDCWD, c->a, &st, c->flags);
  if (r == 0) *c->st = st;
  return r;
}
static int do_exists(void *arg) {
  struct call *c = arg;
  struct stat st;
  int r = weft__sys_fstatat(AT_FDCWD, c->a, &st, 0);
  return r == 0 ? 1 : r == WEFT_ENOENT || r == WEFT_ENOTDIR ? 0 : r;
}
static int do_access(void *arg) {
  struct call *c = arg;
  return weft__sys_access(c->a, c->flags);
}
/* What the system cuts off is not told apart from what just fits: so one byte stays for the zero. */
static int do_readlink(void *arg) {
  struct call *c = arg;
  char text[PATH_MAX];
  ssize_t n = weft__sys_readlink(c->a, text, sizeof text);
  if (n < 0) return (int)n;
  if ((size_t)n >= sizeof text || (size_t)n >= c->size) return WEFT_ENOBUFS;
  memcpy(c->buf, text, (size_t)n);
  c->buf[n] = '\0';
  c->len = (size_t)n;
  return 0;
}
static int do_realpath(void *arg) {
  struct call *c = arg;
  char text[PATH_MAX];
  int r = weft__sys_realpath(c->a, text);
  if (r < 0) return r;
  c->len = strlen(text);
  if (c->len >= c->size) return WEFT_ENOBUFS;
  memcpy(c->buf, text, c->len + 1);
  return 0;
}
static int do_unlink(void *arg) {
  struct call *c = arg;
  return weft__sys_unlinkat(AT_FDCWD, c->a, c->flags);
}
static int do_rename(void *arg) {
  struct call *c = arg;
  return weft__sys_rename(c->a, c->b);
}
static int do_link(void *arg) {
  struct call *c = arg;
  return weft__sys_link(c->a, c->b);
}
static int do_symlink(void *arg) {
  struct call *c = arg;
  return weft__sys_symlink(c->a, c->b);
}
static int do_chmod(void *arg) {
  struct call *c = arg;
  return weft__sys_chmod(c->a, c->mode);
}
static int do_mkdir(void *arg) {
  struct call *c = arg;
  return weft__sys_mkdir(c->a, c->mode);
}
static int do_mkdtemp(void *arg) {
  struct call *c = arg;
  return weft__make_unique(c->buf, weft__sys_mkdir, S_IRWXU);
}

/* 0 where a directory is by now; else r. */
static int is_directory(const char *path, int r) {
  struct stat st;
  if (r != WEFT_EEXIST) return r;
  return weft__sys_fstatat(AT_FDCWD, path, &st, 0) == 0 && S_ISDIR(st.st_mode) ? 0 : r;
}

static int do_mkdir_all(void *arg) {
  struct call *c = arg;
  char path[PATH_MAX];
  int r = is_directory(c->a, weft__sys_mkdir(c->a, c->mode));
  size_t len = strlen(c->a);
  if (r != WEFT_ENOENT || len == 0) return r;
  if (len >= sizeof path) return WEFT_ENAMETOOLONG;
  memcpy(path, c->a, len + 1);
  for (char *p = path + 1; *p; p++) {
    if (*p != '/' || p[-1] == '/') continue;
    *p = '\0';
    /* What is below has to be made in it. */
    r = is_directory(path, weft__sys_mkdir(path, c->mode | S_IWUSR | S_IXUSR));
    *p = '/';
    if (r < 0) return r;
  }
  return is_directory(path, weft__sys_mkdir(path, c->mode));
}

/* ---- the calls ---- */

static int ask(weft_fn fn, struct call c) {
  return c.a ? weft_to_thread(fn, &c) : WEFT_EINVAL;
}

static int ask_two(weft_fn fn, struct call c) {
  return c.b ? ask(fn, c) : WEFT_EINVAL;
}

static ssize_t ask_text(weft_fn fn, struct call c) {
  if (!c.a || !c.buf) return WEFT_EINVAL;
  int r = weft_to_thread(fn, &c);
  return r < 0 ? r : (ssize_t)c.len;
}

int weft_fs_stat(const char *path, struct stat *ret) {
  if (!weft__current_task()) return weft__no_task();
  return ret ? ask(do_stat, (struct call){.a = path, .st = ret}) : WEFT_EINVAL;
}

int weft_fs_lstat(const char *path, struct stat *ret) {
  if (!weft__current_task()) return weft__no_task();
  if (!ret) return WEFT_EINVAL;
  return ask(do_stat, (struct call){.a = path, .st = ret, .flags = AT_SYMLINK_NOFOLLOW});
}

int weft_fs_exists(const char *path) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_exists, (struct call){.a = path});
}

int weft_fs_access(const char *path, int mode) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_access, (struct call){.a = path, .flags = mode});
}

ssize_t weft_fs_readlink(const char *path, char *buf, size_t size) {
  if (!weft__current_task()) return weft__no_task();
  return ask_text(do_readlink, (struct call){.a = path, .buf = buf, .size = size});
}

ssize_t weft_fs_realpath(const char *path, char *buf, size_t size) {
  if (!weft__current_task()) return weft__no_task();
  return ask_text(do_realpath, (struct call){.a = path, .buf = buf, .size = size});
}

int weft_fs_unlink(const char *path) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_unlink, (struct call){.a = path});
}

int weft_fs_rmdir(const char *path) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_unlink, (struct call){.a = path, .flags = AT_REMOVEDIR});
}

int weft_fs_rename(const char *from, const char *to) {
  if (!weft__current_task()) return weft__no_task();
  return ask_two(do_rename, (struct call){.a = from, .b = to});
}

int weft_fs_link(const char *from, const char *to) {
  if (!weft__current_task()) return weft__no_task();
  return ask_two(do_link, (struct call){.a = from, .b = to});
}

int weft_fs_symlink(const char *target, const char *path) {
  if (!weft__current_task()) return weft__no_task();
  return ask_two(do_symlink, (struct call){.a = target, .b = path});
}

int weft_fs_chmod(const char *path, mode_t mode) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_chmod, (struct call){.a = path, .mode = mode});
}

int weft_fs_mkdir(const char *path, mode_t mode) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_mkdir, (struct call){.a = path, .mode = mode});
}

int weft_fs_mkdir_all(const char *path, mode_t mode) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_mkdir_all, (struct call){.a = path, .mode = mode});
}

int weft_fs_mkdtemp(char *path) {
  if (!weft__current_task()) return weft__no_task();
  return ask(do_mkdtemp, (struct call){.a = path, .buf = path});
}
