/* Datagram sockets: who may try, who waits, and when it tries again. */
#include "io/datagram.h"

#include "aio/lock.h"
#include "base/clock.h"
#include "core/park.h"

/* Of a wait for a receiver that tells nobody: the first pause, and the longest. */
#define FIRST_PAUSE WEFT__NS_PER_MS
#define LAST_PAUSE (32 * WEFT__NS_PER_MS)

static int take_turn(weft_lock *lock, struct weft__task *t) {
  struct weft__lock *l = weft__lock_of(lock);
  uint64_t free = 0;
  if (weft__likely(weft__cas_u64(&l->sync.word, &free, weft__holder_self(t)))) return 0;
  return weft__lock_take(l, t, false);
}

/* Whoever had the turn before may have been ended by the close. */
static bool is_closed(const struct weft__descriptor *io) {
  return weft__load_relaxed_u32(&io->calls) & WEFT__DESCRIPTOR_CLOSED;
}

static ssize_t try_again(int fd, weft__datagram_try try, void *call) {
  ssize_t n;
  do n = try(fd, call);
  while (weft__unlikely(n == WEFT_EINTR));
  return n;
}

/* One datagram more or less: there may always be another one, or an error. */
static ssize_t receive_in_turn(struct weft__descriptor *io, weft__datagram_try try, void *call) {
  for (;;) {
    if (!weft__descriptor_take(io, WEFT__IN)) {
      int r = weft__descriptor_wait(io, WEFT__IN, WEFT__NEVER);
      if (r < 0) return r;
    }
    ssize_t n = is_closed(io) ? WEFT_ECLOSED : try_again(weft__descriptor_fd(io), try, call);
    if (n == WEFT_EAGAIN) continue;
    weft__descriptor_more(io, WEFT__IN);
    return n;
  }
}

ssize_t weft__datagram_receive(weft_datagram *d, struct weft__task *t, weft__datagram_try try,
                               void *call) {
  ssize_t n = weft__descriptor_enter(d->io);
  if (n < 0) return n;
  n = take_turn(&d->receivers, t);
  if (n == 0) {
    n = receive_in_turn(d->io, try, call);
    weft_lock_release(&d->receivers);
  }
  weft__descriptor_leave(d->io);
  return n;
}

/* Until there may be room: 0, also when it is only worth another try. */
static int wait_for_room(struct weft__descriptor *io, uint64_t *pause) {
  if (*pause == 0) return weft__descriptor_wait(io, WEFT__OUT, WEFT__NEVER);
  int r = weft__descriptor_wait(io, WEFT__OUT, weft__now() + *pause);
  if (r != WEFT_ETIMEDOUT) return r;
  if (*pause < LAST_PAUSE) *pause *= 2;
  return 0;
}

static ssize_t send_in_turn(struct weft__descriptor *io, weft__datagram_try try, void *call,
                            bool patient) {
  uint64_t pause = patient ? FIRST_PAUSE : 0;
  for (;;) {
    if (is_closed(io)) return WEFT_ECLOSED;
    (void)weft__descriptor_take(io, WEFT__OUT);
    ssize_t n = try_again(weft__descriptor_fd(io), try, call);
    if (n != WEFT_EAGAIN) return n;
    int r = wait_for_room(io, &pause);
    if (r < 0) return r;
  }
}

ssize_t weft__datagram_send(weft_datagram *d, struct weft__task *t, weft__datagram_try try,
                            void *call, bool patient) {
  ssize_t n = weft__descriptor_enter(d->io);
  if (n < 0) return n;
  n = WEFT_EAGAIN;
  if (weft__likely(!weft_lock_locked(&d->senders)))
    n = try_again(weft__descriptor_fd(d->io), try, call);
  if (weft__unlikely(n == WEFT_EAGAIN)) {
    n = take_turn(&d->senders, t);
    if (n == 0) {
      n = send_in_turn(d->io, try, call, patient);
      weft_lock_release(&d->senders);
    }
  }
  weft__descriptor_leave(d->io);
  return n;
}

ssize_t weft__datagram_now(weft_datagram *d, weft__datagram_try try, void *call) {
  ssize_t n = weft__descriptor_enter(d->io);
  if (n < 0) return n;
  n = try_again(weft__descriptor_fd(d->io), try, call);
  weft__descriptor_leave(d->io);
  return n;
}
