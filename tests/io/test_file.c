/* Open files: what is written is read, at the position and at offsets, whole and in turns. */
#include <sys/socket.h>
#include <weft.h>

#include "base/sys.h"
#include "counts.h"
#include "scratch.h"
#include "task_test.h"

/* Opens a file in the scratch directory that can be read and written. */
static weft_file *open_new(struct scratch *s, const char *name, int flags) {
  weft_file *f = NULL;
  CHECK_INT(weft_file_open(&f, scratch_path(s, name), O_RDWR | O_CREAT | flags, 0644), 0);
  return f;
}

TASK_TEST(what_was_written_is_read_back) {
  struct scratch s;
  char buf[32] = "";
  off_t at = -1;
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a", 0);
  CHECK_INT(weft_file_write(f, "hello, ", 7), 0);
  CHECK_INT(weft_file_write(f, "world", 5), 0);
  CHECK_INT(weft_file_read(f, buf, sizeof buf), 0); /* the end */
  CHECK_INT(weft_file_seek(f, -5, SEEK_CUR, &at), 0);
  CHECK_INT(at, 7);
  CHECK_INT(weft_file_read(f, buf, 3), 3);
  CHECK_INT(weft_file_read(f, buf + 3, sizeof buf - 3), 2);
  CHECK_STR(buf, "world");
  CHECK_INT(weft_file_seek(f, 0, SEEK_END, &at), 0);
  CHECK_INT(at, 12);
  CHECK_INT(weft_file_close(f), 0);
  CHECK(scratch_holds(scratch_path(&s, "a"), "hello, world", 12));
  scratch_end(&s);
}

TASK_TEST(offsets_leave_the_position_alone) {
  struct scratch s;
  char buf[8] = "";
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a", 0);
  CHECK_INT(weft_file_pwrite(f, "world", 5, 4), 0);
  CHECK_INT(weft_file_write(f, "hell", 4), 0);
  CHECK_INT(weft_file_pread(f, buf, 5, 2), 5);
  CHECK_STR(buf, "llwor");
  CHECK_INT(weft_file_read(f, buf, 8), 5);
  CHECK_INT(weft_file_pread(f, buf, 8, 9), 0);
  CHECK_INT(weft_file_pread(f, buf, 8, 1000000), 0);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

TASK_TEST(what_is_appended_goes_to_the_end) {
  struct scratch s;
  if (!scratch_begin(&s)) return;
  char *path = scratch_file(&s, "log", "one ", 4);
  weft_file *f;
  CHECK_INT(weft_file_open(&f, path, O_WRONLY | O_APPEND, 0), 0);
  CHECK_INT(weft_file_write(f, "two ", 4), 0);
  CHECK_INT(weft_file_pwrite(f, "three", 5, 0), 0);
  CHECK_INT(weft_file_close(f), 0);
  CHECK(scratch_holds(path, "one two three", 13));
  scratch_end(&s);
}

/* More parts than the system is given at a time, some empty; written in one go, read in another cut. */
TASK_TEST(vectors_are_moved_as_if_they_were_one) {
  enum { PARTS = 100, SIZE = 4950 };
  static char out[SIZE], in[SIZE];
  struct iovec parts[PARTS], halves[3] = {{in, 17}, {NULL, 0}, {in + 17, SIZE - 17}};
  struct scratch s;
  if (!scratch_begin(&s)) return;
  size_t at = 0;
  for (int i = 0; i < SIZE; i++) out[i] = (char)(i * 7);
  for (int i = 0; i < PARTS; at += (size_t)i++) parts[i] = (struct iovec){out + at, (size_t)i};
  memset(in, 0, SIZE);
  weft_file *f = open_new(&s, "a", 0);
  CHECK_INT(weft_file_writev(f, parts, PARTS), 0);
  CHECK_INT(weft_file_preadv(f, halves, 3, 0), SIZE);
  CHECK(memcmp(in, out, SIZE) == 0);
  memset(in, 0, SIZE);
  CHECK_INT(weft_file_pwritev(f, parts, PARTS, SIZE), 0);
  CHECK_INT(weft_file_readv(f, halves, 3), SIZE);
  CHECK(memcmp(in, out, SIZE) == 0);
  CHECK_INT(weft_file_readv(f, NULL, 0), 0);
  CHECK_INT(weft_file_writev(f, halves, 0), 0);
  CHECK_INT(weft_file_size(f), 2 * SIZE);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

/* Beyond what is tried on the spot. */
TASK_TEST(large_pieces_arrive_whole) {
  enum { SIZE = 3 << 20 };
  char *out = malloc(SIZE), *in = malloc(SIZE + 1);
  struct scratch s;
  if (!scratch_begin(&s) || !CHECK(out && in)) return;
  for (int i = 0; i < SIZE; i++) out[i] = (char)(i * 7 + (i >> 8));
  weft_file *f = open_new(&s, "a", 0);
  CHECK_INT(weft_file_write(f, out, SIZE), 0);
  CHECK_INT(weft_file_pread(f, in, SIZE + 1, 0), SIZE);
  CHECK(memcmp(in, out, SIZE) == 0);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
  free(out);
  free(in);
}

enum { WRITERS = 6, RECORDS = 30, RECORD = 100 };

struct writer {
  weft_file *f;
  char letter;
};

/* Records of two parts, each in the writer's letter. */
static int write_records(void *arg) {
  struct writer *w = arg;
  char text[RECORD];
  memset(text, w->letter, sizeof text);
  int r = 0;
  for (int i = 0; r == 0 && i < count(RECORDS); i++)
    r = weft_file_writev(w->f, (struct iovec[]){{text, 30}, {text + 30, RECORD - 30}}, 2);
  return r;
}

TASK_TEST(writers_at_the_position_take_turns) {
  struct scratch s;
  struct writer writers[WRITERS];
  weft_task tasks[WRITERS];
  char record[RECORD];
  int seen[WRITERS] = {0};
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a", 0);
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (struct writer){f, (char)('a' + i)};
    tasks[i] = weft_spawn(write_records, &writers[i], NULL);
  }
  CHECK_INT(weft_gather(tasks, WRITERS, NULL), 0);
  CHECK_INT(weft_file_seek(f, 0, SEEK_SET, NULL), 0);
  ssize_t n;
  while ((n = weft_file_read(f, record, RECORD)) == RECORD) {
    for (int i = 1; i < RECORD; i++) CHECK_INT(record[i], record[0]);
    if (CHECK(record[0] >= 'a' && record[0] < 'a' + WRITERS)) seen[record[0] - 'a']++;
  }
  CHECK_INT(n, 0);
  for (int i = 0; i < WRITERS; i++) CHECK_INT(seen[i], count(RECORDS));
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

struct reader {
  weft_file *f;
  int sum, records;
};

static int read_records(void *arg) {
  struct reader *r = arg;
  int32_t record[4];
  ssize_t n;
  while ((n = weft_file_read(r->f, record, sizeof record)) == sizeof record) {
    for (int i = 1; i < 4; i++) CHECK_INT(record[i], record[0]);
    r->sum += record[0];
    r->records++;
  }
  return (int)n;
}

TASK_TEST(readers_at_the_position_share_the_records) {
  enum { N = 200 };
  struct scratch s;
  int32_t all[N][4];
  struct reader readers[4];
  weft_task tasks[4];
  if (!scratch_begin(&s)) return;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 4; k++) all[i][k] = i;
  char *path = scratch_file(&s, "a", all, sizeof all);
  weft_file *f = NULL;
  CHECK_INT(weft_file_open(&f, path, O_RDONLY, 0), 0);
  for (int i = 0; i < 4; i++) {
    readers[i] = (struct reader){.f = f};
    tasks[i] = weft_spawn(read_records, &readers[i], NULL);
  }
  CHECK_INT(weft_gather(tasks, 4, NULL), 0);
  int sum = 0, records = 0;
  for (int i = 0; i < 4; i++) sum += readers[i].sum, records += readers[i].records;
  CHECK_INT(records, N);
  CHECK_INT(sum, N * (N - 1) / 2);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

TASK_TEST(a_file_is_cut_lengthened_synced_and_looked_at) {
  struct scratch s;
  struct stat st;
  char buf[8];
  if (!scratch_begin(&s)) return;
  weft_file *f = open_new(&s, "a", O_TRUNC);
  CHECK_INT(weft_file_write(f, "0123456789", 10), 0);
  CHECK_INT(weft_file_truncate(f, 3), 0);
  CHECK_INT(weft_file_size(f), 3);
  CHECK_INT(weft_file_truncate(f, 6), 0);
  CHECK_INT(weft_file_pread(f, buf, 8, 0), 6);
  CHECK(memcmp(buf, "012\0\0\0", 6) == 0);
  CHECK_INT(weft_file_datasync(f), 0);
  CHECK_INT(weft_file_sync(f), 0);
  CHECK_INT(weft_file_stat(f, &st), 0);
  CHECK(S_ISREG(st.st_mode));
  CHECK_INT(st.st_size, 6);
  CHECK(fcntl(weft_file_fd(f), F_GETFD) & FD_CLOEXEC);
  CHECK_INT(fcntl(weft_file_fd(f), F_GETFL) & O_NONBLOCK, 0);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

TASK_TEST(a_directory_can_be_opened_and_synced) {
  struct scratch s;
  weft_file *f = NULL;
  char buf[8];
  if (!scratch_begin(&s)) return;
  CHECK_INT(weft_file_open(&f, s.dir, O_RDONLY | O_DIRECTORY, 0), 0);
  CHECK_INT(weft_file_sync(f), 0);
  CHECK_INT(weft_file_read(f, buf, sizeof buf), WEFT_EISDIR);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

TASK_TEST(a_device_gives_what_it_gives) {
  weft_file *f = NULL;
  char buf[16];
  memset(buf, 1, sizeof buf);
  CHECK_INT(weft_file_open(&f, "/dev/zero", O_RDWR, 0), 0);
  CHECK_INT(weft_file_read(f, buf, sizeof buf), sizeof buf);
  CHECK_INT(buf[0] | buf[15], 0);
  CHECK_INT(weft_file_write(f, buf, sizeof buf), 0);
  CHECK_INT(weft_file_close(f), 0);
  CHECK_INT(weft_file_open(&f, "/dev/full", O_WRONLY, 0), 0);
  CHECK_INT(weft_file_write(f, buf, sizeof buf), WEFT_ENOSPC);
  CHECK_INT(weft_file_close(f), 0);
}

/* Nobody has the other end: it must not keep anybody waiting. */
TASK_TEST(a_pipe_or_a_socket_is_refused) {
  struct scratch s;
  weft_file *f = NULL;
  int fds[2];
  if (!scratch_begin(&s)) return;
  char *path = scratch_path(&s, "fifo");
  CHECK_INT(mkfifo(path, 0600), 0);
  CHECK_INT(weft_file_open(&f, path, O_RDONLY, 0), WEFT_ENOTSUP);
  CHECK_INT(weft_file_open(&f, path, O_WRONLY, 0), WEFT_ENXIO);
  CHECK_INT(weft_file_open(&f, path, O_RDWR, 0), WEFT_ENOTSUP);
  void *data;
  size_t len;
  CHECK_INT(weft_read_file(path, 0, &data, &len), WEFT_ENOTSUP);
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  CHECK_INT(weft_file_from_fd(&f, fds[0]), WEFT_ENOTSUP);
  CHECK_INT(close(fds[0]), 0); /* is still ours */
  close(fds[1]);
  CHECK_INT(weft_file_from_fd(&f, fds[0]), WEFT_EBADF);
  CHECK_PTR(f, NULL);
  scratch_end(&s);
}

TASK_TEST(a_descriptor_becomes_a_file_with_its_position) {
  struct scratch s;
  char buf[8] = "";
  weft_file *f = NULL;
  if (!scratch_begin(&s)) return;
  int fd = open(scratch_file(&s, "a", "abcdef", 6), O_RDONLY | O_CLOEXEC);
  CHECK_INT(lseek(fd, 2, SEEK_SET), 2);
  CHECK_INT(weft_file_from_fd(&f, fd), 0);
  CHECK_INT(weft_file_fd(f), fd);
  CHECK_INT(weft_file_read(f, buf, 3), 3);
  CHECK_STR(buf, "cde");
  CHECK_INT(weft_file_write(f, buf, 3), WEFT_EBADF); /* opened for reading */
  CHECK_INT(weft_file_close(f), 0);
  CHECK_INT(fcntl(fd, F_GETFD), -1);
  scratch_end(&s);
}

TASK_TEST(the_system_s_errors_come_as_they_are) {
  struct scratch s;
  weft_file *f = NULL;
  if (!scratch_begin(&s)) return;
  CHECK_INT(weft_file_open(&f, scratch_path(&s, "none"), O_RDONLY, 0), WEFT_ENOENT);
  CHECK_INT(weft_file_open(&f, scratch_path(&s, "none/x"), O_WRONLY | O_CREAT, 0600), WEFT_ENOENT);
  CHECK_INT(weft_file_open(&f, "", O_RDONLY, 0), WEFT_ENOENT);
  CHECK_INT(weft_file_open(&f, s.dir, O_WRONLY, 0), WEFT_EISDIR);
  char *path = scratch_file(&s, "a", "", 0);
  CHECK_INT(weft_file_open(&f, path, O_WRONLY | O_CREAT | O_EXCL, 0600), WEFT_EEXIST);
  CHECK_INT(weft_file_open(&f, path, O_RDONLY | O_DIRECTORY, 0), WEFT_ENOTDIR);
  CHECK_PTR(f, NULL);
  CHECK_INT(weft_file_open(&f, path, O_RDONLY, 0), 0);
  CHECK_INT(weft_file_seek(f, -1, SEEK_SET, NULL), WEFT_EINVAL);
  CHECK_INT(weft_file_seek(f, 0, 99, NULL), WEFT_EINVAL);
  CHECK_INT(weft_file_truncate(f, 5), WEFT_EINVAL);
  CHECK_INT(weft_file_close(f), 0);
  scratch_end(&s);
}

TASK_TEST(wrong_arguments_are_named_and_change_nothing) {
  struct scratch s;
  char buf[4] = "";
  weft_file *f = NULL;
  struct iovec too_long[2] = {{buf, SIZE_MAX / 2}, {buf, SIZE_MAX / 2}}, null = {NULL, 1};
  if (!scratch_begin(&s)) return;
  f = open_new(&s, "a", 0);
  CHECK_INT(weft_file_open(NULL, s.dir, O_RDONLY, 0), WEFT_EINVAL);
  CHECK_INT(weft_file_open(&f, NULL, O_RDONLY, 0), WEFT_EINVAL);
  CHECK_INT(weft_file_read(NULL, buf, 1), WEFT_EINVAL);
  CHECK_INT(weft_file_write(NULL, buf, 1), WEFT_EINVAL);
  CHECK_INT(weft_file_read(f, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_file_write(f, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_file_read(f, buf, SIZE_MAX), WEFT_EINVAL);
  CHECK_INT(weft_file_writev(f, too_long, 2), WEFT_EINVAL);
  CHECK_INT(weft_file_writev(f, &null, 1), WEFT_EINVAL);
  CHECK_INT(weft_file_readv(f, NULL, 1), WEFT_EINVAL);
  CHECK_INT(weft_file_readv(f, &null, -1), WEFT_EINVAL);
  CHECK_INT(weft_file_pread(f, buf, 1, -1), WEFT_EINVAL);
  CHECK_INT(weft_file_pwrite(f, buf, 1, -1), WEFT_EINVAL);
  CHECK_INT(weft_file_truncate(f, -1), WEFT_EINVAL);
  CHECK_INT(weft_file_stat(f, NULL), WEFT_EINVAL);
  CHECK_INT(weft_file_size(NULL), WEFT_EINVAL);
  CHECK_INT(weft_file_sync(NULL), WEFT_EINVAL);
  CHECK_INT(weft_file_from_fd(NULL, 0), WEFT_EINVAL);
  CHECK_INT(weft_file_fd(NULL), -1);
  CHECK_INT(weft_file_read(f, NULL, 0), 0);
  CHECK_INT(weft_file_write(f, NULL, 0), 0);
  CHECK_INT(weft_file_write(f, "ok", 2), 0); /* it works as before */
  CHECK_INT(weft_file_size(f), 2);
  CHECK_INT(weft_file_close(f), 0);
  CHECK_INT(weft_file_close(NULL), 0);
  scratch_end(&s);
}

TASK_TEST(temporary_files_have_names_of_their_own) {
  struct scratch s;
  struct stat st;
  weft_file *a = NULL, *b = NULL;
  char buf[4] = "";
  if (!scratch_begin(&s)) return;
  char *pa = scratch_path(&s, "t-XXXXXX"), *pb = scratch_path(&s, "t-XXXXXX");
  CHECK_INT(weft_file_temp(&a, pa), 0);
  CHECK_INT(weft_file_temp(&b, pb), 0);
  CHECK(strcmp(pa, pb) != 0);
  CHECK_INT(strlen(pa), strlen(s.dir) + 9);
  CHECK(!strstr(pa, "XXXXXX"));
  CHECK_INT(weft_file_write(a, "abc", 3), 0);
  CHECK_INT(weft_file_pread(a, buf, 3, 0), 3);
  CHECK_INT(weft_file_stat(a, &st), 0);
  CHECK_INT(st.st_mode & 0777, 0600);
  CHECK_INT(weft_file_close(a), 0);
  CHECK_INT(weft_file_close(b), 0);
  CHECK(scratch_holds(pa, "abc", 3));
  char *none = scratch_path(&s, "none/t-XXXXXX"), *bad = scratch_path(&s, "t-XXXXX");
  CHECK_INT(weft_file_temp(&a, none), WEFT_ENOENT);
  CHECK(strstr(none, "t-XXXXXX") != NULL); /* as it was */
  CHECK_INT(weft_file_temp(&a, bad), WEFT_EINVAL);
  CHECK_INT(weft_file_temp(&a, (char[]){"XXXX"}), WEFT_EINVAL);
  CHECK_INT(scratch_count(&s), 2);
  scratch_end(&s);
}

static void outside_a_task_only_closing_works(void **state) {
  (void)state;
  weft_file *f = NULL;
  char buf[4];
  CHECK_INT(weft_file_open(&f, "/dev/null", O_RDONLY, 0), WEFT_ENOTASK);
  CHECK_INT(weft_file_from_fd(&f, open("/dev/null", O_RDWR | O_CLOEXEC)), 0);
  CHECK_INT(weft_file_read(f, buf, 1), WEFT_ENOTASK);
  CHECK_INT(weft_file_pwrite(f, buf, 1, 0), WEFT_ENOTASK);
  CHECK_INT(weft_file_sync(f), WEFT_ENOTASK);
  CHECK_INT(weft_file_seek(f, 0, SEEK_SET, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_file_size(f), WEFT_ENOTASK);
  CHECK_INT(weft_read_file("/dev/null", 0, (void **)&f, (size_t *)buf), WEFT_ENOTASK);
  CHECK_INT(weft_write_file("/dev/null", "", 0, NULL), WEFT_ENOTASK);
  CHECK_INT(weft_file_close(f), 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_written_is_read_back),
      cmocka_unit_test(offsets_leave_the_position_alone),
      cmocka_unit_test(what_is_appended_goes_to_the_end),
      cmocka_unit_test(vectors_are_moved_as_if_they_were_one),
      cmocka_unit_test(large_pieces_arrive_whole),
      cmocka_unit_test(writers_at_the_position_take_turns),
      cmocka_unit_test(readers_at_the_position_share_the_records),
      cmocka_unit_test(a_file_is_cut_lengthened_synced_and_looked_at),
      cmocka_unit_test(a_directory_can_be_opened_and_synced),
      cmocka_unit_test(a_device_gives_what_it_gives),
      cmocka_unit_test(a_pipe_or_a_socket_is_refused),
      cmocka_unit_test(a_descriptor_becomes_a_file_with_its_position),
      cmocka_unit_test(the_system_s_errors_come_as_they_are),
      cmocka_unit_test(wrong_arguments_are_named_and_change_nothing),
      cmocka_unit_test(temporary_files_have_names_of_their_own),
      cmocka_unit_test(outside_a_task_only_closing_works),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
