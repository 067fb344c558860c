/* Cancelling: where it is delivered, what catching does, and who gets it first. */
#include "scene.h"

SCENARIO(cancelled_before_its_start_a_task_never_runs) {
  weft_task t = start(sleep_for_ever, "a"), other = start(tick, "other");
  trace("cancel %d", weft_cancel(t));
  trace("%s", word(weft_await(t)));
  weft_await(other);
}

SCENARIO(a_sleep_is_cut_short) {
  weft_task t[] = {start(sleep_for_ever, "a"), start(sleep_for_ever, "b"),
                   start(sleep_for_ever, "c")};
  const int order[] = {1, 0, 2};
  nap(1);
  for (int i = 0; i < 3; i++) trace("cancel %d", weft_cancel(t[order[i]]));
  for (int i = 0; i < 3; i++) trace("%s", word(weft_await(t[i])));
}

SCENARIO(an_ended_task_cannot_be_cancelled) {
  weft_task t = start(tick, "a");
  nap(1);
  trace("cancel %d", weft_cancel(t));
  trace("cancelling %d", weft_cancelling(t));
  trace("%s", word(weft_await(t)));
}

struct oneself {
  const char *name;
  bool then_wait;
};

static int cancel_oneself(void *arg) {
  struct oneself *o = arg;
  trace("%s cancels itself: %d", o->name, weft_cancel(weft_current()));
  if (o->then_wait) {
    int r = weft_yield();
    if (r == 0) trace("not reached");
    trace("%s %s", o->name, word(r));
    return r;
  }
  trace("%s returns", o->name);
  return 0;
}

SCENARIO(who_cancels_itself_goes_on_to_its_next_wait) {
  trace("%s", word(weft_await(weft_spawn(cancel_oneself, &(struct oneself){"a", true}, NULL))));
  trace("%s", word(weft_await(weft_spawn(cancel_oneself, &(struct oneself){"b", false}, NULL))));
}

static int catch_once(void *arg) {
  const char *name = arg;
  int r = nap(3600);
  if (r == WEFT_ECANCELED && weft_cancel_catch())
    trace("%s catches, cancelling %d", name, weft_cancelling(weft_current()));
  r = nap(1);
  if (r < 0) return r;
  trace("%s has slept on, cancelling %d", name, weft_cancelling(weft_current()));
  return 5;
}

SCENARIO(a_caught_cancel_is_over) {
  weft_task t = start(catch_once, "a");
  nap(1);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

SCENARIO(who_caught_a_cancel_can_be_cancelled_again) {
  weft_task t = start(catch_once, "a");
  nap(1);
  weft_cancel(t);
  weft_yield();
  trace("cancelling %d", weft_cancelling(t));
  weft_cancel(t);
  trace("cancelling %d", weft_cancelling(t));
  trace("%s", word(weft_await(t)));
}

SCENARIO(two_cancels_before_the_task_runs_are_delivered_once) {
  weft_task t = start(catch_once, "a");
  nap(1);
  trace("cancel %d", weft_cancel(t));
  trace("cancel %d", weft_cancel(t));
  trace("cancelling %d", weft_cancelling(t));
  trace("%s", word(weft_await(t)));
}

struct link {
  const char *name;
  weft_task next;
};

static int await_and_say(void *arg) {
  struct link *l = arg;
  trace("%s awaits", l->name);
  int r = weft_await(l->next);
  trace("%s got %s", l->name, word(r));
  return r;
}

SCENARIO(a_cancel_goes_to_the_awaited_task_first) {
  struct link middle = {"middle", start(sleep_for_ever, "inner")};
  struct link outer = {"outer", weft_spawn(await_and_say, &middle, NULL)};
  weft_task t = weft_spawn(await_and_say, &outer, NULL);
  nap(1);
  trace("cancel %d", weft_cancel(t));
  trace("%s", word(weft_await(t)));
}

SCENARIO(an_awaited_task_may_refuse_the_cancel) {
  struct link outer = {"outer", start(catch_once, "inner")};
  weft_task t = weft_spawn(await_and_say, &outer, NULL);
  nap(1);
  trace("cancel %d", weft_cancel(t));
  trace("%s", word(weft_await(t)));
}

static int clean_up_slowly(void *name) {
  int r = nap(3600);
  trace("%s cleans up", (char *)name);
  weft_shield_begin();
  nap(2);
  weft_shield_end();
  trace("%s is clean", (char *)name);
  return r;
}

SCENARIO(the_awaiter_waits_for_the_cleanup) {
  weft_task t[] = {start(clean_up_slowly, "a"), start(sleep_for_ever, "b")};
  nap(1);
  for (int i = 0; i < 2; i++) weft_cancel(t[i]);
  for (int i = 0; i < 2; i++) trace("%s", word(weft_await(t[i])));
}

static int fail_when_cancelled(void *number) {
  return nap(3600) == WEFT_ECANCELED ? trouble(*(int *)number) : 0;
}

SCENARIO(an_error_while_being_cancelled_is_the_tasks_error) {
  int number = 4;
  weft_task t = weft_spawn(fail_when_cancelled, &number, NULL);
  nap(1);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

static int count_down(void *name) {
  weft_task self = weft_current();
  nap(3600);
  if (weft_cancel_catch()) {
    trace("%s cancelling %d", (char *)name, weft_cancelling(self));
    for (int i = 0; i < 3; i++) trace("%s uncancel %d", (char *)name, weft_uncancel(self));
  }
  int r = weft_yield();
  if (r < 0) return r;
  trace("%s went on", (char *)name);
  return 0;
}

SCENARIO(requests_are_counted_and_taken_back) {
  weft_task t = start(count_down, "a");
  nap(1);
  weft_cancel(t);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

SCENARIO(a_cancelled_task_is_not_over_at_once) {
  weft_task t = start(sleep_for_ever, "a");
  nap(1);
  weft_cancel(t);
  trace("done %d", weft_task_done(t));
  weft_yield();
  trace("done %d", weft_task_done(t));
  trace("%s", word(weft_await(t)));
}

static int cancel_that(void *arg) {
  struct link *l = arg;
  trace("%s cancels: %d", l->name, weft_cancel(l->next));
  return tick((void *)(uintptr_t)l->name);
}

SCENARIO(tasks_cancel_each_other) {
  weft_task first = start(sleep_for_ever, "first");
  struct link to_first = {"second", first};
  weft_task second = weft_spawn(cancel_that, &to_first, NULL);
  struct link to_second = {"third", second};
  weft_task third = weft_spawn(cancel_that, &to_second, NULL);
  trace("%s", word(weft_await(first)));
  trace("%s", word(weft_await(second)));
  trace("%s", word(weft_await(third)));
}

const struct scenario scenarios_cancel[] = {
    ENTRY(cancelled_before_its_start_a_task_never_runs),
    ENTRY(a_sleep_is_cut_short),
    ENTRY(an_ended_task_cannot_be_cancelled),
    ENTRY(who_cancels_itself_goes_on_to_its_next_wait),
    ENTRY(a_caught_cancel_is_over),
    ENTRY(who_caught_a_cancel_can_be_cancelled_again),
    ENTRY(two_cancels_before_the_task_runs_are_delivered_once),
    ENTRY(a_cancel_goes_to_the_awaited_task_first),
    ENTRY(an_awaited_task_may_refuse_the_cancel),
    ENTRY(the_awaiter_waits_for_the_cleanup),
    ENTRY(an_error_while_being_cancelled_is_the_tasks_error),
    ENTRY(requests_are_counted_and_taken_back),
    ENTRY(a_cancelled_task_is_not_over_at_once),
    ENTRY(tasks_cancel_each_other),
    {NULL, NULL},
};
