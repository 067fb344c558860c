/* An intrusive doubly linked list: a ring through the head, so that no operation has a special
 * case and a node can leave without knowing its list.
 *
 * A node that is in no list points to itself; pop and remove leave it so, which makes a second
 * remove harmless and weft__list_linked an answer. Nothing here is atomic: a list and all nodes in
 * it are guarded by the lock or the thread that owns the list.
 */
#ifndef WEFT_BASE_LIST_H
#define WEFT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct weft__list {
  struct weft__list *next;
  struct weft__list *prev;
};

#define weft__container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* The same for a head and for a node that is in no list. */
static inline void weft__list_init(struct weft__list *l) {
  l->next = l->prev = l;
}

static inline bool weft__list_empty(const struct weft__list *head) {
  return head->next == head;
}
static inline bool weft__list_linked(const struct weft__list *node) {
  return node->next != node;
}

static inline void weft__list_insert_before(struct weft__list *at, struct weft__list *node) {
  node->next = at;
  node->prev = at->prev;
  at->prev->next = node;
  at->prev = node;
}

static inline void weft__list_push_back(struct weft__list *head, struct weft__list *node) {
  weft__list_insert_before(head, node);
}

static inline void weft__list_push_front(struct weft__list *head, struct weft__list *node) {
  weft__list_insert_before(head->next, node);
}

static inline void weft__list_remove(struct weft__list *node) {
  node->prev->next = node->next;
  node->next->prev = node->prev;
  weft__list_init(node);
}

/* NULL when the list is empty. */
static inline struct weft__list *weft__list_first(const struct weft__list *head) {
  return head->next == head ? NULL : head->next;
}

static inline struct weft__list *weft__list_last(const struct weft__list *head) {
  return head->prev == head ? NULL : head->prev;
}

static inline struct weft__list *weft__list_pop_front(struct weft__list *head) {
  struct weft__list *node = weft__list_first(head);
  if (node) weft__list_remove(node);
  return node;
}

static inline struct weft__list *weft__list_pop_back(struct weft__list *head) {
  struct weft__list *node = weft__list_last(head);
  if (node) weft__list_remove(node);
  return node;
}

/* Moves all of from to the end of to, in order; from is empty afterwards. */
static inline void weft__list_append(struct weft__list *to, struct weft__list *from) {
  if (weft__list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  weft__list_init(from);
}

/* The body must not unlink anything; with _safe it may unlink (and free) node itself. */
#define weft__list_foreach(node, head)                                                             \
  for (struct weft__list *node = (head)->next; node != (head); node = node->next)
#define weft__list_foreach_safe(node, after, head)                                                 \
  for (struct weft__list *node = (head)->next, *after = node->next; node != (head);                \
       node = after, after = node->next)

#endif
