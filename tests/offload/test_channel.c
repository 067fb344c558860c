/* What a frame is, and what is none. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/sys.h"
#include "offload/channel.h"
#include "processes.h"
#include "weft_test.h"

struct pair {
  int pool; /* non-blocking */
  int far;
};

static struct pair make_pair(void) {
  struct pair p = {-1, -1};
  assert_int_equal(weft__channel_pair(&p.pool, &p.far), 0);
  return p;
}

static void close_pair(struct pair p) {
  close(p.pool);
  close(p.far);
}

static void a_frame_arrives_as_it_was_sent(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame sent = {.kind = WEFT__FRAME_ANSWER,
                             .slot = 7,
                             .pid = 8,
                             .code = -9,
                             .how = 10,
                             .job = 11,
                             .seq = 12,
                             .in_len = 13,
                             .out_len = UINT64_MAX};
  struct weft__frame got;
  assert_int_equal(weft__frame_send(p.far, &sent, -1, 0), 0);
  assert_int_equal(weft__frame_recv(p.pool, &got, NULL), 1);
  sent.magic = WEFT__FRAME_MAGIC;
  assert_memory_equal(&sent, &got, sizeof got);
  close_pair(p);
}

static void an_empty_channel_does_not_block_the_pool(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame got;
  assert_int_equal(weft__frame_recv(p.pool, &got, NULL), WEFT_EAGAIN);
  assert_int_equal(fcntl(p.pool, F_GETFD), FD_CLOEXEC);
  assert_int_equal(fcntl(p.far, F_GETFD), FD_CLOEXEC);
  close_pair(p);
}

static void the_end_is_seen_from_both_sides(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame f = {.kind = WEFT__FRAME_CALL};
  close(p.far);
  assert_int_equal(weft__frame_recv(p.pool, &f, NULL), 0);
  assert_int_equal(weft__frame_send(p.pool, &f, -1, MSG_DONTWAIT), WEFT_EPIPE);
  close(p.pool);
}

static void expect_garbage(const void *data, size_t size) {
  struct pair p = make_pair();
  struct weft__frame got = {.seq = 42};
  struct weft__frame good = {.kind = WEFT__FRAME_ANSWER};
  assert_int_equal(send(p.far, data, size, 0), (int)size);
  assert_int_equal(weft__frame_recv(p.pool, &got, NULL), WEFT_EPROTO);
  assert_int_equal(got.seq, 42);
  /* Whatever it was, it was one message: the next one is whole. */
  assert_int_equal(weft__frame_send(p.far, &good, -1, 0), 0);
  assert_int_equal(weft__frame_recv(p.pool, &got, NULL), 1);
  close_pair(p);
}

static void anything_else_is_garbage(void **state) {
  (void)state;
  struct {
    struct weft__frame f;
    char more[9000];
  } big = {.f = {.magic = WEFT__FRAME_MAGIC, .kind = WEFT__FRAME_ANSWER}};
  struct weft__frame f = big.f;
  expect_garbage(&f, 1);
  expect_garbage(&f, sizeof f / 2);
  expect_garbage(&f, sizeof f - 1);
  expect_garbage(&big, sizeof f + 1);
  expect_garbage(&big, sizeof big);
  f.magic ^= 1;
  expect_garbage(&f, sizeof f);
  f = big.f;
  f.kind = 0;
  expect_garbage(&f, sizeof f);
  f.kind = WEFT__FRAME_ANSWER + 1;
  expect_garbage(&f, sizeof f);
}

static void a_descriptor_travels_with_a_frame(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame f = {.kind = WEFT__FRAME_SPAWN};
  int pipe_ends[2];
  int passed = -1;
  char c;
  assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
  assert_int_equal(weft__frame_send(p.pool, &f, pipe_ends[1], MSG_DONTWAIT), 0);
  close(pipe_ends[1]);
  assert_int_equal(weft__frame_recv(p.far, &f, &passed), 1);
  assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
  assert_int_equal(write(passed, "x", 1), 1);
  close(passed);
  assert_int_equal(read(pipe_ends[0], &c, 1), 1);
  assert_int_equal(read(pipe_ends[0], &c, 1), 0);
  close(pipe_ends[0]);
  close_pair(p);
}

static void a_frame_without_a_descriptor_says_so(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame f = {.kind = WEFT__FRAME_KILL};
  int passed = 99;
  assert_int_equal(weft__frame_send(p.pool, &f, -1, 0), 0);
  assert_int_equal(weft__frame_recv(p.far, &f, &passed), 1);
  assert_int_equal(passed, -1);
  close_pair(p);
}

static void an_unwanted_descriptor_is_dropped(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame f = {.kind = WEFT__FRAME_SPAWN};
  int passed = 99;
  int before = count_fds();
  assert_int_equal(weft__frame_send(p.pool, &f, p.far, 0), 0);
  assert_int_equal(weft__frame_recv(p.far, &f, NULL), 1);
  assert_int_equal(count_fds(), before);
  f.kind = 12345; /* garbage that carries one */
  assert_int_equal(weft__frame_send(p.pool, &f, p.far, 0), 0);
  assert_int_equal(weft__frame_recv(p.far, &f, &passed), WEFT_EPROTO);
  assert_int_equal(passed, 99);
  assert_int_equal(count_fds(), before);
  close_pair(p);
}

/* The kernel reports messages left unread as an error, once, ahead of what the closer sent. */
static void a_last_frame_is_read_although_the_peer_closed_with_frames_unread(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame f = {.kind = WEFT__FRAME_CALL};
  struct weft__frame got;
  assert_int_equal(weft__frame_send(p.pool, &f, -1, 0), 0);
  f = (struct weft__frame){.kind = WEFT__FRAME_DEATH, .how = 9};
  assert_int_equal(weft__frame_send(p.far, &f, -1, 0), 0);
  close(p.far);
  assert_int_equal(weft__frame_recv(p.pool, &got, NULL), 1);
  assert_int_equal(got.how, 9);
  assert_int_equal(weft__frame_recv(p.pool, &got, NULL), 0);
  close(p.pool);
}

static void an_interrupted_call_is_made_again(void **state) {
  (void)state;
  struct pair p = make_pair();
  struct weft__frame f = {.kind = WEFT__FRAME_CALL};
  weft__sys_fail(WEFT__SYS_sendmsg, 1, WEFT_EINTR, false);
  assert_int_equal(weft__frame_send(p.pool, &f, -1, 0), 0);
  assert_int_equal(weft__sys_calls(WEFT__SYS_sendmsg), 2);
  weft__sys_fail(WEFT__SYS_recv, 1, WEFT_EINTR, false);
  assert_int_equal(weft__frame_recv(p.far, &f, NULL), 1);
  assert_int_equal(weft__sys_calls(WEFT__SYS_recv), 2);
  weft__sys_clear();
  close_pair(p);
}

static void a_failed_pair_leaves_nothing_open(void **state) {
  (void)state;
  int a = -7;
  int b = -7;
  int before = count_fds();
  weft__sys_fail(WEFT__SYS_socketpair, 1, WEFT_EMFILE, false);
  assert_int_equal(weft__channel_pair(&a, &b), WEFT_EMFILE);
  weft__sys_fail(WEFT__SYS_fcntl, 1, WEFT_ENOMEM, false);
  assert_int_equal(weft__channel_pair(&a, &b), WEFT_ENOMEM);
  weft__sys_clear();
  assert_int_equal(a, -7);
  assert_int_equal(b, -7);
  assert_int_equal(count_fds(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_frame_arrives_as_it_was_sent),
    cmocka_unit_test(an_empty_channel_does_not_block_the_pool),
    cmocka_unit_test(the_end_is_seen_from_both_sides),
    cmocka_unit_test(anything_else_is_garbage),
    cmocka_unit_test(a_descriptor_travels_with_a_frame),
    cmocka_unit_test(a_frame_without_a_descriptor_says_so),
    cmocka_unit_test(an_unwanted_descriptor_is_dropped),
    cmocka_unit_test(a_last_frame_is_read_although_the_peer_closed_with_frames_unread),
    cmocka_unit_test(an_interrupted_call_is_made_again),
    cmocka_unit_test(a_failed_pair_leaves_nothing_open),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
