/* The generators that are open, and their end with the runtime's.
 *
 * When every task has ended the registry's closer runs as a task (core/closer.h). It ends the body of
 * every generator, each in a task of its own, since one may wait for another; but frees none: a body
 * may close a generator that it had opened, or a task that such a body has started may use one. While
 * there was something to end the closer comes back once more, when all of those are over; when there
 * was nothing, nobody is left who could use a generator, and all go.
 */
#include <weft/group.h>

#include "aio/gen.h"
#include "base/memory.h"
#include "core/report.h"
#include "core/worker.h"

/* ---- the registry ---- */

static int close_round(struct weft__closer *c);
static void drop_round(struct weft__closer *c);

static struct weft__gens *make_gens(struct weft__runtime *rt) {
  struct weft__gens *gens = weft__zalloc(sizeof *gens);
  if (!gens) return NULL;
  gens->rt = rt;
  weft__list_init(&gens->list);
  gens->closer.name = "open generators";
  gens->closer.run = close_round;
  gens->closer.drop = drop_round;
  void *none = NULL;
  if (!weft__cas_ptr(&rt->generators, &none, gens)) {
    weft__free(gens);
    return none;
  }
  weft__closer_add(&rt->closers, &gens->closer);
  return gens;
}

int weft__gens_add(struct weft__runtime *rt, weft_gen *g) {
  struct weft__gens *gens = weft__load_acquire_ptr(&rt->generators);
  if (!gens) gens = make_gens(rt);
  if (!gens) return WEFT_ENOMEM;
  g->gens = gens;
  weft__spin_lock(&gens->lock);
  weft__list_push_back(&gens->list, &g->link);
  weft__spin_unlock(&gens->lock);
  return 0;
}

void weft__gens_remove(weft_gen *g) {
  weft__spin_lock(&g->gens->lock);
  weft__list_remove(&g->link);
  weft__spin_unlock(&g->gens->lock);
}

/* ---- the end ---- */

/* Of round, which is taken from the list, the oldest generator whose body has not ended and that nobody
 * is in: the caller is inside it then. What was looked at goes back to the list. *ret_busy: one was
 * left out because somebody is in it. Who frees a generator is inside it and then wants the lock, so
 * none goes while this looks. */
static weft_gen *enter_open(struct weft__gens *gens, struct weft__list *round, bool *ret_busy) {
  weft_gen *found = NULL;
  struct weft__list *l;
  weft__spin_lock(&gens->lock);
  while (!found && (l = weft__list_pop_front(round)) != NULL) {
    weft_gen *g = weft__container_of(l, weft_gen, link);
    weft__list_push_back(&gens->list, l);
    if (!weft__gen_enter(g))
      *ret_busy = true;
    else if (g->phase != WEFT__GEN_ENDED)
      found = g;
    else
      weft__gen_leave(g);
  }
  weft__spin_unlock(&gens->lock);
  return found;
}

static void begin_round(struct weft__gens *gens, struct weft__list *round) {
  weft__list_init(round);
  weft__spin_lock(&gens->lock);
  weft__list_append(round, &gens->list);
  weft__spin_unlock(&gens->lock);
}

static void report_failure(const weft_gen *g, int code) {
  weft_report report = {.kind = WEFT_REPORT_CALLBACK,
                        .code = code,
                        .site = g->resource.site,
                        .object = g,
                        .object_kind = "generator"};
  weft__report(g->gens->rt, NULL, &report,
               "generator %s, which was left open, failed as the run closed it: %s (%s)",
               g->name ? g->name : "(no name)", weft_err_name(code), weft_strerror(code));
}

static int close_one(void *arg) {
  weft_gen *g = arg;
  int r = weft__gen_end(weft__current_task(), g);
  if (r < 0 && r != WEFT_ECANCELED) report_failure(g, r);
  weft__gen_leave(g);
  return 0;
}

/* Nobody is alive who knows one of them. */
static void free_all(struct weft__gens *gens) {
  struct weft__list *l;
  while ((l = weft__list_pop_front(&gens->list)) != NULL) {
    weft_gen *g = weft__container_of(l, weft_gen, link);
    weft__resource_close(&g->resource);
    weft__free(g);
  }
  weft__store_release_ptr(&gens->rt->generators, NULL);
  weft__free(gens);
}

static void after_round(struct weft__gens *gens, bool any) {
  if (any)
    weft__closer_add(&gens->rt->closers, &gens->closer);
  else
    free_all(gens);
}

static int close_round(struct weft__closer *c) {
  struct weft__gens *gens = weft__container_of(c, struct weft__gens, closer);
  weft_group group = WEFT_GROUP_INIT;
  struct weft__list round;
  bool any = false;
  weft_gen *g;
  begin_round(gens, &round);
  while ((g = enter_open(gens, &round, &any)) != NULL) {
    any = true;
    if (weft_group_spawn(&group, close_one, g, &(weft_spawn_opts){.name = g->name}) < 0)
      close_one(g);
  }
  weft_group_join(&group);
  after_round(gens, any);
  return 0;
}

/* No memory for a task: the bodies are given up where they stand, so that their stacks are free. */
static void drop_round(struct weft__closer *c) {
  struct weft__gens *gens = weft__container_of(c, struct weft__gens, closer);
  struct weft__list round;
  bool any = false;
  weft_gen *g;
  begin_round(gens, &round);
  while ((g = enter_open(gens, &round, &any)) != NULL) {
    any = true;
    if (g->phase == WEFT__GEN_BEGUN) weft__context_fini(g->ctx);
    weft__gen_drop_stack(g);
    weft__gen_leave(g);
  }
  after_round(gens, any);
}
