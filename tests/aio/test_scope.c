/* Scopes: what is deferred runs in reverse on every way out, and what becomes of its errors. */
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "log_capture.h"
#include "task_test.h"

/* What was run, in order. */
struct trace {
  int at[64];
  int n;
};

struct step {
  struct trace *trace;
  int mark;
  int code; /* what it returns */
  int slept;
};

static int run_step(void *arg) {
  struct step *s = arg;
  s->slept = weft_sleep(weft_us(10));
  s->trace->at[s->trace->n++] = s->mark;
  return s->code;
}

TASK_TEST(cleanup_runs_in_reverse_and_the_scope_is_empty_again) {
  struct trace t = {.n = 0};
  struct step step[3] = {{&t, 1, 0, -1}, {&t, 2, 0, -1}, {&t, 3, 0, -1}};
  weft_scope s = WEFT_SCOPE_INIT;
  for (int round = 1; round <= 2; round++) {
    for (int i = 0; i < 3; i++) CHECK_INT(weft_scope_defer(&s, run_step, &step[i]), 0);
    CHECK_INT(weft_scope_exit(&s, 5), 5);
    CHECK_INT(t.n, 3 * round);
    for (int i = 0; i < 3; i++) {
      CHECK_INT(t.at[t.n - 1 - i], i + 1);
      CHECK_INT(step[i].slept, 0);
    }
    CHECK_INT(weft_scope_exit(&s, 5), 5);
    CHECK_INT(t.n, 3 * round);
  }
}

TASK_TEST(a_scope_may_hold_many) {
  enum { MANY = 50 };
  static struct trace t;
  static struct step step[MANY];
  weft_scope s = WEFT_SCOPE_INIT;
  t.n = 0;
  for (int i = 0; i < MANY; i++) {
    step[i] = (struct step){.trace = &t, .mark = i};
    CHECK_INT(weft_scope_defer(&s, run_step, &step[i]), 0);
  }
  CHECK_INT(weft_scope_exit(&s, 0), 0);
  CHECK_INT(t.n, MANY);
  for (int i = 0; i < MANY; i++) CHECK_INT(t.at[i], MANY - 1 - i);
}

/* ---- ways out ---- */

struct cancelled {
  struct latch in;
  struct trace trace;
  struct step step[2];
};

static int be_cancelled(void *arg) {
  struct cancelled *c = arg;
  weft_scope s = WEFT_SCOPE_INIT;
  for (int i = 0; i < 2; i++) weft_scope_defer(&s, run_step, &c->step[i]);
  int r = hit_and_park(&c->in);
  r = weft_scope_exit(&s, r);
  CHECK_INT(weft_yield(), WEFT_ECANCELED); /* it is still cancelled */
  return r;
}

TASK_TEST(a_cancel_does_not_cut_cleanup) {
  static struct cancelled c;
  c = (struct cancelled){.in = {0}};
  for (int i = 0; i < 2; i++) c.step[i] = (struct step){&c.trace, i, 0, -1};
  weft_task t = weft_spawn(be_cancelled, &c, NULL);
  CHECK_INT(latch_wait(&c.in, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(c.trace.n, 2);
  CHECK_INT(c.step[0].slept, 0);
  CHECK_INT(c.step[1].slept, 0);
}

TASK_TEST(a_deadline_does_not_cut_cleanup) {
  struct trace t = {.n = 0};
  struct step step = {&t, 1, 0, -1};
  weft_timeout deadline;
  weft_scope s = WEFT_SCOPE_INIT;
  weft_timeout_begin(&deadline, 0);
  CHECK_INT(weft_scope_defer(&s, run_step, &step), 0);
  int r = weft_scope_exit(&s, weft_sleep(A_LONG_TIME));
  CHECK_INT(weft_timeout_end(&deadline, r), WEFT_ETIMEDOUT);
  CHECK_INT(step.slept, 0);
}

#ifdef WEFT_CLEANUP
static int leave_early(struct step *step, int early) {
  WEFT_CLEANUP(weft_scope_leave) weft_scope s = WEFT_SCOPE_INIT;
  weft_scope_defer(&s, run_step, step);
  if (early) return 1;
  return 2;
}

TASK_TEST(a_scope_with_the_attribute_is_left_on_every_way_out) {
  struct trace t = {.n = 0};
  struct step step = {&t, 1, 0, -1};
  CHECK_INT(leave_early(&step, 1), 1);
  CHECK_INT(t.n, 1);
  CHECK_INT(leave_early(&step, 0), 2);
  CHECK_INT(t.n, 2);
}
#endif

/* ---- errors ---- */

struct errors {
  struct trace trace;
  struct step step[3];
  int body, result;
};

static int fail_in_cleanup(void *arg) {
  struct errors *e = arg;
  weft_scope s = WEFT_SCOPE_INIT;
  for (int i = 0; i < 3; i++) {
    e->step[i].trace = &e->trace;
    CHECK_INT(weft_scope_defer(&s, run_step, &e->step[i]), 0);
  }
  e->result = weft_scope_exit(&s, e->body);
  return 0;
}

static void run_errors(struct errors *e, struct log_capture *log) {
  CHECK_INT(weft_run(fail_in_cleanup, e, &(weft_run_opts){.log = log_capture_line, .log_arg = log}),
            0);
  CHECK_INT(e->trace.n, 3);
}

static void the_first_error_of_a_cleanup_is_the_result_of_a_body_that_succeeded(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  struct errors e = {.step = {{.code = WEFT_EIO}, {.code = OWN_ERROR}, {.code = 1}}, .body = 7};
  (void)state;
  run_errors(&e, &log);
  CHECK_INT(e.result, OWN_ERROR); /* the last one that was deferred ran first */
  CHECK_INT(log_capture_count(&log, "cleanup"), 1);
  CHECK_INT(log_capture_count(&log, "WEFT_EIO"), 1);
}

static void the_bodys_error_wins_and_cleanups_are_reported(void **state) {
  struct log_capture log = LOG_CAPTURE_INIT;
  struct errors e = {.step = {{.code = WEFT_EIO}, {.code = 0}, {.code = WEFT_EPIPE}},
                     .body = OWN_ERROR};
  (void)state;
  run_errors(&e, &log);
  CHECK_INT(e.result, OWN_ERROR);
  CHECK_INT(log_capture_count(&log, "WEFT_EIO"), 1);
  CHECK_INT(log_capture_count(&log, "WEFT_EPIPE"), 1);
}

struct told {
  int code[3]; /* what each was told */
  int answer[3];
  int n;
};

static int note_code(void *arg, int code) {
  struct told *t = arg;
  t->code[t->n] = code;
  return t->answer[t->n++];
}

TASK_TEST(a_cleanup_may_be_told_the_result_and_change_it) {
  struct told t = {.answer = {WEFT_EIO, 0, 9}};
  weft_scope s = WEFT_SCOPE_INIT;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_scope_defer_exit(&s, note_code, &t), 0);
  CHECK_INT(weft_scope_exit(&s, OWN_ERROR), 9);
  CHECK_INT(t.code[0], OWN_ERROR);
  CHECK_INT(t.code[1], WEFT_EIO);
  CHECK_INT(t.code[2], 0);
}

/* ---- deferring ---- */

TASK_TEST(without_memory_nothing_is_registered_and_the_rest_runs) {
  struct trace t = {.n = 0};
  struct step step = {&t, 1, 0, -1};
  weft_scope s = WEFT_SCOPE_INIT;
  CHECK_INT(weft_scope_defer(&s, NULL, NULL), WEFT_EINVAL);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  for (int i = 0; i < WEFT_SCOPE_INLINE; i++) CHECK_INT(weft_scope_defer(&s, run_step, &step), 0);
  CHECK_INT(weft_scope_defer(&s, run_step, &step), WEFT_ENOMEM);
  CHECK_INT(weft_scope_reserve(&s, 3), WEFT_ENOMEM);
  weft__memory_fail_end();
  CHECK_INT(weft_scope_reserve(&s, 3), 0);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_scope_defer(&s, run_step, &step), 0);
  weft__memory_fail_end();
  CHECK_INT(weft_scope_exit(&s, 0), 0);
  CHECK_INT(t.n, WEFT_SCOPE_INLINE + 3);
}

struct more {
  weft_scope scope;
  struct trace trace;
  struct step step;
};

static int defer_more(void *arg) {
  struct more *m = arg;
  CHECK_INT(weft_scope_defer(&m->scope, run_step, &m->step), 0);
  return run_step(&m->step);
}

TASK_TEST(what_a_cleanup_defers_runs_too) {
  static struct more m;
  m = (struct more){.scope = WEFT_SCOPE_INIT};
  m.step = (struct step){&m.trace, 1, 0, -1};
  CHECK_INT(weft_scope_defer(&m.scope, defer_more, &m), 0);
  CHECK_INT(weft_scope_exit(&m.scope, 0), 0);
  CHECK_INT(m.trace.n, 2);
}

TASK_TEST(everything_can_be_moved_to_another_scope) {
  enum { MANY = 7 };
  struct trace t = {.n = 0};
  struct step step[MANY];
  for (int n = 2; n <= MANY; n += MANY - 2) {
    weft_scope from = WEFT_SCOPE_INIT, to = WEFT_SCOPE_INIT;
    t.n = 0;
    for (int i = 0; i < n; i++) {
      step[i] = (struct step){&t, i, 0, -1};
      CHECK_INT(weft_scope_defer(&from, run_step, &step[i]), 0);
    }
    CHECK_INT(weft_scope_reserve(&to, 20), 0);
    CHECK_INT(weft_scope_pop_all(&from, &to), 0);
    CHECK_INT(weft_scope_exit(&from, 3), 3);
    CHECK_INT(t.n, 0);
    CHECK_INT(weft_scope_defer(&from, run_step, &step[0]), 0);
    CHECK_INT(weft_scope_pop_all(&from, &to), WEFT_ESTATE);
    CHECK_INT(weft_scope_exit(&from, 3), 3);
    CHECK_INT(t.n, 1);
    CHECK_INT(weft_scope_exit(&to, 0), 0);
    CHECK_INT(t.n, n + 1);
    CHECK_INT(t.at[1], n - 1);
  }
}

/* ---- with a generator ---- */

static int endless(weft_gen *g, void *arg) {
  int r = 0;
  for (int i = 0; r == 0; i++) r = weft_gen_yield(g, &i);
  ++*(int *)arg;
  return r;
}

TASK_TEST(AG1_a_scope_closes_a_generator) {
  int ended = 0, item = 0;
  weft_scope s = WEFT_SCOPE_INIT;
  weft_gen *g;
  CHECK_INT(weft_gen_open(&g, endless, &ended, sizeof item, NULL), 0);
  CHECK_INT(weft_scope_defer(&s, weft_gen_close_fn, g), 0);
  while (weft_gen_next(g, &item) > 0 && item < 5) {}
  CHECK_INT(weft_scope_exit(&s, 0), 0);
  CHECK_INT(ended, 1);
}

static int add_one(void *arg) {
  ++*(int *)arg;
  return 0;
}

static void a_scope_needs_no_task(void **state) {
  int n = 0;
  weft_scope s = WEFT_SCOPE_INIT;
  (void)state;
  for (int i = 0; i < 10; i++) CHECK_INT(weft_scope_defer(&s, add_one, &n), 0);
  CHECK_INT(weft_scope_exit(&s, 0), 0);
  CHECK_INT(n, 10);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(cleanup_runs_in_reverse_and_the_scope_is_empty_again),
    cmocka_unit_test(a_scope_may_hold_many),
    cmocka_unit_test(a_cancel_does_not_cut_cleanup),
    cmocka_unit_test(a_deadline_does_not_cut_cleanup),
#ifdef WEFT_CLEANUP
    cmocka_unit_test(a_scope_with_the_attribute_is_left_on_every_way_out),
#endif
    cmocka_unit_test(the_first_error_of_a_cleanup_is_the_result_of_a_body_that_succeeded),
    cmocka_unit_test(the_bodys_error_wins_and_cleanups_are_reported),
    cmocka_unit_test(a_cleanup_may_be_told_the_result_and_change_it),
    cmocka_unit_test(without_memory_nothing_is_registered_and_the_rest_runs),
    cmocka_unit_test(what_a_cleanup_defers_runs_too),
    cmocka_unit_test(everything_can_be_moved_to_another_scope),
    cmocka_unit_test(AG1_a_scope_closes_a_generator),
    cmocka_unit_test(a_scope_needs_no_task),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
