/* The process-wide half of the asymmetric fence; see atomics.h for the contract. */
#include "base/atomics.h"

#include <linux/membarrier.h>

#include "base/check.h"
#include "base/sys.h"

/* False until weft__fence_init() succeeds, so that fences used before it are full ones. */
bool weft__fence_asymmetric;

#if WEFT__TSAN
weft__atomic_u32 weft__fence_word;
#endif

void weft__fence_init(void) {
#if WEFT__TSAN
  weft__fence_asymmetric = false; /* TSan sees no edge through membarrier */
#else
  weft__fence_asymmetric =
      weft__sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0;
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
  /* A registered process is refused only when the kernel lacks memory for the set of CPUs; the
   * barrier of all of them takes milliseconds instead and needs none. Going on without any would
   * lose a task. */
  int r = weft__sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
  if (r < 0) r = weft__sys_membarrier(MEMBARRIER_CMD_GLOBAL, 0);
  WEFT__ASSERT(r == 0);
}
