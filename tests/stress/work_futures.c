/* Futures that are set, failed and cancelled from everywhere while tasks await, select and collect them;
 * beside them tasks of strands, eager ones, and generators that move between workers. */
#include <string.h>

#include "base/choice.h"
#include "stress.h"

enum { FUTURES = 6, STRANDS = 3 };

struct fate {
  struct weft__rng rng, decisions;
  struct stress_mark mark;
  weft_future *f[FUTURES];
  atomic_int called; /* callbacks; relaxed */
  int callbacks;
  weft_strand *strand; /* that it is in, or NULL */
  long *counter;       /* of the strand: no lock but the strand */
  pthread_t thread;
  bool outside; /* a plain thread decides its futures */
};

struct fates {
  struct fate *each;
  weft_task *tasks;
  int n;
  weft_strand *strand[STRANDS];
  long counter[STRANDS];
};

static int on_done(weft_future *f, void *arg) {
  struct fate *t = arg;
  EXPECT(weft_future_done(f));
  atomic_fetch_add_explicit(&t->called, 1, memory_order_relaxed);
  return 0;
}

/* Ends them in some order, some twice. */
static int decide(void *arg) {
  struct fate *t = arg;
  for (int i = 0; i < FUTURES; i++) {
    int at = (i * 5 + 1) % FUTURES, value = at;
    int r;
    switch (stress_draw(&t->decisions, 4)) {
    case 0:
      r = weft_future_fail(t->f[at], STRESS_OWN_ERROR);
      break;
    case 1:
      r = weft_future_cancel(t->f[at]);
      EXPECT(r == 0 || r == 1);
      r = 0;
      break;
    default:
      r = weft_future_set(t->f[at], &value);
    }
    EXPECT(r == 0 || r == WEFT_ESTATE);
    EXPECT(weft_future_set(t->f[at], &value) == WEFT_ESTATE);
    if (!t->outside && stress_one_in(&t->decisions, 3)) weft_yield();
  }
  return 0;
}

static void *decide_outside(void *arg) {
  decide(arg);
  return NULL;
}

static bool is_fate(int code, int value, int at) {
  return code == WEFT_ECANCELED || code == STRESS_OWN_ERROR || (code == 0 && value == at);
}

static int collect(struct fate *t, const weft_awaitable *set) {
  weft_completed *c = NULL;
  EXPECT_INT(weft_as_completed(&c, set, FUTURES, WEFT_FOREVER), 0);
  int n = 0, r;
  size_t at;
  while ((r = weft_completed_next(c, &at, NULL)) > 0) {
    n++;
    EXPECT(weft_future_done(t->f[at]));
  }
  if (r == 0) EXPECT_INT(n, FUTURES);
  weft_completed_free(c);
  return r;
}

static int wait_somehow(struct fate *t) {
  weft_awaitable set[FUTURES];
  int codes[FUTURES];
  weft_outcome out[FUTURES];
  for (int i = 0; i < FUTURES; i++) set[i] = weft_future_awaitable(t->f[i]);
  int r, value = -1, at = (int)stress_draw(&t->rng, FUTURES);
  switch (stress_draw(&t->rng, 5)) {
  case 0:
    r = weft_future_await(t->f[at], &value);
    EXPECT(is_fate(r, value, at));
    return r == STRESS_OWN_ERROR ? 0 : r;
  case 1:
    r = weft_select(set, FUTURES, NULL);
    if (r >= 0) EXPECT(weft_future_done(t->f[r]));
    return r < 0 ? r : 0;
  case 2:
    r = weft_wait(set, FUTURES, WEFT_FIRST_ERROR, weft_us(stress_draw(&t->rng, 300)), out);
    return r < 0 ? r : 0;
  case 3:
    return collect(t, set);
  default:
    return weft_gather_mixed(set, FUTURES, codes);
  }
}

static int count_up(weft_gen *g, void *arg) {
  int r = 0;
  for (int i = 0; i < *(int *)arg && r == 0; i++) {
    r = weft_gen_yield(g, &i);
    if (r == 0 && i % 2) r = weft_yield();
  }
  return r == WEFT_ECLOSED ? 0 : r;
}

/* To the end, or closed before. */
static int read_a_generator(struct fate *t) {
  int n = 8, most = 1 + (int)stress_draw(&t->rng, 12), i, want = 0, r = 0;
  weft_gen *g = NULL;
  EXPECT_INT(weft_gen_open(&g, count_up, &n, sizeof i, NULL), 0);
  while (want < most && (r = weft_gen_next(g, &i)) > 0) EXPECT_INT(i, want++);
  if (r == 0) EXPECT(want == n || want == most);
  int closed = weft_gen_close(g);
  EXPECT(closed == 0 || closed == WEFT_ECANCELED);
  return r < 0 ? r : 0;
}

static int live(void *arg) {
  struct fate *t = arg;
  stress_begin(&t->mark);
  if (t->counter) ++*t->counter; /* nobody else of the strand runs */
  for (int i = 0; i < FUTURES; i++)
    if (stress_one_in(&t->rng, 2) && weft_future_on_done(t->f[i], on_done, t) == 0) t->callbacks++;
  weft_task decider = {0};
  if (!t->outside)
    decider = weft_spawn(decide, t, &(weft_spawn_opts){.eager = stress_one_in(&t->rng, 2)});
  int r = wait_somehow(t);
  if (weft_cancelling(weft_current()) == 0) {
    /* It was a future's cancel, not its own. */
    if (r == WEFT_ECANCELED) r = 0;
    EXPECT_INT(r, 0);
    read_a_generator(t);
  }
  if (!t->outside) {
    weft_shield_begin();
    EXPECT_INT(weft_await(decider), 0);
    weft_shield_end();
  }
  if (t->counter) ++*t->counter;
  return stress_end(&t->mark, r);
}

static int futures_main(void *arg) {
  struct fates *l = arg;
  for (int i = 0; i < STRANDS; i++) EXPECT_INT(weft_strand_new(&l->strand[i]), 0);
  for (int i = 0; i < l->n; i++) {
    struct fate *t = &l->each[i];
    for (int k = 0; k < FUTURES; k++) EXPECT_INT(weft_future_new(&t->f[k], sizeof(int)), 0);
    int s = i % (2 * STRANDS);
    if (s < STRANDS) {
      t->strand = l->strand[s];
      t->counter = &l->counter[s];
    }
    weft_spawn_opts opts = {.strand = t->strand, .eager = stress_one_in(&t->rng, 4)};
    if (t->outside) t->thread = stress_thread(decide_outside, t);
    l->tasks[i] = weft_spawn(live, t, &opts);
  }
  for (int i = 0; i < l->n; i += 3) {
    if (i % 12 == 0) EXPECT_INT(weft_yield(), 0);
    stress_count(STRESS_CANCELS, weft_cancel(l->tasks[i]) == 1);
  }
  for (int i = 0; i < l->n; i++) {
    struct fate *t = &l->each[i];
    int r = weft_await(l->tasks[i]);
    EXPECT(r == 0 || r == WEFT_ECANCELED);
    stress_whole(&t->mark);
    if (t->outside) pthread_join(t->thread, NULL);
    for (int k = 0; k < FUTURES; k++) weft_future_get(t->f[k], NULL); /* read: no report */
  }
  for (int i = 0; i < STRANDS; i++) weft_strand_free(l->strand[i]);
  return 0;
}

static void futures_round(struct stress_round *r) {
  struct fates l = {.n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(120))};
  l.each = stress_alloc((size_t)l.n, sizeof *l.each);
  l.tasks = stress_alloc((size_t)l.n, sizeof *l.tasks);
  for (int i = 0; i < l.n; i++) {
    stress_rng(&l.each[i].rng, r, (uint64_t)i);
    stress_rng(&l.each[i].decisions, r, (uint64_t)(l.n + i));
    l.each[i].outside = !r->opts.exact && stress_one_in(&l.each[i].rng, 16);
  }
  EXPECT_INT(stress_run(r, futures_main, &l), 0);
  for (int i = 0; i < l.n; i++) {
    struct fate *t = &l.each[i];
    EXPECT_INT(atomic_load_explicit(&t->called, memory_order_relaxed), t->callbacks);
    for (int k = 0; k < FUTURES; k++) weft_future_unref(t->f[k]);
  }
  free(l.tasks);
  free(l.each);
}

const struct stress_workload stress_futures = {
    .name = "futures",
    .about = "futures decided from everywhere; strands, eager tasks and generators",
    .round = futures_round,
    .flags = STRESS_EXACT_TOO,
};
