/* Checks, figures and draws: what every workload calls. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/choice.h"
#include "report.h"

static atomic_bool failed;

bool stress_failed(void) {
  return atomic_load_explicit(&failed, memory_order_relaxed);
}

void stress_fail(const char *format, ...) {
  struct stress_now now = stress_now();
  char text[256];
  va_list args;
  if (atomic_exchange(&failed, true)) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "weft-stress: %s: %s; again with --only %s --seed %llu\n", now.workload->name,
          text, now.workload->name, (unsigned long long)now.seed);
}

bool stress_expect(bool held, const char *file, int line, const char *text) {
  if (!held) stress_fail("%s:%d: does not hold: %s", file, line, text);
  return held;
}

bool stress_expect_int(intmax_t got, intmax_t want, const char *file, int line, const char *text) {
  if (got != want) stress_fail("%s:%d: %s is %jd, expected %jd", file, line, text, got, want);
  return got == want;
}

uint32_t stress_draw(struct weft__rng *rng, uint32_t n) {
  return (uint32_t)(((weft__rng_next(rng) >> 32) * n) >> 32);
}

void *stress_alloc(size_t n, size_t size) {
  void *p = calloc(n, size);
  if (p) return p;
  fprintf(stderr, "weft-stress: out of memory\n");
  abort();
}

pthread_t stress_thread(void *(*fn)(void *arg), void *arg) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, fn, arg) == 0) return thread;
  fprintf(stderr, "weft-stress: no thread could be made\n");
  abort();
}

static weft_ns cpu_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return weft_sec(t.tv_sec) + t.tv_nsec;
}

void stress_burn(weft_ns duration) {
  weft_ns until = cpu_time() + duration;
  while (cpu_time() < until) {}
}
