/* weft_spawn, its options, and what a handle says about the task it names. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"
#include "threads.h"

/* ---- the body, its argument and its code ---- */

static int store_address(void *arg) {
  *(void **)arg = arg;
  return 0;
}

TASK_TEST(spawn_gives_the_body_its_argument) {
  void *seen = NULL;
  CHECK_INT(weft_await(weft_spawn(store_address, &seen, NULL)), 0);
  CHECK_PTR(seen, &seen);
}

TASK_TEST(spawn_allows_a_null_argument) {
  CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
}

/* The thread that is inside weft_spawn right now, or 0. */
static _Atomic long spawning_thread;
static atomic_int ran_inside_spawn;

static int note_if_inside_spawn(void *arg) {
  (void)arg;
  if (atomic_load(&spawning_thread) == thread_id()) atomic_fetch_add(&ran_inside_spawn, 1);
  return 0;
}

TASK_TEST(T1_spawn_never_runs_the_body_before_it_returns) {
  enum { MOST = 1000 };
  static weft_task tasks[MOST];
  const int n = count(MOST);
  for (int i = 0; i < n; i++) {
    atomic_store(&spawning_thread, thread_id());
    tasks[i] = weft_spawn(note_if_inside_spawn, NULL, NULL);
    atomic_store(&spawning_thread, 0);
  }
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(tasks[i]), 0);
  CHECK_INT(atomic_load(&ran_inside_spawn), 0);
}

static int count_up(void *arg) {
  atomic_fetch_add((atomic_int *)arg, 1);
  return 0;
}

TASK_TEST(every_spawned_task_runs_once_though_nobody_suspends_while_spawning) {
  static weft_task tasks[COUNT_TASKS];
  const int n = count(COUNT_TASKS);
  atomic_int runs = 0;
  for (int i = 0; i < n; i++) tasks[i] = weft_spawn(count_up, &runs, NULL);
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(tasks[i]), 0);
  CHECK_INT(atomic_load(&runs), n);
}

TASK_TEST(T17_a_task_whose_handle_is_dropped_still_runs_to_its_end) {
  struct latch begun = {0}, release = {0}, ended = {0};
  for (int i = 0; i < 100; i++) weft_detach(weft_spawn(hit_and_return, &begun, NULL));
  weft_spawn(wait_for_latch, &release, NULL);
  weft_spawn(hit_and_return, &ended, NULL);
  CHECK_INT(latch_wait(&begun, 100), 0);
  latch_hit(&release);
  CHECK_INT(latch_wait(&ended, 1), 0);
  CHECK_INT(wait_until_live(1), 0);
}

static int spawn_and_await(void *arg) {
  int *depth = arg;
  if (--*depth == 0) return 0;
  return weft_await(weft_spawn(spawn_and_await, depth, NULL)) + 1;
}

TASK_TEST(tasks_spawn_tasks_to_any_depth) {
  const int deepest = count(COUNT_DEPTH);
  int depth = deepest;
  CHECK_INT(weft_await(weft_spawn(spawn_and_await, &depth, NULL)), deepest - 1);
}

/* ---- .arg_size ---- */

struct job {
  int id;
  char text[40];
  _Atomic(struct job *) *seen;
};

static int check_job(void *arg) {
  struct job *j = arg;
  char text[40];
  snprintf(text, sizeof text, "job %d", j->id);
  CHECK_STR(j->text, text);
  CHECK_UINT((uintptr_t)arg % _Alignof(max_align_t), 0);
  atomic_store(j->seen, j);
  return j->id;
}

TASK_TEST(arg_size_copies_the_argument_so_the_callers_may_change_at_once) {
  enum { N = 100 };
  weft_task tasks[N];
  _Atomic(struct job *) seen[N];
  struct job j;
  for (int i = 0; i < N; i++) {
    atomic_init(&seen[i], NULL);
    j = (struct job){.id = i, .seen = &seen[i]};
    snprintf(j.text, sizeof j.text, "job %d", i);
    tasks[i] = weft_spawn(check_job, &j, &(weft_spawn_opts){.arg_size = sizeof j});
    memset(&j, 0xee, sizeof j);
  }
  for (int i = 0; i < N; i++) {
    CHECK_INT(weft_await(tasks[i]), i);
    CHECK(atomic_load(&seen[i]) != &j);
  }
}

TASK_TEST(a_copied_argument_lives_until_the_handle_is_consumed) {
  _Atomic(struct job *) seen = NULL;
  struct job j = {.id = 5, .text = "job 5", .seen = &seen};
  weft_task t = weft_spawn(check_job, &j, &(weft_spawn_opts){.arg_size = sizeof j});
  CHECK_INT(weft_task_wait(t, NULL), 0);
  /* Whatever freed memory would be used for again. */
  for (int i = 0; i < 100; i++) CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_INT(atomic_load(&seen)->id, 5);
  CHECK_STR(atomic_load(&seen)->text, "job 5");
  CHECK_INT(weft_await(t), 5);
}

enum { ARG_MAX_SIZE = 64 * 1024 };

static int sum_bytes(void *arg) {
  const unsigned char *p = arg;
  int sum = 0;
  for (size_t i = 0; i < ARG_MAX_SIZE; i++) sum += p[i];
  return sum;
}

TASK_TEST(arg_size_may_be_64_kib_and_no_more) {
  static unsigned char big[ARG_MAX_SIZE + 1];
  memset(big, 1, sizeof big);
  weft_task t = weft_spawn(sum_bytes, big, &(weft_spawn_opts){.arg_size = ARG_MAX_SIZE});
  memset(big, 9, sizeof big);
  CHECK_INT(weft_await(t), ARG_MAX_SIZE);
  t = weft_spawn(sum_bytes, big, &(weft_spawn_opts){.arg_size = ARG_MAX_SIZE + 1});
  CHECK_INT(weft_task_error(t), WEFT_EINVAL);
  CHECK_INT(weft_await(t), WEFT_EINVAL);
}

TASK_TEST(copied_arguments_of_every_size_come_through) {
  static unsigned char bytes[ARG_MAX_SIZE];
  memset(bytes, 0, sizeof bytes);
  for (size_t size = 1; size <= 4096; size += size < 600 ? 1 : 97) {
    bytes[size - 1] = 42;
    weft_task t = weft_spawn(return_zero, bytes, &(weft_spawn_opts){.arg_size = size});
    bytes[size - 1] = 0;
    if (!CHECK_INT(weft_await(t), 0)) return;
  }
}

/* ---- .name ---- */

TASK_TEST(a_name_is_the_pointer_that_was_given) {
  static const char name[] = "the name";
  weft_task t = weft_spawn(return_zero, NULL, &(weft_spawn_opts){.name = name});
  CHECK_PTR(weft_task_name(t), name);
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(a_task_without_a_name_has_none) {
  weft_task t = weft_spawn(return_zero, NULL, NULL);
  CHECK_PTR(weft_task_name(t), NULL);
  CHECK_INT(weft_await(t), 0);
}

static int compare_own_name(void *arg) {
  return weft_task_name(weft_current()) == arg;
}

TASK_TEST(TG10_a_task_sees_its_own_name) {
  static char name[] = "self";
  weft_task t = weft_spawn(compare_own_name, name, &(weft_spawn_opts){.name = name});
  CHECK_INT(weft_await(t), 1);
}

/* ---- .stack_size ---- */

/* Uses about `bytes` of stack, in frames that the compiler cannot merge. */
__attribute__((noinline)) static int use_stack(size_t bytes) {
  volatile char frame[1024];
  frame[0] = 1;
  frame[sizeof frame - 1] = 1;
  if (bytes > sizeof frame + 64) return use_stack(bytes - sizeof frame - 64) + frame[0];
  return frame[sizeof frame - 1];
}

static int use_given_stack(void *arg) {
  int r = weft_yield();
  return r < 0 ? r : use_stack(*(size_t *)arg) > 0 ? 0 : -1;
}

TASK_TEST(a_task_can_use_the_stack_that_it_asked_for) {
  size_t megabyte = 1024 * 1024, used = megabyte / 2;
  weft_task t = weft_spawn(use_given_stack, &used, &(weft_spawn_opts){.stack_size = megabyte});
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(the_smallest_and_the_largest_stack_work) {
  size_t little = 1024, much = 32u * 1024 * 1024;
  weft_task t =
      weft_spawn(use_given_stack, &little, &(weft_spawn_opts){.stack_size = WEFT_STACK_MIN});
  CHECK_INT(weft_await(t), 0);
  t = weft_spawn(use_given_stack, COUNTS_TSAN || counts_simulated() ? &little : &much,
                 &(weft_spawn_opts){.stack_size = 64u * 1024 * 1024});
  CHECK_INT(weft_await(t), 0);
}

TASK_TEST(a_stack_size_out_of_range_is_refused) {
  static const size_t sizes[] = {1, WEFT_STACK_MIN - 1, 64u * 1024 * 1024 + 1, SIZE_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    weft_task t = weft_spawn(return_seven, NULL, &(weft_spawn_opts){.stack_size = sizes[i]});
    CHECK_INT(weft_task_error(t), WEFT_EINVAL);
    CHECK_INT(weft_await(t), WEFT_EINVAL);
  }
}

TASK_TEST(an_own_stack_size_also_holds_for_a_task_awaited_at_once) {
  size_t used = 400 * 1024;
  for (int i = 0; i < count(20); i++) {
    weft_task t = weft_spawn(use_given_stack, &used, &(weft_spawn_opts){.stack_size = 1024 * 1024});
    CHECK_INT(weft_await(t), 0);
  }
}

/* ---- .pinned ---- */

static int stay_here(void *arg) {
  int r = 0;
  long home = thread_id();
  (void)arg;
  for (int i = 0; i < (counts_simulated() ? 41 : 200) && r == 0; i++) {
    r = i % 20 == 0 ? weft_sleep(weft_us(200)) : weft_yield();
    CHECK_INT(thread_id(), home);
  }
  return r < 0 ? r : weft_worker_id();
}

static int pinned_children_stay(void *arg) {
  long here = thread_id();
  int me = weft_worker_id();
  weft_task t[4];
  (void)arg;
  for (int i = 0; i < 4; i++)
    t[i] = weft_spawn(stay_here, NULL, &(weft_spawn_opts){.pinned = true});
  for (int i = 0; i < 4; i++) {
    CHECK_INT(weft_await(t[i]), me);
    CHECK_INT(thread_id(), here);
  }
  return 0;
}

TASK_TEST(a_pinned_task_keeps_its_thread_and_pins_nobody_else) {
  weft_task t[4];
  for (int i = 0; i < 4; i++)
    t[i] = weft_spawn(pinned_children_stay, NULL, &(weft_spawn_opts){.pinned = true});
  for (int i = 0; i < 4; i++) CHECK_INT(weft_await(t[i]), 0);
}

/* ---- errors ---- */

TASK_TEST(a_null_function_is_refused) {
  weft_task t = weft_spawn(NULL, NULL, NULL);
  CHECK_INT(weft_task_error(t), WEFT_EINVAL);
  CHECK_INT(weft_await(t), WEFT_EINVAL);
}

TASK_TEST(the_error_of_a_live_or_ended_task_is_0) {
  weft_task t = weft_spawn(return_own_error, NULL, NULL);
  CHECK_INT(weft_task_error(t), 0);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK_INT(weft_task_error(t), 0);
  CHECK_INT(weft_task_error(weft_current()), 0);
  CHECK_INT(weft_await(t), OWN_ERROR);
}

static void every_call_answers(weft_task t, int error) {
  char text[64];
  int codes[1] = {12345};
  CHECK_INT(weft_task_error(t), error);
  CHECK_INT(weft_task_wait(t, codes), error);
  CHECK_INT(weft_cancel(t), error);
  CHECK_INT(weft_cancelling(t), error);
  CHECK_INT(weft_uncancel(t), error);
  CHECK_INT(weft_task_done(t), error);
  CHECK_INT(weft_task_describe(t, text, sizeof text), error);
  CHECK_PTR(weft_task_name(t), NULL);
  CHECK_INT(weft_gather(&t, 1, NULL), error);
  CHECK_INT(weft_gather(&t, 1, codes), error);
  CHECK_INT(weft_wait_for_task(t, weft_ms(1)), error);
  CHECK_INT(weft_detach(t), error);
  CHECK_INT(weft_await(t), error);
  CHECK_INT(codes[0], 12345);
}

TASK_TEST(a_failed_spawn_answers_its_error_in_every_call) {
  every_call_answers(weft_spawn(return_zero, NULL, &(weft_spawn_opts){.stack_size = 1}),
                     WEFT_EINVAL);
}

TASK_TEST(the_empty_handle_answers_einval_in_every_call) {
  every_call_answers((weft_task){0}, WEFT_EINVAL);
}

/* ---- describe ---- */

TASK_TEST(describe_gives_one_line_with_the_name) {
  struct latch parked = {0};
  char text[512], text2[512];
  weft_task t = weft_spawn(hit_and_park, &parked, &(weft_spawn_opts){.name = "a sleeper"});
  CHECK_INT(latch_wait(&parked, 1), 0);
  int n = weft_task_describe(t, text, sizeof text);
  CHECK(n > 0 && n < (int)sizeof text);
  CHECK_UINT(strlen(text), n);
  CHECK(strstr(text, "a sleeper") != NULL);
  CHECK(strchr(text, '\n') == NULL);
  n = weft_task_describe(weft_current(), text2, sizeof text2);
  CHECK(n > 0 && strcmp(text, text2) != 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

TASK_TEST(describe_cuts_like_snprintf) {
  char whole[512], part[8];
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, &(weft_spawn_opts){.name = "with a long name"});
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK(weft_task_describe(t, whole, sizeof whole) > (int)sizeof part);
  memset(part, 'x', sizeof part);
  CHECK(weft_task_describe(t, part, sizeof part) > (int)sizeof part);
  CHECK_UINT(strlen(part), sizeof part - 1);
  CHECK_INT(strncmp(whole, part, 4), 0);
  CHECK(weft_task_describe(t, NULL, 0) > 0);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

TASK_TEST(describe_tells_an_ended_task_from_a_live_one) {
  char live[512], ended[512];
  struct latch release = {0};
  weft_task t = weft_spawn(wait_for_latch, &release, &(weft_spawn_opts){.name = "x"});
  CHECK(weft_task_describe(t, live, sizeof live) > 0);
  latch_hit(&release);
  CHECK_INT(weft_task_wait(t, NULL), 0);
  CHECK(weft_task_describe(t, ended, sizeof ended) > 0);
  CHECK(strcmp(live, ended) != 0);
  CHECK_INT(weft_await(t), 0);
}

/* ---- the list of live tasks ---- */

static bool same_task(weft_task a, weft_task b) {
  return a.slot_ == b.slot_ && a.key_ == b.key_;
}

TASK_TEST(T15_the_list_holds_the_live_tasks_and_no_ended_one) {
  enum { N = 20 };
  struct latch parked = {0};
  weft_task t[N], list[N + 8];
  CHECK_INT(weft_tasks(NULL, 0), 1);
  for (int i = 0; i < N; i++) t[i] = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, N), 0);
  CHECK_INT(weft_tasks(list, N + 8), N + 1);
  int found = 0, self = 0;
  for (int i = 0; i < N + 1; i++) {
    self += same_task(list[i], weft_current());
    for (int k = 0; k < N; k++) found += same_task(list[i], t[k]);
  }
  CHECK_INT(found, N);
  CHECK_INT(self, 1);
  for (int i = 0; i < N; i++) {
    weft_cancel(t[i]);
    CHECK_INT(weft_task_wait(t[i], NULL), 0);
  }
  CHECK_INT(weft_tasks(list, N + 8), 1); /* ended, though their handles are not consumed */
  for (int i = 0; i < N; i++) CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
}

TASK_TEST(the_list_counts_more_tasks_than_it_has_room_for) {
  struct latch parked = {0};
  weft_task t[10], list[4];
  memset(list, 0, sizeof list);
  for (int i = 0; i < 10; i++) t[i] = weft_spawn(hit_and_park, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 10), 0);
  CHECK_INT(weft_tasks(list, 3), 11);
  CHECK_INT(weft_task_error(list[2]), 0);
  CHECK_PTR(list[3].slot_, NULL);
  for (int i = 0; i < 10; i++) {
    weft_cancel(t[i]);
    CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
  }
}

TASK_TEST(a_handle_from_the_list_can_cancel) {
  struct latch parked = {0};
  weft_task t = weft_spawn(hit_and_park, &parked, NULL), list[2], me = weft_current();
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_tasks(list, 2), 2);
  CHECK_INT(weft_cancel(same_task(list[0], me) ? list[1] : list[0]), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(spawn_gives_the_body_its_argument),
    cmocka_unit_test(spawn_allows_a_null_argument),
    cmocka_unit_test(T1_spawn_never_runs_the_body_before_it_returns),
    cmocka_unit_test(every_spawned_task_runs_once_though_nobody_suspends_while_spawning),
    cmocka_unit_test(T17_a_task_whose_handle_is_dropped_still_runs_to_its_end),
    cmocka_unit_test(tasks_spawn_tasks_to_any_depth),
    cmocka_unit_test(arg_size_copies_the_argument_so_the_callers_may_change_at_once),
    cmocka_unit_test(a_copied_argument_lives_until_the_handle_is_consumed),
    cmocka_unit_test(arg_size_may_be_64_kib_and_no_more),
    cmocka_unit_test(copied_arguments_of_every_size_come_through),
    cmocka_unit_test(a_name_is_the_pointer_that_was_given),
    cmocka_unit_test(a_task_without_a_name_has_none),
    cmocka_unit_test(TG10_a_task_sees_its_own_name),
    cmocka_unit_test(a_task_can_use_the_stack_that_it_asked_for),
    cmocka_unit_test(the_smallest_and_the_largest_stack_work),
    cmocka_unit_test(a_stack_size_out_of_range_is_refused),
    cmocka_unit_test(an_own_stack_size_also_holds_for_a_task_awaited_at_once),
    cmocka_unit_test(a_pinned_task_keeps_its_thread_and_pins_nobody_else),
    cmocka_unit_test(a_null_function_is_refused),
    cmocka_unit_test(the_error_of_a_live_or_ended_task_is_0),
    cmocka_unit_test(a_failed_spawn_answers_its_error_in_every_call),
    cmocka_unit_test(the_empty_handle_answers_einval_in_every_call),
    cmocka_unit_test(describe_gives_one_line_with_the_name),
    cmocka_unit_test(describe_cuts_like_snprintf),
    cmocka_unit_test(describe_tells_an_ended_task_from_a_live_one),
    cmocka_unit_test(T15_the_list_holds_the_live_tasks_and_no_ended_one),
    cmocka_unit_test(the_list_counts_more_tasks_than_it_has_room_for),
    cmocka_unit_test(a_handle_from_the_list_can_cancel),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
