/* Groups: spawn, join, cancel, the two policies, the limit. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

static int count_up(void *arg) {
  int r = weft_yield();
  atomic_fetch_add((atomic_int *)arg, 1);
  return r;
}

struct parker {
  struct latch parked;
  int woke_with;
};

static int park(void *arg) {
  struct parker *p = arg;
  p->woke_with = hit_and_park(&p->parked);
  return p->woke_with;
}

/* ---- joining ---- */

TASK_TEST(TG1_join_waits_for_all_children) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int n = 0;
  const int all = count(COUNT_TASKS);
  for (int i = 0; i < all; i++) CHECK_INT(weft_group_spawn(&g, count_up, &n, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&n), all);
}

TASK_TEST(an_empty_group_joins_at_once) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_join(&g), WEFT_ESTATE);
}

TASK_TEST(positive_codes_are_success_and_join_returns_0) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, return_seven, NULL, NULL);
  weft_group_spawn(&g, return_seven, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
}

TASK_TEST(a_joined_group_is_new_after_done) {
  weft_group g = WEFT_GROUP_INIT;
  for (int round = 0; round < count(100); round++) {
    atomic_int n = 0;
    bool fail = round % 3 == 1;
    for (int i = 0; i < 5; i++) CHECK_INT(weft_group_spawn(&g, count_up, &n, NULL), 0);
    if (fail) weft_group_spawn(&g, return_own_error, NULL, NULL);
    CHECK_INT(weft_group_join(&g), fail ? OWN_ERROR : 0);
    CHECK(fail || atomic_load(&n) == 5);
    weft_group_done(&g);
    if (weft_test_failed()) return;
  }
}

TASK_TEST(init_empties_a_group_and_null_options_are_the_defaults) {
  weft_group g;
  memset(&g, 0xa5, sizeof g);
  weft_group_init(&g, NULL);
  CHECK_INT(weft_group_spawn(&g, return_own_error, NULL, NULL), 0);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
}

struct copied {
  int value;
  atomic_int *sum;
};

static int add_value(void *arg) {
  struct copied *c = arg;
  atomic_fetch_add(c->sum, c->value);
  return weft_task_name(weft_current()) ? 0 : OWN_ERROR;
}

TASK_TEST(TG10_spawn_options_pass_through) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int sum = 0;
  for (int i = 0; i < 100; i++)
    weft_group_spawn(&g, add_value, &(struct copied){.value = i, .sum = &sum},
                     &(weft_spawn_opts){.name = "child", .arg_size = sizeof(struct copied)});
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&sum), 4950);
}

/* ---- failing fast ---- */

TASK_TEST(TG2_the_first_error_cancels_the_siblings_and_is_joins_result) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p[10] = {0};
  for (int i = 0; i < 10; i++) weft_group_spawn(&g, park, &p[i], NULL);
  for (int i = 0; i < 10; i++) CHECK_INT(latch_wait(&p[i].parked, 1), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  for (int i = 0; i < 10; i++) CHECK_INT(p[i].woke_with, WEFT_ECANCELED);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

static int fail_when_cancelled(void *arg) {
  hit_and_park(arg);
  return WEFT_EINVAL;
}

TASK_TEST(TG2_a_siblings_error_while_it_is_cancelled_comes_second) {
  weft_group g = WEFT_GROUP_INIT;
  struct latch parked = {0};
  weft_group_spawn(&g, fail_when_cancelled, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
}

TASK_TEST(TG2_a_failure_is_acted_on_before_join) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(latch_wait(&p.parked, 1), 0);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  while (weft_tasks(NULL, 0) > 1) CHECK_INT(weft_yield(), 0);
  CHECK_INT(p.woke_with, WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
}

static int end_cancelled(void *arg) {
  (void)arg;
  weft_cancel(weft_current());
  return 0;
}

TASK_TEST(TG3_a_child_that_ends_cancelled_on_its_own_is_no_error) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int n = 0;
  weft_group_spawn(&g, end_cancelled, NULL, NULL);
  for (int i = 0; i < 10; i++) weft_group_spawn(&g, count_up, &n, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&n), 10);
}

TASK_TEST(TG5_the_owner_is_not_cancelled_by_its_groups_abort) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(weft_cancelling(weft_current()), 0);
  CHECK_INT(weft_yield(), 0);
}

static int spawn_until_refused(void *arg) {
  static struct latch runs; /* used by its children, which outlive it */
  weft_group *g = arg;
  int r = 0;
  while ((r = weft_group_spawn(g, hit_and_return, &runs, NULL)) == 0)
    if ((r = weft_yield()) < 0) break;
  return r;
}

TASK_TEST(TG6_a_group_that_is_being_cancelled_takes_no_children) {
  weft_group g = WEFT_GROUP_INIT;
  struct latch runs = {0};
  CHECK_INT(weft_group_spawn(&g, return_own_error, NULL, NULL), 0);
  CHECK_INT(wait_until_counted(1), 0);
  CHECK_INT(weft_group_spawn(&g, hit_and_return, &runs, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(latch_hits(&runs), 0);
  CHECK_INT(weft_yield(), 0); /* the refusal is not a cancel of the caller */
}

static int spawn_more(void *arg);

struct tree {
  weft_group *g;
  atomic_int *leaves;
  int depth;
};

static int spawn_more(void *arg) {
  struct tree t = *(struct tree *)arg;
  if (t.depth == 0) {
    atomic_fetch_add(t.leaves, 1);
    return 0;
  }
  t.depth--;
  for (int i = 0; i < 2; i++) {
    int r = weft_group_spawn(t.g, spawn_more, &t, &(weft_spawn_opts){.arg_size = sizeof t});
    if (r < 0) return r;
  }
  return weft_yield();
}

TASK_TEST(TG7_children_may_spawn_into_the_group_while_it_is_joined) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int leaves = 0;
  struct tree t = {.g = &g, .leaves = &leaves, .depth = counts_simulated() ? 5 : 8};
  const int want = 1 << t.depth;
  weft_group_spawn(&g, spawn_more, &t, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&leaves), want);
}

TASK_TEST(TG6_a_child_that_spawns_forever_ends_when_the_group_fails) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, spawn_until_refused, &g, NULL);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
}

TASK_TEST(a_failed_spawn_is_remembered_by_join) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  weft_group_spawn(&g, park, &p, NULL);
  CHECK_INT(weft_group_spawn(&g, return_zero, NULL, &(weft_spawn_opts){.stack_size = 1}),
            WEFT_EINVAL);
  CHECK_INT(weft_group_join(&g), WEFT_EINVAL); /* and the sibling was cancelled */
  weft_group_done(&g);
  CHECK_INT(weft_group_spawn(&g, NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_group_join(&g), WEFT_EINVAL);
}

/* ---- cancelling the owner ---- */

struct owner {
  struct parker children[5];
  struct latch ready;
  int joined, after;
  bool fails;
};

static int own_parked_children(void *arg) {
  struct owner *o = arg;
  weft_group g = WEFT_GROUP_INIT;
  struct latch stubborn = {0};
  for (int i = 0; i < 5; i++) weft_group_spawn(&g, park, &o->children[i], NULL);
  if (o->fails) {
    weft_group_spawn(&g, fail_when_cancelled, &stubborn, NULL);
    CHECK_INT(latch_wait(&stubborn, 1), 0);
  }
  for (int i = 0; i < 5; i++) CHECK_INT(latch_wait(&o->children[i].parked, 1), 0);
  latch_hit(&o->ready);
  o->joined = weft_group_join(&g);
  o->after = weft_yield();
  return o->joined;
}

TASK_TEST(TG4_cancelling_the_owner_cancels_and_awaits_the_children) {
  struct owner o = {0};
  weft_task t = weft_spawn(own_parked_children, &o, NULL);
  CHECK_INT(latch_wait(&o.ready, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(o.joined, WEFT_ECANCELED);
  CHECK_INT(o.after, WEFT_ECANCELED);
  for (int i = 0; i < 5; i++) CHECK_INT(o.children[i].woke_with, WEFT_ECANCELED);
}

TASK_TEST(TG4_a_childs_error_wins_over_the_owners_cancel) {
  struct owner o = {.fails = true};
  weft_task t = weft_spawn(own_parked_children, &o, NULL);
  CHECK_INT(latch_wait(&o.ready, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_await(t), WEFT_EINVAL);
  CHECK_INT(o.joined, WEFT_EINVAL);
  /* The cancel is not lost: it was delivered by the join and stays until it is caught. */
  CHECK_INT(o.after, WEFT_ECANCELED);
}

static int stubborn_child(void *arg) {
  struct latch *l = arg;
  CHECK_INT(hit_and_park(&l[0]), WEFT_ECANCELED);
  weft_shield_begin();
  int r = latch_wait(&l[1], 1);
  weft_shield_end();
  latch_hit(&l[2]);
  return r;
}

static int own_a_stubborn_child(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, stubborn_child, arg, NULL);
  return weft_group_join(&g);
}

TASK_TEST(join_waits_for_its_children_however_often_the_owner_is_cancelled) {
  struct latch l[3] = {0};
  weft_task t = weft_spawn(own_a_stubborn_child, l, NULL);
  CHECK_INT(latch_wait(&l[0], 1), 0);
  for (int i = 0; i < 50; i++) {
    CHECK_INT(weft_cancel(t), 1);
    CHECK_INT(weft_yield(), 0);
    CHECK_INT(weft_task_done(t), 0);
  }
  latch_hit(&l[1]);
  weft_task_wait(t, NULL);
  CHECK_INT(latch_hits(&l[2]), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

/* ---- weft_group_cancel ---- */

TASK_TEST(cancelling_a_group_ends_all_children_and_is_no_error) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p[20] = {0};
  for (int i = 0; i < 20; i++) weft_group_spawn(&g, park, &p[i], NULL);
  for (int i = 0; i < 20; i++) CHECK_INT(latch_wait(&p[i].parked, 1), 0);
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_group_spawn(&g, return_zero, NULL, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), 0);
  for (int i = 0; i < 20; i++) CHECK_INT(p[i].woke_with, WEFT_ECANCELED);
}

TASK_TEST(cancelling_an_empty_group_is_fine) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_cancel(&g), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_cancel(&g), 0);
  weft_group_done(&g);
  CHECK_INT(weft_group_spawn(&g, return_zero, NULL, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
}

static int cancel_group(void *arg) {
  return weft_group_cancel(arg);
}

TASK_TEST(a_child_may_cancel_its_own_group) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker p = {0};
  weft_group_spawn(&g, park, &p, NULL);
  weft_group_spawn(&g, cancel_group, &g, NULL);
  CHECK_INT(weft_group_join(&g), 0);
}

/* ---- collecting ---- */

static const weft_group_opts collecting = {.on_error = WEFT_GROUP_COLLECT};

TASK_TEST(G3_a_collecting_group_cancels_nobody_and_keeps_every_code) {
  enum { N = 300 };
  weft_group g;
  static int codes[N];
  weft_group_init(&g, &collecting);
  for (int i = 0; i < N; i++) {
    codes[i] = i % 3 == 0 ? OWN_ERROR - i : i % 3 == 1 ? i : WEFT_ECANCELED;
    CHECK_INT(weft_group_spawn(&g, return_given, &codes[i], NULL), 0);
  }
  CHECK_INT(weft_group_join(&g), 0);
  for (int i = 0; i < N; i++) CHECK_INT(weft_group_status(&g, (size_t)i), codes[i]);
  CHECK_INT(weft_group_status(&g, N), WEFT_EINVAL);
  CHECK_INT(weft_group_status(&g, SIZE_MAX), WEFT_EINVAL);
  weft_group_done(&g);
  CHECK_INT(weft_group_status(&g, 0), WEFT_EINVAL);
  weft_group_done(&g);
}

TASK_TEST(codes_are_readable_until_done) {
  weft_group g;
  weft_group_init(&g, &collecting);
  weft_group_spawn(&g, return_seven, NULL, NULL);
  weft_group_spawn(&g, return_seven, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_status(&g, 1), 7);
  weft_group_done(&g);
  CHECK_INT(weft_group_status(&g, 1), WEFT_EINVAL);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_status(&g, 0), OWN_ERROR);
  CHECK_INT(weft_group_status(&g, 1), WEFT_EINVAL);
  weft_group_done(&g);
}

TASK_TEST(the_default_policy_keeps_no_codes) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, return_seven, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_group_status(&g, 0), WEFT_EINVAL);
}

static int collect_parked(void *arg) {
  struct owner *o = arg;
  weft_group g;
  weft_group_init(&g, &collecting);
  for (int i = 0; i < 5; i++) weft_group_spawn(&g, park, &o->children[i], NULL);
  weft_group_spawn(&g, return_seven, NULL, NULL);
  for (int i = 0; i < 5; i++) CHECK_INT(latch_wait(&o->children[i].parked, 1), 0);
  latch_hit(&o->ready);
  o->joined = weft_group_join(&g);
  for (size_t i = 0; i < 5; i++) CHECK_INT(weft_group_status(&g, i), WEFT_ECANCELED);
  weft_group_done(&g);
  return o->joined;
}

TASK_TEST(G4_cancelling_the_owner_of_a_collecting_group_is_ecanceled) {
  struct owner o = {0};
  weft_task t = weft_spawn(collect_parked, &o, NULL);
  CHECK_INT(latch_wait(&o.ready, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

/* ---- groups in groups ---- */

static int inner_group(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 10; i++) weft_group_spawn(&g, count_up, arg, NULL);
  return weft_group_join(&g);
}

TASK_TEST(TG5_groups_nest) {
  weft_group g = WEFT_GROUP_INIT;
  atomic_int n = 0;
  for (int i = 0; i < count(50); i++) weft_group_spawn(&g, inner_group, &n, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&n), 10 * count(50));
}

static int failing_inner_group(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, park, arg, NULL);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  return weft_group_join(&g);
}

TASK_TEST(TG5_an_inner_groups_failure_travels_out) {
  weft_group g = WEFT_GROUP_INIT;
  struct parker inner = {0}, outer = {0};
  weft_group_spawn(&g, park, &outer, NULL);
  weft_group_spawn(&g, failing_inner_group, &inner, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(weft_tasks(NULL, 0), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(TG1_join_waits_for_all_children),
    cmocka_unit_test(an_empty_group_joins_at_once),
    cmocka_unit_test(positive_codes_are_success_and_join_returns_0),
    cmocka_unit_test(a_joined_group_is_new_after_done),
    cmocka_unit_test(init_empties_a_group_and_null_options_are_the_defaults),
    cmocka_unit_test(TG10_spawn_options_pass_through),
    cmocka_unit_test(TG2_the_first_error_cancels_the_siblings_and_is_joins_result),
    cmocka_unit_test(TG2_a_siblings_error_while_it_is_cancelled_comes_second),
    cmocka_unit_test(TG2_a_failure_is_acted_on_before_join),
    cmocka_unit_test(TG3_a_child_that_ends_cancelled_on_its_own_is_no_error),
    cmocka_unit_test(TG5_the_owner_is_not_cancelled_by_its_groups_abort),
    cmocka_unit_test(TG6_a_group_that_is_being_cancelled_takes_no_children),
    cmocka_unit_test(TG7_children_may_spawn_into_the_group_while_it_is_joined),
    cmocka_unit_test(TG6_a_child_that_spawns_forever_ends_when_the_group_fails),
    cmocka_unit_test(a_failed_spawn_is_remembered_by_join),
    cmocka_unit_test(TG4_cancelling_the_owner_cancels_and_awaits_the_children),
    cmocka_unit_test(TG4_a_childs_error_wins_over_the_owners_cancel),
    cmocka_unit_test(join_waits_for_its_children_however_often_the_owner_is_cancelled),
    cmocka_unit_test(cancelling_a_group_ends_all_children_and_is_no_error),
    cmocka_unit_test(cancelling_an_empty_group_is_fine),
    cmocka_unit_test(a_child_may_cancel_its_own_group),
    cmocka_unit_test(G3_a_collecting_group_cancels_nobody_and_keeps_every_code),
    cmocka_unit_test(codes_are_readable_until_done),
    cmocka_unit_test(the_default_policy_keeps_no_codes),
    cmocka_unit_test(G4_cancelling_the_owner_of_a_collecting_group_is_ecanceled),
    cmocka_unit_test(TG5_groups_nest),
    cmocka_unit_test(TG5_an_inner_groups_failure_travels_out),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
