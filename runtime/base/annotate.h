/* What the memory and race checkers must be told about stacks and switches. The only header that
 * talks to AddressSanitizer (with LeakSanitizer), ThreadSanitizer and valgrind; in a build for none
 * of them every function here is empty and struct weft__notes does not exist.
 *
 * What each tool would get wrong, and what it is told:
 *   ASan      checks accesses against the bounds of the current stack and keeps address-taken
 *             locals on a "fake stack" of the thread: it gets the bounds of the stack that is
 *             entered, and gives out the fake stack of the one that is left.
 *   LSan      looks for pointers in registers and thread stacks only: stacks in use and the fake
 *             stacks of suspended contexts are root regions.
 *   TSan      keeps a call stack and a clock per thread: each context has one of its own (a
 *             "fiber"). Creating one costs 40 us and 27 KiB, so it lives as long as the stack.
 *   valgrind  takes a large change of the stack pointer for a large frame: it gets the bounds.
 *
 * The functions that stand around a switch must run outside instrumented code, or the tools would
 * account their own entry and exit to two different contexts: they are always inlined into
 * functions marked WEFT__UNINSTRUMENTED (context.c).
 */
#ifndef WEFT_BASE_ANNOTATE_H
#define WEFT_BASE_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define WEFT__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT__ASAN 1
#endif
#endif
#ifndef WEFT__ASAN
#define WEFT__ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define WEFT__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT__TSAN 1
#endif
#endif
#ifndef WEFT__TSAN
#define WEFT__TSAN 0
#endif

#if defined(WEFT_VALGRIND) && WEFT_VALGRIND
#define WEFT__MEMCHECK 1
#else
#define WEFT__MEMCHECK 0
#endif

/* Whether a switch has to be announced at all. */
#define WEFT__NOTES (WEFT__ASAN || WEFT__TSAN)

#if WEFT__ASAN
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if WEFT__TSAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/tsan_interface.h>
/* Of sanitizer/linux_syscall_hooks.h, which gcc lacks. */
void __sanitizer_syscall_pre_impl_close(long fd);
/* What the compilers call at the end of a function; no header has it. It takes no argument, but
 * gcc believes otherwise. */
#if defined(__clang__)
void __tsan_func_exit(void);
#else
void __tsan_func_exit(void *);
#define __tsan_func_exit() __tsan_func_exit(NULL)
#endif
#endif
#if WEFT__MEMCHECK
#include <valgrind/valgrind.h>
#endif

/* No instrumentation of the body, none at entry and exit either. */
#if defined(__clang__)
#define WEFT__UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
#elif defined(__GNUC__) && WEFT__NOTES
#define WEFT__UNINSTRUMENTED                                                                       \
  __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))
#else
#define WEFT__UNINSTRUMENTED
#endif

/* What the announcements of a stack that holds one context need. Touched by the thread that runs
 * the context, or that resumes or re-arms it. */
#if WEFT__NOTES
struct weft__notes {
#if WEFT__ASAN
  const void *lo; /* bounds of the stack */
  size_t size;
  void *fake;      /* the fake stack, while the context is suspended or has ended */
  void *fake_root; /* the fake stack that LSan was told of, or NULL */
  size_t fake_size;
#endif
#if WEFT__TSAN
  void *fiber;
  bool own_fiber; /* made here, as opposed to the thread's */
#endif
};
#endif

/* ---- descriptors ---- */

/* fd is about to be closed where TSan does not see it: in a libuv that was not built for it. Untold,
 * TSan takes who opens the same number next, on another thread, for one who races with who had it. */
static inline void weft__note_close(int fd) {
#if WEFT__TSAN
  if (fd >= 0) __sanitizer_syscall_pre_impl_close(fd);
#endif
  (void)fd;
}

/* What was done before a descriptor was put into a poll set, or asked for again, happens before what its
 * events make others do. TSan knows that of some of the calls only. */
static inline void weft__note_poll_asked(void *set) {
#if WEFT__TSAN
  __tsan_release(set);
#endif
  (void)set;
}
static inline void weft__note_poll_told(void *set) {
#if WEFT__TSAN
  __tsan_acquire(set);
#endif
  (void)set;
}

/* ---- stacks: [lo, lo + size) ---- */

/* The stack exists from now on. Returns what weft__note_unmapped wants. */
static inline unsigned weft__note_mapped(void *lo, size_t size) {
#if WEFT__MEMCHECK
  return VALGRIND_STACK_REGISTER(lo, (char *)lo + size);
#else
  (void)lo;
  (void)size;
  return 0;
#endif
}

/* The memory of the stack is about to go: nothing about it may survive. */
static inline void weft__note_unmapped(unsigned id, void *lo, size_t size) {
#if WEFT__MEMCHECK
  VALGRIND_STACK_DEREGISTER(id);
#endif
#if WEFT__ASAN
  __asan_unpoison_memory_region(lo, size);
#endif
  (void)id;
  (void)lo;
  (void)size;
}

/* The stack leaves the pool: what lies on it may be the only pointer to something. */
static inline void weft__note_taken(void *lo, size_t size) {
#if WEFT__ASAN
  __lsan_register_root_region(lo, size);
#else
  (void)lo;
  (void)size;
#endif
}

/* The stack comes back: what still lies on it is dead. */
static inline void weft__note_given(void *lo, size_t size) {
#if WEFT__ASAN
  __lsan_unregister_root_region(lo, size);
#else
  (void)lo;
  (void)size;
#endif
}

/* Called when a tool ends the process after its report. */
static inline void weft__note_death(void (*fn)(void)) {
#if WEFT__NOTES
  __sanitizer_set_death_callback(fn);
#else
  (void)fn;
#endif
}

#if WEFT__NOTES

/* ---- contexts ---- */

/* The context will begin anew on this stack. What is zero in n is made, what exists is kept: TSan's
 * fiber, and ASan's fake stack, which takes 0.1 ms to make. */
static inline void weft__note_armed(struct weft__notes *n, const void *lo, size_t size) {
#if WEFT__ASAN
  n->lo = lo;
  n->size = size;
#endif
#if WEFT__TSAN
  if (n->fiber == NULL) {
    n->fiber = __tsan_create_fiber(0);
    n->own_fiber = true;
  }
  (void)lo;
  (void)size;
#endif
}

/* n describes the calling thread on its own stack. */
static inline void weft__note_thread(struct weft__notes *n) {
  *n = (struct weft__notes){0};
#if WEFT__ASAN
  pthread_attr_t attr;
  void *lo = NULL;
  if (pthread_getattr_np(pthread_self(), &attr) == 0) {
    pthread_attr_getstack(&attr, &lo, &n->size);
    pthread_attr_destroy(&attr);
  }
  n->lo = lo;
#endif
#if WEFT__TSAN
  n->fiber = __tsan_get_current_fiber();
#endif
}

#if WEFT__ASAN
/* LSan scans the fake stack of the context that a thread runs, not the one that was set aside. The
 * size of a fake stack is the tool's secret: this is the layout of compiler-rt and libsanitizer, 11
 * size classes, each as large as the stack rounded up to a power of two between 64 KiB and 1 MiB,
 * 1/32 of that for flags, and a page. Too little would miss a pointer; LSan itself leaves out what
 * is not mapped. */
static inline void weft__note_fake_unroot(struct weft__notes *n) {
  if (n->fake_root != NULL) __lsan_unregister_root_region(n->fake_root, n->fake_size);
  n->fake_root = NULL;
}

static inline void weft__note_fake_root(struct weft__notes *n) {
  if (n->fake_root == n->fake) return;
  weft__note_fake_unroot(n);
  if (n->fake == NULL) return;
  size_t room = (size_t)64 << 10;
  while (room < n->size && room < (size_t)1 << 20) room *= 2;
  n->fake_root = n->fake;
  n->fake_size = 11 * room + room / 32 + 4096;
  __lsan_register_root_region(n->fake, n->fake_size);
}
#endif

/* The next thing that happens is the change of the stack pointer from one to the other. Apart: for
 * TSan the switch orders nothing. */
static inline __attribute__((always_inline)) void
weft__note_leave(struct weft__notes *from, struct weft__notes *to, bool apart) {
#if WEFT__ASAN
  __sanitizer_start_switch_fiber(&from->fake, to->lo, to->size);
  weft__note_fake_root(from);
#endif
#if WEFT__TSAN
  (void)from;
  __tsan_switch_to_fiber(to->fiber, apart ? __tsan_switch_to_fiber_no_sync : 0);
#endif
  (void)apart;
}

/* The stack pointer has just changed, to where me was left. */
static inline __attribute__((always_inline)) void weft__note_arrive(struct weft__notes *me) {
#if WEFT__ASAN
  __sanitizer_finish_switch_fiber(me->fake, NULL, NULL);
  me->fake = NULL; /* the thread's again */
#else
  (void)me;
#endif
}

/* The stack pointer has just changed, to the beginning of a context that was armed with these
 * notes. */
static inline __attribute__((always_inline)) void
weft__note_begin(const struct weft__notes *armed) {
#if WEFT__ASAN
  __sanitizer_finish_switch_fiber(armed->fake, NULL, NULL);
  /* Frames of an earlier context did not return; the next one here that is made lets them go. */
  __asan_handle_no_return();
#else
  (void)armed;
#endif
}

/* As weft__note_leave, but nobody will come back: what the frames from here to the top of the stack
 * have poisoned is clean for the next context, and what the fake stack still holds keeps nothing
 * alive. The call stack that TSan keeps must be empty again, as the fiber is used again: the one
 * open entry is that of the context's entry function. Apart: the switch orders nothing, and the entry
 * function is not instrumented. */
static inline __attribute__((always_inline)) void
weft__note_end(struct weft__notes *from, struct weft__notes *to, bool apart) {
#if WEFT__ASAN
  const char *here = __builtin_frame_address(0);
  __asan_unpoison_memory_region(here, (size_t)((const char *)from->lo + from->size - here));
  weft__note_fake_unroot(from);
  __sanitizer_start_switch_fiber(&from->fake, to->lo, to->size);
#endif
#if WEFT__TSAN
  (void)from;
  if (!apart) __tsan_func_exit();
  __tsan_switch_to_fiber(to->fiber, apart ? __tsan_switch_to_fiber_no_sync : 0);
#endif
  (void)apart;
}

/* The context will not run again. It may be suspended, but not running. ASan frees a fake stack only
 * for a thread that leaves it for good, so this one is entered and left; nothing runs on it. */
static inline __attribute__((always_inline)) void weft__note_fini(struct weft__notes *n) {
#if WEFT__ASAN
  weft__note_fake_unroot(n);
  if (n->fake != NULL) {
    void *mine;
    const void *lo;
    size_t size;
    __sanitizer_start_switch_fiber(&mine, n->lo, n->size);
    __sanitizer_finish_switch_fiber(n->fake, &lo, &size);
    __sanitizer_start_switch_fiber(NULL, lo, size);
    __sanitizer_finish_switch_fiber(mine, NULL, NULL);
  }
#endif
#if WEFT__TSAN
  if (n->own_fiber) __tsan_destroy_fiber(n->fiber);
#endif
  *n = (struct weft__notes){0};
}

#endif /* WEFT__NOTES */

#endif
