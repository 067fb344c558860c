/* Groups in groups, entered or only joined, whose children fail, are cancelled, cancel their own group or
 * spawn into it, with and without a limit. After join no child is alive, and the result is one that the children
 * explain. And gather, with handles given twice, failing tasks and cancelled callers. */
#include "base/choice.h"
#include "stress.h"

enum { CHILDREN = 10, DEEPEST = 2 };

/* Never freed before the round's end: after a gather that failed early its tasks run on. */
struct member {
  struct family *family;
  struct weft__rng rng;
  struct stress_mark mark;
  int returned; /* by the body */
  weft_group *group;
  struct member *extra; /* which it may spawn into its group, or NULL */
  int depth;
  bool forever; /* may sleep for long: its owner is going to cancel it */
};

struct family {
  struct member *members;
  int capacity;
  atomic_int used;
};

static struct member *take(struct family *f, struct weft__rng *rng, int n) {
  int at = atomic_fetch_add_explicit(&f->used, n, memory_order_relaxed);
  if (at + n > f->capacity) return NULL;
  for (int i = at; i < at + n; i++) {
    f->members[i].family = f;
    f->members[i].rng.state = weft__rng_next(rng);
  }
  return &f->members[at];
}

static int own_a_group(struct member *m);
static int own_a_gather(struct member *m);

static int steps(struct weft__rng *rng) {
  int r = 0;
  for (uint32_t i = stress_draw(rng, 6); i > 0 && r == 0; i--)
    r = stress_one_in(rng, 3) ? weft_sleep((weft_ns)stress_draw(rng, 200) * 1000) : weft_yield();
  return r;
}

static int live(void *arg) {
  struct member *m = arg;
  stress_begin(&m->mark);
  int r = steps(&m->rng);
  uint32_t what = r < 0 ? 99 : stress_draw(&m->rng, 24);
  if (what == 0) r = STRESS_OWN_ERROR - (int)stress_draw(&m->rng, 50);
  if (what == 1) r = weft_sleep(m->forever ? STRESS_LONG : weft_ms(1));
  if (what == 2 && m->group) weft_group_cancel(m->group);
  if (what == 3 && m->group && m->extra) {
    int spawned = weft_group_spawn(m->group, live, m->extra, NULL);
    EXPECT(spawned == 0 || spawned == WEFT_ECANCELED);
  }
  if (what >= 4 && what < 8 && m->depth < DEEPEST) r = what % 2 ? own_a_group(m) : own_a_gather(m);
  if (what == 1 || (what >= 4 && what < 8)) stress_count(STRESS_CUT, r == WEFT_ECANCELED);
  m->returned = r == 0 ? 1 : r;
  return stress_end(&m->mark, m->returned);
}

static bool own_error(int code) {
  return code <= STRESS_OWN_ERROR && code > STRESS_OWN_ERROR - 50;
}

/* What join said against what the children did. One may have been cancelled as it returned. */
static void check_group(weft_group *g, struct member *child, const int *spawned, bool collect,
                        int joined) {
  int own_errors = 0;
  for (int i = 0; i < CHILDREN; i++) {
    stress_whole(&child[i].mark);
    if (spawned[i] < 0) EXPECT_INT(child[i].mark.begun, 0);
    if (child[i].extra) {
      stress_whole(&child[i].extra->mark);
      own_errors += own_error(child[i].extra->returned);
    }
    own_errors += own_error(child[i].returned);
  }
  EXPECT(joined == 0 || joined == WEFT_ECANCELED || (!collect && own_error(joined)));
  if (own_error(joined)) EXPECT(own_errors > 0);
  for (int i = 0; collect && i < CHILDREN; i++) {
    int code = weft_group_status(g, (size_t)i);
    EXPECT(code == WEFT_ECANCELED || (child[i].mark.ended == 1 && code == child[i].returned));
  }
}

static int own_a_group(struct member *m) {
  weft_group g;
  int spawned[CHILDREN];
  bool collect = stress_one_in(&m->rng, 3);
  struct member *child = take(m->family, &m->rng, CHILDREN);
  if (!child) return 0;
  bool end = stress_one_in(&m->rng, 3);
  uint32_t limit = stress_one_in(&m->rng, 2) ? 1 + stress_draw(&m->rng, 5) : 0;
  weft_group_init(&g,
                  &(weft_group_opts){.on_error = collect ? WEFT_GROUP_COLLECT : 0, .limit = limit});
  bool enter = stress_one_in(&m->rng, 2);
  int before = weft_cancelling(weft_current()), body = 0;
  if (enter) EXPECT_INT(weft_group_enter(&g), 0);
  for (int i = 0; i < CHILDREN; i++) {
    child[i].depth = m->depth + 1;
    child[i].forever = end && limit == 0; /* or they keep the places */
    child[i].group = collect ? NULL : &g;
    /* Under a limit a child that waits for a place may wait for itself. */
    if (!collect && limit == 0) child[i].extra = take(m->family, &m->rng, 1);
    spawned[i] = weft_group_spawn(&g, live, &child[i], NULL);
    EXPECT(spawned[i] == 0 || spawned[i] == WEFT_ECANCELED);
  }
  if (stress_one_in(&m->rng, 2)) body = steps(&m->rng);
  if (end) weft_group_cancel(&g);
  /* The group's own cancel of its body ends here; one from outside does not. */
  int r = enter ? weft_group_exit(&g, body) : weft_group_join(&g);
  EXPECT(weft_cancelling(weft_current()) >= before);
  check_group(&g, child, spawned, collect, r);
  weft_group_done(&g);
  return r;
}

static int own_a_gather(struct member *m) {
  weft_task t[CHILDREN + 1];
  int codes[CHILDREN + 1];
  bool want_codes = stress_one_in(&m->rng, 2);
  struct member *child = take(m->family, &m->rng, CHILDREN);
  if (!child) return 0;
  for (int i = 0; i < CHILDREN; i++) {
    child[i].depth = DEEPEST;
    child[i].forever = true;
    t[i] = weft_spawn(live, &child[i], NULL);
  }
  uint32_t twice = stress_draw(&m->rng, CHILDREN);
  t[CHILDREN] = t[twice];
  /* Without codes a child's cancel would look like the caller's. */
  for (int i = 0; i < CHILDREN && want_codes; i++)
    if (stress_one_in(&m->rng, 4)) stress_count(STRESS_CANCELS, weft_cancel(t[i]) == 1);
  weft_timeout limit;
  weft_timeout_begin(&limit, (weft_ns)stress_draw(&m->rng, 3000) * 1000);
  int r = weft_gather(t, CHILDREN + 1, want_codes ? codes : NULL);
  r = weft_timeout_end(&limit, r);
  for (int i = 0; i < CHILDREN; i++) EXPECT_INT(weft_await(t[i]), WEFT_ESTALE);
  EXPECT(r == 0 || r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT || (!want_codes && own_error(r)));
  if (own_error(r)) return r; /* the others run on */
  for (int i = 0; i < CHILDREN; i++) {
    stress_whole(&child[i].mark);
    if (!want_codes || r < 0) continue;
    EXPECT(codes[i] == WEFT_ECANCELED || codes[i] == child[i].returned);
  }
  if (want_codes && r == 0) EXPECT_INT(codes[CHILDREN], codes[twice]);
  return r == WEFT_ECANCELED ? r : 0;
}

static int top(void *arg) {
  struct member *m = arg;
  stress_begin(&m->mark);
  int r = stress_one_in(&m->rng, 3) ? own_a_gather(m) : own_a_group(m);
  return stress_end(&m->mark, r < 0 ? r : 3);
}

static int groups_main(void *arg) {
  struct member *root = arg;
  enum { TOPS = 12 };
  struct member *m = take(root->family, &root->rng, TOPS);
  weft_task t[TOPS];
  bool cancelled[TOPS] = {false};
  for (int i = 0; i < TOPS; i++) t[i] = weft_spawn(top, &m[i], NULL);
  for (int i = 0; i < TOPS; i++) {
    if (!stress_one_in(&root->rng, 3)) continue;
    if (stress_one_in(&root->rng, 2)) steps(&root->rng);
    cancelled[i] = weft_cancel(t[i]) == 1;
    stress_count(STRESS_CANCELS, cancelled[i]);
  }
  for (int i = 0; i < TOPS; i++) {
    int code = weft_await(t[i]);
    EXPECT(code == (cancelled[i] ? WEFT_ECANCELED : 3) || own_error(code));
    stress_whole(&m[i].mark);
  }
  return 0;
}

static void groups_round(struct stress_round *r) {
  struct family f = {.capacity = 12 + stress_many(4000)};
  f.members = stress_alloc((size_t)f.capacity, sizeof *f.members);
  struct member root = {.family = &f};
  stress_rng(&root.rng, r, 0);
  r->quiet = true;  /* detached tasks that fail are named */
  r->leaves = true; /* of what a gather detached some sleep for long */
  EXPECT_INT(stress_run(r, groups_main, &root), 0);
  for (int i = 0; i < f.capacity; i++) stress_whole(&f.members[i].mark);
  free(f.members);
}

const struct stress_workload stress_groups = {
    .name = "groups",
    .about = "groups in groups and gathers whose children fail, cancel, spawn and are cancelled",
    .round = groups_round,
    .flags = STRESS_EXACT_TOO,
};
