/* Workloads that break a rule on purpose, to show that it is noticed. They run only when they are
 * asked for by name. */
#include <fcntl.h>

#include "base/memory.h"
#include "stress.h"

static int end_twice(void *arg) {
  struct stress_mark *mark = arg;
  stress_begin(mark);
  stress_end(mark, 0);
  return stress_end(mark, 0);
}

static void mark_round(struct stress_round *r) {
  struct stress_mark mark = {0};
  stress_run(r, end_twice, &mark);
}

static int nothing(void *arg) {
  (void)arg;
  return 0;
}

/* All of them are given back at the end, so that no leak checker has a say. */
enum { MOST = 64 };
static void *kept[MOST];
static int used;

static void leak_round(struct stress_round *r) {
  stress_run(r, nothing, NULL);
  if (used < MOST) kept[used++] = weft__alloc(32);
}

static int free_kept(void) {
  while (used > 0) weft__free(kept[--used]);
  return 0;
}

static void descriptor_round(struct stress_round *r) {
  stress_run(r, nothing, NULL);
  EXPECT(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static int sleep_forever(void *arg) {
  (void)arg;
  return weft_sleep(STRESS_LONG);
}

static void stall_round(struct stress_round *r) {
  stress_run(r, sleep_forever, NULL);
}

static int fail_detached(void *arg) {
  (void)arg;
  return STRESS_OWN_ERROR;
}

static int detach_a_failure(void *arg) {
  (void)arg;
  return weft_detach(weft_spawn(fail_detached, NULL, NULL));
}

static void log_round(struct stress_round *r) {
  stress_run(r, detach_a_failure, NULL);
}

#define PLANTED(what, text)                                                                        \
  const struct stress_workload stress_planted_##what = {.name = "planted-" #what,                  \
                                                        .about = "breaks a rule: " text,           \
                                                        .round = what##_round,                     \
                                                        .flags = STRESS_PLANTED}

PLANTED(mark, "a task that ends twice");
PLANTED(descriptor, "a descriptor is left open");
PLANTED(stall, "a task that is never woken");
PLANTED(log, "the runtime has something to report");
const struct stress_workload stress_planted_leak = {.name = "planted-leak",
                                                    .about = "breaks a rule: memory is kept",
                                                    .round = leak_round,
                                                    .flags = STRESS_PLANTED,
                                                    .finish = free_kept};
