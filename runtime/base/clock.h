/* The clock: nanoseconds on CLOCK_MONOTONIC's scale, read from the CPU's time stamp counter.
 *
 * Where the kernel itself keeps time by an invariant TSC, a reading is counter * rate + offset, a
 * piecewise linear function of the counter that is continued every 20 ms from a fresh reading of
 * CLOCK_MONOTONIC (clock.c). Elsewhere, and for the first millisecond of a process, it is
 * clock_gettime. Measured on an EPYC guest: clock_gettime 24 ns, weft__now 19 to 23 ns,
 * weft__now_fast 10 ns; the difference is the fence that keeps a reading behind earlier loads.
 */
#ifndef WEFT_BASE_CLOCK_H
#define WEFT_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define WEFT__NS_PER_MS UINT64_C(1000000)
#define WEFT__NS_PER_SEC UINT64_C(1000000000)

/* Chooses the source; idempotent, any thread, also while others read the clock. Before it the clock
 * is clock_gettime. Takes about 30 us once per process (a file of sysfs, two trapping CPUIDs): a
 * thread that nobody waits for may do it. */
void weft__clock_init(void);

/* Now. Within 1 ms of CLOCK_MONOTONIC (in practice within a microsecond; for 20 ms after the
 * machine was suspended or moved, within 20 ms). Never backwards, also across threads: a reading
 * that happens after another one is not smaller. Never 0. Any thread; not in a signal handler. */
uint64_t weft__now(void);

/* The same clock without the fence: never backwards within a thread, but against a time that
 * another thread wrote it may be some hundred ns old (176 measured), so that "now - theirs" can be
 * negative: subtract with weft__elapsed. For deadlines, slices, traces. Any thread. */
uint64_t weft__now_fast(void);

/* now - since, or 0 when since is later. */
static inline uint64_t weft__elapsed(uint64_t since, uint64_t now) {
  return now > since ? now - since : 0;
}

/* "tsc", "clock_gettime" or "virtual": for statistics and tests. */
const char *weft__clock_source(void);

/* ---- the seam for simulations: any thread, but only while no other thread reads the clock ---- */

/* From now on the clock stands at ns and moves only by weft__clock_advance. */
void weft__clock_set_virtual(uint64_t ns);
void weft__clock_advance(uint64_t ns);
/* clock_gettime from now on, also where there is a counter. */
void weft__clock_set_system(void);
/* Back to what weft__clock_init found. The time may jump backwards here: nothing of the runtime may
 * be alive. */
void weft__clock_set_real(void);

#endif
