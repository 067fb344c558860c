/* Whole files: read with a limit, replaced in one step, whatever fails on the way. */
#include <weft.h>

#include "base/memory.h"
#include "base/sys.h"
#include "counts.h"
#include "scratch.h"
#include "task_test.h"

static void read_holds(const char *path, size_t limit, const void *data, size_t len) {
  void *got = NULL;
  size_t n = 0;
  if (!CHECK_INT(weft_read_file(path, limit, &got, &n), 0)) return;
  CHECK_UINT(n, len);
  CHECK(n == len && memcmp(got, data, len) == 0);
  CHECK_INT(((char *)got)[n], 0);
  weft_read_file_free(got);
}

TASK_TEST(a_file_is_read_whole_up_to_its_limit) {
  struct scratch s;
  char data[5000];
  void *got = &s;
  size_t n = 77;
  if (!scratch_begin(&s)) return;
  memset(data, 'x', sizeof data);
  char *path = scratch_file(&s, "a", data, sizeof data);
  read_holds(path, 0, data, sizeof data);
  read_holds(path, SIZE_MAX, data, sizeof data);
  read_holds(path, sizeof data, data, sizeof data);
  CHECK_INT(weft_read_file(path, sizeof data - 1, &got, &n), WEFT_EFBIG);
  CHECK_INT(weft_read_file(path, 1, &got, &n), WEFT_EFBIG);
  CHECK_PTR(got, &s);
  CHECK_UINT(n, 77);
  read_holds(scratch_file(&s, "empty", "", 0), 0, "", 0);
  read_holds(scratch_file(&s, "one", "1", 1), 1, "1", 1);
  scratch_end(&s);
}

/* Of some files the system does not know the size before they are read. */
TASK_TEST(a_file_without_a_size_is_read_to_its_end) {
  void *got = NULL;
  size_t n = 0;
  CHECK_INT(weft_read_file("/proc/self/maps", 0, &got, &n), 0);
  CHECK(n > 500 && ((char *)got)[n - 1] == '\n');
  weft_read_file_free(got);
  CHECK_INT(weft_read_file("/proc/self/maps", 100, &got, &n), WEFT_EFBIG);
}

TASK_TEST(short_reads_and_interruptions_are_no_end) {
  struct scratch s;
  char data[9999];
  if (!scratch_begin(&s)) return;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 3);
  char *path = scratch_file(&s, "a", data, sizeof data);
  weft__sys_fail(WEFT__SYS_read, 1, WEFT__SYS_SHORT, true);
  read_holds(path, 0, data, sizeof data);
  weft__sys_clear();
  weft__sys_fail_times(WEFT__SYS_read, 1, WEFT_EINTR, 3);
  read_holds(path, 0, data, sizeof data);
  weft__sys_clear();
  weft__sys_fail(WEFT__SYS_read, 2, WEFT_EIO, false);
  void *got;
  size_t n;
  CHECK_INT(weft_read_file(path, 0, &got, &n), WEFT_EIO);
  weft__sys_clear();
  scratch_end(&s);
}

static mode_t mode_of(const char *path) {
  struct stat st = {0};
  CHECK_INT(stat(path, &st), 0);
  return st.st_mode & 07777;
}

TASK_TEST(a_file_is_made_or_replaced_whole) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  mode_t mask = umask(022);
  char *path = scratch_path(&s, "a");
  CHECK_INT(weft_write_file(path, "first", 5, NULL), 0);
  CHECK(scratch_holds(path, "first", 5));
  CHECK_INT(mode_of(path), 0644);
  CHECK_INT(chmod(path, 0604), 0);
  int old = open(path, O_RDONLY | O_CLOEXEC);
  CHECK_INT(weft_write_file(path, "2", 1, &(weft_replace_opts){.no_sync = true}), 0);
  CHECK(scratch_holds(path, "2", 1));
  CHECK_INT(mode_of(path), 0604); /* stays */
  char buf[8] = "";
  CHECK_INT(read(old, buf, sizeof buf), 5); /* who has the old one open has it still */
  CHECK_STR(buf, "first");
  close(old);
  CHECK_INT(weft_write_file(path, NULL, 0, &(weft_replace_opts){.mode = 0660}), 0);
  CHECK(scratch_holds(path, "", 0));
  CHECK_INT(mode_of(path), 0640);
  CHECK_INT(scratch_count(&s), 1);
  umask(mask);
  scratch_end(&s);
}

TASK_TEST(what_must_not_be_replaced_is_not) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  weft_replace_opts exclusive = {.exclusive = true};
  char *path = scratch_path(&s, "a"), *link = scratch_path(&s, "link");
  char *fifo = scratch_path(&s, "fifo");
  CHECK_INT(weft_write_file(path, "first", 5, &exclusive), 0);
  CHECK_INT(weft_write_file(path, "second", 6, &exclusive), WEFT_EEXIST);
  CHECK(scratch_holds(path, "first", 5));
  CHECK_INT(weft_write_file(s.dir, "x", 1, NULL), WEFT_EISDIR);
  CHECK_INT(mkfifo(fifo, 0600), 0);
  CHECK_INT(weft_write_file(fifo, "x", 1, NULL), WEFT_ENOTSUP);
  CHECK_INT(symlink("a", link), 0);
  CHECK_INT(weft_write_file(link, "third", 5, &exclusive), WEFT_EEXIST);
  CHECK_INT(weft_write_file(link, "third", 5, NULL), 0); /* the link is replaced */
  CHECK(scratch_holds(link, "third", 5));
  CHECK(scratch_holds(path, "first", 5));
  CHECK_INT(weft_write_file(scratch_path(&s, "none/a"), "x", 1, NULL), WEFT_ENOENT);
  CHECK_INT(weft_write_file("", "x", 1, NULL), WEFT_ENOENT);
  CHECK_INT(weft_write_file(NULL, "x", 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_write_file(path, NULL, 1, NULL), WEFT_EINVAL);
  CHECK_INT(weft_write_file(path, "x", SIZE_MAX, NULL), WEFT_EINVAL);
  CHECK_INT(weft_read_file(NULL, 0, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(scratch_count(&s), 3);
  scratch_end(&s);
}

/* Every system call on the way fails once: the old file is there, and nothing else. */
TASK_TEST(a_failed_replacement_leaves_the_old_file_and_no_other) {
  static const enum weft__sys_call calls[] = {
      WEFT__SYS_fstatat, WEFT__SYS_getrandom, WEFT__SYS_openat, WEFT__SYS_pwritev2,
      WEFT__SYS_fchmod,  WEFT__SYS_fsync,     WEFT__SYS_close,  WEFT__SYS_rename};
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *path = scratch_file(&s, "a", "old", 3);
  int descriptors = scratch_descriptors();
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    weft__sys_fail(calls[i], 1, WEFT_ENOSPC, false);
    CHECK_INT(weft_write_file(path, "new", 3, NULL), WEFT_ENOSPC);
    weft__sys_clear();
    CHECK(scratch_holds(path, "old", 3));
    CHECK_INT(scratch_count(&s), 1);
  }
  weft__sys_fail(WEFT__SYS_link, 1, WEFT_EEXIST, false); /* somebody was faster */
  CHECK_INT(
      weft_write_file(scratch_path(&s, "b"), "new", 3, &(weft_replace_opts){.exclusive = true}),
      WEFT_EEXIST);
  weft__sys_clear();
  CHECK_INT(scratch_count(&s), 1);
  weft__sys_fail(WEFT__SYS_fsync, 2, WEFT_EIO,
                 false); /* the directory's: the new one is in place */
  CHECK_INT(weft_write_file(path, "new", 3, NULL), WEFT_EIO);
  weft__sys_clear();
  CHECK_INT(scratch_descriptors(), descriptors);
  CHECK(scratch_holds(path, "new", 3));
  CHECK_INT(scratch_count(&s), 1);
  scratch_end(&s);
}

/* The n-th allocation fails, for each n that there is. */
TASK_TEST(without_memory_nothing_is_done_and_nothing_is_lost) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *path = scratch_file(&s, "a", "old", 3);
  weft_file *f;
  weft_dir *d;
  void *data;
  size_t len;
  for (uint64_t n = 1; n <= 4; n++) {
    for (int what = 0; what < 5; what++) {
      int r = 0;
      weft__memory_fail(WEFT__MEMORY_OWN, n, false);
      if (what == 0 && (r = weft_file_open(&f, path, O_RDONLY, 0)) == 0) weft_file_close(f);
      if (what == 1 && (r = weft_read_file(path, 0, &data, &len)) == 0) weft_read_file_free(data);
      if (what == 2) r = weft_write_file(path, "new", 3, NULL);
      if (what == 3 && (r = weft_dir_open(&d, s.dir)) == 0) weft_dir_close(d);
      if (what == 4) r = (int)weft_fs_copy(path, path, NULL);
      weft__memory_fail_end();
      CHECK(r == WEFT_ENOMEM || r == WEFT_EAGAIN || r == 0 || (what == 4 && r == 3));
      if (n == 1) CHECK(r < 0);
      CHECK_INT(scratch_count(&s), 1);
    }
  }
  CHECK(scratch_holds(path, "new", 3));
  scratch_end(&s);
}

TASK_TEST(a_name_that_is_taken_is_not_used) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *path = scratch_path(&s, "a");
  weft__sys_fail_times(WEFT__SYS_openat, 1, WEFT_EEXIST, 5);
  CHECK_INT(weft_write_file(path, "new", 3, NULL), 0);
  CHECK(weft__sys_calls(WEFT__SYS_openat) >= 6);
  weft__sys_clear();
  CHECK(scratch_holds(path, "new", 3));
  weft__sys_fail(WEFT__SYS_openat, 1, WEFT_EEXIST, true);
  CHECK_INT(weft_write_file(path, "no", 2, NULL), WEFT_EEXIST);
  weft__sys_clear();
  CHECK(scratch_holds(path, "new", 3));
  scratch_end(&s);
}

struct replacing {
  const char *path;
  struct latch over;
};

enum { SIZE = 20000 };

static int replace_again_and_again(void *arg) {
  struct replacing *p = arg;
  char *data = malloc(SIZE);
  int r = data ? 0 : WEFT_ENOMEM;
  for (int i = 0; r == 0 && i < count(50); i++) {
    memset(data, 'a' + i % 26, SIZE);
    r = weft_write_file(p->path, data, SIZE, &(weft_replace_opts){.no_sync = true});
  }
  free(data);
  latch_hit(&p->over);
  return r;
}

TASK_TEST(who_reads_meanwhile_finds_one_or_the_other_whole) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  struct replacing p = {.path = scratch_path(&s, "a")};
  CHECK_INT(weft_write_file(p.path, "start", 5, NULL), 0);
  weft_task t = weft_spawn(replace_again_and_again, &p, NULL);
  while (latch_hits(&p.over) == 0 && !weft_test_failed()) {
    void *got;
    size_t n;
    if (!CHECK_INT(weft_read_file(p.path, 0, &got, &n), 0)) break;
    if (n != 5 && CHECK_UINT(n, SIZE))
      for (size_t i = 1; i < n; i++)
        if (!CHECK_INT(((char *)got)[i], ((char *)got)[0])) break;
    weft_read_file_free(got);
  }
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(scratch_count(&s), 1);
  scratch_end(&s);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_is_read_whole_up_to_its_limit),
      cmocka_unit_test(a_file_without_a_size_is_read_to_its_end),
      cmocka_unit_test(short_reads_and_interruptions_are_no_end),
      cmocka_unit_test(a_file_is_made_or_replaced_whole),
      cmocka_unit_test(what_must_not_be_replaced_is_not),
      cmocka_unit_test(a_failed_replacement_leaves_the_old_file_and_no_other),
      cmocka_unit_test(without_memory_nothing_is_done_and_nothing_is_lost),
      cmocka_unit_test(a_name_that_is_taken_is_not_used),
      cmocka_unit_test(who_reads_meanwhile_finds_one_or_the_other_whole),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
