/* weft_run: from a plain thread to a runtime and back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/run.h>

#include "base/check.h"
#include "base/choice.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/crash.h"
#include "core/debug.h"
#include "core/monitor.h"
#include "core/ready.h"
#include "core/reserve.h"
#include "core/simulate.h"
#include "core/spawn.h"
#include "core/table.h"
#include "core/thread.h"
#include "core/worker.h"

enum { BLOCKING_THREADS = 512 };

/* ---- options ---- */

/* A whole number from 1 to WEFT_WORKERS_MAX, or WEFT_EINVAL. */
static int parse_workers(const char *text) {
  char *end;
  long n = strtol(text, &end, 10);
  return end != text && *end == '\0' && n >= 1 && n <= WEFT_WORKERS_MAX ? (int)n : WEFT_EINVAL;
}

static int choose_workers(struct weft__runtime *rt, const weft_run_opts *o) {
  if (o->workers < 0 || o->workers > WEFT_WORKERS_MAX) return WEFT_EINVAL;
  if (o->exact) return o->workers <= 1 ? 1 : WEFT_EINVAL;
  if (o->workers > 0) return o->workers;
  const char *env = getenv("WEFT_WORKERS");
  if (env && *env) {
    int n = parse_workers(env);
    /* The caller sees an invalid argument that is none of its own. */
    if (n < 0)
      weft__log(rt, "WEFT_WORKERS is '%s': wanted is a number from 1 to %d", env, WEFT_WORKERS_MAX);
    return n;
  }
  unsigned cpus = weft__cpus_usable();
  return cpus < WEFT_WORKERS_MAX ? (int)cpus : WEFT_WORKERS_MAX;
}

static bool env_set(const char *name) {
  const char *v = getenv(name);
  return v && *v && strcmp(v, "0") != 0;
}

static int apply_options(struct weft__runtime *rt, const weft_run_opts *o) {
  rt->log = o->log;
  rt->log_arg = o->log_arg;
  weft__reports_init(&rt->reports, o->on_error, o->on_error_arg);
  int n = choose_workers(rt, o);
  if (n < 0) return n;
  if (o->shutdown_timeout < 0) return WEFT_EINVAL;
  if (o->stack_size && (o->stack_size < WEFT_STACK_MIN || o->stack_size > WEFT__STACK_MAX))
    return WEFT_EINVAL;
  rt->nworkers = (unsigned)n;
  rt->exact = o->exact;
  rt->nreserves = o->exact || o->no_reserve ? 0 : (unsigned)n;
  rt->migrate = env_set("WEFT_MIGRATE") && n > 1;
  rt->spin = !o->exact && !o->no_spin && !rt->sim && n > 1 && (unsigned)n <= weft__cpus_usable();
  rt->shutdown_timeout = o->shutdown_timeout ? (uint64_t)o->shutdown_timeout : WEFT__NEVER;
  return 0;
}

void weft__log(struct weft__runtime *rt, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (rt->log)
    rt->log(line, rt->log_arg);
  else
    fprintf(stderr, "weft: %s\n", line);
}

/* ---- beginning and end ---- */

static void *worker_main(void *arg) {
  struct weft__worker *w = arg;
  weft__worker_thread_begin(w);
  weft__worker_loop(w);
  weft__worker_thread_end(w);
  return NULL;
}

static void free_workers(struct weft__runtime *rt, unsigned made) {
  for (unsigned i = 0; i < made; i++) weft__worker_fini(&rt->workers[i]);
  weft__free(rt->workers);
}

static void pool_wants_ticks(struct weft__blocking *p) {
  weft__monitor_want_ticks(weft__container_of(p, struct weft__runtime, blocking));
}

static int make_workers(struct weft__runtime *rt, uint64_t seed) {
  unsigned n = rt->nworkers + rt->nreserves;
  rt->workers = weft__alloc_aligned(64, n * sizeof *rt->workers);
  if (!rt->workers) return WEFT_ENOMEM;
  memset(rt->workers, 0, n * sizeof *rt->workers);
  for (unsigned i = 0; i < n; i++) {
    bool reserve = i >= rt->nworkers;
    struct weft__worker *w = &rt->workers[i];
    int r = weft__worker_init(w, rt, reserve ? i - rt->nworkers : i, reserve);
    if (r < 0) {
      free_workers(rt, i);
      return r;
    }
    weft__rng_init(&w->rng, seed, i);
  }
  return 0;
}

static void join_threads(struct weft__runtime *rt, unsigned started) {
  for (unsigned i = 1; i < started; i++) weft__sys_thread_join(rt->workers[i].thread);
}

/* Starts the monitor and the other workers, who find it when they begin. On failure those that run
 * are sent home. */
static int start_threads(struct weft__runtime *rt) {
  unsigned started = 1;
  int r = weft__monitor_start(rt);
  if (r < 0) return r;
  while (started < rt->nworkers && r == 0) {
    struct weft__worker *w = &rt->workers[started];
    r = weft__thread_start(&w->thread, worker_main, w, "weft-worker");
    if (r == 0) started++;
  }
  if (r == 0) return 0;
  weft__monitor_stop(rt);
  weft__store_release_u32(&rt->life, WEFT__ENDED);
  for (unsigned i = 1; i < started; i++) weft__unpark(&rt->workers[i]);
  join_threads(rt, started);
  weft__monitor_free(rt);
  return r;
}

/* The main task's end is what run waits for. */
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

/* A failure that nobody awaited and nobody detached is told at the end. */
static void report_unread(struct weft__runtime *rt) {
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&rt->tasks.slabs); s; s = s->next)
    for (int i = 0; i < WEFT__TASKS_PER_SLAB; i++) {
      struct weft__task *t = &s->tasks[i];
      uint64_t word = weft__load_acquire_u64(&t->word);
      if (weft__word_phase(word) != WEFT__DONE) continue;
      if (!(word & WEFT__TAKEN) && t->code < 0 && t->code != WEFT_ECANCELED) {
        char label[128];
        weft__task_label(t, label, sizeof label);
        weft__report(rt, t, &(weft_report){.kind = WEFT_REPORT_UNAWAITED, .code = t->code},
                     "task %s failed and was never awaited: %s (%s)", label, weft_err_name(t->code),
                     weft_strerror(t->code));
      }
      weft__free(t->copy);
      weft__env_drop(t->env);
    }
}

/* The calling thread is worker 0 until the runtime has ended. */
static int run_main(struct weft__runtime *rt, weft_fn fn, void *arg, const void *site) {
  struct weft__worker *w = &rt->workers[0];
  struct main_owner m = {.owner = {main_done}, .rt = rt};
  sigset_t pipe, old;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &old);
  weft__worker_thread_begin(w);
  struct weft__task *t;
  int r = weft__spawn_make(w, fn, arg, &(weft_spawn_opts){.name = "main"}, &m.owner, site, &t);
  if (r == 0) {
    weft__claim_take(&t->word, weft__word_key(weft__load_relaxed_u64(&t->word)));
    weft__push_unstarted(w, t);
    weft__worker_loop(w);
    r = rt->main_code;
  } else {
    weft__store_release_u32(&rt->life, WEFT__ENDED);
    for (unsigned i = 1; i < rt->nworkers; i++) weft__unpark(&rt->workers[i]);
  }
  weft__worker_thread_end(w);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return r;
}

static void free_runtime(struct weft__runtime *rt) {
  if (rt->debug) weft__debug_end(rt);
  report_unread(rt);
  free_workers(rt, rt->nworkers + rt->nreserves);
  weft__stack_pool_fini(&rt->stacks);
  weft__task_pool_fini(&rt->tasks);
  weft__free(rt);
}

/* Everything that can fail for want of memory or threads, before fn runs. */
static int make_runtime(struct weft__runtime **ret, const weft_run_opts *o, uint64_t seed,
                        struct weft__simulated *sim) {
  struct weft__runtime *rt = weft__alloc_aligned(64, sizeof *rt);
  if (!rt) return WEFT_ENOMEM;
  memset(rt, 0, sizeof *rt);
  rt->sim = sim;
  rt->observed = sim != NULL;
  int r = apply_options(rt, o);
  if (r == 0) r = weft__stack_pool_init(&rt->stacks, o->stack_size);
  if (r < 0) {
    weft__free(rt);
    return r;
  }
  weft__task_pool_init(&rt->tasks, rt);
  weft__tasklist_init(&rt->ready, WEFT__LINK_READY);
  weft__tasklist_init(&rt->unstarted, WEFT__LINK_START);
  weft__closers_init(&rt->closers);
  r = make_workers(rt, seed);
  if (r == 0) {
    unsigned most = o->blocking_threads ? o->blocking_threads : BLOCKING_THREADS;
    unsigned cpus = sim ? rt->nworkers : weft__cpus_usable();
    r = weft__blocking_init(&rt->blocking, cpus < most ? cpus : most, most);
    rt->blocking.want_ticks = pool_wants_ticks;
    if (r < 0) free_workers(rt, rt->nworkers + rt->nreserves);
  }
  if (r < 0) {
    weft__stack_pool_fini(&rt->stacks);
    weft__free(rt);
    return r;
  }
  *ret = rt;
  return 0;
}

/* The shutdown's time ran out: threads that are stuck in a task end when they come back from it. */
static void leave_threads(struct weft__runtime *rt) {
  for (unsigned i = 1; i < rt->nworkers; i++) weft__sys_thread_detach(rt->workers[i].thread);
  weft__reserves_leave(rt);
}

/* Ends pool and threads; true when all are gone and the memory may go too. */
static bool end_threads(struct weft__runtime *rt) {
  uint64_t deadline = rt->timed_out ? weft__now() : rt->stop_at ? rt->stop_at : WEFT__NEVER;
  weft__monitor_stop(rt); /* first: it wakes reserves and ticks the pool */
  bool clean = weft__blocking_close(&rt->blocking, deadline) == 0;
  /* No simulated thread is stuck for ever: each is waited for, and only what the tasks hold is left. */
  if (rt->timed_out && !rt->sim) {
    leave_threads(rt);
    return false;
  }
  weft__reserves_stop(rt);
  join_threads(rt, rt->nworkers);
  weft__monitor_free(rt);
  return clean && !rt->timed_out;
}

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

/* *ret_left: threads and memory are left behind. */
static int run(weft_fn fn, void *arg, const weft_run_opts *opts, uint64_t seed,
               struct weft__simulated *sim, const void *site, bool *ret_left) {
  struct weft__runtime *rt = NULL;
  int r = make_runtime(&rt, opts, seed, sim);
  if (r < 0) return r;
  if (sim) {
    sim->rt = rt;
    sim->workers = rt->nworkers;
  }
  r = weft__debug_begin(rt, opts);
  if (r == 0) r = weft__crash_begin();
  if (r == 0 && (r = start_threads(rt)) < 0) weft__crash_end();
  if (r < 0) {
    weft__blocking_close(&rt->blocking, WEFT__NEVER);
    if (sim) sim->rt = NULL;
    free_runtime(rt);
    return r;
  }
  weft__table_add(rt);
  int code = run_main(rt, fn, arg, site);
  weft__runtime_refuse(rt);
  bool clean = end_threads(rt);
  weft__table_remove(rt);
  weft__crash_end();
  if (sim) sim->rt = NULL;
  *ret_left = !clean;
  if (!clean) return WEFT_ETIMEDOUT;
  if (sim) weft__simulated_end(rt);
  free_runtime(rt);
  return code;
}

int weft__run(weft_fn fn, void *arg, const weft_run_opts *opts, uint64_t seed,
              struct weft__simulated *sim, const void *site) {
  bool left = false;
  int r = sim ? 0 : weft__table_enter(false);
  if (r < 0) return r;
  r = run(fn, arg, opts, seed, sim, site, &left);
  if (!sim && !left) weft__table_leave(false);
  return r;
}

int weft_run(weft_fn fn, void *arg, const weft_run_opts *opts) {
  static const weft_run_opts defaults;
  if (weft__in_child()) return WEFT_ECHILD;
  if (weft__self()) return WEFT_ENESTED;
  if (!fn) return WEFT_EINVAL;
  if (!opts) opts = &defaults;
  int r = weft__process_init();
  struct weft__simulated sim = {.seed = opts->seed};
  if (r == 0) r = opts->seed ? 1 : weft__choice_seed(&sim.seed);
  if (r < 0) return r;
  const void *site = __builtin_return_address(0);
  if (r == 0) return weft__run(fn, arg, opts, sim.seed, NULL, site);
  weft_sim_report report;
  return weft__run_simulated(fn, arg, opts, &sim, site, &report);
}
