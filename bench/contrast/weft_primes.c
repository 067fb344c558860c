/* b. CPU-bound tasks that each count primes: what more cores bring. In tasks, or in the processes
 * of a pool. */
#include "weft_contrast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct one {
  struct primes *all;
  int64_t began, ended;
  int worker; /* that ran it; no await is in it, so it cannot change under way */
  int count;
};

struct primes {
  int limit;
  long tasks;
  struct one *each;
  int64_t began;
  int home; /* the worker that spawned the tasks */
  weft_procpool *pool;
};

static int count_primes(int limit) {
  int count = 0;
  for (int number = 2; number < limit; number++) {
    int divisor = 2;
    while (divisor * divisor <= number && number % divisor != 0) divisor++;
    count += divisor * divisor > number;
  }
  return count;
}

static int in_a_task(void *arg) {
  struct one *o = arg;
  o->worker = weft_worker_id();
  o->began = clock_ns();
  o->count = count_primes(o->all->limit);
  o->ended = clock_ns();
  return 0;
}

static int count_job(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  int limit, count;
  if (in_len != sizeof limit || out_cap < sizeof count) return WEFT_EINVAL;
  memcpy(&limit, in, sizeof limit);
  count = count_primes(limit);
  memcpy(out, &count, sizeof count);
  *ret_len = sizeof count;
  return 0;
}

static const weft_job jobs[] = {{"count primes", count_job}};

static int in_a_process(void *arg) {
  struct one *o = arg;
  struct primes *all = o->all;
  return weft_procpool_call(all->pool, &jobs[0], &all->limit, sizeof all->limit, &o->count,
                            sizeof o->count, NULL);
}

static int all_primes(void *arg) {
  struct primes *all = arg;
  weft_group group = WEFT_GROUP_INIT;
  all->began = clock_ns();
  all->home = weft_worker_id();
  for (long i = 0; i < all->tasks; i++) {
    all->each[i].all = all;
    weft_group_spawn(&group, all->pool ? in_a_process : in_a_task, &all->each[i], NULL);
  }
  return weft_group_join(&group);
}

static int run_in_processes(struct program *p, struct primes *all, unsigned processes) {
  weft_procpool_opts opts = {.jobs = jobs, .njobs = 1, .workers = processes};
  int64_t began = clock_ns();
  int r = weft_procpool_open(&all->pool, &opts), closed;
  if (r < 0) return r;
  program_say(p, "pool", "%u", weft_procpool_alive(all->pool));
  r = contrast_run(p, all_primes, all);
  closed = weft_procpool_close(all->pool);
  p->wall_s = (double)(clock_ns() - began) * 1e-9; /* with making and ending the processes */
  return r < 0 ? r : closed;
}

/* One bar of the picture for each task. */
static int write_trace(const struct primes *all, const char *path) {
  FILE *out = fopen(path, "we");
  if (!out) return WEFT_EIO;
  for (long i = 0; i < all->tasks; i++) {
    const struct one *o = &all->each[i];
    fprintf(out,
            "{\"t0_us\": %.3f, \"t1_us\": %.3f, \"worker\": %d, \"task\": %ld, "
            "\"name\": \"primes\", \"stolen\": %s}\n",
            (double)(o->began - all->began) * 1e-3, (double)(o->ended - all->began) * 1e-3,
            o->worker, i, o->worker == all->home ? "false" : "true");
  }
  return fclose(out) == 0 ? 0 : WEFT_EIO;
}

int primes_workload(struct program *p) {
  struct primes all = {
      .limit = (int)program_number(p, "limit", 50000),
      .tasks = program_number(p, "tasks", 64),
  };
  const char *mode = program_text(p, "mode", "tasks");
  const char *trace = program_text(p, "trace", NULL);
  unsigned processes = (unsigned)program_number(p, "pool", 0);
  long answer = 0;
  int r;
  all.each = need(calloc((size_t)all.tasks, sizeof *all.each));
  if (strcmp(mode, "processes") == 0)
    r = run_in_processes(p, &all, processes);
  else
    r = contrast_run(p, all_primes, &all);
  for (long i = 0; i < all.tasks; i++) answer += all.each[i].count;
  program_say(p, "tasks", "%ld", all.tasks);
  program_say(p, "mode", "\"%s\"", mode);
  program_say(p, "answer", "%ld", answer);
  if (r >= 0 && trace) r = write_trace(&all, trace);
  free(all.each);
  return r;
}
