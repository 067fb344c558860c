/* Iterators: one interface for everything that gives items one by one, and what can be done
 * with it. asyncio counterparts: async for over any __aiter__, async comprehensions.
 *
 *   weft_iter it = weft_gen_iter(g);
 *   while ((r = weft_iter_next(it, &item)) > 0) ...
 *
 *   void *items;
 *   size_t n;
 *   r = weft_collect(it, sizeof(struct row), 0, &items, &n);        (a comprehension)
 *
 * An iterator is a value of two words that borrows its object. Of your own: a weft_iter_ops table
 * with a next that answers 1 with an item, 0 at the end, or an error.
 */
#ifndef WEFT_ITER_H
#define WEFT_ITER_H

#include <stddef.h>

#include <weft/channel.h>
#include <weft/decls.h>
#include <weft/gen.h>
#include <weft/interval.h>
#include <weft/queue.h>
#include <weft/stream.h>
#include <weft/wait.h>

WEFT_BEGIN_DECLS

typedef struct weft_iter_ops {
  const char *name; /* for reports: "a queue" */
  /* 1 with the item in *ret_item (never NULL), 0 at the end and after it, negative: an error. */
  int (*next)(void *object, void *ret_item);
  /* The consumer wants no more. NULL: nothing is to be done. */
  int (*close)(void *object);
} weft_iter_ops;

typedef struct weft_iter {
  const weft_iter_ops *ops;
  void *object;
} weft_iter;

/* The next item: 1, 0 at the end, or an error. Whether several may share the object is its to say.
 * [as the next that the object is asked with: weft_gen_next, weft_queue_get ...].
 * asyncio: __anext__ */
static inline int weft_iter_next(weft_iter it, void *ret_item) {
  return it.ops->next(it.object, ret_item);
}

/* Done with the object: what that means is said below of each.
 * [as the close that the object is asked with: weft_gen_close ...]. asyncio: aclose */
static inline int weft_iter_close(weft_iter it) {
  return it.ops->close ? it.ops->close(it.object) : 0;
}

/* ---- what gives items ---- */

/* The items of a generator; closing closes it (weft_gen_close).
 * [any thread] [never suspends] */
weft_iter weft_gen_iter(weft_gen *g);

/* What weft_as_completed gives, as items of this type; closing frees it (weft_completed_free). A
 * task or future that fails is an item with its code; what has run out of time is the error
 * WEFT_ETIMEDOUT.
 * [any thread] [never suspends] */
typedef struct weft_completion {
  size_t index;
  int code;
} weft_completion;
weft_iter weft_completed_iter(weft_completed *c);

/* What is got from a queue, until it is shut down and drained; closing does nothing. Each item
 * counts as got, so weft_queue_task_done is the consumer's as ever. [any thread]
 * [never suspends] */
weft_iter weft_queue_iter(weft_queue *q);

/* What a receiver of a broadcast channel gets, and the values that a reader sees; closing does
 * nothing. WEFT_ELAGGED is no end: the next call goes on. [any thread] [never suspends] */
weft_iter weft_broadcast_iter(weft_broadcast_receiver *r);
weft_iter weft_latest_iter(weft_latest_reader *r);

/* The ticks of an interval, as the weft_ns at which each was due, until it is stopped; closing
 * stops it.
 * [any thread] [never suspends] */
weft_iter weft_interval_iter(weft_interval *i);

/* The lines of a stream, each lent until the next (weft_read_line); closing does nothing. asyncio:
 * async for line in reader. [any thread] [never suspends] */
typedef struct weft_line {
  char *text; /* with its '\n', and '\0' behind it */
  size_t len;
} weft_line;
weft_iter weft_stream_iter(weft_stream *s);

/* The items of an array, from `at` on; closing does nothing. One task or thread at a time.
 * [any thread] [never suspends] */
typedef struct weft_array {
  const void *items;
  size_t item_size;
  size_t n;
  size_t at; /* the next one's index */
} weft_array;
weft_iter weft_array_iter(weft_array *a);

/* The items of another iterator, changed or left out by a function; closing closes the other one.
 * fn gets an item of `from` and answers 1 when it has written one to *ret_item, 0 to leave it out,
 * or an error. in: a variable for the items of `from`; NULL when fn works in place (in ==
 * ret_item). One task or thread at a time. [any thread] [never suspends].
 * asyncio: [f(x) async for x in it if p(x)] */
typedef struct weft_transform {
  weft_iter from;
  int (*fn)(void *arg, const void *in, void *ret_item);
  void *arg;
  void *in;
} weft_transform;
weft_iter weft_transform_iter(weft_transform *t);

/* ---- what takes them ---- */

/* None of these closes the iterator. An iterator that never suspends is let go of now and then, so
 * that other tasks get their turn. */

/* All items, in an array that the caller frees with weft_collect_free; *ret_items is NULL when
 * there are none. At most `limit`; 0 is no limit. 0 at the end, 1 when the limit has stopped it, or
 * the iterator's error or WEFT_ENOMEM: then what was taken is dropped (weft_take and weft_fold keep
 * it). WEFT_EINVAL for items without size.
 * [as the iterator's next]. asyncio: [x async for x in it] */
int weft_collect(weft_iter it, size_t item_size, size_t limit, void **ret_items, size_t *ret_n);

/* NULL is allowed. [any thread] [never suspends] */
void weft_collect_free(void *items);

/* Up to `max` items into the caller's array. *ret_n says how many, in every case: so a deadline
 * around it makes batches of what comes in time. 1 when the array is full, 0 at the end, or the
 * iterator's error. [as the iterator's next] */
int weft_take(weft_iter it, size_t item_size, size_t max, void *items, size_t *ret_n);

/* fn(acc, item) for each item, at most `limit` times (0: no limit). item is a variable for one of
 * them. fn answers 0 to go on, 1 to stop, or an error, which is then the result. 0 at the end, 1
 * when fn or the limit has stopped it, or the iterator's error.
 * [as the iterator's next and fn]. asyncio: async for with a body */
int weft_fold(weft_iter it, void *item, size_t limit, int (*fn)(void *acc, const void *item),
              void *acc);

WEFT_END_DECLS
#endif
