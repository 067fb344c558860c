/* Tasks that are started while the run ends, by tasks that it has cancelled or is about to cancel. */
#include <stdatomic.h>
#include <weft.h>

#include "task_test.h"

struct leftover {
  struct latch parked;
  int generations;  /* how many more are to be started */
  atomic_int ended; /* with a cancel */
  int cleaned_up;   /* result of what a cleanup awaited */
};

static int count_an_end(struct leftover *l, int r) {
  if (CHECK_INT(r, WEFT_ECANCELED)) atomic_fetch_add(&l->ended, 1);
  return r;
}

static int park_and_start_another(void *arg) {
  struct leftover *l = arg;
  latch_hit(&l->parked);
  int r = weft_sleep(A_LONG_TIME);
  if (l->generations-- > 0) CHECK_INT(weft_detach(weft_spawn(park_and_start_another, l, NULL)), 0);
  return count_an_end(l, r);
}

static int leave(void *arg) {
  struct leftover *l = arg;
  CHECK_INT(weft_detach(weft_spawn(park_and_start_another, l, NULL)), 0);
  return latch_wait(&l->parked, 1);
}

static void a_task_started_while_the_run_ends_is_cancelled_too(void **state) {
  struct leftover l = {.generations = 1};
  (void)state;
  CHECK_INT(weft_run(leave, &l, NULL), 0);
  /* The second may have been cancelled before it began. */
  CHECK(atomic_load(&l.ended) >= 1);
}

static void so_is_one_that_it_starts_in_turn(void **state) {
  struct leftover l = {.generations = 5};
  (void)state;
  CHECK_INT(weft_run(leave, &l, NULL), 0);
  CHECK(atomic_load(&l.ended) >= 1);
}

static int sleep_then_seven(void *arg) {
  (void)arg;
  int r = weft_sleep(weft_ms(50));
  return r < 0 ? r : 7;
}

static int clean_up_with_a_task(void *arg) {
  struct leftover *l = arg;
  latch_hit(&l->parked);
  int r = weft_sleep(A_LONG_TIME);
  weft_shield_begin();
  l->cleaned_up = weft_await(weft_spawn(sleep_then_seven, NULL, NULL));
  weft_shield_end();
  return count_an_end(l, r);
}

static int leave_a_cleaner(void *arg) {
  struct leftover *l = arg;
  CHECK_INT(weft_detach(weft_spawn(clean_up_with_a_task, l, NULL)), 0);
  return latch_wait(&l->parked, 1);
}

static void what_a_cleanup_starts_and_awaits_is_left_alone(void **state) {
  struct leftover l = {0};
  (void)state;
  CHECK_INT(weft_run(leave_a_cleaner, &l, NULL), 0);
  CHECK_INT(l.cleaned_up, 7);
  CHECK_INT(atomic_load(&l.ended), 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_task_started_while_the_run_ends_is_cancelled_too),
    cmocka_unit_test(so_is_one_that_it_starts_in_turn),
    cmocka_unit_test(what_a_cleanup_starts_and_awaits_is_left_alone),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
