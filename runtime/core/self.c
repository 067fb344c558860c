#include "core/self.h"

#include <pthread.h>
#include <stddef.h>

#include <weft/errors.h>

#include "base/annotate.h"
#include "base/atomics.h"
#include "core/debug.h"
#include "core/worker.h"

__thread struct weft__worker *weft__tls_worker;

/* 1 in a child made by fork while a runtime ran in the parent. Written by the fork handler, when the
 * process has one thread; relaxed is enough. */
static weft__atomic_u32 in_child;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;

#if !(defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__))
/* Out of line, so that no caller can keep the thread-local's address across a suspension. */
__attribute__((noinline)) struct weft__worker *weft__self(void) {
  __asm__ volatile("" ::: "memory");
  return weft__tls_worker;
}
#endif

/* Simulated threads take turns with the thread-local: no race. */
WEFT__UNINSTRUMENTED __attribute__((noinline)) void weft__self_set(struct weft__worker *w) {
  weft__tls_worker = w;
}

struct weft__task *weft__current_task(void) {
  struct weft__worker *w = weft__self();
  return w ? w->current : NULL;
}

struct weft__task *weft__stack_task(void) {
  struct weft__worker *w = weft__self();
  return !w ? NULL : w->current ? w->current : w->behind;
}

bool weft__in_child(void) {
  return weft__load_relaxed_u32(&in_child) != 0;
}

/* The child has one thread and none of the workers, so the runtime cannot work in it. Only a thread
 * of the runtime, or one beside a running one, makes such a child. */
static void fork_child(void) {
  if (!weft__tls_worker && !weft__runtime_any()) return;
  weft__tls_worker = NULL;
  weft__store_relaxed_u32(&in_child, 1);
}

static void register_handler(void) {
  once_result = pthread_atfork(NULL, NULL, fork_child) == 0 ? 0 : WEFT_ENOMEM;
}

int weft__self_init(void) {
  pthread_once(&once, register_handler);
  return once_result;
}

int weft__not_in_task(void) {
  return weft__in_child() ? WEFT_ECHILD : WEFT_ENOTASK;
}

int weft__no_task_at(const char *function, const void *site) {
  int r = weft__not_in_task();
  if (weft__unlikely(weft__debug_any()) && r == WEFT_ENOTASK)
    weft__debug_wrong_thread(function, site);
  return r;
}
