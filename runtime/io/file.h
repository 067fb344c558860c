/* Files, inside. The handle is file.c, moving bytes file_move.c, whole files file_whole.c.
 *
 * Every public call counts itself in and out. Close sets the bit; what still waits for its turn then
 * answers WEFT_ECLOSED, what runs in the pool goes on, and the last one out closes the descriptor and
 * frees the file. The handle itself counts as one, until close.
 */
#ifndef WEFT_IO_FILE_H
#define WEFT_IO_FILE_H

#include <stdbool.h>

#include <weft/file.h>
#include <weft/sync.h>

#include "base/atomics.h"
#include "core/resource.h"

enum { WEFT__FILE_CLOSED = 1, WEFT__FILE_CALL = 2 };

struct weft_file {
  int fd;       /* constant */
  bool regular; /* constant: reads come short at its end only, and can be tried without waiting */
  /* The file system cannot tell whether a read would wait. Relaxed: a hint. */
  weft__atomic_u32 blind;
  weft__atomic_u32 calls; /* see above; all changes acq_rel: the last one out comes after all */
  weft_lock turn;         /* of the calls that use the descriptor's position */
  struct weft__resource resource;
};

/* A call begins: 0, and the caller leaves later; or WEFT_ECLOSED. */
int weft__file_enter(weft_file *f);
void weft__file_leave(weft_file *f);

/* Waits for the turn to use the position: 0, and the caller gives `turn` back; or an error. file_move.c */
int weft__file_turn(weft_file *f);

/* Where reads and writes have got to in their vector. */
struct weft__cursor {
  const struct iovec *iov;
  int n;
  size_t skip; /* of the first one */
  size_t left; /* in all */
};

/* 0, or WEFT_EINVAL: a NULL with a length, or too long in all. */
int weft__cursor_init(struct weft__cursor *c, const struct iovec *iov, int n);

/* Writes all of it; blocks the thread. off -1: at the descriptor's position. 0 or an error. */
int weft__file_write_all(int fd, struct weft__cursor *c, off_t off);

/* Opens for a weft_file; blocks the thread. The descriptor, with *ret_regular, or an error. */
int weft__file_open_fd(const char *path, int flags, mode_t mode, bool *ret_regular);

/* What kind of file it is: 0 with *ret_regular, WEFT_ENOTSUP for a pipe or a socket. */
int weft__file_check(int fd, bool *ret_regular);

#endif
