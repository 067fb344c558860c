/* Exit stacks: cleanup on every way out, last opened first closed. */
#include <stdio.h>

#include "scene.h"

struct door {
  char name[16];
  int seconds;
};

static int close_door(void *arg) {
  struct door *d = arg;
  trace("%s closes", d->name);
  if (d->seconds) {
    nap(d->seconds);
    trace("%s is closed", d->name);
  }
  return 0;
}

struct body {
  const char *name;
  int seconds, result;
};

static int open_three(void *arg) {
  struct body *b = arg;
  struct door doors[3];
  weft_scope s = WEFT_SCOPE_INIT;
  for (int i = 0; i < 3; i++) {
    trace("%s opens %d", b->name, i);
    snprintf(doors[i].name, sizeof doors[i].name, "%s %d", b->name, i);
    doors[i].seconds = b->seconds;
    weft_scope_defer(&s, close_door, &doors[i]);
  }
  int r = nap(2);
  if (r < 0) return weft_scope_exit(&s, r);
  trace("%s is at the end of its body", b->name);
  return weft_scope_exit(&s, b->result < 0 ? trouble(-b->result) : b->result);
}

SCENARIO(the_last_opened_is_closed_first) {
  trace("%s", word(open_three(&(struct body){"a", 0, 5})));
}

SCENARIO(cleanup_runs_after_an_error) {
  trace("%s", word(open_three(&(struct body){"a", 1, -4})));
}

SCENARIO(cleanup_runs_to_its_end_after_a_cancel) {
  struct body b = {"a", 1, 5};
  weft_task t = weft_spawn(open_three, &b, NULL);
  nap(1);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

SCENARIO(two_tasks_clean_up_side_by_side) {
  struct body slow = {"slow", 5, 1}, quick = {"quick", 1, 2};
  weft_task t = weft_spawn(open_three, &slow, NULL), u = weft_spawn(open_three, &quick, NULL);
  trace("%s", word(weft_await(t)));
  trace("%s", word(weft_await(u)));
}

static int take_trouble_away(void *arg, int code) {
  (void)arg;
  trace("told of %s", code < 0 ? word(code) : "nothing");
  return code < TROUBLE ? 0 : code;
}

static int body_with_watcher(int result) {
  struct door outermost = {"outermost", 0}, innermost = {"innermost", 0};
  weft_scope s = WEFT_SCOPE_INIT;
  weft_scope_defer(&s, close_door, &outermost);
  weft_scope_defer_exit(&s, take_trouble_away, NULL);
  weft_scope_defer(&s, close_door, &innermost);
  return weft_scope_exit(&s, result < 0 ? trouble(-result) : 0);
}

SCENARIO(an_exit_may_take_the_error_away) {
  trace("%s", word(body_with_watcher(0)));
  trace("%s", word(body_with_watcher(-3)));
}

static int fail_to_close(void *number) {
  trace("trouble %d while closing", *(int *)number);
  return trouble(*(int *)number);
}

SCENARIO(a_failing_cleanup_is_the_result_of_a_good_body) {
  struct door first = {"first", 0}, last = {"last", 0};
  int number = 8;
  weft_scope s = WEFT_SCOPE_INIT;
  weft_scope_defer(&s, close_door, &first);
  weft_scope_defer(&s, fail_to_close, &number);
  weft_scope_defer(&s, close_door, &last);
  trace("%s", word(weft_scope_exit(&s, 0)));
}

SCENARIO(what_is_open_may_be_handed_on) {
  struct door a = {"a", 0}, b = {"b", 0};
  weft_scope s = WEFT_SCOPE_INIT, kept = WEFT_SCOPE_INIT;
  weft_scope_defer(&s, close_door, &a);
  weft_scope_defer(&s, close_door, &b);
  weft_scope_pop_all(&s, &kept);
  weft_scope_exit(&s, 0);
  trace("left, nothing closed");
  weft_scope_exit(&kept, 0);
}

SCENARIO(scopes_nest) {
  struct door d = {"outer", 1}, e = {"inner", 1};
  weft_scope outer = WEFT_SCOPE_INIT, inner = WEFT_SCOPE_INIT;
  weft_task ticking = start(tick, "other");
  weft_scope_defer(&outer, close_door, &d);
  weft_scope_defer(&inner, close_door, &e);
  trace("inside");
  weft_scope_exit(&inner, 0);
  trace("between");
  weft_scope_exit(&outer, 0);
  trace("outside");
  weft_await(ticking);
}

const struct scenario scenarios_scopes[] = {
    ENTRY(the_last_opened_is_closed_first),
    ENTRY(cleanup_runs_after_an_error),
    ENTRY(cleanup_runs_to_its_end_after_a_cancel),
    ENTRY(two_tasks_clean_up_side_by_side),
    ENTRY(an_exit_may_take_the_error_away),
    ENTRY(a_failing_cleanup_is_the_result_of_a_good_body),
    ENTRY(what_is_open_may_be_handed_on),
    ENTRY(scopes_nest),
    {NULL, NULL},
};
