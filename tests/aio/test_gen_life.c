/* Generators: how they end, in whose task their body runs, and wrong use. */
#include <string.h>
#include <weft.h>

#include "aio/gen.h"
#include "base/memory.h"
#include "core/worker.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"

static weft_gen *open_ints(weft_gen_fn fn, void *arg) {
  weft_gen *g = NULL;
  CHECK_INT(weft_gen_open(&g, fn, arg, sizeof(int), NULL), 0);
  return g;
}

static bool same_task(weft_task a, weft_task b) {
  return a.slot_ == b.slot_ && a.key_ == b.key_;
}

/* ---- closing ---- */

/* Yields for ever; its cleanup waits. What it saw goes to the struct. */
struct seen {
  weft_task by;     /* whose task the cleanup ran in */
  int waited;       /* what a wait of the cleanup answered */
  int begun, ended; /* times */
  int code;         /* to be returned at the end, unless 0 */
  struct latch *users_over;
};

static int clean_up(weft_gen *g, void *arg) {
  struct seen *s = arg;
  int r = 0;
  s->begun++;
  for (int i = 0; r == 0; i++) r = weft_gen_yield(g, &i);
  s->by = weft_current();
  if (s->users_over) CHECK_INT(latch_hits(s->users_over), 1);
  s->waited = weft_sleep(weft_us(10));
  s->ended++;
  return s->code ? s->code : r;
}

TASK_TEST(AG1_explicit_closing_runs_cleanup_in_the_closing_task) {
  struct seen s = {0};
  weft_gen *g = open_ints(clean_up, &s);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(s.ended, 1);
  CHECK_INT(s.waited, 0);
  CHECK(same_task(s.by, weft_current()));
}

static int close_given(void *arg) {
  return weft_gen_close(*(weft_gen **)arg);
}

TASK_TEST(AG1_cleanup_runs_in_another_task_when_that_one_closes) {
  struct seen s = {0};
  weft_gen *g = open_ints(clean_up, &s);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  weft_task t = weft_spawn(close_given, &g, NULL);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(s.ended, 1);
  CHECK(same_task(s.by, t));
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(AG1_a_generator_that_was_closed_before_it_began_never_runs) {
  struct seen s = {0};
  CHECK_INT(weft_gen_close(open_ints(clean_up, &s)), 0);
  CHECK_INT(s.begun, 0);
  CHECK_INT(weft_gen_close(NULL), 0);
  CHECK_INT(weft_gen_close_fn(NULL), 0);
}

TASK_TEST(close_answers_the_error_of_the_cleanup) {
  struct seen s = {.code = OWN_ERROR};
  weft_gen *g = open_ints(clean_up, &s);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_gen_close(g), OWN_ERROR);
  s = (struct seen){.code = 9};
  g = open_ints(clean_up, &s);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_gen_close(g), 0);
}

/* Looks at no answer of its yields. */
static int look_away(weft_gen *g, void *arg) {
  for (int i = 0; i < 1000; i++) weft_gen_yield(g, &i);
  ++*(int *)arg;
  return 0;
}

TASK_TEST(a_body_that_yields_although_it_is_closed_is_told_and_closed) {
  int ended = 0;
  weft_gen *g = open_ints(look_away, &ended);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_gen_close(g), WEFT_ESTATE);
  CHECK_INT(ended, 1);
}

/* A cancel of the closing task, or a deadline around it, does not cut the cleanup. */
static int close_cancelled(void *arg) {
  struct seen *s = arg;
  weft_gen *g = open_ints(clean_up, s);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_gen_close(g), 0);
  return weft_yield();
}

TASK_TEST(a_cancel_does_not_cut_the_cleanup) {
  struct seen s = {0};
  CHECK_INT(weft_await(weft_spawn(close_cancelled, &s, NULL)), WEFT_ECANCELED);
  CHECK_INT(s.ended, 1);
  CHECK_INT(s.waited, 0);
  weft_timeout scope;
  weft_gen *g = open_ints(clean_up, &s);
  CHECK_INT(weft_gen_next(g, NULL), 1);
  weft_timeout_begin(&scope, 0);
  CHECK_INT(weft_gen_close(g), 0);
  CHECK_INT(s.waited, 0);
  weft_timeout_end(&scope, 0);
}

/* ---- the end of the run ---- */

struct left {
  struct seen seen[4];
  struct latch parked, over;
  weft_gen *gen[4];
  int code;
};

static int use_until_the_end(void *arg) {
  struct left *l = arg;
  CHECK_INT(hit_and_park(&l->parked), WEFT_ECANCELED);
  CHECK_INT(weft_gen_next(l->gen[0], NULL), 1); /* still open */
  latch_hit(&l->over);
  return 0;
}

static int leave_open(void *arg) {
  struct left *l = arg;
  for (int i = 0; i < 4; i++) {
    l->seen[i].users_over = &l->over;
    CHECK_INT(weft_gen_open(&l->gen[i], clean_up, &l->seen[i], sizeof(int), NULL), 0);
    if (i != 3) CHECK_INT(weft_gen_next(l->gen[i], NULL), 1);
  }
  weft_detach(weft_spawn(use_until_the_end, l, NULL));
  return latch_wait(&l->parked, 1);
}

static void AG1_generators_left_open_are_closed_when_the_run_ends_after_all_tasks(void **state) {
  static struct left l;
  (void)state;
  l = (struct left){.code = 0};
  CHECK_INT(weft_run(leave_open, &l, NULL), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(l.seen[i].ended, 1);
    CHECK_INT(l.seen[i].waited, 0);
  }
  CHECK_INT(l.seen[3].begun, 0);
}

/* One that it closes, and one that it leaves. */
static int leave_open_one(void *arg) {
  struct left *l = arg;
  CHECK_INT(weft_gen_close(open_ints(clean_up, &l->seen[1])), 0);
  int r = weft_gen_open(&l->gen[0], clean_up, &l->seen[0], sizeof(int), NULL);
  return r < 0 ? r : weft_gen_next(l->gen[0], NULL) - 1;
}

static int leave_failing(void *arg) {
  struct left *l = arg;
  l->seen[0].code = OWN_ERROR;
  weft_gen_open(&l->gen[0], clean_up, &l->seen[0], sizeof(int),
                &(weft_gen_opts){.name = "the failing one"});
  return weft_gen_next(l->gen[0], NULL);
}

static void AG1_a_cleanup_that_fails_as_the_run_ends_is_reported(void **state) {
  static struct left l;
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  l = (struct left){.code = 0};
  CHECK_INT(weft_run(leave_failing, &l, &(weft_run_opts){.log = log_capture_line, .log_arg = &log}),
            1);
  CHECK_INT(l.seen[0].ended, 1);
  CHECK_INT(log_capture_count(&log, "the failing one"), 1);
}

static void in_debug_mode_a_generator_that_is_left_open_is_reported(void **state) {
  static struct left l;
  struct log_capture log = LOG_CAPTURE_INIT;
  (void)state;
  l = (struct left){.code = 0};
  latch_hit(&l.over);
  CHECK_INT(weft_run(leave_open_one, &l,
                     &(weft_run_opts){.debug = true, .log = log_capture_line, .log_arg = &log}),
            0);
  CHECK_INT(log_capture_count(&log, "a generator opened at"), 1);
  CHECK_INT(log_capture_count(&log, "gen_life"), 1);
  CHECK_INT(l.seen[0].ended, 1);
}

/* Opens one of its own, takes from it, and closes it as it is closed. */
static int hold_another(weft_gen *g, void *arg) {
  struct left *l = arg;
  weft_gen *inner;
  int r = weft_gen_open(&inner, clean_up, &l->seen[1], sizeof(int), NULL);
  while (r >= 0 && (r = weft_gen_next(inner, NULL)) > 0)
    if ((r = weft_gen_yield(g, &r)) < 0) break;
  weft_sleep(weft_us(50));
  int e = weft_gen_close(inner); /* EBUSY while the run closes that one: all right too */
  CHECK(e == 0 || e == WEFT_EBUSY);
  l->seen[0].ended++;
  return r;
}

static int leave_nested(void *arg) {
  struct left *l = arg;
  l->gen[0] = open_ints(hold_another, l);
  return weft_gen_next(l->gen[0], NULL);
}

static void AG1_one_that_holds_another_may_close_it_as_the_run_ends(void **state) {
  static struct left l;
  (void)state;
  l = (struct left){.code = 0};
  CHECK_INT(weft_run(leave_nested, &l, NULL), 1);
  CHECK_INT(l.seen[0].ended, 1);
  CHECK_INT(l.seen[1].ended, 1);
}

static int open_at_the_end(weft_gen *g, void *arg) {
  struct left *l = arg;
  int r;
  while ((r = weft_gen_yield(g, NULL)) == 0) {}
  l->gen[1] = open_ints(clean_up, &l->seen[1]);
  CHECK_INT(weft_gen_next(l->gen[1], NULL), 1);
  return r;
}

static int leave_opener(void *arg) {
  struct left *l = arg;
  l->gen[0] = open_ints(open_at_the_end, l);
  return weft_gen_next(l->gen[0], NULL);
}

static void AG1_one_that_is_opened_by_a_cleanup_at_the_end_is_closed_too(void **state) {
  static struct left l;
  (void)state;
  l = (struct left){.code = 0};
  CHECK_INT(weft_run(leave_opener, &l, NULL), 1);
  CHECK_INT(l.seen[1].ended, 1);
}

/* When there is no memory for the task that closes them, nobody's stack is lost. */
TASK_TEST(generators_that_cannot_be_closed_are_given_up) {
  static struct seen s;
  s = (struct seen){0};
  weft_gen *begun = open_ints(clean_up, &s), *fresh = open_ints(clean_up, &s);
  CHECK_INT(weft_gen_next(begun, NULL), 1);
  struct weft__runtime *rt = weft__self()->rt;
  struct weft__gens *gens = weft__load_acquire_ptr(&rt->generators);
  CHECK(weft__closer_remove(&rt->closers, &gens->closer));
  gens->closer.drop(&gens->closer); /* registers itself again */
  CHECK_INT(weft_gen_next(begun, NULL), 0);
  CHECK_INT(weft_gen_next(fresh, NULL), 0);
  CHECK_INT(s.ended, 0);
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
  CHECK_INT(weft_gen_open(&g, look_away, NULL, 0, NULL), WEFT_ENOTASK);
  CHECK(g == NULL);
}

TASK_TEST(without_memory_nothing_is_opened) {
  struct seen s = {0};
  weft_gen *g = NULL;
  weft_gen_close(open_ints(clean_up, &s)); /* the registry is there */
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  CHECK_INT(weft_gen_open(&g, clean_up, &s, 4, NULL), WEFT_ENOMEM);
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

/* ---- many ---- */

TASK_TEST(thousands_may_be_open_and_each_gives_its_own) {
  enum { MANY = 2000 };
  static weft_gen *g[MANY];
  static struct seen s;
  int n = count(MANY), got;
  s = (struct seen){0};
  for (int i = 0; i < n; i++) g[i] = open_ints(clean_up, &s);
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < n; i++) {
      CHECK_INT(weft_gen_next(g[i], &got), 1);
      CHECK_INT(got, k);
    }
  for (int i = 0; i < n; i++) CHECK_INT(weft_gen_close(g[i]), 0);
  CHECK_INT(s.ended, n);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(AG1_explicit_closing_runs_cleanup_in_the_closing_task),
    cmocka_unit_test(AG1_cleanup_runs_in_another_task_when_that_one_closes),
    cmocka_unit_test(AG1_a_generator_that_was_closed_before_it_began_never_runs),
    cmocka_unit_test(close_answers_the_error_of_the_cleanup),
    cmocka_unit_test(a_body_that_yields_although_it_is_closed_is_told_and_closed),
    cmocka_unit_test(a_cancel_does_not_cut_the_cleanup),
    cmocka_unit_test(AG1_generators_left_open_are_closed_when_the_run_ends_after_all_tasks),
    cmocka_unit_test(AG1_a_cleanup_that_fails_as_the_run_ends_is_reported),
    cmocka_unit_test(in_debug_mode_a_generator_that_is_left_open_is_reported),
    cmocka_unit_test(AG1_one_that_holds_another_may_close_it_as_the_run_ends),
    cmocka_unit_test(AG1_one_that_is_opened_by_a_cleanup_at_the_end_is_closed_too),
    cmocka_unit_test(generators_that_cannot_be_closed_are_given_up),
    cmocka_unit_test(AG1_two_consumers_at_once_are_told_and_nothing_is_lost),
    cmocka_unit_test(consumers_in_turns_get_each_item_once),
    cmocka_unit_test(a_body_cannot_ask_itself),
    cmocka_unit_test(only_the_body_yields),
    cmocka_unit_test(outside_of_a_task_there_is_no_generator),
    cmocka_unit_test(without_memory_nothing_is_opened),
    cmocka_unit_test(the_body_runs_in_whichever_task_asks),
    cmocka_unit_test(a_cancel_of_the_consumer_reaches_the_body),
    cmocka_unit_test(a_timeout_of_the_consumer_cuts_the_body),
    cmocka_unit_test(a_yield_inside_the_bodys_own_scope_is_refused),
    cmocka_unit_test(scopes_that_a_body_leaves_open_end_with_it),
    cmocka_unit_test(thousands_may_be_open_and_each_gives_its_own),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
