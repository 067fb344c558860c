/* Pipes and pairs of streams. */
#include <string.h>
#include <weft.h>

#include "base/memory.h"
#include "places.h"
#include "stream_pair.h"
#include "task_test.h"

struct sending {
  weft_stream *s;
  size_t len;
};

/* Sends that many bytes and closes. */
static int send_and_close(void *arg) {
  const struct sending *w = arg;
  char bytes[1024];
  int r = 0;
  for (size_t at = 0; at < w->len && r == 0;) {
    size_t n = w->len - at < sizeof bytes ? w->len - at : sizeof bytes;
    fill_bytes(bytes, at, n);
    r = weft_write(w->s, bytes, n);
    at += n;
  }
  int closed = weft_stream_close(w->s);
  return r < 0 ? r : closed;
}

/* Reads up to the end: as many bytes, in order. */
static void expect_all(weft_stream *s, size_t len) {
  char buf[1000];
  size_t at = 0;
  ssize_t n;
  while ((n = weft_read(s, buf, sizeof buf)) > 0 && check_bytes(buf, at, (size_t)n))
    at += (size_t)n;
  CHECK_INT(n, 0);
  CHECK_UINT(at, len);
}

static size_t much(void) {
  return weft_simulated() ? 3000 : 300000; /* more than it holds */
}

TASK_TEST(a_pipe_carries_bytes_from_one_end_to_the_other) {
  struct sending w = {.len = much()};
  weft_stream *in = NULL;
  places_begin();
  if (!CHECK_INT(weft_pipe(&in, &w.s), 0)) return;
  weft_task t = weft_spawn(send_and_close, &w, NULL);
  expect_all(in, w.len);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_stream_close(in), 0);
}

TASK_TEST(a_pair_carries_bytes_both_ways) {
  struct sending w[2] = {{.len = much()}, {.len = much() / 2}};
  places_begin();
  if (!CHECK_INT(weft_stream_pair(&w[0].s, &w[1].s), 0)) return;
  weft_stream *b = w[1].s;
  w[1].s = w[0].s;
  weft_task t = weft_spawn(send_and_close, &w[0], NULL);
  expect_all(b, w[0].len);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_stream_close(b), 0);
}

TASK_TEST(half_of_a_pair_can_be_shut) {
  weft_stream *a = NULL, *b = NULL;
  char c = 0;
  places_begin();
  if (!CHECK_INT(weft_stream_pair(&a, &b), 0)) return;
  CHECK_INT(weft_stream_shutdown_write(a), 0);
  CHECK_INT(weft_read(b, &c, 1), 0);
  CHECK_INT(weft_write(b, "x", 1), 0);
  CHECK_INT(weft_read(a, &c, 1), 1);
  CHECK_INT(c, 'x');
  CHECK_INT(weft_stream_close(a), 0);
  CHECK_INT(weft_stream_close(b), 0);
}

TASK_TEST(a_pipe_that_nobody_reads_is_broken) {
  weft_stream *in = NULL, *out = NULL;
  places_begin();
  if (!CHECK_INT(weft_pipe(&in, &out), 0)) return;
  CHECK_INT(weft_stream_close(in), 0);
  CHECK_INT(weft_write(out, "x", 1), WEFT_EPIPE);
  CHECK_INT(weft_stream_close(out), 0);
}

/* At once, and each time: nobody waits for what cannot come. */
TASK_TEST(an_end_of_a_pipe_has_one_direction) {
  weft_stream *in = NULL, *out = NULL;
  char c = 0, *line = NULL;
  size_t sent = 1;
  places_begin();
  if (!CHECK_INT(weft_pipe(&in, &out), 0)) return;
  for (int i = 0; i < 2; i++) {
    CHECK_INT(weft_read(out, &c, 1), WEFT_EBADF);
    CHECK_INT(weft_try_read(out, &c, 1), WEFT_EBADF);
    CHECK_INT(weft_read_line(out, &line), WEFT_EBADF);
    CHECK_INT(weft_read_exactly(out, &c, 1), WEFT_EBADF);
    CHECK_INT(weft_wait_readable(out), 0); /* the read tells it */
    CHECK_INT(weft_write(in, "x", 1), WEFT_EBADF);
    CHECK_INT(weft_write_counted(in, "x", 1, &sent), WEFT_EBADF);
    CHECK_UINT(sent, 0);
    CHECK_INT(weft_write_some(in, "x", 1), WEFT_EBADF);
    CHECK_INT(weft_try_write(in, "x", 1), WEFT_EBADF);
    CHECK_INT(weft_write_buffered(in, "x", 1), WEFT_EBADF);
    CHECK_INT(weft_drain(in), WEFT_EBADF);
    CHECK_INT(weft_wait_writable(in), 0);
  }
  CHECK(!weft_stream_at_eof(out));
  CHECK_INT(weft_write(out, "x", 1), 0);
  CHECK_INT(weft_read(in, &c, 1), 1);
  CHECK_INT(c, 'x');
  CHECK_INT(weft_stream_close(in), 0);
  CHECK_INT(weft_stream_close(out), 0);
}

TASK_TEST(a_pipe_is_no_socket) {
  weft_stream *in = NULL, *out = NULL;
  weft_addr at;
  places_begin();
  if (!CHECK_INT(weft_pipe(&in, &out), 0)) return;
  CHECK_INT(weft_stream_shutdown_write(out), WEFT_ENOTSOCK);
  CHECK_INT(weft_stream_peer(out, &at), WEFT_ENOTSOCK);
  CHECK_INT(weft_stream_close(in), 0);
  CHECK_INT(weft_stream_close(out), 0);
}

TASK_TEST(nothing_is_left_when_a_pair_cannot_be_made) {
  weft_stream *a = NULL, *b = NULL;
  places_begin();
  int before = open_sockets();
  CHECK_INT(weft_pipe(&a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_pipe(NULL, &b), WEFT_EINVAL);
  CHECK_INT(weft_stream_pair(&a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_pair(NULL, &b), WEFT_EINVAL);
  weft__sys_fail(WEFT__SYS_pipe2, 1, WEFT_EMFILE, false);
  CHECK_INT(weft_pipe(&a, &b), WEFT_EMFILE);
  weft__sys_fail(WEFT__SYS_socketpair, 1, WEFT_ENFILE, false);
  CHECK_INT(weft_stream_pair(&a, &b), WEFT_ENFILE);
  weft__sys_clear();
  for (uint64_t n = 1; n <= 2; n++) {
    weft__memory_fail(WEFT__MEMORY_OWN, n, false);
    CHECK_INT(weft_pipe(&a, &b), WEFT_ENOMEM);
    weft__memory_fail(WEFT__MEMORY_OWN, n, false);
    CHECK_INT(weft_stream_pair(&a, &b), WEFT_ENOMEM);
    weft__memory_fail_end();
  }
  CHECK_PTR(a, NULL);
  CHECK_PTR(b, NULL);
  CHECK_INT(open_sockets(), before);
}

static void streams_may_be_made_outside_a_task(void **state) {
  (void)state;
  weft_stream *a = NULL, *b = NULL;
  CHECK_INT(weft_pipe(&a, &b), 0);
  CHECK_INT(weft_stream_close(a), 0);
  CHECK_INT(weft_stream_close(b), 0);
  CHECK_INT(weft_stream_pair(&a, &b), 0);
  CHECK_INT(weft_stream_close(a), 0);
  CHECK_INT(weft_stream_close(b), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_pipe_carries_bytes_from_one_end_to_the_other),
    cmocka_unit_test(a_pair_carries_bytes_both_ways),
    cmocka_unit_test(half_of_a_pair_can_be_shut),
    cmocka_unit_test(a_pipe_that_nobody_reads_is_broken),
    cmocka_unit_test(an_end_of_a_pipe_has_one_direction),
    cmocka_unit_test(a_pipe_is_no_socket),
    cmocka_unit_test(nothing_is_left_when_a_pair_cannot_be_made),
    cmocka_unit_test(streams_may_be_made_outside_a_task),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
