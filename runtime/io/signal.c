/* Signals that tasks wait for. core/signals.c brings them; here they are kept and handed out. */
#include <weft/signal.h>

#include <weft/errors.h>

#include "aio/awaitable.h"
#include "aio/line.h"
#include "base/memory.h"
#include "base/sim.h"
#include "core/resource.h"
#include "core/signals.h"

enum { NUMBERS = 64 };

/* What a waiter may be told that is no signal's number. */
enum { OVER = 0 };

struct weft_signal {
  struct weft__shared shared; /* its lock guards the next five; taken under that of the subs */
  struct weft__line line;     /* nobody while one is there */
  weft_watchers watchers;     /* likewise */
  uint64_t there;             /* bit number - 1 */
  bool over;                  /* the runtime has ended */
  unsigned times[NUMBERS];    /* of those that are there */
  struct weft__signal_sub sub;
  struct weft__resource resource;
};

static const struct weft__wait_kind for_signal = {"a signal"};

/* ---- under the lock ---- */

static int lowest(const weft_signal *s) {
  return __builtin_ctzll(s->there) + 1;
}

/* Takes the first that is there; its number. */
static int take(weft_signal *s, unsigned *ret_times) {
  int signo = lowest(s);
  s->there &= ~weft__signal_bit(signo);
  if (ret_times) *ret_times = s->times[signo - 1];
  s->times[signo - 1] = 0;
  return signo;
}

static void hand_out(weft_signal *s, struct weft__woken *woken) {
  while (s->there && !weft__line_empty(&s->line)) {
    struct weft__place *p = weft__line_end(&s->line, lowest(s), woken);
    if (!p) break;
    take(s, p->item);
  }
  if (s->there && weft__watched(&s->watchers)) weft_watchers_fire(&s->watchers, lowest(s));
}

/* ---- from the monitor ---- */

static void came(struct weft__signal_sub *sub, int signo, unsigned times) {
  weft_signal *s = weft__container_of(sub, weft_signal, sub);
  struct weft__woken woken = {0};
  weft__shared_lock(&s->shared);
  s->there |= weft__signal_bit(signo);
  s->times[signo - 1] += times;
  hand_out(s, &woken);
  weft__shared_unlock(&s->shared);
  weft__woken_tell(&woken);
}

/* Tasks of other runtimes may wait. */
static void dropped(struct weft__signal_sub *sub) {
  weft_signal *s = weft__container_of(sub, weft_signal, sub);
  struct weft__woken woken = {0};
  weft__shared_lock(&s->shared);
  s->over = true;
  weft__line_end_all(&s->line, OVER, &woken);
  if (weft__watched(&s->watchers)) weft_watchers_fire(&s->watchers, WEFT_ECLOSED);
  weft__shared_unlock(&s->shared);
  weft__woken_tell(&woken);
}

/* ---- the calls ---- */

static int check(const int *signos, size_t n, uint64_t *ret_set) {
  uint64_t set = 0;
  if (!signos || n == 0) return WEFT_EINVAL;
  for (size_t i = 0; i < n; i++) {
    int r = weft__signal_check(signos[i]);
    if (r < 0) return r;
    set |= weft__signal_bit(signos[i]);
  }
  *ret_set = set;
  return 0;
}

static int open_for(weft_signal **ret, const int *signos, size_t n, struct weft__runtime *rt) {
  uint64_t set;
  int r = check(signos, n, &set);
  if (r < 0) return r;
  weft_signal *s = weft__zalloc(sizeof *s);
  if (!s) return WEFT_ENOMEM;
  weft__shared_init(&s->shared);
  weft__line_init(&s->line);
  s->sub.set = set;
  s->sub.came = came;
  s->sub.dropped = dropped;
  r = weft__signals_add(&s->sub, rt);
  if (r < 0) {
    weft__free(s);
    return r;
  }
  *ret = s;
  return 0;
}

int weft_signal_open(weft_signal **ret, const int *signos, size_t n) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  if (!ret) return WEFT_EINVAL;
  weft_signal *s;
  int r = open_for(&s, signos, n, t->rt);
  if (r < 0) return r;
  weft__resource_open(&s->resource, "a signal", __builtin_return_address(0));
  *ret = s;
  return 0;
}

static int wait_for_next(weft_signal *s, unsigned *ret_times) {
  unsigned times = 0;
  struct weft__place p = {.item = &times};
  int r = weft__line_wait(&s->line, &p, &s->shared, &for_signal, s);
  if (r == OVER) return WEFT_ECLOSED;
  if (r > 0 && ret_times) *ret_times = times;
  return r;
}

int weft_signal_next(weft_signal *s, unsigned *ret_times) {
  if (!weft__current_task()) return weft__no_task();
  if (!s) return WEFT_EINVAL;
  int r = weft__shared_enter_suspending(&s->shared);
  if (r < 0) return r;
  weft__shared_lock(&s->shared);
  if (s->there)
    r = take(s, ret_times);
  else if (s->over)
    r = WEFT_ECLOSED;
  else
    r = wait_for_next(s, ret_times);
  weft__shared_unlock(&s->shared);
  return r;
}

static int close_it(weft_signal *s) {
  weft__shared_lock(&s->shared);
  bool busy = s->shared.waiting > 0 || weft__watched(&s->watchers);
  weft__shared_unlock(&s->shared);
  if (busy) return WEFT_EBUSY;
  weft__resource_close(&s->resource);
  weft__signals_remove(&s->sub);
  weft__free(s);
  return 0;
}

int weft_signal_close(weft_signal *s) {
  if (!s) return 0;
  int r = weft__shared_enter(&s->shared);
  if (r < 0) return r;
  return close_it(s);
}

int weft_wait_signal(const int *signos, size_t n) {
  struct weft__task *t = weft__current_task();
  if (!t) return weft__no_task();
  weft_signal *s;
  int r = weft__checkpoint(t);
  if (r == 0) r = open_for(&s, signos, n, t->rt);
  if (r < 0) return r;
  r = weft_signal_next(s, NULL);
  close_it(s); /* nobody else knows it */
  return r;
}

/* To this thread, so that it has come when the call returns: threads of the runtime block signals. */
static int raise_here(int signo) {
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, signo);
  pthread_sigmask(SIG_UNBLOCK, &set, &before);
  int r = raise(signo);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return r == 0 ? 0 : WEFT_EINVAL; /* the C library's own */
}

int weft_signal_raise(int signo) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (signo < 1 || signo > NUMBERS) return WEFT_EINVAL;
  return weft__sim_here() ? weft__signals_play(signo) : raise_here(signo);
}

/* ---- as an awaitable ---- */

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  weft_signal *s = object;
  (void)key;
  weft__shared_watched(&s->shared);
  weft__shared_lock(&s->shared);
  bool over = s->there != 0 || s->over;
  if (over)
    *ret_code = s->there ? lowest(s) : WEFT_ECLOSED;
  else
    weft_watchers_add(&s->watchers, w);
  weft__shared_unlock(&s->shared);
  return over;
}

static void unwatch(void *object, uint64_t key, weft_watch *w) {
  weft_signal *s = object;
  (void)key;
  weft__shared_lock(&s->shared);
  weft_watchers_remove(&s->watchers, w);
  weft__shared_unlock(&s->shared);
}

static const weft_awaitable_ops ops = {.name = "a signal", .watch = watch, .unwatch = unwatch};

weft_awaitable weft_signal_awaitable(weft_signal *s) {
  return (weft_awaitable){&ops, s, 0};
}
