/* Exact mode: asyncio's own order. One worker, first in first out, atomic between awaits. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "task_test.h"
#include "threads.h"

/* Filled without atomics: in exact mode nothing else runs between two awaits. */
static int order[1024], filled;

static int note_place(void *arg) {
  order[filled++] = *(int *)arg;
  return 0;
}

static int numbers[1024];

static void check_order(int n) {
  CHECK_INT(filled, n);
  filled = 0;
  for (int i = 0; i < n; i++)
    if (!CHECK_INT(order[i], i)) return;
}

EXACT_TEST(T1_tasks_begin_in_the_order_of_their_creation) {
  static weft_task t[1000];
  for (int i = 0; i < 1000; i++) {
    numbers[i] = i;
    t[i] = weft_spawn(note_place, &numbers[i], NULL);
  }
  CHECK_INT(weft_await(t[999]), 0); /* though the newest is awaited first */
  check_order(1000);
  for (int i = 0; i < 999; i++) CHECK_INT(weft_await(t[i]), 0);
}

EXACT_TEST(T1_an_awaited_task_does_not_jump_the_queue) {
  for (int i = 0; i < 3; i++) numbers[i] = i;
  weft_task a = weft_spawn(note_place, &numbers[0], NULL);
  weft_task b = weft_spawn(note_place, &numbers[1], NULL);
  weft_task c = weft_spawn(note_place, &numbers[2], NULL);
  CHECK_INT(weft_await(c), 0);
  CHECK_INT(weft_await(b), 0);
  CHECK_INT(weft_await(a), 0);
  check_order(3);
}

struct turn {
  int id;
};

static int note_three_turns(void *arg) {
  int id = ((struct turn *)arg)->id, r = 0;
  for (int i = 0; i < 3 && r == 0; i++) {
    order[filled++] = i * 4 + id;
    r = weft_yield();
  }
  return r;
}

EXACT_TEST(T18_a_yield_takes_exactly_one_turn) {
  struct turn turns[4];
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 4; i++) {
    turns[i].id = i;
    weft_group_spawn(&g, note_three_turns, &turns[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  check_order(12);
}

static int sleep_zero_turns(void *arg) {
  int id = ((struct turn *)arg)->id, r = 0;
  for (int i = 0; i < 3 && r == 0; i++) {
    order[filled++] = i * 4 + id;
    r = weft_sleep(id % 2 ? 0 : -1);
  }
  return r;
}

EXACT_TEST(T18_sleeping_zero_is_a_yield) {
  struct turn turns[4];
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 4; i++) {
    turns[i].id = i;
    weft_group_spawn(&g, sleep_zero_turns, &turns[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  check_order(12);
}

struct sleeper {
  int place;
  weft_ns duration, until; /* one of them */
};

static int sleep_and_note(void *arg) {
  struct sleeper *s = arg;
  int r = weft_sleep(s->until ? s->until - weft_now() : s->duration);
  order[filled++] = s->place;
  return r;
}

EXACT_TEST(R2_timers_fire_by_deadline) {
  enum { N = 64 };
  struct sleeper s[N];
  weft_group g = WEFT_GROUP_INIT;
  weft_ns begin = weft_now() + weft_ms(20) * COUNTS_SLOWER;
  for (int i = 0; i < N; i++) {
    int place = (i * 37) % N; /* every place once, shuffled */
    s[i] = (struct sleeper){.place = place, .until = begin + weft_ms(2 * place)};
    weft_group_spawn(&g, sleep_and_note, &s[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  check_order(N);
}

EXACT_TEST(R2_equal_sleeps_end_in_the_order_they_began) {
  enum { MOST = 500 };
  static struct sleeper s[MOST];
  weft_group g = WEFT_GROUP_INIT;
  const int n = count(MOST);
  for (int i = 0; i < n; i++) {
    s[i] = (struct sleeper){.place = i, .duration = weft_ms(10)};
    weft_group_spawn(&g, sleep_and_note, &s[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  check_order(n);
}

/* A counter without atomics: read, burn a little, write. Any interleaving would lose counts. */
static int plain;

static int increment_slowly(void *arg) {
  int times = *(int *)arg, r = 0;
  for (int i = 0; i < times && r == 0; i++) {
    int seen = plain;
    for (volatile int k = 0; k < 50; k++) {}
    plain = seen + 1;
    r = weft_yield();
  }
  return r;
}

EXACT_TEST(code_between_two_awaits_is_atomic) {
  int times = count(COUNT_TASKS / 20);
  weft_group g = WEFT_GROUP_INIT;
  plain = 0;
  for (int i = 0; i < 20; i++) weft_group_spawn(&g, increment_slowly, &times, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(plain, times * 20);
}

static int count_runs(void *arg) {
  (*(int *)arg)++;
  return 0;
}

EXACT_TEST(nothing_runs_while_the_task_does_not_suspend) {
  int runs = 0;
  weft_task t[50];
  for (int i = 0; i < 50; i++) t[i] = weft_spawn(count_runs, &runs, NULL);
  for (volatile int i = 0; i < count(20000000 / (COUNTS_SLOWER * 2)); i++) {}
  CHECK_INT(runs, 0);
  for (int i = 0; i < 50; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK_INT(runs, 50);
}

EXACT_TEST(there_is_one_worker_and_it_is_0) {
  CHECK_INT(weft_worker_count(), 1);
  for (int i = 0; i < 100; i++) {
    CHECK_INT(weft_worker_id(), 0);
    CHECK_INT(weft_sleep(weft_us(50)), 0);
  }
}

EXACT_TEST(no_task_runs_on_its_awaiters_stack) {
  weft_worker_stats s;
  for (int i = 0; i < 100; i++) CHECK_INT(weft_await(weft_spawn(return_seven, NULL, NULL)), 7);
  CHECK_INT(weft_stats_worker(0, &s), 0);
  CHECK_UINT(s.inline_run, 0);
}

/* ---- reproducible ---- */

struct script {
  int trace[4096], n;
};

static struct script *script;

static int play(void *arg) {
  int id = *(int *)arg, r = 0;
  for (int i = 0; i < 5 && r == 0; i++) {
    script->trace[script->n++] = id * 100 + i;
    r = (id + i) % 3 ? weft_yield() : weft_await(weft_spawn(return_zero, NULL, NULL));
  }
  return r;
}

static int play_all(void *arg) {
  static int ids[100];
  weft_group g = WEFT_GROUP_INIT;
  script = arg;
  for (int i = 0; i < count(100); i++) {
    ids[i] = i;
    weft_group_spawn(&g, play, &ids[i], NULL);
  }
  return weft_group_join(&g);
}

static void two_runs_take_the_same_steps(void **state) {
  static struct script first, second;
  const weft_run_opts opts = {.exact = true, .workers = 1};
  (void)state;
  first.n = second.n = 0;
  CHECK_INT(weft_run(play_all, &first, &opts), 0);
  CHECK_INT(weft_run(play_all, &second, &opts), 0);
  CHECK_INT(first.n, 5 * count(100));
  CHECK_INT(second.n, first.n);
  CHECK_INT(memcmp(first.trace, second.trace, sizeof first.trace), 0);
}

/* ---- no budget ---- */

EXACT_TEST(a_task_that_never_has_to_wait_keeps_running) {
  int runs = 0;
  weft_task done = weft_spawn(return_zero, NULL, NULL), other;
  CHECK_INT(weft_task_wait(done, NULL), 0);
  other = weft_spawn(count_runs, &runs, NULL);
  for (int i = 0; i < count(COUNT_TASKS); i++) CHECK_INT(weft_task_wait(done, NULL), 0);
  CHECK_INT(runs, 0);
  CHECK_INT(weft_await(other), 0);
  CHECK_INT(weft_await(done), 0);
}

/* ---- a hog is not relieved ---- */

static int burn(void *arg) {
  burn_ns(*(weft_ns *)arg);
  return 0;
}

EXACT_TEST(a_hog_stops_the_timers_as_in_asyncio) {
  weft_ns duration = weft_ms(60), start = weft_now();
  struct sleeper s = {.duration = weft_ms(5)};
  weft_task sleeper = weft_spawn(sleep_and_note, &s, NULL);
  CHECK_INT(weft_yield(), 0); /* it sleeps now */
  weft_task hog = weft_spawn(burn, &duration, NULL);
  CHECK_INT(weft_await(sleeper), 0);
  CHECK(weft_now() - start >= weft_ms(60));
  CHECK_INT(weft_await(hog), 0);
}

/* ---- tasks from outside ---- */

struct outside {
  weft_runtime rt;
  struct latch runs;
  int order[4], taken;
};

struct numbered {
  struct outside *o;
  int number;
};

static int take_number(void *arg) {
  struct numbered *n = arg;
  n->o->order[n->o->taken++] = n->number;
  latch_hit(&n->o->runs);
  return 0;
}

static void *submit_three(void *arg) {
  struct outside *o = arg;
  for (int i = 0; i < 3; i++)
    CHECK_INT(weft_submit(o->rt, take_number, &(struct numbered){o, i},
                          &(weft_spawn_opts){.arg_size = sizeof(struct numbered)}),
              0);
  return NULL;
}

/* The main task is always ready: it must not be all that runs. */
EXACT_TEST(R3_tasks_from_a_foreign_thread_run_in_the_order_of_their_submission) {
  struct outside o = {.rt = weft_runtime_current()};
  pthread_t thread;
  weft_ns give_up = weft_now() + weft_sec(20);
  if (!CHECK_INT(weft__sys_thread_create(&thread, NULL, submit_three, &o), 0)) return;
  while (latch_hits(&o.runs) < 3 && weft_now() < give_up) CHECK_INT(weft_yield(), 0);
  weft__sys_thread_join(thread);
  if (!CHECK_INT(latch_hits(&o.runs), 3)) return;
  for (int i = 0; i < 3; i++) CHECK_INT(o.order[i], i);
}

EXACT_TEST(a_task_submitted_from_a_task_queues_up_like_a_spawned_one) {
  struct outside o = {.rt = weft_runtime_current()};
  struct numbered n[4] = {{&o, 0}, {&o, 1}, {&o, 2}, {&o, 3}};
  weft_task first = weft_spawn(take_number, &n[0], NULL);
  CHECK_INT(weft_submit(o.rt, take_number, &n[1], NULL), 0);
  weft_task third = weft_spawn(take_number, &n[2], NULL);
  CHECK_INT(weft_submit(o.rt, take_number, &n[3], NULL), 0);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(latch_hits(&o.runs), 4);
  for (int i = 0; i < 4; i++) CHECK_INT(o.order[i], i);
  CHECK_INT(weft_await(first), 0);
  CHECK_INT(weft_await(third), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(T1_tasks_begin_in_the_order_of_their_creation),
    cmocka_unit_test(T1_an_awaited_task_does_not_jump_the_queue),
    cmocka_unit_test(T18_a_yield_takes_exactly_one_turn),
    cmocka_unit_test(T18_sleeping_zero_is_a_yield),
    cmocka_unit_test(R2_timers_fire_by_deadline),
    cmocka_unit_test(R2_equal_sleeps_end_in_the_order_they_began),
    cmocka_unit_test(code_between_two_awaits_is_atomic),
    cmocka_unit_test(nothing_runs_while_the_task_does_not_suspend),
    cmocka_unit_test(there_is_one_worker_and_it_is_0),
    cmocka_unit_test(no_task_runs_on_its_awaiters_stack),
    cmocka_unit_test(two_runs_take_the_same_steps),
    cmocka_unit_test(a_task_that_never_has_to_wait_keeps_running),
    cmocka_unit_test(a_hog_stops_the_timers_as_in_asyncio),
    cmocka_unit_test(R3_tasks_from_a_foreign_thread_run_in_the_order_of_their_submission),
    cmocka_unit_test(a_task_submitted_from_a_task_queues_up_like_a_spawned_one),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
