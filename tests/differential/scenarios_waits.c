/* wait under its three conditions, and as_completed. */
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

enum { MOST = 4 };

struct party {
  int n;
  weft_task tasks[MOST];
  weft_awaitable set[MOST];
};

static void add(struct party *p, weft_task t) {
  p->tasks[p->n] = t;
  p->set[p->n++] = weft_task_awaitable(t);
}

static void spawn(struct party *p, struct work *works, int n) {
  for (int i = 0; i < n; i++) add(p, weft_spawn(work, &works[i], NULL));
}

static void wait_and_tell(struct party *p, enum weft_wait_until until, weft_ns limit) {
  weft_outcome outcomes[MOST];
  trace("%d are over", weft_wait(p->set, (size_t)p->n, until, limit, outcomes));
  for (int i = 0; i < p->n; i++) trace("%s", outcomes[i].over ? word(outcomes[i].code) : "pending");
}

static void leave(struct party *p) {
  for (int i = 0; i < p->n; i++) weft_await(p->tasks[i]);
}

SCENARIO(wait_for_all_of_them) {
  struct work works[] = {{"a", 3, 10}, {"b", 1, -1}, {"c", 2, 30}};
  struct party p = {0};
  spawn(&p, works, 3);
  wait_and_tell(&p, WEFT_ALL_OVER, WEFT_FOREVER);
  leave(&p);
}

SCENARIO(wait_for_the_first) {
  struct work works[] = {{"a", 3, 10}, {"b", 1, 20}, {"c", 2, 30}};
  struct party p = {0};
  spawn(&p, works, 3);
  wait_and_tell(&p, WEFT_FIRST_OVER, WEFT_FOREVER);
  wait_and_tell(&p, WEFT_FIRST_OVER, WEFT_FOREVER);
  wait_and_tell(&p, WEFT_ALL_OVER, WEFT_FOREVER);
  leave(&p);
}

static int cancel_after_two_seconds(void *task) {
  nap(2);
  return weft_cancel(*(weft_task *)task);
}

SCENARIO(wait_for_the_first_error) {
  struct work works[] = {{"a", 1, 10}, {"b", 3600, 20}, {"c", 3, -1}, {"d", 4, 40}};
  struct party p = {0};
  spawn(&p, works, 4);
  weft_detach(weft_spawn(cancel_after_two_seconds, &p.tasks[1], NULL));
  wait_and_tell(&p, WEFT_FIRST_ERROR, WEFT_FOREVER);
  nap(3);
  leave(&p);
}

SCENARIO(without_an_error_the_first_error_is_all) {
  struct work works[] = {{"a", 1, 10}, {"b", 3600, 20}, {"c", 3, 30}};
  struct party p = {0};
  spawn(&p, works, 3);
  weft_detach(weft_spawn(cancel_after_two_seconds, &p.tasks[1], NULL));
  wait_and_tell(&p, WEFT_FIRST_ERROR, WEFT_FOREVER);
  leave(&p);
}

SCENARIO(wait_no_longer_than_its_limit) {
  struct work works[] = {{"a", 1, 10}, {"b", 4, 20}, {"c", 6, 30}};
  struct party p = {0};
  spawn(&p, works, 3);
  wait_and_tell(&p, WEFT_ALL_OVER, weft_sec(2));
  wait_and_tell(&p, WEFT_ALL_OVER, weft_sec(3));
  trace("nobody was cancelled");
  nap(5);
  leave(&p);
}

static int wait_as_waiter(void *party) {
  struct party *p = party;
  int r = weft_wait(p->set, (size_t)p->n, WEFT_ALL_OVER, WEFT_FOREVER, NULL);
  trace("waiter %s", word(r));
  return r;
}

SCENARIO(a_cancelled_wait_cancels_nobody) {
  struct work works[] = {{"a", 2, 10}, {"b", 3, 20}};
  struct party p = {0};
  spawn(&p, works, 2);
  weft_task waiter = weft_spawn(wait_as_waiter, &p, NULL);
  nap(1);
  weft_cancel(waiter);
  trace("%s", word(weft_await(waiter)));
  wait_and_tell(&p, WEFT_ALL_OVER, WEFT_FOREVER);
  leave(&p);
}

struct after {
  const char *name;
  weft_future *future;
  int result;
};

static int after(void *arg) {
  struct after *a = arg;
  int value = 0, r = weft_future_await(a->future, &value);
  trace("%s %s", a->name, word(r < 0 ? r : value));
  return a->result;
}

static int set_after_a_second(void *future) {
  int value = 7;
  nap(1);
  return weft_future_set(future, &value);
}

SCENARIO(the_first_come_together) {
  weft_future *f = NULL;
  weft_future_new(&f, sizeof(int));
  struct after a = {"a", f, 1}, b = {"b", f, 2};
  struct work c = {"c", 9, 3};
  struct party p = {0};
  add(&p, weft_spawn(after, &a, NULL));
  add(&p, weft_spawn(after, &b, NULL));
  spawn(&p, &c, 1);
  weft_detach(weft_spawn(set_after_a_second, f, NULL));
  wait_and_tell(&p, WEFT_FIRST_OVER, WEFT_FOREVER);
  nap(10);
  leave(&p);
  weft_future_unref(f);
}

SCENARIO(as_completed_gives_them_as_they_end) {
  struct work works[] = {{"a", 3, 10}, {"b", 1, 20}, {"c", 4, -1}, {"d", 2, 40}};
  struct party p = {0};
  weft_completed *c = NULL;
  int code;
  spawn(&p, works, 4);
  weft_as_completed(&c, p.set, 4, WEFT_FOREVER);
  while (weft_completed_next(c, NULL, &code) > 0) trace("got %s", word(code));
  trace("no more");
  weft_completed_free(c);
  leave(&p);
}

SCENARIO(as_completed_gives_those_that_are_over_at_once) {
  struct work works[] = {{"a", 2, 10}, {"b", 1, 20}, {"c", 5, 30}};
  struct party p = {0};
  weft_completed *c = NULL;
  int code;
  spawn(&p, works, 3);
  nap(3);
  weft_as_completed(&c, p.set, 3, WEFT_FOREVER);
  while (weft_completed_next(c, NULL, &code) > 0) trace("got %s", code == 30 ? "30" : "one");
  weft_completed_free(c);
  leave(&p);
}

SCENARIO(as_completed_runs_out_of_time) {
  struct work works[] = {{"a", 1, 10}, {"b", 2, 20}, {"c", 5, 30}, {"d", 6, 40}};
  struct party p = {0};
  weft_completed *c = NULL;
  int code, r;
  spawn(&p, works, 4);
  weft_as_completed(&c, p.set, 4, weft_sec(3));
  while ((r = weft_completed_next(c, NULL, &code)) != 0) trace("got %s", word(r < 0 ? r : code));
  weft_completed_free(c);
  trace("nobody was cancelled");
  nap(5);
  leave(&p);
}

struct taker {
  const char *name;
  weft_completed *from;
};

static int take(void *arg) {
  struct taker *t = arg;
  int code, r;
  while ((r = weft_completed_next(t->from, NULL, &code)) > 0)
    trace("%s got %s", t->name, word(code));
  return r;
}

SCENARIO(two_tasks_share_what_is_completed) {
  struct work works[] = {{"a", 1, 10}, {"b", 2, 20}, {"c", 3, 30}, {"d", 4, 40}};
  struct party p = {0};
  weft_completed *c = NULL;
  spawn(&p, works, 4);
  weft_as_completed(&c, p.set, 4, WEFT_FOREVER);
  struct taker left = {"left", c}, right = {"right", c};
  weft_task t = weft_spawn(take, &left, NULL), u = weft_spawn(take, &right, NULL);
  weft_await(t);
  weft_await(u);
  weft_completed_free(c);
  leave(&p);
}

const struct scenario scenarios_waits[] = {
    ENTRY(wait_for_all_of_them),
    ENTRY(wait_for_the_first),
    ENTRY(wait_for_the_first_error),
    ENTRY(without_an_error_the_first_error_is_all),
    ENTRY(wait_no_longer_than_its_limit),
    ENTRY(a_cancelled_wait_cancels_nobody),
    ENTRY(the_first_come_together),
    ENTRY(as_completed_gives_them_as_they_end),
    ENTRY(as_completed_gives_those_that_are_over_at_once),
    ENTRY(as_completed_runs_out_of_time),
    ENTRY(two_tasks_share_what_is_completed),
    {NULL, NULL},
};
