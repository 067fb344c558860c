/* A peer under the test's control: a bare descriptor that a task sends to and receives from, byte by byte
 * if need be, and closes or resets where it likes. For tests of what streams do about it. */
#ifndef WEFT_TEST_PEER_H
#define WEFT_TEST_PEER_H

#include "stream_pair.h"

/* A connection between a bare descriptor and a stream: the kernel's TCP, in a simulation its network. */
struct peer {
  int fd;
  weft_stream *s;
};

static inline struct peer peer_open(void) {
  int fds[2];
  if (counts_simulated()) {
    struct weft__sim_net_rates rates;
    be_without_resets();
    rates = *weft__sim_net_rates_now();
    rates.small = 0; /* there is room for a line that is still to be read */
    weft__sim_net_rates(&rates);
    CHECK_INT(weft__sys_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  } else {
    tcp_pair(fds);
  }
  CHECK_INT(weft__sys_fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  return (struct peer){fds[0], stream_of(fds[1])};
}

/* Sends all of it: 0, or the error. */
static inline int peer_send(int fd, const void *buf, size_t len) {
  for (size_t sent = 0; sent < len;) {
    ssize_t n = weft__sys_send(fd, (const char *)buf + sent, len - sent, MSG_NOSIGNAL);
    if (n == WEFT_EAGAIN) n = weft_fd_wait(fd, WEFT_FD_WRITE) < 0 ? WEFT_ECANCELED : 0;
    if (n == WEFT_EINTR) n = 0;
    if (n < 0) return (int)n;
    sent += (size_t)n;
  }
  return 0;
}

/* Up to len bytes as soon as there are any: how many, 0 at the end, or the error. */
static inline ssize_t peer_receive_some(int fd, void *buf, size_t len) {
  for (;;) {
    ssize_t n = weft__sys_recv(fd, buf, len, 0);
    if (n == WEFT_EAGAIN && weft_fd_wait(fd, WEFT_FD_READ) < 0) return WEFT_ECANCELED;
    if (n != WEFT_EAGAIN && n != WEFT_EINTR) return n;
  }
}

/* Exactly len bytes, or fewer at the end: how many, or the error. */
static inline ssize_t peer_receive(int fd, void *buf, size_t len) {
  size_t got = 0;
  while (got < len) {
    ssize_t n = peer_receive_some(fd, (char *)buf + got, len - got);
    if (n < 0) return n;
    if (n == 0) break;
    got += (size_t)n;
  }
  return (ssize_t)got;
}

static inline void peer_close(int fd) {
  CHECK_INT(weft__sys_close(fd), 0);
}

/* Closes with a reset. */
static inline void peer_reset(int fd) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  CHECK_INT(weft__sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  peer_close(fd);
}

#endif
