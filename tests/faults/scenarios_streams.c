/* Streams, while every call fails in turn. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomics.h"
#include "scene.h"

/* What a stream's calls may answer when something is lacking, or the connection is said to be broken. */
#define STREAM_CODES                                                                               \
  WEFT_ENOMEM, WEFT_ENOBUFS, WEFT_EPIPE, WEFT_ECONNRESET, WEFT_EIO, WEFT_ENOSPC, WEFT_ESTATE

struct ends {
  int fds[2];
  weft_stream *a, *b;
  weft__atomic_u32 begun;
};

static bool open_ends(struct ends *e) {
  e->a = e->b = NULL;
  e->fds[0] = e->fds[1] = -1;
  weft__store_release_u32(&e->begun, 0);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, e->fds) != 0) return false;
  if (STEP(weft_stream_from_fd(&e->a, e->fds[0]), 0, WEFT_ENOMEM, WEFT_EMFILE) == 0) e->fds[0] = -1;
  if (STEP(weft_stream_from_fd(&e->b, e->fds[1]), 0, WEFT_ENOMEM, WEFT_EMFILE) == 0) e->fds[1] = -1;
  return e->a && e->b;
}

/* Also what is a stream no more; a close in vain has closed. */
static void close_ends(struct ends *e) {
  STEP(weft_stream_close(e->a), 0, STREAM_CODES);
  STEP(weft_stream_close(e->b), 0, STREAM_CODES);
  for (int i = 0; i < 2; i++)
    if (e->fds[i] >= 0) close(e->fds[i]);
}

/* The other end hears of it. */
static int give_up(weft_stream *s, int r) {
  if (r < 0) weft_stream_abort(s);
  return r;
}

/* Yields until the task has begun, or is over. */
static bool has_begun(struct ends *e, weft_task t) {
  while (!weft__load_acquire_u32(&e->begun) && weft_task_done(t) == 0) weft_yield();
  return weft__load_acquire_u32(&e->begun);
}

/* ---- bytes ---- */

static int echo(void *arg) {
  struct ends *e = arg;
  char buf[256];
  ssize_t n;
  int r = 0;
  scene_enter();
  weft__store_release_u32(&e->begun, 1);
  while (r == 0 && (n = weft_read(e->b, buf, sizeof buf)) != 0)
    r = n < 0 ? (int)n : weft_write(e->b, buf, (size_t)n);
  if (r == 0) r = weft_stream_shutdown_write(e->b);
  return scene_leave(give_up(e->b, r));
}

static int talk(weft_stream *s) {
  char buf[100], got[100];
  struct iovec parts[2] = {{buf, 40}, {buf + 40, 60}};
  char end;
  for (int i = 0; i < 3; i++) {
    memset(buf, 'a' + i, sizeof buf);
    int r = i == 1 ? weft_writev(s, parts, 2) : weft_write(s, buf, sizeof buf);
    if (r < 0) return r;
    r = weft_wait_readable(s);
    if (r < 0) return r;
    ssize_t n = weft_read_exactly(s, got, sizeof got);
    if (n < 0) return (int)n;
    HOLDS(n == 0 || memcmp(buf, got, sizeof got) == 0);
    if (n == 0) return WEFT_EPIPE;
  }
  int r = weft_stream_shutdown_write(s);
  return r < 0 ? r : (int)weft_read(s, &end, 1);
}

static int use_bytes(void *arg) {
  struct ends e;
  (void)arg;
  scene_enter();
  if (open_ends(&e)) {
    weft_task t = weft_spawn(echo, &e, NULL);
    /* A broken end is an end for the other: EOF, or a read that stops in the middle. */
    if (has_begun(&e, t)) STEP(give_up(e.a, talk(e.a)), 0, STREAM_CODES, WEFT_EOF, WEFT_EMFILE);
    STEP(weft_await(t), 0, STREAM_CODES);
  } else {
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
  }
  close_ends(&e);
  return scene_leave(0);
}

static void bytes(void) {
  scene_run(use_bytes, NULL, &(weft_run_opts){.workers = 1});
  scene_run(use_bytes, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- lines, and what is buffered ---- */

enum { LINES = 40, LONG = 8000 };

static int write_lines(void *arg) {
  static char line[LONG];
  struct ends *e = arg;
  int r = 0;
  scene_enter();
  weft__store_release_u32(&e->begun, 1);
  memset(line, 'x', sizeof line);
  line[LONG - 1] = '\n';
  for (int i = 0; i < LINES && r == 0; i++) {
    r = weft_write_buffered(e->b, line, sizeof line);
    if (r == 0) r = weft_drain(e->b);
  }
  if (r == 0) r = weft_stream_shutdown_write(e->b);
  return scene_leave(give_up(e->b, r));
}

/* How many there are up to the end. What was lacking once is there the next time: nothing is lost. */
static int read_lines(weft_stream *s) {
  char *line;
  ssize_t n;
  int lines = 0, again = 0;
  while ((n = weft_read_line(s, &line)) != 0) {
    if (n == WEFT_ENOMEM && again++ < 3) continue;
    if (n < 0) return (int)n;
    if (n < LONG) return WEFT_EOF; /* the writer gave up in it */
    HOLDS(n == LONG && line[0] == 'x' && line[LONG - 2] == 'x' && line[LONG - 1] == '\n');
    lines++;
  }
  return lines;
}

static int use_lines(void *arg) {
  struct ends e;
  (void)arg;
  scene_enter();
  if (open_ends(&e)) {
    weft_task t = weft_spawn(write_lines, &e, NULL);
    int r = has_begun(&e, t) ? give_up(e.a, read_lines(e.a)) : 0;
    int w = STEP(weft_await(t), 0, STREAM_CODES);
    if (w == 0)
      STEP(r, LINES, STREAM_CODES);
    else
      HOLDS(r <= LINES); /* with all of them, it failed at the end */
  } else {
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
  }
  close_ends(&e);
  return scene_leave(0);
}

static void lines(void) {
  scene_run(use_lines, NULL, &(weft_run_opts){.workers = 1});
  scene_run(use_lines, NULL, &(weft_run_opts){.workers = 2});
}

/* ---- the close in the middle ---- */

static int read_for_ever(void *arg) {
  struct ends *e = arg;
  char c;
  scene_enter();
  weft__store_release_u32(&e->begun, 1);
  ssize_t n = weft_read(e->a, &c, 1);
  return scene_leave(n < 0 ? (int)n : 0);
}

static int cut_streams(void *arg) {
  struct ends e;
  static char much[1 << 20];
  size_t sent = 0;
  (void)arg;
  scene_enter();
  if (open_ends(&e)) {
    weft_task t = weft_spawn(read_for_ever, &e, NULL);
    has_begun(&e, t);
    weft_timeout limit;
    STEP(weft_timeout_begin(&limit, weft_us(300)), 0, 0);
    int r = weft_write_counted(e.a, much, sizeof much, &sent);
    STEP(weft_timeout_end(&limit, r), WEFT_ETIMEDOUT, STREAM_CODES);
    HOLDS(sent < sizeof much);
    weft_stream_abort(e.a);
    /* Not begun: it finds the stream closed, or never runs. */
    STEP(weft_await(t), WEFT_ECLOSED, STREAM_CODES, WEFT_EMFILE);
  } else {
    STEP(WEFT_EMFILE, 0, WEFT_EMFILE);
  }
  close_ends(&e);
  return scene_leave(0);
}

static void cuts(void) {
  scene_run(cut_streams, NULL, &(weft_run_opts){.workers = 2});
}

const struct scenario weft_faults_stream_scenarios[] = {
    {"streams", "an echo of three messages and the end", bytes, SCENARIO_ANY},
    {"stream_lines", "lines that are buffered, drained and read", lines, SCENARIO_ANY},
    {"stream_cuts", "a write that is cut, and an abort under a reader", cuts, SCENARIO_ANY},
    {0},
};
