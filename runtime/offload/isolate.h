/* What lies between a process and a child that it forks without exec: threads that would be
 * missing, descriptors, signal settings and unwritten output that the child must not keep.
 */
#ifndef WEFT_OFFLOAD_ISOLATE_H
#define WEFT_OFFLOAD_ISOLATE_H

/* Threads of this process other than the calling one that may still run its code; one that has
 * begun to exit, as after pthread_join, is not counted. Negative: the code of reading /proc. */
int weft__isolate_other_threads(void);

/* In the child: default actions, nothing blocked. */
void weft__isolate_signals(void);

/* The descriptors of a child and the libraries in it. A library that was given its chance at the
 * fork (pthread_atfork) may close and reopen descriptors by the numbers it knows, which by then may
 * be somebody else's. So a child that forks again keeps its own descriptors above all numbers that
 * its parent had in use (the floor), and what a library opened for it below the floor is left to
 * it. */

/* In the child: the floor, with room for `room` descriptors above it, so it may be lower when the
 * parent is at its limit. Negative: the code of reading /proc. */
int weft__isolate_floor(int room);

/* Moves fd to a number at or above the floor. The new number, or a negative code; fd is closed. */
int weft__isolate_lift(int fd, int floor);

/* Closes all descriptors from first on but one. 0, or the code of reading /proc where the kernel
 * has no close_range. */
int weft__isolate_fds(int first, int keep);

/* In the child: drops what the parent had printed and not flushed, which it will flush itself. */
void weft__isolate_stdio(void);

#endif
