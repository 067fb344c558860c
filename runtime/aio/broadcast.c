/* The channel of every item: a ring, and in each receiver the number of its next item. */
#include <weft/channel.h>

#include <weft/errors.h>

#include <string.h>

#include "aio/channel.h"
#include "base/memory.h"

struct weft_broadcast {
  struct weft__channel channel; /* its lock guards the ring */
  size_t item_size;             /* constant, as the next two */
  size_t capacity;
  char *ring; /* item n is at n % capacity */
};

static const struct weft__wait_kind for_item = {"an item of a broadcast"};

static char *place_of(weft_broadcast *c, uint64_t n) {
  return c->ring + (size_t)(n % c->capacity) * c->item_size;
}

int weft_broadcast_new(weft_broadcast **ret, size_t item_size, size_t capacity) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret || item_size == 0 || capacity == 0) return WEFT_EINVAL;
  weft_broadcast *c = weft__zalloc(sizeof *c);
  if (!c) return WEFT_ENOMEM;
  c->ring = weft__calloc(capacity, item_size);
  if (!c->ring) {
    weft__free(c);
    return WEFT_ENOMEM;
  }
  weft__channel_init(&c->channel);
  c->item_size = item_size;
  c->capacity = capacity;
  *ret = c;
  return 0;
}

int weft_broadcast_free(weft_broadcast *c) {
  if (!c) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!weft__channel_idle(&c->channel)) return WEFT_EBUSY;
  weft__free(c->ring);
  weft__free(c);
  return 0;
}

int weft_broadcast_send(weft_broadcast *c, const void *item) {
  int r = weft__channel_change(&c->channel);
  if (r < 0) return r;
  memcpy(place_of(c, c->channel.sent), item, c->item_size);
  weft__channel_changed(&c->channel, true);
  return 0;
}

int weft_broadcast_close(weft_broadcast *c) {
  return weft__channel_close(&c->channel);
}

weft_broadcast_receiver weft_broadcast_receive(weft_broadcast *c) {
  weft__shared_lock(&c->channel.shared);
  uint64_t sent = c->channel.sent;
  weft__shared_unlock(&c->channel.shared);
  return (weft_broadcast_receiver){.channel_ = c, .next_ = sent};
}

/* Under the lock: something was sent that the receiver has not had. */
static int take(weft_broadcast *c, weft_broadcast_receiver *receiver, void *ret_item) {
  uint64_t sent = c->channel.sent;
  uint64_t oldest = sent > c->capacity ? sent - c->capacity : 0;
  if (receiver->next_ < oldest) {
    receiver->missed = oldest - receiver->next_;
    receiver->next_ = oldest;
    return WEFT_ELAGGED;
  }
  memcpy(ret_item, place_of(c, receiver->next_++), c->item_size);
  return 1;
}

static int next(weft_broadcast_receiver *receiver, void *ret_item, bool may_wait) {
  weft_broadcast *c = receiver->channel_;
  int r = weft__channel_look(&c->channel, receiver->next_, may_wait, &for_item);
  if (r < 0) return r;
  if (r > 0) r = take(c, receiver, ret_item);
  weft__shared_unlock(&c->channel.shared);
  return r;
}

int weft_broadcast_next(weft_broadcast_receiver *receiver, void *ret_item) {
  return next(receiver, ret_item, true);
}

int weft_broadcast_try_next(weft_broadcast_receiver *receiver, void *ret_item) {
  return next(receiver, ret_item, false);
}

weft_awaitable weft_broadcast_awaitable(const weft_broadcast_receiver *receiver) {
  return weft__channel_awaitable(&receiver->channel_->channel, receiver->next_);
}
