/* The awaitable protocol: lists of watchers, tasks as awaitables, and waiting for one of any kind. */
#include "aio/awaitable.h"

#include <weft/timeout.h>

#include "core/cancel.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/worker.h"

/* ---- lists of watchers ---- */

_Static_assert(sizeof(weft_watchers) == sizeof(struct weft__list), "weft_watchers is a list head");

/* A zeroed head becomes an empty ring at its first use. */
static struct weft__list *ring(weft_watchers *list) {
  struct weft__list *head = (struct weft__list *)(void *)list;
  if (!head->next) weft__list_init(head);
  return head;
}

bool weft__watched(const weft_watchers *list) {
  const struct weft__list *head = (const struct weft__list *)(const void *)list;
  return head->next && !weft__list_empty(head);
}

void weft_watchers_add(weft_watchers *list, weft_watch *w) {
  weft__list_push_back(ring(list), &w->rec.link);
}

void weft_watchers_remove(weft_watchers *list, weft_watch *w) {
  (void)list;
  weft__list_remove(&w->rec.link); /* of a node in no list: nothing */
}

void weft_watchers_fire(weft_watchers *list, int code) {
  struct weft__list *l;
  while ((l = weft__list_pop_front(ring(list))) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *t = rec->task;
    if (weft__waiter_fire(rec, code)) weft__make_ready(t);
  }
}

/* ---- tasks ---- */

static int task_watch(void *object, uint64_t key, weft_watch *w, int *ret_code) {
  if (!object) return weft__handle_error((weft_task){NULL, key});
  if (object == w->rec.task) return WEFT_ESELF;
  struct weft__task *t = object;
  if (t->rt != w->rec.task->rt) return WEFT_EINVAL;
  if (!w->taken && !weft__word_names(weft__load_acquire_u64(&t->word), (uint32_t)key))
    return WEFT_ESTALE;
  int r = weft__done_watch(t, (uint32_t)key, &w->rec);
  if (r == 1) *ret_code = w->rec.code;
  return r;
}

static void task_unwatch(void *object, uint64_t key, weft_watch *w) {
  (void)key;
  if (object) weft__done_unwatch(object, &w->rec);
}

static int task_cancel(void *object, uint64_t key) {
  struct weft__task *cur = weft__current_task();
  return weft__cancel_task_why(object, (uint32_t)key, cur ? weft__own_cancel_reason(cur) : NULL) ==
         1;
}

static int task_take(void *object, uint64_t key) {
  struct weft__task *t = object;
  if (!t) return weft__handle_error((weft_task){NULL, key});
  struct weft__task *cur = weft__current_task();
  if (t == cur) return WEFT_ESELF;
  if (cur && cur->rt != t->rt) return WEFT_EINVAL;
  return weft__claim_take(&t->word, (uint32_t)key) ? 0 : WEFT_ESTALE;
}

static void task_give_back(void *object, uint64_t key) {
  (void)key;
  weft__and_u64(&((struct weft__task *)object)->word, ~WEFT__TAKEN);
}

static void task_drop(void *object, uint64_t key, bool over) {
  (void)key;
  struct weft__task *t = object;
  if (!over) {
    weft__let_go(t);
    return;
  }
  struct weft__worker *w = weft__self();
  weft__task_unref(&t->rt->tasks, w && w->rt == t->rt ? &w->cache : NULL, t, 1);
}

const weft_awaitable_ops weft__task_ops = {
    .name = "a task",
    .watch = task_watch,
    .unwatch = task_unwatch,
    .cancel = task_cancel,
    .take = task_take,
    .give_back = task_give_back,
    .drop = task_drop,
};

weft_awaitable weft_task_awaitable(weft_task t) {
  return (weft_awaitable){&weft__task_ops, t.slot_, t.key_};
}

/* ---- one of any kind ---- */

static const struct weft__wait_kind something = {"an awaitable"};

static void ignore_event(struct weft__gate *g, struct weft__waiter *rec) {
  (void)g;
  (void)rec;
}

int weft__await_one(struct weft__task *cur, weft_awaitable a, bool masked, int *ret_code) {
  weft_watch w = {.rec = {.task = cur}, .taken = true};
  weft__list_init(&w.rec.link);
  int r = weft__wait_open(cur, masked, &w.rec.ticket);
  if (r < 0) return r;
  r = a.ops->watch(a.object, a.key, &w, ret_code);
  if (r != 0) {
    weft__wait_abort(cur, w.rec.ticket);
    return r == 1 ? weft__spend(cur) : r;
  }
  weft__waits_for(cur, &something, a.object);
  r = weft__wait_park(cur, w.rec.ticket, WEFT__NEVER);
  a.ops->unwatch(a.object, a.key, &w);
  if (r == 0) *ret_code = w.rec.code;
  return r;
}

/* Whether a is over, without waiting; its code. */
static bool is_over(struct weft__task *cur, weft_awaitable a, int *ret_code) {
  struct weft__gate nobody = {.event = ignore_event};
  weft_watch w = {.rec = {.task = cur, .gate = &nobody}, .taken = true};
  weft__list_init(&w.rec.link);
  int r = a.ops->watch(a.object, a.key, &w, ret_code);
  if (r == 0) a.ops->unwatch(a.object, a.key, &w);
  return r == 1;
}

/* Asks a to end and waits for that: true when it is over, *ret_passed telling whether it got the cancel. */
static bool end_it(struct weft__task *cur, weft_awaitable a, bool *ret_passed, int *ret_code) {
  int asked = a.ops->cancel ? a.ops->cancel(a.object, a.key) : WEFT_ENOTSUP;
  *ret_passed = asked == 1;
  if (asked < 0) return is_over(cur, a, ret_code);
  return weft__await_one(cur, a, true, ret_code) == 0;
}

int weft__await_passing_cancel(struct weft__task *cur, weft_awaitable a, bool *ret_over) {
  int code = 0;
  bool was_cancelled = (cur->sticky && !cur->shield) || cur->limit_hit;
  int r = weft__await_one(cur, a, false, &code);
  *ret_over = r == 0;
  if (r == 0) return code;
  if (r != WEFT_ECANCELED && r != WEFT_ENOMEM) return r;
  /* Cancelled, or no memory to wait with a deadline: either way a is this task's to end. */
  bool passed;
  *ret_over = end_it(cur, a, &passed, &code);
  if (!*ret_over || r != WEFT_ECANCELED || was_cancelled) return r;
  /* One that got the cancel and did not give way has done with it; one that was over before leaves it to
   * the awaiter's next suspension. */
  if (!passed)
    weft__postpone_cancel(cur);
  else if (code != WEFT_ECANCELED && !cur->shield)
    cur->sticky = false;
  return code;
}

static weft_task as_task(weft_awaitable a) {
  return (weft_task){.slot_ = a.object, .key_ = a.key};
}

int weft_awaitable_await(weft_awaitable a) {
  if (a.ops == &weft__task_ops) return weft_await(as_task(a));
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  int r = weft__awaitable_take(a);
  if (r < 0) return r;
  bool over = false;
  r = weft__await_passing_cancel(cur, a, &over);
  if (over) {
    weft__awaitable_told(a);
    weft__awaitable_drop(a, true);
  } else {
    weft__awaitable_give_back(a);
  }
  return r;
}

int weft_awaitable_wait_for(weft_awaitable a, weft_ns limit) {
  weft_timeout s;
  int r = weft_timeout_begin(&s, limit);
  if (r < 0) return r;
  return weft_timeout_end(&s, weft_awaitable_await(a));
}

int weft_shield(weft_awaitable a) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  int r = weft__awaitable_take(a);
  if (r < 0) return r;
  int code = 0;
  bool was_cancelled = (cur->sticky && !cur->shield) || cur->limit_hit;
  r = weft__await_one(cur, a, false, &code);
  if (r == WEFT_ECANCELED && !was_cancelled && is_over(cur, a, &code)) {
    weft__postpone_cancel(cur); /* it is over all the same: the cancel comes next */
    r = 0;
  }
  if (r == 0) weft__awaitable_told(a);
  if (r == 0 || r == WEFT_ECANCELED)
    weft__awaitable_drop(a, r == 0);
  else
    weft__awaitable_give_back(a);
  return r < 0 ? r : code;
}
