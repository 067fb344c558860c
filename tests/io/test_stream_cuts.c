/* Connections that end where they should not. Method: a conversation of two requests and answers, of which
 * one side is a bare descriptor that moves only so many bytes, one by one, and then resets, closes or
 * half closes: at every point. The stream's side has to find out, and never to hang. */
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

/* A request is "len 5\n" and as many bytes; the answer "ok 5\n" and the same bytes. */
#define REQUEST "len 5\nabcde"
#define ANSWER "ok 5\nabcde"
enum {
  BODY = 5,
  REQUEST_LEN = 11,
  ANSWER_LEN = 10,
  EXCHANGE = REQUEST_LEN + ANSWER_LEN,
  ALL = 2 * EXCHANGE
};

static bool is_broken(int code) {
  return code == WEFT_ECONNRESET || code == WEFT_EPIPE;
}

/* ---- the two sides, over streams ---- */

/* What is read up to here is all or nothing: the end in the middle is an error. */
static int read_body(weft_stream *s, char *body, size_t len) {
  ssize_t n = weft_read_exactly(s, body, len);
  return n < 0 ? (int)n : n == 0 ? WEFT_EOF : 0;
}

static int read_head(weft_stream *s, const char *format, int *ret_len) {
  char *line, newline = 0;
  ssize_t n = weft_read_line(s, &line);
  if (n <= 0) return (int)n;
  if (sscanf(line, format, ret_len, &newline) != 2 || newline != '\n' || *ret_len > BODY)
    return WEFT_EOF; /* the end in the middle of the line */
  return 1;
}

static int serve(void *stream) {
  char body[BODY], head[16];
  int len, r;
  while ((r = read_head(stream, "len %d%c", &len)) > 0) {
    if ((r = read_body(stream, body, (size_t)len)) < 0) return r;
    snprintf(head, sizeof head, "ok %d\n", len);
    if ((r = write_text(stream, head)) < 0) return r;
    if ((r = weft_write(stream, body, (size_t)len)) < 0) return r;
  }
  return r;
}

static int ask_twice(void *stream) {
  char body[BODY];
  for (int i = 0, len, r; i < 2; i++) {
    if ((r = write_text(stream, REQUEST)) < 0) return r;
    r = read_head(stream, "ok %d%c", &len);
    if (r <= 0) return r < 0 ? r : WEFT_EOF;
    if ((r = read_body(stream, body, (size_t)len)) < 0) return r;
    CHECK(memcmp(body, "abcde", BODY) == 0);
  }
  return 0;
}

/* ---- the side that is cut ---- */

/* Moves bytes until `left` is used up or something ends. */
struct cut {
  int fd;
  int left;
  ssize_t end; /* of the last call: 0 for the end, or the error */
};

static bool cut_send(struct cut *c, const char *text) {
  for (; *text; text++) {
    if (c->left-- <= 0) return false;
    if ((c->end = peer_send(c->fd, text, 1)) < 0) return false;
  }
  return true;
}

static bool cut_receive(struct cut *c, const char *want) {
  for (char got; *want; want++) {
    if (c->left-- <= 0) return false;
    if ((c->end = peer_receive_some(c->fd, &got, 1)) <= 0) return false;
    if (!CHECK_INT(got, *want)) return false;
  }
  return true;
}

static void converse_as_client(struct cut *c) {
  for (int i = 0; i < 2; i++)
    if (!cut_send(c, REQUEST) || !cut_receive(c, ANSWER)) return;
}

static void converse_as_server(struct cut *c) {
  for (int i = 0; i < 2; i++)
    if (!cut_receive(c, REQUEST) || !cut_send(c, ANSWER)) return;
}

typedef void (*converse_fn)(struct cut *c);

/* Runs the conversation up to the point, ends it, and returns the other side's result. */
static int cut_at(int point, converse_fn converse, weft_fn other, void (*end)(int fd)) {
  struct peer p = peer_open();
  weft_task t = weft_spawn(other, p.s, NULL);
  struct cut c = {.fd = p.fd, .left = point, .end = 1};
  converse(&c);
  CHECK(c.end >= 0); /* whoever is not cut does not end */
  end(p.fd);
  int r = weft_await(t);
  weft_stream_close(p.s);
  return r;
}

TASK_TEST(a_server_sees_a_reset_at_every_point) {
  for (int point = 0; point <= ALL; point++) {
    int r = cut_at(point, converse_as_client, serve, peer_reset);
    if (!CHECK(is_broken(r))) CHECK_FAIL("at %d: %s", point, weft_err_name(r));
  }
}

TASK_TEST(a_client_sees_a_reset_at_every_point) {
  for (int point = 0; point <= ALL; point++) {
    int r = cut_at(point, converse_as_server, ask_twice, peer_reset);
    /* After the last byte it may have been read before the reset. */
    if (!CHECK(is_broken(r) || (r == 0 && point == ALL)))
      CHECK_FAIL("at %d: %s", point, weft_err_name(r));
  }
}

/* Within a request that is the end in the middle. Within an answer it may be a reset, since bytes were
 * not read, or the end: then all was written. */
TASK_TEST(a_server_sees_a_close_at_every_point) {
  for (int point = 0; point <= ALL; point++) {
    int r = cut_at(point, converse_as_client, serve, peer_close);
    int in_exchange = point % EXCHANGE;
    bool right = in_exchange == 0            ? r == 0
                 : in_exchange < REQUEST_LEN ? r == WEFT_EOF
                                             : r == 0 || is_broken(r);
    if (!CHECK(right)) CHECK_FAIL("at %d: %s", point, weft_err_name(r));
  }
}

TASK_TEST(a_client_sees_a_close_at_every_point) {
  for (int point = 0; point < ALL; point++) {
    int r = cut_at(point, converse_as_server, ask_twice, peer_close);
    if (!CHECK(r == WEFT_EOF || is_broken(r))) CHECK_FAIL("at %d: %s", point, weft_err_name(r));
  }
  CHECK_INT(cut_at(ALL, converse_as_server, ask_twice, peer_close), 0);
}

/* ---- half open ---- */

static void half_close(int fd) {
  CHECK_INT(weft__sys_shutdown(fd, SHUT_WR), 0);
}

/* What a client has asked in full before it half closes is answered in full. */
TASK_TEST(a_client_that_half_closes_at_any_point_gets_its_answers) {
  for (int point = 0; point <= ALL; point++) {
    struct peer p = peer_open();
    weft_task t = weft_spawn(serve, p.s, NULL);
    struct cut c = {.fd = p.fd, .left = point, .end = 1};
    converse_as_client(&c);
    half_close(p.fd);
    int in_exchange = point % EXCHANGE;
    int r = weft_await(t);
    bool asked = in_exchange == 0 || in_exchange >= REQUEST_LEN;
    if (!CHECK_INT(r, asked ? 0 : WEFT_EOF)) CHECK_FAIL("at %d", point);
    CHECK_INT(weft_stream_close(p.s), 0);
    char rest[2 * ANSWER_LEN];
    int left = in_exchange >= REQUEST_LEN ? EXCHANGE - in_exchange : 0;
    CHECK_INT(peer_receive(p.fd, rest, sizeof rest), left);
    CHECK(memcmp(rest, &ANSWER[ANSWER_LEN - left], (size_t)left) == 0);
    peer_close(p.fd);
  }
}

/* The other way round: who has half closed goes on reading for as long as the other one writes. */
TASK_TEST(after_a_half_close_reading_goes_on) {
  struct peer p = peer_open();
  char c;
  CHECK_INT(weft_stream_shutdown_write(p.s), 0);
  CHECK_INT(peer_receive(p.fd, &c, 1), 0);
  for (int i = 0; i < count(100); i++) {
    CHECK_INT(peer_send(p.fd, "line\n", 5), 0);
    expect_line(p.s, "line\n");
  }
  CHECK_INT(weft_write(p.s, "x", 1), WEFT_ESHUTDOWN);
  peer_close(p.fd);
  CHECK_INT(weft_read(p.s, &c, 1), 0);
  CHECK_INT(weft_stream_close(p.s), 0);
}

static int read_byte(void *stream) {
  char c;
  return (int)weft_read(stream, &c, 1);
}

/* A peer that says nothing is no end: only a deadline is, and after it the stream is what it was. */
TASK_TEST(a_silent_peer_is_waited_for_until_a_deadline) {
  struct peer p = peer_open();
  weft_timeout scope;
  weft_timeout_begin(&scope, weft_ms(2));
  int r = read_byte(p.s);
  CHECK_INT(weft_timeout_end(&scope, r), WEFT_ETIMEDOUT);
  CHECK_INT(peer_send(p.fd, "late\n", 5), 0);
  expect_line(p.s, "late\n");
  CHECK_INT(weft_stream_close(p.s), 0);
  peer_close(p.fd);
}

/* ---- an abort of one's own ---- */

struct aborting {
  weft_stream *s;
  int after; /* so many bytes read */
};

static int read_and_abort(void *arg) {
  struct aborting *a = arg;
  char buf[ALL];
  if (a->after && weft_read_exactly(a->s, buf, (size_t)a->after) != a->after) return WEFT_EOF;
  return weft_stream_abort(a->s);
}

TASK_TEST(an_abort_at_any_point_resets_the_peer) {
  for (int point = 0; point <= REQUEST_LEN; point++) {
    struct peer p = peer_open();
    struct aborting a = {p.s, point};
    weft_task t = weft_spawn(read_and_abort, &a, NULL);
    char c;
    int r = peer_send(p.fd, REQUEST, REQUEST_LEN);
    CHECK(r == 0 || is_broken(r));
    ssize_t n = r < 0 ? r : peer_receive(p.fd, &c, 1);
    CHECK_INT(weft_await(t), 0);
    if (!CHECK(is_broken((int)n))) CHECK_FAIL("at %d: %d", point, (int)n);
    CHECK_INT(weft_read(p.s, &c, 1), WEFT_ECLOSED);
    CHECK_INT(weft_write(p.s, &c, 1), WEFT_ECLOSED);
    CHECK_INT(weft_stream_close(p.s), 0);
    peer_close(p.fd);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_sees_a_reset_at_every_point),
    cmocka_unit_test(a_client_sees_a_reset_at_every_point),
    cmocka_unit_test(a_server_sees_a_close_at_every_point),
    cmocka_unit_test(a_client_sees_a_close_at_every_point),
    cmocka_unit_test(a_client_that_half_closes_at_any_point_gets_its_answers),
    cmocka_unit_test(after_a_half_close_reading_goes_on),
    cmocka_unit_test(a_silent_peer_is_waited_for_until_a_deadline),
    cmocka_unit_test(an_abort_at_any_point_resets_the_peer),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
