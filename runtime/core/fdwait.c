#include "core/fdwait.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include <weft/errors.h>

#include "base/annotate.h"
#include "base/memory.h"
#include "base/sim.h"
#include "base/sim_net.h"
#include "core/descriptor.h"
#include "core/park.h"
#include "core/pollset.h"
#include "core/ready.h"
#include "core/worker.h"

_Static_assert((int)WEFT__FD_READ == (int)WEFT__CAN_READ &&
                   (int)WEFT__FD_WRITE == (int)WEFT__CAN_WRITE,
               "what a poll set tells is what was asked for");

/* ---- the numbers ---- */

/* Of the process, and never given back: an event may come at any time. As many as there were numbers. */
struct weft__waited {
  struct weft__waited *next; /* in its bucket; written once, before it is there */
  int fd;                    /* constant */
  struct weft__spin lock;    /* guards home and waits */
  struct weft__loop *home;   /* whose set was asked last */
  uint16_t age;              /* of the question; an event carries it. As home */
  struct weft__list waits;   /* struct fd_wait, oldest first */
};

/* One wait, on the waiting task's stack. */
struct fd_wait {
  struct weft__list link;  /* guarded by the number's lock, as came; self-linked when it is over */
  struct weft__task *task; /* constant, as the next two */
  struct weft__loop *home;
  unsigned events;
  unsigned came;
};

enum { BUCKETS = 1024 };

/* Each bucket is a list that only grows, at its front: release by who adds, acquire by who looks. */
static weft__atomic_ptr buckets[BUCKETS];

static struct weft__waited *find(int fd, void *first) {
  struct weft__waited *f = first;
  while (f && f->fd != fd) f = f->next;
  return f;
}

/* Seldom: each number is new once. */
static int new_number(struct weft__waited **ret, int fd, weft__atomic_ptr *bucket) {
  static struct weft__spin lock; /* guards the writing of all buckets */
  weft__spin_lock(&lock);
  void *first = weft__load_acquire_ptr(bucket);
  struct weft__waited *f = find(fd, first);
  if (!f) {
    f = weft__alloc_for_good(sizeof *f);
    if (f) {
      f->fd = fd;
      f->next = first;
      weft__list_init(&f->waits);
      weft__store_release_ptr(bucket, f);
    }
  }
  weft__spin_unlock(&lock);
  *ret = f;
  return f ? 0 : WEFT_ENOMEM;
}

static int number(struct weft__waited **ret, int fd) {
  weft__atomic_ptr *bucket = &buckets[(unsigned)fd % BUCKETS];
  *ret = find(fd, weft__load_acquire_ptr(bucket));
  return *ret ? 0 : new_number(ret, fd, bucket);
}

/* ---- waking ---- */

#define EACH_WAIT(w, f)                                                                            \
  for (struct weft__list *l = (f)->waits.next, *n_ = l->next; l != &(f)->waits;                    \
       l = n_, n_ = l->next)                                                                       \
    for (struct fd_wait *w = weft__container_of(l, struct fd_wait, link); w; w = NULL)

/* Asks for what those that are left wait for. */
static int ask(struct weft__waited *f) {
  uint32_t mask = 0;
  EACH_WAIT(w, f) {
    mask |= (w->events & WEFT__FD_READ ? EPOLLIN : 0) | (w->events & WEFT__FD_WRITE ? EPOLLOUT : 0);
  }
  return mask ? weft__pollset_ask(&f->home->set, f->fd, f, ++f->age, mask) : 0;
}

/* Takes the wait off the list; tells whether its task is the caller's to make ready. */
static bool wake(struct fd_wait *w, unsigned came) {
  struct weft__task *t = w->task;
  weft__list_remove(&w->link);
  w->came = came;
  return weft__claim_win(&t->word, w->task->wait.ticket, WEFT__BY_EVENT) == WEFT__WON_PARKED;
}

/* Wakes those that wait for one of the events; the chain of their tasks. */
static struct weft__task *wake_all(struct weft__waited *f, unsigned events) {
  struct weft__task *chain = NULL;
  EACH_WAIT(w, f) {
    unsigned came = w->events & events;
    struct weft__task *t = w->task;
    if (!came || !wake(w, came)) continue;
    t->link[WEFT__LINK_READY] = chain;
    chain = t;
  }
  return chain;
}

/* Should the kernel refuse to be asked again, those that are left look for themselves. */
void weft__waited_event(struct weft__waited *f, uint16_t age, unsigned events) {
  weft__spin_lock(&f->lock);
  /* Of a question that has been asked anew since: the kernel answers that one. */
  if (age != f->age) {
    weft__spin_unlock(&f->lock);
    return;
  }
  struct weft__task *chain = wake_all(f, events);
  struct weft__task *rest = NULL;
  if (f->home && !weft__list_empty(&f->waits) && ask(f) < 0)
    rest = wake_all(f, WEFT__FD_READ | WEFT__FD_WRITE);
  weft__spin_unlock(&f->lock);
  weft__make_ready_chain(chain);
  weft__make_ready_chain(rest);
}

void weft__waited_leave_home(struct weft__loop *home) {
  for (unsigned i = 0; i < BUCKETS; i++)
    for (struct weft__waited *f = weft__load_acquire_ptr(&buckets[i]); f; f = f->next) {
      weft__spin_lock(&f->lock);
      struct weft__task *chain = NULL;
      if (f->home == home) {
        f->home = NULL;
        chain = wake_all(f, WEFT__FD_READ | WEFT__FD_WRITE);
      }
      weft__spin_unlock(&f->lock);
      weft__make_ready_chain(chain);
    }
}

/* ---- waiting ---- */

/* The home of a wait counts it: while there are any its driver sleeps where events come from. */
static int begin(struct weft__waited *f, struct fd_wait *w) {
  weft__spin_lock(&f->lock);
  if (!f->home) f->home = weft__descriptor_home();
  weft__list_push_back(&f->waits, &w->link);
  int r = ask(f);
  if (r < 0) weft__list_remove(&w->link);
  if (r == 0) weft__pollset_raise(&f->home->set);
  w->home = f->home;
  weft__spin_unlock(&f->lock);
  return r;
}

static void end(struct weft__waited *f, struct fd_wait *w) {
  weft__spin_lock(&f->lock);
  weft__list_remove(&w->link);
  if (f->home == w->home) weft__pollset_lower(&f->home->set);
  weft__spin_unlock(&f->lock);
}

static int wait_real(struct weft__task *t, struct fd_wait *w, int fd, uint64_t deadline) {
  struct weft__waited *f;
  int r = number(&f, fd);
  if (r == 0) r = weft__wait_open(t, false, &t->wait.ticket);
  if (r < 0) return r;
  w->task = t;
  weft__waits_for(t, &weft__waits_fd, NULL);
  r = begin(f, w);
  if (r < 0) {
    weft__wait_abort(t, w->task->wait.ticket);
    return r;
  }
  weft__loop_watches(w->home);
  r = weft__wait_park(t, w->task->wait.ticket, deadline);
  end(f, w);
  return r;
}

/* ---- the same in a simulated network ---- */

struct simulated {
  struct weft__sim_watch watch;
  struct weft__task *task;
};

static void on_simulated(struct weft__sim_watch *watch) {
  struct simulated *s = weft__container_of(watch, struct simulated, watch);
  struct weft__task *t = s->task;
  weft__ticket ticket = t->wait.ticket;
  /* The last look at s: a waiter whose claim is lost may leave from here. */
  weft__note_poll_asked(t);
  if (weft__claim_win(&t->word, ticket, WEFT__BY_EVENT) == WEFT__WON_PARKED) weft__make_ready(t);
}

static int wait_simulated(struct weft__task *t, struct fd_wait *w, int fd, uint64_t deadline) {
  struct weft__loop *here = weft__self()->loop;
  struct simulated s = {.task = t};
  int r = weft__wait_open(t, false, &t->wait.ticket);
  if (r < 0) return r;
  weft__waits_for(t, &weft__waits_fd, NULL);
  s.watch.key = weft__loop_key(here);
  s.watch.events = (w->events & WEFT__FD_READ ? POLLIN | POLLRDHUP : 0) |
                   (w->events & WEFT__FD_WRITE ? POLLOUT : 0);
  s.watch.ready = on_simulated;
  r = weft__sim_net_watch(&s.watch, fd);
  if (r < 0) {
    weft__wait_abort(t, t->wait.ticket);
    return r;
  }
  weft__loop_poke(here);
  r = weft__wait_park(t, t->wait.ticket, deadline);
  weft__sim_net_unwatch(&s.watch);
  weft__note_poll_told(t);
  w->came = w->events;
  return r;
}

/* ---- for both ---- */

int weft__fd_wait_events(int fd, int events, uint64_t deadline, int *ret) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (fd < 0) return WEFT_EBADF;
  struct fd_wait w = {.events = (unsigned)events};
  bool simulated = weft__unlikely(weft__sim_here()) && weft__sim_net_owns(fd);
  int r = simulated ? wait_simulated(t, &w, fd, deadline) : wait_real(t, &w, fd, deadline);
  if (r == 0) *ret = (int)w.came;
  return r;
}

int weft__fd_wait_until(int fd, int events, uint64_t deadline) {
  int came;
  return weft__fd_wait_events(fd, events, deadline, &came);
}

int weft__fd_wait(int fd, int events) {
  return weft__fd_wait_until(fd, events, WEFT__NEVER);
}
