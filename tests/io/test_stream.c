/* Streams: bytes there and back, the calls to the system, the end. */
#include <unistd.h>

#include "parked.h"
#include "stream_pair.h"

TASK_TEST(what_is_written_is_read) {
  struct pair p = pair_open();
  char buf[16];
  CHECK_INT(weft_write(p.a, "hello", 5), 0);
  CHECK_INT(weft_read_exactly(p.b, buf, 5), 5);
  CHECK(memcmp(buf, "hello", 5) == 0);
  CHECK_INT(weft_write(p.b, "world", 5), 0);
  CHECK_INT(weft_read_exactly(p.a, buf, 5), 5);
  CHECK(memcmp(buf, "world", 5) == 0);
  pair_close(&p);
}

static int echo(void *arg) {
  weft_stream *s = arg;
  char buf[4096];
  ssize_t n;
  while ((n = weft_read(s, buf, sizeof buf)) > 0) {
    int r = weft_write(s, buf, (size_t)n);
    if (r < 0) return r;
  }
  return (int)n;
}

TASK_TEST(an_echo_ends_with_the_stream) {
  struct pair p = pair_open();
  weft_task t = weft_spawn(echo, p.b, NULL);
  for (int i = 0; i < count(200); i++) {
    char out[64], in[64];
    fill_bytes(out, (uint64_t)i * sizeof out, sizeof out);
    CHECK_INT(weft_write(p.a, out, sizeof out), 0);
    CHECK_INT(weft_read_exactly(p.a, in, sizeof in), sizeof in);
    CHECK(memcmp(in, out, sizeof in) == 0);
  }
  CHECK_INT(weft_stream_shutdown_write(p.a), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_stream_shutdown_write(p.b), 0);
  char c;
  CHECK_INT(weft_read(p.a, &c, 1), 0);
  CHECK(weft_stream_at_eof(p.a));
  pair_close(&p);
}

/* In steady state each message over TCP is one read and one write, and the kernel's poll sets are not told
 * anything. */
TASK_TEST(a_message_is_one_read_and_one_write) {
  enum { WARM = 8, MESSAGES = 100, LONG = 64 };
  if (counts_simulated()) weft_test_skip("the simulated network interrupts and divides");
  int fds[2];
  tcp_pair(fds);
  struct pair p = {stream_of(fds[0]), stream_of(fds[1])};
  CHECK_INT(weft_stream_set_nodelay(p.a, true), 0);
  CHECK_INT(weft_stream_set_nodelay(p.b, true), 0);
  weft_task t = weft_spawn(echo, p.b, NULL);
  for (int i = 0; i < WARM + MESSAGES; i++) {
    char buf[LONG + 1] = {0};
    if (i == WARM) weft__sys_count();
    CHECK_INT(weft_write(p.a, buf, LONG), 0);
    CHECK_INT(weft_read(p.a, buf, sizeof buf), LONG);
  }
  uint64_t reads = weft__sys_calls(WEFT__SYS_recv), writes = weft__sys_calls(WEFT__SYS_send);
  uint64_t changes = weft__sys_calls(WEFT__SYS_epoll_ctl);
  uint64_t others = weft__sys_calls(WEFT__SYS_read) + weft__sys_calls(WEFT__SYS_write) +
                    weft__sys_calls(WEFT__SYS_poll);
  weft__sys_clear();
  /* The echo may not have begun its next read; and a read that was made just before its event was told
   * leaves word of it, which the next one finds out to be old. On several workers that happens. */
  CHECK_UINT(writes, 2 * MESSAGES);
  CHECK_UINT(changes, 0);
  CHECK_UINT(others, 0);
  CHECK(reads >= 2 * MESSAGES);
  weft_stats stats;
  CHECK_INT(weft_stats_read(&stats), 0);
  if (stats.workers == 1) CHECK_UINT(reads, 2 * MESSAGES);
  CHECK_INT(weft_stream_shutdown_write(p.a), 0);
  CHECK_INT(weft_await(t), 0);
  pair_close(&p);
}

/* The last bytes and the end come as one event. */
TASK_TEST(the_end_is_seen_though_it_came_with_the_last_bytes) {
  for (int i = 0; i < 20; i++) {
    int fds[2];
    fd_pair(fds);
    weft_stream *s = stream_of(fds[0]);
    weft_task t = spawn_parked(echo, s);
    ssize_t n = 0;
    for (size_t at = 0; at<3; at += n> 0 ? (size_t)n : 0)
      n = weft__sys_send(fds[1], &"bye"[at], 3 - at, MSG_NOSIGNAL);
    CHECK_INT(weft__sys_shutdown(fds[1], SHUT_WR), 0);
    CHECK_INT(weft_await(t), 0);
    CHECK(weft_stream_at_eof(s));
    CHECK_INT(weft_stream_close(s), 0);
    weft__sys_close(fds[1]);
  }
}

/* Bytes that nobody reads are told once: nobody turns because of them. */
TASK_TEST(an_unread_byte_costs_nothing) {
  if (counts_simulated()) weft_test_skip("the kernel's poll sets");
  struct pair p = pair_open();
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK_INT(weft_wait_readable(p.b), 0); /* it is in the set of a loop from now on */
  CHECK(expect_bytes(p.b, "x"));
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(1)), 0);
  int r = weft_wait_readable(p.b);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_INT(write_text(p.a, "yz"), 0);
  weft__sys_count();
  CHECK_INT(weft_sleep(weft_ms(200)), 0);
  uint64_t turns = weft__sys_calls(WEFT__SYS_epoll_wait) + weft__sys_calls(WEFT__SYS_epoll_wait_ns);
  uint64_t reads = weft__sys_calls(WEFT__SYS_recv);
  weft__sys_clear();
  CHECK_UINT(reads, 0);
  CHECK(turns < 200); /* a sleep now and then; told again and again it would be a million */
  CHECK(expect_bytes(p.b, "yz"));
  pair_close(&p);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_is_read),
      cmocka_unit_test(an_echo_ends_with_the_stream),
      cmocka_unit_test(a_message_is_one_read_and_one_write),
      cmocka_unit_test(an_unread_byte_costs_nothing),
      cmocka_unit_test(the_end_is_seen_though_it_came_with_the_last_bytes),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
