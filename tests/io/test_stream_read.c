/* Reading: what there is, waiting, who may read, and what a cut leaves. */
#include "parked.h"
#include "stream_pair.h"

/* ---- weft_read ---- */

TASK_TEST(a_read_gives_what_there_is) {
  struct pair p = pair_open();
  char buf[16];
  size_t got = 0;
  CHECK_INT(write_text(p.a, "abc"), 0);
  while (got < 3) {
    ssize_t n = weft_read(p.b, buf + got, sizeof buf - got);
    if (!CHECK(n > 0 && n <= 3)) break;
    got += (size_t)n;
  }
  CHECK_UINT(got, 3);
  CHECK(memcmp(buf, "abc", 3) == 0);
  pair_close(&p);
}

TASK_TEST(one_byte_at_a_time) {
  struct pair p = pair_open();
  CHECK_INT(write_text(p.a, "0123456789"), 0);
  for (int i = 0; i < 10; i++) {
    char c = 0;
    CHECK_INT(weft_read(p.b, &c, 1), 1);
    CHECK_INT(c, '0' + i);
  }
  pair_close(&p);
}

struct reader {
  weft_stream *s;
  struct latch begun;
  char buf[64];
  ssize_t n;
};

static int read_into(void *arg) {
  struct reader *r = arg;
  latch_hit(&r->begun);
  r->n = weft_read(r->s, r->buf, sizeof r->buf);
  return r->n < 0 ? (int)r->n : 0;
}

TASK_TEST(a_read_waits_for_bytes) {
  struct pair p = pair_open();
  struct reader r = {.s = p.b};
  weft_task t = spawn_parked(read_into, &r);
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(r.n, 1);
  CHECK_INT(r.buf[0], 'x');
  pair_close(&p);
}

TASK_TEST(the_end_is_answered_again_and_again) {
  struct pair p = pair_open();
  char c;
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK_INT(weft_stream_close(p.a), 0);
  CHECK(!weft_stream_at_eof(p.b));
  CHECK_INT(weft_read(p.b, &c, 1), 1);
  for (int i = 0; i < 3; i++) CHECK_INT(weft_read(p.b, &c, 1), 0);
  char *line = NULL;
  CHECK_INT(weft_read_line(p.b, &line), 0);
  CHECK_INT(weft_read_exactly(p.b, &c, 1), 0);
  CHECK_INT(weft_try_read(p.b, &c, 1), 0);
  CHECK_INT(weft_wait_readable(p.b), 0);
  CHECK(weft_stream_at_eof(p.b));
  CHECK_INT(weft_stream_close(p.b), 0);
}

TASK_TEST(a_read_of_nothing_answers_at_once) {
  struct pair p = pair_open();
  char c;
  CHECK_INT(weft_read(p.b, &c, 0), 0);
  CHECK_INT(weft_read(p.b, NULL, 0), 0);
  CHECK_INT(weft_read_exactly(p.b, NULL, 0), 0);
  CHECK(!weft_stream_at_eof(p.b));
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK_INT(weft_read_exactly(p.b, &c, 1), 1);
  CHECK_INT(weft_read(p.b, NULL, 0), 0);
  pair_close(&p);
}

TASK_TEST(wrong_arguments_are_refused) {
  struct pair p = pair_open();
  char c, *data;
  CHECK_INT(weft_read(NULL, &c, 1), WEFT_EINVAL);
  CHECK_INT(weft_read(p.b, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_read(p.b, &c, SIZE_MAX), WEFT_EINVAL);
  CHECK_INT(weft_try_read(NULL, &c, 1), WEFT_EINVAL);
  CHECK_INT(weft_read_exactly(NULL, &c, 1), WEFT_EINVAL);
  CHECK_INT(weft_read_exactly(p.b, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_read_exactly(p.b, &c, SIZE_MAX), WEFT_EINVAL);
  CHECK_INT(weft_read_line(p.b, NULL), WEFT_EINVAL);
  CHECK_INT(weft_read_line(NULL, &data), WEFT_EINVAL);
  CHECK_INT(weft_read_until(p.b, NULL, 1, &data), WEFT_EINVAL);
  CHECK_INT(weft_read_until(p.b, "", 0, &data), WEFT_EINVAL);
  CHECK_INT(weft_read_until(p.b, &c, 5000, &data), WEFT_EINVAL);
  CHECK_INT(weft_read_all(p.b, 0, NULL), WEFT_EINVAL);
  CHECK_INT(weft_read_lent(p.b, NULL), WEFT_EINVAL);
  CHECK_INT(weft_peek(p.b, 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_wait_readable(NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_limit(p.b, SIZE_MAX), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_limit(NULL, 1), WEFT_EINVAL);
  CHECK(!weft_stream_at_eof(NULL));
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK(expect_bytes(p.b, "x"));
  pair_close(&p);
}

TASK_TEST(a_try_takes_only_what_is_there) {
  struct pair p = pair_open();
  char buf[8];
  CHECK_INT(weft_try_read(p.b, buf, sizeof buf), WEFT_EAGAIN);
  CHECK_INT(write_text(p.a, "ab"), 0);
  CHECK_INT(weft_wait_readable(p.b), 0);
  ssize_t n = weft_try_read(p.b, buf, 1);
  if (n == WEFT_EAGAIN) { /* a wait ends now and then for nothing */
    CHECK(expect_bytes(p.b, "ab"));
  } else {
    CHECK_INT(n, 1);
    CHECK_INT(buf[0], 'a');
    CHECK(expect_bytes(p.b, "b"));
  }
  CHECK_INT(weft_try_read(p.b, buf, sizeof buf), WEFT_EAGAIN);
  pair_close(&p);
}

/* ---- waiting ---- */

static int wait_for_bytes(void *arg) {
  struct reader *r = arg;
  latch_hit(&r->begun);
  return weft_wait_readable(r->s);
}

TASK_TEST(waiting_takes_nothing) {
  struct pair p = pair_open();
  struct reader r = {.s = p.b};
  weft_task t = spawn_parked(wait_for_bytes, &r);
  CHECK_INT(write_text(p.a, "abc"), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_wait_readable(p.b), 0);
  CHECK(expect_bytes(p.b, "abc"));
  pair_close(&p);
}

/* A stream with lines read ahead is readable, one whose bytes are all read is not. */
TASK_TEST(waiting_knows_what_was_read_ahead) {
  struct pair p = pair_open();
  CHECK_INT(write_text(p.a, "one\ntwo\n"), 0);
  CHECK(expect_line(p.b, "one\n"));
  CHECK_INT(weft_wait_readable(p.b), 0);
  CHECK(expect_line(p.b, "two\n"));
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(1)), 0);
  int r = weft_timeout_end(&s, weft_wait_readable(p.b));
  CHECK(r == WEFT_ETIMEDOUT || (weft_simulated() && r == 0)); /* seldom, for nothing */
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK(expect_bytes(p.b, "x"));
  pair_close(&p);
}

/* ---- two readers ---- */

TASK_TEST(IO4_a_second_reader_is_refused) {
  struct pair p = pair_open();
  struct reader r = {.s = p.b};
  char c, *data;
  weft_task t = spawn_parked(read_into, &r);
  CHECK_INT(weft_read(p.b, &c, 1), WEFT_EBUSY);
  CHECK_INT(weft_try_read(p.b, &c, 1), WEFT_EBUSY);
  CHECK_INT(weft_read_exactly(p.b, &c, 1), WEFT_EBUSY);
  CHECK_INT(weft_read_line(p.b, &data), WEFT_EBUSY);
  CHECK_INT(weft_read_until(p.b, "x", 1, &data), WEFT_EBUSY);
  CHECK_INT(weft_read_all(p.b, 0, &data), WEFT_EBUSY);
  CHECK_INT(weft_read_lent(p.b, &data), WEFT_EBUSY);
  CHECK_INT(weft_peek(p.b, 1, &data), WEFT_EBUSY);
  CHECK_INT(weft_wait_readable(p.b), WEFT_EBUSY);
  CHECK_INT(weft_stream_set_limit(p.b, 10), WEFT_EBUSY);
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(r.n, 1);
  CHECK_INT(write_text(p.a, "y"), 0);
  CHECK_INT(weft_read(p.b, &c, 1), 1);
  CHECK_INT(c, 'y');
  pair_close(&p);
}

/* ---- cuts ---- */

TASK_TEST(IO8_a_cancelled_read_loses_nothing) {
  struct pair p = pair_open();
  for (int i = 0; i < count(100); i++) {
    struct reader r = {.s = p.b};
    weft_task t = weft_spawn(read_into, &r, NULL);
    for (int k = i % 3; k > 0; k--) weft_yield();
    CHECK_INT(write_text(p.a, "abc"), 0);
    for (int k = i % 4; k > 0; k--) weft_yield();
    weft_cancel(t);
    int code = 0;
    CHECK_INT(weft_task_wait(t, &code), 0);
    CHECK_INT(weft_await(t), code);
    /* Cancelled or not, what it says it has read is what is missing. */
    size_t had = r.n > 0 ? (size_t)r.n : 0;
    CHECK(memcmp(r.buf, "abc", had) == 0);
    if (had < 3) CHECK(expect_bytes(p.b, &"abc"[had]));
  }
  pair_close(&p);
}

static int read_ten(void *arg) {
  struct reader *r = arg;
  latch_hit(&r->begun);
  r->n = weft_read_exactly(r->s, r->buf, 10);
  return r->n < 0 ? (int)r->n : 0;
}

static int read_a_line(void *arg) {
  struct reader *r = arg;
  char *line;
  latch_hit(&r->begun);
  r->n = weft_read_line(r->s, &line);
  return r->n < 0 ? (int)r->n : 0;
}

static int peek_ten(void *arg) {
  struct reader *r = arg;
  char *data;
  latch_hit(&r->begun);
  r->n = weft_peek(r->s, 10, &data);
  return r->n < 0 ? (int)r->n : 0;
}

static int read_until_two(void *arg) {
  struct reader *r = arg;
  char *data;
  latch_hit(&r->begun);
  r->n = weft_read_until(r->s, "--", 2, &data);
  return r->n < 0 ? (int)r->n : 0;
}

static int read_to_the_end(void *arg) {
  struct reader *r = arg;
  char *data;
  latch_hit(&r->begun);
  r->n = weft_read_all(r->s, 0, &data);
  return r->n < 0 ? (int)r->n : 0;
}

TASK_TEST(IO8_a_cancel_in_the_middle_leaves_what_has_come) {
  static const weft_fn calls[] = {read_ten, read_a_line, peek_ten, read_until_two, read_to_the_end};
  struct pair p = pair_open();
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    struct reader r = {.s = p.b};
    weft_task t = spawn_parked(calls[i], &r);
    CHECK_INT(write_text(p.a, "abc-"), 0);
    weft_stream_counts c = {0};
    int rounds = 0;
    while (c.read_buffered < 4 && latch_turn(&rounds) == 0) weft_stream_count(p.b, &c);
    CHECK_INT(weft_cancel(t), 1);
    CHECK_INT(weft_await(t), WEFT_ECANCELED);
    CHECK_INT(r.n, WEFT_ECANCELED);
    CHECK(expect_bytes(p.b, "abc-"));
  }
  pair_close(&p);
}

TASK_TEST(a_deadline_leaves_what_has_come) {
  struct pair p = pair_open();
  CHECK_INT(write_text(p.a, "half a li"), 0);
  char *line = NULL;
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  ssize_t n = weft_read_line(p.b, &line);
  CHECK_INT(weft_timeout_end(&s, (int)n), WEFT_ETIMEDOUT);
  CHECK_INT(write_text(p.a, "ne\n"), 0);
  CHECK(expect_line(p.b, "half a line\n"));
  pair_close(&p);
}

static int read_cancelled(void *arg) {
  struct reader *r = arg;
  char *line;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_read(r->s, r->buf, 1), WEFT_ECANCELED);
  CHECK_INT(weft_read_line(r->s, &line), WEFT_ECANCELED);
  CHECK_INT(weft_wait_readable(r->s), WEFT_ECANCELED);
  CHECK_INT(weft_cancel_catch(), 1);
  CHECK(expect_bytes(r->s, "abc"));
  return 0;
}

TASK_TEST(IO8_a_cancelled_task_takes_nothing_though_it_is_there) {
  struct pair p = pair_open();
  struct reader r = {.s = p.b};
  CHECK_INT(write_text(p.a, "abc"), 0);
  CHECK_INT(weft_await(weft_spawn(read_cancelled, &r, NULL)), 0);
  pair_close(&p);
}

/* ---- errors ---- */

/* A reset by the peer, which the kernel tells once: after what has come, and then always. */
TASK_TEST(IO8_a_reset_reaches_the_reader_and_stays) {
  if (counts_simulated()) weft_test_skip("a connection of the kernel");
  int fds[2];
  tcp_pair(fds);
  weft_stream *s = stream_of(fds[0]);
  struct reader r = {.s = s};
  weft_task t = spawn_parked(read_into, &r);
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  CHECK_INT(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  CHECK_INT(weft__sys_close(fds[1]), 0);
  CHECK_INT(weft_await(t), WEFT_ECONNRESET);
  char c, *line;
  for (int i = 0; i < 3; i++) CHECK_INT(weft_read(s, &c, 1), WEFT_ECONNRESET);
  CHECK_INT(weft_read_line(s, &line), WEFT_ECONNRESET);
  CHECK_INT(weft_read_exactly(s, &c, 1), WEFT_ECONNRESET);
  CHECK(!weft_stream_at_eof(s));
  CHECK_INT(weft_stream_close(s), 0);
}

TASK_TEST(IO8_what_came_before_an_error_can_be_read) {
  struct pair p = pair_open();
  CHECK_INT(write_text(p.a, "whole\nhalf"), 0);
  char *line = NULL;
  CHECK_INT(weft_peek(p.b, 10, &line), 10);
  weft__sys_fail(WEFT__SYS_recv, 1, WEFT_ECONNRESET, true);
  CHECK(expect_line(p.b, "whole\n"));
  CHECK_INT(write_text(p.a, "!"), 0); /* an event, so that it looks */
  ssize_t n = weft_read_line(p.b, &line);
  weft__sys_clear();
  CHECK_INT(n, WEFT_ECONNRESET);
  CHECK(expect_bytes(p.b, "half"));
  CHECK_INT(weft_read_line(p.b, &line), WEFT_ECONNRESET);
  pair_close(&p);
}

TASK_TEST(a_passing_error_is_told_and_forgotten) {
  struct pair p = pair_open();
  char c;
  CHECK_INT(write_text(p.a, "x"), 0);
  weft__sys_fail(WEFT__SYS_recv, 1, WEFT_ENOMEM, false);
  CHECK_INT(weft_read(p.b, &c, 1), WEFT_ENOMEM);
  weft__sys_clear();
  CHECK_INT(weft_read(p.b, &c, 1), 1);
  CHECK_INT(c, 'x');
  pair_close(&p);
}

TASK_TEST(interrupts_and_short_reads_are_not_seen) {
  struct pair p = pair_open();
  weft__sys_fail_times(WEFT__SYS_recv, 1, WEFT_EINTR, 3);
  CHECK_INT(write_text(p.a, "abcdefgh"), 0);
  CHECK(expect_bytes(p.b, "abcd"));
  weft__sys_fail_times(WEFT__SYS_recv, 1, WEFT__SYS_SHORT, 100);
  CHECK(expect_bytes(p.b, "efgh"));
  char buf[100], in[100];
  fill_bytes(buf, 0, sizeof buf);
  CHECK_INT(weft_write(p.a, buf, sizeof buf), 0);
  CHECK_INT(weft_read_exactly(p.b, in, sizeof in), sizeof in);
  CHECK(check_bytes(in, 0, sizeof in));
  CHECK_INT(weft_write(p.a, "one line\n", 9), 0);
  CHECK(expect_line(p.b, "one line\n"));
  weft__sys_clear();
  pair_close(&p);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_read_gives_what_there_is),
      cmocka_unit_test(one_byte_at_a_time),
      cmocka_unit_test(a_read_waits_for_bytes),
      cmocka_unit_test(the_end_is_answered_again_and_again),
      cmocka_unit_test(a_read_of_nothing_answers_at_once),
      cmocka_unit_test(wrong_arguments_are_refused),
      cmocka_unit_test(a_try_takes_only_what_is_there),
      cmocka_unit_test(waiting_takes_nothing),
      cmocka_unit_test(waiting_knows_what_was_read_ahead),
      cmocka_unit_test(IO4_a_second_reader_is_refused),
      cmocka_unit_test(IO8_a_cancelled_read_loses_nothing),
      cmocka_unit_test(IO8_a_cancel_in_the_middle_leaves_what_has_come),
      cmocka_unit_test(a_deadline_leaves_what_has_come),
      cmocka_unit_test(IO8_a_cancelled_task_takes_nothing_though_it_is_there),
      cmocka_unit_test(IO8_a_reset_reaches_the_reader_and_stays),
      cmocka_unit_test(IO8_what_came_before_an_error_can_be_read),
      cmocka_unit_test(a_passing_error_is_told_and_forgotten),
      cmocka_unit_test(interrupts_and_short_reads_are_not_seen),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
