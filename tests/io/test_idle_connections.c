/* Many connections that say nothing: what each of them costs, and that they live. The clients are another
 * process, so that neither runs out of descriptors. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "counts.h"
#include "task_test.h"

enum {
  CONNECTIONS = COUNTS_PICK(10000, 2000, 1000),
  WARM = 64,   /* that fill the caches before the first look */
  SPARE = 100, /* descriptors for all else */
  MOST_BYTES = 6 * 1024,
  SOURCES = 8, /* addresses that the clients come from */
};

/* ---- the clients' process ---- */

static void tell(int fd, char what) {
  if (write(fd, &what, 1) != 1) _exit(2);
}

static void hear(int fd) {
  char c;
  if (read(fd, &c, 1) != 1) _exit(3);
}

static int connect_from(int i, const struct sockaddr_in *to) {
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)(i % SOURCES))};
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) _exit(4);
  if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) _exit(5);
  return fd;
}

/* Each is asked for an answer of its own. */
static void ask_all(const int *fds) {
  for (int i = 0; i < CONNECTIONS; i++)
    if (write(fds[i], &i, sizeof i) != sizeof i) _exit(6);
  for (int i = 0, got; i < CONNECTIONS; i++)
    if (read(fds[i], &got, sizeof got) != sizeof got || got != ~i) _exit(7);
}

static _Noreturn void be_clients(const struct sockaddr_in *to, int in, int out) {
  static int fds[CONNECTIONS];
  for (int i = 0; i < CONNECTIONS; i++) {
    fds[i] = connect_from(i, to);
    if (i + 1 != WARM) continue;
    tell(out, 'w');
    hear(in);
  }
  tell(out, 'a');
  hear(in);
  ask_all(fds);
  tell(out, 'd');
  hear(in);
  _exit(0);
}

/* ---- the server ---- */

static struct {
  weft_listener *listener;
  weft_stream *from_clients, *to_clients;
  struct latch idle; /* handlers that have begun */
} server;

/* The buffer is lent by the stream, which has it while there is something in it: so the stack stays within
 * its one page, before and after. */
static int serve(weft_stream *s, void *arg) {
  char *data;
  ssize_t n = 0;
  int r;
  (void)arg;
  latch_hit(&server.idle);
  while ((r = weft_wait_readable(s)) == 0 && (n = weft_read_lent(s, &data)) > 0) {
    for (ssize_t i = 0; i < n; i++) data[i] = (char)~data[i];
    if ((r = weft_write(s, data, (size_t)n)) < 0) return r;
  }
  return r < 0 ? r : (int)n;
}

static size_t resident(void) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
  if (f) fclose(f);
  CHECK(pages > 0);
  return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void expect_small(const char *when, size_t before) {
  size_t each = (resident() - before) / (CONNECTIONS - WARM);
  printf("%d idle connections %s: %zu bytes of RSS each\n", CONNECTIONS, when, each);
  if (!COUNTS_ASAN && !COUNTS_TSAN && !WEFT_VALGRIND) CHECK(each <= MOST_BYTES);
}

static void expect_word(char want) {
  char c = 0;
  CHECK_INT(weft_read(server.from_clients, &c, 1), 1);
  CHECK_INT(c, want);
}

static void go_on(void) {
  CHECK_INT(weft_write(server.to_clients, "g", 1), 0);
}

static int hold_them(void *arg) {
  weft_server *v = NULL;
  (void)arg;
  CHECK_INT(weft_server_start(&v, serve, NULL, &(weft_serve_opts){.listener = server.listener}), 0);
  expect_word('w');
  CHECK_INT(latch_wait(&server.idle, WARM), 0);
  size_t before = resident();
  go_on();
  expect_word('a');
  CHECK_INT(latch_wait(&server.idle, CONNECTIONS), 0);
  CHECK_UINT(weft_server_connections(v), CONNECTIONS);
  expect_small("that have said nothing", before);
  go_on();
  expect_word('d'); /* every one of them has been answered */
  expect_small("after a word with each", before);
  go_on();
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_server_wait_closed(v), 0);
  CHECK_INT(weft_server_free(v), 0);
  CHECK_INT(weft_stream_close(server.from_clients), 0);
  CHECK_INT(weft_stream_close(server.to_clients), 0);
  return 0;
}

static int listen_somewhere(struct sockaddr_in *ret) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  socklen_t len = sizeof *ret;
  *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_INT(bind(fd, (struct sockaddr *)ret, len), 0);
  CHECK_INT(listen(fd, 1024), 0);
  CHECK_INT(getsockname(fd, (struct sockaddr *)ret, &len), 0);
  return fd;
}

static void ten_thousand_idle_connections_cost_six_kib_each(void **state) {
  struct rlimit limit;
  struct sockaddr_in at;
  int to[2], from[2], status = -1;
  (void)state;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < CONNECTIONS + SPARE)
    weft_test_skip("the limit of descriptors (ulimit -Hn) is too low");
  server.idle = (struct latch){0};
  int fd = listen_somewhere(&at);
  CHECK_INT(pipe(to), 0);
  CHECK_INT(pipe(from), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) be_clients(&at, to[0], from[1]);
  close(to[0]);
  close(from[1]);
  CHECK_INT(weft_listener_from_fd(&server.listener, fd), 0);
  CHECK_INT(weft_stream_from_fd(&server.from_clients, from[0]), 0);
  CHECK_INT(weft_stream_from_fd(&server.to_clients, to[1]), 0);
  CHECK_INT(weft_run(hold_them, NULL, NULL), 0);
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK_INT(status, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ten_thousand_idle_connections_cost_six_kib_each),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
