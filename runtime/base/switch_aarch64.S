/* The context switch for aarch64, AAPCS64.
 *
 * A suspended stack, from its saved pointer upwards:
 *     0 x29, x30 (where to continue)   16 x19 to x28   96 d8 to d15   160 end
 * "Where to continue" is the return address of the call to weft__context_swap, or one of the two
 * places below that are entered that way and know what lies above: weft__context_load_fp and
 * weft__context_begin.
 *
 * Where to continue is reached by ret: on a processor with branch target identification only a
 * return may go to a place without a landing pad, and this object claims to work there. It does not
 * claim guarded control stacks.
 *
 * Unwinding works at every instruction. After the stack pointer is changed the same rules describe
 * the other stack, for which they hold as well. An unwinder looks before a return address to find
 * the caller, hence the nop before each of the two places.
 */
#if defined(__aarch64__) && !WEFT_UCONTEXT

  .text

/* void weft__context_swap(void **save, void *to)
 * int weft__context_pass(void **save, void *to, int value), the same: what is called by the one returns
 * nothing, so the value may always be left for it. */
  .globl weft__context_swap, weft__context_pass
  .hidden weft__context_swap, weft__context_pass
  .type weft__context_swap, %function
  .type weft__context_pass, %function
  .set weft__context_pass, weft__context_swap
  .p2align 5
weft__context_swap:
  .cfi_startproc
  hint 34 /* bti c */
  adrp x9, weft__context_fp
  ldr x9, [x9, :lo12:weft__context_fp]
  mrs x10, fpcr
  cmp x10, x9
  b.ne .Lown_fp
.Lsave:
  stp x29, x30, [sp, -160]!
  .cfi_adjust_cfa_offset 160
  .cfi_rel_offset x29, 0
  .cfi_rel_offset x30, 8
  stp x19, x20, [sp, 16]
  .cfi_rel_offset x19, 16
  .cfi_rel_offset x20, 24
  stp x21, x22, [sp, 32]
  .cfi_rel_offset x21, 32
  .cfi_rel_offset x22, 40
  stp x23, x24, [sp, 48]
  .cfi_rel_offset x23, 48
  .cfi_rel_offset x24, 56
  stp x25, x26, [sp, 64]
  .cfi_rel_offset x25, 64
  .cfi_rel_offset x26, 72
  stp x27, x28, [sp, 80]
  .cfi_rel_offset x27, 80
  .cfi_rel_offset x28, 88
  stp d8, d9, [sp, 96]
  .cfi_rel_offset d8, 96
  .cfi_rel_offset d9, 104
  stp d10, d11, [sp, 112]
  .cfi_rel_offset d10, 112
  .cfi_rel_offset d11, 120
  stp d12, d13, [sp, 128]
  .cfi_rel_offset d12, 128
  .cfi_rel_offset d13, 136
  stp d14, d15, [sp, 144]
  .cfi_rel_offset d14, 144
  .cfi_rel_offset d15, 152
  mov x10, sp
  str x10, [x0]
  mov w0, w2
  mov sp, x1
.Lresume:
  ldp d14, d15, [sp, 144]
  .cfi_restore d14
  .cfi_restore d15
  ldp d12, d13, [sp, 128]
  .cfi_restore d12
  .cfi_restore d13
  ldp d10, d11, [sp, 112]
  .cfi_restore d10
  .cfi_restore d11
  ldp d8, d9, [sp, 96]
  .cfi_restore d8
  .cfi_restore d9
  ldp x27, x28, [sp, 80]
  .cfi_restore x27
  .cfi_restore x28
  ldp x25, x26, [sp, 64]
  .cfi_restore x25
  .cfi_restore x26
  ldp x23, x24, [sp, 48]
  .cfi_restore x23
  .cfi_restore x24
  ldp x21, x22, [sp, 32]
  .cfi_restore x21
  .cfi_restore x22
  ldp x19, x20, [sp, 16]
  .cfi_restore x19
  .cfi_restore x20
  ldp x29, x30, [sp], 160
  .cfi_adjust_cfa_offset -160
  .cfi_restore x29
  .cfi_restore x30
  ret

  /* The context has control bits of its own: they are left above the registers, and it continues at
   * weft__context_load_fp, as if that had called. */
.Lown_fp:
  .cfi_def_cfa sp, 0
  stp x10, x30, [sp, -16]!
  .cfi_adjust_cfa_offset 16
  .cfi_rel_offset x30, 8
  msr fpcr, x9
  adr x30, weft__context_load_fp
  b .Lsave
  .cfi_endproc
  .size weft__context_swap, .-weft__context_swap

/* void weft__context_jump(void *to) */
  .globl weft__context_jump
  .hidden weft__context_jump
  .type weft__context_jump, %function
  .p2align 4
weft__context_jump:
  .cfi_startproc
  hint 34 /* bti c */
  adrp x9, weft__context_fp
  ldr x9, [x9, :lo12:weft__context_fp]
  msr fpcr, x9
  mov sp, x0
  .cfi_def_cfa_offset 160
  .cfi_offset x29, -160
  .cfi_offset x30, -152
  .cfi_offset x19, -144
  .cfi_offset x20, -136
  .cfi_offset x21, -128
  .cfi_offset x22, -120
  .cfi_offset x23, -112
  .cfi_offset x24, -104
  .cfi_offset x25, -96
  .cfi_offset x26, -88
  .cfi_offset x27, -80
  .cfi_offset x28, -72
  .cfi_offset d8, -64
  .cfi_offset d9, -56
  .cfi_offset d10, -48
  .cfi_offset d11, -40
  .cfi_offset d12, -32
  .cfi_offset d13, -24
  .cfi_offset d14, -16
  .cfi_offset d15, -8
  b .Lresume
  .cfi_endproc
  .size weft__context_jump, .-weft__context_jump

/* Not called. On the stack: fpcr and where to continue. */
  .type weft__context_own_fp, %function
weft__context_own_fp:
  .cfi_startproc
  .cfi_def_cfa sp, 16
  .cfi_offset x30, -8
  nop
weft__context_load_fp:
  ldr x9, [sp]
  msr fpcr, x9
  ldr x30, [sp, 8]
  .cfi_restore x30
  add sp, sp, 16
  .cfi_def_cfa_offset 0
  ret
  .cfi_endproc
  .size weft__context_own_fp, .-weft__context_own_fp

/* Not called. The first frame of a context: entry in x20, its argument in x19, x29 zero to end the
 * chain of frame records, the stack pointer a multiple of 16. Nothing is above it. */
  .type weft__context_bottom, %function
weft__context_bottom:
  .cfi_startproc
  .cfi_undefined x30
  nop
  .globl weft__context_begin
  .hidden weft__context_begin
weft__context_begin:
  mov x0, x19
  blr x20
  brk 1
  .cfi_endproc
  .size weft__context_bottom, .-weft__context_bottom

/* .note.gnu.property: GNU_PROPERTY_AARCH64_FEATURE_1_AND with BTI (1). */
  .section .note.gnu.property, "a", %note
  .p2align 3
  .long 4
  .long 16
  .long 5
  .asciz "GNU"
  .long 0xc0000000
  .long 4
  .long 1
  .long 0

#endif

  .section .note.GNU-stack, "", %progbits
