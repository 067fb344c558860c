/* The standard streams, and terminals. asyncio counterpart: loop.connect_read_pipe(sys.stdin).
 *
 *   weft_stream *in;
 *   char *line;
 *   int r = weft_stdin(&in);
 *   if (r < 0) return r;
 *   while ((n = weft_read_line(in, &line)) > 0) ...
 *   weft_stream_close(in);
 *
 * What a program is given as 0, 1 and 2 it shares with others: the shell, the other programs of a
 * pipeline. Were it made non-blocking it would be so for all of them, and a program that reads from the
 * same terminal later would fail. So a terminal or a pipe is opened once more for the stream, and
 * descriptors 0, 1 and 2 stay as they are; closing the stream does not close them. Only where that
 * cannot be had (a socket; a terminal or pipe of another user; no /proc) is the shared one made
 * non-blocking, and put back when the process exits.
 *
 * A file that was redirected to them works too, at the position that it shares with others. What the
 * system has in memory is read at once, and for the rest the blocking pool waits for the disk; writes are
 * made at once.
 *
 * In a pipe that nobody reads any more a write answers WEFT_EPIPE. stdio (printf) and these streams have
 * buffers of their own: fflush before the other side writes.
 */
#ifndef WEFT_STD_H
#define WEFT_STD_H

#include <stdbool.h>

#include <weft/decls.h>
#include <weft/stream.h>

WEFT_BEGIN_DECLS

/* A stream over descriptor 0, which reads, or 1 or 2, which write. Each call opens a new one, which is the
 * caller's (weft_stream_close). Two that read share what comes, each with a buffer of its own: open
 * one. 0; WEFT_EBADF when it is closed, or open for the other direction only; WEFT_EMFILE, WEFT_ENFILE,
 * WEFT_ENOMEM, WEFT_EINVAL. [any thread] [never suspends].
 * asyncio: loop.connect_read_pipe(sys.stdin), loop.connect_write_pipe(sys.stdout) */
int weft_stdin(weft_stream **ret);
int weft_stdout(weft_stream **ret);
int weft_stderr(weft_stream **ret);

/* ---- terminals ---- */

/* The descriptor is a terminal. [any thread] [never suspends]. asyncio: os.isatty */
bool weft_tty_is(int fd);

/* How many columns and rows a terminal shows; either may be NULL. 0; WEFT_ENOTTY, WEFT_EBADF. It changes:
 * SIGWINCH tells (weft/signal.h). [any thread] [never suspends].
 * asyncio: os.get_terminal_size */
int weft_tty_size(int fd, int *ret_columns, int *ret_rows);

enum weft_tty_mode {
  WEFT_TTY_NORMAL = 0, /* as it was before the first change */
  WEFT_TTY_CBREAK,     /* keys come at once and are not shown; Ctrl-C is still a signal */
  WEFT_TTY_RAW,        /* bytes as they are in both directions: no signals, no line ends */
};

/* Changes how a terminal treats what is typed, for all who use it; so what it was is put back at exit()
 * and by weft_tty_restore. The first change remembers it; of WEFT_TTYS terminals at a time. 0;
 * WEFT_ENOTTY, WEFT_EBADF, WEFT_EINVAL for another mode, WEFT_ENOSPC for one more terminal; WEFT_EIO
 * from a process in the background. [any thread] [never suspends]. asyncio: tty.setraw,
 * tty.setcbreak */
int weft_tty_set_mode(int fd, enum weft_tty_mode mode);

enum { WEFT_TTYS = 4 };

/* Puts all terminals back that were changed, as far as their descriptors are still open: before the
 * process ends in a way that exit() does not see, or stops. Safe in a signal handler.
 * [any thread] [never suspends] */
void weft_tty_restore(void);

WEFT_END_DECLS
#endif
