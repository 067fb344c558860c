/* A stream from inside. For the files stream*.c alone.
 *
 * Every call counts itself in and out of the descriptor, so that a close never takes the memory from under
 * one. The two directions know nothing of each other.
 *
 * Reading belongs to the one task that is the descriptor's reader. The buffer is there only while something
 * is in it or while it is being filled: a stream that waits with nothing unread gives it back first.
 *
 * Writing belongs to the task that has the turn, a first-in first-out lock; it alone sends. What is to be
 * sent later lies in chunks under the spinlock `kept.lock`: anybody appends, only who has the turn sends from
 * the first and takes it off, and whoever gets the turn sends them before anything of his own. What a stream
 * drops stays there until its memory goes: somebody may be sending from it. Lock order: the turn, then the
 * spinlock.
 */
#ifndef WEFT_IO_STREAM_STATE_H
#define WEFT_IO_STREAM_STATE_H

#include "aio/lock.h"
#include "base/spin.h"
#include "core/resource.h"
#include "core/waitq.h"
#include "io/stream.h"

/* Set and never taken back, but KEPT and ENDING. Where a flag leads to a field, who set it guards the
 * field by what guards the direction; closing ones are set by anybody. */
enum weft__stream_flag {
  WEFT__STREAM_CLOSING = 1 << 0,  /* a close or an abort has begun: calls answer WEFT_ECLOSED */
  WEFT__STREAM_ABORTED = 1 << 1,  /* and it was an abort */
  WEFT__STREAM_CLOSED = 1 << 2,   /* weft_stream_close was called */
  WEFT__STREAM_IN_END = 1 << 3,   /* the end has come. Set by the reader */
  WEFT__STREAM_IN_ERROR = 1 << 4, /* in.error is answered. The same */
  WEFT__STREAM_SHUT = 1 << 5,     /* the end was sent. Set with the turn, as the next three */
  WEFT__STREAM_TORN =
      1 << 6, /* a write was cut in the middle, and its caller does not know where */
  WEFT__STREAM_OUT_ERROR = 1 << 7, /* out_error is answered */
  WEFT__STREAM_KEPT = 1 << 8,      /* there are chunks. Changed under kept.lock */
  /* Of connections of servers (stream_finish.c): */
  WEFT__STREAM_FINISHING = 1 << 9, /* a read that would have to wait may be told the end */
  WEFT__STREAM_ENDING = 1 << 10,   /* it is told; and no more writes begin. Taken back at the end */
  WEFT__STREAM_FINISHED = 1 << 11, /* it was told: IN_END says nothing of the peer */
  /* Of the reader (stream_read.c): */
  WEFT__STREAM_KNOWN = 1 << 12,        /* the next one is set if it is to be */
  WEFT__STREAM_SHORT_IS_ALL = 1 << 13, /* a call that gave less than was asked for left nothing */
  /* weft__stream_own was called, before others knew it: */
  WEFT__STREAM_OWNED = 1 << 14,
};

enum {
  WEFT__STREAM_NO_READ = WEFT__STREAM_CLOSING | WEFT__STREAM_IN_END | WEFT__STREAM_IN_ERROR,
  WEFT__STREAM_NO_WRITE = WEFT__STREAM_CLOSING | WEFT__STREAM_SHUT | WEFT__STREAM_TORN |
                          WEFT__STREAM_OUT_ERROR | WEFT__STREAM_ENDING,
};

/* Bytes read ahead: data[start..end) of room bytes and one more, for a '\0'. All of the reader's. */
struct weft__stream_in {
  char *data; /* NULL: there is none */
  size_t start, end, room;
  size_t step;    /* bytes of the next one */
  size_t limit;   /* of a line */
  size_t overrun; /* weft_stream_overrun */
  size_t lent_at; /* where the '\0' is, */
  char lent_was;  /* in the place of what, */
  bool lent;      /* while this is set */
  int error;
  uint64_t written_then;      /* bytes_written when the last bytes came */
  weft__atomic_u64 finish_by; /* of one that is to finish: when its first bytes are to have come */
  weft__atomic_u64 unread;    /* end - start when the last reader left: for those who look */
};

struct weft__chunk {
  struct weft__chunk *next; /* kept.lock, as what follows */
  size_t start, end, room;  /* data[start..end) is to be sent */
  char data[];
};

struct weft__stream_kept {
  struct weft__spin lock; /* guards all of it */
  bool sending;           /* there is a task that sends it */
  bool high;              /* more than high_mark was there, and no less than low_mark since */
  int unsent;             /* why there is no such task, for who keeps more next; or 0 */
  size_t bytes;
  size_t high_mark, low_mark, most;
  struct weft__chunk *first, *last;
  struct weft__waitq drains;  /* until no more than low_mark are there, */
  struct weft__waitq flushes; /* or none */
};

struct weft_stream {
  struct weft__descriptor *d;  /* constant */
  enum weft__stream_kind kind; /* constant */
  weft__atomic_u32 flags; /* relaxed loads: what a flag says is also found out under its guard */
  int out_error;          /* of the turn */
  weft_lock turn;
  weft__atomic_u64 bytes_read;    /* relaxed, as the next; written by the reader */
  weft__atomic_u64 bytes_written; /* by who has the turn */
  struct weft__stream_in in;
  struct weft__stream_kept kept;
  struct weft__resource resource; /* its opener's, then its closer's */
};

static inline uint32_t weft__stream_flags(const weft_stream *s) {
  return weft__load_relaxed_u32(&s->flags);
}

static inline void weft__stream_flag(weft_stream *s, uint32_t flag) {
  if (!(weft__stream_flags(s) & flag)) weft__or_u32(&s->flags, flag);
}

/* Adds to a counter that one task at a time writes. */
static inline void weft__stream_account(weft__atomic_u64 *counter, ssize_t n) {
  weft__store_relaxed_u64(counter, weft__load_relaxed_u64(counter) + (uint64_t)n);
}

/* An error that says nothing about the connection: the same call may succeed later. */
bool weft__stream_error_passes(ssize_t error);

/* Wakes whoever waits for the descriptor, so that they look at the flags. Between enter and leave. */
void weft__stream_kick(weft_stream *s);

/* ---- reading ---- */

/* Between reader_enter (0, WEFT_ECLOSED, WEFT_EBUSY) and reader_leave the caller is the reader. */
static inline int weft__reader_enter(weft_stream *s) {
  return weft__descriptor_enter_reader(s->d);
}

static inline void weft__reader_leave(weft_stream *s) {
  weft__descriptor_leave_reader(s->d);
}

/* What follows is the reader's. */

/* Bytes from the system: as weft_read, past the buffer. wait: WEFT_EAGAIN otherwise. */
ssize_t weft__stream_receive(weft_stream *s, void *buf, size_t len, bool wait);
/* The same of a file. */
ssize_t weft__stream_receive_file(weft_stream *s, void *buf, size_t len, bool wait);

/* Waits until a receive is worth it: 0, and then it is to be tried. 1: it is the end, see patience. */
int weft__stream_await_input(weft_stream *s);

/* About to wait, of a stream that is to finish (stream_finish.c): until when it may; 0: it is the end. */
uint64_t weft__stream_patience(weft_stream *s);

/* What a read answers without looking further: WEFT_ECLOSED, 0 at the end, the error; 1: it may look. */
int weft__stream_read_refusal(const weft_stream *s);

/* The '\0' behind what was lent is taken back. */
void weft__stream_unlend(weft_stream *s);

/* len bytes of the buffer, which has them. */
void weft__stream_take(weft_stream *s, void *buf, size_t len);

/* The buffer is given back if nothing is in it. */
void weft__stream_drop_empty(weft_stream *s);

static inline size_t weft__stream_unread(const weft_stream *s) {
  return s->in.end - s->in.start;
}

/* ---- writing ---- */

/* One call to the system: how many bytes it took (0: none, try when there is room), or an error, which is
 * kept if it lasts. With the turn. */
ssize_t weft__stream_send(weft_stream *s, const void *buf, size_t len);

/* After a send that took this much, and that was not all: waits until another is worth it. closing: it is the
 * closer, who goes on though the stream is closing. */
int weft__stream_await_room(weft_stream *s, ssize_t took, bool closing);

/* What a write answers: WEFT_ECLOSED, WEFT_ESHUTDOWN, WEFT_ESTATE, the error; or 0. */
int weft__stream_write_refusal(const weft_stream *s);

/* Sends the chunks until no more than `until` bytes are kept. With the turn. */
int weft__stream_send_kept(weft_stream *s, size_t until, bool closing);

/* Whoever waits in drain or flush looks again. */
void weft__stream_wake_drains(weft_stream *s);

void weft__chunks_free(struct weft__chunk *c);

/* The turn for t, which calls it: 0, WEFT_ECANCELED, WEFT_ENOMEM. */
static inline int weft__turn_take(weft_stream *s, struct weft__task *t) {
  struct weft__lock *turn = weft__lock_of(&s->turn);
  uint64_t free = 0;
  if (weft__likely(weft__cas_u64(&turn->sync.word, &free, weft__holder_self(t)))) return 0;
  return weft__lock_take(turn, t, false);
}

#endif
