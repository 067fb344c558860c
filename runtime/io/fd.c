#include <weft/errors.h>
#include <weft/fd.h>

#include "core/fdwait.h"
#include "core/task.h"

_Static_assert((int)WEFT_FD_READ == (int)WEFT__FD_READ && (int)WEFT_FD_WRITE == (int)WEFT__FD_WRITE,
               "the events are core's");

int weft_fd_wait(int fd, int events) {
  int came;
  if (events == 0 || events & ~(WEFT_FD_READ | WEFT_FD_WRITE)) return WEFT_EINVAL;
  int r = weft__fd_wait_events(fd, events, WEFT__NEVER, &came);
  return r < 0 ? r : came;
}
