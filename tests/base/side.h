/* A context that a test switches to and from. */
#ifndef WEFT_TEST_BASE_SIDE_H
#define WEFT_TEST_BASE_SIDE_H

#include "base/context.h"
#include "one_pool.h"

/* A context on a stack of its own that switches to and fro with the thread. */
struct side {
  weft__context thread;
  struct weft__stack *stack;
  void (*body)(struct side *side);
  void *data;
  bool ended;
};

static _Thread_local struct side *volatile *escape;

/* Has a local that ASan puts on the fake stack, in a frame that is never left. */
static void side_entry(void *arg) {
  struct side *volatile local = arg;
  escape = &local;
  struct side *side = local;
  side->body(side);
  side->ended = true;
  weft__context_exit(&side->stack->context, &side->thread);
}

static inline void side_init(struct side *side, size_t size, void (*body)(struct side *side)) {
  side->body = body;
  side->ended = false;
  assert_int_equal(weft__stack_get(&cache, size, &side->stack), 0);
  weft__context_init_thread(&side->thread);
  weft__context_reset(&side->stack->context, side->stack->lo, side->stack->size, side_entry, side);
}

static inline void side_fini(struct side *side) {
  weft__context_fini(&side->thread);
  weft__stack_put(&cache, side->stack);
}

static inline void resume(struct side *side) {
  weft__context_switch(&side->thread, &side->stack->context);
}

static inline void suspend(struct side *side) {
  weft__context_switch(&side->stack->context, &side->thread);
}

#endif
