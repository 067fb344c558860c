#include "aio/channel.h"

#include <weft/errors.h>

#include "aio/awaitable.h"

void weft__channel_init(struct weft__channel *c) {
  weft__shared_init(&c->shared);
  weft__line_init(&c->waiting);
}

bool weft__channel_idle(struct weft__channel *c) {
  weft__shared_lock(&c->shared);
  bool idle = c->shared.waiting == 0 && !weft__watched(&c->watchers);
  weft__shared_unlock(&c->shared);
  return idle;
}

int weft__channel_change(struct weft__channel *c) {
  int r = weft__shared_enter(&c->shared);
  if (r < 0) return r;
  weft__shared_lock(&c->shared);
  if (!c->closed) return 0;
  weft__shared_unlock(&c->shared);
  return WEFT_ECLOSED;
}

/* Who waits has had all that there was: there is more now, or there never will be. */
static void tell_all(struct weft__channel *c, int code) {
  struct weft__woken woken = {0};
  weft__line_end_all(&c->waiting, code, &woken);
  if (weft__watched(&c->watchers)) weft_watchers_fire(&c->watchers, code);
  weft__shared_unlock(&c->shared);
  weft__woken_tell(&woken);
}

void weft__channel_changed(struct weft__channel *c, bool news) {
  if (news) {
    c->sent++;
    tell_all(c, 1);
  } else {
    weft__shared_unlock(&c->shared);
  }
}

int weft__channel_close(struct weft__channel *c) {
  int r = weft__channel_change(c);
  if (r == WEFT_ECLOSED) return 0;
  if (r < 0) return r;
  c->closed = true;
  tell_all(c, 0);
  return 0;
}

int weft__channel_look(struct weft__channel *c, uint64_t seen, bool may_wait,
                       const struct weft__wait_kind *kind) {
  int r = may_wait ? weft__shared_enter_suspending(&c->shared) : weft__shared_enter(&c->shared);
  if (weft__unlikely(r < 0)) return r;
  weft__shared_lock(&c->shared);
  if (c->sent > seen) return 1;
  if (c->closed) return 0;
  struct weft__place p;
  r = may_wait ? weft__line_wait(&c->waiting, &p, &c->shared, kind, c) : WEFT_EAGAIN;
  if (r < 0) weft__shared_unlock(&c->shared);
  return r;
}

/* ---- as an awaitable ---- */

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  struct weft__channel *c = object;
  weft__shared_watched(&c->shared);
  weft__shared_lock(&c->shared);
  bool over = c->sent > key || c->closed;
  if (over)
    *ret_code = c->sent > key;
  else
    weft_watchers_add(&c->watchers, w);
  weft__shared_unlock(&c->shared);
  return over;
}

static void unwatch(void *object, uint64_t key, weft_watch *w) {
  struct weft__channel *c = object;
  (void)key;
  weft__shared_lock(&c->shared);
  weft_watchers_remove(&c->watchers, w);
  weft__shared_unlock(&c->shared);
}

static const weft_awaitable_ops ops = {.name = "a channel", .watch = watch, .unwatch = unwatch};

weft_awaitable weft__channel_awaitable(struct weft__channel *c, uint64_t seen) {
  return (weft_awaitable){&ops, c, seen};
}
