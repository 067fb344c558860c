/* Streams of a simulation, for its tests: pairs, and transfers that go on until all is done. */
#ifndef WEFT_TEST_SIM_NET_H
#define WEFT_TEST_SIM_NET_H

#include <stdint.h>
#include <sys/socket.h>
#include <weft.h>
#include <weft/sim.h>

#include "base/sim_net.h"
#include "base/sys.h"
#include "core/fdwait.h"
#include "weft_test.h"

/* Nothing is unkind, and nothing is drawn. */
static const struct weft__sim_net_rates kind = {.capacity = 65536};

static inline void net_pair(int fds[2]) {
  CHECK_INT(weft__sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static inline void net_close(int fd) {
  CHECK_INT(weft__sys_close(fd), 0);
}

static inline void net_close_pair(const int fds[2]) {
  net_close(fds[0]);
  net_close(fds[1]);
}

/* The byte at a place of a stream, so that a lost, doubled or misplaced one shows. */
static inline char net_byte(uint64_t at) {
  return (char)(at * 131 + (at >> 8) * 29 + (at >> 16));
}

/* What the call did, once it could: bytes, the end of the stream, or an error. */
static inline ssize_t net_read_some(int fd, void *buf, size_t len) {
  for (;;) {
    ssize_t n = weft__sys_read(fd, buf, len);
    if (n != WEFT_EAGAIN && n != WEFT_EINTR) return n;
    int r = n == WEFT_EAGAIN ? weft__fd_wait(fd, WEFT__FD_READ) : 0;
    if (r < 0) return r;
  }
}

/* Bytes `from` .. `to` of the stream, at most `most` in one call; 0, or what went wrong. *ret is
 * the first byte that was not sent. */
static inline int net_send_range(int fd, uint64_t from, uint64_t to, size_t most, uint64_t *ret) {
  char buf[4096];
  for (*ret = from; *ret < to;) {
    size_t len = to - *ret < most ? (size_t)(to - *ret) : most;
    if (len > sizeof buf) len = sizeof buf;
    for (size_t i = 0; i < len; i++) buf[i] = net_byte(*ret + i);
    ssize_t n = weft__sys_write(fd, buf, len);
    int r = 0;
    if (n == WEFT_EAGAIN)
      r = weft__fd_wait(fd, WEFT__FD_WRITE);
    else if (n < 0 && n != WEFT_EINTR)
      r = (int)n;
    if (r < 0) return r;
    if (n > 0) *ret += (uint64_t)n;
  }
  return 0;
}

/* Reads and compares until `to`, the end of the stream, or an error: 1, 0, or negative. *ret is the
 * first byte that did not come. */
static inline int net_expect_range(int fd, uint64_t from, uint64_t to, uint64_t *ret) {
  char buf[4096];
  for (*ret = from; *ret < to;) {
    size_t len = to - *ret < sizeof buf ? (size_t)(to - *ret) : sizeof buf;
    ssize_t n = net_read_some(fd, buf, len);
    if (n <= 0) return (int)n;
    for (ssize_t i = 0; i < n; i++)
      if (!CHECK_INT(buf[i], net_byte(*ret + (uint64_t)i))) return WEFT_EUSER;
    *ret += (uint64_t)n;
  }
  return 1;
}

/* n seeds of the scenario, with these rates; tells the seed that failed. */
static inline void net_simulate(weft_fn fn, void *arg, uint64_t n,
                                const struct weft__sim_net_rates *rates) {
  weft_sim_report report = {0};
  weft__sim_net_rates(rates);
  int r = weft_simulate(fn, arg, &(weft_sim_opts){.seeds = n}, &report);
  if (!CHECK_INT(r, 0)) print_message("with WEFT_SEED=%llu\n", (unsigned long long)report.seed);
  weft__sim_net_rates(NULL);
}

/* Latency and nothing else; far longer than a thread is kept off its CPU. */
#define NET_LATENCY weft_ms(50)
static const struct weft__sim_net_rates net_slow = {
    .capacity = 100,
    .latency_min = 50000000,
    .latency_max = 50000000,
};

/* Defines a test whose block is the main task of a few simulated runs on such a network. */
#define NET_TEST(name, rates, seeds)                                                               \
  static void name##_body(void);                                                                   \
  static int name##_main(void *arg) {                                                              \
    (void)arg;                                                                                     \
    name##_body();                                                                                 \
    return weft_test_failed() ? WEFT_EUSER : 0;                                                    \
  }                                                                                                \
  static void name(void **state) {                                                                 \
    (void)state;                                                                                   \
    net_simulate(name##_main, NULL, seeds, rates);                                                 \
  }                                                                                                \
  static void name##_body(void)

#endif
