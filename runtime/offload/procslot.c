#include "offload/procslot.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/sim.h"
#include "base/clock.h"
#include "base/sys.h"
#include "core/fdwait.h"
#include "core/park.h"
#include "offload/channel.h"
#include "offload/orphan.h"

/* For poll: rounded up, and often enough when it is far away. */
static int ms_until(uint64_t deadline) {
  uint64_t now = weft__now();
  if (deadline == WEFT__NEVER) return -1;
  if (deadline <= now) return 0;
  uint64_t ms = (deadline - now - 1) / WEFT__NS_PER_MS + 1;
  return ms < INT_MAX ? (int)ms : INT_MAX;
}

int weft__procslot_block(int fd, int events, uint64_t deadline) {
  struct pollfd p = {.fd = fd, .events = events & WEFT__FD_WRITE ? POLLOUT : POLLIN};
  int r;
  do {
    r = weft__sys_poll(&p, 1, ms_until(deadline));
    if (r == 0 && weft__sim_here()) break; /* that clock stands still */
  } while (r == WEFT_EINTR || (r == 0 && weft__now() < deadline));
  return r < 0 ? r : r > 0 ? 0 : WEFT_ETIMEDOUT;
}

void weft__procslot_init(struct weft__procslot *s, unsigned index) {
  *s = (struct weft__procslot){.index = index, .channel = -1};
  weft__list_init(&s->idle);
}

static void make_empty(struct weft__procslot *s) {
  weft__sys_close(s->channel);
  s->channel = -1;
}

void weft__procslot_fini(struct weft__procslot *s) {
  if (s->channel >= 0) make_empty(s);
}

/* Receives the next frame, waiting if there is none. 1, 0 at the end, WEFT_EPROTO for what is no
 * frame, or what ended the wait. */
static int next_frame(struct weft__procslot *s, struct weft__frame *ret, weft__wait_fn wait,
                      uint64_t deadline) {
  for (;;) {
    int r = weft__frame_recv(s->channel, ret, NULL);
    if (r == WEFT_EAGAIN)
      r = wait(s->channel, WEFT__FD_READ, deadline);
    else
      return r;
    if (r < 0) return r;
  }
}

/* How often one who waits for a death looks whether the zygote lives. */
#define LOOK_NS (20 * WEFT__NS_PER_MS)

int weft__procslot_request(struct weft__procslot *s, const struct weft__zygote *z) {
  WEFT__ASSERT(s->channel < 0);
  return weft__zygote_spawn(z, s->index, &s->channel);
}

int weft__procslot_birth(struct weft__procslot *s, weft__wait_fn wait) {
  struct weft__frame f;
  int r = next_frame(s, &f, wait, WEFT__NEVER);
  if (r == 1 && f.kind == WEFT__FRAME_BORN) {
    s->pid = f.pid;
    s->dead = false;
    return 0;
  }
  make_empty(s);
  if (r == 1 && f.kind == WEFT__FRAME_STILLBORN) return f.code;
  return r < 0 && r != WEFT_EPROTO ? r : WEFT_EPROC;
}

static bool is_answer(const struct weft__procslot *s, const struct weft__proccall *call,
                      const struct weft__frame *f) {
  return f->kind == WEFT__FRAME_ANSWER && f->seq == s->seq && f->out_len <= call->out_cap;
}

static void note_death(struct weft__procslot *s, const struct weft__frame *f) {
  s->dead = true;
  s->how = f->how;
}

int weft__procslot_call(struct weft__procslot *s, struct weft__proccall *call, weft__wait_fn wait) {
  struct weft__frame f = {.kind = WEFT__FRAME_CALL,
                          .job = call->job,
                          .seq = ++s->seq,
                          .in_len = call->in_len,
                          .out_len = call->out_cap};
  /* The channel is empty between calls, so it cannot be full: any failure means a lost process. */
  if (weft__frame_send(s->channel, &f, -1, MSG_DONTWAIT) < 0) return 0;
  /* No look before the wait: an answer takes longer than a return from send. */
  int r = wait(s->channel, WEFT__FD_READ, WEFT__NEVER);
  if (r == 0)
    r = next_frame(s, &f, wait, WEFT__NEVER);
  else
    WEFT__ASSERT(r < 0);
  if (r == 1 && is_answer(s, call, &f)) {
    call->code = f.code;
    call->out_len = (size_t)f.out_len;
    return 1;
  }
  if (r == 1 && f.kind == WEFT__FRAME_DEATH) note_death(s, &f);
  return r == 1 || r == WEFT_EPROTO ? 0 : r;
}

static void kill_without_zygote(struct weft__procslot *s) {
  weft__orphan_kill(s->pid, s->channel);
  s->dead = true;
  s->how = SIGKILL;
}

uint32_t weft__procslot_bury(struct weft__procslot *s, const struct weft__zygote *z,
                             weft__wait_fn wait) {
  WEFT__ASSERT(s->channel >= 0);
  if (!s->dead && weft__zygote_kill(z, s->index) < 0) kill_without_zygote(s);
  while (!s->dead) {
    struct weft__frame f;
    int r = next_frame(s, &f, wait, weft__now() + LOOK_NS);
    if (r == 1 && f.kind == WEFT__FRAME_DEATH) {
      note_death(s, &f);
    } else if (r == WEFT_ETIMEDOUT) {
      /* It may have died with the request unread: nobody kills the process then. */
      if (weft__zygote_gone(z)) kill_without_zygote(s);
    } else if (r == 0 || (r < 0 && r != WEFT_EPROTO && wait == weft__procslot_block)) {
      /* The zygote could not say it, or is gone, or nothing can be heard of it. It waits for the
       * process's end before it makes the slot's next one. */
      s->dead = true;
      s->how = SIGKILL;
    } else if (r < 0 && r != WEFT_EPROTO) {
      wait = weft__procslot_block;
    }
  }
  make_empty(s);
  return s->how;
}

bool weft__procslot_begun(const struct weft__procslot *s, const struct weft__area *area) {
  return weft__load_acquire_u64(weft__area_begun(area, s->index)) == s->seq;
}
