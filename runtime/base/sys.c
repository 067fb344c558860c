/* The kernel's side of the system-call seam.
 *
 * Each function below makes one call and reads errno at once. They are reached through a table
 * only, so no compiler can merge them into code that switches tasks, where the address of errno
 * would be that of another thread.
 */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/annotate.h"

#include <weft/errors.h>

static inline ssize_t code(ssize_t result) {
  return result < 0 ? -(ssize_t)errno : result;
}

static inline int code_int(long result) {
  return result < 0 ? -errno : (int)result;
}

/* ---- memory ---- */

static int real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off, void **ret) {
  void *p = mmap(addr, len, prot, flags, fd, off);
  if (p == MAP_FAILED) return -errno;
  *ret = p;
  return 0;
}

static int real_munmap(void *addr, size_t len) {
  return code_int(munmap(addr, len));
}

static int real_mprotect(void *addr, size_t len, int prot) {
  return code_int(mprotect(addr, len, prot));
}

static int real_madvise(void *addr, size_t len, int advice) {
  return code_int(madvise(addr, len, advice));
}

static int real_memfd_create(const char *name, unsigned flags) {
  return code_int(memfd_create(name, flags));
}

static int real_ftruncate(int fd, off_t len) {
  return code_int(ftruncate(fd, len));
}

/* ---- threads and time ---- */

static int futex_wait(const void *word, uint32_t expected, const struct timespec *abs) {
  /* BITSET, because only that one takes an absolute time on CLOCK_MONOTONIC. */
  return code_int(syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, abs,
                          NULL, FUTEX_BITSET_MATCH_ANY));
}

#if WEFT__TSAN
/* ThreadSanitizer runs a signal's handler when the interrupted thread next calls what it intercepts, as
 * poll: a thread that slept in one system call until somebody wakes it would keep the signal as long. */
static int real_futex_wait(const void *word, uint32_t expected, const struct timespec *abs) {
  enum { PERIOD_NS = 20 * 1000 * 1000, SECOND_NS = 1000 * 1000 * 1000 };
  for (;;) {
    struct timespec period;
    clock_gettime(CLOCK_MONOTONIC, &period);
    period.tv_nsec += PERIOD_NS;
    period.tv_sec += period.tv_nsec / SECOND_NS;
    period.tv_nsec %= SECOND_NS;
    bool last = abs && (abs->tv_sec < period.tv_sec ||
                        (abs->tv_sec == period.tv_sec && abs->tv_nsec <= period.tv_nsec));
    int r = futex_wait(word, expected, last ? abs : &period);
    poll(NULL, 0, 0);
    if (last || r != WEFT_ETIMEDOUT) return r;
  }
}
#else
static int real_futex_wait(const void *word, uint32_t expected, const struct timespec *abs) {
  return futex_wait(word, expected, abs);
}
#endif

static int real_futex_wake(const void *word, int n) {
  return code_int(syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0));
}

static int real_membarrier(int cmd, unsigned flags) {
  return code_int(syscall(SYS_membarrier, cmd, flags, 0));
}

static int real_sched_getaffinity(pid_t pid, size_t size, void *mask) {
  /* Not the library's: that one hides how many bytes the kernel wrote. */
  return code_int(syscall(SYS_sched_getaffinity, pid, size, mask));
}

static int real_sched_setaffinity(pid_t pid, size_t size, const void *mask) {
  return code_int(syscall(SYS_sched_setaffinity, pid, size, mask));
}

static int real_sched_yield(void) {
  return code_int(sched_yield());
}

static int real_thread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                              void *arg) {
  return -pthread_create(ret, attr, fn, arg);
}

static int real_thread_join(pthread_t thread) {
  return -pthread_join(thread, NULL);
}

static int real_thread_detach(pthread_t thread) {
  return -pthread_detach(thread);
}

static int real_thread_cpu_clock(pthread_t thread, clockid_t *ret) {
  return -pthread_getcpuclockid(thread, ret);
}

static int real_thread_name(pthread_t thread, const char *name) {
  return -pthread_setname_np(thread, name);
}

static int real_sigaltstack(const stack_t *set, stack_t *ret) {
  return code_int(sigaltstack(set, ret));
}

static int real_clock_gettime(clockid_t clock, struct timespec *ret) {
  return code_int(clock_gettime(clock, ret));
}

static ssize_t real_getrandom(void *buf, size_t len, unsigned flags) {
  return code(getrandom(buf, len, flags));
}

static int real_getrlimit(int resource, struct rlimit *ret) {
  return code_int(getrlimit((__rlimit_resource_t)resource, ret));
}

/* ---- files and sockets ---- */

/* glibc makes a cancellation point of pthread_cancel of each of these: four locked instructions around the
 * call, about 20 ns of an echo's two. Nobody cancels a thread of weft that way. The checkers want to see
 * the library's functions: what is written here happens before it is read there. */
#if WEFT__NOTES || WEFT_VALGRIND
#define DIRECT(call, ...) call(__VA_ARGS__)
#else
#define DIRECT(call, ...) syscall(SYS_##call, __VA_ARGS__)
#endif

static int real_open(const char *path, int flags, int mode) {
  return code_int(open(path, flags, mode));
}

static int real_close(int fd) {
  return code_int(close(fd));
}

static ssize_t real_read(int fd, void *buf, size_t len) {
  return code(DIRECT(read, fd, buf, len));
}

static ssize_t real_write(int fd, const void *buf, size_t len) {
  return code(DIRECT(write, fd, buf, len));
}

static ssize_t real_readv(int fd, const struct iovec *iov, int n) {
  return code(DIRECT(readv, fd, iov, n));
}

static ssize_t real_writev(int fd, const struct iovec *iov, int n) {
  return code(DIRECT(writev, fd, iov, n));
}

static ssize_t real_preadv2(int fd, const struct iovec *iov, int n, off_t off, int flags) {
  return code(preadv2(fd, iov, n, off, flags));
}

static ssize_t real_pwritev2(int fd, const struct iovec *iov, int n, off_t off, int flags) {
  return code(pwritev2(fd, iov, n, off, flags));
}

static ssize_t real_recv(int fd, void *buf, size_t len, int flags) {
  return code(DIRECT(recvfrom, fd, buf, len, flags, NULL, NULL));
}

static ssize_t real_send(int fd, const void *buf, size_t len, int flags) {
  return code(DIRECT(sendto, fd, buf, len, flags, NULL, 0));
}

static ssize_t real_recvmsg(int fd, struct msghdr *msg, int flags) {
  return code(DIRECT(recvmsg, fd, msg, flags));
}

static ssize_t real_sendmsg(int fd, const struct msghdr *msg, int flags) {
  return code(DIRECT(sendmsg, fd, msg, flags));
}

static int real_pipe2(int fds[2], int flags) {
  return code_int(pipe2(fds, flags));
}

static int real_socketpair(int domain, int type, int protocol, int fds[2]) {
  return code_int(socketpair(domain, type, protocol, fds));
}

static int real_socket(int domain, int type, int protocol) {
  return code_int(socket(domain, type, protocol));
}

static int real_bind(int fd, const struct sockaddr *addr, socklen_t len) {
  return code_int(bind(fd, addr, len));
}

static int real_listen(int fd, int backlog) {
  return code_int(listen(fd, backlog));
}

static int real_connect(int fd, const struct sockaddr *addr, socklen_t len) {
  return code_int(connect(fd, addr, len));
}

static int real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) {
  return code_int(DIRECT(accept4, fd, addr, len, flags));
}

static int real_shutdown(int fd, int how) {
  return code_int(shutdown(fd, how));
}

static int real_getsockname(int fd, struct sockaddr *addr, socklen_t *len) {
  return code_int(getsockname(fd, addr, len));
}

static int real_getpeername(int fd, struct sockaddr *addr, socklen_t *len) {
  return code_int(getpeername(fd, addr, len));
}

static int real_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
  return code_int(getsockopt(fd, level, name, value, len));
}

static int real_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
  return code_int(setsockopt(fd, level, name, value, len));
}

/* ---- names ---- */

/* errno is the system's answer where the resolver says no more than that. */
static int code_name(int result) {
  switch (result) {
  case 0:
    return 0;
  case EAI_SYSTEM:
    return errno ? -errno : WEFT_EAI_FAIL;
#define NAME_CASE(code)                                                                            \
  case code:                                                                                       \
    return WEFT_##code;
    NAME_CASE(EAI_ADDRFAMILY)
    NAME_CASE(EAI_AGAIN)
    NAME_CASE(EAI_BADFLAGS)
    NAME_CASE(EAI_CANCELED)
    NAME_CASE(EAI_FAIL)
    NAME_CASE(EAI_FAMILY)
    NAME_CASE(EAI_MEMORY)
    NAME_CASE(EAI_NODATA)
    NAME_CASE(EAI_NONAME)
    NAME_CASE(EAI_OVERFLOW)
    NAME_CASE(EAI_SERVICE)
    NAME_CASE(EAI_SOCKTYPE)
#undef NAME_CASE
  default:
    return WEFT_EAI_FAIL;
  }
}

static int real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **ret) {
  errno = 0;
  return code_name(getaddrinfo(host, service, hints, ret));
}

static int real_freeaddrinfo(struct addrinfo *list) {
  freeaddrinfo(list);
  return 0;
}

static int real_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host,
                            size_t host_size, char *service, size_t service_size, int flags) {
  errno = 0;
  return code_name(
      getnameinfo(addr, len, host, (socklen_t)host_size, service, (socklen_t)service_size, flags));
}

/* ---- many messages ---- */

static int real_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags) {
  return code_int(recvmmsg(fd, msgs, n, flags, NULL));
}

static int real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags) {
  return code_int(sendmmsg(fd, msgs, n, flags));
}

static int real_fcntl(int fd, int cmd, long arg) {
  return code_int(fcntl(fd, cmd, arg));
}

static int real_dup3(int from, int to, int flags) {
  return code_int(dup3(from, to, flags));
}

static int real_eventfd(unsigned value, int flags) {
  return code_int(eventfd(value, flags));
}

static int real_epoll_create1(int flags) {
  return code_int(epoll_create1(flags));
}

/* An address that stands for a poll set; two may share one. */
static void *note_of(int epfd) {
  static char notes[256];
  return &notes[(unsigned)epfd % sizeof notes];
}

static int told(int epfd, long n) {
  if (n > 0) weft__note_poll_told(note_of(epfd));
  return code_int(n);
}

static int real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
  weft__note_poll_asked(note_of(epfd));
  return code_int(epoll_ctl(epfd, op, fd, event));
}

static int real_epoll_wait(int epfd, struct epoll_event *events, int n, int ms) {
  return told(epfd, epoll_wait(epfd, events, n, ms));
}

/* glibc has it later than the kernel. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static int real_epoll_wait_ns(int epfd, struct epoll_event *events, int n,
                              const struct timespec *timeout) {
  static atomic_bool missing; /* relaxed: who does not see it asks once more */
  if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
    long r = syscall(SYS_epoll_pwait2, epfd, events, n, timeout, NULL, 0UL);
    if (r >= 0 || (errno != ENOSYS && errno != EPERM)) return told(epfd, r);
    atomic_store_explicit(&missing, true, memory_order_relaxed);
  }
  enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };
  time_t longest = INT_MAX / MS_PER_S - 1;
  int ms = timeout->tv_sec >= longest
               ? INT_MAX
               : (int)(timeout->tv_sec * MS_PER_S + (timeout->tv_nsec + NS_PER_MS - 1) / NS_PER_MS);
  return told(epfd, epoll_wait(epfd, events, n, ms));
}

static int real_poll(struct pollfd *fds, nfds_t n, int ms) {
  return code_int(poll(fds, n, ms));
}

/* ---- what is only on disk ---- */

static off_t real_lseek(int fd, off_t off, int whence) {
  return code(lseek(fd, off, whence));
}

static int real_fsync(int fd) {
  return code_int(fsync(fd));
}

static int real_fdatasync(int fd) {
  return code_int(fdatasync(fd));
}

static int real_fstat(int fd, struct stat *ret) {
  return code_int(fstat(fd, ret));
}

static int real_fchmod(int fd, mode_t mode) {
  return code_int(fchmod(fd, mode));
}

static ssize_t real_copy_file_range(int from, int to, size_t len) {
  return code(copy_file_range(from, NULL, to, NULL, len, 0));
}

static ssize_t real_getdents(int fd, void *buf, size_t len) {
  return code(syscall(SYS_getdents64, fd, buf, len));
}

static int real_openat(int dir, const char *path, int flags, int mode) {
  return code_int(openat(dir, path, flags, mode));
}

static int real_fstatat(int dir, const char *path, struct stat *ret, int flags) {
  return code_int(fstatat(dir, path, ret, flags));
}

static int real_unlinkat(int dir, const char *path, int flags) {
  return code_int(unlinkat(dir, path, flags));
}

static int real_mkdir(const char *path, mode_t mode) {
  return code_int(mkdir(path, mode));
}

static int real_rename(const char *from, const char *to) {
  return code_int(rename(from, to));
}

static int real_link(const char *from, const char *to) {
  return code_int(link(from, to));
}

static int real_symlink(const char *target, const char *path) {
  return code_int(symlink(target, path));
}

static ssize_t real_readlink(const char *path, char *buf, size_t len) {
  return code(readlink(path, buf, len));
}

static int real_realpath(const char *path, char *ret) {
  return realpath(path, ret) ? 0 : -errno;
}

static int real_chmod(const char *path, mode_t mode) {
  return code_int(chmod(path, mode));
}

static int real_access(const char *path, int mode) {
  return code_int(access(path, mode));
}

/* ---- processes ---- */

static pid_t real_fork(void) {
  return (pid_t)code_int(fork());
}

static int real_tcgetattr(int fd, struct termios *ret) {
  return code_int(tcgetattr(fd, ret));
}

static int real_tcsetattr(int fd, int when, const struct termios *mode) {
  return code_int(tcsetattr(fd, when, mode));
}

static int real_pty_number(int fd, unsigned *ret) {
  return code_int(ioctl(fd, TIOCGPTN, ret));
}

static int real_tty_size(int fd, struct winsize *ret) {
  return code_int(ioctl(fd, TIOCGWINSZ, ret));
}

static pid_t real_wait4(pid_t pid, int *status, int options, struct rusage *usage) {
  return (pid_t)code_int(wait4(pid, status, options, usage));
}

static int real_kill(pid_t pid, int sig) {
  return code_int(kill(pid, sig));
}

static int real_child_pipe(int fds[2], int flags) {
  return code_int(pipe2(fds, flags));
}

static int real_posix_spawnp(pid_t *ret, const char *file,
                             const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attr, char *const argv[], char *const env[]) {
  return -posix_spawnp(ret, file, actions, attr, argv, env);
}

static int real_pidfd_open(pid_t pid, unsigned flags) {
  return code_int(syscall(SYS_pidfd_open, pid, flags));
}

static int real_pidfd_send_signal(int pidfd, int sig) {
  return code_int(syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0));
}

static int real_waitid(int type, id_t id, siginfo_t *ret, int options, struct rusage *usage) {
  return code_int(syscall(SYS_waitid, type, id, ret, options, usage));
}

/* By the system call itself: a checker's own version would look at the memory first. The kernel copies
 * whole vectors, so there is one for each page. */
static ssize_t real_peek(const void *from, void *buf, size_t len) {
  enum { PAGE = 4096 };
  size_t first = PAGE - (uintptr_t)from % PAGE;
  if (first > len) first = len;
  if (len - first > PAGE) len = first + PAGE;
  struct iovec to = {buf, len};
  struct iovec at[2] = {{(void *)(uintptr_t)from, first},
                        {(char *)(uintptr_t)from + first, len - first}};
  return code(syscall(SYS_process_vm_readv, getpid(), &to, 1UL, at, len > first ? 2UL : 1UL, 0UL));
}

const struct weft__sys_table weft__sys_real = {
#define WEFT__SYS_REAL(name, result, params, args) .name = real_##name,
    WEFT__SYS_MAP(WEFT__SYS_REAL)
#undef WEFT__SYS_REAL
};
