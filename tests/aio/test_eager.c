/* Eager start: the first part of a task as part of its spawn. */
#include <errno.h>
#include <weft.h>

#include "core/worker.h"
#include "counts.h"
#include "task_test.h"
#include "threads.h"

static const weft_spawn_opts eager = {.eager = true};

static bool same(weft_task a, weft_task b) {
  return a.slot_ == b.slot_ && a.key_ == b.key_;
}

static int order[64], filled; /* by tasks that cannot run at the same time */

static void note(int place) {
  order[filled++] = place;
}

struct part {
  struct latch first, second;
};

static int two_parts(void *arg) {
  struct part *p = arg;
  latch_hit(&p->first);
  int r = weft_yield();
  latch_hit(&p->second);
  return r < 0 ? r : 9;
}

TASK_TEST(T16_an_eager_task_runs_to_its_first_suspension_in_its_spawn) {
  struct part p = {0};
  weft_task t = weft_spawn(two_parts, &p, &eager);
  CHECK_INT(latch_hits(&p.first), 1);
  CHECK_INT(weft_await(t), 9);
  CHECK_INT(latch_hits(&p.second), 1);
}

TASK_TEST(T16_one_that_ends_there_is_done_when_its_spawn_returns) {
  for (int i = 0; i < count(1000); i++) {
    weft_task t = weft_spawn(return_seven, NULL, &eager);
    CHECK_INT(weft_task_done(t), 1);
    if (!CHECK_INT(weft_await(t), 7)) return;
  }
}

static int note_3_and_4(void *arg) {
  (void)arg;
  note(3);
  CHECK_INT(weft_yield(), 0);
  note(4);
  return 0;
}

static int note_0_and_5(void *arg) {
  (void)arg;
  note(0);
  CHECK_INT(weft_yield(), 0);
  note(5);
  return 0;
}

static int note_1(void *arg) {
  (void)arg;
  note(1);
  return 0;
}

/* No turn is used: what was ready before is still waiting, and what suspends queues behind it. */
static void first_parts_take_no_turn(void) {
  filled = 0;
  weft_task a = weft_spawn(note_3_and_4, NULL, NULL);
  weft_task b = weft_spawn(note_0_and_5, NULL, &eager);
  weft_task c = weft_spawn(note_1, NULL, &eager);
  note(2);
  CHECK_INT(weft_task_done(c), 1);
  CHECK_INT(weft_yield(), 0); /* behind a, b */
  CHECK_INT(filled, 5);       /* 3, then 5 of b: see below */
  CHECK_INT(weft_await(a), 0);
  CHECK_INT(weft_await(b), 0);
  CHECK_INT(weft_await(c), 0);
  static const int want[] = {0, 1, 2, 3, 5, 4};
  CHECK_INT(filled, 6);
  for (int i = 0; i < 6; i++) CHECK_INT(order[i], want[i]);
}

EXACT_TEST(T16_in_exact_mode_the_others_keep_their_turns) {
  first_parts_take_no_turn();
}

static int in_a_strand(void *arg) {
  (void)arg;
  first_parts_take_no_turn();
  return 0;
}

TASK_TEST(T16_in_a_strand_the_others_keep_their_turns) {
  CHECK_INT(weft_strand_run(in_a_strand, NULL), 0);
}

static int park_or_end(void *arg) {
  struct latch *l = arg;
  if (!l) return 3;
  latch_hit(l);
  return weft_sleep(A_LONG_TIME);
}

TASK_TEST(T16_a_cancel_cannot_come_before_the_first_suspension) {
  struct latch parked = {0};
  weft_task done = weft_spawn(park_or_end, NULL, &eager);
  weft_task waits = weft_spawn(park_or_end, &parked, &eager);
  CHECK_INT(weft_cancel(done), 0);
  CHECK_INT(weft_cancel(waits), 1);
  CHECK_INT(latch_hits(&parked), 1); /* its body had begun */
  CHECK_INT(weft_await(done), 3);
  CHECK_INT(weft_await(waits), WEFT_ECANCELED);
}

/* A cancelled spawner does not cancel what it spawns. */
static int spawn_though_cancelled(void *arg) {
  weft_task *ret = arg;
  CHECK_INT(weft_cancel(weft_current()), 1);
  *ret = weft_spawn(return_seven, NULL, &eager);
  CHECK_INT(weft_task_done(*ret), 1);
  return weft_yield();
}

TASK_TEST(T16_a_pending_cancel_of_the_spawner_is_its_own) {
  weft_task child = {0};
  CHECK_INT(weft_await(weft_spawn(spawn_though_cancelled, &child, &eager)), WEFT_ECANCELED);
  CHECK_INT(weft_await(child), 7);
}

/* ---- who is current ---- */

struct nest {
  int depth;
  bool suspend;
};

static int nest(void *arg) {
  struct nest *n = arg;
  weft_task me = weft_current();
  int r = 0;
  if (n->depth > 0) {
    struct nest inner = {n->depth - 1, n->suspend};
    weft_task t = weft_spawn(nest, &inner, &eager);
    CHECK(same(weft_current(), me));
    CHECK(!same(t, me));
    if (!n->suspend) CHECK_INT(weft_task_done(t), 1);
    if (n->suspend) r = weft_yield();
    CHECK(same(weft_current(), me));
    CHECK_INT(weft_await(t), inner.depth);
  } else if (n->suspend) {
    r = weft_yield();
  }
  CHECK(same(weft_current(), me));
  return r < 0 ? r : n->depth;
}

TASK_TEST(T15_current_is_exact_in_nested_eager_starts) {
  struct nest n = {10, false};
  weft_task me = weft_current();
  CHECK_INT(nest(&n), 10);
  n.suspend = true;
  CHECK_INT(nest(&n), 10);
  CHECK(same(weft_current(), me));
}

TASK_TEST(T15_the_list_of_tasks_holds_those_begun_eagerly) {
  struct latch parked = {0};
  int before = weft_tasks(NULL, 0);
  weft_task t = weft_spawn(park_or_end, &parked, &eager);
  CHECK_INT(weft_tasks(NULL, 0), before + 1);
  CHECK_INT(weft_await(weft_spawn(return_zero, NULL, &eager)), 0);
  CHECK_INT(weft_tasks(NULL, 0), before + 1);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_tasks(NULL, 0), before);
}

TASK_TEST(eager_starts_nest_as_deep_as_there_are_stacks) {
  struct nest n = {counts_simulated() ? 20 : COUNT_DEPTH / 5, true};
  CHECK_INT(nest(&n), n.depth);
}

/* ---- with everything else ---- */

static int count_down(void *arg) {
  int *left = arg;
  return --*left;
}

TASK_TEST(an_eager_task_may_have_options_of_its_own) {
  int left = 3;
  weft_spawn_opts o = {.eager = true, .stack_size = 256 * 1024, .name = "eager"};
  CHECK_INT(weft_await(weft_spawn(count_down, &left, &o)), 2);
  o = (weft_spawn_opts){.eager = true, .arg_size = sizeof left};
  CHECK_INT(weft_await(weft_spawn(count_down, &left, &o)), 1);
  CHECK_INT(left, 2); /* the copy went down */
  o = (weft_spawn_opts){.eager = true, .pinned = true};
  struct part p = {0};
  weft_task t = weft_spawn(two_parts, &p, &o);
  CHECK_INT(weft_await(t), 9);
  CHECK_INT(weft_task_error(weft_spawn(NULL, NULL, &eager)), WEFT_EINVAL);
}

/* Run on its awaiter's stack, it spawns eagerly; both suspend. */
static int spawn_eagerly_and_suspend(void *arg) {
  weft_task me = weft_current();
  weft_task t = weft_spawn(two_parts, arg, &eager);
  CHECK(same(weft_current(), me));
  int r = weft_await(t);
  CHECK(same(weft_current(), me));
  return r;
}

TASK_TEST(a_task_on_its_awaiters_stack_spawns_eagerly) {
  for (int i = 0; i < count(200); i++) {
    struct part p = {0};
    if (!CHECK_INT(weft_await(weft_spawn(spawn_eagerly_and_suspend, &p, NULL)), 9)) return;
  }
}

static int await_unbegun(void *arg) {
  return weft_await(weft_spawn(two_parts, arg, NULL));
}

/* The child runs another on its own stack, and that one suspends. */
TASK_TEST(an_eager_task_awaits_one_on_its_own_stack) {
  for (int i = 0; i < count(200); i++) {
    struct part p = {0};
    weft_task t = weft_spawn(await_unbegun, &p, &eager);
    if (!CHECK_INT(weft_await(t), 9)) return;
  }
}

TASK_TEST(children_of_a_group_may_begin_eagerly) {
  struct part p[5] = {0};
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 5; i++) {
    CHECK_INT(weft_group_spawn(&g, two_parts, &p[i], &eager), 0);
    CHECK_INT(latch_hits(&p[i].first), 1);
  }
  CHECK_INT(weft_group_join(&g), 0);
  for (int i = 0; i < 5; i++) CHECK_INT(latch_hits(&p[i].second), 1);
}

static int set_errno(void *arg) {
  (void)arg;
  errno = ENOTBLK;
  return 0;
}

TASK_TEST(the_spawners_errno_is_its_own) {
  errno = EDOM;
  weft_task t = weft_spawn(set_errno, NULL, &eager);
  CHECK_INT(errno, EDOM);
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(an_eager_task_is_not_in_its_spawners_timeout) {
  weft_timeout s;
  struct part p = {0};
  CHECK_INT(weft_timeout_begin(&s, 0), 0);
  weft_task t = weft_spawn(two_parts, &p, &eager);
  CHECK_INT(weft_timeout_end(&s, 0), 0);
  CHECK_INT(weft_await(t), 9);
}

/* Eager starts and awaits of what has ended never suspend by themselves: the budget sees to it that the
 * others run all the same. */
TASK_TEST(endless_eager_starts_let_the_others_run) {
  struct latch ran = {0};
  weft_task t = weft_spawn(hit_and_return, &ran, NULL);
  while (latch_hits(&ran) == 0) CHECK_INT(weft_await(weft_spawn(return_zero, NULL, &eager)), 0);
  CHECK_INT(weft_await(t), 0);
}

/* ---- strands ---- */

struct two {
  weft_strand *strand;
  struct part first, second;
};

static int begin_in_busy_strand(void *arg) {
  struct two *s = arg;
  const weft_spawn_opts in = {.strand = s->strand, .eager = true};
  weft_task t = weft_spawn(two_parts, &s->first, &in); /* the strand's turn is this task's */
  CHECK_INT(latch_hits(&s->first.first), 1);
  CHECK_INT(weft_await(t), 9);
  return 0;
}

static int begin_from_outside(void *arg) {
  struct two *s = arg;
  const weft_spawn_opts in = {.strand = s->strand, .eager = true};
  weft_task t = weft_spawn(two_parts, &s->second, &in);
  CHECK_INT(latch_hits(&s->second.first), 1); /* idle: its turn at once */
  CHECK_INT(weft_await(t), 9);
  return 0;
}

TASK_TEST(an_eager_task_of_an_idle_strand_begins_at_once) {
  struct two s = {0};
  if (!CHECK_INT(weft_strand_new(&s.strand), 0)) return;
  CHECK_INT(begin_from_outside(&s), 0);
  CHECK_INT(
      weft_await(weft_spawn(begin_in_busy_strand, &s, &(weft_spawn_opts){.strand = s.strand})), 0);
  weft_strand_free(s.strand);
}

struct other_strand {
  weft_strand *mine, *strand;
  struct part p;
};

/* In one strand, through another, back to the first: which is busy with the task at the start. */
static int come_back(void *arg) {
  struct other_strand *s = arg;
  CHECK(weft_strand_in(s->strand));
  const weft_spawn_opts in = {.strand = s->mine, .eager = true};
  weft_task t = weft_spawn(two_parts, &s->p, &in);
  CHECK_INT(latch_hits(&s->p.first), 0);
  return weft_await(t);
}

static int go_out(void *arg) {
  struct other_strand *s = arg;
  const weft_spawn_opts in = {.strand = s->strand, .eager = true};
  weft_task t = weft_spawn(come_back, s, &in);
  CHECK_INT(latch_hits(&s->p.first), 0);
  return weft_await(t);
}

TASK_TEST(an_eager_task_of_a_busy_strand_waits_for_its_turn) {
  struct other_strand s = {0};
  if (!CHECK_INT(weft_strand_new(&s.mine), 0) || !CHECK_INT(weft_strand_new(&s.strand), 0)) return;
  CHECK_INT(weft_await(weft_spawn(go_out, &s, &(weft_spawn_opts){.strand = s.mine})), 9);
  weft_strand_free(s.mine);
  weft_strand_free(s.strand);
}

static int plain;

static int add_in_parts(void *arg) {
  (void)arg;
  int r = 0;
  for (int i = 0; i < 4 && r == 0; i++) {
    int seen = plain;
    burn_ns(weft_us(1));
    plain = seen + 1;
    r = weft_yield();
  }
  return r;
}

static int many_eager_ones(void *arg) {
  (void)arg;
  const int n = count(300);
  plain = 0;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < n; i++) weft_group_spawn(&g, add_in_parts, NULL, i % 3 ? &eager : NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(plain, 4 * n);
  return 0;
}

TASK_TEST(eager_tasks_of_a_strand_run_one_at_a_time) {
  CHECK_INT(weft_strand_run(many_eager_ones, NULL), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(T16_an_eager_task_runs_to_its_first_suspension_in_its_spawn),
    cmocka_unit_test(T16_one_that_ends_there_is_done_when_its_spawn_returns),
    cmocka_unit_test(T16_in_exact_mode_the_others_keep_their_turns),
    cmocka_unit_test(T16_in_a_strand_the_others_keep_their_turns),
    cmocka_unit_test(T16_a_cancel_cannot_come_before_the_first_suspension),
    cmocka_unit_test(T16_a_pending_cancel_of_the_spawner_is_its_own),
    cmocka_unit_test(T15_current_is_exact_in_nested_eager_starts),
    cmocka_unit_test(T15_the_list_of_tasks_holds_those_begun_eagerly),
    cmocka_unit_test(eager_starts_nest_as_deep_as_there_are_stacks),
    cmocka_unit_test(an_eager_task_may_have_options_of_its_own),
    cmocka_unit_test(a_task_on_its_awaiters_stack_spawns_eagerly),
    cmocka_unit_test(an_eager_task_awaits_one_on_its_own_stack),
    cmocka_unit_test(children_of_a_group_may_begin_eagerly),
    cmocka_unit_test(the_spawners_errno_is_its_own),
    cmocka_unit_test(an_eager_task_is_not_in_its_spawners_timeout),
    cmocka_unit_test(endless_eager_starts_let_the_others_run),
    cmocka_unit_test(an_eager_task_of_an_idle_strand_begins_at_once),
    cmocka_unit_test(an_eager_task_of_a_busy_strand_waits_for_its_turn),
    cmocka_unit_test(eager_tasks_of_a_strand_run_one_at_a_time),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
