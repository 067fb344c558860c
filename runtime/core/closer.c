#include "core/closer.h"

#include "core/ready.h"
#include "core/spawn.h"
#include "core/worker.h"

/* One that has its closer still has not begun: there was no stack for it. */
static void closer_done(struct weft__owner *owner, struct weft__task *t) {
  struct weft__closer *c = t->arg;
  if (c && c->drop) c->drop(c);
  weft__sub_u32(&weft__container_of(owner, struct weft__closers, owner)->running, 1);
}

void weft__closers_init(struct weft__closers *cs) {
  *cs = (struct weft__closers){.owner = {closer_done}};
  weft__list_init(&cs->list);
}

void weft__closer_add(struct weft__closers *cs, struct weft__closer *c) {
  weft__spin_lock(&cs->lock);
  c->registered = true;
  weft__list_push_back(&cs->list, &c->link);
  weft__spin_unlock(&cs->lock);
}

bool weft__closer_remove(struct weft__closers *cs, struct weft__closer *c) {
  weft__spin_lock(&cs->lock);
  bool was = c->registered;
  if (was) weft__list_remove(&c->link);
  c->registered = false;
  weft__spin_unlock(&cs->lock);
  return was;
}

static int closer_main(void *arg) {
  struct weft__closer *c = arg;
  weft__current_task()->arg = NULL;
  return c->run(c);
}

static void begin_one(struct weft__closers *cs, struct weft__worker *w, struct weft__closer *c) {
  struct weft__task *t;
  const char *name = c->name;
  const weft_spawn_opts opts = {.name = name};
  int r = weft__spawn_make(w, closer_main, c, &opts, &cs->owner, (void *)(uintptr_t)c->run, &t);
  if (r < 0) {
    weft__log(w->rt, "'%s' cannot be closed: %s (%s)", name ? name : "an object", weft_err_name(r),
              weft_strerror(r));
    if (c->drop) c->drop(c);
    return;
  }
  weft__add_u32(&cs->running, 1);
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  weft__let_go(t);
  weft__push_unstarted(w, t);
}

bool weft__closers_begin(struct weft__closers *cs, struct weft__worker *w) {
  /* A round takes what was there when it began: what its own tasks register comes after them. */
  struct weft__list round;
  weft__list_init(&round);
  weft__spin_lock(&cs->lock);
  weft__list_append(&round, &cs->list);
  weft__list_foreach(link, &round) weft__container_of(link, struct weft__closer, link)->registered =
      false;
  weft__spin_unlock(&cs->lock);
  bool any = !weft__list_empty(&round);
  struct weft__list *l;
  while ((l = weft__list_pop_front(&round)) != NULL)
    begin_one(cs, w, weft__container_of(l, struct weft__closer, link));
  return any;
}
