/* Generators: how they end, by a close and with the run. */
#include <weft.h>

#include "aio/gen.h"
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
    cmocka_unit_test(thousands_may_be_open_and_each_gives_its_own),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
