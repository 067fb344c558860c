/* The context switch for x86-64, System V calling convention.
 *
 * A suspended stack, from its saved pointer upwards:
 *     0 r15   8 r14   16 r13   24 r12   32 rbx   40 rbp   48 where to continue
 * "Where to continue" is the return address of the call to weft__context_swap, or one of the two
 * places below that are entered that way and know what lies above: weft__context_load_fp and
 * weft__context_begin.
 *
 * It is popped and jumped to instead of returned to: the processor predicts a return by the calls
 * that were made, and they were made on another stack; the wrong guess costs 5 ns, twice the switch.
 *
 * Unwinding works at every instruction. After the stack pointer is changed the same rules describe
 * the other stack, for which they hold as well. An unwinder looks one byte before a return address
 * to find the caller, hence the nop before each of the two places.
 *
 * Control-flow enforcement. Indirect branch tracking: the jumps are marked notrack, as they go to
 * return addresses, which have no landing pads. Shadow stacks: not supported, as what is returned to
 * after the switch is not what the shadow holds; this object does not claim them, so the linker
 * takes the claim from every program and library that contains it.
 */
#if defined(__x86_64__) && !WEFT_UCONTEXT

  .text

/* void weft__context_swap(void **save, void *to)
 * int weft__context_pass(void **save, void *to, int value), the same: what is called by the one returns
 * nothing, so the value may always be left for it. */
  .globl weft__context_swap, weft__context_pass
  .hidden weft__context_swap, weft__context_pass
  .type weft__context_swap, @function
  .type weft__context_pass, @function
  .set weft__context_pass, weft__context_swap
  .p2align 5
weft__context_swap:
  .cfi_startproc
  endbr64
  fnstcw -8(%rsp)
  movzwl -8(%rsp), %eax
  cmpw weft__context_fp+4(%rip), %ax
  jne .Lown_fp
.Lsave:
  pushq %rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %rbp, 0
  pushq %rbx
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %rbx, 0
  pushq %r12
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %r12, 0
  pushq %r13
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %r13, 0
  pushq %r14
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %r14, 0
  pushq %r15
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %r15, 0
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  movl %edx, %eax
.Lresume:
  ldmxcsr weft__context_fp(%rip)
  popq %r15
  .cfi_adjust_cfa_offset -8
  .cfi_restore %r15
  popq %r14
  .cfi_adjust_cfa_offset -8
  .cfi_restore %r14
  popq %r13
  .cfi_adjust_cfa_offset -8
  .cfi_restore %r13
  popq %r12
  .cfi_adjust_cfa_offset -8
  .cfi_restore %r12
  popq %rbx
  .cfi_adjust_cfa_offset -8
  .cfi_restore %rbx
  popq %rbp
  .cfi_adjust_cfa_offset -8
  .cfi_restore %rbp
  popq %rcx
  .cfi_adjust_cfa_offset -8
  .cfi_register %rip, %rcx
  notrack jmp *%rcx

  /* The context has control words of its own: they are left above the registers, and it continues
   * at weft__context_load_fp, as if that had called. */
.Lown_fp:
  .cfi_def_cfa %rsp, 8
  .cfi_offset %rip, -8
  subq $16, %rsp
  .cfi_adjust_cfa_offset 16
  stmxcsr 8(%rsp)
  movl %eax, 12(%rsp)
  leaq weft__context_load_fp(%rip), %rax
  movq %rax, (%rsp)
  fldcw weft__context_fp+4(%rip)
  jmp .Lsave
  .cfi_endproc
  .size weft__context_swap, .-weft__context_swap

/* void weft__context_jump(void *to) */
  .globl weft__context_jump
  .hidden weft__context_jump
  .type weft__context_jump, @function
  .p2align 4
weft__context_jump:
  .cfi_startproc
  endbr64
  fldcw weft__context_fp+4(%rip)
  movq %rdi, %rsp
  .cfi_def_cfa_offset 56
  .cfi_offset %rbp, -16
  .cfi_offset %rbx, -24
  .cfi_offset %r12, -32
  .cfi_offset %r13, -40
  .cfi_offset %r14, -48
  .cfi_offset %r15, -56
  jmp .Lresume
  .cfi_endproc
  .size weft__context_jump, .-weft__context_jump

/* Not called. On the stack: mxcsr and the x87 control word (8 bytes), where to continue. */
  .type weft__context_own_fp, @function
weft__context_own_fp:
  .cfi_startproc
  .cfi_def_cfa %rsp, 16
  nop
weft__context_load_fp:
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  popq %rcx
  .cfi_adjust_cfa_offset -8
  .cfi_register %rip, %rcx
  notrack jmp *%rcx
  .cfi_endproc
  .size weft__context_own_fp, .-weft__context_own_fp

/* Not called. The first frame of a context: entry in r13, its argument in r12, rbp zero to end the
 * chain of frame pointers, the stack pointer a multiple of 16. Nothing is above it. */
  .type weft__context_bottom, @function
weft__context_bottom:
  .cfi_startproc
  .cfi_undefined %rip
  nop
  .globl weft__context_begin
  .hidden weft__context_begin
weft__context_begin:
  movq %r12, %rdi
  call *%r13
  ud2
  .cfi_endproc
  .size weft__context_bottom, .-weft__context_bottom

/* .note.gnu.property: GNU_PROPERTY_X86_FEATURE_1_AND with IBT (1) and without SHSTK (2). */
  .section .note.gnu.property, "a", @note
  .p2align 3
  .long 4
  .long 16
  .long 5
  .asciz "GNU"
  .long 0xc0000002
  .long 4
  .long 1
  .long 0

#endif

  .section .note.GNU-stack, "", @progbits
