/* Sleeping on a word, with deadlines on the clock of base/clock.h.
 *
 * The kernel counts deadlines on CLOCK_MONOTONIC and the clock is within a microsecond of it, so a
 * wait may end that much before its deadline by the clock: who must not be early looks at the clock
 * again. Wake-ups may be spurious.
 */
#ifndef WEFT_BASE_FUTEX_H
#define WEFT_BASE_FUTEX_H

#include <stdint.h>

#include "base/atomics.h"

#define WEFT__FUTEX_FOREVER UINT64_MAX

/* Sleeps while *word is expected, at most until deadline. 0 when woken, WEFT_EAGAIN when the word
 * differed, WEFT_ETIMEDOUT, or WEFT_EINTR after a signal. The comparison and the going to sleep are
 * one step for the kernel: a change of the word followed by weft__futex_wake is never missed. */
int weft__futex_wait(weft__atomic_u32 *word, uint32_t expected, uint64_t deadline);

/* Wakes at most n sleepers (n >= 1); returns how many, or a negative code. */
int weft__futex_wake(weft__atomic_u32 *word, unsigned n);

#endif
