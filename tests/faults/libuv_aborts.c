#include "libuv_aborts.h"

#include <stdio.h>

static const struct {
  const char *where;
  const char *what;
  const char *answer;
} aborts[] = {
    {"uv__io_start (maybe_resize)",
     "no memory for the array of watchers, which grows with the highest descriptor number",
     "avoided: core/loop.c sets a block aside before each call that may grow it"},
    {"uv__signal_global_once_init",
     "no two descriptors for the pipe that the first loop of the process makes",
     "avoided: core/loop.c looks whether there is room before the first loop"},
    {"uv__signal_global_once_init",
     "pthread_atfork has no memory (48 bytes, once in a process, in its first loop)",
     "remains: the C library allocates it"},
    {"uv__signal_global_reinit",
     "in a child of fork: no two descriptors for a new pipe, after it closed the old two",
     "remains: two were just given back; a zygote that dies so is WEFT_EPROC"},
    {"uv__io_poll",
     "epoll_ctl has no memory, or the user's limit of watches is reached (ENOMEM, ENOSPC)",
     "remains: uv_poll_init has just made and undone the same call, and its failure is an error"},
    {"uv__io_poll", "epoll_ctl: the descriptor was closed while a task waits for it",
     "remains: a program's error, as the header of the wait says"},
    {"uv__async_send, uv__async_io", "an eventfd cannot be written or read (other than EAGAIN)",
     "remains: the kernel has no such failure"},
    {"uv_mutex_lock, uv__hrtime", "a mutex or the clock does not work",
     "remains: the kernel has no such failure"},
    {"uv_queue_work (init_threads)", "no memory or thread for libuv's own pool",
     "avoided: weft has its own pool and never calls it"},
};

void libuv_aborts_print(void) {
  for (unsigned i = 0; i < sizeof aborts / sizeof aborts[0]; i++)
    printf("%s: %s\n    %s\n", aborts[i].where, aborts[i].what, aborts[i].answer);
}
