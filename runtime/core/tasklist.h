/* A first-in first-out list of tasks under a lock: where tasks go that no ring or deque has room
 * for, that come from foreign threads, or that only one worker may run.
 *
 * Tasks are linked through themselves, so a push needs no memory and never fails. A task can be in
 * one list of started tasks and, as the tombstone of its queue entry, in one list of unstarted ones:
 * hence two link fields, and a list knows which it uses.
 */
#ifndef WEFT_CORE_TASKLIST_H
#define WEFT_CORE_TASKLIST_H

#include "base/spin.h"
#include "core/task.h"

struct weft__tasklist {
  struct weft__spin lock; /* guards head and tail */
  enum weft__link which;  /* constant */
  struct weft__task *head;
  struct weft__task *tail;
  weft__atomic_u32 count; /* written under the lock, read without: a hint that is exact for a
                             reader that the fences of idle.c order after the push */
};

static inline void weft__tasklist_init(struct weft__tasklist *l, enum weft__link which) {
  *l = (struct weft__tasklist){.which = which};
}

static inline uint32_t weft__tasklist_count(const struct weft__tasklist *l) {
  return weft__load_relaxed_u32(&l->count);
}

/* Appends a chain of n tasks, first to last through the list's link field. */
static inline void weft__tasklist_append(struct weft__tasklist *l, struct weft__task *first,
                                         struct weft__task *last, uint32_t n) {
  last->link[l->which] = NULL;
  weft__spin_lock(&l->lock);
  if (l->tail)
    l->tail->link[l->which] = first;
  else
    l->head = first;
  l->tail = last;
  weft__store_relaxed_u32(&l->count, weft__load_relaxed_u32(&l->count) + n);
  weft__spin_unlock(&l->lock);
}

static inline void weft__tasklist_push(struct weft__tasklist *l, struct weft__task *t) {
  weft__tasklist_append(l, t, t, 1);
}

/* Takes up to max of the oldest; returns how many, in order. */
static inline uint32_t weft__tasklist_take(struct weft__tasklist *l, struct weft__task **out,
                                           uint32_t max) {
  if (weft__tasklist_count(l) == 0) return 0;
  uint32_t n = 0;
  weft__spin_lock(&l->lock);
  while (n < max && l->head) {
    struct weft__task *t = l->head;
    l->head = t->link[l->which];
    out[n++] = t;
  }
  if (!l->head) l->tail = NULL;
  weft__store_relaxed_u32(&l->count, weft__load_relaxed_u32(&l->count) - n);
  weft__spin_unlock(&l->lock);
  return n;
}

static inline struct weft__task *weft__tasklist_pop(struct weft__tasklist *l) {
  struct weft__task *t;
  return weft__tasklist_take(l, &t, 1) ? t : NULL;
}

#endif
