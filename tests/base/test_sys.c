/* The system-call seam: codes instead of errno, counting, injected faults, a replaced table. */
#include "weft_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/sys.h"

static bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

static void failures_come_back_as_negative_codes(void **state) {
  (void)state;
  char byte;
  void *p = &byte;
  CHECK_INT(weft__sys_read(-1, &byte, 1), WEFT_EBADF);
  CHECK_INT(weft__sys_write(-1, &byte, 1), WEFT_EBADF);
  CHECK_INT(weft__sys_close(-1), WEFT_EBADF);
  CHECK_INT(weft__sys_open("/no/such/file", O_RDONLY, 0), WEFT_ENOENT);
  CHECK_INT(weft__sys_mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &p),
            WEFT_EINVAL);
  CHECK_PTR(p, &byte);
  CHECK_INT(weft__sys_kill(getpid(), 12345), WEFT_EINVAL);
  CHECK_INT(weft__sys_wait4(-1, NULL, WNOHANG, NULL), WEFT_ECHILD);
  CHECK_INT(weft__sys_recv(-1, &byte, 1, 0), WEFT_EBADF);
  CHECK_INT(weft__sys_epoll_ctl(-1, EPOLL_CTL_ADD, 0, &(struct epoll_event){0}), WEFT_EBADF);
}

static void calls_do_what_the_kernel_does(void **state) {
  (void)state;
  int fds[2];
  char buf[8] = "";
  void *p = NULL;
  assert_int_equal(weft__sys_pipe2(fds, O_CLOEXEC), 0);
  CHECK_INT(weft__sys_write(fds[1], "abc", 3), 3);
  CHECK_INT(weft__sys_read(fds[0], buf, sizeof buf), 3);
  CHECK_STR(buf, "abc");
  CHECK_INT(weft__sys_fcntl(fds[0], F_GETFD, 0), FD_CLOEXEC);
  CHECK_INT(weft__sys_close(fds[0]), 0);
  CHECK_INT(weft__sys_close(fds[1]), 0);
  assert_int_equal(
      weft__sys_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &p),
      0);
  memset(p, 1, 4096);
  CHECK_INT(weft__sys_mprotect(p, 4096, PROT_READ), 0);
  CHECK_INT(weft__sys_munmap(p, 4096), 0);
  pid_t child = weft__sys_fork();
  if (child == 0) _exit(9);
  int status = 0;
  CHECK_INT(weft__sys_wait4(child, &status, 0, NULL), child);
  CHECK_INT(WEXITSTATUS(status), 9);
}

static void the_nth_call_of_a_kind_fails_once(void **state) {
  (void)state;
  uint64_t value = 1;
  int fd = weft__sys_eventfd(0, EFD_NONBLOCK);
  assert_true(fd >= 0);
  weft__sys_fail(WEFT__SYS_write, 2, WEFT_EPIPE, false);
  CHECK_INT(weft__sys_write(fd, &value, sizeof value), sizeof value);
  CHECK_INT(weft__sys_write(fd, &value, sizeof value), WEFT_EPIPE);
  CHECK_INT(weft__sys_write(fd, &value, sizeof value), sizeof value);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_write), 3);
  CHECK_INT(weft__sys_read(fd, &value, sizeof value), sizeof value);
  CHECK_UINT(value, 2); /* the failed call did nothing */
  CHECK_UINT(weft__sys_calls(WEFT__SYS_read), 1);
  weft__sys_clear();
  CHECK_INT(weft__sys_close(fd), 0);
}

static void from_the_nth_call_on_all_fail_until_cleared(void **state) {
  (void)state;
  weft__sys_fail(WEFT__SYS_eventfd, 1, WEFT_EMFILE, true);
  for (int i = 0; i < 5; i++) CHECK_INT(weft__sys_eventfd(0, 0), WEFT_EMFILE);
  weft__sys_clear();
  CHECK_UINT(weft__sys_calls(WEFT__SYS_eventfd), 5);
  int fd = weft__sys_eventfd(0, 0);
  CHECK(fd >= 0);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_eventfd), 5); /* nothing counts any more */
  CHECK_INT(weft__sys_close(fd), 0);
}

static void two_kinds_can_fail_at_once(void **state) {
  (void)state;
  int fds[2];
  weft__sys_fail(WEFT__SYS_pipe2, 1, WEFT_ENFILE, false);
  weft__sys_fail(WEFT__SYS_memfd_create, 1, WEFT_ENOMEM, false);
  CHECK_INT(weft__sys_pipe2(fds, 0), WEFT_ENFILE);
  CHECK_INT(weft__sys_memfd_create("t", 0), WEFT_ENOMEM);
  weft__sys_clear();
}

static void a_close_that_is_made_to_fail_still_closes(void **state) {
  (void)state;
  int fd = weft__sys_eventfd(0, 0);
  assert_true(fd >= 0);
  weft__sys_fail(WEFT__SYS_close, 1, WEFT_EIO, false);
  CHECK_INT(weft__sys_close(fd), WEFT_EIO);
  weft__sys_clear();
  CHECK(!is_open(fd));
}

static void the_nth_call_and_some_after_it_fail(void **state) {
  (void)state;
  weft__sys_fail_times(WEFT__SYS_eventfd, 2, WEFT_EMFILE, 3);
  int first = weft__sys_eventfd(0, 0);
  CHECK(first >= 0);
  for (int i = 0; i < 3; i++) CHECK_INT(weft__sys_eventfd(0, 0), WEFT_EMFILE);
  int last = weft__sys_eventfd(0, 0);
  CHECK(last >= 0);
  weft__sys_clear();
  close(first);
  close(last);
}

static void a_stream_moves_half_of_what_was_asked(void **state) {
  (void)state;
  int fds[2];
  char buf[8] = "";
  struct iovec parts[2] = {{.iov_base = buf, .iov_len = 3}, {.iov_base = buf + 3, .iov_len = 3}};
  assert_int_equal(weft__sys_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  weft__sys_fail(WEFT__SYS_write, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft__sys_write(fds[0], "abcdefg", 7), 4);
  CHECK_INT(weft__sys_write(fds[0], "efg", 3), 3);
  weft__sys_fail(WEFT__SYS_read, 1, WEFT__SYS_SHORT, true);
  CHECK_INT(weft__sys_read(fds[1], buf, 2), 1);
  CHECK_INT(weft__sys_read(fds[1], buf, 1), 1); /* never none: that would be the end */
  weft__sys_fail(WEFT__SYS_readv, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft__sys_readv(fds[1], parts, 2), 2);
  CHECK_STR(buf, "cd");
  weft__sys_fail(WEFT__SYS_recv, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft__sys_recv(fds[1], buf, 6, 0), 3);
  weft__sys_fail(WEFT__SYS_writev, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft__sys_writev(fds[0], parts, 2), 2);
  weft__sys_fail(WEFT__SYS_send, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft__sys_send(fds[0], "xy", 2, 0), 1);
  weft__sys_clear();
  CHECK_INT(weft__sys_read(fds[1], buf, sizeof buf), 3);
  close(fds[0]);
  close(fds[1]);
}

static void a_message_is_half_of_what_was_sent(void **state) {
  (void)state;
  int fds[2];
  char buf[8] = "";
  struct iovec part = {.iov_base = buf, .iov_len = sizeof buf};
  struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
  assert_int_equal(weft__sys_socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
  weft__sys_fail(WEFT__SYS_sendmsg, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft__sys_sendmsg(fds[0], &msg, 0), 4);
  CHECK_INT(weft__sys_recvmsg(fds[1], &msg, MSG_TRUNC), 4);
  weft__sys_fail(WEFT__SYS_recvmsg, 1, WEFT__SYS_SHORT, true);
  CHECK_INT(weft__sys_sendmsg(fds[0], &msg, 0), 8);
  CHECK_INT(weft__sys_recvmsg(fds[1], &msg, MSG_TRUNC), 4);
  CHECK_INT(weft__sys_sendmsg(fds[0], &msg, 0), 8);
  CHECK_INT(weft__sys_recvmsg(fds[1], &msg, 0), 4); /* a message has no rest to come back for */
  CHECK_UINT(part.iov_len, sizeof buf);
  weft__sys_clear();
  CHECK_INT(weft__sys_recv(fds[1], buf, sizeof buf, MSG_DONTWAIT), WEFT_EAGAIN);
  close(fds[0]);
  close(fds[1]);
}

static void a_child_takes_part_in_a_shared_count(void **state) {
  (void)state;
  void *memory = NULL;
  size_t size = weft__sys_share_size();
  assert_int_equal(weft__sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                  -1, 0, &memory),
                   0);
  weft__sys_share(memory);
  weft__sys_fail(WEFT__SYS_sched_yield, 3, WEFT_EPERM, false);
  CHECK_INT(weft__sys_sched_yield(), 0);
  pid_t child = fork();
  if (child == 0) {
    int second = weft__sys_sched_yield();
    _exit(second == 0 && weft__sys_sched_yield() == WEFT_EPERM ? 0 : 1);
  }
  int status = 1;
  assert_int_equal(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
  CHECK_INT(weft__sys_sched_yield(), 0);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_sched_yield), 4);
  weft__sys_clear();
  weft__sys_share(NULL);
  CHECK_INT(weft__sys_munmap(memory, size), 0);
}

static ssize_t one_byte(int fd, void *buf, size_t len) {
  return weft__sys_real.read(fd, buf, len < 1 ? len : 1);
}

static void an_installed_table_replaces_the_kernel(void **state) {
  (void)state;
  int fds[2];
  char buf[8];
  struct weft__sys_table table = weft__sys_real;
  table.read = one_byte;
  assert_int_equal(weft__sys_pipe2(fds, 0), 0);
  assert_int_equal(weft__sys_write(fds[1], "abcdef", 6), 6);
  weft__sys_install(&table);
  CHECK_INT(weft__sys_read(fds[0], buf, sizeof buf), 1);
  /* Faults and counts lie in front of it. */
  weft__sys_fail(WEFT__SYS_read, 2, WEFT_EINTR, false);
  CHECK_INT(weft__sys_read(fds[0], buf, sizeof buf), 1);
  CHECK_INT(weft__sys_read(fds[0], buf, sizeof buf), WEFT_EINTR);
  weft__sys_clear();
  CHECK_INT(weft__sys_read(fds[0], buf, sizeof buf), 1);
  weft__sys_install(NULL);
  CHECK_INT(weft__sys_read(fds[0], buf, sizeof buf), 3);
  close(fds[0]);
  close(fds[1]);
}

static void counting_starts_at_zero_for_every_kind(void **state) {
  (void)state;
  weft__sys_count();
  for (int call = 0; call < WEFT__SYS_CALLS; call++)
    CHECK_UINT(weft__sys_calls((enum weft__sys_call)call), 0);
  weft__sys_sched_yield();
  weft__sys_sched_yield();
  CHECK_UINT(weft__sys_calls(WEFT__SYS_sched_yield), 2);
  weft__sys_clear();
}

enum { CALLS_PER_THREAD = 20000 };

static void *yields(void *arg) {
  for (int i = 0; i < CALLS_PER_THREAD; i++) {
    if (weft__sys_getrandom(&(char){0}, 1, 0) == WEFT_EAGAIN) ++*(int *)arg;
  }
  return NULL;
}

static void among_threads_exactly_one_call_is_the_nth(void **state) {
  (void)state;
  pthread_t threads[4];
  int failed[4] = {0};
  weft__sys_fail(WEFT__SYS_getrandom, CALLS_PER_THREAD, WEFT_EAGAIN, false);
  for (int i = 0; i < 4; i++)
    assert_int_equal(weft__sys_thread_create(&threads[i], NULL, yields, &failed[i]), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_getrandom), 4 * CALLS_PER_THREAD);
  CHECK_INT(failed[0] + failed[1] + failed[2] + failed[3], 1);
  weft__sys_clear();
}

static void calls_have_names(void **state) {
  (void)state;
  CHECK_STR(weft__sys_name(WEFT__SYS_mmap), "mmap");
  CHECK_STR(weft__sys_name(WEFT__SYS_kill), "kill");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(failures_come_back_as_negative_codes),
    cmocka_unit_test(calls_do_what_the_kernel_does),
    cmocka_unit_test(the_nth_call_of_a_kind_fails_once),
    cmocka_unit_test(from_the_nth_call_on_all_fail_until_cleared),
    cmocka_unit_test(two_kinds_can_fail_at_once),
    cmocka_unit_test(a_close_that_is_made_to_fail_still_closes),
    cmocka_unit_test(the_nth_call_and_some_after_it_fail),
    cmocka_unit_test(a_stream_moves_half_of_what_was_asked),
    cmocka_unit_test(a_message_is_half_of_what_was_sent),
    cmocka_unit_test(a_child_takes_part_in_a_shared_count),
    cmocka_unit_test(an_installed_table_replaces_the_kernel),
    cmocka_unit_test(counting_starts_at_zero_for_every_kind),
    cmocka_unit_test(among_threads_exactly_one_call_is_the_nth),
    cmocka_unit_test(calls_have_names),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
