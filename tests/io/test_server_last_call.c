/* The last clients of a server that stops to listen, and those who come too late. */
#include <netinet/in.h>
#include <unistd.h>

#include "server_test.h"

/* Filters of sockets that were set and taken away: through a table of system calls. */
static struct {
  struct weft__sys_table table;
  const struct weft__sys_table *before;
  atomic_int attached, detached;
} filters;

static int filters_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
  if (level == SOL_SOCKET && name == SO_ATTACH_FILTER) atomic_fetch_add(&filters.attached, 1);
  if (level == SOL_SOCKET && name == SO_DETACH_FILTER) atomic_fetch_add(&filters.detached, 1);
  return filters.before->setsockopt(fd, level, name, value, len);
}

static void filters_begin(void) {
  const struct weft__sys_table *before = atomic_load(&weft__sys_current);
  if (filters.before != before) {
    filters.before = before;
    filters.table = *before;
    filters.table.setsockopt = filters_setsockopt;
  }
  atomic_store(&filters.attached, 0);
  atomic_store(&filters.detached, 0);
  weft__sys_install(&filters.table);
}

static void filters_end(void) {
  weft__sys_install(filters.before);
}

static int shut_down(void *server) {
  return weft_server_shutdown(server, NULL, NULL);
}

/* ---- who hears nobody, and for how long ---- */

TASK_TEST(who_listens_alone_is_deaf_for_the_last_call_only) {
  filters_begin();
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){0});
  CHECK_INT(weft_server_shutdown(v, NULL, NULL), 0);
  CHECK_INT(atomic_load(&filters.attached), 1);
  CHECK_INT(atomic_load(&filters.detached), 1);
  CHECK_INT(weft_server_free(v), 0);
  filters_end();
}

TASK_TEST(who_shares_a_port_is_never_deaf) {
  filters_begin();
  weft_server *v = serve_here(echo_all, NULL, (weft_serve_opts){.listen = {.reuse_port = true}});
  CHECK_INT(weft_server_shutdown(v, NULL, NULL), 0);
  CHECK_INT(atomic_load(&filters.attached), 0);
  CHECK_INT(weft_server_free(v), 0);
  filters_end();
}

/* As activation by systemd, and servers that fork, do. */
TASK_TEST(who_shares_a_listener_of_ours_hears_its_clients_afterwards) {
  struct weft_serve_opts opts = {0};
  weft_server *v = NULL;
  weft_listener *theirs = NULL;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  be_roomy();
  filters_begin();
  int fd = weft__sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(weft__sys_bind(fd, (struct sockaddr *)&here, sizeof here), 0);
  CHECK_INT(weft__sys_listen(fd, 5), 0);
  CHECK_INT(weft_listener_from_fd(&theirs, dup(fd)), 0);
  CHECK_INT(weft_listener_from_fd(&opts.listener, fd), 0);
  CHECK_INT(weft_server_start(&v, echo_all, NULL, &opts), 0);
  weft_addr at = addr_of(theirs);
  CHECK_INT(weft_server_shutdown(v, NULL, NULL), 0);
  CHECK_INT(atomic_load(&filters.attached), 0);
  CHECK_INT(weft_server_free(v), 0);
  weft_ns before = weft_now();
  weft_stream *client = dial(&at), *s = NULL;
  CHECK_INT(weft_accept(theirs, &s), 1);
  CHECK(weft_now() - before < weft_ms(900)); /* when a request that was dropped comes again */
  CHECK_INT(weft_stream_close(client), 0);
  CHECK_INT(weft_stream_close(s), 0);
  CHECK_INT(weft_listener_free(theirs), 0);
  filters_end();
}

static struct latch stay;

static int answer_and_stay(weft_stream *s, void *arg) {
  char c;
  ssize_t n = weft_read(s, &c, 1);
  if (n > 0) n = weft_write(s, &c, 1);
  latch_hit(arg);
  latch_wait(&stay, 1);
  return (int)n;
}

TASK_TEST(who_comes_while_the_last_ones_wait_for_places_is_heard) {
  struct latch begun = {0};
  stay = (struct latch){0};
  filters_begin();
  weft_server *v = serve_here(answer_and_stay, &begun, (weft_serve_opts){.max_conns = 1});
  weft_addr at = addr_of_server(v);
  weft_stream *first = dial(&at);
  ask(first, "1");
  latch_wait(&begun, 1);
  weft_task t = spawn_parked(shut_down, v);
  weft_ns before = weft_now();
  weft_stream *late = dial(&at);
  CHECK(weft_now() - before < weft_ms(900));
  CHECK_INT(atomic_load(&filters.attached), 0);
  latch_hit(&stay);
  ask(late, "2");
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(atomic_load(&filters.detached), atomic_load(&filters.attached));
  CHECK_INT(weft_stream_close(first), 0);
  CHECK_INT(weft_stream_close(late), 0);
  CHECK_INT(weft_server_free(v), 0);
  filters_end();
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_listens_alone_is_deaf_for_the_last_call_only),
      cmocka_unit_test(who_shares_a_port_is_never_deaf),
      cmocka_unit_test(who_shares_a_listener_of_ours_hears_its_clients_afterwards),
      cmocka_unit_test(who_comes_while_the_last_ones_wait_for_places_is_heard),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
