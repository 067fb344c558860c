/* Streams: bytes in both directions over TCP, Unix sockets, pipes and terminals.
 * asyncio: StreamReader, StreamWriter (one object here).
 *
 *   static int echo(weft_stream *s) {
 *     char buf[4096];
 *     ssize_t n;
 *     while ((n = weft_read(s, buf, sizeof buf)) > 0) {      (0: the end; < 0: an error)
 *       int r = weft_write(s, buf, (size_t)n);               (waits until all of it is gone)
 *       if (r < 0) return r;
 *     }
 *     return (int)n;
 *   }
 *
 *   char *line;
 *   while ((n = weft_read_line(s, &line)) > 0) ...           (lent until the next read)
 *
 * Where streams come from: weft/connect.h, weft/server.h, weft/process.h, or weft_stream_from_fd.
 *
 * Reading. Nothing is taken from the system that nobody asked for: a stream without a reader holds
 * its peer up. weft_read moves bytes from the system to the caller and nothing in between. The
 * calls that look for something (a line, n bytes) read ahead, into a buffer of the stream; what
 * they leave there is what all others get first. A read that returns an error has taken nothing:
 * what it had seen by then stays in the stream, also after WEFT_ECANCELED, and also at the end. One
 * task reads at a time: a second one is told WEFT_EBUSY.
 *
 * Lent data lies in the stream's buffer: a '\0' stands behind it, it may be written to, and it is
 * valid until the next call that reads from the stream, or weft_wait_readable, or the close.
 *
 * Writing. weft_write waits until the system has taken everything, so there is no buffer that grows
 * unseen. Several tasks may write: they take turns, first come, first served, and one's bytes never
 * come between another's. weft_write_buffered is for those who must not wait, and weft_drain then
 * is how they wait after all. It does not queue up either: its bytes go behind the write that is
 * under way and before those that still wait for their turn.
 *
 * A write that was cut (cancel, timeout) may have sent a part. weft_write_counted and
 * weft_write_some say how much, and the caller may go on. After a weft_write or weft_writev that
 * sent only a part, what comes next would be taken for the rest: all later writes answer
 * WEFT_ESTATE.
 *
 * Deadlines: a timeout scope around the call (weft/timeout.h). All calls here marked [cancel point]
 * are one also when they need not suspend.
 *
 * The end. weft_stream_close flushes what is buffered, closes, and frees. weft_stream_abort drops:
 * for TCP, the peer is told by a reset. Calls of other tasks that are under way answer WEFT_ECLOSED
 * in both cases; a call must not begin after the close. An error of the connection
 * (WEFT_ECONNRESET, WEFT_EPIPE, ...) is answered by each call in that direction from then on; what
 * arrived before it can still be read. The end of a pipe that is for the other direction answers
 * WEFT_EBADF to each call.
 *
 * Give weft_read room for more than a message: a read that fills its buffer may have left
 * something, so that the next one has to look. Over TCP a message then is one call to the system;
 * over pipes, terminals and Unix sockets, where a read may stop short of what is there, it is two.
 *
 * What a stack buffer costs: a task that waits in weft_read with a char[4096] keeps two pages, not
 * one. For connections that are mostly idle: weft_wait_readable first, and a function of its own
 * for the buffer, or weft_read_lent, which has none while it waits.
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/addr.h>
#include <weft/decls.h>

WEFT_BEGIN_DECLS

typedef struct weft_stream weft_stream;

enum {
  WEFT_STREAM_LIMIT = 64 * 1024, /* of a line, unless weft_stream_set_limit says otherwise */
  WEFT_STREAM_HIGH = 64 * 1024,  /* water marks of buffered writes */
  WEFT_STREAM_LOW = 16 * 1024,
  WEFT_STREAM_MOST = 64 * 1024 * 1024, /* bytes that buffered writes may leave in the stream */
};

/* ---- reading ---- */

/* Up to len bytes, as soon as there are any: how many (> 0), 0 at the end, or the error. len 0
 * answers 0 at once. WEFT_EBUSY, WEFT_ECANCELED, WEFT_ECLOSED, WEFT_EINVAL (NULL, or a len that
 * does not fit the result), and what the system says. [task] [suspends] [cancel point].
 * asyncio: StreamReader.read */
ssize_t weft_read(weft_stream *s, void *buf, size_t len);

/* The same if that needs no waiting; else WEFT_EAGAIN. [task] [never suspends] */
ssize_t weft_try_read(weft_stream *s, void *buf, size_t len);

/* Exactly len bytes: len; 0 when the stream had ended before the first; WEFT_EOF when it ended in
 * the middle: what did come can still be read (asyncio hands it over in the exception). Errors as
 * weft_read; WEFT_ENOMEM when there is no memory to keep what an error would bring back.
 * [task] [suspends] [cancel point]. asyncio: StreamReader.readexactly */
ssize_t weft_read_exactly(weft_stream *s, void *buf, size_t len);

/* The next line, lent, with its '\n': its length, or 0 at the end. A last line without '\n'
 * counts. WEFT_EMSGSIZE when it is longer than the limit ('\n' not counted): then it is dropped
 * as far as it has come, and the next call begins behind that. Errors as weft_read, and
 * WEFT_ENOMEM. [task] [suspends] [cancel point]. asyncio: StreamReader.readline, async for line
 * in reader */
ssize_t weft_read_line(weft_stream *s, char **ret_line);

/* All up to and with the separator (sep_len bytes, 1 to 4096), lent: its length; 0 when the
 * stream had ended before the first byte; WEFT_EOF when it ended before a separator;
 * WEFT_EMSGSIZE when what is before the separator is longer than the limit. In both cases
 * nothing is dropped; weft_stream_overrun says how much can be read without looking for the
 * separator in it. Errors as weft_read, and WEFT_ENOMEM. [task] [suspends] [cancel point].
 * asyncio: StreamReader.readuntil */
ssize_t weft_read_until(weft_stream *s, const void *sep, size_t sep_len, char **ret_data);

/* All up to the end, lent: its length, 0 for nothing. WEFT_EMSGSIZE when it is more than limit
 * bytes (0: the stream's limit): nothing is dropped. Errors as weft_read, and WEFT_ENOMEM.
 * [task] [suspends] [cancel point]. asyncio: StreamReader.read(-1) */
ssize_t weft_read_all(weft_stream *s, size_t limit, char **ret_data);

/* What there is as soon as there is any, at most the limit, lent: as weft_read otherwise. While
 * it waits the stream has no buffer. WEFT_ENOMEM. [task] [suspends] [cancel point] */
ssize_t weft_read_lent(weft_stream *s, char **ret_data);

/* At least n bytes, lent and still to be read: how many there are; fewer than n at the end.
 * WEFT_EMSGSIZE when n is more than the limit. Errors as weft_read, and WEFT_ENOMEM. [task]
 * [suspends] [cancel point] */
ssize_t weft_peek(weft_stream *s, size_t n, char **ret_data);

/* Waits until a read would find bytes, the end, or an error: 0. Seldom it returns before that. The
 * stream keeps no buffer meanwhile. WEFT_EBUSY, WEFT_ECANCELED, WEFT_ECLOSED.
 * [task] [suspends] [cancel point] */
int weft_wait_readable(weft_stream *s);

/* The end has come and everything before it was read. [any thread] [never suspends].
 * asyncio: StreamReader.at_eof */
bool weft_stream_at_eof(const weft_stream *s);

/* After WEFT_EMSGSIZE or WEFT_EOF from weft_read_until, until the next read: how many bytes
 * there are before the separator, or before what may be the beginning of one. [task]
 * [never suspends]. asyncio: LimitOverrunError.consumed */
size_t weft_stream_overrun(const weft_stream *s);

/* The longest line, and most that is read ahead: 1 to 1 GiB, 0 for the default,
 * WEFT_STREAM_LIMIT. Not while somebody reads: WEFT_EBUSY. WEFT_EINVAL. [task] [never suspends].
 * asyncio: limit= of open_connection */
int weft_stream_set_limit(weft_stream *s, size_t limit);

/* ---- writing ---- */

/* Sends all len bytes, behind what was buffered; waits for its turn and for the socket. 0 (also
 * for len 0), or an error. WEFT_ECANCELED, WEFT_ECLOSED, WEFT_ESHUTDOWN after
 * weft_stream_shutdown_write, WEFT_ESTATE (above), WEFT_EINVAL, and what the system says:
 * WEFT_EPIPE, WEFT_ECONNRESET. [task] [suspends] [cancel point]. asyncio: StreamWriter.write and
 * drain in one */
int weft_write(weft_stream *s, const void *buf, size_t len);

/* The same for n parts, one behind the other. [task] [suspends] [cancel point].
 * asyncio: StreamWriter.writelines */
int weft_writev(weft_stream *s, const struct iovec *parts, int n);

/* As weft_write; *ret_sent is always written: the bytes that the system has taken, fewer than len
 * after an error. The caller may send the rest. [task] [suspends] [cancel point] */
int weft_write_counted(weft_stream *s, const void *buf, size_t len, size_t *ret_sent);

/* Sends what the system takes at once, waiting only until that is something: how many (> 0; 0
 * for len 0), or an error, and then nothing was sent. [task] [suspends] [cancel point] */
ssize_t weft_write_some(weft_stream *s, const void *buf, size_t len);

/* The same if that needs no waiting, neither for the socket nor for other writers nor for what is
 * buffered; else WEFT_EAGAIN. [task] [never suspends] */
ssize_t weft_try_write(weft_stream *s, const void *buf, size_t len);

/* Waits until weft_try_write would send something, or would answer an error: 0.
 * WEFT_ECANCELED, WEFT_ECLOSED. [task] [suspends] [cancel point] */
int weft_wait_writable(weft_stream *s);

/* Sends what the system takes at once and keeps a copy of the rest in the stream, which a task
 * of the runtime sends as soon as there is room. 0 says that it was accepted. WEFT_ENOBUFS when
 * more than WEFT_STREAM_MOST (weft_stream_set_write_limits) would be kept, WEFT_ENOMEM: then
 * nothing was. Errors of what was kept are answered by the next call that writes; so is that there
 * was no memory for that task: WEFT_ENOMEM, by the next weft_write_buffered, which takes nothing
 * and tries again to have one. All other calls that write send what is kept themselves. [task]
 * [never suspends]. asyncio: StreamWriter.write */
int weft_write_buffered(weft_stream *s, const void *buf, size_t len);

/* When more than the high water mark is buffered, waits until no more than the low one is; and sends
 * all of it where there is no task that does (weft_write_buffered). 0, or the error of the connection. WEFT_ECANCELED, WEFT_ECLOSED. [task] [suspends] [cancel point].
 * asyncio: StreamWriter.drain */
int weft_drain(weft_stream *s);

/* As drain, with both marks at 0: all that was buffered has gone to the system.
 * [task] [suspends] [cancel point] */
int weft_flush(weft_stream *s);

/* Water marks, and the most that may be buffered; 0 for each is its default, and of low a
 * quarter of high. WEFT_EINVAL when they are not low <= high <= most. [task] [never suspends].
 * asyncio: WriteTransport.set_write_buffer_limits */
int weft_stream_set_write_limits(weft_stream *s, size_t high, size_t low, size_t most);

/* Sends what is buffered, then the end: the peer reads 0 when it has read all; reading goes on.
 * Writes from then on answer WEFT_ESHUTDOWN, and so does a second shutdown. WEFT_ENOTSOCK for a
 * pipe, whose end is its close; and what the system says. [task] [suspends] [cancel point].
 * asyncio: StreamWriter.write_eof */
int weft_stream_shutdown_write(weft_stream *s);

/* Whether weft_stream_shutdown_write can do it: a socket. [any thread] [never suspends].
 * asyncio: StreamWriter.can_write_eof */
bool weft_stream_can_shutdown_write(const weft_stream *s);

/* ---- the beginning and the end ---- */

/* A stream over a connected stream socket, a pipe or a terminal. On success the descriptor
 * belongs to the stream and has O_NONBLOCK, for all who share it, and SO_LINGER of more than 0
 * seconds is off. The caller closes the stream.
 * WEFT_EPERM for a regular file or a directory (weft/file.h), WEFT_EBADF, WEFT_EINVAL,
 * WEFT_ENOMEM; WEFT_EPROTOTYPE for a socket of datagrams. [any thread] [never suspends].
 * asyncio: connect_accepted_socket, connect_read_pipe, connect_write_pipe */
int weft_stream_from_fd(weft_stream **ret, int fd);

/* Sends what is buffered, closes, and frees: s is gone afterwards, whatever it returns. It waits
 * only when something is buffered, and as any call it is cut by a cancel or a timeout scope: a
 * shield helps (weft/task.h). 0, also for NULL and after an abort; else the error that kept
 * bytes from being sent, or WEFT_ESTALE when another task is closing it. Outside a task, where
 * it cannot wait, what is buffered is dropped: WEFT_ENOTASK. [any thread] [suspends]
 * [cancel point when something is buffered]. asyncio: StreamWriter.close and wait_closed
 * A stream that somebody else owns (a server's handler has one, and a process has its pipes) is
 * closed, too, but its memory stays until the owner frees it: a second close is WEFT_ESTALE and
 * every other call WEFT_ECLOSED. */
int weft_stream_close(weft_stream *s);

/* weft_stream_close as a weft_fn, for weft_scope_defer. [task] [suspends] */
int weft_stream_close_fn(void *stream);

/* Closes at once and drops what is buffered: TCP resets the connection. Who reads or writes is
 * told WEFT_ECLOSED, and every call from now on. s is still to be closed. 0, or WEFT_ECLOSED
 * when that was done before. [any thread] [never suspends]. asyncio: WriteTransport.abort */
int weft_stream_abort(weft_stream *s);

/* A close or an abort has begun. [any thread] [never suspends]. asyncio: StreamWriter.is_closing */
bool weft_stream_is_closing(const weft_stream *s);

/* ---- what it is ---- */

/* The descriptor, which stays the stream's: for options that are not here, for sendfile.
 * WEFT_ECLOSED after an abort. [any thread] [never suspends].
 * asyncio: StreamWriter.get_extra_info("socket") */
int weft_stream_fd(const weft_stream *s);

/* The address of the other end, and of this one. WEFT_ENOTSOCK for pipes, WEFT_ENOTCONN when the
 * connection is over, WEFT_ECLOSED. [any thread] [never suspends].
 * asyncio: StreamWriter.get_extra_info("peername"), get_extra_info("sockname") */
int weft_stream_peer(weft_stream *s, weft_addr *ret);
int weft_stream_local(weft_stream *s, weft_addr *ret);

/* Snapshots. */
typedef struct weft_stream_counts {
  uint64_t bytes_read;    /* that came from the system */
  uint64_t bytes_written; /* that the system has taken */
  size_t read_buffered;   /* that came and were not read */
  size_t write_buffered;  /* that were accepted and not sent */
} weft_stream_counts;

/* 0, WEFT_EINVAL. [any thread] [never suspends].
 * asyncio: WriteTransport.get_write_buffer_size */
int weft_stream_count(const weft_stream *s, weft_stream_counts *ret);

/* Options of the socket; 0, WEFT_ENOTSOCK, WEFT_ECLOSED, or what the system says.
 *   nodelay    small writes go out at once (TCP; on by default where weft makes the connection)
 *   keepalive  idle > 0: a peer that is silent for that many seconds is asked, every `interval`
 *              seconds, and given up after `count` questions (0: the system's); idle 0: off
 *   buffers    of the system, in bytes; 0 leaves one as it is
 *   linger     0: a close resets the connection; -1: the system's way, which is that a close
 *              returns at once and what was sent goes out in the background. WEFT_EINVAL for more:
 *              Linux would stop the thread that closes, O_NONBLOCK or not
 * [any thread] [never suspends] */
int weft_stream_set_nodelay(weft_stream *s, bool on);
int weft_stream_set_keepalive(weft_stream *s, int idle, int interval, int count);
int weft_stream_set_buffers(weft_stream *s, int receive, int send);
int weft_stream_set_linger(weft_stream *s, int seconds);

WEFT_END_DECLS
#endif
