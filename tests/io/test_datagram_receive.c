/* Receiving datagrams: lengths, turns, and that nothing is lost by a cancel, a deadline, a close. */
#include "base/sys.h"
#include "counts.h"
#include "datagram_test.h"
#include "parked.h"

TASK_TEST(an_empty_datagram_is_a_datagram) {
  weft_datagram *server = open_udp(), *client = open_connected_to(server);
  char buf[4] = "abc";
  size_t len = 9;
  CHECK_INT(weft_datagram_send(client, NULL, 0), 0);
  CHECK_INT(weft_datagram_receive(server, buf, sizeof buf, &len), 1);
  CHECK_UINT(len, 0);
  CHECK_STR(buf, "abc");
  send_text(client, "next");
  expect_text(server, "next");
  weft_datagram_close(server);
  weft_datagram_close(client);
}

TASK_TEST(what_did_not_fit_is_told_and_lost) {
  weft_datagram *pairs[2][2];
  weft_datagram *server = open_udp();
  pairs[0][0] = open_connected_to(server);
  pairs[0][1] = server;
  CHECK_INT(weft_datagram_pair(pairs[1]), 0);
  for (int i = 0; i < 2; i++) {
    weft_datagram *from = pairs[i][0], *to = pairs[i][1];
    char buf[5] = "";
    size_t len = 0;
    send_text(from, "0123456789");
    send_text(from, "none");
    send_text(from, "whole");
    CHECK_INT(weft_datagram_receive(to, buf, 4, &len), 1);
    CHECK_UINT(len, 10);
    CHECK_STR(buf, "0123");
    CHECK_INT(weft_datagram_receive(to, NULL, 0, &len), 1);
    CHECK_UINT(len, 4);
    expect_text(to, "whole");
    weft_datagram_close(from);
    weft_datagram_close(to);
  }
}

struct receiving {
  weft_datagram *d;
  char text[16];
  size_t len;
  weft_addr from;
  int code;
  struct latch over;
};

static int receive_one(void *arg) {
  struct receiving *r = arg;
  r->code = weft_datagram_receive_from(r->d, r->text, sizeof r->text - 1, &r->len, &r->from);
  latch_hit(&r->over);
  return r->code;
}

TASK_TEST(receivers_are_served_in_the_order_in_which_they_came) {
  enum { RECEIVERS = 5 };
  weft_datagram *pair[2];
  struct receiving all[RECEIVERS];
  weft_task tasks[RECEIVERS];
  CHECK_INT(weft_datagram_pair(pair), 0);
  for (int i = 0; i < RECEIVERS; i++) {
    all[i] = (struct receiving){.d = pair[0]};
    tasks[i] = spawn_parked(receive_one, &all[i]);
  }
  for (int i = 0; i < RECEIVERS; i++)
    CHECK_INT(weft_datagram_send(pair[1], &(char){(char)('a' + i)}, 1), 0);
  CHECK_INT(weft_gather(tasks, RECEIVERS, (int[RECEIVERS]){0}), 0);
  for (int i = 0; i < RECEIVERS; i++) {
    CHECK_INT(all[i].code, 1);
    CHECK_STR(all[i].text, ((char[]){(char)('a' + i), 0}));
  }
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

TASK_TEST(a_cancelled_receive_takes_nothing) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  struct receiving first = {.d = pair[0], .len = 77}, second = {.d = pair[0]};
  weft_task a = spawn_parked(receive_one, &first), b = spawn_parked(receive_one, &second);
  CHECK_INT(weft_cancel(a), 1);
  CHECK_INT(weft_await(a), WEFT_ECANCELED);
  CHECK_UINT(first.len, 77);
  send_text(pair[1], "kept");
  CHECK_INT(weft_await(b), 1);
  CHECK_STR(second.text, "kept");
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

TASK_TEST(one_that_waits_in_line_can_be_cancelled_too) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  struct receiving first = {.d = pair[0]}, second = {.d = pair[0]};
  weft_task a = spawn_parked(receive_one, &first), b = spawn_parked(receive_one, &second);
  CHECK_INT(weft_cancel(b), 1);
  CHECK_INT(weft_await(b), WEFT_ECANCELED);
  send_text(pair[1], "one");
  send_text(pair[1], "two");
  CHECK_INT(weft_await(a), 1);
  CHECK_STR(first.text, "one");
  expect_text(pair[0], "two");
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

/* A cancel and a datagram at once: whichever comes first, the datagram is received once. */
TASK_TEST(a_cancel_that_meets_a_datagram_loses_none) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  for (int i = 0; i < count(COUNT_RACES / 20); i++) {
    struct receiving r = {.d = pair[0]};
    weft_task t = weft_spawn(receive_one, &r, NULL);
    if (i % 2) weft_yield();
    send_text(pair[1], "x");
    if (i % 3 == 0) weft_yield();
    weft_cancel(t);
    weft_task_wait(t, NULL);
    weft_await(t);
    if (r.code == 1)
      expect_nothing(pair[0]);
    else if (!expect_text(pair[0], "x"))
      break;
  }
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

TASK_TEST(a_deadline_ends_the_wait_and_takes_nothing) {
  weft_datagram *pair[2];
  weft_timeout s;
  char buf[4];
  CHECK_INT(weft_datagram_pair(pair), 0);
  weft_timeout_begin(&s, weft_ms(1));
  int r = weft_datagram_receive(pair[0], buf, sizeof buf, NULL);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  send_text(pair[1], "late");
  expect_text(pair[0], "late");
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

TASK_TEST(a_close_ends_all_who_wait) {
  enum { RECEIVERS = 4 };
  weft_datagram *pair[2];
  struct receiving all[RECEIVERS];
  weft_task tasks[RECEIVERS];
  CHECK_INT(weft_datagram_pair(pair), 0);
  for (int i = 0; i < RECEIVERS; i++) {
    all[i] = (struct receiving){.d = pair[0]};
    tasks[i] = spawn_parked(receive_one, &all[i]);
  }
  CHECK_INT(weft_datagram_close(pair[0]), 0);
  for (int i = 0; i < RECEIVERS; i++) CHECK_INT(weft_await(tasks[i]), WEFT_ECLOSED);
  CHECK_INT(weft_datagram_send(pair[1], "x", 1), WEFT_ECONNREFUSED); /* the number was closed */
  weft_datagram_close(pair[1]);
}

static int wait_then_receive(void *arg) {
  struct receiving *r = arg;
  int e = weft_datagram_wait_readable(r->d);
  if (e < 0) return e;
  return receive_one(arg);
}

TASK_TEST(waiting_without_a_buffer_takes_nothing) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  struct receiving r = {.d = pair[0]};
  weft_task t = spawn_parked(wait_then_receive, &r);
  send_text(pair[1], "one");
  CHECK_INT(weft_await(t), 1);
  CHECK_STR(r.text, "one");
  send_text(pair[1], "two");
  CHECK_INT(weft_datagram_wait_readable(pair[0]), 0); /* as often as one likes */
  CHECK_INT(weft_datagram_wait_readable(pair[0]), 0);
  expect_text(pair[0], "two");
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

TASK_TEST(interruptions_and_errors_of_the_system_lose_nothing) {
  weft_datagram *pair[2];
  char buf[4];
  size_t len = 7;
  CHECK_INT(weft_datagram_pair(pair), 0);
  send_text(pair[1], "here");
  weft__sys_fail_times(WEFT__SYS_recvmsg, 1, WEFT_EINTR, 3);
  CHECK_INT(weft_datagram_receive(pair[0], buf, sizeof buf, &len), 1);
  CHECK_UINT(len, 4);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_recvmsg), 4);
  send_text(pair[1], "more");
  weft__sys_fail(WEFT__SYS_recvmsg, 1, WEFT_ENOMEM, false);
  len = 7;
  CHECK_INT(weft_datagram_receive(pair[0], buf, sizeof buf, &len), WEFT_ENOMEM);
  CHECK_UINT(len, 7);
  weft__sys_clear();
  expect_text(pair[0], "more"); /* the next call does not wait for an event */
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

/* Readiness that is for nothing, as after a wrong checksum. */
TASK_TEST(a_datagram_that_is_gone_again_is_waited_for) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  struct receiving r = {.d = pair[0]};
  weft_task t = spawn_parked(receive_one, &r);
  char buf[8];
  send_text(pair[1], "taken");
  int taken = weft_datagram_try_receive_from(pair[0], buf, sizeof buf, NULL, NULL);
  if (taken == 1) {
    CHECK_INT(latch_hits(&r.over), 0);
    send_text(pair[1], "left");
  }
  CHECK_INT(weft_await(t), 1);
  CHECK_STR(r.text, taken == 1 ? "left" : "taken");
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

/* ---- many at once ---- */

enum { FLOCK = 8, EACH = COUNTS_PICK(2000, 500, 200) };

enum { THE_END = -1 };

struct crowd {
  weft_datagram *d;
  atomic_int received;
  atomic_llong sum;
};

static int receive_until_the_end(void *arg) {
  struct crowd *c = arg;
  int number, r;
  while ((r = weft_datagram_receive(c->d, &number, sizeof number, NULL)) > 0) {
    if (number == THE_END) return 0;
    atomic_fetch_add(&c->received, 1);
    atomic_fetch_add(&c->sum, number);
  }
  return r;
}

struct sending {
  weft_datagram *d;
  int first, n;
};

static int send_numbers(void *arg) {
  struct sending *s = arg;
  for (int i = 0, r; i < s->n; i++) {
    int number = s->first + i;
    if ((r = weft_datagram_send(s->d, &number, sizeof number)) < 0) return r;
  }
  return 0;
}

TASK_TEST(many_receivers_and_senders_lose_none) {
  weft_datagram *pair[2];
  struct crowd c = {.d = NULL};
  struct sending from[FLOCK];
  weft_group receivers = WEFT_GROUP_INIT, senders = WEFT_GROUP_INIT;
  int total = count(EACH) * FLOCK, end = THE_END;
  CHECK_INT(weft_datagram_pair(pair), 0);
  c.d = pair[0];
  for (int i = 0; i < FLOCK; i++) {
    from[i] = (struct sending){pair[1], i * count(EACH), count(EACH)};
    weft_group_spawn(&receivers, receive_until_the_end, &c, NULL);
    weft_group_spawn(&senders, send_numbers, &from[i], NULL);
  }
  CHECK_INT(weft_group_join(&senders), 0);
  for (int i = 0; i < FLOCK; i++) CHECK_INT(weft_datagram_send(pair[1], &end, sizeof end), 0);
  CHECK_INT(weft_group_join(&receivers), 0);
  CHECK_INT(atomic_load(&c.received), total);
  CHECK_INT(atomic_load(&c.sum), (long long)total * (total - 1) / 2);
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_datagram_is_a_datagram),
    cmocka_unit_test(what_did_not_fit_is_told_and_lost),
    cmocka_unit_test(receivers_are_served_in_the_order_in_which_they_came),
    cmocka_unit_test(a_cancelled_receive_takes_nothing),
    cmocka_unit_test(one_that_waits_in_line_can_be_cancelled_too),
    cmocka_unit_test(a_cancel_that_meets_a_datagram_loses_none),
    cmocka_unit_test(a_deadline_ends_the_wait_and_takes_nothing),
    cmocka_unit_test(a_close_ends_all_who_wait),
    cmocka_unit_test(waiting_without_a_buffer_takes_nothing),
    cmocka_unit_test(interruptions_and_errors_of_the_system_lose_nothing),
    cmocka_unit_test(a_datagram_that_is_gone_again_is_waited_for),
    cmocka_unit_test(many_receivers_and_senders_lose_none),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
