#include "core/pollset.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/sys.h"
#include "core/descriptor.h"
#include "core/fdwait.h"
#include "core/worker.h"

enum {
  EVENTS = 256,
  AHEAD = 4,                  /* so many events before its own a descriptor is fetched */
  LOAD_NS = 10 * 1000 * 1000, /* how long the load is measured */
  FULL_PART = 4,              /* a set is full when looks take more than one part in so many */
};

/* What an event carries: nothing for the bell; else the address, which is aligned and has no bits above the
 * lower 48, the kind below it and the age above. */
enum { BELL = 0, KIND_MASK = 1, AGE_SHIFT = 48 };

static uint64_t tag(const void *object, enum weft__poll_kind kind, uint16_t age) {
  return (uint64_t)(uintptr_t)object | kind | (uint64_t)age << AGE_SHIFT;
}

static void *tag_object(uint64_t t) {
  return (void *)(uintptr_t)(t & (((uint64_t)1 << AGE_SHIFT) - 1) & ~(uint64_t)KIND_MASK);
}

static int add(struct weft__pollset *s, int op, int fd, uint32_t events, uint64_t data) {
  struct epoll_event e = {.events = events, .data.u64 = data};
  return weft__sys_epoll_ctl(s->fd, op, fd, &e);
}

int weft__pollset_init(struct weft__pollset *s) {
  *s = (struct weft__pollset){.bell = -1};
  weft__store_relaxed_u64(&s->load.since, weft__now_fast());
  int r = weft__sys_epoll_create1(EPOLL_CLOEXEC);
  if (r < 0) return r;
  s->fd = r;
  r = weft__sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (r >= 0) {
    s->bell = r;
    r = add(s, EPOLL_CTL_ADD, s->bell, EPOLLIN, BELL);
  }
  if (r < 0) weft__pollset_fini(s);
  return r;
}

void weft__pollset_fini(struct weft__pollset *s) {
  if (s->bell >= 0) weft__sys_close(s->bell);
  weft__sys_close(s->fd);
}

/* One that has been waited for by its number is in the set already. */
int weft__pollset_add(struct weft__pollset *s, int fd, void *descriptor, uint16_t age) {
  uint32_t events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  uint64_t data = tag(descriptor, WEFT__POLL_DESCRIPTOR, age);
  int r = add(s, EPOLL_CTL_ADD, fd, events, data);
  if (r == WEFT_EEXIST) r = add(s, EPOLL_CTL_MOD, fd, events, data);
  if (r == 0) weft__pollset_raise(s);
  return r;
}

void weft__pollset_raise(struct weft__pollset *s) {
  weft__add_u32(&s->watched, 1);
}

void weft__pollset_lower(struct weft__pollset *s) {
  weft__sub_u32(&s->watched, 1);
}

/* The number may stand for another file than the last time, or for none that was waited for. */
int weft__pollset_ask(struct weft__pollset *s, int fd, void *waited, uint16_t age, uint32_t mask) {
  uint32_t events = mask | EPOLLONESHOT | (mask & EPOLLIN ? EPOLLRDHUP : 0);
  uint64_t data = tag(waited, WEFT__POLL_WAITED, age);
  int r = add(s, EPOLL_CTL_MOD, fd, events, data);
  if (r == WEFT_ENOENT) r = add(s, EPOLL_CTL_ADD, fd, events, data);
  return r;
}

static void tell(const struct epoll_event *e) {
  void *object = tag_object(e->data.u64);
  bool broken = e->events & (EPOLLHUP | EPOLLERR);
  unsigned ways = (broken || e->events & (EPOLLIN | EPOLLRDHUP) ? WEFT__CAN_READ : 0) |
                  (broken || e->events & EPOLLOUT ? WEFT__CAN_WRITE : 0) |
                  (e->events & (EPOLLHUP | EPOLLRDHUP) ? WEFT__HAS_ENDED : 0) |
                  (e->events & EPOLLPRI ? WEFT__HAS_URGENT : 0);
  if ((e->data.u64 & KIND_MASK) == WEFT__POLL_DESCRIPTOR)
    weft__descriptor_event(object, (uint16_t)(e->data.u64 >> AGE_SHIFT), ways);
  else
    weft__waited_event(object, (uint16_t)(e->data.u64 >> AGE_SHIFT), ways);
}

/* Whether the bell was rung. An error (a signal came) is no event. */
static bool tell_all(const struct epoll_event *events, int n) {
  bool rung = false;
  for (int i = 0; i < n; i++) {
    /* With a thousand connections none of them is in the cache. */
    if (i + AHEAD < n) __builtin_prefetch(tag_object(events[i + AHEAD].data.u64), 1);
    if (events[i].data.u64 == BELL)
      rung = true;
    else
      tell(&events[i]);
  }
  return rung;
}

/* Adds a look to the load, and begins a new period when one is over. */
static void spent(struct weft__pollset_load *l, uint64_t from, uint64_t now) {
  uint64_t ns = weft__load_relaxed_u64(&l->spent) + (now - from);
  uint64_t period = now - weft__load_relaxed_u64(&l->since);
  if (period >= LOAD_NS) {
    weft__store_relaxed_u32(&l->full, ns > period / FULL_PART);
    weft__store_relaxed_u64(&l->since, now);
    ns = 0;
  }
  weft__store_relaxed_u64(&l->spent, ns);
}

bool weft__pollset_full(const struct weft__pollset *s) {
  if (!weft__load_relaxed_u32(&s->load.full)) return false;
  return weft__now_fast() - weft__load_relaxed_u64(&s->load.since) < 2 * LOAD_NS;
}

/* The n events of a look that began then, and came back at `now`. Whether the bell was rung. */
static bool tell_burst(struct weft__pollset *s, const struct epoll_event *events, int n,
                       uint64_t from, uint64_t now) {
  struct weft__worker *w = weft__self();
  weft__store_relaxed_u64(&s->looked_at, now);
  if (w) weft__burst_begin(w, now);
  bool rung = tell_all(events, n);
  if (w) weft__burst_end(w);
  spent(&s->load, from, weft__now_fast());
  return rung;
}

void weft__pollset_look(struct weft__pollset *s) {
  struct epoll_event events[EVENTS];
  uint64_t from = weft__now_fast();
  int n = weft__sys_epoll_wait(s->fd, events, EVENTS, 0);
  tell_burst(s, events, n, from, weft__now_fast());
}

static int wait_for(struct weft__pollset *s, struct epoll_event *events, uint64_t deadline) {
  if (deadline == UINT64_MAX) return weft__sys_epoll_wait(s->fd, events, EVENTS, -1);
  uint64_t now = weft__now();
  if (deadline <= now) return weft__sys_epoll_wait(s->fd, events, EVENTS, 0);
  uint64_t ns = deadline - now;
  struct timespec timeout = {(time_t)(ns / WEFT__NS_PER_SEC), (long)(ns % WEFT__NS_PER_SEC)};
  return weft__sys_epoll_wait_ns(s->fd, events, EVENTS, &timeout);
}

void weft__pollset_wait(struct weft__pollset *s, uint64_t deadline) {
  struct epoll_event events[EVENTS];
  uint64_t rings;
  int n = wait_for(s, events, deadline);
  uint64_t now = weft__now_fast(); /* the wait is no work */
  if (!tell_burst(s, events, n, now, now)) return;
  /* Not through the seam, as the write: no test may make a ring fail. */
  (void)eventfd_read(s->bell, &rings);
  weft__ring_heard(s);
}

void weft__pollset_ring(struct weft__pollset *s) {
  (void)eventfd_write(s->bell, 1);
}
