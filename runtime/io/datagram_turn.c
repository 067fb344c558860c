/* Datagram sockets: who may try, who waits, and when it tries again. */
#include "io/datagram.h"

#include "aio/lock.h"
#include "base/clock.h"
#include "core/park.h"
#include "core/waitkind.h"
#include "io/addr.h"

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
  if (weft__unlikely(!d)) return WEFT_EINVAL;
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

static ssize_t send_in_turn(struct weft__descriptor *io, weft__datagram_try try, void *call) {
  for (;;) {
    if (is_closed(io)) return WEFT_ECLOSED;
    (void)weft__descriptor_take(io, WEFT__OUT);
    ssize_t n = try_again(weft__descriptor_fd(io), try, call);
    if (n != WEFT_EAGAIN) return n;
    int r = weft__descriptor_wait(io, WEFT__OUT, WEFT__NEVER);
    if (r < 0) return r;
  }
}

ssize_t weft__datagram_send(weft_datagram *d, struct weft__task *t, weft__datagram_try try,
                            void *call) {
  if (weft__unlikely(!d)) return WEFT_EINVAL;
  ssize_t n = weft__descriptor_enter(d->io);
  if (n < 0) return n;
  n = WEFT_EAGAIN;
  if (weft__likely(!weft_lock_locked(&d->senders)))
    n = try_again(weft__descriptor_fd(d->io), try, call);
  if (weft__unlikely(n == WEFT_EAGAIN)) {
    n = take_turn(&d->senders, t);
    if (n == 0) {
      n = send_in_turn(d->io, try, call);
      weft_lock_release(&d->senders);
    }
  }
  weft__descriptor_leave(d->io);
  return n;
}

/* ---- to a receiver that tells nobody when it has room ---- */

static const struct weft__wait_kind a_receiver = {"a datagram's receiver to have room"};

/* One that waits for the receiver `to`. On the stack of its task. */
struct patient {
  struct weft__list link; /* in d->patients, in the order in which they came; patience */
  const weft_addr *to;
};

static bool is_same(const weft_addr *a, const weft_addr *b) {
  return a->len == b->len && memcmp(weft__sa(a), weft__sa(b), a->len) == 0;
}

/* With the lock: nobody who came earlier waits for the same. `me` NULL: somebody new. */
static bool is_first(weft_datagram *d, const struct patient *me, const weft_addr *to) {
  weft__list_foreach(l, &d->patients) {
    const struct patient *p = weft__container_of(l, struct patient, link);
    if (p == me) break;
    if (is_same(p->to, to)) return false;
  }
  return true;
}

/* Those who wait for one receiver send in turn, and hold up nobody who sends to another. */
static ssize_t try_until_room(weft_datagram *d, weft__datagram_try try, void *call,
                              const struct patient *me) {
  uint64_t pause = FIRST_PAUSE;
  for (;;) {
    weft__spin_lock(&d->patience);
    if (is_closed(d->io)) {
      weft__spin_unlock(&d->patience);
      return WEFT_ECLOSED;
    }
    int r = weft__waitq_wait_until(&d->pauses, &d->patience, &a_receiver, d, weft__now() + pause);
    if (r < 0 && r != WEFT_ETIMEDOUT) return r;
    if (r < 0 && pause < LAST_PAUSE) pause *= 2;
    weft__spin_lock(&d->patience);
    bool mine = is_first(d, me, me->to);
    weft__spin_unlock(&d->patience);
    if (!mine || is_closed(d->io)) continue;
    ssize_t n = try_again(weft__descriptor_fd(d->io), try, call);
    if (n != WEFT_EAGAIN) return n;
  }
}

void weft__datagram_wake_patients(weft_datagram *d) {
  weft__spin_lock(&d->patience);
  while (weft__waitq_wake_one(&d->pauses)) {}
  weft__spin_unlock(&d->patience);
}

static ssize_t wait_and_send(weft_datagram *d, weft__datagram_try try, void *call,
                             const weft_addr *to) {
  struct patient me = {.to = to};
  weft__spin_lock(&d->patience);
  weft__list_push_back(&d->patients, &me.link);
  weft__spin_unlock(&d->patience);
  ssize_t n = try_until_room(d, try, call, &me);
  weft__spin_lock(&d->patience);
  weft__list_remove(&me.link);
  weft__spin_unlock(&d->patience);
  weft__datagram_wake_patients(d); /* the next one's turn */
  return n;
}

ssize_t weft__datagram_send_patiently(weft_datagram *d, weft__datagram_try try, void *call,
                                      const weft_addr *to) {
  ssize_t n = weft__descriptor_enter(d->io);
  if (n < 0) return n;
  weft__spin_lock(&d->patience);
  bool first = is_first(d, NULL, to);
  weft__spin_unlock(&d->patience);
  n = first ? try_again(weft__descriptor_fd(d->io), try, call) : WEFT_EAGAIN;
  if (n == WEFT_EAGAIN) n = wait_and_send(d, try, call, to);
  weft__descriptor_leave(d->io);
  return n;
}

ssize_t weft__datagram_now(weft_datagram *d, weft__datagram_try try, void *call) {
  if (weft__unlikely(!d)) return WEFT_EINVAL;
  ssize_t n = weft__descriptor_enter(d->io);
  if (n < 0) return n;
  n = try_again(weft__descriptor_fd(d->io), try, call);
  weft__descriptor_leave(d->io);
  return n;
}
