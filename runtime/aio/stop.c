#include "aio/stop.h"

#include <weft/group.h>

#include "base/memory.h"
#include "base/spin.h"
#include "core/self.h"

/* One lock for the shape of all trees and their watchers: stoppable groups are few, and asked once. */
static struct weft__spin lock;

static struct weft__stop *of_task(struct weft__task *t) {
  return t && t->heritage ? weft__container_of(t->heritage, struct weft__stop, base) : NULL;
}

static bool asked(struct weft__stop *s) {
  return s && weft__load_acquire_u32(&s->asked) != 0;
}

static void gone(struct weft__heritage *h) {
  struct weft__stop *s = weft__container_of(h, struct weft__stop, base);
  weft__spin_lock(&lock);
  weft__list_remove(&s->siblings);
  weft__spin_unlock(&lock);
  struct weft__stop *parent = s->parent;
  weft__free(s);
  weft__stop_drop(parent);
}

struct weft__stop *weft__stop_new(void) {
  struct weft__stop *s = weft__zalloc(sizeof *s);
  if (!s) return NULL;
  weft__heritage_init(&s->base, gone);
  weft__list_init(&s->below);
  weft__list_init(&s->siblings);
  s->parent = of_task(weft__current_task());
  if (!s->parent) return s;
  weft__heritage_ref(&s->parent->base);
  weft__spin_lock(&lock);
  weft__list_push_back(&s->parent->below, &s->siblings);
  weft__store_release_u32(&s->asked, weft__load_relaxed_u32(&s->parent->asked));
  weft__spin_unlock(&lock);
  return s;
}

/* The one after s in the tree below root, parents first; NULL after the last. */
static struct weft__stop *next_in_tree(struct weft__stop *root, struct weft__stop *s) {
  if (!weft__list_empty(&s->below))
    return weft__container_of(s->below.next, struct weft__stop, siblings);
  for (; s != root; s = s->parent)
    if (s->siblings.next != &s->parent->below)
      return weft__container_of(s->siblings.next, struct weft__stop, siblings);
  return NULL;
}

void weft__stop_ask(struct weft__stop *root) {
  weft__spin_lock(&lock);
  for (struct weft__stop *s = root; s; s = next_in_tree(root, s)) {
    weft__store_release_u32(&s->asked, 1);
    weft_watchers_fire(&s->watchers, 0);
  }
  weft__spin_unlock(&lock);
}

void weft__stop_hand_down(struct weft__stop *s, struct weft__task *t) {
  weft__heritage_ref(&s->base);
  if (t->heritage) weft__heritage_drop(t->heritage);
  t->heritage = &s->base;
  t->has_opts = true;
}

/* ---- what a task sees ---- */

bool weft_stopping(void) {
  return asked(of_task(weft__current_task()));
}

static int stop_watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  struct weft__stop *s = object;
  (void)key;
  weft__spin_lock(&lock);
  bool over = weft__load_relaxed_u32(&s->asked) != 0;
  if (!over) weft_watchers_add(&s->watchers, w);
  weft__spin_unlock(&lock);
  if (over) *ret_code = 0;
  return over;
}

static void stop_unwatch(void *object, uint64_t key, weft_watch *w) {
  struct weft__stop *s = object;
  (void)key;
  weft__spin_lock(&lock);
  weft_watchers_remove(&s->watchers, w);
  weft__spin_unlock(&lock);
}

static const weft_awaitable_ops stop_ops = {
    .name = "a request to finish", .watch = stop_watch, .unwatch = stop_unwatch};

/* Nobody can ask: never over. With a key: its code. */
static int nobody_watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  (void)object, (void)w, (void)ret_code;
  return (int)(int64_t)key;
}

static void nobody_unwatch(void *object, uint64_t key, weft_watch *w) {
  (void)object, (void)key, (void)w;
}

static const weft_awaitable_ops nobody_ops = {
    .name = "a request to finish", .watch = nobody_watch, .unwatch = nobody_unwatch};

weft_awaitable weft_stop_awaitable(void) {
  struct weft__task *t = weft__current_task();
  struct weft__stop *s = of_task(t);
  if (s) return (weft_awaitable){&stop_ops, s, 0};
  return (weft_awaitable){&nobody_ops, NULL, t ? 0 : (uint64_t)(int64_t)weft__no_task()};
}

int weft_stop_wait(void) {
  return weft_awaitable_await(weft_stop_awaitable());
}
