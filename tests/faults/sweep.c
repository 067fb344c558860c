#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drive.h"
#include "libuv_aborts.h"

enum { SHOWN_IN_FULL = 6 }; /* failures whose output is printed */

static const struct scenario *const all[] = {
    weft_faults_task_scenarios,     weft_faults_group_scenarios,   weft_faults_wait_scenarios,
    weft_faults_thread_scenarios,   weft_faults_life_scenarios,    weft_faults_process_scenarios,
    weft_faults_aio_scenarios,      weft_faults_insight_scenarios, weft_faults_stream_scenarios,
    weft_faults_datagram_scenarios, weft_faults_child_scenarios,   weft_faults_connect_scenarios,
    weft_faults_server_scenarios,   weft_faults_planted_scenarios,
};

/* Points of one scenario, and of all. */
struct tally {
  unsigned long kind[POINT_DESCRIPTORS + 1]; /* reached, by kind */
  unsigned long verdict[VERDICTS];
};

struct state {
  const struct sweep *sweep;
  struct tally row, sum;
  unsigned long shown;
  bool strayed;               /* of the last point, for the sweep of descriptors */
  struct point_counts counts; /* of the last point */
  struct residue residue;
  enum verdict last;
};

static void add(struct tally *t, const struct outcome *o) {
  t->verdict[o->verdict]++;
  if (o->verdict != VERDICT_NOT_REACHED) t->kind[o->point.kind]++;
}

static unsigned long points(const struct tally *t) {
  unsigned long n = 0;
  for (int k = POINT_ALLOC; k <= POINT_DESCRIPTORS; k++) n += t->kind[k];
  return n;
}

static unsigned long failures(const struct tally *t) {
  unsigned long n = 0;
  for (int v = VERDICT_CRASH; v < VERDICTS; v++) n += t->verdict[v];
  return n;
}

static void show_failure(struct state *st, const struct outcome *o) {
  char how[160];
  point_describe(&o->point, how, sizeof how);
  const char *seed = st->sweep->seed;
  printf("%s: weft-faults --only %s %s%s%s\n", verdict_name(o->verdict), o->scenario->name, how,
         seed ? " --seed " : "", seed ? seed : "");
  if (o->report->text[0] != '\0') printf("  %s\n", o->report->text);
  if (st->shown++ < SHOWN_IN_FULL && o->output[0] != '\0') printf("%s\n", o->output);
}

static void on_done(const struct outcome *o, void *arg) {
  struct state *st = arg;
  st->strayed = o->report->strayed || o->verdict > VERDICT_HELD;
  st->counts = o->report->counts;
  st->residue = o->report->residue;
  st->last = o->verdict;
  if (o->point.kind != POINT_NONE) {
    add(&st->row, o);
    add(&st->sum, o);
  }
  if (o->verdict > VERDICT_HELD && o->scenario->kind != SCENARIO_PLANTED) show_failure(st, o);
}

/* Starts one point and waits for it. */
static enum verdict run_alone(struct state *st, struct drive *d, const struct scenario *s,
                              const struct point *p, const struct residue *expected) {
  drive_start(d, s, p, expected);
  drive_finish(d);
  return st->last;
}

/* What the scenario does and leaves behind when nothing fails. False when it does not work. */
static bool measure(struct state *st, struct drive *d, const struct scenario *s,
                    struct point_counts *ret_counts, struct residue *ret_residue) {
  struct point nothing = {.kind = POINT_NONE};
  struct point counting = {.kind = POINT_UV, .n = UINT64_MAX, .times = POINT_ONCE};
  if (run_alone(st, d, s, &nothing, NULL) != VERDICT_HELD) {
    st->sum.verdict[VERDICT_WRONG]++;
    return false;
  }
  *ret_counts = st->counts;
  *ret_residue = st->residue;
  run_alone(st, d, s, &counting, NULL);
  ret_counts->uv = st->counts.uv;
  return true;
}

/* Room for 0 more descriptors, for 1, ... until every call succeeds. */
static void sweep_descriptors(struct state *st, struct drive *d, const struct scenario *s,
                              const struct point_series *series, const struct residue *expected) {
  enum { MOST = 40 };
  drive_finish(d); /* what is still under way strays in its own way */
  for (uint64_t n = 1; n <= MOST; n++) {
    struct point p = {.kind = series->kind, .error = series->error, .n = n, .times = series->times};
    run_alone(st, d, s, &p, expected);
    if (!st->strayed) return;
  }
}

static void sweep_series(struct state *st, struct drive *d, const struct scenario *s,
                         const struct point_series *series, uint64_t count,
                         const struct residue *expected) {
  uint64_t most = st->sweep->most;
  uint64_t picked = count < most ? count : most;
  for (uint64_t i = 0; i < picked; i++) {
    uint64_t n = picked == 1 ? 1 : 1 + i * (count - 1) / (picked - 1);
    struct point p = {.kind = series->kind,
                      .call = series->call,
                      .error = series->error,
                      .n = n,
                      .times = series->times};
    drive_start(d, s, &p, expected);
  }
}

/* A simulation takes what a poll did not see for what is not there. */
static bool only_real(const struct point_series *s) {
  return s->kind == POINT_CALL && s->call == WEFT__SYS_epoll_wait;
}

/* What waits for the next change would wait for ever. */
static bool without_edges(const struct point_series *s) {
  return s->kind == POINT_CALL && s->error == WEFT_EAGAIN &&
         (s->call == WEFT__SYS_read || s->call == WEFT__SYS_write || s->call == WEFT__SYS_recv ||
          s->call == WEFT__SYS_send || s->call == WEFT__SYS_recvmsg ||
          s->call == WEFT__SYS_sendmsg);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_row(const char *name, const struct tally *t, double s) {
  printf("%-22s %6lu %6lu %6lu %6lu %7lu %6lu %6lu %6lu %6lu %7.1f\n", name, t->kind[POINT_ALLOC],
         t->kind[POINT_UV], t->kind[POINT_CALL], t->kind[POINT_DESCRIPTORS],
         t->verdict[VERDICT_CRASH], t->verdict[VERDICT_LEAK], t->verdict[VERDICT_HANG],
         t->verdict[VERDICT_LOST], t->verdict[VERDICT_WRONG], s);
  fflush(stdout);
}

static void sweep_scenario(struct state *st, struct drive *d, const struct scenario *s) {
  struct point_counts counts;
  struct residue expected;
  double begin = seconds();
  st->row = (struct tally){0};
  if (!measure(st, d, s, &counts, &expected)) return;
  st->row = (struct tally){0};
  for (const struct point_series *p = point_plan; p->kind != POINT_NONE; p++)
    if (p->kind == POINT_DESCRIPTORS)
      sweep_descriptors(st, d, s, p, &expected);
    else if ((!st->sweep->seed || !only_real(p)) &&
             (s->kind != SCENARIO_EDGES || !without_edges(p)))
      sweep_series(st, d, s, p, point_count(p, &counts), &expected);
  drive_finish(d);
  print_row(s->name, &st->row, seconds() - begin);
}

static void write_summary(const char *path, const struct tally *t) {
  FILE *f = fopen(path, "w");
  if (!f) {
    perror(path);
    exit(2);
  }
  fprintf(f, "%lu", points(t));
  for (int v = VERDICT_CRASH; v < VERDICTS; v++) fprintf(f, " %lu", t->verdict[v]);
  fprintf(f, "\n");
  fclose(f);
}

typedef void visit_fn(const struct scenario *s, void *arg);

static void each_scenario(bool planted, visit_fn *visit, void *arg) {
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    for (const struct scenario *s = all[i]; s->name; s++)
      if ((s->kind == SCENARIO_PLANTED) == planted) visit(s, arg);
}

static const struct scenario *find(const char *name) {
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    for (const struct scenario *s = all[i]; s->name; s++)
      if (strcmp(s->name, name) == 0) return s;
  return NULL;
}

struct visitor {
  struct state *st;
  struct drive *d;
};

static void visit(const struct scenario *s, void *arg) {
  struct visitor *v = arg;
  if (v->st->sweep->only && strcmp(v->st->sweep->only, s->name) != 0) return;
  if (v->st->sweep->seed && s->kind == SCENARIO_REAL) return;
  sweep_scenario(v->st, v->d, s);
}

static int sweep_points(const struct sweep *sweep) {
  struct state st = {.sweep = sweep};
  struct visitor vis = {&st, drive_new(sweep->jobs, sweep->limit_s, on_done, &st)};
  double begin = seconds();
  printf("%-22s %6s %6s %6s %6s %7s %6s %6s %6s %6s %7s\n", "scenario", "alloc", "uv", "call",
         "fds", "crashes", "leaks", "hangs", "lost", "wrong", "s");
  each_scenario(false, visit, &vis);
  print_row("all", &st.sum, seconds() - begin);
  drive_free(vis.d);
  if (sweep->summary) write_summary(sweep->summary, &st.sum);
  const unsigned long *v = st.sum.verdict;
  printf("%lu points failed: %lu crashes, %lu leaks, %lu hangs, %lu lost tasks, ", points(&st.sum),
         v[VERDICT_CRASH], v[VERDICT_LEAK], v[VERDICT_HANG], v[VERDICT_LOST]);
  printf("%lu wrong results\n", v[VERDICT_WRONG]);
  return failures(&st.sum) == 0 && points(&st.sum) > 0 ? 0 : 1;
}

/* ---- one point ---- */

/* What it asks for when nothing fails: where the points are. */
static void print_counts(const struct point_counts *c) {
  printf("allocations of the runtime %llu\n", (unsigned long long)c->alloc);
  for (int i = 0; i < WEFT__SYS_CALLS; i++)
    if (c->call[i] != 0)
      printf("%s %llu\n", weft__sys_name((enum weft__sys_call)i), (unsigned long long)c->call[i]);
}

static void print_all(const struct outcome *o, void *arg) {
  on_done(o, arg);
  if (o->point.kind == POINT_NONE) print_counts(&o->report->counts);
  if (o->verdict <= VERDICT_HELD || o->scenario->kind == SCENARIO_PLANTED) fputs(o->output, stdout);
  printf("%s%s%s\n", verdict_name(o->verdict), o->report->text[0] ? ": " : "", o->report->text);
}

static int run_one(const struct sweep *sweep) {
  const struct scenario *s = find(sweep->only);
  if (!s) return 2;
  struct state st = {.sweep = sweep};
  struct drive *d = drive_new(1, sweep->limit_s, on_done, &st);
  struct point nothing = {.kind = POINT_NONE};
  bool works = run_alone(&st, d, s, &nothing, NULL) == VERDICT_HELD;
  struct residue expected = st.residue;
  drive_free(d);
  d = drive_new(1, sweep->limit_s, print_all, &st);
  enum verdict v = run_alone(&st, d, s, &sweep->point, works ? &expected : NULL);
  drive_free(d);
  return v == VERDICT_HELD ? 0 : 1;
}

/* ---- the self-test ---- */

struct planted_visitor {
  struct drive *d;
  struct state *st;
  unsigned unseen;
};

/* The name of a planted scenario begins with the verdict it is to get. */
static void visit_planted(const struct scenario *s, void *arg) {
  struct planted_visitor *v = arg;
  struct point nothing = {.kind = POINT_NONE};
  struct point second = {.kind = POINT_ALLOC, .error = WEFT_ENOMEM, .n = 2, .times = POINT_ONCE};
  bool works = run_alone(v->st, v->d, s, &nothing, NULL) == VERDICT_HELD;
  struct residue expected = v->st->residue;
  enum verdict got = run_alone(v->st, v->d, s, &second, &expected);
  bool seen = works && strncmp(s->name, verdict_name(got), strlen(verdict_name(got))) == 0;
  printf("%-24s %-42s %s%s\n", s->name, s->what, verdict_name(got), seen ? "" : "  NOT AS PLANTED");
  if (!seen) v->unseen++;
}

static int self_test(const struct sweep *sweep) {
  enum { LIMIT_S = 3 }; /* of the one that hangs */
  struct state st = {.sweep = sweep};
  struct planted_visitor v = {drive_new(1, LIMIT_S, on_done, &st), &st, 0};
  each_scenario(true, visit_planted, &v);
  drive_free(v.d);
  printf("%u planted defects not seen\n", v.unseen);
  return v.unseen == 0 ? 0 : 1;
}

static void print_scenario(const struct scenario *s, void *arg) {
  (void)arg;
  printf("%-22s %s\n", s->name, s->what);
}

int sweep_run(const struct sweep *sweep) {
  if (sweep->only && !find(sweep->only)) {
    fprintf(stderr, "weft-faults: there is no scenario named %s (--list)\n", sweep->only);
    return 2;
  }
  if (sweep->seed) setenv("WEFT_SEED", sweep->seed, 1); /* the children's */
  switch (sweep->mode) {
  case SWEEP_LIST:
    each_scenario(false, print_scenario, NULL);
    return 0;
  case SWEEP_LIBUV:
    libuv_aborts_print();
    return 0;
  case SWEEP_SELF_TEST:
    return self_test(sweep);
  case SWEEP_POINTS:
    break;
  }
  return sweep->one ? run_one(sweep) : sweep_points(sweep);
}
