/* echo-libuv port=N: an echo server on libuv, one loop, callbacks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BACKLOG = 1024, READ = 4096 };

static char buffer[READ];

static void on_closed(uv_handle_t *h) {
  free(h);
}

static void lend(uv_handle_t *h, size_t suggested, uv_buf_t *ret) {
  (void)h, (void)suggested;
  *ret = uv_buf_init(buffer, sizeof buffer);
}

/* A message fits the socket's buffer. */
static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
  if (n == 0) return;
  uv_buf_t out = uv_buf_init(b->base, n > 0 ? (unsigned)n : 0);
  if (n < 0 || uv_try_write(s, &out, 1) != n) uv_close((uv_handle_t *)s, on_closed);
}

static void on_connection(uv_stream_t *listener, int status) {
  uv_tcp_t *t = malloc(sizeof *t);
  if (status < 0 || !t) {
    free(t);
    return;
  }
  uv_tcp_init(listener->loop, t);
  if (uv_accept(listener, (uv_stream_t *)t) == 0) {
    uv_tcp_nodelay(t, 1);
    uv_read_start((uv_stream_t *)t, lend, on_read);
  } else {
    uv_close((uv_handle_t *)t, on_closed);
  }
}

int main(int argc, char **argv) {
  uv_tcp_t listener;
  struct sockaddr_in at;
  int port = argc > 1 && !strncmp(argv[1], "port=", 5) ? atoi(argv[1] + 5) : 0;
  uv_loop_t *loop = uv_default_loop();
  uv_ip4_addr("127.0.0.1", port, &at);
  uv_tcp_init(loop, &listener);
  int r = uv_tcp_bind(&listener, (const struct sockaddr *)&at, 0);
  if (r == 0) r = uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection);
  if (r < 0) {
    fprintf(stderr, "echo-libuv: %s\n", uv_strerror(r));
    return 1;
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}
