/* Taking the copy. */
#include <stdlib.h>
#include <string.h>

#include "aio/holder.h"
#include "aio/sync.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/runtime.h"
#include "insight/graph.h"

/* ---- nodes ---- */

static void count_one(struct weft__task *t, uint64_t word, void *arg) {
  (void)t, (void)word;
  (*(uint32_t *)arg)++;
}

/* A name is the program's memory, which may go with its task: copied by the kernel. */
static void copy_name(struct weft__graph_node *n) {
  const char *name = weft__task_name(n->task);
  if (!name) return;
  ssize_t got = weft__sys_peek(name, n->name, sizeof n->name - 1);
  n->name[got > 0 ? got : 0] = '\0';
}

/* A wait counts from when the task has left its stack: what it is for has been written then. */
static void copy_wait(struct weft__graph_node *n) {
  struct weft__task *t = n->task;
  if (weft__word_phase(n->word) != WEFT__PARKED) return;
  n->kind = weft__load_relaxed_ptr(&t->wait_kind);
  n->object = weft__load_relaxed_ptr(&t->wait_object);
  n->deadline = weft__load_relaxed_ptr(&t->timer_heap) != NULL;
}

struct filling {
  struct weft__graph *g;
  uint32_t room;
};

static void add_node(struct weft__task *t, uint64_t word, void *arg) {
  struct filling *f = arg;
  if (f->g->n == f->room) return; /* younger than the snapshot */
  struct weft__graph_node *n = &f->g->nodes[f->g->n];
  memset(n, 0, sizeof *n);
  n->task = t;
  n->word = word;
  n->fn = weft__load_acquire_ptr(&t->fn);
  n->site = weft__load_acquire_ptr(&t->site);
  n->owner = weft__load_relaxed_ptr(&t->owner);
  n->parent = n->owner ? weft__load_relaxed_ptr(&t->parent) : NULL;
  copy_wait(n);
  copy_name(n);
  uint64_t now = weft__load_acquire_u64(&t->word);
  unsigned phase = weft__word_phase(now);
  if (weft__word_key(now) != weft__word_key(word) || phase == WEFT__DONE) return;
  if (!weft__graph_same_wait(n)) {
    /* It goes on: what it waited for is over. */
    n->word = now;
    n->kind = NULL;
    n->object = NULL;
    n->deadline = false;
  }
  f->g->n++;
}

static int by_address(const void *a, const void *b) {
  const struct weft__graph_node *x = a, *y = b;
  return x->task < y->task ? -1 : x->task > y->task;
}

static int take_nodes(struct weft__graph *g) {
  uint32_t count = 0;
  weft__task_each_live(&g->rt->tasks, count_one, &count);
  struct filling f = {.g = g, .room = count + count / 8 + 16};
  g->nodes = weft__calloc(f.room, sizeof *g->nodes);
  if (!g->nodes) return WEFT_ENOMEM;
  weft__task_each_live(&g->rt->tasks, add_node, &f);
  qsort(g->nodes, g->n, sizeof *g->nodes, by_address);
  return 0;
}

uint32_t weft__graph_find(const struct weft__graph *g, const struct weft__task *t) {
  uint32_t lo = 0, hi = g->n;
  while (lo < hi) {
    uint32_t mid = lo + (hi - lo) / 2;
    if (g->nodes[mid].task < t)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < g->n && g->nodes[lo].task == t ? lo : WEFT__NO_NODE;
}

/* ---- edges ---- */

static int reserve(struct weft__graph *g, uint32_t more) {
  if (g->capacity - g->nlinks >= more) return 0;
  uint32_t capacity = g->capacity * 2 + more + 64;
  struct weft__graph_link *links = weft__calloc(capacity, sizeof *links);
  if (!links) return WEFT_ENOMEM;
  if (g->nlinks) memcpy(links, g->links, g->nlinks * sizeof *links);
  weft__free(g->links);
  g->links = links;
  g->capacity = capacity;
  return 0;
}

static int add(struct weft__graph *g, uint32_t from, uint32_t to, weft_graph_via via) {
  int r = reserve(g, 1);
  if (r < 0) return r;
  g->links[g->nlinks++] = (struct weft__graph_link){from, to, via};
  return 0;
}

static bool is_waiting(const struct weft__waiter *rec, const struct weft__graph_node *n) {
  return (n->word & WEFT__TICKET_MASK) == rec->ticket && n->kind;
}

/* A task and what it waits for. */
struct wanted {
  const void *object;
  uint32_t node;
};

/* All that wait for something, by its address. */
struct index {
  struct wanted *wanted;
  uint32_t n;
};

static int by_object(const void *a, const void *b) {
  const struct wanted *x = a, *y = b;
  return x->object < y->object ? -1 : x->object > y->object;
}

static int make_index(const struct weft__graph *g, struct index *ret) {
  *ret = (struct index){.wanted = weft__calloc(g->n + 1, sizeof *ret->wanted)};
  if (!ret->wanted) return WEFT_ENOMEM;
  for (uint32_t i = 0; i < g->n; i++)
    if (g->nodes[i].kind && g->nodes[i].object)
      ret->wanted[ret->n++] = (struct wanted){g->nodes[i].object, i};
  qsort(ret->wanted, ret->n, sizeof *ret->wanted, by_object);
  return 0;
}

/* The first entry of the object; ix->n when there is none. */
static uint32_t first_of(const struct index *ix, const void *object) {
  uint32_t lo = 0, hi = ix->n;
  while (lo < hi) {
    uint32_t mid = lo + (hi - lo) / 2;
    if (ix->wanted[mid].object < object)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < ix->n && ix->wanted[lo].object == object ? lo : ix->n;
}

/* How many of its awaited ones the waiting task needs: the rest of its gate's count. */
static void note_need(struct weft__graph_node *n, const struct weft__gate *gate) {
  n->need = gate && !gate->event ? weft__load_relaxed_u32(&gate->left) : 1;
  n->fail_fast = gate && gate->fail_fast;
  n->any = gate && (gate->event ? !gate->alone : n->need <= 1 && !gate->fail_fast);
}

/* Links while there is room, and counts. */
static uint32_t put_await(struct weft__graph *g, uint32_t from, uint32_t to,
                          const struct weft__gate *gate) {
  if (g->nlinks < g->capacity) {
    g->links[g->nlinks++] = (struct weft__graph_link){from, to, WEFT_GRAPH_AWAIT};
    note_need(&g->nodes[from], gate);
  }
  return 1;
}

/* Those who wait for what the end of node i brings about. */
static uint32_t put_indirect(struct weft__graph *g, const struct index *ix, uint32_t i,
                             const struct weft__gate *gate) {
  uint32_t n = 0;
  for (uint32_t k = gate->object ? first_of(ix, gate->object) : ix->n;
       k < ix->n && ix->wanted[k].object == gate->object; k++)
    n += put_await(g, ix->wanted[k].node, i, gate);
  return n;
}

/* Adds the edges from those that wait for node i's end, as many as there is room for; returns how many
 * there are. Under the lock no record of the list goes away. */
static uint32_t copy_watchers(struct weft__graph *g, const struct index *ix, uint32_t i) {
  struct weft__task *t = g->nodes[i].task;
  uint32_t n = 0;
  weft__spin_lock(&t->lock);
  bool watched = weft__load_relaxed_u32(&t->watched) & WEFT__WATCHED;
  for (struct weft__list *l = watched ? t->watchers.next : NULL; l && l != &t->watchers;
       l = l->next) {
    const struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    if (rec->gate && rec->gate->event) {
      n += put_indirect(g, ix, i, rec->gate);
      continue;
    }
    uint32_t from = weft__graph_find(g, rec->task);
    if (from != WEFT__NO_NODE && is_waiting(rec, &g->nodes[from]))
      n += put_await(g, from, i, rec->gate);
  }
  weft__spin_unlock(&t->lock);
  return n;
}

static int add_watchers(struct weft__graph *g, const struct index *ix, uint32_t i) {
  for (uint32_t before = g->nlinks;;) {
    uint32_t n = copy_watchers(g, ix, i);
    if (g->nlinks - before >= n) return 0;
    g->nlinks = before;
    int r = reserve(g, n + 8);
    if (r < 0) return r;
  }
}

/* A task that runs another one on its own stack goes on when that one has ended. */
static int add_inline(struct weft__graph *g, uint32_t i) {
  struct weft__graph_node *n = &g->nodes[i];
  if (weft__word_phase(n->word) != WEFT__RUNNING) return 0;
  uint32_t to = weft__graph_find(g, weft__load_acquire_ptr(&n->task->inline_child));
  if (to == WEFT__NO_NODE) return 0;
  n->kind = &weft__waits_task;
  n->object = g->nodes[to].task;
  n->need = 1;
  return add(g, i, to, WEFT_GRAPH_AWAIT);
}

static bool in_slabs(const struct weft__graph *g, const struct weft__task *t) {
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&g->rt->tasks.slabs); s; s = s->next)
    if (t >= s->tasks && t < s->tasks + WEFT__TASKS_PER_SLAB) return true;
  return false;
}

/* What the lock that n waits for says about its holder (aio/holder.h); 0: nothing, as when others read. */
static uint64_t holder_of(const struct weft__graph_node *n) {
  uint64_t word = 0;
  if (weft__sys_peek(n->object, &word, sizeof word) != (ssize_t)sizeof word) return 0;
  bool readers = n->kind != &weft__waits_lock && !(word & WEFT__HOLDER_WRITES);
  return readers ? 0 : word & ~WEFT__SYNC_FLAGS;
}

/* A holder that has ended while the lock still names it: somebody else has to release it. */
static bool has_ended(const struct weft__graph *g, const struct weft__graph_node *n,
                      uint64_t holder) {
  struct weft__task *t = weft__holder_task(holder);
  if (!t || !in_slabs(g, t)) return false;
  uint64_t word = weft__load_acquire_u64(&t->word);
  unsigned phase = weft__word_phase(word);
  bool lives = phase != WEFT__DONE && phase != WEFT__FREE && weft__holder_names(holder, word);
  return !lives && holder_of(n) == holder && weft__graph_same_wait(n);
}

static bool is_lock(const struct weft__wait_kind *kind) {
  return kind == &weft__waits_lock || kind == &weft__waits_to_read || kind == &weft__waits_to_write;
}

static int add_lock(struct weft__graph *g, uint32_t i) {
  struct weft__graph_node *n = &g->nodes[i];
  if (!is_lock(n->kind)) return 0;
  uint64_t holder = holder_of(n);
  uint32_t to = weft__graph_find(g, weft__holder_task(holder));
  if (to == WEFT__NO_NODE || !weft__holder_names(holder, g->nodes[to].word)) {
    n->orphaned = has_ended(g, n, holder);
    return 0;
  }
  n->need = 1;
  return add(g, i, to, WEFT_GRAPH_LOCK);
}

/* ---- groups ---- */

/* Who joins the group of that owner. */
static uint32_t joiner_of(const struct weft__graph *g, const struct index *ix, const void *owner) {
  for (uint32_t k = first_of(ix, owner); k < ix->n && ix->wanted[k].object == owner; k++)
    if (g->nodes[ix->wanted[k].node].kind == &weft__waits_group) return ix->wanted[k].node;
  return WEFT__NO_NODE;
}

/* A child has an edge from who joins its group, or, while nobody does, from who spawned it. */
static int add_child(struct weft__graph *g, const struct index *ix, uint32_t i) {
  const struct weft__graph_node *n = &g->nodes[i];
  if (!n->owner) return 0;
  uint32_t from = joiner_of(g, ix, n->owner);
  if (from != WEFT__NO_NODE) return add(g, from, i, WEFT_GRAPH_GROUP);
  from = weft__graph_find(g, n->parent);
  return from != WEFT__NO_NODE && from != i ? add(g, from, i, WEFT_GRAPH_CHILD) : 0;
}

/* ---- the whole ---- */

static int by_from(const void *a, const void *b) {
  const struct weft__graph_link *x = a, *y = b;
  if (x->from != y->from) return x->from < y->from ? -1 : 1;
  return x->to < y->to ? -1 : x->to > y->to;
}

/* Sorts the links and tells each node its own. */
static int arrange(struct weft__graph *g) {
  if (g->nlinks) qsort(g->links, g->nlinks, sizeof *g->links, by_from);
  g->in = weft__calloc(g->nlinks + 1, sizeof *g->in);
  if (!g->in) return WEFT_ENOMEM;
  for (uint32_t i = 0; i < g->nlinks; i++) {
    struct weft__graph_node *from = &g->nodes[g->links[i].from];
    if (from->outs++ == 0) from->first_out = i;
    g->nodes[g->links[i].to].ins++;
  }
  uint32_t at = 0;
  for (uint32_t i = 0; i < g->n; i++) {
    g->nodes[i].first_in = at;
    at += g->nodes[i].ins;
    g->nodes[i].ins = 0;
  }
  for (uint32_t i = 0; i < g->nlinks; i++) {
    struct weft__graph_node *to = &g->nodes[g->links[i].to];
    g->in[to->first_in + to->ins++] = i;
  }
  return 0;
}

int weft__graph_take(struct weft__graph *g, struct weft__runtime *rt) {
  *g = (struct weft__graph){.rt = rt};
  struct index ix = {NULL, 0};
  int r = take_nodes(g);
  if (r == 0) r = make_index(g, &ix);
  for (uint32_t i = 0; i < g->n && r == 0; i++) {
    r = add_inline(g, i);
    if (r == 0) r = add_watchers(g, &ix, i);
    if (r == 0) r = add_lock(g, i);
    if (r == 0) r = add_child(g, &ix, i);
  }
  weft__free(ix.wanted);
  if (r == 0) r = arrange(g);
  if (r == 0) r = weft__graph_mark_endless(g);
  if (r < 0) weft__graph_free(g);
  return r;
}

void weft__graph_free(struct weft__graph *g) {
  weft__free(g->nodes);
  weft__free(g->links);
  weft__free(g->in);
  *g = (struct weft__graph){0};
}
