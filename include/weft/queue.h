/* Queues: items by value from any number of producers to any number of consumers, on any worker and
 * on plain threads. asyncio: Queue, LifoQueue, PriorityQueue.
 *
 *   weft_queue *q;
 *   r = weft_queue_new(&q, sizeof(struct order), &(weft_queue_opts){.capacity = 100});
 *   r = weft_queue_put(q, &order);                       (a producer; waits while it is full)
 *   weft_queue_shutdown(q, false);                       (no more puts; what is in it may be got)
 *   while ((r = weft_queue_get(q, &order)) > 0) ...      (a consumer; 0: shut down and drained)
 *   r = weft_queue_free(q);
 *
 * Who waits is served in the order in which they came, and nobody who comes later overtakes them:
 * an item that arrives while consumers wait is the oldest one's, and in a FIFO queue handed to it
 * at once, as a place that falls free is given to the oldest producer that waits. What has been
 * given counts as taken, or put, also when a cancel, a timeout or a shutdown comes before the one
 * it was given to has run: the call returns success and the cancel is answered by the next one. A
 * call that returns an error has taken and put nothing. (asyncio's waiters are only woken, and may
 * find that another was faster.) Until it runs, the item that it was given still counts in size and
 * capacity, as in asyncio.
 *
 * On a thread that is no worker, calls marked [suspends] block the thread; it cannot be cancelled,
 * and the end of a run does not release it: weft_queue_shutdown does. Shut a queue down, and see
 * its threads leave, before it is freed. A queue that has been used in a simulation answers
 * WEFT_EBUSY to threads outside of it.
 */
#ifndef WEFT_QUEUE_H
#define WEFT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/awaitable.h>
#include <weft/decls.h>

WEFT_BEGIN_DECLS

typedef struct weft_queue weft_queue;

typedef enum weft_queue_order {
  WEFT_QUEUE_FIFO = 0, /* the oldest item comes first */
  WEFT_QUEUE_LIFO,     /* the newest */
  WEFT_QUEUE_PRIORITY, /* the least, and of equals the oldest */
} weft_queue_order;

/* a comes before b. Called with the queue's lock held: short, and calls nothing of weft. a and b
 * are aligned as the item's type is. */
typedef bool (*weft_queue_less_fn)(const void *a, const void *b, void *less_arg);

/* Every field may be left zero. */
typedef struct weft_queue_opts {
  size_t capacity; /* most items; default: no limit, and put never waits. The memory of a bounded
                      queue is allocated when it is made, of an unbounded one by put */
  weft_queue_order order;
  weft_queue_less_fn less; /* of a priority queue, which must have it */
  void *less_arg;
} weft_queue_opts;

/* Makes a queue for items of item_size bytes (at least 1). opts may be NULL. 0, WEFT_EINVAL,
 * WEFT_ENOMEM.
 * [any thread] [never suspends]. asyncio: Queue(), LifoQueue(), PriorityQueue() */
int weft_queue_new(weft_queue **ret, size_t item_size, const weft_queue_opts *opts);

/* Frees the queue and the items in it; NULL does nothing. 0; or WEFT_EBUSY while a call waits in
 * it, or an awaitable of it is waited for: nothing is freed then, and the queue works on. So shut
 * it down first (weft_queue_shutdown), which ends every get and put that waits. Nobody may call
 * anything on it at the same time or later; a call that has been seen to take effect is over.
 * [any thread] [never suspends] */
int weft_queue_free(weft_queue *q);

/* Puts a copy of *item; waits while the queue is full. 0; WEFT_ECLOSED once it is shut down, also
 * when that happens during the wait; WEFT_ECANCELED; WEFT_ENOMEM.
 * [any thread] [suspends] [cancel point]. asyncio: put */
int weft_queue_put(weft_queue *q, const void *item);

/* Moves the next item into *ret_item; waits while there is none. 1; or 0 once the queue is shut
 * down and nothing is left for the caller; or WEFT_ECANCELED, WEFT_ENOMEM.
 * [any thread] [suspends] [cancel point]. asyncio: get */
int weft_queue_get(weft_queue *q, void *ret_item);

/* The same, and WEFT_EAGAIN where they would wait. [any thread] [never suspends].
 * asyncio: put_nowait, get_nowait */
int weft_queue_try_put(weft_queue *q, const void *item);
int weft_queue_try_get(weft_queue *q, void *ret_item);

/* Shuts the queue down: puts fail from now on, those that wait too; gets take what is left, then
 * answer 0. `immediate` drops what is left: each dropped item counts as done. It may follow a call
 * without it. 0; twice is fine. [any thread] [never suspends]. asyncio: shutdown */
int weft_queue_shutdown(weft_queue *q, bool immediate);

/* One item that was got has been dealt with. 0, or WEFT_ESTATE when it is called more often than
 * items were put. [any thread] [never suspends]. asyncio: task_done */
int weft_queue_task_done(weft_queue *q);

/* Waits until every item that was put is done with; at once when there is none. 0, WEFT_ECANCELED,
 * WEFT_ENOMEM. [any thread] [suspends] [cancel point]. asyncio: join */
int weft_queue_join(weft_queue *q);

/* Over, with the code 1, when an item is there, and with 0 when the queue is shut down and drained:
 * for weft_select and its kin. It takes nothing: weft_queue_try_get does, and answers WEFT_EAGAIN
 * when somebody else was faster. Several watchers are all told of one item.
 * [any thread] [never suspends] */
weft_awaitable weft_queue_readable(weft_queue *q);

/* Snapshots: they may be old by the time they are looked at. An unbounded queue is never full.
 * [any thread] [never suspends]. asyncio: qsize, empty, full, maxsize */
size_t weft_queue_size(weft_queue *q);
bool weft_queue_empty(weft_queue *q);
bool weft_queue_full(weft_queue *q);
size_t weft_queue_capacity(const weft_queue *q);
size_t weft_queue_item_size(const weft_queue *q);

WEFT_END_DECLS
#endif
