/* Generators, inside. What runs them is gen.c; who closes those that are left is gens.c.
 *
 * A generator is a second stack of whichever task asks it for an item. `busy` lets one task in at a
 * time; everything else is that task's while it is inside (the one who comes next acquires what the
 * last one released). Next switches from the task's context to the generator's and yield switches back,
 * past the scheduler. In between the task's ctx and stack are the generator's: so when the body
 * suspends the task, it is the generator's stack that the next worker goes on with.
 *
 * So the task that runs now is in the body of g, innermost, exactly when g->inside is that task and its
 * ctx is g's: a task that runs inline within the body has the same ctx, but is another task, and a task
 * in a generator that the body asks is the same, but has another ctx.
 */
#ifndef WEFT_AIO_GEN_H
#define WEFT_AIO_GEN_H

#include <stdbool.h>

#include <weft/gen.h>

#include "base/list.h"
#include "core/closer.h"
#include "core/resource.h"
#include "core/task.h"

struct weft__worker;

enum weft__gen_phase {
  WEFT__GEN_FRESH, /* the body has not begun */
  WEFT__GEN_BEGUN, /* it stands in a yield, or runs */
  WEFT__GEN_ENDED, /* it has returned, or will never run; no stack */
};

struct weft_gen {
  /* 1 while a task is inside. Taken by CAS (acquire), given back by a release store. */
  weft__atomic_u32 busy;
  /* The task that runs the body; NULL while none does. Its own thread writes it, others that misuse
   * the generator compare: relaxed. */
  weft__atomic_ptr inside;
  weft__context *ctx; /* constant: of stack */

  /* Whoever is inside. */
  weft__context *back; /* the consumer's */
  const void *in;      /* what was sent with the last resumption, or NULL: the consumer's memory */
  void *out;           /* where the next item goes, or NULL */
  int code;            /* the body's, once it has ended */
  enum weft__gen_phase phase;
  bool closing;    /* yield answers WEFT_ECLOSED from now on, without leaving the body */
  bool refused;    /* it was asked to */
  uint32_t shield; /* the consumer's, when the body went on last */
  struct weft_timeout *scopes; /* likewise */
  uint32_t contexts;           /* likewise */
  struct weft__stack *stack;   /* NULL once it has ended */

  /* Constant. */
  size_t item_size, send_size;
  weft_gen_fn fn;
  void *arg;
  void (*target)(void);
  const char *name;
  struct weft__gens *gens;
  struct weft__list link;            /* guarded by gens' lock */
  struct weft__resource resource;    /* in debug mode; .site is where it was opened */
  _Alignas(max_align_t) char copy[]; /* of the argument */
};

/* All generators of a runtime that are not freed. Made by the first; it goes with the runtime. */
struct weft__gens {
  struct weft__runtime *rt; /* constant */
  struct weft__spin lock;   /* guards list */
  struct weft__list list;   /* oldest first */
  struct weft__closer closer;
};

/* Keeps g until weft__gens_remove. 0 or WEFT_ENOMEM. gens.c */
int weft__gens_add(struct weft__runtime *rt, weft_gen *g);
void weft__gens_remove(weft_gen *g);

/* Lets the calling task in, or not. Any thread may try. gen.c */
static inline bool weft__gen_enter(weft_gen *g) {
  uint32_t free = 0;
  return weft__cas_u32(&g->busy, &free, 1);
}
static inline void weft__gen_leave(weft_gen *g) {
  weft__store_release_u32(&g->busy, 0);
}

/* Ends the body; the calling task t is inside. What weft_gen_close answers. */
int weft__gen_end(struct weft__task *t, weft_gen *g);

/* Gives the stack back; nothing of the body will run again. On a worker's thread. */
void weft__gen_drop_stack(weft_gen *g);

#endif
