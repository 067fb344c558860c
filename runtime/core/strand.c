#include "core/strand.h"

#include <weft/errors.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/point.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/worker.h"

void weft__strand_unref(struct weft_strand *s) {
  if (weft__sub_u32(&s->refs, 1) == 1) weft__free(s);
}

void weft__strand_join(struct weft_strand *s, struct weft__task *t) {
  weft__add_relaxed_u32(&s->refs, 1); /* the caller has a reference, or runs a task that has */
  t->strand = s;
  t->odd |= WEFT__STRAND;
  t->has_opts = true;
  weft__store_relaxed_u64(&t->word, weft__load_relaxed_u64(&t->word) | WEFT__APART);
}

static void append(struct weft_strand *s, struct weft__task *t) {
  t->link[WEFT__LINK_READY] = NULL;
  if (s->head)
    s->tail->link[WEFT__LINK_READY] = t;
  else
    s->head = t;
  s->tail = t;
}

bool weft__strand_enter(struct weft_strand *s, struct weft__task *t) {
  weft__point();
  weft__spin_lock(&s->lock);
  bool turn = !s->busy;
  if (turn)
    s->busy = true;
  else
    append(s, t);
  weft__spin_unlock(&s->lock);
  return turn;
}

struct weft__task *weft__strand_next(struct weft_strand *s, struct weft__task *again) {
  weft__point();
  weft__spin_lock(&s->lock);
  if (again) append(s, again);
  struct weft__task *t = s->head;
  if (t)
    s->head = t->link[WEFT__LINK_READY];
  else
    s->busy = false;
  weft__spin_unlock(&s->lock);
  return t;
}

/* ---- the public side ---- */

static struct weft_strand *make(struct weft__worker *w) {
  struct weft_strand *s = weft__zalloc(sizeof *s);
  if (!s) return NULL;
  weft__store_relaxed_u32(&s->refs, 1);
  s->run = w->rt->id;
  if (!w->rt->exact) s->timers = &w->rt->workers[w->index].own_timers;
  return s;
}

int weft_strand_new(weft_strand **ret) {
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return weft__no_task();
  if (!ret) return WEFT_EINVAL;
  struct weft_strand *s = make(w);
  if (!s) return WEFT_ENOMEM;
  *ret = s;
  return 0;
}

void weft_strand_free(weft_strand *s) {
  if (s && !weft__in_child()) weft__strand_unref(s);
}

int weft_strand_run(weft_fn fn, void *arg) {
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return weft__no_task();
  struct weft_strand *s = make(w);
  if (!s) return WEFT_ENOMEM;
  struct weft__task *t;
  const weft_spawn_opts opts = {.strand = s};
  int r = weft__spawn_make(w, fn, arg, &opts, NULL, __builtin_return_address(0), &t);
  weft__strand_unref(s);
  if (r < 0) return r;
  weft_task h = weft__handle(t, weft__load_relaxed_u64(&t->word));
  weft__push_unstarted(w, t);
  return weft_await(h);
}

bool weft_strand_in(const weft_strand *s) {
  struct weft__task *t = weft__current_task();
  return s && t && t->strand == s;
}
