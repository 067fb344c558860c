#include "core/timers.h"

#include <string.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/memory.h"

enum { ARITY = 4, FIRST_CAPACITY = 64 };
#define NO_SLOT UINT32_MAX

void weft__timers_init(struct weft__timers *h) {
  memset(h, 0, sizeof *h);
  weft__store_relaxed_u64(&h->next, WEFT__NEVER);
}

void weft__timers_fini(struct weft__timers *h) {
  weft__free(h->entries);
  weft__timers_init(h);
}

static bool before(const struct weft__timer_entry *a, const struct weft__timer_entry *b) {
  return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void place(struct weft__timers *h, uint32_t slot, const struct weft__timer_entry *e) {
  h->entries[slot] = *e;
  e->task->timer_slot = slot;
}

/* Moves e from the hole at slot towards the root. */
static void sift_up(struct weft__timers *h, uint32_t slot, struct weft__timer_entry e) {
  while (slot > 0) {
    uint32_t parent = (slot - 1) / ARITY;
    if (!before(&e, &h->entries[parent])) break;
    place(h, slot, &h->entries[parent]);
    slot = parent;
  }
  place(h, slot, &e);
}

/* Moves e from the hole at slot towards the leaves. */
static void sift_down(struct weft__timers *h, uint32_t slot, struct weft__timer_entry e) {
  for (;;) {
    uint32_t first = slot * ARITY + 1;
    if (first >= h->count) break;
    uint32_t last = first + ARITY < h->count ? first + ARITY : h->count;
    uint32_t least = first;
    for (uint32_t i = first + 1; i < last; i++)
      if (before(&h->entries[i], &h->entries[least])) least = i;
    if (!before(&h->entries[least], &e)) break;
    place(h, slot, &h->entries[least]);
    slot = least;
  }
  place(h, slot, &e);
}

static void publish_next(struct weft__timers *h) {
  weft__store_relaxed_u64(&h->next, h->count ? h->entries[0].deadline : WEFT__NEVER);
}

static void take_out(struct weft__timers *h, uint32_t slot) {
  h->entries[slot].task->timer_slot = NO_SLOT;
  struct weft__timer_entry last = h->entries[--h->count];
  if (slot == h->count) return;
  if (slot > 0 && before(&last, &h->entries[(slot - 1) / ARITY]))
    sift_up(h, slot, last);
  else
    sift_down(h, slot, last);
}

/* Doubles the heap. The old block is copied under the lock: once per doubling. */
static bool grow(struct weft__timers *h) {
  uint32_t capacity = h->capacity ? h->capacity * 2 : FIRST_CAPACITY;
  struct weft__timer_entry *entries = weft__realloc(h->entries, capacity * sizeof *entries);
  if (!entries) return false;
  h->entries = entries;
  h->capacity = capacity;
  return true;
}

int weft__timers_add(struct weft__timers *h, struct weft__task *t, weft__ticket ticket,
                     uint64_t deadline, struct weft__worker **ret_wake) {
  int r = 0;
  *ret_wake = NULL;
  weft__spin_lock(&h->lock);
  if (h->count == h->capacity && !grow(h)) {
    r = WEFT_ENOMEM;
  } else {
    struct weft__timer_entry e = {deadline, h->order++, t, ticket};
    weft__store_relaxed_ptr(&t->timer_heap, h);
    sift_up(h, h->count++, e);
    publish_next(h);
    if (deadline < h->bound) *ret_wake = h->guardian;
  }
  weft__spin_unlock(&h->lock);
  return r;
}

void weft__timers_remove(struct weft__task *t) {
  struct weft__timers *h = weft__load_relaxed_ptr(&t->timer_heap);
  if (!h) return;
  weft__spin_lock(&h->lock);
  if (t->timer_slot != NO_SLOT) {
    take_out(h, t->timer_slot);
    publish_next(h);
  }
  weft__spin_unlock(&h->lock);
  weft__store_relaxed_ptr(&t->timer_heap, NULL);
}

struct weft__task *weft__timers_fire(struct weft__timers *h, uint64_t now) {
  struct weft__task *ready = NULL;
  struct weft__task **tail = &ready;
  if (weft__timers_next(h) > now) return NULL;
  weft__spin_lock(&h->lock);
  while (h->count && h->entries[0].deadline <= now) {
    struct weft__timer_entry e = h->entries[0];
    take_out(h, 0);
    if (weft__claim_win(&e.task->word, e.ticket, WEFT__BY_TIMEOUT) == WEFT__WON_PARKED) {
      e.task->link[WEFT__LINK_READY] = NULL;
      *tail = e.task;
      tail = &e.task->link[WEFT__LINK_READY];
    }
  }
  publish_next(h);
  weft__spin_unlock(&h->lock);
  return ready;
}

uint64_t weft__timers_sleep(struct weft__timers *h, struct weft__worker *w, uint64_t until) {
  weft__spin_lock(&h->lock);
  if (h->count && h->entries[0].deadline < until) until = h->entries[0].deadline;
  h->bound = until;
  h->guardian = w;
  weft__spin_unlock(&h->lock);
  return until;
}

void weft__timers_awake(struct weft__timers *h) {
  weft__spin_lock(&h->lock);
  h->bound = 0;
  weft__spin_unlock(&h->lock);
}
