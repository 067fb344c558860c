/* The channel of the latest value: weft__channel counts the changes. */
#include <weft/channel.h>

#include <weft/errors.h>

#include <string.h>

#include "aio/channel.h"
#include "base/memory.h"

struct weft_latest {
  struct weft__channel channel; /* its lock guards the item */
  size_t item_size;             /* constant */
  _Alignas(16) char item[];
};

static const struct weft__wait_kind for_change = {"a change of a value"};

int weft_latest_new(weft_latest **ret, size_t item_size, const void *item) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!ret || !item || item_size == 0) return WEFT_EINVAL;
  if (item_size > SIZE_MAX / 2) return WEFT_ENOMEM;
  weft_latest *c = weft__zalloc(sizeof *c + item_size);
  if (!c) return WEFT_ENOMEM;
  weft__channel_init(&c->channel);
  c->channel.sent = 1;
  c->item_size = item_size;
  memcpy(c->item, item, item_size);
  *ret = c;
  return 0;
}

int weft_latest_free(weft_latest *c) {
  if (!c) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  if (!weft__channel_idle(&c->channel)) return WEFT_EBUSY;
  weft__free(c);
  return 0;
}

int weft_latest_set(weft_latest *c, const void *item) {
  int r = weft__channel_change(&c->channel);
  if (r < 0) return r;
  memcpy(c->item, item, c->item_size);
  weft__channel_changed(&c->channel, true);
  return 0;
}

int weft_latest_update(weft_latest *c, weft_latest_fn fn, void *arg) {
  if (!fn) return WEFT_EINVAL;
  int r = weft__channel_change(&c->channel);
  if (r < 0) return r;
  weft__channel_changed(&c->channel, fn(c->item, arg));
  return 0;
}

int weft_latest_close(weft_latest *c) {
  return weft__channel_close(&c->channel);
}

int weft_latest_get(weft_latest *c, void *ret_item) {
  int r = weft__shared_enter(&c->channel.shared);
  if (r < 0) return r;
  weft__shared_lock(&c->channel.shared);
  memcpy(ret_item, c->item, c->item_size);
  weft__shared_unlock(&c->channel.shared);
  return 0;
}

weft_latest_reader weft_latest_read(weft_latest *c, bool unseen) {
  weft__shared_lock(&c->channel.shared);
  uint64_t sent = c->channel.sent;
  weft__shared_unlock(&c->channel.shared);
  return (weft_latest_reader){c, unseen ? sent - 1 : sent};
}

static int next(weft_latest_reader *reader, void *ret_item, bool may_wait) {
  weft_latest *c = reader->channel_;
  int r = weft__channel_look(&c->channel, reader->seen_, may_wait, &for_change);
  if (r < 0) return r;
  if (r > 0) {
    memcpy(ret_item, c->item, c->item_size);
    reader->seen_ = c->channel.sent;
  }
  weft__shared_unlock(&c->channel.shared);
  return r;
}

int weft_latest_next(weft_latest_reader *reader, void *ret_item) {
  return next(reader, ret_item, true);
}

int weft_latest_try_next(weft_latest_reader *reader, void *ret_item) {
  return next(reader, ret_item, false);
}

weft_awaitable weft_latest_awaitable(const weft_latest_reader *reader) {
  return weft__channel_awaitable(&reader->channel_->channel, reader->seen_);
}
