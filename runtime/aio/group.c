/* Groups of tasks: their children. */
#include "aio/group.h"

#include <string.h>

#include "aio/stop.h"
#include "base/check.h"
#include "base/memory.h"
#include "core/cancel.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/worker.h"

/* ---- children ---- */

struct weft__task *weft__group_wake_joiner(struct weft__group *g) {
  struct weft__task *t = g->joiner;
  if (g->live != 0 || g->holds != 0 || !t) return NULL;
  g->joiner = NULL;
  return weft__claim_win(&t->word, g->ticket, WEFT__BY_EVENT) == WEFT__WON_PARKED ? t : NULL;
}

static void cancel_one(struct weft__cancels *many, struct weft__task *t) {
  weft__cancel_add(many, t, weft__word_key(weft__load_relaxed_u64(&t->word)));
}

/* Under the lock, so that no child leaves the list meanwhile, and the body does not leave the group.
 * Not inline: every end of a child would have the room for it on its stack. */
__attribute__((noinline)) void weft__group_abort(struct weft__group *g, const char *reason) {
  struct weft__cancels many;
  g->aborting = true;
  weft__cancel_begin(&many, reason);
  weft__list_foreach(l, &g->children)
      cancel_one(&many, weft__container_of(l, struct weft__task, siblings));
  if (g->body && !g->interrupted) {
    g->interrupted = true;
    cancel_one(&many, g->body);
  }
  weft__cancel_end(&many);
}

void weft__group_note(struct weft__group *g, int code, unsigned index, const char *name) {
  weft_group_error *kept = g->errors ? g->errors : g->few;
  uint32_t room = g->errors ? g->max_errors : WEFT__GROUP_ERRORS;
  if (g->nerrors < room) kept[g->nerrors] = (weft_group_error){code, index, name};
  g->nerrors++;
}

/* A child, or a spawn, that did not succeed. */
static void note_end(struct weft__group *g, int code, uint32_t index, const char *name) {
  if (g->collect) g->codes[index] = code;
  if (code == WEFT_ECANCELED) return;
  weft__group_note(g, code, index, name);
  if (g->collect) return;
  if (g->first_error == 0) g->first_error = code;
  if (!g->aborting) weft__group_abort(g, "a task of its group failed");
}

/* A child is gone, or a spawn that had a place: the place goes to the oldest spawn that waits for one.
 * With the lock held, which it releases; the group may be gone after it. */
static void give_place_back(struct weft__group *g) {
  if (g->limit == 0 || !weft__waitq_wake_one(&g->spawners)) g->live--;
  if (g->live == 0)
    while (weft__waitq_wake_one(&g->stoppers)) {}
  struct weft__task *joiner = weft__group_wake_joiner(g);
  weft__spin_unlock(&g->lock);
  if (joiner) weft__make_ready(joiner);
}

static void child_done(struct weft__owner *owner, struct weft__task *t) {
  struct weft__group *g = weft__container_of(owner, struct weft__group, owner);
  weft__spin_lock(&g->lock);
  weft__list_remove(&t->siblings);
  g->ended++;
  if (t->code < 0)
    note_end(g, t->code, t->sibling_index, weft__task_name(t));
  else if (g->collect)
    g->codes[t->sibling_index] = t->code;
  give_place_back(g);
  struct weft__worker *w = weft__self();
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
}

void weft__group_begin(struct weft__group *g) {
  if (g->owner.child_done) return;
  weft__list_init(&g->children);
  weft__waitq_init(&g->spawners);
  weft__waitq_init(&g->stoppers);
  g->owner.child_done = child_done;
}

/* ---- spawning ---- */

/* t is a child, which keeps its place for as long as it waits for another: until a deadline at most, if
 * it has one. By t, or while its wait is open. */
static bool keeps_its_place(const struct weft__group *g, struct weft__task *t) {
  return weft__load_relaxed_ptr(&t->owner) == &g->owner && t->limit == WEFT__NEVER;
}

/* No place would ever come to t: it is a child, and every other one waits for a place, too. A place that
 * was passed on is alive beside its holder's, so `stuck` reaches `live` only when there is none; but it
 * counts waiters until they have run again, so those whose cancel has ended their wait are looked for. */
static bool would_wait_for_itself(struct weft__group *g, struct weft__task *t) {
  if (weft__load_relaxed_ptr(&t->owner) != &g->owner || g->stuck + 1 != g->live) return false;
  uint32_t n = 1;
  weft__list_foreach(l, &g->spawners.waiters) {
    const struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    uint64_t word = weft__load_acquire_u64(&rec->task->word);
    bool waits = (word & WEFT__TICKET_MASK) == rec->ticket && weft__word_waiting(word);
    n += waits && keeps_its_place(g, rec->task);
  }
  return n == g->live;
}

/* Takes a place, waiting for one if there is a limit. 0 with a place and the lock held; else without a
 * place, the lock being held all the same. */
static int take_place(struct weft__group *g, struct weft__task *t) {
  weft__spin_lock(&g->lock);
  if (g->joined) return WEFT_ESTATE;
  weft__group_begin(g);
  bool full = g->limit && (g->live >= g->limit || !weft__list_empty(&g->spawners.waiters));
  if (!full || g->aborting) {
    g->live++;
    return 0;
  }
  if (would_wait_for_itself(g, t)) return WEFT_EDEADLK;
  static const struct weft__wait_kind place = {"a place in a group"};
  bool stuck = keeps_its_place(g, t);
  g->stuck += stuck;
  int r = weft__waitq_wait(&g->spawners, &g->lock, &place, g);
  weft__spin_lock(&g->lock);
  g->stuck -= stuck;
  return r;
}

/* Room for one more code. The lock is held, but not while memory is allocated. */
static int reserve_code(struct weft__group *g) {
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

/* The flag that the children of a stoppable group see; made when the first one is spawned. */
static int make_stop(struct weft__group *g) {
  if (!g->stoppable || g->stop) return 0;
  weft__spin_unlock(&g->lock);
  struct weft__stop *s = weft__stop_new();
  weft__spin_lock(&g->lock);
  if (!s) return WEFT_ENOMEM;
  struct weft__stop *spare = g->stop; /* somebody else may have made it meanwhile */
  bool asked = g->asked && !spare;
  if (!spare) g->stop = s;
  weft__spin_unlock(&g->lock);
  if (asked) weft__stop_ask(s);
  if (spare) weft__stop_drop(s);
  weft__spin_lock(&g->lock);
  return 0;
}

/* What weft_group_spawn was given. */
struct order {
  weft_fn fn;
  void *arg;
  const weft_spawn_opts *opts;
  const void *site;
};

/* With a place and the lock held. 0 with the child in the group, which is to be pushed after the lock was
 * released. */
static int make_child(struct weft__group *g, const struct order *o, struct weft__task **ret) {
  int r = g->aborting ? WEFT_ECANCELED : make_stop(g);
  if (r == 0) r = reserve_code(g);
  if (r == 0 && g->aborting) r = WEFT_ECANCELED; /* meanwhile */
  if (r == 0) r = weft__spawn_make(weft__self(), o->fn, o->arg, o->opts, &g->owner, o->site, ret);
  if (r < 0) return r;
  struct weft__task *t = *ret;
  if (g->stop) weft__stop_hand_down(g->stop, t);
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  t->sibling_index = g->spawned++;
  weft__list_push_back(&g->children, &t->siblings);
  return 0;
}

/* The spawn has failed. With the lock held, which it releases. */
static int refuse(struct weft__group *g, int r, bool has_place, const struct order *o) {
  if (reserve_code(g) == 0)
    note_end(g, r, g->spawned++, o->opts ? o->opts->name : NULL);
  else
    g->first_error = WEFT_ENOMEM; /* the join says that a code is missing */
  if (has_place)
    give_place_back(g);
  else
    weft__spin_unlock(&g->lock);
  return r;
}

void weft_group_init(weft_group *group, const weft_group_opts *opts) {
  struct weft__group *g = weft__group_of(group);
  memset(group, 0, sizeof *group);
  if (!opts) return;
  g->collect = opts->on_error == WEFT_GROUP_COLLECT;
  g->limit = opts->limit;
  g->stoppable = opts->stoppable;
  if (opts->max_errors) g->errors = opts->errors;
  g->max_errors = opts->max_errors;
}

int weft_group_spawn(weft_group *group, weft_fn fn, void *arg, const weft_spawn_opts *opts) {
  struct weft__group *g = weft__group_of(group);
  const struct order o = {fn, arg, opts, __builtin_return_address(0)};
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  int r = take_place(g, cur);
  if (r == WEFT_ESTATE || r == WEFT_EDEADLK) {
    weft__spin_unlock(&g->lock);
    return r;
  }
  if (r < 0) return refuse(g, r, false, &o);
  struct weft__task *t;
  r = make_child(g, &o, &t);
  if (r < 0) return refuse(g, r, true, &o);
  weft__spin_unlock(&g->lock);
  weft__push_unstarted(weft__self(), t);
  return 0;
}
