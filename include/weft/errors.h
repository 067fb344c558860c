/* The error codes of weft and their texts.
 *
 * Every weft function that can fail returns a negative code from this list; nothing is reported
 * through errno, because a task may be on another thread when it reads it (see weft/task.h).
 *
 *   - Codes that libuv knows have libuv's number, so a code may come from libuv or go to it as it
 *     is. On Linux these are the negated errno values, and the EAI_* family of getaddrinfo.
 *   - Other errno values of the system are their negated value too.
 *   - Codes of weft's own start at -5000 and go down; they never clash with the others.
 *
 * A task body may return negative numbers of its own; keep them below WEFT_EUSER to stay clear.
 */
#ifndef WEFT_ERRORS_H
#define WEFT_ERRORS_H

#include <errno.h>

#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* The one list. X(name, number, one line that says what happened). */

/* Codes that libuv has. The numbers of the few that Linux lacks are libuv's. */
#define WEFT_ERRNO_MAP_UV(X)                                                                       \
  X(WEFT_E2BIG, -E2BIG, "argument list too long")                                                  \
  X(WEFT_EACCES, -EACCES, "permission denied")                                                     \
  X(WEFT_EADDRINUSE, -EADDRINUSE, "the address is already in use")                                 \
  X(WEFT_EADDRNOTAVAIL, -EADDRNOTAVAIL, "the address is not available on this machine")            \
  X(WEFT_EAFNOSUPPORT, -EAFNOSUPPORT, "the address family is not supported")                       \
  X(WEFT_EAGAIN, -EAGAIN, "not possible right now, try again later")                               \
  X(WEFT_EAI_ADDRFAMILY, -3000, "the host has no address in this address family")                  \
  X(WEFT_EAI_AGAIN, -3001, "the name server could not answer for the moment")                      \
  X(WEFT_EAI_BADFLAGS, -3002, "the name lookup was given wrong flags")                             \
  X(WEFT_EAI_BADHINTS, -3013, "the name lookup was given wrong hints")                             \
  X(WEFT_EAI_CANCELED, -3003, "the name lookup was cancelled")                                     \
  X(WEFT_EAI_FAIL, -3004, "the name server failed for good")                                       \
  X(WEFT_EAI_FAMILY, -3005, "the name lookup does not support this address family")                \
  X(WEFT_EAI_MEMORY, -3006, "the name lookup ran out of memory")                                   \
  X(WEFT_EAI_NODATA, -3007, "the host exists but has no address")                                  \
  X(WEFT_EAI_NONAME, -3008, "unknown host or service")                                             \
  X(WEFT_EAI_OVERFLOW, -3009, "a result of the name lookup does not fit its buffer")               \
  X(WEFT_EAI_PROTOCOL, -3014, "the name lookup does not know the protocol")                        \
  X(WEFT_EAI_SERVICE, -3010, "the service is not available for this kind of socket")               \
  X(WEFT_EAI_SOCKTYPE, -3011, "the name lookup does not support this kind of socket")              \
  X(WEFT_EALREADY, -EALREADY, "the same operation is already in progress")                         \
  X(WEFT_EBADF, -EBADF, "not an open file descriptor")                                             \
  X(WEFT_EBUSY, -EBUSY, "busy or locked")                                                          \
  X(WEFT_ECANCELED, -ECANCELED, "cancelled")                                                       \
  X(WEFT_ECHARSET, -4080, "invalid Unicode character")                                             \
  X(WEFT_ECONNABORTED, -ECONNABORTED, "the connection was aborted by software")                    \
  X(WEFT_ECONNREFUSED, -ECONNREFUSED, "nobody accepts connections at this address")                \
  X(WEFT_ECONNRESET, -ECONNRESET, "the connection was reset by the peer")                          \
  X(WEFT_EDESTADDRREQ, -EDESTADDRREQ, "a destination address is needed")                           \
  X(WEFT_EEXIST, -EEXIST, "it already exists")                                                     \
  X(WEFT_EFAULT, -EFAULT, "a system call was given a bad address")                                 \
  X(WEFT_EFBIG, -EFBIG, "the file is too large")                                                   \
  X(WEFT_EFTYPE, -4028, "wrong file type or format")                                               \
  X(WEFT_EHOSTDOWN, -EHOSTDOWN, "the host is down")                                                \
  X(WEFT_EHOSTUNREACH, -EHOSTUNREACH, "the host cannot be reached")                                \
  X(WEFT_EILSEQ, -EILSEQ, "illegal byte sequence")                                                 \
  X(WEFT_EINTR, -EINTR, "interrupted by a signal")                                                 \
  X(WEFT_EINVAL, -EINVAL, "invalid argument")                                                      \
  X(WEFT_EIO, -EIO, "input/output error")                                                          \
  X(WEFT_EISCONN, -EISCONN, "the socket is already connected")                                     \
  X(WEFT_EISDIR, -EISDIR, "it is a directory")                                                     \
  X(WEFT_ELOOP, -ELOOP, "too many symbolic links")                                                 \
  X(WEFT_EMFILE, -EMFILE, "the process has too many open file descriptors")                        \
  X(WEFT_EMLINK, -EMLINK, "too many links")                                                        \
  X(WEFT_EMSGSIZE, -EMSGSIZE, "the message is too long")                                           \
  X(WEFT_ENAMETOOLONG, -ENAMETOOLONG, "the name is too long")                                      \
  X(WEFT_ENETDOWN, -ENETDOWN, "the network is down")                                               \
  X(WEFT_ENETUNREACH, -ENETUNREACH, "the network cannot be reached")                               \
  X(WEFT_ENFILE, -ENFILE, "the system has too many open files")                                    \
  X(WEFT_ENOBUFS, -ENOBUFS, "no buffer space available")                                           \
  X(WEFT_ENODEV, -ENODEV, "no such device")                                                        \
  X(WEFT_ENOENT, -ENOENT, "no such file or directory")                                             \
  X(WEFT_ENOMEM, -ENOMEM, "not enough memory")                                                     \
  X(WEFT_ENONET, -ENONET, "the machine is not on a network")                                       \
  X(WEFT_ENOPROTOOPT, -ENOPROTOOPT, "the protocol has no such option")                             \
  X(WEFT_ENOSPC, -ENOSPC, "no space left on the device")                                           \
  X(WEFT_ENOSYS, -ENOSYS, "not implemented by this system")                                        \
  X(WEFT_ENOTCONN, -ENOTCONN, "the socket is not connected")                                       \
  X(WEFT_ENOTDIR, -ENOTDIR, "not a directory")                                                     \
  X(WEFT_ENOTEMPTY, -ENOTEMPTY, "the directory is not empty")                                      \
  X(WEFT_ENOTSOCK, -ENOTSOCK, "not a socket")                                                      \
  X(WEFT_ENOTSUP, -ENOTSUP, "not supported here")                                                  \
  X(WEFT_ENOTTY, -ENOTTY, "the device does not have this control")                                 \
  X(WEFT_ENXIO, -ENXIO, "no such device or address")                                               \
  X(WEFT_EOF, -4095, "end of file")                                                                \
  X(WEFT_EOVERFLOW, -EOVERFLOW, "the value is too large for its type")                             \
  X(WEFT_EPERM, -EPERM, "not permitted")                                                           \
  X(WEFT_EPIPE, -EPIPE, "the other end is closed")                                                 \
  X(WEFT_EPROTO, -EPROTO, "protocol error")                                                        \
  X(WEFT_EPROTONOSUPPORT, -EPROTONOSUPPORT, "the protocol is not supported")                       \
  X(WEFT_EPROTOTYPE, -EPROTOTYPE, "the wrong protocol for this kind of socket")                    \
  X(WEFT_ERANGE, -ERANGE, "the result is out of range")                                            \
  X(WEFT_EREMOTEIO, -EREMOTEIO, "remote input/output error")                                       \
  X(WEFT_EROFS, -EROFS, "the file system is read-only")                                            \
  X(WEFT_ESHUTDOWN, -ESHUTDOWN, "the sending side is already shut down")                           \
  X(WEFT_ESOCKTNOSUPPORT, -ESOCKTNOSUPPORT, "this kind of socket is not supported")                \
  X(WEFT_ESPIPE, -ESPIPE, "it has no position to seek to")                                         \
  X(WEFT_ESRCH, -ESRCH, "no such process")                                                         \
  X(WEFT_ETIMEDOUT, -ETIMEDOUT, "the time ran out")                                                \
  X(WEFT_ETXTBSY, -ETXTBSY, "the program file is in use")                                          \
  X(WEFT_EXDEV, -EXDEV, "source and target are on different devices")                              \
  X(WEFT_UNKNOWN, -4094, "unknown error")

/* Codes that the system has and libuv has no name for, or has only in versions after 1.44. */
#define WEFT_ERRNO_MAP_SYSTEM(X)                                                                   \
  X(WEFT_ECHILD, -ECHILD, "no such child process, or called in a child made by fork")              \
  X(WEFT_EDEADLK, -EDEADLK, "it would wait for itself for ever")                                   \
  X(WEFT_EDQUOT, -EDQUOT, "the disk quota is used up")                                             \
  X(WEFT_EINPROGRESS, -EINPROGRESS, "started, not finished yet")                                   \
  X(WEFT_ENODATA, -ENODATA, "no data available")                                                   \
  X(WEFT_ENOEXEC, -ENOEXEC, "not a program that can be run")                                       \
  X(WEFT_ENOLCK, -ENOLCK, "no file locks available")                                               \
  X(WEFT_EUNATCH, -EUNATCH, "the protocol driver is not attached")

/* Codes of weft's own. */
#define WEFT_ERRNO_MAP_PRIVATE(X)                                                                  \
  X(WEFT_ESTALE, -5000, "the handle was already awaited, joined, detached or closed")              \
  X(WEFT_ENOTASK, -5001, "called outside a task, or while no runtime is running")                  \
  X(WEFT_ENESTED, -5002, "the runtime was started inside a runtime")                               \
  X(WEFT_ESELF, -5003, "a task waits for itself")                                                  \
  X(WEFT_ECLOSED, -5004, "closed while or before it was used")                                     \
  X(WEFT_EPROC, -5005, "the worker process died while it ran the job")                             \
  X(WEFT_ESTATE, -5006, "called at the wrong time or in the wrong order")                          \
  X(WEFT_EPENDING, -5007, "it is not over yet: there is no result")                                \
  X(WEFT_EBROKEN, -5008, "the barrier was broken")                                                 \
  X(WEFT_ELAGGED, -5009, "fell behind: items were dropped")

#define WEFT_ERRNO_MAP(X) WEFT_ERRNO_MAP_UV(X) WEFT_ERRNO_MAP_SYSTEM(X) WEFT_ERRNO_MAP_PRIVATE(X)

/* Every code as a constant. Functions return plain int. */
enum weft_err {
#define WEFT__ERR_ENUM(name, number, text) name = (number),
  WEFT_ERRNO_MAP(WEFT__ERR_ENUM)
#undef WEFT__ERR_ENUM
  /* Codes at and below this one are never weft's: a program may use them for its own. */
  WEFT_EUSER = -10000
};

/* The name of a code as it is written in a program, "WEFT_ECANCELED". Never NULL: 0 and more, which
 * is success, is "WEFT_OK"; a negative number that is not in the list is "WEFT_?". The string is
 * static; nobody frees it. asyncio counterpart: the type of an exception.
 * [any thread] [never suspends] */
const char *weft_err_name(int code);

/* What happened, as one line in plain words without a full stop, "the time ran out". Never NULL: 0
 * and more is "no error", a negative number that is not in the list is "unknown error". The string
 * is static; nobody frees it. asyncio counterpart: str(exception).
 * [any thread] [never suspends] */
const char *weft_strerror(int code);

WEFT_END_DECLS

#endif
