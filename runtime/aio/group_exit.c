/* Groups of tasks: what the owner does, and their end. */
#include "aio/group.h"
#include "aio/stop.h"
#include "base/clock.h"
#include "base/memory.h"
#include "core/cancel.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/self.h"

int weft_group_enter(weft_group *group) {
  struct weft__group *g = weft__group_of(group);
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  weft__spin_lock(&g->lock);
  bool fits = !g->joined && !g->joining && !g->body;
  if (fits) {
    weft__group_begin(g);
    g->body = t;
    uint64_t word = weft__load_relaxed_u64(&t->word);
    g->body_count = weft__word_count(word);
    g->body_was_pending = word & WEFT__CANCEL;
    g->body_was_sticky = t->sticky;
    if (g->aborting) weft__group_abort(g, "a task of its group failed");
  }
  weft__spin_unlock(&g->lock);
  return fits ? 0 : WEFT_ESTATE;
}

/* ---- the end ---- */

/* The group has cancelled its body, which is t: takes that back. True when nobody else has cancelled it
 * since it entered, nor had before: then it goes on as if nothing had been. */
static bool take_back(struct weft__group *g, struct weft__task *t) {
  uint32_t key = weft__word_key(weft__load_relaxed_u64(&t->word));
  uint32_t floor = g->body_was_pending ? 0 : g->body_count;
  uint32_t left = (uint32_t)weft__claim_uncancel_to(&t->word, key, floor);
  if (left > floor || (g->body_was_sticky && left != 0)) return false;
  t->sticky = false;
  return true;
}

/* Begins to leave: 0 when the caller may. */
static int begin_exit(struct weft__group *g, struct weft__task *t) {
  if (weft__load_relaxed_ptr(&t->owner) == &g->owner) return WEFT_ESELF;
  weft__spin_lock(&g->lock);
  bool fits = !g->joined && !g->joining && (!g->body || g->body == t);
  if (fits) {
    weft__group_begin(g);
    g->joining = true;
    g->body = NULL;
  }
  weft__spin_unlock(&g->lock);
  return fits ? 0 : WEFT_ESTATE;
}

/* The body has ended with an error, or has been cancelled. */
static void take_bodys_error(struct weft__group *g, int code, const char *reason) {
  weft__spin_lock(&g->lock);
  bool cancelled = code == WEFT_ECANCELED;
  if (!cancelled) {
    weft__group_note(g, code, WEFT_GROUP_BODY, NULL);
    if (g->first_error == 0) g->first_error = code;
  }
  if (!g->aborting && (cancelled || !g->collect)) weft__group_abort(g, reason);
  weft__spin_unlock(&g->lock);
}

/* Waits once for the last child. 1 when none is alive (the lock has been had since), 0 when woken,
 * or why the wait did not open or ended otherwise. */
static int join_once(struct weft__group *g, struct weft__task *t, bool masked) {
  weft__ticket ticket;
  int r = weft__wait_open(t, masked, &ticket);
  if (r < 0) return r;
  weft__spin_lock(&g->lock);
  bool over = g->live == 0 && g->holds == 0;
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

int weft_group_exit(weft_group *group, int code) {
  struct weft__group *g = weft__group_of(group);
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  int r = begin_exit(g, t);
  if (r < 0) return r;
  if (g->interrupted && take_back(g, t) && code == WEFT_ECANCELED) code = 0;
  if (code < 0) take_bodys_error(g, code, weft__own_cancel_reason(t));
  int interrupted = code == WEFT_ECANCELED ? code : 0;
  while ((r = join_once(g, t, interrupted != 0)) != 1) {
    if (r == 0 || interrupted) continue;
    interrupted = r;
    take_bodys_error(g, WEFT_ECANCELED, weft__own_cancel_reason(t));
  }
  weft__spin_lock(&g->lock);
  g->joining = false;
  g->joined = true;
  struct weft__stop *stop = g->stop;
  g->stop = NULL;
  r = g->first_error ? g->first_error : interrupted;
  weft__spin_unlock(&g->lock);
  weft__stop_drop(stop);
  return r;
}

int weft_group_join(weft_group *group) {
  return weft_group_exit(group, 0);
}

int weft_group_cancel(weft_group *group) {
  struct weft__group *g = weft__group_of(group);
  if (weft__in_child()) return WEFT_ECHILD;
  weft__spin_lock(&g->lock);
  if (!g->joined) {
    weft__group_begin(g);
    weft__group_abort(g, "its group was cancelled");
  }
  weft__spin_unlock(&g->lock);
  return 0;
}

/* ---- what there is to read ---- */

size_t weft_group_errors(weft_group *group, weft_group_error *errors, size_t max) {
  struct weft__group *g = weft__group_of(group);
  const weft_group_error *kept = g->errors ? g->errors : g->few;
  size_t room = g->errors ? g->max_errors : WEFT__GROUP_ERRORS;
  weft__spin_lock(&g->lock);
  size_t n = g->nerrors;
  for (size_t i = 0; i < n && i < room && i < max; i++) errors[i] = kept[i];
  weft__spin_unlock(&g->lock);
  return n;
}

int weft_group_status(const weft_group *group, size_t index) {
  const struct weft__group *g = (const struct weft__group *)(const void *)group;
  if (!g->codes || !g->joined || index >= g->spawned) return WEFT_EINVAL;
  return g->codes[index];
}

void weft_group_done(weft_group *group) {
  struct weft__group *g = weft__group_of(group);
  if (!g->joined) return;
  weft__free(g->codes);
  weft_group_init(group, &(weft_group_opts){
                             .on_error = g->collect ? WEFT_GROUP_COLLECT : WEFT_GROUP_FAIL_FAST,
                             .limit = g->limit,
                             .stoppable = g->stoppable,
                             .errors = g->errors,
                             .max_errors = g->max_errors,
                         });
}

/* ---- stopping ---- */

/* Sets the flag that the children see. The hold of the caller keeps the group. */
static void ask(struct weft__group *g) {
  g->asked = true;
  struct weft__stop *s = g->stop; /* not given up before the join is over */
  weft__spin_unlock(&g->lock);
  if (s) weft__stop_ask(s);
  weft__spin_lock(&g->lock);
}

/* The lock is held, released, and held again. 0 when no child is alive, else why not. */
static int wait_for_the_last(struct weft__group *g, weft_ns grace) {
  uint64_t deadline = WEFT__NEVER;
  if (grace != WEFT_FOREVER) deadline = weft__now() + (uint64_t)grace;
  int r = 0;
  while (r == 0 && g->live != 0) {
    r = weft__waitq_wait_until(&g->stoppers, &g->lock, &weft__waits_group, &g->owner, deadline);
    weft__spin_lock(&g->lock);
  }
  return r;
}

int weft_group_stop(weft_group *group, weft_ns grace, weft_group_stopped *ret) {
  struct weft__group *g = weft__group_of(group);
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (weft__load_relaxed_ptr(&t->owner) == &g->owner) return WEFT_ESELF;
  weft__spin_lock(&g->lock);
  if (!g->stoppable || g->joined) {
    weft__spin_unlock(&g->lock);
    return WEFT_ESTATE;
  }
  weft__group_begin(g);
  g->holds++;
  uint32_t before = g->ended;
  ask(g);
  int r = grace > 0 ? wait_for_the_last(g, grace) : WEFT_ETIMEDOUT;
  weft_group_stopped report = {.ended = g->ended - before};
  weft__list_foreach(l, &g->children) report.cut++;
  if (g->live != 0) weft__group_abort(g, "its group was stopped");
  if (r == WEFT_ETIMEDOUT && report.cut == 0) r = 0;
  g->holds--;
  struct weft__task *joiner = weft__group_wake_joiner(g);
  weft__spin_unlock(&g->lock);
  if (joiner) weft__make_ready(joiner);
  if (ret) *ret = report;
  return r;
}
