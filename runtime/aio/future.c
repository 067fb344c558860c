/* Futures: how they end, and who asks and waits for them. */
#include "aio/future.h"

#include <string.h>

#include "base/memory.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/worker.h"

#define VALUE_MAX ((size_t)1 << 20)

static void note_seen(struct weft_future *f) {
  weft__store_relaxed_u32(&f->seen, 1);
}

/* ---- the end ---- */

/* Hands out what waits, in order, t being the runner for the callbacks. Under the lock. */
static void tell(struct weft_future *f, struct weft__task *t) {
  struct weft__list *l;
  while ((l = weft__list_pop_front(&f->waiting)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *waiting = rec->task;
    if (waiting) {
      if (weft__waiter_fire(rec, f->code)) weft__make_ready(waiting);
      continue;
    }
    weft__future_callback_due(f, rec, t);
    t = NULL;
  }
  f->callbacks = 0;
}

/* Under the lock, by one who found it pending there. */
static void become(struct weft_future *f, struct weft__task *runner, enum weft__future_state state,
                   int code, const void *value) {
  if (state == WEFT__FUTURE_SET && value) memcpy(f->value, value, f->size);
  f->code = code;
  weft__store_release_u32(&f->state, (uint32_t)state);
  tell(f, runner);
}

int weft__future_end(struct weft_future *f, enum weft__future_state state, int code,
                     const void *value) {
  struct weft__task *t = NULL;
  struct weft__runtime *rt = weft__future_lock(f);
  int r = weft__future_state(f) == WEFT__FUTURE_PENDING ? 0 : WEFT_ESTATE;
  if (r == 0 && f->callbacks) r = weft__future_make_runner(f, rt, weft__future_first_strand(f), &t);
  if (r == 0) become(f, t, state, code, value);
  weft__future_unlock(f, rt);
  return r;
}

void weft__future_end_anyway(struct weft_future *f, enum weft__future_state state, int code) {
  if (weft__future_end(f, state, code, NULL) != WEFT_ENOMEM) return;
  weft__spin_lock(&f->lock);
  if (weft__future_state(f) == WEFT__FUTURE_PENDING) become(f, NULL, state, code, NULL);
  weft__spin_unlock(&f->lock);
}

int weft_future_set(weft_future *f, const void *value) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (f->size && !value) return WEFT_EINVAL;
  return weft__future_end(f, WEFT__FUTURE_SET, 0, value);
}

int weft_future_fail(weft_future *f, int code) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (code >= 0 || code == WEFT_ECANCELED) return WEFT_EINVAL;
  return weft__future_end(f, WEFT__FUTURE_FAILED, code, NULL);
}

int weft_future_cancel(weft_future *f) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__future_state(f) != WEFT__FUTURE_PENDING) return 0;
  if (f->cancel) return f->cancel(f);
  int r = weft__future_end(f, WEFT__FUTURE_CANCELLED, WEFT_ECANCELED, NULL);
  return r == 0 ? 1 : r == WEFT_ESTATE ? 0 : r;
}

/* ---- asking ---- */

bool weft_future_done(const weft_future *f) {
  return weft__future_state(f) != WEFT__FUTURE_PENDING;
}

bool weft_future_cancelled(const weft_future *f) {
  return weft__future_state(f) == WEFT__FUTURE_CANCELLED;
}

/* Of a future that is over. */
static int result(struct weft_future *f, void *ret) {
  note_seen(f);
  if (ret && weft__future_state(f) == WEFT__FUTURE_SET) memcpy(ret, f->value, f->size);
  return f->code;
}

int weft_future_get(weft_future *f, void *ret) {
  if (weft__in_child()) return WEFT_ECHILD;
  return weft__future_state(f) == WEFT__FUTURE_PENDING ? WEFT_EPENDING : result(f, ret);
}

int weft_future_await(weft_future *f, void *ret) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (weft__future_state(f) != WEFT__FUTURE_PENDING && weft__checkpoint_clear(cur)) {
    weft__spend(cur);
    return result(f, ret);
  }
  bool over = false;
  int r = weft__await_passing_cancel(cur, weft_future_awaitable(f), &over);
  return over && r == f->code ? result(f, ret) : r;
}

/* ---- life ---- */

struct weft_future *weft__future_make(size_t size, size_t extra, const void *site) {
  struct weft_future *f = weft__alloc_aligned(64, (sizeof *f + size + extra + 63) & ~(size_t)63);
  if (!f) return NULL;
  memset(f, 0, sizeof *f);
  weft__store_relaxed_u32(&f->refs, 1);
  f->size = size;
  f->site = site;
  f->home = weft_runtime_current().id_;
  f->runner.child_done = weft__future_runner_done;
  weft__list_init(&f->waiting);
  weft__list_init(&f->due);
  return f;
}

int weft_future_new(weft_future **ret, size_t size) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (size > VALUE_MAX) return WEFT_EINVAL;
  struct weft_future *f = weft__future_make(size, 0, __builtin_return_address(0));
  if (!f) return WEFT_ENOMEM;
  *ret = f;
  return 0;
}

weft_future *weft_future_ref(weft_future *f) {
  if (f) weft__add_relaxed_u32(&f->refs, 1);
  return f;
}

static void report_unseen(struct weft_future *f) {
  struct weft__worker *w = weft__self();
  struct weft__runtime *held = w && w->rt->id == f->home ? NULL : weft__runtime_hold(f->home);
  weft_report r = {.kind = WEFT_REPORT_FUTURE, .code = f->code, .object = f, .site = f->site};
  weft__report(held ? held
               : w  ? w->rt
                    : NULL,
               NULL, &r, "a future failed and nobody looked: %s (%s)", weft_err_name(f->code),
               weft_strerror(f->code));
  if (held) weft__runtime_release(held);
}

void weft_future_unref(weft_future *f) {
  if (!f || weft__sub_u32(&f->refs, 1) != 1) return;
  if (weft__future_state(f) == WEFT__FUTURE_FAILED && !weft__load_relaxed_u32(&f->seen))
    report_unseen(f);
  weft__future_free_callbacks(&f->waiting);
  weft__future_free_callbacks(&f->due);
  weft__free(f);
}

/* ---- as an awaitable ---- */

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  (void)key;
  struct weft_future *f = object;
  weft__spin_lock(&f->lock);
  bool over = weft__future_state(f) != WEFT__FUTURE_PENDING;
  bool self = !over && f->of == w->rec.task && f->of;
  if (!over && !self) weft__list_push_back(&f->waiting, &w->rec.link);
  weft__spin_unlock(&f->lock);
  if (self) return WEFT_ESELF;
  if (!over) return 0;
  *ret_code = f->code;
  return 1;
}

static void unwatch(void *object, uint64_t key, weft_watch *w) {
  (void)key;
  struct weft_future *f = object;
  weft__spin_lock(&f->lock);
  weft__list_remove(&w->rec.link);
  weft__spin_unlock(&f->lock);
}

static int cancel(void *object, uint64_t key) {
  (void)key;
  return weft_future_cancel(object);
}

static void told(void *object, uint64_t key) {
  (void)key;
  note_seen(object);
}

static const weft_awaitable_ops ops = {
    .name = "a future", .watch = watch, .unwatch = unwatch, .cancel = cancel, .told = told};

weft_awaitable weft_future_awaitable(weft_future *f) {
  return (weft_awaitable){&ops, f, 0};
}
