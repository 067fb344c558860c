#include "core/crash.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mutex.h"
#include "base/overflow.h"
#include "core/worker.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users; /* guarded by lock */

/* Signal-safe text: no printf, which may lock or use much stack. */
struct text {
  char buf[256];
  size_t len;
};

static void put(struct text *t, const char *s) {
  while (*s && t->len < sizeof t->buf - 1) t->buf[t->len++] = *s++;
}

static void put_number(struct text *t, uint64_t n, unsigned base) {
  char digits[24];
  size_t i = sizeof digits;
  digits[--i] = '\0';
  do {
    digits[--i] = "0123456789abcdef"[n % base];
    n /= base;
  } while (n);
  put(t, &digits[i]);
}

static void put_task(struct text *t, const struct weft__task *task) {
  /* Not through the shim: a signal handler passes no points. */
  const char *name = task ? atomic_load_explicit(&task->name.v, memory_order_relaxed) : NULL;
  if (!task) {
    put(t, "an unknown task");
  } else if (name) {
    put(t, "task '");
    put(t, name);
    put(t, "'");
  } else {
    put(t, "task running 0x");
    put_number(t, (uintptr_t)atomic_load_explicit(&task->fn.v, memory_order_relaxed), 16);
  }
}

static void on_overflow(const struct weft__overflow *o) {
  struct text t = {.len = 0};
  put(&t, o->by_owner ? "weft: stack overflow in "
                      : "weft: a stray write into the guard of a stack by ");
  const char *guest = o->stack->guest;
  if (guest) {
    put(&t, *guest ? "generator '" : "a generator");
    put(&t, guest);
    put(&t, *guest ? "' of " : " of ");
  }
  put_task(&t, weft__stack_task());
  put(&t, " (stack size ");
  put_number(&t, weft__stack_nominal(o->stack) / 1024, 10);
  put(&t, guest ? " KiB; .stack_size of its opening makes it larger)\n"
                : " KiB; .stack_size of its spawn makes it larger)\n");
  ssize_t r = write(STDERR_FILENO, t.buf, t.len);
  (void)r;
}

static void context(char *buf, size_t size) {
  struct text t = {.len = 0};
  if (weft__stack_task()) {
    put(&t, " in ");
    put_task(&t, weft__stack_task());
  }
  t.buf[t.len] = '\0';
  snprintf(buf, size, "%s", t.buf);
}

int weft__crash_begin(void) {
  int r = 0;
  weft__mutex_lock(&lock);
  if (users == 0) {
    r = weft__overflow_install(on_overflow);
    if (r == 0) weft__fatal_set_context(context);
  }
  if (r == 0) users++;
  weft__mutex_unlock(&lock);
  return r;
}

void weft__crash_end(void) {
  weft__mutex_lock(&lock);
  if (--users == 0) {
    weft__fatal_set_context(NULL);
    weft__overflow_uninstall();
  }
  weft__mutex_unlock(&lock);
}
