/* The connections of a server. */
#include <string.h>

#include "base/memory.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/spawn.h"
#include "core/worker.h"
#include "io/addr.h"
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

static void report_failure(const weft_server *v, weft_addr peer, int code) {
  weft_report r = {.kind = WEFT_REPORT_HANDLER,
                   .code = code,
                   .site = (const void *)(uintptr_t)v->handler,
                   .object = v,
                   .object_kind = "server"};
  char text[WEFT_ADDR_TEXT];
  weft_addr_format(&peer, text, sizeof text);
  weft__report(weft__self()->rt, weft__current_task(), &r, "the handler of %s failed: %s (%s)",
               text, weft_strerror(code), weft_err_name(code));
}

/* The handler has returned r. The stream stays where others find it while this may wait, so that they can
 * drop it. */
static void finish(struct weft__conn *c, int r) {
  weft_stream *s = c->stream;
  weft__stream_conclude(s);
  bool dropped = unlink_conn(c);
  c->stream = NULL;
  (void)weft_stream_close(s);
  if (r < 0 && r != WEFT_ECANCELED && !dropped) report_failure(c->server, weft__conn_peer(c), r);
}

static int handle(void *arg) {
  struct weft__conn *c = arg;
  int r = c->server->handler(c->stream, c->server->arg);
  if (!weft__self()) return r; /* a child made by fork */
  finish(c, r);
  return r;
}

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
    unlink_conn(c);
    (void)weft_stream_close(c->stream);
  }
  weft__spin_lock(&v->lock);
  count_end(v, c);
  v->places--;
  weft__server_ended(v);
  weft__server_release(v);
  weft__free(c);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
}

/* ---- the beginning ---- */

int weft__conn_start(struct weft__conn *c) {
  weft_server *v = c->server;
  const weft_spawn_opts opts = {.name = v->name, .stack_size = v->stack_size};
  struct weft__task *t;
  int r = weft__spawn_make(weft__self(), handle, c, &opts, &v->handlers, v->site, &t);
  if (r < 0) return r;
  weft__stop_hand_down(v->stop, t);
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  c->task = t;
  weft__spin_lock(&v->lock);
  weft__list_push_back(&v->conns, &c->link);
  v->alive++;
  v->accepted++;
  if (v->told) weft__stream_finish(c->stream);
  weft__spin_unlock(&v->lock);
  weft__push_unstarted(weft__self(), t);
  return 0;
}
