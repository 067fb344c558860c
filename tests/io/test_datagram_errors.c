/* Errors of the network: a port where nobody is answers each datagram, on the loopback interface before
 * the send returns. */
#include "counts.h"
#include "datagram_test.h"
#include "parked.h"

static weft_datagram *open_to_nobody(bool errors, weft_addr *ret_nobody) {
  *ret_nobody = address_of_nobody();
  return open_with((weft_datagram_opts){.peer = ret_nobody, .errors = errors});
}

TASK_TEST(DG1_an_error_is_told_once_by_the_next_call) {
  weft_addr nobody;
  weft_datagram *d = open_to_nobody(false, &nobody);
  char buf[4];
  size_t len = 7;
  CHECK_INT(weft_datagram_send(d, "1", 1), 0);
  CHECK_INT(weft_datagram_receive(d, buf, sizeof buf, &len), WEFT_ECONNREFUSED);
  CHECK_UINT(len, 7);
  expect_nothing(d); /* once */
  CHECK_INT(weft_datagram_send(d, "2", 1), 0);
  CHECK_INT(weft_datagram_send(d, "3", 1), WEFT_ECONNREFUSED);
  CHECK_INT(weft_datagram_send(d, "4", 1), 0); /* "3" was not sent */
  CHECK_INT(weft_datagram_try_receive_from(d, buf, sizeof buf, &len, NULL), WEFT_ECONNREFUSED);
  weft_datagram_close(d);
}

struct receiving {
  weft_datagram *d;
  int code;
};

static int receive_one(void *arg) {
  struct receiving *r = arg;
  char buf[8];
  return r->code = weft_datagram_receive(r->d, buf, sizeof buf, NULL);
}

TASK_TEST(DG1_an_error_wakes_a_receiver_that_waits) {
  weft_addr nobody;
  weft_datagram *d = open_to_nobody(false, &nobody);
  struct receiving r = {.d = d};
  weft_task t = spawn_parked(receive_one, &r);
  CHECK_INT(weft_datagram_send(d, "1", 1), 0);
  CHECK_INT(weft_await(t), WEFT_ECONNREFUSED);
  weft_datagram_close(d);
}

TASK_TEST(DG1_after_an_error_the_socket_works_on) {
  weft_addr nobody;
  weft_datagram *d = open_to_nobody(false, &nobody);
  CHECK_INT(weft_datagram_send(d, "1", 1), 0);
  CHECK_INT(weft_datagram_wait_readable(d), 0); /* an error is to be received */
  char buf[4];
  CHECK_INT(weft_datagram_receive(d, buf, sizeof buf, NULL), WEFT_ECONNREFUSED);
  weft_datagram *server = open_with((weft_datagram_opts){.local = &nobody});
  weft_addr to = address_of(d);
  send_text(d, "now");
  expect_text(server, "now");
  CHECK_INT(weft_datagram_send_to(server, "yes", 3, &to), 0);
  expect_text(d, "yes");
  weft_datagram_close(server);
  weft_datagram_close(d);
}

TASK_TEST(DG1_a_socket_that_is_not_connected_is_not_told) {
  weft_addr nobody = address_of_nobody();
  weft_datagram *d = open_udp();
  weft_datagram_error e;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_datagram_send_to(d, "x", 1, &nobody), 0);
  expect_nothing(d);
  CHECK_INT(weft_datagram_next_error(d, &e), 0);
  weft_datagram_close(d);
}

TASK_TEST(DG1_kept_errors_say_which_datagram_it_was) {
  weft_addr here = own_address(), nobodies[3];
  weft_datagram_error e = {.code = 1};
  weft_datagram *d = open_with((weft_datagram_opts){.local = &here, .errors = true});
  for (int i = 0; i < 3; i++) nobodies[i] = address_of_nobody();
  CHECK_INT(weft_datagram_next_error(d, &e), 0);
  CHECK_INT(e.code, 1);
  /* In one system call, in which each datagram meets the error of the one before. */
  weft_datagram_item items[3];
  for (int i = 0; i < 3; i++)
    items[i] = (weft_datagram_item){.data = &here, .size = 4, .addr = &nobodies[i]};
  size_t sent = 0;
  while (sent < 3) {
    size_t n = 0;
    int r = weft_datagram_send_many(d, items + sent, 3 - sent, &n);
    CHECK(r == 0 || r == WEFT_ECONNREFUSED);
    sent += n;
  }
  for (int i = 0; i < 3; i++) {
    if (!CHECK_INT(weft_datagram_next_error(d, &e), 1)) break;
    CHECK_INT(e.code, WEFT_ECONNREFUSED);
    CHECK(weft_addr_equal(&e.to, &nobodies[i]));
    CHECK(weft_addr_is_loopback(&e.reporter));
    CHECK_INT(e.icmp_type, 3); /* destination unreachable: */
    CHECK_INT(e.icmp_code, 3); /* the port */
    CHECK_UINT(e.mtu, 0);
  }
  CHECK_INT(weft_datagram_next_error(d, &e), 0);
  expect_nothing(d); /* with the last one taken, no call tells one any more */
  weft_datagram_close(d);
}

TASK_TEST(kept_errors_wake_who_waits_and_work_with_ipv6) {
  weft_addr here;
  weft_datagram *d = NULL, *gone = NULL;
  weft_datagram_error e;
  weft_addr_loopback(&here, AF_INET6, 0);
  if (weft_datagram_open(&gone, &(weft_datagram_opts){.local = &here}) < 0) return; /* no IPv6 */
  weft_addr nobody = address_of(gone);
  weft_datagram_close(gone);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &here, .errors = true}), 0);
  struct receiving r = {.d = d};
  weft_task t = spawn_parked(receive_one, &r);
  CHECK_INT(weft_datagram_send_to(d, "x", 1, &nobody), 0);
  CHECK_INT(weft_await(t), WEFT_ECONNREFUSED);
  CHECK_INT(weft_datagram_next_error(d, &e), 1);
  CHECK_INT(e.code, WEFT_ECONNREFUSED);
  CHECK(weft_addr_equal(&e.to, &nobody));
  CHECK_INT(weft_addr_family(&e.reporter), AF_INET6);
  CHECK_INT(e.icmp_type, 1);
  CHECK_INT(e.icmp_code, 4);
  weft_datagram_close(d);
}

/* With an error and a datagram there, each is told once. */
TASK_TEST(DG1_errors_take_no_datagram_away) {
  weft_addr nobody;
  weft_datagram *d = open_to_nobody(false, &nobody);
  weft_addr own = address_of(d);
  weft_datagram *server = NULL;
  for (int i = 0; i < count(50); i++) {
    char buf[4];
    CHECK_INT(weft_datagram_send(d, "?", 1), 0);
    CHECK_INT(weft_datagram_open(&server, &(weft_datagram_opts){.local = &nobody}), 0);
    CHECK_INT(weft_datagram_send_to(server, "!", 1, &own), 0);
    weft_datagram_close(server);
    int first = weft_datagram_receive(d, buf, sizeof buf, NULL);
    int second = weft_datagram_receive(d, buf, sizeof buf, NULL);
    if (!CHECK((first == 1 && second == WEFT_ECONNREFUSED) ||
               (first == WEFT_ECONNREFUSED && second == 1)))
      break;
    expect_nothing(d);
  }
  weft_datagram_close(d);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(DG1_an_error_is_told_once_by_the_next_call),
    cmocka_unit_test(DG1_an_error_wakes_a_receiver_that_waits),
    cmocka_unit_test(DG1_after_an_error_the_socket_works_on),
    cmocka_unit_test(DG1_a_socket_that_is_not_connected_is_not_told),
    cmocka_unit_test(DG1_kept_errors_say_which_datagram_it_was),
    cmocka_unit_test(kept_errors_wake_who_waits_and_work_with_ipv6),
    cmocka_unit_test(DG1_errors_take_no_datagram_away),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
