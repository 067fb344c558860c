/* Calls of files that last: what a cancel, a deadline and a close do to them, what is short, and how many
 * system calls they are. */
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "parked.h"
#include "scratch.h"
#include "task_test.h"
#include "threads.h"

/* ---- a disk that hangs ---- */

static struct gate disk; /* writes wait here */
static const struct weft__sys_table *before;
static struct weft__sys_table hanging;

static ssize_t write_at_gate(int fd, const struct iovec *iov, int n, off_t off, int flags) {
  block_at_gate(&disk);
  return before->pwritev2(fd, iov, n, off, flags);
}

static void hang(void) {
  disk = (struct gate){0};
  before = atomic_load(&weft__sys_current);
  hanging = *before;
  hanging.pwritev2 = write_at_gate;
  weft__sys_install(&hanging);
}

static void unhang(void) {
  weft__sys_install(before);
}

static weft_file *open_new(struct scratch *s, const char *name) {
  weft_file *f = NULL;
  CHECK_INT(weft_file_open(&f, scratch_path(s, name), O_RDWR | O_CREAT, 0644), 0);
  return f;
}

static int write_hello(void *f) {
  return weft_file_write(f, "hello", 5);
}

/* Then says what the next cancel point answers. */
static int write_and_go_on(void *f) {
  int r = weft_file_write(f, "hello", 5);
  CHECK_INT(r, 0);
  return weft_yield();
}

TASK_TEST(a_write_that_has_begun_is_waited_for_by_who_is_cancelled) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a");
  hang();
  weft_task t = weft_spawn(write_and_go_on, f, NULL);
  CHECK_INT(latch_wait(&disk.blocked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  for (int i = 0; i < 10; i++) CHECK_INT(weft_yield(), 0);
  CHECK(!weft_task_done(t));
  gate_open(&disk);
  CHECK_INT(weft_await(t), WEFT_ECANCELED); /* from the yield */
  unhang();
  CHECK_INT(weft_file_close(f), 0);
  CHECK(scratch_holds(scratch_path(&s, "a"), "hello", 5));
  scratch_end(&s);
}

/* Opens the gate when the deadline of the call that has come there is over. */
static int open_gate_late(void *arg) {
  weft_ns *limit = arg;
  int r = latch_wait(&disk.blocked, 1);
  if (r == 0) r = weft_sleep(2 * *limit);
  gate_open(&disk);
  return r;
}

TASK_TEST(a_write_that_has_begun_outlasts_a_deadline) {
  struct scratch s;
  weft_timeout scope;
  weft_ns limit = weft_ms(1);
  int r = WEFT_ECANCELED;
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a");
  hang();
  weft_task t = weft_spawn(open_gate_late, &limit, NULL);
  for (; r == WEFT_ECANCELED; limit *= 2) { /* until it has begun within its time */
    CHECK_INT(weft_timeout_begin(&scope, limit), 0);
    r = weft_file_write(f, "hello", 5);
    CHECK_INT(weft_timeout_end(&scope, r < 0 ? r : weft_yield()), WEFT_ETIMEDOUT);
  }
  CHECK_INT(r, 0);
  CHECK_INT(weft_await(t), 0);
  unhang();
  CHECK_INT(weft_file_close(f), 0);
  CHECK(scratch_holds(scratch_path(&s, "a"), "hello", 5));
  scratch_end(&s);
}

/* The pool's one thread is busy. */
TASK_TEST_WITH(a_write_that_has_not_begun_is_withdrawn, (&(weft_run_opts){.blocking_threads = 1})) {
  struct scratch s;
  weft_timeout limit;
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a");
  hang();
  weft_task first = weft_spawn(write_hello, f, NULL);
  CHECK_INT(latch_wait(&disk.blocked, 1), 0);
  CHECK_INT(weft_timeout_begin(&limit, weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&limit, weft_file_pwrite(f, "x", 1, 100)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_timeout_begin(&limit, weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&limit, weft_file_write(f, "x", 1)), WEFT_ETIMEDOUT); /* its turn */
  CHECK_INT(weft_timeout_begin(&limit, weft_ms(1)), 0);
  CHECK_INT(weft_timeout_end(&limit, weft_fs_mkdir(scratch_path(&s, "d"), 0700)), WEFT_ETIMEDOUT);
  CHECK_INT(weft_timeout_begin(&limit, weft_ms(1)), 0);
  weft_file *other = NULL;
  CHECK_INT(weft_timeout_end(&limit, weft_file_open(&other, s.dir, O_RDONLY, 0)), WEFT_ETIMEDOUT);
  CHECK_PTR(other, NULL);
  gate_open(&disk);
  CHECK_INT(weft_await(first), 0);
  unhang();
  CHECK_INT(weft_file_close(f), 0);
  CHECK(scratch_holds(scratch_path(&s, "a"), "hello", 5));
  CHECK_INT(scratch_count(&s), 1);
  scratch_end(&s);
}

TASK_TEST(a_call_of_a_cancelled_task_does_nothing) {
  struct scratch s;
  char c;
  if (!scratch_begin(&s)) return;
  char *path = scratch_path(&s, "a");
  weft_file *f = open_new(&s, "a"), *other = NULL;
  CHECK_INT(weft_cancel(weft_current()), 1);
  CHECK_INT(weft_file_pread(f, &c, 1, 0), WEFT_ECANCELED);
  CHECK_INT(weft_file_write(f, "x", 1), WEFT_ECANCELED);
  CHECK_INT(weft_write_file(path, "x", 1, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_fs_copy(path, path, NULL), WEFT_ECANCELED);
  CHECK_INT(weft_fs_remove_all(s.dir), WEFT_ECANCELED);
  CHECK_INT(weft_file_open(&other, path, O_RDONLY, 0), WEFT_ECANCELED);
  CHECK_INT(weft_file_close(f), 0); /* all the same */
  weft_cancel_catch();
  weft_uncancel(weft_current());
  CHECK(scratch_holds(path, "", 0));
  scratch_end(&s);
}

TASK_TEST(closing_leaves_what_is_under_way_and_refuses_what_waits) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a");
  int fd = weft_file_fd(f);
  hang();
  weft_task first = weft_spawn(write_hello, f, NULL);
  CHECK_INT(latch_wait(&disk.blocked, 1), 0);
  weft_task second = spawn_parked(write_hello, f); /* for its turn */
  CHECK_INT(weft_file_close(f), 0);
  CHECK(fcntl(fd, F_GETFD) >= 0);
  gate_open(&disk);
  CHECK_INT(weft_await(first), 0);
  CHECK_INT(weft_await(second), WEFT_ECLOSED);
  unhang();
  CHECK_INT(fcntl(fd, F_GETFD), -1);
  CHECK(scratch_holds(scratch_path(&s, "a"), "hello", 5));
  scratch_end(&s);
}

struct copying {
  char *from, *to;
  off_t answer;
};

static int copy_it(void *arg) {
  struct copying *c = arg;
  c->answer = weft_fs_copy(c->from, c->to, NULL);
  return 0;
}

TASK_TEST(a_slice_of_a_copy_that_has_begun_is_waited_for) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  struct copying c = {scratch_file(&s, "a", "hello", 5), scratch_path(&s, "b"), 0};
  hang();
  weft__sys_fail(WEFT__SYS_copy_file_range, 1, WEFT_EXDEV, true); /* so that it is written */
  weft_task t = weft_spawn(copy_it, &c, NULL);
  CHECK_INT(latch_wait(&disk.blocked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  gate_open(&disk);
  CHECK_INT(weft_await(t), WEFT_ECANCELED); /* what it did not hear, it hears at its end */
  weft__sys_clear();
  unhang();
  CHECK_INT(c.answer, 5);
  CHECK(scratch_holds(c.to, "hello", 5));
  CHECK_INT(scratch_count(&s), 2);
  scratch_end(&s);
}

/* A file without bytes that is longer than what is copied at a time. */
TASK_TEST(a_copy_that_is_cancelled_between_slices_leaves_nothing) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  struct copying c = {scratch_file(&s, "a", "hello", 5), scratch_path(&s, "b"), 0};
  CHECK_INT(truncate(c.from, 80 << 20), 0);
  hang();
  weft__sys_fail(WEFT__SYS_copy_file_range, 1, WEFT_EXDEV, true);
  weft_task t = weft_spawn(copy_it, &c, NULL);
  CHECK_INT(latch_wait(&disk.blocked, 1), 0);
  CHECK_INT(weft_cancel(t), 1);
  gate_open(&disk);
  CHECK_INT(weft_await(t), 0);
  weft__sys_clear();
  unhang();
  CHECK_INT(c.answer, WEFT_ECANCELED);
  CHECK_INT(scratch_count(&s), 1);
  scratch_end(&s);
}

/* ---- what comes in pieces ---- */

TASK_TEST(short_transfers_and_interruptions_are_made_up_for) {
  enum { SIZE = 100000 };
  char *out = malloc(SIZE), *in = calloc(SIZE, 1);
  struct scratch s;
  if (!scratch_begin(&s) || !CHECK(out && in)) return;
  for (int i = 0; i < SIZE; i++) out[i] = (char)(i * 7 + (i >> 8));
  struct iovec parts[] = {{out, 1}, {out + 1, 50000}, {out + 50001, SIZE - 50001}};
  weft_file *f = open_new(&s, "a");
  weft__sys_fail(WEFT__SYS_pwritev2, 1, WEFT__SYS_SHORT, true);
  CHECK_INT(weft_file_writev(f, parts, 3), 0);
  CHECK_INT(weft_file_pwrite(f, out, SIZE, SIZE), 0);
  CHECK(weft__sys_calls(WEFT__SYS_pwritev2) > 20);
  weft__sys_clear();
  weft__sys_fail(WEFT__SYS_preadv2, 1, WEFT__SYS_SHORT, true);
  CHECK_INT(weft_file_pread(f, in, SIZE, 0), SIZE);
  CHECK(memcmp(in, out, SIZE) == 0);
  CHECK_INT(weft_file_pread(f, in, 5000, SIZE), 5000); /* on the spot where that works */
  CHECK(memcmp(in, out, 5000) == 0);
  weft__sys_clear();
  weft__sys_fail_times(WEFT__SYS_preadv2, 1, WEFT_EINTR, 3);
  CHECK_INT(weft_file_pread(f, in, 5000, 0), 5000);
  weft__sys_clear();
  weft__sys_fail_times(WEFT__SYS_pwritev2, 1, WEFT_EINTR, 3);
  CHECK_INT(weft_file_pwrite(f, out, 5000, 0), 0);
  weft__sys_clear();
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
  free(out);
  free(in);
}

TASK_TEST(an_error_in_the_middle_says_how_far_it_got) {
  struct scratch s;
  char buf[100] = "";
  off_t at = -1;
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a");
  weft__sys_fail(WEFT__SYS_pwritev2, 1, WEFT__SYS_SHORT, false);
  CHECK_INT(weft_file_write(f, "0123456789", 10), 0);
  weft__sys_fail(WEFT__SYS_pwritev2, 1, WEFT_ENOSPC, false);
  CHECK_INT(weft_file_write(f, "abc", 3), WEFT_ENOSPC);
  weft__sys_clear();
  CHECK_INT(weft_file_seek(f, 0, SEEK_CUR, &at), 0);
  CHECK_INT(at, 10);
  CHECK_INT(weft_file_pread(f, buf, sizeof buf, 0), 10);
  /* The pool's read, whether or not one was tried on the spot. */
  weft__sys_fail(WEFT__SYS_preadv2, 1, WEFT_EIO, true);
  CHECK_INT(weft_file_pread(f, buf, sizeof buf, 0), WEFT_EIO);
  weft__sys_clear();
  CHECK_INT(weft_file_pread(f, buf, sizeof buf, 0), 10); /* works as before */
  weft__sys_fail(WEFT__SYS_fsync, 1, WEFT_EIO, false);
  CHECK_INT(weft_file_sync(f), WEFT_EIO);
  weft__sys_fail(WEFT__SYS_close, 1, WEFT_EDQUOT, false);
  CHECK_INT(weft_file_close(f), WEFT_EDQUOT);
  weft__sys_clear();
  scratch_end(&s);
}

/* ---- what it costs ---- */

/* Whether the file system can say what it has in memory. */
static bool can_peek(const char *path) {
  char c;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = preadv2(fd, &(struct iovec){&c, 1}, 1, 0, RWF_NOWAIT);
  close(fd);
  return n == 1;
}

TASK_TEST(what_is_in_memory_is_read_without_the_pool) {
  struct scratch s;
  weft_stats was, now;
  char buf[1000];
  int n = count(100);
  if (!scratch_begin(&s)) return;
  memset(buf, 'x', sizeof buf);
  char *path = scratch_file(&s, "a", buf, sizeof buf);
  weft_file *f = NULL;
  CHECK_INT(weft_file_open(&f, path, O_RDONLY, 0), 0);
  if (!weft_simulated() && can_peek(path)) {
    CHECK_INT(weft_stats_read(&was), 0);
    weft__sys_count();
    for (int i = 0; i < n; i++) CHECK_INT(weft_file_pread(f, buf, 500, 100), 500);
    CHECK_UINT(weft__sys_calls(WEFT__SYS_preadv2), (uint64_t)n);
    CHECK_INT(weft_file_read(f, buf, sizeof buf), sizeof buf);
    CHECK_INT(weft_file_read(f, buf, sizeof buf), 0);
    CHECK_INT(weft_file_pread(f, buf, sizeof buf, 900), 100);
    CHECK_UINT(weft__sys_calls(WEFT__SYS_preadv2), (uint64_t)n + 4);
    weft__sys_clear();
    CHECK_INT(weft_stats_read(&now), 0);
    CHECK_UINT(now.blocking_jobs, was.blocking_jobs);
    /* Where that is not known the pool reads, and it is not tried again. */
    weft__sys_fail(WEFT__SYS_preadv2, 1, WEFT_ENOTSUP, false);
    for (int i = 0; i < 3; i++) CHECK_INT(weft_file_pread(f, buf, 500, 100), 500);
    CHECK_UINT(weft__sys_calls(WEFT__SYS_preadv2), 4);
    weft__sys_clear();
  }
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

static int count_turns(void *arg) {
  struct latch *over = arg;
  int turns = 0;
  while (latch_hits(over) == 0 && weft_yield() == 0) turns++;
  return turns;
}

/* Reads that never wait let the others run now and then. */
TASK_TEST_WITH(a_loop_of_reads_does_not_starve_others, (&(weft_run_opts){.workers = 1})) {
  struct scratch s;
  struct latch over = {0};
  char buf[16];
  if (!scratch_begin(&s)) return;
  weft_file *f = NULL;
  CHECK_INT(weft_file_open(&f, scratch_file(&s, "a", "0123456789", 10), O_RDONLY, 0), 0);
  weft_task t = weft_spawn(count_turns, &over, NULL);
  CHECK_INT(weft_yield(), 0);
  for (int i = 0; i < 2000; i++) CHECK_INT(weft_file_pread(f, buf, sizeof buf, 0), 10);
  latch_hit(&over);
  CHECK(weft_await(t) >= 2);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_write_that_has_begun_is_waited_for_by_who_is_cancelled),
      cmocka_unit_test(a_write_that_has_begun_outlasts_a_deadline),
      cmocka_unit_test(a_write_that_has_not_begun_is_withdrawn),
      cmocka_unit_test(a_call_of_a_cancelled_task_does_nothing),
      cmocka_unit_test(closing_leaves_what_is_under_way_and_refuses_what_waits),
      cmocka_unit_test(a_slice_of_a_copy_that_has_begun_is_waited_for),
      cmocka_unit_test(a_copy_that_is_cancelled_between_slices_leaves_nothing),
      cmocka_unit_test(short_transfers_and_interruptions_are_made_up_for),
      cmocka_unit_test(an_error_in_the_middle_says_how_far_it_got),
      cmocka_unit_test(what_is_in_memory_is_read_without_the_pool),
      cmocka_unit_test(a_loop_of_reads_does_not_starve_others),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
