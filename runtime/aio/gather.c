/* gather: consumes many awaitables in one wait. */
#include <weft/wait.h>

#include "aio/waitset.h"
#include "base/memory.h"
#include "core/park.h"
#include "core/worker.h"

/* Where the i-th stands first. Only a list with a consumed one twice pays for the search. */
static size_t first_place(const struct weft__waitset *ws, size_t i) {
  size_t k = 0;
  while (!weft__awaitable_same(ws->set[k], ws->set[i])) k++;
  return k;
}

static bool taken(const struct weft__waitset *ws, size_t i) {
  return ws->recs[i].taken;
}

static void give_back(struct weft__waitset *ws, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (taken(ws, i)) weft__awaitable_give_back(ws->set[i]);
}

/* Takes all, or none. One that stands earlier in the list, too, is left out of the wait. */
static int take_all(struct weft__waitset *ws) {
  for (size_t i = 0; i < ws->n; i++) {
    int r = weft__awaitable_take(ws->set[i]);
    if (r == WEFT_ESTALE && first_place(ws, i) != i) {
      weft__waitset_skip(ws, i);
    } else if (r < 0) {
      give_back(ws, i);
      return r;
    } else {
      ws->recs[i].taken = true;
    }
  }
  return 0;
}

/* After a cancel: asks all to end, and waits for each that was asked. */
static void cancel_all(struct weft__waitset *ws) {
  for (size_t i = 0; i < ws->n; i++) {
    const weft_awaitable_ops *ops = ws->set[i].ops;
    int asked = taken(ws, i) && ops->cancel ? ops->cancel(ws->set[i].object, ws->set[i].key) : -1;
    if (asked < 0) weft__waitset_skip(ws, i);
  }
  for (size_t i = 0; i < ws->n; i++) {
    struct weft__waiter *rec = &ws->recs[i].rec;
    if (rec->task && !rec->fired)
      rec->fired = weft__await_one(ws->cur, ws->set[i], true, &rec->code) == 0;
  }
}

/* After an error those that are not over run on, and their errors count as read. */
static void drop_all(struct weft__waitset *ws) {
  for (size_t i = 0; i < ws->n; i++) {
    if (!taken(ws, i)) continue;
    weft__awaitable_told(ws->set[i]);
    weft__awaitable_disregard(ws->set[i], ws->recs[i].rec.fired);
  }
}

static int gather(struct weft__waitset *ws, int *ret_codes) {
  int r = take_all(ws);
  if (r < 0) return r;
  r = weft__waitset_wait(ws, ws->n, WEFT__NEVER);
  if (r < 0 && r != WEFT_ECANCELED) { /* not begun: all are the caller's as before */
    give_back(ws, ws->n);
    return r;
  }
  if (r < 0)
    cancel_all(ws);
  else if (ret_codes)
    for (size_t i = 0; i < ws->n; i++)
      weft__waitset_over(ws, taken(ws, i) ? i : first_place(ws, i), &ret_codes[i]);
  else
    r = ws->gate.error;
  drop_all(ws);
  return r;
}

int weft_gather_mixed(const weft_awaitable *set, size_t n, int *ret_codes) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (n == 0) return 0;
  struct weft__waitset ws;
  int r = weft__waitset_init(&ws, cur, set, n);
  if (r < 0) return r;
  ws.gate.fail_fast = ret_codes == NULL;
  r = gather(&ws, ret_codes);
  weft__waitset_fini(&ws);
  return r;
}

int weft_gather(const weft_task *tasks, size_t n, int *ret_codes) {
  if (n == 0) return weft__current_task() ? 0 : weft__no_task();
  if (!tasks || n >= UINT32_MAX) return WEFT_EINVAL;
  weft_awaitable few[WEFT__WAITSET_FEW];
  weft_awaitable *set = n <= WEFT__WAITSET_FEW ? few : weft__alloc(n * sizeof *set);
  if (!set) return WEFT_ENOMEM;
  for (size_t i = 0; i < n; i++) set[i] = weft_task_awaitable(tasks[i]);
  int r = weft_gather_mixed(set, n, ret_codes);
  if (set != few) weft__free(set);
  return r;
}
