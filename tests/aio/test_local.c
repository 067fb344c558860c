/* Task-locals and contexts. */
#include <stdatomic.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "task_test.h"

static weft_local color = WEFT_LOCAL_INIT("color", NULL);
static weft_local size = WEFT_LOCAL_INIT("size", NULL);

/* Values that are freed: each counts its own frees. */
static void count_free(void *value) {
  atomic_fetch_add((atomic_int *)value, 1);
}
static weft_local owned = WEFT_LOCAL_INIT("owned", count_free);

static char red, green, blue; /* told apart by their addresses */

static int set_color(void *value) {
  return weft_local_set(&color, value, NULL);
}

/* ---- one task ---- */

TASK_TEST(a_local_without_a_value_gives_the_fallback) {
  CHECK_PTR(weft_local_get(&color, NULL), NULL);
  CHECK_PTR(weft_local_get(&color, &blue), &blue);
  CHECK_INT(weft_local_set(&color, &red, NULL), 0);
  CHECK_PTR(weft_local_get(&color, &blue), &red);
  CHECK_PTR(weft_local_get(&size, &blue), &blue);
}

TASK_TEST(a_null_value_is_a_value) {
  CHECK_INT(weft_local_set(&color, NULL, NULL), 0);
  CHECK_PTR(weft_local_get(&color, &blue), NULL);
}

TASK_TEST(many_locals_keep_their_own_values) {
  enum { N = 60 };
  static weft_local many[N];
  static char value[N];
  for (int i = 0; i < N; i++)
    CHECK_INT(weft_local_set(&many[i * 7 % N], &value[i * 7 % N], NULL), 0);
  for (int i = 0; i < N; i += 2) CHECK_INT(weft_local_set(&many[i], &red, NULL), 0);
  for (int i = 0; i < N; i++) CHECK_PTR(weft_local_get(&many[i], NULL), i % 2 ? &value[i] : &red);
}

TASK_TEST(reset_brings_back_what_the_set_replaced) {
  weft_local_token first, second;
  CHECK_INT(weft_local_set(&color, &red, &first), 0);
  CHECK_INT(weft_local_set(&color, &green, &second), 0);
  CHECK_INT(weft_local_reset(&second), 0);
  CHECK_PTR(weft_local_get(&color, NULL), &red);
  CHECK_INT(weft_local_reset(&first), 0);
  CHECK_PTR(weft_local_get(&color, &blue), &blue);
}

static int reset_given(void *token) {
  return weft_local_reset(token);
}

TASK_TEST(a_token_is_good_once_and_where_it_was_made) {
  weft_local_token token;
  CHECK_INT(weft_local_set(&color, &red, &token), 0);
  CHECK_INT(weft_await(weft_spawn(reset_given, &token, NULL)), WEFT_EINVAL);
  weft_context *ctx;
  CHECK_INT(weft_context_copy(&ctx), 0);
  CHECK_INT(weft_context_run(ctx, reset_given, &token), WEFT_EINVAL);
  weft_context_free(ctx);
  CHECK_PTR(weft_local_get(&color, NULL), &red); /* nothing has happened to it */
  CHECK_INT(weft_local_reset(&token), 0);
  CHECK_INT(weft_local_reset(&token), WEFT_ESTATE);
  CHECK_INT(weft_local_set(&color, &red, &token), 0);
  weft_local_keep(&token);
  CHECK_INT(weft_local_reset(&token), WEFT_ESTATE);
  CHECK_PTR(weft_local_get(&color, NULL), &red);
}

static void outside_a_task_there_are_no_values(void **state) {
  (void)state;
  CHECK_INT(weft_local_set(&color, &red, NULL), WEFT_ENOTASK);
  CHECK_PTR(weft_local_get(&color, &blue), &blue);
  weft_local_token used = {0};
  CHECK_INT(weft_local_reset(&used), WEFT_ENOTASK);
  weft_context *ctx;
  CHECK_INT(weft_context_copy(&ctx), 0); /* an empty one */
  CHECK_PTR(weft_context_get(ctx, &color, &blue), &blue);
  CHECK_INT(weft_context_run(ctx, return_seven, NULL), WEFT_ENOTASK);
  weft_context_free(ctx);
  weft_context_free(NULL);
}

TASK_TEST(wrong_arguments_are_einval) {
  weft_context *ctx;
  CHECK_INT(weft_local_set(NULL, &red, NULL), WEFT_EINVAL);
  CHECK_INT(weft_context_run(NULL, return_seven, NULL), WEFT_EINVAL);
  CHECK_INT(weft_context_new(&ctx), 0);
  CHECK_INT(weft_context_run(ctx, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_context_set(ctx, NULL, NULL), WEFT_EINVAL);
  weft_context_free(ctx);
}

/* ---- tasks ---- */

struct look {
  void *before, *after;
  struct latch looked, go;
};

static int look_then_set(void *arg) {
  struct look *l = arg;
  l->before = weft_local_get(&color, &blue);
  latch_hit(&l->looked);
  int r = latch_wait(&l->go, 1);
  l->after = weft_local_get(&color, &blue);
  CHECK_INT(weft_local_set(&color, &green, NULL), 0);
  CHECK_PTR(weft_local_get(&color, &blue), &green);
  return r;
}

TASK_TEST(T14_a_task_gets_its_spawners_values_as_they_are_at_the_spawn) {
  struct look l = {0};
  CHECK_INT(set_color(&red), 0);
  weft_task t = weft_spawn(look_then_set, &l, NULL);
  CHECK_INT(set_color(&green), 0);
  latch_hit(&l.go);
  CHECK_INT(weft_await(t), 0);
  CHECK_PTR(l.before, &red);
  CHECK_PTR(l.after, &red);
}

TASK_TEST(T14_changes_on_either_side_stay_private) {
  struct look l = {0};
  CHECK_INT(set_color(&red), 0);
  weft_task t = weft_spawn(look_then_set, &l, NULL);
  CHECK_INT(latch_wait(&l.looked, 1), 0);
  CHECK_INT(set_color(&blue), 0);
  latch_hit(&l.go);
  CHECK_INT(weft_await(t), 0);
  CHECK_PTR(l.after, &red);
  CHECK_PTR(weft_local_get(&color, NULL), &blue);
}

TASK_TEST(T14_a_task_that_its_awaiter_runs_has_its_own_values) {
  struct look l = {.go = {1}};
  CHECK_INT(set_color(&red), 0);
  for (int i = 0; i < 100; i++) {
    CHECK_INT(weft_await(weft_spawn(look_then_set, &l, NULL)), 0);
    CHECK_PTR(l.before, &red);
    CHECK_PTR(weft_local_get(&color, NULL), &red);
  }
}

struct tree {
  int depth;
  atomic_int *wrong;
};

static int inherit_down(void *arg) {
  struct tree t = *(struct tree *)arg;
  if (weft_local_get(&color, NULL) != &red) atomic_fetch_add(t.wrong, 1);
  if (t.depth-- == 0) return 0;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 3; i++)
    weft_group_spawn(&g, inherit_down, &t, &(weft_spawn_opts){.arg_size = sizeof t});
  CHECK_INT(set_color(&green), 0);
  return weft_group_join(&g);
}

TASK_TEST(T14_values_go_down_a_tree_of_groups) {
  atomic_int wrong = 0;
  struct tree t = {.depth = counts_simulated() ? 3 : 6, .wrong = &wrong};
  CHECK_INT(set_color(&red), 0);
  CHECK_INT(weft_await(weft_spawn(inherit_down, &t, NULL)), 0);
  CHECK_INT(atomic_load(&wrong), 0);
}

static int has_no_color(void *arg) {
  (void)arg;
  return weft_local_get(&color, NULL) == NULL;
}

TASK_TEST(a_task_without_values_hands_none_down_and_memory_is_used_again_without_them) {
  for (int i = 0; i < count(COUNT_TASKS); i++) {
    weft_task t = weft_spawn(set_color, &red, NULL);
    CHECK_INT(weft_await(t), 0);
    CHECK_INT(weft_await(weft_spawn(has_no_color, NULL, NULL)), 1);
    if (weft_test_failed()) return;
  }
}

/* ---- explicit contexts ---- */

TASK_TEST(T14_an_explicit_context_is_run_in_and_changed) {
  struct look l = {.go = {1}};
  weft_context *ctx;
  CHECK_INT(weft_context_new(&ctx), 0);
  CHECK_INT(weft_context_set(ctx, &color, &red), 0);
  CHECK_INT(weft_await(weft_spawn(look_then_set, &l, &(weft_spawn_opts){.context = ctx})), 0);
  CHECK_PTR(l.before, &red);
  CHECK_PTR(weft_context_get(ctx, &color, NULL), &green); /* not a copy */
  CHECK_PTR(weft_local_get(&color, NULL), NULL);
  weft_context_free(ctx);
}

TASK_TEST(TG10_a_context_passes_through_a_group) {
  struct look l = {.go = {1}};
  weft_context *ctx;
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(set_color(&red), 0);
  CHECK_INT(weft_context_copy(&ctx), 0);
  CHECK_INT(set_color(&blue), 0);
  CHECK_INT(weft_group_spawn(&g, look_then_set, &l, &(weft_spawn_opts){.context = ctx}), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_PTR(l.before, &red);
  CHECK_PTR(weft_context_get(ctx, &color, NULL), &green);
  weft_context_free(ctx);
}

static int look_at_the_color(void *arg) {
  *(void **)arg = weft_local_get(&color, &blue);
  return 0;
}

/* What a task in a context starts has a copy of the context's values. */
static int start_one_that_looks(void *arg) {
  weft_task t = weft_spawn(look_at_the_color, arg, NULL);
  CHECK_INT(set_color(&green), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_PTR(weft_local_get(&color, NULL), &green);
  return weft_await(t);
}

TASK_TEST(what_runs_in_a_context_hands_copies_down) {
  weft_context *ctx;
  void *seen = NULL;
  CHECK_INT(weft_context_new(&ctx), 0);
  CHECK_INT(weft_context_set(ctx, &color, &red), 0);
  CHECK_INT(set_color(&blue), 0);
  CHECK_INT(weft_context_run(ctx, start_one_that_looks, &seen), 0);
  CHECK_PTR(seen, &red);
  CHECK_PTR(weft_context_get(ctx, &color, NULL), &green);
  CHECK_PTR(weft_local_get(&color, NULL), &blue); /* the task's own are back */
  weft_context_free(ctx);
}

static int run_inside(void *arg) {
  weft_context *ctx = arg;
  CHECK_INT(set_color(&red), 0);
  CHECK_INT(weft_context_run(ctx, set_color, &green), 0);
  CHECK_PTR(weft_local_get(&color, NULL), &green);
  return 3;
}

TASK_TEST(a_context_may_be_entered_again_from_inside) {
  weft_context *ctx;
  CHECK_INT(weft_context_new(&ctx), 0);
  CHECK_INT(weft_context_run(ctx, run_inside, ctx), 3);
  weft_context_free(ctx);
}

static weft_local slot[4];

static int set_my_slot(void *arg) {
  weft_local *mine = arg;
  for (int i = 0; i < count(200); i++) {
    CHECK_INT(weft_local_set(mine, i % 2 ? &red : &green, NULL), 0);
    CHECK_PTR(weft_local_get(mine, NULL), i % 2 ? &red : &green);
    if (i % 16 == 0) CHECK_INT(weft_yield(), 0);
  }
  return weft_local_set(mine, mine, NULL);
}

TASK_TEST(tasks_that_share_a_context_lose_no_set) {
  weft_context *ctx;
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_context_new(&ctx), 0);
  for (int i = 0; i < 4; i++)
    weft_group_spawn(&g, set_my_slot, &slot[i], &(weft_spawn_opts){.context = ctx});
  weft_context *mine = ctx; /* the tasks keep it */
  CHECK_INT(weft_group_join(&g), 0);
  for (int i = 0; i < 4; i++) CHECK_PTR(weft_context_get(mine, &slot[i], NULL), &slot[i]);
  weft_context_free(ctx);
}

TASK_TEST(a_task_keeps_the_context_that_it_runs_in) {
  struct look l = {0};
  weft_context *ctx;
  CHECK_INT(weft_context_new(&ctx), 0);
  CHECK_INT(weft_context_set(ctx, &color, &red), 0);
  weft_task t = weft_spawn(look_then_set, &l, &(weft_spawn_opts){.context = ctx});
  weft_context_free(ctx);
  latch_hit(&l.go);
  CHECK_INT(weft_await(t), 0);
  CHECK_PTR(l.after, &red);
}

struct submitted {
  weft_context *ctx;
  struct latch done;
  void *seen;
};

static int look_and_hit(void *arg) {
  struct submitted *s = arg;
  s->seen = weft_local_get(&color, &blue);
  latch_hit(&s->done);
  return 0;
}

TASK_TEST(a_submitted_task_has_no_values_but_its_contexts) {
  struct submitted s = {0};
  CHECK_INT(set_color(&red), 0);
  CHECK_INT(weft_submit(weft_runtime_current(), look_and_hit, &s, NULL), 0);
  CHECK_INT(latch_wait(&s.done, 1), 0);
  CHECK_PTR(s.seen, &blue);
  CHECK_INT(weft_context_copy(&s.ctx), 0);
  CHECK_INT(
      weft_submit(weft_runtime_current(), look_and_hit, &s, &(weft_spawn_opts){.context = s.ctx}),
      0);
  CHECK_INT(latch_wait(&s.done, 2), 0);
  CHECK_PTR(s.seen, &red);
  weft_context_free(s.ctx);
}

/* ---- values that are freed ---- */

TASK_TEST(a_value_is_freed_when_it_is_replaced) {
  static atomic_int freed[2]; /* the last value is freed after this task */
  for (int i = 0; i < 2; i++) atomic_store(&freed[i], 0);
  CHECK_INT(weft_local_set(&owned, &freed[0], NULL), 0);
  CHECK_INT(weft_local_set(&color, &red, NULL), 0); /* a new version that still has it */
  CHECK_INT(atomic_load(&freed[0]), 0);
  CHECK_INT(weft_local_set(&owned, &freed[1], NULL), 0);
  CHECK_INT(atomic_load(&freed[0]), 1);
  CHECK_INT(atomic_load(&freed[1]), 0);
}

TASK_TEST(a_token_holds_the_old_value) {
  static atomic_int freed[3]; /* the last value is freed after this task */
  for (int i = 0; i < 3; i++) atomic_store(&freed[i], 0);
  weft_local_token token;
  CHECK_INT(weft_local_set(&owned, &freed[0], NULL), 0);
  CHECK_INT(weft_local_set(&owned, &freed[1], &token), 0);
  CHECK_INT(atomic_load(&freed[0]), 0);
  CHECK_INT(weft_local_reset(&token), 0);
  CHECK_INT(atomic_load(&freed[1]), 1);
  CHECK_PTR(weft_local_get(&owned, NULL), &freed[0]);
  CHECK_INT(weft_local_set(&owned, &freed[2], &token), 0);
  weft_local_keep(&token);
  CHECK_INT(atomic_load(&freed[0]), 1);
  weft_local_keep(&token);
  CHECK_INT(atomic_load(&freed[0]), 1);
  CHECK_INT(atomic_load(&freed[2]), 0);
}

static int own_a_value(void *arg) {
  return weft_local_set(&owned, arg, NULL);
}

static int outlive_the_spawner(void *arg) {
  struct latch *go = arg;
  int r = latch_wait(go, 1);
  CHECK_INT(atomic_load((atomic_int *)weft_local_get(&owned, NULL)), 0);
  return r;
}

struct two {
  atomic_int freed;
  struct latch go;
  weft_task heir;
};

static int leave_a_value_to_an_heir(void *arg) {
  struct two *t = arg;
  CHECK_INT(weft_local_set(&owned, &t->freed, NULL), 0);
  t->heir = weft_spawn(outlive_the_spawner, &t->go, NULL);
  return 0;
}

TASK_TEST(a_value_is_freed_once_when_the_last_task_that_has_it_is_gone) {
  struct two t = {0};
  CHECK_INT(weft_await(weft_spawn(own_a_value, &t.freed, NULL)), 0);
  while (atomic_load(&t.freed) == 0) CHECK_INT(weft_yield(), 0); /* its queue entry may be last */
  atomic_store(&t.freed, 0);
  CHECK_INT(weft_await(weft_spawn(leave_a_value_to_an_heir, &t, NULL)), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(atomic_load(&t.freed), 0);
  latch_hit(&t.go);
  CHECK_INT(weft_await(t.heir), 0);
  while (atomic_load(&t.freed) == 0) CHECK_INT(weft_yield(), 0);
  CHECK_INT(atomic_load(&t.freed), 1);
}

TASK_TEST(a_context_frees_its_values_with_itself) {
  atomic_int freed[2] = {0};
  weft_context *ctx, *copy;
  CHECK_INT(weft_context_new(&ctx), 0);
  CHECK_INT(weft_context_run(ctx, own_a_value, &freed[0]), 0);
  CHECK_INT(weft_context_run(ctx, own_a_value, &freed[1]), 0);
  CHECK_INT(atomic_load(&freed[0]), 1);
  CHECK_INT(weft_context_copy(&copy), 0); /* of the task, which has none */
  weft_context_free(ctx);
  CHECK_INT(atomic_load(&freed[1]), 1);
  weft_context_free(copy);
}

static void the_main_tasks_values_are_freed_with_the_run(void **state) {
  (void)state;
  atomic_int freed = 0;
  CHECK_INT(weft_run(own_a_value, &freed, NULL), 0);
  CHECK_INT(atomic_load(&freed), 1);
}

static int leave_a_task_unread(void *arg) {
  weft_task t = weft_spawn(own_a_value, arg, NULL);
  return weft_task_wait(t, NULL);
}

static void the_values_of_a_task_that_nobody_consumed_are_freed_with_the_run(void **state) {
  (void)state;
  atomic_int freed = 0;
  CHECK_INT(weft_run(leave_a_task_unread, &freed, NULL), 0);
  CHECK_INT(atomic_load(&freed), 1);
}

TASK_TEST(without_memory_nothing_has_changed) {
  static atomic_int freed[2]; /* the last value is freed after this task */
  for (int i = 0; i < 2; i++) atomic_store(&freed[i], 0);
  weft_local_token token;
  weft_context *ctx = NULL;
  CHECK_INT(weft_local_set(&owned, &freed[0], NULL), 0);
  CHECK_INT(weft_local_set(&color, &red, &token), 0);
  for (int i = 1; i <= 2; i++) { /* the count of the value, the map */
    weft__memory_fail(WEFT__MEMORY_OWN, (uint64_t)i, false);
    int r = weft_local_set(&owned, &freed[1], NULL);
    weft__memory_fail_end();
    CHECK_INT(r, WEFT_ENOMEM);
  }
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  int reset = weft_local_reset(&token);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  int copied = weft_context_copy(&ctx);
  weft__memory_fail_end();
  CHECK_INT(reset, WEFT_ENOMEM);
  CHECK_INT(copied, WEFT_ENOMEM);
  CHECK_PTR(ctx, NULL);
  CHECK_INT(atomic_load(&freed[0]) + atomic_load(&freed[1]), 0);
  CHECK_PTR(weft_local_get(&owned, NULL), &freed[0]);
  CHECK_PTR(weft_local_get(&color, NULL), &red);
  CHECK_INT(weft_local_reset(&token), 0);
  CHECK_PTR(weft_local_get(&color, NULL), NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_local_without_a_value_gives_the_fallback),
    cmocka_unit_test(a_null_value_is_a_value),
    cmocka_unit_test(many_locals_keep_their_own_values),
    cmocka_unit_test(reset_brings_back_what_the_set_replaced),
    cmocka_unit_test(a_token_is_good_once_and_where_it_was_made),
    cmocka_unit_test(outside_a_task_there_are_no_values),
    cmocka_unit_test(wrong_arguments_are_einval),
    cmocka_unit_test(T14_a_task_gets_its_spawners_values_as_they_are_at_the_spawn),
    cmocka_unit_test(T14_changes_on_either_side_stay_private),
    cmocka_unit_test(T14_a_task_that_its_awaiter_runs_has_its_own_values),
    cmocka_unit_test(T14_values_go_down_a_tree_of_groups),
    cmocka_unit_test(a_task_without_values_hands_none_down_and_memory_is_used_again_without_them),
    cmocka_unit_test(T14_an_explicit_context_is_run_in_and_changed),
    cmocka_unit_test(TG10_a_context_passes_through_a_group),
    cmocka_unit_test(what_runs_in_a_context_hands_copies_down),
    cmocka_unit_test(a_context_may_be_entered_again_from_inside),
    cmocka_unit_test(tasks_that_share_a_context_lose_no_set),
    cmocka_unit_test(a_task_keeps_the_context_that_it_runs_in),
    cmocka_unit_test(a_submitted_task_has_no_values_but_its_contexts),
    cmocka_unit_test(a_value_is_freed_when_it_is_replaced),
    cmocka_unit_test(a_token_holds_the_old_value),
    cmocka_unit_test(a_value_is_freed_once_when_the_last_task_that_has_it_is_gone),
    cmocka_unit_test(a_context_frees_its_values_with_itself),
    cmocka_unit_test(the_main_tasks_values_are_freed_with_the_run),
    cmocka_unit_test(the_values_of_a_task_that_nobody_consumed_are_freed_with_the_run),
    cmocka_unit_test(without_memory_nothing_has_changed),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
