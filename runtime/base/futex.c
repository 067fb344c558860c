/* Deadlines of the clock as the kernel takes them. */
#include "base/futex.h"

#include <limits.h>
#include <time.h>

#include "base/clock.h"
#include "base/sys.h"

int weft__futex_wait(weft__atomic_u32 *word, uint32_t expected, uint64_t deadline) {
  if (deadline == WEFT__FUTEX_FOREVER) return weft__sys_futex_wait(word, expected, NULL);
  const struct timespec abs = {
      .tv_sec = (time_t)(deadline / WEFT__NS_PER_SEC),
      .tv_nsec = (long)(deadline % WEFT__NS_PER_SEC),
  };
  return weft__sys_futex_wait(word, expected, &abs);
}

int weft__futex_wake(weft__atomic_u32 *word, unsigned n) {
  return weft__sys_futex_wake(word, n > INT_MAX ? INT_MAX : (int)n);
}
