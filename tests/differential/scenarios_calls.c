/* Callbacks of the loop: call_soon, call_later, call_at, and what becomes of their failures. */
#include <stdint.h>
#include <stdio.h>

#include "scene.h"

static int say(void *name) {
  trace("callback %s", (char *)name);
  return 0;
}

static void *text(const char *name) {
  return (void *)(uintptr_t)name;
}

static weft_call soon(const char *name) {
  return weft_call_soon(say, text(name));
}

static weft_call later(int seconds, const char *name) {
  return weft_call_later(weft_sec(seconds), say, text(name));
}

SCENARIO(callbacks_run_in_order_between_tasks) {
  weft_task first = start(say_once, "first task");
  soon("a");
  weft_task second = start(say_once, "second task");
  soon("b");
  trace("main goes on");
  weft_yield();
  trace("a turn later");
  weft_await(first);
  weft_await(second);
}

static int say_and_call(void *arg) {
  const char *names = arg;
  trace("callback %c", names[0]);
  if (names[1]) weft_call_soon(say_and_call, text(names + 1));
  return 0;
}

SCENARIO(what_a_callback_adds_comes_a_turn_later) {
  weft_call_soon(say_and_call, text("abc"));
  weft_call_soon(say_and_call, text("xyz"));
  tick(text("main"));
}

SCENARIO(a_cancelled_callback_does_not_run) {
  weft_call a = soon("a"), b = soon("b"), c = later(1, "later"), d = later(3, "much later");
  weft_call_cancel(a);
  weft_call_cancel(c);
  nap(2);
  weft_call_cancel(b);
  trace("too late for b");
  nap(2);
  weft_call_cancel(d);
}

static int cancel_that(void *call) {
  trace("callback cancels");
  weft_call_cancel(*(weft_call *)call);
  return 0;
}

SCENARIO(a_callback_may_cancel_the_next) {
  weft_call victim;
  weft_call_soon(cancel_that, &victim);
  soon("between");
  victim = soon("cancelled");
  soon("last");
  nap(1);
}

SCENARIO(callbacks_with_a_time_run_by_their_time) {
  weft_ns now = weft_now();
  later(3, "c");
  later(1, "a");
  later(5, "e");
  weft_call_at(now + weft_sec(2), say, text("b"));
  weft_call_at(now + weft_sec(4), say, text("d"));
  for (int i = 0; i < 6; i++) {
    weft_sleep(weft_ms(1001));
    trace("main wakes");
  }
}

SCENARIO(no_delay_is_a_later_turn) {
  later(0, "now");
  later(-5, "long ago");
  trace("main goes on");
  nap(1);
  trace("main ends");
}

static int say_task_of(void *name) {
  trace("task of %s runs", (char *)name);
  return 0;
}

static int spawn_task(void *name) {
  say(name);
  return weft_detach(weft_spawn(say_task_of, name, NULL));
}

SCENARIO(callbacks_may_spawn_tasks) {
  weft_call_soon(spawn_task, text("a"));
  weft_call_later(weft_sec(1), spawn_task, text("b"));
  tick(text("main"));
  nap(2);
}

static int fail(void *number) {
  trace("callback fails %d", *(int *)number);
  return trouble(*(int *)number);
}

static int trace_report(const weft_report *report, void *arg) {
  (void)arg;
  trace("reported %s", word(report->code));
  return 0;
}

SCENARIO(a_callback_that_fails_is_reported_and_stops_nobody) {
  int one = 1, two = 2;
  weft_set_error_handler(trace_report, NULL);
  weft_call_soon(fail, &one);
  soon("a");
  weft_call_soon(fail, &two);
  soon("b");
  nap(1);
  trace("main ends");
}

struct setter {
  weft_future *future;
  int value;
};

static int set_it(void *arg) {
  struct setter *s = arg;
  return weft_future_set(s->future, &s->value);
}

SCENARIO(callbacks_set_futures_by_the_clock) {
  const int seconds[] = {2, 1, 3};
  struct setter setters[3];
  int value = 0;
  for (int i = 0; i < 3; i++) {
    setters[i].value = 10 + i;
    weft_future_new(&setters[i].future, sizeof(int));
    weft_call_later(weft_sec(seconds[i]), set_it, &setters[i]);
  }
  for (int i = 0; i < 3; i++) {
    weft_future_await(setters[i].future, &value);
    trace("got %d", value);
    weft_future_unref(setters[i].future);
  }
}

const struct scenario scenarios_calls[] = {
    ENTRY(callbacks_run_in_order_between_tasks),
    ENTRY(what_a_callback_adds_comes_a_turn_later),
    ENTRY(a_cancelled_callback_does_not_run),
    ENTRY(a_callback_may_cancel_the_next),
    ENTRY(callbacks_with_a_time_run_by_their_time),
    ENTRY(no_delay_is_a_later_turn),
    ENTRY(callbacks_may_spawn_tasks),
    ENTRY(a_callback_that_fails_is_reported_and_stops_nobody),
    ENTRY(callbacks_set_futures_by_the_clock),
    {NULL, NULL},
};
