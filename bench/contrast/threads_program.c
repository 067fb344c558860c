/* threads-contrast <workload> key=value ...: two of the contrast's workloads on plain OS threads,
 * as a measure of what the kernel offers: sleepers (memory of one), hogs (lateness). */
#include "program.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *explain(int code) {
  return strerror(-code);
}

static void sleep_ns(int64_t ns) {
  struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {}
}

/* Starts fn(arg), with the default stack. Returns 0 or a negative errno. */
static int start(pthread_t *thread, void *(*fn)(void *), void *arg) {
  return -pthread_create(thread, NULL, fn, arg);
}

/* Kernel stacks of the whole machine, which no process is charged for in its own figures. */
static long kernel_stacks_kb(void) {
  char line[256];
  long kb = 0;
  FILE *info = fopen("/proc/meminfo", "re");
  if (!info) return 0;
  while (fgets(line, sizeof line, info)) {
    if (strncmp(line, "KernelStack:", 12) == 0) kb = atol(line + 12);
  }
  fclose(info);
  return kb;
}

struct sleepers {
  int64_t nap;
  atomic_long asleep;
};

static void *sleeper(void *arg) {
  struct sleepers *s = arg;
  atomic_fetch_add(&s->asleep, 1);
  sleep_ns(s->nap);
  atomic_fetch_sub(&s->asleep, 1);
  return NULL;
}

static int sleepers_workload(struct program *p) {
  long threads = program_number(p, "tasks", 10000), started = 0, asleep, kb, kernel_kb;
  struct sleepers s = {.nap = program_number(p, "sleep_ms", 100) * 1000000};
  pthread_t *each = need(malloc((size_t)threads * sizeof *each));
  int64_t began;
  int r = 0;
  kb = memory_kb();
  kernel_kb = kernel_stacks_kb();
  began = clock_ns();
  while (started < threads && (r = start(&each[started], sleeper, &s)) == 0) started++;
  /* The first may be over before the last begins: the memory is that of those who sleep now. */
  asleep = atomic_load(&s.asleep);
  kb = memory_kb() - kb;
  kernel_kb = kernel_stacks_kb() - kernel_kb;
  for (long i = 0; i < started; i++) pthread_join(each[i], NULL);
  p->wall_s = (double)(clock_ns() - began) * 1e-9;
  free(each);
  program_say(p, "workers", "%ld", started);
  program_say(p, "tasks", "%ld", started);
  program_say(p, "asleep_at_once", "%ld", asleep);
  program_say(p, "bytes_per_task", "%ld", asleep ? kb * 1024 / asleep : 0);
  program_say(p, "kernel_bytes_per_task", "%ld", asleep ? kernel_kb * 1024 / asleep : 0);
  return r;
}

struct hog {
  int64_t until, burn, units;
};

struct ticker {
  int64_t began, until;
  struct durations lateness;
};

static void *hog(void *arg) {
  struct hog *h = arg;
  while (clock_ns() < h->until) h->units += burn(h->burn);
  return NULL;
}

static void *ticker(void *arg) {
  struct ticker *t = arg;
  int64_t due = t->began;
  while (due < t->until) {
    int64_t wait;
    due += 1000000;
    wait = due - clock_ns();
    if (wait > 0) sleep_ns(wait);
    durations_add(&t->lateness, clock_ns() - due);
  }
  return NULL;
}

static int phase(long hogs, int64_t burn_ns, int64_t length, struct ticker *tick, double *rate) {
  struct hog *each = need(calloc((size_t)hogs, sizeof *each));
  pthread_t *threads = need(malloc((size_t)(hogs + 1) * sizeof *threads));
  int64_t began = clock_ns(), until = began + length, units = 0;
  long started = 0;
  int r = 0;
  for (; started < hogs && r == 0; started += r == 0) {
    each[started] = (struct hog){.until = until, .burn = burn_ns};
    r = start(&threads[started], hog, &each[started]);
  }
  if (r == 0 && tick) {
    tick->began = began;
    tick->until = until;
    if ((r = start(&threads[started], ticker, tick)) == 0) started++;
  }
  for (long i = 0; i < started; i++) pthread_join(threads[i], NULL);
  for (long i = 0; i < hogs; i++) units += each[i].units;
  *rate += (double)units / ((double)(clock_ns() - began) * 1e-9);
  free(threads);
  free(each);
  return r;
}

static int hogs_workload(struct program *p) {
  long hogs = program_number(p, "hogs", 4), phases = program_number(p, "phases", 2);
  int64_t burn_ns = program_number(p, "burn_ms", 10) * 1000000;
  int64_t length = program_number(p, "phase_ms", 1000) * 1000000;
  struct ticker tick = {.until = 0};
  double alone = 0, beside = 0;
  int64_t began = clock_ns();
  int r = 0;
  durations_init(&tick.lateness, (size_t)(phases * (length / 1000000 + 1)));
  for (long i = 0; i < phases && r == 0; i++) {
    r = phase(hogs, burn_ns, length, NULL, &alone);
    if (r == 0) r = phase(hogs, burn_ns, length, &tick, &beside);
  }
  p->wall_s = (double)(clock_ns() - began) * 1e-9;
  program_say(p, "workers", "%ld", hogs + 1);
  program_say(p, "ticks", "%zu", tick.lateness.count);
  durations_report(&tick.lateness, p, "lateness");
  program_say(p, "hog_units_per_s", "%.0f", beside / (double)phases);
  program_say(p, "hog_units_per_s_alone", "%.0f", alone / (double)phases);
  program_say(p, "hog_progress", "%.4f", beside / alone);
  return r;
}

int main(int argc, char **argv) {
  static struct program p;
  int r = -EINVAL;
  if (!program_begin(&p, argc, argv)) return 2;
  if (strcmp(p.workload, "sleepers") == 0) r = sleepers_workload(&p);
  if (strcmp(p.workload, "hogs") == 0) r = hogs_workload(&p);
  return program_end(&p, r, explain);
}
