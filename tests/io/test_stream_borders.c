/* Borders at which a call to the system stops although more is there: nothing behind them is left lying. */
#include <unistd.h>

#include "io/stream_state.h"
#include "parked.h"
#include "stream_pair.h"

static bool skipped(void) {
  if (!counts_simulated()) return false;
  weft_test_skip("descriptors of the kernel");
  return true;
}

/* Its reader has had a line, and waits for the next. Of two workers: what the reader does is seen once it waits
 * under the descriptor's lock. */
static bool waits_without_a_buffer(weft_stream *s) {
  weft__spin_lock(&s->d->lock);
  bool does = s->d->waiter[WEFT__IN] && weft__load_relaxed_u64(&s->bytes_read) == 4 && !s->in.data;
  weft__spin_unlock(&s->d->lock);
  return does;
}

/* The stream is in a poll set, and its event has been seen. */
static void get_it_watched(weft_stream *s) {
  weft_timeout t;
  CHECK_INT(weft_timeout_begin(&t, weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&t, weft_wait_readable(s)), WEFT_ETIMEDOUT);
}

/* Reads with room for more than there is; what is left lying would never come. */
static void expect_all(weft_stream *s, const char *want) {
  char buf[64], got[64] = {0};
  size_t len = 0;
  weft_timeout t;
  CHECK_INT(weft_timeout_begin(&t, weft_sec(10)), 0);
  ssize_t n = 1;
  while (n > 0 && len < strlen(want)) {
    n = weft_read(s, buf, sizeof buf);
    if (n > 0) memcpy(got + len, buf, (size_t)n);
    if (n > 0) len += (size_t)n;
  }
  CHECK_INT(weft_timeout_end(&t, n < 0 ? (int)n : 0), 0);
  CHECK_STR(got, want);
}

static void urgent(int fd) {
  CHECK_INT(send(fd, "abc", 3, MSG_NOSIGNAL), 3);
  CHECK_INT(send(fd, "!", 1, MSG_NOSIGNAL | MSG_OOB), 1);
  CHECK_INT(send(fd, "def", 3, MSG_NOSIGNAL), 3);
}

TASK_TEST(what_is_behind_urgent_data_is_read) {
  if (skipped()) return;
  for (int i = 0; i < 3; i++) {
    int fds[2];
    tcp_pair(fds);
    weft_stream *s = stream_of(fds[0]);
    if (i > 0) get_it_watched(s);
    urgent(fds[1]);
    expect_all(s, "abcdef");
    urgent(fds[1]);
    expect_all(s, "abcdef");
    CHECK_INT(weft_stream_close(s), 0);
    CHECK_INT(close(fds[1]), 0);
  }
}

static void send_with_descriptor(int fd, const char *text) {
  struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  struct msghdr m = {.msg_iov = &part,
                     .msg_iovlen = 1,
                     .msg_control = &control,
                     .msg_controllen = sizeof control.bytes};
  CHECK_INT(sendmsg(fd, &m, MSG_NOSIGNAL), (ssize_t)strlen(text));
}

TASK_TEST(what_is_behind_a_message_with_descriptors_is_read) {
  if (skipped()) return;
  int fds[2];
  fd_pair(fds);
  weft_stream *s = stream_of(fds[0]);
  get_it_watched(s);
  send_with_descriptor(fds[1], "abc");
  CHECK_INT(send(fds[1], "def", 3, MSG_NOSIGNAL), 3);
  expect_all(s, "abcdef");
  send_with_descriptor(fds[1], "one\n");
  send_with_descriptor(fds[1], "two\n");
  CHECK(expect_line(s, "one\n"));
  CHECK(expect_line(s, "two\n"));
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(close(fds[1]), 0);
}

/* Set by the writer alone, which the reader cannot see. */
TASK_TEST(what_is_behind_a_packet_of_a_pipe_is_read) {
  if (skipped()) return;
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  weft_stream *s = stream_of(fds[0]);
  get_it_watched(s);
  CHECK_INT(fcntl(fds[1], F_SETFL, O_DIRECT), 0);
  CHECK_INT(write(fds[1], "abc", 3), 3);
  CHECK_INT(write(fds[1], "def", 3), 3);
  expect_all(s, "abcdef");
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(close(fds[1]), 0);
}

static int read_two_lines(void *arg) {
  weft_stream *s = arg;
  CHECK(expect_line(s, "one\n"));
  CHECK(expect_line(s, "two\n"));
  return 0;
}

/* A stream that waits with nothing unread has no buffer, also where it had to look before it waits. */
TASK_TEST(who_waits_behind_a_border_keeps_no_buffer) {
  if (skipped()) return;
  struct pair p = pair_open();
  weft_task t = weft_spawn(read_two_lines, p.b, NULL);
  CHECK_INT(write_text(p.a, "one\n"), 0);
  int rounds = 0;
  while (!waits_without_a_buffer(p.b) && latch_turn(&rounds) == 0) {}
  CHECK(waits_without_a_buffer(p.b));
  CHECK_INT(write_text(p.a, "two\n"), 0);
  CHECK_INT(weft_await(t), 0);
  pair_close(&p);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_behind_urgent_data_is_read),
      cmocka_unit_test(what_is_behind_a_message_with_descriptors_is_read),
      cmocka_unit_test(what_is_behind_a_packet_of_a_pipe_is_read),
      cmocka_unit_test(who_waits_behind_a_border_keeps_no_buffer),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
