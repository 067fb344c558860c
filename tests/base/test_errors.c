/* The error codes against libuv's, and their names and texts. */
#include "weft_test.h"

#include <string.h>
#include <uv.h>
#include <weft/errors.h>

struct entry {
  const char *name;
  int code;
  const char *text;
};

static const struct entry all[] = {
#define ENTRY(name, number, text) {#name, name, text},
    WEFT_ERRNO_MAP(ENTRY)};
static const struct entry private_codes[] = {WEFT_ERRNO_MAP_PRIVATE(ENTRY)};
enum { ALL = sizeof all / sizeof all[0] };

static void every_code_of_libuv_has_its_number_and_name_here(void **state) {
  (void)state;
#define SAME(code, text) {"WEFT_" #code, UV_##code, text},
  static const struct entry theirs[] = {UV_ERRNO_MAP(SAME)};
  for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
    CHECK_STR(weft_err_name(theirs[i].code), theirs[i].name);
}

static void names_and_texts_come_from_the_list(void **state) {
  (void)state;
  for (size_t i = 0; i < ALL; i++) {
    CHECK_STR(weft_err_name(all[i].code), all[i].name);
    CHECK_STR(weft_strerror(all[i].code), all[i].text);
  }
}

static void numbers_and_texts_are_unique(void **state) {
  (void)state;
  for (size_t i = 0; i < ALL; i++) {
    for (size_t j = i + 1; j < ALL; j++) {
      CHECK(all[i].code != all[j].code);
      if (strcmp(all[i].text, all[j].text) == 0)
        CHECK_FAIL("%s and %s have one text", all[i].name, all[j].name);
    }
  }
}

static void texts_are_one_plain_line(void **state) {
  (void)state;
  for (size_t i = 0; i < ALL; i++) {
    size_t len = strlen(all[i].text);
    CHECK(len >= 4 && len <= 70);
    CHECK(strchr(all[i].text, '\n') == NULL);
    CHECK(all[i].text[len - 1] != '.');
  }
}

static void private_codes_clash_with_no_code_of_the_system(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof private_codes / sizeof private_codes[0]; i++) {
    CHECK(private_codes[i].code <= -5000);
    CHECK(private_codes[i].code > WEFT_EUSER);
  }
  for (size_t i = 0; i < ALL; i++) CHECK(all[i].code < 0 && all[i].code > WEFT_EUSER);
}

static void success_and_unknown_codes_have_a_static_text(void **state) {
  (void)state;
  CHECK_STR(weft_err_name(0), "WEFT_OK");
  CHECK_STR(weft_err_name(7), "WEFT_OK");
  CHECK_STR(weft_strerror(0), "no error");
  CHECK_STR(weft_strerror(INT32_MAX), "no error");
  const int unknown[] = {-123456, INT32_MIN, WEFT_EUSER, -4000, -999};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    CHECK_STR(weft_err_name(unknown[i]), "WEFT_?");
    CHECK_PTR(weft_strerror(unknown[i]), weft_strerror(-123456));
  }
  CHECK_STR(weft_strerror(-123456), "unknown error");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_code_of_libuv_has_its_number_and_name_here),
    cmocka_unit_test(names_and_texts_come_from_the_list),
    cmocka_unit_test(numbers_and_texts_are_unique),
    cmocka_unit_test(texts_are_one_plain_line),
    cmocka_unit_test(private_codes_clash_with_no_code_of_the_system),
    cmocka_unit_test(success_and_unknown_codes_have_a_static_text),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
