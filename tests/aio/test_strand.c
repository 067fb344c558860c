/* Strands: asyncio's own rules for a part of a parallel run. What a strand's tasks share here is plain
 * memory, so that ThreadSanitizer, too, says whether one runs at a time. */
#include <stdatomic.h>
#include <weft.h>

#include "base/sys.h"
#include "core/worker.h"
#include "counts.h"
#include "task_test.h"
#include "threads.h"

/* A test whose body is the first task of a strand. */
#define STRAND_TEST(name)                                                                          \
  static void name##_strand(void);                                                                 \
  static int name##_first(void *arg) {                                                             \
    (void)arg;                                                                                     \
    name##_strand();                                                                               \
    return 5;                                                                                      \
  }                                                                                                \
  TASK_TEST(name) {                                                                                \
    filled = 0;                                                                                    \
    CHECK_INT(weft_strand_run(name##_first, NULL), 5);                                             \
  }                                                                                                \
  static void name##_strand(void)

enum { PLACES = 1024 };
static int order[PLACES], filled; /* plain: the strand's */
static int numbers[PLACES];

static int note_place(void *arg) {
  order[filled++] = *(int *)arg;
  return 0;
}

static void check_order(int n) {
  CHECK_INT(filled, n);
  filled = 0;
  for (int i = 0; i < n; i++)
    if (!CHECK_INT(order[i], i)) return;
}

static int *number(int i) {
  numbers[i] = i;
  return &numbers[i];
}

/* ---- order ---- */

STRAND_TEST(T1_tasks_of_a_strand_begin_in_the_order_of_their_creation) {
  static weft_task t[500];
  const int n = count(500);
  for (int i = 0; i < n; i++) t[i] = weft_spawn(note_place, number(i), NULL);
  CHECK_INT(filled, 0);
  CHECK_INT(weft_await(t[n - 1]), 0); /* though the newest is awaited first */
  check_order(n);
  for (int i = 0; i < n - 1; i++) CHECK_INT(weft_await(t[i]), 0);
}

STRAND_TEST(T1_an_awaited_task_of_a_strand_does_not_jump_the_queue) {
  weft_task a = weft_spawn(note_place, number(0), NULL);
  weft_task b = weft_spawn(note_place, number(1), NULL);
  CHECK_INT(weft_await(b), 0);
  CHECK_INT(weft_await(a), 0);
  check_order(2);
}

static int spawn_children(void *arg) {
  weft_group *g = arg;
  int first = filled == 0 ? 0 : 3;
  order[filled++] = first;
  CHECK_INT(weft_group_spawn(g, note_place, number(first == 0 ? 1 : 4), NULL), 0);
  CHECK_INT(weft_group_spawn(g, note_place, number(first == 0 ? 2 : 5), NULL), 0);
  return 0;
}

STRAND_TEST(T1_children_of_groups_and_of_children_begin_in_that_order_too) {
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_spawn(&g, spawn_children, &g, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  weft_group_done(&g);
  CHECK_INT(weft_group_spawn(&g, spawn_children, &g, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  check_order(6);
}

static int three_turns(void *arg) {
  int id = *(int *)arg, r = 0;
  for (int i = 0; i < 3 && r == 0; i++) {
    order[filled++] = i * 4 + id;
    r = id % 2 ? weft_yield() : weft_sleep(-id);
  }
  return r;
}

STRAND_TEST(T18_a_yield_in_a_strand_takes_exactly_one_turn) {
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 4; i++) weft_group_spawn(&g, three_turns, number(i), NULL);
  CHECK_INT(weft_group_join(&g), 0);
  check_order(12);
}

static int call_two_more(void *arg) {
  note_place(arg);
  CHECK_INT(weft_call_error(weft_call_soon(note_place, number(filled + 3))), 0);
  CHECK_INT(weft_call_error(weft_call_soon(note_place, number(filled + 4))), 0);
  return 0;
}

static void wait_until_filled(int n) {
  while (filled < n) CHECK_INT(weft_yield(), 0);
}

/* The first notes 0 and adds two behind what is there already: 1 and 2 and 3. */
STRAND_TEST(R1_callbacks_of_a_strand_run_first_in_first_out) {
  CHECK_INT(weft_call_error(weft_call_soon(call_two_more, number(0))), 0);
  for (int i = 1; i < 4; i++) weft_call_soon(note_place, number(i));
  CHECK_INT(filled, 0);
  wait_until_filled(6);
  check_order(6);
}

struct follower {
  weft_task followed;
  int place;
};

static int follow(void *arg) {
  struct follower *f = arg;
  int r = weft_task_wait(f->followed, NULL);
  order[filled++] = f->place;
  return r;
}

/* Whoever waits for one end is told in the order in which they began to wait, on a later turn. */
STRAND_TEST(F3_who_waits_for_one_end_goes_on_in_the_order_of_the_waits) {
  enum { N = 50 };
  struct follower f[N];
  weft_group g = WEFT_GROUP_INIT;
  struct latch gate = {0};
  weft_task t = weft_spawn(wait_for_latch, &gate, NULL);
  for (int i = 0; i < N; i++) {
    f[i] = (struct follower){t, i};
    weft_group_spawn(&g, follow, &f[i], NULL);
  }
  CHECK_INT(weft_yield(), 0);
  latch_hit(&gate);
  CHECK_INT(filled, 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_group_join(&g), 0);
  check_order(N);
}

struct sleeper {
  weft_ns until;
  int place;
};

static int sleep_and_note(void *arg) {
  struct sleeper *s = arg;
  int r = weft_sleep(s->until - weft_now());
  order[filled++] = s->place;
  return r;
}

/* On the way there the strand may have moved: its deadlines are in one order all the same. */
STRAND_TEST(R2_sleepers_of_a_strand_wake_by_their_deadline) {
  enum { N = 32 };
  struct sleeper s[N];
  weft_group g = WEFT_GROUP_INIT;
  weft_ns begin = weft_now() + weft_ms(counts_simulated() ? 20000 : 20 * COUNTS_SLOWER);
  weft_ns apart = weft_ms(counts_simulated() ? 500 : 2);
  for (int i = 0; i < N; i++) {
    int place = (i * 13) % N; /* every place once, shuffled */
    s[i] = (struct sleeper){.place = place, .until = begin + apart * place};
    weft_group_spawn(&g, sleep_and_note, &s[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  check_order(N);
}

/* ---- one at a time ---- */

static int plain;

static int read_burn_write(void *arg) {
  int r = 0;
  (void)arg;
  for (int i = 0; i < 20 && r == 0; i++) {
    int seen = plain;
    burn_ns(weft_us(2));
    plain = seen + 1;
    r = i % 4 == 0   ? weft_sleep(weft_us(20))
        : i % 4 == 1 ? weft_await(weft_spawn(return_zero, NULL, NULL))
                     : weft_yield();
  }
  return r;
}

STRAND_TEST(E1_between_two_awaits_nothing_else_of_the_strand_runs) {
  const int n = count(200);
  plain = 0;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < n; i++) weft_group_spawn(&g, read_burn_write, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(plain, 20 * n);
}

static int set_flag(void *arg) {
  *(bool *)arg = true;
  return 0;
}

/* Waits that need no suspension never become one, however many. */
STRAND_TEST(E1_a_task_of_a_strand_is_never_made_to_yield) {
  bool flag = false;
  weft_task ended = weft_spawn(return_zero, NULL, NULL);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_task_done(ended), 1);
  weft_task other = weft_spawn(set_flag, &flag, NULL);
  for (int i = 0; i < 1000; i++) CHECK_INT(weft_task_wait(ended, NULL), 0);
  CHECK(!flag);
  CHECK_INT(weft_await(ended), 0);
  CHECK_INT(weft_await(other), 0);
  CHECK(flag);
}

struct waiter {
  weft_task t;
  bool waits;
};

static int await_it(void *arg) {
  struct waiter *w = arg;
  w->waits = true;
  return weft_await(w->t);
}

/* A task from outside that suspends: were it run on the stack of its awaiter, the strand would stand still. */
TASK_TEST(a_strand_goes_on_while_one_of_its_tasks_awaits_one_from_outside) {
  struct latch gate = {0};
  weft_strand *s;
  if (!CHECK_INT(weft_strand_new(&s), 0)) return;
  const weft_spawn_opts in = {.strand = s};
  struct waiter w = {.t = weft_spawn(wait_for_latch, &gate, NULL)};
  weft_task a = weft_spawn(await_it, &w, &in);
  weft_task b = weft_spawn(hit_and_return, &gate, &in);
  CHECK_INT(weft_await(a), 0);
  CHECK_INT(weft_await(b), 0);
  CHECK(w.waits);
  weft_strand_free(s);
}

/* ---- who belongs to it ---- */

static int check_in(void *arg) {
  CHECK(weft_strand_in(arg));
  return 0;
}

static int check_out(void *arg) {
  CHECK(!weft_strand_in(arg));
  return 0;
}

static int spawn_all_ways(void *arg) {
  weft_strand *s = arg, *other;
  CHECK(weft_strand_in(s));
  CHECK_INT(weft_await(weft_spawn(check_in, s, NULL)), 0);
  CHECK_INT(weft_await(weft_spawn(check_in, s, &(weft_spawn_opts){.eager = true})), 0);
  CHECK_INT(weft_await(weft_spawn(check_in, s, &(weft_spawn_opts){.pinned = true})), 0);
  CHECK_INT(weft_await(weft_spawn(check_in, s, &(weft_spawn_opts){.stack_size = 65536})), 0);
  CHECK_INT(weft_await(weft_spawn(check_out, s, &(weft_spawn_opts){.parallel = true})), 0);
  CHECK_INT(
      weft_await(weft_spawn(check_out, s, &(weft_spawn_opts){.parallel = true, .eager = true})), 0);
  if (CHECK_INT(weft_strand_new(&other), 0)) {
    CHECK_INT(weft_await(weft_spawn(check_in, other, &(weft_spawn_opts){.strand = other})), 0);
    CHECK_INT(
        weft_await(weft_spawn(check_in, other, &(weft_spawn_opts){.strand = other, .eager = true})),
        0);
    weft_strand_free(other);
  }
  CHECK_INT(weft_strand_run(check_out, s), 0);
  weft_group g = WEFT_GROUP_INIT;
  CHECK_INT(weft_group_spawn(&g, check_in, s, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK(weft_strand_in(s));
  return 0;
}

TASK_TEST(what_a_task_of_a_strand_spawns_belongs_to_it_unless_told_otherwise) {
  weft_strand *s;
  if (!CHECK_INT(weft_strand_new(&s), 0)) return;
  CHECK(!weft_strand_in(s));
  CHECK(!weft_strand_in(NULL));
  CHECK_INT(weft_await(weft_spawn(spawn_all_ways, s, &(weft_spawn_opts){.strand = s})), 0);
  CHECK_INT(weft_await(weft_spawn(check_out, s, NULL)), 0);
  weft_strand_free(s);
}

/* Each keeps its worker until the other has come that far. */
static int meet(void *arg) {
  struct latch *l = arg;
  latch_hit(l);
  while (latch_hits(l) < 2) burn_ns(weft_us(20));
  return 0;
}

static int run_strand_of_meet(void *arg) {
  return weft_strand_run(meet, arg);
}

TASK_TEST(two_strands_run_at_the_same_time) {
  struct latch l = {0};
  if (weft_worker_count() < 3) return; /* the main task has one as well */
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 2; i++) weft_group_spawn(&g, run_strand_of_meet, &l, NULL);
  CHECK_INT(weft_group_join(&g), 0);
}

struct foreign {
  weft_runtime rt;
  weft_strand *s;
  struct latch *done;
  int n;
};

static int add_one(void *arg) {
  struct latch *done = arg;
  plain++;
  latch_hit(done);
  return 0;
}

static void *submit_to_strand(void *arg) {
  struct foreign *f = arg;
  const weft_spawn_opts in = {.strand = f->s, .eager = true};
  for (int i = 0; i < f->n; i++) CHECK_INT(weft_submit(f->rt, add_one, f->done, &in), 0);
  return NULL;
}

TASK_TEST(threads_outside_submit_to_a_strand) {
  enum { THREADS = 3 };
  struct latch done = {0};
  struct foreign f = {.rt = weft_runtime_current(), .done = &done, .n = count(200)};
  pthread_t threads[THREADS];
  int started = 0;
  plain = 0;
  if (!CHECK_INT(weft_strand_new(&f.s), 0)) return;
  while (started < THREADS &&
         CHECK_INT(weft__sys_thread_create(&threads[started], NULL, submit_to_strand, &f), 0))
    started++;
  CHECK_INT(latch_wait(&done, started * f.n), 0);
  CHECK_INT(plain, started * f.n);
  for (int i = 0; i < started; i++) weft__sys_thread_join(threads[i]);
  weft_strand_free(f.s);
}

/* ---- cancel and end ---- */

STRAND_TEST(T2_a_task_cancelled_while_it_waits_for_its_turn_never_runs) {
  weft_task a = weft_spawn(note_place, number(0), NULL);
  weft_task b = weft_spawn(note_place, number(1), NULL);
  weft_task c = weft_spawn(note_place, number(1), NULL);
  CHECK_INT(weft_cancel(b), 1);
  CHECK_INT(weft_await(a), 0);
  CHECK_INT(weft_await(b), WEFT_ECANCELED);
  CHECK_INT(weft_await(c), 0);
  check_order(2);
}

STRAND_TEST(a_failing_child_cancels_its_siblings_in_the_strand) {
  struct latch parked = {0};
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 10; i++) weft_group_spawn(&g, hit_and_park, &parked, NULL);
  weft_group_spawn(&g, return_own_error, NULL, NULL);
  weft_group_spawn(&g, hit_and_park, &parked, NULL);
  CHECK_INT(weft_group_join(&g), OWN_ERROR);
  CHECK_INT(latch_hits(&parked), 10); /* the last had not begun */
}

static int park_in_a_strand(void *arg) {
  return weft_strand_run(hit_and_park, arg);
}

TASK_TEST(a_cancel_of_who_awaits_a_strand_goes_to_its_first_task) {
  struct latch parked = {0};
  weft_task t = weft_spawn(park_in_a_strand, &parked, NULL);
  CHECK_INT(latch_wait(&parked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
}

static int cancel_all(void *arg) {
  weft_task *t = arg;
  for (int i = 0; i < 8; i++) CHECK_INT(weft_cancel(t[i]), 1);
  return 0;
}

/* The cancels come from another worker, so that what they make ready meets the strand at work. */
STRAND_TEST(cancels_from_outside_meet_the_strand_at_work) {
  for (int round = 0; round < count(300); round++) {
    weft_task t[8];
    struct latch parked = {0};
    for (int i = 0; i < 8; i++) t[i] = weft_spawn(hit_and_park, &parked, NULL);
    CHECK_INT(latch_wait(&parked, 4), 0);
    weft_task c = weft_spawn(cancel_all, t, &(weft_spawn_opts){.parallel = true});
    for (int i = 0; i < 8; i++) CHECK_INT(weft_await(t[i]), WEFT_ECANCELED);
    CHECK_INT(weft_await(c), 0);
  }
}

STRAND_TEST(a_timeout_in_a_strand_cuts_its_body) {
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  CHECK_INT(weft_timeout_end(&s, weft_sleep(A_LONG_TIME)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_wait_for_task(weft_spawn(hit_and_park, &(struct latch){0}, NULL), weft_ms(5)),
            WEFT_ETIMEDOUT);
}

static int leave_many(void *arg) {
  struct latch *l = arg;
  for (int i = 0; i < 5; i++) weft_detach(weft_spawn(hit_and_park, l, NULL));
  return 3;
}

static int end_with_tasks_left(void *arg) {
  CHECK_INT(weft_strand_run(leave_many, arg), 3);
  return 0;
}

static void what_a_strand_leaves_behind_ends_with_the_run(void **state) {
  struct latch l = {0};
  (void)state;
  CHECK_INT(weft_run(end_with_tasks_left, &l, NULL), 0);
}

/* ---- beside hogs and blocking calls ---- */

static int compute(void *arg) {
  (void)arg;
  for (int i = 0; i < 3; i++) {
    burn_ns(weft_ms(3));
    CHECK_INT(weft_yield(), 0);
  }
  return 0;
}

static int count_turns(void *arg) {
  int *turns = arg, r = 0;
  for (; *turns < 6 && r == 0; ++*turns) r = weft_sleep(weft_us(100));
  return r;
}

/* Hogs of the strand, and hogs beside it: it goes on, and in order. */
STRAND_TEST(hogs_in_a_strand_take_turns_with_its_other_tasks) {
  int turns = 0;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 3; i++) weft_group_spawn(&g, compute, NULL, NULL);
  for (int i = 0; i < 2; i++)
    weft_group_spawn(&g, compute, NULL, &(weft_spawn_opts){.parallel = true});
  weft_group_spawn(&g, count_turns, &turns, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(turns, 6);
}

static int tick(void *arg) {
  struct latch *ticks = arg;
  int r = 0;
  while (latch_hits(ticks) < 5 && (r = weft_sleep(weft_ms(1))) == 0) latch_hit(ticks);
  return r;
}

/* Keeps its worker until the ticks have come: where that is the only one, by way of its reserve. */
static int hog_until_ticks(void *arg) {
  struct latch *ticks = arg;
  weft_ns limit = weft_now() + weft_sec(20) * COUNTS_SLOWER;
  while (latch_hits(ticks) < 5 && weft_now() < limit) burn_ns(weft_us(20));
  CHECK_INT(latch_hits(ticks), 5);
  return 0;
}

/* Not where tasks are sent to a worker of the test mode's choice, the hog's too, nor in a simulation, in
 * which the ticker may be taken for a hog. */
STRAND_TEST(a_strand_goes_on_behind_a_hog) {
  struct latch ticks = {0};
  if (weft__self()->rt->migrate || weft_simulated()) return;
  weft_task t = weft_spawn(tick, &ticks, NULL);
  CHECK_INT(weft_yield(), 0);
  weft_task hog = weft_spawn(hog_until_ticks, &ticks, &(weft_spawn_opts){.parallel = true});
  CHECK_INT(weft_await(hog), 0);
  CHECK_INT(weft_await(t), 0);
}

static int plus_one(void *arg) {
  ++*(int *)arg;
  return 4;
}

STRAND_TEST(a_blocking_call_leaves_the_strand_to_the_others) {
  int n = 0;
  CHECK_INT(weft_to_thread(plus_one, &n), 4);
  CHECK_INT(n, 1);
}

/* ---- wrong use ---- */

static int want_foreign_strand(void *arg) {
  const weft_spawn_opts in = {.strand = arg};
  weft_task t = weft_spawn(return_zero, NULL, &in);
  CHECK_INT(weft_task_error(t), WEFT_EINVAL);
  CHECK_INT(weft_submit(weft_runtime_current(), return_zero, NULL, &in), WEFT_EINVAL);
  return 0;
}

static int make_strand(void *arg) {
  return weft_strand_new(arg);
}

static void wrong_use_of_a_strand_is_answered(void **state) {
  weft_strand *s = NULL;
  (void)state;
  CHECK_INT(weft_strand_run(return_zero, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_strand_new(&s), WEFT_ENOTASK);
  CHECK(!weft_strand_in(NULL));
  weft_strand_free(NULL);
  CHECK_INT(weft_run(make_strand, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_run(make_strand, &s, NULL), 0);
  CHECK_INT(weft_run(want_foreign_strand, s, NULL), 0); /* of a runtime that has ended */
  weft_strand_free(s);
}

STRAND_TEST(no_function_for_a_strand_is_einval) {
  CHECK_INT(weft_strand_run(NULL, NULL), WEFT_EINVAL);
}

/* ---- exact mode is one strand ---- */

static int two_turns_of_a_strand(void *arg) {
  int first = *(int *)arg;
  order[filled++] = first;
  CHECK_INT(weft_yield(), 0);
  order[filled++] = first + 2;
  return 0;
}

static int strand_of_two_turns(void *arg) {
  return weft_strand_run(two_turns_of_a_strand, arg);
}

EXACT_TEST(in_exact_mode_a_strand_changes_no_order) {
  filled = 0;
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 2; i++) weft_group_spawn(&g, strand_of_two_turns, number(i), NULL);
  CHECK_INT(weft_group_join(&g), 0);
  check_order(4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(T1_tasks_of_a_strand_begin_in_the_order_of_their_creation),
    cmocka_unit_test(T1_an_awaited_task_of_a_strand_does_not_jump_the_queue),
    cmocka_unit_test(T1_children_of_groups_and_of_children_begin_in_that_order_too),
    cmocka_unit_test(T18_a_yield_in_a_strand_takes_exactly_one_turn),
    cmocka_unit_test(R1_callbacks_of_a_strand_run_first_in_first_out),
    cmocka_unit_test(F3_who_waits_for_one_end_goes_on_in_the_order_of_the_waits),
    cmocka_unit_test(R2_sleepers_of_a_strand_wake_by_their_deadline),
    cmocka_unit_test(E1_between_two_awaits_nothing_else_of_the_strand_runs),
    cmocka_unit_test(E1_a_task_of_a_strand_is_never_made_to_yield),
    cmocka_unit_test(a_strand_goes_on_while_one_of_its_tasks_awaits_one_from_outside),
    cmocka_unit_test(what_a_task_of_a_strand_spawns_belongs_to_it_unless_told_otherwise),
    cmocka_unit_test(two_strands_run_at_the_same_time),
    cmocka_unit_test(threads_outside_submit_to_a_strand),
    cmocka_unit_test(T2_a_task_cancelled_while_it_waits_for_its_turn_never_runs),
    cmocka_unit_test(a_failing_child_cancels_its_siblings_in_the_strand),
    cmocka_unit_test(a_cancel_of_who_awaits_a_strand_goes_to_its_first_task),
    cmocka_unit_test(cancels_from_outside_meet_the_strand_at_work),
    cmocka_unit_test(a_timeout_in_a_strand_cuts_its_body),
    cmocka_unit_test(what_a_strand_leaves_behind_ends_with_the_run),
    cmocka_unit_test(hogs_in_a_strand_take_turns_with_its_other_tasks),
    cmocka_unit_test(a_strand_goes_on_behind_a_hog),
    cmocka_unit_test(a_blocking_call_leaves_the_strand_to_the_others),
    cmocka_unit_test(wrong_use_of_a_strand_is_answered),
    cmocka_unit_test(no_function_for_a_strand_is_einval),
    cmocka_unit_test(in_exact_mode_a_strand_changes_no_order),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
