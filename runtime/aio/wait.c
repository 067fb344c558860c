/* wait and select: look at many awaitables without consuming them. */
#include <weft/wait.h>

#include "aio/waitset.h"
#include "core/deadline.h"
#include "core/park.h"
#include "core/self.h"

/* How many are over; their outcomes. */
static int count_over(const struct weft__waitset *ws, weft_outcome *ret) {
  int n = 0;
  for (size_t i = 0; i < ws->n; i++) {
    weft_outcome o = {false, 0};
    o.over = weft__waitset_over(ws, i, &o.code);
    n += o.over;
    if (!ret) continue;
    ret[i] = o;
    if (o.over) weft__awaitable_told(ws->set[i]);
  }
  return n;
}

int weft_wait(const weft_awaitable *set, size_t n, enum weft_wait_until until, weft_ns limit,
              weft_outcome *ret) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (n > INT32_MAX || until < WEFT_ALL_OVER || until > WEFT_FIRST_ERROR) return WEFT_EINVAL;
  struct weft__waitset ws;
  int r = weft__waitset_init(&ws, cur, set, n);
  if (r < 0) return r;
  ws.gate.fail_fast = until == WEFT_FIRST_ERROR;
  ws.gate.spare_cancelled = true;
  r = weft__waitset_wait(&ws, until == WEFT_FIRST_OVER ? 1 : n, weft__deadline_in(limit));
  if (r == 0 || r == WEFT_ETIMEDOUT) r = count_over(&ws, ret);
  weft__waitset_fini(&ws);
  return r;
}

int weft_select(const weft_awaitable *set, size_t n, int *ret_code) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (n > INT32_MAX) return WEFT_EINVAL;
  struct weft__waitset ws;
  int r = weft__waitset_init(&ws, cur, set, n);
  if (r < 0) return r;
  r = weft__waitset_wait(&ws, 1, WEFT__NEVER);
  int code = 0;
  for (int i = 0; r == 0 && i < (int)n; i++) {
    if (!weft__waitset_over(&ws, (size_t)i, &code)) continue;
    if (ret_code) {
      *ret_code = code;
      weft__awaitable_told(set[i]);
    }
    r = i;
    break;
  }
  weft__waitset_fini(&ws);
  return r;
}
