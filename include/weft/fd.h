/* Waiting for any descriptor: for libraries with a non-blocking interface of their own (libpq, libcurl,
 * hiredis, c-ares), for eventfd, timerfd, inotify, pidfd, for serial lines and message queues.
 *
 *   while ((r = PQconnectPoll(c)) != PGRES_POLLING_OK) {
 *     if (r == PGRES_POLLING_FAILED) return WEFT_ECONNREFUSED;
 *     int ready = weft_fd_wait(PQsocket(c), r == PGRES_POLLING_READING ? WEFT_FD_READ : WEFT_FD_WRITE);
 *     if (ready < 0) return ready;
 *   }
 *
 * The descriptor stays the library's: weft neither reads, writes nor closes it, and does not change
 * its flags. A wait costs one system call (epoll_ctl), however often it is repeated; the library may
 * close the descriptor between two waits, and its number may come back as another file, without
 * telling anybody. Not for the descriptor of an open stream (weft_stream_fd), which has its own waits:
 * weft_wait_readable, weft_wait_writable. Regular files are always ready and cannot be waited for:
 * weft/file.h.
 */
#ifndef WEFT_FD_H
#define WEFT_FD_H

#include <weft/decls.h>

WEFT_BEGIN_DECLS

enum {
  WEFT_FD_READ = 1,  /* there are bytes, a connection to accept, or the end */
  WEFT_FD_WRITE = 2, /* there is room, or the connection was made or refused */
};

/* Suspends the caller until fd is ready for one of the events (one of the above, or both with |), or
 * has an error or was hung up, and returns what it is ready for: > 0, of the events asked for; all of
 * them after an error, which the next call on fd then tells. What is ready already ends the wait at
 * once. Several tasks may wait for one descriptor; each is told.
 *
 * WEFT_EBADF when fd is not open, WEFT_EPERM when the kernel cannot wait for it (a regular file, a
 * directory), WEFT_EINVAL for no or other events, WEFT_ECANCELED, WEFT_ENOMEM, WEFT_ENOSPC when the
 * user has too many descriptors in sets (fs.epoll.max_user_watches). Nothing was taken then. Whoever
 * closes fd while a task waits for it leaves that task waiting: cancel it first.
 * [task] [suspends] [cancel point]. asyncio: loop.add_reader and loop.add_writer with a future */
int weft_fd_wait(int fd, int events);

WEFT_END_DECLS

#endif
