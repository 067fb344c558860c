/* g. An echo server, with some computing for each request, over TCP. echo-load is the client.
 *
 * Says the port in a line of its own, serves as many connections as it was told, and ends with the last
 * of them. */
#include "weft_contrast.h"

#include <stdio.h>

struct echo {
  long connections;
  int64_t work_ns;
  weft_wait_group open; /* the connections that have not come and gone yet */
  _Atomic long served;
};

static int echo(weft_stream *s, void *arg) {
  struct echo *e = arg;
  char buffer[4096];
  ssize_t n;
  int r = 0;
  while ((n = weft_read(s, buffer, sizeof buffer)) > 0) {
    compute(e->work_ns);
    if ((r = weft_write(s, buffer, (size_t)n)) < 0) break;
    e->served++;
  }
  weft_wait_group_done(&e->open);
  return n < 0 ? (int)n : r;
}

static int serve(void *arg) {
  struct echo *e = arg;
  weft_server *server;
  weft_addr addr;
  int r = weft_wait_group_add(&e->open, (unsigned)e->connections);
  if (r == 0) r = weft_server_start(&server, echo, e, &(weft_serve_opts){.host = "127.0.0.1"});
  if (r < 0) return r;
  if (weft_server_addr(server, 0, &addr) == 0) {
    printf("%d\n", weft_addr_port(&addr));
    fflush(stdout);
    r = weft_wait_group_wait(&e->open);
  }
  weft_server_close(server);
  weft_server_wait_closed(server);
  weft_server_free(server);
  return r;
}

int echo_workload(struct program *p) {
  long work_us = program_number(p, "work_us", 50);
  struct echo e = {
      .connections = program_number(p, "connections", 32),
      .work_ns = work_us * 1000,
  };
  int r = contrast_run(p, serve, &e);
  program_say(p, "work_us", "%ld", work_us);
  program_say(p, "served", "%ld", (long)e.served);
  return r;
}
