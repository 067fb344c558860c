/* A task that changes threads: errno, thread-locals, and what the runtime itself keeps per thread.
 *
 * Compilers take the address of errno and of a thread-local for a constant of the function and keep
 * it across a call, so a function that reads errno before and after a suspension may read the old
 * thread's. Hence the tests look through functions that cannot be inlined: what they show is that
 * the runtime keeps errno per task, and that it never fell into that trap itself. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"
#include "threads.h"

/* Simulated threads have one errno between them, kept at each switch: not a race. */
#define ERRNO_ACCESS __attribute__((noinline, no_sanitize("thread")))

ERRNO_ACCESS static int get_errno(void) {
  __asm__ volatile("");
  return errno;
}

ERRNO_ACCESS static void set_errno(int value) {
  __asm__ volatile("");
  errno = value;
}

static bool moves_always(void) {
  const char *migrate = getenv("WEFT_MIGRATE");
  return migrate && strcmp(migrate, "1") == 0 && weft_worker_count() > 1;
}

/* ---- the test mode itself ---- */

struct travel {
  int moves, suspensions;
};

static int travel(void *arg) {
  struct travel *t = arg;
  for (int i = 0; i < 200; i++) {
    long before = thread_id();
    int r = i % 4 ? weft_yield() : weft_sleep(weft_us(30));
    if (r < 0) return r;
    t->suspensions++;
    t->moves += thread_id() != before;
  }
  return 0;
}

TASK_TEST(with_WEFT_MIGRATE_a_task_moves_at_its_suspensions) {
  struct travel t[8] = {0};
  weft_group g = WEFT_GROUP_INIT;
  int moves = 0, suspensions = 0;
  for (int i = 0; i < 8; i++) weft_group_spawn(&g, travel, &t[i], NULL);
  CHECK_INT(weft_group_join(&g), 0);
  for (int i = 0; i < 8; i++) {
    moves += t[i].moves;
    suspensions += t[i].suspensions;
  }
  CHECK_INT(suspensions, 1600);
  if (moves_always()) CHECK(moves > suspensions * 9 / 10);
  if (weft_worker_count() == 1) CHECK(moves < suspensions / 10); /* a reserve may have helped out */
}

/* ---- errno ---- */

static int keep_errno(void *arg) {
  int mine = *(int *)arg;
  for (int i = 0; i < (counts_simulated() ? 30 : 300); i++) {
    set_errno(mine + i);
    int r = i % 8 ? weft_yield() : weft_sleep(weft_us(20));
    if (r < 0) return r;
    if (!CHECK_INT(get_errno(), mine + i)) return OWN_ERROR;
  }
  return 0;
}

TASK_TEST(errno_is_a_tasks_own_across_its_suspensions) {
  enum { N = 16 };
  int base[N];
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < N; i++) {
    base[i] = 1000 * (i + 1);
    weft_group_spawn(&g, keep_errno, &base[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
}

static int set_and_return(void *arg) {
  set_errno(*(int *)arg);
  return weft_yield();
}

TASK_TEST(errno_survives_an_await_of_a_task_that_sets_its_own) {
  int theirs = 77;
  /* The second has a stack of its own, so it never runs on its awaiter's. */
  const weft_spawn_opts opts[2] = {{0}, {.stack_size = 64 * 1024}};
  for (int i = 0; i < count(200); i++) {
    set_errno(500 + i);
    CHECK_INT(weft_await(weft_spawn(set_and_return, &theirs, &opts[i % 2])), 0);
    if (!CHECK_INT(get_errno(), 500 + i)) return;
  }
}

static int set_errno_in_a_job(void *arg) {
  set_errno(*(int *)arg);
  return 0;
}

TASK_TEST(errno_survives_a_blocking_job) {
  int theirs = 78;
  for (int i = 0; i < 50; i++) {
    set_errno(600 + i);
    CHECK_INT(weft_to_thread(set_errno_in_a_job, &theirs), 0);
    if (!CHECK_INT(get_errno(), 600 + i)) return;
  }
}

TASK_TEST(no_call_reports_through_errno) {
  weft_task t = weft_spawn(return_zero, NULL, NULL);
  set_errno(123);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(t), WEFT_ESTALE);
  CHECK_INT(weft_cancel(t), WEFT_ESTALE);
  CHECK_INT(weft_task_error(weft_spawn(NULL, NULL, NULL)), WEFT_EINVAL);
  CHECK_INT(weft_yield(), 0);
  CHECK_INT(get_errno(), 123);
}

/* ---- thread-locals ---- */

/* Which thread this is, as its own thread-local knows it. */
static _Thread_local long local_id;

__attribute__((noinline)) static long *local_address(void) {
  __asm__ volatile("");
  return &local_id;
}

static int read_thread_locals(void *arg) {
  (void)arg;
  for (int i = 0; i < 300; i++) {
    *local_address() = thread_id();
    int r = i % 8 ? weft_yield() : weft_sleep(weft_us(20));
    if (r < 0) return r;
    *local_address() = thread_id();
    /* Nothing was suspended since: it is this thread's and nobody else's. */
    if (!CHECK_INT(*local_address(), thread_id())) return OWN_ERROR;
  }
  return 0;
}

TASK_TEST(a_thread_local_read_afresh_is_the_current_threads) {
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 16; i++) weft_group_spawn(&g, read_thread_locals, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
}

/* ---- what the runtime keeps per thread ---- */

/* All in one function at full optimisation: calls before and after the suspension that read the
 * runtime's thread-locals. Had the compiler kept an address, these would be the old worker's. */
static int ask_before_and_after(void *arg) {
  int seen[WEFT_WORKERS_MAX] = {0};
  long thread_of[WEFT_WORKERS_MAX][2];
  (void)arg;
  for (int i = 0; i < (counts_simulated() ? 30 : 300); i++) {
    weft_task before = weft_current();
    int r = i % 8 ? weft_yield() : weft_sleep(weft_us(20));
    if (r < 0) return r;
    weft_task after = weft_current();
    int worker = weft_worker_id();
    bool same = before.slot_ == after.slot_ && before.key_ == after.key_;
    if (!CHECK(same) || !CHECK(worker >= 0)) return OWN_ERROR;
    /* A worker's index belongs to its thread and to its reserve's, and to no third. */
    long me = thread_id();
    int k = 0;
    while (k < seen[worker] && thread_of[worker][k] != me) k++;
    if (!CHECK(k < 2)) return OWN_ERROR;
    if (k == seen[worker]) thread_of[worker][seen[worker]++] = me;
  }
  return 0;
}

TASK_TEST(the_runtime_knows_the_task_and_the_worker_after_a_move) {
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 16; i++)
    weft_group_spawn(&g, ask_before_and_after, NULL, &(weft_spawn_opts){.stack_size = 64 * 1024});
  CHECK_INT(weft_group_join(&g), 0);
}

static int everything_in_one_function(void *arg) {
  int r = 0;
  (void)arg;
  for (int i = 0; i < count(50) && r == 0; i++) {
    weft_timeout s;
    weft_group g = WEFT_GROUP_INIT;
    weft_timeout_begin(&s, weft_sec(60));
    weft_task a = weft_spawn(return_seven, NULL, NULL), b = weft_spawn(return_seven, NULL, NULL);
    r = weft_yield();
    weft_group_spawn(&g, return_zero, NULL, NULL);
    r = r ? r : weft_sleep(weft_us(10));
    weft_shield_begin();
    r = r ? r : weft_await(a) - 7;
    weft_shield_end();
    r = r ? r : weft_task_wait(b, NULL);
    r = r ? r : weft_await(b) - 7;
    r = r ? r : weft_group_join(&g);
    r = weft_timeout_end(&s, r);
  }
  return r;
}

TASK_TEST(every_call_works_after_a_move_in_the_same_function) {
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 16; i++) weft_group_spawn(&g, everything_in_one_function, NULL, NULL);
  CHECK_INT(weft_group_join(&g), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(with_WEFT_MIGRATE_a_task_moves_at_its_suspensions),
    cmocka_unit_test(errno_is_a_tasks_own_across_its_suspensions),
    cmocka_unit_test(errno_survives_an_await_of_a_task_that_sets_its_own),
    cmocka_unit_test(errno_survives_a_blocking_job),
    cmocka_unit_test(no_call_reports_through_errno),
    cmocka_unit_test(a_thread_local_read_afresh_is_the_current_threads),
    cmocka_unit_test(the_runtime_knows_the_task_and_the_worker_after_a_move),
    cmocka_unit_test(every_call_works_after_a_move_in_the_same_function),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
