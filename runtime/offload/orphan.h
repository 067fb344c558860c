/* Killing a worker whose zygote is gone. */
#ifndef WEFT_OFFLOAD_ORPHAN_H
#define WEFT_OFFLOAD_ORPHAN_H

#include <sys/types.h>

/* Kills the process at the other end of the channel, whose pid was told there, and waits until it
 * has ended. Does nothing when the channel has ended already, or when the kernel has no pidfd: then
 * the process ends by itself after its job, when it finds its channel closed. */
void weft__orphan_kill(pid_t pid, int channel);

#endif
