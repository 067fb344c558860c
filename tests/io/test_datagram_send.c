/* Sending datagrams: waiting for room, turns, and that nothing is sent twice or lost. Method: a pair of
 * Unix sockets whose receiver does not look takes a few hundred and then no more; and a Unix socket with
 * a name, whose queue is full after a few, also for who is not connected to it. */
#include <stdio.h>
#include <unistd.h>

#include "base/sys.h"
#include "counts.h"
#include "datagram_test.h"
#include "parked.h"

/* Sends numbers from `from` on until there is no room; returns the first that was not sent. */
static int fill(weft_datagram *d, const weft_addr *to, int from) {
  while (weft_datagram_try_send_to(d, &from, sizeof from, to) == 0) from++;
  CHECK_INT(weft_datagram_try_send_to(d, &from, sizeof from, to), WEFT_EAGAIN);
  return from;
}

/* The next datagrams are these numbers, [from, to). */
static void expect_numbers(weft_datagram *d, int from, int to) {
  for (int n = from, got = -1; n < to; n++) {
    if (!CHECK_INT(weft_datagram_receive(d, &got, sizeof got, NULL), 1)) return;
    if (!CHECK_INT(got, n)) return;
  }
}

struct sending {
  weft_datagram *d;
  const weft_addr *to; /* or NULL */
  int number;
};

static int send_number(void *arg) {
  struct sending *s = arg;
  if (s->to) return weft_datagram_send_to(s->d, &s->number, sizeof s->number, s->to);
  return weft_datagram_send(s->d, &s->number, sizeof s->number);
}

static void close_both(weft_datagram *pair[2]) {
  CHECK_INT(weft_datagram_close(pair[0]), 0);
  CHECK_INT(weft_datagram_close(pair[1]), 0);
}

TASK_TEST(DG1_a_send_without_room_waits_and_nothing_is_lost) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  int full = fill(pair[0], NULL, 0);
  CHECK(full > 0);
  struct sending s = {.d = pair[0], .number = full};
  weft_task t = spawn_parked(send_number, &s);
  expect_numbers(pair[1], 0, full);
  CHECK_INT(weft_await(t), 0);
  expect_numbers(pair[1], full, full + 1);
  expect_nothing(pair[1]);
  close_both(pair);
}

TASK_TEST(DG1_those_who_wait_for_room_send_in_the_order_in_which_they_came) {
  enum { SENDERS = 5 };
  weft_datagram *pair[2];
  struct sending all[SENDERS];
  weft_task tasks[SENDERS];
  CHECK_INT(weft_datagram_pair(pair), 0);
  int full = fill(pair[0], NULL, 0);
  for (int i = 0; i < SENDERS; i++) {
    all[i] = (struct sending){.d = pair[0], .number = full + i};
    tasks[i] = spawn_parked(send_number, &all[i]);
  }
  expect_numbers(pair[1], 0, full + SENDERS);
  for (int i = 0; i < SENDERS; i++) CHECK_INT(weft_await(tasks[i]), 0);
  close_both(pair);
}

TASK_TEST(a_cancelled_send_has_sent_nothing) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  int full = fill(pair[0], NULL, 0);
  struct sending first = {.d = pair[0], .number = -5}, second = first, third = first;
  third.number = full;
  weft_task a = spawn_parked(send_number, &first), b = spawn_parked(send_number, &second);
  weft_task c = spawn_parked(send_number, &third);
  CHECK_INT(weft_cancel(b), 1); /* in line */
  CHECK_INT(weft_await(b), WEFT_ECANCELED);
  CHECK_INT(weft_cancel(a), 1); /* the one that has its turn */
  CHECK_INT(weft_await(a), WEFT_ECANCELED);
  expect_numbers(pair[1], 0, full + 1);
  CHECK_INT(weft_await(c), 0);
  expect_nothing(pair[1]);
  close_both(pair);
}

TASK_TEST(a_close_ends_the_senders_who_wait) {
  enum { SENDERS = 3 };
  weft_datagram *pair[2];
  struct sending all[SENDERS];
  weft_task tasks[SENDERS];
  CHECK_INT(weft_datagram_pair(pair), 0);
  int full = fill(pair[0], NULL, 0);
  for (int i = 0; i < SENDERS; i++) {
    all[i] = (struct sending){.d = pair[0], .number = full + i};
    tasks[i] = spawn_parked(send_number, &all[i]);
  }
  CHECK_INT(weft_datagram_close(pair[0]), 0);
  for (int i = 0; i < SENDERS; i++) CHECK_INT(weft_await(tasks[i]), WEFT_ECLOSED);
  expect_numbers(pair[1], 0, full); /* what was sent is there */
  weft_datagram_close(pair[1]);
}

TASK_TEST(sending_and_receiving_wait_side_by_side) {
  weft_datagram *pair[2];
  char buf[4];
  CHECK_INT(weft_datagram_pair(pair), 0);
  int full = fill(pair[0], NULL, 0);
  struct sending s = {.d = pair[0], .number = full};
  weft_task t = spawn_parked(send_number, &s);
  send_text(pair[1], "hi");
  CHECK_INT(weft_datagram_receive(pair[0], buf, sizeof buf, NULL), 1);
  CHECK(is_parked(t));
  expect_numbers(pair[1], 0, full + 1);
  CHECK_INT(weft_await(t), 0);
  close_both(pair);
}

static weft_datagram *open_named(weft_addr *ret_name) {
  static atomic_int serial;
  char text[64];
  snprintf(text, sizeof text, "weft-send-%d-%d", getpid(), atomic_fetch_add(&serial, 1));
  CHECK_INT(weft_addr_unix_abstract(ret_name, text, strlen(text)), 0);
  return open_with((weft_datagram_opts){.local = ret_name});
}

/* The kernel tells who is connected when there is room. */
TASK_TEST(a_full_queue_of_a_peer_is_waited_for) {
  weft_addr name;
  weft_datagram *to = open_named(&name);
  weft_datagram *from = open_with((weft_datagram_opts){.peer = &name});
  int full = fill(from, NULL, 0);
  struct sending s = {.d = from, .number = full};
  weft_task t = spawn_parked(send_number, &s);
  expect_numbers(to, 0, full + 1);
  CHECK_INT(weft_await(t), 0);
  weft_datagram_close(to);
  weft_datagram_close(from);
}

/* And tells others nothing: they ask again. */
TASK_TEST(a_full_queue_of_a_stranger_is_waited_for_too) {
  weft_addr name;
  weft_datagram *to = open_named(&name);
  weft_datagram *from = open_with((weft_datagram_opts){.family = AF_UNIX});
  int full = fill(from, &name, 0);
  struct sending s = {.d = from, .to = &name, .number = full}, second = s;
  second.number = full + 1;
  weft_task t = spawn_parked(send_number, &s), u = spawn_parked(send_number, &second);
  expect_numbers(to, 0, full + 2);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(u), 0);
  full = fill(from, &name, 0);
  t = spawn_parked(send_number, &s);
  weft_datagram_close(to); /* nobody will make room */
  CHECK_INT(weft_await(t), WEFT_ECONNREFUSED);
  weft_datagram_close(from);
}

TASK_TEST(a_full_queue_holds_up_nobody_who_sends_to_another_one) {
  weft_addr full_name, free_name;
  weft_datagram *full = open_named(&full_name), *free = open_named(&free_name);
  weft_datagram *from = open_with((weft_datagram_opts){.family = AF_UNIX});
  weft_datagram *fillers[3]; /* one's own buffer may be full before the queue is */
  for (int i = 0; i < 3; i++) {
    fillers[i] = open_with((weft_datagram_opts){.family = AF_UNIX});
    fill(fillers[i], &full_name, 0);
  }
  struct sending s = {.d = from, .to = &full_name, .number = 1}, second = s;
  weft_task t = spawn_parked(send_number, &s), u = spawn_parked(send_number, &second);
  for (int i = 0; i < 3; i++) {
    struct sending other = {.d = from, .to = &free_name, .number = i};
    CHECK_INT(send_number(&other), 0);
  }
  expect_numbers(free, 0, 3);
  CHECK_INT(weft_task_done(t), 0);
  CHECK_INT(weft_cancel(u), 1);
  CHECK_INT(weft_await(u), WEFT_ECANCELED);
  CHECK_INT(weft_datagram_close(from), 0);
  CHECK_INT(weft_await(t), WEFT_ECLOSED);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_datagram_close(fillers[i]), 0);
  CHECK_INT(weft_datagram_close(full), 0);
  CHECK_INT(weft_datagram_close(free), 0);
}

TASK_TEST(what_is_too_long_is_refused_and_the_socket_works_on) {
  static const char big[70000];
  weft_datagram *server = open_udp(), *client = open_connected_to(server);
  weft_addr to = address_of(server), none = {0};
  CHECK_INT(weft_datagram_send(client, big, sizeof big), WEFT_EMSGSIZE);
  CHECK_INT(weft_datagram_send_to(client, "x", 1, NULL), WEFT_EDESTADDRREQ);
  CHECK_INT(weft_datagram_send_to(client, "x", 1, &none), WEFT_EDESTADDRREQ);
  CHECK_INT(weft_datagram_try_send_to(client, "x", 1, &none), WEFT_EDESTADDRREQ);
  weft_addr_loopback(&to, AF_INET6, 9);
  CHECK(weft_datagram_send_to(client, "x", 1, &to) < 0); /* another family */
  send_text(client, "fits");
  expect_text(server, "fits");
  weft_datagram_close(server);
  weft_datagram_close(client);
}

TASK_TEST(errors_of_the_system_are_answered_and_interruptions_are_not) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  weft__sys_fail_times(WEFT__SYS_sendmsg, 1, WEFT_EINTR, 2);
  send_text(pair[0], "once");
  CHECK_UINT(weft__sys_calls(WEFT__SYS_sendmsg), 3);
  weft__sys_fail(WEFT__SYS_sendmsg, 1, WEFT_ENOBUFS, false);
  CHECK_INT(weft_datagram_send(pair[0], "x", 1), WEFT_ENOBUFS);
  weft__sys_clear();
  expect_text(pair[1], "once");
  expect_nothing(pair[1]);
  close_both(pair);
}

/* In the steady state a datagram is one call, and one more for who finds none. */
TASK_TEST(no_call_is_made_for_nothing) {
  weft_datagram *pair[2];
  int n = count(200);
  CHECK_INT(weft_datagram_pair(pair), 0);
  weft__sys_count();
  for (int i = 0; i < n; i++) {
    send_text(pair[0], "ping");
    expect_text(pair[1], "ping");
  }
  CHECK_UINT(weft__sys_calls(WEFT__SYS_sendmsg), (unsigned)n);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_recvmsg), (unsigned)n);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_epoll_ctl), 0);
  weft__sys_clear();
  close_both(pair);
}

/* ---- a busy sender and a slow receiver ---- */

enum { NUMBERS = COUNTS_PICK(20000, 5000, 1000) };

static int send_all(void *arg) {
  struct sending s = *(struct sending *)arg;
  for (int r; s.number < count(NUMBERS); s.number++)
    if ((r = send_number(&s)) < 0) return r;
  return 0;
}

TASK_TEST(a_fast_sender_is_held_up_and_order_is_kept) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  struct sending s = {.d = pair[0]};
  weft_task t = weft_spawn(send_all, &s, NULL);
  expect_numbers(pair[1], 0, count(NUMBERS));
  CHECK_INT(weft_await(t), 0);
  expect_nothing(pair[1]);
  close_both(pair);
}

static int count_up(void *arg) {
  atomic_int *turns = arg;
  for (int r; (r = weft_yield()) == 0;) atomic_fetch_add(turns, 1);
  return 0;
}

/* Calls that never have to wait let the others run all the same. */
EXACT_TEST(who_never_waits_lets_the_others_run) {
  weft_datagram *pair[2];
  atomic_int turns = 0;
  CHECK_INT(weft_datagram_pair(pair), 0);
  weft_task t = weft_spawn(count_up, &turns, NULL);
  weft_yield();
  int before = atomic_load(&turns);
  for (int i = 0; i < (counts_simulated() ? 300 : 10000); i++) {
    send_text(pair[0], "x");
    expect_text(pair[1], "x");
  }
  CHECK_INT(atomic_load(&turns), before); /* exact: only a wait lets others run */
  weft_cancel(t);
  weft_await(t);
  close_both(pair);
}

TASK_TEST_WITH(who_never_waits_lets_the_others_run_on_one_worker,
               (&(weft_run_opts){.workers = 1})) {
  weft_datagram *pair[2];
  atomic_int turns = 0;
  CHECK_INT(weft_datagram_pair(pair), 0);
  weft_task t = weft_spawn(count_up, &turns, NULL);
  weft_yield();
  int before = atomic_load(&turns);
  for (int i = 0; i < (counts_simulated() ? 300 : 10000); i++) {
    send_text(pair[0], "x");
    expect_text(pair[1], "x");
  }
  CHECK(atomic_load(&turns) > before);
  weft_cancel(t);
  weft_await(t);
  close_both(pair);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(DG1_a_send_without_room_waits_and_nothing_is_lost),
    cmocka_unit_test(DG1_those_who_wait_for_room_send_in_the_order_in_which_they_came),
    cmocka_unit_test(a_cancelled_send_has_sent_nothing),
    cmocka_unit_test(a_close_ends_the_senders_who_wait),
    cmocka_unit_test(sending_and_receiving_wait_side_by_side),
    cmocka_unit_test(a_full_queue_of_a_peer_is_waited_for),
    cmocka_unit_test(a_full_queue_of_a_stranger_is_waited_for_too),
    cmocka_unit_test(a_full_queue_holds_up_nobody_who_sends_to_another_one),
    cmocka_unit_test(what_is_too_long_is_refused_and_the_socket_works_on),
    cmocka_unit_test(errors_of_the_system_are_answered_and_interruptions_are_not),
    cmocka_unit_test(no_call_is_made_for_nothing),
    cmocka_unit_test(a_fast_sender_is_held_up_and_order_is_kept),
    cmocka_unit_test(who_never_waits_lets_the_others_run),
    cmocka_unit_test(who_never_waits_lets_the_others_run_on_one_worker),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
