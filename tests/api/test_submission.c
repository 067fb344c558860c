/* Submissions: tasks of plain threads, which wait for their results, with a limit and with cancels. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "log_capture.h"
#include "task_test.h"
#include "threads.h"

/* A run in which another thread does the talking: it ends when that has. */
struct talk {
  void (*fn)(struct talk *t);
  weft_runtime rt;
  struct latch over, begun, go;
  struct log_capture log;
};

static struct talk talk;

static void *thread_main(void *arg) {
  struct talk *t = arg;
  t->fn(t);
  latch_hit(&t->over);
  return NULL;
}

static int host(void *arg) {
  struct talk *t = arg;
  pthread_t thread;
  t->rt = weft_runtime_current();
  CHECK_INT(weft__sys_thread_create(&thread, NULL, thread_main, t), 0);
  int r = latch_wait(&t->over, 1);
  weft__sys_thread_join(thread);
  return r;
}

static void run_talk(void (*fn)(struct talk *t)) {
  talk = (struct talk){.fn = fn, .log = LOG_CAPTURE_INIT};
  CHECK_INT(weft_run(host, &talk, &(weft_run_opts){.log = log_capture_line, .log_arg = &talk.log}),
            0);
}

#define P5_TEST(name)                                                                              \
  static void name##_talk(struct talk *t);                                                         \
  static void name(void **state) {                                                                 \
    (void)state;                                                                                   \
    run_talk(name##_talk);                                                                         \
  }                                                                                                \
  static void name##_talk(struct talk *t)

static int go_when_told(void *arg) {
  struct talk *t = arg;
  latch_hit(&t->begun);
  int r = latch_wait(&t->go, 1);
  return r < 0 ? r : 7;
}

static int refuse_the_cancel(void *arg) {
  struct talk *t = arg;
  latch_hit(&t->begun);
  while (latch_wait(&t->go, 1) < 0) weft_cancel_catch();
  return 9;
}

static int copied(void *arg) {
  return *(int *)arg + 1;
}

P5_TEST(P5_a_thread_waits_for_the_result) {
  int n = 4, code = 0;
  weft_submission *s = NULL;
  CHECK_INT(weft_submit_wait(t->rt, return_seven, NULL, NULL, WEFT_FOREVER), 7);
  CHECK_INT(weft_submit_wait(t->rt, return_own_error, NULL, NULL, weft_sec(60)), OWN_ERROR);
  CHECK_INT(weft_submit_start(t->rt, copied, &n, &(weft_spawn_opts){.arg_size = sizeof n}, &s), 0);
  if (!CHECK(s != NULL)) return;
  n = 40; /* the copy is the task's */
  CHECK_INT(weft_submission_wait(s, WEFT_FOREVER, &code), 0);
  CHECK_INT(code, 5);
  CHECK_INT(weft_submission_done(s), 1);
  CHECK_INT(weft_submission_cancel(s), 0);
  code = 0;
  CHECK_INT(weft_submission_wait(s, 0, &code), 0); /* again, and without waiting */
  CHECK_INT(code, 5);
  CHECK_INT(weft_submission_wait(s, 0, NULL), 0);
  weft_submission_free(s);
  weft_submission_free(NULL);
  CHECK_INT(t->log.total, 0);
}

P5_TEST(P5_a_limit_passes_and_the_task_goes_on) {
  weft_submission *s = NULL;
  int code = -1;
  CHECK_INT(weft_submit_start(t->rt, go_when_told, t, NULL, &s), 0);
  if (!CHECK(s != NULL)) return;
  latch_wait_thread(&t->begun, 1);
  CHECK_INT(weft_submission_wait(s, 0, &code), WEFT_ETIMEDOUT);
  CHECK_INT(weft_submission_wait(s, -1, &code), WEFT_ETIMEDOUT);
  CHECK_INT(weft_submission_wait(s, weft_ms(1), &code), WEFT_ETIMEDOUT);
  CHECK_INT(weft_submission_done(s), 0);
  CHECK_INT(code, -1);
  latch_hit(&t->go);
  CHECK_INT(weft_submission_wait(s, weft_sec(3600), &code), 0);
  CHECK_INT(code, 7);
  weft_submission_free(s);
}

P5_TEST(P5_a_thread_cancels_its_task) {
  weft_submission *s = NULL;
  int code = 0;
  CHECK_INT(weft_submit_start(t->rt, go_when_told, t, NULL, &s), 0);
  if (!CHECK(s != NULL)) return;
  latch_wait_thread(&t->begun, 1);
  CHECK_INT(weft_submission_cancel(s), 1);
  CHECK_INT(weft_submission_wait(s, WEFT_FOREVER, &code), 0);
  CHECK_INT(code, WEFT_ECANCELED);
  weft_submission_free(s);
  /* Before it has begun, mostly: then it never does. */
  CHECK_INT(weft_submit_start(t->rt, go_when_told, t, NULL, &s), 0);
  CHECK_INT(weft_submission_cancel(s), 1);
  CHECK_INT(weft_submission_wait(s, WEFT_FOREVER, &code), 0);
  CHECK_INT(code, WEFT_ECANCELED);
  weft_submission_free(s);
  CHECK_INT(t->log.total, 0);
}

P5_TEST(P5_submit_wait_cancels_at_its_limit) {
  CHECK_INT(weft_submit_wait(t->rt, go_when_told, t, NULL, weft_ms(1)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_submit_wait(t->rt, go_when_told, t, NULL, 0), WEFT_ETIMEDOUT);
  CHECK_INT(weft_submit_wait(t->rt, hit_and_park, &t->begun, NULL, weft_ms(1)), WEFT_ETIMEDOUT);
}

static int refuse_a_little(void *arg) {
  int r = hit_and_park(arg);
  weft_cancel_catch();
  return r == WEFT_ECANCELED ? 9 : 1;
}

P5_TEST(P5_submit_wait_returns_what_the_task_made_of_its_cancel) {
  const weft_spawn_opts opts = {.name = "refuses"};
  int r = weft_submit_wait(t->rt, refuse_a_little, &t->begun, &opts, weft_ms(20));
  CHECK_INT(r, latch_hits(&t->begun) ? 9 : WEFT_ETIMEDOUT);
}

/* ---- given up ---- */

static int fail_when_told(void *arg) {
  int r = go_when_told(arg);
  latch_hit(&((struct talk *)arg)->begun);
  return r < 0 ? r : OWN_ERROR;
}

P5_TEST(P5_a_task_that_is_given_up_goes_on_and_its_failure_is_reported) {
  weft_submission *s = NULL;
  CHECK_INT(weft_submit_start(t->rt, fail_when_told, t, &(weft_spawn_opts){.name = "given up"}, &s),
            0);
  latch_wait_thread(&t->begun, 1);
  weft_submission_free(s);
  latch_hit(&t->go);
  latch_wait_thread(&t->begun, 2);
  while (log_capture_count(&t->log, "given up") == 0) latch_turn_thread();
  CHECK_INT(log_capture_count(&t->log, "given up"), 1);
}

P5_TEST(P5_a_failure_that_nobody_reads_is_reported) {
  weft_submission *s = NULL;
  CHECK_INT(weft_submit_start(t->rt, return_own_error, NULL, NULL, &s), 0);
  while (!weft_submission_done(s)) latch_turn_thread();
  weft_submission_free(s);
  CHECK_INT(log_capture_count(&t->log, "nobody read it"), 1);
  CHECK_INT(t->log.total, 1);
}

/* ---- the wrong place ---- */

static int wait_in_a_task(void *arg) {
  weft_submission *s = NULL;
  weft_runtime rt = weft_runtime_current();
  (void)arg;
  CHECK_INT(weft_submit_wait(rt, return_zero, NULL, NULL, WEFT_FOREVER), WEFT_EDEADLK);
  CHECK_INT(weft_submit_start(rt, return_zero, NULL, NULL, &s), 0); /* that may be done */
  CHECK_INT(weft_submission_wait(s, 0, NULL), WEFT_EDEADLK);
  int r = 0, rounds = 0;
  while (!weft_submission_done(s) && (r = latch_turn(&rounds)) == 0) {}
  weft_submission_free(s);
  return r;
}

static void P5_a_task_may_not_wait_like_a_thread(void **state) {
  (void)state;
  CHECK_INT(weft_run(wait_in_a_task, NULL, NULL), 0);
}

static int call_back(void *arg) {
  return weft_submit_wait(*(weft_runtime *)arg, return_seven, NULL, NULL, WEFT_FOREVER);
}

static int offload(void *arg) {
  weft_runtime rt = weft_runtime_current();
  (void)arg;
  return weft_to_thread(call_back, &rt);
}

static void P5_a_job_of_a_pool_thread_may_wait(void **state) {
  (void)state;
  CHECK_INT(weft_run(offload, NULL, NULL), 7);
}

static void P5_bad_submissions_are_refused(void **state) {
  weft_submission *s = NULL;
  weft_runtime none = {0};
  (void)state;
  CHECK_INT(weft_submit_start(none, return_zero, NULL, NULL, &s), WEFT_ECLOSED);
  CHECK_INT(weft_submit_wait(none, return_zero, NULL, NULL, WEFT_FOREVER), WEFT_ECLOSED);
  CHECK_INT(weft_submit_start(none, NULL, NULL, NULL, &s), WEFT_EINVAL);
  CHECK_INT(weft_submit_start(none, return_zero, NULL, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_submit_start(none, return_zero, NULL, &(weft_spawn_opts){.pinned = true}, &s),
            WEFT_EINVAL);
  CHECK_PTR(s, NULL);
}

/* ---- the runtime ends meanwhile ---- */

enum { WAITERS = 3 };

struct ending {
  weft_runtime rt;
  struct latch begun, told;
  pthread_t thread[WAITERS];
  int answer[WAITERS], code[WAITERS];
  atomic_int next;
};

static struct ending ending;

static void *wait_to_the_end(void *arg) {
  struct ending *e = arg;
  int i = atomic_fetch_add(&e->next, 1);
  weft_submission *s = NULL;
  e->answer[i] = weft_submit_start(e->rt, hit_and_park, &e->begun, NULL, &s);
  if (e->answer[i] == 0) e->answer[i] = weft_submission_wait(s, WEFT_FOREVER, &e->code[i]);
  weft_submission_free(s);
  latch_hit(&e->told);
  return NULL;
}

static int end_among_waiters(void *arg) {
  struct ending *e = arg;
  e->rt = weft_runtime_current();
  for (int i = 0; i < WAITERS; i++)
    CHECK_INT(weft__sys_thread_create(&e->thread[i], NULL, wait_to_the_end, e), 0);
  return latch_wait(&e->begun, WAITERS);
}

static void P5_the_end_of_the_runtime_cancels_what_threads_wait_for(void **state) {
  (void)state;
  memset(&ending, 0, sizeof ending);
  CHECK_INT(weft_run(end_among_waiters, &ending, NULL), 0);
  latch_wait_thread(&ending.told, counts_simulated() ? 0 : WAITERS);
  for (int i = 0; i < WAITERS; i++) {
    thread_join(ending.thread[i]);
    if (counts_simulated() && latch_hits(&ending.told) < WAITERS)
      continue; /* has had no turn since */
    CHECK_INT(ending.answer[i], 0);
    CHECK_INT(ending.code[i], WEFT_ECANCELED);
  }
  CHECK_INT(weft_submit_wait(ending.rt, return_zero, NULL, NULL, WEFT_FOREVER), WEFT_ECLOSED);
}

struct storm {
  weft_runtime rt;
  pthread_t thread[WAITERS];
  atomic_int answers[WAITERS];
  struct latch closed, begun;
  atomic_int ran, ended;
};

static struct storm storm;

static int count_up(void *arg) {
  atomic_fetch_add((atomic_int *)arg, 1);
  return 3;
}

static void *submit_until_closed(void *arg) {
  int r;
  struct storm *s = arg;
  do {
    r = weft_submit_wait(s->rt, count_up, &s->ran, NULL, WEFT_FOREVER);
    CHECK(r == 3 || r == WEFT_ECANCELED || r == WEFT_ECLOSED);
    if (r == 3) atomic_fetch_add(&s->ended, 1);
    latch_hit(&s->begun);
  } while (r != WEFT_ECLOSED);
  latch_hit(&s->closed);
  return NULL;
}

static int end_in_a_storm(void *arg) {
  struct storm *s = arg;
  s->rt = weft_runtime_current();
  for (int i = 0; i < WAITERS; i++)
    CHECK_INT(weft__sys_thread_create(&s->thread[i], NULL, submit_until_closed, s), 0);
  int r = latch_wait(&s->begun, 20);
  for (unsigned n = weft_sim_random(8); n > 0 && r == 0; n--) r = weft_yield();
  return r;
}

static void P5_threads_submit_and_wait_while_the_runtime_ends(void **state) {
  (void)state;
  for (int i = 0; i < (counts_simulated() ? 1 : COUNT_RUNS / 4); i++) {
    memset(&storm, 0, sizeof storm);
    CHECK_INT(weft_run(end_in_a_storm, &storm, NULL), 0);
    for (int k = 0; k < WAITERS; k++) thread_join(storm.thread[k]);
    if (counts_simulated()) break;
    CHECK_INT(latch_hits(&storm.closed), WAITERS);
    /* One that returns while it is being cancelled ends cancelled. */
    CHECK(atomic_load(&storm.ran) >= atomic_load(&storm.ended));
    if (weft_test_failed()) break;
  }
}

/* Real threads and time: the one that is left behind goes on when the run has given it up. */
static void *wait_for_the_stubborn(void *arg) {
  int r = weft_submit_wait(talk.rt, refuse_the_cancel, arg, NULL, WEFT_FOREVER);
  CHECK_INT(r, WEFT_ECLOSED);
  return NULL;
}

static int leave_the_stubborn(void *arg) {
  talk.rt = weft_runtime_current();
  CHECK_INT(pthread_create(arg, NULL, wait_for_the_stubborn, &talk), 0);
  return latch_wait(&talk.begun, 1);
}

static void P5_who_waits_for_a_task_that_is_left_behind_is_told(void **state) {
  pthread_t thread;
  (void)state;
  talk = (struct talk){.log = LOG_CAPTURE_INIT};
  weft_run_opts opts = {.shutdown_timeout = weft_ms(30), .log = log_capture_line};
  opts.log_arg = &talk.log;
  CHECK_INT(weft_run(leave_the_stubborn, &thread, &opts), WEFT_ETIMEDOUT);
  pthread_join(thread, NULL);
  latch_hit(&talk.go);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(P5_a_thread_waits_for_the_result),
    cmocka_unit_test(P5_a_limit_passes_and_the_task_goes_on),
    cmocka_unit_test(P5_a_thread_cancels_its_task),
    cmocka_unit_test(P5_submit_wait_cancels_at_its_limit),
    cmocka_unit_test(P5_submit_wait_returns_what_the_task_made_of_its_cancel),
    cmocka_unit_test(P5_a_task_that_is_given_up_goes_on_and_its_failure_is_reported),
    cmocka_unit_test(P5_a_failure_that_nobody_reads_is_reported),
    cmocka_unit_test(P5_a_task_may_not_wait_like_a_thread),
    cmocka_unit_test(P5_a_job_of_a_pool_thread_may_wait),
    cmocka_unit_test(P5_bad_submissions_are_refused),
    cmocka_unit_test(P5_the_end_of_the_runtime_cancels_what_threads_wait_for),
    cmocka_unit_test(P5_threads_submit_and_wait_while_the_runtime_ends),
    cmocka_unit_test(P5_who_waits_for_a_task_that_is_left_behind_is_told),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
