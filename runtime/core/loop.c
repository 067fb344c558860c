#include "core/loop.h"

#include <poll.h>
#include <string.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"

static void on_bell(uv_async_t *bell) {
  (void)bell;
}
/* When the deadline has passed by the time libuv looks at its clock (this thread may have lost the CPU
 * after the alarm was set), the alarm goes off before the poll, which then must not wait. */
static void on_alarm(uv_timer_t *alarm) {
  uv_stop(alarm->loop);
}

int weft__loop_init(struct weft__loop *l) {
  memset(l, 0, sizeof *l);
  weft__list_init(&l->requests);
  int r = uv_loop_init(&l->uv);
  if (r < 0) return r;
  r = uv_async_init(&l->uv, &l->bell, on_bell);
  if (r < 0) {
    uv_loop_close(&l->uv);
    return r;
  }
  uv_timer_init(&l->uv, &l->alarm);
  /* Neither is a reason to sleep in the loop. */
  uv_unref((uv_handle_t *)&l->bell);
  uv_unref((uv_handle_t *)&l->alarm);
  return 0;
}

static void close_handle(uv_handle_t *h, void *arg) {
  (void)arg;
  if (!uv_is_closing(h)) uv_close(h, NULL);
}

void weft__loop_fini(struct weft__loop *l) {
  uv_walk(&l->uv, close_handle, NULL);
  while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0) {}
  WEFT__ASSERT(uv_loop_close(&l->uv) == 0);
}

bool weft__loop_enter(struct weft__loop *l, struct weft__worker *w) {
  void *none = NULL;
  return weft__load_relaxed_ptr(&l->driver) == NULL && weft__cas_ptr(&l->driver, &none, w);
}

void weft__loop_leave(struct weft__loop *l) {
  weft__store_release_ptr(&l->driver, NULL);
}

static void run_requests(struct weft__loop *l) {
  if (weft__load_acquire_u32(&l->posted) == 0) return;
  for (;;) {
    weft__spin_lock(&l->lock);
    struct weft__list *n = weft__list_pop_front(&l->requests);
    if (n) weft__store_relaxed_u32(&l->posted, weft__load_relaxed_u32(&l->posted) - 1);
    weft__spin_unlock(&l->lock);
    if (!n) return;
    struct weft__loop_request *req = weft__container_of(n, struct weft__loop_request, link);
    req->run(req, &l->uv);
  }
}

void weft__loop_turn(struct weft__loop *l) {
  run_requests(l);
  uv_run(&l->uv, UV_RUN_NOWAIT);
  weft__counter_add(&l->turns, 1);
}

void weft__loop_sleep(struct weft__loop *l, uint64_t deadline) {
  run_requests(l);
  uint64_t now = weft__now();
  if (deadline != UINT64_MAX) {
    uint64_t ns = deadline > now ? deadline - now : 0;
    uv_update_time(&l->uv);
    uv_timer_start(&l->alarm, on_alarm, (ns + WEFT__NS_PER_MS - 1) / WEFT__NS_PER_MS, 0);
  }
  uv_run(&l->uv, UV_RUN_ONCE);
  uv_timer_stop(&l->alarm);
  weft__counter_add(&l->turns, 1);
}

bool weft__loop_alive(const struct weft__loop *l) {
  return weft__load_relaxed_u32(&l->posted) != 0 || uv_loop_alive(&l->uv);
}

void weft__loop_post(struct weft__loop *l, struct weft__loop_request *req) {
  weft__spin_lock(&l->lock);
  weft__list_push_back(&l->requests, &req->link);
  weft__store_release_u32(&l->posted, weft__load_relaxed_u32(&l->posted) + 1);
  weft__spin_unlock(&l->lock);
}

bool weft__loop_unpost(struct weft__loop *l, struct weft__loop_request *req) {
  weft__spin_lock(&l->lock);
  bool posted = weft__list_linked(&req->link);
  if (posted) {
    weft__list_remove(&req->link);
    weft__store_relaxed_u32(&l->posted, weft__load_relaxed_u32(&l->posted) - 1);
  }
  weft__spin_unlock(&l->lock);
  return posted;
}

void weft__loop_ring(struct weft__loop *l) {
  uv_async_send(&l->bell);
}

bool weft__loop_has_event(const struct weft__loop *l) {
  if (weft__load_relaxed_u32(&l->posted) != 0) return true;
  struct pollfd p = {.fd = uv_backend_fd(&l->uv), .events = POLLIN};
  return poll(&p, 1, 0) > 0;
}
