#include "core/rest.h"

#include "base/futex.h"
#include "core/monitor.h"
#include "core/worker.h"

bool weft__work_begin(struct weft__runtime *rt) {
  weft__add_u32(&rt->active, 1);
  weft__fence_full(); /* pairs with weft__rest_wait */
  if (weft__life(rt) < WEFT__RESTS) return true;
  weft__work_end(rt);
  return false;
}

void weft__work_end(struct weft__runtime *rt) {
  if (weft__sub_u32(&rt->active, 1) == 1 && weft__life(rt) == WEFT__RESTS)
    weft__futex_wake(&rt->active, 1);
}

/* Who rests counts as asleep, so that the monitor sleeps too. */
static void lie_down(struct weft__runtime *rt) {
  weft__add_u32(&rt->parked, 1);
}

static void get_up(struct weft__runtime *rt) {
  weft__sub_u32(&rt->parked, 1);
  weft__monitor_wake(rt);
}

bool weft__rest(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  while (!weft__work_begin(rt)) {
    if (weft__life(rt) == WEFT__ENDED) return false;
    lie_down(rt);
    while (weft__life(rt) == WEFT__RESTS)
      weft__futex_wait(&rt->life, WEFT__RESTS, WEFT__FUTEX_FOREVER);
    get_up(rt);
  }
  return true;
}

/* Life has changed: for workers that sleep, and for reserves in a lease. */
static void tell_workers(struct weft__runtime *rt) {
  for (unsigned i = 1; i < rt->nworkers + rt->nreserves; i++) weft__unpark(&rt->workers[i]);
}

void weft__rest_first(struct weft__runtime *rt) {
  weft__store_seq_u32(&rt->life, WEFT__RESTS);
  lie_down(rt);
}

void weft__rest_begin(struct weft__runtime *rt) {
  weft__store_seq_u32(&rt->life, WEFT__RESTS);
  tell_workers(rt);
}

void weft__rest_wait(struct weft__runtime *rt) {
  uint32_t active;
  weft__fence_full(); /* life before this look; pairs with weft__work_begin */
  while ((active = weft__load_acquire_u32(&rt->active)) != 0)
    weft__futex_wait(&rt->active, active, WEFT__FUTEX_FOREVER);
  lie_down(rt);
}

void weft__rest_end(struct weft__runtime *rt, unsigned life) {
  weft__store_release_u32(&rt->life, life);
  weft__futex_wake(&rt->life, UINT32_MAX);
  get_up(rt);
}

void weft__life_end(struct weft__runtime *rt) {
  weft__store_release_u32(&rt->life, WEFT__ENDED);
  tell_workers(rt);
  weft__futex_wake(&rt->life, UINT32_MAX);
}
