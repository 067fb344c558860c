/* The workloads of the comparison with other runtimes, in weft, under the command line that all of
 * their programs share:
 *
 *   weft-peer <workload> key=value ...
 *
 *   spawn_join n= batch=         spawn tasks that return at once, await them; batches of 1000
 *   yield n= tasks=              one yield of one of the tasks
 *   queue n= pairs= cap=         one item through a bounded queue, from and to `pairs` tasks
 *   sleepers n= ms=              tasks asleep to one common deadline: memory, spawn time, lateness
 *   timeout n=                   a 10 s timeout around what is ready at once, and what yields once
 *   blocking n= window=          round trip to the blocking pool, one and `window` at a time
 *   procpool n= window= payload= reps=   round trip to another process, and a large echo
 *   noop                         run an empty main task
 *   bare                         return from main: the same libraries, no runtime
 *   cpu tasks= limit=            count primes
 *   fork_join n=                 fib by spawning
 *   sync n= pings= contended= contended_yield=   a lock and a semaphore taken and given back, a future
 *                                set and awaited, an event there and back, one lock for 8 tasks
 *   echo port= work_us= hogs=    a server: what comes goes back, after so much work; hogs burn 10 ms and yield
 *   source port= chunk=          a server that writes for ever
 *   pipeline n= limit= burn_us=  wait 2 ms on a timer, use 200 us of CPU, block for 1 ms
 *
 * threads= is the number of workers (2), pool= the most threads of the blocking pool; rt=ct runs in
 * exact mode, on one worker. Prints one line, `weft <workload> metric=value ...`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weft.h>

#include "peer.h"

static int argument_count;
static char **arguments;

const char *argument_text(const char *key) {
  size_t n = strlen(key);
  for (int i = 2; i < argument_count; i++)
    if (!strncmp(arguments[i], key, n) && arguments[i][n] == '=') return arguments[i] + n + 1;
  return NULL;
}

long argument(const char *key, long otherwise) {
  const char *text = argument_text(key);
  return text ? strtol(text, NULL, 10) : otherwise;
}

uint64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now(void) {
  return clock_ns(CLOCK_MONOTONIC);
}

static double ns_each(uint64_t since, long n) {
  return (double)(now() - since) / (double)n;
}

/* A benchmark whose calls fail has no figures. */
void must(int r, const char *what) {
  if (r >= 0) return;
  fprintf(stderr, "weft-peer: %s: %s (%s)\n", what, weft_strerror(r), weft_err_name(r));
  exit(1);
}

static void *allocate(long n, size_t size) {
  void *p = calloc((size_t)n, size);
  if (!p) must(WEFT_ENOMEM, "calloc");
  return p;
}

/* ---- spawn_join, yield ---- */

static int store_index(void *arg) {
  long *place = arg;
  *place = -*place;
  return 0;
}

static int spawn_join(void *unused) {
  long n = argument("n", 1000000), batch = argument("batch", 1000), sum = 0;
  weft_task *tasks = allocate(batch, sizeof *tasks);
  long *out = allocate(batch, sizeof *out);
  (void)unused;
  uint64_t t = now();
  for (long r = 0; r < n / batch; r++) {
    for (long i = 0; i < batch; i++) {
      out[i] = -i;
      tasks[i] = weft_spawn(store_index, &out[i], NULL);
    }
    for (long i = 0; i < batch; i++) must(weft_await(tasks[i]), "await");
    for (long i = 0; i < batch; i++) sum += out[i];
  }
  printf("weft spawn_join ns=%.1f sum=%ld\n", ns_each(t, n), sum);
  free(tasks);
  free(out);
  return 0;
}

static int yield_many(void *arg) {
  for (long i = *(const long *)arg; i > 0; i--) weft_yield();
  return 0;
}

static int yields(void *unused) {
  long n = argument("n", 5000000), tasks = argument("tasks", 2), each = n / tasks;
  weft_group g = WEFT_GROUP_INIT;
  (void)unused;
  uint64_t t = now();
  for (long i = 0; i < tasks; i++) weft_group_spawn(&g, yield_many, &each, NULL);
  must(weft_group_join(&g), "join");
  printf("weft yield ns=%.1f\n", ns_each(t, n));
  return 0;
}

/* ---- queue ---- */

struct pair_ends {
  weft_queue *q;
  long each;
};

static int produce(void *arg) {
  const struct pair_ends *ends = arg;
  for (long i = 0; i < ends->each; i++) must(weft_queue_put(ends->q, &i), "put");
  return 0;
}

static int consume(void *arg) {
  const struct pair_ends *ends = arg;
  long item, sum = 0;
  while (weft_queue_get(ends->q, &item) > 0) sum += item;
  return sum < 0;
}

static int queue(void *unused) {
  long n = argument("n", 2000000), pairs = argument("pairs", 1);
  struct pair_ends ends = {.each = n / pairs};
  weft_queue_opts opts = {.capacity = (size_t)argument("cap", 100)};
  weft_group producers = WEFT_GROUP_INIT, consumers = WEFT_GROUP_INIT;
  (void)unused;
  must(weft_queue_new(&ends.q, sizeof(long), &opts), "queue_new");
  uint64_t t = now();
  for (long k = 0; k < pairs; k++) {
    must(weft_group_spawn(&producers, produce, &ends, NULL), "spawn");
    must(weft_group_spawn(&consumers, consume, &ends, NULL), "spawn");
  }
  must(weft_group_join(&producers), "join");
  weft_queue_shutdown(ends.q, false);
  must(weft_group_join(&consumers), "join");
  printf("weft queue ns=%.1f\n", ns_each(t, n));
  return weft_queue_free(ends.q);
}

/* ---- sleepers ---- */

/* In bytes: resident pages, and the page tables that lead to them. */
static long resident(void) {
  long size, pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return 0;
  if (fscanf(f, "%ld %ld", &size, &pages) != 2) pages = 0;
  fclose(f);
  return pages * 4096;
}

static long page_tables(void) {
  char line[128];
  long kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "VmPTE: %ld kB", &kib) == 1) break;
  if (f) fclose(f);
  return kib * 1024;
}

static int sleep_until(void *arg) {
  uint64_t deadline = *(const uint64_t *)arg, at = now();
  return deadline > at ? weft_sleep((weft_ns)(deadline - at)) : 0;
}

static int sleepers(void *unused) {
  long n = argument("n", 100000), ms = argument("ms", 3000), base = resident();
  long base_tables = page_tables();
  weft_group g = WEFT_GROUP_INIT;
  (void)unused;
  uint64_t t = now(), deadline = t + (uint64_t)ms * 1000000u;
  for (long i = 0; i < n; i++) must(weft_group_spawn(&g, sleep_until, &deadline, NULL), "spawn");
  double spawned = ns_each(t, n);
  uint64_t look = deadline - (uint64_t)ms * 100000u;
  must(sleep_until(&look), "sleep");
  double bytes = (double)(resident() - base) / (double)n;
  double tables = (double)(page_tables() - base_tables) / (double)n;
  must(weft_group_join(&g), "join");
  printf(
      "weft sleepers bytes_per_task=%.0f page_table_bytes=%.0f spawn_ns=%.0f finish_lag_ms=%.1f\n",
      bytes, tables, spawned, ((double)now() - (double)deadline) / 1e6);
  return 0;
}

/* ---- timeout ---- */

static int ready_at_once(void *arg) {
  ++*(long *)arg;
  return 0;
}

static int timeouts(void *unused) {
  long n = argument("n", 1000000), count = 0;
  weft_timeout s;
  (void)unused;
  uint64_t t = now();
  for (long i = 0; i < n; i++) {
    weft_timeout_begin(&s, weft_sec(10));
    int r = ready_at_once(&count);
    must(weft_timeout_end(&s, r), "timeout");
  }
  double immediate = ns_each(t, n);
  t = now();
  for (long i = 0; i < n; i++) {
    weft_timeout_begin(&s, weft_sec(10));
    int r = weft_yield();
    must(weft_timeout_end(&s, r), "timeout");
  }
  double yielding = ns_each(t, n);
  t = now();
  for (long i = 0; i < n; i++)
    must(weft_wait_for_task(weft_spawn(ready_at_once, &count, NULL), weft_sec(10)),
         "wait_for_task");
  printf("weft timeout immediate_ns=%.1f yielding_ns=%.1f task_ns=%.1f\n", immediate, yielding,
         ns_each(t, n));
  return 0;
}

/* ---- blocking ---- */

static int offload(void *arg) {
  return weft_to_thread(ready_at_once, arg);
}

static int blocking(void *unused) {
  long n = argument("n", 100000), window = argument("window", 1000), count = 0;
  weft_task *tasks = allocate(window, sizeof *tasks);
  long *counts = allocate(window, sizeof *counts);
  (void)unused;
  uint64_t t = now();
  for (long i = 0; i < n; i++) must(weft_to_thread(ready_at_once, &count), "to_thread");
  double one = ns_each(t, n);
  t = now();
  for (long r = 0; r < n / window; r++) {
    for (long i = 0; i < window; i++) tasks[i] = weft_spawn(offload, &counts[i], NULL);
    must(weft_gather(tasks, (size_t)window, NULL), "gather");
  }
  double pipelined = ns_each(t, n);
  for (long i = 0; i < window; i++) count += counts[i];
  printf("weft blocking seq_ns=%.0f pipelined_ns=%.0f sum=%ld\n", one, pipelined, count);
  free(tasks);
  free(counts);
  return 0;
}

/* ---- procpool ---- */

static int echo(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  if (in_len > out_cap) return WEFT_ENOBUFS;
  memcpy(out, in, in_len);
  *ret_len = in_len;
  return 0;
}

static const weft_job jobs[] = {{"echo", echo}};
static weft_procpool *pool;

struct caller {
  long calls;
};

static int call_small(void *arg) {
  const struct caller *c = arg;
  for (long i = 0; i < c->calls; i++) {
    long in = i, out = -1;
    int r = weft_procpool_call(pool, &jobs[0], &in, sizeof in, &out, sizeof out, NULL);
    if (r < 0) return r;
    if (out != i) return WEFT_EPROTO;
  }
  return 0;
}

static int procpool(void *unused) {
  long n = argument("n", 100000), window = argument("window", 64), reps = argument("reps", 300);
  size_t big = (size_t)argument("payload", 1 << 20);
  struct caller one = {n}, share = {n / (2 * window)};
  weft_group g = WEFT_GROUP_INIT;
  (void)unused;
  uint64_t t = now();
  must(call_small(&one), "call");
  double seq = ns_each(t, n);
  t = now();
  for (long i = 0; i < 2 * window; i++) weft_group_spawn(&g, call_small, &share, NULL);
  must(weft_group_join(&g), "call");
  double pipelined = ns_each(t, share.calls * 2 * window);
  char *in = allocate(1, big), *out = allocate(1, big);
  memset(in, 'w', big);
  t = now();
  for (long i = 0; i < reps; i++)
    must(weft_procpool_call(pool, &jobs[0], in, big, out, big, NULL), "call");
  double seconds = (double)(now() - t) / 1e9;
  if (memcmp(in, out, big) != 0) must(WEFT_EPROTO, "echo");
  printf("weft procpool seq_us=%.2f pipelined_us=%.2f payload_MBps=%.0f\n", seq / 1000,
         pipelined / 1000, (double)reps * (double)big / 1e6 / seconds);
  free(in);
  free(out);
  return 0;
}

/* ---- noop, cpu, fork_join ---- */

static int noop(void *unused) {
  (void)unused;
  puts("weft noop ok=1");
  return 0;
}

static int count_primes(void *arg) {
  long *place = arg, limit = *place, n = 0;
  for (uint32_t i = 2; i < (uint32_t)limit; i++) {
    int prime = 1;
    for (uint32_t d = 2; d * d <= i; d++) {
      if (i % d == 0) {
        prime = 0;
        break;
      }
    }
    n += prime;
  }
  *place = n;
  return 0;
}

static int cpu(void *unused) {
  long tasks = argument("tasks", 64), limit = argument("limit", 50000), sum = 0;
  long *places = allocate(tasks, sizeof *places);
  weft_group g = WEFT_GROUP_INIT;
  (void)unused;
  uint64_t t = now();
  for (long i = 0; i < tasks; i++) {
    places[i] = limit;
    weft_group_spawn(&g, count_primes, &places[i], NULL);
  }
  must(weft_group_join(&g), "join");
  double ms = (double)(now() - t) / 1e6;
  for (long i = 0; i < tasks; i++) sum += places[i];
  printf("weft cpu ms=%.1f sum=%ld\n", ms, sum);
  free(places);
  return 0;
}

struct fib {
  int n;
  long result;
};

static int fib(void *arg) {
  struct fib *f = arg;
  if (f->n < 2) {
    f->result = f->n;
    return 0;
  }
  struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
  weft_task t = weft_spawn(fib, &a, NULL);
  fib(&b);
  int r = weft_await(t);
  f->result = a.result + b.result;
  return r;
}

static long spawns(int n) {
  return n < 2 ? 0 : 1 + spawns(n - 1) + spawns(n - 2);
}

static int fork_join(void *unused) {
  struct fib f = {(int)argument("n", 27), 0};
  (void)unused;
  uint64_t t = now();
  must(fib(&f), "fib");
  double ns = (double)(now() - t);
  printf("weft fork_join ns=%.1f sum=%ld\n", ns / (double)spawns(f.n), f.result);
  return 0;
}

/* ---- pipeline ---- */

static int block_1_ms(void *unused) {
  (void)unused;
  return nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL) == 0 ? 0 : WEFT_EINTR;
}

static int item(void *arg) {
  uint64_t burn = *(const uint64_t *)arg;
  int r = weft_sleep(weft_ms(2));
  if (r < 0) return r;
  uint64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + burn;
  while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end) {}
  return weft_to_thread(block_1_ms, NULL);
}

static int pipeline(void *unused) {
  long n = argument("n", 2000), us = argument("burn_us", 200);
  uint64_t burn = (uint64_t)us * 1000u;
  weft_group g;
  (void)unused;
  weft_group_init(&g, &(weft_group_opts){.limit = (unsigned)argument("limit", 100)});
  uint64_t t = now();
  for (long i = 0; i < n; i++) must(weft_group_spawn(&g, item, &burn, NULL), "spawn");
  must(weft_group_join(&g), "join");
  double wall = (double)(now() - t) / 1e6;
  double used = (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e6;
  printf("weft pipeline ms=%.1f cpu_ms=%.1f overhead_us_per_item=%.1f\n", wall, used,
         (used * 1e3 - (double)(n * us)) / (double)n);
  return 0;
}

struct pingpong {
  weft_event ping, pong;
  long n;
};

static int pong(void *arg) {
  struct pingpong *p = arg;
  for (long i = 0; i < p->n; i++) {
    must(weft_event_wait(&p->ping), "event_wait");
    weft_event_clear(&p->ping);
    weft_event_set(&p->pong);
  }
  return 0;
}

static double ping_ns(long n) {
  struct pingpong p = {.n = n};
  weft_task t = weft_spawn(pong, &p, NULL);
  uint64_t since = now();
  for (long i = 0; i < n; i++) {
    weft_event_set(&p.ping);
    must(weft_event_wait(&p.pong), "event_wait");
    weft_event_clear(&p.pong);
  }
  double each = ns_each(since, n);
  must(weft_await(t), "await");
  return each;
}

enum { CONTENDERS = 8 };

struct contest {
  weft_lock lock;
  long each, sum;
  bool yield;
};

static int contend(void *arg) {
  struct contest *c = arg;
  for (long i = 0; i < c->each; i++) {
    must(weft_lock_acquire(&c->lock), "lock_acquire");
    c->sum++;
    if (c->yield) must(weft_yield(), "yield");
    must(weft_lock_release(&c->lock), "lock_release");
  }
  return 0;
}

static double contended_ns(long n, bool yield) {
  struct contest c = {.each = n / CONTENDERS, .yield = yield};
  weft_group g = WEFT_GROUP_INIT;
  uint64_t since = now();
  for (int i = 0; i < CONTENDERS; i++) must(weft_group_spawn(&g, contend, &c, NULL), "spawn");
  must(weft_group_join(&g), "join");
  return ns_each(since, n);
}

static double lock_ns(long n) {
  weft_lock lock = WEFT_LOCK_INIT;
  volatile long sum = 0;
  uint64_t since = now();
  for (long i = 0; i < n; i++) {
    must(weft_lock_acquire(&lock), "lock_acquire");
    sum++;
    must(weft_lock_release(&lock), "lock_release");
  }
  return ns_each(since, n);
}

static double sem_ns(long n) {
  weft_sem sem = WEFT_SEM_INIT(1);
  uint64_t since = now();
  for (long i = 0; i < n; i++) {
    must(weft_sem_acquire(&sem), "sem_acquire");
    must(weft_sem_release(&sem), "sem_release");
  }
  return ns_each(since, n);
}

static double oneshot_ns(long n) {
  long sum = 0, got = 0;
  uint64_t since = now();
  for (long i = 0; i < n; i++) {
    weft_future *f = NULL;
    must(weft_future_new(&f, sizeof i), "future_new");
    must(weft_future_set(f, &i), "future_set");
    must(weft_future_await(f, &got), "future_await");
    weft_future_unref(f);
    sum += got;
  }
  if (sum != n * (n - 1) / 2) must(WEFT_UNKNOWN, "sum");
  return ns_each(since, n);
}

static int sync_objects(void *unused) {
  long n = argument("n", 1000000);
  (void)unused;
  double lock = lock_ns(n), sem = sem_ns(n), oneshot = oneshot_ns(n);
  double ping = ping_ns(argument("pings", 200000));
  double contended = contended_ns(argument("contended", 2000000), false);
  double yielding = contended_ns(argument("contended_yield", 200000), true);
  printf("weft sync lock_ns=%.1f sem_ns=%.1f oneshot_ns=%.1f ping_ns=%.1f contended_ns=%.1f "
         "contended_yield_ns=%.1f\n",
         lock, sem, oneshot, ping, contended, yielding);
  return 0;
}

static const struct workload {
  const char *name;
  weft_fn fn;
} workloads[] = {
    {"spawn_join", spawn_join},
    {"yield", yields},
    {"queue", queue},
    {"sleepers", sleepers},
    {"timeout", timeouts},
    {"blocking", blocking},
    {"procpool", procpool},
    {"noop", noop},
    {"cpu", cpu},
    {"fork_join", fork_join},
    {"pipeline", pipeline},
    {"sync", sync_objects},
    {"echo", echo_server},
    {"source", source_server},
};

static weft_fn find(const char *name) {
  for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
    if (!strcmp(workloads[i].name, name)) return workloads[i].fn;
  return NULL;
}

int main(int argc, char **argv) {
  argument_count = argc;
  arguments = argv;
  const char *name = argc > 1 ? argv[1] : "";
  if (!strcmp(name, "bare")) {
    puts("weft bare ok=1");
    return 0;
  }
  weft_fn fn = find(name);
  if (!fn) {
    fprintf(stderr, "weft: no workload %s\n", name);
    return 2;
  }
  const char *rt = argument_text("rt");
  bool exact = rt && !strcmp(rt, "ct");
  weft_run_opts opts = {
      .workers = exact ? 1 : (int)argument("threads", 2),
      .exact = exact,
      .blocking_threads = (unsigned)argument("pool", 0),
  };
  /* Before any thread exists: the processes are forked from here. */
  if (fn == procpool)
    must(weft_procpool_open(&pool, &(weft_procpool_opts){.jobs = jobs, .njobs = 1, .workers = 2}),
         "procpool_open");
  must(weft_run(fn, NULL, &opts), "run");
  must(weft_procpool_close(pool), "procpool_close");
  return 0;
}
