/* Signals of the system: SIGINT, forks, several runs and runtimes, storms, the end. Each test leaves the
 * dispositions as it found them. */
#include <pthread.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "counts.h"
#include "latch.h"
#include "log_capture.h"
#include "parked.h"
#include "task_test.h"

static const int usr1[] = {SIGUSR1};
static const int both[] = {SIGUSR1, SIGUSR2};
static const int sigint[] = {SIGINT};

static bool is_default(int signo) {
  struct sigaction sa;
  return sigaction(signo, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) &&
         sa.sa_handler == SIG_DFL;
}

static int next_of(void *s) {
  return weft_signal_next(s, NULL);
}

static int hit(void *latch) {
  latch_hit(latch);
  return 0;
}

/* ---- SIGINT ---- */

/* The first one is the listener's, not the main task's; the second one comes after the close. */
static int take_and_give_back(void *arg) {
  weft_signal *s = NULL;
  (void)arg;
  CHECK_INT(weft_signal_open(&s, sigint, 1), 0);
  CHECK_INT(weft_signal_raise(SIGINT), 0);
  CHECK_INT(weft_signal_next(s, NULL), SIGINT);
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  CHECK_INT(weft_signal_close(s), 0);
  CHECK_INT(weft_signal_raise(SIGINT), 0);
  return weft_sleep(A_LONG_TIME);
}

static void sigint_is_taken_from_the_run_and_given_back(void **state) {
  (void)state;
  CHECK(is_default(SIGINT));
  CHECK_INT(weft_run(take_and_give_back, NULL, NULL), WEFT_EINTR);
  CHECK(is_default(SIGINT));
}

/* The run gives up its own handler while that lies below another one. */
static int keep_listening(void *arg) {
  return weft_signal_handler(SIGINT, hit, arg);
}

static void a_run_that_ends_under_a_listener_leaves_the_default(void **state) {
  (void)state;
  struct latch called = {0};
  CHECK_INT(weft_run(keep_listening, &called, NULL), 0);
  CHECK(is_default(SIGINT));
  CHECK_INT(weft_run(take_and_give_back, NULL, NULL), WEFT_EINTR);
  CHECK(is_default(SIGINT));
}

/* ---- runs and runtimes ---- */

struct left {
  struct latch called;
  weft_signal *s;
};

static int leave_open(void *arg) {
  struct left *l = arg;
  CHECK_INT(weft_signal_handler(SIGUSR2, hit, &l->called), 0);
  CHECK_INT(weft_signal_open(&l->s, both, 2), 0);
  return 0;
}

static int next_is_closed(void *s) {
  CHECK_INT(weft_signal_next(s, NULL), WEFT_ECLOSED);
  int code = 0;
  weft_awaitable a = weft_signal_awaitable(s);
  CHECK_INT(weft_select(&a, 1, &code), 0);
  CHECK_INT(code, WEFT_ECLOSED);
  return weft_signal_close(s);
}

static void with_the_runtime_all_listening_ends(void **state) {
  (void)state;
  struct left l = {0};
  CHECK_INT(weft_run(leave_open, &l, NULL), 0);
  CHECK(is_default(SIGUSR1));
  CHECK(is_default(SIGUSR2));
  CHECK_INT(weft_run(next_is_closed, l.s, NULL), 0);
}

static void what_is_left_open_is_reported_in_debug_mode(void **state) {
  (void)state;
  struct left l = {0};
  static struct log_capture log = LOG_CAPTURE_INIT;
  log.total = 0;
  weft_run_opts opts = {.debug = true, .log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(leave_open, &l, &opts), 0);
  if (!CHECK(log_capture_count(&log, "a signal") >= 1)) log_capture_print(&log);
  CHECK_INT(weft_signal_close(l.s), 0); /* outside a run, after it */
}

static int set_handler(void *arg) {
  return weft_signal_handler(SIGUSR1, hit, arg);
}
static int wait_for_one(void *arg) {
  return latch_wait(arg, 1);
}

static void handlers_last_over_the_runs_of_a_runner(void **state) {
  (void)state;
  weft_runner r = {0};
  struct latch called = {0};
  CHECK_INT(weft_runner_open(&r, NULL), 0);
  CHECK_INT(weft_runner_run(&r, set_handler, &called), 0);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0); /* between two runs: the next one hears of it */
  CHECK_INT(weft_runner_run(&r, wait_for_one, &called), 0);
  CHECK_INT(weft_runner_close(&r), 0);
  CHECK(is_default(SIGUSR1));
}

struct runtime {
  pthread_t thread;
  struct latch listens, heard;
};

static int listen_once(void *arg) {
  struct runtime *rt = arg;
  weft_signal *s = NULL;
  CHECK_INT(weft_signal_open(&s, usr1, 1), 0);
  weft_task t = spawn_parked(next_of, s);
  latch_hit(&rt->listens);
  CHECK_INT(weft_await(t), SIGUSR1);
  latch_hit(&rt->heard);
  return weft_signal_close(s);
}

static void *run_one(void *arg) {
  CHECK_INT(weft_run(listen_once, arg, &(weft_run_opts){.workers = 1}), 0);
  return NULL;
}

static void each_of_several_runtimes_hears_it(void **state) {
  (void)state;
  enum { N = 3 };
  struct runtime rts[N];
  memset(rts, 0, sizeof rts);
  for (int i = 0; i < N; i++) CHECK_INT(pthread_create(&rts[i].thread, NULL, run_one, &rts[i]), 0);
  for (int i = 0; i < N; i++) latch_wait_thread(&rts[i].listens, 1);
  CHECK_INT(weft_signal_raise(SIGUSR1), 0);
  for (int i = 0; i < N; i++) pthread_join(rts[i].thread, NULL);
  for (int i = 0; i < N; i++) CHECK_INT(latch_hits(&rts[i].heard), 1);
  CHECK(is_default(SIGUSR1));
}

/* ---- storms and forks ---- */

struct storm {
  atomic_bool over;
  atomic_uint sent;
};

static void *send_many(void *arg) {
  struct storm *s = arg;
  while (!atomic_load(&s->over)) {
    CHECK_INT(weft_signal_raise(SIGUSR1), 0);
    atomic_fetch_add(&s->sent, 1);
  }
  return NULL;
}

/* They come on another thread and on this one, while tasks switch, listen and cease to. */
TASK_TEST(a_storm_of_signals_disturbs_nobody) {
  struct storm storm = {0};
  struct latch called = {0};
  pthread_t thread;
  weft_signal *s = NULL;
  unsigned heard = 0, times;
  int here = count(300);
  CHECK_INT(weft_signal_open(&s, usr1, 1), 0);
  CHECK_INT(pthread_create(&thread, NULL, send_many, &storm), 0);
  for (int i = 0; i < here; i++) {
    CHECK_INT(weft_signal_raise(SIGUSR1), 0);
    CHECK_INT(weft_signal_handler(SIGUSR1, hit, &called), 0);
    CHECK_INT(weft_yield(), 0);
    if (i % 10 == 0) {
      CHECK_INT(weft_signal_next(s, &times), SIGUSR1);
      heard += times;
    }
    CHECK_INT(weft_signal_handler_remove(SIGUSR1), 1);
  }
  atomic_store(&storm.over, true);
  pthread_join(thread, NULL);
  unsigned sent = atomic_load(&storm.sent) + (unsigned)here;
  while (heard < sent && weft_signal_next(s, &times) == SIGUSR1) heard += times;
  CHECK_UINT(heard, sent); /* each was noted, and told once */
  CHECK_INT(weft_signal_close(s), 0);
}

static atomic_int own_signal;

static void own_handler(int signo) {
  atomic_store(&own_signal, signo);
}

TASK_TEST(in_a_child_of_fork_a_signal_does_what_it_did_before) {
  weft_signal *s = NULL;
  int status = 0;
  if (COUNTS_TSAN) return; /* calls handlers later, and not in a thread that sleeps */
  atomic_store(&own_signal, 0);
  signal(SIGUSR2, own_handler);
  CHECK_INT(weft_signal_open(&s, both, 2), 0);
  pid_t pid = fork();
  if (pid == 0) {
    if (weft_signal_raise(SIGUSR2) != WEFT_ECHILD) _exit(1);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    raise(SIGUSR2);
    if (atomic_load(&own_signal) != SIGUSR2) _exit(2);
    raise(SIGUSR1);
    _exit(3);
  }
  CHECK(pid > 0);
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
  CHECK_INT(weft_signal_raise(SIGUSR2), 0); /* here it is ours */
  CHECK_INT(weft_signal_next(s, NULL), SIGUSR2);
  CHECK_INT(atomic_load(&own_signal), 0);
  CHECK_INT(weft_signal_close(s), 0);
  signal(SIGUSR2, SIG_DFL);
}

/* What a signal interrupts has the errno that it had. */
TASK_TEST(a_signal_leaves_errno_alone) {
  weft_signal *s = NULL;
  CHECK_INT(weft_signal_open(&s, usr1, 1), 0);
  errno = 1234;
  raise(SIGUSR1);
  int after = errno;
  CHECK_INT(after, 1234);
  CHECK_INT(weft_signal_close(s), 0);
}

/* One that waits for a thread of the runtime's to be let in: sent to the process, not to a thread. */
TASK_TEST(a_signal_of_the_process_arrives) {
  weft_signal *s = NULL;
  if (COUNTS_TSAN) return; /* as above */
  CHECK_INT(weft_signal_open(&s, usr1, 1), 0);
  weft_task t = spawn_parked(next_of, s);
  CHECK_INT(kill(getpid(), SIGUSR1), 0);
  CHECK_INT(weft_await(t), SIGUSR1);
  CHECK_INT(weft_signal_close(s), 0);
}

/* Long enough for all of the runtime's threads to sleep. */
TASK_TEST(a_signal_reaches_a_process_that_sleeps) {
  static const int alarms[] = {SIGALRM};
  weft_signal *s = NULL;
  if (COUNTS_TSAN) return; /* as above */
  CHECK_INT(weft_signal_open(&s, alarms, 1), 0);
  CHECK_INT(setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {.tv_usec = 300000}}, NULL), 0);
  CHECK_INT(weft_signal_next(s, NULL), SIGALRM);
  CHECK_INT(weft_signal_close(s), 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(sigint_is_taken_from_the_run_and_given_back),
      cmocka_unit_test(a_run_that_ends_under_a_listener_leaves_the_default),
      cmocka_unit_test(with_the_runtime_all_listening_ends),
      cmocka_unit_test(what_is_left_open_is_reported_in_debug_mode),
      cmocka_unit_test(handlers_last_over_the_runs_of_a_runner),
      cmocka_unit_test(each_of_several_runtimes_hears_it),
      cmocka_unit_test(a_storm_of_signals_disturbs_nobody),
      cmocka_unit_test(in_a_child_of_fork_a_signal_does_what_it_did_before),
      cmocka_unit_test(a_signal_leaves_errno_alone),
      cmocka_unit_test(a_signal_of_the_process_arrives),
      cmocka_unit_test(a_signal_reaches_a_process_that_sleeps),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
