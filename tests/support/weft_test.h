/* What a test program is made of: cmocka with a main that ctest can ask for its tests, and checks
 * that work off the main thread.
 *
 *   static void pops_the_newest(void **state) { (void) state; CHECK_INT(pop(), 3); }
 *   static const struct CMUnitTest tests[] = {cmocka_unit_test(pops_the_newest)};
 *   int main(int argc, char **argv) {
 *     return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
 *   }
 *
 * cmocka's own asserts jump back to the thread that runs the test, so they are for that thread and
 * its own stack only: from another thread or from a task they end the program without a report.
 * CHECK and its kin may be used anywhere. They record the first failure with its place, carry on,
 * and make the test fail when its function returns; they evaluate to whether they held, so that a
 * body which cannot go on says `if (!CHECK(p)) return -1;`. */
#ifndef WEFT_TEST_H
#define WEFT_TEST_H

/* cmocka.h expects its users to have included these four. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

/* Runs the tests and returns main's exit status: 0, 1 for a failure, 77 when every test that ran
 * was skipped. `--list` prints the names; `--only NAME` runs one; `--except NAME...` leaves some out;
 * no argument runs all.
 *
 * With WEFT_TEST_SEEDS=FIRST+COUNT in the environment, or `--seeds FIRST+COUNT` after the name, every
 * test is repeated under that many seeds of the simulation (<weft/sim.h>), in one process; the first
 * seed that fails ends it, with the line that shows it again. So nothing static may be left from one
 * repetition to the next. */
int weft_test_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n);

/* Ends the running test as skipped, with a reason. On the test's own thread and stack only. */
#define weft_test_skip(reason) (weft_test__skip(__FILE__, __LINE__, (reason)))

/* True once any check of the running test failed: lets loops of thousands end early. */
bool weft_test_failed(void);

#define CHECK(condition) weft_test__check((condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(got, want)                                                                       \
  weft_test__check_int((intmax_t)(got), (intmax_t)(want), __FILE__, __LINE__, #got)
#define CHECK_UINT(got, want)                                                                      \
  weft_test__check_uint((uintmax_t)(got), (uintmax_t)(want), __FILE__, __LINE__, #got)
#define CHECK_PTR(got, want) weft_test__check_ptr((got), (want), __FILE__, __LINE__, #got)
#define CHECK_STR(got, want) weft_test__check_str((got), (want), __FILE__, __LINE__, #got)

/* Fails the running test with a formatted message, from any thread or task. */
#define CHECK_FAIL(...) weft_test__fail(__FILE__, __LINE__, __VA_ARGS__)

bool weft_test__check(bool held, const char *file, int line, const char *text);
bool weft_test__check_int(intmax_t got, intmax_t want, const char *file, int line,
                          const char *text);
bool weft_test__check_uint(uintmax_t got, uintmax_t want, const char *file, int line,
                           const char *text);
bool weft_test__check_ptr(const void *got, const void *want, const char *file, int line,
                          const char *text);
bool weft_test__check_str(const char *got, const char *want, const char *file, int line,
                          const char *text);
bool weft_test__fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void weft_test__skip(const char *file, int line, const char *reason);

#endif
