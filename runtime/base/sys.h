/* The system-call seam: what the runtime itself asks of the kernel goes through weft__sys_*.
 *
 * Every wrapper has the shape of its system call but returns a negative WEFT_E* code instead of
 * setting errno, and it reads errno in the same function as the call, on the same thread. EINTR is
 * passed on: the caller knows whether to try again.
 *
 * The calls go through a table of functions. A simulation installs its own; a test switches
 * counting on, or makes the n-th call of a kind fail. Without either, the price is one indirect
 * call. libuv's own system calls do not pass here.
 */
#ifndef WEFT_BASE_SYS_H
#define WEFT_BASE_SYS_H

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct addrinfo;
struct termios;
struct winsize;

/* The one list. X(name, result, parameters, arguments). What differs from the system call:
 *   mmap            returns 0 and writes the address to *ret
 *   futex_wait      private; abs is a CLOCK_MONOTONIC time or NULL; 0 woken, WEFT_EAGAIN the word
 *                   differs, WEFT_ETIMEDOUT, WEFT_EINTR
 *   futex_wake      private; returns how many were woken
 *   sched_getaffinity returns the number of bytes written to mask
 *   epoll_wait_ns   epoll_pwait2 without a mask; where the kernel has none, epoll_wait with the timeout
 *                   rounded up
 *   thread_create, thread_join, thread_detach  pthread_create and so on, the result of the thread lost
 *   thread_cpu_clock pthread_getcpuclockid
 *   thread_name     pthread_setname_np
 *   getaddrinfo, getnameinfo  return WEFT_EAI_* codes, or what the system said; they may block for long
 *   freeaddrinfo    0
 *   tty_size, pty_number      ioctl(TIOCGWINSZ), ioctl(TIOCGPTN)
 *   peek            process_vm_readv of the own process: copies what is mapped from there on, up to len bytes and
 *                   two pages,
 *                   past the checkers; WEFT_EFAULT where nothing is
 *   copy_file_range with both positions, no flags
 *   getdents        getdents64
 *   realpath        to a buffer of PATH_MAX bytes; 0
 *   recvmmsg        without a timeout: the kernel's is looked at only after a message
 *   child_pipe      pipe2 for another process: the kernel's also in a simulation
 *   posix_spawnp    and what exec in the child failed with
 *   waitid          the system call, which tells the usage too; type P_PID or P_PIDFD
 *   close           a failed close has closed the descriptor all the same, also when injected */
#define WEFT__SYS_MAP_PLAIN(X)                                                                     \
  X(mmap, int, (void *addr, size_t len, int prot, int flags, int fd, off_t off, void **ret),       \
    (addr, len, prot, flags, fd, off, ret))                                                        \
  X(munmap, int, (void *addr, size_t len), (addr, len))                                            \
  X(mprotect, int, (void *addr, size_t len, int prot), (addr, len, prot))                          \
  X(madvise, int, (void *addr, size_t len, int advice), (addr, len, advice))                       \
  X(futex_wait, int, (const void *word, uint32_t expected, const struct timespec *abs),            \
    (word, expected, abs))                                                                         \
  X(futex_wake, int, (const void *word, int n), (word, n))                                         \
  X(membarrier, int, (int cmd, unsigned flags), (cmd, flags))                                      \
  X(sched_getaffinity, int, (pid_t pid, size_t size, void *mask), (pid, size, mask))               \
  X(sched_setaffinity, int, (pid_t pid, size_t size, const void *mask), (pid, size, mask))         \
  X(sched_yield, int, (void), ())                                                                  \
  X(thread_create, int,                                                                            \
    (pthread_t * ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),                 \
    (ret, attr, fn, arg))                                                                          \
  X(thread_join, int, (pthread_t thread), (thread))                                                \
  X(thread_detach, int, (pthread_t thread), (thread))                                              \
  X(thread_cpu_clock, int, (pthread_t thread, clockid_t * ret), (thread, ret))                     \
  X(thread_name, int, (pthread_t thread, const char *name), (thread, name))                        \
  X(clock_gettime, int, (clockid_t clock, struct timespec * ret), (clock, ret))                    \
  X(getrandom, ssize_t, (void *buf, size_t len, unsigned flags), (buf, len, flags))                \
  X(open, int, (const char *path, int flags, int mode), (path, flags, mode))                       \
  X(close, int, (int fd), (fd))                                                                    \
  X(pipe2, int, (int fds[2], int flags), (fds, flags))                                             \
  X(socketpair, int, (int domain, int type, int protocol, int fds[2]),                             \
    (domain, type, protocol, fds))                                                                 \
  X(socket, int, (int domain, int type, int protocol), (domain, type, protocol))                   \
  X(bind, int, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))              \
  X(listen, int, (int fd, int backlog), (fd, backlog))                                             \
  X(connect, int, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))           \
  X(accept4, int, (int fd, struct sockaddr *addr, socklen_t *len, int flags),                      \
    (fd, addr, len, flags))                                                                        \
  X(shutdown, int, (int fd, int how), (fd, how))                                                   \
  X(getsockname, int, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))            \
  X(getpeername, int, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))            \
  X(getsockopt, int, (int fd, int level, int name, void *value, socklen_t *len),                   \
    (fd, level, name, value, len))                                                                 \
  X(setsockopt, int, (int fd, int level, int name, const void *value, socklen_t len),              \
    (fd, level, name, value, len))                                                                 \
  X(getaddrinfo, int,                                                                              \
    (const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret),  \
    (host, service, hints, ret))                                                                   \
  X(freeaddrinfo, int, (struct addrinfo * list), (list))                                           \
  X(getnameinfo, int,                                                                              \
    (const struct sockaddr *addr, socklen_t len, char *host, size_t host_size, char *service,      \
     size_t service_size, int flags),                                                              \
    (addr, len, host, host_size, service, service_size, flags))                                    \
  X(fcntl, int, (int fd, int cmd, long arg), (fd, cmd, arg))                                       \
  X(dup3, int, (int from, int to, int flags), (from, to, flags))                                   \
  X(eventfd, int, (unsigned value, int flags), (value, flags))                                     \
  X(epoll_create1, int, (int flags), (flags))                                                      \
  X(epoll_ctl, int, (int epfd, int op, int fd, struct epoll_event *event), (epfd, op, fd, event))  \
  X(epoll_wait, int, (int epfd, struct epoll_event *events, int n, int ms), (epfd, events, n, ms)) \
  X(epoll_wait_ns, int,                                                                            \
    (int epfd, struct epoll_event *events, int n, const struct timespec *timeout),                 \
    (epfd, events, n, timeout))                                                                    \
  X(poll, int, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))                              \
  X(memfd_create, int, (const char *name, unsigned flags), (name, flags))                          \
  X(ftruncate, int, (int fd, off_t len), (fd, len))                                                \
  X(lseek, off_t, (int fd, off_t off, int whence), (fd, off, whence))                              \
  X(fsync, int, (int fd), (fd))                                                                    \
  X(fdatasync, int, (int fd), (fd))                                                                \
  X(fstat, int, (int fd, struct stat *ret), (fd, ret))                                             \
  X(fchmod, int, (int fd, mode_t mode), (fd, mode))                                                \
  X(copy_file_range, ssize_t, (int from, int to, size_t len), (from, to, len))                     \
  X(getdents, ssize_t, (int fd, void *buf, size_t len), (fd, buf, len))                            \
  X(openat, int, (int dir, const char *path, int flags, int mode), (dir, path, flags, mode))       \
  X(fstatat, int, (int dir, const char *path, struct stat *ret, int flags),                        \
    (dir, path, ret, flags))                                                                       \
  X(unlinkat, int, (int dir, const char *path, int flags), (dir, path, flags))                     \
  X(mkdir, int, (const char *path, mode_t mode), (path, mode))                                     \
  X(rename, int, (const char *from, const char *to), (from, to))                                   \
  X(link, int, (const char *from, const char *to), (from, to))                                     \
  X(symlink, int, (const char *target, const char *path), (target, path))                          \
  X(readlink, ssize_t, (const char *path, char *buf, size_t len), (path, buf, len))                \
  X(realpath, int, (const char *path, char *ret), (path, ret))                                     \
  X(chmod, int, (const char *path, mode_t mode), (path, mode))                                     \
  X(access, int, (const char *path, int mode), (path, mode))                                       \
  X(getrlimit, int, (int resource, struct rlimit *ret), (resource, ret))                           \
  X(sigaltstack, int, (const stack_t *set, stack_t *ret), (set, ret))                              \
  X(fork, pid_t, (void), ())                                                                       \
  X(wait4, pid_t, (pid_t pid, int *status, int options, struct rusage *usage),                     \
    (pid, status, options, usage))                                                                 \
  X(kill, int, (pid_t pid, int sig), (pid, sig))                                                   \
  X(child_pipe, int, (int fds[2], int flags), (fds, flags))                                        \
  X(posix_spawnp, int,                                                                             \
    (pid_t * ret, const char *file, const posix_spawn_file_actions_t *actions,                     \
     const posix_spawnattr_t *attr, char *const argv[], char *const env[]),                        \
    (ret, file, actions, attr, argv, env))                                                         \
  X(pidfd_open, int, (pid_t pid, unsigned flags), (pid, flags))                                    \
  X(pidfd_send_signal, int, (int pidfd, int sig), (pidfd, sig))                                    \
  X(waitid, int, (int type, id_t id, siginfo_t *ret, int options, struct rusage *usage),           \
    (type, id, ret, options, usage))                                                               \
  X(tcgetattr, int, (int fd, struct termios *ret), (fd, ret))                                      \
  X(tcsetattr, int, (int fd, int when, const struct termios *mode), (fd, when, mode))              \
  X(pty_number, int, (int fd, unsigned *ret), (fd, ret))                                           \
  X(tty_size, int, (int fd, struct winsize *ret), (fd, ret))                                       \
  X(peek, ssize_t, (const void *from, void *buf, size_t len), (from, buf, len))

/* Those that move bytes, and may move fewer than they were asked to. */
#define WEFT__SYS_MAP_TRANSFER(X)                                                                  \
  X(read, ssize_t, (int fd, void *buf, size_t len), (fd, buf, len))                                \
  X(write, ssize_t, (int fd, const void *buf, size_t len), (fd, buf, len))                         \
  X(readv, ssize_t, (int fd, const struct iovec *iov, int n), (fd, iov, n))                        \
  X(writev, ssize_t, (int fd, const struct iovec *iov, int n), (fd, iov, n))                       \
  X(preadv2, ssize_t, (int fd, const struct iovec *iov, int n, off_t off, int flags),              \
    (fd, iov, n, off, flags))                                                                      \
  X(pwritev2, ssize_t, (int fd, const struct iovec *iov, int n, off_t off, int flags),             \
    (fd, iov, n, off, flags))                                                                      \
  X(recv, ssize_t, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags))              \
  X(send, ssize_t, (int fd, const void *buf, size_t len, int flags), (fd, buf, len, flags))        \
  X(recvmsg, ssize_t, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))                   \
  X(sendmsg, ssize_t, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))             \
  X(recvmmsg, int, (int fd, struct mmsghdr *msgs, unsigned n, int flags), (fd, msgs, n, flags))    \
  X(sendmmsg, int, (int fd, struct mmsghdr *msgs, unsigned n, int flags), (fd, msgs, n, flags))

#define WEFT__SYS_MAP(X) WEFT__SYS_MAP_PLAIN(X) WEFT__SYS_MAP_TRANSFER(X)

enum weft__sys_call {
#define WEFT__SYS_ENUM(name, result, params, args) WEFT__SYS_##name,
  WEFT__SYS_MAP(WEFT__SYS_ENUM)
#undef WEFT__SYS_ENUM
      WEFT__SYS_CALLS
};

struct weft__sys_table {
#define WEFT__SYS_FIELD(name, result, params, args) result(*name) params;
  WEFT__SYS_MAP(WEFT__SYS_FIELD)
#undef WEFT__SYS_FIELD
};

/* The kernel. */
extern const struct weft__sys_table weft__sys_real;

/* The table in use; changed only by the functions below. A table is complete before it is stored
 * here (release), and read after the pointer (acquire). */
extern _Atomic(const struct weft__sys_table *) weft__sys_current;

#define WEFT__SYS_WRAPPER(name, result, params, args)                                              \
  static inline result weft__sys_##name params {                                                   \
    return atomic_load_explicit(&weft__sys_current, memory_order_acquire)->name args;              \
  }
WEFT__SYS_MAP(WEFT__SYS_WRAPPER)
#undef WEFT__SYS_WRAPPER

/* ---- for simulations and tests: any thread ---- */

/* From now on calls go to table, which must stay valid; NULL is the kernel. Copy weft__sys_real and
 * replace what is to differ. */
void weft__sys_install(const struct weft__sys_table *table);

/* From now on the n-th call of a kind (1 is the next one) fails with the code error; with forever,
 * that one and all later ones. n = 0 only counts. One fault per kind at a time; starts the
 * count of that kind at 0 and switches counting on for every kind. */
void weft__sys_fail(enum weft__sys_call call, uint64_t n, int error, bool forever);

/* The same for the n-th call and those after it, `times` in all. */
void weft__sys_fail_times(enum weft__sys_call call, uint64_t n, int error, uint64_t times);

/* In place of an error, for the kinds of WEFT__SYS_MAP_TRANSFER: the call moves half of what it
 * was asked to, but a byte at least, and says so. Of a message that is received with MSG_TRUNC,
 * half has been sent. Of many messages half are moved, whole. */
enum { WEFT__SYS_SHORT = 1 };

/* Since faults were last cleared there was one of this kind, or a few times WEFT_EAGAIN, for a transfer or
 * an accept: what such a call says of how much there is may be wrong. Who takes it for true (and waits for
 * a change) has to look. */
extern _Atomic(bool) weft__sys_lying;
static inline bool weft__sys_lies(void) {
  return atomic_load_explicit(&weft__sys_lying, memory_order_relaxed);
}

/* Counts calls without making any fail; all counts start at 0. */
void weft__sys_count(void);

/* How often the kind was called since counting began, failed calls included. */
uint64_t weft__sys_calls(enum weft__sys_call call);

/* Ends faults and counting; the counts stay readable. */
void weft__sys_clear(void);

/* Keeps counts and faults in memory (shared, zeroed, of that many bytes) from now on, so that a
 * child made by fork takes part in the count: the n-th call is the n-th of all the processes.
 * Before counting begins; NULL ends it. */
void weft__sys_share(void *memory);
size_t weft__sys_share_size(void);

/* "read", "mmap". */
const char *weft__sys_name(enum weft__sys_call call);

#endif
