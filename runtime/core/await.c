/* Awaiting a task: at once on the awaiter's stack when nobody has begun it, else by parking. */
#include <weft/task.h>

#include "base/check.h"
#include "base/thread_error.h"
#include "core/await.h"
#include "core/cancel.h"
#include "core/finish.h"
#include "core/park.h"
#include "core/worker.h"

/* Stack that must be left for a task to run on its awaiter's. */
enum { INLINE_ROOM = 16 * 1024 };

/* A task runs inline only where nothing can tell the difference: not under a shield or a timeout
 * scope (the child has neither), not when it or the awaiter has to run in one place or in a strand or
 * it has a stack of its own (APART in its claim word: a stale handle must not read more than that word), not
 * in exact mode, which promises an order, and not on a reserve, which begins nothing. */
static bool may_inline(struct weft__worker *w, struct weft__task *cur) {
  char *here = __builtin_frame_address(0);
  return !(cur->odd & (WEFT__PINNED | WEFT__STRAND)) && cur->limit == WEFT__NEVER &&
         cur->shield == 0 && !w->rt->exact && !w->reserve &&
         here - (char *)cur->stack->lo > INLINE_ROOM;
}

/* Runs the claimed task t on cur's stack and returns its code. A cancel of cur goes to t: cur
 * publishes t and then looks for one; the canceller marks cur and then looks for t (cancel.c). */
static int run_inline(struct weft__worker *w, struct weft__task *cur, struct weft__task *t) {
  t->ctx = cur->ctx;
  t->stack = cur->stack;
  weft__store_release_ptr(&cur->inline_child, t);
  weft__fence_light();
  if (weft__unlikely(weft__load_relaxed_u64(&cur->word) & WEFT__CANCEL))
    weft__cancel_request(t, weft__word_key(weft__load_relaxed_u64(&t->word)),
                         weft__own_cancel_reason(cur));
  w->current = t;
  weft__count(&w->counters.inline_run);
  int saved = weft__thread_error_get(); /* it belongs to the task, not to the thread */
  int code = weft__task_fn(t)(t->arg);
  w = weft__self();
  if (weft__unlikely(!w)) weft__end_child(code);
  weft__task_finish(w, t, code);
  w->current = cur;
  weft__thread_error_set(saved);
  weft__store_release_ptr(&cur->inline_child, NULL);
  return t->code;
}

/* t has ended although cur's cancel was passed on to it. If it let itself be cancelled, so is cur;
 * if it refused, the cancel is done with. */
static int after_passed_cancel(struct weft__task *cur, struct weft__task *t) {
  bool refused = t->code != WEFT_ECANCELED;
  bool was_passed = weft__word_count(weft__load_relaxed_u64(&t->word)) != 0;
  if (!was_passed) return t->code;
  if (refused) {
    cur->sticky = false;
    weft__claim_deliver(&cur->word);
    return t->code;
  }
  if (weft__claim_deliver(&cur->word)) cur->sticky = true;
  return WEFT_ECANCELED;
}

int weft__await_taken(struct weft__task *cur, struct weft__task *t, uint32_t key) {
  bool was_cancelled = cur->sticky || cur->limit_hit;
  int r = weft__wait_done(cur, t, key, false);
  if (r == 0) return t->code;
  /* Cancelled, or no memory to wait with a deadline: either way t is this task's to end. */
  bool passed = weft__cancel_task_why(t, key, weft__own_cancel_reason(cur)) == 1;
  weft__wait_done(cur, t, key, true);
  if (r != WEFT_ECANCELED) return r;
  /* A cancel that was delivered before this call stays the awaiter's. One that was delivered here: a
   * task that got it and refused it has done with it; one that had ended before leaves it to the
   * awaiter's next suspension. In every case the handle is consumed, so the code is what it was for. */
  if (was_cancelled) return t->code;
  if (!passed)
    weft__postpone_cancel(cur);
  else if (t->code != WEFT_ECANCELED)
    cur->sticky = false;
  return t->code;
}

/* The entries of tasks that were begun from the middle of the queue, down to the first live one. A
 * task that spawns many and awaits them oldest first, over and over, never goes back to its worker's
 * loop: without this their entries would pile up. */
static __attribute__((noinline)) void drop_tombstones(struct weft__worker *w) {
  while (w->tombstones) {
    struct weft__task *t = weft__deque_peek(&w->deque);
    if (!t || weft__word_phase(weft__load_relaxed_u64(&t->word)) == WEFT__UNSTARTED) return;
    if (!weft__deque_pop_if(&w->deque, t)) {
      w->tombstones = 0; /* the queue is empty: others have taken them */
      return;
    }
    w->tombstones--;
    weft__task_unref(&w->rt->tasks, &w->cache, t, 1);
  }
}

/* The fast path: t is unstarted and becomes cur's to run. Returns the number of references that are
 * now cur's (2 when the queue entry was taken too), or 0. */
static uint32_t claim_inline(struct weft__worker *w, struct weft__task *t, uint32_t key) {
  if (weft__likely(weft__deque_pop_if(&w->deque, t) != NULL)) {
    if (weft__likely(weft__claim_start(&t->word, key, true))) {
      if (weft__unlikely(w->tombstones)) drop_tombstones(w);
      return 2;
    }
    /* A stale handle to memory that is another task by now, or a tombstone: as it was before. */
    if (!weft__deque_push(&w->deque, t)) weft__tasklist_push(&w->rt->unstarted, t);
    return 0;
  }
  /* One of another runtime is that one's to run, and to recycle. */
  if (t->rt != w->rt || !weft__claim_start(&t->word, key, true)) return 0;
  w->tombstones++;
  return 1;
}

int weft_await(weft_task h) {
  struct weft__worker *w = weft__self();
  if (weft__unlikely(!w || !w->current)) return weft__no_task();
  struct weft__task *cur = w->current;
  struct weft__task *t = h.slot_;
  if (weft__unlikely(!t)) return weft__handle_error(h);
  uint32_t key = weft__handle_key(h);
  uint32_t refs;
  int code;
  if (weft__likely(may_inline(w, cur) && !cur->sticky) && (refs = claim_inline(w, t, key)) != 0) {
    code = run_inline(w, cur, t);
    w = weft__self();
    if (weft__unlikely(!w)) return WEFT_ECHILD;
    if (weft__unlikely(weft__load_relaxed_u64(&cur->word) & WEFT__CANCEL))
      code = after_passed_cancel(cur, t);
  } else {
    if (t == cur) return WEFT_ESELF;
    if (t->rt != w->rt) return WEFT_EINVAL; /* its memory goes when its runtime ends */
    if (!weft__claim_take(&t->word, key)) return WEFT_ESTALE;
    refs = 1;
    code = weft__await_taken(cur, t, key);
    w = weft__self();
  }
  weft__task_unref(&w->rt->tasks, &w->cache, t, refs);
  return code;
}

int weft_task_wait(weft_task h, int *ret_code) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  struct weft__task *t = h.slot_;
  if (!t) return weft__handle_error(h);
  if (t == cur) return WEFT_ESELF;
  if (t->rt != cur->rt) return WEFT_EINVAL;
  if (!weft__word_names(weft__load_acquire_u64(&t->word), weft__handle_key(h))) return WEFT_ESTALE;
  int r = weft__wait_done(cur, t, weft__handle_key(h), false);
  if (r == 0 && ret_code) *ret_code = cur->wait.code;
  return r;
}
