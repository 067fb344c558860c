/* A server that is told to end by SIGTERM while many clients are at work: what is under way is completed,
 * nobody is reset, and the process exits with 0. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_test.h"

enum {
  CLIENTS = 16,
  QUESTION = 64,
  BEFORE = COUNTS_PICK(2000, 500, 300), /* exchanges until the signal */
  PATIENCE = 30,                        /* seconds that a client waits for an answer */
};

/* ---- the server ---- */

/* The first byte says how long the answer takes. */
static int answer(weft_stream *s, void *arg) {
  char question[QUESTION];
  ssize_t n;
  int r = 0;
  (void)arg;
  while (r == 0 && (n = weft_read_exactly(s, question, QUESTION)) > 0) {
    r = weft_sleep(weft_us(question[0] * 100));
    if (r == 0) r = weft_write(s, question, QUESTION / 2);
    if (r == 0) r = weft_yield();
    if (r == 0) r = weft_write(s, question + QUESTION / 2, QUESTION / 2);
  }
  return r < 0 ? r : (int)n;
}

struct server {
  int tell; /* where the port is written */
  weft_listener *l;
  weft_server_report report;
};

static int serve(void *arg) {
  struct server *v = arg;
  weft_serve_opts opts = {.listener = v->l, .report = &v->report};
  return weft_serve(answer, NULL, &opts);
}

static int run_server(void *arg) {
  static const int ends[] = {SIGTERM};
  struct server *v = arg;
  weft_signal *signals;
  weft_group g;
  weft_addr at = any_port();
  weft_group_init(&g, &(weft_group_opts){.stoppable = true});
  int r = weft_signal_open(&signals, ends, 1);
  if (r == 0) r = weft_listen(&v->l, &at, NULL);
  if (r < 0) return r;
  int port = (at = addr_of(v->l), weft_addr_port(&at));
  weft_group_spawn(&g, serve, v, NULL);
  if (write(v->tell, &port, sizeof port) != sizeof port) return WEFT_EIO;
  r = weft_signal_next(signals, NULL);
  if (r == SIGTERM) r = weft_group_stop(&g, WEFT_FOREVER, NULL);
  int joined = weft_group_join(&g);
  weft_signal_close(signals);
  return r < 0 ? r : joined;
}

static int be_the_server(int tell) {
  struct server v = {.tell = tell};
  atomic_int reports[WEFT_REPORT_HANDLER + 1] = {0};
  const weft_run_opts opts = {.on_error = count_reports, .on_error_arg = reports};
  if (weft_run(run_server, &v, &opts) < 0) return 2;
  if (v.report.ncuts != 0) return 3;
  return atomic_load(&reports[WEFT_REPORT_HANDLER]) == 0 ? 0 : 4;
}

/* ---- the clients, each on a thread of its own ---- */

struct load {
  int port;
  atomic_int exchanges;
  atomic_int ended; /* clients that have seen the end of their connection, between two exchanges */
  atomic_int refused; /* that came too late */
};

static int connect_to(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const struct timeval patience = {.tv_sec = PATIENCE};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
  CHECK_INT(errno, ECONNREFUSED);
  close(fd);
  return -1;
}

/* 1: answered. 0: the connection was at its end before. An answer is whole or is not begun. */
static int exchange(struct load *load, int fd, int n) {
  char out[QUESTION], in[QUESTION];
  fill_bytes(out, (uint64_t)n, QUESTION);
  out[0] = (char)(n % 16);
  if (!CHECK_INT(send(fd, out, QUESTION, MSG_NOSIGNAL), QUESTION)) return 0;
  ssize_t r = recv(fd, in, QUESTION, MSG_WAITALL);
  if (r < 0) CHECK_FAIL("an exchange ended with errno %d", errno);
  if (r <= 0) return 0;
  CHECK_INT(r, QUESTION);
  CHECK(memcmp(in, out, QUESTION) == 0);
  atomic_fetch_add(&load->exchanges, 1);
  return 1;
}

/* One connection for all. */
static void *stay(void *arg) {
  struct load *load = arg;
  int fd = connect_to(load->port), n = 0;
  while (exchange(load, fd, n)) n++;
  atomic_fetch_add(&load->ended, 1);
  CHECK_INT(close(fd), 0);
  return NULL;
}

/* One for each question: whoever is connected is answered. */
static void *come_again(void *arg) {
  struct load *load = arg;
  int fd, n = 0;
  while ((fd = connect_to(load->port)) >= 0) {
    CHECK_INT(exchange(load, fd, n++), 1);
    CHECK_INT(close(fd), 0);
    if (weft_test_failed()) break;
  }
  atomic_fetch_add(&load->refused, 1);
  return NULL;
}

static void put_load_on(pid_t server, int port) {
  pthread_t thread[CLIENTS];
  struct load load = {.port = port};
  for (int i = 0; i < CLIENTS; i++)
    CHECK_INT(pthread_create(&thread[i], NULL, i % 4 == 3 ? come_again : stay, &load), 0);
  while (atomic_load(&load.exchanges) < BEFORE && !weft_test_failed()) sched_yield();
  CHECK_INT(kill(server, SIGTERM), 0);
  for (int i = 0; i < CLIENTS; i++) CHECK_INT(pthread_join(thread[i], NULL), 0);
  CHECK_INT(atomic_load(&load.ended), CLIENTS - CLIENTS / 4);
  CHECK_INT(atomic_load(&load.refused), CLIENTS / 4);
}

static void at_sigterm_every_exchange_is_completed(void **state) {
  int pipe_fds[2], port = 0, status = -1;
  (void)state;
  CHECK_INT(pipe(pipe_fds), 0);
  pid_t pid = fork();
  if (pid == 0) {
    close(pipe_fds[0]);
    _exit(be_the_server(pipe_fds[1]));
  }
  CHECK(pid > 0);
  close(pipe_fds[1]);
  if (CHECK_INT(read(pipe_fds[0], &port, sizeof port), sizeof port)) put_load_on(pid, port);
  close(pipe_fds[0]);
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_sigterm_every_exchange_is_completed),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
