#include <weft/iter.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "core/park.h"
#include "core/self.h"

/* ---- what gives items ---- */

static int gen_next(void *object, void *ret_item) {
  return weft_gen_next(object, ret_item);
}

weft_iter weft_gen_iter(weft_gen *g) {
  static const weft_iter_ops ops = {
      .name = "a generator", .next = gen_next, .close = weft_gen_close_fn};
  return (weft_iter){&ops, g};
}

static int completed_next(void *object, void *ret_item) {
  weft_completion *c = ret_item;
  return weft_completed_next(object, &c->index, &c->code);
}

static int completed_close(void *object) {
  weft_completed_free(object);
  return 0;
}

weft_iter weft_completed_iter(weft_completed *c) {
  static const weft_iter_ops ops = {
      .name = "as completed", .next = completed_next, .close = completed_close};
  return (weft_iter){&ops, c};
}

static int queue_next(void *object, void *ret_item) {
  return weft_queue_get(object, ret_item);
}

weft_iter weft_queue_iter(weft_queue *q) {
  static const weft_iter_ops ops = {.name = "a queue", .next = queue_next};
  return (weft_iter){&ops, q};
}

static int broadcast_next(void *object, void *ret_item) {
  return weft_broadcast_next(object, ret_item);
}

weft_iter weft_broadcast_iter(weft_broadcast_receiver *r) {
  static const weft_iter_ops ops = {.name = "a broadcast receiver", .next = broadcast_next};
  return (weft_iter){&ops, r};
}

static int latest_next(void *object, void *ret_item) {
  return weft_latest_next(object, ret_item);
}

weft_iter weft_latest_iter(weft_latest_reader *r) {
  static const weft_iter_ops ops = {.name = "a reader of the latest", .next = latest_next};
  return (weft_iter){&ops, r};
}

static int interval_next(void *object, void *ret_item) {
  return weft_interval_tick(object, ret_item);
}

static int interval_close(void *object) {
  weft_interval_stop(object);
  return 0;
}

weft_iter weft_interval_iter(weft_interval *i) {
  static const weft_iter_ops ops = {
      .name = "an interval", .next = interval_next, .close = interval_close};
  return (weft_iter){&ops, i};
}

static int array_next(void *object, void *ret_item) {
  weft_array *a = object;
  if (a->at >= a->n) return 0;
  memcpy(ret_item, (const char *)a->items + a->at * a->item_size, a->item_size);
  a->at++;
  return 1;
}

weft_iter weft_array_iter(weft_array *a) {
  static const weft_iter_ops ops = {.name = "an array", .next = array_next};
  return (weft_iter){&ops, a};
}

/* A wait that was answered at once, as it may be: others get their turn. */
static void spend(void) {
  struct weft__task *t = weft__current_task();
  if (t) weft__spend(t);
}

static int transform_next(void *object, void *ret_item) {
  weft_transform *t = object;
  void *in = t->in ? t->in : ret_item;
  int r;
  while ((r = weft_iter_next(t->from, in)) > 0) {
    r = t->fn(t->arg, in, ret_item);
    if (r != 0) return r;
    spend();
  }
  return r;
}

static int transform_close(void *object) {
  return weft_iter_close(((weft_transform *)object)->from);
}

weft_iter weft_transform_iter(weft_transform *t) {
  static const weft_iter_ops ops = {
      .name = "a transformation", .next = transform_next, .close = transform_close};
  return (weft_iter){&ops, t};
}

/* ---- what takes them ---- */

int weft_take(weft_iter it, size_t item_size, size_t max, void *items, size_t *ret_n) {
  size_t n = 0;
  int r = 1;
  while (n < max && (r = weft_iter_next(it, (char *)items + n * item_size)) > 0) {
    n++;
    spend();
  }
  *ret_n = n;
  return r > 0 ? 1 : r;
}

/* An array that grows. */
struct growing {
  char *items;
  size_t item_size, n, capacity;
};

enum { FIRST_CAPACITY = 16 };

static int make_room(struct growing *g, size_t limit) {
  if (g->n < g->capacity) return 0;
  size_t capacity = g->capacity ? 2 * g->capacity : FIRST_CAPACITY;
  if (limit && capacity > limit) capacity = limit;
  if (capacity > SIZE_MAX / 2 / g->item_size) return WEFT_ENOMEM;
  char *items = weft__realloc(g->items, capacity * g->item_size);
  if (!items) return WEFT_ENOMEM;
  g->items = items;
  g->capacity = capacity;
  return 0;
}

int weft_collect(weft_iter it, size_t item_size, size_t limit, void **ret_items, size_t *ret_n) {
  struct growing g = {.item_size = item_size};
  int r = item_size ? 1 : WEFT_EINVAL;
  while (r > 0 && (limit == 0 || g.n < limit)) {
    r = make_room(&g, limit);
    if (r == 0) r = weft_iter_next(it, g.items + g.n * item_size);
    if (r > 0) {
      g.n++;
      spend();
    }
  }
  if (r < 0 || g.n == 0) {
    weft__free(g.items);
    g.items = NULL;
  }
  if (r < 0) return r;
  *ret_items = g.items;
  *ret_n = g.n;
  return r;
}

void weft_collect_free(void *items) {
  weft__free(items);
}

int weft_fold(weft_iter it, void *item, size_t limit, int (*fn)(void *acc, const void *item),
              void *acc) {
  for (size_t n = 0; limit == 0 || n < limit; n++) {
    int r = weft_iter_next(it, item);
    if (r <= 0) return r;
    r = fn(acc, item);
    if (r != 0) return r < 0 ? r : 1;
    spend();
  }
  return 1;
}
