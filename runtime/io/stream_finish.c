/* Streams that a server asks to come to an end, while their handlers still use them.
 *
 * A handler that reads a request and writes its answer, again and again, is between two of them when it has
 * read nothing since it last wrote, and wants to read. Such a read is told the end as soon as it would
 * have to wait.
 */
#include <poll.h>

#include <weft/errors.h>

#include "base/clock.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/self.h"
#include "io/stream_state.h"

/* So long a client has to see that it is over before its connection is closed, lest what it is sending
 * reset it. */
#define LINGER WEFT__NS_PER_SEC

/* So long one who has just come has for its first question, which is mostly under way. */
#define FIRST_QUESTION (200 * WEFT__NS_PER_MS)

static void set_and_kick(weft_stream *s, uint32_t flags) {
  if (weft__descriptor_enter(s->d) < 0) return;
  weft__or_u32(&s->flags, flags); /* before the kick, after which they look */
  weft__stream_kick(s);
  weft__stream_wake_drains(s);
  weft__descriptor_leave(s->d);
}

void weft__stream_finish(weft_stream *s) {
  weft__store_relaxed_u64(&s->in.finish_by, weft__now() + FIRST_QUESTION);
  set_and_kick(s, WEFT__STREAM_FINISHING);
}

void weft__stream_end(weft_stream *s) {
  set_and_kick(s, WEFT__STREAM_ENDING);
}

/* Until when a read may wait: nothing was read since something was written, so it is the end by now. Of one
 * that has read nothing at all, soon. */
static uint64_t wait_by(const weft_stream *s) {
  if (weft__stream_unread(s) > 0) return WEFT__NEVER;
  if (weft__load_relaxed_u64(&s->bytes_read) == 0) {
    uint64_t by = weft__load_relaxed_u64(&s->in.finish_by);
    return weft__now() < by ? by : 0;
  }
  return weft__load_relaxed_u64(&s->bytes_written) == s->in.written_then ? WEFT__NEVER : 0;
}

/* Something has come that nobody has told of yet. */
static bool has_come(const weft_stream *s) {
  struct pollfd p = {.fd = weft__descriptor_fd(s->d), .events = POLLIN};
  return weft__sys_poll(&p, 1, 0) != 0;
}

uint64_t weft__stream_patience(weft_stream *s) {
  /* Acquire: finish_by was set before the flag. */
  if (!(weft__load_acquire_u32(&s->flags) & WEFT__STREAM_ENDING)) {
    uint64_t by = wait_by(s);
    if (by != 0) return by;
    if (has_come(s)) {
      weft__descriptor_more(s->d, WEFT__IN); /* so that no wait begins */
      return WEFT__NEVER;
    }
  }
  weft__stream_flag(s, WEFT__STREAM_FINISHED);
  weft__stream_flag(s, WEFT__STREAM_IN_END);
  return 0;
}

/* Reads until the peer has ended, too, and forgets it. */
static void discard(weft_stream *s, struct weft__task *t) {
  char buf[512];
  uint64_t deadline = weft__now() + LINGER;
  ssize_t n;
  do {
    n = weft__sys_recv(weft__descriptor_fd(s->d), buf, sizeof buf, MSG_DONTWAIT);
    if (n == WEFT_EAGAIN) n = weft__descriptor_wait(s->d, WEFT__IN, deadline) == 0;
    if (n > 0) weft__spend(t);
  } while ((n > 0 || n == WEFT_EINTR) && weft__now() < deadline);
}

/* Its reader is gone: the end was not the peer's, as far as we know. */
static bool is_ours(const weft_stream *s, uint32_t flags) {
  return s->kind == WEFT__STREAM_SOCKET && flags & (WEFT__STREAM_FINISHING | WEFT__STREAM_ENDING) &&
         !(flags & (WEFT__STREAM_CLOSING | WEFT__STREAM_IN_ERROR | WEFT__STREAM_OUT_ERROR)) &&
         (!(flags & WEFT__STREAM_IN_END) || flags & WEFT__STREAM_FINISHED);
}

void weft__stream_conclude(weft_stream *s) {
  struct weft__task *t = weft__current_task();
  /* What is kept may go out again, which close_clients has stopped. */
  uint32_t flags = weft__and_u32(&s->flags, ~(uint32_t)WEFT__STREAM_ENDING);
  if (weft_flush(s) < 0 || !is_ours(s, flags) || weft__reader_enter(s) < 0) return;
  if (weft__sys_shutdown(weft__descriptor_fd(s->d), SHUT_WR) == 0) discard(s, t);
  weft__reader_leave(s);
}
