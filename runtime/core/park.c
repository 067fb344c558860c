#include "core/park.h"

#include <weft/errors.h>
#include <weft/task.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/thread_error.h"
#include "core/ready.h"
#include "core/strand.h"
#include "core/worker.h"

/* Leaves the stack; comes back when somebody has made the task ready and a worker has taken it. The
 * thread's error number belongs to the task, not to the thread it happens to be on.
 * Inline, as everything between a switch and the task's own code should be: after a switch the CPU's
 * guess of each return is wrong, about 5 ns a frame. */
static inline __attribute__((always_inline)) void switch_away(struct weft__task *t,
                                                              enum weft__post post) {
  int saved = weft__thread_error_get();
  struct weft__worker *w = weft__self();
  WEFT__DEBUG_ASSERT(w->current == t);
  w->post = post;
  weft__context_switch(t->ctx, &w->sched);
  weft__thread_error_set(saved);
}

/* A deadline that has passed is delivered at a suspension, not before. */
static bool limit_passed(struct weft__task *t) {
  if (weft__likely(t->limit == WEFT__NEVER) || weft__now() < t->limit) return false;
  t->limit_hit = t->limit;
  return true;
}

int weft__checkpoint(struct weft__task *t) {
  if (t->limit_hit) return WEFT_ECANCELED;
  if (t->shield) return 0;
  if (t->sticky) return WEFT_ECANCELED;
  if (weft__unlikely(weft__claim_deliver(&t->word))) {
    t->sticky = true;
    return WEFT_ECANCELED;
  }
  return 0;
}

int weft__wait_open(struct weft__task *t, bool masked, weft__ticket *ret) {
  bool shielded = t->shield != 0;
  t->drains = masked;
  if (!masked && ((t->sticky && !shielded) || t->limit_hit || limit_passed(t)))
    return WEFT_ECANCELED;
  masked |= shielded;
  if (!weft__claim_arm(&t->word, masked, ret)) {
    t->sticky = true;
    return WEFT_ECANCELED;
  }
  return 0;
}

void weft__wait_abort(struct weft__task *t, weft__ticket ticket) {
  if (weft__claim_win(&t->word, ticket, WEFT__BY_EVENT) == WEFT__WON) return;
  if (weft__word_reason(weft__load_relaxed_u64(&t->word)) == WEFT__BY_CANCEL)
    weft__or_u64(&t->word, WEFT__CANCEL);
}

void weft__postpone_cancel(struct weft__task *t) {
  if (!t->sticky || t->shield) return; /* under a shield it was a deadline */
  t->sticky = false;
  weft__or_u64(&t->word, WEFT__CANCEL);
}

/* The wait is over: what its end means for the task. */
static int answer(struct weft__task *t, bool by_limit) {
  switch (weft__word_reason(weft__load_relaxed_u64(&t->word))) {
  case WEFT__BY_CANCEL:
    t->sticky = true;
    return WEFT_ECANCELED;
  case WEFT__BY_TIMEOUT:
    if (!by_limit) return WEFT_ETIMEDOUT;
    t->limit_hit = t->limit;
    return WEFT_ECANCELED;
  case WEFT__BY_EVENT:
  case WEFT__NOT_BEGUN: /* of no wait */
    break;
  }
  return 0;
}

static int arm_timer(struct weft__task *t, weft__ticket ticket, uint64_t deadline) {
  struct weft__worker *guardian;
  struct weft__timers *h = weft__self()->timers;
  if (weft__unlikely(t->odd & WEFT__STRAND)) h = t->strand->timers;
  int r = weft__timers_add(h, t, ticket, deadline, &guardian);
  if (guardian) weft__unpark(guardian);
  return r;
}

int weft__wait_park(struct weft__task *t, weft__ticket ticket, uint64_t deadline) {
  bool by_limit = t->limit < deadline && !t->drains;
  if (by_limit) deadline = t->limit;
  if (deadline != WEFT__NEVER && arm_timer(t, ticket, deadline) < 0) {
    if (weft__claim_win(&t->word, ticket, WEFT__BY_EVENT) == WEFT__WON) return WEFT_ENOMEM;
    return answer(t, by_limit);
  }
  /* Won already: no need to leave the stack. Acquire: what the winner wrote is now the task's. */
  if (weft__word_waiting(weft__load_acquire_u64(&t->word))) switch_away(t, WEFT__POST_COMMIT);
  if (deadline != WEFT__NEVER) weft__timers_remove(t);
  return answer(t, by_limit);
}

static inline __attribute__((always_inline)) int yield_once(struct weft__task *t) {
  int r = weft__checkpoint(t);
  if (r < 0) return r;
  if (limit_passed(t)) return WEFT_ECANCELED;
  switch_away(t, WEFT__POST_YIELD);
  return weft__checkpoint(t);
}

int weft__yield(struct weft__task *t) {
  return yield_once(t);
}

int weft_yield(void) {
  struct weft__worker *w = weft__self();
  if (weft__unlikely(!w || !w->current)) return weft__no_task();
  return yield_once(w->current);
}

int weft__spend(struct weft__task *t) {
  struct weft__worker *w = weft__self();
  if (weft__likely(--w->budget > 0) || w->rt->exact) return 0;
  w->budget = 0;
  if (t->odd & WEFT__STRAND) return 0; /* which promises not to */
  switch_away(t, WEFT__POST_YIELD);
  return 0;
}

void weft__make_way(struct weft__task *t) {
  switch_away(t, WEFT__POST_EAGER);
}

int weft__wait_done(struct weft__task *cur, struct weft__task *t, uint32_t key, bool masked) {
  struct weft__waiter *rec = &cur->wait;
  int r = weft__wait_open(cur, masked, &rec->ticket);
  if (r < 0) return r;
  rec->task = cur;
  rec->gate = NULL;
  r = weft__done_watch(t, key, rec);
  if (r != 0) {
    weft__wait_abort(cur, rec->ticket);
    return r == 1 ? weft__spend(cur) : r;
  }
  weft__waits_for(cur, &weft__waits_task, t);
  r = weft__wait_park(cur, rec->ticket, WEFT__NEVER);
  if (r != 0) weft__done_unwatch(t, rec);
  return r;
}
