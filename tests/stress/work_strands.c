/* Strands side by side: their tasks yield, sleep, compute, start others eagerly or not, await tasks from
 * outside, make callbacks and withdraw them, and are cancelled from other workers. Of each strand one task
 * runs at a time, and every callback began or was withdrawn. */
#include "base/choice.h"
#include "stress.h"

enum { STRANDS = 4, DEPTH = 3 };

struct strand {
  weft_strand *strand;
  int inside; /* plain: of the task that has the turn */
  long slices;
};

struct member {
  struct stress_mark mark;
  struct weft__rng rng;
  struct strand *strand;
  int depth;
  weft_task task;
};

struct call {
  atomic_int begun; /* by the callback, on any worker */
};

static int begin_call(void *arg) {
  struct call *c = arg;
  atomic_fetch_add(&c->begun, 1);
  return 0;
}

static int outside(void *arg) {
  (void)arg;
  return weft_sleep(weft_us(30));
}

static void leave(struct strand *s) {
  s->slices++;
  EXPECT_INT(s->inside--, 1);
}
static void enter(struct strand *s) {
  EXPECT_INT(s->inside++, 0);
}

static int member(void *arg);

static int start_another(struct member *m) {
  struct strand *s = m->strand;
  struct member child = {.strand = s, .depth = m->depth + 1};
  weft__rng_init(&child.rng, weft__rng_next(&m->rng), 0);
  const weft_spawn_opts opts = {.eager = stress_one_in(&m->rng, 2)};
  leave(s); /* an eager child runs in here */
  child.task = weft_spawn(member, &child, &opts);
  enter(s);
  EXPECT(!opts.eager || child.mark.begun == 1);
  leave(s);
  int r = weft_await(child.task);
  enter(s);
  EXPECT(stress_whole(&child.mark));
  return r;
}

static int call_and_withdraw(struct member *m) {
  struct strand *s = m->strand;
  struct call c = {0};
  weft_call h = stress_one_in(&m->rng, 4)
                    ? weft_call_soon(begin_call, &c)
                    : weft_call_later((weft_ns)stress_draw(&m->rng, 60000) - 1000, begin_call, &c);
  int r = 0;
  weft_shield_begin(); /* the callback has what lies on this stack */
  if (stress_one_in(&m->rng, 2)) {
    leave(s);
    r = weft_sleep((weft_ns)stress_draw(&m->rng, 60000));
    enter(s);
  }
  int withdrawn = weft_call_cancel(h);
  leave(s);
  while (!withdrawn && atomic_load(&c.begun) == 0) weft_yield();
  enter(s);
  weft_shield_end();
  EXPECT_INT(withdrawn + atomic_load(&c.begun), 1);
  return r;
}

static int one_step(struct member *m) {
  struct strand *s = m->strand;
  int r;
  switch (stress_draw(&m->rng, m->depth < DEPTH ? 6 : 5)) {
  case 0:
    leave(s);
    r = weft_yield();
    break;
  case 1:
    leave(s);
    r = weft_sleep((weft_ns)stress_draw(&m->rng, 80000));
    break;
  case 2:
    stress_burn(weft_us(stress_draw(&m->rng, 20)));
    return 0;
  case 3:
    leave(s);
    r = weft_await(weft_spawn(outside, NULL, &(weft_spawn_opts){.parallel = true}));
    break;
  case 4:
    return call_and_withdraw(m);
  default:
    return start_another(m);
  }
  enter(s);
  return r;
}

static int member(void *arg) {
  struct member *m = arg;
  int r = 0;
  stress_begin(&m->mark);
  enter(m->strand);
  for (uint32_t i = 1 + stress_draw(&m->rng, 6); i > 0 && r == 0; i--) r = one_step(m);
  leave(m->strand);
  return stress_end(&m->mark, r);
}

struct strands {
  struct strand strand[STRANDS];
  struct member *members;
  int n;
};

static int strands_main(void *arg) {
  struct strands *all = arg;
  uint64_t cancelled = 0;
  for (int i = 0; i < STRANDS; i++) EXPECT_INT(weft_strand_new(&all->strand[i].strand), 0);
  for (int i = 0; i < all->n; i++) {
    struct member *m = &all->members[i];
    const weft_spawn_opts opts = {.strand = m->strand->strand, .eager = i % 3 == 0};
    m->task = weft_spawn(member, m, &opts);
    if (i % 50 == 0) weft_yield();
  }
  for (int i = 0; i < all->n; i++) {
    struct member *m = &all->members[i];
    bool cut = i % 4 == 0 && weft_cancel(m->task) == 1;
    cancelled += cut;
    int r = weft_await(m->task);
    EXPECT(r == 0 || (cut && r == WEFT_ECANCELED));
    stress_whole(&m->mark);
    if (!cut) stress_ran(&m->mark);
  }
  for (int i = 0; i < STRANDS; i++) {
    EXPECT_INT(all->strand[i].inside, 0);
    weft_strand_free(all->strand[i].strand);
  }
  stress_count(STRESS_CANCELS, cancelled);
  return 0;
}

static void strands_round(struct stress_round *r) {
  struct strands all = {.n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(1000))};
  all.members = stress_alloc((size_t)all.n, sizeof *all.members);
  for (int i = 0; i < all.n; i++) {
    stress_rng(&all.members[i].rng, r, (uint64_t)i);
    all.members[i].strand = &all.strand[i % STRANDS];
  }
  EXPECT_INT(stress_run(r, strands_main, &all), 0);
  free(all.members);
}

const struct stress_workload stress_strands = {
    .name = "strands",
    .about = "strands side by side: one task of each at a time, whatever happens to them",
    .round = strands_round,
    .flags = STRESS_EXACT_TOO,
};
