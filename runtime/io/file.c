/* The handle of a file, and what is asked of the file as a whole. */
#include "io/file.h"

#include <unistd.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/fs.h"

/* ---- in and out ---- */

int weft__file_enter(weft_file *f) {
  uint32_t before = weft__add_u32(&f->calls, WEFT__FILE_CALL);
  if (weft__likely(!(before & WEFT__FILE_CLOSED))) return 0;
  weft__file_leave(f);
  return WEFT_ECLOSED;
}

void weft__file_leave(weft_file *f) {
  uint32_t before = weft__sub_u32(&f->calls, WEFT__FILE_CALL);
  if (weft__likely(before >= 2 * WEFT__FILE_CALL)) return;
  (void)weft__close(f->fd);
  weft__free(f);
}

static weft_file *new_file(void) {
  weft_file *f = weft__zalloc(sizeof *f);
  if (!f) return NULL;
  f->fd = -1;
  weft__store_relaxed_u32(&f->calls, WEFT__FILE_CALL);
  return f;
}

/* ---- open ---- */

int weft__file_check(int fd, bool *ret_regular) {
  struct stat st;
  int r = weft__sys_fstat(fd, &st);
  if (r < 0) return r;
  if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) return WEFT_ENOTSUP;
  *ret_regular = S_ISREG(st.st_mode);
  return 0;
}

/* Without O_NONBLOCK the opening of a pipe would keep a thread until somebody opens its other end. */
int weft__file_open_fd(const char *path, int flags, mode_t mode, bool *ret_regular) {
  int fd = weft__sys_openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, (int)mode);
  /* Somebody has a lease of it: only a regular file, for which we may wait. */
  if (fd == WEFT_EAGAIN)
    fd = weft__sys_openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY, (int)mode);
  if (fd < 0) return fd;
  int r = weft__file_check(fd, ret_regular);
  if (r < 0) {
    (void)weft__close(fd);
    return r;
  }
  int now = weft__sys_fcntl(fd, F_GETFL, 0);
  if (now >= 0 && !(flags & O_NONBLOCK)) (void)weft__sys_fcntl(fd, F_SETFL, now & ~O_NONBLOCK);
  return fd;
}

struct opening {
  weft_file *f;
  const char *path;
  char *template; /* or NULL */
  int flags;
  mode_t mode;
};

static int open_it(void *arg) {
  struct opening *o = arg;
  int fd;
  if (o->template) {
    fd = weft__make_temp(o->template, o->mode);
    o->f->regular = true;
  } else {
    fd = weft__file_open_fd(o->path, o->flags, o->mode, &o->f->regular);
  }
  if (fd < 0) return fd;
  o->f->fd = fd;
  return 0;
}

static int open_by(struct opening *o, weft_file **ret, const void *site) {
  o->f = new_file();
  if (!o->f) return WEFT_ENOMEM;
  int r = weft_to_thread(open_it, o);
  if (r < 0) {
    weft__free(o->f);
    return r;
  }
  weft__resource_open(&o->f->resource, "a file", site);
  *ret = o->f;
  return 0;
}

int weft_file_open(weft_file **ret, const char *path, int flags, mode_t mode) {
  if (!weft__current_task()) return weft__no_task();
  if (!ret || !path) return WEFT_EINVAL;
  struct opening o = {.path = path, .flags = flags, .mode = mode};
  return open_by(&o, ret, __builtin_return_address(0));
}

int weft_file_temp(weft_file **ret, char *path) {
  if (!weft__current_task()) return weft__no_task();
  if (!ret || !path) return WEFT_EINVAL;
  struct opening o = {.template = path, .mode = S_IRUSR | S_IWUSR};
  return open_by(&o, ret, __builtin_return_address(0));
}

int weft_file_from_fd(weft_file **ret, int fd) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  bool regular;
  int r = weft__file_check(fd, &regular);
  if (r < 0) return r;
  weft_file *f = new_file();
  if (!f) return WEFT_ENOMEM;
  f->fd = fd;
  f->regular = regular;
  weft__resource_open(&f->resource, "a file", __builtin_return_address(0));
  *ret = f;
  return 0;
}

int weft_file_fd(const weft_file *f) {
  return f ? f->fd : -1;
}

/* ---- close ---- */

struct closing {
  int fd;
  int code;
};

static int close_it(void *arg) {
  struct closing *c = arg;
  c->code = weft__close(c->fd);
  return 0;
}

int weft_file_close(weft_file *f) {
  if (!f) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  weft__resource_close(&f->resource);
  weft__or_u32(&f->calls, WEFT__FILE_CLOSED);
  uint32_t before = weft__sub_u32(&f->calls, WEFT__FILE_CALL);
  if (before >= 2 * WEFT__FILE_CALL) return 0;
  struct closing c = {.fd = f->fd};
  weft__free(f);
  weft__pool_always(close_it, &c);          /* the file system of a network may write first */
  return c.code == WEFT_EINTR ? 0 : c.code; /* closed all the same */
}

/* ---- what the pool does with the descriptor ---- */

struct ask {
  int fd;
  int whence;
  off_t off; /* in and out */
  struct stat *st;
};

static int do_sync(void *arg) {
  return weft__sys_fsync(((struct ask *)arg)->fd);
}
static int do_datasync(void *arg) {
  return weft__sys_fdatasync(((struct ask *)arg)->fd);
}
static int do_truncate(void *arg) {
  struct ask *a = arg;
  int r;
  do r = weft__sys_ftruncate(a->fd, a->off);
  while (r == WEFT_EINTR);
  return r;
}
static int do_stat(void *arg) {
  struct ask *a = arg;
  struct stat st; /* outputs are written on success only */
  int r = weft__sys_fstat(a->fd, &st);
  if (r == 0) *a->st = st;
  return r;
}
static int do_seek(void *arg) {
  struct ask *a = arg;
  off_t r = weft__sys_lseek(a->fd, a->off, a->whence);
  if (r < 0) return (int)r;
  a->off = r;
  return 0;
}

static int ask(weft_file *f, weft_fn fn, struct ask *a) {
  int r = weft__file_enter(f);
  if (r < 0) return r;
  a->fd = f->fd;
  r = weft_to_thread(fn, a);
  weft__file_leave(f);
  return r;
}

int weft_file_sync(weft_file *f) {
  if (!weft__current_task()) return weft__no_task();
  return f ? ask(f, do_sync, &(struct ask){0}) : WEFT_EINVAL;
}

int weft_file_datasync(weft_file *f) {
  if (!weft__current_task()) return weft__no_task();
  return f ? ask(f, do_datasync, &(struct ask){0}) : WEFT_EINVAL;
}

int weft_file_truncate(weft_file *f, off_t len) {
  if (!weft__current_task()) return weft__no_task();
  return f && len >= 0 ? ask(f, do_truncate, &(struct ask){.off = len}) : WEFT_EINVAL;
}

int weft_file_stat(weft_file *f, struct stat *ret) {
  if (!weft__current_task()) return weft__no_task();
  return f && ret ? ask(f, do_stat, &(struct ask){.st = ret}) : WEFT_EINVAL;
}

off_t weft_file_size(weft_file *f) {
  if (!weft__current_task()) return weft__no_task();
  if (!f) return WEFT_EINVAL;
  struct stat st;
  int r = ask(f, do_stat, &(struct ask){.st = &st});
  return r < 0 ? r : st.st_size;
}

int weft_file_seek(weft_file *f, off_t offset, int whence, off_t *ret) {
  if (!weft__current_task()) return weft__no_task();
  if (!f) return WEFT_EINVAL;
  int r = weft__file_enter(f);
  if (r < 0) return r;
  struct ask a = {.fd = f->fd, .off = offset, .whence = whence};
  r = weft__file_turn(f);
  if (r == 0) {
    /* Where it does not ask a disk it does not wait. */
    r = whence == SEEK_SET || whence == SEEK_CUR ? do_seek(&a) : weft_to_thread(do_seek, &a);
    weft_lock_release(&f->turn);
  }
  weft__file_leave(f);
  if (r == 0 && ret) *ret = a.off;
  return r;
}
