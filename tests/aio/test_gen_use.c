/* Generators: in whose task their body runs, and wrong use. */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "task_test.h"

static weft_gen *open_ints(weft_gen_fn fn, void *arg) {
  weft_gen *g = NULL;
  CHECK_INT(weft_gen_open(&g, fn, arg, sizeof(int), NULL), 0);
  return g;
}

static bool same_task(weft_task a, weft_task b) {
  return a.slot_ == b.slot_ && a.key_ == b.key_;
}

/* Yields for ever; counts its ends at arg. */
static int endless(weft_gen *g, void *arg) {
  int r = 0;
  for (int i = 0; r == 0; i++) r = weft_gen_yield(g, &i);
  ++*(int *)arg;
  return r;
}

/* ---- wrong use ---- */

struct shared {
  weft_gen *gen;
  struct latch in, go;
  int next, close, end;
};

static int wait_inside(weft_gen *g, void *arg) {
  struct shared *s = arg;
  latch_hit(&s->in);
  latch_wait(&s->go, 1);
  int r = weft_gen_yield(g, &(int){42});
  if (r == WEFT_ECLOSED) s->end++;
  return r;
}

static int disturb(void *arg) {
  struct shared *s = arg;
  latch_wait(&s->in, 1);
  s->next = weft_gen_next(s->gen, NULL);
  s->close = weft_gen_close(s->gen);
  latch_hit(&s->go);
  return 0;
}

TASK_TEST(AG1_two_consumers_at_once_are_told_and_nothing_is_lost) {
  struct shared s = {.next = 1, .close = 1};
  int got = 0;
  s.gen = open_ints(wait_inside, &s);
  weft_task t = weft_spawn(disturb, &s, NULL);
  CHECK_INT(weft_gen_next(s.gen, &got), 1);
  CHECK_INT(got, 42);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(s.next, WEFT_EBUSY);
  CHECK_INT(s.close, WEFT_EBUSY);
  CHECK_INT(weft_gen_close(s.gen), 0);
  CHECK_INT(s.end, 1);
}

struct race {
  weft_gen *gen;
  atomic_int taken[64];
  int n;
};

static int count_slowly(weft_gen *g, void *arg) {
  const struct race *race = arg;
  int r = 0;
  for (int i = 0; i < race->n && r == 0; i++) {
    if (i % 4 == 0) r = weft_yield();
    if (r == 0) r = weft_gen_yield(g, &i);
  }
  return r;
}

static int take_all(void *arg) {
  struct race *race = arg;
  int item, r;
  while ((r = weft_gen_next(race->gen, &item)) != 0) {
    if (r == 1) atomic_fetch_add(&race->taken[item], 1);
    if (r == WEFT_EBUSY) r = weft_yield();
    if (r < 0) return r;
  }
  return 0;
}

TASK_TEST(consumers_in_turns_get_each_item_once) {
  for (int round = 0; round < count(50); round++) {
    struct race race = {.n = counts_simulated() ? 12 : 64};
    weft_group group = WEFT_GROUP_INIT;
    race.gen = open_ints(count_slowly, &race);
    for (int i = 0; i < 4; i++) weft_group_spawn(&group, take_all, &race, NULL);
    CHECK_INT(weft_group_join(&group), 0);
    for (int i = 0; i < race.n; i++) CHECK_INT(atomic_load(&race.taken[i]), 1);
    CHECK_INT(weft_gen_close(race.gen), 0);
  }
}

static int ask_itself(weft_gen *g, void *arg) {
  int item = 7;
  (void)arg;
  CHECK_INT(weft_gen_next(g, &item), WEFT_EBUSY);
  CHECK_INT(weft_gen_close(g), WEFT_EBUSY);
  return weft_gen_yield(g, &item);
}

TASK_TEST(a_body_cannot_ask_itself) {
  int got = 0;
  weft_gen *g = open_ints(ask_itself, NULL);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 7);
  CHECK_INT(weft_gen_close(g), 0);
}

/* As the body of a task: yields in a generator that is not its own. */
static int yield_into(void *arg) {
  int item = 13;
  CHECK_INT(weft_gen_received(arg, &item), WEFT_ESTATE);
  return weft_gen_yield(arg, &item);
}

static int yield_outer(weft_gen *g, void *arg) {
  int r = weft_gen_yield(arg, &(int){5}); /* of the one that asks this one */
  CHECK_INT(r, WEFT_ESTATE);
  return weft_gen_yield(g, &(int){6});
}

static int let_others_yield(weft_gen *g, void *arg) {
  weft_gen *inner;
  int got = 0, r;
  (void)arg;
  CHECK_INT(weft_await(weft_spawn(yield_into, g, NULL)), WEFT_ESTATE); /* inline, on this stack */
  CHECK_INT(weft_await(weft_spawn(yield_into, g, &(weft_spawn_opts){.pinned = true})), WEFT_ESTATE);
  CHECK_INT(weft_gen_open(&inner, yield_outer, g, sizeof(int), NULL), 0);
  CHECK_INT(weft_gen_next(inner, &got), 1);
  CHECK_INT(got, 6);
  CHECK_INT(weft_gen_close(inner), 0);
  while ((r = weft_gen_yield(g, &got)) == 0) {}
  return r;
}

TASK_TEST(only_the_body_yields) {
  int got = 0;
  weft_gen *g = open_ints(let_others_yield, NULL);
  CHECK_INT(yield_into(g), WEFT_ESTATE);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 6);
  CHECK_INT(yield_into(g), WEFT_ESTATE);
  CHECK_INT(weft_gen_delegate(g, g), WEFT_ESTATE);
  CHECK_INT(weft_gen_close(g), 0);
}

static void outside_of_a_task_there_is_no_generator(void **state) {
  weft_gen *g = NULL;
  (void)state;
  CHECK_INT(weft_gen_open(&g, endless, NULL, 0, NULL), WEFT_ENOTASK);
  CHECK(g == NULL);
}

static int use_from_outside(void *arg) {
  weft_gen *g = arg;
  CHECK_INT(weft_gen_next(g, NULL), WEFT_EINVAL);
  CHECK_INT(weft_gen_close(g), WEFT_EINVAL);
  return 0;
}

static int run_another(void *arg) {
  return weft_run(use_from_outside, arg, &(weft_run_opts){.workers = 1});
}

TASK_TEST(a_generator_of_another_runtime_is_refused) {
  int ended = 0;
  weft_gen *g = open_ints(endless, &ended);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_to_thread(run_another, g), 0);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(ended, 1);
}

/* In the child: what the body's calls and its consumer's answered, as bits. */
static int fork_in_the_body(weft_gen *g, void *arg) {
  pid_t child = fork();
  if (child == 0) {
    int item = 0;
    *(int *)arg |= weft_gen_yield(g, &item) == WEFT_ECHILD ? 1 : 0;
    *(int *)arg |= weft_gen_received(g, &item) == WEFT_ECHILD ? 2 : 0;
    return 0;
  }
  int r = weft_gen_yield(g, &(int){(int)child});
  return r;
}

TASK_TEST(in_a_child_of_fork_every_call_is_echild) {
  int good = 0, item = 0, status = -1;
  weft_gen *g = open_ints(fork_in_the_body, &good), *never = NULL;
  fflush(NULL);
  pid_t parent = getpid();
  int r = weft_gen_next(g, &item);
  if (getpid() != parent) {
    good |= r == WEFT_ECHILD ? 4 : 0;
    good |= weft_gen_next(g, &item) == WEFT_ECHILD ? 8 : 0;
    good |= weft_gen_close(g) == WEFT_ECHILD ? 16 : 0;
    good |= weft_gen_open(&never, fork_in_the_body, NULL, 0, NULL) == WEFT_ECHILD ? 32 : 0;
    _exit(good);
  }
  CHECK_INT(r, 1);
  CHECK_INT(waitpid(item, &status, 0), item);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 63);
  CHECK_INT(weft_gen_close(g), 0);
}

TASK_TEST(without_memory_nothing_is_opened) {
  int ended = 0;
  weft_gen *g = NULL;
  weft_gen_close(open_ints(endless, &ended)); /* the registry is there */
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  CHECK_INT(weft_gen_open(&g, endless, &ended, 4, NULL), WEFT_ENOMEM);
  CHECK_UINT(weft__memory_fail_end(), 1);
  CHECK(g == NULL);
}

/* ---- whose task it is ---- */

struct who {
  weft_task task[3];
  int cancelled;
  weft_gen *gen;
};

static int note_who(weft_gen *g, void *arg) {
  struct who *w = arg;
  int r = 0;
  for (int i = 0; i < 3 && r == 0; i++) {
    w->task[i] = weft_current();
    r = weft_yield();
    CHECK(same_task(w->task[i], weft_current()));
    if (r == 0) r = weft_gen_yield(g, &i);
  }
  if (r == WEFT_ECANCELED) w->cancelled++;
  return r;
}

static int next_of(void *arg) {
  int got = 0;
  return weft_gen_next(((struct who *)arg)->gen, &got);
}

TASK_TEST(the_body_runs_in_whichever_task_asks) {
  struct who w = {0};
  w.gen = open_ints(note_who, &w);
  CHECK_INT(next_of(&w), 1);
  weft_task inline_one = weft_spawn(next_of, &w, NULL);
  CHECK_INT(weft_await(inline_one), 1);
  weft_task other = weft_spawn(next_of, &w, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_await(other), 1);
  CHECK(same_task(w.task[0], weft_current()));
  CHECK(same_task(w.task[1], inline_one));
  CHECK(same_task(w.task[2], other));
  CHECK_INT(weft_gen_close(w.gen), 0);
}

TASK_TEST(a_cancel_of_the_consumer_reaches_the_body) {
  struct who w = {0};
  w.gen = open_ints(note_who, &w);
  weft_cancel(weft_current());
  CHECK_INT(next_of(&w), WEFT_ECANCELED);
  CHECK(weft_cancel_catch());
  CHECK_INT(w.cancelled, 1);
  CHECK_INT(next_of(&w), 0);
  CHECK_INT(weft_gen_close(w.gen), 0);
  weft_uncancel(weft_current());
}

static int sleep_long(weft_gen *g, void *arg) {
  (void)g, (void)arg;
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(a_timeout_of_the_consumer_cuts_the_body) {
  weft_timeout s;
  weft_gen *g = open_ints(sleep_long, NULL);
  weft_timeout_begin(&s, weft_ms(1));
  CHECK_INT(weft_timeout_end(&s, weft_gen_next(g, NULL)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_gen_next(g, NULL), 0);
  CHECK_INT(weft_gen_close(g), 0);
}

static int yield_in_scopes(weft_gen *g, void *arg) {
  weft_timeout s;
  (void)arg;
  weft_timeout_begin(&s, weft_sec(10));
  CHECK_INT(weft_gen_yield(g, &(int){1}), WEFT_ESTATE);
  CHECK_INT(weft_timeout_end(&s, 0), 0);
  weft_shield_begin();
  CHECK_INT(weft_gen_yield(g, &(int){2}), WEFT_ESTATE);
  weft_shield_end();
  return weft_gen_yield(g, &(int){3});
}

TASK_TEST(a_yield_inside_the_bodys_own_scope_is_refused) {
  int got = 0;
  weft_gen *g = open_ints(yield_in_scopes, NULL);
  CHECK_INT(weft_gen_next(g, &got), 1);
  CHECK_INT(got, 3);
  weft_shield_begin(); /* the consumer's own do not matter, and may change */
  CHECK_INT(weft_gen_next(g, &got), 0);
  weft_shield_end();
  CHECK_INT(weft_gen_close(g), 0);
}

static weft_local colour;

static int yield_given(void *arg) {
  return weft_gen_yield(arg, &(int){4});
}

static int set_colour_and_yield(weft_gen *g, void *arg) {
  weft_context *c;
  static int blue;
  (void)arg;
  CHECK_INT(weft_context_new(&c), 0);
  CHECK_INT(weft_context_run(c, yield_given, g), WEFT_ESTATE);
  weft_context_free(c);
  CHECK_INT(weft_local_set(&colour, &blue, NULL), 0);
  return weft_gen_yield(g, &(int){5});
}

static int take_in_context(void *arg) {
  int got = 0;
  CHECK_INT(weft_gen_next(arg, &got), 1);
  return got;
}

TASK_TEST(task_locals_are_the_consumers_and_contexts_do_not_cross_a_yield) {
  weft_gen *g = open_ints(set_colour_and_yield, NULL);
  CHECK(weft_local_get(&colour, NULL) == NULL);
  CHECK_INT(take_in_context(g), 5);
  CHECK(weft_local_get(&colour, NULL) != NULL); /* as in Python */
  CHECK_INT(weft_gen_close(g), 0);
  weft_context *c;
  g = open_ints(set_colour_and_yield, NULL);
  CHECK_INT(weft_context_copy(&c), 0);
  CHECK_INT(weft_context_run(c, take_in_context, g), 5); /* the consumer's own does not matter */
  CHECK_INT(weft_gen_next(g, NULL), 0);                  /* and may change */
  CHECK_INT(weft_gen_close(g), 0);
  weft_context_free(c);
}

static int yield_in_its_consumers_context(weft_gen *g, void *ctx) {
  CHECK_INT(weft_context_run(ctx, yield_given, g), WEFT_ESTATE);
  return weft_gen_yield(g, &(int){6});
}

TASK_TEST(a_run_in_the_consumers_own_context_does_not_cross_a_yield_either) {
  weft_context *c;
  CHECK_INT(weft_context_new(&c), 0);
  weft_gen *g = open_ints(yield_in_its_consumers_context, c);
  CHECK_INT(weft_context_run(c, take_in_context, g), 6);
  CHECK_INT(weft_gen_close(g), 0);
  weft_context_free(c);
}

static int leave_scopes_open(weft_gen *g, void *arg) {
  weft_timeout s; /* dies with the body's stack */
  (void)g;
  weft_timeout_begin(&s, 0);
  weft_shield_begin();
  if (*(int *)arg == 0) return 0;
  weft_shield_end();
  return weft_yield();
}

TASK_TEST(scopes_that_a_body_leaves_open_end_with_it) {
  weft_timeout outer;
  weft_timeout_begin(&outer, weft_sec(10));
  weft_gen *g = open_ints(leave_scopes_open, &(int){0});
  CHECK_INT(weft_gen_next(g, NULL), WEFT_ESTATE);
  CHECK_INT(weft_gen_close(g), 0);
  g = open_ints(leave_scopes_open, &(int){1});
  CHECK_INT(weft_gen_next(g, NULL), WEFT_ECANCELED); /* the dead scope's own deadline */
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_timeout_end(&outer, 5), 5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(AG1_two_consumers_at_once_are_told_and_nothing_is_lost),
    cmocka_unit_test(consumers_in_turns_get_each_item_once),
    cmocka_unit_test(a_body_cannot_ask_itself),
    cmocka_unit_test(only_the_body_yields),
    cmocka_unit_test(outside_of_a_task_there_is_no_generator),
    cmocka_unit_test(a_generator_of_another_runtime_is_refused),
    cmocka_unit_test(in_a_child_of_fork_every_call_is_echild),
    cmocka_unit_test(without_memory_nothing_is_opened),
    cmocka_unit_test(the_body_runs_in_whichever_task_asks),
    cmocka_unit_test(a_cancel_of_the_consumer_reaches_the_body),
    cmocka_unit_test(a_timeout_of_the_consumer_cuts_the_body),
    cmocka_unit_test(a_yield_inside_the_bodys_own_scope_is_refused),
    cmocka_unit_test(task_locals_are_the_consumers_and_contexts_do_not_cross_a_yield),
    cmocka_unit_test(a_run_in_the_consumers_own_context_does_not_cross_a_yield_either),
    cmocka_unit_test(scopes_that_a_body_leaves_open_end_with_it),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
