/* Buffered writes: what the system does not take at once is kept, and sent by a task of its own.
 *
 * That task is there only while something is kept. Where it cannot be had, or was cancelled, whoever writes,
 * drains or closes next sends what is kept; and who would keep more is told, and then tries again to have one.
 */
#include <string.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/ready.h"
#include "core/self.h"
#include "core/spawn.h"
#include "core/worker.h"
#include "io/stream_state.h"

enum { CHUNK = 16384 - sizeof(struct weft__chunk) };

static const struct weft__wait_kind waits_for_drain = {"what is buffered to be written"};

/* ---- chunks ---- */

static struct weft__chunk *chunk_new(size_t len) {
  size_t room = len > CHUNK ? len : CHUNK;
  struct weft__chunk *c = weft__alloc(sizeof *c + room);
  if (!c) return NULL;
  c->next = NULL;
  c->start = c->end = 0;
  c->room = room;
  return c;
}

void weft__chunks_free(struct weft__chunk *c) {
  while (c) {
    struct weft__chunk *next = c->next;
    weft__free(c);
    c = next;
  }
}

static void wake_all(struct weft__waitq *q) {
  while (weft__waitq_wake_one(q)) {}
}

void weft__stream_wake_drains(weft_stream *s) {
  weft__spin_lock(&s->kept.lock);
  wake_all(&s->kept.drains);
  wake_all(&s->kept.flushes);
  weft__spin_unlock(&s->kept.lock);
}

/* Under the lock, as the next: what is kept changed. */
static void mark(weft_stream *s) {
  struct weft__stream_kept *k = &s->kept;
  if (k->bytes > k->high_mark) k->high = true;
  if (k->bytes <= k->low_mark) {
    k->high = false;
    wake_all(&k->drains);
  }
  if (k->bytes == 0) wake_all(&k->flushes);
}

static void keep_last(weft_stream *s, struct weft__chunk *c) {
  struct weft__stream_kept *k = &s->kept;
  if (k->last)
    k->last->next = c;
  else
    k->first = c;
  k->last = c;
  weft__stream_flag(s, WEFT__STREAM_KEPT);
}

/* The rest of what was begun: before all that others have added meanwhile. */
static void keep_first(weft_stream *s, struct weft__chunk *c) {
  struct weft__stream_kept *k = &s->kept;
  c->next = k->first;
  k->first = c;
  if (!k->last) k->last = c;
  k->bytes += c->end - c->start;
  weft__stream_flag(s, WEFT__STREAM_KEPT);
  mark(s);
}

static int append(weft_stream *s, const char *buf, size_t len) {
  struct weft__stream_kept *k = &s->kept;
  size_t fits = k->last ? k->last->room - k->last->end : 0;
  if (fits > len) fits = len;
  struct weft__chunk *more = NULL;
  if (fits < len && !(more = chunk_new(len - fits))) return WEFT_ENOMEM;
  if (fits > 0) {
    memcpy(k->last->data + k->last->end, buf, fits);
    k->last->end += fits;
  }
  if (more) {
    memcpy(more->data, buf + fits, len - fits);
    more->end = len - fits;
    keep_last(s, more);
  }
  k->bytes += len;
  mark(s);
  return 0;
}

/* The system has taken n bytes of the first chunk. */
static struct weft__chunk *remove_sent(weft_stream *s, size_t n) {
  struct weft__stream_kept *k = &s->kept;
  struct weft__chunk *c = k->first;
  c->start += n;
  k->bytes -= n;
  if (c->start == c->end) {
    k->first = c->next;
    if (!k->first) {
      k->last = NULL;
      k->unsent = 0;
      weft__and_u32(&s->flags, ~(uint32_t)WEFT__STREAM_KEPT);
    }
  } else {
    c = NULL;
  }
  mark(s);
  return c;
}

/* ---- sending what is kept ---- */

int weft__stream_send_kept(weft_stream *s, size_t until, bool closing) {
  struct weft__stream_kept *k = &s->kept;
  for (;;) {
    weft__spin_lock(&k->lock);
    struct weft__chunk *c = k->bytes > until ? k->first : NULL;
    size_t len = c ? c->end - c->start : 0;
    weft__spin_unlock(&k->lock);
    if (!c) return 0;
    ssize_t n = weft__stream_send(s, c->data + c->start, len);
    if (n < 0) return (int)n;
    struct weft__chunk *done = NULL;
    weft__spin_lock(&k->lock);
    if (n > 0) done = remove_sent(s, (size_t)n);
    weft__spin_unlock(&k->lock);
    weft__free(done);
    int r = (size_t)n < len ? weft__stream_await_room(s, n, closing) : 0;
    if (r < 0) return r;
    weft__spend(weft__current_task());
  }
}

/* The task that sends. It may end without having begun: cancelled, or for want of a stack. */
struct sender {
  struct weft__owner owner;
  weft_stream *s;
  bool begun;
};

/* Nobody sends any more: who waits for that has to do it, or hears why it went wrong. why: there was no
 * sender, though something is kept. Under the lock. */
static void no_sender(weft_stream *s, int why) {
  s->kept.sending = false;
  if (s->kept.first) s->kept.unsent = why;
  wake_all(&s->kept.drains);
  wake_all(&s->kept.flushes);
}

/* One round: whether there is to be another. */
static bool send_round(weft_stream *s, struct weft__task *t) {
  int r = weft__turn_take(s, t);
  if (r == 0) {
    r = weft__stream_write_refusal(s);
    if (r == 0) r = weft__stream_send_kept(s, 0, false);
    weft_lock_release(&s->turn);
  }
  weft__spin_lock(&s->kept.lock);
  bool again = r == 0 && s->kept.first;
  if (!again) no_sender(s, 0);
  weft__spin_unlock(&s->kept.lock);
  return again;
}

static int send_behind(void *arg) {
  struct sender *me = arg;
  me->begun = true;
  while (send_round(me->s, weft__current_task())) {}
  return 0;
}

static void sender_done(struct weft__owner *owner, struct weft__task *t) {
  struct sender *me = weft__container_of(owner, struct sender, owner);
  struct weft__worker *w = weft__self();
  weft_stream *s = me->s;
  if (!me->begun) {
    weft__spin_lock(&s->kept.lock);
    no_sender(s, t->code == WEFT_ECANCELED ? 0 : WEFT_ENOMEM);
    weft__spin_unlock(&s->kept.lock);
  }
  weft__free(me);
  weft__descriptor_leave(s->d);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
}

/* Between enter and leave, of which it has one of its own. */
static int sender_start(weft_stream *s, const void *site) {
  const weft_spawn_opts opts = {.name = "weft: the sender of a stream", .parallel = true};
  struct sender *me = weft__alloc(sizeof *me);
  if (!me) return WEFT_ENOMEM;
  *me = (struct sender){.owner = {sender_done}, .s = s};
  int r = weft__descriptor_enter(s->d);
  if (r == 0) {
    struct weft__task *t;
    r = weft__spawn_make(weft__self(), send_behind, me, &opts, &me->owner, site, &t);
    if (r == 0) {
      weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
      weft__push_unstarted(weft__self(), t);
      return 0;
    }
    weft__descriptor_leave(s->d);
  }
  weft__free(me);
  return r;
}

/* Something is kept: there is to be a task that sends it. Between enter and leave, without the lock. */
static void have_sender(weft_stream *s, const void *site) {
  weft__spin_lock(&s->kept.lock);
  bool needed = s->kept.first && !s->kept.sending;
  if (needed) s->kept.sending = true;
  weft__spin_unlock(&s->kept.lock);
  int r = needed ? sender_start(s, site) : 0;
  if (r == 0) return;
  weft__spin_lock(&s->kept.lock);
  no_sender(s, r);
  weft__spin_unlock(&s->kept.lock);
}

/* ---- writing without waiting ---- */

/* With the turn, which it gives back; nothing is kept before it. */
static int send_now(weft_stream *s, const char *buf, size_t len) {
  struct weft__chunk *c = chunk_new(len); /* first: what is begun has to be kept */
  int r = weft__stream_write_refusal(s);
  if (r == 0 && !c) r = WEFT_ENOMEM;
  ssize_t n = r < 0 ? r : weft__stream_send(s, buf, len);
  if (n >= 0 && (size_t)n < len) {
    memcpy(c->data, buf + n, len - (size_t)n);
    c->end = len - (size_t)n;
    weft__spin_lock(&s->kept.lock);
    if (weft__stream_flags(s) & WEFT__STREAM_CLOSING) { /* the closer found nothing here */
      n = WEFT_ECLOSED;
    } else {
      keep_first(s, c);
      c = NULL;
    }
    weft__spin_unlock(&s->kept.lock);
  }
  weft_lock_release(&s->turn);
  weft__free(c);
  return n < 0 ? (int)n : 0;
}

static int keep(weft_stream *s, const char *buf, size_t len) {
  struct weft__stream_kept *k = &s->kept;
  weft__spin_lock(&k->lock);
  int r = weft__stream_write_refusal(s); /* with the lock: the closer has not looked yet */
  if (r == 0 && k->unsent < 0) {
    r = k->unsent;
    k->unsent = 0;
  }
  if (r == 0 && len > k->most - (k->bytes < k->most ? k->bytes : k->most)) r = WEFT_ENOBUFS;
  bool now = r == 0 && !k->first && weft_lock_try(&s->turn) == 0;
  if (r == 0 && !now) r = append(s, buf, len);
  weft__spin_unlock(&k->lock);
  return now ? send_now(s, buf, len) : r;
}

int weft_write_buffered(weft_stream *s, const void *buf, size_t len) {
  if (!weft__current_task()) return weft__no_task();
  if (!s || (!buf && len)) return WEFT_EINVAL;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  r = len > 0 ? keep(s, buf, len) : weft__stream_write_refusal(s);
  have_sender(s, __builtin_return_address(0));
  weft__descriptor_leave(s->d);
  return r;
}

/* ---- draining ---- */

/* Nobody sends: the caller does. */
static int send_as_drainer(weft_stream *s, struct weft__task *t) {
  int r = weft__turn_take(s, t);
  if (r < 0) return r;
  r = weft__stream_write_refusal(s);
  if (r == 0) r = weft__stream_send_kept(s, 0, false);
  weft_lock_release(&s->turn);
  return r;
}

/* Under the lock. What is below the mark goes out by itself, if there is who sends it. */
static bool is_drained(const struct weft__stream_kept *k, bool all) {
  return all ? k->bytes == 0 : !k->high && (k->sending || !k->first);
}

static int drain(weft_stream *s, struct weft__task *t, bool all) {
  struct weft__stream_kept *k = &s->kept;
  for (;;) {
    weft__spin_lock(&k->lock);
    int r = weft__stream_write_refusal(s);
    if (r == WEFT_ESHUTDOWN) r = 0; /* all was sent before */
    if (r < 0 || is_drained(k, all)) {
      weft__spin_unlock(&k->lock);
      return r;
    }
    if (k->sending) {
      r = weft__waitq_wait(all ? &k->flushes : &k->drains, &k->lock, &waits_for_drain, s);
    } else {
      weft__spin_unlock(&k->lock);
      r = send_as_drainer(s, t);
    }
    if (r < 0) return r;
  }
}

static int enter_and_drain(weft_stream *s, struct weft__task *t, bool all) {
  if (!s) return WEFT_EINVAL;
  int r = weft__descriptor_enter(s->d);
  if (r < 0) return r;
  r = drain(s, t, all);
  weft__descriptor_leave(s->d);
  return r;
}

int weft_drain(weft_stream *s) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  return r < 0 ? r : enter_and_drain(s, t, false);
}

int weft_flush(weft_stream *s) {
  struct weft__task *t = NULL;
  int r = weft__sync_enter(&t);
  return r < 0 ? r : enter_and_drain(s, t, true);
}

int weft_stream_set_write_limits(weft_stream *s, size_t high, size_t low, size_t most) {
  if (!weft__current_task()) return weft__no_task();
  if (!s) return WEFT_EINVAL;
  if (most == 0) most = WEFT_STREAM_MOST;
  if (high == 0) high = WEFT_STREAM_HIGH < most ? WEFT_STREAM_HIGH : most;
  if (low == 0) low = high / 4;
  if (low > high || high > most) return WEFT_EINVAL;
  weft__spin_lock(&s->kept.lock);
  s->kept.high_mark = high;
  s->kept.low_mark = low;
  s->kept.most = most;
  mark(s);
  weft__spin_unlock(&s->kept.lock);
  return 0;
}
