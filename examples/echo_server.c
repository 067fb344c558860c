/* An echo server: what a client sends comes back. The handler is straight-line code, as in asyncio,
 *
 *   async def echo(reader, writer):
 *       while data := await reader.read(4096):
 *           writer.write(data)
 *           await writer.drain()
 *
 * but the connections are spread over all CPUs, each handled by a task of its own.
 *
 *   echo_server [--host HOST] [--port N] [--unix PATH]
 *
 *   nc localhost 7000                  one client
 *   echo_client --connections 1000     many, and how long each exchange takes
 *
 * Ctrl-C or SIGTERM ends it: it stops to listen, finishes the exchanges that are under way, and
 * closes the connections. What comes from a client that breaks off is one line of the log; the others go on.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

/* While it waits for the client, a handler keeps two pages of its stack: one below and one with the
 * buffer. Where many clients are idle, weft_read_lent has no buffer until something comes. */
static int echo(weft_stream *s, void *arg) {
  char buffer[4096];
  ssize_t n;
  (void)arg;
  while ((n = weft_read(s, buffer, sizeof buffer)) > 0) {
    int r = weft_write(s, buffer, (size_t)n); /* waits for a client that does not read */
    if (r < 0) return r;
  }
  return (int)n; /* 0: the client has sent all it had to; what is negative is reported */
}

static void say_where(weft_server *server) {
  weft_addr address;
  char text[WEFT_ADDR_TEXT];
  for (size_t i = 0; weft_server_addr(server, i, &address) == 0; i++) {
    weft_addr_format(&address, text, sizeof text);
    printf("serving on %s\n", text);
  }
  fflush(stdout);
}

static int serve(void *opts) {
  weft_signal *end;
  weft_server *server;
  int r = weft_signal_open(&end, (int[]){SIGINT, SIGTERM}, 2);
  if (r < 0) return r;
  r = weft_server_start(&server, echo, NULL, opts);
  if (r == 0) {
    say_where(server);
    int signo = weft_signal_next(end, NULL); /* it serves meanwhile */
    r = weft_server_shutdown(server, NULL, NULL);
    if (r == WEFT_ETIMEDOUT) r = 0; /* a client that does not read its echo was cut off */
    if (signo < 0) r = signo;
    weft_server_free(server);
  }
  weft_signal_close(end);
  return r;
}

static bool parse(int argc, char **argv, weft_serve_opts *opts) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    if (strcmp(argv[i], "--host") == 0)
      opts->host = argv[i + 1];
    else if (strcmp(argv[i], "--port") == 0)
      opts->port = atoi(argv[i + 1]);
    else if (strcmp(argv[i], "--unix") == 0)
      opts->path = argv[i + 1];
    else
      return false;
  }
  if (opts->path) opts->host = NULL, opts->port = 0;
  return true;
}

int main(int argc, char **argv) {
  weft_serve_opts opts = {.host = "127.0.0.1", .port = 7000, .name = "echo"};
  if (!parse(argc, argv, &opts)) {
    fprintf(stderr, "usage: echo_server [--host HOST] [--port N] [--unix PATH]\n");
    return 2;
  }
  int r = weft_run(serve, &opts, NULL);
  if (r < 0) {
    fprintf(stderr, "echo_server: %s\n", weft_strerror(r));
    return 1;
  }
  return 0;
}
