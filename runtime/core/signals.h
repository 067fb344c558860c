/* Signals that the program listens to: taken from the system, and given to who has asked for them.
 *
 * The handler may be called on any thread, in the middle of anything: for each runtime that listens it
 * counts the signal and wakes the monitor, which passes it on. What it needs is in words that are changed
 * atomically; the rest is guarded by one lock of the process, which the handler never takes.
 *
 *   the handler:  inside + 1, finds the runtimes, notes, inside - 1
 *   the end of a runtime: takes itself away from where the handler looks, then waits for inside = 0
 *
 * The first who asks for a signal sets the handler, and what was there before comes back with the last
 * who gives it up, unless the program has put another handler there meanwhile: that one stays. In a child
 * made by fork nobody listens: the handler does what was there before.
 *
 * A simulation takes nothing from the system: there signals come from weft__signals_play.
 */
#ifndef WEFT_CORE_SIGNALS_H
#define WEFT_CORE_SIGNALS_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct weft__runtime;

/* Of a runtime. */
struct weft__signals {
  atomic_uint noted[64]; /* since the monitor looked, by number - 1. Raised before `any` */
  _Atomic(uint64_t)
      any;       /* bits of them. Both seq_cst, and not of the shim: a handler passes no points */
  unsigned subs; /* the lock of all subs */
};

/* Who listens. The listener's memory until it was removed, or dropped. */
struct weft__signal_sub {
  struct weft__list link;   /* the lock, as the next one */
  struct weft__runtime *rt; /* NULL once that has ended */
  uint64_t set;             /* constant; bit number - 1 */
  /* It came, so many times. By the runtime's monitor, under the lock. */
  void (*came)(struct weft__signal_sub *sub, int signo, unsigned times);
  /* The runtime ends: not registered any more, and not touched after this. Under the lock; or NULL. */
  void (*dropped)(struct weft__signal_sub *sub);
};

static inline uint64_t weft__signal_bit(int signo) {
  return UINT64_C(1) << (signo - 1);
}

/* 0; WEFT_EINVAL for what is no signal, WEFT_ENOTSUP for one that nobody can wait for: it cannot be caught,
 * or says that the program itself is broken. */
int weft__signal_check(int signo);

/* Listens from now on, for rt, which the caller is in. 0, or the error of the first signal of the set that
 * could not be taken; WEFT_ENOBUFS when too many runtimes listen. */
int weft__signals_add(struct weft__signal_sub *sub, struct weft__runtime *rt);

/* Listens no more; false when it did not. Any thread. */
bool weft__signals_remove(struct weft__signal_sub *sub);

/* Calls fn(sub, arg) under the lock for each that listens for rt; true when one of them said so. Then it goes
 * no further. */
bool weft__signals_find(struct weft__runtime *rt, bool (*fn)(struct weft__signal_sub *, void *),
                        void *arg);

/* By the monitor: passes on what was noted. */
void weft__signals_pass(struct weft__runtime *rt);

/* The runtime ends; its monitor passes nothing any more. */
void weft__signals_end(struct weft__runtime *rt);

/* The handler that was there before, if it is this one, will not be put back: the default is. */
void weft__signals_forget(int signo, void (*handler)(int));

/* A signal in the simulation that the caller is in: 0, or WEFT_ENOTSUP when nobody listens. */
int weft__signals_play(int signo);

#endif
