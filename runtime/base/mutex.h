/* The runtime's mutexes: pthread's, but one that a simulated thread holds must not stop the thread of the
 * system that plays them all (sim.h). Default attributes; never held across a suspension. */
#ifndef WEFT_BASE_MUTEX_H
#define WEFT_BASE_MUTEX_H

#include <pthread.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/sim.h"

static inline void weft__mutex_lock(pthread_mutex_t *m) {
  if (weft__unlikely(weft__sim_here())) {
    while (pthread_mutex_trylock(m) != 0) weft__cpu_relax();
    return;
  }
  pthread_mutex_lock(m);
}

static inline void weft__mutex_unlock(pthread_mutex_t *m) {
  pthread_mutex_unlock(m);
}

#endif
