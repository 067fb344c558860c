/* Time in nanoseconds.
 *
 * weft counts time in signed 64-bit nanoseconds (292 years). A bare number never says its unit, so
 * write weft_ms(20), not 20000000. Sleeping and deadlines have nanosecond resolution and are never
 * early; how late they are is up to the load and the kernel.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <stdint.h>

#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* A duration or, where a header says so, a point in time on the clock of weft_now. */
typedef int64_t weft_ns;

/* No limit: a wait of this length, or up to this point in time, never ends by itself. */
#define WEFT_FOREVER INT64_MAX

/* n units in nanoseconds. What does not fit becomes WEFT_FOREVER, or INT64_MIN when negative.
 * [any thread] [never suspends] */
static inline weft_ns weft__time_scale(int64_t n, int64_t unit) {
  if (n > INT64_MAX / unit) return WEFT_FOREVER;
  if (n < INT64_MIN / unit) return INT64_MIN;
  return n * unit;
}
static inline weft_ns weft_us(int64_t n) {
  return weft__time_scale(n, 1000);
}
static inline weft_ns weft_ms(int64_t n) {
  return weft__time_scale(n, 1000000);
}
static inline weft_ns weft_sec(int64_t n) {
  return weft__time_scale(n, 1000000000);
}

/* The time on weft's clock: nanoseconds since a fixed point in the past (the boot of the machine),
 * as CLOCK_MONOTONIC counts them and never more than 1 ms away from it (20 ms just after the
 * machine was suspended). It never goes backwards, also between threads: what happened later has a
 * time that is not smaller. Callable before weft_run, after it and in a child made by fork; not
 * from a signal handler.
 * asyncio counterpart: loop.time().
 * [any thread] [never suspends] */
weft_ns weft_now(void);

WEFT_END_DECLS

#endif
