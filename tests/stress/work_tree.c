/* Trees of tiny tasks that steal all the time: each node starts its children, waits for them in one
 * of six ways, and adds up; the sum must be what plain recursion gives. */
#include "base/choice.h"
#include "stress.h"

enum { FANOUT = 4, MARKED = 1 << 16 };

struct tree {
  struct stress_mark *marks; /* of the first MARKED nodes begun */
  atomic_int nodes;
};

struct node {
  struct tree *tree;
  uint64_t seed;
  uint32_t depth;
  uint64_t sum; /* written by the node's task, read by who waited for it */
};

static unsigned children_of(uint64_t seed, uint32_t depth) {
  struct weft__rng rng = {seed};
  return depth == 0 ? 0 : 1 + stress_draw(&rng, FANOUT);
}

static uint64_t seed_of(uint64_t seed, unsigned child) {
  struct weft__rng rng = {seed + 77 * (child + 1)};
  return weft__rng_next(&rng);
}

static uint64_t expected(uint64_t seed, uint32_t depth) {
  uint64_t sum = seed & 0xff;
  for (unsigned i = 0; i < children_of(seed, depth); i++)
    sum += expected(seed_of(seed, i), depth - 1);
  return sum;
}

static int visit(void *arg);

static void in_order(struct node *child, unsigned n, bool reverse, bool look) {
  weft_task t[FANOUT];
  for (unsigned i = 0; i < n; i++) t[i] = weft_spawn(visit, &child[i], NULL);
  for (unsigned k = 0; k < n; k++) {
    unsigned i = reverse ? n - 1 - k : k;
    int code = -1;
    if (look) EXPECT_INT(weft_task_wait(t[i], &code), 0);
    EXPECT_INT(weft_await(t[i]), look ? code : 1);
    EXPECT_INT(weft_await(t[i]), WEFT_ESTALE);
  }
}

static void as_group(struct node *child, unsigned n, unsigned limit) {
  weft_group g;
  weft_group_init(&g, &(weft_group_opts){.limit = limit});
  for (unsigned i = 0; i < n; i++) EXPECT_INT(weft_group_spawn(&g, visit, &child[i], NULL), 0);
  EXPECT_INT(weft_group_join(&g), 0);
}

static void as_gather(struct node *child, unsigned n) {
  weft_task t[FANOUT];
  int codes[FANOUT];
  for (unsigned i = 0; i < n; i++) t[i] = weft_spawn(visit, &child[i], NULL);
  EXPECT_INT(weft_gather(t, n, codes), 0);
  for (unsigned i = 0; i < n; i++) EXPECT_INT(codes[i], 1);
}

static int visit(void *arg) {
  struct node *node = arg;
  struct node child[FANOUT];
  int id = atomic_fetch_add_explicit(&node->tree->nodes, 1, memory_order_relaxed);
  struct stress_mark *mark = id < MARKED ? &node->tree->marks[id] : NULL;
  unsigned n = children_of(node->seed, node->depth);
  if (mark) stress_begin(mark);
  for (unsigned i = 0; i < n; i++)
    child[i] = (struct node){node->tree, seed_of(node->seed, i), node->depth - 1, 0};
  switch (node->seed >> 32 & 7) {
  case 0:
    as_group(child, n, 0);
    break;
  case 1:
    as_group(child, n, 2);
    break;
  case 2:
    as_gather(child, n);
    break;
  case 3:
    in_order(child, n, true, false);
    break;
  case 4:
    in_order(child, n, true, true);
    break;
  case 5:
    EXPECT_INT(weft_yield(), 0); /* fall through */
  default:
    in_order(child, n, false, false);
  }
  node->sum = node->seed & 0xff;
  for (unsigned i = 0; i < n; i++) node->sum += child[i].sum;
  return mark ? stress_end(mark, 1) : 1;
}

static void tree_round(struct stress_round *r) {
  struct tree tree = {.marks = stress_alloc(MARKED, sizeof *tree.marks)};
  struct node root = {&tree, weft__rng_next(r->rng), 4 + stress_draw(r->rng, COUNTS_PICK(6, 4, 3)),
                      0};
  EXPECT_INT(stress_run(r, visit, &root), 1);
  EXPECT(root.sum == expected(root.seed, root.depth));
  for (int i = 0; i < atomic_load(&tree.nodes) && i < MARKED; i++) stress_ran(&tree.marks[i]);
  free(tree.marks);
}

const struct stress_workload stress_tree = {
    .name = "tree",
    .about = "trees of tiny tasks, awaited, gathered and joined; sums as of plain recursion",
    .round = tree_round,
    .flags = STRESS_EXACT_TOO,
};
