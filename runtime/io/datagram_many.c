/* Datagram sockets: many at once. */
#include "io/datagram.h"

#include <sys/socket.h>

#include "aio/sync.h"
#include "base/sys.h"
#include "io/addr.h"

/* What the kernel is given. Lies on the stack for the time of one try only: who waits keeps none of it. */
struct batch {
  struct mmsghdr msgs[WEFT_DATAGRAM_BATCH];
  struct iovec parts[WEFT_DATAGRAM_BATCH];
};

static unsigned at_most(size_t n) {
  return n < WEFT_DATAGRAM_BATCH ? (unsigned)n : WEFT_DATAGRAM_BATCH;
}

static struct msghdr message(const weft_datagram_item *item, struct iovec *part) {
  *part = (struct iovec){.iov_base = item->data, .iov_len = item->size};
  struct msghdr msg = {.msg_iov = part, .msg_iovlen = 1};
  if (item->addr) {
    msg.msg_name = weft__sa(item->addr);
    msg.msg_namelen = item->addr->len;
  }
  return msg;
}

/* ---- receiving ---- */

struct receive {
  weft_datagram_item *items;
  size_t n;
};

static struct msghdr room(weft_datagram_item *item, struct iovec *part) {
  if (item->addr) weft__addr_room(item->addr);
  return message(item, part);
}

static void received(weft_datagram_item *item, const struct msghdr *msg, size_t len) {
  item->length = len;
  if (!item->addr) return;
  item->addr->len = msg->msg_namelen;
  weft__addr_filled(item->addr);
}

static __attribute__((noinline)) ssize_t receive_batch(int fd, struct receive *c) {
  struct batch b;
  unsigned most = at_most(c->n);
  for (unsigned i = 0; i < most; i++)
    b.msgs[i] = (struct mmsghdr){.msg_hdr = room(&c->items[i], &b.parts[i])};
  int n = weft__sys_recvmmsg(fd, b.msgs, most, MSG_TRUNC);
  for (int i = 0; i < n; i++) received(&c->items[i], &b.msgs[i].msg_hdr, b.msgs[i].msg_len);
  return n;
}

static ssize_t receive_one(int fd, weft_datagram_item *item) {
  struct iovec part;
  struct msghdr msg = room(item, &part);
  ssize_t n = weft__sys_recvmsg(fd, &msg, MSG_TRUNC);
  if (n < 0) return n;
  received(item, &msg, (size_t)n);
  return 1;
}

static ssize_t try_receive(int fd, void *call) {
  struct receive *c = call;
  ssize_t n = c->n > 1 ? receive_batch(fd, c) : WEFT_ENOSYS;
  return n == WEFT_ENOSYS ? receive_one(fd, c->items) : n;
}

int weft_datagram_receive_many(weft_datagram *d, weft_datagram_item *items, size_t n) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  if (weft__unlikely(r < 0)) return r;
  if (!items || n == 0) return WEFT_EINVAL;
  return (int)weft__datagram_receive(d, t, try_receive, &(struct receive){items, n});
}

/* ---- sending ---- */

struct send {
  const weft_datagram_item *items;
  size_t n;
};

static __attribute__((noinline)) ssize_t send_batch(int fd, const struct send *c) {
  struct batch b;
  unsigned most = at_most(c->n);
  for (unsigned i = 0; i < most; i++)
    b.msgs[i] = (struct mmsghdr){.msg_hdr = message(&c->items[i], &b.parts[i])};
  return weft__sys_sendmmsg(fd, b.msgs, most, MSG_NOSIGNAL);
}

static ssize_t try_send_one(int fd, void *call) {
  const struct send *c = call;
  struct iovec part;
  struct msghdr msg = message(c->items, &part);
  ssize_t n = weft__sys_sendmsg(fd, &msg, MSG_NOSIGNAL);
  return n < 0 ? n : 1;
}

static ssize_t try_send(int fd, void *call) {
  const struct send *c = call;
  ssize_t n = c->n > 1 ? send_batch(fd, c) : WEFT_ENOSYS;
  return n == WEFT_ENOSYS ? try_send_one(fd, call) : n;
}

/* After a batch that was cut short by an error, the kernel does not say which, and an error that came
 * from the network is gone. Where none comes, or where it is kept, nothing is lost. */
static weft__datagram_try way_to_send(const weft_datagram *d) {
  bool swallows = weft__datagram_is(d, WEFT__DATAGRAM_CONNECTED) &&
                  !weft__datagram_is(d, WEFT__DATAGRAM_ERRORS);
  return swallows ? try_send_one : try_send;
}

int weft_datagram_send_many(weft_datagram *d, const weft_datagram_item *items, size_t n,
                            size_t *ret_sent) {
  size_t sent = 0;
  ssize_t r = 0;
  if (!d || (!items && n > 0)) r = WEFT_EINVAL;
  while (r >= 0 && sent < n) {
    struct weft__task *t = NULL;
    r = weft__sync_enter(&t);
    if (r < 0) break;
    struct send c = {items + sent, n - sent};
    bool patient = d->family == AF_UNIX && items[sent].addr;
    r = patient ? weft__datagram_send_patiently(d, way_to_send(d), &c, items[sent].addr)
                : weft__datagram_send(d, t, way_to_send(d), &c);
    if (r > 0) sent += (size_t)r;
  }
  if (ret_sent) *ret_sent = sent;
  return r < 0 ? (int)r : 0;
}
