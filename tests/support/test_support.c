/* The test main and the checks themselves: a check that fails on another thread must fail the test
 * that ran it, which only a child process can show. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft_test.h"

static void *check_on_this_thread(void *held) {
  CHECK(held != NULL);
  CHECK_INT(held ? 1 : 2, 1);
  return NULL;
}

static void inner(void *held) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, check_on_this_thread, held), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
}

static void inner_holds(void **state) {
  inner(state);
}

static void inner_fails(void **state) {
  (void)state;
  inner(NULL);
}

static void inner_skips(void **state) {
  (void)state;
  weft_test_skip("the inner test asks for it");
}

/* Runs one inner test in a child, returns its exit status and what it printed. */
static int run_inner(void (*function)(void **), char *output, size_t size) {
  const struct CMUnitTest test = {.name = "inner", .test_func = function};
  char program[] = "inner";
  char *argv[] = {program, NULL};
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(fds[1], STDOUT_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    int status = weft_test_main(1, argv, &test, 1);
    fflush(NULL);
    _exit(status);
  }
  close(fds[1]);
  size_t used = 0;
  ssize_t n = 0;
  while (used < size - 1 && (n = read(fds[0], output + used, size - 1 - used)) > 0)
    used += (size_t)n;
  output[used] = '\0';
  close(fds[0]);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_check_that_holds_passes(void **state) {
  char output[4096];
  (void)state;
  assert_int_equal(run_inner(inner_holds, output, sizeof output), 0);
}

static void a_check_that_fails_on_a_thread_fails_the_test_with_its_place(void **state) {
  char output[4096];
  (void)state;
  assert_int_equal(run_inner(inner_fails, output, sizeof output), 1);
  assert_non_null(strstr(output, "does not hold: held != NULL"));
  assert_non_null(strstr(output, "test_support.c:"));
  /* Only the first failure is reported. */
  assert_null(strstr(output, "expected 1"));
}

static void a_skipped_test_exits_77(void **state) {
  char output[4096];
  (void)state;
  assert_int_equal(run_inner(inner_skips, output, sizeof output), 77);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_check_that_holds_passes),
    cmocka_unit_test(a_check_that_fails_on_a_thread_fails_the_test_with_its_place),
    cmocka_unit_test(a_skipped_test_exits_77),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
