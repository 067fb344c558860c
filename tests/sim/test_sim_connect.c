/* Listening, connecting and accepting among simulated descriptors: the calls one by one, and a
 * server with clients under many seeds. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "net.h"
#include "task_test.h"

union address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
};

static union address at_port(uint16_t port) {
  union address a = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
  a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static int new_socket(int family) {
  int fd = weft__sys_socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK(weft__sim_net_owns(fd));
  return fd;
}

static int listen_at(uint16_t port, int backlog) {
  union address a = at_port(port);
  int fd = new_socket(AF_INET);
  CHECK_INT(weft__sys_bind(fd, &a.any, sizeof a.in), 0);
  CHECK_INT(weft__sys_listen(fd, backlog), 0);
  return fd;
}

static int connect_to(int fd, uint16_t port) {
  union address a = at_port(port);
  return weft__sys_connect(fd, &a.any, sizeof a.in);
}

static int error_of(int fd) {
  int n = -1;
  socklen_t len = sizeof n;
  CHECK_INT(weft__sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &n, &len), 0);
  return -n;
}

static int state_of(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
  CHECK(weft__sys_poll(&p, 1, 0) >= 0);
  return p.revents;
}

static int accept_from(int fd) {
  return weft__sys_accept4(fd, NULL, NULL, SOCK_NONBLOCK);
}

static void pass(weft_ns ns) {
  weft_sim_work(ns);
}

NET_TEST(a_connect_takes_a_round_trip, &net_slow, 5) {
  int server = listen_at(80, 8), client = new_socket(AF_INET);
  char c;
  CHECK_INT(weft__sys_read(client, &c, 1), WEFT_ENOTCONN);
  CHECK_INT(state_of(client), POLLOUT | POLLHUP);
  CHECK_INT(accept_from(server), WEFT_EAGAIN);
  weft_ns begin = weft_now();
  CHECK_INT(connect_to(client, 80), WEFT_EINPROGRESS);
  CHECK_INT(connect_to(client, 80), WEFT_EALREADY);
  CHECK_INT(state_of(client), 0);
  CHECK_INT(weft__sys_write(client, "x", 1), WEFT_EAGAIN);
  CHECK_INT(weft__fd_wait(server, WEFT__FD_READ), 0);
  CHECK(weft_now() - begin >= NET_LATENCY);
  int served = accept_from(server);
  CHECK(weft__sim_net_owns(served));
  CHECK_INT(weft__fd_wait(client, WEFT__FD_WRITE), 0);
  CHECK(weft_now() - begin >= 2 * NET_LATENCY);
  CHECK_INT(error_of(client), 0);
  CHECK_INT(connect_to(client, 80), WEFT_EISCONN);
  CHECK_INT(weft__sys_write(client, "x", 1), 1);
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_read(served, &c, 1), 1);
  net_close(served);
  net_close(client);
  net_close(server);
}

NET_TEST(nobody_there_refuses, &net_slow, 5) {
  int client = new_socket(AF_INET);
  CHECK_INT(connect_to(client, 80), WEFT_EINPROGRESS);
  CHECK_INT(weft__fd_wait(client, WEFT__FD_WRITE), 0);
  CHECK_INT(state_of(client), POLLIN | POLLOUT | POLLHUP | POLLERR);
  CHECK_INT(error_of(client), WEFT_ECONNREFUSED);
  CHECK_INT(error_of(client), 0);
  int server = listen_at(80, 8);
  CHECK_INT(connect_to(client, 80), WEFT_EINPROGRESS); /* it may try again */
  pass(3 * NET_LATENCY);
  CHECK_INT(error_of(client), 0);
  CHECK_INT(connect_to(client, 80), WEFT_EISCONN);
  net_close(client);
  net_close(server);
}

NET_TEST(a_socket_that_blocks_connects_and_accepts_in_virtual_time, &net_slow, 5) {
  int server = listen_at(80, 8), client = new_socket(AF_INET);
  CHECK_INT(weft__sys_fcntl(client, F_SETFL, 0), 0);
  CHECK_INT(weft__sys_fcntl(server, F_SETFL, 0), 0);
  CHECK_INT(connect_to(client, 80), 0);
  int served = accept_from(server);
  CHECK(served > 0);
  net_close(served);
  net_close(client);
  client = new_socket(AF_INET);
  CHECK_INT(weft__sys_fcntl(client, F_SETFL, 0), 0);
  CHECK_INT(connect_to(client, 81), WEFT_ECONNREFUSED);
  net_close(client);
  net_close(server);
}

NET_TEST(an_address_has_one_owner, &net_slow, 5) {
  union address a = at_port(80), b;
  socklen_t len = sizeof b;
  int first = new_socket(AF_INET), second = new_socket(AF_INET), third = new_socket(AF_INET6);
  CHECK_INT(weft__sys_bind(first, &a.any, sizeof a.in), 0);
  CHECK_INT(weft__sys_bind(first, &a.any, sizeof a.in), WEFT_EINVAL);
  CHECK_INT(weft__sys_bind(second, &a.any, sizeof a.in), WEFT_EADDRINUSE);
  CHECK_INT(weft__sys_bind(third, &a.any, sizeof a.in6), WEFT_EAFNOSUPPORT);
  a.in.sin_addr.s_addr = htonl(INADDR_ANY);
  CHECK_INT(weft__sys_bind(second, &a.any, sizeof a.in), WEFT_EADDRINUSE);
  a.in.sin_port = 0;
  CHECK_INT(weft__sys_bind(second, &a.any, 3), WEFT_EINVAL);
  CHECK_INT(weft__sys_bind(second, &a.any, sizeof a.in), 0); /* any port */
  CHECK_INT(weft__sys_getsockname(second, &b.any, &len), 0);
  CHECK_INT(len, sizeof b.in);
  CHECK(ntohs(b.in.sin_port) >= 1024);
  CHECK_INT(weft__sys_getpeername(second, &b.any, &len), WEFT_ENOTCONN);
  net_close(first);
  net_close(second);
  second = listen_at(80, 1); /* free again */
  net_close(second);
  net_close(third);
}

NET_TEST(both_ends_know_their_names, &net_slow, 5) {
  union address a = at_port(80), b, peer;
  socklen_t len = sizeof b;
  a.in.sin_addr.s_addr = htonl(INADDR_ANY);
  int server = new_socket(AF_INET), client = new_socket(AF_INET);
  CHECK_INT(weft__sys_bind(server, &a.any, sizeof a.in), 0);
  CHECK_INT(weft__sys_listen(server, 1), 0);
  CHECK_INT(connect_to(client, 80), WEFT_EINPROGRESS);
  pass(3 * NET_LATENCY);
  int served = weft__sys_accept4(server, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  CHECK_INT(weft__sys_fcntl(served, F_GETFL, 0), O_RDWR | O_NONBLOCK);
  CHECK_INT(weft__sys_fcntl(served, F_GETFD, 0), FD_CLOEXEC);
  CHECK_INT(len, sizeof b.in);
  CHECK_INT(weft__sys_getsockname(client, &b.any, &len), 0);
  CHECK(b.in.sin_port == peer.in.sin_port && b.in.sin_port != 0);
  CHECK_INT(weft__sys_getpeername(served, &b.any, &len), 0);
  CHECK(b.in.sin_port == peer.in.sin_port);
  CHECK_INT(weft__sys_getpeername(client, &b.any, &len), 0);
  CHECK(b.in.sin_port == htons(80));
  net_close(served);
  net_close(client);
  net_close(server);
}

NET_TEST(a_queue_that_is_full_makes_clients_ask_again, &net_slow, 5) {
  int server = listen_at(80, 0), first = new_socket(AF_INET), second = new_socket(AF_INET);
  CHECK_INT(connect_to(first, 80), WEFT_EINPROGRESS);
  weft_ns begin = weft_now();
  CHECK_INT(connect_to(second, 80), WEFT_EINPROGRESS);
  CHECK_INT(weft__fd_wait(second, WEFT__FD_WRITE), 0);
  CHECK(weft_now() - begin >= weft_sec(1));
  int a = accept_from(server), b = accept_from(server);
  CHECK(a > 0 && b > 0);
  CHECK_INT(accept_from(server), WEFT_EAGAIN);
  int all[] = {server, first, second, a, b};
  for (int i = 0; i < 5; i++) net_close(all[i]);
}

NET_TEST(a_listener_that_closes_resets_who_waits, &net_slow, 5) {
  int server = listen_at(80, 8), first = new_socket(AF_INET), second = new_socket(AF_INET);
  CHECK_INT(connect_to(first, 80), WEFT_EINPROGRESS);
  pass(3 * NET_LATENCY);
  CHECK_INT(connect_to(second, 80), WEFT_EINPROGRESS); /* it has not arrived yet */
  net_close(server);
  pass(3 * NET_LATENCY);
  CHECK_INT(error_of(first), WEFT_ECONNRESET);
  CHECK_INT(error_of(second), WEFT_ECONNREFUSED);
  net_close(first);
  net_close(second);
}

NET_TEST(a_client_may_be_gone_before_it_is_accepted, &net_slow, 5) {
  int server = listen_at(80, 8), client = new_socket(AF_INET);
  char buf[8];
  CHECK_INT(connect_to(client, 80), WEFT_EINPROGRESS);
  pass(3 * NET_LATENCY);
  CHECK_INT(weft__sys_write(client, "bye", 3), 3);
  net_close(client);
  pass(2 * NET_LATENCY);
  int served = accept_from(server);
  CHECK_INT(weft__sys_read(served, buf, 8), 3);
  CHECK_INT(weft__sys_read(served, buf, 8), 0);
  net_close(served);
  net_close(server);
}

NET_TEST(a_local_socket_connects_at_once, &net_slow, 5) {
  union address a = {.un = {.sun_family = AF_UNIX, .sun_path = "/nowhere/socket"}}, b;
  socklen_t len = sizeof b;
  int server = new_socket(AF_UNIX), client = new_socket(AF_UNIX), second = new_socket(AF_UNIX);
  CHECK_INT(weft__sys_listen(server, 0), WEFT_EINVAL); /* not bound */
  CHECK_INT(weft__sys_connect(client, &a.any, sizeof a.un), WEFT_ENOENT);
  CHECK_INT(weft__sys_bind(server, &a.any, offsetof(struct sockaddr_un, sun_path) + 15), 0);
  CHECK_INT(weft__sys_connect(client, &a.any, sizeof a.un), WEFT_ECONNREFUSED);
  CHECK_INT(weft__sys_listen(server, 0), 0);
  CHECK_INT(weft__sys_connect(client, &a.any, sizeof a.un), 0);
  CHECK_INT(weft__sys_connect(second, &a.any, sizeof a.un), WEFT_EAGAIN); /* the queue is full */
  int served = accept_from(server);
  CHECK(served > 0);
  CHECK_INT(weft__sys_getpeername(client, &b.any, &len), 0);
  CHECK(strcmp(b.un.sun_path, a.un.sun_path) == 0);
  CHECK_INT(weft__sys_getpeername(served, &b.any, &len), 0);
  CHECK_INT(len, sizeof(sa_family_t)); /* a client that is not bound has no name */
  a.un.sun_path[0] = 0;
  CHECK_INT(weft__sys_connect(second, &a.any, sizeof a.un), WEFT_ECONNREFUSED);
  int all[] = {server, client, second, served};
  for (int i = 0; i < 4; i++) net_close(all[i]);
}

NET_TEST(what_is_no_stream_is_the_kernels, &net_slow, 5) {
  int fd = weft__sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
  socklen_t len = sizeof on;
  CHECK(!weft__sim_net_owns(fd));
  if (fd >= 0) CHECK_INT(weft__sys_close(fd), 0);
  CHECK_INT(weft__sys_socket(AF_UNIX, SOCK_STREAM, IPPROTO_TCP), WEFT_EPROTONOSUPPORT);
  fd = weft__sys_socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
  CHECK_INT(weft__sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
  CHECK_INT(weft__sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
  CHECK_INT(on, 0);
  CHECK_INT(weft__sys_listen(fd, 1), 0); /* at a port that is chosen */
  CHECK_INT(weft__sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
  CHECK_INT(on, 1);
  CHECK_INT(weft__sys_accept4(fd, NULL, NULL, SOCK_NONBLOCK << 1), WEFT_EINVAL);
  net_close(fd);
}

/* ---- a server ---- */

enum { CLIENTS = 5, BYTES = 200 };

static const struct weft__sim_net_rates rough = {
    .short_read = 2,
    .short_write = 2,
    .split = 2,
    .interrupt = 16,
    .spurious = 16,
    .late = 4,
    .capacity = 64,
    .reset = 300,
    .latency_max = 3000000,
};

struct visit {
  int fd;
  int result;
  uint64_t sent, back;
};

/* Echoes until the end or an error; the descriptor is its own. */
static int serve_one(void *arg) {
  struct visit *v = arg;
  uint64_t seen = 0;
  char buf[64];
  for (;;) {
    ssize_t n = net_read_some(v->fd, buf, sizeof buf);
    if (n <= 0) break;
    for (ssize_t i = 0; i < n; i++) CHECK_INT(buf[i], net_byte(seen + (uint64_t)i));
    uint64_t done;
    if (net_send_range(v->fd, seen, seen + (uint64_t)n, 64, &done) < 0) break;
    seen += (uint64_t)n;
  }
  net_close(v->fd);
  return 0;
}

/* Accepts until it is cancelled; the visits end with the group. */
static int serve_all(void *arg) {
  int server = *(int *)arg;
  weft_task serving[2 * CLIENTS];
  struct visit visit[2 * CLIENTS];
  int n = 0, r = 0;
  while (r >= 0 && n < 2 * CLIENTS) {
    int fd = accept_from(server);
    if (fd == WEFT_EAGAIN) r = weft__fd_wait(server, WEFT__FD_READ);
    if (fd < 0) {
      CHECK(fd == WEFT_EAGAIN || fd == WEFT_EINTR);
      continue;
    }
    visit[n].fd = fd;
    serving[n] = weft_spawn(serve_one, &visit[n], NULL);
    n++;
  }
  CHECK_INT(r, WEFT_ECANCELED);
  CHECK(weft_cancel_catch());
  for (int i = 0; i < n; i++) CHECK_INT(weft_await(serving[i]), 0);
  return 0;
}

static int visit_server(void *arg) {
  struct visit *v = arg;
  v->fd = new_socket(AF_INET);
  int r = connect_to(v->fd, 80);
  while (r == WEFT_EINTR) r = connect_to(v->fd, 80);
  CHECK_INT(r, WEFT_EINPROGRESS);
  while (state_of(v->fd) == 0) CHECK_INT(weft__fd_wait(v->fd, WEFT__FD_WRITE), 0);
  r = error_of(v->fd);
  while (r >= 0 && v->back < BYTES) {
    r = net_send_range(v->fd, v->sent, v->sent + 40, 40, &v->sent);
    if (r == 0) r = net_expect_range(v->fd, v->back, v->sent, &v->back);
    if (r == 0) break;
  }
  v->result = r;
  CHECK(v->back <= v->sent);
  CHECK(r == 1 || r == 0 || r == WEFT_ECONNRESET || r == WEFT_EPIPE);
  net_close(v->fd);
  return 0;
}

static int a_server_and_clients(void *arg) {
  uint64_t *finished = arg;
  int server = listen_at(80, 2);
  weft_task s = weft_spawn(serve_all, &server, NULL), client[CLIENTS];
  struct visit visit[CLIENTS];
  memset(visit, 0, sizeof visit);
  for (int i = 0; i < CLIENTS; i++) client[i] = weft_spawn(visit_server, &visit[i], NULL);
  for (int i = 0; i < CLIENTS; i++) {
    CHECK_INT(weft_await(client[i]), 0);
    *finished += visit[i].result == 1 && visit[i].back == BYTES;
  }
  CHECK_INT(weft_cancel(s), 1);
  CHECK_INT(weft_await(s), 0);
  net_close(server);
  return weft_test_failed() ? WEFT_EUSER : 0;
}

static void a_server_serves_under_many_seeds(void **state) {
  uint64_t finished = 0;
  (void)state;
  net_simulate(a_server_and_clients, &finished, 300, &rough);
  CHECK(finished > 300 * CLIENTS / 4 && finished < 300 * CLIENTS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_connect_takes_a_round_trip),
    cmocka_unit_test(nobody_there_refuses),
    cmocka_unit_test(a_socket_that_blocks_connects_and_accepts_in_virtual_time),
    cmocka_unit_test(an_address_has_one_owner),
    cmocka_unit_test(both_ends_know_their_names),
    cmocka_unit_test(a_queue_that_is_full_makes_clients_ask_again),
    cmocka_unit_test(a_listener_that_closes_resets_who_waits),
    cmocka_unit_test(a_client_may_be_gone_before_it_is_accepted),
    cmocka_unit_test(a_local_socket_connects_at_once),
    cmocka_unit_test(what_is_no_stream_is_the_kernels),
    cmocka_unit_test(a_server_serves_under_many_seeds),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
