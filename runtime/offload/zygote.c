#include "offload/zygote.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "offload/channel.h"

int weft__zygote_start(struct weft__zygote *z, const struct weft__crew *crew) {
  int control;
  int far_end;
  int r = weft__channel_pair(&control, &far_end);
  if (r < 0) return r;
  pid_t pid = weft__sys_fork();
  if (pid == 0) {
    /* Its number may be below 3, where nothing is closed: then the end would never come. */
    (void)close(control);
    weft__zygote_main(crew, far_end);
  }
  weft__sys_close(far_end);
  if (pid < 0) {
    weft__sys_close(control);
    return (int)pid;
  }
  *z = (struct weft__zygote){.pid = pid, .control = control};
  return 0;
}

/* EPIPE would tell the caller of the pool about a pipe that it never saw. */
static int ask(const struct weft__zygote *z, const struct weft__frame *f, int passed) {
  int r = weft__frame_send(z->control, f, passed, MSG_DONTWAIT);
  return r == WEFT_EPIPE ? WEFT_EPROC : r;
}

int weft__zygote_spawn(const struct weft__zygote *z, unsigned slot, int *ret_channel) {
  int channel;
  int far_end;
  int r = weft__channel_pair(&channel, &far_end);
  if (r < 0) return r;
  r = ask(z, &(struct weft__frame){.kind = WEFT__FRAME_SPAWN, .slot = slot}, far_end);
  weft__sys_close(far_end);
  if (r < 0) {
    weft__sys_close(channel);
    return r;
  }
  *ret_channel = channel;
  return 0;
}

int weft__zygote_kill(const struct weft__zygote *z, unsigned slot) {
  return ask(z, &(struct weft__frame){.kind = WEFT__FRAME_KILL, .slot = slot}, -1);
}

bool weft__zygote_gone(const struct weft__zygote *z) {
  struct pollfd p = {.fd = z->control, .events = POLLRDHUP};
  return weft__sys_poll(&p, 1, 0) > 0;
}

void weft__zygote_stop(struct weft__zygote *z) {
  weft__sys_close(z->control);
  /* Somebody may have stopped it; it is our child and not reaped, so the pid is its own. */
  (void)weft__sys_kill(z->pid, SIGCONT);
  /* ECHILD: the program reaps all children itself, or ignores SIGCHLD. */
  while (weft__sys_wait4(z->pid, NULL, 0, NULL) == WEFT_EINTR) continue;
}
