/* Which waits can never end.
 *
 * A task waits for ever when it waits without a deadline for what only tasks can bring about that wait for
 * ever themselves. The set of all those is found from above: it begins with every task that waits for
 * others, and whoever waits for too few of the set leaves it, until nobody does. What remains are
 * circles, locks of tasks that have ended, and all that lead there.
 *
 * A lock is released by whoever does it, not by its holder alone. So what remains when locks count as
 * released is certain; what locks add to it ends if somebody else releases one.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "core/worker.h"
#include "insight/graph.h"
#include "insight/where.h"

/* Whether so many endless ones among those that it waits for keep n waiting for ever. */
static bool keeps(const struct weft__graph_node *n, uint32_t awaited, uint32_t endless,
                  bool group) {
  if (n->any || endless == 0) return false;
  if (group) return true; /* it waits for each child */
  if (n->fail_fast) return endless == awaited && n->need <= awaited;
  return awaited - endless < n->need;
}

static bool stays(const struct weft__graph *g, const struct weft__graph_node *n, bool locks) {
  uint32_t awaited = 0, endless = 0;
  bool group = false;
  if (n->orphaned) return locks;
  for (uint32_t k = 0; k < n->outs; k++) {
    const struct weft__graph_link *l = &g->links[n->first_out + k];
    if (l->via == WEFT_GRAPH_CHILD) continue;
    awaited++;
    endless += g->nodes[l->to].endless && (locks || l->via != WEFT_GRAPH_LOCK);
    group |= l->via == WEFT_GRAPH_GROUP;
  }
  return keeps(n, awaited, endless, group);
}

static void shrink(struct weft__graph *g, bool locks) {
  for (bool again = true; again;) {
    again = false;
    for (uint32_t i = 0; i < g->n; i++) {
      struct weft__graph_node *n = &g->nodes[i];
      if (!n->endless || stays(g, n, locks)) continue;
      n->endless = false;
      again = true;
    }
  }
}

static bool waits_still(const struct weft__graph_node *n) {
  if (weft__word_phase(n->word) == WEFT__PARKED) return weft__graph_same_wait(n);
  return weft__graph_same_wait(n) && weft__load_acquire_ptr(&n->task->inline_child) == n->object;
}

/* locks: no lock is released but by its holder. */
static void mark(struct weft__graph *g, bool locks) {
  for (uint32_t i = 0; i < g->n; i++)
    g->nodes[i].endless = g->nodes[i].kind && !g->nodes[i].deadline;
  shrink(g, locks);
  /* All were there at one moment only if none of them has gone on since the first was read. */
  for (uint32_t i = 0; i < g->n; i++)
    if (g->nodes[i].endless) g->nodes[i].endless = waits_still(&g->nodes[i]);
  shrink(g, locks);
}

int weft__graph_mark_endless(struct weft__graph *g) {
  mark(g, false);
  for (uint32_t i = 0; i < g->n; i++) g->nodes[i].certain = g->nodes[i].endless;
  mark(g, true);
  for (uint32_t i = 0; i < g->n; i++) g->nodes[i].certain &= g->nodes[i].endless;
  return 0;
}

/* ---- circles ---- */

/* The first link from i that leads further into the set, or NULL: a lock nobody has any more. From what is
 * certain to what is. */
static const struct weft__graph_link *onwards(const struct weft__graph *g, uint32_t i) {
  const struct weft__graph_node *n = &g->nodes[i];
  for (uint32_t k = 0; k < n->outs; k++) {
    const struct weft__graph_link *l = &g->links[n->first_out + k];
    const struct weft__graph_node *to = &g->nodes[l->to];
    if (l->via != WEFT_GRAPH_CHILD && (n->certain ? to->certain : to->endless)) return l;
  }
  return NULL;
}

struct circles {
  uint32_t *seen; /* by node: on which walk it was met, 0 for none */
  const struct weft__graph_link **links;
};

/* The circle that begins and ends at node i. */
static uint32_t collect(const struct weft__graph *g, struct circles *c, uint32_t i) {
  uint32_t n = 0, at = i;
  do {
    c->links[n] = onwards(g, at);
    at = c->links[n++]->to;
  } while (at != i);
  return n;
}

int weft__graph_circles(const struct weft__graph *g, weft__graph_circle_fn fn, void *arg) {
  struct circles c = {
      .seen = weft__calloc(g->n + 1, sizeof *c.seen),
      .links = weft__calloc(g->n + 1, sizeof *c.links),
  };
  int r = c.seen && c.links ? 0 : WEFT_ENOMEM;
  for (uint32_t i = 0; i < g->n && r == 0; i++) {
    uint32_t at = i;
    const struct weft__graph_link *l = NULL;
    while (g->nodes[at].endless && !c.seen[at]) {
      c.seen[at] = i + 1;
      l = onwards(g, at);
      if (!l) break;
      at = l->to;
    }
    /* Back at a node of this same walk. */
    if (l && c.seen[at] == i + 1) fn(g, c.links, collect(g, &c, at), arg);
  }
  weft__free(c.seen);
  weft__free(c.links);
  return r;
}

/* ---- words ---- */

struct writing {
  weft_graph_line_fn fn;
  void *arg;
  bool *told; /* by node */
};

static void write_link(const struct weft__graph *g, uint32_t from, const struct weft__graph_link *l,
                       struct writing *w) {
  char who[160], whom[160] = "", site[160], place[160], line[900];
  weft__graph_place(&g->nodes[from], place, sizeof place);
  weft__graph_label(g, from, who, sizeof who);
  if (l) weft__graph_label(g, l->to, whom, sizeof whom);
  weft__where(g->nodes[from].site, true, site, sizeof site);
  const char *waits = !l ? "waits for a lock that was held by a task that has ended"
                      : l->via == WEFT_GRAPH_LOCK  ? "waits for a lock held by "
                      : l->via == WEFT_GRAPH_GROUP ? "joins a group with "
                                                   : "awaits ";
  snprintf(line, sizeof line, "  %s, spawned at %s, %s%s%s%s", who, site, waits, whom,
           place[0] ? ", at " : "", place);
  w->fn(line, w->arg);
  w->told[from] = true;
}

static void write_circle(const struct weft__graph *g, const struct weft__graph_link *const *links,
                         uint32_t n, void *arg) {
  struct writing *w = arg;
  char line[128], who[64];
  snprintf(who, sizeof who, n == 1 ? "a task waits for itself" : "%u tasks wait for each other", n);
  snprintf(line, sizeof line, "%s for ever%s:", who,
           g->nodes[links[0]->from].certain ? "" : ", unless somebody else releases the lock");
  w->fn(line, w->arg);
  for (uint32_t i = 0; i < n; i++) write_link(g, links[i]->from, links[i], w);
}

/* What is not part of a circle: those who wait for the lock of one who has ended, those who wait for what is
 * certain, and the others. */
static void write_rest(const struct weft__graph *g, bool orphaned, bool certain,
                       struct writing *w) {
  bool first = true;
  for (uint32_t i = 0; i < g->n; i++) {
    const struct weft__graph_node *n = &g->nodes[i];
    if (!n->endless || w->told[i] || n->orphaned != orphaned || n->certain != certain) continue;
    if (first)
      w->fn(orphaned  ? "these waits can never end, unless somebody else releases the lock:"
            : certain ? "and so nor can these waits:"
                      : "and these waits end only if those do:",
            w->arg);
    first = false;
    write_link(g, i, onwards(g, i), w);
  }
}

int weft__graph_write_endless(const struct weft__graph *g, weft_graph_line_fn fn, void *arg) {
  struct writing w = {fn, arg, weft__calloc(g->n + 1, sizeof *w.told)};
  if (!w.told) return WEFT_ENOMEM;
  int r = weft__graph_circles(g, write_circle, &w);
  if (r == 0) {
    write_rest(g, false, true, &w);
    write_rest(g, true, false, &w);
    write_rest(g, false, false, &w);
  }
  weft__free(w.told);
  return r;
}
