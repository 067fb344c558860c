/* libweft-debug: which pthread mutexes and rwlocks each thread holds, and where it took them.
 *
 * The library stands between the program and the C library (it is linked before it, or preloaded): each
 * call is passed on, and what was taken is noted in the thread's own list. The debug mode of a runtime
 * finds weft_debug_held_locks by name and asks it when a task leaves its thread. It shares no code with
 * libweft and knows nothing of tasks.
 *
 * What a condition variable takes back after its wait was noted when it was taken first. A thread that
 * gives back what another one took (which is undefined for a mutex) changes nothing in the list of the
 * other.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "insight/held.h"

enum { KEPT = 32 }; /* more at a time are not noted */

static __thread struct {
  unsigned n;
  struct weft__held_lock held[KEPT];
} mine __attribute__((tls_model("initial-exec")));

#define EXPORTED __attribute__((visibility("default")))

static void note(const void *lock, const char *kind, const void *site) {
  if (mine.n == KEPT) return;
  mine.held[mine.n++] = (struct weft__held_lock){lock, site, kind};
}

static void forget(const void *lock) {
  unsigned i = mine.n;
  while (i > 0 && mine.held[i - 1].lock != lock) i--;
  if (i == 0) return;
  memmove(&mine.held[i - 1], &mine.held[i], (mine.n - i) * sizeof mine.held[0]);
  mine.n--;
}

/* Looked up at the first call, which may come before any constructor of this library has run. */
static void *next_of(_Atomic(void *) *slot, const char *name) {
  void *fn = atomic_load_explicit(slot, memory_order_relaxed);
  if (fn) return fn;
  fn = dlsym(RTLD_NEXT, name);
  atomic_store_explicit(slot, fn, memory_order_relaxed);
  return fn;
}

/* Defines the function that stands in for `name`. ISO C knows no way from a void pointer to a function. */
#define PASS_ON(name, parameters, arguments, result)                                               \
  static _Atomic(void *) slot;                                                                     \
  int(*next) parameters;                                                                           \
  void *found = next_of(&slot, #name);                                                             \
  memcpy(&next, &found, sizeof next);                                                              \
  int result = next arguments

/* EOWNERDEAD: taken, from a process that died with it. */
#define TAKES(name, kind, parameters, arguments)                                                   \
  EXPORTED int name parameters {                                                                   \
    PASS_ON(name, parameters, arguments, r);                                                       \
    if (r == 0 || r == EOWNERDEAD) note(lock, kind, __builtin_return_address(0));                  \
    return r;                                                                                      \
  }

#define GIVES_BACK(name, type)                                                                     \
  EXPORTED int name(type *lock) {                                                                  \
    PASS_ON(name, (type *), (lock), r);                                                            \
    if (r == 0) forget(lock);                                                                      \
    return r;                                                                                      \
  }

#define UNTIL const struct timespec *until
typedef pthread_mutex_t mutex;
typedef pthread_rwlock_t rwlock;

TAKES(pthread_mutex_lock, "mutex", (mutex * lock), (lock))
TAKES(pthread_mutex_trylock, "mutex", (mutex * lock), (lock))
TAKES(pthread_mutex_timedlock, "mutex", (mutex * lock, UNTIL), (lock, until))
TAKES(pthread_mutex_clocklock, "mutex", (mutex * lock, clockid_t clock, UNTIL),
      (lock, clock, until))
GIVES_BACK(pthread_mutex_unlock, mutex)

TAKES(pthread_rwlock_rdlock, "rwlock", (rwlock * lock), (lock))
TAKES(pthread_rwlock_wrlock, "rwlock", (rwlock * lock), (lock))
TAKES(pthread_rwlock_tryrdlock, "rwlock", (rwlock * lock), (lock))
TAKES(pthread_rwlock_trywrlock, "rwlock", (rwlock * lock), (lock))
TAKES(pthread_rwlock_timedrdlock, "rwlock", (rwlock * lock, UNTIL), (lock, until))
TAKES(pthread_rwlock_timedwrlock, "rwlock", (rwlock * lock, UNTIL), (lock, until))
GIVES_BACK(pthread_rwlock_unlock, rwlock)

EXPORTED unsigned weft_debug_held_locks(struct weft__held_lock *out, unsigned max);
unsigned weft_debug_held_locks(struct weft__held_lock *out, unsigned max) {
  unsigned n = mine.n < max ? mine.n : max;
  for (unsigned i = 0; i < n; i++) out[i] = mine.held[mine.n - 1 - i];
  mine.n = 0;
  return n;
}
