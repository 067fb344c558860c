/* A gibibyte in each direction, between weft and the tools of the system, and between two tasks: it
 * arrives intact, and the memory stays what it was. The other end is `nc`, the sum is `sha256sum`'s: of
 * what weft sent as nc received it, and of what weft received. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "base/memory.h"
#include "counts.h"
#include "task_test.h"

#define TOTAL ((uint64_t)COUNTS_PICK(1 << 30, 256 << 20, 64 << 20))
/* What buffers of 64 KiB that come and go at every wait leave in the allocator, of each thread, is 1 to 3 MiB,
 * of one gibibyte as of four. */
enum { CHUNK = 64 << 10, MOST_GROWTH = 4 << 20, SUM_LEN = 64 };

/* ---- the data: words that depend on their place ---- */

static uint64_t word_at(uint64_t at) {
  uint64_t x = (at / sizeof x + 1) * UINT64_C(0x9e3779b97f4a7c15);
  return x ^ (x >> 29);
}

static void fill(uint64_t *words, uint64_t at, size_t len) {
  for (size_t i = 0; i < len / sizeof *words; i++) words[i] = word_at(at + i * sizeof *words);
}

static bool is_filled(const uint64_t *words, uint64_t at, size_t len) {
  uint64_t wrong = 0;
  for (size_t i = 0; i < len / sizeof *words; i++)
    wrong |= words[i] ^ word_at(at + i * sizeof *words);
  return wrong == 0;
}

/* ---- memory ---- */

static size_t high_water(void) {
  size_t kib = 0;
  char line[128];
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %zu kB", &kib) != 1) {}
  if (f) fclose(f);
  return kib * 1024;
}

/* The mark begins anew at what is resident now. */
static size_t reset_high_water(void) {
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (f) {
    fputs("5", f);
    fclose(f);
  }
  return high_water();
}

static void expect_little_growth(size_t before, const char *what) {
  size_t now = high_water(), growth = now > before ? now - before : 0;
  printf("%s: %llu MiB, memory grew by %zu KiB\n", what, (unsigned long long)(TOTAL >> 20),
         growth / 1024);
  if (!COUNTS_ASAN && !COUNTS_TSAN && !WEFT_VALGRIND) CHECK(growth <= MOST_GROWTH);
}

/* ---- the other side: a shell ---- */

static int listen_somewhere(int *ret_port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(bind(fd, (struct sockaddr *)&at, len), 0);
  CHECK_INT(listen(fd, 1), 0);
  CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  *ret_port = ntohs(at.sin_port);
  return fd;
}

static void need(const char *tool) {
  char command[128];
  snprintf(command, sizeof command, "command -v %s > /dev/null", tool);
  if (system(command) != 0) weft_test_skip("nc or sha256sum is missing");
}

/* The sum that the system finds for the data. */
static void right_sum(char sum[SUM_LEN + 1]) {
  static uint64_t words[CHUNK / sizeof(uint64_t)];
  char path[] = "/tmp/weft-sum-XXXXXX";
  int out = mkstemp(path);
  char command[128];
  CHECK(out >= 0);
  snprintf(command, sizeof command, "sha256sum > %s", path);
  FILE *p = popen(command, "w");
  for (uint64_t at = 0; p && at < TOTAL; at += CHUNK) {
    fill(words, at, CHUNK);
    if (!CHECK_UINT(fwrite(words, 1, CHUNK, p), CHUNK)) break;
  }
  if (p) CHECK_INT(pclose(p), 0);
  CHECK_INT(read(out, sum, SUM_LEN), SUM_LEN);
  sum[SUM_LEN] = 0;
  close(out);
  unlink(path);
}

/* ---- weft's side ---- */

struct transfer {
  weft_listener *listener;
  weft_stream *to; /* where what was received goes on to */
  const char *what;
};

static int send_data(weft_stream *s) {
  static uint64_t words[CHUNK / sizeof(uint64_t)];
  for (uint64_t at = 0; at < TOTAL; at += CHUNK) {
    fill(words, at, CHUNK);
    int r = weft_write(s, words, CHUNK);
    if (r < 0) return r;
  }
  return 0;
}

static int send_to_one(void *arg) {
  struct transfer *t = arg;
  weft_stream *s = NULL;
  size_t before = reset_high_water();
  if (!CHECK_INT(weft_accept(t->listener, &s), 1)) return -1;
  CHECK_INT(send_data(s), 0);
  expect_little_growth(before, t->what);
  return weft_stream_close(s);
}

static int receive_from_one(void *arg) {
  static char buf[CHUNK];
  struct transfer *t = arg;
  weft_stream *s = NULL;
  uint64_t got = 0;
  ssize_t n;
  size_t before = reset_high_water();
  if (!CHECK_INT(weft_accept(t->listener, &s), 1)) return -1;
  while ((n = weft_read(s, buf, sizeof buf)) > 0) {
    got += (size_t)n;
    if (!CHECK_INT(weft_write(t->to, buf, (size_t)n), 0)) break;
  }
  CHECK_INT(n, 0);
  CHECK_UINT(got, TOTAL);
  expect_little_growth(before, t->what);
  CHECK_INT(weft_stream_close(t->to), 0);
  return weft_stream_close(s);
}

static void a_gibibyte_is_sent_to_nc(void **state) {
  char sum[SUM_LEN + 1], got[SUM_LEN + 1] = "", command[128];
  struct transfer t = {.what = "sent to nc"};
  int port;
  (void)state;
  need("nc");
  need("sha256sum");
  right_sum(sum);
  int fd = listen_somewhere(&port);
  snprintf(command, sizeof command, "nc -d 127.0.0.1 %d | sha256sum", port);
  FILE *client = popen(command, "r"); /* before the run, while the process has one thread */
  CHECK_INT(weft_listener_from_fd(&t.listener, fd), 0);
  CHECK_INT(weft_run(send_to_one, &t, &(weft_run_opts){.workers = 2}), 0);
  CHECK_INT(weft_listener_free(t.listener), 0);
  CHECK_UINT(fread(got, 1, SUM_LEN, client), SUM_LEN);
  CHECK_INT(pclose(client), 0);
  CHECK_STR(got, sum);
}

/* The data, written to a command by a process of its own. */
static pid_t start_with_data(const char *command) {
  static uint64_t words[CHUNK / sizeof(uint64_t)];
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) return pid;
  FILE *f = popen(command, "w");
  for (uint64_t at = 0; f && at < TOTAL; at += CHUNK) {
    fill(words, at, CHUNK);
    if (fwrite(words, 1, CHUNK, f) != CHUNK) _exit(1);
  }
  _exit(!f || pclose(f) != 0);
}

static void a_gibibyte_is_received_from_nc(void **state) {
  char sum[SUM_LEN + 1], got[SUM_LEN + 1] = "", path[] = "/tmp/weft-got-XXXXXX", command[128];
  struct transfer t = {.what = "received from nc"};
  int port, status = -1;
  (void)state;
  need("nc");
  need("sha256sum");
  right_sum(sum);
  int fd = listen_somewhere(&port), out = mkstemp(path);
  snprintf(command, sizeof command, "nc -N 127.0.0.1 %d > /dev/null", port);
  pid_t client = start_with_data(command);
  snprintf(command, sizeof command, "sha256sum > %s", path);
  FILE *summer = popen(command, "w");
  int to = dup(fileno(summer));
  CHECK_INT(weft_stream_from_fd(&t.to, to), 0);
  CHECK_INT(weft_listener_from_fd(&t.listener, fd), 0);
  CHECK_INT(weft_run(receive_from_one, &t, &(weft_run_opts){.workers = 2}), 0);
  CHECK_INT(weft_listener_free(t.listener), 0);
  CHECK_INT(waitpid(client, &status, 0), client);
  CHECK_INT(status, 0);
  CHECK_INT(pclose(summer), 0);
  CHECK_INT(read(out, got, SUM_LEN), SUM_LEN);
  CHECK_STR(got, sum);
  close(out);
  unlink(path);
}

/* ---- both directions at once, between tasks ---- */

static int send_all(void *stream) {
  uint64_t *words = weft__alloc(CHUNK);
  int r = words ? 0 : WEFT_ENOMEM;
  for (uint64_t at = 0; r == 0 && at < TOTAL; at += CHUNK) {
    fill(words, at, CHUNK);
    r = weft_write(stream, words, CHUNK);
  }
  weft__free(words);
  return r < 0 ? r : weft_stream_shutdown_write(stream);
}

static int receive_all(void *stream) {
  uint64_t *words = weft__alloc(CHUNK), at = 0;
  ssize_t n = WEFT_ENOMEM;
  while (words && at < TOTAL && (n = weft_read_exactly(stream, words, CHUNK)) > 0) {
    if (!CHECK(is_filled(words, at, CHUNK))) break;
    at += CHUNK;
  }
  weft__free(words);
  CHECK_UINT(at, TOTAL);
  char c;
  return n < 0 ? (int)n : (int)weft_read(stream, &c, 1);
}

static void transfer_both_ways(void) {
  int port, l = listen_somewhere(&port), fds[2];
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                           .sin_port = htons((uint16_t)port)};
  weft_stream *ends[2];
  weft_group g = WEFT_GROUP_INIT;
  fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(connect(fds[0], (struct sockaddr *)&at, sizeof at), 0);
  fds[1] = accept(l, NULL, NULL);
  close(l);
  size_t before = reset_high_water();
  for (int i = 0; i < 2; i++) {
    CHECK_INT(weft_stream_from_fd(&ends[i], fds[i]), 0);
    weft_group_spawn(&g, send_all, ends[i], NULL);
    weft_group_spawn(&g, receive_all, ends[i], NULL);
  }
  CHECK_INT(weft_group_join(&g), 0);
  expect_little_growth(before, "in both directions at once");
  for (int i = 0; i < 2; i++) CHECK_INT(weft_stream_close(ends[i]), 0);
}

TASK_TEST_WITH(a_gibibyte_goes_in_both_directions_at_once, (&(weft_run_opts){.workers = 4})) {
  transfer_both_ways();
}

TASK_TEST_WITH(the_same_on_one_worker, (&(weft_run_opts){.workers = 1})) {
  transfer_both_ways();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_gibibyte_is_sent_to_nc),
    cmocka_unit_test(a_gibibyte_is_received_from_nc),
    cmocka_unit_test(a_gibibyte_goes_in_both_directions_at_once),
    cmocka_unit_test(the_same_on_one_worker),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
