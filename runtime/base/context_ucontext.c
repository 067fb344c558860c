/* The portable context switch, on swapcontext: the same interface on other processors, and in a
 * build with WEFT_UCONTEXT, which is how it is tested. The saved state lies on the stack that is
 * left, so that a context stays one word. swapcontext keeps the floating-point control bits. */
#include "base/context.h"

#if !WEFT__SWITCH_ASM

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "base/check.h"

/* makecontext passes ints only: a pointer travels as two halves. */
enum { HALF = 32 };

WEFT__UNINSTRUMENTED static void *from_halves(unsigned high, unsigned low) {
  return (void *)(uintptr_t)((uint64_t)high << HALF | low);
}

WEFT__UNINSTRUMENTED static void begin(unsigned entry_high, unsigned entry_low, unsigned arg_high,
                                       unsigned arg_low) {
  void (*entry)(void *arg) = (void (*)(void *))(uintptr_t)from_halves(entry_high, entry_low);
  entry(from_halves(arg_high, arg_low));
  weft__fatal("the entry function of a context returned");
}

void *weft__context_frame(void *lo, size_t size, void (*entry)(void *arg), void *arg) {
  uintptr_t top = ((uintptr_t)lo + size - sizeof(ucontext_t)) & ~(uintptr_t)63;
  ucontext_t *u = (ucontext_t *)top;
  memset(u, 0, sizeof *u);
  WEFT__ASSERT(getcontext(u) == 0);
  u->uc_stack.ss_sp = lo;
  u->uc_stack.ss_size = (size_t)(top - (uintptr_t)lo);
  uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;
  makecontext(u, (void (*)(void))(uintptr_t)begin, 4, (unsigned)(e >> HALF), (unsigned)e,
              (unsigned)(a >> HALF), (unsigned)a);
  return u;
}

/* Uninstrumented like its callers: the tools already believe to be on the other stack. */
WEFT__UNINSTRUMENTED void weft__context_swap(void **save, void *to) {
  ucontext_t here;
  /* The fields that swapcontext does not write and that checkers read. */
  here.uc_stack.ss_sp = NULL;
  here.uc_stack.ss_size = 0;
  here.uc_link = NULL;
  *save = &here;
  WEFT__ASSERT(swapcontext(&here, to) == 0);
}

WEFT__UNINSTRUMENTED void weft__context_jump(void *to) {
  setcontext(to);
  weft__fatal("setcontext failed");
}

/* The words in force are saved with every context; there is no default to speed up. New contexts
 * get those of the thread that prepares them. */
void weft__context_capture_fp(void) {}

void weft__context_where(const weft__context *c, struct weft__context_place *ret) {
  *ret = (struct weft__context_place){.sp = c->sp};
}

int weft__context_callers(weft__context *const *c, const void **ret, int max) {
  (void)c, (void)ret, (void)max;
  return 0;
}

#endif
