/* Connections to one of several addresses: happy eyeballs, and what is told of those that failed. */
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "parked.h"
#include "places.h"
#include "resolver.h"
#include "task_test.h"

enum { MOST = 8 };

struct told {
  weft_connect_error list[MOST];
  weft_connect_errors errors;
};

static weft_connect_errors *told(struct told *t) {
  t->errors = (weft_connect_errors){.list = t->list, .max = MOST, .count = 99};
  return &t->errors;
}

static void expect_told(const struct told *t, size_t i, const weft_addr *addr, int code) {
  CHECK(weft_addr_equal(&t->list[i].addr, addr));
  CHECK_INT(t->list[i].code, code);
}

/* s is connected to p, and to nothing else. */
static void expect_reached(weft_stream *s, struct place *p) {
  weft_addr peer;
  CHECK_INT(weft_stream_peer(s, &peer), 0);
  CHECK(weft_addr_equal(&peer, &p->addr));
  weft_stream *other = place_accept_stream(p);
  char c = 0;
  CHECK_INT(weft_write(s, "1", 1), 0);
  CHECK_INT(weft_read(other, &c, 1), 1);
  CHECK_INT(c, '1');
  CHECK_INT(weft_stream_close(other), 0);
  CHECK_INT(weft_stream_close(s), 0);
}

struct connecting {
  weft_addr addrs[MOST];
  size_t n;
  const char *host; /* or NULL: addrs */
  weft_connect_opts opts;
  weft_stream *stream;
  int code;
};

static int connect_to(void *arg) {
  struct connecting *c = arg;
  return c->code = c->host ? weft_connect(&c->stream, c->host, 80, &c->opts)
                           : weft_connect_addrs(&c->stream, c->addrs, c->n, &c->opts);
}

TASK_TEST(SV6_every_error_is_told_in_the_order_of_the_addresses) {
  weft_stream *s = NULL;
  struct told t;
  struct place p[3];
  weft_addr addrs[3];
  places_begin();
  for (int i = 0; i < 3; i++) addrs[i] = (p[i] = place_refusing()).addr;
  int before = open_sockets();
  const weft_connect_opts opts = {.errors = told(&t)};
  CHECK_INT(weft_connect_addrs(&s, addrs, 3, &opts), WEFT_ECONNREFUSED);
  if (CHECK_UINT(t.errors.count, 3))
    for (size_t i = 0; i < 3; i++) expect_told(&t, i, &addrs[i], WEFT_ECONNREFUSED);
  CHECK_PTR(s, NULL);
  CHECK_INT(open_sockets(), before);
  for (int i = 0; i < 3; i++) place_close(&p[i]);
}

TASK_TEST(SV6_the_code_is_that_of_the_first_address) {
  weft_stream *s = NULL;
  struct told t;
  weft_addr addrs[2];
  char name[64];
  places_begin();
  struct place p = place_refusing();
  snprintf(name, sizeof name, "/nonexistent/weft-test-%d", (int)getpid());
  CHECK_INT(weft_addr_unix(&addrs[0], name), 0);
  addrs[1] = p.addr;
  const weft_connect_opts opts = {.errors = told(&t)};
  CHECK_INT(weft_connect_addrs(&s, addrs, 2, &opts), WEFT_ENOENT);
  CHECK_UINT(t.errors.count, 2);
  expect_told(&t, 0, &addrs[0], WEFT_ENOENT);
  expect_told(&t, 1, &addrs[1], WEFT_ECONNREFUSED);
  place_close(&p);
}

TASK_TEST(SV6_a_list_that_is_too_short_has_the_first_and_the_count_of_all) {
  weft_stream *s = NULL;
  struct told t;
  struct place p = (places_begin(), place_refusing());
  const weft_addr addrs[3] = {p.addr, p.addr, p.addr};
  told(&t)->max = 1;
  t.list[1].code = 7;
  CHECK_INT(weft_connect_addrs(&s, addrs, 3, &(weft_connect_opts){.errors = &t.errors}),
            WEFT_ECONNREFUSED);
  CHECK_UINT(t.errors.count, 3);
  CHECK_INT(t.list[1].code, 7);
  place_close(&p);
}

TASK_TEST(SV6_an_address_that_fails_gives_way_at_once) {
  weft_stream *s = NULL;
  struct told t;
  places_begin();
  struct place bad = place_refusing(), good = place_listening();
  const weft_addr addrs[3] = {bad.addr, bad.addr, good.addr};
  const weft_connect_opts opts = {.stagger = WEFT_FOREVER, .errors = told(&t)};
  if (CHECK_INT(weft_connect_addrs(&s, addrs, 3, &opts), 0)) expect_reached(s, &good);
  CHECK_UINT(t.errors.count, 2); /* also when it succeeds */
  expect_told(&t, 0, &bad.addr, WEFT_ECONNREFUSED);
  place_close(&bad);
  place_close(&good);
}

TASK_TEST(SV6_an_address_that_does_not_answer_gives_way_after_a_while) {
  weft_stream *s = NULL;
  struct told t;
  places_begin();
  struct place silent = place_silent(), good = place_listening();
  int before = open_sockets();
  const weft_addr addrs[2] = {silent.addr, good.addr};
  const weft_connect_opts opts = {.errors = told(&t)};
  weft_ns begin = weft_now();
  if (CHECK_INT(weft_connect_addrs(&s, addrs, 2, &opts), 0)) {
    CHECK(weft_now() - begin >= weft_ms(250));
    CHECK_INT(open_sockets(), weft_simulated() ? before : before + 1);
    expect_reached(s, &good);
  }
  CHECK_UINT(t.errors.count, 0);
  CHECK_INT(open_sockets(), before);
  place_close(&silent);
  place_close(&good);
}

TASK_TEST(SV6_addresses_follow_each_other_in_steps) {
  weft_stream *s = NULL;
  places_begin();
  struct place silent = place_silent(), good = place_listening();
  const weft_addr addrs[4] = {silent.addr, silent.addr, silent.addr, good.addr};
  const weft_connect_opts opts = {.stagger = weft_ms(10)};
  weft_ns begin = weft_now();
  if (CHECK_INT(weft_connect_addrs(&s, addrs, 4, &opts), 0)) expect_reached(s, &good);
  CHECK(weft_now() - begin >= weft_ms(30));
  place_close(&silent);
  place_close(&good);
}

TASK_TEST(SV6_without_steps_all_are_tried_at_once) {
  weft_stream *s = NULL;
  places_begin();
  struct place silent = place_silent(), good = place_listening();
  const weft_addr addrs[4] = {silent.addr, silent.addr, silent.addr, good.addr};
  const weft_connect_opts opts = {.stagger = -1};
  if (CHECK_INT(weft_connect_addrs(&s, addrs, 4, &opts), 0)) expect_reached(s, &good);
  place_close(&silent);
  place_close(&good);
}

TASK_TEST(SV6_one_after_the_other_waits_for_the_first) {
  struct connecting c = {.n = 2, .opts.stagger = WEFT_FOREVER};
  places_begin();
  struct place silent = place_silent(), good = place_listening();
  c.addrs[0] = silent.addr;
  c.addrs[1] = good.addr;
  CHECK_INT(weft_wait_for(connect_to, &c, weft_ms(300)), WEFT_ETIMEDOUT);
  CHECK_INT(place_drop_all(&good), 0);
  place_close(&silent);
  place_close(&good);
}

TASK_TEST(SV6_the_first_connection_wins_and_the_others_are_closed) {
  places_begin();
  struct place p = place_listening();
  int before = open_sockets();
  for (int i = 0; i < count(50) && !weft_test_failed(); i++) {
    weft_stream *s = NULL;
    const weft_addr addrs[4] = {p.addr, p.addr, p.addr, p.addr};
    CHECK_INT(weft_connect_addrs(&s, addrs, 4, &(weft_connect_opts){.stagger = -1}), 0);
    CHECK_INT(weft_stream_close(s), 0);
    place_drop_all(&p);
    CHECK_INT(open_sockets(), before);
  }
  place_close(&p);
}

TASK_TEST(SV6_kinds_of_sockets_may_be_mixed) {
  weft_stream *s = NULL;
  char text[64];
  places_begin();
  snprintf(text, sizeof text, "unix:@weft-test-race-%d", (int)getpid());
  struct place silent = place_silent(), local = place_listening_at(text, 8);
  const weft_addr addrs[2] = {silent.addr, local.addr};
  const weft_connect_opts opts = {.stagger = weft_ms(1)};
  if (CHECK_INT(weft_connect_addrs(&s, addrs, 2, &opts), 0)) expect_reached(s, &local);
  place_close(&silent);
  place_close(&local);
}

/* ---- by name ---- */

static void resolve_to(const char *const *texts, int n) {
  for (int i = 0; i < n; i++) CHECK_INT(weft_addr_from_text(&resolver.addresses[i], texts[i]), 0);
  resolver.naddresses = n;
}

TASK_TEST(SV6_a_name_is_tried_by_turns_of_the_families) {
  static const char *const found[] = {"[::1]:1", "[::1]:2", "[::1]:3", "127.0.0.1:1",
                                      "127.0.0.1:2"};
  static const char *const tried[] = {"[::1]:1", "127.0.0.1:1", "[::1]:2", "127.0.0.1:2",
                                      "[::1]:3"};
  weft_stream *s = NULL;
  struct told t;
  places_begin();
  resolver_begin();
  resolve_to(found, 5);
  const weft_connect_opts opts = {.errors = told(&t)};
  int r = weft_connect(&s, "addresses.test", 80, &opts);
  CHECK(r < 0 && r != WEFT_ECANCELED);
  if (CHECK_UINT(t.errors.count, 5))
    for (int i = 0; i < 5; i++) {
      char text[WEFT_ADDR_TEXT];
      weft_addr_format(&t.list[i].addr, text, sizeof text);
      CHECK_STR(text, tried[i]);
      CHECK(t.list[i].code < 0); /* where there is no IPv6 that is another code */
    }
  CHECK_INT(r, t.list[0].code);
  resolver_end();
}

TASK_TEST(SV6_a_name_leads_to_the_address_that_answers) {
  weft_stream *s = NULL;
  places_begin();
  resolver_begin();
  struct place good = place_listening();
  static const char *const found[] = {"[::1]:1", "127.0.0.1:1"};
  resolve_to(found, 2);
  resolver.addresses[resolver.naddresses++] = good.addr;
  if (CHECK_INT(weft_connect(&s, "addresses.test", 80, NULL), 0)) expect_reached(s, &good);
  place_close(&good);
  resolver_end();
}

TASK_TEST(a_name_that_is_not_found_tells_no_address) {
  weft_stream *s = NULL;
  struct told t;
  resolver_begin();
  const weft_connect_opts opts = {.errors = told(&t)};
  CHECK_INT(weft_connect(&s, "none.test", 80, &opts), WEFT_EAI_NONAME);
  CHECK_UINT(t.errors.count, 0);
  CHECK_INT(weft_connect(&s, "again.test", 80, &opts), WEFT_EAI_AGAIN);
  CHECK_INT(weft_connect(&s, "a-name", 80, &(weft_connect_opts){.family = 99}), WEFT_EAI_FAMILY);
  CHECK_PTR(s, NULL);
  resolver_end();
}

TASK_TEST(a_cancel_during_the_lookup_is_answered_at_once) {
  struct connecting c = {.host = "stuck.test"};
  int rounds = 0;
  resolver_begin();
  int before = open_sockets();
  weft_task t = weft_spawn(connect_to, &c, NULL);
  while (atomic_load(&resolver.inside) < 1 && latch_turn(&rounds) == 0) {}
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(atomic_load(&resolver.left), 0);
  CHECK_INT(open_sockets(), before);
  resolver_end();
}

/* ---- cancel, faults ---- */

TASK_TEST(a_cancel_of_a_race_leaves_nothing) {
  struct connecting c = {.n = 4, .opts.stagger = -1};
  places_begin();
  struct place silent = place_silent();
  for (size_t i = 0; i < c.n; i++) c.addrs[i] = silent.addr;
  int before = open_sockets(), tasks = weft_tasks(NULL, 0);
  weft_task t = spawn_parked(connect_to, &c);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_PTR(c.stream, NULL);
  CHECK_INT(open_sockets(), before);
  CHECK_INT(weft_tasks(NULL, 0), tasks);
  place_close(&silent);
}

TASK_TEST(a_deadline_of_a_race_leaves_nothing) {
  struct connecting c = {.n = 3, .opts.stagger = weft_ms(1)};
  struct told told_;
  places_begin();
  struct place silent = place_silent(), bad = place_refusing();
  c.addrs[0] = bad.addr;
  c.addrs[1] = c.addrs[2] = silent.addr;
  c.opts.errors = told(&told_);
  int before = open_sockets();
  CHECK_INT(weft_wait_for(connect_to, &c, weft_ms(200)), WEFT_ETIMEDOUT);
  CHECK_UINT(told_.errors.count, 1);
  expect_told(&told_, 0, &bad.addr, WEFT_ECONNREFUSED);
  CHECK_INT(open_sockets(), before);
  place_close(&silent);
  place_close(&bad);
}

TASK_TEST(a_cancel_and_a_winner_may_meet) {
  places_begin();
  struct place p = place_listening();
  int before = open_sockets();
  for (int i = 0; i < count(100) && !weft_test_failed(); i++) {
    struct connecting c = {.n = 3, .opts.stagger = -1, .code = 1};
    for (size_t k = 0; k < c.n; k++) c.addrs[k] = p.addr;
    weft_task t = weft_spawn(connect_to, &c, NULL);
    for (int turn = 0; turn < i % 8; turn++) weft_yield();
    weft_cancel(t);
    int r = weft_await(t);
    CHECK(r == 0 || r == WEFT_ECANCELED);
    CHECK_INT(c.stream != NULL,
              c.code == 0); /* a task that was cancelled too late has its stream */
    weft_stream_close(c.stream);
    place_drop_all(&p);
  }
  CHECK_INT(open_sockets(), before);
  place_close(&p);
}

TASK_TEST(out_of_descriptors_is_an_error_of_each_address) {
  weft_stream *s = NULL;
  struct told t;
  places_begin();
  struct place p = place_listening();
  const weft_addr addrs[3] = {p.addr, p.addr, p.addr};
  const weft_connect_opts opts = {.errors = told(&t)};
  weft__sys_fail(WEFT__SYS_socket, 1, WEFT_EMFILE, true);
  CHECK_INT(weft_connect_addrs(&s, addrs, 3, &opts), WEFT_EMFILE);
  weft__sys_clear();
  CHECK_UINT(t.errors.count, 3);
  expect_told(&t, 2, &p.addr, WEFT_EMFILE);
  weft__sys_fail(WEFT__SYS_socket, 1, WEFT_EMFILE, false); /* the next one has better luck */
  if (CHECK_INT(weft_connect_addrs(&s, addrs, 3, &opts), 0)) CHECK_INT(weft_stream_close(s), 0);
  weft__sys_clear();
  CHECK_UINT(t.errors.count, 1);
  place_close(&p);
}

TASK_TEST(without_memory_a_race_ends_clean) {
  places_begin();
  struct place p = place_listening();
  const weft_addr addrs[2] = {p.addr, p.addr};
  int before = open_sockets(), failed = 0;
  for (int n = 1; n < 20; n++) {
    weft_stream *s = NULL;
    weft__memory_fail(WEFT__MEMORY_OWN, (uint64_t)n, true);
    int r = weft_connect_addrs(&s, addrs, 2, NULL);
    weft__memory_fail_end();
    CHECK(r == 0 || r == WEFT_ENOMEM);
    failed += r < 0;
    weft_stream_close(s);
    place_drop_all(&p);
    CHECK_INT(open_sockets(), before);
  }
  CHECK(failed > 0);
  place_close(&p);
}

TASK_TEST(wrong_lists_are_refused) {
  weft_stream *s = NULL;
  weft_addr addrs[2];
  CHECK_INT(weft_addr_parse(&addrs[0], "127.0.0.1", 1), 0);
  CHECK_INT(weft_addr_parse(&addrs[1], "127.0.0.1", 0), 0);
  CHECK_INT(weft_connect_addrs(&s, addrs, 2, NULL), WEFT_EINVAL);
  addrs[1] = (weft_addr){0};
  CHECK_INT(weft_connect_addrs(&s, addrs, 2, NULL), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_connect_addrs(&s, NULL, 2, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_addrs(NULL, addrs, 1, NULL), WEFT_EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(SV6_every_error_is_told_in_the_order_of_the_addresses),
    cmocka_unit_test(SV6_the_code_is_that_of_the_first_address),
    cmocka_unit_test(SV6_a_list_that_is_too_short_has_the_first_and_the_count_of_all),
    cmocka_unit_test(SV6_an_address_that_fails_gives_way_at_once),
    cmocka_unit_test(SV6_an_address_that_does_not_answer_gives_way_after_a_while),
    cmocka_unit_test(SV6_addresses_follow_each_other_in_steps),
    cmocka_unit_test(SV6_without_steps_all_are_tried_at_once),
    cmocka_unit_test(SV6_one_after_the_other_waits_for_the_first),
    cmocka_unit_test(SV6_the_first_connection_wins_and_the_others_are_closed),
    cmocka_unit_test(SV6_kinds_of_sockets_may_be_mixed),
    cmocka_unit_test(SV6_a_name_is_tried_by_turns_of_the_families),
    cmocka_unit_test(SV6_a_name_leads_to_the_address_that_answers),
    cmocka_unit_test(a_name_that_is_not_found_tells_no_address),
    cmocka_unit_test(a_cancel_during_the_lookup_is_answered_at_once),
    cmocka_unit_test(a_cancel_of_a_race_leaves_nothing),
    cmocka_unit_test(a_deadline_of_a_race_leaves_nothing),
    cmocka_unit_test(a_cancel_and_a_winner_may_meet),
    cmocka_unit_test(out_of_descriptors_is_an_error_of_each_address),
    cmocka_unit_test(without_memory_a_race_ends_clean),
    cmocka_unit_test(wrong_lists_are_refused),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
