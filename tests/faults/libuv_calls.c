/* Some system calls of libuv pass the seam here: the functions below stand in front of those of the
 * C library for all of the program, also for the seam itself, which comes here a second time on its
 * way to the kernel.
 *
 * Only calls whose failure libuv answers; those that end the process are in libuv_aborts.c. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"

static _Thread_local bool in_seam;

static int answer(int result) {
  in_seam = false;
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

int eventfd(unsigned value, int flags) {
  if (in_seam) return (int)syscall(SYS_eventfd2, value, flags);
  in_seam = true;
  return answer(weft__sys_eventfd(value, flags));
}

int epoll_create1(int flags) {
  if (in_seam) return (int)syscall(SYS_epoll_create1, flags);
  in_seam = true;
  return answer(weft__sys_epoll_create1(flags));
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms) {
  if (in_seam) return (int)syscall(SYS_epoll_pwait, fd, events, n, ms, NULL, _NSIG / 8);
  in_seam = true;
  return answer(weft__sys_epoll_wait(fd, events, n, ms));
}
