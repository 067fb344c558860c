/* Deadlines: timeout scopes and wait_for. */
#include "scene.h"

struct limited {
  const char *name;
  int limit, seconds;
};

static int limited(void *arg) {
  struct limited *l = arg;
  weft_timeout s;
  weft_timeout_begin(&s, weft_sec(l->limit));
  int r = nap(l->seconds);
  if (r == 0) trace("%s slept %d", l->name, l->seconds);
  r = weft_timeout_end(&s, r);
  if (r == 0) {
    trace("%s in time, expired %d", l->name, weft_timeout_expired(&s));
    return 0;
  }
  trace("%s %s", l->name, word(r));
  trace("%s expired %d", l->name, weft_timeout_expired(&s));
  return r == WEFT_ECANCELED ? r : 0;
}

SCENARIO(a_scope_cuts_what_takes_too_long) {
  limited(&(struct limited){"a", 2, 1});
  limited(&(struct limited){"b", 2, 3});
  nap(1);
  trace("main goes on");
}

static void nested(const char *name, int outer, int inner) {
  weft_timeout s, t;
  weft_timeout_begin(&s, weft_sec(outer));
  weft_timeout_begin(&t, weft_sec(inner));
  int r = nap(9);
  trace("%s is cut", name);
  r = weft_timeout_end(&t, r);
  trace("%s inner %s", name, word(r));
  if (r == 0) trace("%s between", name);
  r = weft_timeout_end(&s, r);
  trace("%s outer %s", name, word(r));
}

SCENARIO(the_nearest_deadline_of_nested_scopes_counts) {
  nested("long in short", 1, 5);
  nested("short in long", 5, 1);
}

SCENARIO(a_scope_without_time_runs_to_its_first_wait) {
  weft_timeout s;
  weft_timeout_begin(&s, 0);
  trace("inside");
  int r = nap(5);
  if (r == 0) trace("not reached");
  trace("%s", word(weft_timeout_end(&s, r)));
  weft_timeout_begin(&s, 0);
  trace("inside, without a wait");
  if (weft_timeout_end(&s, 0) == 0) trace("no harm done");
}

SCENARIO(a_deadline_may_be_moved) {
  weft_timeout s;
  weft_timeout_begin(&s, weft_sec(2));
  int r = nap(1);
  weft_timeout_reschedule(&s, weft_sec(4));
  if (r == 0) r = nap(3);
  if (r == 0) trace("longer than at first");
  weft_timeout_reschedule(&s, weft_sec(1));
  if (r == 0) r = nap(3);
  if (r == 0) trace("not reached");
  trace("%s", word(weft_timeout_end(&s, r)));
}

SCENARIO(an_error_passes_through_a_scope) {
  weft_timeout s;
  weft_timeout_begin(&s, weft_sec(2));
  nap(1);
  trace("%s", word(weft_timeout_end(&s, trouble(6))));
  weft_timeout_begin(&s, weft_sec(2));
  int r = nap(3);
  if (r == WEFT_ECANCELED) r = trouble(7);
  trace("%s", word(weft_timeout_end(&s, r)));
}

SCENARIO(a_cancel_inside_a_scope_is_no_timeout) {
  weft_task t = weft_spawn(limited, &(struct limited){"a", 5, 9}, NULL);
  nap(1);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

SCENARIO(scopes_of_several_tasks_expire_by_deadline) {
  struct limited l[] = {{"limit 3", 3, 9}, {"limit 1", 1, 9}, {"limit 4", 4, 9}, {"limit 2", 2, 9}};
  weft_task t[4];
  for (int i = 0; i < 4; i++) t[i] = weft_spawn(limited, &l[i], NULL);
  for (int i = 0; i < 4; i++) weft_await(t[i]);
}

struct answer {
  const char *name;
  int seconds, result;
};

static int answer(void *arg) {
  struct answer *a = arg;
  trace("%s begins", a->name);
  int r = nap(a->seconds);
  if (r < 0) {
    trace("%s %s", a->name, word(r));
    return r;
  }
  return a->result;
}

SCENARIO(wait_for_a_function) {
  trace("%s", word(weft_wait_for(answer, &(struct answer){"a", 1, 5}, weft_sec(2))));
  trace("%s", word(weft_wait_for(answer, &(struct answer){"b", 3, 5}, weft_sec(2))));
  trace("%s", word(weft_wait_for(answer, &(struct answer){"c", 1, 8}, WEFT_FOREVER)));
}

SCENARIO(wait_for_a_task) {
  struct answer a = {"a", 1, 5}, b = {"b", 9, 5};
  weft_task t[] = {weft_spawn(answer, &a, NULL), weft_spawn(answer, &b, NULL)};
  for (int i = 0; i < 2; i++) trace("%s", word(weft_wait_for_task(t[i], weft_sec(2))));
}

SCENARIO(wait_for_without_time) {
  struct answer a = {"done", 0, 4}, never = {"never", 1, 1};
  weft_task done = weft_spawn(answer, &a, NULL), running = start(sleep_for_ever, "running");
  nap(1);
  trace("%s", word(weft_wait_for_task(done, 0)));
  trace("%s", word(weft_wait_for_task(running, 0)));
  trace("%s", word(weft_wait_for(answer, &never, 0)));
}

struct refuse {
  int seconds, result;
};

static int refuse(void *arg) {
  struct refuse *f = arg;
  nap(9);
  if (weft_cancel_catch()) trace("refuses");
  nap(f->seconds);
  trace("has stayed");
  return f->result < 0 ? trouble(-f->result) : f->result;
}

SCENARIO(wait_for_waits_until_the_task_is_really_over) {
  struct refuse f[] = {{4, 3}, {4, -2}};
  for (int i = 0; i < 2; i++)
    trace("%s", word(weft_wait_for_task(weft_spawn(refuse, &f[i], NULL), weft_sec(1))));
}

static int wait_in_vain(void *name) {
  int r = weft_wait_for_task(start(sleep_for_ever, "inner"), weft_sec(9));
  trace("%s %s", (char *)name, word(r));
  return r;
}

SCENARIO(a_cancelled_wait_for_cancels_the_task) {
  weft_task t = start(wait_in_vain, "waiter");
  nap(1);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

const struct scenario scenarios_timeouts[] = {
    ENTRY(a_scope_cuts_what_takes_too_long),
    ENTRY(the_nearest_deadline_of_nested_scopes_counts),
    ENTRY(a_scope_without_time_runs_to_its_first_wait),
    ENTRY(a_deadline_may_be_moved),
    ENTRY(an_error_passes_through_a_scope),
    ENTRY(a_cancel_inside_a_scope_is_no_timeout),
    ENTRY(scopes_of_several_tasks_expire_by_deadline),
    ENTRY(wait_for_a_function),
    ENTRY(wait_for_a_task),
    ENTRY(wait_for_without_time),
    ENTRY(wait_for_waits_until_the_task_is_really_over),
    ENTRY(a_cancelled_wait_for_cancels_the_task),
    {NULL, NULL},
};
