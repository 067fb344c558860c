/* Who holds a lock, as its word says it: a task by its address and 16 bits of its key.
 *
 *   bits  0..1   the flags of the word (aio/sync.h)
 *   bit   2      a writer holds it; never set in a lock that knows no readers
 *   bits  3..47  address of the task
 *   bits 48..63  the low bits of the task's key
 *
 * The memory of tasks is used again, and a lock may outlive the task that took it: without the key, the
 * next task there would be taken for the holder. (With it, one in 65536 of those that follow there is,
 * while nobody releases the lock.) core/task.c makes tasks only where addresses leave room.
 */
#ifndef WEFT_AIO_HOLDER_H
#define WEFT_AIO_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/task.h"

#define WEFT__HOLDER_WRITES UINT64_C(4)
#define WEFT__HOLDER_ADDRESS (((UINT64_C(1) << WEFT__TASK_ADDRESS_BITS) - 1) & ~UINT64_C(7))
_Static_assert(_Alignof(struct weft__task) > 7, "an address leaves room for the flags");
_Static_assert(WEFT__TASK_ADDRESS_BITS <= 48, "an address leaves room for the key");

/* The state of a lock that t holds, whose key is this. Never 0. */
static inline uint64_t weft__holder(const struct weft__task *t, uint32_t key) {
  return (uint64_t)(uintptr_t)t | (uint64_t)key << 48;
}
/* Of t, which calls it. */
static inline uint64_t weft__holder_self(struct weft__task *t) {
  return weft__holder(t, weft__word_key(weft__load_relaxed_u64(&t->word)));
}

/* The address in the word, and whether the key goes with the claim word of the task there. */
static inline struct weft__task *weft__holder_task(uint64_t state) {
  return (struct weft__task *)(uintptr_t)(state & WEFT__HOLDER_ADDRESS);
}
static inline bool weft__holder_names(uint64_t state, uint64_t word) {
  return state >> 48 == (weft__word_key(word) & 0xffff);
}

#endif
