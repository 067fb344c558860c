/* Connections to one address, over TCP and Unix sockets: how they are made, and how they fail. */
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "parked.h"
#include "places.h"
#include "task_test.h"

/* Bytes go both ways: one at a time, since a buffer may have room for one only. */
static void expect_connected(weft_stream *a, weft_stream *b) {
  char c = 0;
  CHECK_INT(weft_write(a, "1", 1), 0);
  CHECK_INT(weft_read(b, &c, 1), 1);
  CHECK_INT(c, '1');
  CHECK_INT(weft_write(b, "2", 1), 0);
  CHECK_INT(weft_read(a, &c, 1), 1);
  CHECK_INT(c, '2');
}

struct connecting {
  const weft_addr *addr;
  const weft_connect_opts *opts;
  weft_stream *stream;
  int code;
};

static int connect_to(void *arg) {
  struct connecting *c = arg;
  return c->code = weft_connect_addr(&c->stream, c->addr, c->opts);
}

static void expect_connects(struct place *p, const weft_connect_opts *opts) {
  weft_stream *s = NULL;
  if (!CHECK_INT(weft_connect_addr(&s, &p->addr, opts), 0)) return;
  weft_stream *other = place_accept_stream(p);
  expect_connected(s, other);
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(weft_stream_close(other), 0);
}

TASK_TEST(a_number_is_connected_to) {
  weft_stream *s = NULL;
  weft_addr peer;
  places_begin();
  struct place p = place_listening();
  if (!CHECK_INT(weft_connect(&s, "127.0.0.1", weft_addr_port(&p.addr), NULL), 0)) return;
  weft_stream *other = place_accept_stream(&p);
  expect_connected(s, other);
  CHECK_INT(weft_stream_peer(s, &peer), 0);
  CHECK(weft_addr_equal(&peer, &p.addr));
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(weft_stream_close(other), 0);
  place_close(&p);
}

TASK_TEST(an_address_is_connected_to_again_and_again) {
  places_begin();
  struct place p = place_listening();
  for (int i = 0; i < count(50) && !weft_test_failed(); i++) expect_connects(&p, NULL);
  place_close(&p);
}

TASK_TEST(small_writes_go_out_at_once) {
  weft_stream *s = NULL;
  int on = 0;
  socklen_t len = sizeof on;
  places_begin();
  struct place p = place_listening();
  if (!CHECK_INT(weft_connect_addr(&s, &p.addr, NULL), 0)) return;
  if (!weft_simulated()) {
    CHECK_INT(weft__sys_getsockopt(weft_stream_fd(s), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &len),
              0);
    CHECK_INT(on, 1);
  }
  CHECK_INT(weft_stream_close(s), 0);
  place_close(&p);
}

TASK_TEST(a_connection_comes_from_the_address_that_it_is_told) {
  weft_stream *s = NULL;
  weft_addr local, at_peer = {0}, own = {0};
  places_begin();
  struct place p = place_listening();
  CHECK_INT(weft_addr_parse(&local, "127.0.0.2", 0), 0);
  const weft_connect_opts opts = {.local = &local};
  if (!CHECK_INT(weft_connect_addr(&s, &p.addr, &opts), 0)) return;
  weft_stream *other = place_accept_stream(&p);
  CHECK_INT(weft_stream_peer(other, &at_peer), 0);
  CHECK_INT(weft_stream_local(s, &own), 0);
  CHECK(weft_addr_equal(&own, &at_peer));
  CHECK(weft_addr_port(&own) > 0);
  CHECK_INT(weft_addr_set_port(&own, 0), 0);
  CHECK(weft_addr_equal(&own, &local));
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(weft_stream_close(other), 0);
  place_close(&p);
}

TASK_TEST(an_address_of_ones_own_that_cannot_be_had_is_an_error) {
  weft_stream *s = NULL;
  weft_addr six;
  places_begin();
  struct place p = place_listening();
  CHECK_INT(weft_connect_addr(&s, &p.addr, &(weft_connect_opts){.local = &p.addr}),
            WEFT_EADDRINUSE);
  CHECK_INT(weft_addr_loopback(&six, AF_INET6, 0), 0);
  CHECK_INT(weft_connect_addr(&s, &p.addr, &(weft_connect_opts){.local = &six}), WEFT_EAFNOSUPPORT);
  CHECK_PTR(s, NULL);
  place_close(&p);
}

/* ---- what goes wrong ---- */

TASK_TEST(nobody_there_is_refused_and_told_to_the_list) {
  weft_stream *s = NULL;
  weft_connect_error list[2];
  weft_connect_errors errors = {.list = list, .max = 2, .count = 7};
  const weft_connect_opts opts = {.errors = &errors};
  places_begin();
  struct place p = place_refusing();
  int before = open_sockets();
  CHECK_INT(weft_connect_addr(&s, &p.addr, &opts), WEFT_ECONNREFUSED);
  CHECK_INT(open_sockets(), before);
  CHECK_UINT(errors.count, 1);
  CHECK_INT(list[0].code, WEFT_ECONNREFUSED);
  CHECK(weft_addr_equal(&list[0].addr, &p.addr));
  CHECK_PTR(s, NULL);
  place_close(&p);
}

TASK_TEST(wrong_arguments_are_refused) {
  weft_stream *s = NULL;
  weft_addr at, none = {0};
  weft_connect_errors errors = {.max = 1};
  CHECK_INT(weft_addr_parse(&at, "127.0.0.1", 0), 0);
  CHECK_INT(weft_connect(&s, NULL, 80, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect(NULL, "127.0.0.1", 80, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect(&s, "127.0.0.1", 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect(&s, "127.0.0.1", -1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect(&s, "127.0.0.1", 65536, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_addr(&s, &at, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_addr(&s, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_addr(NULL, &at, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_addr(&s, &none, NULL), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_connect_addrs(&s, &at, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_unix(&s, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_connect_unix(&s, "", NULL), WEFT_EINVAL);
  CHECK_INT(weft_addr_set_port(&at, 80), 0);
  CHECK_INT(weft_connect_addr(&s, &at, &(weft_connect_opts){.errors = &errors}), WEFT_EINVAL);
  char longer[200];
  memset(longer, 'x', sizeof longer);
  longer[199] = 0;
  CHECK_INT(weft_connect_unix(&s, longer, NULL), WEFT_ENAMETOOLONG);
  CHECK_PTR(s, NULL);
}

static void outside_a_task_nothing_is_connected(void **state) {
  (void)state;
  weft_stream *s = NULL;
  weft_addr at;
  CHECK_INT(weft_addr_parse(&at, "127.0.0.1", 80), 0);
  CHECK_INT(weft_connect(&s, "127.0.0.1", 80, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_connect_addr(&s, &at, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_connect_addrs(&s, &at, 1, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_connect_unix(&s, "x", NULL), WEFT_ENOTASK);
}

TASK_TEST(a_cancel_leaves_no_descriptor) {
  places_begin();
  struct place p = place_silent();
  struct connecting c = {.addr = &p.addr};
  int before = open_sockets();
  weft_task t = spawn_parked(connect_to, &c);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(open_sockets(), before);
  place_close(&p);
}

TASK_TEST(a_deadline_leaves_no_descriptor) {
  places_begin();
  struct place p = place_silent();
  struct connecting c = {.addr = &p.addr};
  int before = open_sockets();
  CHECK_INT(weft_wait_for(connect_to, &c, weft_ms(10)), WEFT_ETIMEDOUT);
  CHECK_INT(c.code, WEFT_ECANCELED);
  CHECK_INT(open_sockets(), before);
  place_close(&p);
}

TASK_TEST(a_cancel_that_was_there_before_is_answered_first) {
  places_begin();
  struct place p = place_listening();
  struct connecting c = {.addr = &p.addr};
  weft_task self = weft_current();
  weft_cancel(self);
  CHECK_INT(connect_to(&c), WEFT_ECANCELED);
  weft_cancel_catch();
  CHECK_INT(place_drop_all(&p), 0);
  place_close(&p);
}

TASK_TEST(a_cancel_and_a_connection_may_meet) {
  places_begin();
  struct place p = place_listening();
  int before = open_sockets();
  for (int i = 0; i < count(100) && !weft_test_failed(); i++) {
    struct connecting c = {.addr = &p.addr, .code = 1};
    weft_task t = weft_spawn(connect_to, &c, NULL);
    for (int turn = 0; turn < i % 4; turn++) weft_yield();
    weft_cancel(t);
    int r = weft_await(t);
    CHECK(r == 0 || r == WEFT_ECANCELED);
    if (c.stream) weft_stream_close(c.stream);
    CHECK_INT(c.stream != NULL,
              c.code == 0); /* a task that was cancelled too late has its stream */
    place_drop_all(&p);
  }
  CHECK_INT(open_sockets(), before);
  place_close(&p);
}

TASK_TEST(without_a_descriptor_or_memory_there_is_no_stream) {
  weft_stream *s = NULL;
  places_begin();
  struct place p = place_listening();
  int before = open_sockets(), r = WEFT_ENOMEM, n = 1;
  weft__sys_fail(WEFT__SYS_socket, 1, WEFT_EMFILE, false);
  CHECK_INT(weft_connect_addr(&s, &p.addr, NULL), WEFT_EMFILE);
  weft__sys_clear();
  CHECK_INT(open_sockets(), before);
  for (; r == WEFT_ENOMEM && n < 20; n++) {
    weft__memory_fail(WEFT__MEMORY_OWN, (uint64_t)n, false);
    r = weft_connect_addr(&s, &p.addr, NULL);
    weft__memory_fail_end();
    if (r < 0) CHECK_INT(open_sockets(), before);
  }
  CHECK(n > 2);
  if (CHECK_INT(r, 0)) CHECK_INT(weft_stream_close(s), 0);
  place_close(&p);
}

TASK_TEST(a_connect_that_is_interrupted_goes_on) {
  places_begin();
  struct place p = place_listening();
  weft__sys_fail(WEFT__SYS_connect, 2, WEFT_EINTR, false);
  expect_connects(&p, NULL);
  weft__sys_clear();
  place_close(&p);
}

/* ---- Unix sockets ---- */

/* Tests run beside each other. */
static const char *own_name(char *text, size_t size) {
  snprintf(text, size, "unix:@weft-test-connect-%d", (int)getpid());
  return text;
}

TASK_TEST(an_abstract_name_is_connected_to) {
  char text[64];
  places_begin();
  struct place p = place_listening_at(own_name(text, sizeof text), 128);
  expect_connects(&p, NULL);
  place_close(&p);
}

TASK_TEST(a_file_is_connected_to) {
  weft_stream *s = NULL;
  char path[64], text[96];
  places_begin();
  snprintf(path, sizeof path, "/tmp/weft-test-connect-%d", (int)getpid());
  snprintf(text, sizeof text, "unix:%s", path);
  unlink(path);
  CHECK_INT(weft_connect_unix(&s, path, NULL), WEFT_ENOENT);
  struct place p = place_listening_at(text, 128);
  if (CHECK_INT(weft_connect_unix(&s, path, NULL), 0)) {
    weft_stream *other = place_accept_stream(&p);
    expect_connected(s, other);
    CHECK_INT(weft_stream_close(s), 0);
    CHECK_INT(weft_stream_close(other), 0);
  }
  place_close(&p);
  unlink(path);
}

TASK_TEST(a_name_that_nobody_has_is_refused) {
  weft_stream *s = NULL;
  weft_addr at;
  places_begin();
  CHECK_INT(weft_addr_unix_abstract(&at, "weft-test-nobody", 16), 0);
  CHECK_INT(weft_connect_addr(&s, &at, NULL), WEFT_ECONNREFUSED);
}

TASK_TEST(a_full_queue_is_waited_for) {
  char text[64];
  places_begin();
  struct place p = place_full_at(own_name(text, sizeof text));
  struct connecting c = {.addr = &p.addr};
  weft_task t = spawn_parked(connect_to, &c);
  CHECK_INT(weft__sys_close(place_accept(&p)), 0);
  CHECK_INT(weft_await(t), 0);
  weft_stream *other = place_accept_stream(&p);
  expect_connected(c.stream, other);
  CHECK_INT(weft_stream_close(c.stream), 0);
  CHECK_INT(weft_stream_close(other), 0);
  place_close(&p);
}

TASK_TEST(who_waits_for_a_full_queue_can_be_cancelled) {
  char text[64];
  places_begin();
  struct place p = place_full_at(own_name(text, sizeof text));
  struct connecting c = {.addr = &p.addr};
  int before = open_sockets();
  weft_task t = spawn_parked(connect_to, &c);
  weft_cancel(t);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(open_sockets(), before);
  place_close(&p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_number_is_connected_to),
    cmocka_unit_test(an_address_is_connected_to_again_and_again),
    cmocka_unit_test(small_writes_go_out_at_once),
    cmocka_unit_test(a_connection_comes_from_the_address_that_it_is_told),
    cmocka_unit_test(an_address_of_ones_own_that_cannot_be_had_is_an_error),
    cmocka_unit_test(nobody_there_is_refused_and_told_to_the_list),
    cmocka_unit_test(wrong_arguments_are_refused),
    cmocka_unit_test(outside_a_task_nothing_is_connected),
    cmocka_unit_test(a_cancel_leaves_no_descriptor),
    cmocka_unit_test(a_deadline_leaves_no_descriptor),
    cmocka_unit_test(a_cancel_that_was_there_before_is_answered_first),
    cmocka_unit_test(a_cancel_and_a_connection_may_meet),
    cmocka_unit_test(without_a_descriptor_or_memory_there_is_no_stream),
    cmocka_unit_test(a_connect_that_is_interrupted_goes_on),
    cmocka_unit_test(an_abstract_name_is_connected_to),
    cmocka_unit_test(a_file_is_connected_to),
    cmocka_unit_test(a_name_that_nobody_has_is_refused),
    cmocka_unit_test(a_full_queue_is_waited_for),
    cmocka_unit_test(who_waits_for_a_full_queue_can_be_cancelled),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
