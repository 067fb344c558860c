/* weft-contrast <workload> key=value ...: the contrast's workloads on weft. asyncio_program.py is
 * the same in Python. */
#include "weft_contrast.h"

#include <stdio.h>
#include <string.h>

static const struct workload {
  const char *name;
  int (*run)(struct program *p);
} workloads[] = {
    {"sleepers", sleepers_workload}, {"primes", primes_workload}, {"skynet", skynet_workload},
    {"blocking", blocking_workload}, {"hogs", hogs_workload},     {"index", index_workload},
    {"echo", echo_workload},
};

struct measured {
  weft_fn fn;
  void *arg;
  unsigned workers;
  weft_worker_stats stats[WEFT_WORKERS_MAX];
};

/* The statistics are read inside the runtime, at its end. */
static int measured_main(void *arg) {
  struct measured *m = arg;
  int code = m->fn(m->arg);
  m->workers = (unsigned)weft_worker_count();
  for (unsigned i = 0; i < m->workers; i++) {
    int r = weft_stats_worker(i, &m->stats[i]);
    if (r < 0) return r;
  }
  return code;
}

static void say_stats(struct program *p, const struct measured *m) {
  char list[PROGRAM_JSON_MAX / 2];
  size_t length = 0;
  list[0] = '\0';
  for (unsigned i = 0; i < m->workers && length < sizeof list - 256; i++) {
    const weft_worker_stats *s = &m->stats[i];
    length += (size_t)snprintf(
        list + length, sizeof list - length,
        "%s{\"tasks_run\": %llu, \"inline_run\": %llu, \"steals\": %llu, \"loop_turns\": %llu, "
        "\"leases\": %llu, \"parks\": %llu, \"hogged\": %llu}",
        i ? ", " : "", (unsigned long long)s->tasks_run, (unsigned long long)s->inline_run,
        (unsigned long long)s->steals, (unsigned long long)s->loop_turns,
        (unsigned long long)s->leases, (unsigned long long)s->parks, (unsigned long long)s->hogged);
  }
  program_say(p, "workers", "%u", m->workers);
  program_say(p, "stats", "[%s]", list);
}

int contrast_run(struct program *p, weft_fn fn, void *arg) {
  struct measured m = {.fn = fn, .arg = arg};
  weft_run_opts opts = {
      .workers = (int)program_number(p, "workers", 0),
      .no_reserve = program_number(p, "reserve", 1) == 0,
  };
  int64_t began = clock_ns();
  int code = weft_run(measured_main, &m, &opts);
  p->wall_s = (double)(clock_ns() - began) * 1e-9;
  say_stats(p, &m);
  return code;
}

int main(int argc, char **argv) {
  static struct program p;
  if (!program_begin(&p, argc, argv)) return 2;
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
    if (strcmp(workloads[i].name, p.workload) == 0)
      return program_end(&p, workloads[i].run(&p), weft_strerror);
  }
  fprintf(stderr, "%s: there is no workload '%s'\n", argv[0], p.workload);
  return 2;
}
