/* Descriptors: bytes go through pipes and socket pairs between tasks that wait for readiness, under
 * short deadlines that end waits half way, and with ends that are closed early. Every byte arrives
 * once and in order. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/choice.h"
#include "core/fdwait.h"
#include "stress.h"

struct end {
  struct channel *channel;
  struct weft__rng rng;
  struct stress_mark mark;
  int fd;
  size_t moved; /* bytes */
  weft_task task;
};

struct channel {
  struct end from, to;
  size_t total;
  size_t close_at; /* the reader closes after so many bytes; SIZE_MAX: never */
  bool cut;        /* a cancel of the reader was accepted */
};

static unsigned char byte_at(size_t i) {
  return (unsigned char)(i * 2654435761u >> 7);
}

/* errno belongs to a thread, and the task may change it: asked for in functions of their own. */
static __attribute__((noinline)) ssize_t read_some(int fd, void *buf, size_t n) {
  ssize_t r = read(fd, buf, n);
  return r < 0 ? -errno : r;
}
static __attribute__((noinline)) ssize_t write_some(int fd, const void *buf, size_t n) {
  ssize_t r = write(fd, buf, n);
  return r < 0 ? -errno : r;
}

/* 0 when it may be tried again, WEFT_ECANCELED when the task was cancelled. */
static int await_fd(struct end *e, int event) {
  weft_timeout limit;
  if (!stress_one_in(&e->rng, 3)) return weft__fd_wait(e->fd, event);
  weft_timeout_begin(&limit, (weft_ns)stress_draw(&e->rng, 300) * 1000);
  int r = weft_timeout_end(&limit, weft__fd_wait(e->fd, event));
  stress_count(STRESS_CUT, r == WEFT_ETIMEDOUT);
  return r == WEFT_ETIMEDOUT ? 0 : r;
}

static int send_all(void *arg) {
  struct end *e = arg;
  unsigned char buf[512];
  int r = 0;
  stress_begin(&e->mark);
  while (e->moved < e->channel->total && r == 0) {
    size_t n = 1 + stress_draw(&e->rng, sizeof buf);
    if (n > e->channel->total - e->moved) n = e->channel->total - e->moved;
    for (size_t i = 0; i < n; i++) buf[i] = byte_at(e->moved + i);
    ssize_t sent = write_some(e->fd, buf, n);
    if (sent >= 0)
      e->moved += (size_t)sent;
    else if (sent == -EAGAIN)
      r = await_fd(e, WEFT__FD_WRITE);
    else
      r = (int)sent;
    if (stress_one_in(&e->rng, 8) && r == 0) r = weft_yield();
  }
  close(e->fd);
  if (r == -ECONNRESET) r = -EPIPE; /* closed with bytes unread */
  return stress_end(&e->mark, r);
}

static int receive_all(void *arg) {
  struct end *e = arg;
  unsigned char buf[700];
  int r = 0;
  stress_begin(&e->mark);
  while (r == 0 && e->moved < e->channel->close_at) {
    ssize_t got = read_some(e->fd, buf, 1 + stress_draw(&e->rng, sizeof buf));
    if (got == 0) break;
    if (got == -EAGAIN)
      r = await_fd(e, WEFT__FD_READ);
    else if (got < 0)
      r = (int)got;
    for (ssize_t i = 0; i < got; i++)
      if (!EXPECT_INT(buf[i], byte_at(e->moved++))) break;
  }
  close(e->fd);
  return stress_end(&e->mark, r);
}

static bool open_channel(struct channel *c, struct weft__rng *rng) {
  int fds[2];
  int r = stress_one_in(rng, 2) ? pipe2(fds, O_NONBLOCK | O_CLOEXEC)
                                : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
  c->from.channel = c->to.channel = c;
  c->to.fd = fds[0];
  c->from.fd = fds[1];
  c->total = stress_draw(rng, (uint32_t)stress_many(200000));
  c->close_at = stress_one_in(rng, 4) ? stress_draw(rng, 100000) : SIZE_MAX;
  weft__rng_init(&c->from.rng, weft__rng_next(rng), 0);
  weft__rng_init(&c->to.rng, weft__rng_next(rng), 0);
  return EXPECT_INT(r, 0);
}

struct channels {
  struct channel *channels;
  int n;
};

static void check_channel(struct channel *c) {
  int received = weft_await(c->to.task);
  int sent = weft_await(c->from.task);
  stress_whole(&c->to.mark);
  stress_ran(&c->from.mark);
  EXPECT_INT(received, c->cut ? WEFT_ECANCELED : 0);
  if (c->to.mark.begun == 0) return;
  EXPECT(c->to.moved <= c->from.moved);
  EXPECT(sent == 0 || (sent == -EPIPE && (c->cut || c->close_at < c->total)));
  if (!c->cut && c->close_at >= c->total) EXPECT(c->to.moved == c->total);
}

static int fds_main(void *arg) {
  struct channels *all = arg;
  for (int i = 0; i < all->n; i++) {
    struct channel *c = &all->channels[i];
    c->from.task = weft_spawn(send_all, &c->from, NULL);
    c->to.task = weft_spawn(receive_all, &c->to, &(weft_spawn_opts){.pinned = i % 8 == 3});
  }
  for (int i = 0; i < all->n; i++) {
    struct channel *c = &all->channels[i];
    if (i % 5 != 2) continue;
    EXPECT_INT(weft_yield(), 0);
    c->cut = weft_cancel(c->to.task) == 1;
    stress_count(STRESS_CANCELS, c->cut);
    /* One that never began has not closed its end. */
    int code;
    EXPECT_INT(weft_task_wait(c->to.task, &code), 0);
    if (c->to.mark.begun == 0) close(c->to.fd);
  }
  for (int i = 0; i < all->n; i++) check_channel(&all->channels[i]);
  return 0;
}

static void fds_round(struct stress_round *r) {
  struct channels all = {.n = 1 + (int)stress_draw(r->rng, 24)};
  all.channels = stress_alloc((size_t)all.n, sizeof *all.channels);
  bool fine = true;
  for (int i = 0; i < all.n && fine; i++) fine = open_channel(&all.channels[i], r->rng);
  if (fine) EXPECT_INT(stress_run(r, fds_main, &all), 0);
  free(all.channels);
}

const struct stress_workload stress_fds = {
    .name = "fds",
    .about = "bytes through pipes and socket pairs, with waits cut short and ends closed early",
    .round = fds_round,
    .flags = STRESS_EXACT_TOO,
};
