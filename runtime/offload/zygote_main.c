/* The zygote's own process. One thread, no locks; everything here belongs to it.
 *
 * A frame on the control channel that is none, or that names a slot there is not, can only mean
 * that the pool's process is corrupt: it ends like a closed channel.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "offload/channel.h"
#include "offload/crew.h"
#include "offload/isolate.h"

/* pid is 0 when the slot has no process. */
struct child {
  pid_t pid;
  int channel; /* a copy of the worker's end, for BORN and DEATH */
};

struct zygote {
  const struct weft__crew *crew;
  int control;
  int sigchld; /* signalfd */
  int floor;   /* its descriptors have numbers from here on, see isolate.h */
  struct child children[WEFT__PROCPOOL_MAX];
};

/* False when the channel is full of a worker's garbage, or the kernel short of memory. A death that
 * cannot be told is seen by the pool as the end of the channel. */
static bool tell(int channel, struct weft__frame f) {
  return weft__frame_send(channel, &f, -1, MSG_DONTWAIT) == 0;
}

static uint32_t how_it_died(int status) {
  return WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 256u + (uint32_t)WEXITSTATUS(status);
}

static void bury(struct zygote *z, pid_t pid, int status) {
  for (unsigned slot = 0; slot < z->crew->workers; slot++) {
    struct child *c = &z->children[slot];
    if (c->pid != pid) continue;
    (void)tell(c->channel, (struct weft__frame){.kind = WEFT__FRAME_DEATH,
                                                .slot = slot,
                                                .pid = pid,
                                                .how = how_it_died(status)});
    weft__sys_close(c->channel);
    c->pid = 0;
    return;
  }
}

/* Reaps what is dead; with options 0 it waits until all are. */
static void reap(struct zygote *z, int options) {
  for (;;) {
    int status;
    pid_t pid = weft__sys_wait4(-1, &status, options, NULL);
    if (pid > 0)
      bury(z, pid, status);
    else if (pid != WEFT_EINTR)
      return;
  }
}

static void kill_child(struct zygote *z, unsigned slot) {
  if (z->children[slot].pid != 0) (void)weft__sys_kill(z->children[slot].pid, SIGKILL);
}

static void spawn(struct zygote *z, unsigned slot, int channel) {
  struct child *c = &z->children[slot];
  if (c->pid != 0) { /* the pool gave up on this one without seeing its death */
    int status = SIGKILL;
    kill_child(z, slot);
    while (weft__sys_wait4(c->pid, &status, 0, NULL) == WEFT_EINTR) continue;
    bury(z, c->pid, status);
  }
  pid_t pid = weft__sys_fork();
  if (pid == 0) weft__procworker_main(z->crew, slot, channel, z->floor);
  if (pid < 0) {
    (void)tell(channel,
               (struct weft__frame){.kind = WEFT__FRAME_STILLBORN, .slot = slot, .code = pid});
    weft__sys_close(channel);
    return;
  }
  *c = (struct child){.pid = pid, .channel = channel};
  struct weft__frame born = {.kind = WEFT__FRAME_BORN, .slot = slot, .pid = pid};
  if (!tell(channel, born)) kill_child(z, slot); /* its death is told instead, or seen */
}

static void admit(struct zygote *z, unsigned slot, int channel) {
  int lifted = weft__isolate_lift(channel, z->floor);
  if (lifted >= 0) spawn(z, slot, lifted); /* else the pool sees the end of the channel */
}

/* False when the pool is gone. */
static bool obey(struct zygote *z) {
  struct weft__frame f;
  int channel;
  if (weft__frame_recv(z->control, &f, &channel) <= 0) return false;
  if (f.slot >= z->crew->workers) return false;
  if (f.kind == WEFT__FRAME_KILL)
    kill_child(z, f.slot);
  else if (f.kind == WEFT__FRAME_SPAWN && channel >= 0)
    admit(z, f.slot, channel);
  else
    return false;
  return true;
}

static void serve(struct zygote *z) {
  struct pollfd fds[] = {{.fd = z->control, .events = POLLIN},
                         {.fd = z->sigchld, .events = POLLIN}};
  for (;;) {
    if (weft__sys_poll(fds, 2, -1) < 0) continue; /* EINTR, or short of memory for a moment */
    if (fds[1].revents != 0) {
      struct signalfd_siginfo info;
      /* One signal may stand for several deaths: read it first, then reap all there are. */
      (void)weft__sys_read(z->sigchld, &info, sizeof info);
      reap(z, WNOHANG);
    }
    if (fds[0].revents != 0 && !obey(z)) return;
  }
}

/* Everything that may fail before the first request. */
static bool set_up(struct zygote *z) {
  sigset_t sigchld;
  weft__isolate_stdio();
  weft__isolate_signals();
  sigemptyset(&sigchld);
  sigaddset(&sigchld, SIGCHLD);
  sigprocmask(SIG_BLOCK, &sigchld, NULL);
  /* Its own two, one while it is received, one copy for each worker, and some for what libraries
   * open at a fork. */
  z->floor = weft__isolate_floor((int)z->crew->workers + 16);
  if (z->floor < 0) return false;
  z->control = weft__isolate_lift(z->control, z->floor);
  if (z->control < 0 || weft__isolate_fds(3, z->control) < 0) return false;
  z->sigchld = signalfd(-1, &sigchld, SFD_CLOEXEC | SFD_NONBLOCK);
  if (z->sigchld < 0) return false;
  z->sigchld = weft__isolate_lift(z->sigchld, z->floor);
  return z->sigchld >= 0;
}

_Noreturn void weft__zygote_main(const struct weft__crew *crew, int control) {
  struct zygote z = {.crew = crew, .control = control};
  (void)setpgid(0, 0);
  (void)prctl(PR_SET_NAME, "weft-zygote");
  if (!set_up(&z)) _exit(WEFT__EXIT_SETUP);
  serve(&z);
  for (unsigned slot = 0; slot < crew->workers; slot++) kill_child(&z, slot);
  reap(&z, 0);
  _exit(WEFT__EXIT_CLOSED);
}
