/* Waiting for descriptors that are not weft's: for what comes, again and again, across numbers that are
 * closed and come back as other files, and for kinds beyond sockets. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

static void make_pair(int fds[2]) {
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(const int fds[2]) {
  CHECK_INT(close(fds[0]), 0);
  CHECK_INT(close(fds[1]), 0);
}

TASK_TEST(it_returns_what_is_ready) {
  int fds[2];
  make_pair(fds);
  CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ | WEFT_FD_WRITE), WEFT_FD_WRITE);
  CHECK_INT(write(fds[1], "x", 1), 1);
  CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ), WEFT_FD_READ);
  CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ | WEFT_FD_WRITE), WEFT_FD_READ | WEFT_FD_WRITE);
  close_pair(fds);
}

TASK_TEST(bad_events_and_descriptors_are_named) {
  int fds[2];
  make_pair(fds);
  CHECK_INT(weft_fd_wait(fds[0], 0), WEFT_EINVAL);
  CHECK_INT(weft_fd_wait(fds[0], 4 | WEFT_FD_READ), WEFT_EINVAL);
  CHECK_INT(weft_fd_wait(-1, WEFT_FD_READ), WEFT_EBADF);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK_INT(weft_fd_wait(file, WEFT_FD_READ), WEFT_EPERM);
  CHECK_INT(close(file), 0);
  close_pair(fds);
  CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ), WEFT_EBADF);
}

/* A library closes without a word, and the system gives the number to the next file. */
TASK_TEST(a_number_may_come_back_as_another_file) {
  int last = -1;
  for (int i = 0; i < count(50); i++) {
    int fds[2];
    make_pair(fds);
    if (last >= 0) CHECK_INT(fds[0], last);
    last = fds[0];
    CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_WRITE), WEFT_FD_WRITE);
    CHECK_INT(write(fds[1], "x", 1), 1);
    CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ), WEFT_FD_READ);
    close_pair(fds);
  }
}

static int wait_for_count(void *arg) {
  const int *fd = arg;
  uint64_t n;
  int r = weft_fd_wait(*fd, WEFT_FD_READ);
  if (r < 0) return r;
  return read(*fd, &n, sizeof n) == sizeof n ? (int)n : -1;
}

TASK_TEST(an_eventfd_can_be_waited_for) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  for (int i = 1; i <= count(10); i++) {
    weft_task t = weft_spawn(wait_for_count, &fd, NULL);
    CHECK_INT(weft_yield(), 0);
    CHECK_INT(eventfd_write(fd, (eventfd_t)i), 0);
    CHECK_INT(weft_await(t), i);
  }
  CHECK_INT(close(fd), 0);
}

TASK_TEST(a_timerfd_can_be_waited_for) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const struct itimerspec soon = {.it_value = {0, 1000000}};
  CHECK_INT(timerfd_settime(fd, 0, &soon, NULL), 0);
  CHECK_INT(wait_for_count(&fd), 1);
  CHECK_INT(close(fd), 0);
}

TASK_TEST(a_cancelled_or_late_wait_leaves_nothing_behind) {
  int fds[2];
  for (int i = 0; i < count(20); i++) {
    make_pair(fds);
    weft_timeout s;
    CHECK_INT(weft_timeout_begin(&s, weft_us(200)), 0);
    CHECK_INT(weft_timeout_end(&s, weft_fd_wait(fds[0], WEFT_FD_READ)), WEFT_ETIMEDOUT);
    CHECK_INT(weft_cancel(weft_current()), 1);
    CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ), WEFT_ECANCELED);
    CHECK(weft_cancel_catch());
    CHECK_INT(write(fds[1], "x", 1), 1);
    CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_READ), WEFT_FD_READ);
    close_pair(fds);
  }
}

static int read_one(void *s) {
  char c = 0;
  return weft_read(s, &c, 1) == 1 ? c : -1;
}

TASK_TEST(what_was_waited_for_may_become_a_stream) {
  int fds[2];
  weft_stream *s = NULL;
  make_pair(fds);
  CHECK_INT(weft_fd_wait(fds[0], WEFT_FD_WRITE), WEFT_FD_WRITE);
  if (!CHECK_INT(weft_stream_from_fd(&s, fds[0]), 0)) return;
  weft_task t = spawn_parked(read_one, s);
  CHECK_INT(write(fds[1], "x", 1), 1);
  CHECK_INT(weft_await(t), 'x');
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(close(fds[1]), 0);
}

static void outside_of_a_task_there_is_no_wait(void **state) {
  (void)state;
  CHECK_INT(weft_fd_wait(0, WEFT_FD_READ), WEFT_ENOTASK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_returns_what_is_ready),
    cmocka_unit_test(bad_events_and_descriptors_are_named),
    cmocka_unit_test(a_number_may_come_back_as_another_file),
    cmocka_unit_test(an_eventfd_can_be_waited_for),
    cmocka_unit_test(a_timerfd_can_be_waited_for),
    cmocka_unit_test(a_cancelled_or_late_wait_leaves_nothing_behind),
    cmocka_unit_test(what_was_waited_for_may_become_a_stream),
    cmocka_unit_test(outside_of_a_task_there_is_no_wait),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
