/* Many datagrams at once: in one system call where the kernel has it, and the same without. */
#include "base/sys.h"
#include "counts.h"
#include "datagram_test.h"
#include "parked.h"

enum { MANY = 150 }; /* more than one batch */

struct numbers {
  int values[MANY];
  weft_addr from[MANY];
  weft_datagram_item items[MANY];
};

/* Items of the numbers 0 to MANY - 1, to (or from) that address. */
static void prepare(struct numbers *n, weft_addr *addr) {
  for (int i = 0; i < MANY; i++) {
    n->values[i] = i;
    n->items[i] =
        (weft_datagram_item){.data = &n->values[i], .size = sizeof n->values[i], .addr = addr};
  }
}

static void prepare_room(struct numbers *n) {
  prepare(n, NULL);
  for (int i = 0; i < MANY; i++) {
    n->values[i] = -1;
    n->items[i].addr = &n->from[i];
  }
}

/* Receives until there were MANY: they are the numbers in order, all from there. Returns the calls. */
static int expect_all(weft_datagram *d, struct numbers *in, const weft_addr *from) {
  int got = 0, calls = 0;
  prepare_room(in);
  while (got < MANY) {
    int r = weft_datagram_receive_many(d, in->items + got, (size_t)(MANY - got));
    if (!CHECK(r > 0) || !CHECK(r <= WEFT_DATAGRAM_BATCH)) return calls;
    got += r;
    calls++;
  }
  for (int i = 0; i < MANY; i++) {
    CHECK_INT(in->values[i], i);
    CHECK_UINT(in->items[i].length, sizeof(int));
    CHECK(weft_addr_equal(&in->from[i], from));
  }
  return calls;
}

TASK_TEST(many_go_in_a_few_calls_and_arrive_in_order) {
  static struct numbers out, in;
  weft_datagram *server = open_udp(), *client = open_udp();
  weft_addr to = address_of(server), from = address_of(client);
  size_t sent = 0;
  prepare(&out, &to);
  weft__sys_count();
  CHECK_INT(weft_datagram_send_many(client, out.items, MANY, &sent), 0);
  CHECK_UINT(sent, MANY);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_sendmmsg), 3);
  CHECK_INT(expect_all(server, &in, &from), 3);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_recvmmsg), 3);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_recvmsg), 0);
  weft__sys_clear();
  weft_datagram_close(server);
  weft_datagram_close(client);
}

TASK_TEST(a_kernel_without_the_call_does_the_same) {
  static struct numbers out, in;
  weft_datagram *server = open_udp(), *client = open_udp();
  weft_addr to = address_of(server), from = address_of(client);
  prepare(&out, &to);
  weft__sys_fail(WEFT__SYS_sendmmsg, 1, WEFT_ENOSYS, true);
  weft__sys_fail(WEFT__SYS_recvmmsg, 1, WEFT_ENOSYS, true);
  CHECK_INT(weft_datagram_send_many(client, out.items, MANY, NULL), 0);
  CHECK_INT(expect_all(server, &in, &from), MANY);
  weft__sys_clear();
  weft_datagram_close(server);
  weft_datagram_close(client);
}

TASK_TEST(batches_that_are_cut_short_go_on) {
  static struct numbers out, in;
  weft_datagram *server = open_udp(), *client = open_udp();
  weft_addr to = address_of(server), from = address_of(client);
  prepare(&out, &to);
  weft__sys_fail(WEFT__SYS_sendmmsg, 1, WEFT__SYS_SHORT, true);
  weft__sys_fail(WEFT__SYS_recvmmsg, 1, WEFT__SYS_SHORT, true);
  CHECK_INT(weft_datagram_send_many(client, out.items, MANY, NULL), 0);
  CHECK(expect_all(server, &in, &from) > 3);
  weft__sys_clear();
  weft_datagram_close(server);
  weft_datagram_close(client);
}

TASK_TEST(a_batch_takes_what_is_there_and_does_not_wait_for_more) {
  static struct numbers in;
  weft_datagram *server = open_udp(), *client = open_connected_to(server);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_datagram_send(client, &i, sizeof i), 0);
  prepare_room(&in);
  CHECK_INT(weft_datagram_receive_many(server, in.items, MANY), 3);
  for (int i = 0; i < 3; i++) CHECK_INT(in.values[i], i);
  CHECK_INT(in.values[3], -1);
  CHECK_INT(weft_datagram_receive_many(server, in.items, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_send_many(client, in.items, 0, NULL), 0);
  weft_datagram_close(server);
  weft_datagram_close(client);
}

TASK_TEST(lengths_are_told_for_each) {
  char one[4] = "", two[4] = "", three[4] = "";
  weft_datagram_item items[] = {
      {.data = one, .size = 3}, {.data = two, .size = 3}, {.data = three}};
  weft_datagram *server = open_udp(), *client = open_connected_to(server);
  send_text(client, "long enough");
  CHECK_INT(weft_datagram_send(client, NULL, 0), 0);
  send_text(client, "x");
  CHECK_INT(weft_datagram_receive_many(server, items, 3), 3);
  CHECK_UINT(items[0].length, 11);
  CHECK_STR(one, "lon");
  CHECK_UINT(items[1].length, 0);
  CHECK_UINT(items[2].length, 1);
  CHECK_STR(three, "");
  weft_datagram_close(server);
  weft_datagram_close(client);
}

struct receiving {
  weft_datagram *d;
  struct numbers in;
  int code;
};

static int receive_some(void *arg) {
  struct receiving *r = arg;
  prepare_room(&r->in);
  return r->code = weft_datagram_receive_many(r->d, r->in.items, MANY);
}

TASK_TEST(waiting_for_a_batch_can_be_cancelled_and_closed) {
  static struct receiving r;
  weft_datagram *server = open_udp(), *client = open_connected_to(server);
  r = (struct receiving){.d = server};
  weft_task t = spawn_parked(receive_some, &r);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  t = spawn_parked(receive_some, &r);
  send_text(client, "four");
  CHECK_INT(weft_await(t), 1);
  t = spawn_parked(receive_some, &r);
  weft_datagram_close(server);
  CHECK_INT(weft_await(t), WEFT_ECLOSED);
  weft_datagram_close(client);
}

TASK_TEST(an_item_that_cannot_be_sent_ends_the_batch_and_says_where) {
  static char big[70000];
  static struct numbers out, in;
  weft_datagram *server = open_udp(), *client = open_udp();
  weft_addr to = address_of(server), from = address_of(client);
  size_t sent = 99;
  prepare(&out, &to);
  out.items[10].data = big;
  out.items[10].size = sizeof big;
  CHECK_INT(weft_datagram_send_many(client, out.items, MANY, &sent), WEFT_EMSGSIZE);
  CHECK_UINT(sent, 10);
  out.items[10] = out.items[11];
  out.items[10].data = &out.values[10];
  CHECK_INT(weft_datagram_send_many(client, out.items + sent, MANY - sent, NULL), 0);
  expect_all(server, &in, &from);
  weft_datagram_close(server);
  weft_datagram_close(client);
}

struct sending {
  weft_datagram *d;
  const weft_datagram_item *items;
  size_t n, sent;
};

static int send_all(void *arg) {
  struct sending *s = arg;
  return weft_datagram_send_many(s->d, s->items, s->n, &s->sent);
}

/* More than the buffers hold. */
TASK_TEST(DG1_a_batch_without_room_waits_and_a_cancel_says_how_many_went) {
  static struct numbers out;
  static weft_datagram_item items[MANY * 20];
  int n = counts_simulated() ? MANY * 4 : MANY * 20;
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  prepare(&out, NULL);
  for (int i = 0; i < n; i++) items[i] = out.items[i % MANY];
  struct sending s = {.d = pair[0], .items = items, .n = (size_t)n};
  weft_task t = spawn_parked(send_all, &s);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(s.sent > 0 && s.sent < s.n);
  struct sending rest = {.d = pair[0], .items = items + s.sent, .n = s.n - s.sent};
  t = weft_spawn(send_all, &rest, NULL);
  for (size_t i = 0; i < s.n; i++) {
    int got = -1;
    if (!CHECK_INT(weft_datagram_receive(pair[1], &got, sizeof got, NULL), 1)) break;
    if (!CHECK_INT(got, (int)(i % MANY))) break;
  }
  CHECK_INT(weft_await(t), 0);
  CHECK_UINT(rest.sent, rest.n);
  expect_nothing(pair[1]);
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

/* In the middle of a batch the kernel would swallow it: every second datagram meets the error of the one
 * before. */
TASK_TEST(DG1_a_batch_to_nobody_is_told_so) {
  static struct numbers out;
  weft_addr nobody = address_of_nobody();
  weft_datagram *client = open_with((weft_datagram_opts){.peer = &nobody});
  size_t sent = 99;
  prepare(&out, NULL);
  CHECK_INT(weft_datagram_send_many(client, out.items, MANY, &sent), WEFT_ECONNREFUSED);
  CHECK_UINT(sent, 1);
  weft_datagram_close(client);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(many_go_in_a_few_calls_and_arrive_in_order),
    cmocka_unit_test(a_kernel_without_the_call_does_the_same),
    cmocka_unit_test(batches_that_are_cut_short_go_on),
    cmocka_unit_test(a_batch_takes_what_is_there_and_does_not_wait_for_more),
    cmocka_unit_test(lengths_are_told_for_each),
    cmocka_unit_test(waiting_for_a_batch_can_be_cancelled_and_closed),
    cmocka_unit_test(an_item_that_cannot_be_sent_ends_the_batch_and_says_where),
    cmocka_unit_test(DG1_a_batch_without_room_waits_and_a_cancel_says_how_many_went),
    cmocka_unit_test(DG1_a_batch_to_nobody_is_told_so),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
