/* Counting usable CPUs: the affinity mask, and every cgroup directory from ours up to its mount.
 *
 * Where a cgroup is: proc/self/cgroup gives the path of our group in each hierarchy, mountinfo
 * where the hierarchy is mounted and which of its directories is the root of that mount (inside
 * a container that is the container's own group, and what lies above cannot be seen).
 */
#include "base/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/errors.h>

#include "base/memory.h"
#include "base/sys.h"

#define NO_LIMIT UINT_MAX

static unsigned smaller(unsigned a, unsigned b) {
  return a < b ? a : b;
}

/* ---- affinity ---- */

unsigned weft__cpus_affinity(void) {
  /* The kernel refuses a mask that is too small for its CPUs with EINVAL; 2^20 is far above. */
  for (size_t size = 128; size <= (1U << 20) / 8; size *= 2) {
    unsigned char *mask = weft__zalloc(size);
    if (!mask) return 1;
    int n = weft__sys_sched_getaffinity(0, size, mask);
    unsigned count = 0;
    for (int i = 0; i < n; i++) count += (unsigned)__builtin_popcount(mask[i]);
    weft__free(mask);
    if (n >= 0) return count ? count : 1;
    if (n != WEFT_EINVAL) return 1;
  }
  return 1;
}

/* ---- small files, line by line ---- */

struct lines {
  int fd;
  size_t at;
  size_t end;
  char buf[4096];
};

static bool lines_open(struct lines *l, const char *path) {
  l->at = l->end = 0;
  l->fd = weft__sys_open(path, O_RDONLY | O_CLOEXEC, 0);
  return l->fd >= 0;
}

/* Moves the rest to the front and reads more behind it; false at the end or on an error. */
static bool lines_fill(struct lines *l) {
  memmove(l->buf, l->buf + l->at, l->end - l->at);
  l->end -= l->at;
  l->at = 0;
  ssize_t n;
  do {
    n = weft__sys_read(l->fd, l->buf + l->end, sizeof l->buf - l->end - 1);
  } while (n == WEFT_EINTR);
  if (n <= 0) return false;
  l->end += (size_t)n;
  return true;
}

/* The next line without its newline, or NULL. A line that does not fit the buffer is left out:
 * no line about cgroups is that long. */
static char *lines_next(struct lines *l) {
  bool skip = false;
  for (;;) {
    char *line = l->buf + l->at;
    char *newline = memchr(line, '\n', l->end - l->at);
    if (newline) {
      *newline = '\0';
      l->at = (size_t)(newline - l->buf) + 1;
      if (!skip) return line;
      skip = false;
      continue;
    }
    if (l->at == 0 && l->end == sizeof l->buf - 1) {
      skip = true;
      l->end = 0;
    }
    if (lines_fill(l)) continue;
    line = l->buf + l->at;
    l->buf[l->end] = '\0';
    bool last = l->at < l->end && !skip;
    l->at = l->end;
    return last ? line : NULL;
  }
}

static void lines_close(struct lines *l) {
  weft__sys_close(l->fd);
}

/* The first line of dir/name into buf; false when there is none. */
static bool read_value(const char *dir, const char *name, char *buf, size_t size) {
  char path[PATH_MAX];
  struct lines l;
  if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) return false;
  if (!lines_open(&l, path)) return false;
  const char *line = lines_next(&l);
  bool fits = line && strlen(line) < size;
  if (fits) strcpy(buf, line);
  lines_close(&l);
  return fits;
}

/* ---- values ---- */

/* Digits up to one of the characters in stops, or the end; moves *text behind them. */
static bool parse_number(const char **text, const char *stops, uint64_t *ret) {
  const char *p = *text;
  uint64_t n = 0;
  if (*p < '0' || *p > '9') return false;
  for (; *p >= '0' && *p <= '9'; p++) {
    if (n > (UINT64_MAX - 9) / 10) return false;
    n = n * 10 + (uint64_t)(*p - '0');
  }
  if (*p != '\0' && !strchr(stops, *p)) return false;
  *text = p;
  *ret = n;
  return true;
}

/* quota and period in microseconds; a part of a CPU counts as one. */
static unsigned cpus_of_quota(uint64_t quota, uint64_t period) {
  if (quota == 0 || period == 0) return NO_LIMIT;
  uint64_t cpus = quota / period + (quota % period != 0);
  return cpus < NO_LIMIT ? (unsigned)cpus : NO_LIMIT;
}

/* "0-3,8"; an empty or malformed list limits nothing. */
static unsigned cpus_of_list(const char *text) {
  uint64_t count = 0;
  for (;;) {
    uint64_t first, last;
    if (!parse_number(&text, "-,", &first)) return NO_LIMIT;
    last = first;
    if (*text == '-') {
      text++;
      if (!parse_number(&text, ",", &last) || last < first) return NO_LIMIT;
    }
    count += last - first + 1;
    if (*text == '\0') break;
    text++;
  }
  return count < NO_LIMIT ? (unsigned)count : NO_LIMIT;
}

/* ---- one cgroup directory ---- */

/* cpu.max: "200000 100000" or "max 100000". */
static unsigned limit_v2(const char *dir) {
  char value[2048];
  uint64_t quota, period;
  unsigned limit = NO_LIMIT;
  if (read_value(dir, "cpu.max", value, sizeof value)) {
    const char *p = value;
    if (parse_number(&p, " ", &quota) && *p++ == ' ' && parse_number(&p, "", &period))
      limit = cpus_of_quota(quota, period);
  }
  if (read_value(dir, "cpuset.cpus.effective", value, sizeof value))
    limit = smaller(limit, cpus_of_list(value));
  return limit;
}

/* No limit is a quota of -1. */
static unsigned limit_v1_cpu(const char *dir) {
  char quota_text[32], period_text[32];
  uint64_t quota, period;
  const char *q = quota_text, *p = period_text;
  if (!read_value(dir, "cpu.cfs_quota_us", quota_text, sizeof quota_text)) return NO_LIMIT;
  if (!parse_number(&q, "", &quota)) return NO_LIMIT;
  if (!read_value(dir, "cpu.cfs_period_us", period_text, sizeof period_text)) return NO_LIMIT;
  if (!parse_number(&p, "", &period)) return NO_LIMIT;
  return cpus_of_quota(quota, period);
}

static unsigned limit_v1_cpuset(const char *dir) {
  char value[2048];
  if (read_value(dir, "cpuset.effective_cpus", value, sizeof value)) return cpus_of_list(value);
  if (read_value(dir, "cpuset.cpus", value, sizeof value)) return cpus_of_list(value);
  return NO_LIMIT;
}

/* ---- the hierarchies ---- */

enum { V2, V1_CPU, V1_CPUSET, HIERARCHIES };

static unsigned (*const limit_of[HIERARCHIES])(const char *dir) = {
    [V2] = limit_v2,
    [V1_CPU] = limit_v1_cpu,
    [V1_CPUSET] = limit_v1_cpuset,
};

struct search {
  const char *root;
  unsigned limit;
  struct lines lines;
  char group[HIERARCHIES][PATH_MAX]; /* our group in each hierarchy; "" when we are in none */
};

static bool has_word(const char *list, const char *word) {
  size_t len = strlen(word);
  while (list) {
    if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0')) return true;
    list = strchr(list, ',');
    if (list) list++;
  }
  return false;
}

static void copy_group(struct search *s, int hierarchy, const char *path) {
  if (path[0] == '/' && strlen(path) < PATH_MAX) strcpy(s->group[hierarchy], path);
}

/* "4:cpu,cpuacct:/a/b", for v2 "0::/a/b". */
static void parse_group(struct search *s, char *line) {
  char *controllers = strchr(line, ':');
  if (!controllers) return;
  *controllers++ = '\0';
  char *path = strchr(controllers, ':');
  if (!path) return;
  *path++ = '\0';
  if (strcmp(line, "0") == 0 && controllers[0] == '\0') copy_group(s, V2, path);
  if (has_word(controllers, "cpu")) copy_group(s, V1_CPU, path);
  if (has_word(controllers, "cpuset")) copy_group(s, V1_CPUSET, path);
}

/* Where group is below a mount whose own root is mount_root: NULL when the mount shows groups that
 * are not ours, "" when only the mount point itself is known to hold us. */
static const char *below_mount(const char *group, const char *mount_root) {
  size_t len = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
  if (strcmp(group, "/") == 0) return "";
  /* A group outside of our cgroup namespace. */
  if (strstr(group, "/..")) return "";
  if (strncmp(group, mount_root, len) == 0 && (group[len] == '/' || group[len] == '\0'))
    return group + len;
  return NULL;
}

/* Takes the limits of every directory from our group up to the mount point. */
static void walk_up(struct search *s, int hierarchy, const char *mount_root, const char *mount) {
  char dir[PATH_MAX];
  if (s->group[hierarchy][0] == '\0') return;
  const char *below = below_mount(s->group[hierarchy], mount_root);
  if (!below) return;
  size_t top = strlen(s->root) + strlen(mount);
  int n = snprintf(dir, sizeof dir, "%s%s%s", s->root, mount, below);
  if (n < 0 || (size_t)n >= sizeof dir) return;
  for (;;) {
    s->limit = smaller(s->limit, limit_of[hierarchy](dir));
    char *slash = strrchr(dir, '/');
    if (!slash || (size_t)(slash - dir) < top) return;
    *slash = '\0';
  }
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *text) {
  char *to = text;
  for (const char *p = text; *p; p++) {
    bool octal = p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                 p[3] >= '0' && p[3] <= '7';
    if (octal) {
      *to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
      p += 3;
    } else {
      *to++ = *p;
    }
  }
  *to = '\0';
}

/* "31 23 0:28 /root /mount/point options [more...] - type source options" */
static void parse_mount(struct search *s, char *line) {
  char *field[5];
  char *rest = line;
  for (int i = 0; i < 5; i++) {
    field[i] = strsep(&rest, " ");
    if (!rest) return;
  }
  char *tail = strstr(rest, " - ");
  if (!tail) return;
  tail += 3;
  const char *type = strsep(&tail, " ");
  if (!tail || !strsep(&tail, " ") || !tail) return;
  unescape(field[3]);
  unescape(field[4]);
  if (strcmp(type, "cgroup2") == 0) walk_up(s, V2, field[3], field[4]);
  if (strcmp(type, "cgroup") != 0) return;
  if (has_word(tail, "cpu")) walk_up(s, V1_CPU, field[3], field[4]);
  if (has_word(tail, "cpuset")) walk_up(s, V1_CPUSET, field[3], field[4]);
}

static void each_line(struct search *s, const char *name, void (*parse)(struct search *, char *)) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/%s", s->root, name) >= (int)sizeof path) return;
  if (!lines_open(&s->lines, path)) return;
  for (char *line = lines_next(&s->lines); line; line = lines_next(&s->lines)) parse(s, line);
  lines_close(&s->lines);
}

unsigned weft__cpus_usable_at(const char *root, unsigned affinity) {
  unsigned limit = affinity;
  if (limit <= 1) return 1;
  /* On the heap: the paths alone are 12 KiB. */
  struct search *s = weft__zalloc(sizeof *s);
  if (s) {
    s->root = root;
    s->limit = affinity;
    each_line(s, "proc/self/cgroup", parse_group);
    each_line(s, "proc/self/mountinfo", parse_mount);
    limit = s->limit;
    weft__free(s);
  }
  return limit;
}

unsigned weft__cpus_usable(void) {
  return weft__cpus_usable_at("", weft__cpus_affinity());
}
