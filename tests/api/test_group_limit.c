/* Groups with a limit: who waits for a place, and who never gets one. */
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

struct crowd {
  atomic_int now, most, total;
};

static int be_in_the_crowd(void *arg) {
  struct crowd *c = arg;
  int now = atomic_fetch_add(&c->now, 1) + 1, most = atomic_load(&c->most);
  while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {}
  int r = weft_yield();
  atomic_fetch_add(&c->total, 1);
  atomic_fetch_sub(&c->now, 1);
  return r;
}

TASK_TEST(a_limit_bounds_how_many_children_are_alive) {
  weft_group g;
  struct crowd c = {0};
  weft_group_init(&g, &(weft_group_opts){.limit = 3});
  const int n = counts_simulated() ? 30 : 500;
  for (int i = 0; i < n; i++) CHECK_INT(weft_group_spawn(&g, be_in_the_crowd, &c, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&c.total), n);
  CHECK(atomic_load(&c.most) >= 1 && atomic_load(&c.most) <= 3);
}

TASK_TEST(a_limit_of_1_runs_one_child_after_the_other) {
  weft_group g;
  struct crowd c = {0};
  weft_group_init(&g, &(weft_group_opts){.limit = 1});
  for (int i = 0; i < 100; i++) CHECK_INT(weft_group_spawn(&g, be_in_the_crowd, &c, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(atomic_load(&c.most), 1);
}

static int wait_for_a_place(void *arg) {
  struct latch *l = arg;
  weft_group g;
  weft_group_init(&g, &(weft_group_opts){.limit = 1});
  CHECK_INT(weft_group_spawn(&g, hit_and_park, &l[0], NULL), 0);
  CHECK_INT(latch_wait(&l[0], 1), 0);
  latch_hit(&l[1]);
  CHECK_INT(weft_group_spawn(&g, hit_and_return, &l[2], NULL), WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), WEFT_ECANCELED);
  CHECK_INT(latch_hits(&l[2]), 0);
  return 1;
}

TASK_TEST(a_cancel_while_waiting_for_a_place_spawns_nothing) {
  struct latch l[3] = {0};
  weft_task t = weft_spawn(wait_for_a_place, l, NULL);
  CHECK_INT(latch_wait(&l[1], 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), 1);
}

TASK_TEST(a_failure_frees_who_waits_for_a_place) {
  weft_group g;
  struct latch runs = {0};
  weft_group_init(&g, &(weft_group_opts){.limit = 1});
  CHECK_INT(weft_group_spawn(&g, return_own_error, NULL, NULL), 0);
  int r = weft_group_spawn(&g, hit_and_return, &runs, NULL);
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(latch_hits(&runs), 0);
}

/* ---- a limit, and children that spawn ---- */

struct spawners {
  weft_group g;
  struct latch waits, ran, go;
  atomic_int told; /* spawns that were answered WEFT_EDEADLK */
};

/* Spawns into its own group, which is full. */
static int spawn_into_own_group(void *arg) {
  struct spawners *s = arg;
  latch_hit(&s->waits);
  int r = weft_group_spawn(&s->g, hit_and_return, &s->ran, NULL);
  if (r == WEFT_EDEADLK) atomic_fetch_add(&s->told, 1);
  return r == WEFT_EDEADLK ? 0 : r;
}

TASK_TEST(a_child_that_could_only_wait_for_its_own_place_is_told) {
  struct spawners s = {0};
  weft_group_init(&s.g, &(weft_group_opts){.limit = 1});
  CHECK_INT(weft_group_spawn(&s.g, spawn_into_own_group, &s, NULL), 0);
  CHECK_INT(weft_group_spawn(&s.g, hit_and_return, &s.ran, NULL), 0); /* the group is as it was */
  CHECK_INT(weft_group_join(&s.g), 0);
  CHECK_INT(atomic_load(&s.told), 1);
  CHECK_INT(latch_hits(&s.ran), 1);
  CHECK_UINT(weft_group_errors(&s.g, NULL, 0), 0);
}

TASK_TEST(a_refused_spawn_of_a_child_has_no_place_among_the_codes) {
  struct spawners s = {0};
  weft_group_init(&s.g, &(weft_group_opts){.limit = 1, .on_error = WEFT_GROUP_COLLECT});
  CHECK_INT(weft_group_spawn(&s.g, spawn_into_own_group, &s, NULL), 0);
  CHECK_INT(weft_group_spawn(&s.g, return_seven, NULL, NULL), 0);
  CHECK_INT(weft_group_join(&s.g), 0);
  CHECK_INT(weft_group_status(&s.g, 0), 0);
  CHECK_INT(weft_group_status(&s.g, 1), 7);
  CHECK_INT(weft_group_status(&s.g, 2), WEFT_EINVAL);
  weft_group_done(&s.g);
}

static int spawn_when_both_are_there(void *arg) {
  struct spawners *s = arg;
  latch_hit(&s->go);
  int r = latch_wait(&s->go, 2);
  return r == 0 ? spawn_into_own_group(s) : r;
}

TASK_TEST(of_children_that_all_wait_for_a_place_the_last_one_is_told) {
  struct spawners s = {0};
  weft_group_init(&s.g, &(weft_group_opts){.limit = 2});
  for (int i = 0; i < 2; i++)
    CHECK_INT(weft_group_spawn(&s.g, spawn_when_both_are_there, &s, NULL), 0);
  CHECK_INT(weft_group_join(&s.g), 0);
  CHECK_INT(atomic_load(&s.told), 1); /* and its end was the other's place */
  CHECK_INT(latch_hits(&s.ran), 1);
}

static int end_when_told(void *arg) {
  struct spawners *s = arg;
  return latch_wait(&s->go, 1);
}

TASK_TEST(a_child_waits_for_a_place_that_another_child_will_give_back) {
  struct spawners s = {0};
  weft_group_init(&s.g, &(weft_group_opts){.limit = 2});
  CHECK_INT(weft_group_spawn(&s.g, end_when_told, &s, NULL), 0);
  CHECK_INT(weft_group_spawn(&s.g, spawn_into_own_group, &s, NULL), 0);
  CHECK_INT(latch_wait(&s.waits, 1), 0);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_yield(), 0);
  latch_hit(&s.go);
  CHECK_INT(weft_group_join(&s.g), 0);
  CHECK_INT(atomic_load(&s.told), 0);
  CHECK_INT(latch_hits(&s.ran), 1);
}

/* Waits for a place, but not for long. */
static int spawn_within_a_limit(void *arg) {
  struct spawners *s = arg;
  weft_timeout limit;
  weft_timeout_begin(&limit, weft_ms(20));
  latch_hit(&s->waits);
  int r = weft_group_spawn(&s->g, hit_and_return, &s->ran, NULL);
  return weft_timeout_end(&limit, r) == WEFT_ETIMEDOUT ? 0 : OWN_ERROR;
}

static int spawn_after_the_other(void *arg) {
  struct spawners *s = arg;
  int r = latch_wait(&s->waits, 1);
  for (int i = 0; r == 0 && i < 3; i++) r = weft_yield();
  return r == 0 ? spawn_into_own_group(s) : r;
}

TASK_TEST(a_child_whose_wait_for_a_place_has_a_deadline_will_give_its_own_back) {
  struct spawners s = {0};
  weft_group_init(&s.g, &(weft_group_opts){.limit = 2, .on_error = WEFT_GROUP_COLLECT});
  CHECK_INT(weft_group_spawn(&s.g, spawn_after_the_other, &s, NULL), 0);
  CHECK_INT(weft_group_spawn(&s.g, spawn_within_a_limit, &s, NULL), 0);
  CHECK_INT(weft_group_join(&s.g), 0);
  CHECK_INT(atomic_load(&s.told), 0);
  CHECK_INT(latch_hits(&s.ran), 1);
  weft_group_done(&s.g);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_limit_bounds_how_many_children_are_alive),
    cmocka_unit_test(a_limit_of_1_runs_one_child_after_the_other),
    cmocka_unit_test(a_cancel_while_waiting_for_a_place_spawns_nothing),
    cmocka_unit_test(a_failure_frees_who_waits_for_a_place),
    cmocka_unit_test(a_child_that_could_only_wait_for_its_own_place_is_told),
    cmocka_unit_test(a_refused_spawn_of_a_child_has_no_place_among_the_codes),
    cmocka_unit_test(of_children_that_all_wait_for_a_place_the_last_one_is_told),
    cmocka_unit_test(a_child_waits_for_a_place_that_another_child_will_give_back),
    cmocka_unit_test(a_child_whose_wait_for_a_place_has_a_deadline_will_give_its_own_back),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
