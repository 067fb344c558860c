/* Frames: what the pool, its zygote and its worker processes say to each other.
 *
 * A channel is a SOCK_SEQPACKET socket pair, so a frame arrives whole or not at all and half a
 * frame is a message of the wrong length, known as such at once. Every message is one struct
 * weft__frame and nothing else: job bytes travel through shared memory (area.h).
 *
 *   control   pool -> zygote              SPAWN (with the worker's end of a new channel), KILL
 *   channel   pool -> worker              CALL
 *             worker -> pool              ANSWER
 *             zygote -> pool              BORN or STILLBORN first, DEATH last
 *
 * The zygote keeps a copy of each worker's end and writes BORN and DEATH there itself. So whoever
 * waits for an answer waits on one descriptor, and learns of the death, with its status, on the
 * same one; also when the job forked a child that still holds the channel open.
 */
#ifndef WEFT_OFFLOAD_CHANNEL_H
#define WEFT_OFFLOAD_CHANNEL_H

#include <stdint.h>

enum { WEFT__FRAME_MAGIC = 0x77656674 };

enum weft__frame_kind {
  WEFT__FRAME_SPAWN = 1, /* slot; the channel is passed along */
  WEFT__FRAME_KILL,      /* slot */
  WEFT__FRAME_BORN,      /* slot, pid */
  WEFT__FRAME_STILLBORN, /* slot, code: why there is no process */
  WEFT__FRAME_DEATH,     /* slot, pid, how; the process is reaped */
  WEFT__FRAME_CALL,      /* job, seq, in_len, out_len: the caller's capacity */
  WEFT__FRAME_ANSWER,    /* code, seq, out_len: the result's length */
};

/* Fields that a kind does not use are zero. Both ends are the same program: host byte order. */
struct weft__frame {
  uint32_t magic;
  uint32_t kind; /* enum weft__frame_kind */
  uint32_t slot;
  int32_t pid;
  int32_t code;
  uint32_t how; /* a signal's number, or 256 + an exit status */
  uint32_t job; /* index in the pool's table */
  uint32_t zero;
  uint64_t seq; /* counts the calls of a slot: an answer repeats its call's */
  uint64_t in_len;
  uint64_t out_len;
};
_Static_assert(sizeof(struct weft__frame) == 56, "no hidden padding: frames are compared and sent");

/* A new channel. The pool's end is non-blocking, the other one blocks; both are close-on-exec.
 * 0, or WEFT_EMFILE, WEFT_ENFILE, WEFT_ENOMEM. */
int weft__channel_pair(int *ret_pool_end, int *ret_far_end);

/* Sends f, and a copy of the descriptor passed unless it is -1. flags: 0 or MSG_DONTWAIT.
 * 0, WEFT_EPIPE when the other end is gone, WEFT_EAGAIN, or another code of sendmsg. */
int weft__frame_send(int fd, const struct weft__frame *f, int passed, int flags);

/* Receives one frame. 1, 0 at the end of the channel, WEFT_EPROTO for anything that is no frame,
 * WEFT_EAGAIN, or another code of recvmsg. *ret is written on 1 only. ret_passed may be NULL, which
 * drops a descriptor that came along; else it gets the descriptor or -1. */
int weft__frame_recv(int fd, struct weft__frame *ret, int *ret_passed);

#endif
