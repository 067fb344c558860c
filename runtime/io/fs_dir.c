/* Reading directories: the pool fills a buffer with names, from which the task takes them. */
#include <dirent.h>
#include <string.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "aio/sync.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/resource.h"
#include "core/room.h"
#include "io/fs.h"

/* About two thousand names of usual length. */
enum { BUFFER = 64 * 1024 };

struct weft_dir {
  weft__atomic_u32 busy; /* 1: a task is inside. CAS (acquire), given back by a release store */
  struct weft__names names;
  struct weft__resource resource;
  _Alignas(void *) char buf[BUFFER];
};

/* ---- as the system gives them ---- */

/* What getdents64 writes. */
struct entry {
  uint64_t ino;
  int64_t off;
  uint16_t size;
  unsigned char type;
  char name[];
};

int weft__names_fill(struct weft__names *n) {
  ssize_t len = weft__sys_getdents(n->fd, n->buf, n->size);
  if (len < 0) return (int)len;
  n->at = 0;
  n->len = (unsigned)len;
  return len > 0;
}

static struct entry *next_entry(struct weft__names *n) {
  while (n->at < n->len) {
    struct entry *e = (struct entry *)(void *)(n->buf + n->at);
    n->at += e->size;
    if (strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0) return e;
  }
  return NULL;
}

const char *weft__names_next(struct weft__names *n, unsigned char *ret_type, ino_t *ret_ino) {
  struct entry *e = next_entry(n);
  if (!e) return NULL;
  *ret_type = e->type;
  *ret_ino = e->ino;
  return e->name;
}

/* Some file systems do not keep the kind with the name: here is the place to ask for it. */
static void complete_types(struct weft__names *n) {
  struct stat st;
  struct entry *e;
  while ((e = next_entry(n)) != NULL)
    if (e->type == DT_UNKNOWN && weft__sys_fstatat(n->fd, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
      e->type = (unsigned char)IFTODT(st.st_mode);
  n->at = 0;
}

/* In the pool. */
static int fill(void *arg) {
  struct weft__names *n = arg;
  int r = weft__names_fill(n);
  if (r > 0) complete_types(n);
  return r;
}

/* ---- the calls ---- */

struct opening {
  weft_dir *d;
  const char *path;
};

static int open_it(void *arg) {
  struct opening *o = arg;
  struct weft__names *n = &o->d->names;
  n->fd = weft__sys_openat(AT_FDCWD, o->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (n->fd < 0) return n->fd;
  int r = fill(n);
  if (r < 0) (void)weft__close(n->fd);
  return r < 0 ? r : 0;
}

int weft_dir_open(weft_dir **ret, const char *path) {
  if (!weft__current_task()) return weft__no_task();
  if (!ret || !path) return WEFT_EINVAL;
  weft_dir *d = weft__alloc(sizeof *d);
  if (!d) return WEFT_ENOMEM;
  weft__store_relaxed_u32(&d->busy, 0);
  d->names = (struct weft__names){.buf = d->buf, .size = sizeof d->buf};
  int r = weft_to_thread(open_it, &(struct opening){d, path});
  if (r < 0) {
    weft__free(d);
    return r;
  }
  weft__resource_open(&d->resource, "a directory", __builtin_return_address(0));
  *ret = d;
  return 0;
}

static weft_fs_kind kind_of(unsigned char type) {
  static const uint8_t kinds[] = {
      [DT_REG] = WEFT_FS_FILE,        [DT_DIR] = WEFT_FS_DIR,     [DT_LNK] = WEFT_FS_LINK,
      [DT_FIFO] = WEFT_FS_FIFO,       [DT_SOCK] = WEFT_FS_SOCKET, [DT_CHR] = WEFT_FS_CHAR_DEVICE,
      [DT_BLK] = WEFT_FS_BLOCK_DEVICE};
  return type < sizeof kinds ? (weft_fs_kind)kinds[type] : WEFT_FS_OTHER;
}

static int next(weft_dir *d, weft_dirent *ret) {
  struct weft__names *n = &d->names;
  for (;;) {
    unsigned before = n->at;
    unsigned char type;
    ino_t ino;
    const char *name = weft__names_next(n, &type, &ino);
    if (!name) {
      int r = weft_to_thread(fill, n);
      if (r <= 0) return r;
      continue;
    }
    size_t len = strlen(name);
    if (len >= sizeof ret->name) {
      n->at = before;
      return WEFT_ENAMETOOLONG;
    }
    memcpy(ret->name, name, len + 1);
    ret->ino = ino;
    ret->kind = kind_of(type);
    return 1;
  }
}

static bool take(weft_dir *d) {
  uint32_t free = 0;
  return weft__cas_u32(&d->busy, &free, 1);
}

static void give(weft_dir *d) {
  weft__store_release_u32(&d->busy, 0);
}

int weft_dir_next(weft_dir *d, weft_dirent *ret) {
  struct weft__task *t;
  int r = weft__sync_enter(&t);
  if (r < 0) return r;
  if (!d || !ret) return WEFT_EINVAL;
  if (!take(d)) return WEFT_EBUSY;
  r = next(d, ret);
  give(d);
  return r;
}

int weft_dir_rewind(weft_dir *d) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!d) return WEFT_EINVAL;
  if (!take(d)) return WEFT_EBUSY;
  off_t r = weft__sys_lseek(d->names.fd, 0, SEEK_SET);
  if (r == 0) d->names.at = d->names.len = 0;
  give(d);
  return r < 0 ? (int)r : 0;
}

int weft_dir_close(weft_dir *d) {
  if (!d) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!take(d)) return WEFT_EBUSY;
  weft__resource_close(&d->resource);
  (void)weft__close(d->names.fd);
  weft__free(d);
  return 0;
}

static int iter_next(void *object, void *ret_item) {
  return weft_dir_next(object, ret_item);
}
static int iter_close(void *object) {
  return weft_dir_close(object);
}

weft_iter weft_dir_iter(weft_dir *d) {
  static const weft_iter_ops ops = {.name = "a directory", .next = iter_next, .close = iter_close};
  return (weft_iter){&ops, d};
}
