/* The blocking pool, for which blocking.c, blocking_thread.c and blocking_growth.c are compiled
 * as they are: jobs that come while threads go to rest, jobs taken back, jobs reclaimed from a
 * batch, the end.
 *
 * Model threads are submitters and the pool's threads, which wait to be made. A job that no
 * thread comes to, and a thread that is not told of the end, is a deadlock. What a job is given
 * and what it returns is ordinary memory, ordered by the pool alone. */
#include "core/blocking.h"

#include <signal.h>
#include <string.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "base/sys.h"
#include "core/thread.h"
#include "model.h"

#define JOBS 3
#define POOL_THREADS 2

struct made {
  weft__atomic_u32 started;
  void *(*main)(void *);
  struct weft__blocking_thread *thread;
};

static struct {
  struct weft__blocking pool;
  weft__atomic_u32 mutex; /* stands for the pool's lock */
  struct weft__blocking_thread thread[POOL_THREADS];
  unsigned threads; /* given out */
  struct made made[POOL_THREADS];
  unsigned starts;
  struct job {
    struct weft__job job;
    struct model_plain arg, result;
    weft__atomic_u32 over; /* as a wake-up of the task that waits for it */
    unsigned ran, withdrawn;
  } job[JOBS];
  unsigned time_outs; /* that may still come */
  bool closed;
} S;

/* --- what the code under test stands on --- */

static bool unlocked(void) {
  return weft__load_relaxed_u32(&S.mutex) == 0;
}
/* The pool's calls come here (CMakeLists.txt): there is one mutex. */
int model_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int model_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr) {
  (void)m, (void)attr;
  return 0;
}
int model_mutex_destroy(pthread_mutex_t *m);
int model_mutex_destroy(pthread_mutex_t *m) {
  (void)m;
  return 0;
}
int model_mutex_lock(pthread_mutex_t *m);
int model_mutex_lock(pthread_mutex_t *m) {
  (void)m;
  for (uint32_t free = 0; !weft__cas_u32(&S.mutex, &free, 1); free = 0) model_wait_until(unlocked);
  return 0;
}
int model_mutex_unlock(pthread_mutex_t *m);
int model_mutex_unlock(pthread_mutex_t *m) {
  (void)m;
  weft__store_release_u32(&S.mutex, 0);
  return 0;
}
static int thread_join(pthread_t thread) {
  (void)thread;
  return 0;
}
static int thread_name(pthread_t thread, const char *name) {
  (void)thread, (void)name;
  return 0;
}
static int thread_cpu_clock(pthread_t thread, clockid_t *ret) {
  (void)thread;
  *ret = 0;
  return 0;
}
static int thread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*main)(void *),
                         void *arg) {
  (void)attr;
  struct made *m = &S.made[S.starts];
  *ret = S.starts++;
  m->main = main;
  m->thread = arg;
  weft__store_release_u32(&m->started, 1);
  return 0;
}
static int clock_gettime_0(clockid_t clock, struct timespec *ret) {
  (void)clock;
  *ret = (struct timespec){0};
  return 0;
}
static const struct weft__sys_table table = {
    .thread_create = thread_create,
    .thread_join = thread_join,
    .thread_detach = thread_join,
    .thread_name = thread_name,
    .thread_cpu_clock = thread_cpu_clock,
    .clock_gettime = clock_gettime_0,
};
_Atomic(const struct weft__sys_table *) weft__sys_current = &table;

void weft__block_program_signals(sigset_t *ret_old) {
  sigemptyset(ret_old);
}
void *weft__zalloc(size_t size) {
  MODEL_CHECK(size == sizeof S.thread[0] && S.threads < POOL_THREADS);
  return &S.thread[S.threads++];
}
void weft__free(void *p) {
  MODEL_CHECK(p >= (void *)S.thread && p < (void *)(S.thread + POOL_THREADS));
}
uint64_t weft__now(void) {
  return 1;
}
uint64_t weft__now_fast(void) {
  return 1;
}
/* A sleep ends when it is woken; where idle threads may end, it may also be over time. */
int weft__futex_wait(weft__atomic_u32 *word, uint32_t expected, uint64_t deadline) {
  if (S.time_outs > 0 && word != &S.pool.alive && model_choose(2)) {
    S.time_outs--;
    return WEFT_ETIMEDOUT;
  }
  (void)deadline;
  return model_futex_wait(word, expected) ? 0 : WEFT_EAGAIN;
}
int weft__futex_wake(weft__atomic_u32 *word, unsigned n) {
  return (int)model_futex_wake(word, n);
}

/* --- the pool's threads --- */

static bool wanted_0(void) {
  return weft__load_relaxed_u32(&S.made[0].started) || S.closed;
}
static bool wanted_1(void) {
  return weft__load_relaxed_u32(&S.made[1].started) || S.closed;
}
static void pool_thread(unsigned i) {
  if (!weft__load_acquire_u32(&S.made[i].started)) return;
  S.made[i].main(S.made[i].thread);
}
static void pool_0(void) {
  model_wait_until(wanted_0);
  pool_thread(0);
}
static void pool_1(void) {
  model_wait_until(wanted_1);
  pool_thread(1);
}

/* --- jobs --- */

static int work(void *arg) {
  struct job *j = arg;
  MODEL_CHECK(++j->ran == 1);
  MODEL_CHECK(model_read(&j->arg) == 7);
  model_write(&j->result, 8);
  return 0;
}
static void done(struct weft__job *job) {
  struct job *j = weft__container_of(job, struct job, job);
  weft__store_release_u32(&j->over, 1);
}
static bool submit(unsigned i) {
  struct job *j = &S.job[i];
  j->job.fn = work;
  j->job.arg = j;
  j->job.done = done;
  model_write(&j->arg, 7);
  return weft__blocking_submit(&S.pool, &j->job) == 0;
}
static bool over(unsigned i) {
  return weft__load_relaxed_u32(&S.job[i].over) != 0;
}
/* The submitter has its memory back. */
static void use_again(unsigned i) {
  struct job *j = &S.job[i];
  if (!j->withdrawn) {
    MODEL_CHECK(weft__load_acquire_u32(&j->over) == 1);
    MODEL_CHECK(model_read(&j->result) == 8);
  }
  model_write(&j->arg, 9);
  model_write(&j->result, 9);
}
static void withdraw(unsigned i) {
  if (weft__blocking_withdraw(&S.pool, &S.job[i].job)) S.job[i].withdrawn++;
}
static bool over_0(void) {
  return over(0);
}
static bool over_1(void) {
  return over(1) || S.job[1].withdrawn;
}
static bool over_2(void) {
  return over(2);
}
static void close_pool(void) {
  weft__blocking_close(&S.pool, WEFT__FUTEX_FOREVER);
  S.closed = true;
}

static void setup(unsigned threads) {
  weft__blocking_init(&S.pool, threads, threads);
  S.pool.spin_ns = 0;
  S.pool.idle_ns = 10;
  model_name(&S.pool.incoming, "incoming");
  model_name(&S.pool.attention, "attention");
  model_name(&S.pool.alive, "alive");
  model_name(&S.mutex, "mutex");
  model_name(&S.thread[0].signal, "signal0");
  model_name(&S.thread[1].signal, "signal1");
  model_name(&S.thread[0].slot[0], "slot0[0]");
  model_name(&S.thread[0].slot[1], "slot0[1]");
}
static void one_thread(void) {
  setup(1);
}
static void one_impatient_thread(void) {
  setup(1);
  S.time_outs = 1;
}
/* Whose jobs have lately been short: it takes more than one. */
static void two_threads_in_batches(void) {
  setup(2);
  S.pool.each = 0;
}
static void one_thread_in_batches(void) {
  setup(1);
  S.pool.each = 0;
}

/* --- models --- */

static void submits_twice(void) {
  MODEL_CHECK(submit(0));
  model_wait_until(over_0);
  use_again(0);
  MODEL_CHECK(submit(1));
  model_wait_until(over_1);
  use_again(1);
  close_pool();
}
static void submits_one(void) {
  MODEL_CHECK(submit(0));
  model_wait_until(over_0);
  use_again(0);
  model_wait_until(over_2);
  close_pool();
}
static void submits_another(void) {
  MODEL_CHECK(submit(2));
}
/* Both at once, one of which somebody takes back. */
static void submits_and_withdraws(void) {
  MODEL_CHECK(submit(0));
  MODEL_CHECK(submit(1));
  withdraw(1);
  model_wait_until(over_1);
  use_again(1);
  model_wait_until(over_0);
  use_again(0);
  close_pool();
}
/* Some of which the second thread takes from the first one's batch. */
static void submits_three(void) {
  for (unsigned i = 0; i < JOBS; i++) MODEL_CHECK(submit(i));
  model_wait_until(over_0);
  model_wait_until(over_1);
  model_wait_until(over_2);
  for (unsigned i = 0; i < JOBS; i++) use_again(i);
  close_pool();
}
static void submits_if_open(void) {
  if (submit(2)) model_wait_until(over_2);
}
static void submits_and_closes(void) {
  MODEL_CHECK(submit(0));
  close_pool();
  MODEL_CHECK(over(0));
  use_again(0);
}

static void each_once(void) {
  for (unsigned i = 0; i < JOBS; i++)
    MODEL_CHECK(S.job[i].ran + S.job[i].withdrawn == (S.job[i].job.fn ? 1 : 0) ||
                (i == 2 && S.job[i].ran == 0 && !over(2)));
  MODEL_CHECK(S.pool.threads == 0 && S.pool.queued == 0);
}

#define MODEL(name_, setup_, ...)                                                                  \
  {                                                                                                \
    .name = name_, MODEL_STATE(S), .setup = setup_, .check = each_once, .threads = {               \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

static const struct model resting =
    MODEL("blocking: a job as the thread goes to rest", one_thread, {"submitter", submits_twice},
          {"pool", pool_0});
static const struct model ending =
    MODEL("blocking: a job as the last thread ends", one_impatient_thread,
          {"submitter", submits_twice}, {"pool", pool_0}, {"pool 2", pool_1});
static const struct model two_submitters =
    MODEL("blocking: two submitters", one_thread, {"submitter", submits_one},
          {"other", submits_another}, {"pool", pool_0});
static const struct model withdrawn =
    MODEL("blocking: a job taken back", one_thread_in_batches, {"submitter", submits_and_withdraws},
          {"pool", pool_0});
static const struct model reclaimed =
    MODEL("blocking: jobs reclaimed from a batch", two_threads_in_batches,
          {"submitter", submits_three}, {"pool", pool_0}, {"pool 2", pool_1});
static const struct model closing =
    MODEL("blocking: a job as the pool closes", one_thread, {"submitter", submits_and_closes},
          {"other", submits_if_open}, {"pool", pool_0});

static const struct model *const all[] = {&resting,   &ending,    &two_submitters,
                                          &withdrawn, &reclaimed, &closing};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void hold(enum model_memory memory, int preemptions) {
  for (size_t i = 0; i < COUNT(all); i++)
    model_holds(all[i], &(struct model_bounds){.memory = memory, .preemptions = preemptions});
}

static void every_job_is_run_once_sequentially_consistent(void **state) {
  (void)state;
  hold(MODEL_SC, 3);
}
static void every_job_is_run_once_with_store_buffers(void **state) {
  (void)state;
  hold(MODEL_TSO, 2);
}
static void every_job_is_run_once_in_weak_memory(void **state) {
  (void)state;
  hold(MODEL_WEAK, 2);
}

/* --- planted bugs --- */

/* The submitter pushes, then looks at attention; the thread writes attention, then looks. */
static void weaker_than_sequential_loses_a_job(void **state) {
  (void)state;
  struct model_bounds b = {.memory = MODEL_WEAK, .preemptions = 3, .weaken = MODEL_SEQ_ACQ_REL};
  model_breaks(&resting, &b, "deadlock");
}
static void a_job_without_release_is_a_race(void **state) {
  (void)state;
  struct model_bounds b = {
      .memory = MODEL_WEAK, .preemptions = 1, .weaken = MODEL_RELEASE_RELAXED};
  model_breaks(&resting, &b, "");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_job_is_run_once_sequentially_consistent),
    cmocka_unit_test(every_job_is_run_once_with_store_buffers),
    cmocka_unit_test(every_job_is_run_once_in_weak_memory),
    cmocka_unit_test(weaker_than_sequential_loses_a_job),
    cmocka_unit_test(a_job_without_release_is_a_race),
};

static const struct model_suite suites[] = {
    {all, COUNT(all), {.memory = MODEL_WEAK, .preemptions = 1}}};

int main(int argc, char **argv) {
  return model_main(argc, argv, tests, COUNT(tests), suites, COUNT(suites));
}
