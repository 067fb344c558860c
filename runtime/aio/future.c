/* Futures and their callbacks. */
#include "aio/future.h"

#include <string.h>

#include <weft/local.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/spawn.h"
#include "core/worker.h"

#define VALUE_MAX ((size_t)1 << 20)

/* Takes its turn among the waiting records; one whose task is NULL is a callback. */
struct callback {
  struct weft__waiter rec;
  weft_future_fn fn;
  void *arg;
  weft_future *f;
  weft_context *ctx; /* the task-locals of who added it, as they were; NULL: none */
};

static void free_callback(struct callback *c) {
  weft_context_free(c->ctx);
  weft__free(c);
}

static enum weft__future_state state_of(const struct weft_future *f) {
  return (enum weft__future_state)weft__load_acquire_u32(&f->state);
}

static void note_seen(struct weft_future *f) {
  weft__store_relaxed_u32(&f->seen, 1);
}

/* ---- callbacks: called one after the other by a task, the runner ---- */

static struct callback *as_callback(struct weft__list *l) {
  struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
  return rec->task ? NULL : weft__container_of(rec, struct callback, rec);
}

static void report_callback(struct weft_future *f, int code) {
  weft_report r = {.kind = WEFT_REPORT_CALLBACK, .code = code, .object = f};
  weft__report(weft__self()->rt, NULL, &r, "a callback of a future failed: %s (%s)",
               weft_err_name(code), weft_strerror(code));
}

/* The next callback, taken from the list: nobody takes it back from now on. NULL: this runner is done. */
static struct callback *next_due(struct weft_future *f) {
  weft__spin_lock(&f->lock);
  struct weft__list *l = weft__list_pop_front(&f->due);
  if (!l) f->calling = false;
  weft__spin_unlock(&f->lock);
  return l ? as_callback(l) : NULL;
}

/* In exact mode each callback has a runner of its own, so that it takes its turn between the tasks that
 * waited; a runner whose turn is over goes on only when none is left to do the rest. */
static bool others_will(struct weft_future *f) {
  weft__spin_lock(&f->lock);
  bool others = f->runners != 0;
  weft__spin_unlock(&f->lock);
  return others;
}

static int call(void *arg) {
  struct callback *c = arg;
  return c->fn(c->f, c->arg);
}

static int run_due(void *arg) {
  struct weft_future *f = arg;
  weft__spin_lock(&f->lock);
  f->runners--;
  weft__spin_unlock(&f->lock);
  struct callback *c;
  while ((c = next_due(f)) != NULL) {
    int code = c->ctx ? weft_context_run(c->ctx, call, c) : call(c);
    free_callback(c);
    if (code < 0) report_callback(f, code);
    if (others_will(f)) break;
  }
  return 0;
}

/* Also when it was cancelled before it began: then the runtime ends, and what is due is not called. */
static void runner_done(struct weft__owner *owner, struct weft__task *t) {
  struct weft_future *f = weft__container_of(owner, struct weft_future, runner);
  struct weft__worker *w = weft__self();
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
  weft_future_unref(f);
}

static void runner_made(struct weft_future *f) {
  weft_future_ref(f);
  f->runners++;
  f->calling = true;
}

/* Makes a task that calls what is due; it begins with the lock. From outside its runtime (rt, or NULL when
 * that has ended, and the callbacks with it) it is on its way at once; a worker gets it in *ret, to send
 * it on its way when its turn has come. Under the lock. 0 or WEFT_ENOMEM. */
static int make_runner(struct weft_future *f, struct weft__runtime *rt, struct weft__task **ret) {
  static const weft_spawn_opts opts = {.name = "callbacks of a future"};
  struct weft__worker *w = weft__self();
  int r = 0;
  if (w && w->rt->id == f->runtime) {
    r = weft__spawn_make(w, run_due, f, &opts, &f->runner, NULL, ret);
    if (r < 0) return r;
    weft__env_drop((*ret)->env); /* each callback brings its own */
    (*ret)->env = 0;
    weft__claim_take(&(*ret)->word, weft__word_key(weft__load_relaxed_u64(&(*ret)->word)));
  } else if (rt) {
    r = weft__submit_owned(rt, run_due, f, &opts, &f->runner);
    if (r < 0) return r;
  } else {
    return 0;
  }
  runner_made(f);
  return 0;
}

static bool in_exact_mode(void) {
  struct weft__worker *w = weft__self();
  return w && w->rt->exact;
}

/* The runtime that has to be held so that the calling thread, none of its own, can make a runner; 0 for
 * none. Under the lock. */
static uint64_t to_hold(struct weft_future *f) {
  struct weft__worker *w = weft__self();
  return !f->callbacks || (w && w->rt->id == f->runtime) ? 0 : f->runtime;
}

/* Takes the lock, and holds that runtime: NULL when there is none, or it has ended. */
static struct weft__runtime *lock_and_hold(struct weft_future *f) {
  struct weft__runtime *rt = NULL;
  weft__spin_lock(&f->lock);
  for (uint64_t held = 0, id; (id = to_hold(f)) != held; held = id) {
    weft__spin_unlock(&f->lock); /* to hold takes a lock that may be waited for */
    if (rt) weft__runtime_release(rt);
    rt = weft__runtime_hold(id);
    weft__spin_lock(&f->lock);
  }
  return rt;
}

static void unlock_and_release(struct weft_future *f, struct weft__runtime *rt) {
  weft__spin_unlock(&f->lock);
  if (rt) weft__runtime_release(rt);
}

/* ---- the end ---- */

/* Hands out what waits, in order, t being the runner for the callbacks. Under the lock. */
static void tell(struct weft_future *f, struct weft__task *t) {
  bool exact = in_exact_mode();
  struct weft__list *l;
  while ((l = weft__list_pop_front(&f->waiting)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *waiting = rec->task;
    if (waiting) {
      note_seen(f);
      if (weft__waiter_fire(rec, f->code)) weft__make_ready(waiting);
      continue;
    }
    weft__list_push_back(&f->due, l);
    if (!t && exact) make_runner(f, NULL, &t); /* without memory the first one calls this, too */
    if (t) weft__push_unstarted(weft__self(), t);
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
  struct weft__runtime *rt = lock_and_hold(f);
  int r = state_of(f) == WEFT__FUTURE_PENDING ? 0 : WEFT_ESTATE;
  if (r == 0 && f->callbacks) r = make_runner(f, rt, &t);
  if (r == 0) become(f, t, state, code, value);
  unlock_and_release(f, rt);
  return r;
}

void weft__future_end_anyway(struct weft_future *f, enum weft__future_state state, int code) {
  if (weft__future_end(f, state, code, NULL) != WEFT_ENOMEM) return;
  weft__spin_lock(&f->lock);
  if (state_of(f) == WEFT__FUTURE_PENDING) become(f, NULL, state, code, NULL);
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
  if (state_of(f) != WEFT__FUTURE_PENDING) return 0;
  if (f->cancel) return f->cancel(f);
  int r = weft__future_end(f, WEFT__FUTURE_CANCELLED, WEFT_ECANCELED, NULL);
  return r == 0 ? 1 : r == WEFT_ESTATE ? 0 : r;
}

/* ---- asking ---- */

bool weft_future_done(const weft_future *f) {
  return state_of(f) != WEFT__FUTURE_PENDING;
}

bool weft_future_cancelled(const weft_future *f) {
  return state_of(f) == WEFT__FUTURE_CANCELLED;
}

/* Of a future that is over. */
static int result(struct weft_future *f, void *ret) {
  note_seen(f);
  if (ret && state_of(f) == WEFT__FUTURE_SET) memcpy(ret, f->value, f->size);
  return f->code;
}

int weft_future_get(weft_future *f, void *ret) {
  if (weft__in_child()) return WEFT_ECHILD;
  return state_of(f) == WEFT__FUTURE_PENDING ? WEFT_EPENDING : result(f, ret);
}

int weft_future_await(weft_future *f, void *ret) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (state_of(f) != WEFT__FUTURE_PENDING && weft__checkpoint_clear(cur)) {
    weft__spend(cur);
    return result(f, ret);
  }
  bool over = false;
  int r = weft__await_passing_cancel(cur, weft_future_awaitable(f), &over);
  if (r >= 0 && over) return result(f, ret);
  return r;
}

/* ---- callbacks ---- */

int weft_future_on_done(weft_future *f, weft_future_fn fn, void *arg) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (!fn) return WEFT_EINVAL;
  struct callback *c = weft__zalloc(sizeof *c);
  if (!c) return WEFT_ENOMEM;
  c->fn = fn;
  c->arg = arg;
  c->f = f;
  if (cur->env && weft_context_copy(&c->ctx) < 0) {
    weft__free(c);
    return WEFT_ENOMEM;
  }
  struct weft__task *t = NULL;
  int r = 0;
  weft__spin_lock(&f->lock);
  if (!f->runtime) f->runtime = cur->rt->id;
  if (state_of(f) == WEFT__FUTURE_PENDING) {
    weft__list_push_back(&f->waiting, &c->rec.link);
    f->callbacks++;
  } else {
    bool waits = f->calling && !in_exact_mode();
    if (!waits) r = make_runner(f, NULL, &t);
    if (r == 0) weft__list_push_back(&f->due, &c->rec.link);
    if (t) weft__push_unstarted(weft__self(), t);
  }
  weft__spin_unlock(&f->lock);
  if (r < 0) free_callback(c);
  return r;
}

static void free_callbacks(struct weft__list *list) {
  struct weft__list *l;
  while ((l = weft__list_pop_front(list)) != NULL) {
    struct callback *c = as_callback(l);
    WEFT__ASSERT(c != NULL); /* a task waits for a future that nobody holds */
    free_callback(c);
  }
}

/* Takes them out; freed they are without the lock. */
static int forget(struct weft__list *list, weft_future_fn fn, void *arg,
                  struct weft__list *ret_out) {
  int n = 0;
  weft__list_foreach_safe(l, after, list) {
    struct callback *c = as_callback(l);
    if (!c || c->fn != fn || c->arg != arg) continue;
    weft__list_remove(l);
    weft__list_push_back(ret_out, l);
    n++;
  }
  return n;
}

int weft_future_forget(weft_future *f, weft_future_fn fn, void *arg) {
  if (weft__in_child()) return WEFT_ECHILD;
  struct weft__list out;
  weft__list_init(&out);
  weft__spin_lock(&f->lock);
  int waiting = forget(&f->waiting, fn, arg, &out);
  f->callbacks -= (uint32_t)waiting;
  int due = forget(&f->due, fn, arg, &out);
  weft__spin_unlock(&f->lock);
  free_callbacks(&out);
  return waiting + due;
}

/* ---- life ---- */

struct weft_future *weft__future_make(size_t size, size_t extra) {
  struct weft_future *f = weft__alloc_aligned(64, (sizeof *f + size + extra + 63) & ~(size_t)63);
  if (!f) return NULL;
  memset(f, 0, sizeof *f);
  weft__store_relaxed_u32(&f->refs, 1);
  f->size = size;
  f->home = weft_runtime_current().id_;
  f->runner.child_done = runner_done;
  weft__list_init(&f->waiting);
  weft__list_init(&f->due);
  return f;
}

int weft_future_new(weft_future **ret, size_t size) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (size > VALUE_MAX) return WEFT_EINVAL;
  struct weft_future *f = weft__future_make(size, 0);
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
  weft_report r = {.kind = WEFT_REPORT_FUTURE, .code = f->code, .object = f};
  weft__report(held ? held
               : w  ? w->rt
                    : NULL,
               NULL, &r, "a future failed and nobody looked: %s (%s)", weft_err_name(f->code),
               weft_strerror(f->code));
  if (held) weft__runtime_release(held);
}

void weft_future_unref(weft_future *f) {
  if (!f || weft__sub_u32(&f->refs, 1) != 1) return;
  if (state_of(f) == WEFT__FUTURE_FAILED && !weft__load_relaxed_u32(&f->seen)) report_unseen(f);
  free_callbacks(&f->waiting);
  free_callbacks(&f->due);
  weft__free(f);
}

/* ---- as an awaitable ---- */

static int watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  (void)key;
  struct weft_future *f = object;
  weft__spin_lock(&f->lock);
  bool over = state_of(f) != WEFT__FUTURE_PENDING;
  if (!over) weft__list_push_back(&f->waiting, &w->rec.link);
  weft__spin_unlock(&f->lock);
  if (!over) return 0;
  note_seen(f);
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

static const weft_awaitable_ops ops = {
    .name = "a future", .watch = watch, .unwatch = unwatch, .cancel = cancel};

weft_awaitable weft_future_awaitable(weft_future *f) {
  return (weft_awaitable){&ops, f, 0};
}
