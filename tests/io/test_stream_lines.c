/* Lines, separators, counts: limits, ends, and what is lent. */
#include <limits.h>
#include <stdlib.h>

#include "parked.h"
#include "stream_pair.h"

/* A stream whose peer has sent this text and then closed. */
static weft_stream *stream_with(const char *text) {
  struct pair p = pair_open();
  CHECK_INT(write_text(p.a, text), 0);
  CHECK_INT(weft_stream_close(p.a), 0);
  return p.b;
}

/* ---- lines ---- */

TASK_TEST(lines_are_given_one_by_one) {
  weft_stream *s = stream_with("one\n\nthree\r\nthe rest");
  CHECK(expect_line(s, "one\n"));
  CHECK(expect_line(s, "\n"));
  CHECK(expect_line(s, "three\r\n"));
  CHECK(expect_line(s, "the rest"));
  char *line = NULL;
  CHECK_INT(weft_read_line(s, &line), 0);
  CHECK_PTR(line, NULL);
  CHECK_INT(weft_stream_close(s), 0);
}

TASK_TEST(lines_may_be_iterated) {
  static const char *const want[] = {"one\n", "two\n", "three"};
  weft_stream *s = stream_with("one\ntwo\nthree");
  weft_iter it = weft_stream_iter(s);
  weft_line line;
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_iter_next(it, &line), 1);
    CHECK_STR(line.text, want[i]);
    CHECK_UINT(line.len, strlen(want[i]));
  }
  CHECK_INT(weft_iter_next(it, &line), 0);
  CHECK_INT(weft_iter_close(it), 0);
  CHECK_INT(weft_stream_close(s), 0);
}

struct slow_writer {
  weft_stream *s;
  const char *text;
};

/* A byte at a time, each in a message of its own. */
static int write_slowly(void *arg) {
  struct slow_writer *w = arg;
  int r = 0;
  for (const char *c = w->text; *c && r == 0; c++) {
    r = weft_write(w->s, c, 1);
    if (r == 0) r = weft_yield();
  }
  return r < 0 ? r : weft_stream_shutdown_write(w->s);
}

TASK_TEST(a_line_may_come_byte_by_byte) {
  struct pair p = pair_open();
  struct slow_writer w = {p.a, "first line\nsecond\n\nlast"};
  weft_task t = weft_spawn(write_slowly, &w, NULL);
  CHECK(expect_line(p.b, "first line\n"));
  CHECK(expect_line(p.b, "second\n"));
  CHECK(expect_line(p.b, "\n"));
  CHECK(expect_line(p.b, "last"));
  CHECK_INT(weft_await(t), 0);
  pair_close(&p);
}

TASK_TEST(what_is_lent_may_be_changed) {
  weft_stream *s = stream_with("one\ntwo\n");
  char *line = NULL;
  CHECK_INT(weft_read_line(s, &line), 4);
  memset(line, '#', 4);
  CHECK(expect_line(s, "two\n"));
  CHECK_INT(weft_stream_close(s), 0);
}

TASK_TEST(lines_and_bytes_may_be_mixed) {
  struct pair p = pair_open();
  char *data = NULL, buf[8];
  CHECK_INT(write_text(p.a, "head\n12345678tail\nrest"), 0);
  CHECK_INT(weft_stream_shutdown_write(p.a), 0);
  CHECK(expect_line(p.b, "head\n"));
  CHECK_INT(weft_peek(p.b, 3, &data) >= 3, 1);
  CHECK(memcmp(data, "123", 3) == 0);
  CHECK(expect_bytes(p.b, "1234"));
  CHECK_INT(weft_read(p.b, buf, 1), 1);
  CHECK_INT(buf[0], '5');
  CHECK(expect_bytes(p.b, "678"));
  CHECK(expect_line(p.b, "tail\n"));
  CHECK_INT(weft_read_all(p.b, 0, &data), 4);
  CHECK_STR(data, "rest");
  pair_close(&p);
}

TASK_TEST(a_line_with_zeros_in_it) {
  struct pair p = pair_open();
  char *line = NULL;
  CHECK_INT(weft_write(p.a, "a\0b\n\0\n", 6), 0);
  CHECK_INT(weft_read_line(p.b, &line), 4);
  CHECK(memcmp(line, "a\0b\n", 5) == 0);
  CHECK_INT(weft_read_line(p.b, &line), 2);
  pair_close(&p);
}

/* ---- limits ---- */

static void write_filler(weft_stream *s, size_t n, const char *end) {
  char *text = malloc(n + strlen(end));
  memset(text, 'x', n);
  memcpy(text + n, end, strlen(end));
  CHECK_INT(weft_write(s, text, n + strlen(end)), 0);
  free(text);
}

TASK_TEST(IO2_a_line_as_long_as_the_limit_is_a_line) {
  struct pair p = pair_open();
  char *line = NULL;
  CHECK_INT(weft_stream_set_limit(p.b, 100), 0);
  write_filler(p.a, 100, "\nnext\n");
  CHECK_INT(weft_read_line(p.b, &line), 101);
  CHECK_INT(line[99], 'x');
  CHECK_INT(line[100], '\n');
  CHECK(expect_line(p.b, "next\n"));
  pair_close(&p);
}

TASK_TEST(IO2_a_longer_line_is_dropped) {
  struct pair p = pair_open();
  char *line = NULL;
  CHECK_INT(weft_stream_set_limit(p.b, 100), 0);
  write_filler(p.a, 101, "\nnext\n");
  CHECK_INT(weft_read_line(p.b, &line), WEFT_EMSGSIZE);
  CHECK_PTR(line, NULL);
  /* One byte too many: its end may have come with it, or is what comes next. */
  ssize_t n = weft_read_line(p.b, &line);
  if (n == 1) n = weft_read_line(p.b, &line);
  CHECK_INT(n, 5);
  CHECK_STR(line, "next\n");
  pair_close(&p);
}

TASK_TEST(IO2_of_a_line_without_an_end_only_a_part_is_held) {
  struct pair p = pair_open();
  char *line = NULL;
  CHECK_INT(weft_stream_set_limit(p.b, 100), 0);
  write_filler(p.a, 1000, "\nnext\n");
  int refused = 0;
  ssize_t n;
  while ((n = weft_read_line(p.b, &line)) == WEFT_EMSGSIZE) refused++;
  CHECK_INT(refused, 9); /* 101 bytes at a time */
  CHECK_INT(n, 1000 - 9 * 101 + 1);
  CHECK(expect_line(p.b, "next\n"));
  pair_close(&p);
}

TASK_TEST(IO2_a_separator_too_far_away_leaves_all_in_place) {
  struct pair p = pair_open();
  char *data = NULL;
  CHECK_INT(weft_stream_set_limit(p.b, 100), 0);
  write_filler(p.a, 150, "--after");
  CHECK_INT(weft_stream_shutdown_write(p.a), 0);
  CHECK_INT(weft_read_until(p.b, "--", 2, &data), WEFT_EMSGSIZE);
  size_t over = weft_stream_overrun(p.b);
  CHECK_UINT(over, 101); /* the last byte may be the beginning of one */
  char buf[256];
  CHECK_INT(weft_read_exactly(p.b, buf, over), (ssize_t)over);
  for (size_t i = 0; i < over; i++) CHECK_INT(buf[i], 'x');
  CHECK_INT(weft_read_until(p.b, "--", 2, &data), 150 - (ssize_t)over + 2);
  CHECK(expect_bytes(p.b, "after"));
  pair_close(&p);
}

/* It was read ahead, under a higher limit. */
TASK_TEST(IO2_a_separator_that_is_there_but_too_far_away) {
  struct pair p = pair_open();
  char *data = NULL;
  write_filler(p.a, 150, "--");
  CHECK_INT(weft_peek(p.b, 152, &data), 152);
  CHECK_INT(weft_stream_set_limit(p.b, 100), 0);
  CHECK_INT(weft_read_until(p.b, "--", 2, &data), WEFT_EMSGSIZE);
  CHECK_UINT(weft_stream_overrun(p.b), 150);
  char buf[150];
  CHECK_INT(weft_read_exactly(p.b, buf, 150), 150);
  CHECK_INT(weft_read_until(p.b, "--", 2, &data), 2);
  pair_close(&p);
}

TASK_TEST(IO2_a_line_that_is_there_but_too_long_is_dropped_whole) {
  struct pair p = pair_open();
  char *line = NULL;
  write_filler(p.a, 150, "\nnext\n");
  CHECK_INT(weft_peek(p.b, 156, &line), 156);
  CHECK_INT(weft_stream_set_limit(p.b, 100), 0);
  CHECK_INT(weft_read_line(p.b, &line), WEFT_EMSGSIZE);
  CHECK(expect_line(p.b, "next\n"));
  pair_close(&p);
}

static int write_much(void *arg) {
  weft_stream *s = arg;
  char buf[4096];
  memset(buf, 'x', sizeof buf);
  int r = 0;
  while (r == 0) r = weft_write(s, buf, sizeof buf);
  return r;
}

/* asyncio stops reading at twice the limit. Here nothing is read that is not asked for, and what looks for a
 * line never holds more than the line may have. */
TASK_TEST(IO1_a_stream_takes_no_more_than_the_limit) {
  struct pair p = pair_open();
  char *line = NULL;
  weft_stream_counts c;
  weft_task t = weft_spawn(write_much, p.a, NULL);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(weft_read_line(p.b, &line), WEFT_EMSGSIZE);
    CHECK_INT(weft_stream_count(p.b, &c), 0);
    CHECK(c.read_buffered <= WEFT_STREAM_LIMIT + 1);
    CHECK_UINT(c.bytes_read, (uint64_t)(i + 1) * (WEFT_STREAM_LIMIT + 1));
  }
  /* And while nobody reads, nothing: the writer stands still. */
  CHECK_INT(wait_until_parked(t), 0);
  weft_stream_counts before, after;
  CHECK_INT(weft_stream_count(p.a, &before), 0);
  for (int i = 0; i < 50; i++) CHECK_INT(weft_yield(), 0);
  CHECK_INT(weft_stream_count(p.a, &after), 0);
  if (!counts_simulated()) CHECK_UINT(after.bytes_written, before.bytes_written);
  CHECK_INT(weft_stream_count(p.b, &after), 0);
  CHECK_UINT(after.bytes_read, c.bytes_read);
  CHECK_INT(weft_stream_close(p.b), 0);
  int code = 0;
  CHECK_INT(weft_task_wait(t, &code), 0);
  CHECK(code == WEFT_EPIPE || code == WEFT_ECONNRESET);
  CHECK_INT(weft_await(t), code);
  CHECK_INT(weft_stream_close(p.a), 0);
}

/* ---- the end in the middle ---- */

TASK_TEST(IO3_an_end_before_the_count_leaves_the_rest) {
  weft_stream *s = stream_with("abc");
  char buf[10] = "";
  CHECK_INT(weft_read_exactly(s, buf, 10), WEFT_EOF);
  weft_stream_counts c;
  CHECK_INT(weft_stream_count(s, &c), 0);
  CHECK_UINT(c.read_buffered, 3);
  CHECK(!weft_stream_at_eof(s));
  CHECK_INT(weft_read_exactly(s, buf, 10), WEFT_EOF);
  CHECK(expect_bytes(s, "abc"));
  CHECK_INT(weft_read_exactly(s, buf, 10), 0);
  CHECK_INT(weft_stream_close(s), 0);
}

TASK_TEST(IO3_an_end_before_the_separator_leaves_the_rest) {
  weft_stream *s = stream_with("abc-");
  char *data = NULL;
  CHECK_INT(weft_read_until(s, "--", 2, &data), WEFT_EOF);
  CHECK_UINT(weft_stream_overrun(s), 4);
  CHECK_PTR(data, NULL);
  CHECK(expect_line(s, "abc-"));
  CHECK_INT(weft_read_until(s, "--", 2, &data), 0);
  CHECK_INT(weft_stream_close(s), 0);
}

TASK_TEST(IO3_a_last_line_needs_no_end) {
  weft_stream *s = stream_with("one\ntwo");
  CHECK(expect_line(s, "one\n"));
  CHECK(expect_line(s, "two"));
  char *line;
  CHECK_INT(weft_read_line(s, &line), 0);
  CHECK(weft_stream_at_eof(s));
  CHECK_INT(weft_stream_close(s), 0);
}

/* ---- separators ---- */

TASK_TEST(a_separator_may_be_divided) {
  struct pair p = pair_open();
  struct slow_writer w = {p.a, "GET /\r\nHost: a\r\n\r\nbody\r\r\n\r\r\n\r\n."};
  weft_task t = weft_spawn(write_slowly, &w, NULL);
  char *data = NULL;
  CHECK_INT(weft_read_until(p.b, "\r\n\r\n", 4, &data), 18);
  CHECK_STR(data, "GET /\r\nHost: a\r\n\r\n");
  CHECK_INT(weft_read_until(p.b, "\r\n\r\n", 4, &data), 12);
  CHECK_STR(data, "body\r\r\n\r\r\n\r\n");
  CHECK_INT(weft_read_all(p.b, 0, &data), 1);
  CHECK_INT(weft_await(t), 0);
  pair_close(&p);
}

/* ---- all, and large counts ---- */

struct long_writer {
  weft_stream *s;
  size_t len;
};

static int write_long(void *arg) {
  struct long_writer *w = arg;
  char buf[5000];
  int r = 0;
  for (size_t at = 0; at < w->len && r == 0;) {
    size_t n = w->len - at < sizeof buf ? w->len - at : sizeof buf;
    fill_bytes(buf, at, n);
    r = weft_write(w->s, buf, n);
    at += n;
  }
  return r < 0 ? r : weft_stream_shutdown_write(w->s);
}

TASK_TEST(all_up_to_the_end) {
  struct pair p = pair_open();
  struct long_writer w = {p.a, 200000};
  weft_task t = weft_spawn(write_long, &w, NULL);
  char *data = NULL;
  CHECK_INT(weft_read_all(p.b, 0, &data), WEFT_EMSGSIZE);
  CHECK_INT(weft_read_all(p.b, 199999, &data), WEFT_EMSGSIZE);
  CHECK_INT(weft_read_all(p.b, 200000, &data), 200000);
  CHECK(check_bytes(data, 0, 200000));
  CHECK_INT(data[200000], 0);
  CHECK_INT(weft_read_all(p.b, 0, &data), 0);
  CHECK_INT(weft_await(t), 0);
  pair_close(&p);
}

TASK_TEST(all_may_be_as_much_as_there_is) {
  static const size_t limits[] = {SIZE_MAX, SIZE_MAX - 1, SSIZE_MAX, SSIZE_MAX - 1};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct pair p = pair_open();
    struct long_writer w = {p.a, 100000};
    weft_task t = weft_spawn(write_long, &w, NULL);
    char *data = NULL;
    if (CHECK_INT(weft_read_all(p.b, limits[i], &data), 100000))
      CHECK(check_bytes(data, 0, 100000));
    CHECK(weft_stream_at_eof(p.b));
    CHECK_INT(weft_await(t), 0);
    pair_close(&p);
  }
}

TASK_TEST(a_count_beyond_the_limit) {
  struct pair p = pair_open();
  struct long_writer w = {p.a, 300000};
  weft_task t = weft_spawn(write_long, &w, NULL);
  char *buf = malloc(300000), *data = NULL;
  CHECK_INT(weft_peek(p.b, 10, &data) >= 10, 1); /* some of it was read ahead */
  CHECK_INT(weft_read_exactly(p.b, buf, 290000), 290000);
  CHECK(check_bytes(buf, 0, 290000));
  /* The end comes too early: all stays. */
  CHECK_INT(weft_read_exactly(p.b, buf, 90000), WEFT_EOF);
  CHECK_INT(weft_read_exactly(p.b, buf, 10000), 10000);
  CHECK(check_bytes(buf, 290000, 10000));
  CHECK_INT(weft_read_exactly(p.b, buf, 90000), 0);
  CHECK_INT(weft_await(t), 0);
  free(buf);
  pair_close(&p);
}

struct large_reader {
  weft_stream *s;
  char *buf;
  size_t len;
};

static int read_large(void *arg) {
  struct large_reader *r = arg;
  ssize_t n = weft_read_exactly(r->s, r->buf, r->len);
  return n < 0 ? (int)n : 0;
}

TASK_TEST(IO8_a_large_count_that_is_cancelled_gives_back_what_it_had) {
  struct pair p = pair_open();
  enum { LEN = 200000, SENT = 150000 };
  struct large_reader r = {p.b, malloc(LEN), LEN};
  weft_task t = weft_spawn(read_large, &r, NULL);
  char *out = malloc(SENT);
  fill_bytes(out, 0, SENT);
  CHECK_INT(weft_write(p.a, out, SENT), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  memset(r.buf, 0, LEN);
  CHECK_INT(weft_read_exactly(p.b, r.buf, SENT), SENT);
  CHECK(check_bytes(r.buf, 0, SENT));
  free(out);
  free(r.buf);
  pair_close(&p);
}

TASK_TEST(what_is_lent_on_arrival) {
  struct pair p = pair_open();
  char *data = NULL;
  CHECK_INT(write_text(p.a, "abc"), 0);
  size_t got = 0;
  while (got < 3) {
    ssize_t n = weft_read_lent(p.b, &data);
    if (!CHECK(n > 0)) break;
    CHECK(memcmp(data, &"abc"[got], (size_t)n) == 0);
    CHECK_INT(data[n], 0);
    got += (size_t)n;
  }
  CHECK_INT(weft_stream_close(p.a), 0);
  CHECK_INT(weft_read_lent(p.b, &data), 0);
  CHECK_INT(weft_stream_close(p.b), 0);
}

TASK_TEST(a_peek_takes_nothing_and_knows_its_limit) {
  weft_stream *s = stream_with("abcdef");
  char *data = NULL;
  CHECK(weft_peek(s, 2, &data) >= 2);
  CHECK_INT(weft_peek(s, 6, &data), 6);
  CHECK_STR(data, "abcdef");
  CHECK_INT(weft_peek(s, 7, &data), 6);
  CHECK_INT(weft_peek(s, WEFT_STREAM_LIMIT + 1, &data), WEFT_EMSGSIZE);
  CHECK(expect_bytes(s, "abcdef"));
  CHECK_INT(weft_peek(s, 1, &data), 0);
  CHECK_INT(weft_stream_close(s), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_given_one_by_one),
      cmocka_unit_test(lines_may_be_iterated),
      cmocka_unit_test(a_line_may_come_byte_by_byte),
      cmocka_unit_test(what_is_lent_may_be_changed),
      cmocka_unit_test(lines_and_bytes_may_be_mixed),
      cmocka_unit_test(a_line_with_zeros_in_it),
      cmocka_unit_test(IO2_a_line_as_long_as_the_limit_is_a_line),
      cmocka_unit_test(IO2_a_longer_line_is_dropped),
      cmocka_unit_test(IO2_of_a_line_without_an_end_only_a_part_is_held),
      cmocka_unit_test(IO2_a_separator_too_far_away_leaves_all_in_place),
      cmocka_unit_test(IO2_a_separator_that_is_there_but_too_far_away),
      cmocka_unit_test(IO2_a_line_that_is_there_but_too_long_is_dropped_whole),
      cmocka_unit_test(IO1_a_stream_takes_no_more_than_the_limit),
      cmocka_unit_test(IO3_an_end_before_the_count_leaves_the_rest),
      cmocka_unit_test(IO3_an_end_before_the_separator_leaves_the_rest),
      cmocka_unit_test(IO3_a_last_line_needs_no_end),
      cmocka_unit_test(a_separator_may_be_divided),
      cmocka_unit_test(all_up_to_the_end),
      cmocka_unit_test(all_may_be_as_much_as_there_is),
      cmocka_unit_test(a_count_beyond_the_limit),
      cmocka_unit_test(IO8_a_large_count_that_is_cancelled_gives_back_what_it_had),
      cmocka_unit_test(what_is_lent_on_arrival),
      cmocka_unit_test(a_peek_takes_nothing_and_knows_its_limit),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
