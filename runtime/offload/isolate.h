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

/* In the child: closes all descriptors above 2 but one. 0, or the code of reading /proc where the
 * kernel has no close_range. */
int weft__isolate_fds(int keep);

/* In the child: drops what the parent had printed and not flushed, which it will flush itself. */
void weft__isolate_stdio(void);

#endif
