/* Without the zygote nobody keeps a dead worker's pid from being given to another process. A pidfd
 * names one process for good; that it names the right one is shown by the channel, which is still
 * open after the pidfd was made: its only holder was alive then.
 */
#include "offload/orphan.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include <weft/errors.h>

#include "base/sys.h"

/* A killed process may be held up in the kernel; do not wait for it longer than this. */
enum { END_MS = 1000 };

static bool open_channel(int channel) {
  struct pollfd p = {.fd = channel, .events = POLLRDHUP};
  int r;
  do {
    r = weft__sys_poll(&p, 1, 0);
  } while (r < 0); /* for a moment: a process taken for dead would go on */
  return r == 0;
}

void weft__orphan_kill(pid_t pid, int channel) {
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
  if (pidfd < 0) return;
  if (open_channel(channel) && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0U) == 0) {
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    while (weft__sys_poll(&p, 1, END_MS) == WEFT_EINTR) continue;
  }
  weft__sys_close(pidfd);
#else
  (void)pid;
  (void)channel;
#endif
}
