/* Trees are removed and files copied: whole, or up to where it went wrong. */
#include <sys/socket.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "scratch.h"
#include "task_test.h"

/* ---- trees ---- */

/* Directories in directories, with a file in each; writes the names under dir. */
static void make_tree(const char *dir, int width, int depth) {
  char path[512];
  for (int i = 0; i < width; i++) {
    snprintf(path, sizeof path, "%s/f%d", dir, i);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    if (depth == 0) continue;
    snprintf(path, sizeof path, "%s/d%d", dir, i);
    CHECK_INT(mkdir(path, 0700), 0);
    make_tree(path, width, depth - 1);
  }
}

TASK_TEST(a_tree_is_removed_and_links_are_not_followed) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *tree = scratch_path(&s, "tree"), *other = scratch_path(&s, "other");
  CHECK_INT(mkdir(tree, 0700), 0);
  CHECK_INT(mkdir(other, 0700), 0);
  scratch_file(&s, "other/kept", "1", 1);
  make_tree(tree, count(50) > 20 ? 5 : 2, count(50) > 20 ? 3 : 1);
  CHECK_INT(symlink("../other", scratch_path(&s, "tree/link")), 0);
  CHECK_INT(mkfifo(scratch_path(&s, "tree/fifo"), 0600), 0);
  CHECK_INT(weft_fs_remove_all(tree), 0);
  CHECK_INT(weft_fs_exists(tree), 0);
  CHECK(scratch_holds(scratch_path(&s, "other/kept"), "1", 1));
  char *link = scratch_path(&s, "link");
  CHECK_INT(symlink("other", link), 0);
  CHECK_INT(weft_fs_remove_all(link), 0);
  CHECK_INT(weft_fs_remove_all(scratch_path(&s, "other/kept")), 0);
  CHECK_INT(weft_fs_remove_all(scratch_path(&s, "other/")), 0);
  CHECK_INT(weft_fs_remove_all(scratch_path(&s, "none")), 0);
  CHECK_INT(scratch_count(&s), 0);
  scratch_end(&s);
}

/* Deeper than what is read at once, and with directories that nobody may read. */
TASK_TEST(a_deep_tree_with_closed_directories_is_removed) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char path[1024];
  size_t len = (size_t)snprintf(path, sizeof path, "%s", s.dir);
  for (int i = 0; i < count(100); i++) {
    len += (size_t)snprintf(path + len, sizeof path - len, "/d");
    CHECK_INT(mkdir(path, 0700), 0);
  }
  CHECK_INT(chmod(path, 0), 0);
  CHECK_INT(weft_fs_remove_all(s.dir), 0);
  CHECK_INT(weft_fs_exists(s.dir), 0);
}

TASK_TEST(removing_ends_at_the_first_error_and_can_go_on) {
  static const enum weft__sys_call calls[] = {WEFT__SYS_unlinkat, WEFT__SYS_openat,
                                              WEFT__SYS_getdents};
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *tree = scratch_path(&s, "tree");
  int descriptors = scratch_descriptors();
  for (size_t i = 0; i < 3; i++)
    for (uint64_t n = 1;; n++) {
      CHECK_INT(mkdir(tree, 0700), 0);
      make_tree(tree, 2, 1);
      weft__sys_fail(calls[i], n, WEFT_EIO, false);
      int r = weft_fs_remove_all(tree);
      bool failed = weft__sys_calls(calls[i]) >= n;
      weft__sys_clear();
      CHECK_INT(r, failed ? WEFT_EIO : 0);
      CHECK_INT(weft_fs_exists(tree), failed);
      CHECK_INT(weft_fs_remove_all(tree), 0);
      CHECK_INT(weft_fs_exists(tree), 0);
      if (!failed || weft_test_failed()) break;
    }
  CHECK_INT(scratch_descriptors(), descriptors);
  scratch_end(&s);
}

/* Somebody else removes too: what is gone is gone. */
static int remove_it(void *arg) {
  return weft_fs_remove_all(arg);
}

TASK_TEST(two_may_remove_the_same_tree) {
  struct scratch s;
  weft_task tasks[2];
  if (!scratch_begin(&s)) return;
  char *tree = scratch_path(&s, "tree");
  CHECK_INT(mkdir(tree, 0700), 0);
  make_tree(tree, 3, 2);
  for (int i = 0; i < 2; i++) tasks[i] = weft_spawn(remove_it, tree, NULL);
  CHECK_INT(weft_gather(tasks, 2, NULL), 0);
  CHECK_INT(weft_fs_exists(tree), 0);
  scratch_end(&s);
}

/* ---- copies ---- */

static char *make_large(struct scratch *s, const char *name, size_t size) {
  char *data = malloc(size);
  if (!CHECK(data != NULL)) return NULL;
  for (size_t i = 0; i < size; i++) data[i] = (char)(i * 7 + (i >> 9));
  scratch_file(s, name, data, size);
  return data;
}

TASK_TEST(a_copy_has_the_bytes_and_the_mode) {
  enum { SIZE = 300000 };
  struct scratch s;
  struct stat st;
  if (!scratch_begin(&s)) return;
  char *data = make_large(&s, "a", SIZE);
  char *a = scratch_path(&s, "a"), *b = scratch_path(&s, "b"), *c = scratch_path(&s, "c");
  CHECK_INT(chmod(a, 0751), 0);
  CHECK_INT(weft_fs_copy(a, b, NULL), SIZE);
  CHECK(scratch_holds(b, data, SIZE));
  CHECK_INT(stat(b, &st), 0);
  CHECK_INT(st.st_mode & 07777, 0751);
  CHECK_INT(weft_fs_copy(a, b, &(weft_replace_opts){.exclusive = true}), WEFT_EEXIST);
  CHECK_INT(weft_fs_copy(scratch_file(&s, "d", "", 0), b, NULL), 0);
  CHECK(scratch_holds(b, "", 0));
  CHECK_INT(weft_fs_copy(a, c, &(weft_replace_opts){.mode = 0600, .no_sync = true}), SIZE);
  CHECK_INT(stat(c, &st), 0);
  CHECK_INT(st.st_mode & 07777, 0600);
  CHECK_INT(weft_fs_copy(a, a, NULL), SIZE); /* onto itself */
  CHECK(scratch_holds(a, data, SIZE));
  CHECK_INT(scratch_count(&s), 4);
  free(data);
  scratch_end(&s);
}

TASK_TEST(where_the_system_cannot_copy_bytes_are_moved_by_hand) {
  enum { SIZE = 300000 };
  static const int reasons[] = {WEFT_EXDEV, WEFT_EINVAL, WEFT_ENOSYS, WEFT_ENOTSUP};
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *data = make_large(&s, "a", SIZE), *a = scratch_path(&s, "a"), *b = scratch_path(&s, "b");
  for (size_t i = 0; i < 4; i++) {
    weft__sys_fail(WEFT__SYS_copy_file_range, 1, reasons[i], true);
    weft__sys_fail(WEFT__SYS_read, 1, WEFT__SYS_SHORT, true);
    weft__sys_fail(WEFT__SYS_pwritev2, 2, WEFT__SYS_SHORT, true);
    CHECK_INT(weft_fs_copy(a, b, &(weft_replace_opts){.no_sync = true}), SIZE);
    CHECK_UINT(weft__sys_calls(WEFT__SYS_copy_file_range), 1);
    weft__sys_clear();
    CHECK(scratch_holds(b, data, SIZE));
  }
  CHECK(weft_fs_copy("/proc/self/maps", b, NULL) > 500); /* of no size, it says */
  free(data);
  scratch_end(&s);
}

TASK_TEST(a_failed_copy_leaves_all_as_it_was) {
  static const enum weft__sys_call calls[] = {
      WEFT__SYS_openat, WEFT__SYS_fstat, WEFT__SYS_fstatat, WEFT__SYS_copy_file_range,
      WEFT__SYS_fchmod, WEFT__SYS_fsync, WEFT__SYS_rename};
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *a = scratch_file(&s, "a", "new", 3), *b = scratch_file(&s, "b", "old", 3);
  int descriptors = scratch_descriptors();
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    for (uint64_t n = 1; n <= 2; n++) {
      weft__sys_fail(calls[i], n, WEFT_ENOSPC, false);
      off_t r = weft_fs_copy(a, b, NULL);
      weft__sys_clear();
      CHECK_INT(scratch_count(&s), 2);
      if (r == 3) { /* once is all there is of it */
        CHECK(scratch_holds(b, "new", 3));
        scratch_write(b, "old", 3);
        continue;
      }
      CHECK_INT(r, WEFT_ENOSPC);
      if (calls[i] != WEFT__SYS_fsync || n == 1) /* the second one is the directory's */
        CHECK(scratch_holds(b, "old", 3));
      scratch_write(b, "old", 3);
    }
  CHECK_INT(weft_fs_copy(s.dir, b, NULL), WEFT_EISDIR);
  CHECK_INT(weft_fs_copy("/dev/zero", b, NULL), WEFT_ENOTSUP);
  CHECK_INT(weft_fs_copy(scratch_path(&s, "none"), b, NULL), WEFT_ENOENT);
  CHECK_INT(weft_fs_copy(a, s.dir, NULL), WEFT_EISDIR);
  CHECK_INT(weft_fs_copy(a, scratch_path(&s, "none/b"), NULL), WEFT_ENOENT);
  CHECK(scratch_holds(b, "old", 3));
  CHECK_INT(scratch_count(&s), 2);
  CHECK_INT(scratch_descriptors(), descriptors);
  scratch_end(&s);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tree_is_removed_and_links_are_not_followed),
      cmocka_unit_test(a_deep_tree_with_closed_directories_is_removed),
      cmocka_unit_test(removing_ends_at_the_first_error_and_can_go_on),
      cmocka_unit_test(two_may_remove_the_same_tree),
      cmocka_unit_test(a_copy_has_the_bytes_and_the_mode),
      cmocka_unit_test(where_the_system_cannot_copy_bytes_are_moved_by_hand),
      cmocka_unit_test(a_failed_copy_leaves_all_as_it_was),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
