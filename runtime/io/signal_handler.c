/* Signals that call a function, as callbacks do. */
#include <weft/errors.h>
#include <weft/signal.h>

#include "base/memory.h"
#include "base/mutex.h"
#include "core/report.h"
#include "core/self.h"
#include "core/signals.h"
#include "core/spawn.h"
#include "core/worker.h"

/* One at a time sets or removes one. Taken before the lock of the subs. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

/* Its fields are guarded by the lock of the subs. */
struct handler {
  struct weft__signal_sub sub;
  int signo;
  weft_fn fn;
  void *arg;
  const void *site; /* of the call that set it, for reports */
};

/* By the monitor. A runtime that ends drops what has not begun. */
static void came(struct weft__signal_sub *sub, int signo, unsigned times) {
  struct handler *h = weft__container_of(sub, struct handler, sub);
  struct weft__runtime *rt = weft__runtime_hold(sub->rt->id);
  (void)times;
  if (!rt) return;
  int r = weft__submit_owned(rt, h->fn, h->arg, NULL, NULL, h->site, NULL);
  if (r < 0)
    weft__log(rt, "the handler of signal %d cannot be called: %s (%s)", signo, weft_err_name(r),
              weft_strerror(r));
  weft__runtime_release(rt);
}

static void dropped(struct weft__signal_sub *sub) {
  weft__free(weft__container_of(sub, struct handler, sub));
}

static struct handler *handler_of(struct weft__signal_sub *sub, int signo) {
  if (sub->came != came) return NULL;
  struct handler *h = weft__container_of(sub, struct handler, sub);
  return h->signo == signo ? h : NULL;
}

/* arg: the new one. */
static bool replace(struct weft__signal_sub *sub, void *arg) {
  const struct handler *with = arg;
  struct handler *h = handler_of(sub, with->signo);
  if (!h) return false;
  h->fn = with->fn;
  h->arg = with->arg;
  h->site = with->site;
  return true;
}

int weft_signal_handler(int signo, weft_fn fn, void *arg) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  int r = fn ? weft__signal_check(signo) : WEFT_EINVAL;
  if (r < 0) return r;
  struct handler *h = weft__alloc(sizeof *h);
  if (!h) return WEFT_ENOMEM;
  *h = (struct handler){.sub = {.set = weft__signal_bit(signo), .came = came, .dropped = dropped},
                        .signo = signo,
                        .fn = fn,
                        .arg = arg,
                        .site = __builtin_return_address(0)};
  weft__mutex_lock(&changing);
  bool replaced = weft__signals_find(t->rt, replace, h);
  if (!replaced) r = weft__signals_add(&h->sub, t->rt);
  weft__mutex_unlock(&changing);
  if (replaced || r < 0) weft__free(h);
  return r;
}

struct search {
  int signo;
  struct handler *found;
};

static bool find(struct weft__signal_sub *sub, void *arg) {
  struct search *s = arg;
  s->found = handler_of(sub, s->signo);
  return s->found != NULL;
}

int weft_signal_handler_remove(int signo) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  struct search s = {.signo = signo};
  int r = weft__signal_check(signo);
  if (r < 0) return r;
  weft__mutex_lock(&changing);
  if (weft__signals_find(t->rt, find, &s)) weft__signals_remove(&s.found->sub);
  weft__mutex_unlock(&changing);
  weft__free(s.found);
  return s.found != NULL;
}
