/* The system calls on simulated descriptors, each on its own: what they give and when. Method:
 * one worker's main task makes the calls of a descriptor that does not block, and lets virtual
 * time pass in between. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "net.h"

static int state_of(int fd, int events) {
  struct pollfd p = {.fd = fd, .events = (short)events};
  CHECK(weft__sys_poll(&p, 1, 0) >= 0);
  return p.revents;
}

enum { ALL = POLLIN | POLLOUT | POLLRDHUP };

static void pass(weft_ns ns) {
  weft_sim_work(ns);
}

NET_TEST(a_descriptor_has_a_number_that_no_other_has, &kind, 1) {
  int fds[2], real[2], more[2];
  net_pair(fds);
  CHECK(fds[0] >= 1 << 24 && fds[1] >= 1 << 24 && fds[0] != fds[1]);
  CHECK(weft__sim_net_owns(fds[0]));
  CHECK_INT(pipe(real), 0);
  CHECK(!weft__sim_net_owns(real[0]));
  CHECK_INT(weft__sys_write(real[1], "x", 1), 1); /* the kernel's */
  CHECK_INT(weft__sys_close(real[0]), 0);
  CHECK_INT(weft__sys_close(real[1]), 0);
  int was = fds[0];
  net_close_pair(fds);
  CHECK_INT(weft__sys_read(was, real, 1), WEFT_EBADF);
  CHECK_INT(weft__sys_close(was), WEFT_EBADF);
  net_pair(more); /* the lowest that is free, as the kernel gives it */
  CHECK_INT(more[0], was);
  net_close_pair(more);
  CHECK_INT(weft__sys_socketpair(AF_UNIX, SOCK_SEQPACKET, 0, real), 0);
  CHECK(!weft__sim_net_owns(real[0]));
  CHECK_INT(close(real[0]) + close(real[1]), 0);
}

NET_TEST(bytes_arrive_after_the_latency, &net_slow, 3) {
  int fds[2];
  char buf[8];
  net_pair(fds);
  CHECK_INT(state_of(fds[0], ALL), POLLOUT);
  weft_ns begin = weft_now();
  CHECK_INT(weft__sys_write(fds[1], "abc", 3), 3);
  CHECK_INT(weft__sys_read(fds[0], buf, 8), WEFT_EAGAIN);
  CHECK_INT(state_of(fds[0], ALL), POLLOUT);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), 0);
  CHECK(weft_now() - begin >= NET_LATENCY);
  CHECK(weft_now() - begin < 10 * NET_LATENCY);
  CHECK_INT(state_of(fds[0], ALL), POLLIN | POLLOUT);
  CHECK_INT(weft__sys_recv(fds[0], buf, 8, MSG_PEEK), 3);
  CHECK_INT(weft__sys_read(fds[0], buf, 2), 2);
  CHECK_INT(weft__sys_read(fds[0], buf + 2, 6), 1);
  CHECK(memcmp(buf, "abc", 3) == 0);
  CHECK_INT(weft__sys_read(fds[0], buf, 0), 0);
  net_close_pair(fds);
}

NET_TEST(a_buffer_is_bounded, &net_slow, 3) {
  int fds[2];
  char buf[200] = {0};
  net_pair(fds);
  CHECK_INT(weft__sys_write(fds[1], buf, 60), 60);
  CHECK_INT(weft__sys_write(fds[1], buf, 60), 40); /* capacity is 100 */
  CHECK_INT(weft__sys_write(fds[1], buf, 60), WEFT_EAGAIN);
  CHECK_INT(state_of(fds[1], ALL), 0);
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_read(fds[0], buf, 30), 30);
  CHECK_INT(state_of(fds[1], ALL), POLLOUT);
  CHECK_INT(weft__sys_write(fds[1], buf, 60), 30);
  CHECK_INT(weft__sys_read(fds[0], buf, 200), 70);
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_read(fds[0], buf, 200), 30);
  net_close_pair(fds);
}

NET_TEST(vectors_and_messages_carry_data, &kind, 1) {
  int fds[2];
  char a[3], b[4], c[8];
  struct iovec out[] = {{"one", 3}, {"", 0}, {"two", 3}};
  struct iovec in[] = {{a, 3}, {b, 4}};
  struct iovec rest = {c, 8};
  struct msghdr send = {.msg_iov = out, .msg_iovlen = 3};
  struct msghdr recv = {.msg_iov = &rest, .msg_iovlen = 1};
  net_pair(fds);
  CHECK_INT(weft__sys_writev(fds[0], out, 3), 6);
  CHECK_INT(weft__sys_readv(fds[1], in, 2), 6);
  CHECK(memcmp(a, "one", 3) == 0 && memcmp(b, "two", 3) == 0);
  CHECK_INT(weft__sys_sendmsg(fds[1], &send, MSG_NOSIGNAL), 6);
  CHECK_INT(weft__sys_recvmsg(fds[0], &recv, 0), 6);
  CHECK(memcmp(c, "onetwo", 6) == 0);
  CHECK_INT(weft__sys_send(fds[0], "x", 1, MSG_OOB), WEFT_EINVAL);
  send.msg_control = c;
  send.msg_controllen = sizeof c;
  CHECK_INT(weft__sys_sendmsg(fds[1], &send, 0), WEFT_EINVAL);
  net_close_pair(fds);
}

NET_TEST(settings_are_kept, &kind, 1) {
  int fds[2], n = -1;
  socklen_t len = sizeof n;
  CHECK_INT(weft__sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  CHECK_INT(weft__sys_fcntl(fds[0], F_GETFL, 0), O_RDWR);
  CHECK_INT(weft__sys_fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  CHECK_INT(weft__sys_fcntl(fds[0], F_GETFL, 0), O_RDWR | O_NONBLOCK);
  CHECK_INT(weft__sys_fcntl(fds[0], F_GETFD, 0), FD_CLOEXEC);
  CHECK_INT(weft__sys_fcntl(fds[0], F_SETFD, 0), 0);
  CHECK_INT(weft__sys_fcntl(fds[0], F_GETFD, 0), 0);
  CHECK_INT(weft__sys_fcntl(fds[0], F_DUPFD, 0), WEFT_EINVAL);
  CHECK_INT(weft__sys_getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &n, &len), 0);
  CHECK_INT(n, SOCK_STREAM);
  CHECK_INT(weft__sys_getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &n, &len), 0);
  CHECK_INT(n, 0);
  net_close_pair(fds);
}

NET_TEST(the_end_comes_after_the_bytes, &net_slow, 3) {
  int fds[2];
  char buf[8];
  net_pair(fds);
  CHECK_INT(weft__sys_write(fds[1], "abc", 3), 3);
  net_close(fds[1]);
  CHECK_INT(weft__sys_read(fds[0], buf, 8), WEFT_EAGAIN); /* no news yet */
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), 0);
  CHECK_INT(weft__sys_read(fds[0], buf, 8), 3);
  CHECK_INT(weft__fd_wait(fds[0], WEFT__FD_READ), 0);
  for (int i = 0; i < 2; i++) CHECK_INT(weft__sys_read(fds[0], buf, 8), 0);
  CHECK(state_of(fds[0], ALL) & POLLIN);
  net_close(fds[0]);
}

NET_TEST(half_of_a_stream_may_be_closed, &net_slow, 3) {
  int fds[2];
  char buf[8];
  net_pair(fds);
  CHECK_INT(weft__sys_shutdown(fds[0], 7), WEFT_EINVAL);
  CHECK_INT(weft__sys_write(fds[0], "q", 1), 1);
  CHECK_INT(weft__sys_shutdown(fds[0], SHUT_WR), 0);
  CHECK_INT(weft__sys_write(fds[0], "q", 1), WEFT_EPIPE);
  pass(2 * NET_LATENCY);
  CHECK_INT(state_of(fds[1], ALL), POLLIN | POLLOUT | POLLRDHUP);
  CHECK_INT(weft__sys_read(fds[1], buf, 8), 1);
  CHECK_INT(weft__sys_read(fds[1], buf, 8), 0);
  CHECK_INT(weft__sys_write(fds[1], "answer", 6), 6); /* the other half is open */
  net_close(fds[1]);
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_read(fds[0], buf, 8), 6);
  CHECK_INT(weft__sys_read(fds[0], buf, 8), 0);
  CHECK_INT(state_of(fds[0], ALL), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
  net_close(fds[0]);
}

NET_TEST(a_reader_that_has_shut_is_not_written_to, &net_slow, 3) {
  int fds[2];
  char buf[8];
  net_pair(fds);
  CHECK_INT(weft__sys_write(fds[1], "lost", 4), 4);
  CHECK_INT(weft__sys_shutdown(fds[0], SHUT_RD), 0);
  CHECK_INT(weft__sys_read(fds[0], buf, 8), 0);
  CHECK_INT(weft__sys_write(fds[1], "lost", 4), 4); /* before the news has come */
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_write(fds[1], "x", 1), WEFT_EPIPE);
  net_close_pair(fds);
}

/* A close with bytes unread, and SO_LINGER of no time, both cut the stream. */
static void cut(bool linger) {
  int fds[2], n = -1;
  char buf[8];
  socklen_t len = sizeof n;
  struct linger none = {.l_onoff = 1};
  net_pair(fds);
  CHECK_INT(weft__sys_write(fds[0], "first", 5), 5);
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_write(fds[0], "late", 4), 4);
  if (linger)
    CHECK_INT(weft__sys_setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
  else
    CHECK_INT(weft__sys_write(fds[1], "unread", 6), 6);
  if (!linger) pass(2 * NET_LATENCY);
  if (linger) CHECK_INT(weft__sys_read(fds[1], buf, 8), 5);
  net_close(fds[0]);
  pass(2 * NET_LATENCY);
  CHECK_INT(state_of(fds[1], ALL), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
  if (!linger) {
    CHECK_INT(weft__sys_read(fds[1], buf, 5), 5); /* what has arrived is there */
    CHECK_INT(weft__sys_read(fds[1], buf, 8), 4);
    CHECK_INT(weft__sys_read(fds[1], buf, 8), WEFT_ECONNRESET);
  } else {
    CHECK_INT(weft__sys_getsockopt(fds[1], SOL_SOCKET, SO_ERROR, &n, &len), 0);
    CHECK_INT(n, ECONNRESET);
  }
  CHECK_INT(state_of(fds[1], ALL), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
  CHECK_INT(weft__sys_read(fds[1], buf, 8), 0); /* told once */
  CHECK_INT(weft__sys_write(fds[1], "x", 1), WEFT_EPIPE);
  CHECK_INT(weft__sys_shutdown(fds[1], SHUT_WR), WEFT_ENOTCONN);
  net_close(fds[1]);
}

NET_TEST(a_close_with_bytes_unread_resets, &net_slow, 3) {
  cut(false);
}

NET_TEST(a_close_without_linger_loses_what_is_on_its_way, &net_slow, 3) {
  cut(true);
}

NET_TEST(who_writes_to_a_closed_end_learns_of_it_later, &net_slow, 20) {
  int fds[2];
  net_pair(fds);
  net_close(fds[0]);
  CHECK_INT(weft__sys_write(fds[1], "lost", 4), 4);
  pass(4 * NET_LATENCY);
  CHECK_INT(weft__sys_write(fds[1], "x", 1), WEFT_ECONNRESET);
  CHECK_INT(weft__sys_write(fds[1], "x", 1), WEFT_EPIPE);
  net_close(fds[1]);
}

NET_TEST(a_reset_reaches_both_ends,
         (&(struct weft__sim_net_rates){
             .capacity = 100, .reset = 1, .latency_min = 1000, .latency_max = 1000}),
         5) {
  int fds[2];
  char c;
  net_pair(fds);
  CHECK_INT(weft__sys_write(fds[0], "x", 1), WEFT_ECONNRESET);
  pass(weft_ms(1));
  CHECK_INT(weft__sys_read(fds[1], &c, 1), WEFT_ECONNRESET);
  CHECK_INT(weft__sys_read(fds[1], &c, 1), 0);
  net_close_pair(fds);
  CHECK_INT(weft__sys_pipe2(fds, O_NONBLOCK), 0);
  CHECK_INT(weft__sys_write(fds[1], "x", 1), 1); /* never a pipe's */
  CHECK_INT(weft__sys_read(fds[0], &c, 1), 1);
  net_close_pair(fds);
}

NET_TEST(nothing_follows_what_a_reset_has_lost, &net_slow, 5) {
  struct weft__sim_net_rates cutting = net_slow;
  int fds[2];
  char buf[16];
  cutting.reset = 1;
  net_pair(fds);
  CHECK_INT(weft__sys_write(fds[0], "first", 5), 5);
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_write(fds[0], "lost", 4), 4);
  weft__sim_net_rates(&cutting);
  CHECK_INT(weft__sys_read(fds[1], buf, 1), 1);
  weft__sim_net_rates(&net_slow);
  CHECK_INT(weft__sys_write(fds[0], "more", 4), 4); /* it does not know yet */
  pass(2 * NET_LATENCY);
  CHECK_INT(weft__sys_read(fds[1], buf, 16), 4);
  CHECK_INT(weft__sys_read(fds[1], buf, 16), WEFT_ECONNRESET);
  CHECK_INT(weft__sys_write(fds[0], "x", 1), WEFT_ECONNRESET);
  net_close_pair(fds);
}

NET_TEST(calls_are_interrupted, (&(struct weft__sim_net_rates){.capacity = 100, .interrupt = 2}),
         5) {
  int fds[2], n = 0;
  char c;
  net_pair(fds);
  for (int i = 0; i < 100; i++) n += weft__sys_read(fds[0], &c, 1) == WEFT_EINTR;
  CHECK(n > 20 && n < 80);
  net_close_pair(fds);
}

NET_TEST(a_pipe_has_no_latency_and_does_not_divide_small_writes,
         (&(struct weft__sim_net_rates){.capacity = 1,
                                        .short_write = 1,
                                        .split = 1,
                                        .small = 2,
                                        .latency_min = 1000000,
                                        .latency_max = 1000000}),
         10) {
  static char block[2 * PIPE_BUF];
  int fds[2];
  CHECK_INT(weft__sys_pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
  CHECK_INT(weft__sys_read(fds[1], block, 1), WEFT_EBADF);
  CHECK_INT(weft__sys_write(fds[0], block, 1), WEFT_EBADF);
  CHECK_INT(weft__sys_recv(fds[0], block, 1, 0), WEFT_ENOTSOCK);
  CHECK_INT(weft__sys_shutdown(fds[0], SHUT_RD), WEFT_ENOTSOCK);
  CHECK_INT(state_of(fds[0], ALL), 0);
  CHECK_INT(state_of(fds[1], ALL), POLLOUT);
  CHECK_INT(weft__sys_write(fds[1], block, 4000), 4000);
  CHECK_INT(state_of(fds[1], ALL), 0); /* no room for PIPE_BUF */
  CHECK_INT(weft__sys_write(fds[1], block, 97), WEFT_EAGAIN);
  CHECK_INT(weft__sys_write(fds[1], block, 96), 96);
  CHECK_INT(weft__sys_read(fds[0], block, sizeof block), 4096);
  net_close(fds[1]);
  CHECK_INT(state_of(fds[0], ALL), POLLHUP);
  CHECK_INT(weft__sys_read(fds[0], block, 1), 0);
  net_close(fds[0]);
  CHECK_INT(weft__sys_pipe2(fds, O_NONBLOCK), 0);
  net_close(fds[0]);
  CHECK_INT(state_of(fds[1], ALL), POLLOUT | POLLERR);
  CHECK_INT(weft__sys_write(fds[1], block, 1), WEFT_EPIPE);
  net_close(fds[1]);
}

NET_TEST(a_descriptor_that_blocks_waits_in_virtual_time, &net_slow, 5) {
  int fds[2];
  char buf[8];
  CHECK_INT(weft__sys_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  weft_ns begin = weft_now();
  CHECK_INT(weft__sys_write(fds[0], "abc", 3), 3);
  CHECK_INT(weft__sys_recv(fds[1], buf, 8, MSG_DONTWAIT), WEFT_EAGAIN);
  CHECK_INT(weft__sys_read(fds[1], buf, 8), 3);
  CHECK(weft_now() - begin >= NET_LATENCY);
  net_close_pair(fds);
}

NET_TEST(poll_waits_in_virtual_time, &net_slow, 5) {
  int fds[2];
  net_pair(fds);
  struct pollfd p[] = {{fds[0], POLLIN, 0}, {-1, POLLIN, 0}, {fds[1], POLLIN, 0}};
  weft_ns begin = weft_now();
  CHECK_INT(weft__sys_poll(p, 3, 50), 0);
  CHECK(weft_now() - begin >= weft_ms(50));
  CHECK_INT(weft__sys_write(fds[0], "x", 1), 1);
  begin = weft_now();
  CHECK_INT(weft__sys_poll(p, 3, -1), 1);
  CHECK(weft_now() - begin < 3 * NET_LATENCY);
  CHECK_INT(p[0].revents, 0);
  CHECK_INT(p[2].revents, POLLIN);
  p[0].fd = STDIN_FILENO;
  CHECK_INT(weft__sys_poll(p, 3, 0), WEFT_ENOTSUP); /* mixed */
  p[0].fd = fds[1] + 1000;
  CHECK_INT(weft__sys_poll(p, 1, 0), 1);
  CHECK_INT(p[0].revents, POLLNVAL);
  net_close_pair(fds);
}

NET_TEST(one_thread_may_watch_a_descriptor_once, &kind, 1) {
  int fds[2];
  static const char key[2];
  net_pair(fds);
  struct weft__sim_watch a = {.key = key, .events = POLLIN}, b = a, c = a;
  c.key = key + 1;
  CHECK_INT(weft__sim_net_watch(&a, fds[0] + 1000), WEFT_EBADF);
  CHECK_INT(weft__sim_net_watch(&a, fds[0]), 0);
  CHECK_INT(weft__sim_net_watch(&b, fds[0]), WEFT_EEXIST);
  CHECK_INT(weft__sim_net_watch(&c, fds[0]), 0);
  CHECK(weft__sim_net_watched(key));
  CHECK(!weft__sim_net_ready(key));
  CHECK_UINT(weft__sim_net_next(key), UINT64_MAX);
  CHECK_INT(weft__sys_write(fds[1], "x", 1), 1);
  CHECK(weft__sim_net_ready(key));
  weft__sim_net_unwatch(&a);
  weft__sim_net_unwatch(&a);
  weft__sim_net_unwatch(&c);
  CHECK(!weft__sim_net_watched(key));
  net_close_pair(fds);
}

/* ---- what is checked at the end ---- */

static int leave_open(void *arg) {
  int fds[2];
  (void)arg;
  net_pair(fds);
  net_close(fds[1]);
  return 0;
}

static int keep_watching(void *arg) {
  static struct weft__sim_watch w;
  int fds[2];
  (void)arg;
  net_pair(fds);
  w = (struct weft__sim_watch){.key = &w, .events = POLLIN};
  return weft__sim_net_watch(&w, fds[0]);
}

static int close_what_is_watched(void *arg) {
  int r = keep_watching(arg);
  return r < 0 ? r : weft__sys_close(1 << 24);
}

static int simulate_once(void *arg) {
  weft_fn fn = *(weft_fn *)arg;
  return weft_simulate(fn, NULL, &(weft_sim_opts){.first_seed = 7, .seeds = 1}, NULL);
}

static void is_found(weft_fn fn, const char *what) {
  struct child_end end = child_run(simulate_once, &fn);
  CHECK(child_died(&end));
  if (!CHECK(strstr(end.output, what) && strstr(end.output, "seed 7")))
    print_message("%s\n", end.output);
}

static void a_descriptor_that_is_left_open_is_reported(void **state) {
  (void)state;
  is_found(leave_open, "descriptor 16777216, made by socketpair at");
  is_found(leave_open, "is still open at the end");
}

static void a_watch_that_is_left_is_reported(void **state) {
  (void)state;
  is_found(keep_watching, "is still waited for at the end");
}

static void closing_what_is_watched_is_reported(void **state) {
  (void)state;
  is_found(close_what_is_watched, "(socketpair) is closed while it is waited for");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_descriptor_has_a_number_that_no_other_has),
    cmocka_unit_test(bytes_arrive_after_the_latency),
    cmocka_unit_test(a_buffer_is_bounded),
    cmocka_unit_test(vectors_and_messages_carry_data),
    cmocka_unit_test(settings_are_kept),
    cmocka_unit_test(the_end_comes_after_the_bytes),
    cmocka_unit_test(half_of_a_stream_may_be_closed),
    cmocka_unit_test(a_reader_that_has_shut_is_not_written_to),
    cmocka_unit_test(a_close_with_bytes_unread_resets),
    cmocka_unit_test(a_close_without_linger_loses_what_is_on_its_way),
    cmocka_unit_test(who_writes_to_a_closed_end_learns_of_it_later),
    cmocka_unit_test(a_reset_reaches_both_ends),
    cmocka_unit_test(nothing_follows_what_a_reset_has_lost),
    cmocka_unit_test(calls_are_interrupted),
    cmocka_unit_test(a_pipe_has_no_latency_and_does_not_divide_small_writes),
    cmocka_unit_test(a_descriptor_that_blocks_waits_in_virtual_time),
    cmocka_unit_test(poll_waits_in_virtual_time),
    cmocka_unit_test(one_thread_may_watch_a_descriptor_once),
    cmocka_unit_test(a_descriptor_that_is_left_open_is_reported),
    cmocka_unit_test(a_watch_that_is_left_is_reported),
    cmocka_unit_test(closing_what_is_watched_is_reported),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
