/* Servers on Unix sockets, and their files. */
#include "io/addr.h"
#include "scratch.h"
#include "server_test.h"

static weft_addr path_addr(const char *path) {
  weft_addr a = {0};
  CHECK_INT(weft_addr_unix(&a, path), 0);
  return a;
}

static bool exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

static unsigned mode_of(const char *path) {
  struct stat st = {0};
  CHECK_INT(lstat(path, &st), 0);
  return st.st_mode & 07777;
}

static weft_server *serve_at(const char *path, const weft_listen_opts *listen) {
  weft_server *v = NULL;
  weft_serve_opts opts = {.path = path};
  if (listen) opts.listen = *listen;
  CHECK_INT(weft_server_start(&v, echo_all, NULL, &opts), 0);
  return v;
}

/* A bound socket that nobody listens on any more. */
static void leave_stale(const char *path) {
  weft_addr a = path_addr(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(bind(fd, &weft__sa(&a)->any, a.len), 0);
  CHECK_INT(listen(fd, 1), 0);
  CHECK_INT(close(fd), 0);
  CHECK(exists(path));
}

TASK_TEST(clients_come_by_a_file) {
  struct scratch dir;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  weft_server *v = serve_at(path, NULL);
  weft_addr at = addr_of_server(v);
  CHECK_STR(weft_addr_path(&at), path);
  weft_stream *client = dial(&at);
  ask(client, "over here");
  hang_up(client);
  end_server(v);
  scratch_end(&dir);
}

TASK_TEST(SV5_a_servers_own_file_goes_with_its_close) {
  struct scratch dir;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  weft_server *v = serve_at(path, NULL);
  CHECK(exists(path));
  CHECK_INT(weft_server_close(v), 0);
  CHECK(!exists(path));
  end_server(v);
  scratch_end(&dir);
}

TASK_TEST(SV5_another_file_in_its_place_stays) {
  struct scratch dir;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  weft_server *v = serve_at(path, NULL);
  CHECK_INT(unlink(path), 0);
  weft_server *second = serve_at(path, NULL);
  end_server(v);
  CHECK(exists(path));
  weft_addr at = path_addr(path);
  weft_stream *client = dial(&at);
  ask(client, "the second");
  hang_up(client);
  end_server(second);
  CHECK(!exists(path));
  scratch_end(&dir);
}

TASK_TEST(SV5_a_file_that_is_gone_already_is_no_matter) {
  struct scratch dir;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  weft_server *v = serve_at(path, NULL);
  CHECK_INT(unlink(path), 0);
  end_server(v);
  scratch_end(&dir);
}

TASK_TEST(what_a_dead_server_has_left_is_replaced) {
  struct scratch dir;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  leave_stale(path);
  weft_server *v = serve_at(path, NULL);
  weft_addr at = path_addr(path);
  weft_stream *client = dial(&at);
  ask(client, "new");
  hang_up(client);
  end_server(v);
  scratch_end(&dir);
}

TASK_TEST(what_is_not_left_over_is_not_touched) {
  struct scratch dir;
  weft_server *second = NULL;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  weft_server *v = serve_at(path, NULL);
  weft_serve_opts opts = {.path = path};
  CHECK_INT(weft_server_start(&second, echo_all, NULL, &opts), WEFT_EADDRINUSE);
  weft_addr at = path_addr(path);
  weft_stream *client = dial(&at);
  ask(client, "still here");
  hang_up(client);
  end_server(v);
  opts.path = scratch_file(&dir, "file", "precious", 8);
  CHECK_INT(weft_server_start(&second, echo_all, NULL, &opts), WEFT_EADDRINUSE);
  CHECK(scratch_holds(opts.path, "precious", 8));
  opts.path = scratch_path(&dir, "no/such/place");
  CHECK_INT(weft_server_start(&second, echo_all, NULL, &opts), WEFT_ENOENT);
  CHECK_PTR(second, NULL);
  CHECK_INT(scratch_count(&dir), 1);
  scratch_end(&dir);
}

TASK_TEST(a_live_server_whose_queue_is_full_is_not_taken_for_dead) {
  struct scratch dir;
  weft_listener *l = NULL, *second = NULL;
  weft_stream *client[8] = {0};
  int n = 0;
  if (!scratch_begin(&dir)) return;
  weft_addr at = path_addr(scratch_path(&dir, "sock"));
  CHECK_INT(weft_listen(&l, &at, &(weft_listen_opts){.backlog = 1}), 0);
  while (n < 8 && try_dial(&client[n], &at) == 0) n++;
  CHECK(n < 8);
  CHECK_INT(weft_listen(&second, &at, NULL), WEFT_EADDRINUSE);
  for (int i = 0; i < n; i++) CHECK_INT(weft_stream_close(client[i]), 0);
  CHECK_INT(weft_listener_free(l), 0);
  scratch_end(&dir);
}

TASK_TEST(a_sockets_file_has_the_permissions_that_it_is_given) {
  struct scratch dir;
  if (!scratch_begin(&dir)) return;
  const char *path = scratch_path(&dir, "sock");
  weft_server *v = serve_at(path, &(weft_listen_opts){.mode = 0622});
  CHECK_UINT(mode_of(path), 0622);
  end_server(v);
  scratch_end(&dir);
}

TASK_TEST(a_failed_listen_leaves_no_file) {
  struct scratch dir;
  weft_listener *l = NULL;
  if (!scratch_begin(&dir)) return;
  weft_addr at = path_addr(scratch_path(&dir, "sock"));
  weft__sys_fail(WEFT__SYS_listen, 1, WEFT_EACCES, false);
  CHECK_INT(weft_listen(&l, &at, NULL), WEFT_EACCES);
  weft__sys_fail(WEFT__SYS_chmod, 1, WEFT_EPERM, false);
  CHECK_INT(weft_listen(&l, &at, &(weft_listen_opts){.mode = 0600}), WEFT_EPERM);
  weft__sys_clear();
  CHECK_PTR(l, NULL);
  CHECK_INT(scratch_count(&dir), 0);
  scratch_end(&dir);
}

TASK_TEST(a_name_that_is_no_file_needs_none) {
  weft_listener *l = NULL, *second = NULL;
  char name[64];
  weft_addr at;
  int n = snprintf(name, sizeof name, "weft-test-%ld", (long)getpid());
  CHECK_INT(weft_addr_unix_abstract(&at, name, (size_t)n), 0);
  CHECK_INT(weft_listen(&l, &at, NULL), 0);
  CHECK_INT(weft_listen(&second, &at, NULL), WEFT_EADDRINUSE);
  weft_stream *client = dial(&at), *s = NULL;
  CHECK_INT(weft_accept(l, &s), 1);
  CHECK_INT(write_text(client, "hello"), 0);
  expect_bytes(s, "hello");
  CHECK(weft_stream_close(client) == 0 && weft_stream_close(s) == 0);
  CHECK_INT(weft_listener_free(l), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clients_come_by_a_file),
      cmocka_unit_test(SV5_a_servers_own_file_goes_with_its_close),
      cmocka_unit_test(SV5_another_file_in_its_place_stays),
      cmocka_unit_test(SV5_a_file_that_is_gone_already_is_no_matter),
      cmocka_unit_test(what_a_dead_server_has_left_is_replaced),
      cmocka_unit_test(what_is_not_left_over_is_not_touched),
      cmocka_unit_test(a_live_server_whose_queue_is_full_is_not_taken_for_dead),
      cmocka_unit_test(a_sockets_file_has_the_permissions_that_it_is_given),
      cmocka_unit_test(a_failed_listen_leaves_no_file),
      cmocka_unit_test(a_name_that_is_no_file_needs_none),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
