/* The world around tasks that wait, for models that compile park.c and what belongs to it as
 * they are: a model thread is a worker with the task that it runs; a task that switches away
 * stays with its thread, which goes on when somebody makes the task ready. Included once, by a
 * test. */
#ifndef WEFT_TESTS_WAITERS_H
#define WEFT_TESTS_WAITERS_H

#include <string.h>

#include <weft/errors.h>
#include <weft/task.h>

#include "base/clock.h"
#include "core/await.h"
#include "core/cancel.h"
#include "core/finish.h"
#include "core/debug.h"
#include "core/park.h"
#include "core/ready.h"
#include "core/self.h"
#include "core/strand.h"
#include "core/waitq.h"
#include "core/worker.h"
#include "model.h"
#include "weft_test.h"

#define THREADS 4
#define KEY 1
enum { NOT_YET = 1234, DEADLINE = 100, CODE = 5 };

static struct {
  struct weft__runtime rt;
  struct weft__worker w[THREADS];
  struct weft__task task[THREADS]; /* task i runs on worker i */
  weft__atomic_u32 ready[THREADS];
  struct weft__stack stack;
  struct weft__timer_entry entries[THREADS];
  struct weft__spin lock; /* guards the next two: a semaphore */
  struct weft__waitq queue;
  int turns;
  struct model_plain gift; /* from who wakes to who waited */
  int result[THREADS];
  unsigned reports;
#ifdef WAITERS_MORE
  WAITERS_MORE /* what a model has beside this */
#endif
} S;

/* --- what the code under test stands on --- */

__thread struct weft__worker *weft__tls_worker;

static bool ready_0(void) {
  return weft__load_relaxed_u32(&S.ready[0]) != 0;
}
static bool ready_1(void) {
  return weft__load_relaxed_u32(&S.ready[1]) != 0;
}
static bool (*const is_ready[])(void) = {ready_0, ready_1}; /* only these two ever wait */

/* The worker's part of a switch, for the only two posts that come back. */
void weft__context_swap(void **save, void *to) {
  (void)save;
  (void)to;
  struct weft__worker *w = weft__tls_worker;
  struct weft__task *t = w->current;
  unsigned i = (unsigned)(t - S.task);
  if (w->post == WEFT__POST_YIELD) return;
  MODEL_CHECK(w->post == WEFT__POST_COMMIT);
  if (!weft__claim_commit(&t->word)) return;
  model_wait_until(is_ready[i]);
  weft__xchg_u32(&S.ready[i], 0); /* acquires, as taking the task from a queue does */
}
void weft__make_ready(struct weft__task *t) {
  weft__atomic_u32 *ready = &S.ready[t - S.task];
  MODEL_CHECK(weft__load_relaxed_u32(ready) == 0);
  weft__store_release_u32(ready, 1);
}
void weft__make_ready_chain(struct weft__task *chain) {
  while (chain) {
    struct weft__task *next = chain->link[WEFT__LINK_READY];
    weft__make_ready(chain);
    chain = next;
  }
}
struct weft__task *weft__current_task(void) {
  return weft__tls_worker->current;
}
bool weft__in_child(void) {
  return false;
}
int weft__no_task_at(const char *function, const void *site) {
  (void)function, (void)site;
  return WEFT_ENOTASK;
}
void weft__end_child(int code) {
  model_fail("child ended with %d", code);
}
uint64_t weft__now(void) {
  return 0;
}
void weft__unpark(struct weft__worker *w) {
  (void)w;
}
void weft__strand_unref(struct weft_strand *s) {
  (void)s;
  model_fail("no model has a strand");
}
void weft__shutdown_hint(struct weft__runtime *rt) {
  (void)rt;
}
void weft__debug_task_end(struct weft__task *t) {
  (void)t;
}
void weft__report(struct weft__runtime *rt, struct weft__task *t, weft_report *r,
                  const char *format, ...) {
  (void)rt, (void)t, (void)r;
  (void)format;
  S.reports++;
}
void weft__env_drop(weft__env env) { /* of tasks with options only: none here */
  MODEL_CHECK(env == 0);
}
void weft__task_label(struct weft__task *t, char *buf, size_t size) {
  (void)t;
  if (size) *buf = '\0';
}

/* --- the state --- */

static void enter(unsigned t) {
  weft__tls_worker = &S.w[t];
  for (unsigned i = 0; i < THREADS; i++) memset(&S.w[i].counters, 0, sizeof S.w[i].counters);
}

static void setup(void) {
  S.rt.workers = S.w;
  S.rt.nworkers = THREADS;
  weft__waitq_init(&S.queue);
  S.stack.lo = NULL; /* no thread is short of stack */
  for (unsigned i = 0; i < THREADS; i++) {
    struct weft__task *t = &S.task[i];
    t->rt = &S.rt;
    t->limit = WEFT__NEVER;
    t->stack = &S.stack;
    t->ctx = &S.w[i].sched; /* any: the switch is replaced */
    weft__store_relaxed_u32(&t->refs, 2);
    weft__store_relaxed_u64(&t->word, weft__word_with_phase(weft__word_fresh(0), WEFT__RUNNING));
    struct weft__worker *w = &S.w[i];
    w->rt = &S.rt;
    w->index = i;
    w->plain = true;
    w->current = t;
    w->timers = &w->own_timers;
    weft__timers_init(w->timers);
    S.result[i] = NOT_YET;
  }
  S.w[0].own_timers.entries = S.entries; /* no memory from elsewhere */
  S.w[0].own_timers.capacity = THREADS;
  model_name(&S.task[0].word, "task0.word");
  model_name(&S.task[1].word, "task1.word");
  model_name(&S.task[1].watched, "task1.watched");
  model_name(&S.task[1].lock.locked, "task1.lock");
  model_name(&S.task[1].refs, "task1.refs");
  model_name(&S.task[0].inline_child, "task0.inline_child");
  model_name(&S.ready[0], "ready0");
  model_name(&S.ready[1], "ready1");
  model_name(&S.lock.locked, "lock");
}

static bool cancel_pending(unsigned i) {
  return (weft__load_relaxed_u64(&S.task[i].word) & WEFT__CANCEL) != 0;
}
static inline weft_task handle(unsigned i) {
  return (weft_task){.slot_ = &S.task[i], .key_ = KEY};
}

static void cancels_0(void) {
  int r = weft__cancel_task(&S.task[0], KEY);
  MODEL_CHECK(r == 1);
}

#define MODEL(name_, check_, ...)                                                                  \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup, .enter = enter, .check = check_, .threads = {   \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

#endif
