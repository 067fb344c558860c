/* Tasks: when they begin, whose turn it is, what an await gives. */
#include <string.h>

#include "scene.h"

SCENARIO(tasks_begin_in_the_order_of_creation) {
  const char *names[] = {"a", "b", "c", "d"};
  weft_task t[4];
  for (int i = 0; i < 4; i++) t[i] = start(say_once, names[i]);
  trace("main has spawned");
  for (int i = 3; i >= 0; i--) {
    weft_await(t[i]);
    trace("main has awaited one");
  }
}

static int parent(void *arg) {
  const char *name = arg;
  char left_name[8] = "", right_name[8] = "";
  trace("%s begins", name);
  if (strlen(name) < 3) {
    strcat(strcpy(left_name, name), "l");
    strcat(strcpy(right_name, name), "r");
    weft_task left = weft_spawn(parent, left_name, NULL);
    weft_task right = weft_spawn(parent, right_name, NULL);
    trace("%s has spawned", name);
    weft_await(left);
    trace("%s left over", name);
    weft_await(right);
  }
  trace("%s ends", name);
  return 0;
}

SCENARIO(tasks_spawned_by_tasks_queue_up_behind) {
  char name[] = "x";
  parent(name);
}

static int sleeper(void *arg) {
  int seconds = *(int *)arg;
  trace("sleeper %d begins", seconds);
  int r = nap(seconds);
  trace("sleeper %d wakes", seconds);
  return r;
}

SCENARIO(sleepers_wake_by_deadline) {
  int seconds[] = {3, 1, 5, 2, 4};
  weft_task t[5];
  for (int i = 0; i < 5; i++) t[i] = weft_spawn(sleeper, &seconds[i], NULL);
  for (int i = 0; i < 5; i++) weft_await(t[i]);
  trace("all are awake");
}

static int sleep_twice(void *name) {
  nap(2);
  trace("%s wakes", (char *)name);
  nap(2);
  trace("%s wakes again", (char *)name);
  return 0;
}

SCENARIO(equal_sleeps_end_in_the_order_they_began) {
  const char *names[] = {"a", "b", "c", "d", "e"};
  weft_task t[5];
  for (int i = 0; i < 5; i++) t[i] = start(sleep_twice, names[i]);
  for (int i = 0; i < 5; i++) weft_await(t[i]);
}

SCENARIO(yields_take_turns) {
  const char *names[] = {"a", "b", "c"};
  weft_task t[4];
  for (int i = 0; i < 3; i++) t[i] = start(tick, names[i]);
  weft_yield();
  trace("main comes back");
  t[3] = start(tick, "late");
  for (int i = 0; i < 4; i++) weft_await(t[i]);
}

SCENARIO(sleeping_no_time_is_a_yield) {
  int seconds[] = {0, -1, 0, -5};
  weft_task t = start(tick, "a");
  for (int i = 0; i < 4; i++) {
    trace("main sleeps %d", seconds[i]);
    nap(seconds[i]);
  }
  weft_await(t);
}

SCENARIO(an_ended_task_is_awaited_without_a_turn) {
  weft_task done = start(say_once, "done");
  weft_yield();
  weft_yield();
  weft_task other = start(say_once, "other");
  weft_await(done);
  trace("main has awaited the ended one");
  weft_await(other);
}

struct link {
  const char *name;
  weft_task next;
};

static int await_next(void *arg) {
  struct link *l = arg;
  trace("%s waits", l->name);
  int r = weft_await(l->next);
  trace("%s got %d", l->name, r);
  return r + 1;
}

static int answer_later(void *counter) {
  nap(1);
  trace("the last one ends");
  if (counter) weft_detach(start(tick, counter));
  return 10;
}

SCENARIO(a_chain_of_awaits_unwinds_one_turn_each) {
  weft_task last = start(answer_later, "counter");
  struct link links[3] = {{"third", last}, {"second", {0}}, {"first", {0}}};
  weft_task third = weft_spawn(await_next, &links[0], NULL);
  links[1].next = third;
  weft_task second = weft_spawn(await_next, &links[1], NULL);
  links[2].next = second;
  weft_task first = weft_spawn(await_next, &links[2], NULL);
  trace("main got %d", weft_await(first));
  nap(1);
}

static int wait_for_it(void *arg) {
  struct link *l = arg;
  trace("%s waits", l->name);
  weft_task_wait(l->next, NULL);
  trace("%s wakes", l->name);
  return 0;
}

SCENARIO(those_who_wait_for_one_task_wake_in_order) {
  weft_task last = weft_spawn(answer_later, NULL, NULL), t[4];
  struct link links[4] = {{"a", last}, {"b", last}, {"c", last}, {"d", last}};
  for (int i = 0; i < 4; i++) t[i] = weft_spawn(wait_for_it, &links[i], NULL);
  for (int i = 0; i < 4; i++) weft_await(t[i]);
  weft_await(last);
}

static int fail(void *number) {
  trace("trouble %d comes", *(int *)number);
  return trouble(*(int *)number);
}

static int give(void *number) {
  return *(int *)number;
}

SCENARIO(await_gives_the_result_or_the_error) {
  int n[] = {7, 1, 0, 2, 3};
  weft_task t[] = {weft_spawn(give, &n[0], NULL), weft_spawn(fail, &n[1], NULL),
                   weft_spawn(give, &n[2], NULL), weft_spawn(fail, &n[3], NULL)};
  for (int i = 0; i < 4; i++) trace("%s", word(weft_await(t[i])));
  trace("%s", word(fail(&n[4])));
}

SCENARIO(a_task_may_be_polled) {
  weft_task t = start(tick, "a");
  while (weft_task_done(t) == 0) {
    trace("not done");
    weft_yield();
  }
  trace("done");
  weft_await(t);
}

static int relay(void *arg) {
  const char *names = arg;
  trace("%c begins", names[0]);
  if (names[1]) weft_await(start(relay, names + 1));
  trace("%c ends", names[0]);
  return 0;
}

SCENARIO(two_chains_of_spawn_and_await_interleave) {
  weft_task left = start(relay, "abcd"), right = start(relay, "pqrs");
  weft_await(right);
  trace("the right chain is over");
  weft_await(left);
}

const struct scenario scenarios_tasks[] = {
    ENTRY(tasks_begin_in_the_order_of_creation),
    ENTRY(tasks_spawned_by_tasks_queue_up_behind),
    ENTRY(sleepers_wake_by_deadline),
    ENTRY(equal_sleeps_end_in_the_order_they_began),
    ENTRY(yields_take_turns),
    ENTRY(sleeping_no_time_is_a_yield),
    ENTRY(an_ended_task_is_awaited_without_a_turn),
    ENTRY(a_chain_of_awaits_unwinds_one_turn_each),
    ENTRY(those_who_wait_for_one_task_wake_in_order),
    ENTRY(await_gives_the_result_or_the_error),
    ENTRY(a_task_may_be_polled),
    ENTRY(two_chains_of_spawn_and_await_interleave),
    {NULL, NULL},
};
