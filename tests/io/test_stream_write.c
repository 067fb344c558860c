/* Writing: turns, what a cut leaves, errors, half close. */
#include <stdlib.h>

#include "parked.h"
#include "stream_pair.h"

#define LARGE (large_size())

struct writer {
  weft_stream *s;
  const char *buf;
  size_t len;
  size_t sent;
  struct latch begun;
};

static int write_it(void *arg) {
  struct writer *w = arg;
  latch_hit(&w->begun);
  return weft_write(w->s, w->buf, w->len);
}

static int write_it_counted(void *arg) {
  struct writer *w = arg;
  latch_hit(&w->begun);
  return weft_write_counted(w->s, w->buf, w->len, &w->sent);
}

static char *large(void) {
  char *buf = malloc(LARGE);
  fill_bytes(buf, 0, LARGE);
  return buf;
}

/* Reads len bytes of the pattern. */
static void read_large(weft_stream *s, uint64_t from, size_t len) {
  char buf[8192];
  for (size_t got = 0; got < len;) {
    size_t want = len - got < sizeof buf ? len - got : sizeof buf;
    ssize_t n = weft_read(s, buf, want);
    if (!CHECK(n > 0)) return;
    if (!check_bytes(buf, from + got, (size_t)n)) return;
    got += (size_t)n;
  }
}

TASK_TEST(a_write_waits_until_all_is_gone) {
  struct pair p = pair_open();
  char *buf = large();
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  weft_task t = spawn_parked(write_it, &w);
  read_large(p.b, 0, LARGE);
  CHECK_INT(weft_await(t), 0);
  weft_stream_counts c;
  CHECK_INT(weft_stream_count(p.a, &c), 0);
  CHECK_UINT(c.bytes_written, LARGE);
  CHECK_UINT(c.write_buffered, 0);
  CHECK_INT(weft_stream_count(p.b, &c), 0);
  CHECK_UINT(c.bytes_read, LARGE);
  free(buf);
  pair_close(&p);
}

/* ---- turns ---- */

TASK_TEST(writers_take_turns_and_never_mix) {
  enum { WRITERS = 8, LONG = 3000 };
  const int lines_each = count(20);
  static char texts[WRITERS][LONG + 1];
  static struct writer w[WRITERS];
  struct pair p = pair_open();
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < WRITERS; i++) {
    memset(texts[i], 'a' + i, LONG);
    texts[i][LONG - 1] = '\n';
    w[i] = (struct writer){.s = p.a, .buf = texts[i], .len = LONG};
  }
  for (int k = 0; k < lines_each; k++)
    for (int i = 0; i < WRITERS; i++) weft_group_spawn(&g, write_it, &w[i], NULL);
  int lines[WRITERS] = {0};
  for (int k = 0; k < lines_each * WRITERS; k++) {
    char *line = NULL;
    if (!CHECK_INT(weft_read_line(p.b, &line), LONG)) break;
    for (int i = 1; i < LONG - 1; i++)
      if (line[i] != line[0]) CHECK_INT(line[i], line[0]);
    lines[line[0] - 'a']++;
  }
  for (int i = 0; i < WRITERS; i++) CHECK_INT(lines[i], lines_each);
  CHECK_INT(weft_group_join(&g), 0);
  pair_close(&p);
}

TASK_TEST(who_writes_first_is_first) {
  struct pair p = pair_open();
  char *buf = large();
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  struct writer x = {.s = p.a, .buf = "x", .len = 1}, y = {.s = p.a, .buf = "y", .len = 1};
  weft_task t = spawn_parked(write_it, &w);
  weft_task tx = spawn_parked(write_it, &x), ty = spawn_parked(write_it, &y);
  char c;
  CHECK_INT(weft_try_write(p.a, "z", 1), WEFT_EAGAIN);
  read_large(p.b, 0, LARGE);
  CHECK(expect_bytes(p.b, "xy"));
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(tx), 0);
  CHECK_INT(weft_await(ty), 0);
  CHECK_INT(weft_try_read(p.b, &c, 1), WEFT_EAGAIN);
  free(buf);
  pair_close(&p);
}

/* Who is cancelled while others write has sent nothing, and the one behind has the turn. */
TASK_TEST(a_cancelled_turn_is_passed_on) {
  struct pair p = pair_open();
  char *buf = large();
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  struct writer x = {.s = p.a, .buf = "x", .len = 1}, y = {.s = p.a, .buf = "y", .len = 1};
  weft_task t = spawn_parked(write_it, &w);
  weft_task tx = spawn_parked(write_it, &x), ty = spawn_parked(write_it, &y);
  CHECK_INT(weft_cancel(tx), 1);
  CHECK_INT(weft_await(tx), WEFT_ECANCELED);
  read_large(p.b, 0, LARGE);
  CHECK(expect_bytes(p.b, "y"));
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_await(ty), 0);
  free(buf);
  pair_close(&p);
}

/* ---- cuts ---- */

TASK_TEST(a_cancelled_write_says_how_much_went_out) {
  struct pair p = pair_open();
  char *buf = large();
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  weft_task t = spawn_parked(write_it_counted, &w);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK(w.sent > 0 && w.sent < LARGE);
  weft_stream_counts c;
  CHECK_INT(weft_stream_count(p.a, &c), 0);
  CHECK_UINT(c.bytes_written, w.sent);
  /* It goes on from there. */
  struct writer rest = {.s = p.a, .buf = buf + w.sent, .len = LARGE - w.sent};
  t = weft_spawn(write_it, &rest, NULL);
  read_large(p.b, 0, LARGE);
  CHECK_INT(weft_await(t), 0);
  free(buf);
  pair_close(&p);
}

TASK_TEST(after_a_write_that_was_cut_nothing_follows) {
  struct pair p = pair_open();
  char *buf = large();
  size_t sent = 7;
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  weft_task t = spawn_parked(write_it, &w);
  struct writer x = {.s = p.a, .buf = "x", .len = 1};
  weft_task tx = spawn_parked(write_it, &x);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(weft_await(tx), WEFT_ESTATE);
  CHECK_INT(weft_write(p.a, "x", 1), WEFT_ESTATE);
  CHECK_INT(weft_write_counted(p.a, "x", 1, &sent), WEFT_ESTATE);
  CHECK_UINT(sent, 0);
  CHECK_INT(weft_write_some(p.a, "x", 1), WEFT_ESTATE);
  CHECK_INT(weft_try_write(p.a, "x", 1), WEFT_ESTATE);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), WEFT_ESTATE);
  CHECK_INT(weft_drain(p.a), WEFT_ESTATE);
  CHECK_INT(weft_stream_shutdown_write(p.a), WEFT_ESTATE);
  CHECK_INT(write_text(p.b, "y"), 0); /* the other way goes on */
  CHECK(expect_bytes(p.a, "y"));
  free(buf);
  pair_close(&p);
}

TASK_TEST(a_deadline_cuts_a_write) {
  struct pair p = pair_open();
  char *buf = large();
  size_t sent = 0;
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(5)), 0);
  int r = weft_write_counted(p.a, buf, LARGE, &sent);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK(sent > 0 && sent < LARGE);
  read_large(p.b, 0, sent);
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK(expect_bytes(p.b, "x"));
  free(buf);
  pair_close(&p);
}

static int write_cancelled(void *arg) {
  weft_stream *s = arg;
  size_t sent = 7;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(write_text(s, "x"), WEFT_ECANCELED);
  CHECK_INT(weft_write_counted(s, "x", 1, &sent), WEFT_ECANCELED);
  CHECK_UINT(sent, 0);
  CHECK_INT(weft_write_some(s, "x", 1), WEFT_ECANCELED);
  CHECK_INT(weft_cancel_catch(), 1);
  return write_text(s, "y");
}

TASK_TEST(a_cancelled_task_writes_nothing) {
  struct pair p = pair_open();
  CHECK_INT(weft_await(weft_spawn(write_cancelled, p.a, NULL)), 0);
  CHECK(expect_bytes(p.b, "y"));
  pair_close(&p);
}

/* ---- parts ---- */

TASK_TEST(parts_go_out_in_order) {
  struct pair p = pair_open();
  struct iovec parts[] = {{"", 0}, {"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}, {"", 0}};
  CHECK_INT(weft_writev(p.a, parts, 6), 0);
  CHECK(expect_bytes(p.b, "one two three"));
  CHECK_INT(weft_writev(p.a, parts, 0), 0);
  CHECK_INT(weft_writev(p.a, parts, 1), 0);
  CHECK_INT(weft_writev(p.a, NULL, 0), 0);
  pair_close(&p);
}

static int write_parts(void *arg) {
  enum { PARTS = 2000 };
  struct writer *w = arg;
  struct iovec *parts = calloc(PARTS, sizeof *parts);
  size_t at = 0;
  for (int i = 0; i < PARTS; i++) {
    size_t n = i == PARTS - 1 ? w->len - at : (size_t)(i % 97) * 11;
    if (n > w->len - at) n = w->len - at;
    parts[i] = (struct iovec){(void *)(uintptr_t)(w->buf + at), n};
    at += n;
  }
  int r = weft_writev(w->s, parts, PARTS);
  free(parts);
  return r;
}

/* A call with empty parts alone takes nothing, which says nothing about room. */
TASK_TEST(empty_parts_are_nothing_to_wait_for) {
  enum { EMPTY = 3000 };
  struct pair p = pair_open();
  struct iovec *parts = calloc(EMPTY + 2, sizeof *parts);
  parts[EMPTY / 2] = (struct iovec){"one ", 4};
  parts[EMPTY] = (struct iovec){"two", 3};
  /* A wait or two would end at once, and each read makes room. */
  for (int i = 0; i < 4; i++) CHECK_INT(weft_writev(p.a, parts, EMPTY + 2), 0);
  for (int i = 0; i < 4; i++) CHECK(expect_bytes(p.b, "one two"));
  parts[EMPTY / 2] = parts[EMPTY] = (struct iovec){NULL, 0};
  CHECK_INT(weft_writev(p.a, parts, EMPTY + 2), 0);
  free(parts);
  pair_close(&p);
}

TASK_TEST(more_parts_than_the_system_takes_at_once) {
  struct pair p = pair_open();
  char *buf = large();
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  weft_task t = weft_spawn(write_parts, &w, NULL);
  read_large(p.b, 0, LARGE);
  CHECK_INT(weft_await(t), 0);
  free(buf);
  pair_close(&p);
}

TASK_TEST(short_writes_and_interrupts_are_not_seen) {
  struct pair p = pair_open();
  struct iovec parts[] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
  weft__sys_fail(WEFT__SYS_send, 1, WEFT__SYS_SHORT, true);
  weft__sys_fail(WEFT__SYS_sendmsg, 1, WEFT__SYS_SHORT, true);
  CHECK_INT(write_text(p.a, "hello"), 0);
  CHECK_INT(weft_writev(p.a, parts, 3), 0);
  ssize_t n = weft_write_some(p.a, "1234", 4);
  CHECK(n == 2 || (weft_simulated() && n == 1));
  weft__sys_fail_times(WEFT__SYS_send, 1, WEFT_EINTR, 3);
  weft__sys_fail_times(WEFT__SYS_sendmsg, 1, WEFT_EINTR, 3);
  CHECK_INT(write_text(p.a, &"1234."[n]), 0);
  CHECK_INT(weft_writev(p.a, parts, 1), 0);
  weft__sys_clear();
  CHECK(expect_bytes(p.b, "helloone two three1234.one "));
  pair_close(&p);
}

/* ---- some, and tries ---- */

TASK_TEST(some_is_what_the_system_takes) {
  struct pair p = pair_open();
  char *buf = large();
  size_t sent = 0;
  weft_stream_counts c;
  for (;;) { /* until it is full */
    ssize_t n = weft_try_write(p.a, buf + sent, LARGE - sent);
    if (n == WEFT_EAGAIN) break;
    if (!CHECK(n > 0)) break;
    sent += (size_t)n;
  }
  CHECK(sent > 0 && sent < LARGE);
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
  int r = (int)weft_write_some(p.a, buf + sent, LARGE - sent);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
  r = weft_wait_writable(p.a);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  CHECK_INT(weft_stream_count(p.a, &c), 0);
  CHECK_UINT(c.bytes_written, sent);
  read_large(p.b, 0, sent);
  CHECK_INT(weft_wait_writable(p.a), 0);
  ssize_t n = weft_write_some(p.a, buf + sent, LARGE - sent);
  CHECK(n > 0);
  read_large(p.b, sent, (size_t)n);
  free(buf);
  pair_close(&p);
}

TASK_TEST(nothing_is_written_at_once) {
  struct pair p = pair_open();
  size_t sent = 7;
  CHECK_INT(weft_write(p.a, NULL, 0), 0);
  CHECK_INT(weft_write_counted(p.a, NULL, 0, &sent), 0);
  CHECK_UINT(sent, 0);
  CHECK_INT(weft_write_some(p.a, NULL, 0), 0);
  CHECK_INT(weft_try_write(p.a, NULL, 0), 0);
  CHECK_INT(weft_write_buffered(p.a, NULL, 0), 0);
  char c;
  CHECK_INT(weft_try_read(p.b, &c, 1), WEFT_EAGAIN);
  pair_close(&p);
}

TASK_TEST(wrong_arguments_are_refused) {
  struct pair p = pair_open();
  size_t sent = 7;
  struct iovec parts[2] = {{NULL, 1}, {"x", 1}};
  CHECK_INT(weft_write(NULL, "x", 1), WEFT_EINVAL);
  CHECK_INT(weft_write(p.a, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_write(p.a, "x", SIZE_MAX), WEFT_EINVAL);
  CHECK_INT(weft_write_counted(p.a, "x", 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_write_counted(NULL, "x", 1, &sent), WEFT_EINVAL);
  CHECK_UINT(sent, 0);
  CHECK_INT(weft_write_some(p.a, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_try_write(p.a, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_writev(p.a, parts, 2), WEFT_EINVAL);
  CHECK_INT(weft_writev(p.a, parts, -1), WEFT_EINVAL);
  CHECK_INT(weft_writev(p.a, NULL, 1), WEFT_EINVAL);
  parts[0] = (struct iovec){"x", SIZE_MAX / 2};
  CHECK_INT(weft_writev(p.a, parts, 2), WEFT_EINVAL);
  CHECK_INT(weft_write_buffered(NULL, "x", 1), WEFT_EINVAL);
  CHECK_INT(weft_write_buffered(p.a, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_drain(NULL), WEFT_EINVAL);
  CHECK_INT(weft_wait_writable(NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_shutdown_write(NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_write_limits(p.a, 10, 20, 0), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_write_limits(p.a, 20, 10, 15), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_write_limits(NULL, 0, 0, 0), WEFT_EINVAL);
  CHECK_INT(write_text(p.a, "x"), 0);
  CHECK(expect_bytes(p.b, "x"));
  pair_close(&p);
}

/* ---- errors, half close ---- */

TASK_TEST(a_write_to_who_has_gone_is_told_so_and_so_are_all_later_ones) {
  struct pair p = pair_open();
  CHECK_INT(weft_stream_close(p.b), 0);
  int r = 0;
  while (r == 0) r = write_text(p.a, "x"); /* the news may travel */
  CHECK(r == WEFT_EPIPE || r == WEFT_ECONNRESET);
  for (int i = 0; i < 3; i++) CHECK_INT(write_text(p.a, "x"), r);
  CHECK_INT(weft_drain(p.a), r);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), r);
  CHECK_INT(weft_stream_close(p.a), 0);
}

TASK_TEST(a_writer_that_waits_hears_of_a_broken_connection) {
  struct pair p = pair_open();
  char *buf = large();
  struct writer w = {.s = p.a, .buf = buf, .len = LARGE};
  weft_task t = spawn_parked(write_it, &w);
  CHECK_INT(weft_stream_close(p.b), 0);
  int code = weft_await(t);
  if (weft_simulated() && code == 0) { /* the news travels, and what is sent until then vanishes */
    while ((code = write_text(p.a, "x")) == 0) weft_yield();
  }
  CHECK(code == WEFT_EPIPE || code == WEFT_ECONNRESET);
  free(buf);
  CHECK_INT(weft_stream_close(p.a), 0);
}

TASK_TEST(after_a_half_close_reading_goes_on) {
  struct pair p = pair_open();
  char c;
  CHECK(weft_stream_can_shutdown_write(p.a));
  CHECK_INT(write_text(p.a, "last"), 0);
  CHECK_INT(weft_stream_shutdown_write(p.a), 0);
  CHECK_INT(weft_stream_shutdown_write(p.a), WEFT_ESHUTDOWN);
  CHECK_INT(write_text(p.a, "x"), WEFT_ESHUTDOWN);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), WEFT_ESHUTDOWN);
  CHECK_INT(weft_drain(p.a), 0);
  CHECK(expect_bytes(p.b, "last"));
  CHECK_INT(weft_read(p.b, &c, 1), 0);
  CHECK_INT(write_text(p.b, "answer"), 0);
  CHECK(expect_bytes(p.a, "answer"));
  pair_close(&p);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_write_waits_until_all_is_gone),
      cmocka_unit_test(writers_take_turns_and_never_mix),
      cmocka_unit_test(who_writes_first_is_first),
      cmocka_unit_test(a_cancelled_turn_is_passed_on),
      cmocka_unit_test(a_cancelled_write_says_how_much_went_out),
      cmocka_unit_test(after_a_write_that_was_cut_nothing_follows),
      cmocka_unit_test(a_deadline_cuts_a_write),
      cmocka_unit_test(a_cancelled_task_writes_nothing),
      cmocka_unit_test(parts_go_out_in_order),
      cmocka_unit_test(empty_parts_are_nothing_to_wait_for),
      cmocka_unit_test(more_parts_than_the_system_takes_at_once),
      cmocka_unit_test(short_writes_and_interrupts_are_not_seen),
      cmocka_unit_test(some_is_what_the_system_takes),
      cmocka_unit_test(nothing_is_written_at_once),
      cmocka_unit_test(wrong_arguments_are_refused),
      cmocka_unit_test(a_write_to_who_has_gone_is_told_so_and_so_are_all_later_ones),
      cmocka_unit_test(a_writer_that_waits_hears_of_a_broken_connection),
      cmocka_unit_test(after_a_half_close_reading_goes_on),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
