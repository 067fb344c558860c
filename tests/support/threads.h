/* Threads of a test's own, which are simulated where the runtime's are.
 *
 * Who wants a thread takes weft__sys_thread_create and _join (base/sys.h): inside a simulated run that
 * is a simulated thread. In a loop in which such a thread, or a task that does not suspend, waits for
 * another one there must be a weft_sim_point(), or a weft_sim_work() if it may last. A simulated
 * thread that has not ended with the run never goes on, and cannot be joined after it: thread_join.
 */
#ifndef WEFT_TEST_THREADS_H
#define WEFT_TEST_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <weft.h>

#include "base/futex.h"
#include "base/sim.h"
#include "counts.h"
#include "latch.h"

/* Which thread the caller is on; never 0. */
static inline long thread_id(void) {
  return weft_simulated() ? (long)weft__sim_thread_number() + 1 : syscall(SYS_gettid);
}

/* Joins a thread that was made inside a run, after the run. */
static inline void thread_join(pthread_t thread) {
  if (!counts_simulated()) pthread_join(thread, NULL);
}

/* Computes for so long. */
static inline void burn_ns(weft_ns ns) {
  if (weft_simulated()) {
    weft_sim_work(ns);
    return;
  }
  weft_ns until = weft_now() + ns;
  while (weft_now() < until) {}
}

/* A gate blocks a thread in the kernel, as a slow call would: it does not burn its CPU. */
struct gate {
  struct latch blocked;
  weft__atomic_u32 open; /* release in gate_open, acquire by who passes */
};

static inline void gate_open(struct gate *g) {
  weft__store_release_u32(&g->open, 1);
  weft__futex_wake(&g->open, UINT32_MAX / 2);
}

/* A job for weft_to_thread. */
static inline int block_at_gate(void *arg) {
  struct gate *g = arg;
  latch_hit(&g->blocked);
  while (weft__load_acquire_u32(&g->open) == 0) weft__futex_wait(&g->open, 0, WEFT__FUTEX_FOREVER);
  return 3;
}

#endif
