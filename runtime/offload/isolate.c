#include "offload/isolate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/sys.h"

/* PF_EXITING of linux/sched.h, which is no user header; field 9 of stat shows it. */
enum { THREAD_EXITING = 0x4 };

/* pthread_join returns before the kernel takes the thread out of /proc. Such a thread has the
 * exiting flag: it runs no more user code and holds no lock. */
static bool thread_lives(const char *tid) {
  char path[64];
  char stat[512];
  snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", tid);
  int fd = weft__sys_open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd != WEFT_ENOENT && fd != WEFT_ESRCH;
  ssize_t n = weft__sys_read(fd, stat, sizeof stat - 1);
  weft__sys_close(fd);
  if (n <= 0) return n != WEFT_ESRCH;
  stat[n] = '\0';
  /* The name in parentheses may hold anything; what follows is numbers. */
  const char *p = strrchr(stat, ')');
  unsigned flags;
  if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1) return true;
  return (flags & THREAD_EXITING) == 0;
}

int weft__isolate_other_threads(void) {
  DIR *dir = opendir("/proc/self/task");
  if (!dir) return -errno;
  char own[16];
  snprintf(own, sizeof own, "%ld", syscall(SYS_gettid));
  int n = 0;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    if (e->d_name[0] == '.' || strcmp(e->d_name, own) == 0) continue;
    if (thread_lives(e->d_name)) n++;
  }
  closedir(dir);
  return n;
}

void weft__isolate_signals(void) {
  struct sigaction normal = {.sa_handler = SIG_DFL};
  for (int sig = 1; sig < NSIG; sig++) (void)sigaction(sig, &normal, NULL); /* some refuse */
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static int close_range_of(unsigned first, unsigned last) {
#ifdef SYS_close_range
  if (first > last || syscall(SYS_close_range, first, last, 0U) == 0) return 0;
  return -errno;
#else
  return WEFT_ENOSYS;
#endif
}

/* For kernels before 5.9. */
static int close_listed(int first, int keep) {
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return -errno;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    int fd = atoi(e->d_name);
    if (e->d_name[0] != '.' && fd >= first && fd != keep && fd != dirfd(dir)) close(fd);
  }
  closedir(dir);
  return 0;
}

int weft__isolate_fds(int first, int keep) {
  WEFT__ASSERT(first > 2 && keep >= first);
  int r = close_range_of((unsigned)first, (unsigned)keep - 1);
  if (r == 0) r = close_range_of((unsigned)keep + 1, UINT_MAX);
  return r < 0 ? close_listed(first, keep) : 0;
}

int weft__isolate_floor(int room) {
  struct rlimit limit;
  int highest = 2;
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return -errno;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    int fd = atoi(e->d_name);
    if (fd > highest && fd != dirfd(dir)) highest = fd;
  }
  closedir(dir);
  if (weft__sys_getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX) {
    int most = (int)limit.rlim_cur - room;
    if (highest >= most) highest = most - 1;
  }
  return highest < 3 ? 3 : highest + 1;
}

int weft__isolate_lift(int fd, int floor) {
  int lifted = weft__sys_fcntl(fd, F_DUPFD_CLOEXEC, floor);
  weft__sys_close(fd);
  return lifted;
}

void weft__isolate_stdio(void) {
  __fpurge(stdout);
  __fpurge(stderr);
}
