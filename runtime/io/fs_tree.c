/* Removing a tree: from the bottom, by descriptors of the directories, so that no link that somebody
 * puts in the way leads out of it. So many steps are one job of the pool; between them a cancel is
 * heard. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include <weft/errors.h>
#include <weft/offload.h>

#include "base/memory.h"
#include "base/sys.h"
#include "core/room.h"
#include "core/self.h"
#include "io/fs.h"

enum { STEPS = 1024, BUFFER = 8 * 1024 };

/* A directory that is being emptied. */
struct level {
  struct level *up; /* the one that it is in; NULL at the top */
  struct weft__names names;
  bool changed; /* since it was read from the beginning: there may be more than its end says */
  char name[256];
  _Alignas(void *) char buf[BUFFER];
};

struct tree {
  const char *path;
  struct level *level; /* the deepest; NULL: not begun, or over */
  bool begun;
};

static int parent_fd(const struct level *up) {
  return up ? up->names.fd : AT_FDCWD;
}

static int descend(struct tree *t, const char *name) {
  size_t len = strlen(name);
  struct level *l = weft__alloc(sizeof *l);
  if (!l) return WEFT_ENOMEM;
  if (t->level && len >= sizeof l->name) {
    weft__free(l);
    return WEFT_ENAMETOOLONG;
  }
  int fd = weft__sys_openat(parent_fd(t->level), name,
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) {
    weft__free(l);
    return fd;
  }
  l->up = t->level;
  l->names = (struct weft__names){.fd = fd, .buf = l->buf, .size = sizeof l->buf};
  l->changed = false;
  if (t->level) memcpy(l->name, name, len + 1);
  t->level = l;
  return 0;
}

static void drop_level(struct tree *t) {
  struct level *l = t->level;
  t->level = l->up;
  (void)weft__close(l->names.fd);
  weft__free(l);
}

/* It has gone by itself: just as well. */
static int unless_gone(int r) {
  return r == WEFT_ENOENT ? 0 : r;
}

/* Its last name was given: removes it, or reads it again when it was not empty after all. */
static int ascend(struct tree *t) {
  struct level *l = t->level;
  const char *name = l->up ? l->name : t->path;
  int r = unless_gone(weft__sys_unlinkat(parent_fd(l->up), name, AT_REMOVEDIR));
  if (r == WEFT_ENOTEMPTY && l->changed) {
    l->changed = false;
    off_t at = weft__sys_lseek(l->names.fd, 0, SEEK_SET);
    return at < 0 ? (int)at : 0;
  }
  if (r < 0) return r;
  drop_level(t);
  return 0;
}

/* Removes a name in the deepest level, or at the top, or goes into it. */
static int remove_name(struct tree *t, const char *name, unsigned char type) {
  int dir = parent_fd(t->level);
  if (t->level) t->level->changed = true;
  int r = type == DT_DIR ? WEFT_EISDIR : unless_gone(weft__sys_unlinkat(dir, name, 0));
  if (r != WEFT_EISDIR && r != WEFT_EPERM) return r;
  int e = descend(t, name);
  if (e == 0) return 0;
  /* No directory: the first error was it. One that may not be read may be empty. */
  if (e == WEFT_ENOTDIR || e == WEFT_ELOOP)
    return type == DT_DIR ? unless_gone(weft__sys_unlinkat(dir, name, 0)) : r;
  if (e == WEFT_EACCES && weft__sys_unlinkat(dir, name, AT_REMOVEDIR) == 0) return 0;
  return unless_gone(e);
}

static int step(struct tree *t) {
  unsigned char type;
  ino_t ino;
  const char *name = weft__names_next(&t->level->names, &type, &ino);
  if (name) return remove_name(t, name, type);
  int r = unless_gone(weft__names_fill(&t->level->names)); /* of one that was removed meanwhile */
  return r == 0 ? ascend(t) : r < 0 ? r : 0;
}

/* 1 when there is more to do. */
static int remove_some(void *arg) {
  struct tree *t = arg;
  int r = 0;
  if (!t->begun) {
    t->begun = true;
    r = remove_name(t, t->path, DT_UNKNOWN);
  }
  for (int i = 0; r == 0 && t->level && i < STEPS; i++) r = step(t);
  return r < 0 ? r : t->level != NULL;
}

int weft_fs_remove_all(const char *path) {
  if (!weft__current_task()) return weft__no_task();
  if (!path) return WEFT_EINVAL;
  struct tree t = {.path = path};
  int r;
  do r = weft_to_thread(remove_some, &t);
  while (r > 0);
  while (t.level) drop_level(&t);
  return r;
}
