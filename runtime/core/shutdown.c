#include "core/shutdown.h"

#include "base/clock.h"
#include "core/cancel.h"
#include "core/debug.h"
#include "core/introspect.h"
#include "core/rest.h"
#include "core/worker.h"

#define REPORT_EVERY_NS WEFT__NS_PER_SEC
#define SWEEP_FIRST_NS WEFT__NS_PER_MS
enum { NAMED_AT_MOST = 5 };

static void cancel_one(struct weft__task *t, uint64_t word, void *many) {
  weft__cancel_add(many, t, weft__word_key(word));
}

static void cancel_all(struct weft__runtime *rt) {
  struct weft__cancels many;
  weft__cancel_begin(&many, "the run is ending");
  weft__task_each_live(&rt->tasks, cancel_one, &many);
  weft__cancel_end(&many);
}

static void find_cancelled(struct weft__task *t, uint64_t word, void *arg) {
  (void)t;
  if (weft__word_count(word) != 0) *(bool *)arg = true;
}

/* A task that is cleaning up after its cancel may start others and wait for them: those are its
 * business. When none that has its cancel is alive, nobody does, and the others get theirs. Looked
 * for at growing intervals. */
static void cancel_latecomers(struct weft__runtime *rt, uint64_t now) {
  if (now < rt->sweep_at) return;
  bool cancelled = weft__closers_run(&rt->closers); /* what is alive then is their business */
  if (!cancelled) weft__task_each_live(&rt->tasks, find_cancelled, &cancelled);
  if (!cancelled) cancel_all(rt);
  if (rt->sweep_every < REPORT_EVERY_NS) rt->sweep_every *= 2;
  rt->sweep_at = now + rt->sweep_every;
}

/* The name may be of a task that ends meanwhile: it is the caller's memory of a spawn, and copies
 * nothing that the task owns. */
static void name_one(struct weft__task *t, uint64_t word, void *arg) {
  unsigned *named = arg;
  if ((*named)++ >= NAMED_AT_MOST) return;
  char line[WEFT__DESCRIPTION];
  weft_task h = weft__handle(t, word);
  if (weft_task_describe(h, line, sizeof line) <= 0) return;
  weft_report r = {.kind = WEFT_REPORT_REMAINS, .task = h, .task_description = line};
  r.task_name = weft_task_name(h);
  weft__report(t->rt, NULL, &r, "still alive after its cancel: %s", line);
}

static void report_remaining(struct weft__runtime *rt, uint64_t now) {
  if (now < rt->report_at) return;
  rt->report_at = now + REPORT_EVERY_NS;
  unsigned named = 0;
  weft__task_each_live(&rt->tasks, name_one, &named);
  if (named > NAMED_AT_MOST)
    weft__report(rt, NULL, &(weft_report){.kind = WEFT_REPORT_REMAINS}, "and %u more",
                 named - NAMED_AT_MOST);
}

void weft__shutdown_begin(struct weft__runtime *rt) {
  weft__runtime_refuse(rt);
  weft__store_release_u32(&rt->life, WEFT__STOPPING);
  cancel_all(rt);
  uint64_t now = weft__now();
  rt->report_at = now + REPORT_EVERY_NS;
  rt->sweep_every = SWEEP_FIRST_NS;
  rt->sweep_at = now + rt->sweep_every;
  rt->stop_at = rt->shutdown_timeout == WEFT__NEVER ? WEFT__NEVER : now + rt->shutdown_timeout;
}

static void end(struct weft__runtime *rt, bool timed_out) {
  rt->timed_out = timed_out;
  weft__life_end(rt);
}

uint64_t weft__tasks_live(struct weft__runtime *rt) {
  /* Ends before beginnings: neither ever falls, so when the sums are equal there was a moment
   * between the two readings at which nothing was alive, and only what is alive spawns. Acquire: a
   * spawn happens before the end of what it spawned, so an end that was counted has its spawn
   * counted too; and what the last tasks wrote, the main task's code among it, is seen here. */
  uint64_t finished = 0, spawned = 0;
  unsigned n = rt->nworkers + rt->nreserves;
  for (unsigned i = 0; i < n; i++)
    finished += weft__counter_read_acquire(&rt->workers[i].counters.finished);
  for (unsigned i = 0; i < n; i++) spawned += weft__counter_read(&rt->workers[i].counters.spawned);
  return spawned + weft__load_acquire_u64(&rt->submitted) - finished;
}

void weft__shutdown_step(struct weft__runtime *rt, struct weft__worker *w) {
  if (weft__life(rt) == WEFT__RUNS) {
    weft__interrupts_end(rt);
    if (rt->keep) {
      weft__rest_begin(rt);
      return;
    }
    weft__shutdown_begin(rt);
  }
  if (weft__tasks_live(rt) == 0) {
    if (rt->debug) weft__debug_tasks_over(rt);
    if (!weft__closers_begin(&rt->closers, w)) {
      end(rt, false);
      return;
    }
  }
  uint64_t now = weft__now();
  cancel_latecomers(rt, now);
  report_remaining(rt, now);
  if (now >= rt->stop_at) end(rt, true);
}

uint64_t weft__shutdown_deadline(struct weft__worker *w) {
  struct weft__runtime *rt = w->rt;
  if (w->index != 0 || weft__life(rt) != WEFT__STOPPING) return WEFT__NEVER;
  uint64_t next = rt->report_at < rt->stop_at ? rt->report_at : rt->stop_at;
  return rt->sweep_at < next ? rt->sweep_at : next;
}

void weft__shutdown_hint(struct weft__runtime *rt) {
  if (weft__self() != &rt->workers[0]) weft__unpark(&rt->workers[0]);
}
