#include "program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool program_begin(struct program *p, int argc, char **argv) {
  memset(p, 0, sizeof *p);
  if (argc < 2 || argc - 2 > PROGRAM_ARGS_MAX) {
    fprintf(stderr, "usage: %s <workload> key=value ...\n", argv[0]);
    return false;
  }
  for (int i = 2; i < argc; i++) {
    if (!strchr(argv[i], '=')) {
      fprintf(stderr, "%s: '%s' is not of the form key=value\n", argv[0], argv[i]);
      return false;
    }
  }
  p->workload = argv[1];
  p->argc = argc - 2;
  p->argv = argv + 2;
  program_say(p, "workload", "\"%s\"", p->workload);
  return true;
}

const char *program_text(struct program *p, const char *key, const char *otherwise) {
  size_t length = strlen(key);
  for (int i = 0; i < p->argc; i++) {
    if (strncmp(p->argv[i], key, length) == 0 && p->argv[i][length] == '=') {
      p->asked[i] = true;
      return p->argv[i] + length + 1;
    }
  }
  return otherwise;
}

long program_number(struct program *p, const char *key, long otherwise) {
  const char *text = program_text(p, key, NULL);
  char *end;
  long number;
  if (!text) return otherwise;
  errno = 0;
  number = strtol(text, &end, 10);
  if (errno || end == text || *end) {
    fprintf(stderr, "%s=%s is not a number\n", key, text);
    exit(2);
  }
  return number;
}

void program_say(struct program *p, const char *name, const char *format, ...) {
  size_t room = sizeof p->json - p->json_length;
  va_list values;
  int length =
      snprintf(p->json + p->json_length, room, "%s\"%s\": ", p->json_length ? ", " : "", name);
  p->json_length += (size_t)length;
  room = p->json_length < sizeof p->json ? sizeof p->json - p->json_length : 0;
  va_start(values, format);
  if (room) length = vsnprintf(p->json + p->json_length, room, format, values);
  va_end(values);
  p->json_length += (size_t)length;
  if (p->json_length >= sizeof p->json) {
    fprintf(stderr, "the line of JSON is longer than %zu bytes\n", sizeof p->json);
    exit(1);
  }
}

/* A field of /proc/self/status in KiB. */
static long status_kb(const char *field) {
  size_t length = strlen(field);
  char line[256];
  long kb = 0;
  FILE *status = fopen("/proc/self/status", "re");
  if (!status) return 0;
  while (fgets(line, sizeof line, status)) {
    if (strncmp(line, field, length) == 0 && line[length] == ':') kb = atol(line + length + 1);
  }
  fclose(status);
  return kb;
}

long memory_kb(void) {
  return status_kb("VmRSS") + status_kb("VmPTE");
}

int program_end(struct program *p, int code, const char *(*explain)(int code)) {
  for (int i = 0; i < p->argc; i++) {
    if (!p->asked[i]) {
      fprintf(stderr, "unknown argument: %s\n", p->argv[i]);
      return 2;
    }
  }
  if (code < 0) {
    fprintf(stderr, "%s: %s\n", p->workload, explain(code));
    return 1;
  }
  program_say(p, "wall_s", "%.9f", p->wall_s);
  /* Its own peak: the rusage of a child also counts what it was before its exec. */
  program_say(p, "max_rss_kb", "%ld", status_kb("VmHWM"));
  printf("{%s}\n", p->json);
  return 0;
}

int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void durations_init(struct durations *d, size_t capacity) {
  *d = (struct durations){.capacity = capacity, .ns = need(malloc(capacity * sizeof *d->ns))};
}

void durations_add(struct durations *d, int64_t ns) {
  if (d->count < d->capacity) d->ns[d->count++] = ns;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

void durations_report(struct durations *d, struct program *p, const char *name) {
  const struct {
    const char *suffix;
    size_t at;
  } shown[] = {{"p50", d->count / 2}, {"p99", d->count * 99 / 100}, {"max", d->count - 1}};
  if (d->count) qsort(d->ns, d->count, sizeof *d->ns, by_size);
  for (size_t i = 0; d->count && i < sizeof shown / sizeof *shown; i++) {
    char key[64];
    snprintf(key, sizeof key, "%s_%s_ms", name, shown[i].suffix);
    program_say(p, key, "%.6f", (double)d->ns[shown[i].at] * 1e-6);
  }
  free(d->ns);
}

/* About 10 us: long enough that the clock is read seldom. */
static uint64_t one_unit(uint64_t x) {
  for (int i = 0; i < 6000; i++)
    x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return x;
}

int64_t burn(int64_t ns) {
  int64_t until = clock_ns() + ns, units = 0;
  volatile uint64_t kept; /* the compiler must not leave out work whose result nobody reads */
  uint64_t x = (uint64_t)until;
  while (clock_ns() < until) {
    x = one_unit(x);
    units++;
  }
  kept = x;
  (void)kept;
  return units;
}

static int64_t thread_cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void compute(int64_t cpu_ns) {
  int64_t until = thread_cpu_ns() + cpu_ns;
  volatile uint64_t kept = 0;
  while (thread_cpu_ns() < until) {
    uint64_t x = kept;
    for (int i = 0; i < 3000; i++)
      x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    kept = x;
  }
}
