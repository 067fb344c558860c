/* The tasks of a server that accept. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/room.h"
#include "core/spawn.h"
#include "core/worker.h"
#include "io/addr.h"
#include "io/listener.h"
#include "io/server.h"

static const struct weft__wait_kind a_place = {"a place for a connection"};

/* ---- places ---- */

/* With the lock: closing, and its time is up. */
static bool too_late(const weft_server *v) {
  return v->closing && weft__now() >= v->close_by;
}

/* Takes a place, waiting for one. 0; WEFT_ECLOSED; WEFT_ECANCELED, WEFT_ENOMEM. */
static int take_place(struct weft__acceptor *a) {
  weft_server *v = a->server;
  int r = 0;
  weft__spin_lock(&v->lock);
  if (v->closing && a->late++ > a->listener->burst) r = WEFT_ECLOSED;
  while (r == 0 && v->places >= v->max_conns) {
    if (too_late(v)) {
      r = WEFT_ECLOSED;
      break;
    }
    if (a->listener->deaf) {
      weft__spin_unlock(&v->lock);
      weft__listener_hear(a->listener);
      weft__spin_lock(&v->lock);
      continue;
    }
    uint64_t by = v->closing ? v->close_by : WEFT__NEVER;
    r = weft__waitq_wait_until(&v->for_place, &v->lock, &a_place, v, by);
    weft__spin_lock(&v->lock);
    if (r == WEFT_ETIMEDOUT) r = 0;
  }
  if (r == 0) v->places++;
  weft__spin_unlock(&v->lock);
  return r;
}

static void give_place_back(weft_server *v) {
  weft__spin_lock(&v->lock);
  v->places--;
  weft__server_ended(v);
  weft__spin_unlock(&v->lock);
}

/* ---- no room ---- */

/* Until when a pause may last at most, or 0: there is no time for one. */
static uint64_t pause_by(weft_server *v) {
  weft__spin_lock(&v->lock);
  uint64_t by = !v->closing ? WEFT__NEVER : too_late(v) ? 0 : v->close_by;
  weft__spin_unlock(&v->lock);
  return by;
}

/* There was no memory for what a connection needs beside its descriptor. 0: try again. */
static int rest(weft_server *v) {
  struct weft__room room;
  uint64_t by = pause_by(v), end = weft__now() + (uint64_t)WEFT__ROOM_PAUSE;
  if (by == 0) return WEFT_ECLOSED;
  weft__room_enter(&room);
  int r = weft__room_wait(&room, end < by ? end : by);
  weft__room_leave();
  return r == WEFT_ETIMEDOUT ? 0 : r;
}

/* ---- one connection ---- */

/* The stream has come, for a->spare, and a place is there for it. */
static int start(struct weft__acceptor *a, weft_stream *s) {
  struct weft__conn *c = a->spare;
  int r;
  c->server = a->server;
  c->stream = s;
  const weft_addr *from = &a->listener->from;
  c->peer_len = from->len < sizeof c->peer ? from->len : sizeof c->peer;
  memcpy(&c->peer, weft__sa(from), c->peer_len);
  while ((r = weft__conn_start(c)) == WEFT_ENOMEM && (r = rest(a->server)) == 0) {}
  if (r == 0)
    a->spare = NULL;
  else
    weft_stream_close(s);
  return r;
}

/* With a place. 0: it is a connection's now; WEFT_EAGAIN; 1: there was no room, and a pause; an error. */
static int accept_one(struct weft__acceptor *a) {
  weft_server *v = a->server;
  weft_stream *s = NULL;
  if (!a->spare) a->spare = weft__zalloc(sizeof *a->spare);
  if (!a->spare) {
    int r = rest(v);
    return r < 0 ? r : 1;
  }
  int r = weft__listener_take(a->listener, &s, v->site);
  if (weft__no_room(r)) {
    uint64_t by = pause_by(v);
    r = by ? weft__listener_pause(a->listener, &s, v->site, by) : WEFT_ECLOSED;
  }
  return r == 0 ? start(a, s) : r;
}

/* Until nobody is to be accepted any more: why. */
static int accept_all(struct weft__acceptor *a) {
  for (;;) {
    int r = take_place(a);
    if (r < 0) return r;
    r = accept_one(a);
    if (r != 0) give_place_back(a->server);
    if (r == WEFT_EAGAIN) r = weft__listener_wait(a->listener);
    if (r == WEFT_ENOMEM || r == WEFT_ENOSPC) r = rest(a->server); /* it may be told later */
    if (r == 0) r = weft__spend(weft__current_task());
    if (r < 0) return r;
  }
}

static bool is_expected(int code) {
  return code == WEFT_EAGAIN || code == WEFT_ECLOSED || code == WEFT_ECANCELED;
}

/* It is the server's error, too. */
static void report_end(weft_server *v, weft_listener *l, int code) {
  weft_report r = {.kind = WEFT_REPORT_HANDLER, .code = code, .object = v, .object_kind = "server"};
  char text[WEFT_ADDR_TEXT];
  weft_addr_format(&l->addr, text, sizeof text);
  weft__report(weft__self()->rt, NULL, &r, "accepting at %s ends: %s (%s)", text,
               weft_strerror(code), weft_err_name(code));
  weft__spin_lock(&v->lock);
  if (v->error == 0) v->error = code;
  weft__spin_unlock(&v->lock);
}

static int run(void *arg) {
  struct weft__acceptor *a = arg;
  weft_server *v = a->server;
  int r = weft__listener_enter(a->listener);
  if (r == 0) {
    r = accept_all(a);
    weft__listener_leave(a->listener);
  }
  if (!weft__self()) return r;
  (void)weft_listener_close(a->listener);
  if (!is_expected(r)) report_end(v, a->listener, r);
  return 0;
}

void weft__acceptor_done(struct weft__owner *owner, struct weft__task *t) {
  weft_server *v = weft__container_of(owner, weft_server, acceptors);
  struct weft__acceptor *a = t->arg;
  struct weft__worker *w = weft__self();
  (void)weft_listener_close(a->listener);                          /* it may never have begun */
  if (t->code == WEFT_ENOMEM) report_end(v, a->listener, t->code); /* without a stack */
  weft__free(a->spare);
  a->spare = NULL;
  weft__spin_lock(&v->lock);
  v->accepting--;
  weft__server_ended(v);
  weft__server_release(v);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
}

int weft__server_accept(weft_server *v) {
  static const weft_spawn_opts opts = {.name = "a server that accepts"};
  for (unsigned i = 0; i < v->nlisteners; i++) {
    struct weft__task *t;
    int r = weft__spawn_make(weft__self(), run, &v->acceptor[i], &opts, &v->acceptors, v->site, &t);
    if (r < 0) return r;
    weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
    weft__spin_lock(&v->lock);
    v->accepting++;
    weft__spin_unlock(&v->lock);
    weft__push_unstarted(weft__self(), t);
  }
  return 0;
}
