/* The version stands in the build, in the header's macros and in the library: all must agree. */
#include <stdio.h>

#include <weft/version.h>

#include "weft_test.h"

static void the_string_is_the_version_of_the_build(void **state) {
  (void)state;
  CHECK_STR(WEFT_VERSION_STRING, PROJECT_VERSION);
  CHECK_STR(weft_version_string(), PROJECT_VERSION);
}

static void the_numbers_spell_the_string(void **state) {
  char text[32];
  (void)state;
  snprintf(text, sizeof text, "%d.%d.%d", WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR,
           WEFT_VERSION_PATCH);
  CHECK_STR(text, WEFT_VERSION_STRING);
  CHECK_UINT(weft_version(), WEFT_VERSION);
  CHECK_INT(WEFT_VERSION >> 16, WEFT_VERSION_MAJOR);
  CHECK_INT(WEFT_VERSION >> 8 & 255, WEFT_VERSION_MINOR);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_string_is_the_version_of_the_build),
    cmocka_unit_test(the_numbers_spell_the_string),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
