/* Channels from whoever has news to all who want it: the latest value, or every item.
 * Tokio: sync::watch, sync::broadcast. asyncio has no counterpart.
 *
 *   latest     one value. A reader sees the newest and waits for one that it has not seen; values
 *              in between are overwritten. For configuration, progress, state.
 *   broadcast  every receiver gets every item, in order. The last `capacity` items are kept; a
 *              receiver that falls further behind is told so, once, and goes on with the oldest
 *              that is left. For events.
 *
 * Senders never wait. A reader and a receiver are values of a few words that belong to one task (or
 * thread) at a time and need not be given back; the channel must outlive their use. Items are
 * copied. What is said in weft/queue.h of plain threads and of simulations holds here, too.
 */
#ifndef WEFT_CHANNEL_H
#define WEFT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/awaitable.h>
#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* ---- the latest value ---- */

typedef struct weft_latest weft_latest;

typedef struct weft_latest_reader {
  weft_latest *channel_;
  uint64_t seen_;
} weft_latest_reader;

/* Makes a channel whose value is a copy of *item, of item_size bytes (at least 1). 0, WEFT_EINVAL,
 * WEFT_ENOMEM. [any thread] [never suspends] */
int weft_latest_new(weft_latest **ret, size_t item_size, const void *item);

/* Frees it; NULL does nothing. 0; or WEFT_EBUSY while a call or an awaitable of it is waited for:
 * nothing is freed then. Nobody may use the channel or a reader of it at the same time or later.
 * [any thread] [never suspends] */
int weft_latest_free(weft_latest *c);

/* The value is a copy of *item from now on, and every reader that waits gets it. 0, WEFT_ECLOSED.
 * [any thread] [never suspends]. Tokio: send */
int weft_latest_set(weft_latest *c, const void *item);

/* Changes the value in place: fn gets it, and says whether readers are to be told. fn is called
 * with the channel's lock held: short, and calls nothing of weft. 0, WEFT_ECLOSED (fn is then not
 * called).
 * [any thread] [never suspends]. Tokio: send_if_modified */
typedef bool (*weft_latest_fn)(void *item, void *arg);
int weft_latest_update(weft_latest *c, weft_latest_fn fn, void *arg);

/* No more changes: a reader gets the last value if it has not seen it, then the end. 0; twice is
 * fine.
 * [any thread] [never suspends] */
int weft_latest_close(weft_latest *c);

/* Copies the value, also of a closed channel. 0. [any thread] [never suspends]. Tokio: borrow */
int weft_latest_get(weft_latest *c, void *ret_item);

/* A reader that has seen the value as it is now; with `unseen` its first weft_latest_next returns
 * that.
 * [any thread] [never suspends]. Tokio: subscribe */
weft_latest_reader weft_latest_read(weft_latest *c, bool unseen);

/* Waits for a value that the reader has not seen, and copies the newest. 1; 0 when the channel is
 * closed and nothing unseen is left; WEFT_ECANCELED, WEFT_ENOMEM: then nothing counts as seen.
 * [any thread] [suspends] [cancel point]. Tokio: changed, borrow_and_update */
int weft_latest_next(weft_latest_reader *reader, void *ret_item);

/* The same, and WEFT_EAGAIN where it would wait. [any thread] [never suspends] */
int weft_latest_try_next(weft_latest_reader *reader, void *ret_item);

/* Over when weft_latest_next would not wait for this reader as it is now; its code is what that
 * would return. Borrows the channel, not the reader. [any thread] [never suspends] */
weft_awaitable weft_latest_awaitable(const weft_latest_reader *reader);

/* ---- every item ---- */

typedef struct weft_broadcast weft_broadcast;

typedef struct weft_broadcast_receiver {
  weft_broadcast *channel_;
  uint64_t next_;
  uint64_t missed; /* to be read: how many items the last WEFT_ELAGGED was about */
} weft_broadcast_receiver;

/* Makes a channel that keeps the last `capacity` (at least 1) items of item_size bytes. 0,
 * WEFT_EINVAL, WEFT_ENOMEM. [any thread] [never suspends] */
int weft_broadcast_new(weft_broadcast **ret, size_t item_size, size_t capacity);

/* As weft_latest_free. [any thread] [never suspends] */
int weft_broadcast_free(weft_broadcast *c);

/* Sends a copy of *item to every receiver, over the oldest item when the channel is full of them.
 * 0, WEFT_ECLOSED. [any thread] [never suspends] */
int weft_broadcast_send(weft_broadcast *c, const void *item);

/* No more items: receivers get what is kept, then the end. 0; twice is fine.
 * [any thread] [never suspends] */
int weft_broadcast_close(weft_broadcast *c);

/* A receiver of all that is sent from now on. [any thread] [never suspends]. Tokio: subscribe */
weft_broadcast_receiver weft_broadcast_receive(weft_broadcast *c);

/* The receiver's next item; waits while there is none. 1; 0 when the channel is closed and the
 * receiver has had all; WEFT_ELAGGED when items were overwritten that it has not had:
 * receiver->missed says how many, and the next call gives the oldest that is kept; WEFT_ECANCELED,
 * WEFT_ENOMEM.
 * [any thread] [suspends] [cancel point]. Tokio: recv */
int weft_broadcast_next(weft_broadcast_receiver *receiver, void *ret_item);

/* The same, and WEFT_EAGAIN where it would wait. [any thread] [never suspends] */
int weft_broadcast_try_next(weft_broadcast_receiver *receiver, void *ret_item);

/* Over when weft_broadcast_next would not wait for this receiver as it is now, with the code 1, or
 * 0 at the end. Borrows the channel, not the receiver. [any thread] [never suspends] */
weft_awaitable weft_broadcast_awaitable(const weft_broadcast_receiver *receiver);

WEFT_END_DECLS
#endif
