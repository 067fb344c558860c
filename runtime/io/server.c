/* Servers as a whole. */
#include "io/server.h"

#include <limits.h>

#include <weft/group.h>
#include <weft/wait.h>

#include "base/memory.h"
#include "core/self.h"
#include "core/spawn.h"
#include "io/listener.h"

/* ---- the beginning ---- */

static weft_server *make(weft_handler_fn handler, void *arg, const weft_serve_opts *o,
                         weft_listener **listeners, unsigned n, const void *site) {
  weft_server *v = weft__zalloc(sizeof *v + n * sizeof v->acceptor[0]);
  if (!v) return NULL;
  v->stop = weft__stop_new();
  if (!v->stop) {
    weft__free(v);
    return NULL;
  }
  v->handler = handler;
  v->arg = arg;
  v->name = o->name ? o->name : "a handler";
  v->stack_size = o->stack_size;
  v->site = site;
  v->max_conns = o->max_conns ? o->max_conns : UINT_MAX;
  v->times = o->shutdown;
  v->wanted = o->report;
  v->handlers.child_done = weft__conn_done;
  v->acceptors.child_done = weft__acceptor_done;
  v->nlisteners = n;
  for (unsigned i = 0; i < n; i++)
    v->acceptor[i] = (struct weft__acceptor){.server = v, .listener = listeners[i]};
  weft__list_init(&v->conns);
  weft__waitq_init(&v->for_place);
  weft__waitq_init(&v->for_close);
  weft__waitq_init(&v->for_end);
  return v;
}

/* The options that have nothing to do with addresses. */
static int check(weft_handler_fn handler, const weft_serve_opts *o) {
  const weft_spawn_opts like = {.stack_size = o->stack_size};
  return handler ? weft__spawn_check(weft_stream_close_fn, &like) : WEFT_EINVAL;
}

/* Not all acceptors could be made. A listener of the caller's, which is alone, is still the caller's. */
static void give_up(weft_server *v, const weft_serve_opts *o) {
  if (v->accepting > 0) weft__server_stop_listening(v, 0);
  if (o->listener) v->nlisteners = 0;
  weft__spin_lock(&v->lock);
  v->forsaken = true;
  weft__server_release(v);
}

static int start(weft_server **ret, weft_handler_fn handler, void *arg, const weft_serve_opts *opts,
                 const void *site) {
  static const weft_serve_opts defaults;
  const weft_serve_opts *o = opts ? opts : &defaults;
  weft_listener **listeners = NULL;
  unsigned n = 0;
  int r = ret ? check(handler, o) : WEFT_EINVAL;
  if (r == 0) r = weft__server_listen(o, &listeners, &n);
  if (r < 0) return r;
  weft_server *v = make(handler, arg, o, listeners, n, site);
  if (!v) {
    weft__server_unlisten(listeners, o->listener ? 0 : n);
    return WEFT_ENOMEM;
  }
  weft__free(listeners);
  weft__resource_open(&v->resource, "a server", site);
  r = weft__server_accept(v);
  if (r < 0) {
    give_up(v, o);
    return r;
  }
  *ret = v;
  return 0;
}

int weft_server_start(weft_server **ret, weft_handler_fn handler, void *arg,
                      const weft_serve_opts *opts) {
  if (!weft__current_task()) return weft__no_task();
  return start(ret, handler, arg, opts, __builtin_return_address(0));
}

/* ---- its end, as something to wait for beside others ---- */

static int end_watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  weft_server *v = object;
  (void)key;
  weft__spin_lock(&v->lock);
  bool over = weft__server_over(v);
  if (!over) weft_watchers_add(&v->watchers, w);
  weft__spin_unlock(&v->lock);
  if (over) *ret_code = 0;
  return over;
}

static void end_unwatch(void *object, uint64_t key, weft_watch *w) {
  weft_server *v = object;
  (void)key;
  weft__spin_lock(&v->lock);
  weft_watchers_remove(&v->watchers, w);
  weft__spin_unlock(&v->lock);
}

static const weft_awaitable_ops end_ops = {
    .name = "a server's end", .watch = end_watch, .unwatch = end_unwatch};

/* ---- serving ---- */

/* Until it is to end: 0 when it has, by itself; 1 when the task was asked to finish; or why the wait
 * ended. */
static int wait_for_a_reason(weft_server *v) {
  const weft_awaitable set[] = {{&end_ops, v, 0}, weft_stop_awaitable()};
  return weft_select(set, 2, NULL);
}

static int serve(weft_server *v) {
  int r = wait_for_a_reason(v);
  if (r == 0) return v->error;
  weft_shield_begin();
  int e = weft_server_shutdown(v, &v->times, v->wanted);
  /* Somebody else shuts it down: that one's times count. */
  if (e == WEFT_EBUSY) e = weft_server_wait_closed(v);
  weft_shield_end();
  return r < 0 ? r : e == WEFT_ETIMEDOUT ? 0 : e;
}

/* Takes the place of the one who serves. */
static bool begin_serving(weft_server *v) {
  weft__spin_lock(&v->lock);
  bool first = !v->serving;
  if (first) {
    v->serving = true;
    v->inside++;
  }
  weft__spin_unlock(&v->lock);
  return first;
}

static void end_serving(weft_server *v) {
  weft__spin_lock(&v->lock);
  v->serving = false;
  v->inside--;
  weft__server_release(v);
}

int weft_server_serve(weft_server *v) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!v) return WEFT_EINVAL;
  if (weft__load_relaxed_ptr(&t->owner) == &v->handlers) return WEFT_ESELF;
  if (!begin_serving(v)) return WEFT_EBUSY;
  int r = serve(v);
  end_serving(v);
  return r;
}

int weft_serve(weft_handler_fn handler, void *arg, const weft_serve_opts *opts) {
  weft_server *v = NULL;
  if (!weft__current_task()) return weft__no_task();
  int r = start(&v, handler, arg, opts, __builtin_return_address(0));
  if (r < 0) return r;
  r = weft_server_serve(v);
  weft__spin_lock(&v->lock);
  v->forsaken = true;
  if (!weft__server_over(v) && r == 0) r = WEFT_ETIMEDOUT;
  weft__server_release(v);
  return r;
}

/* ---- looks ---- */

bool weft_server_listening(weft_server *v) {
  if (!v) return false;
  weft__spin_lock(&v->lock);
  bool listens = v->accepting > 0 && !v->closing;
  weft__spin_unlock(&v->lock);
  return listens;
}

unsigned weft_server_connections(weft_server *v) {
  if (!v) return 0;
  weft__spin_lock(&v->lock);
  unsigned n = v->alive;
  weft__spin_unlock(&v->lock);
  return n;
}

int weft_server_addr(weft_server *v, size_t i, weft_addr *ret) {
  if (!v || i >= v->nlisteners) return WEFT_EINVAL;
  return weft_listener_addr(v->acceptor[i].listener, ret);
}

/* ---- the end ---- */

void weft__server_destroy(weft_server *v) {
  weft__resource_close(&v->resource);
  for (unsigned i = 0; i < v->nlisteners; i++) weft_listener_free(v->acceptor[i].listener);
  weft__stop_drop(v->stop);
  weft__free(v);
}

int weft_server_free(weft_server *v) {
  if (!v) return 0;
  if (weft__in_child()) return WEFT_ECHILD;
  weft__spin_lock(&v->lock);
  bool idle = weft__server_over(v) && v->inside == 0;
  weft__spin_unlock(&v->lock);
  if (!idle) return WEFT_EBUSY;
  weft__server_destroy(v);
  return 0;
}
