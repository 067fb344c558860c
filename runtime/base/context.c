/* Contexts: what is around the switch. See context.h. */
#include "base/context.h"

#include <stdint.h>

#include "base/check.h"

#if WEFT__SWITCH_ASM

/* Where a new context begins; in the assembly. Not a function to be called. */
extern const char weft__context_begin[];

#if defined(__x86_64__)

/* The default control words; read by the assembly. */
struct fp_words {
  uint32_t mxcsr;
  uint16_t x87;
};
__attribute__((visibility("hidden"))) struct fp_words weft__context_fp = {0x1f80, 0x037f};

void weft__context_capture_fp(void) {
  struct fp_words now;
  __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(now.mxcsr), "=m"(now.x87));
  now.mxcsr &= ~(uint32_t)0x3f; /* the sticky flags are no setting */
  weft__context_fp = now;
}

/* The layout of switch_x86_64.S. */
struct frame {
  uintptr_t r15, r14, entry, arg, rbx, rbp;
  const void *begin;
};

#else /* aarch64 */

/* The default control bits; read by the assembly. */
__attribute__((visibility("hidden"))) uint64_t weft__context_fp = 0;

void weft__context_capture_fp(void) {
  __asm__ volatile("mrs %0, fpcr" : "=r"(weft__context_fp));
}

/* The layout of switch_aarch64.S. */
struct frame {
  uintptr_t x29;
  const void *begin;
  uintptr_t arg, entry, x21_to_x28[8], d8_to_d15[8];
};

#endif

void *weft__context_frame(void *lo, size_t size, void (*entry)(void *arg), void *arg) {
  uintptr_t top = ((uintptr_t)lo + size) & ~(uintptr_t)15;
  struct frame *f = (struct frame *)(top - sizeof(struct frame));
  *f = (struct frame){
      .arg = (uintptr_t)arg, .entry = (uintptr_t)entry, .begin = weft__context_begin};
  return f;
}

void weft__context_where(const weft__context *c, struct weft__context_place *ret) {
  struct frame *f = c->sp;
#if defined(__x86_64__)
  ret->fp = (void *)f->rbp;
#else
  ret->fp = (void *)f->x29;
#endif
  ret->pc = (void *)(uintptr_t)f->begin;
  ret->sp = f + 1;
}

#endif /* WEFT__SWITCH_ASM */

#if WEFT__NOTES

/* The tools must hear that the new stack was entered before any instrumented code runs on it, so a
 * context begins here. Lies at the top of the stack. */
struct start {
  void (*entry)(void *arg);
  void *arg;
};

WEFT__UNINSTRUMENTED static void begin_noted(void *arg) {
  struct start *start = arg;
  struct weft__notes fresh = {0};
  weft__note_arrive(&fresh);
  start->entry(start->arg);
  weft__fatal("the entry function of a context returned");
}

static void *first_frame(void *lo, size_t size, void (*entry)(void *arg), void *arg) {
  uintptr_t top = ((uintptr_t)lo + size) & ~(uintptr_t)15;
  struct start *start = (struct start *)(top - sizeof(struct start));
  *start = (struct start){.entry = entry, .arg = arg};
  return weft__context_frame(lo, (size_t)((char *)start - (char *)lo), begin_noted, start);
}

WEFT__UNINSTRUMENTED void weft__context_switch(weft__context *from, weft__context *to) {
  weft__note_leave(&from->notes, &to->notes);
  weft__context_swap(&from->sp, to->sp);
  weft__note_arrive(&from->notes);
}

/* The frames of a context that ends: exit, entry, begin_noted, bottom, whose frame pointer is 0. A
 * deeper exit would leave entries on the call stack that TSan keeps for the fiber. */
WEFT__UNINSTRUMENTED static bool exits_from_entry(void *const *fp) {
  return WEFT__SWITCH_ASM == 0 || ((void **)((void **)fp[0])[0])[0] == NULL;
}

WEFT__UNINSTRUMENTED _Noreturn void weft__context_exit(weft__context *from, weft__context *to) {
  if (WEFT__TSAN) WEFT__ASSERT(exits_from_entry(__builtin_frame_address(0)));
  weft__note_end(&from->notes, &to->notes);
  weft__context_jump(to->sp);
}

#else

static void *first_frame(void *lo, size_t size, void (*entry)(void *arg), void *arg) {
  return weft__context_frame(lo, size, entry, arg);
}

#endif

void weft__context_init(weft__context *c, void *lo, size_t size, void (*entry)(void *arg),
                        void *arg) {
  *c = (weft__context){0};
  weft__context_reset(c, lo, size, entry, arg);
}

void weft__context_reset(weft__context *c, void *lo, size_t size, void (*entry)(void *arg),
                         void *arg) {
#if WEFT__NOTES
  weft__note_armed(&c->notes, lo, size);
#endif
  c->sp = first_frame(lo, size, entry, arg);
}

void weft__context_init_thread(weft__context *c) {
  c->sp = NULL;
#if WEFT__NOTES
  weft__note_thread(&c->notes);
#endif
}

void weft__context_fini(weft__context *c) {
#if WEFT__NOTES
  weft__note_fini(&c->notes);
#endif
  c->sp = NULL;
}
