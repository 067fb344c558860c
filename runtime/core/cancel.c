/* Cancelling: a request in the claim word, and its way to the task that can act on it. */
#include "core/cancel.h"

#include <weft/task.h>

#include "base/check.h"
#include "base/point.h"
#include "base/sim.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"

/* The request is in the word of a task that is not waiting: ready, running, or waiting for the task that
 * it runs inline. */
static bool runs_with_request(uint64_t word, uint32_t key) {
  return weft__word_key(word) == key && weft__word_phase(word) == WEFT__RUNNING &&
         (word & WEFT__CANCEL);
}

/* The task that c->task runs on its own stack at this moment, with its key; NULL if none, or if the task
 * has ended or has got the request itself meanwhile. Reading the pointer again after the key makes the key
 * that of a task which it really runs: in between the first may have ended and its memory been used
 * again. The word, read last, says that all this was of the task that is meant. */
static struct weft__task *inline_child(const struct weft__cancelled *c, uint32_t *ret_key) {
  struct weft__task *t = c->task, *child;
  do {
    child = weft__load_acquire_ptr(&t->inline_child);
    if (!child) return NULL;
    *ret_key = weft__word_key(weft__load_acquire_u64(&child->word));
  } while (weft__load_acquire_ptr(&t->inline_child) != child);
  return runs_with_request(weft__load_relaxed_u64(&t->word), c->key) ? child : NULL;
}

/* Requests the cancel and keeps its reason, which replaces that of an earlier request. The request and
 * its reason are one step for who reads a reason (they hold the lock), and a canceller that comes too
 * late for this task may leave a reason behind only under the old key. */
enum weft__outcome weft__cancel_request(struct weft__task *t, uint32_t key, const char *reason) {
  if (!reason && weft__load_relaxed_u32(&t->reason_key) != key)
    return weft__claim_cancel(&t->word, key);
  weft__spin_lock(&t->reason_lock);
  enum weft__outcome o = weft__claim_cancel(&t->word, key);
  if (o != WEFT__STALE) {
    t->reason = reason;
    weft__store_relaxed_u32(&t->reason_key, key);
  }
  weft__spin_unlock(&t->reason_lock);
  return o;
}

const char *weft__cancel_reason(struct weft__task *t, uint32_t key) {
  uint64_t word = weft__load_acquire_u64(&t->word);
  if (!weft__word_names(word, key) || weft__word_count(word) == 0) return NULL;
  weft__spin_lock(&t->reason_lock);
  const char *reason = weft__load_relaxed_u32(&t->reason_key) == key ? t->reason : NULL;
  weft__spin_unlock(&t->reason_lock);
  return reason;
}

int weft__cancel_task(struct weft__task *t, uint32_t key) {
  return weft__cancel_task_why(t, key, NULL);
}

/* One request, and what it asks for. True when what t runs inline is still to be looked for. */
static bool request(struct weft__task *t, uint32_t key, const char *reason,
                    enum weft__outcome *ret) {
  *ret = weft__cancel_request(t, key, reason);
  if (*ret == WEFT__WON_PARKED) weft__make_ready(t);
  return *ret == WEFT__LOST && runs_with_request(weft__load_acquire_u64(&t->word), key);
}

/* Passes requests on to what the tasks run inline, one level at a time. */
static void pass_on(struct weft__cancelled *c, uint32_t n, const char *reason) {
  while (n != 0) {
    /* Pairs with the light fence of run_inline: the requests are in the tasks' words, now look for the
     * children. Who has published its child before is found, who does so later sees its request. */
    weft__fence_heavy();
    uint32_t deeper = 0;
    for (uint32_t i = 0; i < n; i++) {
      uint32_t key;
      enum weft__outcome o;
      struct weft__task *child = inline_child(&c[i], &key);
      if (child && request(child, key, reason, &o))
        c[deeper++] = (struct weft__cancelled){child, key};
    }
    n = deeper;
  }
}

int weft__cancel_task_why(struct weft__task *t, uint32_t key, const char *reason) {
  weft__point();
  enum weft__outcome o;
  if (request(t, key, reason, &o)) {
    pass_on(&(struct weft__cancelled){t, key}, 1, reason);
    return 1;
  }
  if (o != WEFT__STALE) return 1;
  uint64_t word = weft__load_acquire_u64(&t->word);
  bool ended = weft__word_key(word) == key && weft__word_phase(word) == WEFT__DONE;
  return ended ? 0 : WEFT_ESTALE;
}

void weft__cancel_add(struct weft__cancels *many, struct weft__task *t, uint32_t key) {
  enum weft__outcome o;
  weft__point();
  if (!request(t, key, many->reason, &o)) return;
  many->running[many->n++] = (struct weft__cancelled){t, key};
  if (many->n == WEFT__CANCELS) weft__cancel_end(many);
}

void weft__cancel_end(struct weft__cancels *many) {
  pass_on(many->running, many->n, many->reason);
  many->n = 0;
}

int weft_cancel(weft_task h) {
  return weft_cancel_why(h, NULL);
}

int weft_cancel_why(weft_task h, const char *reason) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  struct weft__task *t = h.slot_;
  uint32_t key = weft__handle_key(h);
  if (weft__unlikely(t->rt->sim && !weft__sim_here())) return WEFT_EBUSY;
  if (weft__cancel_task_why(t, key, reason) == 1) return 1;
  return weft__word_names(weft__load_acquire_u64(&t->word), key) ? 0 : WEFT_ESTALE;
}

const char *weft_cancel_reason(weft_task h) {
  if (!h.slot_ || weft__in_child()) return NULL;
  return weft__cancel_reason(h.slot_, weft__handle_key(h));
}

int weft_cancelling(weft_task h) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  uint64_t word = weft__load_acquire_u64(&((struct weft__task *)h.slot_)->word);
  if (!weft__word_names(word, weft__handle_key(h))) return WEFT_ESTALE;
  return (int)weft__word_count(word);
}

int weft_uncancel(weft_task h) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  int left = weft__claim_uncancel(&((struct weft__task *)h.slot_)->word, weft__handle_key(h));
  return left < 0 ? WEFT_ESTALE : left;
}

bool weft_cancel_catch(void) {
  struct weft__task *t = weft__current_task();
  if (!t) return false;
  bool pending = weft__claim_deliver(&t->word);
  bool caught = pending || t->sticky;
  t->sticky = false;
  return caught;
}
