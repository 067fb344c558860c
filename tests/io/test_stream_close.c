/* How streams begin and end: adopting, closing, aborting, while others use them. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/descriptor.h"
#include "log_capture.h"
#include "parked.h"
#include "stream_pair.h"

static int read_one(void *arg) {
  char c;
  ssize_t n = weft_read(arg, &c, 1);
  return n < 0 ? (int)n : (int)n + 1;
}
static int read_line(void *arg) {
  char *line;
  ssize_t n = weft_read_line(arg, &line);
  return n < 0 ? (int)n : (int)n + 1;
}
static int wait_for_bytes(void *arg) {
  return weft_wait_readable(arg);
}
static int write_large(void *arg) {
  static char buf[LARGE_MOST];
  return weft_write(arg, buf, large_size());
}
static int write_one(void *arg) {
  return weft_write(arg, "x", 1);
}
static int wait_for_room(void *arg) {
  return weft_wait_writable(arg);
}
static int close_it(void *arg) {
  return weft_stream_close(arg);
}

/* ---- close and abort while others are inside ---- */

struct users {
  weft_task reader, writer, queued, waiter;
};

/* A reader and three writers, all of which wait. */
static struct users begin_users(weft_stream *s, weft_fn reader) {
  struct users u;
  u.reader = spawn_parked(reader, s);
  u.writer = spawn_parked(write_large, s);
  u.queued = spawn_parked(write_one, s);
  u.waiter = spawn_parked(wait_for_room, s);
  return u;
}

static void end_users(const struct users *u) {
  int r = weft_await(u->reader);
  CHECK(r == WEFT_ECLOSED || (weft_simulated() && r == 0)); /* a wait that ended for nothing */
  CHECK_INT(weft_await(u->writer), WEFT_ECLOSED);
  CHECK_INT(weft_await(u->queued), WEFT_ECLOSED);
  CHECK_INT(weft_await(u->waiter), WEFT_ECLOSED);
}

TASK_TEST(a_close_ends_the_calls_of_others) {
  static const weft_fn readers[] = {read_one, read_line, wait_for_bytes};
  for (size_t i = 0; i < 3; i++) {
    struct pair p = pair_open();
    struct users u = begin_users(p.a, readers[i]);
    CHECK_INT(weft_stream_close(p.a), 0);
    end_users(&u);
    CHECK_INT(weft_stream_close(p.b), 0);
  }
}

TASK_TEST(an_abort_ends_the_calls_of_others) {
  struct pair p = pair_open();
  struct users u = begin_users(p.a, read_line);
  CHECK(!weft_stream_is_closing(p.a));
  CHECK_INT(weft_stream_abort(p.a), 0);
  CHECK(weft_stream_is_closing(p.a));
  end_users(&u);
  pair_close(&p);
}

/* With something buffered the close first waits for the turn, which the others give up. */
TASK_TEST(a_close_that_flushes_ends_the_calls_of_others) {
  struct pair p = pair_open();
  static char buf[LARGE_MOST];
  fill_bytes(buf, 0, sizeof buf);
  weft_stream_counts c;
  CHECK_INT(weft_write_buffered(p.a, buf, large_size()), 0);
  CHECK_INT(weft_stream_count(p.a, &c), 0);
  CHECK(c.write_buffered > 0);
  weft_task reader = spawn_parked(read_line, p.a), writer = spawn_parked(write_one, p.a);
  weft_task t = spawn_parked(close_it, p.a);
  CHECK_INT(weft_await(reader), WEFT_ECLOSED);
  CHECK_INT(weft_await(writer), WEFT_ECLOSED);
  char in[8192];
  size_t got = 0;
  ssize_t n;
  while ((n = weft_read(p.b, in, sizeof in)) > 0) {
    CHECK(check_bytes(in, got, (size_t)n));
    got += (size_t)n;
  }
  CHECK_INT(n, 0);
  CHECK_UINT(got, large_size());
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_stream_close(p.b), 0);
}

/* A message that is cut by the close is not followed by another. */
TASK_TEST(a_close_does_not_flush_behind_a_write_that_it_cuts) {
  struct pair p = pair_open();
  weft_task writer = spawn_parked(write_large, p.a);
  CHECK_INT(weft_write_buffered(p.a, "XYZ", 3), 0);
  CHECK_INT(weft_stream_close(p.a), WEFT_ESTATE);
  CHECK_INT(weft_await(writer), WEFT_ECLOSED);
  char in[8192];
  ssize_t n;
  while ((n = weft_read(p.b, in, sizeof in)) > 0)
    for (ssize_t i = 0; i < n; i++)
      if (in[i] != 0) CHECK_INT(in[i], 0);
  CHECK(n == 0 || n == WEFT_ECONNRESET);
  CHECK_INT(weft_stream_close(p.b), 0);
}

TASK_TEST(after_an_abort_every_call_is_refused) {
  struct pair p = pair_open();
  char c, *data;
  size_t sent = 7;
  struct iovec part = {"x", 1};
  weft_addr a;
  CHECK_INT(write_text(p.b, "bytes\n"), 0);
  CHECK_INT(weft_peek(p.a, 1, &data) > 0, 1);
  CHECK_INT(weft_stream_abort(p.a), 0);
  CHECK_INT(weft_stream_abort(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_read(p.a, &c, 1), WEFT_ECLOSED);
  CHECK_INT(weft_read(p.a, &c, 0), WEFT_ECLOSED);
  CHECK_INT(weft_try_read(p.a, &c, 1), WEFT_ECLOSED);
  CHECK_INT(weft_read_exactly(p.a, &c, 1), WEFT_ECLOSED);
  CHECK_INT(weft_read_line(p.a, &data), WEFT_ECLOSED);
  CHECK_INT(weft_read_until(p.a, "x", 1, &data), WEFT_ECLOSED);
  CHECK_INT(weft_read_all(p.a, 0, &data), WEFT_ECLOSED);
  CHECK_INT(weft_read_lent(p.a, &data), WEFT_ECLOSED);
  CHECK_INT(weft_peek(p.a, 1, &data), WEFT_ECLOSED);
  CHECK_INT(weft_wait_readable(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_stream_set_limit(p.a, 1), WEFT_ECLOSED);
  CHECK_INT(write_text(p.a, "x"), WEFT_ECLOSED);
  CHECK_INT(weft_writev(p.a, &part, 1), WEFT_ECLOSED);
  CHECK_INT(weft_write_counted(p.a, "x", 1, &sent), WEFT_ECLOSED);
  CHECK_UINT(sent, 0);
  CHECK_INT(weft_write_some(p.a, "x", 1), WEFT_ECLOSED);
  CHECK_INT(weft_try_write(p.a, "x", 1), WEFT_ECLOSED);
  CHECK_INT(weft_write_buffered(p.a, "x", 1), WEFT_ECLOSED);
  CHECK_INT(weft_drain(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_flush(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_wait_writable(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_stream_shutdown_write(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_stream_fd(p.a), WEFT_ECLOSED);
  CHECK_INT(weft_stream_peer(p.a, &a), WEFT_ECLOSED);
  CHECK_INT(weft_stream_set_nodelay(p.a, true), WEFT_ECLOSED);
  pair_close(&p);
}

static int close_twice(void *arg) {
  return weft_stream_close(arg);
}

/* One waits in its flush; the other is told so, and the memory is there until the first is done. */
TASK_TEST(a_second_close_meanwhile_is_told_so) {
  struct pair p = pair_open();
  static char buf[LARGE_MOST];
  CHECK_INT(weft_write_buffered(p.a, buf, large_size()), 0);
  weft_task t = spawn_parked(close_twice, p.a);
  CHECK_INT(weft_stream_close(p.a), WEFT_ESTALE);
  CHECK_INT(weft_stream_abort(p.a), 0); /* which ends the flush */
  CHECK_INT(weft_await(t), WEFT_ECLOSED);
  CHECK_INT(weft_stream_close(p.b), 0);
}

TASK_TEST(no_stream_is_closed_at_once) {
  CHECK_INT(weft_stream_close(NULL), 0);
  CHECK_INT(weft_stream_close_fn(NULL), 0);
  CHECK_INT(weft_stream_abort(NULL), WEFT_EINVAL);
  CHECK(!weft_stream_is_closing(NULL));
  CHECK(!weft_stream_can_shutdown_write(NULL));
  CHECK_INT(weft_stream_fd(NULL), WEFT_EINVAL);
}

/* Again and again, at every moment of a read and a write. */
TASK_TEST(a_close_meets_reads_and_writes) {
  for (int i = 0; i < count(300); i++) {
    struct pair p = pair_open();
    /* A call that has not begun must not find the stream gone. */
    weft_task r = spawn_parked(read_one, p.a), w = spawn_parked(write_large, p.a);
    if (i % 2) CHECK_INT(write_text(p.b, "y"), 0);
    for (int k = i % 5; k > 0; k--) weft_yield();
    CHECK_INT(i % 3 ? weft_stream_close(p.a) : weft_stream_abort(p.a), 0);
    int code = weft_await(r);
    CHECK(code == WEFT_ECLOSED || code == 2);
    CHECK_INT(weft_await(w), WEFT_ECLOSED);
    if (i % 3 == 0) CHECK_INT(weft_stream_close(p.a), 0);
    CHECK_INT(weft_stream_close(p.b), 0);
  }
}

/* ---- what the peer sees ---- */

TASK_TEST(IO7_an_abort_resets_the_connection) {
  if (counts_simulated()) weft_test_skip("a connection of the kernel");
  int fds[2];
  tcp_pair(fds);
  weft_stream *a = stream_of(fds[0]), *b = stream_of(fds[1]);
  CHECK_INT(write_text(a, "x"), 0);
  CHECK(expect_bytes(b, "x"));
  CHECK_INT(weft_stream_abort(a), 0);
  char c;
  CHECK_INT(weft_read(b, &c, 1), WEFT_ECONNRESET);
  CHECK_INT(weft_stream_close(a), 0);
  CHECK_INT(weft_stream_close(b), 0);
}

/* The peer has closed, but whoever reads nothing does not know: writing finds out. */
TASK_TEST(a_half_open_peer_is_found_out_by_writing) {
  if (counts_simulated()) weft_test_skip("a connection of the kernel");
  int fds[2];
  tcp_pair(fds);
  weft_stream *s = stream_of(fds[0]);
  CHECK_INT(weft__sys_close(fds[1]), 0);
  int r = 0;
  for (int i = 0; r == 0 && i < 1000; i++) {
    r = write_text(s, "x");
    weft_yield();
  }
  CHECK(r == WEFT_EPIPE || r == WEFT_ECONNRESET);
  CHECK_INT(weft_stream_close(s), 0);
}

/* ---- adopting ---- */

TASK_TEST(what_is_no_stream_is_refused) {
  weft_stream *s = NULL;
  CHECK_INT(weft_stream_from_fd(&s, -1), WEFT_EBADF);
  CHECK_INT(weft_stream_from_fd(NULL, 0), WEFT_EINVAL);
  if (counts_simulated()) return;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK_INT(weft_stream_from_fd(&s, fd), WEFT_EPERM);
  CHECK_INT(close(fd), 0); /* it is still the caller's */
  fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK_INT(weft_stream_from_fd(&s, fd), WEFT_EPERM);
  CHECK_INT(close(fd), 0);
  fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK_INT(weft_stream_from_fd(&s, fd), WEFT_EPROTOTYPE);
  CHECK_INT(close(fd), 0);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(listen(fd, 1), 0);
  CHECK_INT(weft_stream_from_fd(&s, fd), WEFT_EINVAL);
  CHECK_INT(close(fd), 0);
  CHECK_PTR(s, NULL);
}

TASK_TEST(pipes_are_streams_of_one_direction) {
  int fds[2];
  be_without_resets();
  CHECK_INT(weft__sys_pipe2(fds, O_CLOEXEC), 0);
  weft_stream *in = stream_of(fds[0]), *out = stream_of(fds[1]);
  CHECK(weft__sys_fcntl(fds[0], F_GETFL, 0) & O_NONBLOCK);
  CHECK_INT(weft_stream_fd(in), fds[0]);
  weft_task t = spawn_parked(read_one, in);
  CHECK_INT(write_text(out, "x"), 0);
  CHECK_INT(weft_await(t), 2);
  struct iovec parts[] = {{"one ", 4}, {"two\n", 4}};
  CHECK_INT(weft_writev(out, parts, 2), 0);
  CHECK(expect_line(in, "one two\n"));
  CHECK(!weft_stream_can_shutdown_write(out));
  CHECK_INT(weft_stream_shutdown_write(out), WEFT_ENOTSOCK);
  weft_addr a;
  CHECK_INT(weft_stream_peer(out, &a), WEFT_ENOTSOCK);
  CHECK_INT(weft_stream_set_nodelay(out, true), WEFT_ENOTSOCK);
  char c;
  CHECK_INT(weft_read(out, &c, 1), WEFT_EBADF);
  CHECK_INT(write_text(in, "x"), WEFT_EBADF);
  CHECK_INT(weft_stream_close(out), 0);
  CHECK_INT(weft_read(in, &c, 1), 0);
  CHECK_INT(weft_stream_close(in), 0);
}

TASK_TEST(a_pipe_whose_reader_has_gone) {
  int fds[2];
  be_without_resets();
  CHECK_INT(weft__sys_pipe2(fds, O_CLOEXEC), 0);
  weft_stream *out = stream_of(fds[1]);
  weft_task t = spawn_parked(write_large, out);
  CHECK_INT(weft__sys_close(fds[0]), 0);
  CHECK_INT(weft_await(t), WEFT_EPIPE);
  CHECK_INT(weft_stream_close(out), 0);
}

TASK_TEST(names_and_options_of_a_connection) {
  if (counts_simulated()) weft_test_skip("a connection of the kernel");
  int fds[2];
  tcp_pair(fds);
  weft_stream *a = stream_of(fds[0]), *b = stream_of(fds[1]);
  weft_addr local, peer;
  CHECK_INT(weft_stream_local(a, &local), 0);
  CHECK_INT(weft_stream_peer(b, &peer), 0);
  CHECK(weft_addr_equal(&local, &peer));
  CHECK(weft_addr_is_loopback(&peer));
  CHECK_INT(weft_stream_local(a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_nodelay(a, true), 0);
  CHECK_INT(weft_stream_set_keepalive(a, 30, 5, 3), 0);
  CHECK_INT(weft_stream_set_keepalive(a, -1, 0, 0), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_buffers(a, 10000, 0), 0);
  CHECK_INT(weft_stream_set_buffers(a, -1, 0), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_linger(a, 0), 0);
  CHECK_INT(weft_stream_set_linger(a, -1), 0);
  CHECK_INT(weft_stream_set_linger(a, -2), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_linger(a, 1), WEFT_EINVAL);
  int on = 0;
  socklen_t len = sizeof on;
  CHECK_INT(getsockopt(weft_stream_fd(a), SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
  CHECK_INT(on, 1);
  CHECK_INT(weft_stream_set_keepalive(a, 0, 0, 0), 0);
  CHECK_INT(getsockopt(weft_stream_fd(a), SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
  CHECK_INT(on, 0);
  CHECK_INT(weft_stream_close(a), 0);
  CHECK_INT(weft_stream_close(b), 0);
}

static struct linger linger_of(weft_stream *s) {
  struct linger l = {-1, -1};
  socklen_t len = sizeof l;
  CHECK_INT(getsockopt(weft_stream_fd(s), SOL_SOCKET, SO_LINGER, &l, &len), 0);
  return l;
}

/* The kernel would stop the worker that closes it until the peer has taken all, or for that long. */
TASK_TEST(a_socket_that_lingers_is_closed_at_once) {
  if (counts_simulated()) weft_test_skip("a connection of the kernel");
  static const int seconds[] = {20, 0};
  for (int i = 0; i < 2; i++) {
    int fds[2];
    tcp_pair(fds);
    struct linger l = {.l_onoff = 1, .l_linger = seconds[i]};
    CHECK_INT(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
    weft_stream *a = stream_of(fds[0]);
    CHECK_INT(linger_of(a).l_onoff, seconds[i] == 0); /* a reset it may be */
    char buf[8192] = {0};
    while (weft_try_write(a, buf, sizeof buf) > 0) {}
    weft_ns before = weft_now();
    CHECK_INT(weft_stream_close(a), 0);
    CHECK(weft_now() - before < weft_sec(15));
    CHECK_INT(close(fds[1]), 0);
  }
}

TASK_TEST(without_a_stream_nothing_is_done) {
  weft_addr addr;
  weft_stream_counts counts;
  struct pair p = pair_open();
  CHECK_INT(weft_stream_close(NULL), 0);
  CHECK_INT(weft_stream_close_fn(NULL), 0);
  CHECK_INT(weft_stream_abort(NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_fd(NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_peer(NULL, &addr), WEFT_EINVAL);
  CHECK_INT(weft_stream_local(NULL, &addr), WEFT_EINVAL);
  CHECK_INT(weft_stream_peer(p.a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_count(NULL, &counts), WEFT_EINVAL);
  CHECK_INT(weft_stream_count(p.a, NULL), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_nodelay(NULL, true), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_keepalive(NULL, 1, 1, 1), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_buffers(NULL, 1, 1), WEFT_EINVAL);
  CHECK_INT(weft_stream_set_linger(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_stream_from_fd(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_flush(NULL), WEFT_EINVAL);
  CHECK(!weft_stream_is_closing(NULL));
  CHECK(!weft_stream_can_shutdown_write(NULL));
  CHECK_UINT(weft_stream_overrun(NULL), 0);
  pair_close(&p);
}

/* ---- outside ---- */

static void outside_a_task_nothing_waits(void **state) {
  (void)state;
  if (counts_simulated()) weft_test_skip("descriptors of the kernel");
  int fds[2];
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  weft_stream *s = stream_of(fds[0]);
  char c, *line;
  CHECK_INT(weft_read(s, &c, 1), WEFT_ENOTASK);
  CHECK_INT(weft_read_line(s, &line), WEFT_ENOTASK);
  CHECK_INT(weft_wait_readable(s), WEFT_ENOTASK);
  CHECK_INT(weft_try_read(s, &c, 1), WEFT_ENOTASK);
  CHECK_INT(write_text(s, "x"), WEFT_ENOTASK);
  CHECK_INT(weft_try_write(s, "x", 1), WEFT_ENOTASK);
  CHECK_INT(weft_write_buffered(s, "x", 1), WEFT_ENOTASK);
  CHECK_INT(weft_drain(s), WEFT_ENOTASK);
  CHECK_INT(weft_stream_fd(s), fds[0]);
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(read(fds[1], &c, 1), 0); /* closed, and nothing was sent */
  close(fds[1]);
}

static int use_it(void *arg) {
  struct pair *p = arg;
  CHECK_INT(write_text(p->a, "x"), 0);
  CHECK(expect_bytes(p->b, "x"));
  return 0;
}

/* A stream may outlive the runtime that it was used in first. */
static void a_stream_in_two_runs(void **state) {
  (void)state;
  if (counts_simulated()) weft_test_skip("descriptors of the kernel");
  struct pair p = pair_open();
  for (int i = 0; i < 3; i++) CHECK_INT(weft_run(use_it, &p, NULL), 0);
  pair_close(&p);
  CHECK_UINT(weft__descriptors_open(), 0);
}

/* Bit by bit what did not answer WEFT_ECHILD. */
static unsigned use_in_child(weft_stream *s) {
  char c, *data;
  size_t sent;
  weft_stream *other;
  weft_stream_counts counts;
  weft_addr a;
  struct iovec part = {"x", 1};
  const ssize_t answers[] = {
      weft_read(s, &c, 1),
      weft_try_read(s, &c, 1),
      weft_read_exactly(s, &c, 1),
      weft_read_line(s, &data),
      weft_read_until(s, "x", 1, &data),
      weft_read_all(s, 0, &data),
      weft_read_lent(s, &data),
      weft_peek(s, 1, &data),
      weft_wait_readable(s),
      weft_stream_set_limit(s, 1),
      weft_write(s, "x", 1),
      weft_writev(s, &part, 1),
      weft_write_counted(s, "x", 1, &sent),
      weft_write_some(s, "x", 1),
      weft_try_write(s, "x", 1),
      weft_wait_writable(s),
      weft_write_buffered(s, "x", 1),
      weft_drain(s),
      weft_flush(s),
      weft_stream_set_write_limits(s, 0, 0, 0),
      weft_stream_shutdown_write(s),
      weft_stream_from_fd(&other, 0),
      weft_stream_abort(s),
      weft_stream_fd(s),
      weft_stream_peer(s, &a),
      weft_stream_count(s, &counts),
      weft_stream_set_nodelay(s, true),
      weft_stream_close(s),
  };
  unsigned wrong = 0;
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
    wrong |= (unsigned)(answers[i] != WEFT_ECHILD) << i;
  return wrong;
}

TASK_TEST(in_a_child_of_fork_every_call_is_echild) {
  if (counts_simulated()) weft_test_skip("a process of its own");
  struct pair p = pair_open();
  int fds[2];
  CHECK_INT(pipe(fds), 0);
  pid_t child = fork();
  if (child == 0) {
    unsigned wrong = use_in_child(p.a);
    _exit(write(fds[1], &wrong, sizeof wrong) != sizeof wrong);
  }
  unsigned wrong = ~0U;
  CHECK_INT(read(fds[0], &wrong, sizeof wrong), sizeof wrong);
  CHECK_UINT(wrong, 0);
  CHECK_INT(waitpid(child, NULL, 0), child);
  close(fds[0]);
  close(fds[1]);
  CHECK_INT(write_text(p.a, "x"), 0); /* the parent's goes on */
  CHECK(expect_bytes(p.b, "x"));
  pair_close(&p);
}

static int leave_one_open(void *arg) {
  struct pair *p = arg;
  *p = pair_open();
  return weft_stream_close(p->a);
}

static void in_debug_mode_a_stream_that_stays_open_is_reported(void **state) {
  (void)state;
  if (counts_simulated()) weft_test_skip("a simulation ends with all that it has opened");
  struct log_capture log = LOG_CAPTURE_INIT;
  struct pair p;
  weft_run_opts o = {.debug = true, .log = log_capture_line, .log_arg = &log};
  CHECK_INT(weft_run(leave_one_open, &p, &o), 0);
  CHECK_INT(log_capture_count(&log, "a stream opened at "), 1);
  CHECK(log.total == 1 || !log_capture_print(&log));
  CHECK_INT(weft_stream_close(p.b), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_close_ends_the_calls_of_others),
      cmocka_unit_test(an_abort_ends_the_calls_of_others),
      cmocka_unit_test(a_close_that_flushes_ends_the_calls_of_others),
      cmocka_unit_test(a_close_does_not_flush_behind_a_write_that_it_cuts),
      cmocka_unit_test(after_an_abort_every_call_is_refused),
      cmocka_unit_test(a_second_close_meanwhile_is_told_so),
      cmocka_unit_test(no_stream_is_closed_at_once),
      cmocka_unit_test(a_close_meets_reads_and_writes),
      cmocka_unit_test(IO7_an_abort_resets_the_connection),
      cmocka_unit_test(a_half_open_peer_is_found_out_by_writing),
      cmocka_unit_test(what_is_no_stream_is_refused),
      cmocka_unit_test(pipes_are_streams_of_one_direction),
      cmocka_unit_test(a_pipe_whose_reader_has_gone),
      cmocka_unit_test(names_and_options_of_a_connection),
      cmocka_unit_test(a_socket_that_lingers_is_closed_at_once),
      cmocka_unit_test(without_a_stream_nothing_is_done),
      cmocka_unit_test(outside_a_task_nothing_waits),
      cmocka_unit_test(a_stream_in_two_runs),
      cmocka_unit_test(in_a_child_of_fork_every_call_is_echild),
      cmocka_unit_test(in_debug_mode_a_stream_that_stays_open_is_reported),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
