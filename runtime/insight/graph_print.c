/* Writing the graph down: visits, tree, table. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/sim.h"
#include "core/worker.h"
#include "insight/graph.h"
#include "insight/where.h"

enum { LINE = 960, LABEL = 160, STATE = 460, DEEPEST = 40, FRAMES = 16 };

/* ---- words ---- */

void weft__graph_label(const struct weft__graph *g, uint32_t node, char *buf, size_t size) {
  const struct weft__graph_node *n = &g->nodes[node];
  char fn[96];
  if (n->name[0]) {
    snprintf(buf, size, "#%u '%s'", node + 1, n->name);
  } else {
    weft__where_symbol(n->fn, fn, sizeof fn);
    snprintf(buf, size, "#%u %s", node + 1, fn);
  }
}

static const char *state_word(const struct weft__graph_node *n) {
  unsigned phase = weft__word_phase(n->word);
  return phase == WEFT__UNSTARTED ? "not begun" : n->kind ? "waiting" : "running";
}

void weft__graph_state(const struct weft__graph_node *n, char *buf, size_t size) {
  snprintf(buf, size, "%s%s%s%s", state_word(n), n->kind ? " for " : "",
           n->kind ? n->kind->name : "",
           n->deadline && n->kind != &weft__waits_time ? ", with a deadline" : "");
}

/* A function of the library that a program calls, or one inside. */
static bool is_public(const char *name) {
  return strncmp(name, "weft_", 5) == 0 && name[5] != '_';
}
static bool is_ours(const char *name) {
  return strncmp(name, "weft_", 5) == 0;
}

/* The place of the program in the list of callers, or -1: the first that is not the library's. A function
 * without the library's prefix may still be one of its own, which then is called by a public one; but
 * public functions that end in a call leave no trace. */
static int find_program(const void *const *callers, int n) {
  bool reached = false;
  for (int i = 1; i < n; i++) {
    char name[LABEL], outer[LABEL];
    weft__where_symbol(callers[i], name, sizeof name);
    reached |= is_public(name);
    if (is_ours(name)) continue;
    bool inside = false;
    for (int k = i + 1; !reached && k < n && k <= i + 2; k++) {
      weft__where_symbol(callers[k], outer, sizeof outer);
      inside |= is_public(outer);
    }
    if (!inside) return i;
  }
  return -1;
}

void weft__graph_place(const struct weft__graph_node *n, char *buf, size_t size) {
  const void *callers[FRAMES];
  buf[0] = '\0';
  if (weft__word_phase(n->word) != WEFT__PARKED) return;
  int count = weft__context_callers(&n->task->ctx, callers, FRAMES);
  if (!weft__graph_same_wait(n)) return;
  int i = find_program(callers, count);
  if (i < 0) return;
  weft__where(callers[i], true, buf, size);
  /* The body itself has ended in the call: what called the body (core/worker.c) is left. */
  if (strncmp(buf, "task_entry+", 11) == 0) weft__where(n->fn, false, buf, size);
}

/* "waiting for a lock at f+0x12 (a.c:3), spawned at g+0x34 (a.c:9)" */
static void put_state(const struct weft__graph_node *n, char *buf, size_t size) {
  char state[96], place[LABEL], site[LABEL];
  weft__graph_state(n, state, sizeof state);
  weft__graph_place(n, place, sizeof place);
  weft__where(n->site, true, site, sizeof site);
  snprintf(buf, size, "%s%s%s, spawned at %s", state, place[0] ? " at " : "", place, site);
}

/* ---- the runtime ---- */

/* The runtime of that name, which cannot end before the caller has left. */
static int enter(weft_runtime id, struct weft__runtime **ret, bool *ret_held) {
  if (weft__in_child()) return WEFT_ECHILD;
  struct weft__worker *w = weft__self();
  *ret_held = !(w && w->rt->id == id.id_);
  *ret = *ret_held ? weft__runtime_hold(id.id_) : w->rt;
  if (!*ret) return WEFT_ECLOSED;
  if (!(*ret)->sim || weft__sim_here()) return 0;
  if (*ret_held) weft__runtime_release(*ret);
  return WEFT_EBUSY;
}

static int take(struct weft__graph *g, weft_runtime id) {
  struct weft__runtime *rt;
  bool held;
  int r = enter(id, &rt, &held);
  if (r < 0) return r;
  r = weft__graph_take(g, rt);
  if (held) weft__runtime_release(rt);
  return r;
}

/* ---- visits ---- */

static weft_task handle_of(const struct weft__graph *g, uint32_t i) {
  return weft__handle(g->nodes[i].task, g->nodes[i].word);
}

static int visit_task(const struct weft__graph *g, uint32_t i, const weft_graph_visitor *v,
                      void *arg) {
  const struct weft__graph_node *n = &g->nodes[i];
  char fn[LABEL], site[LABEL], place[LABEL];
  weft__where(n->fn, false, fn, sizeof fn);
  weft__graph_place(n, place, sizeof place);
  weft__where(n->site, true, site, sizeof site);
  weft_graph_task t = {
      .task = handle_of(g, i),
      .number = i + 1,
      .name = n->name[0] ? n->name : NULL,
      .function = fn,
      .site = site,
      .state = state_word(n),
      .waits_for = n->kind ? n->kind->name : NULL,
      .object = n->object,
      .place = place[0] ? place : NULL,
      .deadline = n->deadline,
      .endless = n->endless,
      .certain = n->certain,
      .awaits = n->outs,
      .awaited_by = n->ins,
  };
  return v->task(&t, arg);
}

static int visit_edge(const struct weft__graph *g, const struct weft__graph_link *l,
                      const weft_graph_visitor *v, void *arg) {
  const struct weft__graph_node *from = &g->nodes[l->from];
  weft_graph_edge e = {
      .waiter = handle_of(g, l->from),
      .awaited = handle_of(g, l->to),
      .via = l->via,
      .object = l->via == WEFT_GRAPH_LOCK ? from->object : NULL,
      .endless = l->via != WEFT_GRAPH_CHILD && from->endless && g->nodes[l->to].endless,
  };
  return v->edge(&e, arg);
}

int weft_graph_walk(weft_runtime rt, const weft_graph_visitor *visitor, void *arg) {
  if (!visitor) return WEFT_EINVAL;
  struct weft__graph g;
  int r = take(&g, rt);
  if (r < 0) return r;
  for (uint32_t i = 0; visitor->task && i < g.n && r == 0; i++) r = visit_task(&g, i, visitor, arg);
  for (uint32_t i = 0; visitor->edge && i < g.nlinks && r == 0; i++)
    r = visit_edge(&g, &g.links[i], visitor, arg);
  weft__graph_free(&g);
  return r;
}

/* ---- tree ---- */

/* A node on the way from a root to the line that is being written. */
struct step {
  uint32_t node;
  uint32_t child; /* its next edge */
};

struct tree {
  const struct weft__graph *g;
  weft_graph_line_fn fn;
  void *arg;
  bool *shown;        /* by node */
  struct step *steps; /* as many as there are nodes: none is twice on a way */
  uint32_t depth;
};

/* The line of a node: `via` is the edge to it, or NULL for a root. */
static void write_node(struct tree *t, uint32_t i, const struct weft__graph_link *via, bool again) {
  char line[LINE], label[LABEL], state[STATE];
  size_t at = 0;
  uint32_t shown = t->depth < DEEPEST ? t->depth : DEEPEST;
  for (uint32_t d = 0; d + 1 < shown; d++) {
    const struct step *s = &t->steps[d];
    bool more = s->child < t->g->nodes[s->node].outs;
    at += (size_t)snprintf(line + at, sizeof line - at, more ? "|   " : "    ");
  }
  if (t->depth) {
    const struct step *s = &t->steps[t->depth - 1];
    bool more = s->child < t->g->nodes[s->node].outs;
    at += (size_t)snprintf(line + at, sizeof line - at, more ? "|-- " : "`-- ");
  }
  weft__graph_label(t->g, i, label, sizeof label);
  const char *holder = via && via->via == WEFT_GRAPH_LOCK ? "holder " : "";
  if (again) {
    snprintf(line + at, sizeof line - at, "%s%s: see above", holder, label);
  } else {
    put_state(&t->g->nodes[i], state, sizeof state);
    snprintf(line + at, sizeof line - at, "%s%s: %s", holder, label, state);
  }
  t->fn(line, t->arg);
}

static void show(struct tree *t, uint32_t root) {
  write_node(t, root, NULL, false);
  t->shown[root] = true;
  t->steps[t->depth++] = (struct step){root, 0};
  while (t->depth) {
    struct step *s = &t->steps[t->depth - 1];
    const struct weft__graph_node *n = &t->g->nodes[s->node];
    if (s->child == n->outs) {
      t->depth--;
      continue;
    }
    const struct weft__graph_link *l = &t->g->links[n->first_out + s->child++];
    bool again = t->shown[l->to];
    write_node(t, l->to, l, again);
    if (again) continue;
    t->shown[l->to] = true;
    t->steps[t->depth++] = (struct step){l->to, 0};
  }
}

static int write_tree(const struct weft__graph *g, weft_graph_line_fn fn, void *arg) {
  struct tree t = {.g = g, .fn = fn, .arg = arg};
  t.shown = weft__calloc(g->n + 1, sizeof *t.shown);
  t.steps = weft__calloc(g->n + 1, sizeof *t.steps);
  int r = t.shown && t.steps ? 0 : WEFT_ENOMEM;
  for (uint32_t i = 0; i < g->n && r == 0; i++)
    if (g->nodes[i].ins == 0) show(&t, i);
  for (uint32_t i = 0; i < g->n && r == 0; i++) /* circles that nobody else awaits */
    if (!t.shown[i]) show(&t, i);
  weft__free(t.shown);
  weft__free(t.steps);
  return r == 0 ? weft__graph_write_endless(g, fn, arg) : r;
}

/* ---- table ---- */

/* "#1 #2 ..." */
static void write_awaiters(const struct weft__graph *g, const struct weft__graph_node *n, char *buf,
                           size_t size) {
  size_t at = 0;
  buf[0] = '\0';
  for (uint32_t k = 0; k < n->ins && at + 12 < size; k++)
    at += (size_t)snprintf(buf + at, size - at, k ? " #%u" : "#%u",
                           g->links[g->in[n->first_in + k]].from + 1);
  if (n->ins == 0) snprintf(buf, size, "-");
}

static void write_table(const struct weft__graph *g, weft_graph_line_fn fn, void *arg) {
  char line[LINE], label[LABEL], state[96], awaited[48], site[LABEL];
  snprintf(line, sizeof line, "%-28s %-44s %-16s %s", "task", "state", "awaited by", "spawned at");
  fn(line, arg);
  for (uint32_t i = 0; i < g->n; i++) {
    const struct weft__graph_node *n = &g->nodes[i];
    weft__graph_label(g, i, label, sizeof label);
    weft__graph_state(n, state, sizeof state);
    const char *ever = n->certain ? ", for ever" : n->endless ? ", for ever unless released" : "";
    strncat(state, ever, sizeof state - strlen(state) - 1);
    write_awaiters(g, n, awaited, sizeof awaited);
    weft__where(n->site, true, site, sizeof site);
    snprintf(line, sizeof line, "%-28s %-44s %-16s %s", label, state, awaited, site);
    fn(line, arg);
  }
}

static int count_endless(const struct weft__graph *g) {
  int n = 0;
  for (uint32_t i = 0; i < g->n; i++) n += g->nodes[i].endless;
  return n;
}

/* Frees g. */
static int write_form(struct weft__graph *g, weft_graph_form form, weft_graph_line_fn fn,
                      void *arg) {
  int r = 0;
  if (form == WEFT_GRAPH_TREE)
    r = write_tree(g, fn, arg);
  else if (form == WEFT_GRAPH_TABLE)
    write_table(g, fn, arg);
  else
    r = weft__graph_write_endless(g, fn, arg);
  if (r == 0) r = form == WEFT_GRAPH_ENDLESS ? count_endless(g) : (int)g->n;
  weft__graph_free(g);
  return r;
}

int weft__graph_lines_of(struct weft__runtime *rt, weft_graph_form form, weft_graph_line_fn fn,
                         void *arg) {
  struct weft__graph g;
  int r = weft__graph_take(&g, rt);
  return r < 0 ? r : write_form(&g, form, fn, arg);
}

int weft_graph_lines(weft_runtime rt, weft_graph_form form, weft_graph_line_fn fn, void *arg) {
  if (!fn || form > WEFT_GRAPH_ENDLESS) return WEFT_EINVAL;
  struct weft__graph g;
  int r = take(&g, rt);
  return r < 0 ? r : write_form(&g, form, fn, arg);
}

static void print_line(const char *line, void *out) {
  fprintf(out, "%s\n", line);
}

int weft_graph_print(weft_runtime rt, weft_graph_form form, FILE *out) {
  return out ? weft_graph_lines(rt, form, print_line, out) : WEFT_EINVAL;
}

/* ---- of one task ---- */

static void write_way_up(struct tree *t, uint32_t node) {
  char line[LINE], label[LABEL], state[STATE];
  t->shown[node] = true;
  t->steps[t->depth++] = (struct step){node, 0};
  while (t->depth) {
    struct step *s = &t->steps[t->depth - 1];
    const struct weft__graph_node *n = &t->g->nodes[s->node];
    if (s->child == n->ins) {
      t->depth--;
      continue;
    }
    uint32_t from = t->g->links[t->g->in[n->first_in + s->child++]].from;
    int indent = (int)(t->depth < DEEPEST ? t->depth : DEEPEST) * 2;
    weft__graph_label(t->g, from, label, sizeof label);
    put_state(&t->g->nodes[from], state, sizeof state);
    snprintf(line, sizeof line, "%*sawaited by %s: %s", indent, "", label,
             t->shown[from] ? "see above" : state);
    t->fn(line, t->arg);
    if (t->shown[from]) continue;
    t->shown[from] = true;
    t->steps[t->depth++] = (struct step){from, 0};
  }
}

static int write_awaiters_of(const struct weft__graph *g, uint32_t node, weft_graph_line_fn fn,
                             void *arg) {
  struct tree t = {.g = g, .fn = fn, .arg = arg};
  t.shown = weft__calloc(g->n + 1, sizeof *t.shown);
  t.steps = weft__calloc(g->n + 1, sizeof *t.steps);
  int lines = t.shown && t.steps ? 0 : WEFT_ENOMEM;
  if (lines == 0) {
    write_node(&t, node, NULL, false);
    write_way_up(&t, node);
    for (uint32_t i = 0; i < g->n; i++) lines += t.shown[i];
  }
  weft__free(t.shown);
  weft__free(t.steps);
  return lines;
}

int weft_graph_awaiters(weft_task h, weft_graph_line_fn fn, void *arg) {
  if (weft__in_child()) return WEFT_ECHILD;
  if (!h.slot_) return weft__handle_error(h);
  if (!fn) return WEFT_EINVAL;
  struct weft__task *t = h.slot_;
  struct weft__graph g;
  int r = weft__graph_take(&g, t->rt);
  if (r < 0) return r;
  uint32_t node = weft__graph_find(&g, t);
  bool there = node != WEFT__NO_NODE && weft__word_key(g.nodes[node].word) == weft__handle_key(h);
  r = there ? write_awaiters_of(&g, node, fn, arg) : WEFT_ESTALE;
  weft__graph_free(&g);
  return r;
}

/* ---- endless waits as handles ---- */

struct handles {
  weft_task *tasks;
  size_t max, n;
  bool *told; /* by node */
};

static void add_handle(const struct weft__graph *g, uint32_t node, struct handles *h) {
  if (h->told[node]) return;
  h->told[node] = true;
  if (h->n < h->max) h->tasks[h->n] = handle_of(g, node);
  h->n++;
}

static void add_circle(const struct weft__graph *g, const struct weft__graph_link *const *links,
                       uint32_t n, void *arg) {
  for (uint32_t i = 0; i < n; i++) add_handle(g, links[i]->from, arg);
}

int weft_graph_endless(weft_runtime rt, weft_task *tasks, size_t max) {
  struct weft__graph g;
  int r = take(&g, rt);
  if (r < 0) return r;
  struct handles h = {.tasks = tasks, .max = max, .told = weft__calloc(g.n + 1, sizeof *h.told)};
  r = h.told ? weft__graph_circles(&g, add_circle, &h) : WEFT_ENOMEM;
  for (uint32_t i = 0; i < g.n && r == 0; i++)
    if (g.nodes[i].endless) add_handle(&g, i, &h);
  weft__free(h.told);
  weft__graph_free(&g);
  return r < 0 ? r : (int)h.n;
}
