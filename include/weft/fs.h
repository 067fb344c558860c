/* The file system by path: what a path names, making and removing, directories, copies. All of it runs
 * on the blocking pool (weft/offload.h) while other tasks run. Open files: weft/file.h.
 *
 *   weft_dir *d;
 *   weft_dirent e;
 *   r = weft_dir_open(&d, "incoming");
 *   if (r == 0) {
 *     while ((r = weft_dir_next(d, &e)) > 0)
 *       if (e.kind == WEFT_FS_FILE) puts(e.name);
 *     weft_dir_close(d);
 *   }
 *
 * A call costs some 20 us when it comes alone, since another thread makes it. Directories are read in
 * batches of about two thousand names.
 *
 * Cancelling. A call that the pool has not begun is withdrawn: WEFT_ECANCELED, and nothing has
 * happened. One that has begun is waited for and returns its result; the cancel is delivered by the
 * caller's next cancel point. Calls that do their work in several steps say what is left of it.
 *
 * Errors are the system's: WEFT_ENOENT, WEFT_EACCES, WEFT_ENOTDIR, WEFT_EXDEV ... WEFT_EINVAL for a NULL;
 * and what weft_to_thread answers (WEFT_ENOTASK, WEFT_ENOMEM, WEFT_EAGAIN). Outputs are written on success
 * only. asyncio has no counterparts; Tokio's are in fs, Python's in os and shutil.
 */
#ifndef WEFT_FS_H
#define WEFT_FS_H

#include <sys/stat.h>
#include <sys/types.h>

#include <weft/decls.h>
#include <weft/file.h>
#include <weft/iter.h>

WEFT_BEGIN_DECLS

/* ---- what a path names ---- */

/* stat(2), and lstat(2), which does not follow a symbolic link at the end.
 * [task] [suspends] [cancel point]. Tokio: fs::metadata, fs::symlink_metadata */
int weft_fs_stat(const char *path, struct stat *ret);
int weft_fs_lstat(const char *path, struct stat *ret);

/* 1 when there is something, 0 when there is not (a dangling link is nothing), or why that could not be
 * found out. [task] [suspends] [cancel point]. Tokio: fs::try_exists */
int weft_fs_exists(const char *path);

/* 0 when the process may do that: R_OK, W_OK, X_OK as for access(2); else WEFT_EACCES ...
 * [task] [suspends] [cancel point]. Python: os.access */
int weft_fs_access(const char *path, int mode);

/* Where a symbolic link points to; the absolute path without links, "." and "..". Writes a string to buf
 * and returns its length; WEFT_ENOBUFS when it does not fit with its zero.
 * [task] [suspends] [cancel point]. Tokio: fs::read_link, fs::canonicalize */
ssize_t weft_fs_readlink(const char *path, char *buf, size_t size);
ssize_t weft_fs_realpath(const char *path, char *buf, size_t size);

/* ---- one thing ---- */

/* [task] [suspends] [cancel point]. Tokio: fs::remove_file, rename, hard_link, symlink,
 * set_permissions, create_dir, remove_dir */
int weft_fs_unlink(const char *path);
int weft_fs_rename(const char *from, const char *to);
int weft_fs_link(const char *from, const char *to);
int weft_fs_symlink(const char *target, const char *path);
int weft_fs_chmod(const char *path, mode_t mode);
int weft_fs_mkdir(const char *path, mode_t mode);
int weft_fs_rmdir(const char *path);

/* Makes the directory and those above it that are missing; 0 also when it is there already. WEFT_EEXIST
 * when something else is. [task] [suspends] [cancel point]. Tokio: fs::create_dir_all */
int weft_fs_mkdir_all(const char *path, mode_t mode);

/* Makes a directory (mode 0700) that did not exist. path ends in XXXXXX, which is replaced by what makes
 * it unique; it is left as it was on failure. The caller removes the directory.
 * [task] [suspends] [cancel point]. Python: tempfile.mkdtemp */
int weft_fs_mkdtemp(char *path);

/* ---- many things ---- */

/* Removes what is at path with everything below it, following no symbolic link; 0 also when there is
 * nothing. It ends at the first thing that cannot be removed, at a cancel and at a deadline: what was
 * removed until then is gone. As many descriptors as the directories are deep.
 * [task] [suspends] [cancel point]. Tokio: fs::remove_dir_all */
int weft_fs_remove_all(const char *path);

/* Copies the bytes of a regular file, where the file system can by sharing them. The copy takes the
 * place of what was at `to` as that of weft_write_file does: whole, and not before it is complete;
 * opts.mode 0: the mode of `from`. On failure, at a cancel and at a deadline, which large copies look
 * for now and then, all is as before. opts may be NULL. How many bytes; WEFT_EISDIR, WEFT_ENOTSUP when
 * `from` is no regular file. [task] [suspends] [cancel point]. Tokio: fs::copy */
off_t weft_fs_copy(const char *from, const char *to, const weft_replace_opts *opts);

/* ---- directories ---- */

typedef enum weft_fs_kind {
  WEFT_FS_OTHER = 0,
  WEFT_FS_FILE,
  WEFT_FS_DIR,
  WEFT_FS_LINK, /* a symbolic one */
  WEFT_FS_FIFO,
  WEFT_FS_SOCKET,
  WEFT_FS_CHAR_DEVICE,
  WEFT_FS_BLOCK_DEVICE,
} weft_fs_kind;

/* A name in a directory. */
typedef struct weft_dirent {
  ino_t ino;
  weft_fs_kind kind; /* of the thing itself: links are not followed */
  char name[256];
} weft_dirent;

/* A directory that is being read. */
typedef struct weft_dir weft_dir;

/* Opens a directory and reads the first names.
 * [task] [suspends] [cancel point]. Tokio: fs::read_dir. Python: os.scandir */
int weft_dir_open(weft_dir **ret, const char *path);

/* The next name, without "." and "..", in no order. 1; 0 at the end; or an error: nothing was left out
 * then. What is made or removed meanwhile may be given or not. WEFT_EBUSY while another task is in
 * the same call. [task] [suspends] [cancel point]. Tokio: ReadDir::next_entry */
int weft_dir_next(weft_dir *d, weft_dirent *ret);

/* Begins anew with the first name. WEFT_EBUSY. [any thread] [never suspends]. C: rewinddir */
int weft_dir_rewind(weft_dir *d);

/* Gives it back; NULL does nothing. WEFT_EBUSY while another task is in weft_dir_next.
 * [any thread] [never suspends] */
int weft_dir_close(weft_dir *d);

/* The names as items of type weft_dirent, for weft_collect and its kin; closing closes the directory.
 * [any thread] [never suspends] */
weft_iter weft_dir_iter(weft_dir *d);

WEFT_END_DECLS
#endif
