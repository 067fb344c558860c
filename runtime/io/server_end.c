/* The end of a server. */
#include "base/check.h"
#include "base/clock.h"
#include "core/cancel.h"
#include "core/deadline.h"
#include "core/park.h"
#include "core/self.h"
#include "io/listener.h"
#include "io/server.h"
#include "io/stream.h"

#define GRACE weft_sec(10)
#define CANCEL_GRACE weft_sec(1)
#define ABORT_GRACE weft_sec(1)

/* So long a handshake may take that is under way when listening ends, if there is time at all. */
#define LAST_CALL (50 * WEFT__NS_PER_MS)

static const struct weft__wait_kind the_close = {"a server to be closed"};
static const struct weft__wait_kind the_end = {"a server's last connection"};

/* ---- with the lock ---- */

static void wake_all(struct weft__waitq *q) {
  while (weft__waitq_wake_one(q)) {}
}

void weft__server_ended(weft_server *v) {
  if (v->closing)
    wake_all(&v->for_place);
  else if (v->places < v->max_conns)
    (void)weft__waitq_wake_one(&v->for_place);
  if (v->accepting == 0) wake_all(&v->for_close);
  if (!weft__server_over(v)) return;
  wake_all(&v->for_end);
  weft_watchers_fire(&v->watchers, 0);
}

void weft__server_release(weft_server *v) {
  bool last = v->forsaken && weft__server_over(v) && v->inside == 0;
  weft__spin_unlock(&v->lock);
  if (last) weft__server_destroy(v);
}

/* ---- waiting ---- */

/* The calling task, inside; or why it may not be. It leaves by release. */
static inline __attribute__((always_inline)) int enter(weft_server *v, const char *function) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task_at(function, __builtin_return_address(0));
  if (!v) return WEFT_EINVAL;
  if (weft__load_relaxed_ptr(&t->owner) == &v->handlers) return WEFT_ESELF;
  weft__spin_lock(&v->lock);
  v->inside++;
  weft__spin_unlock(&v->lock);
  return 0;
}

static void leave(weft_server *v) {
  weft__spin_lock(&v->lock);
  v->inside--;
  weft__server_release(v);
}

/* Nobody is alive, at most until then. 0, WEFT_ETIMEDOUT, WEFT_ECANCELED, WEFT_ENOMEM. */
static int wait_for_end(weft_server *v, uint64_t until) {
  int r = 0;
  weft__spin_lock(&v->lock);
  while (r == 0 && !weft__server_over(v)) {
    r = weft__waitq_wait_until(&v->for_end, &v->lock, &the_end, v, until);
    weft__spin_lock(&v->lock);
  }
  if (weft__server_over(v) && r == WEFT_ETIMEDOUT) r = 0;
  weft__spin_unlock(&v->lock);
  return r;
}

/* ---- listening ends ---- */

/* Tells the acceptors, who are here or on their way to a wait that they then do not begin. */
static void begin_close(weft_server *v, uint64_t by) {
  weft__spin_lock(&v->lock);
  bool sooner = !v->closing || by < v->close_by;
  v->closing = true;
  if (sooner) v->close_by = by;
  wake_all(&v->for_place);
  weft__spin_unlock(&v->lock);
  if (!sooner) return;
  uint64_t last_call = weft__now() + LAST_CALL;
  if (last_call > by) last_call = by;
  for (unsigned i = 0; i < v->nlisteners; i++)
    weft__listener_hurry(v->acceptor[i].listener, last_call);
}

/* No acceptor, at most until then, which only a shield or its end delays. */
static int wait_for_close(weft_server *v, uint64_t until) {
  int r = 0;
  weft__spin_lock(&v->lock);
  while (r == 0 && v->accepting > 0) {
    r = weft__waitq_wait_until(&v->for_close, &v->lock, &the_close, v, until);
    weft__spin_lock(&v->lock);
  }
  weft__spin_unlock(&v->lock);
  return r;
}

void weft__server_stop_listening(weft_server *v, uint64_t by) {
  begin_close(v, by);
  weft_shield_begin();
  (void)wait_for_close(v, WEFT__NEVER);
  weft_shield_end();
}

int weft_server_close(weft_server *v) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!v) return WEFT_EINVAL;
  weft__spin_lock(&v->lock);
  v->inside++;
  weft__spin_unlock(&v->lock);
  weft__server_stop_listening(v, 0);
  leave(v);
  return 0;
}

int weft_server_wait_closed(weft_server *v) {
  int r = enter(v, __func__);
  if (r < 0) return r;
  r = weft__checkpoint(weft__current_task());
  if (r == 0) r = wait_for_end(v, WEFT__NEVER);
  leave(v);
  return r;
}

/* ---- all connections ---- */

static struct weft__conn *conn_of(struct weft__list *l) {
  return weft__container_of(l, struct weft__conn, link);
}

/* With the lock. */
static void drop(struct weft__conn *c) {
  c->dropped = true;
  (void)weft_stream_abort(c->stream);
}

int weft_server_close_clients(weft_server *v) {
  if (!v) return WEFT_EINVAL;
  if (weft__in_child()) return WEFT_ECHILD;
  weft__spin_lock(&v->lock);
  weft__list_foreach(l, &v->conns) weft__stream_end(conn_of(l)->stream);
  weft__spin_unlock(&v->lock);
  return 0;
}

int weft_server_abort_clients(weft_server *v) {
  if (!v) return WEFT_EINVAL;
  if (weft__in_child()) return WEFT_ECHILD;
  weft__spin_lock(&v->lock);
  weft__list_foreach(l, &v->conns) drop(conn_of(l));
  weft__spin_unlock(&v->lock);
  return 0;
}

/* ---- the phases ---- */

/* With the lock: c has not ended in time. */
static void note_cut(weft_server *v, struct weft__conn *c) {
  unsigned n = v->report.ncuts++;
  if (n >= WEFT_SERVER_CUTS) return;
  c->cut = n + 1;
  v->report.cuts[n].peer = weft__conn_peer(c);
}

/* With the lock. */
static void set_end(weft_server *v, struct weft__conn *c, enum weft_server_end end) {
  c->end = end;
  if (c->cut) v->report.cuts[c->cut - 1].end = end;
}

/* The first two phases begin. */
static void tell(weft_server *v) {
  weft__stop_ask(v->stop);
  weft__spin_lock(&v->lock);
  v->told = true;
  weft__list_foreach(l, &v->conns) weft__stream_finish(conn_of(l)->stream);
  weft__spin_unlock(&v->lock);
}

/* Not inline: the list of those who are cancelled is large. */
static __attribute__((noinline)) void cancel_all(weft_server *v) {
  struct weft__cancels many;
  weft__cancel_begin(&many, "its server was shut down");
  weft__spin_lock(&v->lock);
  weft__list_foreach(l, &v->conns) {
    struct weft__conn *c = conn_of(l);
    note_cut(v, c);
    set_end(v, c, WEFT_SERVER_CANCELLED);
    weft__cancel_add(&many, c->task, weft__word_key(weft__load_relaxed_u64(&c->task->word)));
  }
  weft__cancel_end(&many);
  weft__spin_unlock(&v->lock);
}

static void drop_all(weft_server *v) {
  weft__spin_lock(&v->lock);
  weft__list_foreach(l, &v->conns) {
    set_end(v, conn_of(l), WEFT_SERVER_ABORTED);
    drop(conn_of(l));
  }
  weft__spin_unlock(&v->lock);
}

/* What is left, and the report as it is then. */
static int take_report(weft_server *v, weft_server_report *ret) {
  weft__spin_lock(&v->lock);
  weft_server_report *r = &v->report;
  weft__list_foreach(l, &v->conns) {
    struct weft__conn *c = conn_of(l);
    if (c->cut) r->cuts[c->cut - 1].end = WEFT_SERVER_LEFT;
  }
  r->left = v->alive;
  r->accepted = v->accepted;
  r->ncuts = r->cancelled + r->aborted + r->left;
  int code = r->ncuts > 0 ? WEFT_ETIMEDOUT : 0;
  if (ret) *ret = *r;
  v->shutting = false;
  weft__spin_unlock(&v->lock);
  return code;
}

static uint64_t until(weft_ns time, weft_ns usual) {
  return weft__deadline_in(time == 0 ? usual : time);
}

/* One phase has its time: 0 when it was enough. After a cancel there is none for those that follow. */
static int phase(weft_server *v, int before, uint64_t by) {
  if (before == 0 || before == WEFT_ECANCELED || before == WEFT_ENOMEM) return before;
  return wait_for_end(v, by);
}

static int shut_down(weft_server *v, const weft_shutdown_opts *o) {
  uint64_t by = until(o->grace, GRACE);
  tell(v);
  begin_close(v, by);
  int r = phase(v, WEFT_ETIMEDOUT, by);
  if (r == 0) return 0;
  weft__server_stop_listening(v, 0);
  cancel_all(v);
  r = phase(v, r, until(o->cancel_grace, CANCEL_GRACE));
  if (r == 0) return 0;
  drop_all(v);
  return phase(v, r, until(o->abort_grace, ABORT_GRACE));
}

int weft_server_shutdown(weft_server *v, const weft_shutdown_opts *opts,
                         weft_server_report *ret_report) {
  static const weft_shutdown_opts defaults;
  int r = enter(v, __func__);
  if (r < 0) return r;
  weft__spin_lock(&v->lock);
  bool busy = v->shutting;
  v->shutting = true;
  if (!busy) v->report = (weft_server_report){0};
  weft__spin_unlock(&v->lock);
  if (busy) {
    leave(v);
    return WEFT_EBUSY;
  }
  r = shut_down(v, opts ? opts : &defaults);
  int code = take_report(v, ret_report);
  leave(v);
  return r == WEFT_ECANCELED || r == WEFT_ENOMEM ? r : code;
}
