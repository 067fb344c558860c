/* Names, connections, pipes. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "io/addr.h"
#include "scene.h"

#define STREAM_CODES WEFT_ENOMEM, WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOSPC
#define CONNECT_CODES                                                                              \
  STREAM_CODES, WEFT_ENOBUFS, WEFT_ECONNREFUSED, WEFT_EADDRINUSE, WEFT_EADDRNOTAVAIL
/* Without a descriptor for its files the system's resolver says that it does not know the name. */
#define NAME_CODES                                                                                 \
  WEFT_ENOMEM, WEFT_EAGAIN, WEFT_EAI_AGAIN, WEFT_EAI_MEMORY, WEFT_EAI_FAIL, WEFT_EAI_NONAME,       \
      WEFT_EMFILE

/* ---- places, past the faults: they are the test's ---- */

static int listen_at(weft_addr *ret, int backlog) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  HOLDS(weft_addr_loopback(ret, AF_INET, 0) == 0);
  HOLDS(bind(fd, &weft__sa(ret)->any, ret->len) == 0);
  HOLDS(getsockname(fd, &weft__sa(ret)->any, &ret->len) == 0);
  if (backlog >= 0) HOLDS(listen(fd, backlog) == 0);
  return fd;
}

/* ---- connections ---- */

struct places {
  weft_addr good, bad;
};

static int connect_one(void *arg) {
  const struct places *p = arg;
  weft_stream *s = NULL;
  scene_enter();
  for (int i = 0; i < 3; i++) {
    int r = STEP(weft_connect_addr(&s, &p->good, NULL), 0, CONNECT_CODES);
    HOLDS((r == 0) == (s != NULL));
    if (r == 0) HOLDS(weft_stream_close(s) == 0);
    s = NULL;
  }
  HOLDS(weft_connect_addr(&s, &p->bad, NULL) < 0);
  HOLDS(s == NULL);
  return scene_leave(0);
}

static int connect_race(void *arg) {
  const struct places *p = arg;
  const weft_addr addrs[3] = {p->bad, p->good, p->good};
  weft_connect_error list[3];
  weft_connect_errors errors = {.list = list, .max = 3};
  const weft_connect_opts opts = {.stagger = -1, .errors = &errors};
  weft_stream *s = NULL;
  scene_enter();
  int r = STEP(weft_connect_addrs(&s, addrs, 3, &opts), 0, CONNECT_CODES);
  HOLDS((r == 0) == (s != NULL));
  HOLDS(errors.count <= 3);
  for (size_t i = 0; i < errors.count; i++) HOLDS(list[i].code < 0);
  if (r == 0) HOLDS(weft_stream_close(s) == 0);
  return scene_leave(0);
}

static void with_places(weft_fn fn) {
  struct places p;
  int good = listen_at(&p.good, 16), bad = listen_at(&p.bad, -1);
  if (good < 0 || bad < 0)
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
  else
    scene_run(fn, &p, &(weft_run_opts){.workers = 2});
  if (good >= 0) close(good);
  if (bad >= 0) close(bad);
}

static void connections(void) {
  with_places(connect_one);
}

static void races(void) {
  with_places(connect_race);
}

/* ---- names ---- */

static int look_up(void *arg) {
  weft_addr at[4];
  (void)arg;
  scene_enter();
  int n = weft_getaddrinfo(at, 4, "localhost", "80", NULL);
  int r = n > 0 ? 0 : n;
  return scene_leave(r);
}

static int look_some_up(void *arg) {
  enum { N = 10 };
  weft_task t[N];
  char host[64];
  weft_addr at;
  (void)arg;
  scene_enter();
  for (int i = 0; i < N; i++) t[i] = weft_spawn(look_up, NULL, NULL);
  for (int i = 0; i < N; i++) STEP(weft_await(t[i]), 0, NAME_CODES);
  STEP(weft_wait_for(look_up, NULL, weft_sec(3600)), 0, NAME_CODES);
  STEP(weft_getaddrinfo(&at, 1, "127.0.0.1", "80", NULL), 1, WEFT_ENOMEM);
  HOLDS(weft_addr_loopback(&at, AF_INET, 80) == 0);
  STEP(weft_getnameinfo(&at, host, sizeof host, NULL, 0, 0), 0, NAME_CODES);
  return scene_leave(0);
}

static void names(void) {
  scene_run(look_some_up, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- pipes ---- */

static int write_one(void *s) {
  scene_enter();
  return scene_leave(weft_write(s, "x", 1));
}

static int use_pipe(weft_stream *in, weft_stream *out) {
  char c = 0;
  weft_timeout s;
  weft_task t = weft_spawn(write_one, out, NULL);
  STEP(weft_timeout_begin(&s, weft_ms(200)), 0,
       0); /* an injected "would block" is told by no event */
  ssize_t n = weft_read(in, &c, 1);
  int r = weft_timeout_end(&s, (int)n);
  STEP(r, 1, STREAM_CODES, WEFT_EIO, WEFT_ETIMEDOUT);
  if (r < 0 && weft_task_error(t) == 0) HOLDS(weft_cancel(t) >= 0);
  return weft_await(t);
}

static int make_pairs(void *arg) {
  weft_stream *a, *b;
  (void)arg;
  scene_enter();
  for (int i = 0; i < 2; i++) {
    int r = i == 0 ? STEP(weft_pipe(&a, &b), 0, STREAM_CODES)
                   : STEP(weft_stream_pair(&a, &b), 0, STREAM_CODES);
    if (r < 0) continue;
    STEP(use_pipe(a, b), 0, STREAM_CODES, WEFT_ECANCELED, WEFT_EPIPE, WEFT_EIO);
    HOLDS(weft_stream_close(a) == 0);
    HOLDS(weft_stream_close(b) == 0);
  }
  return scene_leave(0);
}

static void pipes(void) {
  scene_run(make_pairs, NULL, &(weft_run_opts){.workers = 2});
}

const struct scenario weft_faults_connect_scenarios[] = {
    {"connect", "connections to one address", connections, SCENARIO_REAL},
    {"connect_race", "connections to one of several", races, SCENARIO_REAL},
    {"names", "name lookups", names, SCENARIO_REAL},
    {"pipes", "pipes and pairs of streams", pipes, SCENARIO_ANY},
    {0},
};
