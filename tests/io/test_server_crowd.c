/* Servers in processes of their own, with real limits and real clients. */
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_test.h"

enum {
  LIMIT = 64, /* descriptors of the server's process, the runtime's own among them */
  CLIENTS = 150,
  PATIENCE = 20, /* seconds that a client waits for an answer */
};

/* ---- the server ---- */

struct crowd {
  int tell; /* where the port is written */
  atomic_int served;
  weft_event all;
};

static int echo_and_count(weft_stream *s, void *arg) {
  struct crowd *c = arg;
  int r = echo_all(s, NULL);
  if (atomic_fetch_add(&c->served, 1) + 1 == CLIENTS) weft_event_set(&c->all);
  return r;
}

static int serve_crowd(void *arg) {
  struct crowd *c = arg;
  weft_server *v = NULL;
  const weft_serve_opts opts = {.host = "127.0.0.1", .listen = {.backlog = CLIENTS}};
  int r = weft_server_start(&v, echo_and_count, c, &opts);
  if (r < 0) return r;
  weft_addr at = addr_of_server(v);
  int port = weft_addr_port(&at);
  if (write(c->tell, &port, sizeof port) != sizeof port) return WEFT_EIO;
  r = weft_event_wait(&c->all);
  end_server(v);
  return r;
}

/* The exit status: 0, and not more than a moment of the CPU. */
static int be_the_server(int tell) {
  struct crowd c = {.tell = tell};
  weft_run_opts opts = {.on_error = count_reports};
  atomic_int reports[WEFT_REPORT_HANDLER + 1] = {0};
  struct rusage used;
  opts.on_error_arg = reports;
  if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, LIMIT}) < 0) return 2;
  if (weft_run(serve_crowd, &c, &opts) < 0) return 3;
  if (atomic_load(&reports[WEFT_REPORT_HANDLER]) != 0) return 4;
  if (atomic_load(&reports[WEFT_REPORT_PAUSE]) == 0) return 5; /* the limit was none */
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec < 2 * COUNTS_SLOWER ? 0 : 6;
}

/* ---- the clients, which block ---- */

static int connect_to(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const struct timeval patience = {.tv_sec = PATIENCE};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  CHECK_INT(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
  return fd;
}

static void be_the_clients(int port) {
  int fd[CLIENTS];
  char buf[8];
  for (int i = 0; i < CLIENTS; i++) {
    fd[i] = connect_to(port);
    CHECK_INT(send(fd[i], "question", 8, MSG_NOSIGNAL), 8);
  }
  for (int i = 0; i < CLIENTS; i++) {
    CHECK_INT(recv(fd[i], buf, sizeof buf, MSG_WAITALL), 8);
    CHECK_INT(close(fd[i]), 0);
  }
}

static void a_crowd_is_served_though_there_are_few_descriptors(void **state) {
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
  if (CHECK_INT(read(pipe_fds[0], &port, sizeof port), sizeof port)) be_the_clients(port);
  close(pipe_fds[0]);
  CHECK_INT(waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_crowd_is_served_though_there_are_few_descriptors),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
