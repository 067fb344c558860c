/* d. Calls that block a thread: made on the workers, and handed to the pool for blocking calls. */
#include "weft_contrast.h"

#include <string.h>
#include <time.h>

static int blocking_call(void *arg) {
  const weft_ns *length = arg;
  struct timespec t = {.tv_sec = *length / weft_sec(1), .tv_nsec = *length % weft_sec(1)};
  return nanosleep(&t, NULL) == 0 ? 0 : WEFT_EINTR;
}

static int offloaded(void *arg) {
  return weft_to_thread(blocking_call, arg);
}

struct blocking {
  long calls;
  weft_ns length;
  weft_fn one;
};

static int all_calls(void *arg) {
  struct blocking *b = arg;
  weft_group group = WEFT_GROUP_INIT;
  for (long i = 0; i < b->calls; i++) weft_group_spawn(&group, b->one, &b->length, NULL);
  return weft_group_join(&group);
}

int blocking_workload(struct program *p) {
  const char *mode = program_text(p, "mode", "loop");
  struct blocking b = {
      .calls = program_number(p, "calls", 30),
      .length = weft_ms(program_number(p, "call_ms", 100)),
      .one = strcmp(mode, "offloaded") == 0 ? offloaded : blocking_call,
  };
  int r = contrast_run(p, all_calls, &b);
  program_say(p, "calls", "%ld", b.calls);
  program_say(p, "mode", "\"%s\"", mode);
  return r;
}
