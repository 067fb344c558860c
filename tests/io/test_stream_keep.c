/* Buffered writes: water marks, drains, what is sent behind the writer's back. */
#include <stdlib.h>

#include "base/memory.h"
#include "parked.h"
#include "stream_pair.h"

enum { PIECE = 10000, FULL = 4 << 20 };

/* As much as is surely more than the socket takes. */
#define MUCH (counts_simulated() ? (size_t)150000 : (size_t)1000000)

/* Buffers until so many bytes are kept in the stream; returns how many were accepted. */
static size_t keep_bytes(weft_stream *s, size_t kept) {
  char buf[PIECE];
  weft_stream_counts c = {0};
  size_t at = 0;
  while (c.write_buffered < kept) {
    fill_bytes(buf, at, sizeof buf);
    if (!CHECK_INT(weft_write_buffered(s, buf, sizeof buf), 0)) break;
    at += sizeof buf;
    weft_stream_count(s, &c);
  }
  return at;
}

static void read_pattern(weft_stream *s, uint64_t from, size_t len) {
  char buf[8192];
  for (size_t got = 0; got < len;) {
    size_t want = len - got < sizeof buf ? len - got : sizeof buf;
    ssize_t n = weft_read(s, buf, want);
    if (!CHECK(n > 0)) return;
    if (!check_bytes(buf, from + got, (size_t)n)) return;
    got += (size_t)n;
  }
}

static size_t kept(weft_stream *s) {
  weft_stream_counts c = {0};
  CHECK_INT(weft_stream_count(s, &c), 0);
  return c.write_buffered;
}

/* ---- what goes out ---- */

TASK_TEST(IO7_a_buffered_write_tries_the_socket_at_once) {
  struct pair p = pair_open();
  be_without_resets();
  weft__sys_count();
  CHECK_INT(weft_write_buffered(p.a, "hello", 5), 0);
  CHECK(weft__sys_calls(WEFT__SYS_send) >= 1);
  weft__sys_clear();
  CHECK(expect_bytes(p.b, "hello"));
  pair_close(&p);
}

TASK_TEST(IO7_the_rest_goes_out_without_anybody_asking) {
  struct pair p = pair_open();
  size_t all = keep_bytes(p.a, 100000);
  read_pattern(p.b, 0, all);
  int rounds = 0;
  while (kept(p.a) > 0 && latch_turn(&rounds) == 0) {}
  CHECK_UINT(kept(p.a), 0);
  /* And once more. */
  all = keep_bytes(p.a, 100000);
  read_pattern(p.b, 0, all);
  CHECK_INT(weft_flush(p.a), 0);
  pair_close(&p);
}

TASK_TEST(buffered_and_waiting_writes_keep_their_order) {
  struct pair p = pair_open();
  size_t at = 0;
  for (int i = 0; i < 10; i++) {
    char buf[300];
    fill_bytes(buf, at, sizeof buf);
    CHECK_INT(weft_write_buffered(p.a, buf, 100), 0);
    CHECK_INT(weft_write(p.a, buf + 100, 100), 0);
    CHECK_INT(weft_write_buffered(p.a, buf + 200, 100), 0);
    at += sizeof buf;
  }
  read_pattern(p.b, 0, at);
  pair_close(&p);
}

struct large_write {
  weft_stream *s;
  size_t len;
};

static int write_large(void *arg) {
  const struct large_write *w = arg;
  char *buf = malloc(w->len);
  fill_bytes(buf, 0, w->len);
  int r = weft_write(w->s, buf, w->len);
  free(buf);
  return r;
}

static int write_more(void *arg) {
  weft_stream *s = arg;
  return write_text(s, "the end");
}

TASK_TEST(a_write_comes_behind_what_is_kept) {
  struct pair p = pair_open();
  size_t all = keep_bytes(p.a, 100000);
  weft_task t = spawn_parked(write_more, p.a);
  CHECK_INT(weft_try_write(p.a, "x", 1), WEFT_EAGAIN);
  read_pattern(p.b, 0, all);
  CHECK(expect_bytes(p.b, "the end"));
  CHECK_INT(weft_await(t), 0);
  pair_close(&p);
}

/* Whole lines of several tasks, some of which wait and some of which do not. */
static int write_lines(void *arg) {
  weft_stream *s = *(weft_stream **)arg;
  char line[700];
  static atomic_int next;
  memset(line, 'a' + atomic_fetch_add(&next, 1) % 26, sizeof line);
  line[sizeof line - 1] = '\n';
  int r = 0;
  for (int i = 0; i < count(100) && r == 0; i++) {
    r = i % 3 ? weft_write_buffered(s, line, sizeof line) : weft_write(s, line, sizeof line);
    if (r == 0 && i % 5 == 0) r = weft_drain(s);
  }
  return r < 0 ? r : weft_flush(s);
}

TASK_TEST(lines_of_many_do_not_mix) {
  enum { WRITERS = 6 };
  struct pair p = pair_open();
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < WRITERS; i++) weft_group_spawn(&g, write_lines, &p.a, NULL);
  for (int k = 0; k < WRITERS * count(100); k++) {
    char *line = NULL;
    if (!CHECK_INT(weft_read_line(p.b, &line), 700)) break;
    for (int i = 1; i < 699; i++)
      if (line[i] != line[0]) CHECK_INT(line[i], line[0]);
  }
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_UINT(kept(p.a), 0);
  pair_close(&p);
}

/* ---- marks ---- */

struct drainer {
  weft_stream *s;
  struct latch begun, over;
};

static int drain_it(void *arg) {
  struct drainer *d = arg;
  latch_hit(&d->begun);
  int r = weft_drain(d->s);
  latch_hit(&d->over);
  return r;
}

static int flush_it(void *arg) {
  struct drainer *d = arg;
  latch_hit(&d->begun);
  int r = weft_flush(d->s);
  latch_hit(&d->over);
  return r;
}

TASK_TEST(IO5_a_drain_waits_only_above_the_high_mark) {
  struct pair p = pair_open();
  weft__sys_fail(WEFT__SYS_send, 1, WEFT_EAGAIN, true); /* the socket takes nothing */
  static char buf[WEFT_STREAM_HIGH];
  fill_bytes(buf, 0, sizeof buf);
  CHECK_INT(weft_drain(p.a), 0);
  CHECK_INT(weft_write_buffered(p.a, buf, WEFT_STREAM_HIGH), 0);
  CHECK_UINT(kept(p.a), WEFT_STREAM_HIGH);
  CHECK_INT(weft_drain(p.a), 0);
  CHECK_INT(weft_write_buffered(p.a, buf, 1), 0);
  struct drainer d = {.s = p.a};
  weft_task t = spawn_parked(drain_it, &d);
  CHECK_INT(latch_hits(&d.over), 0);
  CHECK_INT(weft_cancel(t), 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_UINT(kept(p.a), WEFT_STREAM_HIGH + 1);
  weft__sys_clear();
  weft_stream_abort(p.a); /* whose sender waits for room that is there */
  pair_close(&p);
}

TASK_TEST(IO5_many_may_drain_until_the_low_mark) {
  enum { DRAINERS = 5 };
  struct pair p = pair_open();
  CHECK_INT(weft_stream_set_write_limits(p.a, 50000, 20000, 0), 0);
  size_t all = keep_bytes(p.a, 60000);
  struct drainer d[DRAINERS], f = {.s = p.a};
  weft_task t[DRAINERS];
  for (int i = 0; i < DRAINERS; i++) {
    d[i] = (struct drainer){.s = p.a};
    t[i] = spawn_parked(drain_it, &d[i]);
  }
  weft_task tf = spawn_parked(flush_it, &f);
  /* Nobody is let go while more than the low mark is there. */
  size_t read = 0;
  while (read < all) {
    bool waits = latch_hits(&d[0].over) == 0;
    if (waits) {
      read_pattern(p.b, read, 2000);
      read += 2000;
    }
    if (latch_hits(&d[0].over)) break;
    weft_yield();
  }
  for (int i = 0; i < DRAINERS; i++) CHECK_INT(weft_await(t[i]), 0);
  CHECK(kept(p.a) <= 20000);
  read_pattern(p.b, read, all - read);
  CHECK_INT(weft_await(tf), 0);
  CHECK_UINT(kept(p.a), 0);
  pair_close(&p);
}

TASK_TEST(more_than_the_most_is_refused) {
  struct pair p = pair_open();
  CHECK_INT(weft_stream_set_write_limits(p.a, 0, 0, 50000), 0);
  char *buf = malloc(FULL);
  memset(buf, 'x', FULL);
  CHECK_INT(weft_write_buffered(p.a, buf, FULL), WEFT_ENOBUFS);
  CHECK_UINT(kept(p.a), 0);
  free(buf);
  size_t all = 0;
  int r;
  char piece[PIECE];
  for (;;) {
    fill_bytes(piece, all, sizeof piece);
    r = weft_write_buffered(p.a, piece, sizeof piece);
    if (r < 0) break;
    all += sizeof piece;
  }
  CHECK_INT(r, WEFT_ENOBUFS);
  CHECK(kept(p.a) <= 50000);
  read_pattern(p.b, 0, all);
  CHECK_INT(weft_flush(p.a), 0);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), 0);
  CHECK(expect_bytes(p.b, "x"));
  pair_close(&p);
}

/* ---- errors ---- */

static bool is_lost(int code) {
  return code == WEFT_EPIPE || code == WEFT_ECONNRESET;
}

TASK_TEST(IO6_a_drain_after_the_connection_is_lost_says_so) {
  struct pair p = pair_open();
  keep_bytes(p.a, 100000);
  struct drainer d = {.s = p.a}, f = {.s = p.a};
  weft_task t = spawn_parked(drain_it, &d), tf = spawn_parked(flush_it, &f);
  CHECK_INT(weft_stream_close(p.b), 0);
  /* In a simulation the news travels, and what is sent until then vanishes. */
  int a = weft_await(t), b = weft_await(tf);
  CHECK(is_lost(a) || (weft_simulated() && a == 0));
  CHECK(is_lost(b) || (weft_simulated() && b == 0));
  int code = 0, rounds = 0;
  while ((code = weft_write_buffered(p.a, "x", 1)) == 0) latch_turn(&rounds);
  CHECK(is_lost(code));
  CHECK_INT(weft_drain(p.a), code);
  CHECK_INT(weft_flush(p.a), code);
  int end = weft_stream_close(p.a); /* not all went out */
  CHECK(end == code || (weft_simulated() && end == 0));
}

TASK_TEST(IO6_a_drain_of_a_stream_that_is_aborted_ends) {
  struct pair p = pair_open();
  keep_bytes(p.a, 100000);
  struct drainer d = {.s = p.a}, f = {.s = p.a};
  weft_task t = spawn_parked(drain_it, &d), tf = spawn_parked(flush_it, &f);
  CHECK_INT(weft_stream_abort(p.a), 0);
  CHECK_INT(weft_await(t), WEFT_ECLOSED);
  CHECK_INT(weft_await(tf), WEFT_ECLOSED);
  CHECK_INT(weft_drain(p.a), WEFT_ECLOSED);
  CHECK_UINT(kept(p.a), 0);
  pair_close(&p);
}

TASK_TEST(without_memory_nothing_is_accepted) {
  struct pair p = pair_open();
  size_t all = keep_bytes(p.a, 30000);
  char *buf = malloc(100000);
  fill_bytes(buf, all, 100000);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  CHECK_INT(weft_write_buffered(p.a, buf, 100000), WEFT_ENOMEM);
  weft__memory_fail_end();
  read_pattern(p.b, 0, all);
  CHECK_INT(weft_flush(p.a), 0);
  weft__memory_fail(WEFT__MEMORY_OWN, 1, false);
  CHECK_INT(weft_write_buffered(p.a, buf, 100), WEFT_ENOMEM);
  weft__memory_fail_end();
  CHECK_INT(weft_write_buffered(p.a, buf, 100), 0);
  read_pattern(p.b, all, 100);
  free(buf);
  pair_close(&p);
}

/* Fills the socket, and keeps some more for which there is no task that sends it. */
static size_t keep_without_a_sender(weft_stream *s) {
  static char buf[1 << 16];
  size_t at = 0;
  ssize_t n;
  do {
    fill_bytes(buf, at, sizeof buf);
    n = weft_try_write(s, buf, sizeof buf);
    if (n > 0) at += (size_t)n;
  } while (n > 0);
  CHECK_INT(n, WEFT_EAGAIN);
  fill_bytes(buf, at, 1000);
  weft__memory_fail(WEFT__MEMORY_OWN, 2, false); /* the first is to keep it */
  CHECK_INT(weft_write_buffered(s, buf, 1000), 0);
  weft__memory_fail_end();
  return at + 1000;
}

TASK_TEST(what_nobody_sends_a_drain_sends) {
  if (counts_simulated()) weft_test_skip("a socket that takes nothing until it is read");
  struct pair p = pair_open();
  size_t all = keep_without_a_sender(p.a);
  struct drainer d = {.s = p.a};
  weft_task t = spawn_parked(drain_it, &d); /* below the high mark */
  read_pattern(p.b, 0, all);
  CHECK_INT(weft_await(t), 0);
  CHECK_UINT(kept(p.a), 0);
  pair_close(&p);
}

TASK_TEST(that_nobody_sends_is_told_to_the_next_who_buffers) {
  if (counts_simulated()) weft_test_skip("a socket that takes nothing until it is read");
  struct pair p = pair_open();
  size_t all = keep_without_a_sender(p.a);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), WEFT_ENOMEM);
  CHECK_UINT(kept(p.a), 1000);
  CHECK_INT(weft_write_buffered(p.a, "end", 3), 0); /* now there is one */
  read_pattern(p.b, 0, all);
  CHECK(expect_bytes(p.b, "end"));
  CHECK_INT(weft_flush(p.a), 0);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), 0);
  CHECK(expect_bytes(p.b, "x"));
  pair_close(&p);
}

/* As the header says: a buffered write waits for no turn. */
TASK_TEST(a_buffered_write_passes_those_who_wait_for_their_turn) {
  struct pair p = pair_open();
  struct large_write first = {.s = p.a, .len = MUCH};
  weft_task a = spawn_parked(write_large, &first);
  weft_task b = spawn_parked(write_more, p.a);
  CHECK_INT(weft_write_buffered(p.a, "between, ", 9), 0);
  read_pattern(p.b, 0, MUCH);
  CHECK(expect_bytes(p.b, "between, the end"));
  CHECK_INT(weft_await(a), 0);
  CHECK_INT(weft_await(b), 0);
  pair_close(&p);
}

/* ---- the end ---- */

static int close_it(void *arg) {
  return weft_stream_close(arg);
}

TASK_TEST(IO7_a_close_flushes) {
  struct pair p = pair_open();
  size_t all = keep_bytes(p.a, 100000);
  weft_task t = spawn_parked(close_it, p.a);
  read_pattern(p.b, 0, all);
  CHECK_INT(weft_await(t), 0);
  char c;
  CHECK_INT(weft_read(p.b, &c, 1), 0);
  CHECK_INT(weft_stream_close(p.b), 0);
}

TASK_TEST(IO7_an_abort_drops) {
  struct pair p = pair_open();
  size_t all = keep_bytes(p.a, MUCH);
  CHECK_INT(weft_stream_abort(p.a), 0);
  CHECK(weft_stream_is_closing(p.a));
  CHECK_INT(weft_stream_close(p.a), 0);
  char buf[8192];
  size_t got = 0;
  ssize_t n;
  while ((n = weft_read(p.b, buf, sizeof buf)) > 0) {
    CHECK(check_bytes(buf, got, (size_t)n));
    got += (size_t)n;
  }
  CHECK(n == 0 || n == WEFT_ECONNRESET);
  CHECK(got < all);
  CHECK_INT(weft_stream_close(p.b), 0);
}

TASK_TEST(a_cut_close_closes_all_the_same) {
  struct pair p = pair_open();
  keep_bytes(p.a, MUCH);
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
  int r = weft_stream_close(p.a);
  CHECK_INT(weft_timeout_end(&s, r), WEFT_ETIMEDOUT);
  char buf[8192];
  ssize_t n;
  while ((n = weft_read(p.b, buf, sizeof buf)) > 0) {}
  CHECK(n == 0 || n == WEFT_ECONNRESET);
  CHECK_INT(weft_stream_close(p.b), 0);
}

static int end_it(void *arg) {
  return weft_stream_shutdown_write(arg);
}

TASK_TEST(a_half_close_sends_what_is_kept) {
  struct pair p = pair_open();
  size_t all = keep_bytes(p.a, 100000);
  weft_task t = spawn_parked(end_it, p.a);
  read_pattern(p.b, 0, all);
  CHECK_INT(weft_await(t), 0);
  char c;
  CHECK_INT(weft_read(p.b, &c, 1), 0);
  pair_close(&p);
}

/* A run that ends while something is kept and a stream is open leaves nothing hanging. */
static int leave_it_open(void *arg) {
  struct pair *p = arg;
  *p = pair_open();
  keep_bytes(p->a, 100000);
  return 0;
}

static void a_run_may_end_while_something_is_kept(void **state) {
  (void)state;
  static struct pair p;
  if (counts_simulated()) weft_test_skip("a simulation ends with all that it has opened");
  CHECK_INT(weft_run(leave_it_open, &p, NULL), 0);
  CHECK_INT(weft_stream_close(p.a), WEFT_ENOTASK);
  CHECK_INT(weft_stream_close(p.b), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(IO7_a_buffered_write_tries_the_socket_at_once),
      cmocka_unit_test(IO7_the_rest_goes_out_without_anybody_asking),
      cmocka_unit_test(buffered_and_waiting_writes_keep_their_order),
      cmocka_unit_test(a_write_comes_behind_what_is_kept),
      cmocka_unit_test(lines_of_many_do_not_mix),
      cmocka_unit_test(IO5_a_drain_waits_only_above_the_high_mark),
      cmocka_unit_test(IO5_many_may_drain_until_the_low_mark),
      cmocka_unit_test(more_than_the_most_is_refused),
      cmocka_unit_test(IO6_a_drain_after_the_connection_is_lost_says_so),
      cmocka_unit_test(IO6_a_drain_of_a_stream_that_is_aborted_ends),
      cmocka_unit_test(without_memory_nothing_is_accepted),
      cmocka_unit_test(what_nobody_sends_a_drain_sends),
      cmocka_unit_test(that_nobody_sends_is_told_to_the_next_who_buffers),
      cmocka_unit_test(a_buffered_write_passes_those_who_wait_for_their_turn),
      cmocka_unit_test(IO7_a_close_flushes),
      cmocka_unit_test(IO7_an_abort_drops),
      cmocka_unit_test(a_cut_close_closes_all_the_same),
      cmocka_unit_test(a_half_close_sends_what_is_kept),
      cmocka_unit_test(a_run_may_end_while_something_is_kept),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
