/* Streams: several writers send records over one connection while a reader reads lines, under short deadlines
 * that cut reads and writes half way, with cancels, and with ends that are aborted under everybody. Records
 * never mix, those of one writer come in order, and unless something was aborted all of them come. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/choice.h"
#include "stress.h"

enum { WRITERS_MOST = 6, RECORD_MOST = 3000 };

struct writer {
  struct link *link;
  struct weft__rng rng;
  struct stress_mark mark;
  weft_task task;
  int number, records;
  int sent; /* records that were accepted */
};

struct link {
  weft_stream *out, *in;
  struct weft__rng rng;
  struct stress_mark mark;
  weft_task reader;
  struct writer writers[WRITERS_MOST];
  int n;
  int received[WRITERS_MOST]; /* records; of the reader */
  bool aborted;               /* by the main task, before it awaits them */
  bool torn;                  /* a writer was cancelled */
};

/* Writer, number, and filler that says so, too. */
static size_t make_record(struct writer *w, char *buf) {
  size_t len = 20 + stress_draw(&w->rng, RECORD_MOST - 20);
  int n = snprintf(buf, RECORD_MOST, "%d %d %zu ", w->number, w->sent, len);
  memset(buf + n, 'a' + w->number, len - (size_t)n);
  buf[len - 1] = '\n';
  return len;
}

/* Whatever the deadlines say: the record is sent to its end, or the stream is over. */
static int send_in_parts(struct writer *w, const char *buf, size_t len) {
  weft_timeout limit;
  size_t sent = 0;
  weft_timeout_begin(&limit, (weft_ns)stress_draw(&w->rng, 500) * 1000);
  int r = weft_timeout_end(&limit, weft_write_counted(w->link->out, buf, len, &sent));
  stress_count(STRESS_CUT, r == WEFT_ETIMEDOUT);
  /* In parts it is only good alone: nobody else may come in between. */
  if (r == WEFT_ETIMEDOUT && sent < len) return weft_write(w->link->out, buf + sent, len - sent);
  return r;
}

static int send_record(struct writer *w, const char *buf, size_t len) {
  struct iovec parts[2] = {{(void *)(uintptr_t)buf, len / 2},
                           {(void *)(uintptr_t)(buf + len / 2), len - len / 2}};
  int r;
  switch (stress_draw(&w->rng, 4)) {
  case 0:
    return weft_write(w->link->out, buf, len);
  case 1:
    return weft_writev(w->link->out, parts, 2);
  case 2:
    if (w->link->n == 1) return send_in_parts(w, buf, len);
    return weft_write(w->link->out, buf, len);
  default:
    r = weft_write_buffered(w->link->out, buf, len);
    return r == 0 && stress_one_in(&w->rng, 3) ? weft_drain(w->link->out) : r;
  }
}

static int send_records(void *arg) {
  struct writer *w = arg;
  char buf[RECORD_MOST];
  int r = 0;
  stress_begin(&w->mark);
  while (w->sent < w->records && r == 0) {
    size_t len = make_record(w, buf);
    r = send_record(w, buf, len);
    w->sent += r == 0;
  }
  return stress_end(&w->mark, r);
}

static void check_record(struct link *l, const char *line, size_t len) {
  int number = -1, at = -1;
  size_t said = 0;
  if (!EXPECT_INT(sscanf(line, "%d %d %zu ", &number, &at, &said), 3)) return;
  if (!EXPECT(number >= 0 && number < l->n)) return;
  EXPECT_INT(at, l->received[number]++);
  EXPECT_INT(said, len);
  EXPECT_INT(line[len - 1], '\n');
  EXPECT_INT(line[len - 2], 'a' + number);
}

static ssize_t next_line(struct link *l, char **ret) {
  if (stress_one_in(&l->rng, 4)) {
    int r = weft_wait_readable(l->in);
    if (r < 0) return r;
  }
  if (!stress_one_in(&l->rng, 3)) return weft_read_line(l->in, ret);
  weft_timeout limit;
  weft_timeout_begin(&limit, (weft_ns)stress_draw(&l->rng, 300) * 1000);
  ssize_t n = weft_read_line(l->in, ret);
  int r = weft_timeout_end(&limit, n < 0 ? (int)n : 0);
  return n < 0 ? r : n;
}

static int receive_records(void *arg) {
  struct link *l = arg;
  char *line;
  ssize_t n = 1;
  stress_begin(&l->mark);
  while (n > 0) {
    n = next_line(l, &line);
    /* The last one may be cut. */
    if (n > 0 && line[n - 1] == '\n') check_record(l, line, (size_t)n);
    stress_count(STRESS_CUT, n == WEFT_ETIMEDOUT);
    if (n == WEFT_ETIMEDOUT) n = 1;
  }
  return stress_end(&l->mark, (int)n);
}

static bool open_link(struct link *l, struct weft__rng *rng) {
  int fds[2];
  if (!EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0)) return false;
  EXPECT_INT(weft_stream_from_fd(&l->out, fds[0]), 0);
  EXPECT_INT(weft_stream_from_fd(&l->in, fds[1]), 0);
  weft__rng_init(&l->rng, weft__rng_next(rng), 0);
  l->n = 1 + (int)stress_draw(rng, WRITERS_MOST);
  for (int i = 0; i < l->n; i++) {
    struct writer *w = &l->writers[i];
    *w = (struct writer){
        .link = l, .number = i, .records = (int)stress_draw(rng, (uint32_t)stress_many(60))};
    weft__rng_init(&w->rng, weft__rng_next(rng), 1);
  }
  return true;
}

static void begin_link(struct link *l) {
  l->reader = weft_spawn(receive_records, l, NULL);
  for (int i = 0; i < l->n; i++)
    l->writers[i].task = weft_spawn(send_records, &l->writers[i], NULL);
}

static void disturb_link(struct link *l, struct weft__rng *rng) {
  EXPECT_INT(weft_yield(), 0);
  switch (stress_draw(rng, 6)) {
  case 0:
    weft_stream_abort(stress_one_in(rng, 2) ? l->out : l->in);
    l->aborted = true;
    break;
  case 1:
    l->torn = weft_cancel(l->writers[0].task) == 1;
    stress_count(STRESS_CANCELS, l->torn);
    break;
  default:
    break;
  }
}

static bool is_over(int r) {
  return r == 0 || r == WEFT_ECLOSED || r == WEFT_EPIPE || r == WEFT_ECONNRESET;
}

static void end_link(struct link *l) {
  for (int i = 0; i < l->n; i++) {
    int r = weft_await(l->writers[i].task);
    stress_whole(&l->writers[i].mark);
    EXPECT(r == 0 || (l->aborted && is_over(r)) ||
           (l->torn && (r == WEFT_ECANCELED || r == WEFT_ESTATE)));
  }
  int r = weft_stream_close(l->out);
  EXPECT(r == 0 || (l->torn && r == WEFT_ESTATE) || (l->aborted && is_over(r)));
  r = weft_await(l->reader);
  EXPECT(r == 0 || (l->aborted && is_over(r)));
  stress_whole(&l->mark);
  for (int i = 0; i < l->n && !l->aborted && !l->torn; i++) {
    EXPECT_INT(l->writers[i].sent, l->writers[i].records);
    EXPECT_INT(l->received[i], l->writers[i].records);
  }
  EXPECT_INT(weft_stream_close(l->in), 0);
}

struct links {
  struct link *links;
  int n;
  struct weft__rng rng;
};

static int streams_main(void *arg) {
  struct links *all = arg;
  for (int i = 0; i < all->n; i++) begin_link(&all->links[i]);
  for (int i = 0; i < all->n; i++) disturb_link(&all->links[i], &all->rng);
  for (int i = 0; i < all->n; i++) end_link(&all->links[i]);
  return 0;
}

static void streams_round(struct stress_round *r) {
  struct links all = {.n = 1 + (int)stress_draw(r->rng, 12)};
  all.links = stress_alloc((size_t)all.n, sizeof *all.links);
  weft__rng_init(&all.rng, weft__rng_next(r->rng), 2);
  bool fine = true;
  for (int i = 0; i < all.n && fine; i++) fine = open_link(&all.links[i], r->rng);
  if (fine) EXPECT_INT(stress_run(r, streams_main, &all), 0);
  free(all.links);
}

/* The memory of descriptors belongs to the process: it is there before the first round looks. */
static int have_descriptors(void) {
  struct link l = {0};
  struct weft__rng rng;
  weft__rng_init(&rng, 1, 1);
  if (!open_link(&l, &rng)) return WEFT_EMFILE;
  weft_stream_close(l.out);
  return weft_stream_close(l.in);
}

const struct stress_workload stress_streams = {
    .name = "streams",
    .about = "records of several writers over streams, with cuts, cancels and aborts",
    .round = streams_round,
    .flags = STRESS_EXACT_TOO | STRESS_ALONE,
    .prepare = have_descriptors,
};
