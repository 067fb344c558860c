/* Datagram sockets: opening, names, settings, groups; what wrong use answers. */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "datagram_test.h"
#include "io/addr.h"

TASK_TEST(an_echo_goes_there_and_back) {
  weft_datagram *server = open_udp(), *client = open_connected_to(server);
  weft_addr from, own = address_of(client);
  char buf[16];
  size_t len = 99;
  send_text(client, "hello");
  CHECK_INT(weft_datagram_receive_from(server, buf, sizeof buf, &len, &from), 1);
  CHECK_UINT(len, 5);
  CHECK(weft_addr_equal(&from, &own));
  CHECK_INT(weft_datagram_send_to(server, buf, len, &from), 0);
  expect_text(client, "hello");
  CHECK_INT(weft_datagram_close(client), 0);
  CHECK_INT(weft_datagram_close(server), 0);
}

TASK_TEST(ipv6_works_the_same) {
  weft_addr here, from, own;
  weft_datagram *server = NULL;
  char buf[16];
  size_t len;
  weft_addr_loopback(&here, AF_INET6, 0);
  int r = weft_datagram_open(&server, &(weft_datagram_opts){.local = &here, .v6_only = true});
  if (r == WEFT_EADDRNOTAVAIL || r == WEFT_EAFNOSUPPORT) return; /* a machine without */
  CHECK_INT(r, 0);
  weft_datagram *client = open_connected_to(server);
  own = address_of(client);
  send_text(client, "six");
  CHECK_INT(weft_datagram_receive_from(server, buf, sizeof buf, &len, &from), 1);
  CHECK(weft_addr_equal(&from, &own));
  CHECK_INT(weft_addr_family(&from), AF_INET6);
  CHECK_INT(weft_datagram_set(client, WEFT_DATAGRAM_TTL, 9), 0);
  CHECK_INT(weft_datagram_get(client, WEFT_DATAGRAM_TTL, &r), 0);
  CHECK_INT(r, 9);
  CHECK_INT(weft_datagram_close(client), 0);
  CHECK_INT(weft_datagram_close(server), 0);
}

TASK_TEST(unix_sockets_have_names_or_none) {
  weft_addr name, from = {.len = 7};
  weft_datagram *client = open_with((weft_datagram_opts){.family = AF_UNIX});
  char text[64], buf[8];
  snprintf(text, sizeof text, "weft-test-%d-%p", getpid(), (void *)client);
  weft_addr_unix_abstract(&name, text, strlen(text));
  weft_datagram *server = open_with((weft_datagram_opts){.local = &name});
  CHECK_INT(weft_datagram_send_to(client, "ab", 2, &name), 0);
  CHECK_INT(weft_datagram_receive_from(server, buf, sizeof buf, NULL, &from), 1);
  CHECK_UINT(from.len, 0); /* the client has no name */
  name = address_of(server);
  CHECK_INT(weft_addr_format(&name, buf, 6), (int)strlen(text) + 6);
  CHECK_STR(buf, "unix:");
  CHECK_INT(weft_datagram_close(server), 0);
  CHECK_INT(weft_datagram_send_to(client, "ab", 2, &name), WEFT_ECONNREFUSED);
  CHECK_INT(weft_datagram_close(client), 0);
}

static bool file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

TASK_TEST(the_file_of_a_unix_socket_goes_with_it) {
  char path[64];
  weft_addr name;
  weft_datagram *d = NULL, *second = NULL;
  snprintf(path, sizeof path, "/tmp/weft-datagram-%d", getpid());
  unlink(path);
  weft_addr_unix(&name, path);
  d = open_with((weft_datagram_opts){.local = &name});
  CHECK(file_exists(path));
  CHECK_INT(weft_datagram_open(&second, &(weft_datagram_opts){.local = &name}), WEFT_EADDRINUSE);
  weft_datagram_close(d);
  CHECK(!file_exists(path));

  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_INT(bind(fd, &weft__sa(&name)->any, name.len), 0);
  close(fd); /* and its file is left behind */
  CHECK(file_exists(path));
  d = open_with((weft_datagram_opts){.local = &name});
  unlink(path);
  second = open_with((weft_datagram_opts){.local = &name}); /* in its place */
  weft_datagram_close(d);
  CHECK(file_exists(path)); /* the second one's */
  weft_datagram_close(second);
  CHECK(!file_exists(path));

  /* One that cannot be opened to the end leaves none. */
  weft_addr nobody;
  weft_addr_unix(&nobody, "/tmp/weft-no-such-socket");
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &name, .peer = &nobody}),
            WEFT_ENOENT);
  CHECK(!file_exists(path));
  close(open(path, O_CREAT | O_WRONLY, 0600));
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &name}), WEFT_EADDRINUSE);
  CHECK(file_exists(path)); /* no socket: not ours to remove */
  unlink(path);
}

TASK_TEST(a_pair_talks_in_both_directions) {
  weft_datagram *pair[2];
  CHECK_INT(weft_datagram_pair(pair), 0);
  send_text(pair[0], "there");
  send_text(pair[1], "back");
  expect_text(pair[1], "there");
  expect_text(pair[0], "back");
  CHECK_INT(weft_datagram_close(pair[0]), 0);
  CHECK_INT(weft_datagram_send(pair[1], "x", 1), WEFT_ECONNREFUSED);
  CHECK_INT(weft_datagram_close(pair[1]), 0);
  CHECK_INT(weft_datagram_close(NULL), 0);
}

TASK_TEST(a_socket_of_the_program_is_taken_over) {
  int fds[2], pipe_fds[2], type;
  weft_datagram *d = NULL;
  CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
  CHECK_INT(weft_datagram_from_fd(&d, fds[0]), 0);
  CHECK_INT(weft_datagram_fd(d), fds[0]);
  CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
  CHECK_INT(write(fds[1], "raw", 3), 3);
  expect_text(d, "raw");
  send_text(d, "weft"); /* it knows that it is connected */
  CHECK_INT(weft_datagram_close(d), 0);
  CHECK_INT(fcntl(fds[0], F_GETFL), -1); /* it was the object's */
  close(fds[1]);

  d = NULL;
  CHECK_INT(weft_datagram_from_fd(&d, -1), WEFT_EBADF);
  CHECK_INT(pipe(pipe_fds), 0);
  CHECK_INT(weft_datagram_from_fd(&d, pipe_fds[0]), WEFT_ENOTSOCK);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  type = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_INT(weft_datagram_from_fd(&d, type), WEFT_EPROTOTYPE);
  CHECK(fcntl(type, F_GETFL) >= 0); /* still the program's */
  close(type);
  CHECK_PTR(d, NULL);
}

TASK_TEST(connecting_later_and_elsewhere) {
  weft_datagram *a = open_udp(), *b = open_udp(), *client = open_udp();
  weft_addr to_a = address_of(a), to_b = address_of(b), got;
  CHECK_INT(weft_datagram_peer(client, &got), WEFT_ENOTCONN);
  CHECK_INT(weft_datagram_send(client, "x", 1), WEFT_EDESTADDRREQ);
  CHECK_INT(weft_datagram_connect(client, &to_a), 0);
  CHECK_INT(weft_datagram_peer(client, &got), 0);
  CHECK(weft_addr_equal(&got, &to_a));
  send_text(client, "to a");
  CHECK_INT(weft_datagram_connect(client, &to_b), 0);
  send_text(client, "to b");
  expect_text(a, "to a");
  expect_text(b, "to b");
  CHECK_INT(weft_datagram_connect(client, NULL), 0);
  CHECK_INT(weft_datagram_peer(client, &got), WEFT_ENOTCONN);
  CHECK_INT(weft_datagram_send(client, "x", 1), WEFT_EDESTADDRREQ);
  weft_datagram_close(a);
  weft_datagram_close(b);
  weft_datagram_close(client);
}

TASK_TEST(a_connected_socket_receives_from_its_peer_only) {
  weft_datagram *server = open_udp(), *client = open_connected_to(server), *other = open_udp();
  weft_addr to = address_of(client);
  CHECK_INT(weft_datagram_send_to(other, "stranger", 8, &to), 0);
  CHECK_INT(weft_datagram_send_to(server, "friend", 6, &to), 0);
  expect_text(client, "friend");
  expect_nothing(client);
  weft_datagram_close(server);
  weft_datagram_close(client);
  weft_datagram_close(other);
}

TASK_TEST(a_port_in_use_is_told_unless_it_is_shared) {
  weft_datagram *first = open_udp(), *second = NULL;
  weft_addr here = address_of(first);
  CHECK_INT(weft_datagram_open(&second, &(weft_datagram_opts){.local = &here}), WEFT_EADDRINUSE);
  CHECK_PTR(second, NULL);
  weft_datagram_close(first);
  here = own_address();
  first = open_with((weft_datagram_opts){.local = &here, .reuse_port = true});
  here = address_of(first);
  second = open_with((weft_datagram_opts){.local = &here, .reuse_port = true});
  weft_datagram_close(first);
  weft_datagram_close(second);
}

TASK_TEST(wrong_options_are_named) {
  weft_addr four, six, none = {0};
  weft_datagram *d = NULL;
  weft_addr_loopback(&four, AF_INET, 0);
  weft_addr_loopback(&six, AF_INET6, 0);
  CHECK_INT(weft_datagram_open(NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &four, .peer = &six}),
            WEFT_EINVAL);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &four, .family = AF_INET6}),
            WEFT_EINVAL);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &none}), WEFT_EINVAL);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.family = 12345}), WEFT_EAFNOSUPPORT);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.send_buffer = -1}), WEFT_EINVAL);
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.family = AF_UNIX, .errors = true}),
            WEFT_EINVAL);
  weft_addr_parse(&four, "192.0.2.1", 0); /* of no machine */
  CHECK_INT(weft_datagram_open(&d, &(weft_datagram_opts){.local = &four}), WEFT_EADDRNOTAVAIL);
  CHECK_PTR(d, NULL);
}

TASK_TEST(a_failed_opening_leaves_nothing_behind) {
  weft_addr here;
  weft_addr_loopback(&here, AF_INET, 0);
  weft_datagram *d = NULL, *pair[2] = {NULL, NULL};
  weft_datagram_opts opts = {.local = &here, .peer = &here, .reuse_address = true};
  enum weft__sys_call calls[] = {WEFT__SYS_socket, WEFT__SYS_bind, WEFT__SYS_connect,
                                 WEFT__SYS_setsockopt};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    weft__sys_fail(calls[i], 1, WEFT_EACCES, false);
    CHECK_INT(weft_datagram_open(&d, &opts), WEFT_EACCES);
    CHECK_UINT(weft__sys_calls(WEFT__SYS_close), i > 0); /* what was opened */
    weft__sys_count();
  }
  weft__sys_fail(WEFT__SYS_socketpair, 1, WEFT_EMFILE, false);
  CHECK_INT(weft_datagram_pair(pair), WEFT_EMFILE);
  weft__sys_clear();
  CHECK_PTR(d, NULL);
  CHECK_PTR(pair[0], NULL);
}

TASK_TEST(settings_are_kept) {
  weft_datagram *d = open_udp(), *u = open_with((weft_datagram_opts){.family = AF_UNIX});
  struct {
    weft_datagram_option option;
    int value;
  } given[] = {{WEFT_DATAGRAM_BROADCAST, 1},
               {WEFT_DATAGRAM_TTL, 5},
               {WEFT_DATAGRAM_MULTICAST_TTL, 3},
               {WEFT_DATAGRAM_MULTICAST_LOOP, 0}};
  int got;
  for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
    got = -1;
    CHECK_INT(weft_datagram_set(d, given[i].option, given[i].value), 0);
    CHECK_INT(weft_datagram_get(d, given[i].option, &got), 0);
    CHECK_INT(got, given[i].value);
    CHECK_INT(weft_datagram_set(d, given[i].option, 256), WEFT_EINVAL);
  }
  CHECK_INT(weft_datagram_set(d, WEFT_DATAGRAM_RECEIVE_BUFFER, 50000), 0);
  CHECK_INT(weft_datagram_get(d, WEFT_DATAGRAM_RECEIVE_BUFFER, &got), 0);
  CHECK(got >= 50000);
  CHECK_INT(weft_datagram_set(d, WEFT_DATAGRAM_SEND_BUFFER, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_set(d, (weft_datagram_option)99, 1), WEFT_EINVAL);
  CHECK_INT(weft_datagram_get(d, (weft_datagram_option)0, &got), WEFT_EINVAL);
  CHECK_INT(weft_datagram_set(u, WEFT_DATAGRAM_TTL, 5), WEFT_ENOPROTOOPT);
  CHECK_INT(weft_datagram_get(u, WEFT_DATAGRAM_TTL, &got), WEFT_ENOPROTOOPT);
  weft_datagram_close(d);
  d = open_with(
      (weft_datagram_opts){.send_buffer = 40000, .receive_buffer = 30000, .broadcast = true});
  CHECK_INT(weft_datagram_get(d, WEFT_DATAGRAM_SEND_BUFFER, &got), 0);
  CHECK(got >= 40000);
  CHECK_INT(weft_datagram_get(d, WEFT_DATAGRAM_RECEIVE_BUFFER, &got), 0);
  CHECK(got >= 30000);
  CHECK_INT(weft_datagram_get(d, WEFT_DATAGRAM_BROADCAST, &got), 0);
  CHECK_INT(got, 1);
  weft_datagram_close(d);
  weft_datagram_close(u);
}

TASK_TEST(broadcasting_needs_the_option) {
  weft_addr all;
  weft_datagram *d = open_udp();
  weft_addr_parse(&all, "127.255.255.255", 9);
  CHECK_INT(weft_datagram_send_to(d, "x", 1, &all), WEFT_EACCES);
  CHECK_INT(weft_datagram_set(d, WEFT_DATAGRAM_BROADCAST, 1), 0);
  CHECK_INT(weft_datagram_send_to(d, "x", 1, &all), 0);
  weft_datagram_close(d);
}

TASK_TEST(members_of_a_group_get_what_is_sent_to_it) {
  weft_addr any, group, six;
  unsigned lo = if_nametoindex("lo");
  weft_addr_any(&any, AF_INET, 0);
  weft_datagram *member = open_with((weft_datagram_opts){.local = &any, .reuse_address = true});
  weft_datagram *sender = open_udp();
  any = address_of(member);
  /* Its own: who has left a group hears it as long as anybody of this machine is in it. */
  char text[32];
  unsigned pid = (unsigned)getpid();
  snprintf(text, sizeof text, "239.%u.%u.%u", 1 + (pid >> 14) % 254, (pid >> 7) % 128, pid % 128);
  weft_addr_parse(&group, text, weft_addr_port(&any));
  weft_addr_parse(&six, "ff02::1:3", 1);
  int r = weft_datagram_join(member, &group, lo);
  if (r == 0) { /* there are machines without multicast */
    CHECK_INT(weft_datagram_join(member, &group, lo), WEFT_EADDRINUSE);
    CHECK_INT(weft_datagram_multicast_from(sender, lo), 0);
    CHECK_INT(weft_datagram_send_to(sender, "all", 3, &group), 0);
    expect_text(member, "all");
    CHECK_INT(weft_datagram_leave(member, &group, lo), 0);
    CHECK_INT(weft_datagram_leave(member, &group, lo), WEFT_EADDRNOTAVAIL);
    CHECK_INT(weft_datagram_send_to(sender, "gone", 4, &group), 0);
    expect_nothing(member);
  }
  CHECK_INT(weft_datagram_join(member, &six, lo), WEFT_EINVAL);
  CHECK_INT(weft_datagram_join(member, &any, lo), WEFT_EINVAL); /* no group */
  weft_datagram_close(member);
  weft_datagram_close(sender);
}

static void outside_of_a_task_only_tries_are_answered(void **state) {
  (void)state;
  weft_datagram *pair[2];
  char buf[4];
  size_t len = 9;
  CHECK_INT(weft_datagram_pair(pair), 0);
  CHECK_INT(weft_datagram_send(pair[0], "x", 1), WEFT_ENOTASK);
  CHECK_INT(weft_datagram_receive(pair[0], buf, 1, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_datagram_wait_readable(pair[0]), WEFT_ENOTASK);
  CHECK_INT(weft_datagram_receive_many(pair[0], &(weft_datagram_item){.data = buf, .size = 1}, 1),
            WEFT_ENOTASK);
  CHECK_INT(
      weft_datagram_send_many(pair[0], &(weft_datagram_item){.data = buf, .size = 1}, 1, &len),
      WEFT_ENOTASK);
  CHECK_UINT(len, 0);
  CHECK_INT(weft_datagram_try_receive_from(pair[1], buf, sizeof buf, NULL, NULL), WEFT_EAGAIN);
  CHECK_INT(weft_datagram_try_send_to(pair[0], "abc", 3, NULL), 0);
  CHECK_INT(weft_datagram_try_receive_from(pair[1], buf, sizeof buf, &len, NULL), 1);
  CHECK_UINT(len, 3);
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

/* Of no socket, and of nowhere for the answer. */
TASK_TEST(null_is_einval) {
  weft_datagram *pair[2];
  weft_addr a = {0};
  char c;
  int value;
  CHECK_INT(weft_datagram_open(NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_pair(NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_from_fd(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_receive(NULL, &c, 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_receive_from(NULL, &c, 1, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_try_receive_from(NULL, &c, 1, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_wait_readable(NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_send(NULL, "x", 1), WEFT_EINVAL);
  CHECK_INT(weft_addr_parse(&a, "127.0.0.1", 9), 0);
  CHECK_INT(weft_datagram_send_to(NULL, "x", 1, &a), WEFT_EINVAL);
  CHECK_INT(weft_datagram_try_send_to(NULL, "x", 1, &a), WEFT_EINVAL);
  weft_datagram_item item = {&c, 1, 0, NULL};
  size_t sent = 9;
  CHECK_INT(weft_datagram_receive_many(NULL, &item, 1), WEFT_EINVAL);
  CHECK_INT(weft_datagram_send_many(NULL, &item, 1, &sent), WEFT_EINVAL);
  CHECK_UINT(sent, 0);
  weft_datagram_error error;
  CHECK_INT(weft_datagram_next_error(NULL, &error), WEFT_EINVAL);
  CHECK_INT(weft_datagram_connect(NULL, &a), WEFT_EINVAL);
  CHECK_INT(weft_datagram_set(NULL, WEFT_DATAGRAM_TTL, 3), WEFT_EINVAL);
  CHECK_INT(weft_datagram_get(NULL, WEFT_DATAGRAM_TTL, &value), WEFT_EINVAL);
  CHECK_INT(weft_datagram_join(NULL, &a, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_leave(NULL, &a, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_multicast_from(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_local(NULL, &a), WEFT_EINVAL);
  CHECK_INT(weft_datagram_peer(NULL, &a), WEFT_EINVAL);
  CHECK_INT(weft_datagram_fd(NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_close(NULL), 0);
  if (!CHECK_INT(weft_datagram_pair(pair), 0)) return;
  CHECK_INT(weft_datagram_receive_many(pair[0], NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_datagram_send_many(pair[0], NULL, 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_send_many(pair[0], NULL, 0, NULL), 0);
  CHECK_INT(weft_datagram_next_error(pair[0], NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_get(pair[0], WEFT_DATAGRAM_SEND_BUFFER, NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_local(pair[0], NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_peer(pair[0], NULL), WEFT_EINVAL);
  CHECK_INT(weft_datagram_join(pair[0], NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_datagram_send_to(pair[0], "x", 1, NULL), WEFT_EDESTADDRREQ);
  send_text(pair[0], "fits");
  expect_text(pair[1], "fits");
  weft_datagram_close(pair[0]);
  weft_datagram_close(pair[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(null_is_einval),
    cmocka_unit_test(an_echo_goes_there_and_back),
    cmocka_unit_test(ipv6_works_the_same),
    cmocka_unit_test(unix_sockets_have_names_or_none),
    cmocka_unit_test(the_file_of_a_unix_socket_goes_with_it),
    cmocka_unit_test(a_pair_talks_in_both_directions),
    cmocka_unit_test(a_socket_of_the_program_is_taken_over),
    cmocka_unit_test(connecting_later_and_elsewhere),
    cmocka_unit_test(a_connected_socket_receives_from_its_peer_only),
    cmocka_unit_test(a_port_in_use_is_told_unless_it_is_shared),
    cmocka_unit_test(wrong_options_are_named),
    cmocka_unit_test(a_failed_opening_leaves_nothing_behind),
    cmocka_unit_test(settings_are_kept),
    cmocka_unit_test(broadcasting_needs_the_option),
    cmocka_unit_test(members_of_a_group_get_what_is_sent_to_it),
    cmocka_unit_test(outside_of_a_task_only_tries_are_answered),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
