/* weft_task_share: a future that is over when a task is. It watches the task as a waiter would, and holds
 * a reference of itself until then. */
#include "aio/future.h"
#include "core/cancel.h"
#include "core/worker.h"

struct shared {
  struct weft__gate gate;
  weft_watch watch;
  weft_awaitable task;
};

static struct shared *of(struct weft_future *f) {
  return (struct shared *)(void *)f->value; /* whose own size is 0 */
}

static int cancel(struct weft_future *f) {
  weft_awaitable a = of(f)->task;
  return a.ops->cancel(a.object, a.key);
}

static void over(struct weft_future *f, int code) {
  enum weft__future_state state = code == WEFT_ECANCELED ? WEFT__FUTURE_CANCELLED
                                  : code < 0             ? WEFT__FUTURE_FAILED
                                                         : WEFT__FUTURE_SET;
  weft__future_end_anyway(f, state, code);
}

/* Drops the reference that the task's end has held. As the last one it must not report a failure here,
 * under the task's lock: the task does that itself when the lock is free. */
static void let_go(struct weft_future *f, struct weft__task *t) {
  uint32_t refs = weft__load_acquire_u32(&f->refs);
  while (refs > 1)
    if (weft__cas_u32(&f->refs, &refs, refs - 1)) return;
  if (!weft__load_relaxed_u32(&f->seen)) {
    weft__store_relaxed_u32(&f->seen, 1);
    weft__store_relaxed_u32(&t->watched, weft__load_relaxed_u32(&t->watched) | WEFT__DETACHED);
  }
  weft_future_unref(f);
}

/* Under the task's lock. */
static void on_over(struct weft__gate *gate, struct weft__waiter *rec) {
  struct shared *s = weft__container_of(gate, struct shared, gate);
  struct weft_future *f = weft__container_of((void *)s, struct weft_future, value);
  struct weft__task *t = s->task.object;
  over(f, rec->code);
  weft__awaitable_drop(s->task, true);
  let_go(f, t);
}

int weft_task_share(weft_task h, weft_future **ret) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  weft_awaitable a = weft_task_awaitable(h);
  int r = weft__awaitable_take(a);
  if (r < 0) return r;
  struct weft_future *f = weft__future_make(0, sizeof(struct shared), __builtin_return_address(0));
  if (!f) {
    weft__awaitable_give_back(a);
    return WEFT_ENOMEM;
  }
  struct shared *s = of(f);
  *s = (struct shared){.gate = {.event = on_over, .object = f, .alone = true}, .task = a};
  s->watch = (weft_watch){.rec = {.task = cur, .gate = &s->gate}, .taken = true};
  weft__list_init(&s->watch.rec.link);
  f->cancel = cancel;
  f->of = a.object;
  weft_future_ref(f);
  *ret = f;
  int code = 0;
  if (a.ops->watch(a.object, a.key, &s->watch, &code) == 1) {
    over(f, code);
    weft__awaitable_drop(a, true);
    weft_future_unref(f);
  }
  return 0;
}
