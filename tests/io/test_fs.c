/* The file system by path. */
#include <sys/socket.h>
#include <sys/un.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "scratch.h"
#include "task_test.h"

TASK_TEST(a_path_is_looked_at_with_and_without_links) {
  struct scratch s;
  struct stat st = {0};
  if (!scratch_begin(&s)) return;
  char *path = scratch_file(&s, "a", "12345", 5), *link = scratch_path(&s, "link");
  char *dangling = scratch_path(&s, "dangling");
  CHECK_INT(weft_fs_symlink("a", link), 0);
  CHECK_INT(weft_fs_symlink("none", dangling), 0);
  CHECK_INT(weft_fs_stat(link, &st), 0);
  CHECK(S_ISREG(st.st_mode));
  CHECK_INT(st.st_size, 5);
  CHECK_INT(weft_fs_lstat(link, &st), 0);
  CHECK(S_ISLNK(st.st_mode));
  CHECK_INT(weft_fs_stat(dangling, &st), WEFT_ENOENT);
  CHECK(S_ISLNK(st.st_mode)); /* not written */
  CHECK_INT(weft_fs_exists(path), 1);
  CHECK_INT(weft_fs_exists(s.dir), 1);
  CHECK_INT(weft_fs_exists(dangling), 0);
  CHECK_INT(weft_fs_exists(scratch_path(&s, "a/b")), 0);
  CHECK_INT(weft_fs_access(path, R_OK), 0);
  CHECK_INT(weft_fs_access(path, 0x1000), WEFT_EINVAL);
  CHECK_INT(weft_fs_access(scratch_path(&s, "none"), F_OK), WEFT_ENOENT);
  scratch_end(&s);
}

TASK_TEST(links_and_real_paths_are_read_if_they_fit) {
  struct scratch s;
  char buf[512], real[512];
  if (!scratch_begin(&s)) return;
  char *link = scratch_path(&s, "link");
  CHECK_INT(weft_fs_symlink("./target", link), 0);
  CHECK_INT(weft_fs_readlink(link, buf, sizeof buf), 8);
  CHECK_STR(buf, "./target");
  memset(buf, 'x', sizeof buf);
  CHECK_INT(weft_fs_readlink(link, buf, 8), WEFT_ENOBUFS);
  CHECK_INT(buf[0], 'x');
  CHECK_INT(weft_fs_readlink(link, buf, 9), 8);
  CHECK_INT(weft_fs_readlink(s.dir, buf, 9), WEFT_EINVAL); /* no link */
  CHECK_INT(weft_fs_realpath(link, buf, sizeof buf), WEFT_ENOENT);
  char *target = scratch_file(&s, "target", "", 0);
  ssize_t n = weft_fs_realpath(link, buf, sizeof buf);
  CHECK(n > 0 && buf[0] == '/');
  CHECK_INT(strlen(buf), n);
  CHECK_INT(weft_fs_realpath(target, real, sizeof real), n);
  CHECK_STR(buf, real);
  CHECK_INT(weft_fs_realpath(target, real, (size_t)n), WEFT_ENOBUFS);
  scratch_end(&s);
}

TASK_TEST(names_are_made_moved_and_removed) {
  struct scratch s;
  struct stat st;
  if (!scratch_begin(&s)) return;
  char *a = scratch_file(&s, "a", "1", 1), *b = scratch_path(&s, "b"), *dir = scratch_path(&s, "d");
  CHECK_INT(weft_fs_link(a, b), 0);
  CHECK_INT(weft_fs_link(a, b), WEFT_EEXIST);
  CHECK_INT(weft_fs_stat(a, &st), 0);
  CHECK_INT(st.st_nlink, 2);
  CHECK_INT(weft_fs_chmod(a, 0400), 0);
  CHECK_INT(weft_fs_stat(b, &st), 0);
  CHECK_INT(st.st_mode & 07777, 0400);
  CHECK_INT(weft_fs_mkdir(dir, 0700), 0);
  CHECK_INT(weft_fs_mkdir(dir, 0700), WEFT_EEXIST);
  CHECK_INT(weft_fs_rename(a, scratch_path(&s, "d/a")), 0);
  CHECK_INT(weft_fs_rename(a, b), WEFT_ENOENT);
  CHECK_INT(weft_fs_rmdir(dir), WEFT_ENOTEMPTY);
  CHECK_INT(weft_fs_unlink(dir), WEFT_EISDIR);
  CHECK_INT(weft_fs_rmdir(b), WEFT_ENOTDIR);
  CHECK_INT(weft_fs_unlink(scratch_path(&s, "d/a")), 0);
  CHECK_INT(weft_fs_rmdir(dir), 0);
  CHECK_INT(weft_fs_unlink(b), 0);
  CHECK_INT(weft_fs_unlink(b), WEFT_ENOENT);
  CHECK_INT(scratch_count(&s), 0);
  scratch_end(&s);
}

TASK_TEST(missing_directories_are_made_on_the_way) {
  struct scratch s;
  struct stat st;
  if (!scratch_begin(&s)) return;
  char *deep = scratch_path(&s, "a/b//c/d/"), *file = scratch_path(&s, "a/file");
  CHECK_INT(weft_fs_mkdir_all(deep, 0755), 0);
  CHECK_INT(weft_fs_stat(scratch_path(&s, "a/b/c/d"), &st), 0);
  CHECK(S_ISDIR(st.st_mode));
  CHECK_INT(weft_fs_mkdir_all(deep, 0755), 0);
  CHECK_INT(weft_fs_mkdir_all(s.dir, 0755), 0);
  CHECK_INT(weft_fs_mkdir_all("/", 0755), 0);
  scratch_file(&s, "a/file", "", 0);
  CHECK_INT(weft_fs_mkdir_all(file, 0755), WEFT_EEXIST);
  CHECK_INT(weft_fs_mkdir_all(scratch_path(&s, "a/file/x"), 0755), WEFT_ENOTDIR);
  CHECK_INT(weft_fs_mkdir_all("", 0755), WEFT_ENOENT);
  CHECK_INT(symlink("a/b", scratch_path(&s, "link")), 0);
  CHECK_INT(weft_fs_mkdir_all(scratch_path(&s, "link/x/y"), 0755), 0);
  CHECK_INT(weft_fs_exists(scratch_path(&s, "a/b/x/y")), 1);
  /* Where those above must not be written in, they can be all the same until it is there. */
  CHECK_INT(weft_fs_mkdir_all(scratch_path(&s, "r/o/x"), 0500), 0);
  CHECK_INT(weft_fs_stat(scratch_path(&s, "r/o/x"), &st), 0);
  CHECK_INT(st.st_mode & 0777, 0500);
  CHECK_INT(chmod(scratch_path(&s, "r/o/x"), 0700), 0);
  scratch_end(&s);
}

TASK_TEST(temporary_directories_have_names_of_their_own) {
  struct scratch s;
  struct stat st;
  if (!scratch_begin(&s)) return;
  char *a = scratch_path(&s, "d-XXXXXX"), *b = scratch_path(&s, "d-XXXXXX");
  char *bad = scratch_path(&s, "XXXXXX-d");
  CHECK_INT(weft_fs_mkdtemp(a), 0);
  weft__sys_fail_times(WEFT__SYS_mkdir, 1, WEFT_EEXIST, 3);
  CHECK_INT(weft_fs_mkdtemp(b), 0);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_mkdir), 4);
  weft__sys_clear();
  CHECK(strcmp(a, b) != 0);
  CHECK_INT(weft_fs_stat(b, &st), 0);
  CHECK_INT(st.st_mode & 07777, 0700);
  CHECK_INT(weft_fs_mkdtemp(bad), WEFT_EINVAL);
  CHECK_STR(bad + strlen(s.dir), "/XXXXXX-d");
  CHECK_INT(weft_fs_mkdtemp(NULL), WEFT_EINVAL);
  scratch_end(&s);
}

/* ---- directories ---- */

TASK_TEST(a_directory_gives_names_with_their_kinds) {
  struct scratch s;
  weft_dir *d = NULL;
  weft_dirent e;
  int r, seen = 0;
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  if (!scratch_begin(&s)) return;
  scratch_file(&s, "file", "", 0);
  CHECK_INT(mkdir(scratch_path(&s, "dir"), 0700), 0);
  CHECK_INT(symlink("dir", scratch_path(&s, "link")), 0);
  CHECK_INT(mkfifo(scratch_path(&s, "fifo"), 0600), 0);
  strncpy(addr.sun_path, scratch_path(&s, "socket"), sizeof addr.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
  close(fd);
  static const struct {
    const char *name;
    weft_fs_kind kind;
  } wanted[] = {{"file", WEFT_FS_FILE},
                {"dir", WEFT_FS_DIR},
                {"link", WEFT_FS_LINK},
                {"fifo", WEFT_FS_FIFO},
                {"socket", WEFT_FS_SOCKET}};
  CHECK_INT(weft_dir_open(&d, s.dir), 0);
  for (int round = 0; round < 2; round++, seen = 0) {
    while ((r = weft_dir_next(d, &e)) > 0)
      for (size_t i = 0; i < 5; i++)
        if (strcmp(e.name, wanted[i].name) == 0) {
          struct stat st;
          CHECK_INT(e.kind, wanted[i].kind);
          CHECK_INT(lstat(scratch_path(&s, e.name), &st), 0);
          CHECK_UINT(e.ino, st.st_ino);
          seen |= 1 << i;
        }
    CHECK_INT(r, 0);
    CHECK_INT(seen, 31);
    CHECK_INT(weft_dir_next(d, &e), 0); /* and again */
    CHECK_INT(weft_dir_rewind(d), 0);
  }
  CHECK_INT(weft_dir_close(d), 0);
  scratch_end(&s);
}

/* Some file systems do not say what a name is. */
static ssize_t getdents_without_types(int fd, void *buf, size_t len) {
  ssize_t n = weft__sys_real.getdents(fd, buf, len);
  for (ssize_t at = 0; at < n; at += *(uint16_t *)((char *)buf + at + 16))
    ((char *)buf)[at + 18] = 0;
  return n;
}

TASK_TEST(kinds_are_asked_for_where_they_are_not_given) {
  struct scratch s;
  weft_dir *d = NULL;
  weft_dirent e = {0};
  if (!scratch_begin(&s)) return;
  CHECK_INT(mkdir(scratch_path(&s, "dir"), 0700), 0);
  const struct weft__sys_table *before = atomic_load(&weft__sys_current);
  struct weft__sys_table table = *before;
  table.getdents = getdents_without_types;
  weft__sys_install(&table);
  CHECK_INT(weft_dir_open(&d, s.dir), 0);
  CHECK_INT(weft_dir_next(d, &e), 1);
  CHECK_STR(e.name, "dir");
  CHECK_INT(e.kind, WEFT_FS_DIR);
  weft__sys_install(before);
  CHECK_INT(weft_dir_close(d), 0);
  scratch_end(&s);
}

/* Many names: in batches, each one given once. */
TASK_TEST(a_large_directory_costs_few_system_calls) {
  enum { NAMES = 20000 };
  struct scratch s;
  weft_dir *d = NULL;
  weft_dirent e;
  char name[32];
  int n = count(NAMES), r;
  unsigned char *seen = calloc((size_t)n, 1);
  if (!scratch_begin(&s) || !CHECK(seen != NULL)) return;
  for (int i = 0; i < n; i++) {
    snprintf(name, sizeof name, "name-%06d", i);
    scratch_file(&s, name, "", 0);
  }
  weft__sys_count();
  CHECK_INT(weft_dir_open(&d, s.dir), 0);
  while ((r = weft_dir_next(d, &e)) > 0) {
    int i = atoi(e.name + 5);
    if (CHECK(i >= 0 && i < n)) CHECK_INT(seen[i]++, 0);
  }
  CHECK_INT(r, 0);
  CHECK_INT(weft_dir_close(d), 0);
  CHECK(weft__sys_calls(WEFT__SYS_getdents) <= (uint64_t)n / 1000 + 3);
  weft__sys_clear();
  int all = 0;
  for (int i = 0; i < n; i++) all += seen[i];
  CHECK_INT(all, n);
  CHECK_INT(weft_fs_remove_all(s.dir), 0);
  free(seen);
}

TASK_TEST(names_can_be_collected) {
  struct scratch s;
  weft_dir *d = NULL;
  void *items = NULL;
  size_t n = 0;
  if (!scratch_begin(&s)) return;
  scratch_file(&s, "a", "", 0);
  scratch_file(&s, "b", "", 0);
  CHECK_INT(weft_dir_open(&d, s.dir), 0);
  weft_iter it = weft_dir_iter(d);
  CHECK_INT(weft_collect(it, sizeof(weft_dirent), 0, &items, &n), 0);
  if (CHECK_UINT(n, 2)) {
    const weft_dirent *e = items;
    CHECK_INT(e[0].name[0] + e[1].name[0], 'a' + 'b');
  }
  weft_collect_free(items);
  CHECK_INT(weft_iter_close(it), 0);
  scratch_end(&s);
}

TASK_TEST(a_directory_that_cannot_be_read_says_why) {
  struct scratch s;
  weft_dir *d = NULL;
  weft_dirent e;
  if (!scratch_begin(&s)) return;
  CHECK_INT(weft_dir_open(&d, scratch_path(&s, "none")), WEFT_ENOENT);
  CHECK_INT(weft_dir_open(&d, scratch_file(&s, "file", "", 0)), WEFT_ENOTDIR);
  CHECK_INT(weft_dir_open(&d, NULL), WEFT_EINVAL);
  CHECK_INT(weft_dir_open(NULL, s.dir), WEFT_EINVAL);
  weft__sys_fail(WEFT__SYS_getdents, 1, WEFT_EIO, false);
  CHECK_INT(weft_dir_open(&d, s.dir), WEFT_EIO);
  weft__sys_clear();
  CHECK_PTR(d, NULL);
  weft__sys_fail(WEFT__SYS_getdents, 2, WEFT_EIO, false);
  CHECK_INT(weft_dir_open(&d, s.dir), 0);
  CHECK_INT(weft_dir_next(d, NULL), WEFT_EINVAL);
  CHECK_INT(weft_dir_next(d, &e), 1);
  CHECK_INT(weft_dir_next(d, &e), WEFT_EIO);
  weft__sys_clear();
  CHECK_INT(weft_dir_next(d, &e), 0); /* it goes on */
  CHECK_INT(weft_dir_close(d), 0);
  CHECK_INT(weft_dir_close(NULL), 0);
  CHECK_INT(weft_dir_next(NULL, &e), WEFT_EINVAL);
  CHECK_INT(weft_dir_rewind(NULL), WEFT_EINVAL);
  scratch_end(&s);
}

TASK_TEST(a_path_that_is_missing_is_einval) {
  struct stat st;
  char buf[8];
  CHECK_INT(weft_fs_stat(NULL, &st), WEFT_EINVAL);
  CHECK_INT(weft_fs_stat("/", NULL), WEFT_EINVAL);
  CHECK_INT(weft_fs_lstat("/", NULL), WEFT_EINVAL);
  CHECK_INT(weft_fs_exists(NULL), WEFT_EINVAL);
  CHECK_INT(weft_fs_rename("a", NULL), WEFT_EINVAL);
  CHECK_INT(weft_fs_link(NULL, "a"), WEFT_EINVAL);
  CHECK_INT(weft_fs_symlink("a", NULL), WEFT_EINVAL);
  CHECK_INT(weft_fs_readlink("a", NULL, 5), WEFT_EINVAL);
  CHECK_INT(weft_fs_realpath(NULL, buf, sizeof buf), WEFT_EINVAL);
  CHECK_INT(weft_fs_mkdir_all(NULL, 0700), WEFT_EINVAL);
  CHECK_INT(weft_fs_remove_all(NULL), WEFT_EINVAL);
  CHECK_INT(weft_fs_copy("a", NULL, NULL), WEFT_EINVAL);
}

static void outside_a_task_it_is_enotask(void **state) {
  (void)state;
  weft_dir *d = NULL;
  struct stat st;
  CHECK_INT(weft_fs_stat("/", &st), WEFT_ENOTASK);
  CHECK_INT(weft_fs_mkdir("/tmp", 0700), WEFT_ENOTASK);
  CHECK_INT(weft_fs_remove_all("/none"), WEFT_ENOTASK);
  CHECK_INT(weft_fs_copy("/none", "/none", NULL), WEFT_ENOTASK);
  CHECK_INT(weft_dir_open(&d, "/"), WEFT_ENOTASK);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_path_is_looked_at_with_and_without_links),
      cmocka_unit_test(links_and_real_paths_are_read_if_they_fit),
      cmocka_unit_test(names_are_made_moved_and_removed),
      cmocka_unit_test(missing_directories_are_made_on_the_way),
      cmocka_unit_test(temporary_directories_have_names_of_their_own),
      cmocka_unit_test(a_directory_gives_names_with_their_kinds),
      cmocka_unit_test(kinds_are_asked_for_where_they_are_not_given),
      cmocka_unit_test(a_large_directory_costs_few_system_calls),
      cmocka_unit_test(names_can_be_collected),
      cmocka_unit_test(a_directory_that_cannot_be_read_says_why),
      cmocka_unit_test(a_path_that_is_missing_is_einval),
      cmocka_unit_test(outside_a_task_it_is_enotask),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
