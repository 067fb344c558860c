/* Making strands, and running a function in one. */
#include <weft/errors.h>
#include <weft/strand.h>

#include "base/memory.h"
#include "core/ready.h"
#include "core/spawn.h"
#include "core/strand.h"
#include "core/worker.h"

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
  weft__resource_open(&s->resource, "a strand", __builtin_return_address(0));
  *ret = s;
  return 0;
}

void weft_strand_free(weft_strand *s) {
  if (!s || weft__in_child()) return;
  weft__resource_close(&s->resource);
  weft__strand_unref(s);
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
