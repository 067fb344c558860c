/* Cancelling: a request in the claim word, and its way to the task that can act on it. */
#include "core/cancel.h"

#include <weft/task.h>

#include "base/check.h"
#include "base/point.h"
#include "base/sim.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"

/* The task that t runs on its own stack at this moment, with its key; NULL if none. Reading the
 * pointer again after the key makes the key that of a task which t really runs: in between the first
 * may have ended and its memory been used again. */
static struct weft__task *inline_child(struct weft__task *t, uint32_t *ret_key) {
  /* Pairs with the light fence of run_inline: the request is in t's word, now look for the child. */
  weft__fence_heavy();
  for (;;) {
    struct weft__task *child = weft__load_acquire_ptr(&t->inline_child);
    if (!child) return NULL;
    *ret_key = weft__word_key(weft__load_acquire_u64(&child->word));
    if (weft__load_acquire_ptr(&t->inline_child) == child) return child;
  }
}

int weft__cancel_task(struct weft__task *t, uint32_t key) {
  weft__point();
  switch (weft__claim_cancel(&t->word, key)) {
  case WEFT__WON_PARKED:
    weft__make_ready(t);
    return 1;
  case WEFT__WON:
    return 1;
  case WEFT__STALE: {
    uint64_t word = weft__load_acquire_u64(&t->word);
    bool ended = weft__word_key(word) == key && weft__word_phase(word) == WEFT__DONE;
    return ended ? 0 : WEFT_ESTALE;
  }
  case WEFT__LOST:
    break;
  }
  /* Not waiting: about to begin, running, or waiting for the task it runs inline. */
  for (uint64_t word = weft__load_acquire_u64(&t->word);
       weft__word_key(word) == key && weft__word_phase(word) == WEFT__RUNNING;) {
    t = inline_child(t, &key);
    if (!t) break;
    enum weft__outcome o = weft__claim_cancel(&t->word, key);
    if (o == WEFT__WON_PARKED) weft__make_ready(t);
    if (o != WEFT__LOST) break;
    word = weft__load_acquire_u64(&t->word);
  }
  return 1;
}

int weft_cancel(weft_task h) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  struct weft__task *t = h.slot_;
  uint32_t key = weft__handle_key(h);
  if (weft__unlikely(t->rt->sim && !weft__sim_here())) return WEFT_EBUSY;
  if (weft__cancel_task(t, key) == 1) return 1;
  return weft__word_names(weft__load_acquire_u64(&t->word), key) ? 0 : WEFT_ESTALE;
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

void weft_shield_begin(void) {
  struct weft__task *t = weft__current_task();
  if (t) t->shield++;
}

void weft_shield_end(void) {
  struct weft__task *t = weft__current_task();
  if (t && t->shield) t->shield--;
}
