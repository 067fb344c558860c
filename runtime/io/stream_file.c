/* Reading a file as a stream: one that was redirected to stdin.
 *
 * It is never "not ready": what is in memory is read on the spot, and for the rest the pool waits for the
 * disk. At the position that the descriptor has, so that whoever shares it goes on where this one has
 * stopped. An error is told once, and the next call tries again. */
#include <weft/errors.h>
#include <weft/offload.h>

#include "base/sim.h"
#include "base/sys.h"
#include "io/stream_state.h"

struct job {
  int fd;
  void *buf;
  size_t len;
  ssize_t n;
};

static int read_blocking(void *arg) {
  struct job *j = arg;
  do j->n = weft__sys_read(j->fd, j->buf, j->len);
  while (j->n == WEFT_EINTR);
  return 0;
}

/* WEFT_EAGAIN: not without waiting. What the system has in memory is not the seed's to know. */
static ssize_t read_on_the_spot(const struct job *j) {
  const struct iovec part = {.iov_base = j->buf, .iov_len = j->len};
  if (weft__unlikely(weft__sim_here())) return WEFT_EAGAIN;
  ssize_t n = weft__sys_preadv2(j->fd, &part, 1, -1, RWF_NOWAIT);
  return n < 0 ? WEFT_EAGAIN : n; /* the blocking read tells the error, if there is one */
}

ssize_t weft__stream_receive_file(weft_stream *s, void *buf, size_t len, bool wait) {
  struct job j = {.fd = weft__descriptor_fd(s->d), .buf = buf, .len = len};
  j.n = read_on_the_spot(&j);
  if (j.n == WEFT_EAGAIN) {
    int r = wait ? weft_to_thread(read_blocking, &j) : read_blocking(&j);
    if (r < 0) return r;
  }
  if (j.n > 0) weft__stream_account(&s->bytes_read, j.n);
  if (j.n == 0) weft__stream_flag(s, WEFT__STREAM_IN_END);
  return j.n;
}
