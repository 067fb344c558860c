/* Stacks of all sizes, copied arguments of all sizes, and awaits nested deep, with suspensions in
 * between: what lies on a stack is there when the task comes back. */
#include <string.h>

#include "base/choice.h"
#include "stress.h"

enum { BLOCK = 1024 };

struct deep {
  struct stress_mark *marks;
  struct weft__rng rng;
  uint32_t depth;
};

/* Fills frames down to n KiB, suspends at the bottom, and finds all as it was. */
static __attribute__((noinline)) int use_stack(unsigned n, unsigned char tag,
                                               struct weft__rng *rng) {
  volatile unsigned char block[BLOCK];
  for (unsigned i = 0; i < BLOCK; i += 61) block[i] = (unsigned char)(tag + i);
  int r = n > 1                   ? use_stack(n - 1, (unsigned char)(tag + 7), rng)
          : stress_one_in(rng, 2) ? weft_yield()
                                  : weft_sleep((weft_ns)stress_draw(rng, 200) * 1000);
  for (unsigned i = 0; i < BLOCK; i += 61)
    if (!EXPECT_INT(block[i], (unsigned char)(tag + i))) break;
  return r;
}

/* Its argument is the copy. */
struct copied {
  struct stress_mark *mark;
  struct weft__rng rng;
  unsigned frames;
  unsigned size;
  unsigned char bytes[];
};

static int use_copy(void *arg) {
  struct copied *c = arg;
  stress_begin(c->mark);
  int r = use_stack(c->frames, (unsigned char)c->frames, &c->rng);
  for (unsigned i = 0; i < c->size; i++)
    if (!EXPECT_INT(c->bytes[i], (unsigned char)(i * 3))) break;
  return stress_end(c->mark, r);
}

/* Spawns one whose argument is gone as soon as the spawn has returned. */
static weft_task spawn_copy(struct stress_mark *mark, struct weft__rng *rng) {
  static const unsigned stacks[] = {0, 32, 64, 128, 512, 2048}; /* KiB */
  unsigned stack = stacks[stress_draw(rng, 6)];
  unsigned size = stress_draw(rng, stress_one_in(rng, 8) ? 60000 : 300);
  struct copied *c = stress_alloc(1, sizeof *c + size);
  c->mark = mark;
  weft__rng_init(&c->rng, weft__rng_next(rng), 0);
  /* Half of it: the sanitizers widen frames. */
  c->frames = 1 + stress_draw(rng, (stack ? stack : 64) / COUNTS_PICK(2, 8, 4) - 1);
  c->size = size;
  for (unsigned i = 0; i < size; i++) c->bytes[i] = (unsigned char)(i * 3);
  weft_task t = weft_spawn(
      use_copy, c, &(weft_spawn_opts){.stack_size = stack * 1024ul, .arg_size = sizeof *c + size});
  memset(c, 0xee, sizeof *c + size);
  free(c);
  return t;
}

/* A chain of awaits: each link runs on its awaiter's stack, or on one of its own. */
static int go_deep(void *arg) {
  struct deep *d = arg;
  stress_begin(&d->marks[d->depth]);
  int r = stress_one_in(&d->rng, 4) ? weft_yield() : 0;
  if (d->depth > 0 && r == 0) {
    struct deep below = {d->marks, {weft__rng_next(&d->rng)}, d->depth - 1};
    weft_task t = weft_spawn(go_deep, &below, NULL);
    if (stress_one_in(&d->rng, 4)) r = weft_yield(); /* somebody may take it meanwhile */
    EXPECT_INT(weft_await(t), (int)d->depth - 1);
  }
  EXPECT_INT(r, 0);
  return stress_end(&d->marks[d->depth], (int)d->depth);
}

struct stacks {
  struct stress_round *r;
  struct stress_mark *marks, *links;
  int n;
  uint32_t depth;
};

static int stacks_main(void *arg) {
  struct stacks *s = arg;
  struct weft__rng rng;
  weft_task *t = stress_alloc((size_t)s->n, sizeof *t);
  struct deep deep = {.marks = s->links, .depth = s->depth};
  stress_rng(&rng, s->r, 0);
  stress_rng(&deep.rng, s->r, 1);
  weft_task chain = weft_spawn(go_deep, &deep, NULL);
  for (int i = 0; i < s->n; i++) t[i] = spawn_copy(&s->marks[i], &rng);
  for (int i = 0; i < s->n; i++) EXPECT_INT(weft_await(t[i]), 0);
  EXPECT_INT(weft_await(chain), (int)s->depth);
  free(t);
  return 0;
}

static void stacks_round(struct stress_round *r) {
  struct stacks s = {.r = r,
                     .n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(300)),
                     .depth = stress_draw(r->rng, COUNTS_PICK(2000, 300, 200))};
  s.marks = stress_alloc((size_t)s.n, sizeof *s.marks);
  s.links = stress_alloc(s.depth + 1, sizeof *s.links);
  EXPECT_INT(stress_run(r, stacks_main, &s), 0);
  for (int i = 0; i < s.n; i++) stress_ran(&s.marks[i]);
  for (uint32_t i = 0; i <= s.depth; i++) stress_ran(&s.links[i]);
  free(s.marks);
  free(s.links);
}

const struct stress_workload stress_stacks = {
    .name = "stacks",
    .about = "stacks and copied arguments of all sizes, and chains of awaits",
    .round = stacks_round,
    .flags = STRESS_EXACT_TOO,
};
