/* The callbacks of futures.
 *
 * They wait among the tasks, in the order in which both came. When the future is over each becomes due, and
 * a task, the runner, calls what is due, one after the other; where the strand of those who added them
 * changes, a runner of that strand goes on. In exact mode each callback has a runner of
 * its own, which takes the callback's turn between the tasks that waited.
 */
#include "aio/future.h"

#include <weft/local.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/spawn.h"
#include "core/strand.h"
#include "core/worker.h"

/* Takes its turn among the waiting records; one whose task is NULL is a callback. */
struct callback {
  struct weft__waiter rec;
  weft_future_fn fn;
  void *arg;
  weft_future *f;
  weft_context *ctx;          /* the task-locals of who added it, as they were; NULL: none */
  struct weft_strand *strand; /* of who added it, with a reference; NULL: none */
};

static void free_callback(struct callback *c) {
  weft_context_free(c->ctx);
  if (c->strand) weft__strand_unref(c->strand);
  weft__free(c);
}

/* ---- the runner ---- */

static struct callback *as_callback(struct weft__list *l) {
  struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
  return rec->task ? NULL : weft__container_of(rec, struct callback, rec);
}

static void report_callback(struct weft_future *f, int code) {
  weft_report r = {.kind = WEFT_REPORT_CALLBACK, .code = code, .object = f};
  weft__report(weft__self()->rt, NULL, &r, "a callback of a future failed: %s (%s)",
               weft_err_name(code), weft_strerror(code));
}

static struct weft_strand *strand_of(const struct weft__task *t) {
  return t->odd & WEFT__STRAND ? t->strand : NULL;
}

static struct callback *first_due(struct weft_future *f) {
  struct weft__list *l = weft__list_first(&f->due);
  return l ? as_callback(l) : NULL;
}

/* The next callback, taken from the list: nobody takes it back from now on. NULL: this runner is done;
 * none is left, or the next one is of another strand: then *ret_elsewhere. */
static struct callback *next_due(struct weft_future *f, bool *ret_elsewhere) {
  weft__spin_lock(&f->lock);
  struct callback *c = first_due(f);
  *ret_elsewhere = c && c->strand != strand_of(weft__current_task());
  if (!c) f->calling = false;
  if (*ret_elsewhere) c = NULL;
  if (c) weft__list_remove(&c->rec.link);
  weft__spin_unlock(&f->lock);
  return c;
}

/* Another runner goes on, in the strand of the callback that is first now. For want of memory this one
 * waits: a callback that was accepted is called. */
static void pass_on(struct weft_future *f) {
  for (int r = WEFT_ENOMEM; r == WEFT_ENOMEM;) {
    struct weft__task *t = NULL;
    weft__spin_lock(&f->lock);
    struct callback *c = first_due(f);
    r = c ? weft__future_make_runner(f, NULL, c->strand, &t) : 0;
    if (!c) f->calling = false;
    if (t) weft__push_unstarted(weft__self(), t);
    weft__spin_unlock(&f->lock);
    if (r == WEFT_ENOMEM) weft_yield();
  }
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
  bool elsewhere;
  while ((c = next_due(f, &elsewhere)) != NULL) {
    int code = c->ctx ? weft_context_run(c->ctx, call, c) : call(c);
    free_callback(c);
    if (code < 0) report_callback(f, code);
    if (others_will(f)) break;
  }
  if (elsewhere) pass_on(f);
  weft_cancel_catch(); /* so that a negative code says that it never began */
  return 0;
}

/* A runner that never began, for want of a stack or because its runtime ends: what is due waits for the
 * next one, if there is one. */
static void never_began(struct weft_future *f, int code) {
  weft__spin_lock(&f->lock);
  if (f->runners) f->runners--;
  f->calling = f->runners != 0;
  bool lost = !f->calling && !weft__list_empty(&f->due);
  weft__spin_unlock(&f->lock);
  if (lost && code != WEFT_ECANCELED) report_callback(f, code);
}

void weft__future_runner_done(struct weft__owner *owner, struct weft__task *t) {
  struct weft_future *f = weft__container_of(owner, struct weft_future, runner);
  struct weft__worker *w = weft__self();
  if (t->code < 0) never_began(f, t->code);
  weft__task_unref(&w->rt->tasks, &w->cache, t, 1); /* the handle's */
  weft_future_unref(f);
}

static void runner_made(struct weft_future *f) {
  weft_future_ref(f);
  f->runners++;
  f->calling = true;
}

struct weft_strand *weft__future_first_strand(struct weft_future *f) {
  weft__list_foreach(l, &f->waiting) {
    struct callback *c = as_callback(l);
    if (c) return c->strand;
  }
  return NULL;
}

/* What it would have from the task that makes it: each callback brings its own. */
static void disown(struct weft__task *t) {
  weft__env_drop(t->env);
  t->env = 0;
  if (t->heritage) weft__heritage_drop(t->heritage);
  t->heritage = NULL;
}

int weft__future_make_runner(struct weft_future *f, struct weft__runtime *rt,
                             struct weft_strand *strand, struct weft__task **ret) {
  const weft_spawn_opts opts = {
      .name = "callbacks of a future", .strand = strand, .parallel = !strand};
  struct weft__worker *w = weft__self();
  int r = 0;
  if (w && w->rt->id == f->runtime) {
    r = weft__spawn_make(w, run_due, f, &opts, &f->runner, NULL, ret);
    if (r < 0) return r;
    disown(*ret);
    weft__claim_take(&(*ret)->word, weft__word_key(weft__load_relaxed_u64(&(*ret)->word)));
  } else if (rt) {
    r = weft__submit_owned(rt, run_due, f, &opts, &f->runner, NULL, NULL);
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

struct weft__runtime *weft__future_lock(struct weft_future *f) {
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

void weft__future_unlock(struct weft_future *f, struct weft__runtime *rt) {
  weft__spin_unlock(&f->lock);
  if (rt) weft__runtime_release(rt);
}

void weft__future_callback_due(struct weft_future *f, struct weft__waiter *rec,
                               struct weft__task *t) {
  weft__list_push_back(&f->due, &rec->link);
  /* Without memory for one of its own the runner of another calls it. */
  if (!t && in_exact_mode()) weft__future_make_runner(f, NULL, NULL, &t);
  if (t) weft__push_unstarted(weft__self(), t);
}

/* ---- adding and removing ---- */

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
    free_callback(c);
    return WEFT_ENOMEM;
  }
  struct weft__task *t = NULL;
  int r = 0;
  weft__spin_lock(&f->lock);
  if (!f->callbacks && !f->calling) f->runtime = cur->rt->id;
  if (f->runtime == cur->rt->id && (c->strand = strand_of(cur)) != NULL)
    weft__add_relaxed_u32(&c->strand->refs, 1);
  if (weft__future_state(f) == WEFT__FUTURE_PENDING) {
    weft__list_push_back(&f->waiting, &c->rec.link);
    f->callbacks++;
  } else {
    bool waits = f->calling && !in_exact_mode();
    if (!waits) r = weft__future_make_runner(f, NULL, c->strand, &t);
    if (r == 0) weft__list_push_back(&f->due, &c->rec.link);
    if (t) weft__push_unstarted(weft__self(), t);
  }
  weft__spin_unlock(&f->lock);
  if (r < 0) free_callback(c);
  return r;
}

void weft__future_free_callbacks(struct weft__list *list) {
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
  weft__future_free_callbacks(&out);
  return waiting + due;
}
