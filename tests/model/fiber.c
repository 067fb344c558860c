#include "fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

/* rbx, rbp, r12 to r15 and the return address; the floating-point control words do not change. */
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "  endbr64\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size fiber_switch, . - fiber_switch\n");

#define RETURN_AT 6 /* where the return address lies */
#define FRAME 8     /* the words of a fresh stack; entry finds sp 8 below a multiple of 16 */

#elif defined(__aarch64__)

/* x19 to x30 and d8 to d15. */
__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, %function\n"
        "fiber_switch:\n"
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
        "  ldp x19, x20, [sp]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"
        "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #160\n"
        "  ret\n"
        ".size fiber_switch, . - fiber_switch\n");

#define RETURN_AT 11
#define FRAME 20

#else
#error "the explorer has no stack switch for this CPU"
#endif

/* Room that the explorer's own functions use below a saved sp. */
#define SLACK 2048

void fiber_prepare(struct fiber *f, void (*entry)(void)) {
  if (!f->low) {
    f->low = aligned_alloc(4096, FIBER_STACK);
    if (!f->low) abort();
    f->used = f->low + SLACK;
  }
  /* What an earlier run left in dead slots would make equal states look different. */
  char *dirty = f->used - f->low > SLACK ? f->used - SLACK : f->low;
  memset(dirty, 0, (size_t)(fiber_top(f) - dirty));
  f->used = fiber_top(f);

  void **sp = (void **)(void *)fiber_top(f) - FRAME;
  memcpy(&sp[RETURN_AT], &entry, sizeof entry);
  f->sp = sp;
}
