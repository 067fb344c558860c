/* Files: open, read, write. Whatever may wait for a disk runs on the blocking pool (weft/offload.h)
 * while other tasks run. asyncio has no counterpart; Tokio's is fs::File, Python's is aiofiles.
 *
 *   weft_file *f;
 *   r = weft_file_open(&f, "log.txt", O_RDWR | O_CREAT | O_APPEND, 0666);
 *   if (r == 0) r = weft_file_write(f, line, strlen(line));
 *   if (r == 0) r = weft_file_datasync(f);
 *   int e = weft_file_close(f);
 *
 * What is named by a path instead of a handle, and directories: weft/fs.h.
 *
 * Cost. A call that goes to the pool takes some 20 us when it comes alone, whatever it moves: so put
 * together what belongs together (weft_file_writev, larger buffers, weft_read_file). Reads of up to
 * 64 KiB are tried on the spot first and cost about 1 us when the system has the bytes in memory.
 * Several steps that belong together can be one function for weft_to_thread, with the system's own
 * calls on weft_file_fd.
 *
 * Cancelling. A call that the pool has not begun is withdrawn: nothing has happened,
 * WEFT_ECANCELED. One that has begun is waited for, also by who was cancelled or has run out of time,
 * because the buffers are the caller's: it returns its result, and the cancel is delivered by the
 * caller's next cancel point. So a disk that hangs holds its caller; one that must not be held starts
 * a task for the call, with memory of its own.
 *
 * Several tasks may use one file at once. Calls with an offset of their own do not mind each other.
 * Those that use the file's position take turns in the order of asking, each as a whole. Close: see
 * there.
 *
 * Errors are the system's: WEFT_ENOENT, WEFT_EACCES, WEFT_ENOSPC, WEFT_EIO ... Further: WEFT_EINVAL
 * for NULL where something is needed, a negative offset or a length beyond SSIZE_MAX; WEFT_ECLOSED when
 * the file was closed meanwhile; and what weft_to_thread answers (WEFT_ENOTASK, WEFT_ENOMEM, WEFT_EAGAIN).
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/decls.h>

WEFT_BEGIN_DECLS

/* An open file: regular, a directory (to sync it), or a device that does not keep its readers
 * waiting. For pipes, sockets and terminals there are streams (weft/stream.h). */
typedef struct weft_file weft_file;

/* Opens a file. flags and mode are those of open(2): O_RDONLY, O_WRONLY or O_RDWR with O_CREAT,
 * O_EXCL, O_TRUNC, O_APPEND, O_TMPFILE, O_DIRECT ... O_CLOEXEC is added. WEFT_ENOTSUP for a pipe or
 * a socket (WEFT_ENXIO for a pipe to be written that nobody reads).
 * [task] [suspends] [cancel point]. Tokio: OpenOptions::open */
int weft_file_open(weft_file **ret, const char *path, int flags, mode_t mode);

/* Makes and opens (O_RDWR, mode 0600) a file that did not exist. path ends in XXXXXX, which is
 * replaced by what makes it unique, as mkstemp does; it is left as it was on failure. The caller
 * removes the file. [task] [suspends] [cancel point]. Python: tempfile.mkstemp */
int weft_file_temp(weft_file **ret, char *path);

/* A file for a descriptor of the caller's, which on success belongs to it. WEFT_ENOTSUP for a pipe
 * or a socket, WEFT_EBADF. [any thread] [never suspends] */
int weft_file_from_fd(weft_file **ret, int fd);

/* Closes the file and frees it. Calls of other tasks that are under way end as they would have, those
 * that wait for their turn answer WEFT_ECLOSED, and the last one out closes the descriptor. Nobody begins a
 * call after it. Not cut short by a cancel or a deadline. 0, or the error with which the system closed it
 * (it is closed all the same): what it may have failed to write then is better learnt from
 * weft_file_sync. NULL does nothing. Outside a task it blocks for a moment.
 * [any thread] [suspends] */
int weft_file_close(weft_file *f);

/* The descriptor: it stays the file's. -1 for NULL. [any thread] [never suspends] */
int weft_file_fd(const weft_file *f);

/* ---- at the file's position, which moves on ---- */

/* Reads len bytes, fewer only at the end of the file (of a device: what it gives). Returns how many;
 * 0: the end. An error that comes after some bytes is left to the next call.
 * [task] [suspends] [cancel point]. Tokio: AsyncReadExt::read */
ssize_t weft_file_read(weft_file *f, void *buf, size_t len);
ssize_t weft_file_readv(weft_file *f, const struct iovec *iov, int n);

/* Writes all of it: 0, or an error; then a part from the start may have been written, and the position
 * (weft_file_seek) tells how much.
 * [task] [suspends] [cancel point]. Tokio: AsyncWriteExt::write_all */
int weft_file_write(weft_file *f, const void *buf, size_t len);
int weft_file_writev(weft_file *f, const struct iovec *iov, int n);

/* Moves the position as lseek(2) does, with SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA or SEEK_HOLE.
 * *ret (may be NULL) is where it is then.
 * [task] [suspends] [cancel point]. Tokio: AsyncSeekExt::seek */
int weft_file_seek(weft_file *f, off_t offset, int whence, off_t *ret);

/* ---- at an offset; the position stays ---- */

/* As above. A file opened with O_APPEND is written at its end, whatever the offset.
 * [task] [suspends] [cancel point] */
ssize_t weft_file_pread(weft_file *f, void *buf, size_t len, off_t offset);
ssize_t weft_file_preadv(weft_file *f, const struct iovec *iov, int n, off_t offset);
int weft_file_pwrite(weft_file *f, const void *buf, size_t len, off_t offset);
int weft_file_pwritev(weft_file *f, const struct iovec *iov, int n, off_t offset);

/* ---- the file as such ---- */

/* Waits until what was written is on the disk: with all that the system knows of the file, or without
 * what is not needed to read it (its times).
 * [task] [suspends] [cancel point]. Tokio: File::sync_all, sync_data */
int weft_file_sync(weft_file *f);
int weft_file_datasync(weft_file *f);

/* Makes the file len bytes long: cuts it, or adds zeros.
 * [task] [suspends] [cancel point]. Tokio: File::set_len */
int weft_file_truncate(weft_file *f, off_t len);

/* What fstat(2) tells. [task] [suspends] [cancel point]. Tokio: File::metadata */
int weft_file_stat(weft_file *f, struct stat *ret);

/* How many bytes it has, or an error. [task] [suspends] [cancel point] */
off_t weft_file_size(weft_file *f);

/* ---- whole files ---- */

/* Reads the file at path to its end. *ret_data is memory that the caller gives to weft_read_file_free,
 * with a zero byte behind the *ret_len bytes. limit: WEFT_EFBIG when the file has more; 0 is 64 MiB,
 * SIZE_MAX is no limit. WEFT_EISDIR, WEFT_ENOTSUP as weft_file_open.
 * [task] [suspends] [cancel point]. Tokio: fs::read */
int weft_read_file(const char *path, size_t limit, void **ret_data, size_t *ret_len);

/* NULL is allowed. [any thread] [never suspends] */
void weft_read_file_free(void *data);

/* Every field may be left zero. */
typedef struct weft_replace_opts {
  mode_t mode; /* of the file, less the umask; default: as the one that it replaces, else 0666 */
  bool
      no_sync; /* do not wait for the disk: after a crash of the machine it may be either file, or empty */
  bool exclusive; /* WEFT_EEXIST when there is one already */
} weft_replace_opts;

/* Puts a file with these bytes in the place of the one at path, or where there is none. Whoever opens
 * path meanwhile, and whatever happens, finds the old file or the new one, whole: it is written under
 * another name in the same directory, brought to the disk, and renamed. On failure the old one is as it
 * was, and nothing of the new one is left. A symbolic link is replaced, not followed; WEFT_EISDIR for a
 * directory, WEFT_ENOTSUP for a device, a pipe or a socket. opts may be NULL.
 * [task] [suspends] [cancel point]. Tokio: fs::write, but not in one step */
int weft_write_file(const char *path, const void *data, size_t len, const weft_replace_opts *opts);

WEFT_END_DECLS
#endif
