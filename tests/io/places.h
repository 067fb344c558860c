/* Places to connect to, for tests: one that listens, one that refuses, one that does not answer. In a
 * simulation they are in its network. */
#ifndef WEFT_TEST_PLACES_H
#define WEFT_TEST_PLACES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft.h>

#include "base/sim_net.h"
#include "base/sys.h"
#include "core/fdwait.h"
#include "io/addr.h"
#include "weft_test.h"

struct place {
  int fd;
  int filler; /* a client that nobody accepts, or -1 */
  weft_addr addr;
};

/* A simulated network that never resets a connection: for tests that are not about that. */
static inline void places_begin(void) {
  struct weft__sim_net_rates rates;
  weft__sim_net_rates(NULL);
  rates = *weft__sim_net_rates_now();
  rates.reset = 0;
  weft__sim_net_rates(&rates);
}

static inline struct place place_bound(const char *at) {
  struct place p = {.filler = -1};
  CHECK_INT(weft_addr_from_text(&p.addr, at), 0);
  p.fd = weft__sys_socket(weft__sa(&p.addr)->any.sa_family,
                          SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK(p.fd >= 0);
  CHECK_INT(weft__sys_bind(p.fd, &weft__sa(&p.addr)->any, p.addr.len), 0);
  weft__addr_room(&p.addr);
  CHECK_INT(weft__sys_getsockname(p.fd, &weft__sa(&p.addr)->any, &p.addr.len), 0);
  weft__addr_filled(&p.addr);
  return p;
}

static inline struct place place_listening_at(const char *at, int backlog) {
  struct place p = place_bound(at);
  CHECK_INT(weft__sys_listen(p.fd, backlog), 0);
  return p;
}

static inline struct place place_listening(void) {
  return place_listening_at("127.0.0.1:0", 128);
}

/* The port is taken, and nobody listens on it. */
static inline struct place place_refusing(void) {
  return place_bound("127.0.0.1:0");
}

/* Its queue is full, so that requests are dropped (or, of a Unix socket, have to wait). */
static inline struct place place_full_at(const char *at) {
  struct place p = place_listening_at(at, 0);
  p.filler = weft__sys_socket(weft__sa(&p.addr)->any.sa_family,
                              SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int r = weft__sys_connect(p.filler, &weft__sa(&p.addr)->any, p.addr.len);
  CHECK(r == 0 || r == WEFT_EINPROGRESS);
  if (r == WEFT_EINPROGRESS) CHECK_INT(weft__fd_wait(p.filler, WEFT__FD_WRITE), 0);
  return p;
}

static inline struct place place_silent(void) {
  return place_full_at("127.0.0.1:0");
}

static inline void place_close(struct place *p) {
  if (p->filler >= 0) CHECK_INT(weft__sys_close(p->filler), 0);
  CHECK_INT(weft__sys_close(p->fd), 0);
}

/* The next connection; waits for it. */
static inline int place_accept(struct place *p) {
  int fd;
  while ((fd = weft__sys_accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) == WEFT_EAGAIN ||
         fd == WEFT_EINTR)
    CHECK_INT(weft__fd_wait(p->fd, WEFT__FD_READ), 0);
  CHECK(fd >= 0);
  return fd;
}

/* All that there are now are dropped; how many. */
static inline int place_drop_all(struct place *p) {
  int fd, n = 0;
  while ((fd = weft__sys_accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0 ||
         fd == WEFT_EINTR) {
    if (fd == WEFT_EINTR) continue;
    weft__sys_close(fd);
    n++;
  }
  CHECK_INT(fd, WEFT_EAGAIN);
  return n;
}

/* The next one as a stream. */
static inline weft_stream *place_accept_stream(struct place *p) {
  weft_stream *s = NULL;
  CHECK_INT(weft_stream_from_fd(&s, place_accept(p)), 0);
  return s;
}

/* How many sockets and pipes the process has open. (A simulation looks at its own when it ends.) */
static inline int open_sockets(void) {
  char path[64], what[64];
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  if (!d) return -1;
  for (struct dirent *e; (e = readdir(d));) {
    snprintf(path, sizeof path, "/proc/self/fd/%.20s", e->d_name);
    ssize_t len = readlink(path, what, sizeof what - 1);
    if (len < 0) continue;
    what[len] = 0;
    n += strncmp(what, "socket:", 7) == 0 || strncmp(what, "pipe:", 5) == 0;
  }
  closedir(d);
  return n;
}

#endif
