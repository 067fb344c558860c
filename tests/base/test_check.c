/* The last line of a process whose invariant broke. */
#include "weft_test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

/* Runs fn in a child and returns what it wrote to stderr; the child must end by SIGABRT. */
static const char *last_words(void (*fn)(void)) {
  static char text[2048];
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  pid_t child = fork();
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    dup2(fds[1], STDERR_FILENO);
    fn();
    _exit(0);
  }
  close(fds[1]);
  size_t used = 0;
  ssize_t n;
  while (used < sizeof text - 1 && (n = read(fds[0], text + used, sizeof text - 1 - used)) > 0)
    used += (size_t)n;
  text[used] = '\0';
  close(fds[0]);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#if WEFT_TEST_EMULATED
  /* The emulator has the last word, of its own. */
  char *emulator = strstr(text, "qemu: uncaught target signal 6");
  if (emulator != NULL) *emulator = '\0';
#endif
  return text;
}

static void breaks(void) {
  int legs = 3;
  WEFT__ASSERT(legs == 4);
}

static void a_broken_invariant_names_itself_and_its_place(void **state) {
  (void)state;
  const char *text = last_words(breaks);
  CHECK(strncmp(text, "weft: ", 6) == 0);
  CHECK(strstr(text, "test_check.c:") != NULL);
  CHECK(strstr(text, "invariant broken: legs == 4\n") != NULL);
  CHECK(strchr(text, '\n') == text + strlen(text) - 1);
}

static void an_invariant_that_holds_is_evaluated_once(void **state) {
  (void)state;
  int evaluated = 0;
  WEFT__ASSERT(++evaluated == 1);
  CHECK_INT(evaluated, 1);
}

static void name_the_task(char *buf, size_t size) {
  snprintf(buf, size, "in task %s", "crawler");
}

static void dies_in_a_task(void) {
  weft__fatal_set_context(name_the_task);
  weft__fatal("out of %s", "luck");
}

static void the_floor_above_adds_what_the_thread_was_doing(void **state) {
  (void)state;
  CHECK_STR(last_words(dies_in_a_task), "weft: out of luck (in task crawler)\n");
}

static void knows_nothing(char *buf, size_t size) {
  (void)buf;
  (void)size;
}

static void dies_outside(void) {
  weft__fatal_set_context(knows_nothing);
  weft__fatal("bye");
}

static void nothing_is_added_where_there_is_nothing_to_say(void **state) {
  (void)state;
  CHECK_STR(last_words(dies_outside), "weft: bye\n");
}

static void breaks_as_well(char *buf, size_t size) {
  (void)buf;
  WEFT__ASSERT(size == 0);
}

static void dies_twice(void) {
  weft__fatal_set_context(breaks_as_well);
  weft__fatal("first");
}

static void a_context_that_breaks_does_not_hide_the_end(void **state) {
  (void)state;
  CHECK(strstr(last_words(dies_twice), "invariant broken: size == 0\n") != NULL);
}

static void says_too_much(void) {
  char much[5000];
  memset(much, 'x', sizeof much - 1);
  much[sizeof much - 1] = '\0';
  weft__fatal_set_context(name_the_task);
  weft__fatal("%s", much);
}

static void a_long_text_is_cut(void **state) {
  (void)state;
  const char *text = last_words(says_too_much);
  size_t len = strlen(text);
  CHECK(len > 500 && len < 700);
  CHECK(text[len - 1] == '\n');
}

static void debug_asserts_are_on_in_debug_builds_only(void **state) {
  (void)state;
  int evaluated = 0;
  WEFT__DEBUG_ASSERT(++evaluated == 1);
#ifdef NDEBUG
  CHECK_INT(evaluated, 0);
#else
  CHECK_INT(evaluated, 1);
#endif
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_broken_invariant_names_itself_and_its_place),
    cmocka_unit_test(an_invariant_that_holds_is_evaluated_once),
    cmocka_unit_test(the_floor_above_adds_what_the_thread_was_doing),
    cmocka_unit_test(nothing_is_added_where_there_is_nothing_to_say),
    cmocka_unit_test(a_context_that_breaks_does_not_hide_the_end),
    cmocka_unit_test(a_long_text_is_cut),
    cmocka_unit_test(debug_asserts_are_on_in_debug_builds_only),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
