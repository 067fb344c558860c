/* The standard streams over what they may be, and terminals. The tests put something else into the place of
 * descriptors 0 and 1 for a while. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <weft.h>

#include "base/sys.h"
#include "child.h"
#include "parked.h"
#include "task_test.h"

/* fd takes the place of `standard`; what was there. */
static int put(int fd, int standard) {
  fflush(NULL);
  int before = fcntl(standard, F_DUPFD_CLOEXEC, 10);
  CHECK(before >= 0);
  CHECK_INT(dup2(fd, standard), standard);
  close(fd);
  return before;
}

static void put_back(int before, int standard) {
  CHECK_INT(dup2(before, standard), standard);
  close(before);
}

static bool is_blocking(int fd) {
  return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void write_all(int fd, const char *text) {
  CHECK_INT(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect_line(weft_stream *s, const char *want) {
  char *line = NULL;
  if (CHECK_INT(weft_read_line(s, &line), (ssize_t)strlen(want)) && *want) CHECK_STR(line, want);
}

/* A file without a name, with that in it, at its beginning. */
static int file_with(const char *text) {
  char path[] = "/tmp/weft-test-std-XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  unlink(path);
  write_all(fd, text);
  CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
  return fd;
}

struct terminal {
  int control, fd;
};

static struct terminal terminal_open(void) {
  struct terminal t;
  t.control = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (!CHECK(t.control >= 0)) return t;
  CHECK_INT(grantpt(t.control), 0);
  CHECK_INT(unlockpt(t.control), 0);
  t.fd = open(ptsname(t.control), O_RDWR | O_NOCTTY | O_CLOEXEC);
  CHECK(t.fd >= 0);
  return t;
}

static tcflag_t local_modes(int fd) {
  struct termios mode = {0};
  CHECK_INT(tcgetattr(fd, &mode), 0);
  return mode.c_lflag;
}

/* ---- reading ---- */

struct reading {
  weft_stream *s;
  char line[32];
};

static int read_a_line(void *arg) {
  struct reading *r = arg;
  char *line;
  ssize_t n = weft_read_line(r->s, &line);
  if (n > 0) snprintf(r->line, sizeof r->line, "%s", line);
  return (int)n;
}

TASK_TEST(a_pipe_is_read_and_stays_blocking_for_others) {
  struct reading r = {0};
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  int before = put(fds[0], 0);
  if (CHECK_INT(weft_stdin(&r.s), 0)) {
    weft_task t = spawn_parked(read_a_line, &r);
    CHECK(is_blocking(0));
    write_all(fds[1], "first\nlast");
    CHECK_INT(weft_await(t), 6);
    CHECK_STR(r.line, "first\n");
    close(fds[1]);
    expect_line(r.s, "last");
    expect_line(r.s, "");
    CHECK_INT(weft_stream_close(r.s), 0);
  }
  CHECK(is_blocking(0)); /* and open */
  put_back(before, 0);
}

TASK_TEST(a_file_is_read_from_where_it_is) {
  weft_stream *s = NULL;
  char buf[8] = "";
  int fd = file_with("skipped\nfirst\nsecond\n");
  CHECK_INT(lseek(fd, 8, SEEK_SET), 8);
  int before = put(fd, 0);
  if (CHECK_INT(weft_stdin(&s), 0)) {
    CHECK_INT(weft_read(s, buf, 6), 6);
    CHECK_STR(buf, "first\n");
    CHECK_INT(lseek(0, 0, SEEK_CUR), 14); /* nothing was taken that nobody asked for */
    expect_line(s, "second\n");
    expect_line(s, "");
    CHECK_INT(weft_stream_close(s), 0);
  }
  CHECK(is_blocking(0));
  put_back(before, 0);
}

static uint64_t pool_jobs(void) {
  weft_stats s;
  CHECK_INT(weft_stats_read(&s), 0);
  return s.blocking_jobs;
}

TASK_TEST(a_file_that_is_not_in_memory_is_read_by_the_pool) {
  weft_stream *s = NULL;
  char c = 0;
  int before = put(file_with("first\nsecond\nx"), 0);
  weft__sys_fail(WEFT__SYS_preadv2, 1, WEFT_EAGAIN, true);
  if (CHECK_INT(weft_stdin(&s), 0)) {
    uint64_t jobs = pool_jobs();
    expect_line(s, "first\n");
    CHECK_UINT(pool_jobs(), jobs + 1);
    expect_line(s, "second\n");
    CHECK_INT(weft_wait_readable(s), 0);
    CHECK_INT(weft_try_read(s, &c, 1), 1);
    CHECK_INT(c, 'x');
    CHECK_INT(weft_read(s, &c, 1), 0);
    CHECK_INT(weft_stream_close(s), 0);
  }
  weft__sys_clear();
  put_back(before, 0);
}

TASK_TEST(an_error_of_a_file_is_told_and_not_kept) {
  weft_stream *s = NULL;
  char c = 0;
  int before = put(file_with("x"), 0);
  weft__sys_fail(WEFT__SYS_preadv2, 1, WEFT_EAGAIN, true);
  if (CHECK_INT(weft_stdin(&s), 0)) {
    weft__sys_fail(WEFT__SYS_read, 1, WEFT_EIO, false);
    CHECK_INT(weft_read(s, &c, 1), WEFT_EIO);
    CHECK_INT(weft_cancel(weft_current()), 1);
    CHECK_INT(weft_read(s, &c, 1), WEFT_ECANCELED);
    CHECK(weft_cancel_catch());
    CHECK_INT(weft_read(s, &c, 1), 1);
    CHECK_INT(c, 'x');
    CHECK_INT(weft_stream_close(s), 0);
  }
  weft__sys_clear();
  put_back(before, 0);
}

TASK_TEST(an_empty_input_ends_at_once) {
  weft_stream *s = NULL;
  char c;
  int before = put(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  if (CHECK_INT(weft_stdin(&s), 0)) {
    CHECK_INT(weft_read(s, &c, 1), 0);
    CHECK_INT(weft_stream_close(s), 0);
  }
  CHECK(is_blocking(0));
  put_back(before, 0);
}

TASK_TEST(what_is_typed_at_a_terminal_is_read) {
  struct reading r = {0};
  struct terminal t = terminal_open();
  int before = put(t.fd, 0);
  if (CHECK_INT(weft_stdin(&r.s), 0)) {
    weft_task reader = spawn_parked(read_a_line, &r);
    CHECK(is_blocking(0));
    write_all(t.control, "typed\nmore\n");
    CHECK_INT(weft_await(reader), 6);
    CHECK_STR(r.line, "typed\n");
    expect_line(r.s, "more\n");
    write_all(t.control, "\4"); /* the end of what is typed */
    expect_line(r.s, "");
    CHECK_INT(weft_stream_close(r.s), 0);
  }
  CHECK(is_blocking(0));
  put_back(before, 0);
  close(t.control);
}

/* Opening it again would give another one. */
TASK_TEST(the_controlling_side_of_a_terminal_is_the_same_one) {
  struct reading r = {0};
  struct terminal t = terminal_open();
  int before = put(t.control, 0);
  if (CHECK_INT(weft_stdin(&r.s), 0)) {
    write_all(t.fd, "shown\n");
    expect_line(r.s, "shown\r\n");
    CHECK_INT(weft_stream_close(r.s), 0);
  }
  put_back(before, 0);
  close(t.fd);
}

/* ---- writing ---- */

TASK_TEST(a_file_is_written_at_its_end) {
  weft_stream *s = NULL;
  char buf[32] = "";
  int fd = file_with("before\n"), other = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  CHECK_INT(lseek(fd, 0, SEEK_END), 7);
  int before = put(fd, 1);
  int r = weft_stdout(&s);
  if (r == 0) r = weft_write(s, "after\n", 6);
  if (r == 0) r = weft_write_buffered(s, "last\n", 5);
  if (r == 0) r = weft_stream_close(s);
  put_back(before, 1);
  CHECK_INT(r, 0);
  CHECK_INT(pread(other, buf, sizeof buf - 1, 0), 18);
  CHECK_STR(buf, "before\nafter\nlast\n");
  close(other);
}

enum { MUCH = 1 << 20 };

static int write_much(void *arg) {
  static char bytes[MUCH];
  return weft_write(arg, bytes, sizeof bytes);
}

TASK_TEST(a_pipe_that_is_full_is_waited_for) {
  weft_stream *s = NULL, *reader = NULL;
  static char buf[4096];
  size_t all = 0;
  ssize_t n = 0;
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  CHECK_INT(weft_stream_from_fd(&reader, fds[0]), 0);
  int before = put(fds[1], 1);
  int r = weft_stdout(&s);
  if (r == 0) {
    weft_task t = spawn_parked(write_much, s);
    while (all < MUCH && (n = weft_read(reader, buf, sizeof buf)) > 0) all += (size_t)n;
    r = weft_await(t);
    bool blocking = is_blocking(1);
    weft_stream_close(s);
    put_back(before, 1);
    CHECK(blocking);
  }
  CHECK_INT(r, 0);
  CHECK_UINT(all, MUCH);
  CHECK_INT(weft_stream_close(reader), 0);
}

TASK_TEST(a_pipe_that_nobody_reads_is_an_error) {
  weft_stream *s = NULL;
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  close(fds[0]);
  int before = put(fds[1], 1);
  int opened = weft_stdout(&s);
  int written = opened == 0 ? weft_write(s, "x", 1) : 0;
  weft_stream_close(s);
  put_back(before, 1);
  CHECK_INT(opened, 0);
  CHECK_INT(written, WEFT_EPIPE);
}

TASK_TEST(errors_have_a_stream_too) {
  weft_stream *s = NULL;
  char buf[8] = "";
  int fd = file_with(""), other = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  int before = put(fd, 2);
  int r = weft_stderr(&s);
  if (r == 0) r = weft_write(s, "oh\n", 3);
  if (r == 0) r = weft_stream_close(s);
  put_back(before, 2);
  CHECK_INT(r, 0);
  CHECK_INT(pread(other, buf, sizeof buf, 0), 3);
  CHECK_STR(buf, "oh\n");
  close(other);
}

/* ---- what cannot be had ---- */

TASK_TEST(what_is_not_open_that_way_is_refused) {
  weft_stream *s = NULL;
  int before = put(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
  CHECK_INT(weft_stdin(&s), WEFT_EBADF);
  close(0);
  CHECK_INT(weft_stdin(&s), WEFT_EBADF);
  put_back(before, 0);
  CHECK_INT(weft_stdin(NULL), WEFT_EINVAL);
  CHECK_PTR(s, NULL);
}

TASK_TEST(without_descriptors_there_is_no_stream) {
  weft_stream *s = NULL;
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  int before = put(fds[0], 0);
  weft__sys_fail(WEFT__SYS_open, 1, WEFT_EMFILE, false);
  CHECK_INT(weft_stdin(&s), WEFT_EMFILE);
  weft__sys_clear();
  CHECK(is_blocking(0));
  put_back(before, 0);
  close(fds[1]);
}

/* As in a socket, or without /proc: the shared one changes, until the process exits. */
static int use_a_pipe_that_cannot_be_reopened(void *arg) {
  (void)arg;
  weft_stream *s = NULL;
  weft__sys_fail(WEFT__SYS_open, 1, WEFT_EACCES, false);
  CHECK_INT(weft_stdin(&s), 0);
  weft__sys_clear();
  CHECK(!is_blocking(0));
  expect_line(s, "line\n");
  CHECK_INT(weft_stream_close(s), 0);
  return 0;
}

static int use_a_socket(void *arg) {
  (void)arg;
  weft_stream *s = NULL;
  CHECK_INT(weft_stdin(&s), 0);
  CHECK(!is_blocking(0));
  expect_line(s, "line\n");
  CHECK_INT(weft_stream_close(s), 0);
  return 0;
}

static int in_child(void *fn) {
  int r = weft_run(*(weft_fn *)fn, NULL, NULL);
  exit(r < 0 || weft_test_failed());
}

/* In a child with fds[0] as its input, which others share. */
static void expect_changed_for_a_while(const int fds[2], weft_fn fn) {
  write_all(fds[1], "line\n");
  int shared = fcntl(fds[0], F_DUPFD_CLOEXEC, 10);
  int before = put(fds[0], 0);
  struct child_end end = child_run(in_child, &fn);
  put_back(before, 0);
  CHECK_INT(child_exit_code(&end), 0);
  CHECK(is_blocking(shared));
  close(shared);
  close(fds[1]);
}

static void a_shared_socket_is_put_back_at_exit(void **state) {
  (void)state;
  int fds[2];
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  expect_changed_for_a_while(fds, use_a_socket);
}

/* One after the other in the place of descriptor 0. */
static int use_two_sockets(void *arg) {
  const int *second = arg;
  use_a_socket(NULL);
  CHECK_INT(dup2(*second, 0), 0);
  CHECK(is_blocking(0));
  return use_a_socket(NULL);
}

static int use_two(void *arg) {
  int r = weft_run(use_two_sockets, arg, NULL);
  exit(r < 0 || weft_test_failed());
}

static void each_of_several_is_put_back(void **state) {
  (void)state;
  int first[2], second[2];
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first), 0);
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second), 0);
  write_all(first[1], "line\n");
  write_all(second[1], "line\n");
  int shared = fcntl(first[0], F_DUPFD_CLOEXEC, 10);
  int before = put(first[0], 0);
  struct child_end end = child_run(use_two, &second[0]);
  put_back(before, 0);
  CHECK_INT(child_exit_code(&end), 0);
  CHECK(is_blocking(shared));
  CHECK(is_blocking(second[0]));
  close(shared);
  close(first[1]);
  close(second[0]);
  close(second[1]);
}

static void a_shared_pipe_that_cannot_be_reopened_is_put_back_at_exit(void **state) {
  (void)state;
  int fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  expect_changed_for_a_while(fds, use_a_pipe_that_cannot_be_reopened);
}

/* ---- terminals ---- */

TASK_TEST(a_terminal_tells_its_size) {
  struct terminal t = terminal_open();
  struct winsize size = {.ws_col = 132, .ws_row = 43};
  int columns = 0, rows = 0;
  CHECK_INT(ioctl(t.control, TIOCSWINSZ, &size), 0);
  CHECK(weft_tty_is(t.fd));
  CHECK_INT(weft_tty_size(t.fd, &columns, &rows), 0);
  CHECK_INT(columns, 132);
  CHECK_INT(rows, 43);
  CHECK_INT(weft_tty_size(t.fd, NULL, NULL), 0);
  close(t.fd);
  close(t.control);
}

TASK_TEST(what_is_no_terminal_is_told_so) {
  int columns = -7, fds[2];
  CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
  CHECK(!weft_tty_is(fds[0]));
  CHECK_INT(weft_tty_size(fds[0], &columns, NULL), WEFT_ENOTTY);
  CHECK_INT(columns, -7);
  CHECK_INT(weft_tty_set_mode(fds[0], WEFT_TTY_RAW), WEFT_ENOTTY);
  close(fds[0]);
  close(fds[1]);
  CHECK(!weft_tty_is(-1));
  CHECK_INT(weft_tty_size(-1, NULL, NULL), WEFT_EBADF);
  CHECK_INT(weft_tty_set_mode(-1, WEFT_TTY_RAW), WEFT_EBADF);
}

TASK_TEST(a_mode_is_set_and_taken_back) {
  struct terminal t = terminal_open();
  tcflag_t before = local_modes(t.fd);
  CHECK_INT(weft_tty_set_mode(t.fd, (enum weft_tty_mode)7), WEFT_EINVAL);
  CHECK_INT(weft_tty_set_mode(t.fd, WEFT_TTY_NORMAL), 0); /* it is */
  CHECK_INT(weft_tty_set_mode(t.fd, WEFT_TTY_RAW), 0);
  CHECK_UINT(local_modes(t.fd) & (ICANON | ECHO | ISIG), 0);
  CHECK_INT(weft_tty_set_mode(t.fd, WEFT_TTY_CBREAK), 0);
  CHECK_UINT(local_modes(t.fd) & (ICANON | ECHO | ISIG), ISIG);
  CHECK_INT(weft_tty_set_mode(t.fd, WEFT_TTY_NORMAL), 0);
  CHECK_UINT(local_modes(t.fd), before);
  CHECK_INT(weft_tty_set_mode(t.fd, WEFT_TTY_RAW), 0);
  weft_tty_restore();
  CHECK_UINT(local_modes(t.fd), before);
  CHECK_INT(weft_tty_set_mode(t.fd, WEFT_TTY_NORMAL), 0);
  close(t.fd);
  close(t.control);
}

TASK_TEST(a_raw_terminal_gives_keys_as_they_come) {
  weft_stream *s = NULL;
  char c = 0;
  struct terminal t = terminal_open();
  int before = put(t.fd, 0);
  CHECK_INT(weft_tty_set_mode(0, WEFT_TTY_RAW), 0);
  if (CHECK_INT(weft_stdin(&s), 0)) {
    write_all(t.control, "\3");
    CHECK_INT(weft_read(s, &c, 1), 1);
    CHECK_INT(c, 3);
    CHECK_INT(weft_stream_close(s), 0);
  }
  CHECK_INT(weft_tty_set_mode(0, WEFT_TTY_NORMAL), 0);
  put_back(before, 0);
  close(t.control);
}

TASK_TEST(there_is_a_limit_to_changed_terminals) {
  struct terminal t[WEFT_TTYS + 1];
  for (int i = 0; i <= WEFT_TTYS; i++) t[i] = terminal_open();
  for (int i = 0; i < WEFT_TTYS; i++) CHECK_INT(weft_tty_set_mode(t[i].fd, WEFT_TTY_RAW), 0);
  CHECK_INT(weft_tty_set_mode(t[WEFT_TTYS].fd, WEFT_TTY_RAW), WEFT_ENOSPC);
  CHECK_INT(weft_tty_set_mode(t[0].fd, WEFT_TTY_NORMAL), 0);
  CHECK_INT(weft_tty_set_mode(t[WEFT_TTYS].fd, WEFT_TTY_RAW), 0);
  for (int i = 0; i <= WEFT_TTYS; i++) {
    CHECK_INT(weft_tty_set_mode(t[i].fd, WEFT_TTY_NORMAL), 0);
    close(t[i].fd);
    close(t[i].control);
  }
}

static int leave_raw(void *fd) {
  CHECK_INT(weft_tty_set_mode(*(int *)fd, WEFT_TTY_RAW), 0);
  exit(weft_test_failed());
}

static void a_terminal_is_put_back_at_exit(void **state) {
  (void)state;
  struct terminal t = terminal_open();
  tcflag_t before = local_modes(t.fd);
  struct child_end end = child_run(leave_raw, &t.fd);
  CHECK_INT(child_exit_code(&end), 0);
  CHECK_UINT(local_modes(t.fd), before);
  close(t.fd);
  close(t.control);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_pipe_is_read_and_stays_blocking_for_others),
    cmocka_unit_test(a_file_is_read_from_where_it_is),
    cmocka_unit_test(a_file_that_is_not_in_memory_is_read_by_the_pool),
    cmocka_unit_test(an_error_of_a_file_is_told_and_not_kept),
    cmocka_unit_test(an_empty_input_ends_at_once),
    cmocka_unit_test(what_is_typed_at_a_terminal_is_read),
    cmocka_unit_test(the_controlling_side_of_a_terminal_is_the_same_one),
    cmocka_unit_test(a_file_is_written_at_its_end),
    cmocka_unit_test(a_pipe_that_is_full_is_waited_for),
    cmocka_unit_test(a_pipe_that_nobody_reads_is_an_error),
    cmocka_unit_test(errors_have_a_stream_too),
    cmocka_unit_test(what_is_not_open_that_way_is_refused),
    cmocka_unit_test(without_descriptors_there_is_no_stream),
    cmocka_unit_test(a_shared_socket_is_put_back_at_exit),
    cmocka_unit_test(each_of_several_is_put_back),
    cmocka_unit_test(a_shared_pipe_that_cannot_be_reopened_is_put_back_at_exit),
    cmocka_unit_test(a_terminal_tells_its_size),
    cmocka_unit_test(what_is_no_terminal_is_told_so),
    cmocka_unit_test(a_mode_is_set_and_taken_back),
    cmocka_unit_test(a_raw_terminal_gives_keys_as_they_come),
    cmocka_unit_test(there_is_a_limit_to_changed_terminals),
    cmocka_unit_test(a_terminal_is_put_back_at_exit),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
