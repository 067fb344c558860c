/* Stacks for model threads. An own switch rather than the runtime's: the explorer compares the
 * saved stacks of two runs, so it must know that everything a thread knows lies between sp and the
 * top of its stack, registers included. */
#ifndef WEFT_TESTS_FIBER_H
#define WEFT_TESTS_FIBER_H

#include <stddef.h>

#define FIBER_STACK 65536

struct fiber {
  void *sp;   /* while it does not run */
  char *low;  /* the stack, FIBER_STACK bytes */
  char *used; /* the deepest sp seen since it was last cleared */
};

/* Makes f ready to run entry, which must not return, on a clean stack. */
void fiber_prepare(struct fiber *f, void (*entry)(void));

/* Saves the registers below the stack pointer, and that in *save; continues at `to`. */
void fiber_switch(void **save, void *to);

static inline char *fiber_top(const struct fiber *f) {
  return f->low + FIBER_STACK;
}

#endif
