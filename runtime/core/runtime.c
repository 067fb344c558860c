/* A runtime's memory and threads: how they come, and how they go. */
#include "core/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/choice.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/debug.h"
#include "core/life.h"
#include "core/monitor.h"
#include "core/options.h"
#include "core/reserve.h"
#include "core/rest.h"
#include "core/shutdown.h"
#include "core/thread.h"
#include "core/worker.h"

enum { BLOCKING_THREADS = 512 };
/* How long the end waits for jobs of the thread pool, unless the options say how long it may take. */
#define POOL_TIMEOUT (300 * WEFT__NS_PER_SEC)

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

/* ---- memory ---- */

static void *worker_main(void *arg) {
  struct weft__worker *w = arg;
  weft__worker_thread_begin(w);
  while (weft__rest(w)) {
    weft__worker_loop(w);
    weft__work_end(w->rt);
  }
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

static void pool_waits(struct weft__blocking *p) {
  struct weft__runtime *rt = weft__container_of(p, struct weft__runtime, blocking);
  struct weft__blocking_stats s;
  weft__blocking_stats(p, &s);
  weft__report(rt, NULL, &(weft_report){.kind = WEFT_REPORT_JOBS},
               "the thread pool has not ended: %u threads are in jobs, %llu jobs wait", s.awake,
               (unsigned long long)s.waiting);
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

/* A failure that nobody awaited and nobody detached is told at the end. */
static void report_unread(struct weft__runtime *rt) {
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&rt->tasks.slabs); s; s = s->next)
    for (int i = 0; i < WEFT__TASKS_PER_SLAB; i++) {
      struct weft__task *t = &s->tasks[i];
      uint64_t word = weft__load_acquire_u64(&t->word);
      if (weft__word_phase(word) != WEFT__DONE) continue;
      if (!(word & WEFT__TAKEN) && t->code < 0 && t->code != WEFT_ECANCELED) {
        char label[WEFT__LABEL];
        weft__task_label(t, label, sizeof label);
        weft__report(rt, t, &(weft_report){.kind = WEFT_REPORT_UNAWAITED, .code = t->code},
                     "task %s failed and was never awaited: %s (%s)", label, weft_err_name(t->code),
                     weft_strerror(t->code));
      }
      weft__free(t->copy);
      weft__env_drop(t->env);
      if (t->heritage) weft__heritage_drop(t->heritage);
    }
}

void weft__runtime_free(struct weft__runtime *rt) {
  report_unread(rt);
  if (rt->debug) weft__debug_end(rt);
  free_workers(rt, rt->nworkers + rt->nreserves);
  weft__stack_pool_fini(&rt->stacks);
  weft__task_pool_fini(&rt->tasks);
  weft__free(rt);
}

int weft__runtime_make(struct weft__runtime **ret, const weft_run_opts *o, uint64_t seed,
                       struct weft__simulated *sim) {
  struct weft__runtime *rt = weft__alloc_aligned(64, sizeof *rt);
  if (!rt) return WEFT_ENOMEM;
  memset(rt, 0, sizeof *rt);
  rt->sim = sim;
  rt->observed = sim != NULL;
  int r = weft__options_apply(rt, o);
  if (r == 0) r = weft__stack_pool_init(&rt->stacks, o->stack_size);
  if (r < 0) {
    weft__free(rt);
    return r;
  }
  weft__task_pool_init(&rt->tasks, rt);
  weft__tasklist_init(&rt->ready, WEFT__LINK_READY);
  weft__tasklist_init(&rt->unstarted, WEFT__LINK_START);
  weft__closers_init(&rt->closers);
  weft__submissions_init(&rt->submissions);
  r = make_workers(rt, seed);
  if (r == 0) {
    unsigned most = o->blocking_threads ? o->blocking_threads : BLOCKING_THREADS;
    unsigned cpus = sim ? rt->nworkers : weft__cpus_usable();
    r = weft__blocking_init(&rt->blocking, cpus < most ? cpus : most, most);
    rt->blocking.want_ticks = pool_wants_ticks;
    rt->blocking.waits = pool_waits;
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

/* ---- threads ---- */

int weft__runtime_start(struct weft__runtime *rt, bool rests) {
  unsigned started = 1;
  if (rests) weft__rest_first(rt);
  int r = weft__monitor_start(rt);
  if (r < 0) return r;
  while (started < rt->nworkers && r == 0) {
    struct weft__worker *w = &rt->workers[started];
    r = weft__thread_start(&w->thread, worker_main, w, "weft-worker");
    if (r == 0) started++;
  }
  if (r == 0) return 0;
  weft__monitor_stop(rt);
  weft__life_end(rt);
  join_threads(rt, started);
  weft__monitor_free(rt);
  return r;
}

/* The shutdown's time ran out: threads that are stuck in a task end when they come back from it. */
static void leave_threads(struct weft__runtime *rt) {
  for (unsigned i = 1; i < rt->nworkers; i++) weft__sys_thread_detach(rt->workers[i].thread);
  weft__reserves_leave(rt);
}

static uint64_t pool_deadline(struct weft__runtime *rt) {
  if (rt->timed_out) return weft__now();
  return rt->shutdown_timeout == WEFT__NEVER ? weft__now() + POOL_TIMEOUT : rt->stop_at;
}

bool weft__runtime_end(struct weft__runtime *rt) {
  weft__monitor_stop(rt); /* first: it wakes reserves, passes signals on and ticks the pool */
  weft__signals_end(rt);
  bool clean = weft__blocking_close(&rt->blocking, pool_deadline(rt)) == 0;
  /* No simulated thread is stuck for ever: each is waited for, and only what the tasks hold is left. */
  if (rt->timed_out) weft__submissions_leave(&rt->submissions);
  if (rt->timed_out && !rt->sim) {
    leave_threads(rt);
    return false;
  }
  weft__reserves_stop(rt);
  join_threads(rt, rt->nworkers);
  weft__monitor_free(rt);
  return clean && !rt->timed_out;
}
