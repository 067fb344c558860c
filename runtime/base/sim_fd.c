/* The table of simulated descriptors and the list of those who wait. Compiled without TSan, as
 * sim.c. */
#include "base/sim_fd.h"

#include <poll.h>
#include <stdlib.h>

#include <weft/errors.h>

#include "base/annotate.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/sim.h"
#include "base/sim_connect.h"

#define NEVER WEFT__SIM_NEVER
enum { ALWAYS = POLLERR | POLLHUP };

static struct weft__sim_fd *table[WEFT__SIM_FDS];
static int highest; /* no entry from here on was used in this simulation */
static struct weft__list all = {&all, &all}; /* those that were closed too */
static struct weft__list watches = {&watches, &watches};
static char creation; /* for TSan: all are made before the end frees them */

static struct weft__sim_watch *watch_of(struct weft__list *link) {
  return weft__container_of(link, struct weft__sim_watch, link);
}

/* ---- numbers ---- */

int weft__sim_fd_open(struct weft__sim_fd **ret, const char *made, int status, bool cloexec) {
  int i = 0;
  while (i < WEFT__SIM_FDS && table[i]) i++;
  if (i == WEFT__SIM_FDS) return WEFT_EMFILE;
  if (i == highest) highest++;
  struct weft__sim_fd *f = calloc(1, sizeof *f);
  if (!f) return WEFT_ENFILE;
  f->fd = WEFT__SIM_FD_FIRST + i;
  f->made = made;
  f->made_at = weft__now();
  f->status = status;
  f->cloexec = cloexec;
  f->family = AF_UNIX;
  weft__list_init(&f->pending);
  weft__list_push_back(&all, &f->all);
  weft__sim_release(&creation);
  *ret = table[i] = f;
  return 0;
}

void weft__sim_fd_close(struct weft__sim_fd *f) {
  weft__list_foreach(link, &watches) {
    if (watch_of(link)->file == f)
      weft__fatal("simulation with seed %llu: descriptor %d (%s) is closed while it is waited for",
                  (unsigned long long)weft__sim_seed(), f->fd, f->made);
  }
  table[f->fd - WEFT__SIM_FD_FIRST] = NULL;
  f->fd = -1;
}

struct weft__sim_fd *weft__sim_fd_find(int fd) {
  int i = fd - WEFT__SIM_FD_FIRST;
  return i >= 0 && i < WEFT__SIM_FDS ? table[i] : NULL;
}

bool weft__sim_net_owns(int fd) {
  return fd >= WEFT__SIM_FD_FIRST && fd < WEFT__SIM_FD_FIRST + WEFT__SIM_FDS;
}

struct weft__sim_fd *weft__sim_fd_next(const struct weft__sim_fd *f) {
  for (int i = f ? f->fd - WEFT__SIM_FD_FIRST + 1 : 0; i < highest; i++)
    if (table[i]) return table[i];
  return NULL;
}

void weft__sim_fd_attach(struct weft__sim_fd *f, struct weft__sim_link *l, int who) {
  f->link = l;
  f->who = who;
  l->end[who].file = f;
}

struct weft__sim_fd *weft__sim_fd_watched(void) {
  struct weft__list *link = weft__list_first(&watches);
  return link ? watch_of(link)->file : NULL;
}

void weft__sim_fds_end(void) {
  weft__sim_acquire(&creation);
  highest = 0;
  weft__list_init(&watches); /* they lie on stacks that are gone */
  weft__list_foreach_safe(link, next, &all) {
    struct weft__sim_fd *f = weft__container_of(link, struct weft__sim_fd, all);
    if (f->fd >= 0) table[f->fd - WEFT__SIM_FD_FIRST] = NULL;
    weft__list_remove(link);
    free(f);
  }
}

/* ---- readiness ---- */

int weft__sim_fd_state(const struct weft__sim_fd *f, uint64_t at) {
  if (f->link) return weft__sim_link_state(f->link, f->who, at);
  if (f->listens) return weft__sim_listener_when(f) <= at ? POLLIN : 0;
  return POLLOUT | POLLHUP;
}

/* The times after now at which the state changes by itself; returns how many. */
static unsigned change_times(const struct weft__sim_fd *f, uint64_t now,
                             uint64_t times[WEFT__SIM_LINK_TIMES]) {
  if (f->link) return weft__sim_link_times(f->link, f->who, now, times);
  times[0] = weft__sim_listener_when(f);
  return times[0] > now && times[0] != NEVER;
}

uint64_t weft__sim_fd_when(const struct weft__sim_fd *f, int events) {
  uint64_t now = weft__now(), first = NEVER;
  if (weft__sim_fd_state(f, now) & (events | ALWAYS)) return now;
  uint64_t times[WEFT__SIM_LINK_TIMES];
  unsigned n = change_times(f, now, times);
  for (unsigned i = 0; i < n; i++)
    if (times[i] < first && (weft__sim_fd_state(f, times[i]) & (events | ALWAYS)))
      first = times[i];
  return first;
}

void weft__sim_fd_changed(struct weft__sim_fd *f) {
  weft__list_foreach(link, &watches) {
    struct weft__sim_watch *w = watch_of(link);
    if (w->file != f) continue;
    uint64_t when = weft__sim_fd_when(f, w->events);
    if (when >= w->at) continue;
    w->at = when;
    weft__sim_wake(w->key, 1);
  }
}

/* ---- watches ---- */

static struct weft__sim_watch *next_of(const void *key, struct weft__list *after) {
  for (struct weft__list *link = after->next; link != &watches; link = link->next)
    if (watch_of(link)->key == key) return watch_of(link);
  return NULL;
}

#define EACH_OF(w, key)                                                                            \
  for (struct weft__sim_watch *w = next_of(key, &watches); w; w = next_of(key, &w->link))

int weft__sim_net_watch(struct weft__sim_watch *w, int fd) {
  struct weft__sim_fd *f = weft__sim_fd_find(fd);
  weft__list_init(&w->link);
  if (!f) return WEFT_EBADF;
  EACH_OF(other, w->key) {
    if (other->file == f) return WEFT_EEXIST;
  }
  w->file = f;
  w->at = NEVER;
  weft__list_push_back(&watches, &w->link);
  weft__note_poll_asked(&watches);
  return 0;
}

void weft__sim_net_unwatch(struct weft__sim_watch *w) {
  weft__list_remove(&w->link);
}

static bool is_ready(const struct weft__sim_watch *w) {
  return (weft__sim_fd_state(w->file, weft__now()) & (w->events | ALWAYS)) != 0;
}

static bool one_in(uint32_t n) {
  return n != 0 && weft__sim_draw(n) == 0;
}

/* One of those that are ready, or NULL. */
static struct weft__sim_watch *draw_ready(const void *key) {
  uint32_t n = 0;
  EACH_OF(w, key) n += is_ready(w);
  if (n == 0) return NULL;
  uint32_t at = weft__sim_draw(n);
  EACH_OF(w, key) {
    if (is_ready(w) && at-- == 0) return w;
  }
  return NULL;
}

static void tell(struct weft__sim_watch *w) {
  weft__list_remove(&w->link);
  weft__note_poll_told(&watches);
  w->ready(w);
}

/* Other threads may come first in each call of ready, and change the list. */
void weft__sim_net_deliver(const void *key) {
  const struct weft__sim_net_rates *rates = weft__sim_net_rates_now();
  struct weft__sim_watch *w = next_of(key, &watches);
  if (!w) return;
  if (one_in(rates->spurious)) tell(w);
  while ((w = draw_ready(key)) != NULL && !one_in(rates->late)) tell(w);
}

bool weft__sim_net_watched(const void *key) {
  return next_of(key, &watches) != NULL;
}

uint64_t weft__sim_net_next(const void *key) {
  uint64_t first = NEVER;
  EACH_OF(w, key) {
    w->at = weft__sim_fd_when(w->file, w->events);
    if (w->at < first) first = w->at;
  }
  return first;
}

bool weft__sim_net_ready(const void *key) {
  EACH_OF(w, key) {
    if (is_ready(w)) return true;
  }
  return false;
}

static bool any_ready(const struct weft__sim_watch *w, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (is_ready(&w[i])) return true;
  return false;
}

void weft__sim_fds_wait(struct weft__sim_watch *w, size_t n, uint64_t deadline) {
  for (size_t i = 0; i < n; i++) {
    w[i].key = w;
    w[i].at = NEVER;
    weft__list_push_back(&watches, &w[i].link);
  }
  while (!any_ready(w, n) && weft__now() < deadline) {
    uint64_t next = weft__sim_net_next(w);
    weft__sim_wait(w, next < deadline ? next : deadline, -1);
  }
  for (size_t i = 0; i < n; i++) weft__list_remove(&w[i].link);
}
