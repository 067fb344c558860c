/* Waiting for a state of another task or thread, without sleeping.
 *
 * A latch counts events. Whoever reaches a state hits it; whoever needs the state waits until the
 * count is there. In a task that is done by yielding, so one worker is enough; on a thread outside
 * the runtime by giving up the CPU.
 */
#ifndef WEFT_TEST_LATCH_H
#define WEFT_TEST_LATCH_H

#include <sched.h>
#include <stdatomic.h>
#include <weft/errors.h>
#include <weft/sim.h>
#include <weft/task.h>

/* Valid when zeroed. */
struct latch {
  atomic_int hits; /* seq_cst: what was written before a hit is seen by who waited for it */
};

static inline void latch_hit(struct latch *l) {
  atomic_fetch_add(&l->hits, 1);
}

static inline int latch_hits(struct latch *l) {
  return atomic_load(&l->hits);
}

/* A round of waiting in a task: 0, or what weft_yield answers to a cancelled task. Yields take no time
 * to speak of in a simulation, so there every 32nd round is a long one. */
static inline int latch_turn(int *rounds) {
  if (++*rounds % 32 == 0) weft_sim_work(weft_us(500));
  return weft_yield();
}

/* Waits in a task until there were n hits; 0, or what weft_yield answers to a cancelled task. */
static inline int latch_wait(struct latch *l, int n) {
  int r = 0, rounds = 0;
  while (latch_hits(l) < n && (r = latch_turn(&rounds)) == 0) {}
  return r;
}

/* A round of waiting on a thread outside the runtime. */
static inline void latch_turn_thread(void) {
  if (weft_simulated())
    weft_sim_work(weft_us(20));
  else
    sched_yield();
}

/* Waits on a thread outside the runtime. */
static inline void latch_wait_thread(struct latch *l, int n) {
  while (latch_hits(l) < n) latch_turn_thread();
}

#endif
