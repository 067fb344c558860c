/* Addresses: every form in and out, and what is none. */
#include <string.h>
#include <weft.h>

#include "io/addr.h"
#include "task_test.h"

static void expect_text(const weft_addr *a, const char *want) {
  char text[WEFT_ADDR_TEXT];
  CHECK_INT(weft_addr_format(a, text, sizeof text), (int)strlen(want));
  CHECK_STR(text, want);
}

/* Its text is the one wanted, and leads back to it. */
static void expect_both_ways(const weft_addr *a, const char *want) {
  weft_addr back = {.len = 1};
  expect_text(a, want);
  CHECK_INT(weft_addr_from_text(&back, want), 0);
  CHECK(weft_addr_equal(a, &back));
  CHECK(weft_addr_equal(&back, a));
}

static void numbers_are_parsed_and_written(void **state) {
  (void)state;
  static const struct {
    const char *host;
    int port, family;
    const char *text;
  } cases[] = {
      {"127.0.0.1", 80, AF_INET, "127.0.0.1:80"},
      {"0.0.0.0", 0, AF_INET, "0.0.0.0:0"},
      {"255.255.255.255", 65535, AF_INET, "255.255.255.255:65535"},
      {"::1", 8080, AF_INET6, "[::1]:8080"},
      {"::", 0, AF_INET6, "[::]:0"},
      {"2001:DB8:0:0::1", 443, AF_INET6, "[2001:db8::1]:443"},
      {"::ffff:127.0.0.1", 1, AF_INET6, "[::ffff:127.0.0.1]:1"},
      {"fe80::1%7", 2, AF_INET6, "[fe80::1%7]:2"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295", 65535, AF_INET6,
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    weft_addr a;
    CHECK_INT(weft_addr_parse(&a, cases[i].host, cases[i].port), 0);
    CHECK_INT(weft_addr_family(&a), cases[i].family);
    CHECK_INT(weft_addr_port(&a), cases[i].port);
    CHECK_PTR(weft_addr_path(&a), NULL);
    expect_both_ways(&a, cases[i].text);
  }
}

static void an_interface_may_have_a_name(void **state) {
  (void)state;
  weft_addr a, same;
  CHECK_INT(weft_addr_parse(&a, "fe80::1%lo", 80), 0);
  CHECK_INT(weft_addr_parse(&same, "fe80::1%1", 80), 0);
  CHECK(weft_addr_equal(&a, &same)); /* the loopback interface is the first one of Linux */
  CHECK_INT(weft_addr_parse(&a, "fe80::1%no-such-one", 80), WEFT_ENODEV);
  CHECK(weft_addr_equal(&a, &same));
}

static void what_is_no_number_or_no_port_is_refused(void **state) {
  (void)state;
  static const char *const hosts[] = {
      "",
      "localhost",
      "127.0.0",
      "127.0.0.1.1",
      "127.0.0.256",
      "127.1",
      " ::1",
      "::1 ",
      "[::1]",
      ":::",
      "1::2::3",
      "12345::",
      "fe80::%",
      "fe80::1%1x",
      "127.0.0.1%1",
      "%1",
      "1.2.3.4:80",
      "fe80::1%4294967296",
      "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000:1111:2222",
  };
  weft_addr a, before;
  CHECK_INT(weft_addr_loopback(&a, AF_INET6, 7), 0);
  before = a;
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
    CHECK_INT(weft_addr_parse(&a, hosts[i], 80), WEFT_EINVAL);
  CHECK_INT(weft_addr_parse(&a, NULL, 80), WEFT_EINVAL);
  CHECK_INT(weft_addr_parse(NULL, "::1", 80), WEFT_EINVAL);
  CHECK_INT(weft_addr_parse(&a, "::1", -1), WEFT_EINVAL);
  CHECK_INT(weft_addr_parse(&a, "127.0.0.1", 65536), WEFT_EINVAL);
  CHECK_INT(weft_addr_any(&a, AF_UNIX, 0), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_addr_loopback(&a, AF_UNSPEC, 0), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_addr_any(&a, AF_INET, 65536), WEFT_EINVAL);
  CHECK_INT(weft_addr_any(NULL, AF_INET, 0), WEFT_EINVAL);
  CHECK_INT(memcmp(&a, &before, sizeof a), 0); /* nothing is written on failure */
}

static void well_known_ones_have_functions(void **state) {
  (void)state;
  weft_addr a;
  CHECK_INT(weft_addr_any(&a, AF_INET, 80), 0);
  expect_text(&a, "0.0.0.0:80");
  CHECK(!weft_addr_is_loopback(&a));
  CHECK_INT(weft_addr_any(&a, AF_INET6, 80), 0);
  expect_text(&a, "[::]:80");
  CHECK(!weft_addr_is_loopback(&a));
  CHECK_INT(weft_addr_loopback(&a, AF_INET, 80), 0);
  expect_text(&a, "127.0.0.1:80");
  CHECK(weft_addr_is_loopback(&a));
  CHECK_INT(weft_addr_loopback(&a, AF_INET6, 80), 0);
  expect_text(&a, "[::1]:80");
  CHECK(weft_addr_is_loopback(&a));
}

static void unix_names_are_files_or_abstract(void **state) {
  (void)state;
  weft_addr a;
  CHECK_INT(weft_addr_unix(&a, "/run/app.sock"), 0);
  CHECK_INT(weft_addr_family(&a), AF_UNIX);
  CHECK_INT(weft_addr_port(&a), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_addr_set_port(&a, 1), WEFT_EAFNOSUPPORT);
  CHECK_STR(weft_addr_path(&a), "/run/app.sock");
  CHECK(weft_addr_is_loopback(&a));
  expect_both_ways(&a, "unix:/run/app.sock");

  CHECK_INT(weft_addr_unix_abstract(&a, "a\0b", 3), 0);
  CHECK_PTR(weft_addr_path(&a), NULL);
  expect_both_ways(&a, "unix:@a\\x00b");

  a = (weft_addr){.len = sizeof(sa_family_t)};
  weft__sa(&a)->any.sa_family = AF_UNIX;
  CHECK_PTR(weft_addr_path(&a), NULL);
  expect_both_ways(&a, "unix:");
}

static void odd_names_keep_their_meaning_as_text(void **state) {
  (void)state;
  weft_addr a, back;
  CHECK_INT(weft_addr_unix(&a, "line\nback\\slash\x7f"), 0);
  expect_both_ways(&a, "unix:line\\x0aback\\x5cslash\\x7f");
  CHECK_INT(weft_addr_unix(&a, "@file"), 0);
  expect_text(&a, "unix:./@file");
  CHECK_INT(weft_addr_from_text(&back, "unix:./@file"), 0);
  CHECK_STR(weft_addr_path(&back), "./@file");
}

static void names_may_be_as_long_as_the_system_takes_them(void **state) {
  (void)state;
  char name[109], text[WEFT_ADDR_TEXT];
  weft_addr a, back;
  memset(name, 1, sizeof name);
  name[107] = 0;
  CHECK_INT(weft_addr_unix(&a, name), 0);
  CHECK_INT(weft_addr_format(&a, text, sizeof text), 5 + 4 * 107);
  CHECK_INT(weft_addr_from_text(&back, text), 0);
  CHECK(weft_addr_equal(&a, &back));
  name[107] = 1;
  name[108] = 0;
  CHECK_INT(weft_addr_unix(&a, name), WEFT_ENAMETOOLONG);
  CHECK_INT(weft_addr_unix_abstract(&a, name, 107), 0);
  CHECK_INT(weft_addr_format(&a, text, sizeof text), 6 + 4 * 107);
  CHECK_INT(weft_addr_from_text(&back, text), 0);
  CHECK(weft_addr_equal(&a, &back));
  CHECK_INT(weft_addr_unix_abstract(&a, name, 108), WEFT_ENAMETOOLONG);
}

static void names_that_are_none_are_refused(void **state) {
  (void)state;
  weft_addr a;
  CHECK_INT(weft_addr_unix(&a, ""), WEFT_EINVAL);
  CHECK_INT(weft_addr_unix(&a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_addr_unix(NULL, "x"), WEFT_EINVAL);
  CHECK_INT(weft_addr_unix_abstract(&a, "x", 0), WEFT_EINVAL);
  CHECK_INT(weft_addr_unix_abstract(&a, NULL, 1), WEFT_EINVAL);
}

static void texts_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "none",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:x",
      "127.0.0.1:80 ",
      ":80",
      "::1:80",
      "[::1]",
      "[::1]80",
      "[::1]:",
      "[127.0.0.1]:80",
      "[::1]:-1",
      "[::1:80",
      "]:80",
      "[]:80",
      "127.0.0.1:+80",
      "127.0.0.1:065536",
      "unix:\\x0",
      "unix:\\n",
      "unix:a\\x00",
      "unix:@",
      "localhost:80",
      "127.0.0.1:65536",
      "[",
      "[:",
      ":",
      "unix:\\x00a",
      "[]",
  };
  weft_addr a;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    CHECK_INT(weft_addr_from_text(&a, texts[i]), WEFT_EINVAL);
  CHECK_INT(weft_addr_from_text(&a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_addr_from_text(NULL, "[::1]:80"), WEFT_EINVAL);
}

static void a_short_buffer_is_filled_and_the_length_told(void **state) {
  (void)state;
  weft_addr a;
  char text[8] = "xxxxxxx";
  CHECK_INT(weft_addr_parse(&a, "127.0.0.1", 8080), 0);
  CHECK_INT(weft_addr_format(&a, text, sizeof text), 14);
  CHECK_STR(text, "127.0.0");
  CHECK_INT(weft_addr_format(&a, NULL, 0), 14);
}

static void no_address_is_one_too(void **state) {
  (void)state;
  weft_addr none = {0}, a;
  CHECK_INT(weft_addr_loopback(&a, AF_INET, 1), 0);
  expect_text(&none, "none");
  expect_text(NULL, "none");
  CHECK_INT(weft_addr_family(&none), AF_UNSPEC);
  CHECK_INT(weft_addr_port(&none), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_addr_port(NULL), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_addr_set_port(&none, 1), WEFT_EAFNOSUPPORT);
  CHECK_PTR(weft_addr_path(&none), NULL);
  CHECK(weft_addr_equal(&none, NULL));
  CHECK(!weft_addr_equal(&none, &a));
  CHECK(!weft_addr_is_loopback(&none));
}

static void equality_looks_at_what_says_where(void **state) {
  (void)state;
  static const char *const different[] = {
      "127.0.0.1:80", "127.0.0.1:81",   "127.0.0.2:80",
      "[::1]:80",     "[::1]:81",       "[::ffff:127.0.0.1]:80",
      "[fe80::1]:80", "[fe80::1%1]:80", "unix:a",
      "unix:ab",      "unix:@a",        "unix:@ab",
      "unix:",        "unix:@a\\x00",
  };
  enum { DIFFERENT = sizeof different / sizeof different[0] };
  weft_addr all[DIFFERENT];
  for (int i = 0; i < DIFFERENT; i++) CHECK_INT(weft_addr_from_text(&all[i], different[i]), 0);
  for (int i = 0; i < DIFFERENT; i++)
    for (int k = 0; k < DIFFERENT; k++) CHECK_INT(weft_addr_equal(&all[i], &all[k]), i == k);
  weft_addr flow = all[3];
  weft__sa(&flow)->in6.sin6_flowinfo = 5;
  CHECK(weft_addr_equal(&flow, &all[3]));
}

static void the_port_can_be_changed(void **state) {
  (void)state;
  weft_addr a;
  CHECK_INT(weft_addr_loopback(&a, AF_INET6, 1), 0);
  CHECK_INT(weft_addr_set_port(&a, 65535), 0);
  expect_text(&a, "[::1]:65535");
  CHECK_INT(weft_addr_set_port(&a, 65536), WEFT_EINVAL);
  CHECK_INT(weft_addr_set_port(&a, -1), WEFT_EINVAL);
  CHECK_INT(weft_addr_port(&a), 65535);
}

static void what_the_system_has_is_copied(void **state) {
  (void)state;
  weft_addr a, b;
  CHECK_INT(weft_addr_parse(&a, "127.0.0.1", 80), 0);
  CHECK_INT(weft_addr_from_sockaddr(&b, &weft__sa(&a)->any, WEFT__SA_ROOM),
            0); /* a whole sockaddr_storage */
  CHECK(weft_addr_equal(&a, &b));
  CHECK_INT((int)b.len, (int)sizeof(struct sockaddr_in));
  CHECK_INT(weft_addr_from_sockaddr(&b, &weft__sa(&a)->any, sizeof(struct sockaddr_in) - 1),
            WEFT_EINVAL);
  CHECK_INT(weft_addr_from_sockaddr(&b, &weft__sa(&a)->any, 1), WEFT_EINVAL);
  CHECK_INT(weft_addr_from_sockaddr(&b, &weft__sa(&a)->any, WEFT__SA_ROOM + 1), WEFT_EINVAL);
  CHECK_INT(weft_addr_from_sockaddr(&b, NULL, 16), WEFT_EINVAL);
  weft__sa(&a)->any.sa_family = AF_NETLINK;
  CHECK_INT(weft_addr_from_sockaddr(&b, &weft__sa(&a)->any, a.len), WEFT_EAFNOSUPPORT);
  expect_text(&a, "none");
  CHECK_INT(weft_addr_unix(&a, "with or without its zero"), 0);
  CHECK_INT(weft_addr_from_sockaddr(&b, &weft__sa(&a)->any, a.len - 1), 0);
  CHECK(weft_addr_equal(&a, &b));
}

static void a_path_of_the_kernel_is_always_terminated(void **state) {
  (void)state;
  weft_addr a;
  memset(&a, 1, sizeof a);
  weft__addr_room(&a);
  weft__sa(&a)->un.sun_family = AF_UNIX;
  memset(weft__sa(&a)->un.sun_path, 'x',
         WEFT__SA_PATH); /* without a zero, as the kernel may give it */
  a.len = sizeof(struct sockaddr_un);
  weft__addr_filled(&a);
  CHECK_INT(strlen(weft_addr_path(&a)), WEFT__SA_PATH);
  a.len = 1000;
  weft__addr_filled(&a);
  CHECK_INT((int)a.len, (int)WEFT__SA_ROOM);
  a.len = 0;
  weft__addr_filled(&a);
  CHECK_INT(weft_addr_family(&a), AF_UNSPEC);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_are_parsed_and_written),
    cmocka_unit_test(an_interface_may_have_a_name),
    cmocka_unit_test(what_is_no_number_or_no_port_is_refused),
    cmocka_unit_test(well_known_ones_have_functions),
    cmocka_unit_test(unix_names_are_files_or_abstract),
    cmocka_unit_test(odd_names_keep_their_meaning_as_text),
    cmocka_unit_test(names_may_be_as_long_as_the_system_takes_them),
    cmocka_unit_test(names_that_are_none_are_refused),
    cmocka_unit_test(texts_that_are_none_are_refused),
    cmocka_unit_test(a_short_buffer_is_filled_and_the_length_told),
    cmocka_unit_test(no_address_is_one_too),
    cmocka_unit_test(equality_looks_at_what_says_where),
    cmocka_unit_test(the_port_can_be_changed),
    cmocka_unit_test(what_the_system_has_is_copied),
    cmocka_unit_test(a_path_of_the_kernel_is_always_terminated),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
