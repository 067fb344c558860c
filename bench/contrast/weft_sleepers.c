/* a. Many tasks that sleep and are gathered: what a waiting task costs. */
#include "weft_contrast.h"

#include <stdatomic.h>
#include <stdlib.h>

struct sleepers {
  long tasks;
  weft_ns nap;
  atomic_long begun;
  long kb_before, kb_asleep;
};

static int sleeper(void *arg) {
  struct sleepers *s = arg;
  if (atomic_fetch_add(&s->begun, 1) + 1 == s->tasks)
    s->kb_asleep = memory_kb(); /* all sleep now */
  return weft_sleep(s->nap);
}

static int all_sleepers(void *arg) {
  struct sleepers *s = arg;
  weft_task *tasks = need(malloc((size_t)s->tasks * sizeof *tasks));
  int r;
  s->kb_before = memory_kb();
  for (long i = 0; i < s->tasks; i++) tasks[i] = weft_spawn(sleeper, s, NULL);
  r = weft_gather(tasks, (size_t)s->tasks, NULL);
  free(tasks);
  return r;
}

int sleepers_workload(struct program *p) {
  struct sleepers s = {
      .tasks = program_number(p, "tasks", 10000),
      .nap = weft_ms(program_number(p, "sleep_ms", 100)),
  };
  int r = contrast_run(p, all_sleepers, &s);
  program_say(p, "tasks", "%ld", s.tasks);
  program_say(p, "bytes_per_task", "%ld", (s.kb_asleep - s.kb_before) * 1024 / s.tasks);
  return r;
}
