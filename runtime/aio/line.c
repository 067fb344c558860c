#include "aio/line.h"

#include <sched.h>
#include <weft/errors.h>

#include "base/futex.h"
#include "base/sim.h"

enum { PAUSES_FIRST = 16, PAUSES_MOST = 64 };

void weft__shared_init(struct weft__shared *s) {
  *s = (struct weft__shared){0};
  weft__store_relaxed_u32(&s->simulated, weft__sim_here());
}

/* The state behind such a lock is a few words, and moving them to another CPU takes several times as long
 * as a call does. Who finds the lock taken therefore stays away for some calls' time, more each time, and
 * leaves the words where they are: two workers at one queue are then nearly as fast as one, and not a
 * tenth as fast. */
void weft__shared_lock_slow(struct weft__shared *s) {
  unsigned pauses = PAUSES_FIRST;
  do {
    weft__cpu_relax();
    if (weft__sim_here()) continue;
    for (unsigned i = 0; i < pauses; i++) weft__cpu_pause();
    if (pauses < PAUSES_MOST)
      pauses *= 2;
    else
      sched_yield();
  } while (!weft__spin_trylock(&s->lock));
}

int weft__shared_enter_outside(const struct weft__shared *s, bool suspends) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (suspends && weft__self()) return WEFT_ENOTASK;
  struct weft__shared *at = (struct weft__shared *)(uintptr_t)s; /* the shim takes no const */
  if (weft__load_relaxed_u32(&at->simulated) && !weft__sim_here()) return WEFT_EBUSY;
  return 0;
}

int weft__shared_pause(struct weft__task *t) {
  struct weft__worker *w = weft__self();
  w->budget = 0;
  if (w->rt->exact) return 0;
  return weft__yield(t);
}

void weft__shared_watched(struct weft__shared *s) {
  if (weft__unlikely(weft__sim_here())) weft__store_relaxed_u32(&s->simulated, 1);
}

static void sleep_until_over(struct weft__place *p) {
  while (weft__load_acquire_u32(&p->over) == 0) weft__futex_wait(&p->over, 0, WEFT__FUTEX_FOREVER);
}

static int wait_outside(struct weft__line *line, struct weft__place *p, struct weft__shared *s) {
  p->rec.task = NULL;
  weft__store_relaxed_u32(&p->over, 0);
  weft__list_push_back(&line->places, &p->rec.link);
  s->waiting++;
  weft__shared_unlock(s);
  sleep_until_over(p);
  weft__shared_lock(s);
  s->waiting--;
  return p->rec.code;
}

int weft__line_wait(struct weft__line *line, struct weft__place *p, struct weft__shared *s,
                    const struct weft__wait_kind *kind, const void *object) {
  struct weft__task *t = weft__current_task();
  if (!t) return wait_outside(line, p, s);
  int r = weft__wait_open(t, false, &p->rec.ticket);
  if (r < 0) return r;
  weft__shared_watched(s);
  p->rec.task = t;
  p->rec.gate = NULL;
  weft__waits_for(t, kind, object);
  weft__list_push_back(&line->places, &p->rec.link);
  s->waiting++;
  weft__shared_unlock(s);
  r = weft__wait_park(t, p->rec.ticket, WEFT__NEVER);
  weft__shared_lock(s);
  s->waiting--;
  if (weft__likely(r == 0)) return p->rec.code; /* whoever gave it has unlinked the place */
  weft__list_remove(&p->rec.link);
  return r;
}

static void add_task(struct weft__woken *woken, struct weft__task *t) {
  t->link[WEFT__LINK_READY] = NULL;
  if (woken->last)
    woken->last->link[WEFT__LINK_READY] = t;
  else
    woken->first = t;
  woken->last = t;
}

/* The second thread of several is rare enough to be rung for under the lock. */
static void add_thread(struct weft__woken *woken, weft__atomic_u32 *over) {
  if (woken->thread) weft__futex_wake(woken->thread, 1);
  woken->thread = over;
  weft__store_release_u32(over, 1);
}

struct weft__place *weft__line_end(struct weft__line *line, int code, struct weft__woken *woken) {
  struct weft__list *l;
  while ((l = weft__list_pop_front(&line->places)) != NULL) {
    struct weft__place *p = weft__container_of(l, struct weft__place, rec.link);
    struct weft__task *t = p->rec.task;
    p->rec.code = code;
    if (!t) {
      add_thread(woken, &p->over);
      return p;
    }
    switch (weft__claim_win(&t->word, p->rec.ticket, WEFT__BY_EVENT)) {
    case WEFT__WON_PARKED:
      add_task(woken, t);
      return p;
    case WEFT__WON:
      return p;
    default:
      break; /* a cancel or a timeout was faster: the next one's turn */
    }
  }
  return NULL;
}

void weft__line_end_all(struct weft__line *line, int code, struct weft__woken *woken) {
  while (weft__line_end(line, code, woken)) {}
}

void weft__woken_tell_slow(struct weft__woken *woken) {
  struct weft__task *t = woken->first;
  while (t) {
    struct weft__task *next = t->link[WEFT__LINK_READY];
    weft__make_ready(t);
    t = next;
  }
  if (woken->thread) weft__futex_wake(woken->thread, 1);
}
