/* Debug mode's look-out for waits that never end: circles of tasks once a second, and the run in which no
 * worker has anything to do or to wait for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/memory.h"
#include "insight/graph.h"
#include "insight/insight.h"

#define LOOK_EVERY_NS WEFT__NS_PER_SEC
enum { TEXT = 16 * 1024, LINES = 60 };

/* A report of several lines. */
struct text {
  char *buf;
  size_t at;
  unsigned lines;
};

static void put(const char *line, void *arg) {
  struct text *t = arg;
  if (++t->lines > LINES) return;
  int n = snprintf(t->buf + t->at, TEXT - t->at, t->at ? "\n%s" : "%s", line);
  t->at += n > 0 && (size_t)n < TEXT - t->at ? (size_t)n : 0;
}

static void tell(struct weft__debug *d, struct text *t) {
  if (t->lines > LINES) {
    t->lines = 0;
    put("and more", t);
  }
  weft_report r = {.kind = WEFT_REPORT_DEADLOCK, .code = WEFT_EDEADLK, .message = t->buf};
  weft__report(d->rt, NULL, &r, NULL);
}

/* ---- circles ---- */

struct circles {
  struct weft__debug *d;
  bool fresh;
};

static bool known(const struct weft__debug *d, const struct weft__graph_node *n) {
  for (unsigned i = 0; i < d->ncircles && i < WEFT__CIRCLES_KEPT; i++)
    if (d->circles[i].task == n->task &&
        (d->circles[i].word & WEFT__TICKET_MASK) == (n->word & WEFT__TICKET_MASK))
      return true;
  return false;
}

static void remember(const struct weft__graph *g, uint32_t node, struct circles *c) {
  const struct weft__graph_node *n = &g->nodes[node];
  if (known(c->d, n)) return;
  unsigned at = c->d->ncircles++ % WEFT__CIRCLES_KEPT;
  c->d->circles[at].task = n->task;
  c->d->circles[at].word = n->word;
  c->fresh = true;
}

static void look_at_circle(const struct weft__graph *g, const struct weft__graph_link *const *links,
                           uint32_t n, void *arg) {
  (void)n;
  remember(g, links[0]->from, arg);
}

/* True when some of the endless waits have not been reported. A circle is met at its first task, always
 * the same one while it lasts. */
static bool anything_new(struct weft__debug *d, const struct weft__graph *g) {
  struct circles c = {.d = d};
  if (weft__graph_circles(g, look_at_circle, &c) < 0) return false;
  for (uint32_t i = 0; i < g->n; i++)
    if (g->nodes[i].orphaned && g->nodes[i].endless) remember(g, i, &c);
  return c.fresh;
}

static void look_for_circles(struct weft__debug *d) {
  struct weft__graph g;
  if (weft__graph_take(&g, d->rt) < 0) return; /* no memory: at the next look */
  struct text t = {.buf = weft__alloc(TEXT)};
  if (t.buf && anything_new(d, &g) && weft__graph_write_endless(&g, put, &t) == 0 && t.lines)
    tell(d, &t);
  weft__free(t.buf);
  weft__graph_free(&g);
}

void weft__endless_tick(struct weft__debug *d, uint64_t now) {
  if (now < d->look_at) return;
  /* Not at the very beginning: most runs are over by then. */
  if (d->look_at) look_for_circles(d);
  d->look_at = now + LOOK_EVERY_NS;
}

void weft__debug_endless(struct weft__runtime *rt, weft_graph_line_fn fn, void *arg) {
  weft__graph_lines_of(rt, WEFT_GRAPH_ENDLESS, fn, arg); /* without memory: no lines */
}

/* ---- idleness ---- */

/* Every worker sleeps without a deadline and watches no descriptor, and no job is on its way. A run that got
 * tasks from outside may get more. */
static bool nothing_awaited(struct weft__runtime *rt) {
  struct weft__blocking_stats jobs;
  for (unsigned i = 0; i < rt->nworkers; i++) {
    struct weft__worker *w = &rt->workers[i];
    if (weft__load_relaxed_u32(&w->park) != WEFT__ON_FUTEX) return false;
    if (weft__timers_next(&w->own_timers) != WEFT__NEVER) return false;
  }
  if (weft__load_relaxed_u64(&rt->submitted) != 0) return false;
  if (weft__load_relaxed_u32(&rt->awaited) != 0) return false;
  weft__blocking_stats(&rt->blocking, &jobs);
  return jobs.awake == 0 && jobs.waiting == 0 && weft__life(rt) == WEFT__RUNS;
}

void weft__endless_idle(struct weft__debug *d) {
  look_for_circles(d);
  if (d->idle_told || !nothing_awaited(d->rt)) return;
  struct text t = {.buf = weft__alloc(TEXT)};
  if (!t.buf) return;
  d->idle_told = true;
  put("every task waits, and no timer, descriptor or job is left that could end a wait; only "
      "another "
      "thread could:",
      &t);
  if (weft__graph_lines_of(d->rt, WEFT_GRAPH_TREE, put, &t) >= 0) tell(d, &t);
  weft__free(t.buf);
}
