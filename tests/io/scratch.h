/* A directory of a test's own, in which it makes what it likes.
 *
 *   struct scratch s;
 *   if (!scratch_begin(&s)) return;
 *   ... scratch_path(&s, "name") ...
 *   scratch_end(&s);
 *
 * All of it with the system's own calls, and whatever they block is the test's.
 */
#ifndef WEFT_TEST_SCRATCH_H
#define WEFT_TEST_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft_test.h"

struct scratch {
  char dir[256];
  char names[8][512]; /* what scratch_path has given lately */
  unsigned next;
};

static inline bool scratch_begin(struct scratch *s) {
  const char *tmp = getenv("TMPDIR");
  s->next = 0;
  snprintf(s->dir, sizeof s->dir, "%s/weft-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  return CHECK(mkdtemp(s->dir) != NULL);
}

/* The name in the directory; good for the next seven calls. */
static inline char *scratch_path(struct scratch *s, const char *name) {
  char *path = s->names[s->next++ % 8];
  size_t len = strlen(s->dir), more = strlen(name) + 1;
  if (!CHECK(len + 1 + more <= sizeof s->names[0])) more = 0;
  memcpy(path, s->dir, len);
  path[len] = '/';
  memcpy(path + len + 1, name, more);
  return path;
}

static inline int scratch_remove(const char *path, const struct stat *st, int kind,
                                 struct FTW *where) {
  (void)st, (void)kind, (void)where;
  return remove(path);
}

static inline void scratch_end(struct scratch *s) {
  CHECK_INT(nftw(s->dir, scratch_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* The file at path has these bytes. */
static inline void scratch_write(const char *path, const void *data, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (!CHECK(fd >= 0)) return;
  CHECK_INT(write(fd, data, len), len);
  close(fd);
}

/* A file with these bytes; its path, as scratch_path. */
static inline char *scratch_file(struct scratch *s, const char *name, const void *data,
                                 size_t len) {
  char *path = scratch_path(s, name);
  scratch_write(path, data, len);
  return path;
}

/* Its bytes are these. */
static inline bool scratch_holds(const char *path, const void *data, size_t len) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (!CHECK(fd >= 0)) return false;
  char *got = malloc(len + 1);
  ssize_t n = got ? read(fd, got, len + 1) : -1;
  bool same = CHECK_INT(n, len) && CHECK(memcmp(got, data, len) == 0);
  free(got);
  close(fd);
  return same;
}

/* How many descriptors the process has. The runtime opens one now and then for a moment: the lowest of some
 * looks. */
static inline int scratch_descriptors(void) {
  int lowest = INT_MAX;
  for (int i = 0; i < 3; i++) {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!CHECK(dir != NULL)) return -1;
    while (readdir(dir)) n++;
    closedir(dir);
    if (n < lowest) lowest = n;
  }
  return lowest;
}

/* How many names are in the directory. */
static inline int scratch_count(struct scratch *s) {
  int n = 0;
  DIR *dir = opendir(s->dir);
  if (!CHECK(dir != NULL)) return -1;
  for (struct dirent *e; (e = readdir(dir)) != NULL;)
    n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
  closedir(dir);
  return n;
}

#endif
