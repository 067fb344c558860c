#include "core/strand.h"

#include "base/memory.h"
#include "base/point.h"

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
