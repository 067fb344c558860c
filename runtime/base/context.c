/* Contexts: what is around the switch. See context.h. */
#include "base/context.h"

#include <stdint.h>

#include "base/check.h"
#include "base/sys.h"

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

static bool copy(const void *from, void *to, size_t size) {
  return weft__sys_peek(from, to, size) == (ssize_t)size;
}

int weft__context_callers(weft__context *const *context, const void **ret, int max) {
  const weft__context *c;
  void *sp;
  struct frame f;
  if (max < 1 || !copy(context, &c, sizeof c) || !copy(&c->sp, &sp, sizeof sp) ||
      !copy(sp, &f, sizeof f))
    return 0;
  struct link {
    struct link *next; /* the caller's */
    const void *back;
  } link;
#if defined(__x86_64__)
  struct link *fp = (struct link *)f.rbp;
#else
  struct link *fp = (struct link *)f.x29;
#endif
  int n = 0;
  ret[n++] = (const void *)(uintptr_t)f.begin;
  while (n < max && copy(fp, &link, sizeof link) && link.back) {
    ret[n++] = link.back;
    if (link.next <= fp) break;
    fp = link.next;
  }
  return n;
}

#endif /* WEFT__SWITCH_ASM */

#if WEFT__NOTES

/* The tools must hear that the new stack was entered before any instrumented code runs on it, so a
 * context begins here. Lies at the top of the stack; the context itself may have moved. */
struct start {
  void (*entry)(void *arg);
  void *arg;
  struct weft__notes notes; /* as they were when the context was armed */
};

#if WEFT__ASAN
/* Instrumented: ASan puts the local on the fake stack, because its address escapes, and at that
 * occasion takes all frames out that lie deeper than the caller of this. */
static __attribute__((noinline)) void make_a_frame(void) {
  static _Thread_local char *volatile escape;
  char local;
  escape = &local;
  (void)escape; /* the address is dead, and nobody looks */
}
#else
static inline void make_a_frame(void) {}
#endif

/* The pad puts entry's frame deeper than the one of make_a_frame. */
WEFT__UNINSTRUMENTED static __attribute__((noinline)) void call_entry(struct start *start) {
  char pad[512];
  __asm__ volatile("" : : "r"(pad) : "memory");
  start->entry(start->arg);
  weft__fatal("the entry function of a context returned");
}

WEFT__UNINSTRUMENTED static void begin_noted(void *arg) {
  struct start *start = arg;
  weft__note_begin(&start->notes);
  make_a_frame();
  call_entry(start);
  weft__fatal("the first function of a context returned");
}

static void *first_frame(weft__context *c, void *lo, size_t size, void (*entry)(void *arg),
                         void *arg) {
  weft__note_armed(&c->notes, lo, size);
  uintptr_t top = ((uintptr_t)lo + size) & ~(uintptr_t)15;
  struct start *start = (struct start *)((top - sizeof(struct start)) & ~(uintptr_t)15);
  *start = (struct start){.entry = entry, .arg = arg, .notes = c->notes};
  return weft__context_frame(lo, (size_t)((char *)start - (char *)lo), begin_noted, start);
}

WEFT__UNINSTRUMENTED void weft__context_switch(weft__context *from, weft__context *to) {
  weft__note_leave(&from->notes, &to->notes, false);
  weft__context_swap(&from->sp, to->sp);
  weft__note_arrive(&from->notes);
}

WEFT__UNINSTRUMENTED void weft__context_switch_apart(weft__context *from, weft__context *to) {
  weft__note_leave(&from->notes, &to->notes, true);
  weft__context_swap(&from->sp, to->sp);
  weft__note_arrive(&from->notes);
}

/* The frames of a context that ends: exit, entry, call_entry, begin_noted, and the bottom, whose
 * frame pointer is 0. A deeper exit would leave entries on the call stack that TSan keeps for the
 * fiber. */
WEFT__UNINSTRUMENTED static bool exits_from_entry(void *const *fp) {
  enum { CALLERS = 3 };
  for (int i = 0; i < CALLERS && fp != NULL; i++) fp = *fp;
  return !WEFT__SWITCH_ASM || (fp != NULL && *fp == NULL);
}

WEFT__UNINSTRUMENTED _Noreturn void weft__context_exit(weft__context *from, weft__context *to) {
  if (WEFT__TSAN) WEFT__ASSERT(exits_from_entry(__builtin_frame_address(0)));
  weft__note_end(&from->notes, &to->notes, false);
  weft__context_jump(to->sp);
}

WEFT__UNINSTRUMENTED _Noreturn void weft__context_exit_apart(weft__context *from,
                                                             weft__context *to) {
  weft__note_end(&from->notes, &to->notes, true);
  weft__context_jump(to->sp);
}

#else

static void *first_frame(weft__context *c, void *lo, size_t size, void (*entry)(void *arg),
                         void *arg) {
  (void)c;
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
  c->sp = first_frame(c, lo, size, entry, arg);
}

void weft__context_init_thread(weft__context *c) {
  c->sp = NULL;
#if WEFT__NOTES
  weft__note_thread(&c->notes);
#endif
}

WEFT__UNINSTRUMENTED void weft__context_fini(weft__context *c) {
#if WEFT__NOTES
  weft__note_fini(&c->notes);
#endif
  c->sp = NULL;
}
