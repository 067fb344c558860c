/* What the process holds. Counted exactly: a round that leaves one block or one descriptor is found
 * after that round. */
#include <dirent.h>
#include <sched.h>

#include "base/memory.h"
#include "stress.h"

static int entries(const char *directory) {
  DIR *d = opendir(directory);
  int n = 0;
  if (!d) return -1;
  while (readdir(d)) n++;
  closedir(d);
  return n;
}

void stress_remains(struct stress_remains *ret, int threads) {
  struct weft__memory_stats m;
  ret->threads = entries("/proc/self/task");
  /* A thread that was joined is listed until the kernel is done with it. */
  for (int i = 0; i < 100000 && ret->threads > threads; i++) {
    sched_yield();
    ret->threads = entries("/proc/self/task");
  }
  weft__memory_stats(&m);
  ret->blocks = m.allocations - m.frees + m.uv_allocations - m.uv_frees;
  ret->bytes = m.live_bytes + m.uv_live_bytes;
  ret->descriptors = entries("/proc/self/fd");
}
