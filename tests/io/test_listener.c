/* Listeners: one connection after the other. */
#include <unistd.h>

#include "io/addr.h"
#include "io/listener.h"
#include "server_test.h"

/* ---- accepting ---- */

struct accepted {
  weft_listener *l;
  weft_stream *s;
};

static int accept_into(void *arg) {
  struct accepted *a = arg;
  return weft_accept(a->l, &a->s);
}

TASK_TEST(each_client_becomes_a_stream) {
  weft_listener *l = listen_here(NULL);
  weft_addr at = addr_of(l);
  CHECK(weft_addr_port(&at) > 0);
  for (int i = 0; i < 3; i++) {
    weft_stream *client = dial(&at), *s = NULL;
    weft_addr from, peer;
    CHECK_INT(weft_accept(l, &s), 1);
    CHECK_INT(weft_stream_local(client, &from), 0);
    CHECK_INT(weft_stream_peer(s, &peer), 0);
    CHECK(weft_addr_equal(&from, &peer));
    CHECK_INT(write_text(client, "who"), 0);
    CHECK(expect_bytes(s, "who"));
    CHECK_INT(weft_stream_close(client), 0);
    CHECK_INT(weft_stream_close(s), 0);
  }
  CHECK_INT(weft_listener_free(l), 0);
}

TASK_TEST(accept_waits_for_a_client) {
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_task t = spawn_parked(accept_into, &a);
  weft_stream *client = dial(&at);
  CHECK_INT(weft_await(t), 1);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_stream_close(a.s), 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(an_accept_ends_with_0_when_the_listener_is_closed) {
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_task t = spawn_parked(accept_into, &a);
  CHECK_INT(weft_listener_close(a.l), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(accept_into(&a), 0);
  CHECK_INT(weft_listener_close(a.l), 0);
  CHECK_INT(weft_listener_addr(a.l, &at), WEFT_ECLOSED);
  CHECK_PTR(a.s, NULL);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(a_listener_that_is_freed_ends_its_accept) {
  struct accepted a = {.l = listen_here(NULL)};
  weft_task t = spawn_parked(accept_into, &a);
  CHECK_INT(weft_listener_free(a.l), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_listener_free(NULL), 0);
}

TASK_TEST(nobody_listens_after_the_close) {
  weft_listener *l = listen_here(NULL);
  weft_addr at = addr_of(l);
  CHECK_INT(weft_listener_close(l), 0);
  CHECK(is_refused(&at));
  CHECK_INT(weft_listener_free(l), 0);
}

/* The end comes between a try that found nobody and the wait after it, and so does a client. */
TASK_TEST(who_came_before_a_hasty_end_is_taken) {
  weft_listener *l = listen_here(NULL);
  weft_addr at = addr_of(l);
  weft_stream *s = NULL;
  CHECK_INT(weft__listener_enter(l), 0);
  CHECK_INT(weft__listener_take(l, &s, NULL), WEFT_EAGAIN);
  weft_stream *client = dial(&at);
  weft__listener_hurry(l, 0);
  while (weft__descriptor_take(l->d, WEFT__IN)) {} /* as if that try had come just before it */
  CHECK_INT(weft__listener_wait(l), 0);
  CHECK_INT(weft__listener_take(l, &s, NULL), 0);
  CHECK_INT(weft__listener_take(l, &s, NULL), WEFT_EAGAIN);
  CHECK_INT(weft__listener_wait(l), WEFT_EAGAIN);
  weft__listener_leave(l);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(s) == 0);
  CHECK_INT(weft_listener_free(l), 0);
}

TASK_TEST(a_cancelled_accept_has_taken_nobody) {
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_task t = spawn_parked(accept_into, &a);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  weft_stream *client = dial(&at);
  CHECK_INT(accept_into(&a), 1);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(a_deadline_ends_an_accept) {
  struct accepted a = {.l = listen_here(NULL)};
  CHECK_INT(weft_wait_for(accept_into, &a, weft_ms(5)), WEFT_ETIMEDOUT);
  weft_addr at = addr_of(a.l);
  weft_stream *client = dial(&at);
  CHECK_INT(weft_wait_for(accept_into, &a, A_LONG_TIME), 1);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(one_task_accepts_at_a_time) {
  struct accepted a = {.l = listen_here(NULL)}, b = a;
  weft_addr at = addr_of(a.l);
  weft_task t = spawn_parked(accept_into, &a);
  CHECK_INT(accept_into(&b), WEFT_EBUSY);
  weft_stream *client = dial(&at);
  CHECK_INT(weft_await(t), 1);
  weft_stream *another = dial(&at);
  CHECK_INT(accept_into(&b), 1);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK(weft_stream_close(another) == 0 && weft_stream_close(b.s) == 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

/* The system may give it to us all the same, and then its stream says so. */
TASK_TEST(a_client_that_gave_up_keeps_nobody_from_the_next) {
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_stream *first = dial(&at);
  CHECK_INT(weft_stream_abort(first), 0);
  CHECK_INT(weft_stream_close(first), 0);
  weft_stream *second = dial(&at);
  CHECK_INT(write_text(second, "here"), 0);
  for (bool served = false; !served;) {
    char buf[4];
    if (!CHECK_INT(accept_into(&a), 1)) break;
    served = weft_read_exactly(a.s, buf, 4) == 4;
    CHECK_INT(weft_stream_close(a.s), 0);
  }
  CHECK_INT(weft_stream_close(second), 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(SV4_aborted_connections_are_skipped) {
  static const int codes[] = {WEFT_ECONNABORTED, WEFT_EPROTO, WEFT_EINTR, WEFT_EHOSTUNREACH};
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    weft_stream *client = dial(&at);
    weft__sys_fail_times(WEFT__SYS_accept4, 1, codes[i], 3);
    CHECK_INT(accept_into(&a), 1);
    CHECK(weft__sys_calls(WEFT__SYS_accept4) >= 4);
    weft__sys_clear();
    CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  }
  CHECK_INT(weft_listener_free(a.l), 0);
}

static int clear_faults(void *arg) {
  (void)arg;
  weft__sys_clear();
  return 0;
}

/* In exact mode nobody is interrupted: whoever accepts gives the others a turn by itself. */
EXACT_TEST(SV4_after_a_backlog_in_a_row_the_others_have_a_turn) {
  struct accepted a = {.l = listen_here(&(weft_listen_opts){.backlog = 5})};
  weft_addr at = addr_of(a.l);
  weft_stream *client = dial(&at);
  weft_task other = weft_spawn(clear_faults, NULL, NULL);
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_ECONNABORTED, true);
  CHECK_INT(accept_into(&a), 1);
  CHECK(weft__sys_calls(WEFT__SYS_accept4) >= 6);
  CHECK(weft__sys_calls(WEFT__SYS_accept4) <= 8);
  CHECK_INT(weft_await(other), 0);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(an_error_of_the_socket_is_the_callers) {
  struct accepted a = {.l = listen_here(NULL)};
  weft_addr at = addr_of(a.l);
  weft_stream *client = dial(&at);
  weft__sys_fail(WEFT__SYS_accept4, 1, WEFT_ENOTSUP, false);
  CHECK_INT(accept_into(&a), WEFT_ENOTSUP);
  weft__sys_clear();
  CHECK_INT(accept_into(&a), 1);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

/* ---- wrong use ---- */

TASK_TEST(a_port_that_is_taken_is_refused) {
  weft_listener *l = listen_here(NULL), *second = NULL;
  weft_addr at = addr_of(l);
  CHECK_INT(weft_listen(&second, &at, NULL), WEFT_EADDRINUSE);
  CHECK_PTR(second, NULL);
  CHECK_INT(weft_listener_free(l), 0);
  CHECK_INT(weft_listen(&second, &at, NULL), 0);
  CHECK_INT(weft_listener_free(second), 0);
}

TASK_TEST(bad_options_are_refused) {
  weft_listener *l = NULL;
  const weft_addr at = any_port(), none = {0};
  CHECK_INT(weft_listen(NULL, &at, NULL), WEFT_EINVAL);
  CHECK_INT(weft_listen(&l, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_listen(&l, &none, NULL), WEFT_EINVAL);
  CHECK_INT(weft_listen(&l, &at, &(weft_listen_opts){.backlog = -1}), WEFT_EINVAL);
  CHECK_INT(weft_listen(&l, &at, &(weft_listen_opts){.mode = 01000}), WEFT_EINVAL);
  CHECK_INT(weft_listener_from_fd(&l, -1), WEFT_EBADF);
  CHECK_INT(weft_listener_from_fd(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_listener_close(NULL), WEFT_EINVAL);
  CHECK_PTR(l, NULL);
}

TASK_TEST(a_listener_of_a_socket_that_listens) {
  int fds[2];
  struct accepted a = {0};
  fd_pair(fds);
  CHECK_INT(weft_listener_from_fd(&a.l, fds[0]), WEFT_EINVAL);
  weft__sys_close(fds[0]);
  weft__sys_close(fds[1]);
  weft_addr at = any_port();
  int fd = weft__sys_socket(AF_INET, SOCK_STREAM, 0);
  CHECK_INT(weft__sys_bind(fd, &weft__sa(&at)->any, at.len), 0);
  CHECK_INT(weft_listener_from_fd(&a.l, fd), WEFT_EINVAL);
  CHECK_INT(weft__sys_listen(fd, 5), 0);
  CHECK_INT(weft_listener_from_fd(&a.l, fd), 0);
  at = addr_of(a.l);
  weft_stream *client = dial(&at);
  CHECK_INT(accept_into(&a), 1);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK_INT(weft_listener_free(a.l), 0);
}

TASK_TEST(others_may_listen_on_a_port_that_is_shared) {
  weft_listener *l = listen_here(&(weft_listen_opts){.reuse_port = true}), *second = NULL;
  weft_addr at = addr_of(l);
  CHECK_INT(weft_listen(&second, &at, &(weft_listen_opts){.reuse_port = true}), 0);
  CHECK_INT(weft_listener_free(l), 0);
  struct accepted a = {.l = second};
  weft_stream *client = dial(&at);
  CHECK_INT(accept_into(&a), 1);
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(a.s) == 0);
  CHECK_INT(weft_listener_free(second), 0);
}

/* Whether "::" takes IPv4 clients. */
static int dial_by_v4(bool v6only) {
  weft_listener *l = NULL;
  weft_addr at, by;
  CHECK_INT(weft_addr_any(&at, AF_INET6, 0), 0);
  int r = weft_listen(&l, &at, &(weft_listen_opts){.v6_only = v6only});
  if (r < 0) return r;
  at = addr_of(l);
  CHECK_INT(weft_addr_parse(&by, "127.0.0.1", weft_addr_port(&at)), 0);
  weft_stream *client = NULL;
  r = try_dial(&client, &by);
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_listener_free(l), 0);
  return r;
}

TASK_TEST(an_ipv6_listener_takes_ipv4_clients_unless_told_not_to) {
  int r = dial_by_v4(false);
  if (r == WEFT_EAFNOSUPPORT || r == WEFT_EADDRNOTAVAIL) return; /* no IPv6 here */
  CHECK_INT(r, 0);
  CHECK_INT(dial_by_v4(true), WEFT_ECONNREFUSED);
}

static void outside_a_task_there_is_nobody_to_wait(void **state) {
  (void)state;
  weft_addr at = any_port();
  struct accepted a = {0};
  CHECK_INT(weft_listen(&a.l, &at, NULL), 0);
  CHECK_INT(accept_into(&a), WEFT_ENOTASK);
  CHECK_INT(weft_listener_free(a.l), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_client_becomes_a_stream),
      cmocka_unit_test(who_came_before_a_hasty_end_is_taken),
      cmocka_unit_test(accept_waits_for_a_client),
      cmocka_unit_test(an_accept_ends_with_0_when_the_listener_is_closed),
      cmocka_unit_test(a_listener_that_is_freed_ends_its_accept),
      cmocka_unit_test(nobody_listens_after_the_close),
      cmocka_unit_test(a_cancelled_accept_has_taken_nobody),
      cmocka_unit_test(a_deadline_ends_an_accept),
      cmocka_unit_test(one_task_accepts_at_a_time),
      cmocka_unit_test(a_client_that_gave_up_keeps_nobody_from_the_next),
      cmocka_unit_test(SV4_aborted_connections_are_skipped),
      cmocka_unit_test(SV4_after_a_backlog_in_a_row_the_others_have_a_turn),
      cmocka_unit_test(an_error_of_the_socket_is_the_callers),
      cmocka_unit_test(a_port_that_is_taken_is_refused),
      cmocka_unit_test(bad_options_are_refused),
      cmocka_unit_test(a_listener_of_a_socket_that_listens),
      cmocka_unit_test(others_may_listen_on_a_port_that_is_shared),
      cmocka_unit_test(an_ipv6_listener_takes_ipv4_clients_unless_told_not_to),
      cmocka_unit_test(outside_a_task_there_is_nobody_to_wait),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
