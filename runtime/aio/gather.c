/* gather: one wait on the ends of many tasks, counted down by a gate. */
#include <weft/group.h>

#include "base/memory.h"
#include "core/cancel.h"
#include "core/park.h"
#include "core/worker.h"

enum { ON_STACK = 16 };

struct gather {
  struct weft__task *cur;
  const weft_task *tasks;
  size_t n;
  struct weft__waiter *recs; /* recs[i].task NULL: tasks[i] stands earlier in the list, too */
  struct weft__gate gate;
  weft__ticket ticket;
};

static struct weft__task *task_at(const struct gather *g, size_t i) {
  return g->tasks[i].slot_;
}

/* Where tasks[i] stands first. Only a list with a task twice pays for the search. */
static size_t first_place(const struct gather *g, size_t i) {
  size_t k = 0;
  while (g->tasks[k].slot_ != g->tasks[i].slot_ || g->tasks[k].key_ != g->tasks[i].key_) k++;
  return k;
}

static void give_back(struct gather *g, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (g->recs[i].task) weft__and_u64(&task_at(g, i)->word, ~WEFT__TAKEN);
}

/* Takes all handles, or none. */
static int take_handles(struct gather *g) {
  for (size_t i = 0; i < g->n; i++) {
    struct weft__task *t = task_at(g, i);
    int r = weft__handle_error(g->tasks[i]);
    if (t == g->cur) r = WEFT_ESELF;
    g->recs[i].task = NULL;
    if (r == 0 && weft__claim_take(&t->word, weft__handle_key(g->tasks[i])))
      g->recs[i].task = g->cur;
    else if (r == 0 && first_place(g, i) == i)
      r = WEFT_ESTALE;
    if (r < 0) {
      give_back(g, i);
      return r;
    }
  }
  return 0;
}

/* One count less: 1 when that opened the gate, 0 when it is open already, -1 when others are left. */
static int count_down(struct weft__gate *gate) {
  uint32_t left = weft__load_relaxed_u32(&gate->left);
  do {
    if (left == 0) return 0;
  } while (!weft__cas_u32(&gate->left, &left, left - 1));
  return left == 1 ? 1 : -1;
}

/* Registers with every task. The gate counts one more until that is done, so that it cannot open by
 * counting before; an error may open it. */
static int watch_all(struct gather *g) {
  weft__store_relaxed_u32(&g->gate.left, (uint32_t)g->n + 1);
  for (size_t i = 0; i < g->n; i++) {
    struct weft__waiter *rec = &g->recs[i];
    weft__list_init(&rec->link);
    int ended = 1;
    if (rec->task) {
      rec->ticket = g->ticket;
      rec->gate = &g->gate;
      ended = weft__done_watch(task_at(g, i), weft__handle_key(g->tasks[i]), rec);
    }
    if (!ended) continue;
    if (rec->task && rec->code < 0 && g->gate.fail_fast)
      weft__gate_open(&g->gate, rec->code);
    else
      count_down(&g->gate);
  }
  return count_down(&g->gate);
}

static void unwatch_all(struct gather *g) {
  for (size_t i = 0; i < g->n; i++)
    if (g->recs[i].task) weft__done_unwatch(task_at(g, i), &g->recs[i]);
}

/* After a cancel: ends them all and waits for each. */
static void cancel_all(struct gather *g) {
  for (size_t i = 0; i < g->n; i++) weft__cancel_task(task_at(g, i), weft__handle_key(g->tasks[i]));
  for (size_t i = 0; i < g->n; i++)
    weft__wait_done(g->cur, task_at(g, i), weft__handle_key(g->tasks[i]), true);
}

/* 0 when the gate has opened, else why the wait ended otherwise. */
static int wait_all(struct gather *g) {
  int r = weft__wait_open(g->cur, false, &g->ticket);
  if (r < 0) return r;
  int opened = watch_all(g);
  if (opened == 1 || weft__load_relaxed_u32(&g->gate.left) == 0)
    weft__wait_abort(g->cur, g->ticket);
  else
    r = weft__wait_park(g->cur, g->ticket, WEFT__NEVER);
  unwatch_all(g);
  return r;
}

static void drop_handles(struct gather *g) {
  struct weft__worker *w = weft__self();
  for (size_t i = 0; i < g->n; i++)
    if (g->recs[i].task) weft__task_unref(&w->rt->tasks, &w->cache, task_at(g, i), 1);
}

static int gather(struct gather *g, int *ret_codes) {
  int r = take_handles(g);
  if (r < 0) return r;
  r = wait_all(g);
  if (r == WEFT_ENOMEM) { /* for a timer: the tasks go on, and are the caller's as before */
    give_back(g, g->n);
    return r;
  }
  if (r < 0)
    cancel_all(g);
  else if (ret_codes)
    for (size_t i = 0; i < g->n; i++) ret_codes[i] = task_at(g, i)->code;
  else
    r = g->gate.error;
  drop_handles(g);
  return r;
}

int weft_gather(const weft_task *tasks, size_t n, int *ret_codes) {
  struct weft__task *cur = weft__current_task();
  if (!cur) return weft__no_task();
  if (n == 0) return 0;
  if (!tasks || n >= UINT32_MAX) return WEFT_EINVAL;
  struct weft__waiter few[ON_STACK];
  struct gather g = {.cur = cur, .tasks = tasks, .n = n, .recs = few};
  g.gate.fail_fast = ret_codes == NULL;
  if (n > ON_STACK) g.recs = weft__calloc(n, sizeof *g.recs);
  if (!g.recs) return WEFT_ENOMEM;
  int r = gather(&g, ret_codes);
  if (g.recs != few) weft__free(g.recs);
  return r;
}
