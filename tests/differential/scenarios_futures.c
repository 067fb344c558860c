/* Futures: callbacks, awaiters, cancelling, and tasks with several awaiters. */
#include "scene.h"

static weft_future *new_future(void) {
  weft_future *f = NULL;
  weft_future_new(&f, sizeof(int));
  return f;
}

static void set(weft_future *f, int value) {
  weft_future_set(f, &value);
}

static int call(weft_future *f, void *name) {
  (void)f;
  trace("callback %s", (char *)name);
  return 0;
}

static void on_done(weft_future *f, const char *name) {
  weft_future_on_done(f, call, (void *)(uintptr_t)name);
}

struct waiting {
  const char *name;
  weft_future *future;
};

static int await_future(void *arg) {
  struct waiting *w = arg;
  int value = 0;
  trace("%s awaits", w->name);
  int r = weft_future_await(w->future, &value);
  weft_cancel_catch();
  trace("%s got %s", w->name, word(r < 0 ? r : value + r));
  return 0;
}

static weft_task wait_for_it(weft_future *f, const char *name) {
  struct waiting w = {name, f};
  return weft_spawn(await_future, &w, &(weft_spawn_opts){.arg_size = sizeof w});
}

static void await_both(weft_task a, weft_task b) {
  weft_await(a);
  weft_await(b);
}

SCENARIO(callbacks_come_in_order_and_later) {
  weft_future *f = new_future();
  on_done(f, "a");
  on_done(f, "b");
  on_done(f, "c");
  weft_task t = start(say_once, "task");
  set(f, 0);
  trace("set");
  weft_task late = start(say_once, "late task");
  weft_yield();
  trace("a turn later");
  await_both(t, late);
  weft_future_unref(f);
}

SCENARIO(callbacks_and_awaiters_take_turns) {
  weft_future *f = new_future();
  weft_task first = wait_for_it(f, "first");
  weft_yield();
  on_done(f, "between");
  weft_task second = wait_for_it(f, "second");
  weft_yield();
  on_done(f, "last");
  set(f, 5);
  await_both(first, second);
  weft_future_unref(f);
}

SCENARIO(a_callback_added_late_comes_later_still) {
  weft_future *f = new_future();
  set(f, 0);
  weft_task before = start(say_once, "before");
  on_done(f, "a");
  weft_task between = start(say_once, "between");
  on_done(f, "b");
  trace("added");
  weft_yield();
  trace("a turn later");
  await_both(before, between);
  weft_future_unref(f);
}

SCENARIO(callbacks_may_be_taken_back) {
  static char a[] = "a", b[] = "b";
  weft_future *f = new_future();
  on_done(f, a);
  on_done(f, b);
  on_done(f, a);
  on_done(f, b);
  on_done(f, a);
  trace("taken back %d", weft_future_forget(f, call, a));
  trace("taken back %d", weft_future_forget(f, call, a));
  set(f, 0);
  weft_yield();
  trace("taken back %d", weft_future_forget(f, call, b));
  weft_future_unref(f);
}

static void trace_result(weft_future *f) {
  int value = 0, r = weft_future_get(f, &value);
  trace("%s", word(r < 0 ? r : value));
}

SCENARIO(a_future_is_over_once) {
  weft_future *f = new_future();
  int one = 1, two = 2;
  trace_result(f);
  trace("%s", word(weft_future_set(f, &one)));
  trace("%s", word(weft_future_set(f, &two)));
  trace("%s", word(weft_future_fail(f, trouble(3))));
  trace_result(f);
  trace("cancel %d", weft_future_cancel(f));
  trace("cancelled %d", weft_future_cancelled(f));
  weft_future_unref(f);
}

SCENARIO(everybody_gets_the_error) {
  weft_future *f = new_future();
  weft_task a = wait_for_it(f, "a"), b = wait_for_it(f, "b"), c = wait_for_it(f, "c");
  nap(1);
  weft_future_fail(f, trouble(4));
  trace("failed");
  await_both(a, b);
  weft_await(c);
  weft_future_unref(f);
}

SCENARIO(a_cancelled_future_wakes_everybody) {
  weft_future *f = new_future();
  on_done(f, "first");
  weft_task a = wait_for_it(f, "a"), b = wait_for_it(f, "b");
  nap(1);
  trace("cancel %d", weft_future_cancel(f));
  trace("cancel %d", weft_future_cancel(f));
  await_both(a, b);
  trace("cancelled %d", weft_future_cancelled(f));
  weft_future_unref(f);
}

SCENARIO(cancelling_one_awaiter_cancels_the_future) {
  weft_future *f = new_future();
  weft_task a = wait_for_it(f, "a"), b = wait_for_it(f, "b");
  nap(1);
  weft_cancel(a);
  await_both(a, b);
  trace("cancelled %d", weft_future_cancelled(f));
  weft_future_unref(f);
}

static int set_that(void *f) {
  set(f, 9);
  return tick((void *)(uintptr_t) "setter");
}

SCENARIO(a_future_passes_a_value_within_a_turn) {
  weft_future *f = new_future();
  weft_task a = wait_for_it(f, "a");
  weft_task setter = weft_spawn(set_that, f, NULL), other = start(tick, "other");
  await_both(a, setter);
  weft_await(other);
  weft_future_unref(f);
}

struct chain {
  weft_future *next;
  int i;
};

static int pass_on(weft_future *f, void *arg) {
  struct chain *c = arg;
  int value = 0;
  trace("callback %d", c->i);
  weft_future_get(f, &value);
  set(c->next, value + 1);
  return 0;
}

SCENARIO(futures_set_each_other) {
  weft_future *f[] = {new_future(), new_future(), new_future()};
  struct chain c[] = {{f[1], 0}, {f[2], 1}};
  for (int i = 0; i < 2; i++) weft_future_on_done(f[i], pass_on, &c[i]);
  weft_task a = wait_for_it(f[2], "a");
  weft_yield();
  set(f[0], 1);
  weft_task turns = start(tick, "turns");
  await_both(a, turns);
  for (int i = 0; i < 3; i++) weft_future_unref(f[i]);
}

struct slow {
  int seconds, result;
};

static int slow_answer(void *arg) {
  struct slow *s = arg;
  int r = nap(s->seconds);
  if (r < 0) return r;
  trace("the task ends");
  return s->result;
}

SCENARIO(a_task_with_several_awaiters) {
  struct slow s = {1, 7};
  weft_future *f = NULL;
  weft_task_share(weft_spawn(slow_answer, &s, NULL), &f);
  weft_task a = wait_for_it(f, "a"), b = wait_for_it(f, "b"), c = wait_for_it(f, "c");
  await_both(a, b);
  weft_await(c);
  trace("main got %s", word(weft_future_await(f, NULL)));
  weft_future_unref(f);
}

static int await_quietly(void *future) {
  return weft_future_await(future, NULL);
}

/* In one turn both awaiters learn of it: which is first is not for a program to rely on. */
SCENARIO(cancelling_one_awaiter_cancels_the_task_for_all) {
  struct slow s = {5, 7};
  weft_future *f = NULL;
  weft_task_share(weft_spawn(slow_answer, &s, NULL), &f);
  weft_task a = weft_spawn(await_quietly, f, NULL), b = weft_spawn(await_quietly, f, NULL);
  nap(1);
  weft_cancel(a);
  trace("got %s", word(weft_await(a)));
  trace("got %s", word(weft_await(b)));
  weft_future_unref(f);
}

struct shielded {
  const char *name;
  weft_awaitable inner;
};

static int await_shielded(void *arg) {
  struct shielded *s = arg;
  trace("%s awaits", s->name);
  int r = weft_shield(s->inner);
  if (r < 0)
    trace("%s %s", s->name, word(r));
  else
    trace("%s got %d", s->name, r);
  return r;
}

SCENARIO(a_shield_keeps_the_cancel_out) {
  struct slow slow = {3, 7};
  struct shielded s = {"outer", weft_task_awaitable(weft_spawn(slow_answer, &slow, NULL))};
  weft_task outer = weft_spawn(await_shielded, &s, NULL);
  nap(1);
  weft_cancel(outer);
  trace("%s", word(weft_await(outer)));
  nap(5);
  trace("main ends");
}

SCENARIO(what_ends_inside_a_shield_shows_outside) {
  weft_future *f = new_future(), *done = new_future();
  struct shielded s = {"outer", weft_future_awaitable(f)};
  weft_task outer = weft_spawn(await_shielded, &s, NULL);
  nap(1);
  weft_future_cancel(f);
  trace("%s", word(weft_await(outer)));
  int value = 0;
  set(done, 8);
  if (weft_shield(weft_future_awaitable(done)) == 0 && weft_future_get(done, &value) == 0)
    trace("main got %d", value);
  weft_future_unref(f);
  weft_future_unref(done);
}

SCENARIO(a_shielded_task_survives_the_time_limit) {
  struct slow slow = {3, 7};
  weft_task inner = weft_spawn(slow_answer, &slow, NULL);
  weft_timeout s;
  weft_timeout_begin(&s, weft_sec(1));
  trace("%s", word(weft_timeout_end(&s, weft_shield(weft_task_awaitable(inner)))));
  nap(5);
  trace("main ends");
}

const struct scenario scenarios_futures[] = {
    ENTRY(callbacks_come_in_order_and_later),
    ENTRY(callbacks_and_awaiters_take_turns),
    ENTRY(a_callback_added_late_comes_later_still),
    ENTRY(callbacks_may_be_taken_back),
    ENTRY(a_future_is_over_once),
    ENTRY(everybody_gets_the_error),
    ENTRY(a_cancelled_future_wakes_everybody),
    ENTRY(cancelling_one_awaiter_cancels_the_future),
    ENTRY(a_future_passes_a_value_within_a_turn),
    ENTRY(futures_set_each_other),
    ENTRY(a_task_with_several_awaiters),
    ENTRY(cancelling_one_awaiter_cancels_the_task_for_all),
    ENTRY(a_shield_keeps_the_cancel_out),
    ENTRY(what_ends_inside_a_shield_shows_outside),
    ENTRY(a_shielded_task_survives_the_time_limit),
    {NULL, NULL},
};
