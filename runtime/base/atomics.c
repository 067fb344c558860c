/* The process-wide half of the asymmetric fence; see atomics.h for the contract. */
#include "base/atomics.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

/* False until weft__fence_init() succeeds, so that fences used before it are full ones. */
bool weft__fence_asymmetric;

#if WEFT__TSAN
weft__atomic_u32 weft__fence_word;
#endif

static long membarrier(int command) {
  return syscall(SYS_membarrier, command, 0, 0);
}

void weft__fence_init(void) {
#if WEFT__TSAN
  weft__fence_asymmetric = false; /* TSan sees no edge through membarrier */
#else
  weft__fence_asymmetric = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
#endif
}

void weft__fence_use_full(void) {
  weft__fence_asymmetric = false;
}

void weft__fence_heavy(void) {
  if (!weft__fence_asymmetric) {
    weft__fence_full();
    return;
  }
  /* A registered process is never refused; going on without the barrier would lose a task. */
  long rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  WEFT__ASSERT(rc == 0);
}
