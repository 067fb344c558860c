/* The call graph and the debug mode. */
#include "scene.h"

static void drop_line(const char *line, void *arg) {
  (void)line;
  ++*(int *)arg;
}

static int see_task(const weft_graph_task *t, void *arg) {
  (void)arg;
  return HOLDS(t->number > 0) ? 0 : -1;
}

static int see_edge(const weft_graph_edge *e, void *arg) {
  (void)e, (void)arg;
  return 0;
}

static int look_at_all(void) {
  weft_runtime rt = weft_runtime_current();
  int lines = 0, r;
  r = weft_graph_lines(rt, WEFT_GRAPH_TREE, drop_line, &lines);
  STEP(r < 0 ? r : 0, 0, WEFT_ENOMEM);
  HOLDS(r < 0 || lines >= r);
  r = weft_graph_lines(rt, WEFT_GRAPH_TABLE, drop_line, &lines);
  STEP(r < 0 ? r : 0, 0, WEFT_ENOMEM);
  STEP(weft_graph_endless(rt, NULL, 0), 0, WEFT_ENOMEM);
  r = weft_graph_awaiters(weft_current(), drop_line, &lines);
  STEP(r < 0 ? r : 0, 0, WEFT_ENOMEM);
  return STEP(weft_graph_walk(rt, &(weft_graph_visitor){see_task, see_edge}, NULL), 0, WEFT_ENOMEM);
}

/* More edges than there is room for at first. */
static int look(void *arg) {
  enum { TASKS = 80 };
  weft_task t[TASKS];
  (void)arg;
  scene_enter();
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < TASKS; i++) t[i] = weft_spawn(scene_yield_seven, NULL, NULL);
  for (int i = 0; i < 8; i++) weft_group_spawn(&g, scene_yield_seven, NULL, NULL);
  look_at_all();
  weft_yield();
  look_at_all();
  STEP(weft_group_join(&g), 0, WEFT_ENOMEM);
  for (int i = 0; i < TASKS; i++) STEP(weft_await(t[i]), 7, WEFT_ENOMEM);
  return scene_leave(0);
}

static void graph(void) {
  scene_run(look, NULL, &(weft_run_opts){.workers = 2});
}

static void debug_mode(void) {
  scene_run(look, NULL,
            &(weft_run_opts){.workers = 2, .debug = true, .slow_slice = weft_sec(1000)});
}

const struct scenario weft_faults_insight_scenarios[] = {
    {"graph", "who waits for whom", graph, SCENARIO_ANY},
    {"debug_mode", "the same in debug mode", debug_mode, SCENARIO_ANY},
    {0},
};
