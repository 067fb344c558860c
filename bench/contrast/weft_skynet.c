/* c. Fork-join: every task starts ten, down to a million leaves, and adds up what they return. */
#include "weft_contrast.h"

struct skynet {
  int64_t first, leaves;
  int64_t sum; /* the result */
};

static int skynet(void *arg) {
  struct skynet *s = arg;
  struct skynet children[10];
  weft_task tasks[10];
  int64_t leaves = s->leaves / 10, sum = 0;
  int code = 0;
  if (s->leaves == 1) {
    s->sum = s->first;
    return 0;
  }
  for (int i = 0; i < 10; i++) {
    children[i] = (struct skynet){.first = s->first + i * leaves, .leaves = leaves};
    tasks[i] = weft_spawn(skynet, &children[i], NULL);
  }
  /* Newest first: the one that was spawned last is the one that nobody else has begun. */
  for (int i = 9; i >= 0; i--) {
    int r = weft_await(tasks[i]);
    if (r < 0) code = r;
    sum += children[i].sum;
  }
  s->sum = sum;
  return code;
}

struct repeat {
  int64_t leaves, at_least;
  long repetitions;
  int64_t answer;
};

static int repeat(void *arg) {
  struct repeat *t = arg;
  int64_t began = clock_ns();
  do {
    struct skynet root = {.leaves = t->leaves};
    int r = weft_await(weft_spawn(skynet, &root, NULL));
    if (r < 0) return r;
    t->answer = root.sum;
    t->repetitions++;
  } while (clock_ns() - began < t->at_least);
  return 0;
}

int skynet_workload(struct program *p) {
  struct repeat t = {
      .leaves = program_number(p, "leaves", 1000000),
      .at_least = weft_ms(program_number(p, "min_ms", 200)),
  };
  int r = contrast_run(p, repeat, &t);
  if (t.repetitions) p->wall_s /= (double)t.repetitions;
  program_say(p, "repetitions", "%ld", t.repetitions);
  program_say(p, "leaves", "%lld", (long long)t.leaves);
  program_say(p, "answer", "%lld", (long long)t.answer);
  return r;
}
