#include "aio/gen.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/limit.h"
#include "core/park.h"
#include "core/spawn.h"
#include "core/worker.h"

/* Of the sizes that items mostly have, no call is made. */
static inline void copy_item(void *to, const void *from, size_t size) {
  if (size == 8)
    memcpy(to, from, 8);
  else if (size == 4)
    memcpy(to, from, 4);
  else
    memcpy(to, from, size);
}

/* ---- opening ---- */

static int check_open(weft_gen_fn fn, const weft_gen_opts *o) {
  const weft_spawn_opts like = {.arg_size = o->arg_size, .stack_size = o->stack_size};
  return fn ? weft__spawn_check(weft_gen_close_fn, &like) : WEFT_EINVAL;
}

static weft_gen *make(weft_gen_fn fn, void *arg, size_t item_size, const weft_gen_opts *o) {
  size_t copied = arg ? o->arg_size : 0;
  weft_gen *g = weft__zalloc(sizeof *g + copied);
  if (!g) return NULL;
  g->fn = fn;
  g->arg = arg;
  if (copied) g->arg = memcpy(g->copy, arg, copied);
  g->item_size = item_size;
  g->send_size = o->send_size;
  g->target = o->target;
  g->name = o->name;
  return g;
}

int weft_gen_open(weft_gen **ret, weft_gen_fn fn, void *arg, size_t item_size,
                  const weft_gen_opts *opts) {
  static const weft_gen_opts defaults;
  struct weft__worker *w = weft__self();
  if (!w || !w->current) return weft__no_task();
  if (!opts) opts = &defaults;
  int r = check_open(fn, opts);
  if (r < 0) return r;
  weft_gen *g = make(fn, arg, item_size, opts);
  if (!g) return WEFT_ENOMEM;
  r = weft__stack_get(&w->stacks, opts->stack_size, &g->stack);
  if (r == 0) {
    g->ctx = weft__stack_context(g->stack);
    g->stack->guest = g->name ? g->name : "";
    r = weft__gens_add(w->rt, g);
    if (r < 0) weft__gen_drop_stack(g);
  }
  if (r < 0) {
    weft__free(g);
    return r;
  }
  weft__resource_open(&g->resource, "a generator", __builtin_return_address(0));
  *ret = g;
  return 0;
}

/* ---- the switches ---- */

void weft__gen_drop_stack(weft_gen *g) {
  g->stack->guest = NULL;
  weft__stack_put(&weft__self()->stacks, g->stack);
  g->stack = NULL;
  g->phase = WEFT__GEN_ENDED;
}

static void gen_entry(void *arg) {
  weft_gen *g = arg;
  g->code = g->fn(g, g->arg);
  g->phase = WEFT__GEN_ENDED;
  weft__context_exit(g->ctx, g->back);
}

/* What the body has left open on its stack, which goes now, is not the consumer's to end. */
static int end_scopes(struct weft__task *t, const weft_gen *g) {
  if (weft__likely(t->scopes == g->scopes && t->shield == g->shield)) return g->code;
  weft__limit_restore(t, g->scopes, g->shield);
  return g->code < 0 ? g->code : WEFT_ESTATE;
}

/* The body has returned, and t is on its own stack again. */
static __attribute__((noinline)) int after_end(struct weft__task *t, weft_gen *g) {
  int code = end_scopes(t, g);
  if (!weft__self()) return WEFT_ECHILD;
  weft__gen_drop_stack(g);
  return code < 0 ? code : 0;
}

/* Runs the body until it yields (1) or returns (0 or its error). t is inside. */
static inline __attribute__((always_inline)) int resume(struct weft__task *t, weft_gen *g,
                                                        int signal, void *out) {
  weft__context *ctx = t->ctx;
  struct weft__stack *stack = t->stack;
  if (weft__unlikely(g->phase == WEFT__GEN_FRESH)) {
    g->phase = WEFT__GEN_BEGUN;
    weft__context_reset(g->ctx, g->stack->lo, g->stack->size, gen_entry, g);
  }
  g->out = out;
  g->back = ctx;
  g->scopes = t->scopes;
  g->shield = t->shield;
  g->contexts = t->contexts;
  weft__store_relaxed_ptr(&g->inside, t);
  /* Nothing between these and the switch may look which context runs (a point of the simulation). */
  t->ctx = g->ctx;
  t->stack = g->stack;
  weft__context_switch_value(ctx, g->ctx, signal);
  t->ctx = ctx;
  t->stack = stack;
  weft__store_relaxed_ptr(&g->inside, NULL);
  return weft__likely(g->phase != WEFT__GEN_ENDED) ? 1 : after_end(t, g);
}

/* ---- for the consumer ---- */

/* The calling task, which is inside g from now on, or why it is not. Inline, as the public function that
 * was called is to be told from its caller. */
static inline __attribute__((always_inline)) int enter(weft_gen *g, struct weft__task **ret,
                                                       const char *function) {
  struct weft__worker *w = weft__self();
  if (weft__unlikely(!w || !w->current))
    return weft__no_task_at(function, __builtin_return_address(0));
  if (weft__unlikely(g->gens->rt != w->rt)) return WEFT_EINVAL;
  if (weft__unlikely(!weft__gen_enter(g))) return WEFT_EBUSY;
  *ret = w->current;
  return 0;
}

static inline __attribute__((always_inline)) int ask(weft_gen *g, struct weft__task *t,
                                                     const void *in, int signal, void *out) {
  if (weft__unlikely(g->phase == WEFT__GEN_ENDED)) return 0;
  g->in = in;
  return resume(t, g, signal, out);
}

int weft_gen_next(weft_gen *g, void *ret_item) {
  struct weft__task *t = NULL;
  int r = enter(g, &t, __func__);
  if (weft__unlikely(r < 0)) return r;
  r = ask(g, t, NULL, 0, ret_item);
  weft__gen_leave(g);
  return r;
}

int weft_gen_send(weft_gen *g, const void *in, void *ret_item) {
  struct weft__task *t = NULL;
  if (in && g->send_size == 0) return WEFT_EINVAL;
  int r = enter(g, &t, __func__);
  if (weft__unlikely(r < 0)) return r;
  r = in && g->phase == WEFT__GEN_FRESH ? WEFT_ESTATE : ask(g, t, in, 0, ret_item);
  weft__gen_leave(g);
  return r;
}

int weft_gen_throw(weft_gen *g, int code, void *ret_item) {
  struct weft__task *t = NULL;
  if (code >= 0) return WEFT_EINVAL;
  int r = enter(g, &t, __func__);
  if (r < 0) return r;
  if (g->phase == WEFT__GEN_FRESH) {
    weft__gen_drop_stack(g);
    r = code;
  } else {
    r = ask(g, t, NULL, code, ret_item);
  }
  weft__gen_leave(g);
  return r;
}

int weft__gen_end(struct weft__task *t, weft_gen *g) {
  if (g->phase == WEFT__GEN_FRESH) weft__gen_drop_stack(g);
  if (g->phase == WEFT__GEN_ENDED) return 0;
  g->closing = true;
  weft__shield_push(t);
  int r = ask(g, t, NULL, WEFT_ECLOSED, NULL); /* comes back with the end: yields leave no more */
  weft__shield_pop(t);
  if (r == WEFT_ECHILD && weft__in_child()) return r;
  if (g->refused) return WEFT_ESTATE;
  return r == WEFT_ECLOSED ? 0 : r;
}

int weft_gen_close(weft_gen *g) {
  struct weft__task *t = NULL;
  if (!g) return 0;
  int r = enter(g, &t, __func__);
  if (r < 0) return r;
  r = weft__gen_end(t, g);
  if (weft__in_child()) return WEFT_ECHILD;
  weft__gens_remove(g);
  weft__resource_close(&g->resource);
  weft__free(g);
  return r;
}

int weft_gen_close_fn(void *gen) {
  return weft_gen_close(gen);
}

/* ---- for the body ---- */

/* The calling task, if it is in the body of g, innermost. */
static inline __attribute__((always_inline)) int inside(weft_gen *g, struct weft__task **ret,
                                                        const char *function) {
  struct weft__worker *w = weft__self();
  if (weft__unlikely(!w || !w->current))
    return weft__no_task_at(function, __builtin_return_address(0));
  struct weft__task *t = w->current;
  if (weft__unlikely(weft__load_relaxed_ptr(&g->inside) != t || t->ctx != g->ctx))
    return WEFT_ESTATE;
  *ret = t;
  return 0;
}

/* Back to the consumer, whose variable is filled. The task that comes in again may be another. */
static inline __attribute__((always_inline)) int leave_body(struct weft__task *t, weft_gen *g) {
  if (weft__unlikely(g->closing)) {
    g->refused = true;
    weft__spend(t); /* a body that does not look is not to starve the others */
    return WEFT_ECLOSED;
  }
  return weft__context_switch_value(g->ctx, g->back, 0);
}

/* The body is inside something that it has begun and that would go on in its consumer: a timeout scope,
 * a shield, a run in an explicit context. */
static inline bool has_scopes(const struct weft__task *t, const weft_gen *g) {
  return t->scopes != g->scopes || t->shield != g->shield || t->contexts != g->contexts;
}

int weft_gen_yield(weft_gen *g, const void *item) {
  struct weft__task *t = NULL;
  int r = inside(g, &t, __func__);
  if (weft__unlikely(r < 0)) return r;
  if (weft__unlikely(has_scopes(t, g))) return WEFT_ESTATE;
  if (item && g->out) copy_item(g->out, item, g->item_size);
  return leave_body(t, g);
}

int weft_gen_received(weft_gen *g, void *ret_value) {
  struct weft__task *t = NULL;
  int r = inside(g, &t, __func__);
  if (r < 0) return r;
  if (!g->in) return 0;
  copy_item(ret_value, g->in, g->send_size);
  return 1;
}

/* g's consumer has asked again, and its yield has answered `signal`: what inner makes of it. Items go
 * right to the consumer's variable. */
static int pass_on(weft_gen *g, weft_gen *inner, int signal) {
  if (signal != 0) return weft_gen_throw(inner, signal, g->out);
  return weft_gen_send(inner, g->in, g->out);
}

static int end_inner(weft_gen *inner) {
  struct weft__task *t = NULL;
  int r = enter(inner, &t, __func__);
  if (r < 0) return r;
  r = weft__gen_end(t, inner);
  weft__gen_leave(inner);
  return r < 0 ? r : WEFT_ECLOSED;
}

int weft_gen_delegate(weft_gen *g, weft_gen *inner) {
  struct weft__task *t = NULL;
  int r = inside(g, &t, __func__);
  if (r < 0) return r;
  if (has_scopes(t, g)) return WEFT_ESTATE;
  if (g->item_size != inner->item_size || g->send_size != inner->send_size) return WEFT_EINVAL;
  r = weft_gen_next(inner, g->out);
  while (r > 0) {
    r = inside(g, &t, __func__);
    if (r < 0) return r;
    int signal = leave_body(t, g);
    if (signal == WEFT_ECLOSED && g->closing) return end_inner(inner);
    r = pass_on(g, inner, signal);
  }
  return r;
}

void (*weft_gen_target(const weft_gen *g))(void) {
  return g->target;
}
