/* The threads of the blocking pool, without a scheduler: how jobs travel, and the end. How many
 * threads there are is in test_blocking_growth.c. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/sys.h"
#include "blocking_test.h"
#include "counts.h"

enum { HELD = 40 };

/* A pool whose thread is in a job that blocks and holds others that it took together with it. */
struct batch {
  struct weft__blocking pool;
  struct latch begun;
  struct latch over;
  atomic_bool gate;
  struct probe blocker;
  struct probe filler;
  struct probe jobs[HELD];
};

/* A job that submits the others: all of them wait when it is over. */
static int fill(void *arg) {
  struct probe *probe = arg;
  struct batch *b = weft__container_of(probe, struct batch, filler);
  submit(&b->pool, &b->blocker, blocking_body);
  for (int i = 0; i < HELD; i++) submit(&b->pool, &b->jobs[i], body);
  return body(arg);
}

/* Threads take one job at a time until they have seen that jobs are short. */
static bool try_batch(struct batch *b, unsigned max) {
  *b = (struct batch){.gate = false};
  pool_init(&b->pool, 1, max);
  for (int i = 1; i <= 100; i++) {
    struct probe quick = {.over = &b->over};
    submit(&b->pool, &quick, body);
    latch_wait_thread(&b->over, i);
  }
  b->blocker = (struct probe){.begun = &b->begun, .gate = &b->gate};
  for (int i = 0; i < HELD; i++) b->jobs[i] = (struct probe){.over = &b->over, .code = i};
  submit(&b->pool, &b->filler, fill);
  latch_wait_thread(&b->begun, 1);
  pthread_mutex_lock(&b->pool.lock);
  bool held = b->pool.batched == 1;
  pthread_mutex_unlock(&b->pool.lock);
  return held;
}

/* The jobs are short only if the machine lets them be. */
static void hold_batch(struct batch *b, unsigned max) {
  while (!try_batch(b, max)) {
    open_gate(&b->gate);
    pool_close(&b->pool);
  }
}

static void refuses_sizes_that_make_no_sense(void **state) {
  struct weft__blocking p;
  (void)state;
  CHECK_INT(weft__blocking_init(&p, 0, 4), WEFT_EINVAL);
  CHECK_INT(weft__blocking_init(&p, 4, 3), WEFT_EINVAL);
}

static void starts_no_thread_before_the_first_job(void **state) {
  struct weft__blocking p;
  (void)state;
  weft__sys_count();
  pool_init(&p, 2, 8);
  next_tick(&p);
  CHECK_UINT(stats_of(&p).threads, 0);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_thread_create), 0);
  pool_close(&p);
  weft__sys_clear();
}

static void runs_a_job_and_hands_over_its_code(void **state) {
  struct weft__blocking p;
  struct latch over = {0};
  struct probe probe = {.over = &over, .code = 7};
  (void)state;
  pool_init(&p, 2, 8);
  submit(&p, &probe, body);
  latch_wait_thread(&over, 1);
  CHECK_INT(probe.job.code, 7);
  CHECK_INT(atomic_load(&probe.ran), 1);
  CHECK_UINT(stats_of(&p).threads, 1);
  CHECK_INT(atomic_load(&ticks_wanted), 0);
  pool_close(&p);
}

enum { SUBMITTERS = 4 };

struct submitter {
  struct weft__blocking *pool;
  struct probe *probes;
  int n;
  pthread_t thread;
};

static void *submit_many(void *arg) {
  struct submitter *s = arg;
  for (int i = 0; i < s->n; i++) submit(s->pool, &s->probes[i], body);
  return NULL;
}

static void runs_every_job_of_many_threads_exactly_once(void **state) {
  struct weft__blocking p;
  struct submitter submitters[SUBMITTERS];
  struct latch over = {0};
  (void)state;
  pool_init(&p, 3, 8);
  for (int k = 0; k < SUBMITTERS; k++) {
    submitters[k] = (struct submitter){.pool = &p, .n = COUNT_RACES / SUBMITTERS};
    struct submitter *s = &submitters[k];
    s->probes = calloc((size_t)s->n, sizeof *s->probes);
    if (!CHECK(s->probes)) return;
    for (int i = 0; i < s->n; i++) s->probes[i] = (struct probe){.over = &over, .code = i};
    CHECK_INT(pthread_create(&s->thread, NULL, submit_many, s), 0);
  }
  for (int k = 0; k < SUBMITTERS; k++) pthread_join(submitters[k].thread, NULL);
  tick_until(&p, &over, SUBMITTERS * (COUNT_RACES / SUBMITTERS));
  for (int k = 0; k < SUBMITTERS; k++) {
    for (int i = 0; i < submitters[k].n && !weft_test_failed(); i++)
      CHECK_INT(atomic_load(&submitters[k].probes[i].ran), 1);
    CHECK_UINT(stats_of(&p).waiting, 0);
  }
  pool_close(&p);
  for (int k = 0; k < SUBMITTERS; k++) free(submitters[k].probes);
}

static int order_next;

static int note_order(void *arg) {
  struct probe *probe = arg;
  return probe->code == order_next++ ? body(arg) : -1;
}

static void begins_jobs_in_the_order_of_their_submission(void **state) {
  enum { N = 500 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch over = {0};
  (void)state;
  memset(probes, 0, sizeof probes);
  order_next = 0;
  pool_init(&p, 1, 1);
  for (int i = 0; i < N; i++) {
    probes[i].over = &over;
    probes[i].code = i;
    submit(&p, &probes[i], note_order);
  }
  latch_wait_thread(&over, N);
  pool_close(&p);
}

static void a_job_does_not_wait_for_one_that_blocks_in_its_batch(void **state) {
  static struct batch b;
  (void)state;
  hold_batch(&b, 2);
  tick_until(&b.pool, &b.over, 100 + HELD);
  CHECK_UINT(stats_of(&b.pool).threads, 2);
  CHECK(next_tick(&b.pool)); /* the batch is not over */
  open_gate(&b.gate);
  while (next_tick(&b.pool)) {} /* until it is */
  CHECK_UINT(stats_of(&b.pool).waiting, 0);
  pool_close(&b.pool);
}

static void jobs_are_counted_wherever_their_thread_is(void **state) {
  enum { HOT = 3 };
  static struct probe probes[HOT];
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  atomic_bool gate = false;
  (void)state;
  pool_init(&p, HOT, HOT);
  for (int round = 1; round <= 2; round++) {
    atomic_store(&gate, false);
    for (int i = 0; i < HOT; i++) {
      probes[i] = (struct probe){.begun = &begun, .over = &over, .gate = &gate};
      submit(&p, &probes[i], blocking_body);
    }
    latch_wait_thread(&begun, round * HOT);
    CHECK_UINT(stats_of(&p).finished, (round - 1) * HOT); /* in a job */
    open_gate(&gate);
    latch_wait_thread(&over, round * HOT);
    while (stats_of(&p).awake > 0) sched_yield();
    CHECK_UINT(stats_of(&p).finished, round * HOT); /* idle */
  }
  pool_close(&p);
}

static void a_job_that_waits_can_be_withdrawn(void **state) {
  static struct batch b;
  (void)state;
  hold_batch(&b, 1);
  CHECK(!weft__blocking_withdraw(&b.pool, &b.filler.job));
  CHECK(!weft__blocking_withdraw(&b.pool, &b.blocker.job));
  for (int i = 0; i < HELD; i += 2) CHECK(weft__blocking_withdraw(&b.pool, &b.jobs[i].job));
  CHECK_UINT(stats_of(&b.pool).waiting, HELD / 2);
  open_gate(&b.gate);
  pool_close(&b.pool);
  for (int i = 0; i < HELD; i++) CHECK_INT(atomic_load(&b.jobs[i].ran), i % 2);
}

static void a_job_is_either_withdrawn_or_run(void **state) {
  enum { WINDOW = 64 };
  static struct probe probes[WINDOW];
  struct weft__blocking p;
  struct latch over = {0};
  int withdrawn = 0, rounds = COUNT_RACES / WINDOW;
  (void)state;
  pool_init(&p, 2, 2);
  for (int k = 0; k < rounds && !weft_test_failed(); k++) {
    int back = 0;
    for (int i = 0; i < WINDOW; i++) {
      atomic_store(&probes[i].ran, 0);
      probes[i].over = &over;
      submit(&p, &probes[i], body);
    }
    bool mine[WINDOW];
    for (int i = 0; i < WINDOW; i++)
      back += mine[i] = i % 3 ? weft__blocking_withdraw(&p, &probes[(i + k) % WINDOW].job) : false;
    withdrawn += back;
    latch_wait_thread(&over, (k + 1) * WINDOW - withdrawn);
    for (int i = 0; i < WINDOW; i++)
      CHECK_INT(atomic_load(&probes[(i + k) % WINDOW].ran), mine[i] ? 0 : 1);
  }
  pool_close(&p);
  CHECK_INT(latch_hits(&over), rounds * WINDOW - withdrawn);
}

static void a_burst_wakes_each_thread_once(void **state) {
  enum { N = 1000, HOT = 2 };
  static struct probe probes[N], holders[HOT];
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  atomic_bool gate = false;
  (void)state;
  pool_init(&p, HOT, HOT);
  for (int i = 0; i < HOT; i++) {
    holders[i] = (struct probe){.begun = &begun, .gate = &gate};
    submit(&p, &holders[i], blocking_body);
  }
  latch_wait_thread(&begun, HOT);
  weft__sys_count();
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.over = &over};
    submit(&p, &probes[i], body);
  }
  CHECK_UINT(weft__sys_calls(WEFT__SYS_futex_wake), 0); /* nobody is idle */
  open_gate(&gate);
  latch_wait_thread(&over, N);
  CHECK(weft__sys_calls(WEFT__SYS_futex_wake) <= (uint64_t)HOT);
  weft__sys_clear();
  CHECK_INT(atomic_load(&ticks_wanted), 1);
  pool_close(&p);
}

/* How many threads two hundred short jobs get, fifty at a time. */
static unsigned threads_for_short_jobs(void) {
  enum { N = 200 };
  static struct probe probes[N];
  struct weft__blocking p;
  struct latch over = {0};
  pool_init(&p, 4, 4);
  p.each = 10; /* as if it had seen many */
  for (int i = 0; i < N; i++) {
    probes[i] = (struct probe){.over = &over};
    submit(&p, &probes[i], body);
    if (i % 50 == 49) latch_wait_thread(&over, i + 1);
  }
  unsigned threads = stats_of(&p).peak;
  pool_close(&p);
  return threads;
}

/* A second thread would cost more than it brings. A job that is preempted looks long; sooner or
 * later none is. */
static void jobs_that_are_over_at_once_are_left_to_one_thread(void **state) {
  (void)state;
  while (threads_for_short_jobs() > 1) {}
}

static int look_at_own_thread(void *arg) {
  struct probe *probe = arg;
  char name[16];
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  CHECK(sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGCHLD) == 1 &&
        sigismember(&blocked, SIGUSR1) == 1);
  CHECK_INT(pthread_getname_np(pthread_self(), name, sizeof name), 0);
  CHECK_STR(name, "weft-block-0");
  return body(probe);
}

static void its_threads_have_names_and_take_no_signals(void **state) {
  struct weft__blocking p;
  struct probe probe = {.code = 0};
  sigset_t before, after;
  (void)state;
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  pool_init(&p, 1, 1);
  submit(&p, &probe, look_at_own_thread);
  pool_close(&p);
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  CHECK_INT(atomic_load(&probe.ran), 1);
  for (int s = 1; s < NSIG; s++) CHECK_INT(sigismember(&after, s), sigismember(&before, s));
}

static void a_job_fails_only_when_there_is_no_thread_at_all(void **state) {
  struct weft__blocking p;
  struct latch begun = {0}, over = {0};
  atomic_bool gate = false;
  struct probe first = {.begun = &begun, .over = &over, .gate = &gate}, second = {.over = &over};
  (void)state;
  pool_init(&p, 2, 4);
  first.job = (struct weft__job){.fn = blocking_body, .arg = &first, .done = probe_done};
  weft__sys_fail(WEFT__SYS_thread_create, 1, WEFT_EAGAIN, false);
  CHECK_INT(weft__blocking_submit(&p, &first.job), WEFT_EAGAIN);
  weft__sys_clear();
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  int r = weft__blocking_submit(&p, &first.job);
  weft__memory_fail_end();
  /* The memory of a thread is kept after a failed start. */
  CHECK(r == 0 || r == WEFT_ENOMEM);
  if (r < 0) CHECK_INT(weft__blocking_submit(&p, &first.job), 0);
  latch_wait_thread(&begun, 1);
  weft__sys_fail(WEFT__SYS_thread_create, 1, WEFT_EAGAIN, true);
  submit(&p, &second, body); /* waits for the thread there is */
  for (int i = 0; i < 5; i++) CHECK(next_tick(&p));
  CHECK_UINT(stats_of(&p).threads, 1);
  open_gate(&gate);
  latch_wait_thread(&over, 2);
  weft__sys_clear();
  pool_close(&p);
  CHECK_INT(atomic_load(&first.ran), 1);
}

static void close_runs_what_was_accepted_and_refuses_the_rest(void **state) {
  enum { N = 100000 };
  struct weft__blocking p;
  struct latch begun = {0};
  atomic_bool gate = false;
  struct probe holder = {.begun = &begun, .gate = &gate};
  struct probe *probes = calloc(N, sizeof *probes);
  pthread_t closer;
  int accepted = 0, r = 0;
  (void)state;
  if (!CHECK(probes)) return;
  pool_init(&p, 1, 1);
  submit(&p, &holder, blocking_body);
  latch_wait_thread(&begun, 1);
  CHECK_INT(pthread_create(&closer, NULL, close_for_ever, &p), 0);
  while (accepted < N) {
    struct probe *probe = &probes[accepted];
    probe->job = (struct weft__job){.fn = body, .arg = probe, .done = probe_done};
    if ((r = weft__blocking_submit(&p, &probe->job)) < 0) break;
    accepted++;
    sched_yield();
  }
  CHECK_INT(r, WEFT_ECLOSED);
  open_gate(&gate);
  pthread_join(closer, NULL);
  for (int i = 0; i < N && !weft_test_failed(); i++)
    CHECK_INT(atomic_load(&probes[i].ran), i < accepted);
  free(probes);
}

static void close_gives_up_at_its_deadline(void **state) {
  static struct weft__blocking p; /* outlives the test: its threads do */
  static struct latch begun, over;
  static atomic_bool gate;
  static struct probe holder, waiting;
  (void)state;
  pool_init(&p, 1, 1);
  holder = (struct probe){.begun = &begun, .over = &over, .gate = &gate};
  waiting = (struct probe){.over = &over};
  submit(&p, &holder, blocking_body);
  latch_wait_thread(&begun, 1);
  submit(&p, &waiting, body);
  uint64_t deadline = weft__now() + 3 * WEFT__NS_PER_MS;
  CHECK_INT(weft__blocking_close(&p, deadline), WEFT_ETIMEDOUT);
  CHECK(weft__now() + WEFT__NS_PER_MS / 100 >= deadline);
  CHECK_INT(latch_hits(&over), 0);
  open_gate(&gate);
  latch_wait_thread(&over, 2);
  while (stats_of(&p).threads > 0) sched_yield();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(refuses_sizes_that_make_no_sense),
    cmocka_unit_test(starts_no_thread_before_the_first_job),
    cmocka_unit_test(runs_a_job_and_hands_over_its_code),
    cmocka_unit_test(runs_every_job_of_many_threads_exactly_once),
    cmocka_unit_test(begins_jobs_in_the_order_of_their_submission),
    cmocka_unit_test(a_job_does_not_wait_for_one_that_blocks_in_its_batch),
    cmocka_unit_test(jobs_are_counted_wherever_their_thread_is),
    cmocka_unit_test(a_job_that_waits_can_be_withdrawn),
    cmocka_unit_test(a_job_is_either_withdrawn_or_run),
    cmocka_unit_test(a_burst_wakes_each_thread_once),
    cmocka_unit_test(jobs_that_are_over_at_once_are_left_to_one_thread),
    cmocka_unit_test(its_threads_have_names_and_take_no_signals),
    cmocka_unit_test(a_job_fails_only_when_there_is_no_thread_at_all),
    cmocka_unit_test(close_runs_what_was_accepted_and_refuses_the_rest),
    cmocka_unit_test(close_gives_up_at_its_deadline),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
