/* The connections of a server. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/cancel.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/spawn.h"
#include "core/strand.h"
#include "core/worker.h"
#include "io/addr.h"
#include "io/listener.h"
#include "io/server.h"
#include "io/stream.h"

/* ---- the end of a connection ---- */

/* Nobody else finds the stream from now on. True when the server itself has dropped it. */
static bool unlink_conn(struct weft__conn *c) {
  weft_server *v = c->server;
  weft__spin_lock(&v->lock);
  weft__list_remove(&c->link);
  bool dropped = c->dropped;
  weft__spin_unlock(&v->lock);
  return dropped;
}

weft_addr weft__conn_peer(const struct weft__conn *c) {
  weft_addr a = {.len = c->peer_len};
  memcpy(weft__sa(&a), &c->peer, c->peer_len);
  return a;
}

/* what: "the handler of %s failed: %s (%s)" */
static void report(const struct weft__conn *c, weft_report_kind kind, int code, const char *what) {
  const weft_server *v = c->server;
  weft_report r = {.kind = kind,
                   .code = code,
                   .site = (const void *)(uintptr_t)v->handler,
                   .object = v,
                   .object_kind = "server"};
  const weft_addr peer = weft__conn_peer(c);
  char text[WEFT_ADDR_TEXT];
  weft_addr_format(&peer, text, sizeof text);
  weft__report(weft__self()->rt, weft__current_task(), &r, what, text, weft_strerror(code),
               weft_err_name(code));
}

/* The handler has returned r. The stream stays where others find it while this may wait, so that they can
 * drop it. */
static void finish(struct weft__conn *c, int r) {
  weft_stream *s = c->stream;
  weft__stream_conclude(s);
  bool dropped = unlink_conn(c);
  c->stream = NULL;
  (void)weft__stream_release(s);
  if (r < 0 && r != WEFT_ECANCELED && !dropped)
    report(c, WEFT_REPORT_HANDLER, r, "the handler of %s failed: %s (%s)");
}

static int handle(void *arg) {
  struct weft__conn *c = arg;
  if (c->late) {
    weft__spin_lock(&c->server->lock);
    c->server->starved = false;
    weft__spin_unlock(&c->server->lock);
  }
  int r = c->server->handler(c->stream, c->server->arg);
  if (!weft__self()) return r; /* a child made by fork */
  finish(c, r);
  return r;
}

/* ---- the beginning ---- */

static int make_task(struct weft__conn *c, struct weft__task **ret) {
  weft_server *v = c->server;
  const weft_spawn_opts opts = {.name = v->name, .stack_size = v->stack_size};
  int r = weft__spawn_make(weft__self(), handle, c, &opts, &v->handlers, v->site, ret);
  if (r == 0) weft__stop_hand_down(v->stop, *ret);
  return r;
}

int weft__conn_start(struct weft__conn *c) {
  weft_server *v = c->server;
  struct weft__task *t;
  int r = make_task(c, &t);
  if (r < 0) return r;
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  c->task = t;
  weft__stream_own(c->stream);
  weft__spin_lock(&v->lock);
  weft__list_push_back(&v->conns, &c->link);
  v->alive++;
  v->accepted++;
  if (v->told) weft__stream_finish(c->stream);
  weft__spin_unlock(&v->lock);
  weft__push_unstarted(weft__self(), t);
  return 0;
}

/* ---- no stack ---- */

/* What the task that got none had from the one that accepts, beside the flag. */
static void inherit(struct weft__task *t, const struct weft__task *before) {
  if (before->env) {
    t->env = weft__env_inherit(before->env);
    t->has_opts = true;
  }
  if (before->odd & WEFT__STRAND) weft__strand_join(before->strand, t);
}

/* Its task is t from now on; a cancel that was for the one before is this one's. */
static void replace_task(struct weft__conn *c, struct weft__task *t) {
  weft_server *v = c->server;
  weft__spin_lock(&v->lock);
  c->task = t;
  c->late = true;
  bool first = !v->starved;
  v->starved = true;
  if (c->end != 0)
    (void)weft__cancel_request(t, weft__word_key(weft__load_relaxed_u64(&t->word)),
                               "its server was shut down");
  weft__spin_unlock(&v->lock);
  if (first)
    report(c, WEFT_REPORT_PAUSE, WEFT_ENOMEM, "the handler of %s waits for a stack: %s (%s)");
}

/* The connection stays where it is, and has another task after a pause. False without memory for that,
 * which is reported. */
static bool begin_later(struct weft__conn *c, const struct weft__task *before) {
  struct weft__worker *w = weft__self();
  struct weft__task *t;
  int r = make_task(c, &t);
  if (r == 0) {
    inherit(t, before);
    replace_task(c, t);
    r = weft__push_unstarted_at(w, t, weft__now() + (uint64_t)WEFT__ROOM_PAUSE);
    if (r < 0) weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
  }
  if (r < 0) report(c, WEFT_REPORT_HANDLER, r, "nobody handles %s, which is closed: %s (%s)");
  return r == 0;
}

/* ---- the end of its task ---- */

/* With the lock. */
static void count_end(weft_server *v, const struct weft__conn *c) {
  v->alive--;
  switch (c->end) {
  case WEFT_SERVER_CANCELLED:
    v->report.cancelled++;
    break;
  case WEFT_SERVER_ABORTED:
    v->report.aborted++;
    break;
  default:
    v->report.ended++;
  }
}

void weft__conn_done(struct weft__owner *owner, struct weft__task *t) {
  weft_server *v = weft__container_of(owner, weft_server, handlers);
  struct weft__conn *c = t->arg;
  struct weft__worker *w = weft__self();
  if (c->stream) { /* it never began */
    if (t->code == WEFT_ENOMEM && begin_later(c, t)) {
      weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
      return;
    }
    unlink_conn(c);
    (void)weft__stream_release(c->stream);
  }
  weft__spin_lock(&v->lock);
  count_end(v, c);
  v->places--;
  weft__server_ended(v);
  weft__server_release(v);
  weft__free(c);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
}
