/* What the files of the file system's part share. */
#ifndef WEFT_IO_FS_H
#define WEFT_IO_FS_H

#include <limits.h>
#include <stdbool.h>

#include <weft/fs.h>
#include <weft/run.h>

/* ---- a file that takes the place of another (fs_place.c); all of it blocks the thread ---- */

struct weft__place {
  const char *path;       /* as the next one, set by the caller */
  weft_replace_opts opts; /* mode 0: as the old file, or `otherwise` */
  mode_t otherwise;       /* the same: where there is no old file, or of every copy (exactly) */
  bool exactly; /* the same: the mode is `otherwise`, whatever the umask and the old file */
  int fd;       /* after begin: of the new file */
  mode_t mode;  /* to be set at the end, if set_mode */
  bool set_mode;
  char temp[PATH_MAX];
};

/* Makes the new file under another name: 0, and then end or abandon; or an error. */
int weft__place_begin(struct weft__place *p);
/* The new file is complete: it gets its name. 0, or an error and all is as before. */
int weft__place_end(struct weft__place *p);
void weft__place_abandon(struct weft__place *p);

/* Something of that name: 0 or more, WEFT_EEXIST, or another error. */
typedef int (*weft__make_fn)(const char *path, mode_t mode);

/* Replaces the XXXXXX at the end of path by random letters and digits until make can make something of
 * that name; what it answered. On an error path is as it was; WEFT_EINVAL when it does not end in that. */
int weft__make_unique(char *path, weft__make_fn make, mode_t mode);

/* A new file, of a name as above. Its descriptor, or an error. */
int weft__make_temp(char *path, mode_t mode);

/* ---- the pool ---- */

/* Runs fn(arg) in the pool whatever happens to the caller, and without the pool when that has no
 * thread. [any thread] */
void weft__pool_always(weft_fn fn, void *arg);

/* ---- directories as the system gives them (fs_dir.c) ---- */

struct weft__names {
  int fd;
  unsigned at, len; /* of buf: what was not given yet */
  unsigned size;    /* of buf */
  char *buf;        /* aligned as a pointer */
};

/* Reads more names into buf; blocks the thread. 1; 0 at the end; an error. */
int weft__names_fill(struct weft__names *n);

/* The next one of buf, "." and ".." left out: its name, until the next fill, or NULL when there are no more
 * in it. *ret_type as DT_DIR, *ret_ino. */
const char *weft__names_next(struct weft__names *n, unsigned char *ret_type, ino_t *ret_ino);

#endif
