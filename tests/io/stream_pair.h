/* Two streams, or a stream and a bare descriptor, that are connected with each other; for the tests of
 * streams. In a simulation they are of its network, unkind in all ways but resets and tiny buffers. */
#ifndef WEFT_TEST_STREAM_PAIR_H
#define WEFT_TEST_STREAM_PAIR_H

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <weft.h>

#include "base/sim_net.h"
#include "base/sys.h"
#include "counts.h"
#include "task_test.h"

/* More than any buffer between two ends holds. */
enum { LARGE_MOST = 1 << 20 };
static inline size_t large_size(void) {
  return counts_simulated() ? 150000 : LARGE_MOST;
}

struct pair {
  weft_stream *a, *b;
};

static inline void be_without_resets(void) {
  struct weft__sim_net_rates rates;
  weft__sim_net_rates(NULL);
  rates = *weft__sim_net_rates_now();
  rates.reset = 0;
  rates.small = 0; /* who writes a line and then reads it does not wait in between */
  rates.capacity = 16384;
  weft__sim_net_rates(&rates);
}

/* Two ends of a local socket, not blocking. */
static inline void fd_pair(int fds[2]) {
  be_without_resets();
  CHECK_INT(weft__sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* Two ends of a TCP connection of this machine: the kernel's, also in a simulation. */
static inline void tcp_pair(int fds[2]) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(bind(l, (struct sockaddr *)&at, len), 0);
  CHECK_INT(listen(l, 1), 0);
  CHECK_INT(getsockname(l, (struct sockaddr *)&at, &len), 0);
  fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(connect(fds[0], (struct sockaddr *)&at, len), 0);
  fds[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
  CHECK(fds[1] >= 0);
  CHECK_INT(close(l), 0);
}

static inline weft_stream *stream_of(int fd) {
  weft_stream *s = NULL;
  CHECK_INT(weft_stream_from_fd(&s, fd), 0);
  return s;
}

static inline struct pair pair_open(void) {
  int fds[2];
  fd_pair(fds);
  return (struct pair){stream_of(fds[0]), stream_of(fds[1])};
}

static inline void pair_close(struct pair *p) {
  CHECK_INT(weft_stream_close(p->a), 0);
  CHECK_INT(weft_stream_close(p->b), 0);
}

/* Reads len bytes and compares. */
static inline bool expect_bytes(weft_stream *s, const char *want) {
  char buf[256];
  size_t len = strlen(want);
  if (!CHECK_INT(weft_read_exactly(s, buf, len), (ssize_t)len)) return false;
  return CHECK(memcmp(buf, want, len) == 0);
}

/* The next line is this one. */
static inline bool expect_line(weft_stream *s, const char *want) {
  char *line = NULL;
  if (!CHECK_INT(weft_read_line(s, &line), (ssize_t)strlen(want))) return false;
  return CHECK_STR(line, want);
}

static inline int write_text(weft_stream *s, const char *text) {
  return weft_write(s, text, strlen(text));
}

/* The byte at a place of a long stream, so that a lost, doubled or misplaced one shows. */
static inline char byte_at(uint64_t at) {
  return (char)(at * 131 + (at >> 8) * 29 + (at >> 16));
}

static inline void fill_bytes(char *buf, uint64_t from, size_t len) {
  for (size_t i = 0; i < len; i++) buf[i] = byte_at(from + i);
}

static inline bool check_bytes(const char *buf, uint64_t from, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (buf[i] != byte_at(from + i)) return CHECK_INT(buf[i], byte_at(from + i));
  return true;
}

#endif
