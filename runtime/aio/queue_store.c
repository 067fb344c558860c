#include "aio/queue.h"

#include <weft/errors.h>

#include "base/memory.h"

enum { FIRST_ROOM = 16 };

/* An array for `room` items and, in a heap, one for their numbers; the old ones are kept on failure. */
static int allocate(struct weft__store *s, size_t room, char **ret_items, uint64_t **ret_numbers) {
  if (room > SIZE_MAX / 2 / s->item_size || room > SIZE_MAX / 2 / sizeof **ret_numbers)
    return WEFT_ENOMEM;
  *ret_numbers = NULL;
  *ret_items = weft__alloc(room * s->item_size);
  if (!*ret_items) return WEFT_ENOMEM;
  if (s->order != WEFT_QUEUE_PRIORITY) return 0;
  *ret_numbers = weft__alloc(room * sizeof **ret_numbers);
  if (*ret_numbers) return 0;
  weft__free(*ret_items);
  return WEFT_ENOMEM;
}

static size_t power_of_two(size_t n) {
  size_t p = 1;
  while (p < n) p *= 2;
  return p;
}

int weft__store_init(struct weft__store *s, size_t item_size, size_t reserve,
                     const weft_queue_opts *opts) {
  *s = (struct weft__store){.item_size = item_size};
  if (opts) {
    s->order = opts->order;
    s->less = opts->less;
    s->less_arg = opts->less_arg;
  }
  if (item_size == 0 || (unsigned)s->order > WEFT_QUEUE_PRIORITY) return WEFT_EINVAL;
  if (s->order == WEFT_QUEUE_PRIORITY && !s->less) return WEFT_EINVAL;
  if (reserve > SIZE_MAX / 4) return WEFT_ENOMEM;
  size_t room = reserve ? power_of_two(reserve) : FIRST_ROOM;
  int r = allocate(s, room, &s->items, &s->numbers);
  if (r == 0) s->room = room;
  return r;
}

void weft__store_fini(struct weft__store *s) {
  weft__free(s->items);
  weft__free(s->numbers);
}

int weft__store_grow(struct weft__store *s) {
  char *items;
  uint64_t *numbers;
  int r = allocate(s, s->room * 2, &items, &numbers);
  if (r < 0) return r;
  size_t before_end = s->count < s->room - s->head ? s->count : s->room - s->head;
  memcpy(items, s->items + s->head * s->item_size, before_end * s->item_size);
  memcpy(items + before_end * s->item_size, s->items, (s->count - before_end) * s->item_size);
  if (numbers) memcpy(numbers, s->numbers, s->count * sizeof *numbers);
  weft__store_fini(s);
  s->items = items;
  s->numbers = numbers;
  s->head = 0;
  s->room *= 2;
  return 0;
}

/* ---- the heap ---- */

static char *item_at(const struct weft__store *s, size_t i) {
  return s->items + i * s->item_size;
}

/* The item with its number before the one at i. */
static bool before(const struct weft__store *s, const void *item, uint64_t number, size_t i) {
  if (s->less(item, item_at(s, i), s->less_arg)) return true;
  return number < s->numbers[i] && !s->less(item_at(s, i), item, s->less_arg);
}

static void move(struct weft__store *s, size_t to, size_t from) {
  memcpy(item_at(s, to), item_at(s, from), s->item_size);
  s->numbers[to] = s->numbers[from];
}

void weft__heap_push(struct weft__store *s, const void *item) {
  uint64_t number = s->next_number++;
  size_t i = s->count++;
  for (size_t parent; i > 0 && before(s, item, number, parent = (i - 1) / 2); i = parent)
    move(s, i, parent);
  memcpy(item_at(s, i), item, s->item_size);
  s->numbers[i] = number;
}

/* The last item fills the hole at the top, and the lesser of its children rises until it is in order. */
void weft__heap_pop(struct weft__store *s, void *ret_item) {
  memcpy(ret_item, s->items, s->item_size);
  size_t last = --s->count, hole = 0;
  for (size_t child; (child = 2 * hole + 1) < last; hole = child) {
    if (child + 1 < last && before(s, item_at(s, child + 1), s->numbers[child + 1], child)) child++;
    if (!before(s, item_at(s, child), s->numbers[child], last)) break;
    move(s, hole, child);
  }
  if (hole != last) move(s, hole, last);
}
