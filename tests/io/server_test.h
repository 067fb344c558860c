/* Servers and their clients in one run: for the tests of listeners and servers. */
#ifndef WEFT_TEST_SERVER_TEST_H
#define WEFT_TEST_SERVER_TEST_H

#include "io/addr.h"
#include "parked.h"
#include "stream_pair.h"

/* In a simulation: no resets, and buffers that hold what a test sends before anybody reads. */
static inline void be_roomy(void) {
  be_without_resets();
  struct weft__sim_net_rates rates = *weft__sim_net_rates_now();
  rates.small = 0;
  weft__sim_net_rates(&rates);
}

/* A port of this machine that the system chooses. */
static inline weft_addr any_port(void) {
  weft_addr a = {0};
  CHECK_INT(weft_addr_parse(&a, "127.0.0.1", 0), 0);
  return a;
}

static inline weft_listener *listen_here(const weft_listen_opts *opts) {
  weft_listener *l = NULL;
  weft_addr a = any_port();
  be_roomy();
  CHECK_INT(weft_listen(&l, &a, opts), 0);
  return l;
}

static inline weft_addr addr_of(weft_listener *l) {
  weft_addr a = {0};
  CHECK_INT(weft_listener_addr(l, &a), 0);
  return a;
}

static inline weft_addr addr_of_server(weft_server *v) {
  weft_addr a = {0};
  CHECK_INT(weft_server_addr(v, 0, &a), 0);
  return a;
}

/* Connects to whoever listens there: 0, or what the system says. */
static inline int try_dial(weft_stream **ret, const weft_addr *a) {
  int family = weft_addr_family(a), error = 0;
  int fd = weft__sys_socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  socklen_t len = sizeof error;
  if (fd < 0) return fd;
  int r = weft__sys_connect(fd, &weft__sa(a)->any, a->len);
  if (r != WEFT_EINPROGRESS && r < 0) {
    weft__sys_close(fd);
    return r;
  }
  weft_stream *s = stream_of(fd);
  r = weft_wait_writable(s);
  if (r == 0) r = weft__sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (r == 0) r = -error;
  if (r == 0)
    *ret = s;
  else
    CHECK_INT(weft_stream_close(s), 0);
  return r;
}

/* The same, which is known to succeed. */
static inline weft_stream *dial(const weft_addr *a) {
  weft_stream *s = NULL;
  CHECK_INT(try_dial(&s, a), 0);
  return s;
}

/* Nobody is there. */
static inline bool is_refused(const weft_addr *a) {
  weft_stream *s = NULL;
  return CHECK_INT(try_dial(&s, a), WEFT_ECONNREFUSED);
}

/* One question and its answer. */
static inline bool ask(weft_stream *s, const char *text) {
  return CHECK_INT(write_text(s, text), 0) && expect_bytes(s, text);
}

/* The client has nothing more to say, and reads the end. */
static inline void hang_up(weft_stream *s) {
  char c;
  CHECK_INT(weft_stream_shutdown_write(s), 0);
  CHECK_INT(weft_read(s, &c, 1), 0);
  CHECK_INT(weft_stream_close(s), 0);
}

/* Handlers. arg may be a latch, which is hit when a connection comes. */
static inline int echo_all(weft_stream *s, void *arg) {
  char buf[512];
  ssize_t n;
  int r = 0;
  if (arg) latch_hit(arg);
  while (r == 0 && (n = weft_read(s, buf, sizeof buf)) > 0) r = weft_write(s, buf, (size_t)n);
  return r < 0 ? r : (int)n;
}

static inline weft_server *serve_here(weft_handler_fn handler, void *arg, weft_serve_opts opts) {
  weft_server *v = NULL;
  be_roomy();
  opts.host = "127.0.0.1";
  CHECK_INT(weft_server_start(&v, handler, arg, &opts), 0);
  return v;
}

/* Its clients are gone, or go now. */
static inline void end_server(weft_server *v) {
  CHECK_INT(weft_server_close(v), 0);
  CHECK_INT(weft_server_wait_closed(v), 0);
  CHECK_INT(weft_server_free(v), 0);
}

/* The reports of a run, by kind. */
static inline int count_reports(const weft_report *r, void *arg) {
  atomic_int *of_kind = arg;
  atomic_fetch_add(&of_kind[r->kind], 1);
  return 0;
}

#endif
