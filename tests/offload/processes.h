/* Looking at processes, descriptors and mappings from a test. Nothing here sleeps: ends of
 * processes are waited for on a pidfd. */
#ifndef WEFT_TESTS_OFFLOAD_PROCESSES_H
#define WEFT_TESTS_OFFLOAD_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/* Open descriptors and mappings of this process, and the descriptors of another. */
int count_fds(void);
int count_mappings(void);
int count_fds_of(pid_t pid);

/* Processes whose parent is pid, zombies included. */
int count_children(pid_t pid);

/* A pidfd of a process that is known to be alive or not reaped yet. */
int watch_process(pid_t pid);

/* Waits until the process behind the pidfd has ended, and closes it. */
void await_end(int pidfd);

/* kill(pid, SIGKILL) and await_end. */
void kill_and_await(pid_t pid);

/* Runs fn in a forked child and returns how it ended, in the encoding of weft_procpool_last_death:
 * 256 + what fn returned. */
int in_child(int (*fn)(void *arg), void *arg);

/* Memory that forked processes share, zeroed. */
void *share_memory(size_t size);

#endif
