/* Talking to child processes: their streams, and communicate, which does all of it at once. */
#include "base/memory.h"
#include "counts.h"
#include "parked.h"
#include "process_test.h"

enum { BIG = COUNTS_PICK(8 << 20, 2 << 20, 1 << 20) };

static size_t big(void) {
  return counts_simulated() ? 256 * 1024 : BIG;
}

/* Bytes that differ from their neighbours and from those a page away. */
static char *make_bytes(size_t n) {
  char *bytes = malloc(n);
  for (size_t i = 0; i < n; i++) bytes[i] = (char)('a' + (i * 7 + i / 4096) % 26);
  return bytes;
}

/* ---- streams ---- */

TASK_TEST(a_conversation_line_by_line) {
  char *line = NULL, said[32], want[32];
  weft_process *p = start_script("while read x; do echo got $x; done; echo bye", &with_pipes);
  if (!p) return;
  for (int i = 0; i < count(100); i++) {
    int n = snprintf(said, sizeof said, "%d\n", i);
    CHECK_INT(weft_write(weft_process_stdin(p), said, (size_t)n), 0);
    int w = snprintf(want, sizeof want, "got %d\n", i);
    CHECK_INT(weft_read_line(weft_process_stdout(p), &line), w);
    CHECK_STR(line, want);
  }
  CHECK_INT(weft_process_close_stdin(p), 0);
  CHECK_PTR(weft_process_stdin(p), NULL);
  CHECK_INT(weft_process_close_stdin(p), 0);
  CHECK_INT(weft_read_line(weft_process_stdout(p), &line), 4);
  CHECK_INT(weft_read_line(weft_process_stdout(p), &line), 0);
  CHECK_INT(weft_read_line(weft_process_stderr(p), &line), 0);
  CHECK_INT(weft_process_wait(p, NULL), 0);
  CHECK_INT(weft_process_close(p), 0);
}

/* The write says so; no signal comes. */
TASK_TEST(writing_to_a_process_that_is_gone_is_epipe) {
  weft_process *p = start_script("exit 0", &with_pipes);
  if (!p) return;
  CHECK_INT(weft_process_wait(p, NULL), 0);
  CHECK_INT(weft_write(weft_process_stdin(p), "lost", 4), WEFT_EPIPE);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(what_it_wrote_can_be_read_after_its_end) {
  char *data = NULL;
  weft_process *p = start_script("echo left behind", &with_output);
  if (!p) return;
  CHECK_INT(weft_process_wait(p, NULL), 0);
  CHECK_INT(weft_read_all(weft_process_stdout(p), 0, &data), 12);
  CHECK_STR(data, "left behind\n");
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(a_stream_that_the_program_has_closed_is_still_the_processs) {
  weft_process_status st = {.code = 99};
  weft_process *p = start_script("cat; exit 3", &with_pipes);
  char c, said[4] = "";
  if (!p) return;
  weft_stream *in = weft_process_stdin(p), *err = weft_process_stderr(p);
  CHECK_INT(weft_write_buffered(in, "all", 3), 0);
  CHECK_INT(weft_stream_close(in), 0);
  CHECK_INT(weft_write(in, "more", 4), WEFT_ECLOSED);
  CHECK_INT(weft_stream_close(in), WEFT_ESTALE);
  CHECK_INT(weft_read_exactly(weft_process_stdout(p), said, 3), 3);
  CHECK_STR(said, "all");
  CHECK_INT(weft_read(weft_process_stdout(p), &c, 1), 0);
  CHECK_INT(weft_process_close_stdin(p), 0);
  CHECK_INT(weft_stream_close(err), 0);
  CHECK_INT(weft_read(err, &c, 1), WEFT_ECLOSED);
  CHECK_INT(weft_process_wait(p, &st), 0);
  CHECK_INT(st.code, 3);
  CHECK_INT(weft_process_close(p), 0);
}

static int write_much_and_close(void *stream) {
  char *bytes = make_bytes(1 << 20);
  int r = weft_write_buffered(stream, bytes, 1 << 20);
  free(bytes);
  return r < 0 ? r : weft_stream_close(stream);
}

TASK_TEST(closing_the_process_ends_a_close_of_its_input) {
  weft_process *p = start_endless("", &with_pipes);
  if (!p) return;
  weft_task t = spawn_parked(write_much_and_close, weft_process_stdin(p));
  CHECK_INT(weft_process_close(p), 0);
  int r = weft_await(t);
  CHECK(r == WEFT_ECLOSED || r == WEFT_EPIPE);
}

static int read_to_the_end(void *stream) {
  char *data;
  return (int)weft_read_all(stream, 0, &data);
}

TASK_TEST(closing_the_process_ends_a_read_of_its_output) {
  weft_process *p = start_endless("", NULL);
  if (!p) return;
  weft_task t = spawn_parked(read_to_the_end, weft_process_stdout(p));
  CHECK_INT(weft_process_close(p), 0);
  int r = weft_await(t);
  CHECK(r == WEFT_ECLOSED || r >= 0); /* or its end was faster */
}

/* ---- communicate ---- */

TASK_TEST(communicate_writes_reads_and_waits) {
  weft_process_output out = {0};
  weft_process_status st = {.code = 99};
  weft_process *p = start_script("cat; echo problems >&2; exit 3", &with_pipes);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, "input", 5, 0, &out, &st), 0);
  CHECK_STR(out.out, "input");
  CHECK_UINT(out.out_len, 5);
  CHECK_STR(out.err, "problems\n");
  CHECK_UINT(out.err_len, 9);
  CHECK_INT(st.code, 3);
  /* Again: the same. */
  weft_process_output second = {0};
  CHECK_INT(weft_process_communicate(p, "input", 5, 0, &second, &st), 0);
  CHECK_STR(second.out, "input");
  CHECK_STR(second.err, "problems\n");
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(communicate_without_any_pipe_just_waits) {
  weft_process_output out = {.out = (char *)1};
  weft_process_status st = {.code = 99};
  weft_process *p = start_script("exit 2", NULL);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, &st), 0);
  CHECK_PTR(out.out, NULL);
  CHECK_PTR(out.err, NULL);
  CHECK_INT(st.code, 2);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(nothing_written_is_an_empty_string) {
  weft_process_output out = {0};
  weft_process *p = start_script("exit 0", &with_pipes);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, &out, NULL), 0);
  CHECK_STR(out.out, "");
  CHECK_STR(out.err, "");
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(much_goes_both_ways_at_once) {
  size_t n = big();
  char *bytes = make_bytes(n);
  weft_process_output out = {0};
  weft_process *p = start_script("tee /dev/stderr", &with_pipes);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, bytes, n, 2 * n, &out, NULL), 0);
  CHECK_UINT(out.out_len, n);
  CHECK_UINT(out.err_len, n);
  if (!weft_test_failed()) CHECK(memcmp(out.out, bytes, n) == 0 && memcmp(out.err, bytes, n) == 0);
  CHECK_INT(weft_process_close(p), 0);
  free(bytes);
}

TASK_TEST(PR1_communicate_ignores_a_broken_pipe) {
  size_t n = big();
  char *bytes = make_bytes(n);
  weft_process_output out = {0};
  weft_process_status st = {.code = 99};
  static const char *const scripts[] = {"exec <&-; echo enough; exit 8", "head -c 6; exit 8"};
  for (int i = 0; i < 2; i++) {
    weft_process *p = start_script(scripts[i], &with_pipes);
    if (!p) return;
    CHECK_INT(weft_process_communicate(p, bytes, n, 0, &out, &st), 0);
    CHECK_INT(st.code, 8);
    if (i == 0)
      CHECK_STR(out.out, "enough\n");
    else
      CHECK(out.out_len == 6 && memcmp(out.out, bytes, 6) == 0);
    CHECK_INT(weft_process_close(p), 0);
  }
  free(bytes);
}

TASK_TEST(too_much_output_is_told_and_nothing_of_it_is_lost) {
  char *bytes = make_bytes(100000);
  weft_process_output out = {.out = (char *)1};
  weft_process *p = start_script("cat; echo e >&2", &with_pipes);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, bytes, 100000, 1000, &out, NULL), WEFT_EMSGSIZE);
  CHECK_PTR(out.out, (char *)1);
  CHECK_INT(weft_process_communicate(p, bytes, 100000, 0, &out, NULL), WEFT_EMSGSIZE);
  CHECK_INT(weft_process_communicate(p, bytes, 100000, 100000, &out, NULL), 0);
  CHECK_UINT(out.out_len, 100000);
  CHECK(out.out && memcmp(out.out, bytes, 100000) == 0);
  CHECK_STR(out.err, "e\n");
  CHECK_INT(weft_process_close(p), 0);
  free(bytes);
}

struct talk {
  weft_process *p;
  const char *in;
  size_t len;
  weft_process_output out;
};

static int communicate(void *arg) {
  struct talk *t = arg;
  return weft_process_communicate(t->p, t->in, t->len, t->len + 100, &t->out, NULL);
}

/* Cut again and again, wherever that is. */
TASK_TEST(a_communicate_that_is_cut_may_be_called_again) {
  size_t n = 300000;
  char *bytes = make_bytes(n);
  weft_process *p =
      start_script("cat; echo first; sleep 0.02; echo second; sleep 0.02 ", &with_pipes);
  struct talk t = {.p = p, .in = bytes, .len = n};
  int r, cuts = 0;
  if (!p) return;
  while ((r = weft_wait_for(communicate, &t, weft_us(100 + 37 * cuts))) == WEFT_ETIMEDOUT) cuts++;
  CHECK_INT(r, 0);
  CHECK(cuts > 0);
  CHECK_UINT(t.out.out_len, n + 13);
  CHECK(t.out.out && memcmp(t.out.out, bytes, n) == 0 &&
        memcmp(t.out.out + n, "first\nsecond\n", 13) == 0);
  CHECK_STR(t.out.err, "");
  CHECK_INT(weft_process_close(p), 0);
  free(bytes);
}

TASK_TEST(a_cancelled_communicate_leaves_the_process) {
  weft_process *p = start_script("read x; echo $x", &with_pipes);
  if (!p) return;
  weft_process_output out = {0};
  char *line = NULL;
  weft_process *q = start_endless("", &with_pipes);
  struct talk t = {.p = q};
  weft_task task = spawn_parked(communicate, &t);
  CHECK_INT(weft_process_communicate(q, NULL, 0, 0, &out, NULL), WEFT_EBUSY);
  CHECK_INT(weft_cancel(task), 1);
  CHECK_INT(weft_await(task), WEFT_ECANCELED);
  CHECK_INT(weft_process_poll(q, NULL), WEFT_EPENDING);
  CHECK_INT(weft_process_close(q), 0);
  CHECK_INT(weft_write(weft_process_stdin(p), "alive\n", 6), 0);
  CHECK_INT(weft_read_line(weft_process_stdout(p), &line), 6);
  CHECK_INT(weft_process_close(p), 0);
}

/* The process is over, but not its output. */
TASK_TEST(a_grandchild_may_keep_the_output_open) {
  weft_process_status st = {.code = 99};
  weft_process *p = start_script("sleep 1000 & echo $!", &with_output);
  if (!p) return;
  struct talk t = {.p = p};
  CHECK_INT(weft_process_wait(p, &st), 0);
  CHECK_INT(st.code, 0);
  CHECK_INT(weft_wait_for(communicate, &t, weft_ms(20)), WEFT_ETIMEDOUT);
  char *data = NULL;
  CHECK(weft_peek(weft_process_stdout(p), 2, &data) >= 2);
  pid_t grandchild = data ? (pid_t)atoi(data) : -1;
  if (CHECK(grandchild > 0)) CHECK_INT(kill(grandchild, SIGKILL), 0);
  CHECK_INT(communicate(&t), 0);
  CHECK_INT(t.out.out ? atoi(t.out.out) : 0, grandchild);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(closing_the_process_ends_a_communicate) {
  weft_process *p = start_endless("", &with_pipes);
  struct talk t = {.p = p};
  if (!p) return;
  weft_task task = spawn_parked(communicate, &t);
  CHECK_INT(weft_process_close(p), 0);
  int r = weft_await(task);
  CHECK(r == WEFT_ECLOSED || r == 0); /* or the ends of its streams were faster */
}

TASK_TEST(input_for_a_process_without_a_pipe_is_einval) {
  weft_process *p = start_script("exit 0", &with_output);
  if (!p) return;
  CHECK_INT(weft_process_communicate(p, "x", 1, 0, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_communicate(p, NULL, 1, 0, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_process_communicate(p, NULL, 0, 0, NULL, NULL), 0);
  CHECK_INT(weft_process_close(p), 0);
}

enum { PIPED = 300000 }; /* more than a pipe holds */

static void expect_count(weft_process *p) {
  char *line = NULL;
  if (CHECK(weft_read_line(weft_process_stdout(p), &line) > 0)) CHECK_INT(atoi(line), PIPED);
}

/* Its pipe to us does not block; the other one's input does. */
TASK_TEST(the_output_of_one_may_be_the_input_of_another) {
  weft_process *from =
      start_script("read go; head -c 100000 /dev/zero; head -c 200000 /dev/zero", &with_pipes);
  if (!from) return;
  weft_stream *between = weft_process_stdout(from);
  weft_process *to =
      start_script("echo here; wc -c", &(weft_process_opts){.in = WEFT_STDIO_FD,
                                                            .in_fd = weft_stream_fd(between),
                                                            .out = WEFT_STDIO_PIPE});
  char *line = NULL;
  if (!to) return;
  CHECK_INT(weft_read_line(weft_process_stdout(to), &line), 5);
  CHECK_INT(weft_stream_close(between), 0);
  CHECK_INT(weft_write(weft_process_stdin(from), "\n", 1), 0);
  expect_count(to);
  CHECK_INT(weft_process_close(to), 0);
  CHECK_INT(weft_process_close(from), 0);
}

TASK_TEST(a_pipe_that_does_not_block_does_for_the_child) {
  weft_stream *out, *in;
  weft_process_status st = {.code = 99};
  char *data = NULL;
  if (!CHECK_INT(weft_pipe(&out, &in), 0)) return;
  weft_process *p =
      start_script("head -c 300000 /dev/zero",
                   &(weft_process_opts){.out = WEFT_STDIO_FD, .out_fd = weft_stream_fd(in)});
  CHECK_INT(weft_stream_close(in), 0);
  CHECK_INT(weft_process_poll(p, &st), WEFT_EPENDING); /* it waits for room */
  CHECK_INT(weft_read_all(out, PIPED, &data), PIPED);
  CHECK_INT(weft_process_wait(p, &st), 0);
  CHECK_INT(st.code, 0);
  CHECK_INT(weft_stream_close(out), 0);
  CHECK_INT(weft_process_close(p), 0);
}

TASK_TEST(a_communicate_without_memory_may_be_called_again) {
  int failures = 0, r = WEFT_ENOMEM;
  for (int n = 1; n < 8; n++) {
    weft_process_output output = {0};
    weft_process *p = start_script("cat; cat >&2 </dev/null", &with_pipes);
    if (!p) return;
    weft__memory_fail(WEFT__MEMORY_OWN, (uint64_t)n, false);
    r = weft_process_communicate(p, "input", 5, 0, &output, NULL);
    weft__memory_fail_end();
    failures += r == WEFT_ENOMEM;
    if (r == WEFT_ENOMEM) r = weft_process_communicate(p, "input", 5, 0, &output, NULL);
    CHECK_INT(r, 0);
    if (CHECK_UINT(output.out_len, 5)) CHECK_STR(output.out, "input");
    CHECK_INT(weft_process_close(p), 0);
  }
  CHECK(failures > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_conversation_line_by_line),
    cmocka_unit_test(writing_to_a_process_that_is_gone_is_epipe),
    cmocka_unit_test(what_it_wrote_can_be_read_after_its_end),
    cmocka_unit_test(a_stream_that_the_program_has_closed_is_still_the_processs),
    cmocka_unit_test(closing_the_process_ends_a_close_of_its_input),
    cmocka_unit_test(closing_the_process_ends_a_read_of_its_output),
    cmocka_unit_test(communicate_writes_reads_and_waits),
    cmocka_unit_test(communicate_without_any_pipe_just_waits),
    cmocka_unit_test(nothing_written_is_an_empty_string),
    cmocka_unit_test(much_goes_both_ways_at_once),
    cmocka_unit_test(PR1_communicate_ignores_a_broken_pipe),
    cmocka_unit_test(too_much_output_is_told_and_nothing_of_it_is_lost),
    cmocka_unit_test(a_communicate_that_is_cut_may_be_called_again),
    cmocka_unit_test(a_cancelled_communicate_leaves_the_process),
    cmocka_unit_test(a_grandchild_may_keep_the_output_open),
    cmocka_unit_test(closing_the_process_ends_a_communicate),
    cmocka_unit_test(the_output_of_one_may_be_the_input_of_another),
    cmocka_unit_test(a_pipe_that_does_not_block_does_for_the_child),
    cmocka_unit_test(a_communicate_without_memory_may_be_called_again),
    cmocka_unit_test(input_for_a_process_without_a_pipe_is_einval),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
