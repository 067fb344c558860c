/* Accepting. */
#include "io/listener.h"

#include <linux/filter.h>

#include "base/clock.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/report.h"
#include "core/room.h"
#include "core/self.h"
#include "core/worker.h"
#include "io/addr.h"
#include "io/stream.h"

int weft__listener_enter(weft_listener *l) {
  int r = weft__descriptor_enter(l->d);
  if (r < 0) return r;
  if (!weft__xchg_u32(&l->accepting, 1)) return 0;
  weft__descriptor_leave(l->d);
  return WEFT_EBUSY;
}

void weft__listener_leave(weft_listener *l) {
  weft__listener_hear(l); /* before the close: forks of this process may have the socket, too */
  weft__store_release_u32(&l->accepting, 0);
  weft__descriptor_leave(l->d);
}

static bool is_closed(weft_listener *l) {
  return weft__load_acquire_u32(&l->closed) != 0;
}

static bool is_hasty(weft_listener *l) {
  return weft__load_acquire_u32(&l->hasty) != 0;
}

/* Only while it waits for the last ones: no handshake begins any more then; those that have begun end, and are
 * accepted, if there is time for that. (Where nothing filters, some begin that the close resets.) The kernel
 * drops what asks for a connection, and it is asked again a second later: so never while nobody accepts, nor
 * where others accept at the same port. A Unix socket is found by its file, which is gone. */
static void become_deaf(weft_listener *l) {
  enum { FLAGS_AT = 13, SYN = 2 }; /* in the header of a segment, with which it begins here */
  struct sock_filter drop_syn[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  const struct sock_fprog program = {.len = 4, .filter = drop_syn};
  if (!l->alone || l->deaf) return;
  l->deaf = weft__sys_setsockopt(weft__descriptor_fd(l->d), SOL_SOCKET, SO_ATTACH_FILTER, &program,
                                 sizeof program) == 0;
}

void weft__listener_hear(weft_listener *l) {
  const int unused = 0;
  if (!l->deaf) return;
  l->deaf = false;
  (void)weft__sys_setsockopt(weft__descriptor_fd(l->d), SOL_SOCKET, SO_DETACH_FILTER, &unused,
                             sizeof unused);
}

void weft__listener_hurry(weft_listener *l, uint64_t until) {
  weft__store_relaxed_u64(&l->last_call, until);
  weft__store_release_u32(&l->hasty, 1);
  if (weft__descriptor_enter(l->d) == 0) {
    if (!is_closed(l)) weft__listener_unlink(l);
    weft__descriptor_event(l->d, l->d->age, WEFT__CAN_READ);
    weft__descriptor_leave(l->d);
  }
  weft__room_made();
}

/* ---- one connection ---- */

/* Of the client, or of its way here, and not of the socket: the next one may do better. */
static bool of_the_client(int code) {
  switch (code) {
  case WEFT_ECONNABORTED:
  case WEFT_EINTR:
  case WEFT_EPROTO:
  case WEFT_EPERM: /* a firewall */
  case WEFT_ENOPROTOOPT:
  case WEFT_ENETDOWN:
  case WEFT_ENETUNREACH:
  case WEFT_EHOSTDOWN:
  case WEFT_EHOSTUNREACH:
  case WEFT_ENONET:
  case WEFT_ETIMEDOUT:
    return true;
  default:
    return false;
  }
}

bool weft__no_room(int code) {
  return code == WEFT_EMFILE || code == WEFT_ENFILE || code == WEFT_ENOBUFS || code == WEFT_ENOMEM;
}

/* As many as came in a row have been taken: others have a turn. */
static int take_turns(weft_listener *l) {
  if (l->row < l->burst) return 0;
  l->row = 0;
  return weft__yield(weft__current_task());
}

static int call_accept(weft_listener *l) {
  weft__addr_room(&l->from);
  int fd = weft__sys_accept4(weft__descriptor_fd(l->d), &weft__sa(&l->from)->any, &l->from.len,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
  weft__addr_filled(&l->from);
  return fd;
}

/* One for l->kept: 0, WEFT_EAGAIN, or why not. */
static int accept_one(weft_listener *l) {
  if (!weft__descriptor_take(l->d, WEFT__IN)) return WEFT_EAGAIN;
  for (;;) {
    int r = is_closed(l) ? WEFT_ECLOSED : take_turns(l);
    int fd = r < 0 ? r : call_accept(l);
    if (fd == WEFT_EAGAIN) return fd;
    if (fd >= 0 || !of_the_client(fd)) weft__descriptor_more(l->d, WEFT__IN);
    if (fd >= 0) l->kept = fd;
    if (fd >= 0 || of_the_client(fd)) l->row++;
    if (fd >= 0 || !of_the_client(fd)) return fd < 0 ? fd : 0;
  }
}

int weft__listener_take(weft_listener *l, weft_stream **ret, const void *site) {
  int r = l->kept < 0 ? accept_one(l) : 0;
  if (r == WEFT_EAGAIN) l->paused = false;
  if (r < 0) return r;
  /* An accepted client has mostly written already. */
  r = weft__stream_open(ret, l->kept, WEFT__STREAM_SOCKET, WEFT__CAN_READ | WEFT__CAN_WRITE, site);
  if (r == 0) l->kept = -1;
  return r;
}

/* When the time is over one more try is worth it: somebody may have come, and then the end of the time, since
 * the last one. */
int weft__listener_wait(weft_listener *l) {
  uint64_t until = is_hasty(l) ? weft__load_relaxed_u64(&l->last_call) : WEFT__NEVER;
  int r = 0;
  if (weft__now() >= until) {
    if (l->last_try) return WEFT_EAGAIN;
    l->last_try = true;
  } else {
    if (until != WEFT__NEVER) become_deaf(l);
    r = weft__descriptor_wait(l->d, WEFT__IN, until);
    if (r == WEFT_ETIMEDOUT) r = 0;
  }
  /* The try that is worth it is the next take's. */
  if (r == 0) weft__descriptor_more(l->d, WEFT__IN);
  l->row = 0;
  return r;
}

/* ---- no room ---- */

static void report_pause(weft_listener *l, int code) {
  weft_report r = {.kind = WEFT_REPORT_PAUSE, .code = code, .object = l, .object_kind = "listener"};
  char text[WEFT_ADDR_TEXT];
  if (l->paused) return;
  l->paused = true;
  weft_addr_format(&l->addr, text, sizeof text);
  weft__report(weft__self()->rt, NULL, &r, "accepting at %s pauses: %s (%s)", text,
               weft_strerror(code), weft_err_name(code));
}

int weft__listener_pause(weft_listener *l, weft_stream **ret, const void *site, uint64_t deadline) {
  struct weft__room room;
  weft__room_enter(&room);
  int r = weft__listener_take(l, ret, site);
  if (weft__no_room(r) && !is_closed(l)) {
    weft__listener_hear(l);
    report_pause(l, r);
    uint64_t end = weft__now() + (uint64_t)WEFT__ROOM_PAUSE;
    int e = weft__room_wait(&room, end < deadline ? end : deadline);
    r = e < 0 && e != WEFT_ETIMEDOUT ? e : 1;
  }
  weft__room_leave();
  return r;
}

/* ---- for the program ---- */

static int accept_or_wait(weft_listener *l, weft_stream **ret, const void *site) {
  for (;;) {
    int r = weft__listener_take(l, ret, site);
    if (weft__no_room(r)) r = 1;
    while (r == 1) r = weft__listener_pause(l, ret, site, WEFT__NEVER);
    if (r != WEFT_EAGAIN) return r;
    r = weft__listener_wait(l);
    if (r < 0) return r;
  }
}

int weft_accept(weft_listener *l, weft_stream **ret) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!l || !ret) return WEFT_EINVAL;
  int r = weft__checkpoint(t);
  if (r == 0) r = weft__spend(t);
  if (r == 0) r = weft__listener_enter(l);
  if (r == 0) {
    r = accept_or_wait(l, ret, __builtin_return_address(0));
    weft__listener_leave(l);
  }
  return r == WEFT_ECLOSED ? 0 : r < 0 ? r : 1;
}
