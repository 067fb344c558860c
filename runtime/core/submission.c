/* A submission lies between a thread and a task, and belongs to both: each has a reference. The task's end
 * comes as the end of an owner's child (task.h). */
#include "core/submission.h"

#include <weft/submit.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "core/spawn.h"
#include "core/worker.h"

enum {
  PENDING = 0,
  ENDED = 1,     /* code is there */
  LEFT = 2,      /* the runtime is gone, and has left the task behind */
  FORGOTTEN = 3, /* the thread has given it up before the end */
};

struct weft_submission {
  struct weft__owner owner;
  struct weft__list link; /* guarded by the runtime's list; self-linked when not in it */
  weft_runtime rt;        /* constant */
  weft_task task; /* constant once start returns; for cancelling only, while the runtime is held */
  weft__atomic_u32 refs;
  /* From PENDING by CAS, to ENDED by exchange: it releases code, waiters acquire. The futex word of who
   * waits. */
  weft__atomic_u32 state;
  int code;
  weft__atomic_u32 read; /* somebody has got the code: relaxed, a note between callers */
};

void weft__submissions_init(struct weft__submissions *ss) {
  *ss = (struct weft__submissions){.open = {NULL, NULL}};
  weft__list_init(&ss->open);
}

static void unref(struct weft_submission *s) {
  if (weft__sub_u32(&s->refs, 1) == 1) weft__free(s);
}

static void unlink_from(struct weft__submissions *ss, struct weft_submission *s) {
  weft__spin_lock(&ss->lock);
  weft__list_remove(&s->link);
  weft__spin_unlock(&ss->lock);
}

static bool is_failure(int code) {
  return code < 0 && code != WEFT_ECANCELED;
}

static void task_done(struct weft__owner *owner, struct weft__task *t) {
  struct weft_submission *s = weft__container_of(owner, struct weft_submission, owner);
  struct weft__runtime *rt = t->rt;
  unlink_from(&rt->submissions, s);
  s->code = t->code;
  uint32_t was = weft__xchg_u32(&s->state, ENDED);
  if (was == FORGOTTEN) weft__report_failure(t);
  weft__task_unref(&rt->tasks, &weft__self()->cache, t, 1); /* the handle's */
  weft__futex_wake(&s->state, UINT32_MAX);
  unref(s);
}

void weft__submissions_leave(struct weft__submissions *ss) {
  struct weft__list *l;
  weft__spin_lock(&ss->lock);
  while ((l = weft__list_pop_front(&ss->open)) != NULL) {
    struct weft_submission *s = weft__container_of(l, struct weft_submission, link);
    uint32_t state = PENDING;
    /* Its task, which may end yet, has the lock before it lets go of s. */
    if (weft__cas_u32(&s->state, &state, LEFT)) weft__futex_wake(&s->state, UINT32_MAX);
  }
  weft__spin_unlock(&ss->lock);
}

static int submit(struct weft__runtime *rt, struct weft_submission *s, weft_fn fn, void *arg,
                  const weft_spawn_opts *opts, const void *site) {
  weft__spin_lock(&rt->submissions.lock);
  weft__list_push_back(&rt->submissions.open, &s->link);
  weft__spin_unlock(&rt->submissions.lock);
  int r = weft__submit_owned(rt, fn, arg, opts, &s->owner, site, &s->task);
  if (r < 0) unlink_from(&rt->submissions, s);
  return r;
}

static int start(weft_runtime id, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                 const void *site, weft_submission **ret) {
  if (weft__in_child()) return WEFT_ECHILD;
  int r = weft__spawn_check(fn, opts);
  if (r < 0) return r;
  if (opts && opts->pinned) return WEFT_EINVAL;
  struct weft_submission *s = weft__zalloc(sizeof *s);
  if (!s) return WEFT_ENOMEM;
  s->owner.child_done = task_done;
  s->rt = id;
  weft__list_init(&s->link);
  weft__store_relaxed_u32(&s->refs, 2);
  struct weft__runtime *rt = weft__runtime_hold(id.id_);
  r = rt ? submit(rt, s, fn, arg, opts, site) : WEFT_ECLOSED;
  if (rt) weft__runtime_release(rt);
  if (r < 0)
    weft__free(s);
  else
    *ret = s;
  return r;
}

int weft_submit_start(weft_runtime rt, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                      weft_submission **ret) {
  if (!ret) return WEFT_EINVAL;
  return start(rt, fn, arg, opts, __builtin_return_address(0), ret);
}

static uint64_t deadline_of(weft_ns limit) {
  uint64_t now = weft__now();
  if (limit <= 0) return now;
  return (uint64_t)limit >= (uint64_t)WEFT_FOREVER - now ? WEFT__FUTEX_FOREVER
                                                         : now + (uint64_t)limit;
}

static bool runs_tasks(void) {
  return weft__self() != NULL;
}

int weft_submission_wait(weft_submission *s, weft_ns limit, int *ret_code) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (runs_tasks()) return WEFT_EDEADLK;
  uint64_t deadline = deadline_of(limit);
  uint32_t state;
  while ((state = weft__load_acquire_u32(&s->state)) == PENDING) {
    if (deadline != WEFT__FUTEX_FOREVER && weft__now() >= deadline) return WEFT_ETIMEDOUT;
    weft__futex_wait(&s->state, PENDING, deadline);
  }
  if (state == LEFT) return WEFT_ECLOSED;
  weft__store_relaxed_u32(&s->read, 1);
  if (ret_code) *ret_code = s->code;
  return 0;
}

static bool pending(weft_submission *s) {
  return weft__load_acquire_u32(&s->state) == PENDING;
}

int weft_submission_done(const weft_submission *s) {
  return !pending((weft_submission *)(uintptr_t)s);
}

int weft_submission_cancel(weft_submission *s) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!pending(s)) return 0;
  struct weft__runtime *rt = weft__runtime_hold(s->rt.id_);
  if (!rt) return pending(s); /* the shutdown cancels everything */
  int r = weft_cancel(s->task);
  weft__runtime_release(rt);
  return r == WEFT_ESTALE ? 0 : r;
}

/* Nobody has read it, and nobody will. */
static void report_unread(struct weft_submission *s) {
  if (!is_failure(s->code) || weft__load_relaxed_u32(&s->read)) return;
  struct weft__runtime *rt = weft__runtime_hold(s->rt.id_);
  weft_report r = {.kind = WEFT_REPORT_UNAWAITED, .code = s->code, .object = s};
  r.object_kind = "submission";
  weft__report(rt, NULL, &r, "a submitted task failed and nobody read it: %s (%s)",
               weft_err_name(s->code), weft_strerror(s->code));
  if (rt) weft__runtime_release(rt);
}

void weft_submission_free(weft_submission *s) {
  uint32_t state = PENDING;
  if (!s || weft__in_child()) return;
  if (!weft__cas_u32(&s->state, &state, FORGOTTEN) && state == ENDED) report_unread(s);
  unref(s);
}

int weft_submit_wait(weft_runtime rt, weft_fn fn, void *arg, const weft_spawn_opts *opts,
                     weft_ns limit) {
  weft_submission *s;
  int code = 0;
  if (runs_tasks()) return WEFT_EDEADLK;
  int r = start(rt, fn, arg, opts, __builtin_return_address(0), &s);
  if (r < 0) return r;
  r = weft_submission_wait(s, limit, &code);
  bool late = r == WEFT_ETIMEDOUT;
  if (late) {
    weft_submission_cancel(s);
    r = weft_submission_wait(s, WEFT_FOREVER, &code);
  }
  weft_submission_free(s);
  if (r < 0) return r;
  return late && code == WEFT_ECANCELED ? WEFT_ETIMEDOUT : code;
}
