/* Cancelling to the letter: reasons, what an await makes of a cancel, nested blocks. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

/* Parks, and tells why it was cancelled. */
struct told {
  struct latch parked;
  const char *reason;
  int code;
};

static int park_and_note_why(void *arg) {
  struct told *t = arg;
  int r = hit_and_park(&t->parked);
  t->reason = weft_cancel_reason(weft_current());
  return t->code ? t->code : r;
}

/* ---- reasons ---- */

TASK_TEST(T2_the_reason_of_a_cancel_before_the_first_run_is_kept) {
  struct latch runs = {0};
  weft_task t = weft_spawn(hit_and_return, &runs, &(weft_spawn_opts){.pinned = true});
  CHECK_PTR(weft_cancel_reason(t), NULL);
  CHECK_INT(weft_cancel_why(t, "not needed"), 1);
  CHECK_STR(weft_cancel_reason(t), "not needed");
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_STR(weft_cancel_reason(t), "not needed");
  CHECK_INT(weft_cancel_why(t, "too late"), 0);
  CHECK_STR(weft_cancel_reason(t), "not needed");
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_PTR(weft_cancel_reason(t), NULL);
  CHECK_INT(weft_cancel_why(t, "stale"), WEFT_ESTALE);
  CHECK_INT(latch_hits(&runs), 0);
}

TASK_TEST(T3_a_task_reads_why_it_was_cancelled) {
  struct told w = {.code = 3};
  weft_task t = weft_spawn(park_and_note_why, &w, NULL);
  CHECK_INT(latch_wait(&w.parked, 1), 0);
  CHECK_INT(weft_cancel_why(t, "enough"), 1);
  CHECK_INT(weft_await(t), 3);
  CHECK_STR(w.reason, "enough");
}

static int compare_own_reasons(void *arg) {
  weft_task me = weft_current();
  (void)arg;
  CHECK_INT(weft_cancel_why(me, "one"), 1);
  CHECK_INT(weft_cancel_why(me, "two"), 1);
  CHECK_STR(weft_cancel_reason(me), "two");
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_STR(weft_cancel_reason(me), "two");
  CHECK_INT(weft_cancel_catch(), true);
  CHECK_STR(weft_cancel_reason(me), "two"); /* as long as the request counts */
  CHECK_INT(weft_cancel(me), 1);
  CHECK_PTR(weft_cancel_reason(me), NULL); /* that one gave none */
  CHECK_INT(weft_cancel_why(me, "four"), 1);
  CHECK_INT(weft_uncancel(me), 3);
  CHECK_STR(weft_cancel_reason(me), "four");
  while (weft_uncancel(me) > 0) {}
  CHECK_PTR(weft_cancel_reason(me), NULL);
  return 6;
}

TASK_TEST(T3_the_last_request_gives_the_reason) {
  CHECK_INT(weft_await(weft_spawn(compare_own_reasons, NULL, NULL)), 6);
}

static const char *const why[] = {"red", "green", "blue"};

struct accused {
  weft_task victim;
  int n;
};

static int cancel_with_reason(void *arg) {
  struct accused *a = arg;
  return weft_cancel_why(a->victim, why[a->n]) >= 0 ? 0 : OWN_ERROR;
}

TASK_TEST(T3_of_several_reasons_at_once_one_is_read_whole) {
  for (int i = 0; i < count(1000); i++) {
    struct told w = {.code = 3};
    weft_task t = weft_spawn(park_and_note_why, &w, NULL);
    weft_group g = WEFT_GROUP_INIT;
    struct accused a[3];
    if (i % 2) CHECK_INT(latch_wait(&w.parked, 1), 0);
    for (int k = 0; k < 3; k++) {
      a[k] = (struct accused){.victim = t, .n = k};
      weft_group_spawn(&g, cancel_with_reason, &a[k], NULL);
    }
    CHECK_INT(weft_task_wait(t, NULL), 0);
    CHECK_INT(weft_group_join(&g), 0);
    int code = weft_await(t);
    CHECK(code == 3 || code == WEFT_ECANCELED); /* it may not have begun, or met a second one */
    bool known = false;
    for (int k = 0; k < 3; k++) known |= w.reason == why[k];
    CHECK(known || latch_hits(&w.parked) == 0);
    if (weft_test_failed()) return;
  }
}

struct await {
  weft_task t;
  struct latch begun;
};

/* A cancel that comes between the hit and the wait is delivered by the wait. */
static int await_given(void *arg) {
  struct await *a = arg;
  latch_hit(&a->begun);
  return weft_await(a->t);
}

static int await_a_new_one(void *arg) {
  return weft_await(weft_spawn(park_and_note_why, arg, NULL));
}

TASK_TEST(T8_the_reason_goes_with_the_cancel_to_the_awaited_task) {
  struct told w[2] = {{.code = 0}, {.code = 0}};
  struct await a = {.t = weft_spawn(park_and_note_why, &w[0], NULL)};
  CHECK_INT(latch_wait(&w[0].parked, 1), 0);
  weft_task parked = weft_spawn(await_given, &a, NULL);
  weft_task running = weft_spawn(await_a_new_one, &w[1], NULL);
  CHECK_INT(latch_wait(&w[1].parked, 1), 0);
  CHECK_INT(latch_wait(&a.begun, 1), 0);
  CHECK_INT(weft_cancel_why(parked, "tired"), 1);
  CHECK_INT(weft_cancel_why(running, "late"), 1);
  CHECK_INT(weft_task_wait(parked, NULL), 0);
  CHECK_STR(weft_cancel_reason(parked), "tired");
  CHECK_INT(weft_await(parked), WEFT_ECANCELED);
  CHECK_INT(weft_await(running), WEFT_ECANCELED);
  CHECK_STR(w[0].reason, "tired");
  CHECK_STR(w[1].reason, "late");
}

TASK_TEST(a_group_tells_its_children_why) {
  struct told w[2] = {{.code = 0}, {.code = 0}};
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, park_and_note_why, &w[0], NULL);
  CHECK_INT(latch_wait(&w[0].parked, 1), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_STR(w[0].reason, "a task of its group failed");
  weft_group_done(&g);
  weft_group_spawn(&g, park_and_note_why, &w[1], NULL);
  CHECK_INT(latch_wait(&w[1].parked, 1), 0);
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_STR(w[1].reason, "its group was cancelled");
}

struct owner {
  struct told child;
  struct latch joining;
};

static int own_one(void *arg) {
  struct owner *o = arg;
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, park_and_note_why, &o->child, NULL);
  return weft_group_join(&g);
}

TASK_TEST(the_owners_reason_goes_to_the_children_of_its_group) {
  struct owner o = {.child = {.code = 0}};
  weft_task t = weft_spawn(own_one, &o, NULL);
  CHECK_INT(latch_wait(&o.child.parked, 1), 0);
  CHECK_INT(weft_cancel_why(t, "closing time"), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_STR(o.child.reason, "closing time");
}

struct pair {
  weft_task t[2];
  struct latch begun;
};

static int gather_given(void *arg) {
  struct pair *p = arg;
  int codes[2];
  latch_hit(&p->begun);
  return weft_gather(p->t, 2, codes);
}

TASK_TEST(G4_the_reason_goes_to_all_that_are_gathered) {
  struct told w[2] = {{.code = 0}, {.code = 0}};
  struct pair p = {.begun = {0}};
  for (int i = 0; i < 2; i++) {
    p.t[i] = weft_spawn(park_and_note_why, &w[i], NULL);
    CHECK_INT(latch_wait(&w[i].parked, 1), 0);
  }
  weft_task t = weft_spawn(gather_given, &p, NULL);
  CHECK_INT(latch_wait(&p.begun, 1), 0);
  CHECK_INT(weft_cancel_why(t, "no more"), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  for (int i = 0; i < 2; i++) CHECK_STR(w[i].reason, "no more");
}

static int leave_one_behind(void *arg) {
  struct told *w = arg;
  CHECK_INT(weft_detach(weft_spawn(park_and_note_why, w, NULL)), 0);
  return latch_wait(&w->parked, 1);
}

static void R7_what_is_left_is_told_that_the_run_is_ending(void **state) {
  (void)state;
  struct told w = {.code = 0};
  CHECK_INT(weft_run(leave_one_behind, &w, NULL), 0);
  CHECK_STR(w.reason, "the run is ending");
}

/* ---- what an await makes of a cancel ---- */

static int be_cancelled(void) {
  CHECK_INT(weft_cancel(weft_current()), 1);
  return weft_yield();
}

static int await_an_ended_one(void *arg) {
  weft_task t = weft_spawn(return_seven, NULL, NULL);
  (void)arg;
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(be_cancelled(), WEFT_ECANCELED);
  CHECK_INT(weft_await(t), 7); /* it had ended: nothing to wait for, and its code is not lost */
  CHECK_INT(weft_yield(), WEFT_ECANCELED);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  return 4;
}

TASK_TEST(T3_an_ended_task_gives_its_code_to_a_cancelled_awaiter) {
  CHECK_INT(weft_await(weft_spawn(await_an_ended_one, NULL, NULL)), 4);
}

static int await_a_refusing_one(void *arg) {
  struct told w = {.code = 11};
  (void)arg;
  weft_task t = weft_spawn(park_and_note_why, &w, NULL);
  CHECK_INT(latch_wait(&w.parked, 1), 0);
  CHECK_INT(be_cancelled(), WEFT_ECANCELED);
  CHECK_INT(weft_await(t), 11);
  CHECK_INT(weft_yield(), WEFT_ECANCELED); /* delivered before: it stays this task's own */
  return 4;
}

TASK_TEST(T8_a_task_that_refuses_gives_its_code_to_who_was_cancelled_before) {
  CHECK_INT(weft_await(weft_spawn(await_a_refusing_one, NULL, NULL)), 4);
}

static int wait_given(void *arg) {
  int code = 0, r = weft_task_wait(*(weft_task *)arg, &code);
  return r < 0 ? OWN_ERROR : code == WEFT_ECANCELED;
}

TASK_TEST(T9_cancelling_the_awaiter_cancels_the_task_for_all_who_wait) {
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, NULL), waiter[3];
  struct await a = {.t = t};
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_task awaiter = weft_spawn(await_given, &a, NULL);
  for (int i = 0; i < 3; i++) waiter[i] = weft_spawn(wait_given, &t, NULL);
  CHECK_INT(latch_wait(&a.begun, 1), 0);
  for (int i = 0; i < 20; i++) CHECK_INT(weft_yield(), 0); /* the others wait, as a rule */
  CHECK_INT(weft_cancel(waiter[2]), 1);                    /* who only waits goes alone */
  CHECK_INT(weft_task_done(t), 0);
  CHECK_INT(weft_cancel(awaiter), 1);
  CHECK_INT(weft_await(awaiter), WEFT_ECANCELED);
  for (int i = 0; i < 3; i++) {
    int code = weft_await(waiter[i]);
    /* One that had not begun to wait found the handle consumed. */
    CHECK(code == 1 || code == OWN_ERROR || (i == 2 && code == WEFT_ECANCELED));
  }
  CHECK_INT(weft_cancel(t), WEFT_ESTALE);
}

static int fail_with_a_cancel_pending(void *arg) {
  (void)arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  return OWN_ERROR;
}

TASK_TEST(T11_an_error_keeps_its_code_although_a_cancel_is_undelivered) {
  CHECK_INT(weft_await(weft_spawn(fail_with_a_cancel_pending, NULL, NULL)), OWN_ERROR);
  weft_task t = weft_spawn(fail_with_a_cancel_pending, NULL, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_await(t), OWN_ERROR);
}

static int cancel_often(void *arg) {
  weft_task me = weft_current();
  (void)arg;
  for (int i = 0; i < 300; i++) CHECK_INT(weft_cancel(me), 1);
  CHECK_INT(weft_cancelling(me), 255);
  for (int i = 254; i >= 0; i--) CHECK_INT(weft_uncancel(me), i);
  CHECK_INT(weft_yield(), 0);
  return 2;
}

TASK_TEST(T6_the_count_stops_at_255) {
  CHECK_INT(weft_await(weft_spawn(cancel_often, NULL, NULL)), 2);
}

TASK_TEST(T7_a_request_of_two_that_is_taken_back_leaves_the_other) {
  struct told w = {.code = 0};
  weft_task t = weft_spawn(park_and_note_why, &w, &(weft_spawn_opts){.pinned = true});
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_uncancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(latch_hits(&w.parked), 0);
}

TASK_TEST(the_error_of_a_handle_is_that_of_its_spawn) {
  weft_task t = weft_spawn(return_own_error, NULL, NULL);
  CHECK_INT(weft_task_error(t), 0);
  CHECK_INT(weft_await(t), OWN_ERROR);
  CHECK_INT(weft_task_error(t), 0); /* also when it is stale */
}

/* ---- T12: blocks in blocks ---- */

/* What to do inside of group, timeout, group. */
enum blow {
  NONE = 0,
  INNER = 1,   /* a child of the inner group fails */
  TIME = 2,    /* the scope's time runs out */
  OUTER = 4,   /* a child of the outer group fails */
  OUTSIDE = 8, /* somebody cancels the task */
  EVERYTHING = 15
};

enum { INNER_ERROR = WEFT_EUSER - 31, OUTER_ERROR = WEFT_EUSER - 32 };

struct blocks {
  enum blow blows;
  struct latch inside;
  int inner, timed, outer; /* what leaving each block gave */
  int count, after;
};

static int inner_fails(void *arg) {
  (void)arg;
  return INNER_ERROR;
}

static int outer_fails(void *arg) {
  (void)arg;
  return OUTER_ERROR;
}

/* Waits until every blow has fallen; the last scope's too, as the deadline is then in the past. */
static int take_the_blows(struct blocks *b) {
  int want = ((b->blows & INNER) != 0) + ((b->blows & OUTER) != 0) + ((b->blows & OUTSIDE) != 0);
  int rounds = 0;
  weft_shield_begin();
  while (weft_cancelling(weft_current()) < want) CHECK_INT(latch_turn(&rounds), 0);
  if (b->blows & TIME) CHECK_INT(weft_sleep(weft_ms(3)), 0);
  weft_shield_end();
  return weft_yield();
}

static int nest(void *arg) {
  struct blocks *b = arg;
  weft_group outer = WEFT_GROUP_INIT, inner = WEFT_GROUP_INIT;
  weft_timeout s;
  CHECK_INT(weft_group_enter(&outer), 0);
  CHECK_INT(weft_timeout_begin(&s, b->blows & TIME ? weft_ms(1) : A_LONG_TIME), 0);
  CHECK_INT(weft_group_enter(&inner), 0);
  latch_hit(&b->inside);
  if (b->blows & INNER) weft_group_spawn(&inner, inner_fails, NULL, NULL);
  if (b->blows & OUTER) weft_group_spawn(&outer, outer_fails, NULL, NULL);
  b->inner = weft_group_exit(&inner, take_the_blows(b));
  b->timed = weft_timeout_end(&s, b->inner);
  b->outer = weft_group_exit(&outer, b->timed);
  b->count = weft_cancelling(weft_current());
  b->after = weft_yield();
  return 0;
}

/* What each block makes of it: its own blow, and only that, ends in it. */
static void check_blocks(const struct blocks *b) {
  bool passes_inner = b->blows & (TIME | OUTER | OUTSIDE);
  bool passes_scope = b->blows & (OUTER | OUTSIDE);
  CHECK_INT(b->inner, b->blows & INNER ? INNER_ERROR : passes_inner ? WEFT_ECANCELED : 0);
  if (b->blows & INNER)
    CHECK_INT(b->timed, INNER_ERROR); /* D6 */
  else
    CHECK_INT(b->timed, passes_scope ? WEFT_ECANCELED : b->blows & TIME ? WEFT_ETIMEDOUT : 0);
  /* The outer group's first error: its child's, before what came out of its body. */
  int body = b->timed == WEFT_ECANCELED && !(b->blows & OUTSIDE) ? 0 : b->timed;
  CHECK_INT(b->outer, b->blows & OUTER ? OUTER_ERROR : body);
  CHECK_INT(b->count, b->blows & OUTSIDE ? 1 : 0);
  CHECK_INT(b->after, b->blows & OUTSIDE ? WEFT_ECANCELED : 0);
}

TASK_TEST(T12_group_in_timeout_in_group_each_undoes_its_own_cancel) {
  for (int blows = NONE; blows <= EVERYTHING; blows++) {
    struct blocks b = {.blows = (enum blow)blows};
    weft_task t = weft_spawn(nest, &b, NULL);
    CHECK_INT(latch_wait(&b.inside, 1), 0);
    if (blows & OUTSIDE) CHECK_INT(weft_cancel(t), 1);
    CHECK_INT(weft_await(t), 0);
    check_blocks(&b);
    if (weft_test_failed()) {
      CHECK_FAIL("blows were %d", blows);
      return;
    }
  }
}

/* asyncio's test: an outside cancel in the middle of three blocks, the innermost timing out. */
static int three_scopes(void *arg) {
  struct blocks *b = arg;
  weft_timeout outer, middle;
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_timeout_begin(&outer, A_LONG_TIME), 0);
  CHECK_INT(weft_group_enter(&g), 0);
  CHECK_INT(weft_timeout_begin(&middle, weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&middle, weft_sleep(A_LONG_TIME)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_cancelling(weft_current()), 0);
  latch_hit(&b->inside);
  b->inner = weft_sleep(A_LONG_TIME);
  b->outer = weft_group_exit(&g, b->inner);
  b->timed = weft_timeout_end(&outer, b->outer);
  b->count = weft_cancelling(weft_current());
  return b->timed;
}

TASK_TEST(T12_an_outside_cancel_passes_through_every_block) {
  struct blocks b = {0};
  weft_task t = weft_spawn(three_scopes, &b, NULL);
  CHECK_INT(latch_wait(&b.inside, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(b.inner, WEFT_ECANCELED);
  CHECK_INT(b.outer, WEFT_ECANCELED);
  CHECK_INT(b.timed, WEFT_ECANCELED);
  CHECK_INT(b.count, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(T2_the_reason_of_a_cancel_before_the_first_run_is_kept),
    cmocka_unit_test(T3_a_task_reads_why_it_was_cancelled),
    cmocka_unit_test(T3_the_last_request_gives_the_reason),
    cmocka_unit_test(T3_of_several_reasons_at_once_one_is_read_whole),
    cmocka_unit_test(T8_the_reason_goes_with_the_cancel_to_the_awaited_task),
    cmocka_unit_test(a_group_tells_its_children_why),
    cmocka_unit_test(the_owners_reason_goes_to_the_children_of_its_group),
    cmocka_unit_test(G4_the_reason_goes_to_all_that_are_gathered),
    cmocka_unit_test(R7_what_is_left_is_told_that_the_run_is_ending),
    cmocka_unit_test(T3_an_ended_task_gives_its_code_to_a_cancelled_awaiter),
    cmocka_unit_test(T8_a_task_that_refuses_gives_its_code_to_who_was_cancelled_before),
    cmocka_unit_test(T9_cancelling_the_awaiter_cancels_the_task_for_all_who_wait),
    cmocka_unit_test(T11_an_error_keeps_its_code_although_a_cancel_is_undelivered),
    cmocka_unit_test(T6_the_count_stops_at_255),
    cmocka_unit_test(T7_a_request_of_two_that_is_taken_back_leaves_the_other),
    cmocka_unit_test(the_error_of_a_handle_is_that_of_its_spawn),
    cmocka_unit_test(T12_group_in_timeout_in_group_each_undoes_its_own_cancel),
    cmocka_unit_test(T12_an_outside_cancel_passes_through_every_block),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
