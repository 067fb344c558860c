/* Groups of tasks. A group is the owner (core/task.h) of its children: each tells it of its end. All
 * of the group is guarded by its lock; the owner task leaves join only after it has had the lock
 * with no child alive, so that the last child has let go of the group's memory by then.
 */
#include <weft/group.h>

#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/cancel.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/waitq.h"
#include "core/worker.h"

struct group {
  struct weft__owner owner; /* child_done NULL: nothing was spawned yet, and only options are set */
  struct weft__spin lock;   /* guards the rest */
  uint32_t live;            /* children, and places held for spawns that wait */
  uint32_t limit;
  bool collect;
  bool aborting; /* children were cancelled; no more are taken */
  int first_error;
  struct weft__list children;  /* through siblings */
  struct weft__waitq spawners; /* waiting for a place */
  struct weft__task *joiner;   /* whose wait `ticket` is, or NULL */
  weft__ticket ticket;
  int *codes;       /* of COLLECT, by index of spawn */
  uint32_t spawned; /* since the last join: the next index */
  uint32_t joined;  /* before the last join: indices of codes that may be read */
  uint32_t capacity;
};
_Static_assert(sizeof(struct group) <= WEFT_GROUP_SIZE, "weft_group is large enough");

static struct group *inner(weft_group *g) {
  return (struct group *)(void *)g;
}

/* ---- children ---- */

/* Ends join's wait if nobody is alive. Under the lock; returns the task to make ready, or NULL. */
static struct weft__task *wake_joiner(struct group *g) {
  struct weft__task *t = g->joiner;
  if (g->live != 0 || !t) return NULL;
  g->joiner = NULL;
  return weft__claim_win(&t->word, g->ticket, WEFT__BY_EVENT) == WEFT__WON_PARKED ? t : NULL;
}

/* Under the lock, so that no child leaves the list meanwhile. */
static void abort_children(struct group *g) {
  g->aborting = true;
  weft__list_foreach(l, &g->children) {
    struct weft__task *t = weft__container_of(l, struct weft__task, siblings);
    weft__cancel_task(t, weft__word_key(weft__load_relaxed_u64(&t->word)));
  }
}

static void note_code(struct group *g, struct weft__task *t) {
  if (g->collect) {
    g->codes[t->sibling_index] = t->code;
  } else if (t->code < 0 && t->code != WEFT_ECANCELED && g->first_error == 0) {
    g->first_error = t->code;
    abort_children(g);
  }
}

static void child_done(struct weft__owner *owner, struct weft__task *t) {
  struct group *g = weft__container_of(owner, struct group, owner);
  weft__spin_lock(&g->lock);
  weft__list_remove(&t->siblings);
  note_code(g, t);
  /* The place goes to the oldest spawn that waits for one. */
  if (g->limit == 0 || !weft__waitq_wake_one(&g->spawners)) g->live--;
  struct weft__task *joiner = wake_joiner(g);
  weft__spin_unlock(&g->lock);
  if (joiner) weft__make_ready(joiner);
  struct weft__worker *w = weft__self();
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
}

static void lazy_init(struct group *g) {
  if (g->owner.child_done) return;
  weft__list_init(&g->children);
  weft__waitq_init(&g->spawners);
  g->owner.child_done = child_done;
}

/* ---- spawning ---- */

/* Takes a place, waiting for one if there is a limit. 0 with a place and the lock held; else the lock
 * is free. */
static int take_place(struct group *g) {
  weft__spin_lock(&g->lock);
  lazy_init(g);
  bool full = g->limit && (g->live >= g->limit || !weft__list_empty(&g->spawners.waiters));
  if (!full || g->aborting) {
    g->live++;
  } else {
    static const struct weft__wait_kind place = {"a place in a group"};
    int r = weft__waitq_wait(&g->spawners, &g->lock, &place, g);
    if (r < 0) return r;
    weft__spin_lock(&g->lock);
  }
  return 0;
}

/* With the lock held, which it releases. */
static void give_place_back(struct group *g) {
  if (g->limit == 0 || !weft__waitq_wake_one(&g->spawners)) g->live--;
  struct weft__task *joiner = wake_joiner(g);
  weft__spin_unlock(&g->lock);
  if (joiner) weft__make_ready(joiner);
}

/* Room for one more code. The lock is held, but not while memory is allocated. */
static int reserve_code(struct group *g) {
  while (g->collect && g->spawned == g->capacity) {
    uint32_t capacity = g->capacity ? g->capacity * 2 : 16;
    weft__spin_unlock(&g->lock);
    int *codes = weft__calloc(capacity, sizeof *codes);
    weft__spin_lock(&g->lock);
    if (!codes) return WEFT_ENOMEM;
    int *old = codes; /* somebody else may have made room meanwhile */
    if (g->spawned == g->capacity) {
      if (g->capacity) memcpy(codes, g->codes, g->capacity * sizeof *codes);
      old = g->codes;
      g->codes = codes;
      g->capacity = capacity;
    }
    weft__spin_unlock(&g->lock);
    weft__free(old);
    weft__spin_lock(&g->lock);
  }
  return 0;
}

/* With a place and the lock held, which it releases. */
static int add_child(struct group *g, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                     const void *site) {
  int r = g->aborting ? WEFT_ECANCELED : reserve_code(g);
  struct weft__task *t = NULL;
  struct weft__worker *w = weft__self();
  if (r == 0) r = weft__spawn_make(w, fn, arg, opts, &g->owner, site, &t);
  if (r < 0) {
    if (r != WEFT_ECANCELED && g->first_error == 0) {
      g->first_error = r;
      if (!g->collect) abort_children(g);
    }
    give_place_back(g);
    return r;
  }
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  t->sibling_index = g->spawned++;
  weft__list_push_back(&g->children, &t->siblings);
  weft__spin_unlock(&g->lock);
  weft__push_unstarted(w, t);
  return 0;
}

void weft_group_init(weft_group *group, const weft_group_opts *opts) {
  struct group *g = inner(group);
  memset(group, 0, sizeof *group);
  if (!opts) return;
  g->collect = opts->on_error == WEFT_GROUP_COLLECT;
  g->limit = opts->limit;
}

int weft_group_spawn(weft_group *group, weft_fn fn, void *arg, const weft_spawn_opts *opts) {
  struct group *g = inner(group);
  if (!weft__current_task()) return weft__no_task();
  int r = take_place(g);
  if (r < 0) return r;
  return add_child(g, fn, arg, opts, __builtin_return_address(0));
}

/* ---- the end ---- */

/* Waits once for the last child. 1 when none is alive (the lock has been had since), 0 when woken,
 * or why the wait did not open or ended otherwise. */
static int join_once(struct group *g, struct weft__task *t, bool masked) {
  weft__ticket ticket;
  int r = weft__wait_open(t, masked, &ticket);
  if (r < 0) return r;
  weft__spin_lock(&g->lock);
  bool over = g->live == 0;
  if (!over) {
    g->joiner = t;
    g->ticket = ticket;
  }
  weft__spin_unlock(&g->lock);
  if (over) {
    weft__wait_abort(t, ticket);
    return 1;
  }
  weft__waits_for(t, &weft__waits_group, &g->owner);
  r = weft__wait_park(t, ticket, WEFT__NEVER);
  weft__spin_lock(&g->lock);
  g->joiner = NULL;
  weft__spin_unlock(&g->lock);
  return r;
}

int weft_group_join(weft_group *group) {
  struct group *g = inner(group);
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!g->owner.child_done) return g->first_error;
  int interrupted = 0;
  int r;
  while ((r = join_once(g, t, interrupted != 0)) != 1) {
    if (r == 0 || interrupted) continue;
    interrupted = r;
    weft_group_cancel(group);
  }
  r = !g->collect && g->first_error ? g->first_error : interrupted;
  g->first_error = 0;
  g->aborting = false;
  g->joined = g->spawned;
  g->spawned = 0;
  return r;
}

int weft_group_cancel(weft_group *group) {
  struct group *g = inner(group);
  if (weft__in_child()) return WEFT_ECHILD;
  weft__spin_lock(&g->lock);
  lazy_init(g);
  abort_children(g);
  weft__spin_unlock(&g->lock);
  return 0;
}

int weft_group_status(const weft_group *group, size_t index) {
  const struct group *g = (const struct group *)(const void *)group;
  if (!g->codes || index >= g->joined) return WEFT_EINVAL;
  return g->codes[index];
}

void weft_group_done(weft_group *group) {
  struct group *g = inner(group);
  weft__free(g->codes);
  g->codes = NULL;
  g->capacity = g->joined = 0;
}
