#include "aio/waitset.h"

#include <string.h>

#include "base/memory.h"
#include "core/park.h"

int weft__waitset_init(struct weft__waitset *ws, struct weft__task *cur, const weft_awaitable *set,
                       size_t n) {
  if (n == 0 || !set || n >= UINT32_MAX) return WEFT_EINVAL;
  for (size_t i = 0; i < n; i++)
    if (!set[i].ops) return WEFT_EINVAL;
  ws->cur = cur;
  ws->set = set;
  ws->n = n;
  memset(&ws->gate, 0, sizeof ws->gate);
  ws->recs = n <= WEFT__WAITSET_FEW ? ws->few : weft__calloc(n, sizeof *ws->recs);
  if (!ws->recs) return WEFT_ENOMEM;
  if (ws->recs == ws->few) memset(ws->few, 0, n * sizeof *ws->few);
  for (size_t i = 0; i < n; i++) {
    ws->recs[i].rec.task = cur;
    ws->recs[i].rec.gate = &ws->gate;
    weft__list_init(&ws->recs[i].rec.link);
  }
  return 0;
}

void weft__waitset_fini(struct weft__waitset *ws) {
  if (ws->recs != ws->few) weft__free(ws->recs);
}

void weft__waitset_skip(struct weft__waitset *ws, size_t i) {
  ws->recs[i].rec.task = NULL;
}

/* One count less; true when that opened the gate. */
static bool count_down(struct weft__gate *gate) {
  uint32_t left = weft__load_relaxed_u32(&gate->left);
  do {
    if (left == 0) return false;
  } while (!weft__cas_u32(&gate->left, &left, left - 1));
  return left == 1;
}

/* An awaitable that was over before it could be watched passes the gate like an event. */
static void over_already(struct weft__waitset *ws, struct weft__waiter *rec, int code) {
  rec->fired = true;
  rec->code = code;
  bool spared = ws->gate.spare_cancelled && code == WEFT_ECANCELED;
  if (ws->gate.fail_fast && code < 0 && !spared)
    weft__gate_open(&ws->gate, code);
  else
    count_down(&ws->gate);
}

/* Links a record into each awaitable. How many have one, or an error. */
static int watch_all(struct weft__waitset *ws, weft__ticket ticket, size_t *ret_watched) {
  for (size_t i = 0; i < ws->n; i++) {
    struct weft__waiter *rec = &ws->recs[i].rec;
    *ret_watched = i;
    rec->ticket = ticket;
    if (!rec->task) {
      count_down(&ws->gate);
      continue;
    }
    int code = 0;
    int r = ws->set[i].ops->watch(ws->set[i].object, ws->set[i].key, &ws->recs[i], &code);
    if (r < 0) return r;
    if (r == 1) over_already(ws, rec, code);
  }
  *ret_watched = ws->n;
  return 0;
}

static void unwatch(struct weft__waitset *ws, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (ws->recs[i].rec.task)
      ws->set[i].ops->unwatch(ws->set[i].object, ws->set[i].key, &ws->recs[i]);
}

static const struct weft__wait_kind several = {"several awaitables"};

int weft__waitset_wait(struct weft__waitset *ws, size_t need, uint64_t deadline) {
  weft__ticket ticket;
  int r = weft__wait_open(ws->cur, false, &ticket);
  if (r < 0) return r;
  /* One more, taken back below: counting alone must not open it while the records are being linked. */
  weft__store_relaxed_u32(&ws->gate.left, (uint32_t)need + 1);
  size_t watched;
  r = watch_all(ws, ticket, &watched);
  bool opened = count_down(&ws->gate) || weft__load_relaxed_u32(&ws->gate.left) == 0;
  if (r < 0 || opened) {
    weft__wait_abort(ws->cur, ticket);
  } else {
    weft__waits_for(ws->cur, &several, ws);
    r = weft__wait_park(ws->cur, ticket, deadline);
  }
  unwatch(ws, watched);
  return r == 0 && opened ? weft__spend(ws->cur) : r;
}
