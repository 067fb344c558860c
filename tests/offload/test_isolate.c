/* What a forked child must not keep of its parent. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sys.h"
#include "offload/isolate.h"
#include "processes.h"
#include "weft_test.h"

static void *wait_on_barrier(void *arg) {
  pthread_barrier_wait(arg);
  pthread_barrier_wait(arg);
  return NULL;
}

static void *do_nothing(void *arg) {
  return arg;
}

static void threads_that_run_are_counted(void **state) {
  (void)state;
  pthread_barrier_t barrier;
  pthread_t threads[3];
  int before = weft__isolate_other_threads();
  assert_true(before >= 0);
  pthread_barrier_init(&barrier, NULL, 4);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, wait_on_barrier, &barrier), 0);
  }
  pthread_barrier_wait(&barrier);
  int during = weft__isolate_other_threads();
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
  /* ThreadSanitizer starts a thread of its own with the first one of the program. */
  assert_in_range(during, before + 3, before + 4);
}

/* The kernel lists a thread for a moment longer than pthread_join waits for it. */
static void a_joined_thread_is_never_counted(void **state) {
  (void)state;
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, do_nothing, NULL), 0);
  pthread_join(t, NULL);
  int others = weft__isolate_other_threads();
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(pthread_create(&t, NULL, do_nothing, NULL), 0);
    pthread_join(t, NULL);
    if (!CHECK_INT(weft__isolate_other_threads(), others)) return;
  }
}

static pthread_barrier_t both_run;

/* Ends the process once its count has dropped by one with the end of the main thread. */
static void *outlive_the_main_thread(void *arg) {
  int with_main = weft__isolate_other_threads();
  (void)arg;
  pthread_barrier_wait(&both_run);
  while (weft__isolate_other_threads() != with_main - 1) sched_yield();
  _exit(with_main >= 1 ? 0 : 1);
}

static int end_the_main_thread(void *arg) {
  pthread_t t;
  if (pthread_barrier_init(&both_run, NULL, 2) != 0) return 2;
  if (pthread_create(&t, NULL, outlive_the_main_thread, arg) != 0) return 2;
  pthread_barrier_wait(&both_run);
  pthread_exit(NULL);
}

/* The first thread of a process is listed until the last one has ended: a thread that is sure to be
 * seen in the state that others pass through quickly. */
static void a_thread_that_exits_and_is_still_listed_is_not_counted(void **state) {
  (void)state;
  assert_int_equal(in_child(end_the_main_thread, NULL), 256);
}

static void on_signal(int sig) {
  (void)sig;
}

static int signals_are_default(void *arg) {
  struct sigaction now;
  sigset_t mask;
  (void)arg;
  weft__isolate_signals();
  sigprocmask(SIG_BLOCK, NULL, &mask);
  for (int sig = 1; sig < NSIG; sig++) {
    if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_DFL) return 1;
    if (sigismember(&mask, sig) == 1) return 2;
  }
  return 0;
}

static void signals_are_reset(void **state) {
  (void)state;
  struct sigaction handle = {.sa_handler = on_signal};
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  struct sigaction old_usr1, old_pipe;
  sigset_t some, old;
  sigaction(SIGUSR1, &handle, &old_usr1);
  sigaction(SIGPIPE, &ignore, &old_pipe);
  sigemptyset(&some);
  sigaddset(&some, SIGTERM);
  sigprocmask(SIG_BLOCK, &some, &old);
  assert_int_equal(in_child(signals_are_default, NULL), 256);
  sigprocmask(SIG_SETMASK, &old, NULL);
  sigaction(SIGUSR1, &old_usr1, NULL);
  sigaction(SIGPIPE, &old_pipe, NULL);
}

static int only_one_is_left(void *arg) {
  int keep = *(int *)arg;
  if (weft__isolate_fds(3, keep) != 0) return 1;
  for (int fd = 3; fd < 2000; fd++) {
    if ((fcntl(fd, F_GETFD) >= 0) != (fd == keep)) return 2;
  }
  for (int fd = 0; fd < 3; fd++) {
    if (fcntl(fd, F_GETFD) < 0) return 3;
  }
  return 0;
}

static void descriptors_are_closed_but_one(void **state) {
  (void)state;
  int fds[20];
  for (int i = 0; i < 20; i++) fds[i] = open("/dev/null", O_RDONLY);
  int high = fcntl(fds[0], F_DUPFD, 900);
  assert_true(high >= 900);
  assert_int_equal(in_child(only_one_is_left, &fds[0]), 256);
  assert_int_equal(in_child(only_one_is_left, &fds[10]), 256);
  assert_int_equal(in_child(only_one_is_left, &high), 256);
  for (int i = 0; i < 20; i++) close(fds[i]);
  close(high);
}

static int only_the_upper_part_is_closed(void *arg) {
  const int *fds = arg; /* two below the first one to close, then three */
  if (weft__isolate_fds(fds[2], fds[3]) != 0) return 1;
  for (int i = 0; i < 5; i++) {
    if ((fcntl(fds[i], F_GETFD) >= 0) != (i < 2 || i == 3)) return 2 + i;
  }
  return 0;
}

static void descriptors_below_the_first_stay(void **state) {
  (void)state;
  int fds[5];
  for (int i = 0; i < 5; i++) {
    fds[i] = fcntl(0, F_DUPFD, 100 + 10 * i);
    assert_true(fds[i] >= 100);
  }
  assert_int_equal(in_child(only_the_upper_part_is_closed, fds), 256);
  for (int i = 0; i < 5; i++) close(fds[i]);
}

static void the_floor_is_above_all_that_is_open(void **state) {
  (void)state;
  struct rlimit limit;
  int before = weft__isolate_floor(4);
  int high = fcntl(0, F_DUPFD, before + 50);
  assert_true(before >= 3);
  assert_int_equal(high, before + 50);
  assert_int_equal(weft__isolate_floor(4), high + 1);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlim_t old = limit.rlim_cur;
  limit.rlim_cur = (rlim_t)high + 3;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_int_equal(weft__isolate_floor(2), high + 1);
  assert_int_equal(weft__isolate_floor(20), high + 3 - 20); /* at the limit room is worth more */
  assert_int_equal(weft__isolate_floor(100000), 3);
  limit.rlim_cur = old;
  setrlimit(RLIMIT_NOFILE, &limit);
  close(high);
}

static void a_lifted_descriptor_leaves_its_old_number(void **state) {
  (void)state;
  int fd = open("/dev/null", O_RDONLY);
  int lifted = weft__isolate_lift(fd, 300);
  assert_true(lifted >= 300);
  assert_int_equal(fcntl(fd, F_GETFD), -1);
  assert_int_equal(fcntl(lifted, F_GETFD), FD_CLOEXEC);
  close(lifted);
}

static int flush_after_isolation(void *arg) {
  (void)arg;
  weft__isolate_stdio();
  fflush(stdout);
  return 0;
}

static void output_of_the_parent_is_not_printed_twice(void **state) {
  (void)state;
  char buffer[4096];
  char got[64] = "";
  int ends[2];
  int saved = dup(1);
  fflush(stdout);
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  dup2(ends[1], 1);
  printf("once");
  int end = in_child(flush_after_isolation, NULL);
  fflush(stdout);
  dup2(saved, 1);
  setvbuf(stdout, NULL, _IOLBF, 0);
  close(saved);
  close(ends[1]);
  size_t n = 0;
  for (ssize_t r; (r = read(ends[0], got + n, sizeof got - 1 - n)) > 0;) n += (size_t)r;
  close(ends[0]);
  assert_int_equal(end, 256);
  assert_string_equal(got, "once");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(threads_that_run_are_counted),
    cmocka_unit_test(a_joined_thread_is_never_counted),
    cmocka_unit_test(a_thread_that_exits_and_is_still_listed_is_not_counted),
    cmocka_unit_test(signals_are_reset),
    cmocka_unit_test(descriptors_are_closed_but_one),
    cmocka_unit_test(descriptors_below_the_first_stay),
    cmocka_unit_test(the_floor_is_above_all_that_is_open),
    cmocka_unit_test(a_lifted_descriptor_leaves_its_old_number),
    cmocka_unit_test(output_of_the_parent_is_not_printed_twice),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
