/* Listeners and servers, while every call fails in turn. Who waits for another has a deadline: the other may
 * have gone without a word. */
#include <string.h>

#include "base/atomics.h"
#include "scene.h"

#define NET_CODES                                                                                  \
  WEFT_ENOMEM, WEFT_ENOBUFS, WEFT_EMFILE, WEFT_ENFILE, WEFT_EPIPE, WEFT_ECONNRESET, WEFT_EIO,      \
      WEFT_ENOSPC, WEFT_ETIMEDOUT, WEFT_EOF, WEFT_ECONNREFUSED, WEFT_ECLOSED

#define PATIENCE weft_ms(100)

/* ---- a client ---- */

/* Asks once and closes. */
static int ask_once(void *arg) {
  const weft_addr *at = arg;
  weft_stream *s = NULL;
  char got[5];
  int r = weft_connect_addr(&s, at, NULL);
  if (r < 0) return r;
  r = weft_write(s, "hello", 5);
  ssize_t n = r < 0 ? r : weft_read_exactly(s, got, 5);
  HOLDS(n != 5 || memcmp(got, "hello", 5) == 0);
  int e = weft_stream_close(s);
  return n < 0 ? (int)n : n == 0 ? WEFT_EOF : e;
}

/* ---- a loop of one's own ---- */

struct loop {
  weft_listener *l;
  weft__atomic_u32 begun;
};

static int accept_one(void *arg) {
  struct loop *loop = arg;
  weft_stream *s = NULL;
  char buf[8];
  scene_enter();
  weft__store_release_u32(&loop->begun, 1);
  int r = weft_accept(loop->l, &s);
  if (r > 0) {
    ssize_t n = weft_read(s, buf, sizeof buf);
    r = n < 0 ? (int)n : weft_write(s, buf, (size_t)n);
    int e = weft_stream_close(s);
    if (r == 0) r = e;
  }
  return scene_leave(r);
}

static int use_listener(void *arg) {
  weft_addr at;
  struct loop loop = {0};
  (void)arg;
  scene_enter();
  STEP(weft_addr_parse(&at, "127.0.0.1", 0), 0, 0);
  if (STEP(weft_listen(&loop.l, &at, NULL), 0, NET_CODES) < 0) return scene_leave(0);
  STEP(weft_listener_addr(loop.l, &at), 0, 0);
  weft_task t = weft_spawn(accept_one, &loop, NULL);
  int asked = STEP(weft_wait_for(ask_once, &at, PATIENCE), 0, NET_CODES);
  weft_listener_close(loop.l);
  /* Then it may have a client whom nobody serves. */
  if (asked < 0) weft_cancel(t);
  STEP(weft_await(t), 0, NET_CODES, WEFT_ECANCELED);
  STEP(weft_listener_free(loop.l), 0, 0);
  return scene_leave(0);
}

static void listeners(void) {
  scene_run(use_listener, NULL, &(weft_run_opts){.workers = 1});
  scene_run(use_listener, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- a server ---- */

static int echo(weft_stream *s, void *arg) {
  char buf[64];
  ssize_t n;
  int r = 0;
  (void)arg;
  scene_enter();
  while (r == 0 && (n = weft_read(s, buf, sizeof buf)) > 0) r = weft_write(s, buf, (size_t)n);
  scene_leave(0);
  return 0; /* what a connection has come to is not the log's */
}

static int use_server(void *arg) {
  const weft_shutdown_opts times = {
      .grace = PATIENCE, .cancel_grace = PATIENCE, .abort_grace = PATIENCE};
  weft_server *v = NULL;
  weft_server_report report;
  weft_addr at;
  (void)arg;
  scene_enter();
  const weft_serve_opts opts = {.host = "127.0.0.1", .max_conns = 1};
  if (STEP(weft_server_start(&v, echo, NULL, &opts), 0, NET_CODES) < 0) return scene_leave(0);
  if (STEP(weft_server_addr(v, 0, &at), 0, WEFT_ECLOSED) == 0)
    for (int i = 0; i < 2; i++) STEP(weft_wait_for(ask_once, &at, PATIENCE), 0, NET_CODES);
  int r = STEP(weft_server_shutdown(v, &times, &report), 0, WEFT_ETIMEDOUT, WEFT_ENOMEM);
  HOLDS(r != 0 || report.ncuts == 0);
  weft_server_abort_clients(v);
  while (weft_server_free(v) == WEFT_EBUSY && weft_yield() == 0) {}
  return scene_leave(0);
}

static void servers(void) {
  scene_run(use_server, NULL, &(weft_run_opts){.workers = 2});
}

const struct scenario weft_faults_server_scenarios[] = {
    {"listeners", "a client is accepted and answered", listeners, SCENARIO_ANY},
    {"servers", "two clients one after the other, and the end in phases", servers, SCENARIO_ANY},
    {0},
};
