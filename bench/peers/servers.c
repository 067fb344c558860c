/* The workloads that are servers: they listen at 127.0.0.1 until the program is killed. */
#include <stdlib.h>
#include <weft.h>

#include "peer.h"

enum { MS = 1000000, US = 1000, HOG_MS = 10, READ = 4096, BACKLOG = 1024 };

static void burn(uint64_t ns) {
  uint64_t until = now() + ns;
  while (now() < until) {}
}

static int hog(void *unused) {
  int r;
  (void)unused;
  do burn((uint64_t)HOG_MS * MS);
  while ((r = weft_yield()) == 0);
  return r;
}

static int serve_echo(weft_stream *s, void *arg) {
  const uint64_t *work = arg;
  char buf[READ];
  ssize_t n;
  int r = 0;
  while (r == 0 && (n = weft_read(s, buf, sizeof buf)) > 0) {
    if (*work) burn(*work);
    r = weft_write(s, buf, (size_t)n);
  }
  return 0; /* clients end as they like */
}

struct block {
  char *bytes;
  size_t n;
};

static int serve_source(weft_stream *s, void *arg) {
  const struct block *b = arg;
  while (weft_write(s, b->bytes, b->n) == 0) {}
  return 0;
}

static int serve(weft_handler_fn handler, void *arg) {
  for (long i = argument("hogs", 0); i > 0; i--)
    must(weft_detach(weft_spawn(hog, NULL, NULL)), "hog");
  must(weft_serve(handler, arg,
                  &(weft_serve_opts){.host = "127.0.0.1",
                                     .port = (int)argument("port", 7000),
                                     .listen = {.backlog = BACKLOG}}),
       "serve");
  return 0;
}

int echo_server(void *unused) {
  uint64_t work = (uint64_t)argument("work_us", 0) * US;
  (void)unused;
  return serve(serve_echo, &work);
}

int source_server(void *unused) {
  struct block b = {.n = (size_t)argument("chunk", 65536)};
  (void)unused;
  b.bytes = calloc(1, b.n);
  must(b.bytes ? 0 : WEFT_ENOMEM, "chunk");
  return serve(serve_source, &b);
}
