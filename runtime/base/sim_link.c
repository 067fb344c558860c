/* What a simulated stream does. Compiled without TSan, as sim.c: of the streams themselves only the
 * memory of the bytes is known to it (through memcpy and free), and that is written before the
 * release and read after the acquire that stand for what the kernel orders.
 */
#include "base/sim_link.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/sim.h"

#define NEVER WEFT__SIM_NEVER

struct segment {
  struct weft__list link;
  uint64_t arrives;
  size_t len, taken;
  char bytes[];
};

static struct weft__list links = {&links, &links};
static char creation; /* for TSan: all links are made before the end frees them */

static const struct weft__sim_net_rates *rates(void) {
  return weft__sim_net_rates_now();
}

/* Whether what happens once in so many cases happens now. */
static bool one_in(uint32_t n) {
  return n != 0 && weft__sim_draw(n) == 0;
}

static size_t some_of(size_t n) {
  return 1 + weft__sim_draw(n > UINT32_MAX ? UINT32_MAX : (uint32_t)n);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}
static uint64_t later(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

static void release(struct weft__sim_way *way) {
  weft__sim_release(&way->order);
}
static void acquire(struct weft__sim_way *way) {
  weft__sim_acquire(&way->order);
}

/* ---- beginning and end ---- */

/* Most streams of a machine are fast, some are not. */
static void draw_latency(struct weft__sim_link *l) {
  static const uint32_t parts[] = {1, 20, 1000, 1000000};
  uint64_t lo = rates()->latency_min, span = later(rates()->latency_max, lo) - lo;
  l->latency_min = lo;
  l->latency_max = lo + (span ? span / parts[weft__sim_draw(4)] : 0);
}

static size_t draw_capacity(bool pipe) {
  static const uint32_t small[] = {1, 16, 500, 4096};
  if (!one_in(rates()->small)) return later(rates()->capacity, pipe ? PIPE_BUF : 1);
  return pipe ? PIPE_BUF : small[weft__sim_draw(4)];
}

struct weft__sim_link *weft__sim_link_make(bool pipe) {
  struct weft__sim_link *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  for (int i = 0; i < 2; i++) {
    weft__list_init(&l->way[i].segments);
    l->way[i].fin_at = l->way[i].gone_at = NEVER;
    l->way[i].capacity = draw_capacity(pipe);
    l->end[i].reset_at = NEVER;
    l->end[i].reset_code = WEFT_ECONNRESET;
    l->end[i].reads = !pipe || i == 0;
    l->end[i].writes = !pipe || i == 1;
  }
  l->pipe = pipe;
  weft__list_init(&l->pending);
  if (!pipe) draw_latency(l);
  weft__list_push_back(&links, &l->all);
  weft__sim_release(&creation);
  return l;
}

uint64_t weft__sim_link_latency(const struct weft__sim_link *l) {
  uint64_t span = l->latency_max - l->latency_min;
  return l->latency_min + weft__sim_draw(span >= UINT32_MAX ? UINT32_MAX : (uint32_t)span + 1);
}

/* Nothing appears and nothing vanishes. */
static void check_way(const struct weft__sim_way *way) {
  WEFT__ASSERT(way->sent == way->received + way->dropped + way->held);
}

static void drop(struct weft__sim_way *way, struct segment *s) {
  way->dropped += s->len - s->taken;
  way->held -= s->len - s->taken;
  weft__list_remove(&s->link);
  free(s);
}

/* What arrives after `since` is lost. */
static void drop_later(struct weft__sim_way *way, uint64_t since) {
  acquire(way);
  weft__list_foreach_safe(n, next, &way->segments) {
    struct segment *s = weft__container_of(n, struct segment, link);
    if (s->arrives > since) drop(way, s);
  }
  if (way->fin_at != NEVER && way->fin_at > since) way->fin_at = NEVER;
  check_way(way);
}

static void drop_all(struct weft__sim_way *way) {
  acquire(way);
  weft__list_foreach_safe(n, next, &way->segments) {
    drop(way, weft__container_of(n, struct segment, link));
  }
  WEFT__ASSERT(way->held == 0);
  check_way(way);
}

void weft__sim_links_end(void) {
  weft__sim_acquire(&creation);
  weft__list_foreach_safe(n, next, &links) {
    struct weft__sim_link *l = weft__container_of(n, struct weft__sim_link, all);
    drop_all(&l->way[0]);
    drop_all(&l->way[1]);
    weft__list_remove(n);
    free(l);
  }
}

/* ---- resets ---- */

/* The end learns of it at that time, unless it knows already. */
static void reset_end(struct weft__sim_link *l, int who, uint64_t at) {
  l->end[who].reset_at = earlier(l->end[who].reset_at, at);
  release(&l->way[1 - who]);
}

/* The stream is cut, as seen by `who`: now, and by the other end later. What is on its way is
 * lost. */
static void reset(struct weft__sim_link *l, int who) {
  uint64_t now = weft__now();
  drop_later(&l->way[0], now);
  drop_later(&l->way[1], now);
  reset_end(l, who, now);
  reset_end(l, 1 - who, now + weft__sim_link_latency(l));
  l->way[1 - who].away = true; /* what the other sends until then must not follow what is lost */
}

static void perhaps_reset(struct weft__sim_link *l, int who) {
  if (l->pipe || l->end[0].closed || l->end[1].closed) return;
  if (l->end[0].reset_at != NEVER || l->end[1].reset_at != NEVER) return;
  if (one_in(rates()->reset)) reset(l, who);
}

static bool is_reset(const struct weft__sim_end *e, uint64_t at) {
  return at >= e->reset_at;
}

int weft__sim_link_error(struct weft__sim_link *l, int who) {
  struct weft__sim_end *e = &l->end[who];
  if (!is_reset(e, weft__now()) || e->told) return 0;
  acquire(&l->way[1 - who]);
  e->told = true;
  return e->reset_code;
}

/* ---- reading ---- */

/* A place in a vector. */
struct place {
  const struct iovec *iov;
  size_t n, at;
};

/* Copies len bytes between the vector and bytes, and moves the place on. */
static void copy(struct place *p, char *bytes, size_t len, bool in) {
  while (len > 0) {
    size_t part = p->iov->iov_len - p->at;
    if (part > len) part = len;
    char *mine = (char *)p->iov->iov_base + p->at;
    if (part > 0) memcpy(in ? mine : bytes, in ? bytes : mine, part);
    bytes += part;
    len -= part;
    p->at += part;
    if (p->at < p->iov->iov_len) continue;
    p->iov++;
    p->at = 0;
  }
}

static size_t total(const struct iovec *iov, size_t n) {
  size_t len = 0;
  for (size_t i = 0; i < n; i++) len += iov[i].iov_len;
  return len;
}

/* At most `most` of the bytes that are there. */
static size_t arrived(const struct weft__sim_way *way, uint64_t now, size_t most) {
  size_t len = 0;
  weft__list_foreach(n, &way->segments) {
    const struct segment *s = weft__container_of(n, struct segment, link);
    if (s->arrives > now || len >= most) break;
    len += s->len - s->taken;
  }
  return len < most ? len : most;
}

static void take(struct weft__sim_way *way, const struct iovec *iov, size_t n, size_t len,
                 bool peek) {
  struct place p = {.iov = iov, .n = n};
  acquire(way);
  weft__list_foreach_safe(node, next, &way->segments) {
    struct segment *s = weft__container_of(node, struct segment, link);
    size_t part = s->len - s->taken < len ? s->len - s->taken : len;
    if (part == 0) break;
    copy(&p, s->bytes + s->taken, part, true);
    len -= part;
    if (peek) continue;
    s->taken += part;
    way->held -= part;
    way->received += part;
    if (s->taken == s->len) drop(way, s);
  }
  check_way(way);
}

ssize_t weft__sim_link_read(struct weft__sim_link *l, int who, const struct iovec *iov, size_t n,
                            bool peek) {
  struct weft__sim_end *e = &l->end[who];
  struct weft__sim_way *way = &l->way[1 - who];
  if (!e->reads) return WEFT_EBADF;
  perhaps_reset(l, who);
  uint64_t now = weft__now();
  size_t len = total(iov, n);
  if (len == 0) return 0;
  len = now >= e->connected_at ? arrived(way, now, len) : 0;
  if (len > 0) {
    if (one_in(rates()->short_read)) len = some_of(len);
    take(way, iov, n, len, peek);
    return (ssize_t)len;
  }
  int error = weft__sim_link_error(l, who);
  if (error < 0) return error;
  if (!is_reset(e, now) && !e->shut_read && now < way->fin_at) return WEFT_EAGAIN;
  acquire(way);
  return 0;
}

/* ---- writing ---- */

static int send_segment(struct weft__sim_link *l, int who, struct place *p, size_t len) {
  struct weft__sim_way *way = &l->way[who];
  struct segment *s = malloc(sizeof *s + len);
  if (!s) return WEFT_ENOBUFS;
  uint64_t now = weft__now();
  s->arrives = way->last = later(way->last, now + (l->pipe ? 0 : weft__sim_link_latency(l)));
  s->len = len;
  s->taken = 0;
  copy(p, s->bytes, len, false);
  weft__list_push_back(&way->segments, &s->link);
  way->held += len;
  way->sent += len;
  release(way);
  return 0;
}

/* Nobody reads, and the writer does not know it yet: it will, when the answer to this has come. */
static ssize_t send_into_the_void(struct weft__sim_link *l, int who, size_t len) {
  struct weft__sim_way *way = &l->way[who];
  way->sent += len;
  way->dropped += len;
  if (!l->end[1 - who].closed) return (ssize_t)len; /* only its reading side is shut */
  uint64_t there = weft__now() + weft__sim_link_latency(l);
  drop_later(&l->way[1 - who], there);
  reset_end(l, who, there + weft__sim_link_latency(l));
  return (ssize_t)len;
}

/* How much of len goes, or a code. */
static ssize_t fits(const struct weft__sim_link *l, const struct weft__sim_way *way, size_t len) {
  size_t room = way->capacity - way->held;
  bool whole = l->pipe && len <= PIPE_BUF;
  if (room == 0 || (whole && room < len)) return WEFT_EAGAIN;
  if (len > room) len = room;
  if (!whole && one_in(rates()->short_write)) len = some_of(len);
  return (ssize_t)len;
}

ssize_t weft__sim_link_write(struct weft__sim_link *l, int who, const struct iovec *iov, size_t n) {
  struct weft__sim_end *e = &l->end[who];
  struct weft__sim_way *way = &l->way[who];
  if (!e->writes) return WEFT_EBADF;
  perhaps_reset(l, who);
  uint64_t now = weft__now();
  int error = weft__sim_link_error(l, who);
  if (error < 0) return error;
  if (now < e->connected_at) return WEFT_EAGAIN;
  if (is_reset(e, now) || e->shut_write || now >= way->gone_at) return WEFT_EPIPE;
  ssize_t r = total(iov, n) ? fits(l, way, total(iov, n)) : 0;
  if (r <= 0) return r;
  if (way->away) return send_into_the_void(l, who, (size_t)r);
  struct place p = {.iov = iov, .n = n};
  size_t len = (size_t)r;
  size_t first = !l->pipe && len > 1 && one_in(rates()->split) ? some_of(len - 1) : len;
  error = send_segment(l, who, &p, first);
  if (error < 0) return error;
  if (first < len && send_segment(l, who, &p, len - first) < 0) len = first;
  check_way(way);
  return (ssize_t)len;
}

/* ---- the end of a direction ---- */

static uint64_t news_at(const struct weft__sim_link *l) {
  return weft__now() + (l->pipe ? 0 : weft__sim_link_latency(l));
}

static void finish_writing(struct weft__sim_link *l, int who) {
  struct weft__sim_way *way = &l->way[who];
  if (way->fin_at == NEVER) way->last = way->fin_at = later(way->last, news_at(l));
  l->end[who].shut_write = true;
  release(way);
}

/* The writer learns of it as of a local socket's end, or by the answer to its next write only. */
static void finish_reading(struct weft__sim_link *l, int who, bool soon) {
  struct weft__sim_way *way = &l->way[1 - who];
  drop_all(way);
  if (soon) way->gone_at = earlier(way->gone_at, news_at(l));
  way->away = true;
  l->end[who].shut_read = true;
}

int weft__sim_link_shutdown(struct weft__sim_link *l, int who, int how) {
  if (l->pipe) return WEFT_ENOTSOCK;
  if (weft__now() < l->end[who].connected_at || is_reset(&l->end[who], weft__now()))
    return WEFT_ENOTCONN;
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return WEFT_EINVAL;
  if (how != SHUT_WR && !l->end[who].shut_read) finish_reading(l, who, true);
  if (how != SHUT_RD && !l->end[who].shut_write) finish_writing(l, who);
  return 0;
}

void weft__sim_link_close(struct weft__sim_link *l, int who, bool abort) {
  uint64_t now = weft__now();
  struct weft__sim_end *e = &l->end[who], *peer = &l->end[1 - who];
  struct weft__sim_way *in = &l->way[1 - who], *out = &l->way[who];
  bool unread = arrived(in, now, 1) > 0, underway = in->held > 0;
  bool alive = !l->pipe && !is_reset(e, now) && !peer->closed;
  if (e->reads) finish_reading(l, who, l->pipe || weft__sim_draw(2));
  if (alive && (unread || abort)) {
    drop_later(out, now);
    reset_end(l, 1 - who, news_at(l));
  } else if (e->writes) {
    finish_writing(l, who);
    /* What is on its way finds nobody, and that is answered by a reset. */
    if (alive && underway) reset_end(l, 1 - who, later(news_at(l), out->fin_at) + news_at(l) - now);
  }
  e->closed = true;
  e->file = NULL;
}

/* ---- what poll says ---- */

static int reading_state(const struct weft__sim_link *l, int who, uint64_t at) {
  const struct weft__sim_way *way = &l->way[1 - who];
  int state = arrived(way, at, 1) > 0 ? POLLIN : 0;
  if (l->end[who].shut_read || at >= way->fin_at)
    state |= l->pipe ? POLLHUP : POLLIN | POLLRDHUP;
  return state;
}

static int writing_state(const struct weft__sim_link *l, int who, uint64_t at) {
  const struct weft__sim_way *way = &l->way[who];
  if (at >= way->gone_at) return l->pipe ? POLLOUT | POLLERR : POLLOUT;
  if (l->end[who].shut_write) return POLLOUT;
  return way->capacity - way->held >= (l->pipe ? PIPE_BUF : 1) ? POLLOUT : 0;
}

int weft__sim_link_state(const struct weft__sim_link *l, int who, uint64_t at) {
  const struct weft__sim_end *e = &l->end[who];
  if (is_reset(e, at))
    return POLLIN | POLLOUT | POLLHUP | POLLRDHUP | (e->told ? 0 : POLLERR);
  if (at < e->connected_at) return 0;
  int state = 0;
  if (e->reads) state |= reading_state(l, who, at);
  if (e->writes) state |= writing_state(l, who, at);
  bool over = e->shut_write || at >= l->way[who].gone_at;
  if (!l->pipe && over && (state & POLLRDHUP)) state |= POLLHUP;
  return state;
}

unsigned weft__sim_link_times(const struct weft__sim_link *l, int who, uint64_t now,
                              uint64_t times[WEFT__SIM_LINK_TIMES]) {
  const struct weft__sim_way *in = &l->way[1 - who];
  const struct weft__list *n = weft__list_first(&in->segments);
  uint64_t all[WEFT__SIM_LINK_TIMES] = {
      n ? weft__container_of((struct weft__list *)(uintptr_t)n, struct segment, link)->arrives
        : NEVER,
      in->fin_at,
      l->way[who].gone_at,
      l->end[who].connected_at,
      l->end[who].reset_at,
  };
  unsigned some = 0;
  for (unsigned i = 0; i < WEFT__SIM_LINK_TIMES; i++)
    if (all[i] > now && all[i] != NEVER) times[some++] = all[i];
  return some;
}
