/* The child: arms the fault, runs the scenario, runs it once more with no fault about, and counts
 * what is left. The process is fresh, so the fault also meets what is made once for a process. */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

/* ---- mappings, as the runtime makes them ---- */

static _Atomic(uint64_t) mapped;

static int tallied_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off,
                        void **ret) {
  int r = weft__sys_real.mmap(addr, len, prot, flags, fd, off, ret);
  if (r == 0) atomic_fetch_add(&mapped, len);
  return r;
}

static int tallied_munmap(void *addr, size_t len) {
  int r = weft__sys_real.munmap(addr, len);
  if (r == 0) atomic_fetch_sub(&mapped, len);
  return r;
}

/* A simulation has a table of its own: nothing is tallied from the first one on. */
static void tally_mappings(void) {
  static struct weft__sys_table table;
  table = weft__sys_real;
  table.mmap = tallied_mmap;
  table.munmap = tallied_munmap;
  weft__sys_install(&table);
}

/* ---- what is left ---- */

static uint64_t count_descriptors(void) {
  uint64_t n = 0;
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) abort();
  for (struct dirent *e; (e = readdir(dir)) != NULL;) n += e->d_name[0] != '.';
  closedir(dir);
  return n - 1; /* the directory's own */
}

static void take_stock(struct residue *ret) {
  struct weft__memory_stats m;
  weft__memory_stats(&m);
  *ret = (struct residue){.own_blocks = m.allocations - m.frees,
                          .own_bytes = m.live_bytes,
                          .uv_blocks = m.uv_allocations - m.uv_frees,
                          .uv_bytes = m.uv_live_bytes,
                          .mapped_bytes = atomic_load(&mapped),
                          .descriptors = count_descriptors()};
}

static void compare(const struct residue *got, const struct residue *want, const struct point *p,
                    struct report *r) {
  /* A mapping that could not be unmapped is still there. */
  bool unmap_failed = p->kind == POINT_CALL && p->call == WEFT__SYS_munmap;
  const struct {
    const char *what;
    uint64_t got, want;
  } rows[] = {
      {"blocks of the runtime", got->own_blocks, want->own_blocks},
      {"bytes of the runtime", got->own_bytes, want->own_bytes},
      {"blocks of libuv", got->uv_blocks, want->uv_blocks},
      {"bytes of libuv", got->uv_bytes, want->uv_bytes},
      {"descriptors", got->descriptors, want->descriptors},
      {"bytes mapped", unmap_failed ? 0 : got->mapped_bytes, unmap_failed ? 0 : want->mapped_bytes},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (rows[i].got == rows[i].want) continue;
    r->leak = true;
    snprintf(r->text, sizeof r->text, "%lld %s are left, %lld when nothing fails",
             (long long)rows[i].got, rows[i].what, (long long)rows[i].want);
    return;
  }
}

/* ---- the run ---- */

static void run_once(const struct scenario *s, int error, bool faults, struct report *r) {
  bool lost;
  scene_begin(error, faults);
  s->run();
  if (r->text[0] != '\0') return;
  const char *wrong = scene_end(&lost);
  if (!wrong) return;
  snprintf(r->text, sizeof r->text, "%s%s", faults ? "" : "afterwards: ", wrong);
  r->lost = lost;
}

/* Processes of a pool that has lost its zygote end by themselves; here they come to be known. One
 * that does not end is a hang. */
static void wait_for_strays(void) {
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue;
}

_Noreturn void child_main(const struct scenario *s, const struct point *p,
                          const struct residue *expected, struct report *r, void *shared) {
  (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  tally_mappings();
  weft__sys_share(shared);
  point_arm(p);
  run_once(s, point_error(p), p->kind != POINT_NONE, r);
  r->reached = point_disarm(p, &r->counts);
  r->strayed = scene_strayed();
  run_once(s, 0, false, r);
  wait_for_strays();
  take_stock(&r->residue);
  if (expected && r->text[0] == '\0') compare(&r->residue, expected, p, r);
  r->finished = true;
  exit(0); /* through the exit handlers: LeakSanitizer's is one */
}
