/* Waiting for a descriptor, on the loop of the worker that the task is on. */
#ifndef WEFT_CORE_FDWAIT_H
#define WEFT_CORE_FDWAIT_H

#include <stdint.h>

enum { WEFT__FD_READ = 1, WEFT__FD_WRITE = 2 };

/* Suspends the calling task until fd is ready for one of the events, or has an error or a hang-up.
 * 0, WEFT_ECANCELED, WEFT_ENOMEM, or what libuv says of the descriptor (WEFT_EBADF, WEFT_EPERM for a
 * regular file, WEFT_EEXIST when another task of the same worker waits for it). When it returns no
 * loop watches the descriptor any more: it may be closed. */
int weft__fd_wait(int fd, int events);

/* The same, at most until deadline on the clock of weft__now: then WEFT_ETIMEDOUT. */
int weft__fd_wait_until(int fd, int events, uint64_t deadline);

#endif
