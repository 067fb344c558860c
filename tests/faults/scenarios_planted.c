/* Scenarios with a defect on their way out of a failure: the harness has to see each. The name
 * begins with the verdict. Their second allocation is the one that fails. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/sys.h"
#include "counts.h"
#include "scene.h"

static void *get(void) {
  return weft__alloc(100);
}

/* True when the second allocation failed; then *ret is what the first one gave. */
static bool fails(void **ret) {
  void *first = get();
  void *second = first ? get() : NULL;
  STEP(second ? 0 : WEFT_ENOMEM, 0, WEFT_ENOMEM);
  weft__free(second);
  if (!second && first) {
    *ret = first;
    return true;
  }
  weft__free(first);
  return false;
}

static void leak_block(void) {
  void *p;
  (void)fails(&p);
}

static void leak_descriptor(void) {
  void *p;
  if (!fails(&p)) return;
  weft__free(p);
  (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void leak_mapping(void) {
  void *p, *lo;
  if (!fails(&p)) return;
  weft__free(p);
  (void)weft__sys_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &lo);
}

#if COUNTS_ASAN
/* Not through the seam: only LeakSanitizer sees it. */
static void leak_unseen(void) {
  void *p;
  if (!fails(&p)) return;
  weft__free(p);
  char *volatile lost = malloc(100);
  HOLDS(lost != NULL);
  lost = NULL;
}
#endif

static void crash_null(void) {
  void *p;
  if (!fails(&p)) return;
  weft__free(p);
  *(volatile int *)NULL = 1;
}

static void crash_abort(void) {
  void *p;
  if (fails(&p)) abort();
}

static void crash_exit(void) {
  void *p;
  if (fails(&p)) _exit(0);
}

static void hang(void) {
  void *p;
  if (!fails(&p)) return;
  for (;;) pause();
}

static void hang_process(void) {
  void *p;
  if (!fails(&p)) return;
  weft__free(p);
  if (fork() == 0)
    for (;;) pause();
}

static void lost_task(void) {
  void *p;
  scene_enter();
  if (fails(&p))
    weft__free(p);
  else
    scene_leave(0);
}

static void wrong_code(void) {
  void *p;
  if (!fails(&p)) return;
  weft__free(p);
  STEP(WEFT_EXDEV, 0, WEFT_ENOMEM);
}

static void wrong_output(void) {
  void *p;
  bool failed = fails(&p);
  if (failed) weft__free(p);
  HOLDS(!failed);
}

/* Not usable afterwards. */
static bool broken;

static void wrong_afterwards(void) {
  void *p;
  STEP(broken ? WEFT_ENOMEM : 0, 0, WEFT_ENOMEM);
  if (!fails(&p)) return;
  weft__free(p);
  broken = true;
}

const struct scenario weft_faults_planted_scenarios[] = {
    {"leak of a block", "the block that came before the failed one", leak_block, SCENARIO_PLANTED},
    {"leak of a descriptor", "a file is opened and not closed", leak_descriptor, SCENARIO_PLANTED},
    {"leak of a mapping", "memory is mapped and not unmapped", leak_mapping, SCENARIO_PLANTED},
#if COUNTS_ASAN
    {"leak outside the seam", "a block of malloc", leak_unseen, SCENARIO_PLANTED},
#endif
    {"crash by a null pointer", "a write to address 0", crash_null, SCENARIO_PLANTED},
    {"crash by abort", "an assertion", crash_abort, SCENARIO_PLANTED},
    {"crash by exit", "the process ends with status 0", crash_exit, SCENARIO_PLANTED},
    {"hang", "it waits for ever", hang, SCENARIO_PLANTED},
    {"hang of a process", "a child that nobody ends", hang_process, SCENARIO_PLANTED},
    {"lost task", "a task begins and does not end", lost_task, SCENARIO_PLANTED},
    {"wrong result: code", "a code that no header names", wrong_code, SCENARIO_PLANTED},
    {"wrong result: output", "a condition does not hold", wrong_output, SCENARIO_PLANTED},
    {"wrong result: unusable", "a later run without faults fails", wrong_afterwards,
     SCENARIO_PLANTED},
    {0},
};
