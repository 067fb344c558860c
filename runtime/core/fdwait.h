/* Waiting for a descriptor that is not the runtime's: one that a library opens, reads and closes.
 *
 * Nobody says when such a number is closed, or stands for another file. So each wait asks the kernel for
 * one event (EPOLLONESHOT), which is one system call: it knows whether the number is still the file that
 * it has in the set, and takes it in anew if not. Nothing has to be taken out again after a wait.
 */
#ifndef WEFT_CORE_FDWAIT_H
#define WEFT_CORE_FDWAIT_H

#include <stdint.h>

enum { WEFT__FD_READ = 1, WEFT__FD_WRITE = 2 };

/* Suspends the calling task until fd is ready for one of the events, or has an error or a hang-up.
 * 0, WEFT_ECANCELED, WEFT_ENOMEM, WEFT_ENOSPC, WEFT_EBADF, WEFT_EPERM for a regular file. Several tasks may
 * wait for the same descriptor (in a simulation not two of the same worker: WEFT_EEXIST). When it
 * returns nothing of the wait is left: the descriptor may be closed. */
int weft__fd_wait(int fd, int events);

/* The same, at most until deadline on the clock of weft__now: then WEFT_ETIMEDOUT. */
int weft__fd_wait_until(int fd, int events, uint64_t deadline);

/* The same. On 0 *ret tells which of the events have come, all that were asked for when the descriptor has
 * an error. */
int weft__fd_wait_events(int fd, int events, uint64_t deadline, int *ret);

/* A number that has been waited for. The address is what an event carries. */
struct weft__waited;
/* It is ready for those (WEFT__FD_READ, WEFT__FD_WRITE). For the poll set. */
void weft__waited_event(struct weft__waited *f, uint16_t age, unsigned events);

struct weft__loop;
/* The loop's runtime ends. */
void weft__waited_leave_home(struct weft__loop *home);

#endif
