/* Task groups whose owner does work of its own, and what the errors are. */
#include <stdio.h>
#include <stdlib.h>

#include "scene.h"

/* A result of 0 is a good end, below 0 trouble; above 0 it is trouble when it is cancelled. */
struct child {
  const char *name;
  int seconds, result;
};

struct body {
  const char *name;
  int seconds, result;
  struct child children[2];
};

static int child(void *arg) {
  struct child *c = arg;
  int r = nap(c->seconds);
  if (r < 0) {
    trace("%s %s", c->name, word(r));
    return c->result > 0 ? trouble(c->result) : r;
  }
  trace("%s ends", c->name);
  return c->result < 0 ? trouble(-c->result) : 0;
}

static int body(struct body *b, weft_group *g) {
  weft_group_enter(g);
  for (int i = 0; i < 2; i++) weft_group_spawn(g, child, &b->children[i], NULL);
  int r = nap(b->seconds);
  if (r < 0)
    trace("%s %s", b->name, word(r));
  else
    trace("%s has slept", b->name);
  if (r == 0 && b->result < 0) r = trouble(-b->result);
  return weft_group_exit(g, r);
}

static int by_code(const void *a, const void *b) {
  return ((const weft_group_error *)b)->code - ((const weft_group_error *)a)->code;
}

/* "['trouble 1', 'trouble 2']", as Python writes a sorted list of words. */
static void trace_errors(const char *name, weft_group *g) {
  weft_group_error errors[4];
  char line[128];
  int length = 0;
  size_t n = weft_group_errors(g, errors, 4);
  qsort(errors, n, sizeof errors[0], by_code);
  for (size_t i = 0; i < n; i++)
    length += snprintf(line + length, sizeof line - (size_t)length, "%s'%s'", i ? ", " : "",
                       word(errors[i].code));
  trace("%s [%s]", name, line);
}

static int tell(void *arg) {
  struct body *b = arg;
  weft_group g = WEFT_GROUP_INIT;
  int r = body(b, &g);
  if (r == WEFT_ECANCELED) return r;
  if (r < 0)
    trace_errors(b->name, &g);
  else
    trace("%s is over", b->name);
  return 0;
}

SCENARIO(a_childs_failure_interrupts_the_body) {
  tell(&(struct body){"body", 5, 0, {{"a", 1, 0}, {"b", 2, -1}}});
  nap(1);
  trace("main goes on");
}

SCENARIO(an_error_of_the_body_cancels_the_children) {
  tell(&(struct body){"body", 2, -7, {{"a", 1, 0}, {"b", 3, 0}}});
}

SCENARIO(a_good_body_waits_for_the_children) {
  tell(&(struct body){"body", 1, 0, {{"a", 2, 0}, {"b", 3, 0}}});
}

SCENARIO(errors_while_being_cancelled_are_errors_too) {
  tell(&(struct body){"body", 9, 0, {{"a", 1, -1}, {"b", 5, 2}}});
}

SCENARIO(the_errors_of_body_and_children_come_together) {
  tell(&(struct body){"body", 2, -3, {{"a", 1, 0}, {"b", 5, 4}}});
}

static int cancel_after_two_seconds(struct body *b) {
  weft_task t = weft_spawn(tell, b, NULL);
  nap(2);
  weft_cancel(t);
  return weft_await(t);
}

SCENARIO(a_cancel_from_outside_reaches_body_and_children) {
  struct body b = {"body", 5, 0, {{"a", 1, 0}, {"b", 3, 0}}};
  trace("%s", word(cancel_after_two_seconds(&b)));
}

SCENARIO(an_error_wins_over_a_cancel_from_outside) {
  cancel_after_two_seconds(&(struct body){"body", 5, 0, {{"a", 1, 0}, {"b", 3, 6}}});
  trace("main ends");
}

const struct scenario scenarios_groups[] = {
    ENTRY(a_childs_failure_interrupts_the_body),
    ENTRY(an_error_of_the_body_cancels_the_children),
    ENTRY(a_good_body_waits_for_the_children),
    ENTRY(errors_while_being_cancelled_are_errors_too),
    ENTRY(the_errors_of_body_and_children_come_together),
    ENTRY(a_cancel_from_outside_reaches_body_and_children),
    ENTRY(an_error_wins_over_a_cancel_from_outside),
    {NULL, NULL},
};
