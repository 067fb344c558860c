/* A queue's memory: where its items lie and in which order they come out. No locks, no waiting: the
 * queue (queue.c) does both around it.
 */
#ifndef WEFT_AIO_QUEUE_H
#define WEFT_AIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <weft/queue.h>

/* FIFO: a ring from head on. LIFO: a stack. PRIORITY: a binary heap, with the number of each item's put
 * beside it, so that equals come out in their order. */
struct weft__store {
  size_t item_size; /* constant */
  size_t count;
  size_t head; /* of a ring */
  size_t room; /* items that fit, a power of two in a ring */
  char *items;
  uint64_t *numbers; /* of a heap */
  uint64_t next_number;
  weft_queue_order order; /* constant, as the next two */
  weft_queue_less_fn less;
  void *less_arg;
};

/* Reserves memory for so many items; 0 leaves that to grow. 0, WEFT_EINVAL, WEFT_ENOMEM. */
int weft__store_init(struct weft__store *s, size_t item_size, size_t reserve,
                     const weft_queue_opts *opts);
void weft__store_fini(struct weft__store *s);

/* Twice the memory: 0 or WEFT_ENOMEM, which changes nothing. */
int weft__store_grow(struct weft__store *s);

void weft__heap_push(struct weft__store *s, const void *item);
void weft__heap_pop(struct weft__store *s, void *ret_item);

/* Most items are words. */
static inline void weft__item_copy(void *to, const void *from, size_t size) {
  if (size == 8)
    memcpy(to, from, 8);
  else if (size == 4)
    memcpy(to, from, 4);
  else
    memcpy(to, from, size);
}

/* There is room. */
static inline void weft__store_push(struct weft__store *s, const void *item) {
  size_t at = s->count;
  if (s->order == WEFT_QUEUE_PRIORITY) {
    weft__heap_push(s, item);
    return;
  }
  if (s->order == WEFT_QUEUE_FIFO) at = (s->head + at) & (s->room - 1);
  weft__item_copy(s->items + at * s->item_size, item, s->item_size);
  s->count++;
}

/* There is an item. */
static inline void weft__store_pop(struct weft__store *s, void *ret_item) {
  size_t at = s->head;
  if (s->order == WEFT_QUEUE_PRIORITY) {
    weft__heap_pop(s, ret_item);
    return;
  }
  s->count--;
  if (s->order == WEFT_QUEUE_FIFO)
    s->head = (at + 1) & (s->room - 1);
  else
    at = s->count;
  weft__item_copy(ret_item, s->items + at * s->item_size, s->item_size);
}

#endif
