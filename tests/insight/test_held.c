/* libweft-debug: mutexes held across a suspension. */
#include <pthread.h>

#include "report_capture.h"
#include "task_test.h"

static int run_debug(struct reports *all, weft_fn fn) {
  weft_run_opts o = {
      .debug = true, .slow_slice = weft_sec(1000), .on_error = keep_report, .on_error_arg = all};
  return weft_run(fn, NULL, &o);
}

static int yield_with_a_mutex(void *arg) {
  (void)arg;
  pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
  for (int i = 0; i < 3; i++) {
    pthread_mutex_lock(&m);
    weft_yield();
    pthread_mutex_unlock(&m);
  }
  return 0;
}

static void a_mutex_held_across_a_suspension_is_reported_once_with_its_place(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, yield_with_a_mutex), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_MUTEX,
                 "task 'main' suspends while it holds the mutex locked at ", 1);
  CHECK_INT(atomic_load(&all.total), 1);
  CHECK(strstr(all.site[0], " (test_held.c:"));
}

static int sleep_with_rwlocks(void *arg) {
  (void)arg;
  pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
  pthread_rwlock_rdlock(&l);
  weft_sleep(weft_ms(1));
  pthread_rwlock_unlock(&l);
  pthread_rwlock_trywrlock(&l);
  weft_sleep(weft_ms(1));
  pthread_rwlock_unlock(&l);
  return 0;
}

static void a_rwlock_held_across_a_suspension_is_reported(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, sleep_with_rwlocks), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_MUTEX, "suspends while it holds the rwlock locked at ", 2);
}

static pthread_mutex_t kept = PTHREAD_MUTEX_INITIALIZER;

static int end_with_a_mutex(void *arg) {
  (void)arg;
  return pthread_mutex_trylock(&kept);
}

static void a_task_that_ends_with_a_mutex_is_reported(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  CHECK_INT(run_debug(&all, end_with_a_mutex), 0);
  CHECK_REPORTED(&all, WEFT_REPORT_MUTEX, "task 'main' ends while it holds the mutex locked at ",
                 1);
  kept = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static int lock_between_suspensions(void *arg) {
  (void)arg;
  pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, recursive;
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&recursive, &attr);
  for (int i = 0; i < 100; i++) {
    pthread_mutex_lock(&m);
    CHECK(pthread_mutex_trylock(&m) != 0);
    pthread_mutex_lock(&recursive);
    pthread_mutex_lock(&recursive);
    pthread_mutex_unlock(&m);
    pthread_mutex_unlock(&recursive);
    pthread_mutex_unlock(&recursive);
    weft_yield();
  }
  pthread_mutex_destroy(&recursive);
  pthread_mutexattr_destroy(&attr);
  return weft_sleep(weft_ms(1));
}

static void what_is_given_back_in_time_and_what_the_thread_had_before_is_not(void **state) {
  (void)state;
  struct reports all = REPORTS_INIT;
  pthread_mutex_t before = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&before);
  CHECK_INT(run_debug(&all, lock_between_suspensions), 0);
  pthread_mutex_unlock(&before);
  CHECK(atomic_load(&all.total) == 0 || !print_reports(&all));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_mutex_held_across_a_suspension_is_reported_once_with_its_place),
    cmocka_unit_test(a_rwlock_held_across_a_suspension_is_reported),
    cmocka_unit_test(a_task_that_ends_with_a_mutex_is_reported),
    cmocka_unit_test(what_is_given_back_in_time_and_what_the_thread_had_before_is_not),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
