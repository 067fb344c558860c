/* The process pool under many callers: jobs that answer, fail, compute, or die with their process,
 * and callers that are cancelled. Only the job that dies is lost, and the pool is whole afterwards.
 * One pool for all rounds: it is opened while the process has one thread. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/choice.h"
#include "offload/procpool.h"
#include "stress.h"

enum { PROCESSES = 3 };

static weft_procpool *pool;

static int job_sum(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  const unsigned char *p = in;
  uint64_t total = 0;
  for (size_t i = 0; i < in_len; i++) total += p[i];
  if (out_cap < sizeof total) return WEFT_ENOBUFS;
  memcpy(out, &total, sizeof total);
  *ret_len = sizeof total;
  return 3;
}

static int job_fail(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  return STRESS_OWN_ERROR;
}

static int job_compute(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  stress_burn(weft_us(500));
  return 3;
}

static int job_die(const void *in, size_t in_len, void *out, size_t out_cap, size_t *ret_len) {
  (void)in, (void)in_len, (void)out, (void)out_cap, (void)ret_len;
  kill(getpid(), SIGKILL);
  return 0;
}

enum { SUM, FAIL, COMPUTE, DIE, JOBS };
static const weft_job jobs[JOBS] = {
    {"sum", job_sum}, {"fail", job_fail}, {"compute", job_compute}, {"die", job_die}};

static int open_pool(void) {
  return weft_procpool_open(
      &pool, &(weft_procpool_opts){
                 .jobs = jobs, .njobs = JOBS, .workers = PROCESSES, .max_payload = 256 * 1024});
}

/* The zygote lives until here; one that has ended says why. */
static int close_pool(void) {
  siginfo_t info = {.si_pid = 0};
  if (waitid(P_PID, (id_t)pool->zygote.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid != 0) {
    fprintf(stderr, "weft-stress: processes: the zygote has %s %d\n",
            info.si_code == CLD_EXITED ? "exited with" : "died of", info.si_status);
    stress_fail("the zygote has ended");
  }
  return weft_procpool_close(pool);
}

struct caller {
  struct weft__rng rng;
  struct stress_mark mark;
  weft_task task;
};

static int call_sum(struct caller *c) {
  unsigned char in[600];
  uint64_t total = 0, want = 0;
  size_t len = 99, n = stress_draw(&c->rng, sizeof in);
  for (size_t i = 0; i < n; i++) want += in[i] = (unsigned char)stress_draw(&c->rng, 256);
  int r = weft_procpool_call(pool, &jobs[SUM], in, n, &total, sizeof total, &len);
  if (r == 3) {
    EXPECT_INT(len, sizeof total);
    EXPECT_INT(total, want);
  } else {
    EXPECT_INT(len, 99);
  }
  return r;
}

static int call_many(void *arg) {
  struct caller *c = arg;
  int r = 3;
  stress_begin(&c->mark);
  for (uint32_t i = 1 + stress_draw(&c->rng, 4); i > 0 && r != WEFT_ECANCELED; i--) {
    uint32_t what = stress_draw(&c->rng, 40);
    int job = what < 25 ? SUM : what < 30 ? FAIL : what < 39 ? COMPUTE : DIE;
    static const int wants[JOBS] = {3, STRESS_OWN_ERROR, 3, WEFT_EPROC};
    r = job == SUM ? call_sum(c) : weft_procpool_call(pool, &jobs[job], NULL, 0, NULL, 0, NULL);
    if (r != WEFT_ECANCELED) EXPECT_INT(r, wants[job]);
    if (r == WEFT_EPROC) EXPECT_INT(weft_procpool_last_death(pool), SIGKILL);
  }
  return stress_end(&c->mark, r == WEFT_ECANCELED ? r : 3);
}

struct callers {
  struct caller *callers;
  int n;
};

static int processes_main(void *arg) {
  struct callers *all = arg;
  for (int i = 0; i < all->n; i++)
    all->callers[i].task = weft_spawn(call_many, &all->callers[i], NULL);
  for (int i = 0; i < all->n; i++) {
    weft_task t = all->callers[i].task;
    bool cut = i % 6 == 1 && weft_cancel(t) == 1;
    stress_count(STRESS_CANCELS, cut);
    EXPECT_INT(weft_await(t), cut ? WEFT_ECANCELED : 3);
    stress_whole(&all->callers[i].mark);
  }
  EXPECT_INT(weft_procpool_alive(pool), PROCESSES);
  return 0;
}

static void processes_round(struct stress_round *r) {
  struct callers all = {.n = 1 + (int)stress_draw(r->rng, (uint32_t)stress_many(100))};
  all.callers = stress_alloc((size_t)all.n, sizeof *all.callers);
  for (int i = 0; i < all.n; i++) stress_rng(&all.callers[i].rng, r, (uint64_t)i);
  EXPECT_INT(stress_run(r, processes_main, &all), 0);
  free(all.callers);
}

const struct stress_workload stress_processes = {
    .name = "processes",
    .about = "calls of a process pool whose jobs answer, fail, die and are killed by a cancel",
    .round = processes_round,
    .flags = STRESS_EXACT_TOO | STRESS_ALONE,
    .prepare = open_pool,
    .finish = close_pool,
};
