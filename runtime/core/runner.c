#include "core/runner.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <weft/runner.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/stack.h"
#include "core/crash.h"
#include "core/debug.h"
#include "core/life.h"
#include "core/options.h"
#include "core/ready.h"
#include "core/rest.h"
#include "core/shutdown.h"
#include "core/simulate.h"
#include "core/spawn.h"
#include "core/table.h"
#include "core/thread.h"
#include "core/worker.h"

/* Once: a second runtime may begin while a first one runs. */
static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static int process_error;

static void init_process(void) {
  weft__memory_init();
  weft__clock_init();
  weft__fence_init();
  weft__context_capture_fp();
  process_error = weft__self_init();
}

int weft__process_init(void) {
  pthread_once(&process_once, init_process);
  return process_error;
}

/* ---- a runtime ---- */

static int begin(struct weft__runtime **ret, const weft_run_opts *opts, uint64_t seed,
                 struct weft__simulated *sim, bool rests) {
  struct weft__runtime *rt = NULL;
  int r = weft__runtime_make(&rt, opts, seed, sim);
  if (r < 0) return r;
  if (sim) {
    sim->rt = rt;
    sim->workers = rt->nworkers;
  }
  r = weft__debug_begin(rt, opts);
  if (r == 0) r = weft__crash_begin();
  if (r == 0 && (r = weft__runtime_start(rt, rests)) < 0) weft__crash_end();
  if (r < 0) {
    weft__blocking_close(&rt->blocking, WEFT__NEVER);
    if (sim) sim->rt = NULL;
    weft__runtime_free(rt);
    return r;
  }
  weft__table_add(rt);
  *ret = rt;
  return 0;
}

int weft__runner_begin(struct weft__runtime **ret, const weft_run_opts *opts, uint64_t seed,
                       struct weft__simulated *sim, bool rests) {
  int r = sim ? 0 : weft__table_enter(false);
  if (r < 0) return r;
  r = begin(ret, opts, seed, sim, rests);
  if (r < 0 && !sim) weft__table_leave(false);
  return r;
}

/* What the calling thread puts back when it is worker 0 no more. */
struct visit {
  sigset_t mask;
};

static void become_worker(struct weft__runtime *rt, struct visit *v) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &v->mask);
  weft__worker_thread_begin(&rt->workers[0]);
}

/* The signal of a write to a broken pipe waits for the thread that made it: that write has answered
 * WEFT_EPIPE, and the program is not to be ended after the run. */
static void forget_pipe_signal(void) {
  const struct timespec now = {0, 0};
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  (void)sigtimedwait(&pipe, NULL, &now);
}

static void leave_worker(struct weft__runtime *rt, struct visit *v) {
  weft__worker_thread_end(&rt->workers[0]);
  if (!sigismember(&v->mask, SIGPIPE)) forget_pipe_signal();
  pthread_sigmask(SIG_SETMASK, &v->mask, NULL);
}

/* The main task's end is what a run waits for. */
struct main_owner {
  struct weft__owner owner;
  struct weft__runtime *rt;
};

static void main_done(struct weft__owner *owner, struct weft__task *t) {
  struct main_owner *m = weft__container_of(owner, struct main_owner, owner);
  struct weft__runtime *rt = m->rt;
  rt->main_code = t->code;
  weft__store_release_u32(&rt->main_done, 1);
  if (weft__self() != &rt->workers[0]) weft__unpark(&rt->workers[0]);
}

/* Without a main task the last run has only the end before it. */
static void no_main(struct weft__runtime *rt, int code) {
  rt->main_code = code;
  weft__store_release_u32(&rt->main_done, 1);
}

/* Until the main task has ended, and after the last run everything else. */
static int run_main(struct weft__runtime *rt, struct weft__task *t, bool rests) {
  struct weft__worker *w = &rt->workers[0];
  weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
  weft__interrupts_begin(rt, t);
  weft__push_unstarted(w, t);
  if (rests) weft__rest_end(rt, WEFT__RUNS);
  weft__worker_loop(w);
  if (rt->keep && weft__life(rt) == WEFT__RESTS) weft__rest_wait(rt);
  if (!weft__load_acquire_u32(&rt->main_done)) return WEFT_EDEADLK; /* a simulation gave up */
  int code = weft__interrupts_answer(rt, rt->main_code);
  weft__task_unref(&rt->tasks, &w->cache, t, 1);
  return code;
}

int weft__runner_play(struct weft__runtime *rt, const struct weft__main *m, bool last) {
  struct main_owner owner = {.owner = {main_done}, .rt = rt};
  const weft_spawn_opts opts = {.name = "main", .context = m->context};
  bool rests = weft__life(rt) == WEFT__RESTS;
  struct weft__task *t;
  struct visit v;
  become_worker(rt, &v);
  rt->keep = !last;
  rt->main_code = 0;
  weft__store_relaxed_u32(&rt->main_done, 0);
  int r = weft__spawn_make(&rt->workers[0], m->fn, m->arg, &opts, &owner.owner, m->site, &t);
  if (r == 0) {
    r = run_main(rt, t, rests);
  } else if (last) {
    no_main(rt, r);
    weft__worker_loop(&rt->workers[0]);
  }
  leave_worker(rt, &v);
  return r;
}

/* What is left is cancelled before anybody wakes. */
static void end_from_rest(struct weft__runtime *rt) {
  struct visit v;
  become_worker(rt, &v);
  rt->keep = false;
  no_main(rt, 0);
  weft__shutdown_begin(rt);
  weft__rest_end(rt, WEFT__STOPPING);
  weft__worker_loop(&rt->workers[0]);
  leave_worker(rt, &v);
}

int weft__runner_finish(struct weft__runtime *rt) {
  struct weft__simulated *sim = rt->sim;
  if (weft__life(rt) == WEFT__RESTS) end_from_rest(rt);
  weft__runtime_refuse(rt);
  bool clean = weft__runtime_end(rt);
  weft__table_remove(rt);
  weft__crash_end();
  if (sim) sim->rt = NULL;
  if (!clean) {
    weft__table_leave_behind(rt);
    return WEFT_ETIMEDOUT;
  }
  if (sim) weft__simulated_end(rt);
  weft__runtime_free(rt);
  if (!sim) weft__table_leave(false);
  return 0;
}

/* ---- Runners ---- */

struct runner {
  struct weft__runtime *rt; /* constant */
  bool simulated;           /* constant */
  struct weft__simulated sim;
  weft_context *context;  /* of every main task; constant */
  weft__atomic_u32 taken; /* by a thread that is in a run of it, or closes it */
};

static int open_runtime(struct runner *s, const weft_run_opts *opts) {
  if (!s->simulated) return weft__runner_begin(&s->rt, opts, s->sim.seed, NULL, true);
  weft_run_opts mine;
  int r = weft__simulated_open(&s->sim, opts, &mine);
  if (r < 0) return r;
  r = weft__runner_begin(&s->rt, &mine, s->sim.seed, &s->sim, true);
  if (r < 0) weft__simulated_close(&s->sim, r, NULL);
  return r;
}

int weft_runner_open(weft_runner *ret, const weft_run_opts *opts) {
  static const weft_run_opts defaults;
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__self()) return WEFT_ENESTED;
  if (!ret) return WEFT_EINVAL;
  if (!opts) opts = &defaults;
  int r = weft__process_init();
  if (r < 0) return r;
  struct runner *s = weft__zalloc(sizeof *s);
  if (!s) return WEFT_ENOMEM;
  s->sim.seed = opts->seed;
  r = opts->seed ? 1 : weft__options_seed(opts, &s->sim.seed);
  s->simulated = r == 1;
  if (r >= 0) r = weft_context_new(&s->context);
  if (r == 0) r = open_runtime(s, opts);
  if (r < 0) {
    weft_context_free(s->context);
    weft__free(s);
    return r;
  }
  ret->state_ = s;
  return 0;
}

/* The Runner is the caller's, until it gives it back: 0. */
static int take(const weft_runner *r, struct runner **ret) {
  uint32_t free = 0;
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__self()) return WEFT_ENESTED;
  struct runner *s = r ? r->state_ : NULL;
  if (!s) return WEFT_ECLOSED;
  if (s->simulated && !weft__sim_here()) return WEFT_EBUSY;
  if (!weft__cas_u32(&s->taken, &free, 1)) return WEFT_EBUSY;
  *ret = s;
  return 0;
}

static void give_back(struct runner *s) {
  weft__store_release_u32(&s->taken, 0);
}

int weft_runner_run(weft_runner *r, weft_fn fn, void *arg) {
  struct runner *s = NULL;
  if (!fn) return WEFT_EINVAL;
  int code = take(r, &s);
  if (code < 0) return code;
  const struct weft__main m = {fn, arg, s->context, __builtin_return_address(0)};
  if (weft__life(s->rt) == WEFT__ENDED)
    code = WEFT_ECLOSED; /* a simulation gave up in an earlier run */
  else
    code = weft__runner_play(s->rt, &m, false);
  if (s->simulated) code = weft__simulated_answer(&s->sim, code);
  give_back(s);
  return code;
}

int weft_runner_close(weft_runner *r) {
  struct runner *s = NULL;
  int code = take(r, &s);
  if (code < 0) return code == WEFT_ECLOSED ? 0 : code;
  r->state_ = NULL;
  code = weft__runner_finish(s->rt);
  if (s->simulated) code = weft__simulated_close(&s->sim, code, NULL);
  weft_context_free(s->context);
  weft__free(s);
  return code;
}

weft_runtime weft_runner_runtime(const weft_runner *r) {
  struct runner *s = r ? r->state_ : NULL;
  return (weft_runtime){.id_ = s ? s->rt->id : 0};
}
