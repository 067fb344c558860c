#include "core/simulate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/choice.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "base/sim.h"
#include "base/sim_net.h"
#include "core/cancel.h"
#include "core/debug.h"
#include "core/options.h"
#include "core/rest.h"
#include "core/runner.h"
#include "core/table.h"
#include "core/worker.h"

enum {
  NAMED_AT_MOST = 20,
  /* Times that no thread could run, before one is called stuck: after the end of the run, and while it
   * ends and nothing but worker 0's reports is awaited. */
  PATIENCE_AT_END = 1000,
  PATIENCE_WHILE_ENDING = 200,
};

/* ---- what the simulated threads ask ---- */

static void *get_self(void) {
  return weft__self();
}

static void set_self(void *w) {
  weft__self_set(w);
}

static weft__context *task_context(void) {
  struct weft__task *t = weft__stack_task();
  return t ? t->ctx : NULL;
}

/* ---- when nothing can go on ---- */

/* The lines of a report; what finds no room is left out. */
struct lines {
  char text[6144];
  size_t used;
  unsigned named;
};

static void add_line(struct lines *l, const char *line) {
  size_t room = sizeof l->text - l->used;
  int n = snprintf(l->text + l->used, room, "%s%s", l->used ? "\n  " : "", line);
  if (n > 0 && (size_t)n < room) l->used += (size_t)n;
}

static void name_one(struct weft__task *t, uint64_t word, void *arg) {
  struct lines *l = arg;
  char line[256];
  if (l->named++ < NAMED_AT_MOST &&
      weft_task_describe(weft__handle(t, word), line, sizeof line) > 0)
    add_line(l, line);
}

static void add_endless(const char *line, void *lines) {
  add_line(lines, line);
}

static void cancel_one(struct weft__task *t, uint64_t word, void *arg) {
  (void)arg;
  weft__cancel_task(t, weft__word_key(word));
}

static void report_deadlock(struct weft__simulated *sim) {
  char line[128];
  struct lines *l = weft__zalloc(sizeof *l);
  weft_report r = {.kind = WEFT_REPORT_DEADLOCK, .code = WEFT_EDEADLK};
  snprintf(line, sizeof line,
           "simulation with seed %" PRIu64 ": deadlock: every task waits, and nothing is awaited:",
           sim->seed);
  r.message = line;
  if (l) {
    add_line(l, line);
    weft__task_each_live(&sim->rt->tasks, name_one, l);
    snprintf(line, sizeof line, "and %u more", l->named - NAMED_AT_MOST);
    if (l->named > NAMED_AT_MOST) add_line(l, line);
    weft__debug_endless(sim->rt, add_endless, l);
    r.message = l->text;
  }
  weft__report(sim->rt, NULL, &r, NULL);
  weft__free(l);
}

/* What does not end by a cancel is left where it is, its memory with it. */
static void give_up(struct weft__simulated *sim) {
  struct weft__runtime *rt = sim->rt;
  sim->failure = WEFT_EDEADLK;
  sim->stuck = 2;
  rt->timed_out = true;
  weft__life_end(rt);
  weft__unpark(&rt->workers[0]);
}

/* ---- checks ---- */

/* A task that could go on now and that nobody runs. Called when no thread runs and every worker sleeps:
 * then every task waits, or waits for one that it runs on its own stack. */
static bool is_lost(struct weft__task *t, uint64_t word) {
  switch (weft__word_phase(word)) {
  case WEFT__UNSTARTED:
  case WEFT__ARMED:
    return true;
  case WEFT__RUNNING:
    return weft__load_acquire_ptr(&t->inline_child) == NULL;
  default:
    return false;
  }
}

static void check_not_lost(struct weft__task *t, uint64_t word, void *arg) {
  const struct weft__simulated *sim = arg;
  if (!is_lost(t, word)) return;
  char line[256] = "?";
  weft_task_describe(weft__handle(t, word), line, sizeof line);
  weft__fatal("simulation with seed %llu: every worker sleeps, but this task could run: %s",
              (unsigned long long)sim->seed, line);
}

/* No timer, no descriptor and no job will make a task ready. */
static bool nothing_awaited(struct weft__runtime *rt) {
  struct weft__blocking_stats jobs;
  for (unsigned i = 0; i < rt->nworkers; i++)
    if (rt->workers[i].own_timers.count || weft__loop_alive(&rt->workers[i].own_loop)) return false;
  if (weft__load_relaxed_u32(&rt->awaited) != 0) return false;
  weft__blocking_stats(&rt->blocking, &jobs);
  return jobs.awake == 0 && jobs.waiting == 0;
}

static void on_quiet(void *arg) {
  struct weft__simulated *sim = arg;
  struct weft__runtime *rt = sim->rt;
  if (!rt) return;
  if (weft__life(rt) == WEFT__ENDED) {
    if (++sim->waits_at_end > PATIENCE_AT_END)
      weft__fatal("simulation with seed %llu: the run has ended, and one of its threads does not",
                  (unsigned long long)sim->seed);
    return;
  }
  if (weft__life(rt) == WEFT__RESTS || weft__load_seq_u32(&rt->parked) != rt->nworkers) return;
  weft__task_each_live(&rt->tasks, check_not_lost, sim);
  bool stuck = weft__life(rt) == WEFT__STOPPING && nothing_awaited(rt);
  sim->waits_while_ending = stuck ? sim->waits_while_ending + 1 : 0;
  if (sim->waits_while_ending > PATIENCE_WHILE_ENDING) {
    if (sim->stuck == 0) report_deadlock(sim);
    give_up(sim);
  }
}

void weft__simulated_slice(struct weft__worker *w, struct weft__task *t) {
  struct weft__runtime *rt = w->rt;
  unsigned phase = weft__word_phase(weft__load_relaxed_u64(&t->word));
  WEFT__ASSERT(phase == WEFT__RUNNING);
  for (unsigned i = 0; i < rt->nworkers + rt->nreserves; i++)
    WEFT__ASSERT(&rt->workers[i] == w || rt->workers[i].current != t);
}

static void check_worker(struct weft__worker *w) {
  WEFT__ASSERT(weft__ring_len(&w->ring) == 0);
  WEFT__ASSERT(weft__tasklist_count(&w->inbox) == 0);
  WEFT__ASSERT(weft__tasklist_count(&w->hogs) == 0);
  WEFT__ASSERT(w->current == NULL);
  if (w->reserve) return;
  WEFT__ASSERT(w->own_timers.count == 0);
  WEFT__ASSERT(weft__load_relaxed_u32(&w->own_loop.posted) == 0);
  WEFT__ASSERT(weft__load_relaxed_ptr(&w->own_loop.driver) == NULL);
}

void weft__simulated_end(struct weft__runtime *rt) {
  if (rt->sim->stuck > 1) return; /* given up: what is left is what could not be ended */
  WEFT__ASSERT(weft__tasks_live(rt) == 0);
  WEFT__ASSERT(weft__tasklist_count(&rt->ready) == 0);
  WEFT__ASSERT(weft__load_relaxed_u32(&rt->held) == 0);
  for (unsigned i = 0; i < rt->nworkers + rt->nreserves; i++) check_worker(&rt->workers[i]);
  weft__sim_net_check();
}

/* First everything is cancelled, as at the end of a run. Tasks that do not end by that are left where
 * they are. */
static bool on_stuck(void *arg) {
  struct weft__simulated *sim = arg;
  struct weft__runtime *rt = sim->rt;
  if (!rt || weft__life(rt) >= WEFT__RESTS) return false;
  if (sim->stuck > 0) {
    give_up(sim);
    return true;
  }
  sim->stuck = 1;
  sim->failure = WEFT_EDEADLK;
  report_deadlock(sim);
  weft__task_each_live(&rt->tasks, cancel_one, NULL);
  for (unsigned i = 0; i < rt->nworkers; i++) weft__unpark(&rt->workers[i]);
  return true;
}

/* ---- a run ---- */

int weft__simulated_open(struct weft__simulated *sim, const weft_run_opts *opts,
                         weft_run_opts *ret) {
  struct weft__sim_setup setup = {
      .seed = sim->seed,
      .record = sim->record,
      .follow = sim->follow,
      .hooks = {get_self, set_self, task_context, on_quiet, on_stuck, sim},
  };
  int r = weft__table_enter(true); /* the clock of a runtime beside it would jump */
  if (r < 0) return r;
  r = weft__sim_begin(&setup);
  if (r < 0) {
    weft__table_leave(true);
    return r;
  }
  const char *workers = getenv("WEFT_WORKERS");
  *ret = *opts;
  if (ret->workers == 0 && !ret->exact && !(workers && *workers))
    ret->workers = 1 + (int)weft__sim_draw(4);
  return 0;
}

int weft__simulated_answer(struct weft__simulated *sim, int code) {
  if (!sim->failure) return code;
  code = sim->failure;
  /* All was cancelled, and has ended: a later run may do better. */
  if (sim->stuck == 1) {
    sim->stuck = 0;
    sim->failure = 0;
  }
  return code;
}

int weft__simulated_close(struct weft__simulated *sim, int code, weft_sim_report *ret) {
  if (sim->failure) code = sim->failure;
  struct weft__sim_report played;
  weft__sim_end(&played);
  weft__table_leave(true); /* what was left behind can do nothing any more */
  if (ret)
    *ret = (weft_sim_report){
        .runs = sim->begun,
        .seed = sim->seed,
        .code = code,
        .workers = sim->workers,
        .decisions = played.decisions,
        .switches = played.switches,
        .time = (weft_ns)played.ns,
        .diverged = played.diverged,
    };
  return code;
}

int weft__run_simulated(const struct weft__main *m, const weft_run_opts *opts,
                        struct weft__simulated *sim, weft_sim_report *ret) {
  weft_run_opts mine;
  int r = weft__simulated_open(sim, opts, &mine);
  if (r < 0) return r;
  return weft__simulated_close(sim, weft__run(m, &mine, sim->seed, sim), ret);
}

/* ---- the public side ---- */

static int next_run(const struct weft__main *m, const weft_sim_opts *o, uint64_t seed,
                    weft_sim_report *ret) {
  static const weft_run_opts defaults;
  struct weft__simulated sim = {.follow = o->follow, .record = o->record, .seed = seed};
  return weft__run_simulated(m, o->run ? o->run : &defaults, &sim, ret);
}

struct series {
  uint64_t first, n;
};

/* The log's seed, that of the environment, or those of the options. */
static int find_series(const weft_sim_opts *o, struct series *ret) {
  *ret = (struct series){o->first_seed ? o->first_seed : 1, o->seeds ? o->seeds : 1000};
  uint64_t seed = o->follow ? o->follow->seed : 0;
  int r = o->follow ? 1 : weft__options_seed(o->run, &seed);
  if (r == 1) *ret = (struct series){seed, 1};
  return r < 0 ? r : 0;
}

/* Also for those who do not look at the report: a log that says no more than "failed" is worth little. */
static void tell_failure(const weft_sim_opts *o, const weft_sim_report *r) {
  char line[160];
  snprintf(line, sizeof line,
           "simulation with seed %" PRIu64 " failed: %d (%s); WEFT_SEED=%" PRIu64 " shows it again",
           r->seed, r->code, r->code <= WEFT_EUSER ? "the program's own" : weft_err_name(r->code),
           r->seed);
  weft__options_log(o->run, line);
}

int weft_simulate(weft_fn fn, void *arg, const weft_sim_opts *opts, weft_sim_report *ret) {
  static const weft_sim_opts defaults;
  const weft_sim_opts *o = opts ? opts : &defaults;
  const struct weft__main m = {fn, arg, NULL, __builtin_return_address(0)};
  weft_sim_report report = {0};
  if (ret) *ret = report;
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__self()) return WEFT_ENESTED;
  if (!fn || o->time_limit < 0) return WEFT_EINVAL;
  if (o->record && o->record->capacity && !o->record->decisions) return WEFT_EINVAL;
  if (o->follow && o->follow->capacity && !o->follow->decisions) return WEFT_EINVAL;
  if (o->follow && o->follow == o->record) return WEFT_EINVAL;
  struct series s = {0, 0};
  int r = weft__process_init();
  if (r == 0) r = find_series(o, &s);
  uint64_t begin = weft__now();
  for (uint64_t i = 0; i < s.n && r >= 0; i++) {
    if (o->time_limit && i > 0 && weft__now() - begin >= (uint64_t)o->time_limit) break;
    uint64_t before = report.runs;
    report.runs = 0;
    r = next_run(&m, o, s.first + i, &report);
    if (report.runs == 0) report = (weft_sim_report){.code = r}; /* refused: no run */
    if (r < 0 && report.runs) tell_failure(o, &report);
    report.runs += before;
  }
  if (ret) *ret = report;
  return r < 0 ? r : 0;
}

bool weft_simulated(void) {
  return weft__sim_here();
}

uint64_t weft_sim_seed(void) {
  return weft__sim_here() ? weft__sim_seed() : 0;
}

void weft_sim_point(void) {
  weft__point();
}

uint32_t weft_sim_random(uint32_t n) {
  return weft__sim_here() ? weft__sim_draw(n) : 0;
}

void weft_sim_work(weft_ns ns) {
  if (weft__sim_here() && ns > 0) weft__sim_compute((uint64_t)ns);
}
