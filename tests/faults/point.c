#include "point.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <weft/errors.h>

#include "base/memory.h"

#define LACK(name, code)                                                                           \
  {POINT_CALL, WEFT__SYS_##name, WEFT_##code, POINT_ONCE, 0}, {                                    \
    POINT_CALL, WEFT__SYS_##name, WEFT_##code, POINT_ON, 0                                         \
  }
#define MOMENT(name, code)                                                                         \
  {POINT_CALL, WEFT__SYS_##name, WEFT_##code, POINT_ONCE, 0}, {                                    \
    POINT_CALL, WEFT__SYS_##name, WEFT_##code, POINT_THRICE, 0                                     \
  }
#define ONCE(name, code)                                                                           \
  { POINT_CALL, WEFT__SYS_##name, WEFT_##code, POINT_ONCE, 0 }
#define SHORT(name, times)                                                                         \
  { POINT_CALL, WEFT__SYS_##name, WEFT__SYS_SHORT, times, 0 }
/* A kernel that does not have it, or a sandbox that forbids it: from the first call on. */
#define REFUSED(name, code)                                                                        \
  { POINT_CALL, WEFT__SYS_##name, WEFT_##code, POINT_ON, 1 }

const struct point_series point_plan[] = {
    {POINT_ALLOC, 0, WEFT_ENOMEM, POINT_ONCE, 0},
    {POINT_ALLOC, 0, WEFT_ENOMEM, POINT_ON, 0},
    {POINT_UV, 0, WEFT_ENOMEM, POINT_ONCE, 0},
    {POINT_UV, 0, WEFT_ENOMEM, POINT_ON, 0},
    {POINT_DESCRIPTORS, 0, WEFT_EMFILE, POINT_ON, 0},
    LACK(mmap, ENOMEM),
    ONCE(munmap, ENOMEM),
    LACK(mprotect, ENOMEM),
    LACK(madvise, ENOMEM),
    MOMENT(madvise, EAGAIN),
    REFUSED(madvise, EINVAL),
    MOMENT(futex_wait, EINTR),
    MOMENT(futex_wait, EAGAIN),
    REFUSED(membarrier, ENOSYS),
    REFUSED(membarrier, EPERM),
    ONCE(membarrier, ENOMEM),
    REFUSED(sched_getaffinity, EPERM),
    LACK(sched_getaffinity, ENOMEM),
    LACK(thread_create, EAGAIN),
    LACK(thread_create, ENOMEM),
    REFUSED(getrandom, ENOSYS),
    MOMENT(getrandom, EINTR),
    MOMENT(getrandom, EAGAIN),
    LACK(open, EMFILE),
    ONCE(open, ENOMEM),
    ONCE(open, EINTR),
    ONCE(open, ENOENT),
    REFUSED(open, EACCES),
    ONCE(close, EIO),
    ONCE(close, EINTR),
    LACK(read, EIO),
    MOMENT(read, EINTR),
    SHORT(read, POINT_ONCE),
    SHORT(read, POINT_ON),
    LACK(recv, ENOMEM),
    MOMENT(recv, EINTR),
    MOMENT(recv, EAGAIN),
    MOMENT(recv, ECONNRESET),
    SHORT(recv, POINT_ONCE),
    LACK(send, ENOBUFS),
    LACK(send, ENOMEM),
    MOMENT(send, EINTR),
    MOMENT(send, EAGAIN),
    LACK(send, EPIPE),
    ONCE(send, ECONNRESET),
    SHORT(send, POINT_ONCE),
    SHORT(send, POINT_ON),
    ONCE(shutdown, ENOTCONN),
    LACK(epoll_ctl, ENOMEM),
    LACK(epoll_ctl, ENOSPC),
    LACK(recvmsg, ENOMEM),
    MOMENT(recvmsg, EINTR),
    MOMENT(recvmsg, ECONNRESET),
    SHORT(recvmsg, POINT_ONCE),
    LACK(sendmsg, ENOBUFS),
    LACK(sendmsg, ENOMEM),
    MOMENT(sendmsg, EINTR),
    MOMENT(sendmsg, EAGAIN),
    LACK(sendmsg, EPIPE),
    ONCE(sendmsg, ECONNRESET),
    SHORT(sendmsg, POINT_ONCE),
    LACK(sendmmsg, ENOBUFS),
    MOMENT(sendmmsg, EINTR),
    MOMENT(sendmmsg, EAGAIN),
    REFUSED(sendmmsg, ENOSYS),
    SHORT(sendmmsg, POINT_ON),
    LACK(recvmmsg, ENOMEM),
    MOMENT(recvmmsg, EINTR),
    MOMENT(recvmmsg, EAGAIN),
    REFUSED(recvmmsg, ENOSYS),
    SHORT(recvmmsg, POINT_ON),
    LACK(socket, EMFILE),
    LACK(socket, ENOBUFS),
    ONCE(bind, EADDRINUSE),
    ONCE(connect, ENETUNREACH),
    ONCE(setsockopt, ENOMEM),
    ONCE(getsockname, ENOBUFS),
    MOMENT(epoll_wait_ns, EINTR),
    LACK(socketpair, EMFILE),
    LACK(socketpair, ENFILE),
    LACK(socketpair, ENOMEM),
    MOMENT(connect, EINTR),
    ONCE(connect, ECONNREFUSED),
    LACK(connect, EADDRNOTAVAIL),
    LACK(getaddrinfo, EAI_AGAIN),
    ONCE(getaddrinfo, EAI_MEMORY),
    LACK(getnameinfo, EAI_FAIL),
    LACK(pipe2, EMFILE),
    LACK(pipe2, ENFILE),
    LACK(fcntl, ENOMEM),
    LACK(fcntl, EMFILE),
    LACK(eventfd, EMFILE),
    LACK(eventfd, ENFILE),
    LACK(epoll_create1, EMFILE),
    LACK(epoll_create1, ENOMEM),
    MOMENT(epoll_wait, EINTR),
    MOMENT(poll, EINTR),
    ONCE(poll, ENOMEM),
    MOMENT(write, EINTR),
    MOMENT(write, EAGAIN),
    LACK(write, EPIPE),
    SHORT(write, POINT_ON),
    LACK(memfd_create, EMFILE),
    LACK(ftruncate, ENOMEM),
    REFUSED(getrlimit, EPERM),
    LACK(sigaltstack, ENOMEM),
    REFUSED(sigaltstack, EPERM),
    LACK(fork, EAGAIN),
    LACK(fork, ENOMEM),
    MOMENT(wait4, EINTR),
    LACK(child_pipe, EMFILE),
    LACK(child_pipe, ENFILE),
    LACK(posix_spawnp, EAGAIN),
    LACK(posix_spawnp, ENOMEM),
    REFUSED(pidfd_open, ENOSYS),
    REFUSED(pidfd_open, EPERM),
    LACK(pidfd_open, EMFILE),
    REFUSED(pidfd_send_signal, ENOSYS),
    REFUSED(pidfd_send_signal, EPERM),
    MOMENT(waitid, EINTR),
    ONCE(waitid, EINVAL),
    {POINT_NONE, 0, 0, 0, 0},
};

uint64_t point_count(const struct point_series *s, const struct point_counts *counts) {
  uint64_t n = 0;
  switch (s->kind) {
  case POINT_ALLOC:
    n = counts->alloc;
    break;
  case POINT_UV:
    n = counts->uv;
    break;
  case POINT_CALL:
    n = counts->call[s->call];
    break;
  case POINT_DESCRIPTORS:
    n = UINT64_MAX;
    break; /* until the scenario succeeds */
  case POINT_NONE:
    break;
  }
  return s->most != 0 && n > s->most ? s->most : n;
}

int point_error(const struct point *p) {
  return p->error < 0 ? p->error : 0;
}

/* ---- making it happen ---- */

static struct rlimit before;

/* What is open has numbers below the limit already, all of them in a fresh child. */
static rlim_t highest_open(void) {
  rlim_t highest = 2;
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) abort();
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    rlim_t fd = (rlim_t)strtoul(e->d_name, NULL, 10);
    if (e->d_name[0] != '.' && (int)fd != dirfd(dir) && fd > highest) highest = fd;
  }
  closedir(dir);
  return highest;
}

static void limit_descriptors(uint64_t more) {
  if (getrlimit(RLIMIT_NOFILE, &before) != 0) abort();
  struct rlimit now = {.rlim_cur = highest_open() + 1 + more, .rlim_max = before.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &now) != 0) abort();
}

void point_arm(const struct point *p) {
  weft__sys_count();
  switch (p->kind) {
  case POINT_ALLOC:
    weft__memory_fail(WEFT__MEMORY_OWN, p->n, p->times == POINT_ON);
    break;
  case POINT_UV:
    weft__memory_fail(WEFT__MEMORY_UV, p->n, p->times == POINT_ON);
    break;
  case POINT_CALL:
    weft__sys_fail_times(p->call, p->n, p->error, p->times);
    break;
  case POINT_DESCRIPTORS:
    limit_descriptors(p->n - 1);
    break;
  case POINT_NONE:
    weft__memory_fail(WEFT__MEMORY_OWN, 0, false);
    break;
  }
}

bool point_disarm(const struct point *p, struct point_counts *ret) {
  uint64_t asked = weft__memory_fail_end();
  weft__sys_clear();
  *ret = (struct point_counts){.alloc = p->kind == POINT_UV ? 0 : asked,
                               .uv = p->kind == POINT_UV ? asked : 0};
  for (int i = 0; i < WEFT__SYS_CALLS; i++) ret->call[i] = weft__sys_calls((enum weft__sys_call)i);
  switch (p->kind) {
  case POINT_ALLOC:
  case POINT_UV:
    return asked >= p->n;
  case POINT_CALL:
    return ret->call[p->call] >= p->n;
  case POINT_DESCRIPTORS:
    if (setrlimit(RLIMIT_NOFILE, &before) != 0) abort();
    return true;
  case POINT_NONE:
    break;
  }
  return false;
}

/* ---- names ---- */

const char *point_error_name(int error) {
  if (error == WEFT__SYS_SHORT) return "SHORT";
  return weft_err_name(error) + strlen("WEFT_");
}

int point_error_by_name(const char *name) {
  for (const struct point_series *s = point_plan; s->kind != POINT_NONE; s++)
    if (strcmp(point_error_name(s->error), name) == 0) return s->error;
  return 0;
}

enum weft__sys_call point_call_by_name(const char *name) {
  int i = 0;
  while (i < WEFT__SYS_CALLS && strcmp(weft__sys_name((enum weft__sys_call)i), name) != 0) i++;
  return (enum weft__sys_call)i;
}

void point_describe(const struct point *p, char *buf, size_t size) {
  const char *mode = p->times == POINT_ONCE ? "--once" : p->times == POINT_ON ? "--on" : "--thrice";
  unsigned long long n = (unsigned long long)p->n;
  switch (p->kind) {
  case POINT_NONE:
    snprintf(buf, size, "--none");
    break;
  case POINT_ALLOC:
    snprintf(buf, size, "--alloc %llu %s", n, mode);
    break;
  case POINT_UV:
    snprintf(buf, size, "--uv %llu %s", n, mode);
    break;
  case POINT_DESCRIPTORS:
    snprintf(buf, size, "--descriptors %llu", n - 1);
    break;
  case POINT_CALL:
    snprintf(buf, size, "--call %s --error %s --nth %llu %s", weft__sys_name(p->call),
             point_error_name(p->error), n, mode);
    break;
  }
}
