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

void lateness_init(struct lateness *l, size_t capacity) {
  *l = (struct lateness){.capacity = capacity, .ns = need(malloc(capacity * sizeof *l->ns))};
}

void lateness_add(struct lateness *l, int64_t ns) {
  if (l->count < l->capacity) l->ns[l->count++] = ns;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

void lateness_report(struct lateness *l, struct program *p) {
  size_t n = l->count;
  program_say(p, "ticks", "%zu", n);
  if (n) {
    qsort(l->ns, n, sizeof *l->ns, by_size);
    program_say(p, "lateness_p50_ms", "%.6f", (double)l->ns[n / 2] * 1e-6);
    program_say(p, "lateness_p99_ms", "%.6f", (double)l->ns[n * 99 / 100] * 1e-6);
    program_say(p, "lateness_max_ms", "%.6f", (double)l->ns[n - 1] * 1e-6);
  }
  free(l->ns);
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

void *need(void *memory) {
  if (!memory) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memory;
}
