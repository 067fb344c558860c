/* Puts load on an echo server and says how it bears it. Each connection is a task that sends a message,
 * waits until all of it has come back, and sends the next:
 *
 *   $ echo_client --port 7000 --connections 64 --size 64 --seconds 5
 *   64 connections, 64 bytes: 412345 requests in 5.00 s, 82469 a second
 *   latency, us: p50 748.0, p90 1024.0, p99 1520.0, p99.9 2144.0, worst 5301.2
 *
 * The other options are --host and --warm-up (seconds that are not counted, 0.2 if not said).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

enum {
  SIZE_MAX_BYTES = 1024 * 1024,
  CONNECTING_AT_ONCE = 128, /* as many as a server's queue usually takes */
  THE_REPLY_IS_WRONG = WEFT_EUSER - 1,
};

/* ---- how long things took ---- */

/* Counts by duration in ns: STEPS counts for each power of two, so a figure is at most 1.6 % off. */
enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, PLACES = (40 - STEP_BITS) * STEPS };

struct histogram {
  uint32_t counts[PLACES];
  uint64_t total;
  weft_ns worst;
};

static size_t place_of(weft_ns took) {
  unsigned power = 0;
  while (took >> power >= 2 * STEPS) power++;
  size_t place = power * STEPS + (size_t)(took >> power);
  return place < PLACES ? place : PLACES - 1;
}

static double us_at(size_t place) {
  size_t power = place < 2 * STEPS ? 0 : place / STEPS - 1;
  return (double)((uint64_t)(place - power * STEPS) << power) / 1000;
}

static void histogram_add(struct histogram *h, weft_ns took) {
  h->counts[place_of(took)]++;
  h->total++;
  if (took > h->worst) h->worst = took;
}

static void histogram_merge(struct histogram *to, const struct histogram *from) {
  for (size_t i = 0; i < PLACES; i++) to->counts[i] += from->counts[i];
  to->total += from->total;
  if (from->worst > to->worst) to->worst = from->worst;
}

static double histogram_us(const struct histogram *h, double share) {
  uint64_t before = (uint64_t)((double)h->total * share), seen = 0;
  for (size_t i = 0; i < PLACES; i++)
    if ((seen += h->counts[i]) > before) return us_at(i);
  return 0;
}

/* ---- the connections ---- */

struct load {
  const char *host;
  int port, connections;
  size_t size;
  weft_ns warm_up, length;
  weft_ns from, until; /* what begins and ends in between is counted */
  char *message;
};

struct connection {
  const struct load *load;
  weft_stream *stream;
  struct histogram took;
};

static int open_connection(void *arg) {
  struct connection *c = arg;
  return weft_connect(&c->stream, c->load->host, c->load->port, NULL);
}

/* A message that is larger than the buffers of both systems can only be sent while the reply is read:
 * so what the system does not take at once is sent in the background. */
static int exchange(struct connection *c, char *reply) {
  const struct load *l = c->load;
  int r = weft_write_buffered(c->stream, l->message, l->size);
  if (r < 0) return r;
  ssize_t n = weft_read_exactly(c->stream, reply, l->size);
  if (n == 0) return WEFT_EOF;
  if (n > 0 && memcmp(reply, l->message, l->size) != 0) return THE_REPLY_IS_WRONG;
  return n < 0 ? (int)n : 0;
}

static int exchange_all(void *arg) {
  struct connection *c = arg;
  const struct load *l = c->load;
  char *reply = malloc(l->size);
  weft_ns now = weft_now();
  int r = reply ? 0 : WEFT_ENOMEM;
  while (r == 0 && now < l->until) {
    weft_ns sent = now;
    r = exchange(c, reply);
    now = weft_now();
    if (r == 0 && sent >= l->from && now <= l->until) histogram_add(&c->took, now - sent);
  }
  free(reply);
  return r;
}

/* Runs fn for every connection, so many at a time. */
static int for_all(struct connection *all, int count, weft_fn fn, unsigned limit) {
  weft_group g;
  weft_group_init(&g, &(weft_group_opts){.limit = limit});
  for (int i = 0; i < count; i++)
    if (weft_group_spawn(&g, fn, &all[i], NULL) < 0) break; /* join says why */
  return weft_group_join(&g);
}

static void report(const struct load *l, struct connection *all) {
  struct histogram *h = &all[0].took;
  double seconds = (double)l->length / 1e9;
  for (int i = 1; i < l->connections; i++) histogram_merge(h, &all[i].took);
  printf("%d connections, %zu bytes: %" PRIu64 " requests in %.2f s, %.0f a second\n",
         l->connections, l->size, h->total, seconds, (double)h->total / seconds);
  printf("latency, us: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, worst %.1f\n",
         histogram_us(h, 0.5), histogram_us(h, 0.9), histogram_us(h, 0.99), histogram_us(h, 0.999),
         (double)h->worst / 1000);
}

static int run(void *arg) {
  struct load *l = arg;
  struct connection *all = calloc((size_t)l->connections, sizeof *all);
  l->message = malloc(l->size);
  int r = all && l->message ? 0 : WEFT_ENOMEM;
  for (size_t i = 0; r == 0 && i < l->size; i++) l->message[i] = (char)('a' + i % 26);
  for (int i = 0; r == 0 && i < l->connections; i++) all[i].load = l;
  if (r == 0) r = for_all(all, l->connections, open_connection, CONNECTING_AT_ONCE);
  l->from = weft_now() + l->warm_up;
  l->until = l->from + l->length;
  if (r == 0) r = for_all(all, l->connections, exchange_all, 0);
  for (int i = 0; all && i < l->connections; i++) weft_stream_close(all[i].stream);
  if (r == 0) report(l, all);
  free(l->message);
  free(all);
  return r;
}

/* ---- the program ---- */

static bool parse(int argc, char **argv, struct load *l) {
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(name, "--host") == 0)
      l->host = value;
    else if (strcmp(name, "--port") == 0)
      l->port = atoi(value);
    else if (strcmp(name, "--connections") == 0)
      l->connections = atoi(value);
    else if (strcmp(name, "--size") == 0)
      l->size = (size_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
      l->length = (weft_ns)(strtod(value, NULL) * 1e9);
    else if (strcmp(name, "--warm-up") == 0)
      l->warm_up = (weft_ns)(strtod(value, NULL) * 1e9);
    else
      return false;
  }
  return l->connections > 0 && l->size > 0 && l->size <= SIZE_MAX_BYTES && l->length > 0 &&
         l->warm_up >= 0;
}

int main(int argc, char **argv) {
  struct load load = {.host = "127.0.0.1",
                      .port = 7000,
                      .connections = 64,
                      .size = 64,
                      .length = weft_sec(2),
                      .warm_up = weft_ms(200)};
  if (!parse(argc, argv, &load)) {
    fprintf(stderr, "usage: echo_client [--host HOST] [--port N] [--connections N] [--size BYTES]\n"
                    "                   [--seconds S] [--warm-up S]\n");
    return 2;
  }
  int r = weft_run(run, &load, NULL);
  if (r == THE_REPLY_IS_WRONG)
    fprintf(stderr, "echo_client: the reply is not what was sent\n");
  else if (r < 0)
    fprintf(stderr, "echo_client: %s\n", weft_strerror(r));
  return r < 0;
}
