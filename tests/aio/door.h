/* An awaitable of a program's own, made as weft/awaitable.h shows: a door that somebody opens. */
#ifndef WEFT_TEST_DOOR_H
#define WEFT_TEST_DOOR_H

#include <pthread.h>
#include <stdbool.h>
#include <weft.h>

#include "base/mutex.h"

enum { DOOR_CODE = 11 };

struct door {
  pthread_mutex_t lock; /* guards the rest */
  weft_watchers watchers;
  bool open;
};

#define DOOR_INIT                                                                                  \
  { .lock = PTHREAD_MUTEX_INITIALIZER }

static inline int door_watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  struct door *d = object;
  (void)key;
  weft__mutex_lock(&d->lock);
  bool open = d->open;
  if (!open) weft_watchers_add(&d->watchers, w);
  weft__mutex_unlock(&d->lock);
  if (open) *ret_code = DOOR_CODE;
  return open;
}

static inline void door_unwatch(void *object, uint64_t key, weft_watch *w) {
  struct door *d = object;
  (void)key;
  weft__mutex_lock(&d->lock);
  weft_watchers_remove(&d->watchers, w);
  weft__mutex_unlock(&d->lock);
}

/* Any thread. */
static inline void door_open(struct door *d) {
  weft__mutex_lock(&d->lock);
  d->open = true;
  weft_watchers_fire(&d->watchers, DOOR_CODE);
  weft__mutex_unlock(&d->lock);
}

static inline weft_awaitable door_awaitable(struct door *d) {
  static const weft_awaitable_ops ops = {
      .name = "a door", .watch = door_watch, .unwatch = door_unwatch};
  return (weft_awaitable){&ops, d, 0};
}

#endif
