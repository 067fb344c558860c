/* Plain threads beside a round that compete for the CPUs, some of them tied to one. */
#include <sched.h>

#include "base/choice.h"
#include "stress.h"

static void *compute(void *arg) {
  struct stress_hogs *h = arg;
  uint64_t x = 1;
  while (!atomic_load_explicit(&h->stop, memory_order_relaxed))
    for (volatile int i = 0; i < 1000; i++) x = x * 6364136223846793005u + 1;
  return (void *)(uintptr_t)(x & 1);
}

/* One of the CPUs that the process may use; a thread that cannot be tied runs anywhere. */
static void pin(pthread_t thread, uint32_t choice) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  int count = CPU_COUNT(&all);
  int skip = count > 0 ? (int)(choice % (uint32_t)count) : -1;
  CPU_ZERO(&one);
  for (size_t i = 0; i < CPU_SETSIZE && skip >= 0; i++)
    if (CPU_ISSET(i, &all) && skip-- == 0) CPU_SET(i, &one);
  if (CPU_COUNT(&one) == 1) pthread_setaffinity_np(thread, sizeof one, &one);
}

void stress_hogs_start(struct stress_hogs *h, unsigned n, struct weft__rng *rng) {
  h->n = n;
  h->thread = stress_alloc(n + 1, sizeof *h->thread);
  atomic_store_explicit(&h->stop, false, memory_order_relaxed);
  for (unsigned i = 0; i < n; i++) {
    h->thread[i] = stress_thread(compute, h);
    if (stress_one_in(rng, 2)) pin(h->thread[i], stress_draw(rng, 1024));
  }
}

void stress_hogs_stop(struct stress_hogs *h) {
  atomic_store_explicit(&h->stop, true, memory_order_relaxed);
  for (unsigned i = 0; i < h->n; i++) pthread_join(h->thread[i], NULL);
  free(h->thread);
}
