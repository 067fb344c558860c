/* Streams, for those who make them (connections, servers, pipes, processes) and for their own files. */
#ifndef WEFT_IO_STREAM_H
#define WEFT_IO_STREAM_H

#include <weft/stream.h>

#include "core/descriptor.h"

enum weft__stream_kind {
  WEFT__STREAM_SOCKET, /* of SOCK_STREAM */
  WEFT__STREAM_PIPE,   /* read and write, no shutdown */
  WEFT__STREAM_TTY,    /* a terminal or another device, as a pipe */
  WEFT__STREAM_FILE,   /* a regular file: never waited for, and read by the pool (stream_file.c) */
};

/* A stream over fd, which has O_NONBLOCK and, on success only, belongs to it. can: what to try before it
 * is waited for, of WEFT__CAN_READ and WEFT__CAN_WRITE: a new connection can write, an accepted one perhaps
 * read, too. What is no socket and open for one direction alone answers WEFT_EBADF in the other. site: the
 * return address of the public call that opened it. 0, WEFT_ENOMEM. Any thread; never suspends. */
int weft__stream_open(weft_stream **ret, int fd, enum weft__stream_kind kind, unsigned can,
                      const void *site);

/* A socket that is adopted does not stop the thread that closes it, which Linux does for as long as SO_LINGER
 * says, O_NONBLOCK or not. No time at all is left as it is: a reset. */
void weft__socket_unlinger(int fd);

/* ---- for those who lend a stream to the program: servers, processes ---- */

/* From now on weft_stream_close closes s and leaves the memory: a program that closes what it was lent takes
 * nothing from under its owner, who calls weft__stream_release in the end. Before anybody else has it. */
void weft__stream_own(weft_stream *s);

/* As weft_stream_close, and frees a stream that has an owner. 0 also when the program has closed it. By the
 * owner; calls of others may be under way, also closes. */
int weft__stream_release(weft_stream *s);

/* ---- for servers (stream_finish.c), whose handlers use the stream meanwhile ---- */

/* From now on a read that would have to wait answers 0, the end, where nothing was read since something
 * was last written; or, a fifth of a second later, where nothing was read at all. Any thread, while the
 * stream is open; never suspends. */
void weft__stream_finish(weft_stream *s);

/* From now on every read that would have to wait does, and no write begins: WEFT_ECLOSED. The same. */
void weft__stream_end(weft_stream *s);

/* The last call but close, which then does not wait: what is kept goes out, and the peer of a stream that
 * was ended by one of these is given the time to see it, lest it be reset. By a task; suspends; a cancel
 * cuts it. */
void weft__stream_conclude(weft_stream *s);

#endif
