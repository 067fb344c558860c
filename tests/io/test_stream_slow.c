/* Slow peers: one byte at a time in both directions, clients that do not read, clients that read a little
 * now and then. */
#include <stdlib.h>

#include "base/memory.h"
#include "parked.h"
#include "peer.h"

/* ---- one byte at a time ---- */

enum { BYTES = COUNTS_PICK(4000, 2000, 500) };

static int echo_lines(void *stream) {
  char *line;
  ssize_t n;
  while ((n = weft_read_line(stream, &line)) > 0) {
    int r = weft_write(stream, line, (size_t)n);
    if (r < 0) return r;
  }
  return (int)n;
}

/* Numbers as text, a line each: the byte at a place of it. */
static char text_at(int i) {
  return (char)(i % 7 == 6 ? '\n' : 'a' + i % 23);
}

static int send_bytes(void *arg) {
  int fd = *(int *)arg, n = count(BYTES) / 7 * 7, r;
  for (int i = 0; i < n; i++)
    if ((r = peer_send(fd, &(char){text_at(i)}, 1)) < 0) return r;
  return weft__sys_shutdown(fd, SHUT_WR);
}

TASK_TEST(lines_that_come_byte_by_byte_go_back_byte_by_byte) {
  struct peer p = peer_open();
  int n = count(BYTES) / 7 * 7;
  weft_task echo = weft_spawn(echo_lines, p.s, NULL), sender = weft_spawn(send_bytes, &p.fd, NULL);
  for (int i = 0; i < n; i++) {
    char c;
    if (!CHECK_INT(peer_receive_some(p.fd, &c, 1), 1) || !CHECK_INT(c, text_at(i))) break;
  }
  CHECK_INT(weft_await(sender), 0);
  CHECK_INT(weft_await(echo), 0);
  CHECK_INT(weft_stream_close(p.s), 0);
  peer_close(p.fd);
}

static int write_bytes(void *stream) {
  int n = count(BYTES), r;
  for (int i = 0; i < n; i++)
    if ((r = weft_write(stream, &(char){byte_at((uint64_t)i)}, 1)) < 0) return r;
  return weft_stream_shutdown_write(stream);
}

static int read_bytes(void *stream) {
  int n = count(BYTES);
  for (int i = 0; i < n; i++) {
    char c;
    ssize_t r = weft_read(stream, &c, 1);
    if (r <= 0) return r < 0 ? (int)r : WEFT_EOF;
    if (!CHECK_INT(c, byte_at((uint64_t)i))) return OWN_ERROR;
  }
  char c;
  return (int)weft_read(stream, &c, 1);
}

/* Four tasks on two streams, all of them at it at once. */
TASK_TEST(both_sides_write_and_read_byte_by_byte_at_once) {
  int fds[2];
  if (counts_simulated())
    fd_pair(fds);
  else
    tcp_pair(fds);
  struct pair p = {stream_of(fds[0]), stream_of(fds[1])};
  CHECK_INT(weft_stream_set_nodelay(p.a, true), 0);
  weft_group g = WEFT_GROUP_INIT;
  weft_group_spawn(&g, write_bytes, p.a, NULL);
  weft_group_spawn(&g, read_bytes, p.a, NULL);
  weft_group_spawn(&g, write_bytes, p.b, NULL);
  weft_group_spawn(&g, read_bytes, p.b, NULL);
  CHECK_INT(weft_group_join(&g), 0);
  pair_close(&p);
}

/* ---- clients that do not read ---- */

enum { STUCK = COUNTS_PICK(16, 8, 4) };

/* More than the buffers of a connection hold that is not read. */
static size_t much(void) {
  return counts_simulated() ? 256 << 10 : 16 << 20;
}

struct stuck {
  weft_stream *s;
  const char *data;
  size_t len;
  size_t sent;
  int code;
};

static int write_much(void *arg) {
  struct stuck *w = arg;
  return w->code = weft_write_counted(w->s, w->data, w->len, &w->sent);
}

static char *much_data(void) {
  char *data = weft__alloc(much());
  CHECK(data != NULL);
  fill_bytes(data, 0, much());
  return data;
}

static uint64_t live_bytes(void) {
  struct weft__memory_stats m;
  weft__memory_stats(&m);
  return m.live_bytes;
}

/* What has gone to a peer that did not read is there, and nothing else. */
static void expect_sent(int fd, size_t sent) {
  static char buf[1 << 16];
  size_t got = 0;
  ssize_t n;
  while ((n = peer_receive_some(fd, buf, sizeof buf)) > 0) {
    if (!check_bytes(buf, got, (size_t)n)) return;
    got += (size_t)n;
  }
  CHECK_INT(n, 0);
  CHECK_UINT(got, sent);
}

/* They hold up nobody else and cost no memory; a cancel says what each was sent. */
TASK_TEST(clients_that_do_not_read_hold_up_nobody_else) {
  struct peer peers[STUCK], good = peer_open();
  int stuck = counts_simulated() ? 3 : STUCK;
  struct stuck writers[STUCK];
  weft_task tasks[STUCK];
  char *data = much_data(), buf[8];
  for (int i = 0; i < stuck; i++) {
    peers[i] = peer_open();
    writers[i] = (struct stuck){.s = peers[i].s, .data = data, .len = much()};
  }
  uint64_t before = live_bytes();
  for (int i = 0; i < stuck; i++) tasks[i] = spawn_parked(write_much, &writers[i]);
  weft_task echo = weft_spawn(echo_lines, good.s, NULL);
  for (int i = 0; i < count(200); i++) {
    CHECK_INT(peer_send(good.fd, "hello!\n", 7), 0);
    if (!CHECK_INT(peer_receive(good.fd, buf, 7), 7)) break;
  }
  CHECK(live_bytes() - before <
        (uint64_t)stuck * 4096 + (256 << 10)); /* tasks, and the echo's line */
  for (int i = 0; i < stuck; i++) {
    CHECK_INT(weft_cancel(tasks[i]), 1);
    CHECK_INT(weft_await(tasks[i]), WEFT_ECANCELED);
    CHECK(writers[i].sent < much());
    CHECK_INT(weft_stream_close(peers[i].s), 0);
    expect_sent(peers[i].fd, writers[i].sent);
    peer_close(peers[i].fd);
  }
  peer_close(good.fd);
  CHECK_INT(weft_await(echo), 0);
  CHECK_INT(weft_stream_close(good.s), 0);
  weft__free(data);
}

TASK_TEST(a_deadline_cuts_a_write_that_is_not_read_and_it_can_go_on) {
  struct peer p = peer_open();
  char *data = much_data();
  weft_timeout scope;
  size_t sent = 0;
  weft_timeout_begin(&scope, weft_ms(5));
  int r = weft_write_counted(p.s, data, much(), &sent);
  CHECK_INT(weft_timeout_end(&scope, r), WEFT_ETIMEDOUT);
  CHECK(sent < much());
  struct stuck rest = {.s = p.s, .data = data, .len = much()};
  weft_task t = weft_spawn(write_much, &rest, NULL); /* begins again at the first byte */
  static char buf[1 << 16];
  for (size_t got = 0; got < sent + much();) {
    size_t most = got < sent && sent - got < sizeof buf ? sent - got : sizeof buf;
    ssize_t n = peer_receive_some(p.fd, buf, most);
    if (!CHECK(n > 0) || !check_bytes(buf, got < sent ? got : got - sent, (size_t)n)) break;
    got += (size_t)n;
  }
  CHECK_INT(weft_await(t), 0);
  CHECK_UINT(rest.sent, much());
  CHECK_INT(weft_stream_close(p.s), 0);
  peer_close(p.fd);
  weft__free(data);
}

/* Until the news of the end has arrived the system takes bytes. */
static int write_until_it_fails(void *arg) {
  struct stuck *w = arg;
  size_t sent;
  for (int r;; w->sent += sent)
    if ((r = weft_write_counted(w->s, w->data, much(), &sent)) < 0) return w->code = r;
}

static void stuck_until(void (*end)(int fd)) {
  struct peer p = peer_open();
  char *data = much_data();
  struct stuck w = {.s = p.s, .data = data, .len = much()};
  weft_task t = spawn_parked(write_until_it_fails, &w);
  end(p.fd);
  int r = weft_await(t);
  CHECK(r == WEFT_ECONNRESET || r == WEFT_EPIPE);
  CHECK(weft_write(p.s, "x", 1) < 0); /* and all later ones */
  weft_stream_close(p.s);
  weft__free(data);
}

TASK_TEST(a_reset_ends_a_write_that_waits) {
  stuck_until(peer_reset);
  stuck_until(peer_close); /* with bytes unread, that is one too */
}

static int close_stream(void *stream) {
  return weft_stream_close(stream);
}

/* A close of one's own flushes nothing that a write holds: that write is cut. */
TASK_TEST(a_close_ends_a_write_that_waits) {
  struct peer p = peer_open();
  char *data = much_data();
  struct stuck w = {.s = p.s, .data = data, .len = much()};
  weft_task t = spawn_parked(write_much, &w);
  CHECK_INT(close_stream(p.s), 0);
  CHECK_INT(weft_await(t), WEFT_ECLOSED);
  expect_sent(p.fd, w.sent);
  peer_close(p.fd);
  weft__free(data);
}

/* ---- clients that read a little ---- */

TASK_TEST(a_client_that_reads_in_drips_gets_all_of_it) {
  struct peer p = peer_open();
  char *data = much_data(), buf[1000];
  struct stuck w = {.s = p.s, .data = data, .len = counts_simulated() ? 20000 : much()};
  weft_task t = weft_spawn(write_much, &w, NULL);
  for (size_t got = 0; got < w.len;) {
    ssize_t n = peer_receive_some(p.fd, buf, 1 + got % sizeof buf);
    if (!CHECK(n > 0) || !check_bytes(buf, got, (size_t)n)) break;
    got += (size_t)n;
    if (got % 7 == 0) weft_yield();
  }
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_stream_close(p.s), 0);
  CHECK_INT(peer_receive(p.fd, buf, 1), 0);
  peer_close(p.fd);
  weft__free(data);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lines_that_come_byte_by_byte_go_back_byte_by_byte),
    cmocka_unit_test(both_sides_write_and_read_byte_by_byte_at_once),
    cmocka_unit_test(clients_that_do_not_read_hold_up_nobody_else),
    cmocka_unit_test(a_deadline_cuts_a_write_that_is_not_read_and_it_can_go_on),
    cmocka_unit_test(a_reset_ends_a_write_that_waits),
    cmocka_unit_test(a_close_ends_a_write_that_waits),
    cmocka_unit_test(a_client_that_reads_in_drips_gets_all_of_it),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
