/* The standard streams: descriptors that others have too, so that O_NONBLOCK is not ours to set. */
#include <weft/std.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/mutex.h"
#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/stream.h"

enum { STANDARD = 3 };

/* What had to be made non-blocking for all. */
struct changed {
  struct changed *next;
  int fd;    /* one of our own for it, kept until the end */
  int flags; /* what it was */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct changed *list;
static bool at_exit;

static void put_back(void) {
  weft__mutex_lock(&lock);
  struct changed *c = list;
  list = NULL;
  weft__mutex_unlock(&lock);
  while (c) {
    struct changed *next = c->next;
    (void)weft__sys_fcntl(c->fd, F_SETFL, c->flags);
    weft__close(c->fd);
    weft__free(c);
    c = next;
  }
}

static int duplicate(int fd) {
  return weft__sys_fcntl(fd, F_DUPFD_CLOEXEC, STANDARD);
}

static int note(int fd, int flags) {
  struct changed *c = weft__alloc(sizeof *c);
  int own = c ? duplicate(fd) : WEFT_ENOMEM;
  if (own < 0) {
    weft__free(c);
    return own;
  }
  weft__mutex_lock(&lock);
  if (!at_exit) at_exit = atexit(put_back) == 0;
  *c = (struct changed){.next = list, .fd = own, .flags = flags};
  list = c;
  weft__mutex_unlock(&lock);
  return 0;
}

/* Not blocking from now on, until the process exits. What is so already is nobody's to change. */
static int change(int fd, int flags) {
  if (flags & O_NONBLOCK) return 0;
  int r = note(fd, flags);
  return r < 0 ? r : weft__sys_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

enum { MEMORY_DEVICES = 1 }; /* the major number of /dev/null and its kin */

/* Whether opening its name again gives the same pipe or terminal. For the controlling side of a
 * pseudoterminal it gives a new one. */
static bool can_be_reopened(int fd, const struct stat *st) {
  struct termios mode;
  unsigned number;
  if (S_ISFIFO(st->st_mode)) return true;
  if (!S_ISCHR(st->st_mode)) return false;
  if (major(st->st_rdev) == MEMORY_DEVICES) return true;
  return weft__sys_tcgetattr(fd, &mode) == 0 && weft__sys_pty_number(fd, &number) < 0;
}

static int reopen(int fd, int way) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return weft__sys_open(path, way | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
}

/* A descriptor of our own for the same thing, not blocking where that makes a difference. */
static int obtain(int fd, int way, int flags, const struct stat *st) {
  bool stream = S_ISSOCK(st->st_mode) || S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode);
  if (can_be_reopened(fd, st)) {
    int r = reopen(fd, way);
    if (r >= 0 || r == WEFT_EMFILE || r == WEFT_ENFILE || r == WEFT_ENOMEM) return r;
  }
  int r = stream ? change(fd, flags) : 0;
  return r < 0 ? r : duplicate(fd);
}

static enum weft__stream_kind kind_of(const struct stat *st) {
  if (S_ISSOCK(st->st_mode)) return WEFT__STREAM_SOCKET;
  if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) return WEFT__STREAM_FILE;
  return S_ISFIFO(st->st_mode) ? WEFT__STREAM_PIPE : WEFT__STREAM_TTY;
}

static int open_standard(weft_stream **ret, int fd, int way, const void *site) {
  struct stat st;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  int flags = weft__sys_fcntl(fd, F_GETFL, 0);
  if (flags < 0) return flags;
  if ((flags & O_ACCMODE) != O_RDWR && (flags & O_ACCMODE) != way) return WEFT_EBADF;
  int r = weft__sys_fstat(fd, &st);
  if (r < 0) return r;
  int own = obtain(fd, way, flags, &st);
  if (own < 0) return own;
  unsigned can = way == O_RDONLY ? WEFT__CAN_READ : WEFT__CAN_WRITE;
  r = weft__stream_open(ret, own, kind_of(&st), can, site);
  if (r < 0) weft__close(own);
  return r;
}

int weft_stdin(weft_stream **ret) {
  return open_standard(ret, 0, O_RDONLY, __builtin_return_address(0));
}

int weft_stdout(weft_stream **ret) {
  return open_standard(ret, 1, O_WRONLY, __builtin_return_address(0));
}

int weft_stderr(weft_stream **ret) {
  return open_standard(ret, 2, O_WRONLY, __builtin_return_address(0));
}
