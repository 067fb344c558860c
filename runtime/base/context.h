/* Suspended executions, and the switch between them.
 *
 * A context is a stack on which something was begun and is not running at the moment. Switching
 * saves the callee-saved registers on the stack that is left and loads those of the stack that is
 * entered; the context itself is one word, the saved stack pointer. Sanitizer builds add what their
 * tools must be told (annotate.h).
 *
 * The switch is assembly on x86-64 and aarch64 (switch_x86_64.S, switch_aarch64.S), with unwind
 * information that holds at every instruction, so a debugger walks a running or suspended context
 * down to its entry function and ends there. Elsewhere, or with WEFT_UCONTEXT, it is swapcontext
 * (context_ucontext.c), which costs two system calls to save a signal mask that never differs.
 *
 * Floating point. The rounding mode and the other control bits belong to the context, as the calling
 * convention asks of a function that returns; what costs, on current AMD, is reading mxcsr: 2.5 ns,
 * as much as the whole switch. So on x86-64 the switch reads the x87 control word, which is free,
 * and which fesetround(), fesetenv() and feenableexcept() always set along with mxcsr: where it
 * differs from the default, both words are saved with the context and loaded again when it resumes.
 * mxcsr is always loaded on the way in, so no context ever sees another's. Not preserved are bits
 * that were set in mxcsr alone, past <fenv.h> (_MM_SET_FLUSH_ZERO_MODE and the like): they are back
 * at the default after a switch. aarch64 and ucontext preserve all control bits. Sticky exception
 * flags do not outlive a switch, as they need not outlive a call.
 *
 * Threads. A context may be resumed on any thread, by one thread at a time; what makes the saved
 * state visible there is the caller's business (a task's word, a queue). Code on either side of a
 * switch must not keep the address of a thread-local across it.
 */
#ifndef WEFT_BASE_CONTEXT_H
#define WEFT_BASE_CONTEXT_H

#include <stddef.h>

#include "base/annotate.h"

/* WEFT__SWITCH_ASM: the assembly is in use. */
#if !(defined(WEFT_UCONTEXT) && WEFT_UCONTEXT) && (defined(__x86_64__) || defined(__aarch64__))
#define WEFT__SWITCH_ASM 1
#else
#define WEFT__SWITCH_ASM 0
#endif

/* WEFT__PASSES: the switch itself carries a value. */
#define WEFT__PASSES (WEFT__SWITCH_ASM && !WEFT__NOTES)

typedef struct weft__context {
  void *sp; /* where it was left; written by the thread that leaves, read by the one that resumes */
#if WEFT__NOTES
  struct weft__notes notes;
#endif
#if !WEFT__PASSES
  int value; /* what is passed to it: by the thread that resumes it */
#endif
} weft__context;

/* Prepares c to begin entry(arg) on the stack [lo, lo + size), which has room for at least 4 KiB,
 * when it is switched to for the first time. Suspended contexts have c's address only while they
 * are switched from: c may be moved in between. entry does not return: its last act is
 * weft__context_exit.
 *
 * init takes c as uninitialised memory; each init wants a fini. reset takes a c that was zeroed, or
 * was init or reset before and has ended: it begins anew, possibly on another stack, and keeps what
 * was made for the tools. It is what a pooled stack uses, once per task. */
void weft__context_init(weft__context *c, void *lo, size_t size, void (*entry)(void *arg),
                        void *arg);
void weft__context_reset(weft__context *c, void *lo, size_t size, void (*entry)(void *arg),
                         void *arg);

/* c stands for the calling thread on its own stack, to be switched from. */
void weft__context_init_thread(weft__context *c);

/* c is not used any more. It may be suspended, then what is on its stack is lost. A thread's context
 * is ended by its thread. */
void weft__context_fini(weft__context *c);

/* The floating-point control words of the calling thread become the default: what new contexts
 * begin with and what costs nothing to switch. Without it the default is the calling convention's.
 * Called while no context of the process is suspended and no other thread switches; the worker
 * threads inherit the same words from the thread that creates them. */
void weft__context_capture_fp(void);

/* Leaves from, which must be what runs, and resumes to, which must not. Returns when somebody
 * switches to from, possibly on another thread. */
#if WEFT__NOTES
void weft__context_switch(weft__context *from, weft__context *to);
#else
static inline void weft__context_switch(weft__context *from, weft__context *to);
#endif

/* As weft__context_switch; and where `to` was left by this function, its call there returns the value.
 * As the last call of a function it needs no return into that: after a switch the processor guesses
 * each return wrong, which costs 5 ns. */
static inline int weft__context_switch_value(weft__context *from, weft__context *to, int value);

/* As weft__context_switch, but from has ended. To be called by from's entry function itself, not by
 * a function that it calls (TSan builds check that). Its stack must be given back by whoever runs
 * next, not before the call: another thread might begin on it. */
#if WEFT__NOTES
_Noreturn void weft__context_exit(weft__context *from, weft__context *to);
#else
_Noreturn static inline void weft__context_exit(weft__context *from, weft__context *to);
#endif

/* The same between contexts that stand for different threads: for TSan the switch orders nothing. The
 * function that exits is then one that TSan does not instrument. */
#if WEFT__NOTES
void weft__context_switch_apart(weft__context *from, weft__context *to);
_Noreturn void weft__context_exit_apart(weft__context *from, weft__context *to);
#else
static inline void weft__context_switch_apart(weft__context *from, weft__context *to);
_Noreturn static inline void weft__context_exit_apart(weft__context *from, weft__context *to);
#endif

/* Where a suspended context stands: the caller of the switch, for dumps and debuggers. Zeros in
 * fp and pc where the platform does not tell. */
struct weft__context_place {
  void *sp, *fp, *pc;
};
void weft__context_where(const weft__context *c, struct weft__context_place *ret);

/* Where a context stands that may run meanwhile: the address at which it continues and those that its
 * callers return to, found by frame pointers, so only as far as all code has them. All is read by copies
 * (weft__sys_peek): what is no frame ends the list, or is nonsense in it, which the caller recognises when
 * he finds that the context did run. Returns how many; 0 where the platform does not tell. */
int weft__context_callers(weft__context *const *c, const void **ret, int max);

/* ---- below: implementation ---- */

/* Saves the registers on the current stack and its pointer in *save, then continues at to. */
void weft__context_swap(void **save, void *to);
/* The same with a value, which the call returns that had left `to`. With WEFT__SWITCH_ASM only. */
int weft__context_pass(void **save, void *to, int value);
/* Continues at to; nothing of the current stack is saved. */
_Noreturn void weft__context_jump(void *to);

#if !WEFT__NOTES
static inline void weft__context_switch(weft__context *from, weft__context *to) {
  weft__context_swap(&from->sp, to->sp);
}

_Noreturn static inline void weft__context_exit(weft__context *from, weft__context *to) {
  (void)from;
  weft__context_jump(to->sp);
}

static inline void weft__context_switch_apart(weft__context *from, weft__context *to) {
  weft__context_switch(from, to);
}

_Noreturn static inline void weft__context_exit_apart(weft__context *from, weft__context *to) {
  weft__context_exit(from, to);
}
#endif

static inline int weft__context_switch_value(weft__context *from, weft__context *to, int value) {
#if WEFT__PASSES
  return weft__context_pass(&from->sp, to->sp, value);
#else
  to->value = value;
  weft__context_switch(from, to);
  return from->value;
#endif
}

/* What first runs on a stack, given the stack's bounds: returns the pointer to switch to. One of
 * context.c (assembly) and context_ucontext.c has it. */
void *weft__context_frame(void *lo, size_t size, void (*entry)(void *arg), void *arg);

#endif
