/* The queue: who puts, who gets, who waits.
 *
 * What a newcomer may take, or fill, is counted apart from what a waiter was given and has not come for:
 *
 *   avail    items that the next get takes at once
 *   held     items given to getters that have not run since
 *   pending  places given to putters that have not run since
 *
 *   size = avail + held;    full: size + pending = capacity
 *   getters wait only while avail is 0, putters only while the queue is full
 *
 * So nobody overtakes a waiter, and what a program that runs on one worker sees of size and capacity is
 * what asyncio shows: a waiter's item leaves the queue, a waiter's item enters it, when the waiter runs.
 *
 * In a FIFO queue the bytes move when the waiter is given its turn, under the lock: the n-th waiter gets
 * the n-th item, and items enter in the order of their putters, whichever of them runs first. The store
 * then has avail + pending items, of which only avail may be taken. In the other orders they move when
 * the waiter runs, as in asyncio: it gets the best of what is there by then; the store has avail + held.
 */
#include <weft/queue.h>

#include <weft/errors.h>

#include "aio/awaitable.h"
#include "aio/line.h"
#include "aio/queue.h"
#include "base/memory.h"

enum ended {
  SHUT = 0,  /* the queue was shut down */
  GIVEN = 1, /* an item, a place; of join: all is done */
};

struct weft_queue {
  struct weft__shared shared; /* its lock guards the rest */
  bool shut;
  bool dropped;    /* shut down at once */
  size_t capacity; /* constant; SIZE_MAX: no limit */
  size_t avail, held, pending;
  struct weft__line getters, putters;
  struct weft__store store;
  uint64_t unfinished; /* put and not done */
  struct weft__line joiners;
  weft_watchers readers; /* nobody while avail is not 0, or the queue is shut */
};

static const struct weft__wait_kind for_item = {"an item of a queue"};
static const struct weft__wait_kind for_room = {"room in a queue"};
static const struct weft__wait_kind for_done = {"a queue's items to be done"};

static bool is_fifo(const weft_queue *q) {
  return q->store.order == WEFT_QUEUE_FIFO;
}

static bool is_full(const weft_queue *q) {
  return q->avail + q->held + q->pending >= q->capacity;
}

/* ---- turns: all under the lock ---- */

/* Items became available: the oldest getters' turn. */
static void serve_getters(weft_queue *q, struct weft__woken *woken) {
  while (q->avail > 0 && weft__unlikely(!weft__line_empty(&q->getters))) {
    struct weft__place *p = weft__line_end(&q->getters, GIVEN, woken);
    if (!p) break;
    q->avail--;
    q->held++;
    if (is_fifo(q)) weft__store_pop(&q->store, p->item);
  }
}

/* The getters have been served: what is left is anybody's. */
static void tell_readers(weft_queue *q) {
  if (weft__likely(!weft__watched(&q->readers))) return;
  if (q->avail > 0 || q->shut) weft_watchers_fire(&q->readers, q->avail > 0);
}

/* A place fell free: the oldest putter's. There is memory for its item: of a bounded queue all is
 * allocated, and nobody waits to put into another. */
static void serve_putters(weft_queue *q, struct weft__woken *woken) {
  while (weft__unlikely(!weft__line_empty(&q->putters)) && !is_full(q)) {
    struct weft__place *p = weft__line_end(&q->putters, GIVEN, woken);
    if (!p) return;
    q->pending++;
    if (is_fifo(q)) weft__store_push(&q->store, p->item);
  }
}

static void free_joiners(weft_queue *q, struct weft__woken *woken) {
  if (q->unfinished == 0) weft__line_end_all(&q->joiners, GIVEN, woken);
}

/* An item is in the store. */
static void has_been_put(weft_queue *q, struct weft__woken *woken) {
  q->avail++;
  q->unfinished++;
  serve_getters(q, woken);
  tell_readers(q);
}

static int put_now(weft_queue *q, const void *item, struct weft__woken *woken) {
  if (weft__unlikely(q->store.count == q->store.room)) {
    int r = weft__store_grow(&q->store);
    if (r < 0) return r;
  }
  weft__store_push(&q->store, item);
  has_been_put(q, woken);
  return 0;
}

static int get_now(weft_queue *q, void *ret_item, struct weft__woken *woken) {
  weft__store_pop(&q->store, ret_item);
  q->avail--;
  serve_putters(q, woken);
  return 1;
}

/* ---- waiters that have run ---- */

static int wait_to_put(weft_queue *q, const void *item, struct weft__woken *woken) {
  struct weft__place p = {.item = (void *)(uintptr_t)item};
  int r = weft__line_wait(&q->putters, &p, &q->shared, &for_room, q);
  if (r < 0) return r;
  if (r == SHUT) return WEFT_ECLOSED;
  if (q->shut) return is_fifo(q) ? 0 : WEFT_ECLOSED; /* in time, or its place is no more */
  q->pending--;
  if (!is_fifo(q)) weft__store_push(&q->store, item);
  has_been_put(q, woken);
  return 0;
}

static int wait_to_get(weft_queue *q, void *ret_item, struct weft__woken *woken) {
  struct weft__place p = {.item = ret_item};
  int r = weft__line_wait(&q->getters, &p, &q->shared, &for_item, q);
  if (r <= SHUT) return r;
  if (!is_fifo(q)) {
    if (q->dropped) return 0;
    weft__store_pop(&q->store, ret_item);
  }
  q->held--;
  serve_putters(q, woken);
  return 1;
}

/* ---- the calls ---- */

int weft_queue_put(weft_queue *q, const void *item) {
  struct weft__woken woken = {0};
  int r = weft__shared_enter_suspending(&q->shared);
  if (weft__unlikely(r < 0)) return r;
  weft__shared_lock(&q->shared);
  if (weft__unlikely(q->shut))
    r = WEFT_ECLOSED;
  else if (weft__unlikely(is_full(q)))
    r = wait_to_put(q, item, &woken);
  else
    r = put_now(q, item, &woken);
  weft__shared_unlock(&q->shared);
  weft__woken_tell(&woken);
  return r;
}

int weft_queue_get(weft_queue *q, void *ret_item) {
  struct weft__woken woken = {0};
  int r = weft__shared_enter_suspending(&q->shared);
  if (weft__unlikely(r < 0)) return r;
  weft__shared_lock(&q->shared);
  if (weft__likely(q->avail > 0))
    r = get_now(q, ret_item, &woken);
  else if (!q->shut)
    r = wait_to_get(q, ret_item, &woken);
  weft__shared_unlock(&q->shared);
  weft__woken_tell(&woken);
  return r;
}

int weft_queue_try_put(weft_queue *q, const void *item) {
  struct weft__woken woken = {0};
  int r = weft__shared_enter(&q->shared);
  if (weft__unlikely(r < 0)) return r;
  weft__shared_lock(&q->shared);
  if (q->shut)
    r = WEFT_ECLOSED;
  else
    r = is_full(q) ? WEFT_EAGAIN : put_now(q, item, &woken);
  weft__shared_unlock(&q->shared);
  weft__woken_tell(&woken);
  return r;
}

int weft_queue_try_get(weft_queue *q, void *ret_item) {
  struct weft__woken woken = {0};
  int r = weft__shared_enter(&q->shared);
  if (weft__unlikely(r < 0)) return r;
  weft__shared_lock(&q->shared);
  if (q->avail > 0)
    r = get_now(q, ret_item, &woken);
  else if (!q->shut)
    r = WEFT_EAGAIN;
  weft__shared_unlock(&q->shared);
  weft__woken_tell(&woken);
  return r;
}

/* Under the lock: nothing is in the queue any more. What getters of a FIFO queue were given is theirs. */
static void drop_all(weft_queue *q) {
  q->dropped = true;
  uint64_t n = q->store.count;
  q->unfinished -= n < q->unfinished ? n : q->unfinished;
  q->store.count = 0;
  q->avail = 0;
  if (!is_fifo(q)) q->held = 0;
}

int weft_queue_shutdown(weft_queue *q, bool immediate) {
  struct weft__woken woken = {0};
  int r = weft__shared_enter(&q->shared);
  if (r < 0) return r;
  weft__shared_lock(&q->shared);
  q->shut = true;
  if (is_fifo(q)) { /* the items of putters that have not run yet are in */
    q->avail += q->pending;
    q->unfinished += q->pending;
  }
  q->pending = 0;
  if (immediate) drop_all(q);
  serve_getters(q, &woken);
  tell_readers(q);
  free_joiners(q, &woken);
  weft__line_end_all(&q->getters, SHUT, &woken);
  weft__line_end_all(&q->putters, SHUT, &woken);
  weft__shared_unlock(&q->shared);
  weft__woken_tell(&woken);
  return 0;
}

int weft_queue_task_done(weft_queue *q) {
  struct weft__woken woken = {0};
  int r = weft__shared_enter(&q->shared);
  if (r < 0) return r;
  weft__shared_lock(&q->shared);
  if (q->unfinished > 0) {
    q->unfinished--;
    free_joiners(q, &woken);
  } else {
    r = WEFT_ESTATE;
  }
  weft__shared_unlock(&q->shared);
  weft__woken_tell(&woken);
  return r;
}

int weft_queue_join(weft_queue *q) {
  struct weft__place p;
  int r = weft__shared_enter_suspending(&q->shared);
  if (r < 0) return r;
  weft__shared_lock(&q->shared);
  if (q->unfinished > 0) r = weft__line_wait(&q->joiners, &p, &q->shared, &for_done, q);
  weft__shared_unlock(&q->shared);
  return r < 0 ? r : 0;
}

/* ---- as an awaitable ---- */

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  weft_queue *q = object;
  (void)key;
  weft__shared_watched(&q->shared);
  weft__shared_lock(&q->shared);
  bool over = q->avail > 0 || q->shut;
  if (over)
    *ret_code = q->avail > 0;
  else
    weft_watchers_add(&q->readers, w);
  weft__shared_unlock(&q->shared);
  return over;
}

static void unwatch(void *object, uint64_t key, weft_watch *w) {
  weft_queue *q = object;
  (void)key;
  weft__shared_lock(&q->shared);
  weft_watchers_remove(&q->readers, w);
  weft__shared_unlock(&q->shared);
}

static const weft_awaitable_ops readable = {
    .name = "an item of a queue", .watch = watch, .unwatch = unwatch};

weft_awaitable weft_queue_readable(weft_queue *q) {
  return (weft_awaitable){&readable, q, 0};
}

/* ---- looks ---- */

size_t weft_queue_size(weft_queue *q) {
  weft__shared_lock(&q->shared);
  size_t n = q->avail + q->held;
  weft__shared_unlock(&q->shared);
  return n;
}

bool weft_queue_empty(weft_queue *q) {
  return weft_queue_size(q) == 0;
}

bool weft_queue_full(weft_queue *q) {
  return weft_queue_size(q) >= q->capacity;
}

size_t weft_queue_capacity(const weft_queue *q) {
  return q->capacity == SIZE_MAX ? 0 : q->capacity;
}

size_t weft_queue_item_size(const weft_queue *q) {
  return q->store.item_size;
}

/* ---- life ---- */

int weft_queue_new(weft_queue **ret, size_t item_size, const weft_queue_opts *opts) {
  size_t capacity = opts ? opts->capacity : 0;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret) return WEFT_EINVAL;
  weft_queue *q = weft__zalloc(sizeof *q);
  if (!q) return WEFT_ENOMEM;
  int r = weft__store_init(&q->store, item_size, capacity, opts);
  if (r < 0) {
    weft__free(q);
    return r;
  }
  weft__shared_init(&q->shared);
  q->capacity = capacity ? capacity : SIZE_MAX;
  weft__line_init(&q->getters);
  weft__line_init(&q->putters);
  weft__line_init(&q->joiners);
  *ret = q;
  return 0;
}

int weft_queue_free(weft_queue *q) {
  if (!q) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  weft__shared_lock(&q->shared);
  bool idle = q->shared.waiting == 0 && !weft__watched(&q->readers);
  weft__shared_unlock(&q->shared);
  if (!idle) return WEFT_EBUSY;
  weft__store_fini(&q->store);
  weft__free(q);
  return 0;
}
