/* Terminals: what they are like, and how they treat what is typed.
 *
 * Those that were changed are in a table, each with a descriptor of our own, which stays open. An entry is
 * filled under the lock and published by `ready`, so that a signal handler may read the table. */
#include <weft/std.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include <weft/errors.h>

#include "base/mutex.h"
#include "base/sys.h"
#include "core/room.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those who write the table */
static struct changed {
  weft__atomic_u32 ready; /* release by who has filled it, acquire by who restores */
  int fd;
  dev_t device;
  struct termios before;
} table[WEFT_TTYS];
static bool at_exit; /* guarded by the lock */

bool weft_tty_is(int fd) {
  struct termios mode;
  return weft__sys_tcgetattr(fd, &mode) == 0;
}

int weft_tty_size(int fd, int *ret_columns, int *ret_rows) {
  struct winsize size;
  int r = weft__sys_tty_size(fd, &size);
  if (r < 0) return r;
  if (ret_columns) *ret_columns = size.ws_col;
  if (ret_rows) *ret_rows = size.ws_row;
  return 0;
}

/* ---- modes; the lock is held ---- */

static struct changed *find(dev_t device) {
  for (int i = 0; i < WEFT_TTYS; i++)
    if (weft__load_relaxed_u32(&table[i].ready) && table[i].device == device) return &table[i];
  return NULL;
}

/* Notes what the terminal is like now. */
static int note(struct changed **ret, int fd, dev_t device) {
  struct changed *c = table;
  while (c < table + WEFT_TTYS && weft__load_relaxed_u32(&c->ready)) c++;
  if (c == table + WEFT_TTYS) return WEFT_ENOSPC;
  int r = weft__sys_tcgetattr(fd, &c->before);
  if (r < 0) return r;
  r = weft__sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (r < 0) return r;
  c->fd = r;
  c->device = device;
  weft__store_release_u32(&c->ready, 1);
  if (!at_exit) at_exit = atexit(weft_tty_restore) == 0;
  *ret = c;
  return 0;
}

static void forget(struct changed *c) {
  weft__store_release_u32(&c->ready, 0);
  weft__close(c->fd);
}

static int set_mode(int fd, dev_t device, enum weft_tty_mode mode) {
  struct changed *c = find(device);
  if (!c && mode == WEFT_TTY_NORMAL) return 0;
  bool first = !c;
  int r = c ? 0 : note(&c, fd, device);
  if (r < 0) return r;
  struct termios t = c->before;
  if (mode == WEFT_TTY_RAW) cfmakeraw(&t);
  if (mode == WEFT_TTY_CBREAK) t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  if (mode != WEFT_TTY_NORMAL) {
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
  }
  r = weft__sys_tcsetattr(fd, TCSADRAIN, &t);
  if (r < 0 ? first : mode == WEFT_TTY_NORMAL) forget(c);
  return r;
}

int weft_tty_set_mode(int fd, enum weft_tty_mode mode) {
  struct stat st;
  if (mode != WEFT_TTY_NORMAL && mode != WEFT_TTY_CBREAK && mode != WEFT_TTY_RAW)
    return WEFT_EINVAL;
  int r = weft__sys_fstat(fd, &st);
  if (r < 0) return r;
  if (!S_ISCHR(st.st_mode) || !weft_tty_is(fd)) return WEFT_ENOTTY;
  weft__mutex_lock(&lock);
  r = set_mode(fd, st.st_rdev, mode);
  weft__mutex_unlock(&lock);
  return r;
}

void weft_tty_restore(void) {
  for (int i = 0; i < WEFT_TTYS; i++)
    if (weft__load_acquire_u32(&table[i].ready))
      (void)weft__sys_tcsetattr(table[i].fd, TCSANOW, &table[i].before);
}
