/* All ways to read against all ways to write, with cancels and deadlines at any moment: every byte arrives
 * once and in its place. */
#include <stdlib.h>

#include "base/choice.h"
#include "parked.h"
#include "stream_pair.h"

enum { PIECE = 3000, SEPARATE = 61 };

/* One direction of a connection: the bytes of the pattern, from 0 to total. */
struct way {
  weft_stream *from, *to;
  struct latch begun;
  struct weft__rng out, in;
  uint64_t total;
  uint64_t written, read;
  bool over;     /* the reader has seen the end; after its await */
  bool separate; /* every 61st byte is a line's end, and nothing else is */
};

static uint32_t draw(struct weft__rng *rng, uint32_t n) {
  return weft__choose(rng, n);
}

static char pattern(const struct way *w, uint64_t at) {
  if (!w->separate) return byte_at(at);
  return at % SEPARATE == SEPARATE - 1 ? '\n' : (char)('a' + at % 26);
}

static bool same(const struct way *w, const char *buf, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (buf[i] != pattern(w, w->read + i)) return CHECK_INT(buf[i], pattern(w, w->read + i));
  return true;
}

/* A cancel or a deadline was answered: on we go. */
static bool goes_on(ssize_t r) {
  if (r == WEFT_ECANCELED) weft_cancel_catch();
  return r == WEFT_ECANCELED || r == WEFT_ETIMEDOUT || r == WEFT_ENOBUFS;
}

/* ---- writing ---- */

static int write_some_way(struct way *w, const char *buf, size_t len) {
  size_t sent = 0;
  ssize_t n = 0;
  int r = 0;
  switch (draw(&w->out, 6)) {
  case 0:
  case 1:
    r = weft_write_counted(w->from, buf, len, &sent);
    break;
  case 2:
    n = weft_write_some(w->from, buf, len);
    break;
  case 3:
    n = weft_try_write(w->from, buf, len);
    if (n == WEFT_EAGAIN) n = weft_wait_writable(w->from);
    break;
  case 4:
    r = weft_write_buffered(w->from, buf, len);
    if (r == 0) sent = len;
    break;
  default:
    r = weft_drain(w->from);
    break;
  }
  w->written += sent + (n > 0 ? (size_t)n : 0);
  return n < 0 ? (int)n : r;
}

static int write_all(void *arg) {
  struct way *w = arg;
  char buf[PIECE];
  int r = 0;
  latch_hit(&w->begun);
  while (w->written < w->total && r == 0) {
    size_t len = 1 + draw(&w->out, PIECE);
    if (len > w->total - w->written) len = w->total - w->written;
    for (size_t i = 0; i < len; i++) buf[i] = pattern(w, w->written + i);
    weft_timeout limit;
    bool limited = draw(&w->out, 4) == 0;
    if (limited) weft_timeout_begin(&limit, weft_us(draw(&w->out, 300)));
    r = write_some_way(w, buf, len);
    if (limited) r = weft_timeout_end(&limit, r);
    if (goes_on(r)) r = 0;
  }
  do {
    weft_cancel_catch();
    if (r == 0) r = weft_stream_shutdown_write(w->from);
  } while (goes_on(r) && (r = 0) == 0);
  return r;
}

/* ---- reading ---- */

static ssize_t read_some_way(struct way *w, char *buf) {
  char *data = buf;
  ssize_t n;
  size_t len = 1 + draw(&w->in, PIECE);
  uint64_t before = w->read;
  switch (draw(&w->in, 7)) {
  case 0:
    n = weft_read(w->to, buf, len);
    break;
  case 1:
    n = weft_wait_readable(w->to);
    if (n == 0) n = weft_read(w->to, buf, len);
    break;
  case 2:
    n = weft_read_lent(w->to, &data);
    break;
  case 3:
    n = weft_read_exactly(w->to, buf, len);
    if (n == WEFT_EOF) n = weft_read(w->to, buf, len);
    break;
  case 4:
    n = weft_peek(w->to, len, &data);
    if (n > 0) same(w, data, (size_t)n);
    if (n >= 0) n = weft_read(w->to, data = buf, len);
    break;
  case 5:
    n = weft_try_read(w->to, buf, len);
    if (n == WEFT_EAGAIN) n = WEFT_ETIMEDOUT;
    break;
  default:
    n = w->separate ? weft_read_line(w->to, &data) : weft_read(w->to, buf, len);
    if (w->separate && n > 0 && w->read + (size_t)n < w->total) CHECK_INT(data[n - 1], '\n');
    break;
  }
  CHECK_UINT(w->read, before);
  if (n > 0) {
    same(w, data, (size_t)n);
    w->read += (size_t)n;
  }
  return n;
}

static int read_all(void *arg) {
  struct way *w = arg;
  char buf[PIECE];
  ssize_t n = 1;
  latch_hit(&w->begun);
  while (n > 0) {
    weft_timeout limit;
    bool limited = draw(&w->in, 4) == 0;
    if (limited) weft_timeout_begin(&limit, weft_us(draw(&w->in, 300)));
    n = read_some_way(w, buf);
    if (limited) {
      /* The scope may run out as the call succeeds: what it has read counts. */
      int r = weft_timeout_end(&limit, n < 0 ? (int)n : 0);
      if (n < 0) n = r;
    }
    if (n < 0 && goes_on(n)) {
      n = 1;
      weft_yield();
    }
  }
  w->over = n == 0;
  return (int)n;
}

/* ---- all together ---- */

struct cuts {
  weft_task who[4];
  struct weft__rng rng;
  struct latch stop;
};

static int cut(void *arg) {
  struct cuts *c = arg;
  int rounds = 0;
  while (!latch_hits(&c->stop)) {
    weft_cancel(c->who[draw(&c->rng, 4)]);
    for (uint32_t k = draw(&c->rng, 20); k > 0; k--) latch_turn(&rounds);
  }
  return 0;
}

static void run_ways(uint64_t seed, bool separate) {
  struct pair p = pair_open();
  struct way w[2] = {{.from = p.a, .to = p.b}, {.from = p.b, .to = p.a}};
  struct cuts c = {0};
  weft__rng_init(&c.rng, seed, 9);
  for (int i = 0; i < 2; i++) {
    weft__rng_init(&w[i].out, seed, (uint64_t)i);
    weft__rng_init(&w[i].in, seed, (uint64_t)i + 2);
    w[i].total = counts_simulated() ? 20000 : 300000;
    w[i].separate = separate;
    c.who[2 * i] = weft_spawn(write_all, &w[i], NULL);
    c.who[2 * i + 1] = weft_spawn(read_all, &w[i], NULL);
  }
  /* A task that is cancelled before it begins never runs. */
  for (int i = 0; i < 2; i++) CHECK_INT(latch_wait(&w[i].begun, 2), 0);
  weft_task cutter = weft_spawn(cut, &c, NULL);
  for (int i = 0; i < 4; i++) {
    int code = 0;
    CHECK_INT(weft_task_wait(c.who[i], &code), 0);
    CHECK(code == 0 || code == WEFT_ECANCELED); /* one that came at the very end */
  }
  latch_hit(&c.stop);
  CHECK_INT(weft_await(cutter), 0);
  for (int i = 0; i < 4; i++) weft_await(c.who[i]);
  for (int i = 0; i < 2; i++) {
    CHECK(w[i].over);
    CHECK_UINT(w[i].written, w[i].total);
    CHECK_UINT(w[i].read, w[i].total);
  }
  pair_close(&p);
}

static uint64_t seed_of_test(void) {
  const char *seed = getenv("WEFT_SEED");
  return seed && *seed ? strtoull(seed, NULL, 10) : 1;
}

TASK_TEST(IO8_bytes_arrive_once_and_in_order_whatever_is_cut) {
  for (uint64_t i = 0; i < (counts_simulated() ? 1 : 5); i++)
    run_ways(seed_of_test() * 100 + i, false);
}

TASK_TEST(IO8_lines_arrive_once_and_in_order_whatever_is_cut) {
  for (uint64_t i = 0; i < (counts_simulated() ? 1 : 5); i++)
    run_ways(seed_of_test() * 100 + i, true);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(IO8_bytes_arrive_once_and_in_order_whatever_is_cut),
      cmocka_unit_test(IO8_lines_arrive_once_and_in_order_whatever_is_cut),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
