/* Some system calls of libuv pass the seam here: the functions below stand in front of those of the
 * C library for all of the program, and what they reach is the kernel itself.
 *
 * Only calls whose failure libuv answers; those that end the process are in libuv_aborts.c. */
#include "libuv_calls.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static int code(long result) {
  return result < 0 ? -errno : (int)result;
}

static int kernel_eventfd(unsigned value, int flags) {
  return code(syscall(SYS_eventfd2, value, flags));
}

static int kernel_epoll_create1(int flags) {
  return code(syscall(SYS_epoll_create1, flags));
}

static int kernel_epoll_wait(int fd, struct epoll_event *events, int n, int ms) {
  return code(syscall(SYS_epoll_pwait, fd, events, n, ms, NULL, _NSIG / 8));
}

void libuv_calls_install(struct weft__sys_table *table) {
  table->eventfd = kernel_eventfd;
  table->epoll_create1 = kernel_epoll_create1;
  table->epoll_wait = kernel_epoll_wait;
}

static int answer(int result) {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

int eventfd(unsigned value, int flags) {
  return answer(weft__sys_eventfd(value, flags));
}

int epoll_create1(int flags) {
  return answer(weft__sys_epoll_create1(flags));
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms) {
  return answer(weft__sys_epoll_wait(fd, events, n, ms));
}
