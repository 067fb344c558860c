/* Descriptors: who waits is woken once for what comes, what nobody waits for is remembered once and costs
 * nothing, a close reaches everybody, and the number is closed by the last one out. Method: socket pairs,
 * whose other end the test itself uses, and counts of system calls in the seam. */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#include "base/sys.h"
#include "core/descriptor.h"
#include "core/worker.h"
#include "counts.h"
#include "task_test.h"

struct end {
  struct weft__descriptor *d;
  int fd;   /* d's */
  int peer; /* the test's */
};

static void open_end(struct end *e, unsigned can) {
  int fds[2];
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  e->fd = fds[0];
  e->peer = fds[1];
  CHECK_INT(weft__descriptor_open(&e->d, fds[0], can, NULL, NULL), 0);
}

static bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

static void close_end(struct end *e) {
  weft__descriptor_free(e->d);
  CHECK(!is_open(e->fd));
  CHECK_INT(close(e->peer), 0);
}

/* What a reader does: the header's pattern. */
static ssize_t read_some(struct weft__descriptor *d, void *buf, size_t len) {
  int r = weft__descriptor_enter(d);
  if (r < 0) return r;
  ssize_t n = 0;
  while (weft__descriptor_take(d, WEFT__IN) ||
         (r = weft__descriptor_wait(d, WEFT__IN, WEFT__NEVER)) == 0) {
    n = weft__sys_read(weft__descriptor_fd(d), buf, len);
    if (n == WEFT_EAGAIN || n == WEFT_EINTR) continue;
    if (n == (ssize_t)len) weft__descriptor_more(d, WEFT__IN);
    break;
  }
  weft__descriptor_leave(d);
  return r < 0 ? r : n;
}

struct reader {
  struct end *end;
  ssize_t result;
  char byte;
};

static int read_byte(void *arg) {
  struct reader *r = arg;
  r->result = read_some(r->end->d, &r->byte, 1);
  return 0;
}

static bool parked(weft_task h) {
  struct weft__task *t = h.slot_;
  return weft__word_phase(weft__load_acquire_u64(&t->word)) == WEFT__PARKED;
}

static weft_task spawn_parked(struct reader *r) {
  weft_task t = weft_spawn(read_byte, r, NULL);
  while (!parked(t)) CHECK_INT(weft_yield(), 0);
  return t;
}

static void put(const struct end *e, const char *bytes, size_t n) {
  CHECK_INT(write(e->peer, bytes, n), n);
}

TASK_TEST(a_reader_is_woken_by_what_comes) {
  struct end e;
  open_end(&e, 0);
  for (int i = 0; i < count(20); i++) {
    struct reader r = {.end = &e};
    weft_task t = spawn_parked(&r);
    char c = (char)('a' + i % 26);
    put(&e, &c, 1);
    CHECK_INT(weft_await(t), 0);
    CHECK_INT(r.result, 1);
    CHECK_INT(r.byte, c);
  }
  close_end(&e);
}

TASK_TEST(what_came_before_anybody_waited_is_not_lost) {
  struct end e;
  char c = 0;
  open_end(&e, WEFT__CAN_READ); /* not waited for yet: the first try tells */
  put(&e, "x", 1);
  CHECK_INT(read_some(e.d, &c, 1), 1);
  put(&e, "y", 1); /* in no set yet */
  CHECK_INT(read_some(e.d, &c, 1), 1);
  put(&e, "z", 1);
  CHECK_INT(read_some(e.d, &c, 1), 1);
  CHECK_INT(c, 'z');
  close_end(&e);
}

TASK_TEST(what_a_try_has_left_is_tried_for_again) {
  struct end e;
  char c = 0;
  open_end(&e, WEFT__CAN_READ);
  put(&e, "abc", 3);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(read_some(e.d, &c, 1), 1);
    CHECK_INT(c, 'a' + i);
  }
  close_end(&e);
}

TASK_TEST(a_second_reader_is_refused_and_the_first_goes_on) {
  struct end e;
  char c;
  open_end(&e, 0);
  struct reader r = {.end = &e};
  weft_task t = spawn_parked(&r);
  CHECK_INT(read_some(e.d, &c, 1), WEFT_EBUSY);
  put(&e, "x", 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(r.result, 1);
  close_end(&e);
}

TASK_TEST(a_reader_and_a_writer_wait_at_once) {
  static char block[1 << 16];
  struct end e;
  open_end(&e, WEFT__CAN_WRITE);
  while (write(e.fd, block, sizeof block) > 0) {}
  struct reader r = {.end = &e};
  weft_task t = spawn_parked(&r);
  CHECK(weft__descriptor_take(e.d, WEFT__OUT)); /* tried: it is full */
  weft_timeout s;
  CHECK_INT(weft_timeout_begin(&s, weft_ms(2)), 0);
  int w = weft__descriptor_wait(e.d, WEFT__OUT, WEFT__NEVER);
  /* A set tells of both directions when a descriptor comes into it. */
  CHECK_INT(weft_timeout_end(&s, w), WEFT_ETIMEDOUT);
  CHECK(parked(t));
  while (read(e.peer, block, sizeof block) > 0) {}
  CHECK_INT(weft__descriptor_wait(e.d, WEFT__OUT, WEFT__NEVER), 0);
  put(&e, "x", 1);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(r.result, 1);
  close_end(&e);
}

TASK_TEST(a_cancelled_reader_has_taken_nothing) {
  struct end e;
  char c = 0;
  open_end(&e, 0);
  for (int i = 0; i < count(20); i++) {
    struct reader r = {.end = &e};
    weft_task t = spawn_parked(&r);
    if (i % 2) put(&e, "x", 1); /* at the same time */
    CHECK(weft_cancel(t) >= 0);
    int code =
        weft_await(t); /* a cancel that came after the read is the task's end, if it came in time */
    CHECK(code == 0 || (code == WEFT_ECANCELED && r.result == 1));
    if (r.result == WEFT_ECANCELED) {
      if (i % 2 == 0) put(&e, "x", 1);
      CHECK_INT(read_some(e.d, &c, 1), 1);
    }
  }
  close_end(&e);
}

TASK_TEST(a_close_ends_the_waits_and_all_later_calls) {
  struct end e;
  char c;
  open_end(&e, 0);
  struct reader r = {.end = &e};
  weft_task t = spawn_parked(&r);
  CHECK_INT(weft__descriptor_close(e.d), 0);
  CHECK_INT(weft__descriptor_close(e.d), WEFT_ECLOSED);
  CHECK_INT(read_some(e.d, &c, 1), WEFT_ECLOSED);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(r.result, WEFT_ECLOSED);
  CHECK(!is_open(e.fd));
  CHECK_INT(read_some(e.d, &c, 1), WEFT_ECLOSED);
  close_end(&e);
}

static void count_gone(void *owner) {
  ++*(int *)owner;
}

TASK_TEST(the_last_one_out_closes_the_number) {
  int fds[2], gone = 0;
  struct weft__descriptor *d;
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  CHECK_INT(weft__descriptor_open(&d, fds[0], 0, count_gone, &gone), 0);
  CHECK_INT(weft__descriptor_enter(d), 0);
  CHECK_INT(weft__descriptor_enter(d), 0);
  CHECK_INT(weft__descriptor_close(d), 0);
  CHECK(is_open(fds[0]));
  weft__descriptor_leave(d);
  CHECK(is_open(fds[0]));
  weft__descriptor_leave(d);
  CHECK(!is_open(fds[0]));
  CHECK_INT(gone, 0); /* there may be more calls, which are refused */
  CHECK_INT(weft__descriptor_enter(d), WEFT_ECLOSED);
  weft__descriptor_free(d);
  CHECK_INT(gone, 1);
  CHECK_INT(close(fds[1]), 0);
}

TASK_TEST(what_is_freed_goes_when_the_last_one_is_out) {
  int fds[2], gone = 0;
  struct weft__descriptor *d;
  unsigned before = weft__descriptors_open();
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  CHECK_INT(weft__descriptor_open(&d, fds[0], 0, count_gone, &gone), 0);
  CHECK_INT(weft__descriptor_enter(d), 0);
  weft__descriptor_free(d);
  CHECK(is_open(fds[0]));
  CHECK_INT(gone, 0);
  weft__descriptor_leave(d);
  CHECK(!is_open(fds[0]));
  CHECK_INT(gone, 1);
  CHECK_UINT(weft__descriptors_open(), before);
  CHECK_INT(close(fds[1]), 0);
}

/* A ping-pong: the set is told of a descriptor once in its life. */
TASK_TEST(in_steady_state_a_message_is_one_read_and_no_change_of_the_set) {
  struct end e;
  open_end(&e, 0);
  for (int i = 0; i < 21; i++) {
    if (i == 1) weft__sys_count();
    struct reader r = {.end = &e};
    weft_task t = spawn_parked(&r);
    put(&e, "x", 1);
    CHECK_INT(weft_await(t), 0);
    /* A read of one byte into a buffer of one may have left something: the next one tries in vain. */
  }
  CHECK_UINT(weft__sys_calls(WEFT__SYS_epoll_ctl), 0);
  CHECK(weft__sys_calls(WEFT__SYS_read) <= 2 * 20);
  weft__sys_clear();
  close_end(&e);
}

/* An unread byte is told of once, and the loop sleeps on. */
TASK_TEST_WITH(an_unread_byte_costs_nothing, (&(weft_run_opts){.workers = 1, .no_reserve = true})) {
  struct end e;
  open_end(&e, 0);
  struct reader r = {.end = &e};
  weft_task t = spawn_parked(&r);
  put(&e, "xy", 2);
  CHECK_INT(weft_await(t), 0);
  put(&e, "z", 1); /* nobody reads */
  CHECK_INT(weft_sleep(weft_ms(1)), 0);
  weft__sys_count();
  CHECK_INT(weft_sleep(weft_ms(20)), 0);
  CHECK(weft__sys_calls(WEFT__SYS_epoll_wait) + weft__sys_calls(WEFT__SYS_epoll_wait_ns) < 10);
  weft__sys_clear();
  close_end(&e);
}

TASK_TEST(a_regular_file_is_refused_and_can_be_tried_further) {
  struct weft__descriptor *d;
  char c;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CHECK_INT(weft__descriptor_open(&d, fd, 0, NULL, NULL), 0);
  CHECK_INT(weft__descriptor_enter(d), 0);
  CHECK_INT(weft__descriptor_wait(d, WEFT__IN, WEFT__NEVER), WEFT_EPERM);
  CHECK_INT(weft__sys_read(weft__descriptor_fd(d), &c, 1), 1);
  weft__descriptor_leave(d);
  weft__descriptor_free(d);
}

/* A descriptor outlives a run, and finds another loop in the next. */
static struct end kept;

static int first_run(void *arg) {
  (void)arg;
  open_end(&kept, 0);
  struct reader r = {.end = &kept};
  weft_task t = spawn_parked(&r);
  put(&kept, "x", 1);
  CHECK_INT(weft_await(t), 0);
  return 0;
}

static int second_run(void *arg) {
  char c;
  (void)arg;
  CHECK_INT(read_some(kept.d, &c, 1), 1);
  close_end(&kept);
  return 0;
}

static void a_descriptor_may_be_used_in_a_later_run(void **state) {
  (void)state;
  CHECK_INT(weft_run(first_run, NULL, &(weft_run_opts){.workers = 2}), 0);
  put(&kept, "y", 1);
  CHECK_INT(weft_run(second_run, NULL, &(weft_run_opts){.workers = 1}), 0);
}

/* ---- without a task ---- */

struct bell {
  struct weft__gate gate;
  struct weft__waiter rec;
  atomic_int rung;
};

static void ring(struct weft__gate *gate, struct weft__waiter *rec) {
  struct bell *b = weft__container_of(gate, struct bell, gate);
  CHECK_PTR(rec, &b->rec);
  atomic_fetch_add(&b->rung, 1);
}

static void wait_for_rings(struct bell *b, int n) {
  int rounds = 0;
  while (atomic_load(&b->rung) < n && latch_turn(&rounds) == 0) {}
  CHECK_INT(atomic_load(&b->rung), n);
}

TASK_TEST(a_gate_is_told_once_of_what_comes_and_of_the_close) {
  struct end e;
  struct bell b = {.gate = {.event = ring}, .rec = {.gate = &b.gate}};
  open_end(&e, 0);
  CHECK_INT(weft__descriptor_watch(e.d, WEFT__IN, &b.rec), 0);
  CHECK_INT(weft__descriptor_watch(e.d, WEFT__IN, &b.rec), WEFT_EBUSY);
  CHECK_INT(write(e.peer, "a", 1), 1);
  wait_for_rings(&b, 1);
  CHECK_INT(write(e.peer, "b", 1), 1); /* nobody watches: it is remembered */
  char c;
  CHECK_INT(read_some(e.d, &c, 1), 1);
  CHECK_INT(read_some(e.d, &c, 1), 1);
  CHECK_INT(c, 'b');
  int r = weft__descriptor_watch(e.d, WEFT__IN, &b.rec);
  if (r == 1) r = weft__descriptor_watch(e.d, WEFT__IN, &b.rec); /* a try was worth it, once */
  CHECK_INT(r, 0);
  close_end(&e);
  CHECK_INT(atomic_load(&b.rung), 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_reader_is_woken_by_what_comes),
    cmocka_unit_test(what_came_before_anybody_waited_is_not_lost),
    cmocka_unit_test(what_a_try_has_left_is_tried_for_again),
    cmocka_unit_test(a_second_reader_is_refused_and_the_first_goes_on),
    cmocka_unit_test(a_reader_and_a_writer_wait_at_once),
    cmocka_unit_test(a_cancelled_reader_has_taken_nothing),
    cmocka_unit_test(a_close_ends_the_waits_and_all_later_calls),
    cmocka_unit_test(the_last_one_out_closes_the_number),
    cmocka_unit_test(what_is_freed_goes_when_the_last_one_is_out),
    cmocka_unit_test(in_steady_state_a_message_is_one_read_and_no_change_of_the_set),
    cmocka_unit_test(an_unread_byte_costs_nothing),
    cmocka_unit_test(a_regular_file_is_refused_and_can_be_tried_further),
    cmocka_unit_test(a_descriptor_may_be_used_in_a_later_run),
    cmocka_unit_test(a_gate_is_told_once_of_what_comes_and_of_the_close),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
