/* gather and task groups: whose end ends what. */
#include "scene.h"

struct work {
  const char *name;
  int seconds, result; /* a negative result is trouble */
};

static int work(void *arg) {
  struct work *w = arg;
  trace("%s begins", w->name);
  int r = nap(w->seconds);
  if (r < 0) {
    trace("%s %s", w->name, word(r));
    return r;
  }
  trace("%s ends", w->name);
  return w->result < 0 ? trouble(-w->result) : w->result;
}

static void spawn(struct work *works, int n, weft_task *t) {
  for (int i = 0; i < n; i++) t[i] = weft_spawn(work, &works[i], NULL);
}

SCENARIO(gather_keeps_the_order_of_its_arguments) {
  struct work works[] = {{"a", 3, 10}, {"b", 1, 20}, {"c", 2, 30}};
  weft_task t[3];
  int codes[3];
  spawn(works, 3, t);
  weft_gather(t, 3, codes);
  for (int i = 0; i < 3; i++) trace("%d", codes[i]);
  trace("of none: %d", weft_gather(NULL, 0, NULL));
}

SCENARIO(gather_of_the_same_task_twice) {
  struct work works[] = {{"a", 1, 10}, {"b", 2, 20}};
  weft_task t[3];
  int codes[3];
  spawn(works, 2, t);
  t[2] = t[0];
  weft_gather(t, 3, codes);
  for (int i = 0; i < 3; i++) trace("%d", codes[i]);
}

SCENARIO(gather_collects_errors_beside_results) {
  struct work works[] = {{"a", 1, 10}, {"b", 2, -1}, {"c", 4, 30}, {"d", 3, -2}};
  weft_task t[4];
  int codes[4];
  spawn(works, 4, t);
  weft_gather(t, 4, codes);
  for (int i = 0; i < 4; i++) trace("%s", word(codes[i]));
}

/* The last failure of a detached task goes to the log, which is standard error: not to be seen here. */
SCENARIO(the_first_error_ends_gather_and_nobody_else) {
  struct work works[] = {{"a", 1, 10}, {"b", 2, -1}, {"c", 3, 30}, {"d", 4, -2}};
  weft_task t[4];
  spawn(works, 4, t);
  trace("%s", word(weft_gather(t, 4, NULL)));
  nap(5);
  trace("main ends");
}

struct gathering {
  const char *name;
  bool collect;
};

static int gather_three(void *arg) {
  struct gathering *g = arg;
  char names[3][4];
  struct work works[] = {{names[0], 1, 10}, {names[1], 5, 20}, {names[2], 6, 30}};
  weft_task t[3];
  int codes[3];
  for (int i = 0; i < 3; i++) {
    names[i][0] = g->name[0];
    names[i][1] = (char)('1' + i);
    names[i][2] = '\0';
  }
  spawn(works, 3, t);
  int r = weft_gather(t, 3, g->collect ? codes : NULL);
  trace("%s %s", g->name, r < 0 ? word(r) : "got all");
  return r;
}

SCENARIO(a_cancelled_gather_cancels_its_tasks) {
  struct gathering p = {"p", false}, q = {"q", true};
  weft_task t[] = {weft_spawn(gather_three, &p, NULL), weft_spawn(gather_three, &q, NULL)};
  nap(2);
  weft_cancel(t[0]);
  nap(1);
  weft_cancel(t[1]);
  for (int i = 0; i < 2; i++) trace("%s", word(weft_await(t[i])));
}

static int cancel_after_a_second(void *task) {
  nap(1);
  return weft_cancel(*(weft_task *)task);
}

SCENARIO(gather_collects_the_cancel_of_one_task) {
  struct work works[] = {{"a", 2, 10}, {"b", 3600, 20}, {"c", 3, 30}};
  weft_task t[3];
  int codes[3];
  spawn(works, 3, t);
  weft_detach(weft_spawn(cancel_after_a_second, &t[1], NULL));
  weft_gather(t, 3, codes);
  for (int i = 0; i < 3; i++) trace("%s", word(codes[i]));
}

SCENARIO(one_cancelled_task_ends_gather) {
  struct work works[] = {{"a", 2, 10}, {"b", 3600, 20}, {"c", 3, 30}};
  weft_task t[3];
  spawn(works, 3, t);
  weft_detach(weft_spawn(cancel_after_a_second, &t[1], NULL));
  trace("%s", word(weft_gather(t, 3, NULL)));
  nap(4);
}

struct family {
  const char *name;
  struct work works[3];
  int n;
};

static int group_of(void *arg) {
  struct family *f = arg;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < f->n; i++) weft_group_spawn(&g, work, &f->works[i], NULL);
  trace("%s has spawned", f->name);
  int r = weft_group_join(&g);
  trace("%s %s", f->name, r < 0 ? word(r) : "is over");
  return r;
}

SCENARIO(a_group_waits_for_all) {
  group_of(&(struct family){"group", {{"a", 2, 0}, {"b", 1, 0}, {"c", 3, 0}}, 3});
}

SCENARIO(a_childs_error_cancels_its_siblings) {
  group_of(&(struct family){"group", {{"a", 1, 0}, {"b", 2, -1}, {"c", 3, 0}}, 3});
}

SCENARIO(a_cancelled_parent_cancels_and_awaits_the_children) {
  struct family f = {"group", {{"a", 1, 0}, {"b", 5, 0}}, 2};
  weft_task t = weft_spawn(group_of, &f, NULL);
  nap(2);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

struct nested {
  struct work sibling;
  struct family inner;
};

static int outer_group(void *arg) {
  struct nested *n = arg;
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, group_of, &n->inner, NULL);
  weft_group_spawn(&g, work, &n->sibling, NULL);
  int r = weft_group_join(&g);
  weft_cancel_catch();
  trace("outer %s", word(r));
  trace("outer goes on");
  return 0;
}

SCENARIO(an_error_climbs_through_nested_groups) {
  struct nested n = {{"sibling", 9, 0}, {"inner", {{"x", 1, 0}, {"y", 3, -5}, {"z", 4, 0}}, 3}};
  outer_group(&n);
}

SCENARIO(a_cancel_descends_through_nested_groups) {
  struct nested n = {{"sibling", 1, 0}, {"inner", {{"x", 1, 0}, {"y", 9, 0}}, 2}};
  weft_task t = weft_spawn(outer_group, &n, NULL);
  nap(2);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

static int tell_and_sleep_for_ever(void *task) {
  *(weft_task *)task = weft_current();
  return sleep_for_ever((void *)(uintptr_t) "first");
}

SCENARIO(a_child_cancelled_alone_disturbs_nobody) {
  weft_task first;
  struct work second = {"second", 2, 0};
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, tell_and_sleep_for_ever, &first, NULL);
  weft_group_spawn(&g, work, &second, NULL);
  nap(1);
  weft_cancel(first);
  weft_group_join(&g);
  trace("group is over");
}

struct generation {
  weft_group *group;
  int depth;
};

static int generation(void *arg) {
  struct generation *g = arg, next = {g->group, g->depth + 1};
  const weft_spawn_opts copied = {.arg_size = sizeof next};
  trace("generation %d begins", g->depth);
  nap(1);
  if (g->depth < 3) weft_group_spawn(g->group, generation, &next, &copied);
  trace("generation %d ends", g->depth);
  return 0;
}

SCENARIO(children_may_spawn_while_the_group_is_joined) {
  weft_group g = WEFT_GROUP_INIT;
  struct generation first = {&g, 1};
  weft_group_spawn(&g, generation, &first, NULL);
  trace("join");
  weft_group_join(&g);
  trace("group is over");
}

static int stubborn(void *arg) {
  struct work *w = arg;
  if (nap(w->seconds) == WEFT_ECANCELED && weft_cancel_catch()) {
    trace("%s was cancelled and stays", w->name);
    nap(5);
  }
  trace("%s ends", w->name);
  return 0;
}

SCENARIO(a_failed_group_waits_for_the_stubborn_too) {
  struct work works[] = {{"a", 9, 0}, {"b", 1, -3}};
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, stubborn, &works[0], NULL);
  weft_group_spawn(&g, work, &works[1], NULL);
  trace("%s", word(weft_group_join(&g)));
}

const struct scenario scenarios_combine[] = {
    ENTRY(gather_keeps_the_order_of_its_arguments),
    ENTRY(gather_of_the_same_task_twice),
    ENTRY(gather_collects_errors_beside_results),
    ENTRY(the_first_error_ends_gather_and_nobody_else),
    ENTRY(a_cancelled_gather_cancels_its_tasks),
    ENTRY(gather_collects_the_cancel_of_one_task),
    ENTRY(one_cancelled_task_ends_gather),
    ENTRY(a_group_waits_for_all),
    ENTRY(a_childs_error_cancels_its_siblings),
    ENTRY(a_cancelled_parent_cancels_and_awaits_the_children),
    ENTRY(an_error_climbs_through_nested_groups),
    ENTRY(a_cancel_descends_through_nested_groups),
    ENTRY(a_child_cancelled_alone_disturbs_nobody),
    ENTRY(children_may_spawn_while_the_group_is_joined),
    ENTRY(a_failed_group_waits_for_the_stubborn_too),
    {NULL, NULL},
};
