#include "core/descriptor.h"

#include <poll.h>
#include <string.h>

#include "base/sim.h"
#include "base/sys.h"
#include "core/descriptor_pool.h"
#include "core/park.h"
#include "core/pollset.h"
#include "core/ready.h"
#include "core/room.h"
#include "core/worker.h"

static const struct weft__wait_kind waits_to_read = {"something to read"};
static const struct weft__wait_kind waits_to_write = {"room to write"};

int weft__descriptor_open(struct weft__descriptor **ret, int fd, unsigned can,
                          void (*gone)(void *owner), void *owner) {
  struct weft__descriptor *d;
  int r = weft__descriptor_alloc(&d);
  if (r < 0) return r;
  /* An event for who had the memory before may be under way. */
  weft__spin_lock(&d->lock);
  d->age++;
  d->fd = fd;
  d->simulated = weft__unlikely(weft__sim_here()) && weft__sim_net_owns(fd);
  d->home = NULL;
  d->gone = gone;
  d->owner = owner;
  weft__list_init(&d->watch.link);
  weft__store_relaxed_u32(&d->said, 0);
  for (int way = 0; way < 2; way++) {
    d->waiter[way] = NULL;
    weft__store_relaxed_u32(&d->ready[way], can >> way & 1);
  }
  weft__store_release_u32(&d->calls, 0);
  weft__spin_unlock(&d->lock);
  *ret = d;
  return 0;
}

/* ---- the home ---- */

/* Fill before spread: the first set takes all until looking into it is work for more than one, since the
 * more of them one look finds the less each costs, and since workers that each sleep in a set of their own
 * wake each for an event or two. The others help by stealing tasks, and by looking in. Then the next set is
 * filled; the one with the fewest when all are full. */
struct weft__loop *weft__descriptor_home(void) {
  struct weft__worker *w = weft__self();
  struct weft__runtime *rt = w->rt;
  struct weft__loop *home = w->loop;
  if (rt->sim || (w->current && w->current->odd & WEFT__PINNED)) return home;
  for (unsigned i = 0; i < rt->nworkers; i++) {
    struct weft__loop *other = &rt->workers[i].own_loop;
    if (!weft__pollset_full(&other->set)) return other;
    if (weft__pollset_watched(&other->set) < weft__pollset_watched(&home->set)) home = other;
  }
  return home;
}

static int find_home(struct weft__descriptor *d) {
  struct weft__loop *home = weft__descriptor_home();
  if (!d->simulated) {
    int r = weft__pollset_add(&home->set, d->fd, d, d->age);
    if (r < 0) return r;
  }
  weft__descriptor_settle(d, home);
  return 0;
}

/* ---- waking ---- */

/* Who has to be made ready once the lock is free. */
struct woken {
  struct weft__task *task[2];
  int n;
};

static void make_ready(const struct woken *woken) {
  for (int i = 0; i < woken->n; i++) weft__make_ready(woken->task[i]);
}

/* What came when nobody could take it is there for the next try. */
static void wake(struct weft__descriptor *d, int way, struct woken *woken) {
  struct weft__waiter *rec = d->waiter[way];
  d->waiter[way] = NULL;
  if (rec && weft__unlikely(rec->gate != NULL)) {
    weft__waiter_fire(rec, 0);
    return;
  }
  if (rec) {
    struct weft__task *t = rec->task;
    switch (weft__claim_win(&t->word, rec->ticket, WEFT__BY_EVENT)) {
    case WEFT__WON_PARKED:
      woken->task[woken->n++] = t;
      return;
    case WEFT__WON:
      return;
    default:
      break;
    }
  }
  weft__store_release_u32(&d->ready[way], 1);
}

void weft__descriptor_event(struct weft__descriptor *d, uint16_t age, unsigned ways) {
  struct woken woken = {.n = 0};
  weft__spin_lock(&d->lock);
  unsigned said = ways & (WEFT__HAS_ENDED | WEFT__HAS_URGENT);
  if (d->age == age && weft__unlikely(said))
    weft__store_relaxed_u32(&d->said, weft__load_relaxed_u32(&d->said) | said);
  if (d->age == age)
    for (int way = 0; way < 2; way++)
      if (ways >> way & 1) wake(d, way, &woken);
  weft__spin_unlock(&d->lock);
  make_ready(&woken);
}

/* ---- of the simulated network ---- */

/* In the turn of the home's loop. The wait may have ended for no reason, as all do there now and then. */
static void on_simulated(struct weft__sim_watch *watch) {
  struct weft__descriptor *d = weft__container_of(watch, struct weft__descriptor, watch);
  struct woken woken = {.n = 0};
  weft__spin_lock(&d->lock);
  for (int way = 0; way < 2; way++)
    if (d->waiter[way]) wake(d, way, &woken);
  weft__spin_unlock(&d->lock);
  make_ready(&woken);
}

/* Watches for what is waited for now. 0, WEFT_EBADF, or WEFT_EEXIST beside a weft__fd_wait. */
static int watch_simulated(struct weft__descriptor *d) {
  weft__sim_net_unwatch(&d->watch);
  d->watch.key = weft__loop_key(d->home);
  d->watch.events =
      (d->waiter[WEFT__IN] ? POLLIN | POLLRDHUP : 0) | (d->waiter[WEFT__OUT] ? POLLOUT : 0);
  d->watch.ready = on_simulated;
  return d->watch.events ? weft__sim_net_watch(&d->watch, d->fd) : 0;
}

/* ---- waiting ---- */

void weft__descriptor_look(struct weft__descriptor *d, enum weft__direction way) {
  struct pollfd p = {.fd = d->fd, .events = way == WEFT__IN ? POLLIN | POLLRDHUP : POLLOUT};
  if (weft__sys_poll(&p, 1, 0) != 0) weft__descriptor_more(d, way);
}

/* With the lock. 1: a try is worth it already. */
static int begin_wait(struct weft__descriptor *d, enum weft__direction way,
                      struct weft__waiter *rec) {
  if (weft__load_relaxed_u32(&d->calls) & WEFT__DESCRIPTOR_CLOSED) return WEFT_ECLOSED;
  if (d->waiter[way]) return WEFT_EBUSY;
  if (weft__descriptor_take(d, way)) return 1;
  int r = d->home ? 0 : find_home(d);
  if (r < 0) return r;
  d->waiter[way] = rec;
  if (weft__unlikely(d->simulated)) r = watch_simulated(d);
  if (r < 0) d->waiter[way] = NULL;
  return r;
}

/* The wait ended without an event, or with one that came too late to be it. */
static void end_wait(struct weft__descriptor *d, enum weft__direction way,
                     struct weft__waiter *rec) {
  weft__spin_lock(&d->lock);
  if (d->waiter[way] == rec) {
    d->waiter[way] = NULL;
    if (weft__unlikely(d->simulated) && d->home) (void)watch_simulated(d);
  }
  weft__spin_unlock(&d->lock);
}

int weft__descriptor_watch(struct weft__descriptor *d, enum weft__direction way,
                           struct weft__waiter *rec) {
  weft__spin_lock(&d->lock);
  bool homeless = !d->home;
  int r = begin_wait(d, way, rec);
  struct weft__loop *home = d->home;
  weft__spin_unlock(&d->lock);
  /* Its driver may sleep where no event comes from, having had no descriptor. */
  if (r == 0 && weft__unlikely(homeless || d->simulated)) weft__loop_watches(home);
  return r;
}

int weft__descriptor_wait(struct weft__descriptor *d, enum weft__direction way, uint64_t deadline) {
  struct weft__task *t = weft__current_task();
  if (weft__unlikely(!t)) return weft__no_task();
  struct weft__waiter *rec = &t->wait;
  int r = weft__wait_open(t, false, &rec->ticket);
  if (r < 0) return r;
  rec->task = t;
  rec->gate = NULL;
  weft__waits_for(t, way == WEFT__IN ? &waits_to_read : &waits_to_write, d);
  r = weft__descriptor_watch(d, way, rec);
  if (weft__unlikely(r != 0)) {
    weft__wait_abort(t, rec->ticket);
    return r < 0 ? r : 0;
  }
  r = weft__wait_park(t, rec->ticket, deadline);
  if (weft__unlikely(r < 0)) {
    end_wait(d, way, rec);
    return r;
  }
  return weft__load_relaxed_u32(&d->calls) & WEFT__DESCRIPTOR_CLOSED ? WEFT_ECLOSED : 0;
}

/* ---- the end ---- */

/* With the lock, which it releases; the bits of the end are set. Does what the last one out does, if
 * nobody is inside. */
static void end_if_out(struct weft__descriptor *d) {
  uint32_t calls = weft__load_relaxed_u32(&d->calls);
  bool out = calls < WEFT__DESCRIPTOR_CALL;
  bool freed = out && calls & WEFT__DESCRIPTOR_FREED;
  int fd = out ? d->fd : -1;
  if (out) {
    d->fd = -1;
    weft__descriptor_unsettle(d);
  }
  void (*gone)(void *) = d->gone;
  void *owner = d->owner;
  weft__spin_unlock(&d->lock);
  if (fd >= 0) {
    weft__sys_close(fd);
    weft__room_made();
  }
  if (!freed) return;
  weft__descriptor_recycle(d);
  if (gone) gone(owner);
}

void weft__descriptor_leave_closed(struct weft__descriptor *d, uint32_t call) {
  weft__spin_lock(&d->lock);
  weft__sub_u32(&d->calls, call);
  end_if_out(d);
}

static int set_end(struct weft__descriptor *d, uint32_t bits) {
  struct woken woken = {.n = 0};
  weft__spin_lock(&d->lock);
  uint32_t before = weft__or_u32(&d->calls, bits);
  if (before & WEFT__DESCRIPTOR_CLOSED && bits == WEFT__DESCRIPTOR_CLOSED) {
    weft__spin_unlock(&d->lock);
    return WEFT_ECLOSED;
  }
  for (int way = 0; way < 2; way++) wake(d, way, &woken);
  if (weft__unlikely(d->simulated)) weft__sim_net_unwatch(&d->watch);
  end_if_out(d);
  make_ready(&woken);
  return 0;
}

int weft__descriptor_close(struct weft__descriptor *d) {
  return set_end(d, WEFT__DESCRIPTOR_CLOSED);
}

void weft__descriptor_free(struct weft__descriptor *d) {
  WEFT__ASSERT(!(weft__load_relaxed_u32(&d->calls) & WEFT__DESCRIPTOR_FREED));
  set_end(d, WEFT__DESCRIPTOR_CLOSED | WEFT__DESCRIPTOR_FREED);
}

/* Who waits on a worker of another runtime tries, and finds another home. */
void weft__descriptors_leave_home(struct weft__loop *home) {
  struct weft__descriptor *d;
  while ((d = weft__descriptor_at(home)) != NULL) {
    struct woken woken = {.n = 0};
    weft__spin_lock(&d->lock);
    if (d->home == home) {
      weft__descriptor_unsettle(d);
      for (int way = 0; way < 2; way++)
        if (d->waiter[way]) wake(d, way, &woken);
      for (int way = 0; way < 2; way++) weft__store_release_u32(&d->ready[way], 1);
    }
    weft__spin_unlock(&d->lock);
    make_ready(&woken);
  }
}
