/* Places in the program as text: functions, also those that no linker sees, files and lines. */
#include "insight/where.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft_test.h"

static char text[256];

static __attribute__((noinline)) void where_am_i(void) {
  weft__where(__builtin_return_address(0), true, text, sizeof text);
  __asm__ volatile("" ::: "memory");
}

/* Two calls, so that none of them is the last thing done here. */
static __attribute__((noinline)) int call_it(void) {
  where_am_i();
  int line = __LINE__ - 1;
  __asm__ volatile("" ::: "memory");
  return line;
}

static void a_call_is_named_by_function_file_and_line(void **state) {
  (void)state;
  char want[64];
  snprintf(want, sizeof want, " (test_where.c:%d)", call_it());
  if (!CHECK(strncmp(text, "call_it+0x", 10) == 0)) CHECK_FAIL("%s", text);
  if (!CHECK(strstr(text, want))) CHECK_FAIL("%s is not in %s", want, text);
}

static void a_function_is_named_without_an_offset(void **state) {
  (void)state;
  weft__where_symbol((const void *)(uintptr_t)call_it, text, sizeof text);
  CHECK_STR(text, "call_it");
}

static void a_function_of_another_library_is_named(void **state) {
  (void)state;
  weft__where_symbol((const void *)(uintptr_t)qsort, text, sizeof text);
  if (!CHECK(strlen(text) > 3 && strncmp(text, "0x", 2) != 0)) CHECK_FAIL("%s", text);
}

static void what_is_no_code_is_an_address(void **state) {
  (void)state;
  weft__where((const void *)(uintptr_t)16, true, text, sizeof text);
  CHECK_STR(text, "0x10");
  weft__where(NULL, true, text, sizeof text);
  CHECK(strlen(text) > 0);
}

static void a_small_buffer_is_not_overrun(void **state) {
  (void)state;
  char small[9] = "########";
  weft__where((const void *)((uintptr_t)call_it + 1), true, small, 5);
  CHECK_STR(small, "call");
  CHECK_INT(small[5], '#');
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_call_is_named_by_function_file_and_line),
    cmocka_unit_test(a_function_is_named_without_an_offset),
    cmocka_unit_test(a_function_of_another_library_is_named),
    cmocka_unit_test(what_is_no_code_is_an_address),
    cmocka_unit_test(a_small_buffer_is_not_overrun),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
