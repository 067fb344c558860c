/* Ending a task: the one place where its code is set and everybody who waits for it is told. */
#ifndef WEFT_CORE_FINISH_H
#define WEFT_CORE_FINISH_H

#include "core/shutdown.h"
#include "core/worker.h"

/* Ends t with code on w, the worker that ran it: watchers and owner are told, those who waited are
 * made ready. Drops no reference. Inline: every await of an unbegun task passes here. */
static inline void weft__task_finish(struct weft__worker *w, struct weft__task *t, int code) {
  struct weft__owner *owner = weft__load_relaxed_ptr(&t->owner);
  uint64_t word = weft__load_relaxed_u64(&t->word);
  /* A request that is still undelivered as the body returns makes its end a cancelled one; the CAS
   * fails when one comes in between, and a later one finds DONE. */
  do {
    t->code = (word & WEFT__CANCEL) && code >= 0 ? WEFT_ECANCELED : code;
  } while (weft__unlikely(!weft__claim_finish(&t->word, &word)));
  if (weft__unlikely(weft__load_seq_u32(&t->watched) != 0)) weft__task_tell(t, t->code);
  if (weft__unlikely(owner != NULL)) owner->child_done(owner, t);
  /* Pairs with weft__tasks_live: who counts this end has seen every spawn that led to it. */
  weft__counter_add_release(&w->counters.finished, 1);
  if (weft__unlikely(weft__load_relaxed_u32(&w->rt->main_done) != 0)) weft__shutdown_hint(w->rt);
}

#endif
