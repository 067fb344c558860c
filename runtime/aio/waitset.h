/* One wait on many awaitables: what gather, wait and select have in common.
 *
 * Every awaitable gets a record; each record's event passes a gate that counts; the event that opens the
 * gate wins the wait. Whatever ends the wait, all records are unlinked before the call returns, so they
 * may lie on the caller's stack.
 */
#ifndef WEFT_AIO_WAITSET_H
#define WEFT_AIO_WAITSET_H

#include "aio/awaitable.h"

enum { WEFT__WAITSET_FEW = 8 };

/* Lives on the waiting task's stack. */
struct weft__waitset {
  struct weft__task *cur;
  const weft_awaitable *set;
  size_t n;
  struct weft__gate gate;
  weft_watch *recs; /* by place in set; few, or from the heap */
  weft_watch few[WEFT__WAITSET_FEW];
};

/* 0, WEFT_EINVAL (no awaitable, or one without functions), WEFT_ENOMEM. */
int weft__waitset_init(struct weft__waitset *ws, struct weft__task *cur, const weft_awaitable *set,
                       size_t n);
void weft__waitset_fini(struct weft__waitset *ws);

/* Waits until `need` of them are over, or one is with an error (the gate's options), or the deadline.
 * 0 when the gate opened, WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_ENOMEM, or the error of an awaitable that
 * cannot be waited for. Afterwards weft__waitset_over tells which are over. */
int weft__waitset_wait(struct weft__waitset *ws, size_t need, uint64_t deadline);

/* The i-th was over when the wait ended; *ret_code is its code. */
static inline bool weft__waitset_over(const struct weft__waitset *ws, size_t i, int *ret_code) {
  if (ws->recs[i].rec.fired) *ret_code = ws->recs[i].rec.code;
  return ws->recs[i].rec.fired;
}

/* Leaves the i-th out of the wait: it counts as over with this code. Before the wait. */
void weft__waitset_skip(struct weft__waitset *ws, size_t i);

#endif
